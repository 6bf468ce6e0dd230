//! What makes a line speak: every kind, its threshold and its hour.

use crate::domain::fixtures::{Story, at, day, eta, lead, quiet, said};
use crate::domain::kinds::Kind;
use crate::domain::order::EtaOrigin;
use crate::domain::reason::{Disbelief, Reason, Wake};
use crate::domain::told::Basis;

type Found<'a> = (Option<Kind>, Vec<&'a str>);

/// A teapot told `told` on Monday the 16th, moved on Wednesday the 18th and
/// judged an hour later.
fn moved(sentence: &str, told: &str, to: &str, expected: Found) {
    let story = Story::told(told, told).moved(to, "2026-02-18 09:00");
    let planned = story.plan_at("2026-02-18 10:02");
    assert_eq!((lead(&planned), quiet(&planned)), expected, "{sentence}");
}

#[test]
fn a_moved_date_speaks_by_distance_and_direction() {
    use Kind::{DateSet, DateWithdrawn, Delay, Sooner};
    let fri = "2026-03-06";
    let nothing = || (None, vec!["nothing_new"]);
    let small = || (None, vec!["small_change"]);
    let says = |kind| (Some(kind), vec![]);
    moved("the same date says nothing", fri, fri, nothing());
    moved("a day later is small", fri, "2026-03-07", small());
    moved("two days later", fri, "2026-03-08", says(Delay));
    moved("two days sooner is small", fri, "2026-03-04", small());
    moved("three days sooner", fri, "2026-03-03", says(Sooner));
    moved("a date that got lost", fri, "?", says(DateWithdrawn));
    moved("a first date", "?", fri, says(DateSet));
    moved("still no date", "?", "?", nothing());
    let wide = "2026-03-06/2026-03-20";
    moved("narrowed", wide, "2026-03-09/2026-03-12", nothing());
    moved("a day inside the window", wide, "2026-03-10", nothing());
    moved("opens earlier", wide, "2026-03-02/2026-03-20", nothing());
    moved("a later end", wide, "2026-03-10/2026-03-22", says(Delay));
    moved(
        "an end past the day",
        fri,
        "2026-03-06/2026-03-08",
        says(Delay),
    );
    moved(
        "wholly earlier",
        wide,
        "2026-03-02/2026-03-05",
        says(Sooner),
    );
}

#[test]
fn a_first_word_is_a_confirmation_and_names_only_a_date_we_believe() {
    for (ships, promised) in [
        ("2026-03-06", "2026-03-06"),
        ("2026-02-16", "2026-02-16"),
        ("2026-02-14/2026-02-18", "2026-02-16/2026-02-18"),
        ("?", "?"),
        ("2026-02-15", "?"),
        ("2062-03-06", "?"),
    ] {
        let planned = Story::of_teapots(ships).plan_at("2026-02-16 14:31");
        assert_eq!(said(&planned), ["confirmation email"], "{ships}");
        let stated = planned.drafts[0].statement.lines[0].promise;
        assert_eq!(stated, Some(eta(promised)), "{ships}");
    }
}

#[test]
fn a_date_nobody_believed_at_first_is_told_once_it_is_put_right() {
    let mut story = Story::of_teapots("2062-03-06");
    assert_eq!(story.turn("2026-02-16 14:31"), ["confirmation email"]);
    story.moves(0, "2026-03-06", "2026-02-17 09:00");
    assert_eq!(story.turn("2026-02-17 10:00"), ["date_set email"]);
}

#[test]
fn a_slip_of_one_day_is_told_at_last_call() {
    // Told Monday 9 March: the working day before is Friday, ten o'clock.
    let story = Story::told("2026-03-09", "2026-03-09").moved("2026-03-10", "2026-02-17 09:00");
    let early = story.plan_at("2026-02-17 12:00");
    assert_eq!(quiet(&early), ["small_change"]);
    let Reason::SmallChange { days, again_at, .. } = early.verdicts[0].reason else {
        panic!("{early:?}")
    };
    assert_eq!((days, again_at), (1, Some(at("2026-03-06 10:00"))));
    let mut story = story;
    story.policy.updates.days.clear();
    story.policy.updates.then_every = None;
    assert_eq!(
        story.plan_at("2026-03-06 09:59").wake,
        Wake::At(at("2026-03-06 10:00"))
    );
    assert_eq!(said(&story.plan_at("2026-03-06 09:59")), [""; 0]);
    assert_eq!(said(&story.plan_at("2026-03-06 10:00")), ["delay email"]);
}

