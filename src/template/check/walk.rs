//! The walk through the syntax trees: every path, function and partial.
//!
//! Partials are walked where they are called, with the place they are given,
//! so the same partial may be right in one template and wrong in another.

mod circles;
mod paths;

use super::{Part, Use, locate};
use crate::template::functions::{LINE_END, SIGNATURES, Signature};
use crate::template::problem::{Problem, nearest};
use crate::template::schema::{Node, WORD_FIELDS};
use handlebars::Path;
use handlebars::template::{
    BlockParam, DecoratorTemplate, HelperTemplate, Parameter, Subexpression, Template,
    TemplateElement,
};
use serde_json::Value;
use std::collections::BTreeMap;

const LOOPS_MAX: usize = 3;
/// Elements one template may reach through partials: two calls in each of
/// twenty partials would be a million.
const ELEMENTS_MAX: usize = 20_000;

const BLOCKS: [&str; 4] = ["if", "unless", "each", "with"];

/// Line and column, both from 1.
pub type At = (usize, usize);

/// Everything wrong with the names in templates that could be compiled.
pub fn problems(trees: &[(&Part, Template)]) -> Vec<Problem> {
    let mut walk = Walk {
        trees,
        problems: Vec::new(),
        elements: 0,
        loops: 0,
        cyclic: false,
    };
    walk.cycles();
    for (part, tree) in trees {
        let root = match part.used_as {
            Use::Partial => continue,
            Use::Page => Node::page(),
            Use::Plain | Use::Words => Node::message(),
        };
        walk.elements = 0;
        walk.template(part, tree, (1, 1), &[Scope::of(root)]);
    }
    walk.problems
}

/// Where paths are looked up: one place, and the names a block gave.
#[derive(Clone, Debug)]
struct Scope {
    this: Node,
    names: BTreeMap<String, Node>,
    is_loop: bool,
}

impl Scope {
    fn of(this: Node) -> Scope {
        Scope {
            this,
            names: BTreeMap::new(),
            is_loop: false,
        }
    }
}

struct Walk<'a> {
    trees: &'a [(&'a Part, Template)],
    problems: Vec<Problem>,
    elements: usize,
    loops: usize,
    /// Partials lead back to themselves: do not follow them.
    cyclic: bool,
}

impl<'a> Walk<'a> {
    fn partial(&self, name: &str) -> Option<(&'a Part, &'a Template)> {
        self.trees
            .iter()
            .find(|(part, _)| part.used_as == Use::Partial && part.name == name)
            .map(|(part, tree)| (*part, tree))
    }

    fn report(&mut self, part: &Part, at: At, token: &str, what: String, help: Option<String>) {
        let (line, column) = locate(&part.text, at, token);
        let mut problem = Problem::at(&part.file, line, column, what).in_text(&part.text);
        if let Some(excerpt) = &mut problem.excerpt {
            *excerpt = excerpt.replace(&format!("{{{{{LINE_END} \"\"}}}}"), "");
        }
        problem.help = help;
        self.problems.push(problem);
    }

    fn template(&mut self, part: &'a Part, tree: &'a Template, at: At, scopes: &[Scope]) {
        for (index, element) in tree.elements.iter().enumerate() {
            let at = tree.mapping.get(index).map_or(at, |m| (m.0, m.1));
            self.elements += 1;
            if self.elements > ELEMENTS_MAX {
                if self.elements == ELEMENTS_MAX + 1 {
                    let what = "the template with its partials is too large".to_owned();
                    self.report(part, at, "", what, None);
                }
                return;
            }
            self.element(part, element, at, scopes);
        }
    }

    fn element(&mut self, part: &'a Part, element: &'a TemplateElement, at: At, scopes: &[Scope]) {
        match element {
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
            TemplateElement::Expression(call) => self.expression(part, call, at, scopes),
            TemplateElement::HtmlExpression(call) => {
                let is_body = part.used_as == Use::Page
                    && call.params.is_empty()
                    && raw_name(&call.name) == Some("body");
                if !is_body {
                    self.report(
                        part,
                        at,
                        "",
                        "three braces or {{& would print a value without escaping".to_owned(),
                        Some("use two braces".to_owned()),
                    );
                }
            }
            TemplateElement::HelperBlock(call) => self.block(part, call, at, scopes),
            TemplateElement::PartialExpression(call) => self.include(part, call, at, scopes),
            // Partial blocks, inline partials and whatever a later Handlebars
            // may bring: not followed, so not allowed.
            _ => self.report(
                part,
                at,
                "",
                "{{#> }} and {{* }} are not used here".to_owned(),
                Some(
                    "put shared words into <locale>/partials/<name>.hbs and write {{> name}}"
                        .to_owned(),
                ),
            ),
        }
    }

