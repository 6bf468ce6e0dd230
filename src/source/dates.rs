//! Days and moments as files write them.
//!
//! A ship date is a civil day: the day as it is written, never moved through
//! a zone. Where a text has two readings (`03/04/2027`; 23:00 UTC, which is
//! already the next day in the shop) it is refused, because the wrong one of
//! the two would be told to a customer.

use crate::domain::time::Instant;
use crate::domain::time::resolve;
use chrono::DateTime;
use chrono::NaiveDate;
use chrono::NaiveDateTime;
use chrono::NaiveTime;
use chrono_tz::Tz;

/// Years an order can have to do with; outside lie typing errors and the
/// placeholders of other systems.
const YEARS: std::ops::RangeInclusive<i32> = 1990..=2199;

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

/// Why a text is no date: reason and cure.
pub(super) type BadDate = (String, &'static str);

const WRITE_DAYS: &str = "write it as 2026-12-06";

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

/// Ten digits are Unix seconds, thirteen milliseconds.
fn unix(text: &str) -> Option<Instant> {
    if !matches!(text.len(), 10 | 13) || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: i64 = text.parse().ok()?;
    let millis = if text.len() == 10 { n * 1_000 } else { n };
    DateTime::from_timestamp_millis(millis).map(|_| Instant(millis))
}

/// The day and the clock time behind it, at the first `T` or blank.
fn split_time(text: &str) -> (&str, Option<&str>) {
    match text.find(['T', 't', ' ', '\u{a0}']) {
        Some(at) if at > 0 => {
            let rest = text[at..].trim_start_matches(['T', 't', ' ', '\u{a0}']);
            (&text[..at], Some(rest).filter(|rest| !rest.is_empty()))
        }
        _ => (text, None),
    }
}

/// `HH:MM`, `HH:MM:SS`, `HH:MM:SS.f`, then nothing, `Z`, `UTC`, or an offset
/// (`+01`, `+0100`, `+01:00`) in seconds.
fn clock_time(text: &str) -> Option<(NaiveTime, Option<i64>)> {
    let upper = text.to_ascii_uppercase();
    let (clock, offset) = if let Some(clock) = upper.strip_suffix('Z') {
        (clock, Some(0))
    } else if let Some(clock) = upper.strip_suffix("UTC") {
        (clock, Some(0))
    } else if let Some(at) = upper.rfind(['+', '-']) {
        (&upper[..at], Some(offset_secs(&upper[at..])?))
    } else {
        (upper.as_str(), None)
    };
    let clock = clock.trim().replace(',', ".");
    let time = ["%H:%M:%S%.f", "%H:%M"]
        .iter()
        .find_map(|format| NaiveTime::parse_from_str(&clock, format).ok())?;
    Some((time, offset))
}

fn offset_secs(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text[1..].replace(':', "");
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = match digits.len() {
        2 => (digits.parse::<i64>().ok()?, 0),
        4 => (digits[..2].parse().ok()?, digits[2..].parse::<i64>().ok()?),
        _ => return None,
    };
    (hours <= 15 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// A day alone, in one of the notations.
fn civil_day(text: &str, order: Option<DateOrder>) -> Result<NaiveDate, BadDate> {
    if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        return ymd(&text[..4], &text[4..6], &text[6..], text);
    }
    if text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err((
            format!("{} looks like a spreadsheet's count of days", shown(text)),
            "format the column as a date, yyyy-mm-dd, and export it again",
        ));
    }
    let separators = || text.chars().filter(|c| !c.is_ascii_digit());
    let Some(separator) = separators().next() else {
        return Err(not_a_date(text));
    };
    let parts: Vec<&str> = text.split(separator).collect();
    if !matches!(separator, '-' | '/' | '.') || separators().count() != 2 || parts.len() != 3 {
        return Err(not_a_date(text));
    }
    let (a, b, c) = (parts[0], parts[1], parts[2]);
    match (a.len(), b.len(), c.len(), separator) {
        // Year first: no country writes the day second.
        (4, 1..=2, 1..=2, _) => ymd(a, b, c, text),
        (1..=2, 1..=2, 4, '.') => ymd(c, b, a, text),
        (1..=2, 1..=2, 4, _) => two_orders(a, b, c, order, text),
        (1..=2, 1..=2, 2, _) => Err((
            format!("the year of {} has two digits", shown(text)),
            "write the year with four digits",
        )),
        _ => Err(not_a_date(text)),
    }
}

fn two_orders(
    a: &str,
    b: &str,
    year: &str,
    order: Option<DateOrder>,
    text: &str,
) -> Result<NaiveDate, BadDate> {
    let day_first = ymd(year, b, a, text);
    let month_first = ymd(year, a, b, text);
    match order {
        Some(DateOrder::DayMonthYear) => return day_first,
        Some(DateOrder::MonthDayYear) => return month_first,
        None => {}
    }
    match (day_first, month_first) {
        (Ok(x), Ok(y)) if x == y => Ok(x),
        (Ok(x), Ok(y)) => Err((
            format!("{} can mean {x} or {y}", shown(text)),
            "say which: --dates dmy or --dates mdy",
        )),
        (Ok(x), Err(_)) | (Err(_), Ok(x)) => Ok(x),
        (Err(problem), Err(_)) => Err(problem),
    }
}

fn ymd(year: &str, month: &str, day: &str, text: &str) -> Result<NaiveDate, BadDate> {
    let number = |part: &str| part.parse::<u32>().map_err(|_| not_a_date(text));
    let year = i32::try_from(number(year)?).map_err(|_| not_a_date(text))?;
    let date = NaiveDate::from_ymd_opt(year, number(month)?, number(day)?).ok_or_else(|| {
        (
            format!("{} is not in the calendar", shown(text)),
            WRITE_DAYS,
        )
    })?;
    plausible(date, text)?;
    Ok(date)
}

fn plausible(date: NaiveDate, text: &str) -> Result<(), BadDate> {
    use chrono::Datelike;
    if YEARS.contains(&date.year()) {
        return Ok(());
    }
    Err((
        format!("the year of {} cannot be meant", shown(text)),
        "leave it empty if the date is unknown",
    ))
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

fn not_a_date(text: &str) -> BadDate {
    (format!("{} is not a date", shown(text)), WRITE_DAYS)
}

/// The value for a message, if it has the shape of a date: a shifted column
/// may hold an address or a phone number, and messages carry neither.
fn shown(text: &str) -> String {
    let (day, rest) = split_time(text);
    let parts: Vec<&str> = day.split(['-', '/', '.']).collect();
    let digits = |part: &&str| part.bytes().all(|b| b.is_ascii_digit());
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let day_shaped = match lengths.as_slice() {
        [8] => day.starts_with("19") || day.starts_with("20") || day.starts_with("21"),
        [5] => true,
        [4, 1..=2, 1..=2] | [1..=2, 1..=2, 2 | 4] => true,
        _ => false,
    };
    let clock = |c: char| c.is_ascii_digit() || ".:Z+-".contains(c);
    let clock_shaped = rest.is_none_or(|rest| rest.contains(':') && rest.chars().all(clock));
    if text.len() <= 35 && day_shaped && clock_shaped && parts.iter().all(digits) {
        format!("\"{text}\"")
    } else {
        "the value".to_owned()
    }
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
