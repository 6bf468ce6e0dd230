//! Notices and messages in a few words: their names, their news, where they
//! stand.

use super::Tone;
use super::dates::eta;
use crate::domain::eta::Eta;
use crate::domain::forecast::Forecast;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::notice_key::Mode;
use crate::domain::statement::{Change, LineStatement};
use crate::store::types::MessageRow;
use chrono::NaiveDate;

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
