//! The forecast against the planner that really runs.

use super::{Forecast, forecast};
use crate::domain::contact::Preference;
use crate::domain::fixtures::{Story, at, day, said};
use crate::domain::notice_key::Mode;
use crate::domain::reason::Wake;
use crate::domain::time::Instant;
use crate::domain::told::Basis;

fn foreseen_raw(story: &Story, now: &str, until: &str) -> Vec<Forecast> {
    let (now, until) = (at(now), at(until));
    forecast(&story.s, &story.policy, Mode::Live, now, until)
}

fn foreseen(story: &Story, now: &str, until: &str) -> Vec<String> {
    foreseen_raw(story, now, until).iter().map(words).collect()
}

fn words(f: &Forecast) -> String {
    let days = f.milestone_days.map_or(String::new(), |d| format!(" {d}"));
    format!("{} {}{days} {:?}", f.kind, f.channel, f.at)
}

/// Lets the order run from wake to wake, accepting everything when it is due.
fn happened(mut story: Story, now: &str, until: &str) -> Vec<String> {
    let (mut now, until) = (at(now), at(until));
    let mut out = Vec::new();
    loop {
        let planned = story.plan(now);
        story.commit(&planned);
        let due: Vec<_> = story
            .s
            .notices
            .iter()
            .filter(|n| n.in_queue && n.due_at <= now)
            .cloned()
            .collect();
        for n in &due {
            story.accept(n.message, now);
            out.push(words(&Forecast {
                at: now,
                kind: n.kind,
                channel: n.channel,
                milestone_days: n.milestone_days,
            }));
        }
        if !due.is_empty() {
            continue;
        }
        let queued = story.s.notices.iter().filter(|n| n.in_queue);
        let next = queued.map(|n| n.due_at).chain(wake(planned.wake)).min();
        match next {
            Some(next) if next <= until => now = next,
            _ => return out,
        }
    }
}

fn wake(wake: Wake) -> Option<Instant> {
    match wake {
        Wake::At(at) => Some(at),
        Wake::OnEvent | Wake::Never => None,
    }
}

#[test]
fn the_forecast_is_what_the_planner_then_does() {
    let from = "2026-02-18 10:00";
    let until = "2026-04-30 10:00";
    let check = |sentence: &str, story: Story, first: &str| {
        let foreseen = foreseen(&story, from, until);
        assert_eq!(foreseen, happened(story, from, until), "{sentence}");
        assert!(foreseen[0].starts_with(first), "{sentence}: {foreseen:?}");
    };
    let day = "2026-05-29";
    check("unchanged", Story::told(day, day), "update email 7");
    check("no date", Story::told("?", "?"), "update email 7");
    check("new", Story::of_teapots(day), "confirmation email");
    check("a delay", Story::told("2026-03-20", "2026-03-06"), "delay");
    check(
        "a small slip",
        Story::told("2026-03-07", "2026-03-06"),
        "delay",
    );
    check(
        "overdue to be",
        Story::told("2026-02-19", "2026-02-19"),
        "overdue",
    );
    check(
        "withdrawn",
        Story::told("?", "2026-03-06"),
        "date_withdrawn",
    );
    let settling = Story::told(day, "2026-03-06").moved("2026-03-20", "2026-02-18 09:50");
    check("settling", settling, "delay email 2026-02-18T10:20");
    let mut shipping = Story::told("2026-03-20", "2026-03-20");
    shipping.ships(0, 1, "2026-02-18 09:55");
    check("a shipment without tracking", shipping, "shipped");
}

#[test]
fn a_text_is_foreseen_for_the_morning_it_waits_for() {
    let mut story = Story::told("2026-03-20", "2026-03-06").texting(Preference::Both);
    story.s.order.contact.zone = Some(chrono_tz::America::New_York);
    let expected = [
        "delay email 2026-02-26T10:02:00.000Z",
        "delay sms 2026-02-26T14:00:00.000Z",
    ];
    let (now, until) = ("2026-02-26 10:02", "2026-02-27 10:00");
    assert_eq!(foreseen(&story, now, until), expected);
    // Queued, or half of it sent: still foreseen, each once.
    let [email, text] = story.commit(&story.plan_at(now))[..] else {
        panic!()
    };
    assert_eq!(foreseen(&story, now, until), expected);
    story.launch(email);
    assert_eq!(foreseen(&story, now, until), expected);
    story.accept(email, at(now));
    assert_eq!(foreseen(&story, now, until), expected[1..]);
    story.accept(text, at("2026-02-26 14:00"));
    assert_eq!(foreseen(&story, now, until), [""; 0]);
}

