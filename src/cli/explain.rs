//! The words of `orders explain`: one order's history for somebody who has
//! the customer on the phone.
//!
//! The facts are [`Explanation`]'s; here they only get words. What was not
//! surely said is never claimed: a baseline is an assumption, a message in
//! doubt may have gone out, and nothing of the sandbox reached anybody.

use crate::app::Viewer;
use crate::app::explain::Explanation;
use crate::cli::present::{self, PROSE_WIDTH, say_line};
use crate::cli::todo;
use crate::domain::assess::last_call_at;
use crate::domain::eta::Eta;
use crate::domain::ids::{LineId, MessageNo};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::notice_key::Mode;
use crate::domain::order::Line;
use crate::domain::reason::{Reason, Verdict};
use crate::domain::statement::{Change, LineStatement, Statement};
use crate::domain::time::Instant;
use crate::domain::told::Basis;
use crate::store::types::{EtaRow, MessageRow};
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

    // ---- header ----

    fn header(&self) {
        let order = &self.e.situation.order;
        let contact = &order.contact;
        let mut title = vec![format!("Order {}", order.number), contact.short_name()];
        if let (Some(email), true) = (&contact.email, contact.name.is_some()) {
            title.push(email.masked());
        }
        match (&contact.phone, contact.sms_consent) {
            (Some(phone), true) => title.push(format!("texts allowed to {}", phone.masked())),
            (Some(phone), false) => title.push(format!("phone {}, no texts", phone.masked())),
            (None, _) => {}
        }
        let now = format!(
            "{}, {}",
            self.e.now.in_zone(self.zone).format("%a %-d %b %Y"),
            self.e.now.in_zone(self.zone).format("%H:%M")
        );
        let title = title.join(", ");
        let gap = PROSE_WIDTH
            .saturating_sub(title.width() + now.width())
            .max(3);
        say_line!(
            "{}{}{now}",
            present::styled(present::HEAD, &title),
            " ".repeat(gap)
        );
        for line in &self.e.situation.lines {
            say_line!("{}", self.line_in_short(line));
        }
        if self.is_sandbox() {
            say_line!(
                "{}",
                present::styled(
                    present::WAITS,
                    "Sandbox: this is a rehearsal, none of these messages went to the customer."
                )
            );
        }
        say_line!();
    }

    fn line_in_short(&self, line: &Line) -> String {
        let order = &self.e.situation.order;
        let mut text = present::named(&line.name, line.ordered);
        if let Some(sku) = &line.sku {
            text.push_str(&format!(" ({sku})"));
        }
        if line.shipped.is_positive() {
            text.push_str(&format!(", {} shipped", line.shipped));
        }
        if line.cancelled.is_positive() {
            text.push_str(&format!(", {} cancelled", line.cancelled));
        }
        if !line.waiting().is_positive() {
            return text;
        }
        let days = (self.today - order.ordered_on).num_days();
        let days = usize::try_from(days).unwrap_or(0);
        if line.waiting() == line.ordered {
            text.push(',');
        } else {
            text.push_str(&format!(", {}", line.waiting()));
        }
        text.push_str(&match days {
            0 => " waiting since today".to_owned(),
            days => format!(" waiting {}", present::count(days, "day", "days")),
        });
        let promise = self.promise(line);
        match promise.last() {
            None => text.push_str(", no ship date"),
            Some(last) if last < self.today => {
                text.push_str(&format!(", was to ship {}", self.eta(promise)));
            }
            Some(_) if self.is_doubted(line) => {
                text.push_str(&format!(", the shop says {}", self.eta(promise)));
            }
            Some(_) => text.push_str(&format!(", should ship {}", self.eta(promise))),
        }
        text
    }

    // ---- in short ----

    fn in_short(&self) -> Vec<String> {
        let mut out = Vec::new();
        out.push(self.told_in_short());
        out.extend(self.doubt_in_short());
        out.extend(self.owed_in_short());
        let waits = !self.e.plan.drafts.is_empty()
            || self
                .e
                .messages
                .iter()
                .any(|m| m.state == MessageState::Queued);
        let brakes = self.brakes();
        if waits && !brakes.is_empty() {
            out.push(format!("In the way: {}.", brakes.join("; ")));
        }
        out
    }

    /// What the customer knows, and how we know that.
    fn told_in_short(&self) -> String {
        let waiting: Vec<&Line> = self.waiting().collect();
        if waiting.is_empty() {
            let finished = "Nothing of this order waits any more.";
            return match self.last_said() {
                Some(m) => format!(
                    "{finished} The customer was last told on {} ({}, {}).",
                    self.day(m.sent_at.unwrap_or(m.planned_at)),
                    present::notice(m.kind, m.milestone_days),
                    self.channels_of(m)
                ),
                None => format!("{finished} We have not written to the customer."),
            };
        }
        let firm = |line: &&Line| line.believed().firm.cloned();
        if waiting.iter().all(|line| firm(line).is_none()) {
            return "The customer has heard nothing from us yet.".to_owned();
        }
        let told: Vec<_> = waiting.iter().filter_map(firm).collect();
        let is_current = waiting
            .iter()
            .all(|line| firm(line).is_some_and(|told| told.promise == self.promise(line)));
        let newest = told.iter().max_by_key(|told| told.at);
        let Some(newest) = newest else {
            return String::new();
        };
        let what = if told.iter().all(|t| t.promise == newest.promise) {
            self.eta(newest.promise)
        } else {
            "dates of several items".to_owned()
        };
        let how = match newest.basis {
            Basis::Accepted => {
                let by = newest
                    .message
                    .and_then(|no| self.e.messages.iter().find(|m| m.no == no))
                    .map_or_else(|| "message".to_owned(), |m| self.channels_of(m));
                format!("{}, {by}", self.day(newest.at))
            }
            Basis::Shop => "by the shop itself".to_owned(),
            Basis::Assumed => format!("{}, taken as sent", self.day(newest.at)),
            Basis::Baseline | Basis::Possible | Basis::Retracted => String::new(),
        };
        if newest.basis == Basis::Baseline {
            let knows = if newest.promise.is_known() {
                format!("knows {what}")
            } else {
                "knows of no date".to_owned()
            };
            let moved = if is_current {
                ""
            } else {
                " The shop's date is another one now."
            };
            return format!(
                "We have not told the customer a date; at our first look on {} we took it that \
                 the customer {knows}.{moved}",
                self.day(newest.at)
            );
        }
        if is_current && newest.promise.is_known() {
            return format!("The customer has been told the current date ({how}).");
        }
        if is_current {
            return format!("The customer has been told that there is no date ({how}).");
        }
        let now_says = if self.has_one_line() || waiting.len() == 1 {
            match self.promise(waiting[0]) {
                Eta::Unknown => "the shop has no date now".to_owned(),
                promise => format!("the shop now says {}", self.eta(promise)),
            }
        } else {
            "the shop's dates are others now".to_owned()
        };
        if newest.promise.is_known() {
            format!("The customer was last told {what} ({how}); {now_says}.")
        } else {
            format!("The customer was last told that there is no date ({how}); {now_says}.")
        }
    }

    fn doubt_in_short(&self) -> Option<String> {
        let m = self
            .e
            .messages
            .iter()
            .rev()
            .find(|m| m.state == MessageState::InDoubt)?;
        Some(format!(
            "{} ({}) may have gone out on {}: the answer never came.",
            m.no,
            present::notice(m.kind, m.milestone_days),
            self.moment(m.sent_at.unwrap_or(m.planned_at))
        ))
    }

    /// What is owed, or why nothing is.
    fn owed_in_short(&self) -> Vec<String> {
        let mut out = Vec::new();
        let queued: Vec<&MessageRow> = self
            .e
            .messages
            .iter()
            .filter(|m| m.state == MessageState::Queued && !self.e.plan.supersede.contains(&m.no))
            .collect();
        for m in &queued {
            let what = present::with_article(&present::notice(m.kind, m.milestone_days));
            let what = format!(
                "{} by {} ({})",
                present::capital(&what),
                words_of(m.channel),
                m.no
            );
            out.push(match m.run {
                Some(run) if m.held => format!(
                    "{what} waits for a person's yes to run {run} (backorderd runs show {run})."
                ),
                _ if m.due_at <= self.e.now => format!("{what} is about to go out."),
                _ => format!("{what} goes out from {}.", self.moment(m.due_at)),
            });
        }
        for draft in &self.e.plan.drafts {
            let what = present::notice(draft.kind, draft.statement.milestone_days);
            let what = present::capital(&present::with_article(&what));
            let when = if draft.due_at <= self.e.now {
                "with the next review".to_owned()
            } else {
                format!("from {}", self.moment(draft.due_at))
            };
            out.push(format!(
                "{what} by {} is owed and goes out {when}.",
                words_of(draft.channel)
            ));
        }
        let nothing_else = out.is_empty();
        for verdict in &self.e.plan.verdicts {
            match &verdict.reason {
                Reason::Owed | Reason::Queued { .. } | Reason::InFlight { .. } => {}
                Reason::NothingNew
                | Reason::Finished
                | Reason::AlreadySaid { .. }
                | Reason::MilestoneSatisfied { .. } => {
                    if nothing_else && !out.iter().any(|s| s == NOTHING_OWED) {
                        out.push(NOTHING_OWED.to_owned());
                    }
                }
                reason => {
                    let about = verdict
                        .about
                        .as_ref()
                        .filter(|_| !self.has_one_line())
                        .map_or_else(String::new, |about| format!("{about}: "));
                    let words = present::reason(reason, self.zone, self.today);
                    let words = present::without_call(&words);
                    let who = if reason.needs_a_person() {
                        "A person has to look: "
                    } else {
                        "Quiet for now: "
                    };
                    out.push(format!("{who}{about}{}.", words.trim_end_matches('.')));
                }
            }
        }
        out
    }

    // ---- what was said ----

    fn last_said(&self) -> Option<&'a MessageRow> {
        self.e.messages.iter().rev().find(|m| is_said(m))
    }

    /// `e-mail and text`: the channels over which the same was said at the
    /// same time.
    fn channels_of(&self, message: &MessageRow) -> String {
        let at = |m: &MessageRow| m.sent_at.map(|at| at.day_in(self.zone));
        let mut words: Vec<&str> = self
            .e
            .messages
            .iter()
            .filter(|m| is_said(m) && m.kind == message.kind && at(m) == at(message))
            .map(|m| words_of(m.channel))
            .collect();
        words.dedup();
        words.join(" and ")
    }

    fn said(&self) -> Vec<Entry> {
        let mut out = self.first_looks();
        for m in self.e.messages.iter().filter(|m| went_out(m)) {
            out.push(Entry {
                at: Some(m.sent_at.unwrap_or(m.planned_at)),
                cells: vec![
                    m.channel.as_str().to_owned(),
                    present::notice(m.kind, m.milestone_days),
                    self.stated_by(m.no),
                    m.no.to_string(),
                    present::standing(m).0,
                ],
            });
        }
        out.sort_by_key(|entry| entry.at);
        out
    }

    /// What was counted as told without a message of ours.
    fn first_looks(&self) -> Vec<Entry> {
        let mut out: Vec<Entry> = Vec::new();
        let mut seen: Vec<(Instant, Eta, &str)> = Vec::new();
        for told in self.e.told.iter().filter(|told| told.message.is_none()) {
            let key = (told.at, told.promise, told.basis.as_str());
            if seen.contains(&key) {
                continue;
            }
            seen.push(key);
            let (what, how) = match told.basis.as_str() {
                "baseline" => ("first look", "counted as told, an assumption"),
                "shop" => ("by the shop", "told by the shop itself, it says"),
                other => ("noted", other),
            };
            out.push(Entry {
                at: Some(told.at),
                cells: vec![
                    "-".to_owned(),
                    what.to_owned(),
                    self.eta(told.promise),
                    String::new(),
                    how.to_owned(),
                ],
            });
        }
        out
    }

    fn after_said(&self) {
        let messages = &self.e.messages;
        if !messages.iter().any(went_out) {
            if self.e.told.is_empty() {
                say_line!(
                    "{}  nothing yet",
                    present::styled(present::HEAD, "WHAT WE SAID")
                );
            }
            return;
        }
        let by_mail = messages
            .iter()
            .any(|m| is_said(m) && m.channel == ChannelName::Email);
        if by_mail && !messages.iter().any(|m| m.state == MessageState::Bounced) {
            say_line!(
                "  No bounce has come back. E-mail cannot tell us whether it was read or filed as \
                 spam."
            );
        }
    }

    /// What a message stated about this order, short.
    fn stated_by(&self, no: MessageNo) -> String {
        let Some(statement) = self.e.statements.get(&no) else {
            return String::new();
        };
        stated(statement, self.today)
    }

    // ---- what was not said ----

    fn unsaid(&self) -> Vec<Entry> {
        struct Silence {
            at: Instant,
            last: Instant,
            n: usize,
            what: String,
            why: String,
        }
        let mut silences: Vec<Silence> = Vec::new();
        for row in &self.e.verdicts {
            let Some((what, why)) = self.silence(&row.verdict, row.at) else {
                continue;
            };
            let same = silences
                .iter_mut()
                .rev()
                .find(|s| s.what == what && s.why == why);
            match same {
                Some(silence) => {
                    silence.n += 1;
                    silence.last = row.at;
                }
                None => silences.push(Silence {
                    at: row.at,
                    last: row.at,
                    n: 1,
                    what,
                    why,
                }),
            }
        }
        let mut out: Vec<Entry> = silences
            .into_iter()
            .map(|s| {
                let again = if s.n > 1 {
                    format!(" ({} times, last {})", s.n, self.moment(s.last))
                } else {
                    String::new()
                };
                Entry {
                    at: Some(s.at),
                    cells: vec![s.what, format!("{}{again}", s.why)],
                }
            })
            .collect();
        for m in self.e.messages.iter().filter(|m| was_kept_back(m)) {
            let mut why = m.state.words().to_owned();
            let more = match m.state {
                MessageState::Failed => m.last_reply.as_deref().or(m.settled_by.as_deref()),
                MessageState::Withdrawn => m.settled_by.as_deref(),
                _ => None,
            };
            if let Some(more) = more {
                why.push_str(&format!(": {more}"));
            }
            out.push(Entry {
                at: Some(m.planned_at),
                cells: vec![
                    format!(
                        "{} {}",
                        present::notice(m.kind, m.milestone_days),
                        self.stated_by(m.no)
                    ),
                    format!("{} {why}", m.no),
                ],
            });
        }
        out.sort_by_key(|entry| entry.at);
        out
    }

    /// A verdict as (what was not said, why); `None` for those that say
    /// nothing about a silence.
    fn silence(&self, verdict: &Verdict, at: Instant) -> Option<(String, String)> {
        let kind = verdict
            .kind
            .map_or_else(|| "anything".to_owned(), Kind::words);
        let what = match &verdict.about {
            Some(about) if !self.has_one_line() => format!("{kind}: {about}"),
            _ => kind,
        };
        let why = present::reason(&verdict.reason, self.zone, self.today);
        let why = present::without_call(&why).to_owned();
        let date = || match verdict.kind {
            Some(_) => what.clone(),
            None => "the shop's date".to_owned(),
        };
        match &verdict.reason {
            Reason::Owed
            | Reason::NothingNew
            | Reason::Finished
            | Reason::InFlight { .. }
            | Reason::Queued { .. }
            | Reason::AlreadySaid { .. } => None,
            Reason::Settling { until } => self.unsettled(verdict.kind, at, *until),
            Reason::Grace { until } if *until <= self.e.now => None,
            Reason::MilestoneSatisfied { days, sent_at } => Some((
                format!("update day {days}"),
                format!("not needed, everything was told on {}", self.day(*sent_at)),
            )),
            Reason::SmallChange { .. } => Some((
                self.date_at(at)
                    .map_or(what.clone(), |eta| format!("{what} to {}", self.eta(eta))),
                why,
            )),
            Reason::NotBelieved { .. } | Reason::DateInPast { .. } => Some((date(), why)),
            _ => Some((what, why)),
        }
    }

    /// A date that changed again before it had stood long enough.
    fn unsettled(
        &self,
        kind: Option<Kind>,
        at: Instant,
        until: Instant,
    ) -> Option<(String, String)> {
        let is_date = matches!(
            kind,
            Some(Kind::Delay | Kind::Sooner | Kind::DateSet | Kind::DateWithdrawn)
        );
        let again = self
            .e
            .etas
            .iter()
            .find(|row| row.at > at && row.at < until)
            .filter(|_| is_date)?;
        let eta = self.date_at(at)?;
        let words = kind.map_or_else(String::new, Kind::words);
        let what = match eta {
            Eta::Unknown => words,
            eta => format!("{words} to {}", self.eta(eta)),
        };
        let settle = self.viewer.policy().delay.settle;
        Some((
            what,
            format!(
                "it was {} old and changed again (we wait {})",
                present::length(again.at.since(at)),
                present::length(settle)
            ),
        ))
    }

    /// The date that was the newest at a moment.
    fn date_at(&self, at: Instant) -> Option<Eta> {
        let before = |row: &&EtaRow| row.at <= at;
        self.e.etas.iter().rev().find(before).map(|row| row.eta)
    }

    // ---- where the date came from ----

    fn reads(&self) -> String {
        let reads: Vec<String> = self
            .e
            .sources
            .iter()
            .filter_map(|(name, at)| Some((name, (*at)?)))
            .map(|(name, at)| format!("\"{name}\", last complete read {}", self.moment(at)))
            .collect();
        if reads.is_empty() {
            return String::new();
        }
        format!(" ({})", reads.join("; "))
    }

    fn dates(&self) -> Vec<Entry> {
        let n_lines = self.e.situation.lines.len();
        let has_one_source = self.e.sources.len() == 1
            && self
                .e
                .etas
                .iter()
                .all(|row| row.source == self.e.sources[0].0);
        let mut rows: Vec<(Instant, Eta, &str, Vec<LineId>)> = Vec::new();
        for row in &self.e.etas {
            match rows.iter_mut().find(|(at, eta, source, _)| {
                (*at, *eta, *source) == (row.at, row.eta, row.source.as_str())
            }) {
                Some((.., lines)) => lines.push(row.line),
                None => rows.push((row.at, row.eta, &row.source, vec![row.line])),
            }
        }
        rows.into_iter()
            .map(|(at, eta, source, lines)| {
                let source = match source {
                    "operator" => "set by hand",
                    "sku" => "a dates file",
                    "source" => "the shop's own again",
                    name => name,
                };
                let mut cells = vec![self.eta(eta)];
                if !has_one_source {
                    cells.push(source.to_owned());
                }
                if n_lines > 1 {
                    cells.push(if lines.len() == n_lines {
                        "all items".to_owned()
                    } else {
                        let names: Vec<&str> = lines.iter().map(|id| self.name_of(*id)).collect();
                        names.join(", ")
                    });
                }
                Entry {
                    at: Some(at),
                    cells,
                }
            })
            .collect()
    }

    // ---- what comes next ----

    fn next(&self) -> Vec<Entry> {
        let e = self.e;
        let mut out: Vec<Entry> = Vec::new();
        // What follows an overdue notice depends on what the shop does then.
        let until = e
            .next
            .iter()
            .position(|f| f.kind == Kind::Overdue)
            .map_or(e.next.len(), |n| n + 1);
        for f in e.next[..until].iter().take(AHEAD) {
            let queued = e.messages.iter().find(|m| {
                m.state == MessageState::Queued
                    && (m.kind, m.channel) == (f.kind, f.channel)
                    && m.due_at.max(e.now) == f.at
            });
            let mut words = present::coming(f);
            if f.channel == ChannelName::Sms {
                words.push_str(" by text");
            }
            match queued {
                Some(m) if m.held => {
                    let run = m.run.map_or_else(String::new, |run| format!(" {run}"));
                    words.push_str(&format!(" ({}), once run{run} is approved", m.no));
                }
                Some(m) => words.push_str(&format!(" ({})", m.no)),
                None => {}
            }
            out.push(Entry {
                at: Some(f.at),
                cells: vec![words],
            });
        }
        out.extend(self.last_look());
        out.sort_by_key(|entry| entry.at);
        if self.waiting().next().is_some() {
            out.push(Entry {
                at: None,
                cells: vec![self.on_news()],
            });
        }
        out
    }

    /// The morning from which a slip of any size is told.
    fn last_look(&self) -> Option<Entry> {
        let told = self
            .waiting()
            .filter(|line| {
                line.believed()
                    .firm
                    .is_some_and(|t| t.promise == self.promise(line))
            })
            .filter_map(|line| line.believed().firm?.promise.last())
            .min()?;
        let at = last_call_at(Some(told), &self.e.situation.order, self.viewer.policy());
        (at > self.e.now).then(|| Entry {
            at: Some(at),
            cells: vec![
                "last look before the told date; if it moved at all, we say so that day".to_owned(),
            ],
        })
    }

    /// What would make us write at any moment.
    fn on_news(&self) -> String {
        let policy = self.viewer.policy();
        let told = self
            .waiting()
            .filter_map(|line| line.believed().firm.map(|told| told.promise))
            .max_by_key(|eta| eta.last());
        match told {
            Some(eta) if eta.last().is_some_and(|last| last < self.today) => {
                "shipped, cancelled, or a new date".to_owned()
            }
            Some(eta) if eta.is_known() => {
                let several = if self.waiting().count() > 1 {
                    "than told".to_owned()
                } else {
                    let last = eta
                        .last()
                        .map_or_else(String::new, |day| day.format("%-d %B").to_string());
                    format!("than {last}")
                };
                let days = |n: u32| present::count(n as usize, "day", "days");
                format!(
                    "shipped, cancelled, date lost, or a date {} later or {} \
                     earlier {several}",
                    days(policy.delay.threshold_days),
                    days(policy.sooner.threshold_days)
                )
            }
            _ => "shipped, cancelled, or a first date".to_owned(),
        }
    }

    // ---- in the way ----

    /// What stops sending for everybody, as far as it can concern this
    /// customer.
    fn brakes(&self) -> Vec<String> {
        let e = self.e;
        let mut out = Vec::new();
        if e.not_live_yet {
            out.push("nobody has gone live yet (backorderd live)".to_owned());
        }
        if e.hold_file {
            let path = crate::app::hold_file::path(&self.viewer.settings.state_dir);
            out.push(format!(
                "the hold file {} exists, nothing is sent",
                path.display()
            ));
        }
        let contact = &e.situation.order.contact;
        for hold in &e.holds {
            let concerns = match ChannelName::parse(&hold.key) {
                Some(ChannelName::Sms) => contact.phone.is_some() && contact.sms_consent,
                Some(ChannelName::Email) => contact.email.is_some(),
                None => true,
            };
            if concerns {
                out.push(format!("hold on {}", todo::held(self.viewer, hold)));
            }
        }
        out
    }

    fn obstacles(&self) -> Vec<String> {
        let e = self.e;
        let mut out = self.brakes();
        let in_force = |until: Option<Instant>| until.is_none_or(|until| until > e.now);
        if let Some(pause) = e.situation.pause.as_ref().filter(|p| in_force(p.until)) {
            let until = pause.until.map_or_else(String::new, |until| {
                format!(" until {}", self.moment(until))
            });
            let scope = match pause.scope.as_str() {
                "order" => "this order is paused".to_owned(),
                scope => format!("held through its {scope}"),
            };
            out.push(format!("{scope}{until}, \"{}\"", pause.why));
        }
        for channel in &e.situation.suppressed {
            out.push(format!(
                "the {} is on the do-not-write list",
                match channel {
                    ChannelName::Email => "e-mail address",
                    ChannelName::Sms => "phone number",
                }
            ));
        }
        let contact = &e.situation.order.contact;
        if contact.email.is_none() && !(contact.phone.is_some() && contact.sms_consent) {
            out.push("no address we may write to".to_owned());
        }
        for run in e
            .messages
            .iter()
            .filter(|m| m.held && m.state == MessageState::Queued)
        {
            if let Some(run) = run.run {
                let words = format!("run {run} waits for a yes (backorderd runs show {run})");
                if !out.contains(&words) {
                    out.push(words);
                }
            }
        }
        for line in e
            .situation
            .lines
            .iter()
            .filter(|l| l.missing_since.is_some())
        {
            if let Some(since) = line.missing_since {
                out.push(format!(
                    "{} is gone from the shop's list since {}",
                    line.name,
                    self.moment(since)
                ));
            }
        }
        out
    }

    fn in_the_way(&self) -> Vec<String> {
        let found = self.obstacles();
        if found.is_empty() {
            vec!["nothing: no hold, not paused, address not known to fail".to_owned()]
        } else {
            vec![found.join("; ")]
        }
    }

    // ---- for the customer ----

    fn to_the_customer(&self) {
        say_line!(
            "{}",
            present::styled(present::HEAD, "YOU CAN TELL THE CUSTOMER")
        );
        for sentence in self.sentences() {
            say_line!("  {}", present::wrap(&sentence, 2, PROSE_WIDTH));
        }
        let by_mail = self
            .e
            .messages
            .iter()
            .any(|m| is_said(m) && m.channel == ChannelName::Email);
        if by_mail && !self.is_sandbox() {
            say_line!(
                "  Mail not found? Ask them to look for \"{}\", also in spam.",
                self.e.situation.order.number
            );
        }
    }

    /// What may safely be said on the phone; never more than is true.
    fn sentences(&self) -> Vec<String> {
        let mut spoken: Vec<String> = Vec::new();
        let mut aside: Vec<String> = Vec::new();
        let waiting: Vec<&Line> = self.waiting().collect();
        for line in &self.e.situation.lines {
            if line.shipped.is_positive() && line.shipped == line.ordered {
                spoken.push(format!("Your {} has shipped.", line.name));
            } else if line.shipped.is_positive() {
                spoken.push(format!(
                    "{} of {} of your {} have shipped.",
                    line.shipped, line.ordered, line.name
                ));
            }
            if line.cancelled.is_positive() {
                let n = if line.cancelled == line.ordered {
                    String::new()
                } else {
                    format!("{} of ", line.cancelled)
                };
                spoken.push(format!("{n}your {} was cancelled.", line.name));
            }
        }
        let mut same: Vec<(Eta, Vec<&Line>)> = Vec::new();
        for line in &waiting {
            let told = line.believed().firm.map(|told| told.promise);
            let promise = self.promise(line);
            let is_good = promise.last().is_none_or(|last| last >= self.today)
                && !self.is_doubted(line)
                && line.missing_since.is_none();
            if !is_good {
                aside.push(format!(
                    "Name no day for {}: the shop's own is not to be relied on at the moment.",
                    line.name
                ));
                continue;
            }
            if self.is_settling(line) {
                aside.push(format!(
                    "The date of {} changed a moment ago and may change again; better not name \
                     one yet.",
                    line.name
                ));
                continue;
            }
            if told.is_some_and(|told| told != promise && told.is_known()) && promise.is_known() {
                aside.push(format!(
                    "{}: we have not written about {} yet.",
                    line.name,
                    self.eta(promise)
                ));
            }
            match same.iter_mut().find(|(eta, _)| *eta == promise) {
                Some((_, lines)) => lines.push(line),
                None => same.push((promise, vec![line])),
            }
        }
        for (promise, lines) in same {
            let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
            let names = names.join(" and ");
            spoken.push(match promise {
                Eta::Unknown => format!("We have no ship date for your {names} at the moment."),
                Eta::Day { on } => format!(
                    "We expect to ship your {names} on {}.",
                    present::spoken_day(on, self.today)
                ),
                Eta::Window { from, to } => format!(
                    "We expect to ship your {names} between {} and {}.",
                    present::spoken_day(from, self.today),
                    present::spoken_day(to, self.today)
                ),
            });
        }
        if let Some(m) = self.last_said().filter(|_| !self.is_sandbox()) {
            let at = m.sent_at.unwrap_or(m.planned_at).day_in(self.zone);
            let day = if at == self.today {
                "today".to_owned()
            } else {
                format!("on {}", at.format("%-d %B"))
            };
            let about = match m.kind {
                Kind::Delay | Kind::Sooner | Kind::DateSet => " about the new date",
                Kind::Shipped => " when it shipped",
                _ => "",
            };
            spoken.push(format!("We wrote to you{about} {day}."));
        }
        if let Some(day) = self
            .e
            .situation
            .order
            .next_word_by
            .filter(|day| *day >= self.today && !self.is_sandbox())
        {
            spoken.push(format!(
                "We will write again by {}.",
                present::spoken_day(day, self.today)
            ));
        }
        let mut out = Vec::new();
        if !spoken.is_empty() {
            out.push(format!("\"{}\"", spoken.join(" ")));
        }
        out.extend(aside);
        if self.is_sandbox() {
            out.push(
                "Do not say that we wrote: in the sandbox nothing reaches customers.".to_owned(),
            );
        } else if self.last_said().is_none() {
            out.push("Do not say that we wrote: so far we have not.".to_owned());
        }
        out
    }

    /// A verdict of this moment says that the date is not believed.
    fn is_doubted(&self, line: &Line) -> bool {
        self.e.plan.verdicts.iter().any(|v| {
            let about_it = v.about.as_ref().is_none_or(|about| *about == line.name);
            about_it
                && matches!(
                    v.reason,
                    Reason::NotBelieved { .. }
                        | Reason::DateInPast { .. }
                        | Reason::StaleAtBaseline { .. }
                )
        })
    }

    fn is_settling(&self, line: &Line) -> bool {
        let settle = self.viewer.policy().delay.settle;
        let fresh = line.eta_changed_at.plus(settle) > self.e.now;
        let told = line.believed().firm.map(|told| told.promise);
        fresh && told.is_some() && told != Some(self.promise(line))
    }
}

