//! Printing for people: words, dates, aligned tables, colours that switch off
//! by themselves.
//!
//! On a terminal lists are aligned and coloured; piped they are plain; JSON is
//! another road ([`Context::print_json`](super::context::Context::print_json)).

use crate::domain::eta::Eta;
use crate::domain::forecast::Forecast;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::notice_key::Mode;
use crate::domain::reason::{Disbelief, Reason};
use crate::domain::statement::{Change, LineStatement, Statement};
use crate::domain::time::{Instant, Length};
use crate::store::types::MessageRow;
use anstyle::{AnsiColor, Style};
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat};
use chrono_tz::Tz;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use std::fmt;
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
    let width = facts.iter().map(|(name, _)| name.chars().count()).max();
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
            format!("{message} failed or was withdrawn: backorderd messages show {message}")
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

/// `17 minutes`, `3 hours`, `5 days`: the largest unit that is not zero.
pub fn length(length: Length) -> String {
    let minutes = length.as_secs().max(0) / 60;
    let of = |n: i64, one: &str, many: &str| count(usize::try_from(n).unwrap_or(0), one, many);
    match minutes {
        0 => "less than a minute".to_owned(),
        1..60 => of(minutes, "minute", "minutes"),
        60..2_880 => of(minutes / 60, "hour", "hours"),
        _ => of(minutes / 1_440, "day", "days"),
    }
}