#[test]
fn two_small_slips_add_up_against_what_was_told() {
    let mut story = Story::told("2026-03-06", "2026-03-06");
    story.moves(0, "2026-03-07", "2026-02-17 09:00");
    assert_eq!(story.turn("2026-02-17 10:00"), [""; 0]);
    story.moves(0, "2026-03-08", "2026-02-18 09:00");
    assert_eq!(story.turn("2026-02-18 10:00"), ["delay email"]);
}

#[test]
fn a_date_that_moves_twice_in_20_minutes_is_told_once_and_last() {
    let mut story = Story::told("2026-03-06", "2026-03-06");
    story.policy.updates.days.clear();
    story.moves(0, "2026-03-19", "2026-02-26 09:12");
    let first = story.plan_at("2026-02-26 09:13");
    assert_eq!((said(&first), quiet(&first)), (vec![], vec!["settling"]));
    assert_eq!(first.wake, Wake::At(at("2026-02-26 09:42")));
    story.moves(0, "2026-03-20", "2026-02-26 09:31");
    assert_eq!(said(&story.plan_at("2026-02-26 09:42")), [""; 0]);
    assert_eq!(said(&story.plan_at("2026-02-26 10:00")), [""; 0]);
    let last = story.plan_at("2026-02-26 10:01");
    assert_eq!(said(&last), ["delay email"]);
    assert_eq!(
        last.drafts[0].statement.lines[0].promise,
        Some(eta("2026-03-20"))
    );
}

#[test]
fn no_other_message_names_a_date_that_has_not_settled() {
    let mut story = Story::told("2026-03-06", "2026-03-06").and_kettle("2026-03-06", "2026-03-06");
    story.moves(1, "2026-03-19", "2026-02-18 09:20");
    story.ships(0, 2, "2026-02-18 09:00");
    story.parcel("p1");
    let planned = story.plan_at("2026-02-18 09:30");
    assert_eq!(said(&planned), ["shipped email"]);
    let kettle = &planned.drafts[0].statement.lines[1];
    assert_eq!(kettle.promise, None, "19 March may still change");
    let small = Story::told("2026-03-06", "2026-03-06").moved("2026-03-07", "2026-02-23 09:40");
    let planned = small.plan_at("2026-02-23 10:00");
    assert_eq!(
        (said(&planned), quiet(&planned)),
        (vec![], vec!["settling"])
    );
}

#[test]
fn a_change_taken_back_in_time_says_nothing() {
    let mut story = Story::told("2026-03-06", "2026-03-06");
    story.moves(0, "2026-03-19", "2026-02-18 09:00");
    story.moves(0, "2026-03-06", "2026-02-18 09:10");
    for now in ["2026-02-18 09:11", "2026-02-18 09:40", "2026-02-18 12:00"] {
        assert_eq!(quiet(&story.plan_at(now)), ["nothing_new"], "{now}");
    }
}

#[test]
fn a_date_that_swings_is_told_each_time_and_never_twice() {
    let mut story = Story::told("2026-03-06", "2026-03-06");
    for (to, hour, expected) in [
        ("2026-03-20", "18", "delay email"),
        ("2026-03-06", "19", "sooner email"),
        ("2026-03-20", "20", "delay email"),
        ("2026-03-06", "21", "sooner email"),
        ("2026-03-20", "22", "delay email"),
    ] {
        story.moves(0, to, &format!("2026-02-{hour} 09:00"));
        let now = format!("2026-02-{hour} 10:00");
        assert_eq!(story.turn(&now), [expected], "{to} on the {hour}th");
        assert_eq!(story.turn(&now), [""; 0], "again");
    }
    let mut keys = story.sent_keys.clone();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 5);
}

