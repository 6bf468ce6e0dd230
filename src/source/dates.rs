//! Days and moments as files write them.
//!
//! A ship date is a civil day: the day as it is written, never moved through
//! a zone. Where a text has two readings (`03/04/2027`; 23:00 UTC, which is
//! already the next day in the shop) it is refused, because the wrong one of
//! the two would be told to a customer.

use super::notation::BadDate;
use super::notation::civil_day;
use super::notation::clock_time;
use super::notation::not_a_date;
use super::notation::plausible;
use super::notation::shown;
use super::notation::split_time;
use crate::domain::time::Instant;
use crate::domain::time::resolve;
use chrono::DateTime;
use chrono::NaiveDate;
use chrono::NaiveDateTime;
use chrono::NaiveTime;
use chrono_tz::Tz;

/// How a date like `03/04/2027` is meant in this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    DayMonthYear,
    MonthDayYear,
}

impl DateOrder {
    /// Reads `dmy` or `mdy`.
    pub fn parse(text: &str) -> Option<DateOrder> {
        match text.trim().to_ascii_lowercase().as_str() {
            "dmy" => Some(DateOrder::DayMonthYear),
            "mdy" => Some(DateOrder::MonthDayYear),
            _ => None,
        }
    }
    pub fn as_str(self) -> &'static str {
        match self {
            DateOrder::DayMonthYear => "dmy",
            DateOrder::MonthDayYear => "mdy",
        }
    }
}

/// A civil day, and what had to be done to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadDay {
    pub day: NaiveDate,
    pub note: Option<DayNote>,
}

/// Worth a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DayNote {
    UnixSeconds,
    ClockTimeDropped,
}

impl DayNote {
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            DayNote::UnixSeconds => (
                "Unix seconds were read as the day in UTC",
                "write days as 2026-12-06 to be sure",
            ),
            DayNote::ClockTimeDropped => (
                "a date has a clock time; the day as written was taken",
                "write days as 2026-12-06 to be sure",
            ),
        }
    }
}

/// What an instant column said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadInstant {
    At(Instant),
    /// A day without a clock time.
    On(NaiveDate),
}

/// Texts that mean "nobody knows".
pub(super) fn is_no_date(text: &str) -> bool {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    matches!(
        lower.as_str(),
        "" | "null" | "\\n" | "-" | "n/a" | "na" | "#n/a" | "none" | "unknown" | "0"
    ) || text.starts_with("0000-00-00")
        || text.starts_with("0001-01-01")
        || text == "00000000"
        || text == "00.00.0000"
}

/// Reads a civil day.
pub(super) fn day(text: &str, order: Option<DateOrder>, zone: Tz) -> Result<ReadDay, BadDate> {
    let text = text.trim();
    if let Some(at) = unix(text) {
        let utc = at.to_utc();
        plausible(utc.date_naive(), text)?;
        if utc.time() != NaiveTime::MIN && at.day_in(zone) != utc.date_naive() {
            return Err(two_days(text, utc.date_naive(), at.day_in(zone)));
        }
        return Ok(ReadDay {
            day: utc.date_naive(),
            note: Some(DayNote::UnixSeconds),
        });
    }
    let (day_text, time_text) = split_time(text);
    let day = civil_day(day_text, order)?;
    let Some(time_text) = time_text else {
        return Ok(ReadDay { day, note: None });
    };
    let (time, offset) = clock_time(time_text).ok_or_else(|| not_a_date(text))?;
    if time == NaiveTime::MIN {
        return Ok(ReadDay { day, note: None });
    }
    if let Some(offset) = offset {
        let there = with_offset(day.and_time(time), offset).day_in(zone);
        if there != day {
            return Err(two_days(text, day, there));
        }
    }
    Ok(ReadDay {
        day,
        note: Some(DayNote::ClockTimeDropped),
    })
}

/// Reads a moment; clock times without an offset are the shop's.
pub(super) fn instant(
    text: &str,
    order: Option<DateOrder>,
    zone: Tz,
) -> Result<ReadInstant, BadDate> {
    let text = text.trim();
    if let Some(at) = unix(text) {
        plausible(at.to_utc().date_naive(), text)?;
        return Ok(ReadInstant::At(at));
    }
    let (day_text, time_text) = split_time(text);
    let day = civil_day(day_text, order)?;
    let Some(time_text) = time_text else {
        return Ok(ReadInstant::On(day));
    };
    let (time, offset) = clock_time(time_text).ok_or_else(|| not_a_date(text))?;
    let local = day.and_time(time);
    Ok(ReadInstant::At(match offset {
        Some(offset) => with_offset(local, offset),
        None => resolve(local, zone),
    }))
}

fn with_offset(local: NaiveDateTime, offset_secs: i64) -> Instant {
    Instant(local.and_utc().timestamp_millis() - offset_secs * 1_000)
}

fn two_days(text: &str, written: NaiveDate, there: NaiveDate) -> BadDate {
    (
        format!(
            "{} is {written} as written and {there} in the shop's zone",
            shown(text)
        ),
        "write the plain day, 2026-12-06",
    )
}

