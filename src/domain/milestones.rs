//! Day 7, day 14, ...: when an update is due.
//!
//! Milestones are counted in calendar days from the order's local day and
//! keyed by their number, so that whatever the clock does, each is said at
//! most once. Missed ones collapse to the newest.

use super::calendar::first_allowed;
use super::policy::UpdatePolicy;
use super::time::{Instant, at_time};
use chrono::{Days, NaiveDate};
use chrono_tz::Tz;

/// How far ahead a schedule is followed, in days: longer waits end with a
/// person, not with a 70th update.
const DAYS_MAX: u32 = 1_000;

/// A milestone of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Milestone {
    /// Days after the order: 7, 14, 28, ...
    pub days: u32,
    /// The day it falls on, moved to an allowed weekday.
    pub on: NaiveDate,
    pub at: Instant,
}

/// All milestones of an order placed on `ordered_on`, ascending.
pub fn milestones(
    ordered_on: NaiveDate,
    zone: Tz,
    policy: &UpdatePolicy,
) -> impl Iterator<Item = Milestone> + '_ {
    let last = policy.days.last().copied().unwrap_or(0);
    let repeats = policy
        .then_every
        .filter(|every| *every > 0)
        .into_iter()
        .flat_map(move |every| (1..).map(move |n| last + n * every));
    policy
        .days
        .iter()
        .copied()
        .chain(repeats)
        .take_while(|days| *days <= DAYS_MAX)
        .map(move |days| {
            let day = ordered_on
                .checked_add_days(Days::new(days.into()))
                .unwrap_or(ordered_on);
            let on = first_allowed(day, policy.on);
            Milestone {
                days,
                on,
                at: at_time(on, policy.at, zone),
            }
        })
}

/// The newest milestone due at `now` and after `since`.
pub fn latest_due(
    ordered_on: NaiveDate,
    zone: Tz,
    policy: &UpdatePolicy,
    since: Option<Instant>,
    now: Instant,
) -> Option<Milestone> {
    milestones(ordered_on, zone, policy)
        .take_while(|m| m.at <= now)
        .last()
        .filter(|m| since.is_none_or(|since| m.at > since))
}

/// The first milestone at or after `from`.
pub fn first_from(
    ordered_on: NaiveDate,
    zone: Tz,
    policy: &UpdatePolicy,
    from: Instant,
) -> Option<Milestone> {
    milestones(ordered_on, zone, policy).find(|m| m.at >= from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::Weekdays;
    use chrono::DateTime;

    fn utc(text: &str) -> Instant {
        Instant::from_datetime(&DateTime::parse_from_rfc3339(text).unwrap())
    }
    fn policy(at: &str, on: Weekdays) -> UpdatePolicy {
        UpdatePolicy {
            days: vec![7, 14],
            then_every: Some(14),
            at: at.parse().unwrap(),
            on,
        }
    }

    #[test]
    fn milestones_are_civil_days_in_the_orders_zone() {
        let new_york = chrono_tz::America::New_York;
        for (ordered_on, at, days, expected) in [
            ("2026-02-22", "09:00:00", 7, "2026-03-01T14:00:00Z"),
            ("2026-02-22", "09:00:00", 14, "2026-03-08T13:00:00Z"),
            ("2026-10-18", "09:00:00", 14, "2026-11-01T14:00:00Z"),
            ("2026-10-25", "09:00:00", 7, "2026-11-01T14:00:00Z"),
            ("2026-03-01", "02:30:00", 7, "2026-03-08T07:30:00Z"),
            ("2026-10-25", "01:30:00", 7, "2026-11-01T05:30:00Z"),
        ] {
            let policy = policy(at, Weekdays::ALL);
            let found = milestones(ordered_on.parse().unwrap(), new_york, &policy)
                .find(|m| m.days == days)
                .unwrap();
            assert_eq!(found.at, utc(expected), "{ordered_on} day {days} at {at}");
        }
    }

    #[test]
    fn missed_ones_collapse_and_adopted_ones_never_count() {
        let policy = policy("10:00:00", Weekdays::MON_TO_FRI);
        let on: NaiveDate = "2026-02-16".parse().unwrap();
        let zone = chrono_tz::Europe::London;
        let due = |since: Option<&str>, now: &str| {
            latest_due(on, zone, &policy, since.map(utc), utc(now)).map(|m| m.days)
        };
        assert_eq!(due(None, "2026-02-23T09:59:00Z"), None);
        assert_eq!(due(None, "2026-02-23T10:00:00Z"), Some(7));
        assert_eq!(due(None, "2026-03-05T10:00:00Z"), Some(14));
        assert_eq!(
            due(Some("2026-03-03T00:00:00Z"), "2026-03-05T10:00:00Z"),
            None
        );
        assert_eq!(due(None, "2026-03-16T10:00:00Z"), Some(28));
        assert_eq!(due(None, "2026-03-30T10:00:00Z"), Some(42));
    }

    #[test]
    fn a_weekend_milestone_moves_to_monday() {
        let policy = policy("10:00:00", Weekdays::MON_TO_FRI);
        let first = milestones("2026-02-15".parse().unwrap(), chrono_tz::UTC, &policy)
            .next()
            .unwrap();
        assert_eq!(
            (first.days, first.on.to_string().as_str()),
            (7, "2026-02-23")
        );
    }

    #[test]
    fn a_schedule_ends() {
        let policy = policy("10:00:00", Weekdays::ALL);
        assert!(milestones("2026-02-15".parse().unwrap(), chrono_tz::UTC, &policy).count() < 100);
    }
}
