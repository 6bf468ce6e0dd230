//! Where a path leads, looked up as Handlebars would.

use super::{At, Scope, Walk, listed};
use crate::template::check::Part;
use crate::template::problem::nearest;
use crate::template::schema::Node;

impl<'a> Walk<'a> {
    /// Follows a path as Handlebars would; reports and returns `None` where it
    /// leads nowhere.
    pub(super) fn path(
        &mut self,
        part: &'a Part,
        raw: &str,
        at: At,
        scopes: &[Scope],
    ) -> Option<Node> {
        let mut rest = raw;
        let mut level = scopes.len().saturating_sub(1);
        let mut from_root = false;
        if let Some(after) = rest.strip_prefix("@root") {
            from_root = true;
            rest = after.trim_start_matches(['.', '/']);
            level = 0;
        } else if let Some(local) = rest.strip_prefix('@') {
            let name = local.trim_start_matches("../");
            let known = ["index", "first", "last"];
            if scopes.iter().any(|s| s.is_loop) && known.contains(&name) {
                return Some(Node::Value);
            }
            let what = format!("\"{raw}\" has no value here");
            let help =
                "inside {{#each}} there are @index, @first and @last; everywhere there is @root";
            self.report(part, at, raw, what, Some(help.to_owned()));
            return None;
        }
        while let Some(after) = rest.strip_prefix("../") {
            if level == 0 {
                let what = format!("\"{raw}\" leads out of the context");
                self.report(part, at, raw, what, None);
                return None;
            }
            level -= 1;
            rest = after;
        }
        let is_relative = !from_root && rest == raw;
        let rest = rest
            .strip_prefix("this.")
            .or_else(|| rest.strip_prefix("this/"))
            .or_else(|| rest.strip_prefix("./"))
            .unwrap_or(rest);
        if rest == "this" || rest == "." || rest.is_empty() {
            return scopes.get(level).map(|s| s.this.clone());
        }
        let segments: Vec<&str> = rest
            .split(['.', '/'])
            .map(|s| s.trim_start_matches('[').trim_end_matches(']'))
            .collect();
        let (first, tail) = segments.split_first()?;
        let named = is_relative
            .then(|| scopes.iter().rev().find_map(|s| s.names.get(*first)))
            .flatten();
        let this = &scopes.get(level)?.this;
        let Some(mut node) = named.or_else(|| this.field(first)) else {
            let names = scopes
                .iter()
                .flat_map(|s| s.names.keys().map(String::as_str));
            let near = nearest(first, this.field_names().chain(names));
            let hint = match near {
                Some(near) => Some(format!("did you mean \"{near}\"?")),
                None if scopes[0].this.field(first).is_some() => {
                    Some(format!("it is further out: @root.{rest}"))
                }
                None => Some(format!("here are: {}", listed(this))),
            };
            let what = format!("there is no \"{first}\" here");
            self.report(part, at, raw, what, hint);
            return None;
        };
        for segment in tail {
            let Some(next) = node.field(segment) else {
                let what = format!("there is no \"{segment}\" in \"{}\"", before(rest, segment));
                let help = match node {
                    Node::Value => Some("it is a single value".to_owned()),
                    Node::List(_) if matches!(*segment, "length" | "size" | "count") => {
                        Some(format!("write (len {})", before(rest, segment)))
                    }
                    Node::List(_) => Some("it is a list; go through it with {{#each}}".to_owned()),
                    node => Some(nearest(segment, node.field_names()).map_or_else(
                        || format!("in it are: {}", listed(node)),
                        |near| format!("did you mean \"{near}\"?"),
                    )),
                };
                self.report(part, at, raw, what, help);
                return None;
            };
            node = next;
        }
        Some(node.clone())
    }
}

/// The part of a path before one of its segments.
fn before<'p>(path: &'p str, segment: &str) -> &'p str {
    path.find(segment)
        .map_or(path, |at| path[..at].trim_end_matches(['.', '/', '[']))
}
