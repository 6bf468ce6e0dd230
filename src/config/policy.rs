//! What to say and when: reads [`Policy`] from its sections.

use super::forms::{choice, length, like, list, parsed, switch, whole};
use super::raw::{Entry, Value};
use super::reader::{Read, Reader, Section};
use super::units::{self, Wrong};
use crate::domain::calendar::{Calendar, Weekdays};
use crate::domain::contact::Country;
use crate::domain::kinds::Kind;
use crate::domain::policy::{
    BeliefPolicy, BrakePolicy, CancelledPolicy, ConfirmationPolicy, ConfirmedBy, CourtesyPolicy,
    DelayPolicy, OverduePolicy, Policy, ShippedPolicy, SmsPolicy, SoonerPolicy, UpdatePolicy,
};
use crate::domain::quiet_hours::SendHours;
use crate::domain::retry::RetryPolicy;
use crate::domain::time::Length;
use chrono::{NaiveDate, NaiveTime};

const ZERO_TO_A_MONTH: std::ops::RangeInclusive<Length> = Length::ZERO..=Length::days(31);

/// `texts` says whether there is a gateway, `country` is the shop's own.
pub fn read(reader: &Reader, texts: bool, country: Option<Country>) -> Policy {
    let section = |name: &str| reader.section(name);
    let settle = |name: &str| {
        section(name).wanted(
            "settle",
            Length::ZERO,
            length(Length::ZERO..=Length::days(7)),
        )
    };
    let days = |name: &str, key: &str, bounds| section(name).wanted(key, 1, whole(bounds));
    Policy {
        buffer_days: days("promise", "buffer_days", 0..=60),
        calendar: calendar(&section("calendar")),
        confirmation: ConfirmationPolicy {
            by: section("confirmation").wanted(
                "by",
                ConfirmedBy::Us,
                choice(&[("us", ConfirmedBy::Us), ("shop", ConfirmedBy::Shop)]),
            ),
            max_age: section("confirmation").wanted(
                "max_age",
                Length::ZERO,
                length(Length::mins(1)..=Length::days(366)),
            ),
        },
        updates: updates(&section("updates")),
        courtesy: CourtesyPolicy {
            gap: section("courtesy").wanted("gap", Length::ZERO, length(ZERO_TO_A_MONTH)),
            per_week_max: days("courtesy", "per_week", 1..=50),
            silence_days: days("courtesy", "silence_days", 1..=366),
        },
        delay: DelayPolicy {
            threshold_days: days("delay", "threshold_days", 1..=60),
            settle: settle("delay"),
            last_call_working_days: days("delay", "last_call_working_days", 0..=30),
            hours: hours(&section("delay")),
            near_days: days("delay", "near_days", 0..=30),
        },
        sooner: SoonerPolicy {
            threshold_days: days("sooner", "threshold_days", 1..=366),
        },
        shipped: ShippedPolicy {
            settle: settle("shipped"),
            tracking_wait: section("shipped").wanted(
                "tracking_wait",
                Length::ZERO,
                length(Length::ZERO..=Length::days(7)),
            ),
        },
        cancelled: CancelledPolicy {
            settle: settle("cancelled"),
        },
        overdue: OverduePolicy {
            grace_working_days: days("overdue", "grace_working_days", 0..=30),
        },
        belief: BeliefPolicy {
            ahead_days_max: days("belief", "ahead_days", 1..=3660),
            jump_days_max: days("belief", "jump_days", 1..=3660),
        },
        sms: sms(&section("sms"), texts, country),
        brake: BrakePolicy {
            per_hour: days("brake", "per_hour", 1..=1_000_000),
            per_hour_percent: days("brake", "per_hour_percent", 0..=100),
            lapse: section("brake").wanted(
                "lapse",
                Length::ZERO,
                length(Length::mins(5)..=Length::days(31)),
            ),
        },
        retry: retry(&section("retry")),
    }
}

fn calendar(section: &Section<'_>) -> Calendar {
    let working = section.wanted("working", Weekdays::ALL, parsed(units::weekdays));
    let closed = section.wanted("closed", Vec::new(), list(date));
    Calendar {
        working,
        closed: closed.into_iter().collect(),
    }
}

/// A date with or without quotes.
fn date(entry: &Entry) -> Read<NaiveDate> {
    let text = match &entry.value {
        Value::Moment(text) | Value::Text(text) | Value::Typed(text) => text.trim(),
        other => {
            let what = format!("a date is expected, this is {}", other.kind());
            return Err(vec![Wrong::new(what, "write it like 2026-12-25").into()]);
        }
    };
    NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| {
        let what = format!("`{text}` is not a date");
        vec![Wrong::new(what, "write it like 2026-12-25").into()]
    })
}

