//! Partials that lead back to themselves, or too deep.

use super::{At, Walk, raw_name};
use crate::template::check::{NESTING_MAX, Part, Use};
use handlebars::template::{Template, TemplateElement};
use std::collections::BTreeSet;

impl<'a> Walk<'a> {
    /// Reports the call that closes each circle of partials.
    pub(super) fn cycles(&mut self) {
        for (part, tree) in self.trees {
            let mut trail = vec![part.name.as_str()];
            if part.used_as == Use::Partial {
                self.follow(part, tree, &mut trail);
            }
        }
    }

    fn follow(&mut self, part: &'a Part, tree: &'a Template, trail: &mut Vec<&'a str>) {
        if self.cyclic {
            return;
        }
        for (name, at) in calls(tree, (1, 1)) {
            if let Some(first) = trail.iter().position(|seen| *seen == name) {
                let mut circle: Vec<&str> = trail[first..].to_vec();
                circle.push(name);
                self.cyclic = true;
                self.report(
                    part,
                    at,
                    name,
                    format!("the partial includes itself: {}", circle.join(" > ")),
                    None,
                );
                return;
            }
            if let Some((part, tree)) = self.partial(name)
                && trail.len() < NESTING_MAX
            {
                trail.push(&part.name);
                self.follow(part, tree, trail);
                trail.pop();
            } else if trail.len() >= NESTING_MAX {
                self.cyclic = true;
                self.report(
                    part,
                    at,
                    name,
                    format!("partials include each other more than {NESTING_MAX} deep"),
                    None,
                );
            }
        }
    }
}

/// Names of the partials a template calls anywhere, with the place of the
/// call; each once.
fn calls(tree: &Template, at: At) -> Vec<(&str, At)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![(tree, at)];
    while let Some((tree, at)) = open.pop() {
        for (index, element) in tree.elements.iter().enumerate() {
            let at = tree.mapping.get(index).map_or(at, |m| (m.0, m.1));
            match element {
                TemplateElement::PartialExpression(call) => {
                    if let Some(name) = raw_name(&call.name)
                        && seen.insert(name)
                    {
                        found.push((name, at));
                    }
                }
                TemplateElement::HelperBlock(call) => {
                    let inner = [&call.template, &call.inverse];
                    open.extend(inner.into_iter().flatten().map(|tree| (tree, at)));
                }
                _ => {}
            }
        }
    }
    found
}