/// `Friday 20 March`, as one says it to a customer.
pub fn spoken_day(day: NaiveDate, today: NaiveDate) -> String {
    if day.year() == today.year() {
        day.format("%A %-d %B").to_string()
    } else {
        day.format("%A %-d %B %Y").to_string()
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

/// A reason that waits for a person, where it is already said that it does.
pub fn without_call(words: &str) -> &str {
    words
        .strip_suffix("; a person should look")
        .unwrap_or(words)
}

/// `update day 7`, `date withdrawn`.
pub fn notice(kind: Kind, milestone_days: Option<u32>) -> String {
    match milestone_days {
        Some(days) if kind == Kind::Update => format!("update day {days}"),
        _ => kind.words(),
    }
}

/// A notice as a noun: `a ship notice`, `an update day 7`.
pub fn a_notice(kind: Kind, milestone_days: Option<u32>) -> String {
    match kind {
        Kind::Shipped => "a ship notice".to_owned(),
        Kind::Cancelled => "a cancellation notice".to_owned(),
        Kind::Delay => "a delay notice".to_owned(),
        Kind::Overdue => "an overdue notice".to_owned(),
        Kind::Sooner => "news of an earlier date".to_owned(),
        Kind::DateSet => "news of a first date".to_owned(),
        Kind::DateWithdrawn => "news that the date is lost".to_owned(),
        Kind::Confirmation => "a confirmation".to_owned(),
        Kind::Update => format!("an {}", notice(kind, milestone_days)),
    }
}

/// A message to come, for people.
pub fn coming(forecast: &Forecast) -> String {
    let words = notice(forecast.kind, forecast.milestone_days);
    match forecast.kind {
        Kind::Overdue => format!("{words}, if it has not shipped by then"),
        _ => words,
    }
}

/// What a message says about one line, in a few words: `Fri 6 Mar -> Fri 20
/// Mar`, `3 of 5 shipped; 2 on Fri 20 Mar`.
pub fn news(line: &LineStatement, today: NaiveDate) -> String {
    let mut parts = Vec::new();
    if line.shipped_now.is_positive() {
        parts.push(if line.shipped == line.ordered {
            "shipped".to_owned()
        } else {
            format!("{} of {} shipped", line.shipped, line.ordered)
        });
    }
    if line.cancelled_now.is_positive() {
        parts.push(if line.cancelled == line.ordered {
            "cancelled".to_owned()
        } else {
            format!("{} of {} cancelled", line.cancelled, line.ordered)
        });
    }
    let is_split = !parts.is_empty();
    let told = line.told.map(|told| told.promise);
    let date = match (line.promise, line.change) {
        (None, _) | (_, Change::NotStated) => None,
        (Some(promise), _) if is_split => Some(match promise {
            Eta::Unknown => format!("{} still to come, no date yet", line.waiting),
            known => format!("{} on {}", line.waiting, eta(known, today)),
        }),
        (Some(Eta::Unknown), Change::Overdue) => {
            let passed = told.map_or_else(|| "the told day".to_owned(), |told| eta(told, today));
            Some(format!("{passed} has passed, no date"))
        }
        (Some(Eta::Unknown), Change::Withdrawn) => {
            told.map(|told| format!("{} -> no date", eta(told, today)))
        }
        (Some(Eta::Unknown), Change::Unchanged) => Some("still no date".to_owned()),
        (Some(Eta::Unknown), _) => Some("no date yet".to_owned()),
        (Some(promise), Change::Later | Change::Sooner) => Some(match told {
            Some(told) => format!("{} -> {}", eta(told, today), eta(promise, today)),
            None => eta(promise, today),
        }),
        (Some(promise), Change::Set) => Some(format!("no date -> {}", eta(promise, today))),
        (Some(promise), Change::Unchanged) => Some(format!("{}, unchanged", eta(promise, today))),
        (Some(promise), _) => Some(format!("should ship {}", eta(promise, today))),
    };
    parts.extend(date);
    if parts.is_empty() {
        parts.push("no word about the date".to_owned());
    }
    parts.join("; ")
}

/// What a message states about one order, for programs: quantities as
/// decimals, like everywhere else.
pub fn statement_json(statement: &Statement) -> serde_json::Value {
    let lines: Vec<serde_json::Value> = statement
        .lines
        .iter()
        .map(|line| {
            serde_json::json!({
                "sku": line.sku,
                "product_name": line.name,
                "quantity": line.ordered.to_string(),
                "quantity_shipped": line.shipped.to_string(),
                "quantity_shipped_now": line.shipped_now.to_string(),
                "quantity_cancelled": line.cancelled.to_string(),
                "quantity_cancelled_now": line.cancelled_now.to_string(),
                "quantity_waiting": line.waiting.to_string(),
                "promise": line.promise,
                "eta": line.eta,
                "told_before": line.told,
                "change": line.change,
                "reason": line.reason,
            })
        })
        .collect();
    serde_json::json!({
        "order_number": statement.order_number,
        "kind": statement.kind,
        "milestone_days": statement.milestone_days,
        "lines": lines,
        "shipments": statement.shipments,
        "next_word_by": statement.next_word_by,
    })
}

/// Where a message stands, in words that claim no more than we know.
pub fn standing(message: &MessageRow) -> (String, Tone) {
    let far_side = match message.channel {
        ChannelName::Email => "mail server",
        ChannelName::Sms => "text gateway",
    };
    match message.state {
        MessageState::Queued if message.held => ("held for approval".to_owned(), Tone::Waits),
        MessageState::Queued if message.attempts > 0 => {
            ("put off, will be tried again".to_owned(), Tone::Waits)
        }
        MessageState::Sent if message.settled_by.as_deref() == Some("assumed") => {
            ("may have gone out, taken as sent".to_owned(), Tone::Waits)
        }
        MessageState::Sent if message.mode == Mode::Sandbox => {
            ("accepted by the sandbox".to_owned(), Tone::Good)
        }
        MessageState::Sent => (format!("accepted by the {far_side}"), Tone::Good),
        MessageState::Delivered => (message.state.words().to_owned(), Tone::Good),
        MessageState::Failed | MessageState::Bounced => {
            (message.state.words().to_owned(), Tone::Bad)
        }
        MessageState::InDoubt => (message.state.words().to_owned(), Tone::Waits),
        MessageState::Queued | MessageState::Leased | MessageState::Submitting => {
            (message.state.words().to_owned(), Tone::Plain)
        }
        MessageState::Superseded
        | MessageState::Suppressed
        | MessageState::Expired
        | MessageState::Withdrawn => (message.state.words().to_owned(), Tone::Faint),
    }
}

/// Breaks text at blanks so that no line is longer than `width`; the lines
/// after the first begin with `indent` blanks.
pub fn wrap(text: &str, indent: usize, width: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
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

/// Instants of a document as programs of other people read them: RFC 3339 in
/// UTC instead of our milliseconds.
pub fn spell_out_times(value: &mut serde_json::Value) {
    use serde_json::Value;
    let is_instant = |key: &str| key.ends_with("_at") || matches!(key, "at" | "until" | "since");
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let spelled = value
                    .as_i64()
                    .filter(|_| is_instant(key))
                    .and_then(DateTime::from_timestamp_millis);
                match spelled {
                    Some(at) => {
                        *value = Value::String(at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
                    }
                    None => spell_out_times(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(spell_out_times),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
