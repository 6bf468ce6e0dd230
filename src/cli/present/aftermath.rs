//! What became of a message after it was handed over, in sentences.

use super::{day, moment};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::time::Instant;
use crate::store::read::aftermath::{Aftermath, Stopped};
use chrono::NaiveDate;
use chrono_tz::Tz;

/// A message as far as its aftermath depends on it.
#[derive(Clone, Copy, Debug)]
pub struct About {
    pub kind: Kind,
    pub channel: ChannelName,
    /// Until when what it says is worth saying.
    pub not_after: Option<Instant>,
}

/// One sentence per report, then what followed from them.
pub fn aftermath(of: &Aftermath, about: About, zone: Tz, today: NaiveDate) -> Vec<String> {
    let mut out: Vec<String> = of
        .receipts
        .iter()
        .map(|r| {
            let quoted = Some(&r.reply).filter(|reply| !reply.is_empty());
            let said: Vec<String> = r
                .code
                .map(|code| code.to_string())
                .into_iter()
                .chain(r.enhanced.clone())
                .chain(quoted.map(|reply| format!("\"{reply}\"")))
                .collect();
            let colon = if said.is_empty() { "" } else { ": " };
            format!(
                "{}  {} (by {}{colon}{})",
                moment(r.at, zone, today),
                r.kind.words(),
                r.source,
                said.join(" ")
            )
        })
        .collect();
    if of.is_retracted {
        out.push("What it said counts as not said.".to_owned());
    }
    if let Some(stopped) = &of.stopped {
        out.push(stop(stopped, about.channel, zone, today));
    }
    for other in &of.instead {
        let by = match other.channel {
            ChannelName::Email => "e-mail",
            ChannelName::Sms => "text",
        };
        let (no, state) = (other.message, other.state.words());
        out.push(match other.state {
            MessageState::Queued => format!("Planned instead: {no} by {by}, {state}."),
            _ => format!("Said instead: {no} by {by}, {state}."),
        });
    }
    if of.waits_for_a_person {
        out.push(if about.kind.must_arrive() {
            let by = about.not_after.map_or_else(String::new, |at| {
                format!(" by {}", day(at.day_in(zone), today))
            });
            format!(
                "Nothing says it otherwise: a person has to{by} (backorderd todo); another \
                 address in the shop says it by itself."
            )
        } else {
            "A courtesy: it is not said otherwise.".to_owned()
        });
    }
    out
}

fn stop(stopped: &Stopped, channel: ChannelName, zone: Tz, today: NaiveDate) -> String {
    let what = match channel {
        ChannelName::Email => "The address",
        ChannelName::Sms => "The number",
    };
    format!(
        "{what} is on the do-not-write list since {}: {}.",
        moment(stopped.since, zone, today),
        stopped.reason
    )
}
