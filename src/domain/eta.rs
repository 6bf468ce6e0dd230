//! The expected ship date: a civil day, a window of days, or unknown.
//!
//! An ETA has no clock time and no zone and is never shifted through UTC: the
//! 15th of December is the 15th in Auckland and in Honolulu. Two ETAs are
//! compared by their *last* day, because that is the day a customer may have
//! to wait for.

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use std::fmt;

/// When a line is expected to ship. Construct windows with [`Eta::window`],
/// which keeps `from < to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Eta {
    /// On this day.
    Day { on: NaiveDate },
    /// On one of the days from `from` to `to`, both included; `from < to`.
    Window { from: NaiveDate, to: NaiveDate },
    /// Nobody knows.
    #[default]
    Unknown,
}

impl Eta {
    pub fn day(on: NaiveDate) -> Eta {
        Eta::Day { on }
    }

    /// A window; equal ends make a day.
    ///
    /// # Errors
    /// `from` after `to`.
    pub fn window(from: NaiveDate, to: NaiveDate) -> Result<Eta, BackwardsWindow> {
        match from.cmp(&to) {
            std::cmp::Ordering::Less => Ok(Eta::Window { from, to }),
            std::cmp::Ordering::Equal => Ok(Eta::Day { on: from }),
            std::cmp::Ordering::Greater => Err(BackwardsWindow { from, to }),
        }
    }

    /// From the two columns every row and table has. Only `to` given means
    /// "by that day" and is read as that day; only `from` given, likewise.
    ///
    /// # Errors
    /// `from` after `to`.
    pub fn from_ends(
        from: Option<NaiveDate>,
        to: Option<NaiveDate>,
    ) -> Result<Eta, BackwardsWindow> {
        match (from, to) {
            (None, None) => Ok(Eta::Unknown),
            (Some(day), None) | (None, Some(day)) => Ok(Eta::day(day)),
            (Some(from), Some(to)) => Eta::window(from, to),
        }
    }

    /// First possible day; `None` when unknown.
    pub fn first(self) -> Option<NaiveDate> {
        match self {
            Eta::Day { on } => Some(on),
            Eta::Window { from, .. } => Some(from),
            Eta::Unknown => None,
        }
    }

    /// Last possible day: the one that is compared. `None` when unknown.
    pub fn last(self) -> Option<NaiveDate> {
        match self {
            Eta::Day { on } => Some(on),
            Eta::Window { to, .. } => Some(to),
            Eta::Unknown => None,
        }
    }

    pub fn is_known(self) -> bool {
        self != Eta::Unknown
    }

    /// Days from the last day of `self` to the last day of `other`: positive
    /// when `other` is later. `None` when either is unknown.
    pub fn days_until(self, other: Eta) -> Option<i64> {
        Some((other.last()? - self.last()?).num_days())
    }

    /// The same ETA some days later; an unknown one stays unknown.
    #[must_use]
    pub fn later_by(self, days: u32) -> Eta {
        let add = |day: NaiveDate| day.checked_add_days(Days::new(days.into())).unwrap_or(day);
        match self {
            Eta::Day { on } => Eta::Day { on: add(on) },
            Eta::Window { from, to } => Eta::Window {
                from: add(from),
                to: add(to),
            },
            Eta::Unknown => Eta::Unknown,
        }
    }

    /// True when every day of `self` lies within `other`: a window narrowed
    /// inside what was told is no news.
    pub fn is_within(self, other: Eta) -> bool {
        match (self.first(), self.last(), other.first(), other.last()) {
            (Some(f), Some(t), Some(of), Some(ot)) => of <= f && t <= ot,
            _ => self == other,
        }
    }
}

/// Machine-readable: `2026-03-06`, `2026-03-06..2026-03-09` or `unknown`.
impl fmt::Display for Eta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Eta::Day { on } => write!(f, "{on}"),
            Eta::Window { from, to } => write!(f, "{from}..{to}"),
            Eta::Unknown => f.write_str("unknown"),
        }
    }
}

/// A window whose first day comes after its last.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the window starts on {from}, after its end {to}")]
pub struct BackwardsWindow {
    pub from: NaiveDate,
    pub to: NaiveDate,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn d(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn ends_make_days_windows_or_nothing() {
        assert_eq!(Eta::from_ends(None, None), Ok(Eta::Unknown));
        assert_eq!(
            Eta::from_ends(Some(d("2026-03-06")), None),
            Ok(Eta::day(d("2026-03-06")))
        );
        assert_eq!(
            Eta::from_ends(Some(d("2026-03-06")), Some(d("2026-03-06"))),
            Ok(Eta::day(d("2026-03-06")))
        );
        assert!(Eta::from_ends(Some(d("2026-03-07")), Some(d("2026-03-06"))).is_err());
    }

    #[test]
    fn the_last_day_counts() {
        let told = Eta::window(d("2026-03-06"), d("2026-03-10")).unwrap();
        let now = Eta::day(d("2026-03-12"));
        assert_eq!(told.days_until(now), Some(2));
        assert!(Eta::day(d("2026-03-08")).is_within(told));
        assert!(!now.is_within(told));
        assert_eq!(told.days_until(Eta::Unknown), None);
    }

    proptest! {
        #[test]
        fn distance_is_antisymmetric(a in 0i64..4000, b in 0i64..4000) {
            let base = d("2024-01-01");
            let at = |n: i64| Eta::day(base + chrono::Duration::days(n));
            prop_assert_eq!(at(a).days_until(at(b)), Some(b - a));
            prop_assert_eq!(at(b).days_until(at(a)), Some(a - b));
        }
    }
}