#[test]
fn a_queued_message_is_taken_as_said_for_what_follows() {
    let mut story = Story::told("2026-05-29", "2026-05-29");
    let now = "2026-02-23 10:00";
    story.commit(&story.plan_at(now));
    let expected = [
        "update email 7 2026-02-23T10:00:00.000Z",
        "update email 14 2026-03-02T10:00:00.000Z",
    ];
    assert_eq!(foreseen(&story, now, "2026-03-03 10:00"), expected);
}

#[test]
fn what_is_about_to_be_replaced_is_not_foreseen() {
    let mut story = Story::told("2026-03-20", "2026-03-06");
    story.commit(&story.plan_at("2026-02-17 10:00"));
    story.moves(0, "2026-03-06", "2026-02-17 10:01");
    let foreseen = foreseen(&story, "2026-02-17 10:02", "2026-02-20 10:00");
    assert_eq!(foreseen, [""; 0]);
}

#[test]
fn a_possible_word_is_not_foreseen_again() {
    let mut story = Story::told("2026-03-20", "2026-03-06");
    story.hears(0, "2026-03-20", Basis::Possible, "2026-02-18 10:00");
    let (now, until) = ("2026-02-18 10:05", "2026-02-20 10:00");
    assert_eq!(foreseen(&story, now, until), [""; 0]);
    assert_eq!(said(&story.plan_at(now)), ["delay email"]);
}

#[test]
fn a_courtesy_in_doubt_is_not_still_to_come_and_what_must_arrive_is() {
    let (now, until) = ("2026-02-23 10:05", "2026-03-17 10:00");
    for (sentence, mut story, expected) in [
        (
            "an update of a known date",
            Story::told("2026-05-29", "2026-05-29"),
            vec!["update email 14", "update email 28"],
        ),
        (
            "an update without one",
            Story::told("?", "?"),
            vec!["update email 14", "update email 28"],
        ),
        (
            "a first date",
            Story::told("2026-05-29", "?"),
            // Day 7 is satisfied by it, should it have gone out.
            vec!["update email 14", "update email 28"],
        ),
        (
            "a delay",
            Story::told("2026-05-29", "2026-04-30"),
            vec!["delay email", "update email 14", "update email 28"],
        ),
        (
            "a date that is lost",
            Story::told("?", "2026-04-30"),
            vec!["date_withdrawn email", "update email 14", "update email 28"],
        ),
    ] {
        let written = story.commit(&story.plan_at("2026-02-23 10:00"));
        story.doubt(written[0], at("2026-02-23 10:01"));
        // Its quiet period keeps it in flight.
        story.notice(written[0]).in_flight = true;
        let found = foreseen(&story, now, until);
        let found: Vec<&str> = found
            .iter()
            .map(|text| text.rsplit_once(' ').unwrap().0)
            .collect();
        assert_eq!(found, expected, "{sentence}");
    }
}

#[test]
fn a_date_that_had_passed_at_first_sight_causes_no_messages() {
    let mut story = Story::of_teapots("2026-02-17");
    story.hears(0, "2026-02-17", Basis::Baseline, "2026-02-20 12:00");
    story.s.order.adopted_at = Some(at("2026-02-20 12:00"));
    let until = "2026-06-30 10:00";
    assert_eq!(foreseen(&story, "2026-02-20 12:01", until), [""; 0]);
    assert_eq!(happened(story, "2026-02-20 12:01", until), [""; 0]);
}

#[test]
fn nobody_gets_an_update_on_the_day_or_the_eve_of_other_news() {
    for told in 1..60 {
        for adopted in [false, true] {
            let day = day("2026-02-16") + chrono::Days::new(told);
            let mut story = Story::of_teapots(&day.to_string());
            let (basis, heard) = match adopted {
                true => (Basis::Baseline, "2026-02-16 20:00"),
                false => (Basis::Accepted, "2026-02-16 14:31"),
            };
            story.s.order.adopted_at = adopted.then(|| at(heard));
            story.hears(0, &day.to_string(), basis, heard);
            let found = foreseen_raw(&story, "2026-02-16 21:00", "2026-06-01 10:00");
            for pair in found.windows(2) {
                let hours = pair[1].at.since(pair[0].at).as_secs() / 3600;
                // The told day itself is a good day for an update; overdue is
                // said after the grace day.
                assert!(hours >= 48, "told {day}, adopted {adopted}: {pair:?}");
            }
        }
    }
}

#[test]
fn forecasting_changes_nothing_and_ends() {
    let story = Story::told("?", "?");
    let before = story.s.clone();
    let years = foreseen(&story, "2026-02-18 10:00", "2036-02-18 10:00");
    assert!(years.len() > 20, "{}", years.len());
    assert_eq!(story.s, before);
}
