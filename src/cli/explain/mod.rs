//! The words of `orders explain`: one order's history for somebody who has
//! the customer on the phone.
//!
//! The facts are [`Explanation`]'s; here they only get words. What was not
//! surely said is never claimed: a baseline is an assumption, a message in
//! doubt may have gone out, and nothing of the sandbox reached anybody.
//!
//! `short` has the first lines, `said` and `unsaid` the past, `next` the
//! future and what is in its way, `phone` what may be told the customer.

mod next;
mod phone;
mod said;
mod short;
mod unsaid;

use crate::app::Viewer;
use crate::app::explain::Explanation;
use crate::cli::present::{self, PROSE_WIDTH, say_line};
use crate::domain::eta::Eta;
use crate::domain::ids::LineId;
use crate::domain::kinds::ChannelName;
use crate::domain::message::MessageState;
use crate::domain::notice_key::Mode;
use crate::domain::order::Line;
use crate::domain::time::Instant;
use crate::store::types::MessageRow;
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

/// Entries of a section that are shown without `--all`.
const SHOWN: usize = 12;

/// Prints everything there is to say.
pub fn print(viewer: &Viewer, e: &Explanation, all: bool) {
    let teller = Teller::of(viewer, e);
    let limit = if all { usize::MAX } else { SHOWN };
    teller.header();
    teller.section("IN SHORT", &teller.in_short());
    teller.entries("WHAT WE SAID", "", teller.said(), limit);
    teller.after_said();
    teller.entries("WHAT WE DID NOT SAY, AND WHY", "", teller.unsaid(), limit);
    teller.entries(
        "WHERE THE DATE CAME FROM",
        &teller.reads(),
        teller.dates(),
        limit,
    );
    teller.entries("WHAT COMES NEXT", "", teller.next(), limit);
    teller.section("IN THE WAY", &teller.in_the_way());
    teller.to_the_customer();
}

/// The parts of the JSON document that only an explanation has.
pub fn as_json(viewer: &Viewer, e: &Explanation) -> Value {
    let teller = Teller::of(viewer, e);
    json!({
        "in_short": teller.in_short(),
        "told": e.told,
        "statements": e.statements.iter().map(|(no, s)| json!({ "message": no, "says": present::statement_json(s) }))
            .collect::<Vec<_>>(),
        "aftermaths": e.aftermaths.iter().map(|(no, a)| json!({ "message": no, "aftermath": a }))
            .collect::<Vec<_>>(),
        "verdicts": e.verdicts,
        "dates": e.etas,
        "next": e.next.iter().map(|f| json!({
            "at": f.at, "kind": f.kind, "channel": f.channel,
            "milestone_days": f.milestone_days,
        })).collect::<Vec<_>>(),
        "plan": {
            "verdicts": e.plan.verdicts,
            "owed": e.plan.drafts.iter().map(|d| json!({
                "kind": d.kind, "channel": d.channel, "due_at": d.due_at,
            })).collect::<Vec<_>>(),
        },
        "in_the_way": teller.obstacles(),
        "sources": e.sources.iter().map(|(name, at)| json!({ "name": name, "last_read_at": at }))
            .collect::<Vec<_>>(),
        "you_can_tell_the_customer": teller.sentences(),
    })
}

/// A dated line of a section.
struct Entry {
    /// Without one it happens whenever it happens.
    at: Option<Instant>,
    /// Columns after the time.
    cells: Vec<String>,
    /// Particulars that get lines of their own.
    below: Vec<String>,
}

impl Entry {
    fn at(at: Instant, cells: Vec<String>) -> Entry {
        Entry {
            at: Some(at),
            cells,
            below: Vec::new(),
        }
    }
}

/// The time column of what has no time.
const WHENEVER: &str = "when it happens";

struct Teller<'a> {
    viewer: &'a Viewer,
    e: &'a Explanation,
    zone: Tz,
    today: NaiveDate,
}

