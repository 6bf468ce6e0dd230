//! Values with a unit or a form of their own: lengths of time, times of day,
//! weekdays, opening hours.
//!
//! Pure functions from text to meaning. An `Err` is a sentence about the text
//! and, after it, how to write it.

use crate::domain::calendar::Weekdays;
use crate::domain::quiet_hours::OpenHours;
use crate::domain::time::Length;
use chrono::{NaiveTime, Weekday};

/// What is wrong, and how to write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub what: String,
    pub cure: String,
}

impl Wrong {
    pub fn new(what: impl Into<String>, cure: impl Into<String>) -> Wrong {
        Wrong {
            what: what.into(),
            cure: cure.into(),
        }
    }
}

/// Longest length of time a setting may name: ten years.
const LENGTH_MAX: Length = Length::days(3660);

/// Reads `90s`, `30m`, `72h`, `5d`.
pub fn length(text: &str) -> Result<Length, Wrong> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(Wrong::new(
            format!("`{text}` is not a length of time"),
            "write a number and a unit, like \"90s\", \"30m\", \"72h\" or \"5d\"",
        ));
    }
    let one = match unit.trim() {
        "s" => Length::secs(1),
        "m" => Length::mins(1),
        "h" => Length::hours(1),
        "d" => Length::days(1),
        "" => return Err(no_unit(number)),
        other => {
            return Err(Wrong::new(
                format!("`{other}` is not a unit of time"),
                format!("write {}", with_units(number, suggested_unit(other))),
            ));
        }
    };
    let length = number
        .parse::<i64>()
        .ok()
        .and_then(|n| n.checked_mul(one.0))
        .map(Length)
        .filter(|length| *length <= LENGTH_MAX);
    length.ok_or_else(|| Wrong::new(format!("`{text}` is too long"), "write at most \"3660d\""))
}

/// The refusal of a bare number.
pub fn no_unit(number: &str) -> Wrong {
    Wrong::new(
        format!("`{number}` has no unit"),
        format!("write {}", with_units(number, None)),
    )
}

fn with_units(number: &str, unit: Option<char>) -> String {
    match unit {
        Some(unit) => format!("\"{number}{unit}\""),
        None => format!(
            "\"{number}s\" for seconds, \"{number}m\" for minutes, \"{number}h\" for hours or \"{number}d\" for days"
        ),
    }
}

fn suggested_unit(unit: &str) -> Option<char> {
    let unit = unit.to_ascii_lowercase();
    match unit.as_str() {
        "ms" => None,
        _ => unit.chars().next().filter(|c| "smhd".contains(*c)),
    }
}

/// A length as it is written: in the largest unit that divides it.
pub fn length_text(length: Length) -> String {
    let secs = length.as_secs();
    for (unit, size) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if secs != 0 && secs % size == 0 {
            return format!("{}{unit}", secs / size);
        }
    }
    format!("{secs}s")
}

/// Reads `10:00`; `24:00` is not a time of day.
pub fn time_of_day(text: &str) -> Result<NaiveTime, Wrong> {
    let text = text.trim();
    NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| {
        Wrong::new(
            format!("`{text}` is not a time of day"),
            "write hours and minutes, like \"09:30\" or \"18:00\"",
        )
    })
}

const DAYS: [(&str, &str, Weekday); 7] = [
    ("mon", "monday", Weekday::Mon),
    ("tue", "tuesday", Weekday::Tue),
    ("wed", "wednesday", Weekday::Wed),
    ("thu", "thursday", Weekday::Thu),
    ("fri", "friday", Weekday::Fri),
    ("sat", "saturday", Weekday::Sat),
    ("sun", "sunday", Weekday::Sun),
];

fn weekday(text: &str) -> Result<Weekday, Wrong> {
    let word = text.trim().to_ascii_lowercase();
    DAYS.iter()
        .find(|(short, long, _)| word == *short || word == *long)
        .map(|(_, _, day)| *day)
        .ok_or_else(|| {
            Wrong::new(
                format!("`{}` is not a weekday", text.trim()),
                "write Mon, Tue, Wed, Thu, Fri, Sat or Sun, as in \"Mon-Fri\" or \"Mon, Wed\"",
            )
        })
}

