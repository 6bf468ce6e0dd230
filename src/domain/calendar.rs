//! Working days: which days the shop works, and counting along them.
//!
//! Dates only; instants come from [`super::time`]. A shop knows its own
//! holidays, so they are a list, not a rule; the list may say until when it
//! holds, and past that day nobody guesses.

use chrono::{Datelike, Days, NaiveDate, Weekday};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Longest walk along closed days before giving up: a list that closes the
/// shop for a year is an error elsewhere, not an endless loop here.
const CLOSED_DAYS_MAX: u32 = 400;

/// A set of weekdays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weekdays(u8);

impl Weekdays {
    pub const ALL: Weekdays = Weekdays(0b111_1111);
    pub const MON_TO_FRI: Weekdays = Weekdays(0b001_1111);
    pub const MON_TO_SAT: Weekdays = Weekdays(0b011_1111);

    pub fn from_days(days: &[Weekday]) -> Weekdays {
        Weekdays(
            days.iter()
                .fold(0, |mask, day| mask | 1 << day.num_days_from_monday()),
        )
    }
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & (1 << day.num_days_from_monday()) != 0
    }
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// When the shop works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    pub working: Weekdays,
    pub closed: BTreeSet<NaiveDate>,
}

impl Default for Calendar {
    fn default() -> Calendar {
        Calendar {
            working: Weekdays::MON_TO_FRI,
            closed: BTreeSet::new(),
        }
    }
}

impl Calendar {
    pub fn is_working(&self, day: NaiveDate) -> bool {
        self.working.contains(day.weekday()) && !self.closed.contains(&day)
    }

    /// `day` itself if it is a working day, else the next one.
    pub fn working_from(&self, day: NaiveDate) -> NaiveDate {
        self.walk(day, 1)
    }

    /// The `n`-th working day after `day` (before it when negative). `day`
    /// itself is never counted; `n = 0` is [`Calendar::working_from`].
    pub fn add_working_days(&self, day: NaiveDate, n: i32) -> NaiveDate {
        if n == 0 {
            return self.working_from(day);
        }
        let step = n.signum();
        let mut at = day;
        for _ in 0..n.unsigned_abs() {
            at = self.walk(shift(at, step), step);
        }
        at
    }

    fn walk(&self, from: NaiveDate, step: i32) -> NaiveDate {
        let mut day = from;
        for _ in 0..CLOSED_DAYS_MAX {
            if self.is_working(day) {
                return day;
            }
            day = shift(day, step);
        }
        from
    }
}

/// The next day, or the one before; stays at the edge of the calendar.
fn shift(day: NaiveDate, step: i32) -> NaiveDate {
    let one = Days::new(1);
    let shifted = if step < 0 {
        day.checked_sub_days(one)
    } else {
        day.checked_add_days(one)
    };
    shifted.unwrap_or(day)
}

/// The first day from `day` on (itself included) that is in `allowed`.
pub fn first_allowed(day: NaiveDate, allowed: Weekdays) -> NaiveDate {
    let mut at = day;
    for _ in 0..7 {
        if allowed.contains(at.weekday()) {
            return at;
        }
        at = shift(at, 1);
    }
    day
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us_federal() -> Calendar {
        let closed = [
            "2026-01-01",
            "2026-01-19",
            "2026-02-16",
            "2026-05-25",
            "2026-06-19",
            "2026-07-03",
            "2026-09-07",
            "2026-10-12",
            "2026-11-11",
            "2026-11-26",
            "2026-12-25",
            "2027-01-01",
            "2027-12-31",
        ];
        Calendar {
            working: Weekdays::MON_TO_FRI,
            closed: closed.iter().map(|d| d.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn working_days_skip_weekends_and_holidays() {
        let calendar = us_federal();
        for (from, n, expected) in [
            ("2026-11-24", 5, "2026-12-02"),
            ("2026-07-02", 3, "2026-07-08"),
            ("2027-12-30", 1, "2028-01-03"),
            ("2026-12-18", 10, "2027-01-05"),
            ("2026-04-01", -3, "2026-03-27"),
            ("2026-12-20", -3, "2026-12-16"),
            ("2026-04-02", 7, "2026-04-13"),
            ("2026-12-25", 0, "2026-12-28"),
        ] {
            let day: NaiveDate = from.parse().unwrap();
            assert_eq!(
                calendar.add_working_days(day, n).to_string(),
                expected,
                "{from} + {n}"
            );
        }
    }

    #[test]
    fn a_shop_that_never_works_ends_no_loop() {
        let never = Calendar {
            working: Weekdays::from_days(&[]),
            closed: BTreeSet::new(),
        };
        let day: NaiveDate = "2026-04-02".parse().unwrap();
        assert_eq!(never.working_from(day), day);
    }
}