impl<'a> Teller<'a> {
    fn of(viewer: &'a Viewer, e: &'a Explanation) -> Teller<'a> {
        let zone = viewer.settings.shop.zone;
        Teller {
            viewer,
            e,
            zone,
            today: e.now.day_in(zone),
        }
    }

    fn moment(&self, at: Instant) -> String {
        present::moment(at, self.zone, self.today)
    }
    fn day(&self, at: Instant) -> String {
        present::day(at.day_in(self.zone), self.today)
    }
    fn eta(&self, eta: Eta) -> String {
        present::eta(eta, self.today)
    }
    fn is_sandbox(&self) -> bool {
        self.viewer.mode() == Mode::Sandbox
    }
    fn waiting(&self) -> impl Iterator<Item = &'a Line> + use<'a> {
        let lines = &self.e.situation.lines;
        lines.iter().filter(|line| line.waiting().is_positive())
    }
    /// The date in force as we would say it.
    fn promise(&self, line: &Line) -> Eta {
        line.eta.later_by(self.viewer.policy().buffer_days)
    }
    fn has_one_line(&self) -> bool {
        self.e.situation.lines.len() == 1
    }
    fn name_of(&self, id: LineId) -> &'a str {
        let lines = &self.e.situation.lines;
        lines
            .iter()
            .find(|line| line.id == id)
            .map_or("another line", |line| line.name.as_str())
    }

    // ---- frames ----

    fn section(&self, head: &str, sentences: &[String]) {
        let indent = head.len() + 2;
        say_line!(
            "{}  {}",
            present::styled(present::HEAD, head),
            present::wrap(&sentences.join(" "), indent, PROSE_WIDTH)
        );
        if head == "IN SHORT" {
            say_line!();
        }
    }

    /// A headed list in columns; the newest `limit` entries.
    fn entries(&self, head: &str, note: &str, mut entries: Vec<Entry>, limit: usize) {
        if entries.is_empty() {
            return;
        }
        say_line!("{}{note}", present::styled(present::HEAD, head));
        if entries.len() > limit {
            let n = entries.len() - limit;
            say_line!("  ... {n} earlier: --all shows them");
            entries.drain(..n);
        }
        let when = |entry: &Entry| {
            entry
                .at
                .map_or_else(|| WHENEVER.to_owned(), |at| self.padded(at))
        };
        let n_columns = entries.iter().map(|e| e.cells.len()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..n_columns)
            .map(|n| {
                let cells = entries.iter().filter_map(|e| e.cells.get(n));
                cells.map(|cell| cell.width()).max().unwrap_or(0)
            })
            .collect();
        let when_width = entries.iter().map(|e| when(e).width()).max().unwrap_or(0);
        for entry in &entries {
            let mut line = format!("  {:when_width$}", when(entry));
            let (last, firsts) = entry
                .cells
                .split_last()
                .map_or(("", &[][..]), |(last, firsts)| (last.as_str(), firsts));
            for (cell, width) in firsts.iter().zip(&widths) {
                let blanks = " ".repeat(width - cell.width());
                line.push_str(&format!("  {cell}{blanks}"));
            }
            let indent = line.width() + 2;
            say_line!("{line}  {}", present::wrap(last, indent, PROSE_WIDTH));
            for below in &entry.below {
                let below = present::wrap(below, when_width + 6, PROSE_WIDTH);
                say_line!("  {:when_width$}  - {below}", "");
            }
        }
    }

    /// `Mon  2 Mar 10:00`: days below one another.
    fn padded(&self, at: Instant) -> String {
        let text = self.moment(at);
        match text.split_once(' ') {
            Some((weekday, rest)) if rest.chars().nth(1) == Some(' ') => {
                format!("{weekday}  {rest}")
            }
            _ => text,
        }
    }
}

fn words_of(channel: ChannelName) -> &'static str {
    match channel {
        ChannelName::Email => "e-mail",
        ChannelName::Sms => "text",
    }
}

/// Surely said: somebody took responsibility for it.
fn is_said(m: &MessageRow) -> bool {
    m.state.is_sent() && m.settled_by.as_deref() != Some("assumed")
}

/// Went out, may have, or is going out this moment.
fn went_out(m: &MessageRow) -> bool {
    m.state.is_sent()
        || matches!(
            m.state,
            MessageState::InDoubt | MessageState::Submitting | MessageState::Bounced
        )
}