/// Ten digits are Unix seconds, thirteen milliseconds.
fn unix(text: &str) -> Option<Instant> {
    if !matches!(text.len(), 10 | 13) || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: i64 = text.parse().ok()?;
    let millis = if text.len() == 10 { n * 1_000 } else { n };
    DateTime::from_timestamp_millis(millis).map(|_| Instant(millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BERLIN: Tz = chrono_tz::Europe::Berlin;
    const HONOLULU: Tz = chrono_tz::Pacific::Honolulu;

    fn read(text: &str, order: Option<DateOrder>) -> Result<String, String> {
        day(text, order, BERLIN)
            .map(|d| d.day.to_string())
            .map_err(|(reason, cure)| format!("{reason}; {cure}"))
    }

    #[test]
    fn days_with_one_reading_are_read() {
        for text in [
            "2026-12-06",
            "20261206",
            "06.12.2026",
            "6.12.2026",
            "2026/12/06",
            "2026-12-06T00:00:00Z",
            "2026-12-06 00:00:00",
            "2026-12-06 00:00:00+00",
            "2026-12-06T00:00:00.000-10:00",
            "2026-12-06 00:00",
            "2026-12-06 14:30",
            "2026-12-06T14:30:00Z",
            "1796515200",
            " 2026-12-06 ",
        ] {
            assert_eq!(read(text, None), Ok("2026-12-06".to_owned()), "{text}");
        }
        assert_eq!(read("05/05/2027", None), Ok("2027-05-05".to_owned()));
        assert_eq!(read("13/04/2027", None), Ok("2027-04-13".to_owned()));
        assert_eq!(read("04-13-2027", None), Ok("2027-04-13".to_owned()));
    }

    #[test]
    fn midnight_is_never_moved_to_another_day() {
        for zone in [BERLIN, HONOLULU, chrono_tz::Pacific::Auckland] {
            for text in ["2026-12-06T00:00:00Z", "2026-12-06 00:00:00", "1796515200"] {
                assert_eq!(day(text, None, zone).unwrap().day.to_string(), "2026-12-06");
            }
        }
    }

    #[test]
    fn two_readings_are_refused_unless_the_order_is_given() {
        let error = read("03/04/2027", None).unwrap_err();
        assert!(error.contains("2027-04-03 or 2027-03-04"), "{error}");
        assert!(error.contains("--dates dmy"), "{error}");
        assert_eq!(
            read("03/04/2027", DateOrder::parse("dmy")),
            Ok("2027-04-03".to_owned())
        );
        assert_eq!(
            read("03-04-2027", DateOrder::parse("MDY")),
            Ok("2027-03-04".to_owned())
        );
        assert!(read("13/04/2027", Some(DateOrder::MonthDayYear)).is_err());
    }

    #[test]
    fn a_clock_time_that_is_another_day_in_the_shop_is_refused() {
        let error = read("2026-12-05T23:00:00Z", None).unwrap_err();
        assert!(
            error.contains("2026-12-05 as written and 2026-12-06"),
            "{error}"
        );
        assert!(read("1796511600", None).is_err());
    }

    #[test]
    fn what_is_no_day_is_refused_with_its_cure() {
        for (text, part) in [
            ("46362", "spreadsheet"),
            ("06.12.26", "two digits"),
            ("6/12/26", "two digits"),
            ("2026-02-30", "not in the calendar"),
            ("01012027", "the value is not in the calendar"),
            ("9999-12-31", "cannot be meant"),
            ("soon", "the value is not a date"),
            ("anna@mail.example", "the value is not a date"),
            ("+49 30 901820", "the value is not a date"),
            ("030.901.8201", "the value is not a date"),
            ("2026-12-06 call 030 90 18", "the value is not a date"),
            ("2026-12-06 25:00", "is not a date"),
            ("2026-12-06..2026-12-09", "is not a date"),
            ("Dec 6 2026", "the value is not a date"),
            ("12:30", "is not a date"),
        ] {
            let error = read(text, None).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn zero_dates_mean_unknown() {
        for text in [
            "0000-00-00",
            "0000-00-00 00:00:00",
            "null",
            "NULL",
            "-",
            "n/a",
            "N/A",
            "",
            "0001-01-01T00:00:00",
        ] {
            assert!(is_no_date(text), "{text}");
        }
        assert!(!is_no_date("2026-12-06"));
    }

    #[test]
    fn moments_are_the_shops_unless_they_say_otherwise() {
        for (text, utc) in [
            ("2026-03-02T10:00:00Z", "2026-03-02T10:00:00.000Z"),
            ("2026-03-02T10:00:00+01:00", "2026-03-02T09:00:00.000Z"),
            ("2026-03-02 10:00:00.5-0500", "2026-03-02T15:00:00.500Z"),
            ("2026-03-02 10:00", "2026-03-02T09:00:00.000Z"),
            ("02.07.2026 10:00:00", "2026-07-02T08:00:00.000Z"),
            ("1772445600", "2026-03-02T10:00:00.000Z"),
            ("1772445600123", "2026-03-02T10:00:00.123Z"),
        ] {
            match instant(text, None, BERLIN) {
                Ok(ReadInstant::At(at)) => assert_eq!(format!("{at:?}"), utc, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert_eq!(
            instant("2026-03-02", None, BERLIN),
            Ok(ReadInstant::On(
                NaiveDate::from_ymd_opt(2026, 3, 2).unwrap()
            ))
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,30}", digits in "[0-9TZ:+./ -]{0,30}") {
            for text in [text, digits] {
                let _ = day(&text, None, BERLIN);
                let _ = instant(&text, Some(DateOrder::DayMonthYear), HONOLULU);
                let _ = is_no_date(&text);
            }
        }

        #[test]
        fn every_day_is_read_in_every_notation(n in 0i64..40_000) {
            let date = NaiveDate::from_ymd_opt(2000, 1, 1).unwrap() + chrono::Duration::days(n);
            for format in ["%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%Y-%m-%dT00:00:00Z", "%Y/%m/%d"] {
                let text = date.format(format).to_string();
                prop_assert_eq!(day(&text, None, HONOLULU).unwrap().day, date);
            }
            let text = date.format("%m/%d/%Y").to_string();
            prop_assert_eq!(day(&text, Some(DateOrder::MonthDayYear), BERLIN).unwrap().day, date);
        }
    }
}
