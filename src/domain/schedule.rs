//! Cron patterns in a shop's zone: which ticks are due and when the next is.
//!
//! Five fields as in cron(5); day of month and weekday together mean *or*
//! (`+MON` means *and*). Daylight saving follows croner 4: a fixed time in the
//! spring gap runs right after it, a fixed time in the autumn hour runs once.

use super::time::Instant;
use chrono::Utc;
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use std::str::FromStr;

/// A parsed pattern with its zone.
#[derive(Clone, Debug)]
pub struct CronPlan {
    cron: Cron,
    zone: Tz,
    pattern: String,
}

impl CronPlan {
    /// Parses a five-field pattern or one of `@hourly @daily @midnight
    /// @weekly @monthly @yearly`.
    ///
    /// # Errors
    /// Syntax; a pattern that never comes true in the next five years.
    pub fn parse(pattern: &str, zone: Tz, now: Instant) -> Result<CronPlan, BadPattern> {
        let text = pattern.trim();
        // croner knows every nickname but this one.
        let text = if text.eq_ignore_ascii_case("@midnight") {
            "@daily"
        } else {
            text
        };
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build()
            .parse(text)
            .map_err(|e| BadPattern {
                pattern: pattern.to_owned(),
                why: e.to_string(),
            })?;
        let plan = CronPlan {
            cron,
            zone,
            pattern: pattern.to_owned(),
        };
        let horizon = now.plus(super::time::Length::days(5 * 366));
        match plan.next_after(now) {
            Some(next) if next <= horizon => Ok(plan),
            _ => Err(BadPattern {
                pattern: pattern.to_owned(),
                why: "it names no moment in the next five years".to_owned(),
            }),
        }
    }

    pub fn pattern(&self) -> &str {
        &self.pattern
    }
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// First tick strictly after `at`.
    pub fn next_after(&self, at: Instant) -> Option<Instant> {
        let found = self
            .cron
            .find_next_occurrence(&at.in_zone(self.zone), false)
            .ok()?;
        Some(Instant::from_datetime(&found.with_timezone(&Utc)))
    }

    /// Latest tick at or before `at`: the one a handler that fires at `at`
    /// works for.
    pub fn due_at(&self, at: Instant) -> Option<Instant> {
        let found = self
            .cron
            .find_previous_occurrence(&at.in_zone(self.zone), true)
            .ok()?;
        Some(Instant::from_datetime(&found.with_timezone(&Utc)))
    }

    /// The tick that is owed at `now` when `last` was the latest one done:
    /// missed ticks collapse to the newest. `None` when nothing is owed.
    pub fn owed(&self, last: Option<Instant>, now: Instant) -> Option<Instant> {
        let due = self.due_at(now)?;
        match last {
            Some(last) if due <= last => None,
            _ => Some(due),
        }
    }
}

impl FromStr for CronPlan {
    type Err = BadPattern;
    /// For tests and samples: UTC, judged from 2026.
    fn from_str(text: &str) -> Result<CronPlan, BadPattern> {
        CronPlan::parse(text, chrono_tz::UTC, Instant(1_767_225_600_000))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{pattern}` is not a schedule: {why}")]
pub struct BadPattern {
    pub pattern: String,
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn at(text: &str) -> Instant {
        Instant::from_datetime(&DateTime::parse_from_rfc3339(text).unwrap())
    }

    fn days(pattern: &str, n: usize) -> Vec<String> {
        let zone = chrono_tz::Europe::Berlin;
        let mut from = at("2026-06-30T12:00:00+02:00");
        let plan = CronPlan::parse(pattern, zone, from).unwrap();
        (0..n)
            .map(|_| {
                from = plan.next_after(from).unwrap();
                from.day_in(zone).format("%m-%d").to_string()
            })
            .collect()
    }

    #[test]
    fn patterns_mean_what_cron_users_expect() {
        for (pattern, expected) in [
            ("0 9 1 * MON", vec!["07-01", "07-06", "07-13", "07-20"]),
            ("0 9 13 * FRI", vec!["07-03", "07-10", "07-13", "07-17"]),
            ("0 9 L * *", vec!["07-31", "08-31", "09-30", "10-31"]),
            ("0 9 LW * *", vec!["07-31", "08-31", "09-30", "10-30"]),
            ("0 9 15W * *", vec!["07-15", "08-14"]),
            ("0 9 * * FRI#2", vec!["07-10", "08-14", "09-11"]),
            ("0 9 * * 7", vec!["07-05", "07-12"]),
            ("0 9 * * 0", vec!["07-05", "07-12"]),
        ] {
            assert_eq!(days(pattern, expected.len()), expected, "{pattern}");
        }
    }

    #[test]
    fn clock_changes_neither_lose_nor_double_a_daily_run() {
        let zone = chrono_tz::America::New_York;
        for (pattern, from, expected) in [
            (
                "30 2 * * *",
                "2026-03-08T00:00:00-05:00",
                "2026-03-08T03:00:00-04:00",
            ),
            (
                "30 1 * * *",
                "2026-11-01T00:00:00-04:00",
                "2026-11-01T01:30:00-04:00",
            ),
            (
                "30 1 * * *",
                "2026-11-01T01:30:00-04:00",
                "2026-11-02T01:30:00-05:00",
            ),
            (
                "0 9 * * *",
                "2026-10-31T12:00:00-04:00",
                "2026-11-01T09:00:00-05:00",
            ),
        ] {
            let plan = CronPlan::parse(pattern, zone, at(from)).unwrap();
            assert_eq!(
                plan.next_after(at(from)),
                Some(at(expected)),
                "{pattern} {from}"
            );
        }
    }

    #[test]
    fn what_cron_refuses_is_refused() {
        for bad in [
            "*/0 * * * *",
            "60 * * * *",
            "0 24 * * *",
            "0 9 * * 8",
            "0 9 31 2 *",
            "0 0 9 * * *",
            "@reboot",
            "",
        ] {
            assert!(
                CronPlan::parse(bad, chrono_tz::UTC, at("2026-06-30T12:00:00Z")).is_err(),
                "{bad}"
            );
        }
        assert!("@midnight".parse::<CronPlan>().is_ok());
    }

    #[test]
    fn missed_ticks_collapse_to_the_newest() {
        let plan: CronPlan = "0 * * * *".parse().unwrap();
        let last = at("2026-06-30T06:00:00Z");
        let now = at("2026-06-30T12:10:00Z");
        assert_eq!(plan.owed(Some(last), now), Some(at("2026-06-30T12:00:00Z")));
        assert_eq!(plan.owed(Some(at("2026-06-30T12:00:00Z")), now), None);
        // The clock went back: the same tick is not owed again.
        assert_eq!(plan.owed(Some(at("2026-06-30T13:00:00Z")), now), None);
    }
}
