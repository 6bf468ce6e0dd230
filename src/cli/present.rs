//! Printing for people: words, dates, aligned tables, colours that switch off
//! by themselves.
//!
//! On a terminal lists are aligned and coloured; piped they are plain; JSON is
//! another road ([`Context::print_json`](super::context::Context::print_json)).

mod aftermath;
mod dates;
mod feeds;
mod json;
mod notices;
mod reasons;

pub use aftermath::{About, aftermath};
pub use dates::{day, eta, length, moment, spoken_day};
pub use feeds::{feed_cure, feed_trouble, rows};
pub use json::{spell_out_times, statement_json};
pub use notices::{a_notice, coming, news, notice, standing};
pub use reasons::{reason, without_call};

use anstyle::{AnsiColor, Style};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use std::fmt;
use std::io::{IsTerminal, Write};
use unicode_width::UnicodeWidthStr;

/// Green: said, done.
pub const GOOD: Style = AnsiColor::Green.on_default();

/// Yellow: waits, held.
pub const WAITS: Style = AnsiColor::Yellow.on_default();

/// Red: failed.
pub const BAD: Style = AnsiColor::Red.on_default();

/// For headings.
pub const HEAD: Style = Style::new().bold();

/// `text` in a style; [`anstream`] removes it where it does not belong.
pub fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Prints a line to people. A reader who has left wants no more: not an error.
pub fn line(text: fmt::Arguments<'_>) {
    let _ = writeln!(anstream::stdout().lock(), "{text}");
}

/// [`line()`] with a format, in place of `println!`, which panics when the
/// reader has left.
macro_rules! say_line {
    () => {
        $crate::cli::present::line(format_args!(""))
    };
    ($($text:tt)*) => {
        $crate::cli::present::line(format_args!($($text)*))
    };
}

pub(crate) use say_line;

/// A table without borders, like the lists of other tools. Cells wrap only on
/// a terminal.
pub fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(head.iter().map(ToString::to_string));
    // A terminal that does not say how wide it is would get a letter a line.
    let is_wide = table.width().is_some_and(|columns| columns >= 40);
    if std::io::stdout().is_terminal() && is_wide {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table
}

/// Prints a table flush left, without trailing blanks.
pub fn print_table(table: &Table) {
    for line in table.to_string().lines() {
        say_line!("{}", line.strip_prefix(' ').unwrap_or(line).trim_end());
    }
}

/// Prints names and values in two columns.
pub fn print_facts(facts: &[(&str, String)]) {
    let width = facts.iter().map(|(name, _)| name.width()).max();
    for (name, value) in facts {
        let width = width.unwrap_or(0);
        say_line!("{name:width$}  {}", wrap(value, width + 2, PROSE_WIDTH));
    }
}

/// `1.2 MB`.
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} bytes"),
        1_000..1_000_000 => format!("{} kB", n / 1_000),
        1_000_000..1_000_000_000 => format!("{}.{} MB", n / 1_000_000, n % 1_000_000 / 100_000),
        _ => format!(
            "{}.{} GB",
            n / 1_000_000_000,
            n % 1_000_000_000 / 100_000_000
        ),
    }
}

/// Prints finished text; unlike a printing macro it does not panic when the
/// reader has left.
///
/// # Errors
/// Standard output is gone.
pub fn say(text: &str) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// A text with a capital.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

/// One word of a command line that is to be copied.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,/:@+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A table as text, flush left, without trailing blanks.
pub fn table_text(table: &Table) -> String {
    let mut out = String::new();
    for line in table.to_string().lines() {
        out.push_str(line.strip_prefix(' ').unwrap_or(line).trim_end());
        out.push('\n');
    }
    out
}

/// `3`, or `2.5`, from thousandths.
pub fn pieces(thousandths: i64) -> String {
    crate::domain::quantity::Quantity(thousandths).to_string()
}

/// `1 message`, `12 messages`.
pub fn count(n: usize, one: &str, many: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{n} {many}")
    }
}

