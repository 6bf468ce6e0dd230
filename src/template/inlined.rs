//! Partials where they are called from, instead of called.
//!
//! Handlebars copies everything a template can see for every partial it calls,
//! a dozen times a mail: half of what rendering cost. A partial without
//! arguments sees exactly what its caller sees, so its template is put there
//! once, when templates are compiled. What is rendered is the same, and errors
//! still name the partial's own file and line.
//!
//! Left as they are: partials with arguments, those that look out with `../`
//! (they count the copy as a level) and whatever calls them, and what would make
//! one template too large.

use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use handlebars::{
    Context, Handlebars, Helper, HelperDef, Output, Path, RenderContext, RenderError, Renderable,
    Template,
};
use std::collections::{BTreeMap, BTreeSet};

/// Stands around an inlined partial; nobody can write it, the check knows no
/// such function.
const HERE: &str = "__here";

/// Elements of one template with everything put into it: partials that call
/// each other twice double with every step.
const ELEMENTS_MAX: usize = 5_000;

/// Puts partials where they are called in every template of a registry.
///
/// `parts` are its templates by name with their text; no partial calls itself,
/// not even through others.
pub fn inline(registry: &mut Handlebars<'static>, parts: &BTreeMap<&str, &str>) {
    let Some(here) = here() else { return };
    registry.register_helper(HERE, Box::new(Here));
    let compiled: BTreeMap<&str, Template> = (parts.keys())
        .filter_map(|name| Some((*name, registry.get_template(name)?.clone())))
        .collect();
    let rooms = Rooms {
        here,
        compiled: &compiled,
        texts: parts,
    };
    let mut ready = BTreeMap::new();
    for name in compiled.keys() {
        rooms.furnish(name, &mut ready);
    }
    for (name, furnished) in ready {
        registry.register_template(name, furnished.template);
    }
}

/// A block around nothing, to put a partial into.
fn here() -> Option<HelperTemplate> {
    let template = Template::compile(&format!("{{{{#{HERE}}}}}{{{{/{HERE}}}}}")).ok()?;
    match template.elements.into_iter().next()? {
        TemplateElement::HelperBlock(block) => Some(*block),
        _ => None,
    }
}

/// A template with its partials in it.
struct Furnished {
    template: Template,
    n_elements: usize,
    /// Or something it calls does.
    looks_out: bool,
}

type Ready<'a> = BTreeMap<&'a str, Furnished>;

struct Rooms<'a> {
    here: HelperTemplate,
    compiled: &'a BTreeMap<&'a str, Template>,
    texts: &'a BTreeMap<&'a str, &'a str>,
}

impl<'a> Rooms<'a> {
    /// Makes a template and all it calls ready.
    fn furnish(&self, name: &'a str, ready: &mut Ready<'a>) {
        let Some(template) = self.compiled.get(name) else {
            return;
        };
        if ready.contains_key(name) {
            return;
        }
        let mut looks_out = self.texts.get(name).is_none_or(|text| text.contains("../"));
        for called in self.called(template) {
            self.furnish(called, ready);
            looks_out |= ready.get(called).is_none_or(|called| called.looks_out);
        }
        let mut template = template.clone();
        let n_elements = self.fill(&mut template, ready);
        let furnished = Furnished {
            template,
            n_elements,
            looks_out,
        };
        ready.insert(name, furnished);
    }

    /// Replaces calls by what is called; answers how many elements there are.
    fn fill(&self, template: &mut Template, ready: &Ready<'a>) -> usize {
        let mut n = template.elements.len();
        for element in &mut template.elements {
            if let Some(partial) = name_of_plain_call(element).and_then(|name| ready.get(name))
                && !partial.looks_out
                && n + partial.n_elements <= ELEMENTS_MAX
            {
                n += partial.n_elements;
                let mut block = self.here.clone();
                block.template = Some(partial.template.clone());
                *element = TemplateElement::HelperBlock(Box::new(block));
                continue;
            }
            for inner in parts_of(element) {
                n += self.fill(inner, ready);
            }
        }
        n
    }

    /// The templates a template calls, in whatever way.
    fn called(&self, template: &Template) -> BTreeSet<&'a str> {
        let mut names = BTreeSet::new();
        for element in &template.elements {
            if let TemplateElement::PartialExpression(call) | TemplateElement::PartialBlock(call) =
                element
                && let Some(name) = literally(&call.name)
                && let Some((name, _)) = self.compiled.get_key_value(name)
            {
                names.insert(*name);
            }
            let inner = match element {
                TemplateElement::HelperBlock(block) => [&block.template, &block.inverse],
                TemplateElement::PartialBlock(call) => [&call.template, &None],
                _ => continue,
            };
            for template in inner.into_iter().flatten() {
                names.append(&mut self.called(template));
            }
        }
        names
    }
}

