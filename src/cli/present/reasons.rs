//! Why an order stays quiet, with the particulars of the case.

use super::dates::{day, moment};
use crate::domain::reason::{Disbelief, Reason};
use crate::domain::time::Instant;
use chrono::NaiveDate;
use chrono_tz::Tz;

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

/// A reason that waits for a person, where it is already said that it does.
pub fn without_call(words: &str) -> &str {
    words
        .strip_suffix("; a person should look")
        .unwrap_or(words)
}
