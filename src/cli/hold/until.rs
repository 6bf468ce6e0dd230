//! When a hold ends by itself.

use crate::domain::time::{Instant, Length, at_time, resolve};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;

/// Reads a day (its first moment), a day with a time, both in the shop's zone,
/// or a length from now.
///
/// # Errors
/// None of these, or it is over already; a sentence for people.
pub fn parse(text: &str, now: Instant, zone: Tz) -> Result<Instant, String> {
    let text = text.trim();
    let until = civil(text, zone)
        .or_else(|| length(text).map(|length| now.plus(length)))
        .ok_or_else(|| {
            format!(
                "--until {text} is neither a day like 2026-03-02, nor a time like \
                 \"2026-03-02 14:00\", nor a length like 4h or 3d"
            )
        })?;
    if until <= now {
        return Err(format!("--until {text} is over already"));
    }
    Ok(until)
}

/// A day (its first moment) or a day with a time, in `zone`.
pub fn civil(text: &str, zone: Tz) -> Option<Instant> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Some(at_time(day, NaiveTime::MIN, zone));
    }
    ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|local| resolve(local, zone))
}

/// `90m`, `4h`, `3d`, `2w`.
pub fn length(text: &str) -> Option<Length> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let one = match unit {
        "m" => Length::mins(1),
        "h" => Length::hours(1),
        "d" => Length::days(1),
        "w" => Length::days(7),
        _ => return None,
    };
    let n: i64 = digits.parse().ok().filter(|n| *n > 0)?;
    n.checked_mul(one.0).map(Length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_times_and_lengths_are_understood() {
        let london = chrono_tz::Europe::London;
        let now = civil("2026-03-02 10:00", london).unwrap();
        for (text, expected) in [
            ("2026-03-05", "2026-03-05 00:00"),
            ("2026-03-02 14:00", "2026-03-02 14:00"),
            ("2026-03-02T14:00", "2026-03-02 14:00"),
            ("90m", "2026-03-02 11:30"),
            ("4h", "2026-03-02 14:00"),
            ("3d", "2026-03-05 10:00"),
            ("1w", "2026-03-09 10:00"),
        ] {
            assert_eq!(
                parse(text, now, london),
                Ok(civil(expected, london).unwrap()),
                "{text}"
            );
        }
        for text in [
            "",
            "soon",
            "0h",
            "-1d",
            "3 days",
            "5y",
            "2026-03-02",
            "2026-03-02 10:00",
            "é",
        ] {
            assert!(parse(text, now, london).is_err(), "{text}");
        }
    }
}
