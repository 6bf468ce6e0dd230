//! Over which channel and at what hour.

use crate::domain::contact::{Country, PhoneNumber, Preference};
use crate::domain::fixtures::{Story, at, draft_on, quiet, said};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::statement::Statement;

const NOW: &str = "2026-02-26 10:02";

fn delayed(preferred: Preference) -> Story {
    Story::told("2026-03-20", "2026-03-06").texting(preferred)
}

#[test]
fn channels_follow_the_customers_wish_where_it_can_be_met() {
    let check = |sentence: &str, story: &Story, expected: &[&str]| {
        assert_eq!(said(&story.plan_at(NOW)), expected, "{sentence}");
    };
    let both = ["delay email", "delay sms"];
    check("e-mail by default", &delayed(Preference::Email), &both[..1]);
    check("both", &delayed(Preference::Both), &both);
    check("texts only", &delayed(Preference::Sms), &both[1..]);

    let mut story = delayed(Preference::Both);
    story.s.order.contact.sms_consent = false;
    check("no consent, no text", &story, &both[..1]);
    let mut story = delayed(Preference::Sms);
    story.s.order.contact.phone = None;
    check("no number, e-mail", &story, &both[..1]);
    let mut story = delayed(Preference::Both);
    story.policy.sms.enabled = false;
    check("no gateway", &story, &both[..1]);
    let mut story = delayed(Preference::Both);
    story.policy.sms.countries = vec![Country::parse("US").unwrap()];
    check("a number abroad", &story, &both[..1]);
    story.policy.sms.countries = vec![Country::parse("GB").unwrap()];
    check("a number at home", &story, &both);
    story.s.order.contact.phone = PhoneNumber::parse("+442079460123", None).ok();
    check("a fixed line", &story, &both[..1]);
    let mut story = delayed(Preference::Sms);
    story.policy.sms.kinds = vec![Kind::Shipped];
    check("not a kind for texts", &story, &both[..1]);
    let mut story = delayed(Preference::Both);
    story.s.suppressed = vec![ChannelName::Sms];
    check("stopped texts", &story, &both[..1]);
}

#[test]
fn a_text_steps_in_for_a_dead_address_only_when_it_must_arrive() {
    let mut delay = delayed(Preference::Email);
    delay.s.suppressed = vec![ChannelName::Email];
    assert_eq!(said(&delay.plan_at(NOW)), ["delay sms"]);
    // Even a kind that is not meant for texts.
    let mut confirmation = Story::of_teapots("2026-03-06").texting(Preference::Email);
    confirmation.s.order.contact.email = None;
    assert_eq!(said(&confirmation.plan_at(NOW)), ["confirmation sms"]);

    let mut sooner = Story::told("2026-03-01", "2026-03-06").texting(Preference::Email);
    sooner.s.suppressed = vec![ChannelName::Email];
    assert_eq!(quiet(&sooner.plan_at("2026-02-18 10:00")), ["unreachable"]);
}

#[test]
fn a_customer_without_any_channel_is_a_verdict() {
    let mut story = Story::told("2026-03-20", "2026-03-06");
    story.s.order.contact.email = None;
    let planned = story.plan_at(NOW);
    assert_eq!(
        (said(&planned), quiet(&planned)),
        (vec![], vec!["unreachable"])
    );
    assert!(planned.verdicts[0].reason.needs_a_person());
}

#[test]
fn a_text_waits_for_decent_hours_where_the_customer_lives() {
    let due = |zone: Option<chrono_tz::Tz>, now: &str| {
        let mut story = delayed(Preference::Both);
        story.s.order.contact.zone = zone;
        let planned = story.plan_at(now);
        let text = draft_on(&planned, ChannelName::Sms);
        assert!(text.not_after > text.due_at);
        (draft_on(&planned, ChannelName::Email).due_at, text.due_at)
    };
    let new_york = Some(chrono_tz::America::New_York);
    let now = at(NOW);
    assert_eq!(due(None, NOW), (now, now));
    assert_eq!(due(new_york, NOW), (now, at("2026-02-26 14:00")));
    // Sunday: not before noon.
    let sunday = "2026-03-01 10:00";
    let (email, text) = due(None, sunday);
    assert_eq!(email, at("2026-03-02 09:00"), "news of dates: Mon to Sat");
    assert_eq!(text, at("2026-03-02 09:00"));
}

#[test]
fn news_of_dates_keeps_office_hours_unless_the_told_day_is_near() {
    let due = |told: &str, to: &str, now: &str| {
        let story = Story::told(to, told);
        story.plan_at(now).drafts[0].due_at
    };
    let evening = "2026-02-18 21:00";
    let morning = at("2026-02-19 09:00");
    assert_eq!(due("2026-03-06", "2026-03-20", evening), morning);
    assert_eq!(due("2026-03-06", "?", evening), morning);
    assert_eq!(due("2026-03-06", "2026-02-27", evening), morning);
    assert_eq!(due("?", "2026-02-27", evening), morning);
    assert_eq!(due("2026-02-20", "2026-03-20", evening), morning);
    assert_eq!(due("2026-02-19", "2026-03-20", evening), at(evening));
    assert_eq!(due("2026-02-18", "?", evening), at(evening));
    // On Saturday evening: on Monday that Sunday would be over.
    let late = "2026-02-21 18:30";
    assert_eq!(due("?", "2026-02-22", late), at(late));
    let saturday = "2026-02-21 18:00";
    assert_eq!(
        due("2026-03-06", "2026-03-20", saturday),
        at("2026-02-23 09:00")
    );
}

#[test]
fn other_kinds_go_at_once() {
    let night = "2026-02-21 23:00";
    let mut story = Story::told("2026-03-06", "2026-03-06");
    story.cancels(0, 1, "2026-02-21 22:00");
    assert_eq!(story.plan_at(night).drafts[0].due_at, at(night));
    let new = Story::of_teapots("2026-03-06");
    assert_eq!(new.plan_at(night).drafts[0].due_at, at(night));
}

#[test]
fn both_channels_state_the_same_and_have_keys_of_their_own() {
    let planned = delayed(Preference::Both).plan_at(NOW);
    let [email, text] = &planned.drafts[..] else {
        panic!("{planned:?}")
    };
    assert_ne!(email.key, text.key);
    let facts = Statement::facts_hash;
    assert_eq!(facts(&email.statement), facts(&text.statement));
}
