//! Printing for people: words, dates, aligned tables, colours that switch off
//! by themselves.
//!
//! On a terminal lists are aligned and coloured; piped they are plain; JSON is
//! another road ([`Context::print_json`](super::context::Context::print_json)).

use crate::domain::eta::Eta;
use crate::domain::reason::{Disbelief, Reason};
use crate::domain::time::Instant;
use anstyle::{AnsiColor, Style};
use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use comfy_table::{ContentArrangement, Table, presets};
use std::io::{IsTerminal, Write};

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

/// A table without borders, like the lists of other tools. Cells wrap only on
/// a terminal.
pub fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(head.iter().map(|h| h.to_string()));
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table
}

/// Prints a table flush left, without trailing blanks.
pub fn print_table(table: &Table) {
    for line in table.to_string().lines() {
        anstream::println!("{}", line.strip_prefix(' ').unwrap_or(line).trim_end());
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

/// `Fri 6 Mar`, with the year where it is not `today`'s.
pub fn day(day: NaiveDate, today: NaiveDate) -> String {
    if day.year() == today.year() {
        day.format("%a %-d %b").to_string()
    } else {
        day.format("%a %-d %b %Y").to_string()
    }
}

/// `Fri 6 Mar`, `Fri 6 to Tue 10 Mar` or `no date`.
pub fn eta(eta: Eta, today: NaiveDate) -> String {
    match eta {
        Eta::Unknown => "no date".to_owned(),
        Eta::Day { on } => day(on, today),
        Eta::Window { from, to } if from.month() == to.month() && from.year() == to.year() => {
            format!("{} to {}", from.format("%a %-d"), day(to, today))
        }
        Eta::Window { from, to } => format!("{} to {}", day(from, today), day(to, today)),
    }
}

/// `Thu 26 Feb 10:03` in a zone.
pub fn moment(at: Instant, zone: Tz, today: NaiveDate) -> String {
    format!(
        "{} {}",
        day(at.day_in(zone), today),
        at.in_zone(zone).format("%H:%M")
    )
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

/// A reason with its particulars, for people.
pub fn reason(reason: &Reason, zone: Tz, today: NaiveDate) -> String {
    let at = |at: Instant| moment(at, zone, today);
    match reason {
        Reason::SmallChange {
            days,
            limit,
            again_at,
        } => {
            let moved = match days.abs() {
                1 => "moved by 1 day".to_owned(),
                n => format!("moved by {n} days"),
            };
            match again_at {
                Some(again) => format!(
                    "{moved}, your limit is {limit}; decided again {}",
                    at(*again)
                ),
                None => format!("{moved}, your limit is {limit}"),
            }
        }
        Reason::Settling { until } => {
            format!("the date changed a moment ago; decided at {}", at(*until))
        }
        Reason::Grace { until } => {
            format!("the told day has just passed; decided at {}", at(*until))
        }
        Reason::DateInPast { on } => {
            format!(
                "the shop's date, {}, lies in the past; a person should look",
                day(*on, today)
            )
        }
        Reason::NotBelieved { on, why } => {
            let why = match why {
                Disbelief::BeforeOrder => "lies before the order",
                Disbelief::TooFarAhead => "lies too far ahead",
                Disbelief::Jump => "is a very long way from what was said",
            };
            format!(
                "{} {why} and is not believed; `backorderd eta set` confirms or corrects it",
                on.format("%a %-d %b %Y")
            )
        }
        Reason::StaleAtBaseline { on } => {
            format!(
                "{} had passed already when we first saw it",
                day(*on, today)
            )
        }
        Reason::MilestoneSatisfied { days, sent_at } => {
            format!(
                "day {days} not needed, told everything on {}",
                day(sent_at.day_in(zone), today)
            )
        }
        Reason::NotInFeed { since } => {
            format!(
                "gone from the shop's list since {}; gone is not shipped",
                at(*since)
            )
        }
        Reason::Paused { why, until } => match until {
            Some(until) => format!("paused by hand until {}, \"{why}\"", at(*until)),
            None => format!("paused by hand, \"{why}\""),
        },
        Reason::InFlight { message } => {
            format!("{message} is on its way, or may have gone out a moment ago")
        }
        Reason::Queued { message, due_at } => {
            format!("{message} says it, goes out {}", at(*due_at))
        }
        Reason::AlreadySaid { message } => format!("{message} said it already"),
        Reason::CannotSay { message } => {
            format!("{message} tried and failed: backorderd messages show {message}")
        }
        Reason::CourtesyGap { until } => {
            format!(
                "wrote to this customer a few days ago; again from {}",
                at(*until)
            )
        }
        Reason::WeeklyCap { until } => {
            format!(
                "enough messages to this customer this week; again from {}",
                at(*until)
            )
        }
        Reason::Owed | Reason::NothingNew | Reason::Finished | Reason::Unreachable => {
            reason.words().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
