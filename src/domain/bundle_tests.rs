//! Several orders of one customer: gap, cap, and what shares an e-mail.

use super::{PlannedMessage, bundle, whole_orders};
use crate::domain::contact::{Locale, Preference};
use crate::domain::fixtures::{Story, at, quiet};
use crate::domain::ids::{ContactId, OrderId};
use crate::domain::kinds::Kind;
use crate::domain::order::Situation;
use crate::domain::plan::OrderPlan;
use crate::domain::reason::Wake;
use crate::domain::time::{Instant, Length};

/// Gives the story's order another number, so that it is an order of its own.
fn numbered(mut story: Story, number: i64) -> Story {
    story.s.order.id = OrderId(number);
    story.s.order.key = number.to_string();
    story.s.order.number = number.to_string();
    story
}
/// Due for an update on Monday 23 February.
fn update(number: i64) -> Story {
    numbered(Story::told("2026-05-29", "2026-05-29"), number)
}
fn delay(number: i64) -> Story {
    numbered(Story::told("2026-03-20", "2026-03-06"), number)
}
fn date_set(number: i64) -> Story {
    numbered(Story::told("2026-03-20", "?"), number)
}

fn bundled(stories: &[Story], now: Instant) -> (Vec<PlannedMessage>, Vec<OrderPlan>) {
    let situations: Vec<Situation> = stories.iter().map(|story| story.s.clone()).collect();
    let mut plans: Vec<OrderPlan> = stories.iter().map(|story| story.plan(now)).collect();
    let locale = Locale::parse("en").unwrap();
    let policy = &stories[0].policy;
    let messages = bundle(&situations, &mut plans, policy, &locale, now);
    (messages, plans)
}

/// `update 1001+1002`, one a message.
fn shapes(messages: &[PlannedMessage]) -> Vec<String> {
    let orders = |m: &PlannedMessage| {
        let numbers = m.facts.orders.iter().map(|o| o.order_number.as_str());
        numbers.collect::<Vec<_>>().join("+")
    };
    messages
        .iter()
        .map(|m| format!("{} {}", m.kind, orders(m)))
        .collect()
}

/// Later than now and no later than this: a look too many does no harm.
fn wakes_by(plan: &OrderPlan, latest: &str) {
    assert!(
        matches!(plan.wake, Wake::At(t) if t > at(MONDAY) && t <= at(latest)),
        "{:?}",
        plan.wake
    );
}

const MONDAY: &str = "2026-02-23 10:00";

#[test]
fn like_news_to_one_customer_shares_an_e_mail() {
    let check = |sentence: &str, stories: &[Story], expected: &[&str]| {
        let (messages, plans) = bundled(stories, at(MONDAY));
        assert_eq!(shapes(&messages), expected, "{sentence}");
        let written: usize = messages.iter().map(|m| m.notices.len()).sum();
        let drafted: usize = plans.iter().map(|p| p.drafts.len()).sum();
        assert_eq!(written, drafted, "{sentence}: every draft has a notice");
    };
    let both = ["update 1001+1002"];
    check("updates", &[update(1002), update(1001)], &both);
    let both = ["delay 1001+1002"];
    check("delays", &[delay(1001), delay(1002)], &both);
    let new = |n| numbered(Story::of_teapots("2026-05-29"), n);
    let apart = ["confirmation 1001", "confirmation 1002"];
    check("confirmations never", &[new(1001), new(1002)], &apart);

    let mut other = delay(1002);
    other.s.order.contact_id = ContactId(8);
    let apart = ["delay 1001", "delay 1002"];
    check("two customers", &[delay(1001), other], &apart);
    let mut german = delay(1002);
    german.s.order.contact.locale = Some(Locale::parse("de").unwrap());
    check("two languages", &[delay(1001), german], &apart);
    let mut urgent = delay(1002);
    urgent.s.order.zone = chrono_tz::America::New_York;
    check("another hour", &[delay(1001), urgent], &apart);
}

#[test]
fn texts_never_merge() {
    use crate::domain::contact::Preference;
    let stories = [
        delay(1001).texting(Preference::Sms),
        delay(1002).texting(Preference::Sms),
    ];
    assert_eq!(bundled(&stories, at(MONDAY)).0.len(), 2);
}

