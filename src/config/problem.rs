//! What is wrong with a configuration, where, and what to do about it.
//!
//! Every problem names its place (file, line and column, or the environment
//! variable), shows the line, and ends with a cure. All problems of a load
//! come together in one [`ConfigErrors`]. `Display` is plain text; with
//! `miette` the same is drawn in colour.
//!
//! Promise: the text of a file is kept only with everything that looks like a
//! secret painted over ([`Source::read`]), so no rendering can show one.

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

/// Words in the name of a key whose value is nobody's business.
const SECRET_WORDS: [&str; 7] = [
    "password",
    "passwd",
    "token",
    "secret",
    "authorization",
    "api-key",
    "api_key",
];

/// Replaces values of secret-looking keys, and logins inside URLs, by as many
/// asterisks as they had bytes. Rather too much than too little: what follows
/// such a key up to the end of its line, or of its multi-line text.
fn paint_over_secrets(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut hidden: Vec<Range<usize>> = Vec::new();
    for word in SECRET_WORDS {
        for (at, _) in lower.match_indices(word) {
            hidden.extend(value_after_key(text, at + word.len()));
        }
    }
    for (at, _) in lower.match_indices("://") {
        let rest = &text[at + 3..];
        let end = rest
            .find(|c: char| c.is_whitespace() || "/\"'".contains(c))
            .unwrap_or(rest.len());
        if let Some(login) = rest[..end].rfind('@') {
            hidden.push(at + 3..at + 3 + login);
        }
    }
    text.char_indices()
        .map(|(i, c)| {
            if c != '\n' && c != '\r' && hidden.iter().any(|range| range.contains(&i)) {
                "*".repeat(c.len_utf8())
            } else {
                c.to_string()
            }
        })
        .collect()
}

/// The value that follows when a key ends at or soon after `from`; tables stay
/// readable, they say where the secret is and not what it is.
fn value_after_key(text: &str, from: usize) -> Option<Range<usize>> {
    let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |i| at + i);
    let equals = from + text[from..line_end(from)].find('=')?;
    let between = text[from..equals].trim_matches(|c: char| c.is_whitespace() || "\"'".contains(c));
    if !between
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
    {
        return None;
    }
    let value = &text[equals + 1..];
    let start = equals + 1 + (value.len() - value.trim_start_matches([' ', '\t']).len());
    let value = &text[start..];
    if value.starts_with('{') {
        return None;
    }
    for quotes in ["\"\"\"", "'''"] {
        if let Some(inside) = value.strip_prefix(quotes) {
            let length = inside.find(quotes).map_or(inside.len(), |i| i + 3);
            return Some(start..start + 3 + length);
        }
    }
    Some(start..line_end(start))
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

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Written { source, span } => {
                let (line, column) = source.line_column(span.start);
                writeln!(f, "{}:{line}:{column}: {}", source.name(), self.what)?;
                let shown = source.line_at(span.start);
                let n_left = shown.chars().count().saturating_sub(column - 1);
                let marked = source.named.inner().get(span.clone()).unwrap_or_default();
                let n_marked = marked.lines().next().unwrap_or_default().chars().count();
                let carets = "^".repeat(n_marked.clamp(1, n_left.max(1)));
                writeln!(f, "{line:>6} | {shown}")?;
                write!(f, "       | {:>1$}{carets}", "", column - 1)?;
            }
            Place::Variable(name) => write!(f, "{name}: {}", self.what)?,
            Place::Whole => f.write_str(&self.what)?,
        }
        match &self.cure {
            Some(cure) => write!(f, "\n         {cure}"),
            None => Ok(()),
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

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("the configuration has a problem")?,
            n => write!(f, "the configuration has {n} problems")?,
        }
        for problem in &self.problems {
            write!(f, "\n\n{problem}")?;
        }
        Ok(())
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
    fn secrets_are_painted_over_and_nothing_moves() {
        for (text, shown) in [
            (
                "password = \"hunter2\"\nport = 1",
                "password = *********\nport = 1",
            ),
            ("password = hünter", "password = *******"),
            (
                "auth_token=\"\"\"a\nb\"\"\"\nx = 1",
                "auth_token=****\n****\nx = 1",
            ),
            (
                "password = { file = \"/x\" }",
                "password = { file = \"/x\" }",
            ),
            (
                "email = { user = \"u\", password = \"p\" }",
                "email = { user = \"u\", password = *****",
            ),
            ("Authorization = 'Bearer x'", "Authorization = **********"),
            ("url = \"pg://u:p@host/db\"", "url = \"pg://***@host/db\""),
            (
                "# the password is with Jo\nx = 1",
                "# the password is with Jo\nx = 1",
            ),
        ] {
            let painted = paint_over_secrets(text);
            assert_eq!(painted, shown);
            assert_eq!(painted.len(), text.len(), "{text}");
        }
    }

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
            problem.to_string(),
            "shop.toml:3:10: delay.settle has no unit\n     3 | settle = 30\n       |          ^^\n         write \"30m\""
        );
    }
}
