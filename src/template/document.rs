//! The shape of an `email.hbs`: a head of two lines, a rule, then the words.
//!
//! ```text
//! subject: Order {{order.number}}: new ship date
//! preheader: You do not need to do anything.
//! ---
//! Hello {{customer.name}},
//! ```
//!
//! Head and body are handed on padded with line breaks and blanks to the place
//! they have in the file, so that every later error carries the line and the
//! column the merchant sees in the editor. Subject and preheader are trimmed
//! after rendering, and Markdown ignores leading blank lines.

use super::problem::{Problem, nearest};

/// The three templates of one `email.hbs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailDocument {
    pub subject: String,
    pub preheader: String,
    pub body: String,
}

const KEYS: [&str; 2] = ["subject", "preheader"];

impl EmailDocument {
    /// Splits a file.
    ///
    /// # Errors
    /// All of: a head line that is not `key: value`, an unknown, doubled or
    /// empty key, no `---`, no words after it.
    pub fn parse(file: &str, text: &str) -> Result<EmailDocument, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut found: [Option<String>; 2] = [None, None];
        let mut rule_at = None;
        for (at, line) in text.lines().enumerate() {
            let number = at + 1;
            if line.trim_end() == "---" {
                rule_at = Some(at);
                break;
            }
            if line.trim().is_empty() {
                continue;
            }
            let Some((key, value)) = line.split_once(':') else {
                problems.push(
                    Problem::at(file, number, 1, "a line of the head is not `key: words`")
                        .help("the head ends with a line of three hyphens: ---"),
                );
                continue;
            };
            let key = key.trim();
            let Some(which) = KEYS.iter().position(|known| *known == key) else {
                let meant = nearest(key, KEYS).unwrap_or("subject");
                problems.push(
                    Problem::at(file, number, 1, format!("the head knows no \"{key}\""))
                        .help(format!("did you mean \"{meant}\"?")),
                );
                continue;
            };
            let lead = line.len() - value.trim_start().len();
            if value.trim().is_empty() {
                problems.push(Problem::at(file, number, 1, format!("the {key} is empty")));
            }
            if found[which].is_some() {
                problems.push(Problem::at(
                    file,
                    number,
                    1,
                    format!("the {key} is given twice"),
                ));
            }
            let column = line[..lead].chars().count();
            found[which] = Some(format!(
                "{}{}{}",
                "\n".repeat(at),
                " ".repeat(column),
                value.trim()
            ));
        }
        let Some(rule_at) = rule_at else {
            problems.push(
                Problem::in_file(file, "the line of three hyphens after the head is missing")
                    .help("write subject: and preheader: lines, then ---, then the words"),
            );
            return Err(problems);
        };
        let body = body_after(text, rule_at);
        if body.trim().is_empty() {
            problems.push(Problem::at(
                file,
                rule_at + 1,
                1,
                "there are no words after the head",
            ));
        }
        for (key, value) in KEYS.iter().zip(&found) {
            if value.is_none() {
                problems.push(
                    Problem::in_file(file, format!("the {key} is missing"))
                        .help(format!("begin the file with a line `{key}: ...`")),
                );
            }
        }
        let problems: Vec<Problem> = problems.into_iter().map(|p| p.in_text(text)).collect();
        match found {
            [Some(subject), Some(preheader)] if problems.is_empty() => Ok(EmailDocument {
                subject,
                preheader,
                body,
            }),
            _ => Err(problems),
        }
    }
}

/// The text after line `rule_at`, with as many line breaks before it as the
/// head has.
fn body_after(text: &str, rule_at: usize) -> String {
    let mut rest = text;
    for _ in 0..=rule_at {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    format!("{}{rest}", "\n".repeat(rule_at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_keep_their_place_in_the_file() {
        let text = "subject: Order {{x}}\r\npreheader:  Soon\n---\nHello\n\n---\nBye\n";
        let parts = EmailDocument::parse("f", text).unwrap();
        assert_eq!(parts.subject, "         Order {{x}}");
        assert_eq!(parts.preheader, "\n            Soon");
        assert_eq!(parts.body, "\n\n\nHello\n\n---\nBye\n");
    }

    #[test]
    fn every_mistake_in_the_head_is_named_with_its_line() {
        for (text, line, what) in [
            (
                "subjekt: x\npreheader: y\n---\nHi",
                1,
                "the head knows no \"subjekt\"",
            ),
            (
                "subject: x\nHello\n---\nHi",
                2,
                "a line of the head is not `key: words`",
            ),
            (
                "subject: x\npreheader:\n---\nHi",
                2,
                "the preheader is empty",
            ),
            (
                "subject: x\npreheader: y\nsubject: z\n---\nHi",
                3,
                "the subject is given twice",
            ),
            (
                "subject: x\npreheader: y\n",
                1,
                "the line of three hyphens after the head is missing",
            ),
            ("subject: x\n---\nHi", 1, "the preheader is missing"),
            (
                "subject: x\npreheader: y\n---\n\n",
                3,
                "there are no words after the head",
            ),
        ] {
            let problems = EmailDocument::parse("f", text).unwrap_err();
            assert!(
                problems
                    .iter()
                    .any(|p| (p.line, p.what.as_str()) == (line, what)),
                "{text:?}: {problems:?}"
            );
        }
    }
}
