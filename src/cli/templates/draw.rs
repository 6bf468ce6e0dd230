//! A problem of a template with the line it is about and a caret below.

use crate::cli::present::styled;
use crate::template::Problem;
use anstyle::Style;
use unicode_width::UnicodeWidthChar;

/// Columns of an excerpt; a longer line is cut around its caret.
const WIDTH_MAX: usize = 100;
/// What is kept before the caret of a line that is cut.
const BEFORE: usize = 60;

/// ```text
/// error: there is no "nubmer" in orders[]
///   en/delay/email.hbs:3:14
///   3 | Subject: {{nubmer}}
///     |            ^
///   did you mean "number"?
/// ```
pub fn problem(style: Style, word: &str, problem: &Problem) -> String {
    let mut out = format!("{}: {}\n", styled(style, word), problem.what);
    match &problem.excerpt {
        None => out.push_str(&format!("  {}\n", problem.file)),
        Some(line) => {
            let number = problem.line.to_string();
            let (shown, caret) = cut(line, problem.column.saturating_sub(1));
            out.push_str(&format!(
                "  {}:{number}:{}\n  {number} | {shown}\n  {:n$} | {:caret$}{}\n",
                problem.file,
                problem.column,
                "",
                "",
                styled(style, "^"),
                n = number.len()
            ));
        }
    }
    if let Some(help) = &problem.help {
        out.push_str(&format!("  {help}\n"));
    }
    out
}

/// The part of a line around a character, and where that stands on a terminal.
fn cut(line: &str, at: usize) -> (String, usize) {
    let chars: Vec<char> = line
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let from = if chars.len() > WIDTH_MAX {
        at.saturating_sub(BEFORE)
    } else {
        0
    };
    let to = chars.len().min(from + WIDTH_MAX);
    let caret = chars[from..at.clamp(from, to)]
        .iter()
        .map(|c| c.width().unwrap_or(0))
        .sum();
    (chars[from..to].iter().collect(), caret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_character() {
        let wrong = Problem::at("en/delay/email.hbs", 2, 6, "there is no \"x\"")
            .in_text("---\näb日 {{x}}\n");
        let drawn =
            anstream::adapter::strip_str(&problem(Style::new(), "error", &wrong)).to_string();
        assert_eq!(
            drawn,
            "error: there is no \"x\"\n  en/delay/email.hbs:2:6\n  2 | äb日 {{x}}\n    |       ^\n"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_it() {
        let line = "x".repeat(500);
        let (shown, caret) = cut(&line, 300);
        assert_eq!((shown.len(), caret), (WIDTH_MAX, BEFORE));
        assert_eq!(cut("short", 99), ("short".to_owned(), 5));
    }
}