    fn expression(&mut self, part: &'a Part, call: &'a HelperTemplate, at: At, scopes: &[Scope]) {
        let name = raw_name(&call.name).unwrap_or_default();
        if !call.params.is_empty() || !call.hash.is_empty() {
            self.call(part, name, call, at, scopes);
            return;
        }
        if let Parameter::Subexpression(inner) = &call.name {
            self.subexpression(part, inner, at, scopes);
            return;
        }
        if signature(name).is_some() {
            let what = format!("\"{name}\" needs a value after its name");
            self.report(part, at, name, what, None);
            return;
        }
        if let Some(node) = self.path(part, name, at, scopes)
            && node != Node::Value
        {
            let inside = match &node {
                Node::List(_) => "it is a list; go through it with {{#each}}".to_owned(),
                node => format!("name what is in it: {}", listed(node)),
            };
            let what = format!("\"{name}\" is not something that can be printed");
            self.report(part, at, name, what, Some(inside));
        }
    }

    fn call(
        &mut self,
        part: &'a Part,
        name: &str,
        call: &'a HelperTemplate,
        at: At,
        scopes: &[Scope],
    ) {
        let Some(known) = signature(name) else {
            let names = SIGNATURES.iter().map(|s| s.name).filter(|n| *n != LINE_END);
            let help = nearest(name, names).map(|near| format!("did you mean \"{near}\"?"));
            let what = format!("there is no function \"{name}\"");
            self.report(part, at, name, what, help);
            return;
        };
        let given = call.params.len();
        if given != known.values {
            let what = format!(
                "\"{name}\" takes {} value{} after its name, not {given}",
                known.values,
                if known.values == 1 { "" } else { "s" },
            );
            self.report(part, at, name, what, None);
        }
        for named in call.hash.keys() {
            if !known.named.contains(&named.as_str()) {
                let help = nearest(named, known.named.iter().copied())
                    .map(|near| format!("did you mean \"{near}\"?"));
                let what = format!("\"{name}\" knows no \"{named}=\"");
                self.report(part, at, named, what, help);
            }
        }
        if matches!(name, "eq" | "ne") {
            self.comparison(part, &call.params, at);
        }
        for parameter in call.params.iter().chain(call.hash.values()) {
            self.parameter(part, parameter, at, scopes);
        }
    }

    /// `(eq line.change "latter")` would be silently false for ever.
    fn comparison(&mut self, part: &'a Part, params: &'a [Parameter], at: At) {
        let (path, word) = match params {
            [
                Parameter::Path(path),
                Parameter::Literal(Value::String(word)),
            ]
            | [
                Parameter::Literal(Value::String(word)),
                Parameter::Path(path),
            ] => (raw_path(path), word),
            _ => return,
        };
        let field = path.rsplit(['.', '/']).next().unwrap_or_default();
        let Some((_, words)) = WORD_FIELDS.iter().find(|(name, _)| *name == field) else {
            return;
        };
        if !words.contains(&word.as_str()) {
            let help = match nearest(word, words.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("it is one of: {}", words.join(", ")),
            };
            let what = format!("\"{field}\" is never \"{word}\"");
            self.report(part, at, word, what, Some(help));
        }
    }

    fn parameter(
        &mut self,
        part: &'a Part,
        parameter: &'a Parameter,
        at: At,
        scopes: &[Scope],
    ) -> Node {
        match parameter {
            Parameter::Name(name) => self.path(part, name, at, scopes).unwrap_or(Node::Value),
            Parameter::Path(path) => self
                .path(part, raw_path(path), at, scopes)
                .unwrap_or(Node::Value),
            Parameter::Subexpression(inner) => {
                self.subexpression(part, inner, at, scopes);
                Node::Value
            }
            _ => Node::Value,
        }
    }

    fn subexpression(
        &mut self,
        part: &'a Part,
        inner: &'a Subexpression,
        at: At,
        scopes: &[Scope],
    ) {
        if let TemplateElement::Expression(call) = inner.as_element() {
            self.expression(part, call, at, scopes);
        }
    }