#[test]
fn a_told_day_that_passed_is_overdue_after_one_working_day_of_grace() {
    let mut story = Story::told("2026-02-24", "2026-02-24");
    story.policy.updates.days.clear();
    story.policy.updates.then_every = None;
    for (now, expected, why, wake) in [
        // Nothing moved, and yet the order wakes by itself when the day ends.
        (
            "2026-02-24 23:59",
            vec![],
            vec!["nothing_new"],
            Some("2026-02-25 00:00"),
        ),
        (
            "2026-02-25 00:00",
            vec![],
            vec!["grace"],
            Some("2026-02-26 10:00"),
        ),
        (
            "2026-02-26 09:59",
            vec![],
            vec!["grace"],
            Some("2026-02-26 10:00"),
        ),
        ("2026-02-26 10:02", vec!["overdue email"], vec![], None),
    ] {
        let planned = story.plan_at(now);
        assert_eq!(
            (said(&planned), quiet(&planned)),
            (expected.iter().map(ToString::to_string).collect(), why),
            "{now}"
        );
        if let Some(wake) = wake {
            assert_eq!(planned.wake, Wake::At(at(wake)), "{now}");
        }
    }
    assert_eq!(story.turn("2026-02-26 10:02"), ["overdue email"]);
    assert_eq!(story.s.lines[0].told.last().unwrap().promise, eta("?"));
    assert_eq!(quiet(&story.plan_at("2026-03-16 10:02")), ["date_in_past"]);
}

#[test]
fn grace_skips_the_weekend_and_a_new_date_ends_it() {
    // Told Friday 27 February: Monday is the grace day, Tuesday it is said.
    let mut story = Story::told("2026-02-27", "2026-02-27");
    assert_eq!(story.turn("2026-03-03 09:59"), [""; 0]);
    let mut late = story.clone();
    assert_eq!(late.turn("2026-03-03 10:00"), ["overdue email"]);
    story.moves(0, "2026-03-12", "2026-03-01 09:00");
    assert_eq!(story.turn("2026-03-02 10:00"), ["delay email"]);
}

#[test]
fn a_baseline_that_was_past_at_first_sight_is_for_people() {
    let mut story = Story::of_teapots("2026-02-10");
    story.s.order.ordered_on = day("2026-02-01");
    story.s.order.adopted_at = Some(at("2026-02-16 14:25"));
    story.hears(0, "2026-02-10", Basis::Baseline, "2026-02-16 14:25");
    let planned = story.plan_at("2026-02-17 12:00");
    assert_eq!(
        (said(&planned), quiet(&planned)),
        (vec![], vec!["stale_at_baseline"])
    );
    assert!(planned.verdicts[0].reason.needs_a_person());
    // One that passes later is overdue like any other.
    let mut fresh = Story::of_teapots("2026-02-17");
    fresh.hears(0, "2026-02-17", Basis::Baseline, "2026-02-16 14:25");
    assert_eq!(said(&fresh.plan_at("2026-02-19 10:00")), ["overdue email"]);
}

#[test]
fn a_date_in_the_past_is_never_named() {
    // The shop's date fell behind today while the told day is still ahead.
    let story = Story::told("2026-03-06", "2026-03-20").and_kettle("2026-03-20", "2026-03-20");
    let planned = story.plan_at("2026-03-16 10:00");
    assert_eq!(said(&planned), ["update email"]);
    assert_eq!(planned.drafts[0].statement.lines[0].promise, None);
    assert_eq!(quiet(&planned), ["date_in_past"]);
    // Told "no date yet": a past one changes nothing.
    let story = Story::told("2026-02-17", "?");
    let planned = story.plan_at("2026-02-19 10:00");
    assert_eq!(
        (said(&planned), quiet(&planned)),
        (vec![], vec!["date_in_past"])
    );
}