/// Reads `Mon-Fri`, `Sat`, `Mon, Wed, Fri` and `Mon-Wed, Sat`; a span may run
/// over the end of the week (`Sat-Mon`).
pub fn weekdays(text: &str) -> Result<Weekdays, Wrong> {
    let mut days = Vec::new();
    for part in text.split(',') {
        let Some((first, last)) = part.split_once(['-', '–']) else {
            days.push(weekday(part)?);
            continue;
        };
        let (mut day, last) = (weekday(first)?, weekday(last)?);
        days.push(day);
        while day != last {
            day = day.succ();
            days.push(day);
        }
    }
    Ok(Weekdays::from_days(&days))
}

/// Reads `Mon-Sat 09:00-18:00`. Hours that end before they begin are refused:
/// two lines say what one night means.
pub fn open_hours(text: &str) -> Result<OpenHours, Wrong> {
    let form = "write days and hours, like \"Mon-Sat 09:00-18:00\"";
    let refused = || Wrong::new(format!("`{}` are not hours", text.trim()), form);
    let (days, hours) = text.trim().rsplit_once(' ').ok_or_else(refused)?;
    let (opens, closes) = hours.split_once(['-', '–']).ok_or_else(refused)?;
    let on = weekdays(days)?;
    let opens = time_of_day(opens)?;
    let closes = if closes.trim() == "24:00" {
        // The last moment of the day the type can name; closing is exclusive.
        NaiveTime::from_hms_milli_opt(23, 59, 59, 999).unwrap_or(NaiveTime::MIN)
    } else {
        time_of_day(closes)?
    };
    if opens >= closes {
        return Err(Wrong::new(
            format!("`{}` never open", text.trim()),
            "write the earlier time first; hours over midnight take two lines, one per day",
        ));
    }
    Ok(OpenHours { on, opens, closes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_need_a_unit() {
        for (text, secs) in [
            ("90s", 90),
            ("30m", 1_800),
            ("72h", 259_200),
            ("5 d", 432_000),
        ] {
            assert_eq!(length(text).unwrap().as_secs(), secs, "{text}");
        }
        for (text, what, cure) in [
            ("30", "`30` has no unit", "\"30m\" for minutes"),
            ("30min", "`min` is not a unit of time", "write \"30m\""),
            ("30M", "`M` is not a unit of time", "write \"30m\""),
            (
                "2 weeks",
                "`weeks` is not a unit of time",
                "\"2d\" for days",
            ),
            ("soon", "`soon` is not a length of time", "\"90s\""),
            ("-5m", "`-5m` is not a length of time", "\"90s\""),
            ("9999999999999d", "`9999999999999d` is too long", "3660d"),
        ] {
            let wrong = length(text).unwrap_err();
            assert_eq!(wrong.what, what);
            assert!(wrong.cure.contains(cure), "{text}: {}", wrong.cure);
        }
    }

    #[test]
    fn a_length_is_written_back_as_it_was_read() {
        for text in ["90s", "30m", "3d", "5h", "0s"] {
            assert_eq!(length_text(length(text).unwrap()), text);
        }
    }

    #[test]
    fn weekdays_come_as_spans_and_lists() {
        use Weekday::{Fri, Mon, Sat, Sun, Wed};
        for (text, days) in [
            ("Mon-Fri", Weekdays::MON_TO_FRI),
            ("mon - sun", Weekdays::ALL),
            ("Mon, Wed,Friday", Weekdays::from_days(&[Mon, Wed, Fri])),
            ("Sat-Mon", Weekdays::from_days(&[Sat, Sun, Mon])),
        ] {
            assert_eq!(weekdays(text).unwrap(), days, "{text}");
        }
        for bad in ["", "Mo-Fr", "Mon-", "daily", "Mon;Tue"] {
            assert!(weekdays(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hours_have_days_and_an_order() {
        let hours = open_hours("Mon, Sat 09:00-24:00").unwrap();
        assert!(hours.on.contains(Weekday::Sat) && !hours.on.contains(Weekday::Tue));
        for (bad, what) in [
            ("09:00-18:00", "`09:00-18:00` are not hours"),
            ("Mon 18:00-09:00", "`Mon 18:00-09:00` never open"),
            ("Mon 09:00-09:00", "`Mon 09:00-09:00` never open"),
            ("Mon 9-18", "`9` is not a time of day"),
            ("Mon 09:00-25:00", "`25:00` is not a time of day"),
        ] {
            assert_eq!(open_hours(bad).unwrap_err().what, what);
        }
    }
}