fn updates(section: &Section<'_>) -> UpdatePolicy {
    let days = section.wanted("days", Vec::new(), list(whole(1..=3660)));
    if !ascending(&days) {
        let mut sorted = days.clone();
        sorted.sort_unstable();
        sorted.dedup();
        section.refuse(
            "days",
            "updates.days do not rise from one to the next",
            format!("write {sorted:?}"),
        );
    }
    UpdatePolicy {
        days,
        then_every: section.wanted("then_every", None, parsed(every)),
        at: section.wanted("at", NaiveTime::MIN, parsed(units::time_of_day)),
        on: section.wanted("on", Weekdays::ALL, parsed(units::weekdays)),
    }
}

/// Whole days, or `never`.
fn every(text: &str) -> Result<Option<u32>, Wrong> {
    if text.eq_ignore_ascii_case("never") {
        return Ok(None);
    }
    let length = units::length(text)?;
    let days = length.0 / Length::days(1).0;
    match u32::try_from(days) {
        Ok(days) if days >= 1 && Length::days(i64::from(days)) == length => Ok(Some(days)),
        _ => Err(Wrong::new(
            format!("`{text}` is not a number of whole days"),
            "write it like \"14d\", or \"never\"",
        )),
    }
}

fn hours(section: &Section<'_>) -> SendHours {
    let hours = section.wanted("hours", Vec::new(), list(parsed(units::open_hours)));
    if hours.is_empty() && section.entry("hours").is_some_and(is_empty_list) {
        let path = section.path_of("hours");
        section.refuse(
            "hours",
            format!("{path} never open, so nothing could ever go out"),
            "write at least one line, like [\"Mon-Sat 09:00-18:00\"]",
        );
    }
    SendHours(hours)
}

fn is_empty_list(entry: &Entry) -> bool {
    match &entry.value {
        Value::List(items) => items.is_empty(),
        Value::Typed(text) => text.trim().is_empty() || text.trim() == "[]",
        _ => false,
    }
}

fn sms(section: &Section<'_>, texts: bool, country: Option<Country>) -> SmsPolicy {
    let kind = |word: &str| {
        Kind::parse(word).ok_or_else(|| {
            let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
            let what = format!("`{word}` is not a kind of notice");
            Wrong::new(what, format!("write one of {}", all.join(", ")))
        })
    };
    let countries = section.maybe("countries", list(like(Country::parse, "\"GB\"")));
    SmsPolicy {
        enabled: texts,
        kinds: section.wanted("kinds", Vec::new(), list(parsed(kind))),
        hours: hours(section),
        countries: countries.unwrap_or_else(|| country.into_iter().collect()),
        per_day_max: section.wanted("per_day", 1, whole(1..=10_000_000)),
        segments_max: section.wanted("max_segments", 1, whole(1..=10)),
        transliterate: section.wanted("transliterate", false, switch),
    }
}

fn retry(section: &Section<'_>) -> RetryPolicy {
    let wait = Length::secs(1)..=Length::days(7);
    let age = Length::mins(1)..=Length::days(31);
    let delays = section.wanted("delays", Vec::new(), list(length(wait.clone())));
    if !delays.windows(2).all(|pair| pair[0] <= pair[1]) {
        section.refuse(
            "delays",
            "retry.delays get shorter",
            "write them in rising order: a relay in trouble needs more time, not less",
        );
    }
    if delays.is_empty() && section.entry("delays").is_some_and(is_empty_list) {
        section.refuse(
            "delays",
            "retry.delays are empty",
            "write at least one, like [\"10m\"]",
        );
    }
    RetryPolicy {
        delays,
        attempts_max: section.wanted("attempts", 1, whole(1..=1_000)),
        relay_delay: section.wanted("relay_delay", Length::ZERO, length(wait.clone())),
        configuration_delay: section.wanted("configuration_delay", Length::ZERO, length(wait)),
        courtesy_age_max: section.wanted("courtesy_age", Length::ZERO, length(age.clone())),
        must_arrive_age_max: section.wanted("must_arrive_age", Length::ZERO, length(age)),
    }
}

fn ascending(days: &[u32]) -> bool {
    days.windows(2).all(|pair| pair[0] < pair[1])
}