#[test]
fn courtesies_keep_a_gap_of_five_days() {
    let mut story = update(1001);
    let sent = at("2026-02-19 12:00");
    story.s.courtesy_sent_at = vec![sent];
    let (messages, plans) = bundled(&[story.clone()], at(MONDAY));
    assert_eq!(shapes(&messages), [""; 0]);
    assert_eq!(quiet(&plans[0]), ["courtesy_gap"]);
    wakes_by(&plans[0], "2026-02-24 12:00");
    assert!(plans[0].drafts.is_empty());
    let (messages, _) = bundled(&[story], at("2026-02-24 12:00"));
    assert_eq!(shapes(&messages), ["update 1001"]);
}

#[test]
fn courtesies_keep_the_weekly_cap() {
    let mut story = update(1001);
    story.policy.courtesy.gap = Length::hours(1);
    story.s.courtesy_sent_at = vec![at("2026-02-15 10:00"), at("2026-02-17 10:00")];
    let (messages, _) = bundled(&[story.clone()], at(MONDAY));
    assert_eq!(messages.len(), 1, "one of them was more than a week ago");
    story.s.courtesy_sent_at.push(at("2026-02-20 10:00"));
    let (messages, plans) = bundled(&[story], at(MONDAY));
    assert_eq!(messages.len(), 0);
    assert_eq!(quiet(&plans[0]), ["weekly_cap"]);
    wakes_by(&plans[0], "2026-02-24 10:00");
}

#[test]
fn what_must_arrive_or_was_promised_knows_no_gap_and_no_cap() {
    let sent = vec![at("2026-02-20 10:00"), at("2026-02-23 09:00")];
    let mut late = delay(1001);
    late.s.courtesy_sent_at = sent.clone();
    assert_eq!(bundled(&[late], at(MONDAY)).0.len(), 1);
    let mut promised = update(1001);
    promised.s.courtesy_sent_at = sent;
    promised.s.order.next_word_by = Some("2026-02-23".parse().unwrap());
    assert_eq!(shapes(&bundled(&[promised], at(MONDAY)).0), ["update 1001"]);
}

#[test]
fn courtesies_planned_together_keep_the_gap_among_themselves() {
    let stories = [update(1001), date_set(1002), delay(1003), update(1004)];
    let (messages, plans) = bundled(&stories, at(MONDAY));
    assert_eq!(shapes(&messages), ["update 1001+1004", "delay 1003"]);
    assert_eq!(quiet(&plans[1]), ["courtesy_gap"]);
    wakes_by(&plans[1], "2026-02-28 10:00");
    // A promised one goes first, wherever it stands.
    let mut promised = date_set(1002);
    promised.s.order.next_word_by = Some("2026-02-23".parse().unwrap());
    let (messages, plans) = bundled(&[update(1001), promised], at(MONDAY));
    assert_eq!(shapes(&messages), ["date_set 1002"]);
    assert_eq!(quiet(&plans[0]), ["courtesy_gap"]);
}

#[test]
fn a_held_back_draft_is_replaced_by_its_reason_and_wakes_no_later() {
    let mut story = update(1001);
    story.s.courtesy_sent_at = vec![at("2026-02-22 12:00")];
    // The next milestone comes before the gap ends.
    story.policy.updates.days = vec![7, 8];
    let (_, plans) = bundled(&[story], at(MONDAY));
    let plan = &plans[0];
    assert!(plan.verdicts.iter().all(|v| !v.is_said()), "{plan:?}");
    wakes_by(plan, "2026-02-24 10:00");
    assert_eq!(plan.verdicts[0].kind, Some(Kind::Update));
}

#[test]
fn a_limit_takes_orders_whole_or_not_at_all() {
    let mut both = delay(1001).texting(Preference::Both);
    both.s.order.contact_id = ContactId(0);
    let stories = [both, update(1002), update(1003), delay(1004)];
    let (messages, _) = bundled(&stories, at(MONDAY));
    let (twice, shared, single) = ("delay 1001", "update 1002+1003", "delay 1004");
    assert_eq!(shapes(&messages), [twice, twice, shared, single]);
    let first = |room| shapes(&whole_orders(messages.clone(), room));
    assert_eq!(first(0), [""; 0]);
    // No room for the mail and the text of 1001: the next that fits.
    assert_eq!(first(1), [shared]);
    assert_eq!(first(2), [twice, twice]);
    assert_eq!(first(3), [twice, twice, shared]);
    assert_eq!(first(4), [twice, twice, shared, single]);
}
