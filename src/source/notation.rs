//! Notations of days and clock times, without any zone.

use super::dates::DateOrder;
use chrono::Datelike;
use chrono::NaiveDate;
use chrono::NaiveTime;

/// Years an order can have to do with; outside lie typing errors and the
/// placeholders of other systems.
const YEARS: std::ops::RangeInclusive<i32> = 1990..=2199;

/// Why a text is no date: reason and cure.
pub(super) type BadDate = (String, &'static str);

const WRITE_DAYS: &str = "write it as 2026-12-06";

/// The day and the clock time behind it, at the first `T` or blank.
pub(super) fn split_time(text: &str) -> (&str, Option<&str>) {
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
pub(super) fn clock_time(text: &str) -> Option<(NaiveTime, Option<i64>)> {
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
pub(super) fn civil_day(text: &str, order: Option<DateOrder>) -> Result<NaiveDate, BadDate> {
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

pub(super) fn plausible(date: NaiveDate, text: &str) -> Result<(), BadDate> {
    if YEARS.contains(&date.year()) {
        return Ok(());
    }
    Err((
        format!("the year of {} cannot be meant", shown(text)),
        "leave it empty if the date is unknown",
    ))
}

pub(super) fn not_a_date(text: &str) -> BadDate {
    (format!("{} is not a date", shown(text)), WRITE_DAYS)
}

/// The value for a message, if it has the shape of a date: a shifted column
/// may hold an address or a phone number, and messages carry neither.
pub(super) fn shown(text: &str) -> String {
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
