//! Proves templates before they are ever rendered.
//!
//! Handlebars finds unknown names only when it meets them while rendering, in
//! conditions never, and a cycle of partials ends the process. So the syntax
//! tree is walked when templates are loaded: every path must exist in the
//! context, every function and partial must be known and called as it is
//! meant, partials may not lead back to themselves, and what would switch
//! escaping off or cannot be followed is refused.
//!
//! Here: what a template is, its syntax and its limits; in `walk`: its names.

mod walk;

use super::functions::LINE_END;
use super::markdown::raw_html;
use super::problem::Problem;
use super::sources::{LAYOUT, SOURCE_BYTES_MAX};
use handlebars::TemplateErrorReason;
use handlebars::template::Template;
use walk::At;

/// A 2 MiB stack dies between 1,000 and 2,000 levels of blocks.
const NESTING_MAX: usize = 32;

/// What a text is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Partial,
    Plain,
    Words,
    Page,
}

/// One template as it is registered.
#[derive(Clone, Debug)]
pub struct Part {
    /// Registered name; for a partial the one it is called by.
    pub name: String,
    pub file: String,
    pub text: String,
    used_as: Use,
}

impl Part {
    pub fn partial(name: String, file: String, text: &str) -> Part {
        let text = with_line_ends(text.trim_end());
        Part {
            name,
            file,
            text,
            used_as: Use::Partial,
        }
    }
    pub fn plain(name: String, file: String, text: &str) -> Part {
        Part {
            name,
            file,
            text: text.to_owned(),
            used_as: Use::Plain,
        }
    }
    pub fn words(name: String, file: String, text: &str) -> Part {
        Part {
            name,
            file,
            text: with_line_ends(text),
            used_as: Use::Words,
        }
    }
    pub fn page(name: String, file: String, text: &str) -> Part {
        Part {
            name,
            file,
            text: text.to_owned(),
            used_as: Use::Page,
        }
    }
    /// The layout; checked as the merchant wrote it.
    pub fn layout(file: &str, source: &str) -> Part {
        Part::page(LAYOUT.to_owned(), file.to_owned(), source)
    }
    pub fn in_words(&self) -> bool {
        matches!(self.used_as, Use::Words | Use::Partial)
    }
    pub fn in_plain(&self) -> bool {
        matches!(self.used_as, Use::Plain | Use::Partial)
    }
    pub fn in_pages(&self) -> bool {
        matches!(self.used_as, Use::Page | Use::Partial)
    }
}

/// Keeps the line break after a partial that stands alone on its line; see
/// [`LINE_END`]. Only ends of lines change, so every place stays where it was.
fn with_line_ends(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches(['\n', '\r']);
        let trimmed = body.trim();
        out.push_str(body);
        if trimmed.starts_with("{{>") && trimmed.ends_with("}}") {
            out.push_str("{{");
            out.push_str(LINE_END);
            out.push_str(" \"\"}}");
        }
        out.push_str(&line[body.len()..]);
    }
    out
}

/// Everything wrong with the templates of one language.
pub fn parts(parts: &[Part]) -> Vec<Problem> {
    let mut trees = Vec::new();
    let mut problems = Vec::new();
    for part in parts {
        match compile(part) {
            Ok(tree) => trees.push((part, tree)),
            Err(problem) => problems.push(problem.in_text(&part.text)),
        }
    }
    problems.extend(walk::problems(&trees));
    problems.sort();
    problems.dedup();
    problems
}

fn compile(part: &Part) -> Result<Template, Problem> {
    let at = |line, column, what: String| Problem::at(&part.file, line, column, what);
    if part.text.len() > SOURCE_BYTES_MAX {
        return Err(Problem::in_file(
            &part.file,
            format!("the file is longer than {} KiB", SOURCE_BYTES_MAX / 1024),
        ));
    }
    if let Some(offset) = too_deep(&part.text) {
        let (line, column) = place_of(&part.text, offset);
        return Err(at(
            line,
            column,
            format!("blocks or brackets are nested deeper than {NESTING_MAX}"),
        ));
    }
    if part.used_as == Use::Words
        && let Some(offset) = raw_html(&part.text)
    {
        let (line, column) = place_of(&part.text, offset);
        return Err(at(
            line,
            column,
            "HTML would be printed as it stands".to_owned(),
        )
        .help("write Markdown, or take over the whole page with html.hbs"));
    }
    Template::compile(&part.text).map_err(|error| {
        let (line, column) = error.pos().unwrap_or((1, 1));
        match error.reason() {
            TemplateErrorReason::MismatchingClosedHelper(open, close)
            | TemplateErrorReason::MismatchingClosedDecorator(open, close) => at(
                line,
                column,
                format!("{{{{#{open}}}}} is closed by {{{{/{close}}}}}"),
            )
            .help(format!("close it with {{{{/{open}}}}}")),
            TemplateErrorReason::InvalidSyntax(_) => {
                at(line, column, "this is not a complete tag".to_owned()).help(
                    "every {{ needs its }}, every {{#block}} its {{/block}}, every ( its ), and texts stand in quotes",
                )
            }
            reason => at(line, column, reason.to_string()),
        }
    })
}

/// Offset of the first tag beyond the allowed nesting. The parser recurses, so
/// this has to be known before it runs.
fn too_deep(text: &str) -> Option<usize> {
    let mut blocks = 0usize;
    let mut from = 0;
    while let Some(found) = text[from..].find("{{") {
        let start = from + found;
        let end = text[start..].find("}}").map_or(text.len(), |at| start + at);
        let tag = text[start + 2..end.max(start + 2)].trim_start_matches(['{', '~']);
        if tag.starts_with('#') {
            blocks += 1;
        } else if tag.starts_with('/') {
            blocks = blocks.saturating_sub(1);
        }
        let mut brackets = 0usize;
        let mut deepest = 0;
        for c in tag.chars() {
            match c {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(brackets);
        }
        if blocks.max(deepest) > NESTING_MAX {
            return Some(start);
        }
        from = end.max(start + 2);
    }
    None
}

/// Line and column, both from 1, of a byte offset.
fn place_of(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

/// Byte offset of a line and column.
fn offset_of(text: &str, (line, column): (usize, usize)) -> usize {
    let start: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    text[start..]
        .char_indices()
        .nth(column - 1)
        .map_or(text.len(), |(at, _)| start + at)
}

/// The exact place of a word inside a tag that begins at `at`; `at` itself for
/// an empty word.
fn locate(text: &str, at: At, token: &str) -> At {
    let start = offset_of(text, at);
    if token.is_empty() {
        return at;
    }
    let is_name = |c: char| c.is_alphanumeric() || "_.@/-".contains(c);
    let mut from = start;
    while let Some(found) = text[from..].find(token) {
        let begin = from + found;
        let end = begin + token.len();
        let before = text[..begin].chars().next_back().is_some_and(is_name);
        let after = text[end..].chars().next().is_some_and(is_name);
        if !before && !after {
            return place_of(text, begin);
        }
        from = begin + token.chars().next().map_or(1, char::len_utf8);
    }
    at
}

#[cfg(test)]
mod tests;
