//! What is wrong with a template, and where: file, line, column, a sentence
//! and, where one can be named, the remedy.

use std::fmt;

/// One finding. `line` and `column` count from 1; both are 1 where a file as a
/// whole is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Path below the templates folder, `en/delay/email.hbs`.
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// Lower case, no full stop.
    pub what: String,
    pub help: Option<String>,
    /// The line of the file, for a caret below it.
    pub excerpt: Option<String>,
}

impl Problem {
    /// About a place in a file.
    pub fn at(file: &str, line: usize, column: usize, what: impl Into<String>) -> Problem {
        Problem {
            file: file.to_owned(),
            line,
            column,
            what: what.into(),
            help: None,
            excerpt: None,
        }
    }

    /// About a file as a whole.
    pub fn in_file(file: &str, what: impl Into<String>) -> Problem {
        Problem::at(file, 1, 1, what)
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// With the line it is about, taken from the file's text.
    #[must_use]
    pub fn in_text(mut self, text: &str) -> Problem {
        self.excerpt = text
            .lines()
            .nth(self.line.saturating_sub(1))
            .map(ToOwned::to_owned);
        self
    }
}

/// `en/delay/email.hbs:3:14: there is no "gitf" in orders[] (did you mean "gift"?)`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.what
        )?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong, in the order of files and lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", describe(.0))]
pub struct TemplateProblems(pub Vec<Problem>);

fn describe(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    match problems.len() {
        1 => format!("a template cannot be used: {}", lines[0]),
        n => format!("{n} problems in the templates:\n  {}", lines.join("\n  ")),
    }
}

/// The known name somebody most probably meant: at most a third of its letters
/// differ.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (distance(wrong, name), name))
        .filter(|(far, name)| *far <= (name.chars().count().max(3)) / 3)
        .min()
        .map(|(_, name)| name)
}

/// Edit distance with swaps of neighbours counted once (optimal string
/// alignment), which is how names are mistyped.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
        let known = ["number", "lines", "ship_date", "view_url"];
        for (wrong, right) in [
            ("nubmer", Some("number")),
            ("shipdate", Some("ship_date")),
            ("line", Some("lines")),
            ("colour", None),
        ] {
            assert_eq!(nearest(wrong, known), right, "{wrong}");
        }
    }
}