#[test]
fn dates_nobody_would_believe_wait_for_a_person() {
    let check = |to: &str, why: Disbelief| {
        let mut story = Story::told("2026-03-06", "2026-03-06").moved(to, "2026-02-18 09:00");
        let planned = story.plan_at("2026-02-18 10:00");
        assert_eq!(
            (said(&planned), quiet(&planned)),
            (vec![], vec!["not_believed"]),
            "{to}"
        );
        let on = day(to);
        assert_eq!(planned.verdicts[0].reason, Reason::NotBelieved { on, why });
        story.s.lines[0].eta_origin = EtaOrigin::Operator;
        let planned = story.plan_at("2026-02-18 10:00");
        assert_ne!(quiet(&planned), ["not_believed"], "a person said {to}");
    };
    check("2062-03-06", Disbelief::TooFarAhead);
    check("2026-02-15", Disbelief::BeforeOrder);
    check("2026-07-05", Disbelief::Jump);
    let jump = Story::told("2026-03-06", "2026-03-06").moved("2026-07-04", "2026-02-18 09:00");
    assert_eq!(said(&jump.plan_at("2026-02-18 10:00")), ["delay email"]);
}

#[test]
fn a_date_too_far_ahead_is_looked_at_when_it_has_come_near() {
    let mut story = Story::told("2027-04-01", "?");
    story.policy.updates.days.clear();
    story.policy.updates.then_every = None;
    let planned = story.plan_at("2026-02-18 10:00");
    assert_eq!(planned.wake, Wake::At(at("2026-02-25 00:00")));
    assert_eq!(said(&story.plan_at("2026-02-25 00:00")), ["date_set email"]);
}

#[test]
fn the_buffer_is_part_of_the_promise() {
    let mut story = Story::told("2026-03-06", "2026-03-09");
    story.policy.buffer_days = 3;
    assert_eq!(quiet(&story.plan_at("2026-02-18 10:00")), ["nothing_new"]);
    story.moves(0, "2026-03-08", "2026-02-18 08:00");
    let planned = story.plan_at("2026-02-18 10:00");
    let stated = &planned.drafts[0].statement.lines[0];
    assert_eq!(
        (stated.promise, stated.eta),
        (Some(eta("2026-03-11")), eta("2026-03-08"))
    );
}

#[test]
fn news_is_measured_against_everything_the_customer_may_believe() {
    use Basis::{Accepted, Assumed, Possible, Retracted};
    let check = |sentence: &str, ledger: &[(&str, Basis)], ships: &str, expected: Option<Kind>| {
        let mut story = Story::of_teapots(ships);
        for (promise, basis) in ledger {
            story.hears(0, promise, *basis, "2026-02-16 14:31");
        }
        let planned = story.plan_at("2026-02-17 10:00");
        assert_eq!(lead(&planned), expected, "{sentence}");
    };
    let (a, b) = ("2026-03-06", "2026-03-20");
    let delay = Some(Kind::Delay);
    check(
        "may believe the old date",
        &[(a, Accepted), (b, Possible)],
        b,
        delay,
    );
    check(
        "assumed is believed",
        &[(a, Accepted), (b, Possible), (b, Assumed)],
        b,
        None,
    );
    check(
        "may believe a later one",
        &[(a, Accepted), (b, Possible)],
        a,
        None,
    );
    check(
        "sooner than all",
        &[(a, Accepted), (b, Possible)],
        "2026-03-02",
        Some(Kind::Sooner),
    );
    check(
        "may believe there is none",
        &[(a, Accepted), ("?", Possible)],
        a,
        Some(Kind::DateSet),
    );
    check(
        "may believe a date",
        &[("?", Accepted), (a, Possible)],
        "?",
        Some(Kind::DateWithdrawn),
    );
    check(
        "one person's retraction",
        &[(a, Accepted), (b, Retracted)],
        a,
        None,
    );
}

#[test]
fn a_bounced_word_is_not_believed() {
    let mut story = Story::told("2026-03-20", "2026-03-06");
    let planned = story.plan_at("2026-02-17 10:00");
    let [delay] = story.commit(&planned)[..] else {
        panic!()
    };
    story.accept(delay, at("2026-02-17 10:01"));
    assert_eq!(quiet(&story.plan_at("2026-02-17 10:02")), ["nothing_new"]);
    story.bounce(delay, at("2026-02-17 10:05"));
    assert_eq!(
        story.s.lines[0].believed().latest().unwrap().promise,
        eta("2026-03-06")
    );
}