fn literally(name: &Parameter) -> Option<&str> {
    match name {
        Parameter::Name(name) => Some(name),
        Parameter::Path(Path::Relative((_, name))) => Some(name),
        _ => None,
    }
}

/// The partial's name, if it is called without arguments.
fn name_of_plain_call(element: &TemplateElement) -> Option<&str> {
    let TemplateElement::PartialExpression(call) = element else {
        return None;
    };
    let is_plain = call.params.is_empty()
        && call.hash.is_empty()
        && call.template.is_none()
        && call.indent.is_none();
    is_plain.then(|| literally(&call.name)).flatten()
}

fn parts_of(element: &mut TemplateElement) -> impl Iterator<Item = &mut Template> {
    let (template, inverse) = match element {
        TemplateElement::HelperBlock(block) => (block.template.as_mut(), block.inverse.as_mut()),
        _ => (None, None),
    };
    template.into_iter().chain(inverse)
}

/// Renders the partial that was put into it.
struct Here;

impl HelperDef for Here {
    fn call<'reg: 'rc, 'rc>(
        &self,
        block: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        state: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> Result<(), RenderError> {
        let Some(partial) = block.template() else {
            return Ok(());
        };
        // Or the caller passes for the partial, and could not call it again.
        let caller = state.get_current_template_name();
        let rendered = partial.render(registry, context, state, out);
        state.set_current_template_name(caller);
        rendered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PARTS: [(&str, &str); 10] = [
        (
            "line",
            "{{name}}/{{@index}}{{#if @root.many}} of many{{/if}}",
        ),
        (
            "twice",
            "{{> line}}, {{> line}}; {{> line this}}; {{> line name=\"x\"}}",
        ),
        ("out", "{{name}} of {{../../../shop}}"),
        ("outer", "[{{> out}}]"),
        ("standing", "above\n{{> what}}\nbelow\n"),
        (
            "what",
            "{{shop}}\n{{#if many}}\nmany\n{{else}}\n{{> none}}\n{{/if}}\n",
        ),
        ("none", "none\n"),
        ("broken", "one line\n  {{> missing}}"),
        ("missing", "\n\n   {{nobody.name}}"),
        (
            "main",
            "{{> standing}}{{#each lines as |l|}}{{> twice}}|{{> outer}}|{{l.name}}{{> by_param}}\n{{/each}}{{> what}}",
        ),
    ];

    fn registry() -> Handlebars<'static> {
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.set_prevent_indent(true);
        for (name, text) in PARTS {
            registry.register_template_string(name, text).unwrap();
        }
        registry
            .register_template_string("by_param", "<{{l.name}}>")
            .unwrap();
        registry
    }

    fn inlined() -> Handlebars<'static> {
        let mut registry = registry();
        let parts = PARTS.into_iter().chain([("by_param", "<{{l.name}}>")]);
        inline(&mut registry, &parts.collect());
        registry
    }

    #[test]
    fn the_same_is_rendered() {
        for many in [false, true] {
            let context = json!({
                "shop": "Fern", "many": many,
                "lines": [{"name": "cup"}, {"name": "pot"}],
            });
            let said = registry().render("main", &context).unwrap();
            assert_eq!(inlined().render("main", &context).unwrap(), said);
            assert!(said.contains("cup/0"), "{said}");
        }
    }

    #[test]
    fn calls_are_gone_where_they_may_be() {
        let registry = inlined();
        let n = |name: &str| {
            format!("{:?}", registry.get_template(name))
                .matches("PartialExpression")
                .count()
        };
        // What takes arguments, and what looks out.
        assert_eq!((n("twice"), n("outer"), n("standing")), (2, 1, 0));
    }

    #[test]
    fn an_error_is_where_it_was() {
        let context = json!({ "nobody": {} });
        let place = |registry: &Handlebars<'_>| {
            let error = registry.render("broken", &context).unwrap_err();
            (error.template_name.clone(), error.line_no, error.column_no)
        };
        assert_eq!(place(&inlined()), place(&registry()));
        assert_eq!(place(&inlined()).0.as_deref(), Some("missing"));
    }

    #[test]
    fn what_doubles_with_every_step_stays_small() {
        let names: Vec<String> = (0..40).map(|n| format!("p{n:02}")).collect();
        let texts: Vec<String> = (0..40)
            .map(|n| format!("{{{{> p{:02}}}}}{{{{> p{:02}}}}}", n + 1, n + 1))
            .collect();
        let mut registry = Handlebars::new();
        let mut parts: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, text) in names.iter().zip(&texts) {
            parts.insert(name, text);
        }
        parts.insert("p40", "x");
        for (name, text) in &parts {
            registry.register_template_string(name, text).unwrap();
        }
        inline(&mut registry, &parts);
        assert_eq!(registry.render("p36", &()).unwrap(), "x".repeat(16));
    }
}
