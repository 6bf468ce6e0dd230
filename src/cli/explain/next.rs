//! What comes next, and what is in the way.

use super::Entry;
use super::Teller;
use crate::cli::present;
use crate::cli::todo;
use crate::domain::assess::last_call_at;
use crate::domain::kinds::ChannelName;
use crate::domain::kinds::Kind;
use crate::domain::message::MessageState;
use crate::domain::time::Instant;
use crate::store::types::MessageRow;

impl Teller<'_> {
    // ---- what comes next ----

    pub(super) fn next(&self) -> Vec<Entry> {
        let e = self.e;
        let mut out: Vec<Entry> = Vec::new();
        // What follows an overdue notice depends on what the shop does then.
        let until = e
            .next
            .iter()
            .position(|f| f.kind == Kind::Overdue)
            .map_or(e.next.len(), |n| n + 1);
        // Not a message to come, so the forecast does not know it.
        let courtesies = e.messages.iter().filter(|m| !m.kind.must_arrive());
        for m in courtesies.filter(|m| m.state == MessageState::InDoubt) {
            out.push(in_doubt(e.now, m, "taken as sent"));
        }
        for f in e.next[..until].iter().take(AHEAD) {
            let queued = e.messages.iter().find(|m| {
                m.state == MessageState::Queued
                    && (m.kind, m.channel) == (f.kind, f.channel)
                    && m.due_at.max(e.now) == f.at
            });
            let doubted = e.messages.iter().find(|m| {
                m.state == MessageState::InDoubt && (m.kind, m.channel) == (f.kind, f.channel)
            });
            if let Some(m) = doubted.filter(|_| f.at <= e.now) {
                let then = "sent once more, unless an answer is found";
                out.push(in_doubt(f.at, m, then));
                continue;
            }
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
            out.push(Entry::at(f.at, vec![words]));
        }
        out.extend(self.last_look());
        out.sort_by_key(|entry| entry.at);
        if self.waiting().next().is_some() {
            out.push(Entry {
                at: None,
                cells: vec![self.on_news()],
                below: Vec::new(),
            });
        }
        out
    }

    /// The morning from which a slip of any size is told.
    pub(super) fn last_look(&self) -> Option<Entry> {
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
        let words = "last look before the told date; if it moved at all, we say so that day";
        (at > self.e.now).then(|| Entry::at(at, vec![words.to_owned()]))
    }

    /// What would make us write at any moment.
    pub(super) fn on_news(&self) -> String {
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
                        .map_or_else(String::new, |day| day.format("%-d %b").to_string());
                    format!("than {last}")
                };
                let days = |n: u32| present::count(n as usize, "day", "days");
                format!(
                    "shipped, cancelled, date lost, {} later or {} earlier {several}",
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
    pub(super) fn brakes(&self) -> Vec<String> {
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

    pub(super) fn obstacles(&self) -> Vec<String> {
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
            let contact = &e.situation.order.contact;
            out.push(
                match channel {
                    ChannelName::Email => "the e-mail address is on the do-not-write list",
                    ChannelName::Sms if contact.email.is_some() => {
                        "the phone number is on the do-not-write list: no texts, mails go on"
                    }
                    ChannelName::Sms => "the phone number is on the do-not-write list",
                }
                .to_owned(),
            );
        }
        let contact = &e.situation.order.contact;
        let works = |channel| !e.situation.suppressed.contains(&channel);
        let mails = contact.email.is_some() && works(ChannelName::Email);
        let texts = contact.phone.is_some() && contact.sms_consent && works(ChannelName::Sms);
        if !mails && !texts {
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
        for reject in &e.rejected {
            let (source, at) = (&reject.source, self.moment(reject.at));
            let row = reject.row.words();
            out.push(format!(
                "a row of it in {source} of {at} was not taken in ({row})"
            ));
        }
        out
    }

    pub(super) fn in_the_way(&self) -> Vec<String> {
        let found = self.obstacles();
        if found.is_empty() {
            vec!["nothing: no hold, not paused, address not known to fail".to_owned()]
        } else {
            vec![found.join("; ")]
        }
    }
}

/// Messages to come that are listed.
const AHEAD: usize = 3;

/// What becomes of a message nobody knows about.
fn in_doubt(at: Instant, message: &MessageRow, then: &str) -> Entry {
    let what = present::notice(message.kind, message.milestone_days);
    let text = format!("{what} ({}) in doubt: soon {then}", message.no);
    Entry::at(at, vec![text])
}
