//! The frame of the HTML parts: MJML, compiled once when templates are loaded
//! into a Handlebars template of a whole page.

use super::problem::Problem;
use super::sources::{LAYOUT, Sources};
use mrml::prelude::render::RenderOptions;
use std::collections::HashMap;

/// The compiled page, and the MJML it came from for the check.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    pub page: String,
    pub source: String,
}

/// Compiles the layout. Tags of Handlebars survive as they are.
pub fn compile(sources: &Sources, problems: &mut Vec<Problem>) -> Layout {
    let Some(source) = sources.get(LAYOUT) else {
        problems.push(Problem::in_file(LAYOUT, "the layout is missing"));
        return Layout::default();
    };
    let mut problem = |what: String| {
        problems.push(
            Problem::in_file(LAYOUT, what)
                .help("MJML elements begin with mj-, and every one must be closed"),
        );
    };
    let parsed = match mrml::parse(source) {
        Ok(parsed) => parsed,
        Err(error) => {
            problem(format!("the layout is not valid MJML: {error}"));
            return Layout::default();
        }
    };
    for warning in &parsed.warnings {
        problem(format!("the layout is not valid MJML: {warning}"));
    }
    // No web fonts: a mail that calls home when it is opened is not ours.
    let options = RenderOptions {
        fonts: HashMap::new(),
        ..RenderOptions::default()
    };
    match parsed.element.render(&options) {
        Ok(page) => {
            if !page.contains("{{{body}}}") {
                problem("the layout has no place for the words, {{{body}}}".to_owned());
            }
            Layout {
                page,
                source: source.to_owned(),
            }
        }
        Err(error) => {
            problem(format!("the layout cannot be rendered: {error}"));
            Layout::default()
        }
    }
}
