//! The first lines: who and what, and the whole story in two sentences.

use super::Teller;
use super::words_of;
use crate::cli::present::{self, PROSE_WIDTH, say_line};
use crate::domain::eta::Eta;
use crate::domain::kinds::ChannelName;
use crate::domain::message::MessageState;
use crate::domain::order::Line;
use crate::domain::reason::Reason;
use crate::domain::told::Basis;
use crate::store::types::MessageRow;
use unicode_width::UnicodeWidthStr;

impl Teller<'_> {
    // ---- header ----

    pub(super) fn header(&self) {
        let order = &self.e.situation.order;
        let contact = &order.contact;
        let mut title = vec![format!("Order {}", order.number), contact.short_name()];
        let is_suppressed = |channel| self.e.situation.suppressed.contains(&channel);
        if let (Some(email), true) = (&contact.email, contact.name.is_some()) {
            title.push(match is_suppressed(ChannelName::Email) {
                true => format!("{}, no mails any more", email.masked()),
                false => email.masked(),
            });
        }
        match (&contact.phone, contact.sms_consent) {
            (Some(phone), _) if is_suppressed(ChannelName::Sms) => {
                title.push(format!("phone {}, no texts any more", phone.masked()));
            }
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

    pub(super) fn line_in_short(&self, line: &Line) -> String {
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
            Some(_) if self.is_doubted(line) || self.is_settling(line) => {
                text.push_str(&format!(", the shop says {}", self.eta(promise)));
            }
            Some(_) => text.push_str(&format!(", should ship {}", self.eta(promise))),
        }
        text
    }

    // ---- in short ----

    pub(super) fn in_short(&self) -> Vec<String> {
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
    pub(super) fn told_in_short(&self) -> String {
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
        if is_current && told.iter().any(|t| t.promise != newest.promise) {
            return format!("The customer has been told the current dates ({how}).");
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

    pub(super) fn doubt_in_short(&self) -> Option<String> {
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
    pub(super) fn owed_in_short(&self) -> Vec<String> {
        let mut out = Vec::new();
        let queued: Vec<&MessageRow> = self
            .e
            .messages
            .iter()
            .filter(|m| m.state == MessageState::Queued && !self.e.plan.supersede.contains(&m.no))
            .collect();
        for m in &queued {
            let what = present::a_notice(m.kind, m.milestone_days);
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
            let what = present::a_notice(draft.kind, draft.statement.milestone_days);
            let what = present::capital(&what);
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
}

const NOTHING_OWED: &str = "Nothing is owed.";
