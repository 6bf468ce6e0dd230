//! Hours in which a message may go out: per weekday, in somebody's zone.
//!
//! A window is `opens <= local time < closes`. What falls outside is put off
//! to the next opening, never dropped.

use super::calendar::Weekdays;
use super::time::{Instant, at_time};
use chrono::{Datelike, Days, NaiveTime};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// Opening hours on some weekdays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenHours {
    pub on: Weekdays,
    pub opens: NaiveTime,
    /// Exclusive.
    pub closes: NaiveTime,
}

/// A week of opening hours; the first entry that names a weekday counts for
/// it, a weekday nobody names is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SendHours(pub Vec<OpenHours>);

impl SendHours {
    /// The earliest moment from `at` on that lies inside the hours, in `zone`.
    /// `at` itself when it does, and when the hours are never open at all (the
    /// configuration refuses that; losing a message would be worse).
    pub fn earliest(&self, at: Instant, zone: Tz) -> Instant {
        let local = at.in_zone(zone);
        for ahead in 0..=7u64 {
            let Some(day) = local.date_naive().checked_add_days(Days::new(ahead)) else {
                break;
            };
            let Some(hours) = self.0.iter().find(|h| h.on.contains(day.weekday())) else {
                continue;
            };
            if ahead == 0 {
                if local.time() >= hours.closes {
                    continue;
                }
                if local.time() >= hours.opens {
                    return at;
                }
            }
            return at_time(day, hours.opens, zone).max(at);
        }
        at
    }

    pub fn is_open(&self, at: Instant, zone: Tz) -> bool {
        self.earliest(at, zone) == at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Weekday};

    fn t(text: &str) -> NaiveTime {
        NaiveTime::parse_from_str(text, "%H:%M").unwrap()
    }
    fn utc(text: &str) -> Instant {
        Instant::from_datetime(&DateTime::parse_from_rfc3339(text).unwrap())
    }
    fn every_day(opens: &str, closes: &str) -> SendHours {
        SendHours(vec![OpenHours {
            on: Weekdays::ALL,
            opens: t(opens),
            closes: t(closes),
        }])
    }

    #[test]
    fn outside_the_hours_is_put_off_to_the_next_opening() {
        let federal = every_day("08:00", "21:00");
        let florida = every_day("08:00", "20:00");
        let sunday_noon = SendHours(vec![
            OpenHours {
                on: Weekdays::from_days(&[Weekday::Sun]),
                opens: t("12:00"),
                closes: t("21:00"),
            },
            OpenHours {
                on: Weekdays::ALL,
                opens: t("09:00"),
                closes: t("21:00"),
            },
        ]);
        let new_york = chrono_tz::America::New_York;
        for (hours, at, zone, expected) in [
            (
                &federal,
                "2026-11-20T01:30:00Z",
                new_york,
                "2026-11-20T01:30:00Z",
            ),
            (
                &florida,
                "2026-11-20T01:30:00Z",
                new_york,
                "2026-11-20T13:00:00Z",
            ),
            (
                &federal,
                "2026-11-20T02:00:00Z",
                new_york,
                "2026-11-20T13:00:00Z",
            ),
            (
                &federal,
                "2026-11-20T02:00:00Z",
                chrono_tz::America::Phoenix,
                "2026-11-20T02:00:00Z",
            ),
            (
                &federal,
                "2026-10-31T12:30:00Z",
                new_york,
                "2026-10-31T12:30:00Z",
            ),
            (
                &federal,
                "2026-11-01T12:30:00Z",
                new_york,
                "2026-11-01T13:00:00Z",
            ),
            (
                &sunday_noon,
                "2026-11-22T16:30:00Z",
                chrono_tz::America::Chicago,
                "2026-11-22T18:00:00Z",
            ),
        ] {
            assert_eq!(hours.earliest(utc(at), zone), utc(expected), "{at} {zone}");
        }
    }

    #[test]
    fn hours_that_never_open_do_not_lose_the_message() {
        let never = SendHours(vec![]);
        let at = utc("2026-11-20T02:00:00Z");
        assert_eq!(never.earliest(at, chrono_tz::UTC), at);
    }
}
