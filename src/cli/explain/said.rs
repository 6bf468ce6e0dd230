//! What was said, as surely as we know it.

use super::Entry;
use super::Teller;
use super::is_said;
use super::went_out;
use super::words_of;
use crate::cli::present::{self, say_line};
use crate::domain::eta::Eta;
use crate::domain::ids::MessageNo;
use crate::domain::kinds::ChannelName;
use crate::domain::message::MessageState;
use crate::domain::statement::Change;
use crate::domain::statement::LineStatement;
use crate::domain::statement::Statement;
use crate::domain::time::Instant;
use crate::store::types::MessageRow;
use chrono::NaiveDate;

impl Teller<'_> {
    // ---- what was said ----

    pub(super) fn last_said(&self) -> Option<&MessageRow> {
        self.e.messages.iter().rev().find(|m| is_said(m))
    }

    /// `e-mail and text`: the channels over which the same was said at the
    /// same time.
    pub(super) fn channels_of(&self, message: &MessageRow) -> String {
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

    pub(super) fn said(&self) -> Vec<Entry> {
        let mut out = self.first_looks();
        for m in self.e.messages.iter().filter(|m| went_out(m)) {
            let (stated, mut below) = self.stated_by(m.no);
            below.extend(self.became(m));
            out.push(Entry {
                below,
                at: Some(m.sent_at.unwrap_or(m.planned_at)),
                cells: vec![
                    m.channel.as_str().to_owned(),
                    present::notice(m.kind, m.milestone_days),
                    stated,
                    m.no.to_string(),
                    present::standing(m).0,
                ],
            });
        }
        out.sort_by_key(|entry| entry.at);
        out
    }

    /// What became of a message, sentence by sentence.
    fn became(&self, m: &MessageRow) -> Vec<String> {
        let about = present::About {
            kind: m.kind,
            channel: m.channel,
            not_after: Some(m.not_after),
        };
        let found = self.e.aftermaths.get(&m.no);
        found.map_or_else(Vec::new, |of| {
            present::aftermath(of, about, self.zone, self.today)
        })
    }

    /// What was counted as told without a message of ours.
    pub(super) fn first_looks(&self) -> Vec<Entry> {
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
                below: Vec::new(),
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

    pub(super) fn after_said(&self) {
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

    /// What a message stated about this order, short, and line by line where
    /// the lines differ.
    pub(super) fn stated_by(&self, no: MessageNo) -> (String, Vec<String>) {
        let statement = self.e.statements.get(&no);
        statement.map_or_else(Default::default, |s| stated(s, self.today))
    }
}

/// What a message stated, as a list of things said: `Fri 20 Mar, was 6 Mar`.
fn stated(statement: &Statement, today: NaiveDate) -> (String, Vec<String>) {
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
    let all: Vec<String> = statement.lines.iter().map(words).collect();
    match all.split_first() {
        None => Default::default(),
        Some((first, rest)) if rest.iter().all(|other| other == first) => {
            (first.clone(), Vec::new())
        }
        Some(_) => {
            let below = statement
                .lines
                .iter()
                .zip(&all)
                .map(|(line, words)| format!("{}: {words}", line.name))
                .collect();
            (format!("{} items", all.len()), below)
        }
    }
}
