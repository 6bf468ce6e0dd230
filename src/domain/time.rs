//! Instants and civil time.
//!
//! An [`Instant`] is what a database row and a comparison need: Unix
//! milliseconds, no zone. Civil days and clock times are `chrono` types and
//! become instants only here, by one rule (RFC 5545 readers know it as
//! "compatible"): a time that does not exist moves forward by the gap, a time
//! that exists twice is the first of the two.
//!
//! Nothing in this file asks what time it is.

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A moment, in milliseconds since 1970-01-01T00:00Z. Ordered, zone-free,
/// stored as it is on both database engines.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instant(pub i64);

impl Instant {
    /// From any zoned `chrono` time; sub-millisecond digits are dropped.
    pub fn from_datetime<Z: TimeZone>(at: &DateTime<Z>) -> Instant {
        Instant(at.timestamp_millis())
    }

    /// As UTC. Instants outside the range of `chrono` (some 260,000 years)
    /// saturate at its ends.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or(if self.0 < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        })
    }

    /// The civil time of this moment in `zone`.
    pub fn in_zone(self, zone: Tz) -> DateTime<Tz> {
        self.to_utc().with_timezone(&zone)
    }

    /// The civil day of this moment in `zone`.
    pub fn day_in(self, zone: Tz) -> NaiveDate {
        self.in_zone(zone).date_naive()
    }

    /// This moment plus a length; saturates.
    #[must_use]
    pub fn plus(self, length: Length) -> Instant {
        Instant(self.0.saturating_add(length.0))
    }

    /// This moment minus a length; saturates.
    #[must_use]
    pub fn minus(self, length: Length) -> Instant {
        Instant(self.0.saturating_sub(length.0))
    }

    /// Time from `earlier` to `self`; negative when `self` is the earlier.
    pub fn since(self, earlier: Instant) -> Length {
        Length(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_utc().format("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

/// A length of time in milliseconds, for arithmetic with [`Instant`].
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Length(pub i64);

impl Length {
    pub const ZERO: Length = Length(0);

    pub const fn secs(n: i64) -> Length {
        Length(n * 1_000)
    }
    pub const fn mins(n: i64) -> Length {
        Length::secs(n * 60)
    }
    pub const fn hours(n: i64) -> Length {
        Length::mins(n * 60)
    }
    /// Days of exactly 24 hours. Civil days are counted with dates instead.
    pub const fn days(n: i64) -> Length {
        Length::hours(n * 24)
    }
    pub fn as_secs(self) -> i64 {
        self.0 / 1_000
    }
    /// As a standard duration; negative lengths become zero.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }
}

/// The instant of a civil time in a zone: a time in a gap moves forward by the
/// length of the gap, a time that occurs twice is the first occurrence.
pub fn resolve(local: NaiveDateTime, zone: Tz) -> Instant {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Instant::from_datetime(&at),
        LocalResult::None => {
            // Read with the offset in force before the gap, a skipped time
            // lands exactly one gap later on the clock.
            let before = GapInfo::new(&local, &zone).and_then(|gap| gap.begin);
            match before {
                Some((_, offset)) => {
                    use chrono::Offset;
                    let secs = i64::from(offset.fix().local_minus_utc());
                    Instant(local.and_utc().timestamp_millis() - secs * 1_000)
                }
                None => Instant(local.and_utc().timestamp_millis()),
            }
        }
    }
}

/// The instant of `time` on `day` in `zone`; see [`resolve`].
pub fn at_time(day: NaiveDate, time: NaiveTime, zone: Tz) -> Instant {
    resolve(day.and_time(time), zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Instant {
        Instant::from_datetime(&DateTime::parse_from_rfc3339(text).unwrap())
    }

    fn check(day: &str, time: &str, zone: Tz, expected: &str) {
        let day: NaiveDate = day.parse().unwrap();
        let time: NaiveTime = time.parse().unwrap();
        assert_eq!(
            at_time(day, time, zone),
            utc(expected),
            "{day} {time} {zone}"
        );
    }

    #[test]
    fn civil_times_become_instants_by_the_compatible_rule() {
        let new_york = chrono_tz::America::New_York;
        check("2026-03-01", "09:00:00", new_york, "2026-03-01T14:00:00Z");
        check("2026-03-08", "09:00:00", new_york, "2026-03-08T13:00:00Z");
        check("2026-11-01", "09:00:00", new_york, "2026-11-01T14:00:00Z");
        // In the gap: 02:30 does not exist, 03:30 EDT it is.
        check("2026-03-08", "02:30:00", new_york, "2026-03-08T07:30:00Z");
        // In the overlap: the first 01:30, still EDT.
        check("2026-11-01", "01:30:00", new_york, "2026-11-01T05:30:00Z");
        // A gap of thirty minutes.
        check(
            "2026-10-04",
            "02:15:00",
            chrono_tz::Australia::Lord_Howe,
            "2026-10-03T15:45:00Z",
        );
    }

    #[test]
    fn the_day_of_an_instant_depends_on_the_zone() {
        let at = utc("2026-03-02T04:30:00Z");
        assert_eq!(
            at.day_in(chrono_tz::America::New_York).to_string(),
            "2026-03-01"
        );
        assert_eq!(at.day_in(chrono_tz::UTC).to_string(), "2026-03-02");
    }
}
