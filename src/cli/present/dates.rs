//! Days, moments and lengths as a person says them.

use super::count;
use crate::domain::eta::Eta;
use crate::domain::time::{Instant, Length};
use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;

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