    fn block(&mut self, part: &'a Part, call: &'a HelperTemplate, at: At, scopes: &[Scope]) {
        let name = raw_name(&call.name).unwrap_or_default();
        if !BLOCKS.contains(&name) {
            let (what, help) = if signature(name).is_some() {
                (
                    format!("\"{name}\" cannot open a block"),
                    Some(format!("write {{{{#if ({name} ...)}}}}")),
                )
            } else {
                (
                    format!("there is no block \"{name}\""),
                    nearest(name, BLOCKS).map(|near| format!("did you mean \"{near}\"?")),
                )
            };
            self.report(part, at, name, what, help);
            return;
        }
        self.check_block_values(part, name, call, at);
        let node = call
            .params
            .first()
            .map_or(Node::Value, |p| self.parameter(part, p, at, scopes));
        let mut inner = scopes.to_vec();
        match name {
            "each" => {
                let item = match node {
                    Node::List(item) => Node::clone(&item),
                    other => {
                        if !matches!(call.params.first(), Some(Parameter::Subexpression(_))) {
                            let what = "this is not a list".to_owned();
                            let token = call.params.first().and_then(raw_name).unwrap_or_default();
                            self.report(part, at, token, what, None);
                        }
                        other
                    }
                };
                inner.push(block_scope(item, call, true));
            }
            "with" => inner.push(block_scope(node, call, false)),
            _ => {}
        }
        let is_loop = usize::from(name == "each");
        self.loops += is_loop;
        if self.loops > LOOPS_MAX {
            let what = format!("loops are nested deeper than {LOOPS_MAX}");
            self.report(part, at, name, what, None);
        } else if let Some(template) = &call.template {
            self.template(part, template, at, &inner);
        }
        self.loops -= is_loop;
        if let Some(inverse) = &call.inverse {
            self.template(part, inverse, at, scopes);
        }
    }

    fn check_block_values(&mut self, part: &'a Part, name: &str, call: &'a HelperTemplate, at: At) {
        if call.params.len() != 1 {
            let what = format!("\"#{name}\" takes one value, not {}", call.params.len());
            let help = (call.params.len() > 1)
                .then(|| "put a function and its values in brackets: (eq a b)".to_owned());
            self.report(part, at, name, what, help);
        }
        if let Some(named) = call.hash.keys().next() {
            let what = format!("\"#{name}\" knows no \"{named}=\"");
            self.report(part, at, named, what, None);
        }
    }

    fn include(&mut self, part: &'a Part, call: &'a DecoratorTemplate, at: At, scopes: &[Scope]) {
        let Some(name) = raw_name(&call.name) else {
            let what = "the name of a partial must be written out".to_owned();
            self.report(part, at, "", what, None);
            return;
        };
        let Some((partial, tree)) = self.partial(name) else {
            let names = self.trees.iter().filter(|(p, _)| p.used_as == Use::Partial);
            let help = nearest(name, names.map(|(p, _)| p.name.as_str()))
                .map(|near| format!("did you mean \"{near}\"?"));
            let what = format!("there is no partial \"{name}\" in this language");
            self.report(part, at, name, what, help);
            return;
        };
        let mut this = match call.params.first() {
            Some(parameter) => self.parameter(part, parameter, at, scopes),
            None => scopes.last().map_or(Node::Value, |s| s.this.clone()),
        };
        for (named, parameter) in &call.hash {
            let node = self.parameter(part, parameter, at, scopes);
            this.set(named, node);
        }
        if self.cyclic {
            return;
        }
        // Names given by blocks (`as |line|`) end at a partial's door.
        let mut inner: Vec<Scope> = scopes
            .iter()
            .map(|scope| Scope {
                names: BTreeMap::new(),
                ..scope.clone()
            })
            .collect();
        inner.push(Scope::of(this));
        self.template(partial, tree, (1, 1), &inner);
    }
}

fn listed(node: &Node) -> String {
    node.field_names().collect::<Vec<_>>().join(", ")
}

fn block_scope(this: Node, call: &HelperTemplate, is_loop: bool) -> Scope {
    let mut scope = Scope {
        this: this.clone(),
        names: BTreeMap::new(),
        is_loop,
    };
    let names = match &call.block_param {
        Some(BlockParam::Single(name)) => vec![(name, this)],
        Some(BlockParam::Pair((name, index))) => vec![(name, this), (index, Node::Value)],
        _ => vec![],
    };
    for (name, node) in names {
        if let Some(name) = raw_name(name) {
            scope.names.insert(name.to_owned(), node);
        }
    }
    scope
}

fn signature(name: &str) -> Option<&'static Signature> {
    SIGNATURES.iter().find(|s| s.name == name)
}

fn raw_name(parameter: &Parameter) -> Option<&str> {
    match parameter {
        Parameter::Name(name) => Some(name),
        Parameter::Path(path) => Some(raw_path(path)),
        _ => None,
    }
}

fn raw_path(path: &Path) -> &str {
    match path {
        Path::Relative((_, raw)) | Path::Local((_, _, raw)) => raw,
    }
}
