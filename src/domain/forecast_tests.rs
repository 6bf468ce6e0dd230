//! The forecast against the planner that really runs.

use super::{Forecast, forecast};
use crate::domain::contact::{Locale, Preference};
use crate::domain::fixtures::{Story, at, said};
use crate::domain::notice_key::Mode;
use crate::domain::reason::Wake;
use crate::domain::time::Instant;
use crate::domain::told::Basis;

fn foreseen(story: &Story, now: &str, until: &str) -> Vec<String> {
    let locale = Locale::parse("en").unwrap();
    let (now, until) = (at(now), at(until));
    forecast(&story.s, &story.policy, Mode::Live, &locale, now, until)
        .iter()
        .map(words)
        .collect()
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
fn forecasting_changes_nothing_and_ends() {
    let story = Story::told("?", "?");
    let before = story.s.clone();
    let years = foreseen(&story, "2026-02-18 10:00", "2036-02-18 10:00");
    assert!(years.len() > 20, "{}", years.len());
    assert_eq!(story.s, before);
}