/// How an entry of a list stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Waits,
    Bad,
    Faint,
}

/// A cell in its tone; the table leaves the colour out where none belongs.
pub fn cell(text: impl Into<String>, tone: Tone) -> Cell {
    let cell = Cell::new(text.into());
    match tone {
        Tone::Plain => cell,
        Tone::Good => cell.fg(Color::Green),
        Tone::Waits => cell.fg(Color::Yellow),
        Tone::Bad => cell.fg(Color::Red),
        Tone::Faint => cell.add_attribute(Attribute::Dim),
    }
}

/// `2 x Enamel teapot`, or the bare name of a single piece.
pub fn named(name: &str, quantity: crate::domain::quantity::Quantity) -> String {
    if quantity.0 == 1_000 {
        name.to_owned()
    } else {
        format!("{quantity} x {name}")
    }
}

/// Breaks text at blanks so that no line is longer than `width`; the lines
/// after the first begin with `indent` blanks.
pub fn wrap(text: &str, indent: usize, width: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.width();
        if column > indent && column + 1 + length > width {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > indent {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

/// Width of explanations: what a mail or a ticket still shows unbroken.
pub const PROSE_WIDTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::eta::Eta;
    use crate::domain::time::Length;
    use chrono::NaiveDate;

    #[test]
    fn sizes_are_short() {
        for (n, text) in [
            (12, "12 bytes"),
            (204_800, "204 kB"),
            (1_260_000, "1.2 MB"),
            (2_000_000_000, "2.0 GB"),
        ] {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn days_and_windows_read_like_a_person_says_them() {
        let d = |text: &str| text.parse::<NaiveDate>().unwrap();
        let today = d("2026-02-26");
        assert_eq!(day(d("2026-03-06"), today), "Fri 6 Mar");
        assert_eq!(day(d("2027-03-06"), today), "Sat 6 Mar 2027");
        let window = Eta::window(d("2026-03-06"), d("2026-03-10")).unwrap();
        assert_eq!(eta(window, today), "Fri 6 to Tue 10 Mar");
        assert_eq!(eta(Eta::Unknown, today), "no date");
    }

    #[test]
    fn a_suggested_command_can_be_pasted() {
        assert_eq!(shell_word("TP-100-BL"), "TP-100-BL");
        assert_eq!(shell_word("#1042"), "'#1042'");
        assert_eq!(shell_word("O'Neil & Co"), "'O'\\''Neil & Co'");
    }

    #[test]
    fn counts_agree_with_their_nouns() {
        assert_eq!(count(1, "message", "messages"), "1 message");
        assert_eq!(count(0, "message", "messages"), "0 messages");
    }

    #[test]
    fn lengths_are_said_in_their_largest_unit() {
        for (length_, words) in [
            (Length::secs(40), "less than a minute"),
            (Length::mins(1), "1 minute"),
            (Length::mins(119), "1 hour"),
            (Length::hours(47), "47 hours"),
            (Length::days(5), "5 days"),
        ] {
            assert_eq!(length(length_), words);
        }
    }

    #[test]
    fn wrapped_lines_keep_their_indent() {
        assert_eq!(
            wrap("one two three four", 2, 11),
            "one two\n  three\n  four"
        );
        assert_eq!(wrap("one", 2, 3), "one");
    }

    #[test]
    fn programs_read_instants_as_rfc_3339() {
        let mut document = serde_json::json!({
            "sent_at": 1_772_100_180_000_i64,
            "attempts": 2,
            "reason": { "until": 1_772_100_180_500_i64, "limit": 2 },
            "list": [{ "at": null }],
        });
        spell_out_times(&mut document);
        assert_eq!(
            document.to_string(),
            r#"{"attempts":2,"list":[{"at":null}],"reason":{"limit":2,"until":"2026-02-26T10:03:00.500Z"},"sent_at":"2026-02-26T10:03:00Z"}"#
        );
    }
}