/// Messages to come that are listed.
const AHEAD: usize = 3;
const NOTHING_OWED: &str = "Nothing is owed.";

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

/// Was planned, and will not go out.
fn was_kept_back(m: &MessageRow) -> bool {
    matches!(
        m.state,
        MessageState::Failed
            | MessageState::Superseded
            | MessageState::Suppressed
            | MessageState::Expired
            | MessageState::Withdrawn
    )
}

/// What a message stated, as a list of things said: `Fri 20 Mar, was 6 Mar`.
fn stated(statement: &Statement, today: NaiveDate) -> String {
    let words = |line: &LineStatement| match (line.promise, line.told, line.change) {
        (Some(promise), Some(told), Change::Later | Change::Sooner)
            if !line.shipped_now.is_positive() && !line.cancelled_now.is_positive() =>
        {
            let was = match told.promise {
                Eta::Day { on } => on.format("%-d %b").to_string(),
                other => present::eta(other, today),
            };
            format!("{}, was {was}", present::eta(promise, today))
        }
        (Some(promise), _, Change::New) if !line.shipped_now.is_positive() => {
            present::eta(promise, today)
        }
        _ => present::news(line, today),
    };
    match statement.lines.as_slice() {
        [one] => words(one),
        lines => {
            let all: Vec<String> = lines.iter().map(&words).collect();
            if all.windows(2).all(|pair| pair[0] == pair[1]) {
                return all.into_iter().next().unwrap_or_default();
            }
            let named: Vec<String> = lines
                .iter()
                .map(|line| format!("{}: {}", line.name, words(line)))
                .collect();
            named.join("; ")
        }
    }
}
