//! Dates, numbers and plural classes in the customer's language.
//!
//! The patterns come from CLDR through `icu`; sentences around them are the
//! templates' business, so no word of any language is written here. Built
//! once per language when templates are loaded and shared by all threads.

use chrono::Datelike;
use chrono::NaiveDate;
use icu_calendar::{Date, Gregorian};
use icu_datetime::FixedCalendarDateTimeFormatter;
use icu_datetime::fieldsets::{MD, MDE, YMDE};
use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal;
use icu_locale_core::Locale as IcuLocale;
use icu_plurals::{PluralCategory, PluralOperands, PluralRules};

/// Beyond this a day without a year could be taken for the nearer one.
const WITHOUT_YEAR_DAYS_MAX: i64 = 300;

/// Everything about a language that is not in the templates.
pub struct LocaleFormat {
    long: FixedCalendarDateTimeFormatter<Gregorian, MDE>,
    long_with_year: FixedCalendarDateTimeFormatter<Gregorian, YMDE>,
    short: FixedCalendarDateTimeFormatter<Gregorian, MDE>,
    short_without_weekday: FixedCalendarDateTimeFormatter<Gregorian, MD>,
    plurals: PluralRules,
    decimal_point: char,
}

impl LocaleFormat {
    /// Formats for a language tag; `None` when it is none CLDR knows.
    pub fn build(tag: &str) -> Option<LocaleFormat> {
        let locale: IcuLocale = tag.parse().ok()?;
        Some(LocaleFormat {
            long: FixedCalendarDateTimeFormatter::try_new(locale.clone().into(), MDE::long())
                .ok()?,
            long_with_year: FixedCalendarDateTimeFormatter::try_new(
                locale.clone().into(),
                YMDE::long(),
            )
            .ok()?,
            short: FixedCalendarDateTimeFormatter::try_new(locale.clone().into(), MDE::medium())
                .ok()?,
            short_without_weekday: FixedCalendarDateTimeFormatter::try_new(
                locale.clone().into(),
                MD::medium(),
            )
            .ok()?,
            plurals: PluralRules::try_new_cardinal(locale.clone().into()).ok()?,
            decimal_point: decimal_point(&locale),
        })
    }

    /// `Friday 20 March`; with the year when it is not `today`'s or lies far
    /// from it.
    pub fn long(&self, day: NaiveDate, today: NaiveDate) -> String {
        let Some(date) = to_icu(day) else {
            return day.to_string();
        };
        let text = if is_far(day, today) || day.year() != today.year() {
            self.long_with_year.format(&date).to_string()
        } else {
            self.long.format(&date).to_string()
        };
        plain_blanks(text)
    }

    /// `Fri 20 Mar`, for texts: no comma and no dot after the weekday or at the
    /// end, where the sentence has its own; the year only where the day is far
    /// away.
    pub fn short(&self, day: NaiveDate, today: NaiveDate) -> String {
        let Some(date) = to_icu(day) else {
            return day.to_string();
        };
        let text = self.short.format(&date).to_string();
        let text = plain_blanks(text.replace(".,", "").replace(',', ""));
        if is_far(day, today) {
            format!("{text} {}", day.year())
        } else {
            text.trim_end_matches('.').to_owned()
        }
    }

    /// `20 Mar`, for the two ends of a window in a text.
    pub fn short_without_weekday(&self, day: NaiveDate) -> String {
        to_icu(day).map_or_else(
            || day.to_string(),
            |date| {
                let text = plain_blanks(self.short_without_weekday.format(&date).to_string());
                text.trim_end_matches('.').to_owned()
            },
        )
    }

    /// A number as it is written here: `2.5` becomes `2,5` in German.
    pub fn number(&self, plain: &str) -> String {
        if self.decimal_point == '.' {
            plain.to_owned()
        } else {
            plain.replace('.', &self.decimal_point.to_string())
        }
    }

    /// CLDR's plural class of a number, the word templates give forms for.
    pub fn plural_class(&self, plain: &str) -> &'static str {
        let operands = plain
            .parse::<Decimal>()
            .map_or_else(|_| PluralOperands::from(0u64), |n| PluralOperands::from(&n));
        match self.plurals.category_for(operands) {
            PluralCategory::Zero => "zero",
            PluralCategory::One => "one",
            PluralCategory::Two => "two",
            PluralCategory::Few => "few",
            PluralCategory::Many => "many",
            PluralCategory::Other => "other",
        }
    }
}

fn is_far(day: NaiveDate, today: NaiveDate) -> bool {
    (day - today).num_days().abs() > WITHOUT_YEAR_DAYS_MAX
}

fn to_icu(day: NaiveDate) -> Option<Date<Gregorian>> {
    let month = u8::try_from(day.month()).ok()?;
    let on = u8::try_from(day.day()).ok()?;
    Date::try_new_gregorian(day.year(), month, on).ok()
}

/// Locale data likes U+202F and U+00A0; one of them would triple the price of
/// a text message.
fn plain_blanks(text: String) -> String {
    text.replace(['\u{202f}', '\u{a0}'], " ")
}

fn decimal_point(locale: &IcuLocale) -> char {
    DecimalFormatter::try_new(locale.clone().into(), Default::default())
        .ok()
        .and_then(|format| {
            let half = "0.5".parse::<Decimal>().ok()?;
            let text = format.format(&half).to_string();
            text.chars().find(|c| !c.is_numeric())
        })
        .unwrap_or('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn days_read_as_people_write_them() {
        for (tag, day, long, short) in [
            ("en-GB", "2026-03-20", "Friday 20 March", "Fri 20 Mar"),
            ("en-US", "2026-03-20", "Friday, March 20", "Fri Mar 20"),
            ("de", "2026-03-20", "Freitag, 20. März", "Fr 20. März"),
            ("de-AT", "2026-01-20", "Dienstag, 20. Jänner", "Di 20. Jän"),
            (
                "en-GB",
                "2027-01-08",
                "Friday, 8 January 2027",
                "Fri 8 Jan 2027",
            ),
        ] {
            let format = LocaleFormat::build(tag).unwrap();
            assert_eq!(format.long(d(day), d("2026-03-02")), long, "{tag}");
            assert_eq!(format.short(d(day), d("2026-03-02")), short, "{tag}");
        }
    }

    #[test]
    fn the_year_is_printed_where_it_could_be_missed() {
        let format = LocaleFormat::build("en-GB").unwrap();
        for (today, day, has_year) in [
            ("2026-12-28", "2027-01-04", true),
            ("2026-01-02", "2026-12-01", true),
            ("2026-03-02", "2026-12-01", false),
        ] {
            let text = format.long(d(day), d(today));
            assert_eq!(text.contains("202"), has_year, "{text}");
        }
    }

    #[test]
    fn numbers_and_plural_classes_follow_the_language() {
        let german = LocaleFormat::build("de").unwrap();
        assert_eq!(german.number("2.5"), "2,5");
        let polish = LocaleFormat::build("pl").unwrap();
        for (n, class) in [("1", "one"), ("3", "few"), ("5", "many"), ("1.5", "other")] {
            assert_eq!(polish.plural_class(n), class, "{n}");
        }
        assert!(LocaleFormat::build("not a tag").is_none());
    }
}
