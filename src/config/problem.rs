//! What is wrong with a configuration, where, and what to do about it.
//!
//! Every problem names its place (file, line and column, or the environment
//! variable), shows the line, and ends with a cure. All problems of a load
//! come together in one [`ConfigErrors`]. `plain` prints them as text, `miette`
//! draws them in colour; `Display` is the sentence alone, as with every error.
//!
//! Promise: the text of a file is kept only with everything that looks like a
//! secret painted over ([`Source::read`]), so no rendering can show one.

use super::paint::paint_over_secrets;
use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A file whose text may be shown.
#[derive(Debug)]
pub struct Source {
    named: NamedSource<String>,
}

impl Source {
    /// Keeps `text` with secrets painted over; every byte stays in its place.
    pub fn read(name: &str, text: &str) -> Arc<Source> {
        Arc::new(Source {
            named: NamedSource::new(name, paint_over_secrets(text)),
        })
    }

    pub fn name(&self) -> &str {
        self.named.name()
    }

    /// Line and column of a byte, both from 1, the column in characters.
    pub fn line_column(&self, at: usize) -> (usize, usize) {
        let text = self.named.inner();
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = before.matches('\n').count() + 1;
        // A byte order mark is not something an editor counts.
        let counted = |c: &char| *c != '\u{feff}';
        (
            line,
            before[line_start..].chars().filter(counted).count() + 1,
        )
    }

    /// The first line of a span's text.
    pub fn marked(&self, span: &Range<usize>) -> &str {
        let marked = self.named.inner().get(span.clone()).unwrap_or_default();
        marked.lines().next().unwrap_or_default()
    }

    /// The line's text, without its end.
    fn line_at(&self, at: usize) -> &str {
        let text = self.named.inner();
        let at = at.min(text.len());
        let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
        let end = text[at..].find('\n').map_or(text.len(), |i| at + i);
        text[start..end]
            .trim_end_matches('\r')
            .trim_start_matches('\u{feff}')
    }
}

/// Where a problem lies.
#[derive(Clone, Debug)]
pub enum Place {
    Written {
        source: Arc<Source>,
        span: Range<usize>,
    },
    /// The name of an environment variable.
    Variable(String),
    /// The configuration as a whole: something is not there.
    Whole,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Problem {
    pub place: Place,
    /// Lower case, no full stop, never a secret.
    pub what: String,
    /// What to do about it.
    pub cure: Option<String>,
}

impl Problem {
    /// Line and column, both from 1, where the place is in a file.
    pub fn line_column(&self) -> Option<(usize, usize)> {
        match &self.place {
            Place::Written { source, span } => Some(source.line_column(span.start)),
            Place::Variable(_) | Place::Whole => None,
        }
    }
}

impl Problem {
    /// Place, sentence, line and cure as plain text of several lines.
    pub fn plain(&self) -> String {
        let mut out = String::new();
        if let Place::Written { source, span } = &self.place {
            let (line, column) = source.line_column(span.start);
            let shown = source.line_at(span.start);
            let n_left = shown.chars().count().saturating_sub(column - 1);
            let n_marked = source.marked(span).chars().count();
            let carets = "^".repeat(n_marked.clamp(1, n_left.max(1)));
            out.push_str(&format!(
                "{}:{line}:{column}: {self}\n{line:>6} | {shown}\n{:>7}| {:>3$}{carets}",
                source.name(),
                "",
                "",
                column - 1
            ));
        } else {
            out.push_str(&self.to_string());
        }
        if let Some(cure) = &self.cure {
            out.push_str(&format!("\n         {cure}"));
        }
        out
    }
}

/// The sentence alone; a variable's name stands before it, the place in a file
/// is the printer's to show.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Variable(name) => write!(f, "{name}: {}", self.what),
            Place::Written { .. } | Place::Whole => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.cure
            .as_ref()
            .map(|cure| Box::new(cure) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        match &self.place {
            Place::Written { source, .. } => Some(&source.named),
            Place::Variable(_) | Place::Whole => None,
        }
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        match &self.place {
            Place::Written { span, .. } => {
                let label = LabeledSpan::new(Some(self.what.clone()), span.start, span.len());
                Some(Box::new(std::iter::once(label)))
            }
            Place::Variable(_) | Place::Whole => None,
        }
    }
}

/// Everything that is wrong with a configuration, in the order of the file,
/// then the environment. Never empty.
#[derive(Clone, Debug)]
pub struct ConfigErrors {
    pub problems: Vec<Problem>,
}

impl ConfigErrors {
    /// Sorts by place, so that the list reads like the file.
    pub fn sorted(mut problems: Vec<Problem>) -> ConfigErrors {
        problems.sort_by_key(|problem| match &problem.place {
            Place::Written { span, .. } => (0, span.start, String::new()),
            Place::Variable(name) => (1, 0, name.clone()),
            Place::Whole => (2, 0, String::new()),
        });
        ConfigErrors { problems }
    }
}

impl ConfigErrors {
    /// All problems as plain text, for output that is not a terminal.
    pub fn plain(&self) -> String {
        let mut out = self.to_string();
        for problem in &self.problems {
            out.push_str("\n\n");
            out.push_str(&problem.plain());
        }
        out
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("the configuration has a problem"),
            n => write!(f, "the configuration has {n} problems"),
        }
    }
}

impl std::error::Error for ConfigErrors {}

impl Diagnostic for ConfigErrors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|p| p as &dyn Diagnostic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_place_line_and_cure() {
        let source = Source::read("shop.toml", "# é\n[delay]\nsettle = 30\n");
        let span = source.named.inner().find("30").unwrap();
        let problem = Problem {
            place: Place::Written {
                source,
                span: span..span + 2,
            },
            what: "delay.settle has no unit".into(),
            cure: Some("write \"30m\"".into()),
        };
        assert_eq!(
            problem.plain(),
            "shop.toml:3:10: delay.settle has no unit\n     3 | settle = 30\n       |          ^^\n         write \"30m\""
        );
    }
}
