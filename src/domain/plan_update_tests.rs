//! Day 7, day 14, ...: when an update is owed, satisfied, promised or led by
//! something else.

use crate::domain::contact::Preference;
use crate::domain::fixtures::{Story, at, day, eta, lead, quiet, said};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::reason::{Reason, Wake};
use crate::domain::time::Length;
use crate::domain::told::Basis;

const NOTHING: [&str; 0] = [];

#[test]
fn an_unchanged_order_hears_on_day_7_14_28_and_each_number_once() {
    let mut story = Story::told("2026-05-29", "2026-05-29");
    for (now, expected) in [
        ("2026-02-23 09:59", None),
        ("2026-02-23 10:00", Some(7)),
        ("2026-02-23 10:01", None),
        ("2026-03-02 10:00", Some(14)),
        ("2026-03-09 10:00", None),
        ("2026-03-16 10:00", Some(28)),
        ("2026-03-30 09:00", Some(42)), // 10:00 in London: summer time
        // The clock is set back and forth: no number comes twice.
        ("2026-02-23 10:00", None),
        ("2026-03-16 10:00", None),
        ("2026-03-30 09:00", None),
    ] {
        let planned = story.plan_at(now);
        let days = planned.drafts.first().map(|d| {
            assert_eq!(d.kind, Kind::Update);
            d.statement.milestone_days.unwrap()
        });
        assert_eq!(days, expected, "{now}");
        story.turn(now);
    }
}

#[test]
fn an_update_sent_by_a_clock_that_was_ahead_is_not_sent_again() {
    let mut story = Story::told("2026-05-29", "2026-05-29");
    let planned = story.plan_at("2026-03-02 10:00");
    assert_eq!(said(&planned), ["update email"]);
    let update = story.commit(&planned)[0];
    // The clock is put right before the answer comes, and nothing else was said
    // of late.
    story.accept(update, at("2026-02-17 09:00"));
    assert_eq!(said(&story.plan_at("2026-03-02 10:05")), NOTHING);
}

#[test]
fn four_weeks_of_one_order() {
    let mut story = Story::of_teapots("2026-03-06").texting(Preference::Both);
    let both = ["delay email", "delay sms"];
    assert_eq!(story.turn("2026-02-16 14:31"), ["confirmation email"]);
    assert_eq!(story.turn("2026-02-23 10:00"), ["update email"]);
    story.moves(0, "2026-03-19", "2026-02-26 09:12");
    story.moves(0, "2026-03-20", "2026-02-26 09:31");
    assert_eq!(story.turn("2026-02-26 10:00"), NOTHING);
    assert_eq!(story.turn("2026-02-26 10:02"), both);
    let planned = story.plan_at("2026-03-02 10:00");
    assert_eq!(quiet(&planned), ["milestone_satisfied"]);
    assert_eq!(planned.wake, Wake::At(at("2026-03-16 10:00")));
    assert_eq!(story.turn("2026-03-16 10:00"), ["update email"]);
    story.ships(0, 2, "2026-03-19 09:00");
    story.parcel("p1");
    let both = ["shipped email", "shipped sms"];
    assert_eq!(story.turn("2026-03-19 09:10"), both);
    let over = story.plan_at("2026-03-30 10:00");
    assert_eq!((quiet(&over), over.wake), (vec!["finished"], Wake::Never));
}

#[test]
fn an_order_wakes_for_its_next_milestone() {
    let story = Story::told("2026-05-29", "2026-05-29");
    let wake = |now: &str| story.plan_at(now).wake;
    assert_eq!(wake("2026-02-17 10:00"), Wake::At(at("2026-02-23 10:00")));
    assert_eq!(wake("2026-02-23 09:59"), Wake::At(at("2026-02-23 10:00")));
}

#[test]
fn missed_milestones_collapse_to_the_newest() {
    let mut story = Story::told("2026-05-29", "2026-05-29");
    let planned = story.plan_at("2026-03-18 11:00");
    assert_eq!(said(&planned), ["update email"]);
    assert_eq!(planned.drafts[0].statement.milestone_days, Some(28));
    story.turn("2026-03-18 11:00");
    assert_eq!(story.turn("2026-03-18 11:01"), NOTHING);
}

#[test]
fn a_milestone_is_satisfied_by_anything_said_within_five_days() {
    // Day 14 is Monday 2 March, 10:00.
    for (told_at, satisfied) in [
        ("2026-02-25 09:59", false),
        ("2026-02-25 10:00", true),
        ("2026-02-26 10:03", true),
        ("2026-03-02 09:59", true),
    ] {
        let mut story = Story::told("2026-03-27", "2026-03-06");
        let [delay] = story.commit(&story.plan_at("2026-02-18 10:00"))[..] else {
            panic!()
        };
        story.accept(delay, at(told_at));
        let planned = story.plan_at("2026-03-02 10:00");
        assert_eq!(said(&planned).is_empty(), satisfied, "{told_at}");
        if satisfied {
            let expected = Reason::MilestoneSatisfied {
                days: 14,
                sent_at: at(told_at),
            };
            assert_eq!(planned.verdicts[0].reason, expected);
            // It stays satisfied, however long ago that message becomes.
            assert_eq!(said(&story.plan_at("2026-03-13 10:00")), NOTHING);
        }
    }
}

#[test]
fn a_message_that_came_back_or_never_went_satisfies_nothing() {
    for state in [MessageState::Bounced, MessageState::Failed] {
        let mut story = Story::told("2026-03-27", "2026-03-06");
        let [delay] = story.commit(&story.plan_at("2026-02-25 12:00"))[..] else {
            panic!()
        };
        story.accept(delay, at("2026-02-26 10:03"));
        story.notice(delay).state = state;
        assert_eq!(
            said(&story.plan_at("2026-03-02 10:00")),
            ["update email"],
            "{state}"
        );
    }
}

#[test]
fn next_word_by_is_kept_whatever_was_said_meanwhile() {
    // Ordered Tuesday 24 February; the date is lost on Thursday.
    let mut story = Story::told("?", "2026-03-06");
    story.s.order.ordered_on = day("2026-02-24");
    story.s.lines[0].eta_changed_at = at("2026-02-26 09:00");
    let planned = story.plan_at("2026-02-26 10:02");
    assert_eq!(said(&planned), ["date_withdrawn email"]);
    let promised = planned.drafts[0].statement.next_word_by;
    assert_eq!(promised, Some(day("2026-03-10")), "not the day 7 in 5 days");
    story.turn("2026-02-26 10:02");
    assert_eq!(
        quiet(&story.plan_at("2026-03-03 10:00")),
        ["milestone_satisfied"]
    );
    // Somebody else wrote on the 8th and promised nothing.
    let mut chatty = story.clone();
    chatty.s.notices[0].sent_at = Some(at("2026-03-08 10:00"));
    let planned = chatty.plan_at("2026-03-10 10:00");
    assert_eq!(said(&planned), ["update email"]);
    assert!(planned.drafts[0].promised);
    let stated = &planned.drafts[0].statement;
    assert_eq!(stated.lines[0].promise, Some(eta("?")));
    assert_eq!(stated.next_word_by, Some(day("2026-03-24")));
    // A word with a date settles the promise.
    story.moves(0, "2026-03-27", "2026-03-08 08:00");
    assert_eq!(story.turn("2026-03-08 10:00"), ["date_set email"]);
    assert_eq!(story.s.order.next_word_by, None);
    assert_eq!(
        quiet(&story.plan_at("2026-03-10 10:00")),
        ["milestone_satisfied"]
    );
}

#[test]
fn a_promised_word_that_came_back_goes_the_other_way_or_to_a_person() {
    let now = "2026-03-10 10:00";
    let story = |texting: bool| {
        // Told on Thursday that there is no date, and promised a word.
        let mut story = Story::told("?", "2026-03-06");
        if texting {
            story = story.texting(Preference::Email);
        }
        story.s.order.ordered_on = day("2026-02-24");
        story.s.lines[0].eta_changed_at = at("2026-02-26 09:00");
        story.turn("2026-02-26 10:02");
        let promised = story.s.order.next_word_by;
        assert_eq!(promised, Some(day("2026-03-10")));
        // It is kept, and comes back: the promise stands as it did before.
        let planned = story.plan_at(now);
        assert_eq!(said(&planned), ["update email"]);
        for no in story.commit(&planned) {
            story.accept(no, at(now));
            story.bounce(no, at(now));
        }
        story.s.order.next_word_by = promised;
        story
    };
    let later = "2026-03-10 10:30";
    assert_eq!(said(&story(true).plan_at(later)), ["update sms"]);
    assert_eq!(quiet(&story(false).plan_at(later)), ["cannot_say"]);
    let mut gone = story(false);
    gone.s.suppressed = vec![ChannelName::Email];
    assert_eq!(quiet(&gone.plan_at(later)), ["unreachable"]);
    // The next milestone is its own word.
    assert_eq!(
        said(&story(false).plan_at("2026-03-24 10:00")),
        ["update email"]
    );
    // What nobody promised is not said another way.
    let mut courtesy = story(true);
    courtesy.s.order.next_word_by = None;
    assert!(said(&courtesy.plan_at(later)).is_empty());
}

/// Whatever day a word without a date goes out, and however it reached its
/// customer: on the day it names the next one is planned, and is the first.
#[test]
fn the_day_of_the_next_word_is_the_day_something_is_planned() {
    let by_text = |mut story: Story| {
        story = story.texting(Preference::Email);
        story.s.order.contact.email = None;
        story
    };
    let mut longest = 0;
    for days in 1..90 {
        for texted in [false, true] {
            let mut story = Story::told("?", "2026-12-20");
            if texted {
                story = by_text(story);
            }
            let noon = at("2026-02-16 12:00").plus(Length::days(days));
            story.s.lines[0].eta_changed_at = noon.minus(Length::hours(1));
            let planned = story.plan(noon);
            assert_eq!(lead(&planned), Some(Kind::DateWithdrawn), "day {days}");
            for no in story.commit(&planned) {
                story.accept(no, noon);
            }
            let promised = story.s.order.next_word_by.expect("a promise");
            longest = longest.max((promised - noon.day_in(story.s.order.zone)).num_days());
            // From wake to wake until something is said.
            let mut now = noon;
            let words = loop {
                now = match story.plan(now).wake {
                    Wake::At(next) => next,
                    other => panic!("day {days}: {other:?}"),
                };
                let planned = story.plan(now);
                if !planned.drafts.is_empty() {
                    break said(&planned);
                }
            };
            let channel = if texted { "update sms" } else { "update email" };
            assert_eq!(words, [channel], "day {days}");
            assert_eq!(now.day_in(story.s.order.zone), promised, "day {days}");
        }
    }
    // The longest wait is a fortnight and the gap: a word that satisfies a
    // milestone by itself is followed by the one after it.
    assert_eq!(longest, 19);
}

#[test]
fn an_update_that_could_name_no_date_is_not_written() {
    let now = "2026-02-23 10:00";
    let mut past = Story::told("2026-02-20", "2026-03-20");
    assert_eq!(quiet(&past.plan_at(now)), ["date_in_past"]);
    // The other line's date makes it worth writing.
    let both = Story::told("2026-02-20", "2026-03-20").and_kettle("2026-03-20", "2026-03-20");
    assert_eq!(said(&both.plan_at(now)), ["update email"]);
    // What was promised is written in any case.
    past.s.order.next_word_by = Some(day("2026-02-23"));
    assert_eq!(said(&past.plan_at(now)), ["update email"]);
}

#[test]
fn milestones_before_adoption_never_count() {
    let mut story = Story::of_teapots("2026-05-29");
    story.hears(0, "2026-05-29", Basis::Baseline, "2026-02-24 12:00");
    story.s.order.adopted_at = Some(at("2026-02-24 12:00"));
    assert_eq!(said(&story.plan_at("2026-02-24 12:01")), NOTHING);
    assert_eq!(said(&story.plan_at("2026-03-02 10:00")), ["update email"]);
}

#[test]
fn an_update_leads_with_a_small_slip_and_is_thereby_done() {
    let mut story = Story::told("2026-03-07", "2026-03-06");
    assert_eq!(story.turn("2026-02-20 10:00"), NOTHING);
    let planned = story.plan_at("2026-02-23 10:00");
    assert_eq!(said(&planned), ["delay email"]);
    assert_eq!(quiet(&planned), NOTHING);
    assert_eq!(planned.drafts[0].statement.milestone_days, None);
    story.turn("2026-02-23 10:00");
    assert_eq!(
        quiet(&story.plan_at("2026-02-23 10:01")),
        ["milestone_satisfied"]
    );
    let mut story = Story::told("2026-03-05", "2026-03-06");
    assert_eq!(story.turn("2026-02-23 10:00"), ["sooner email"]);
}

#[test]
fn an_update_waits_a_moment_for_a_date_that_settles() {
    let mut story = Story::told("2026-03-06", "2026-03-06");
    story.moves(0, "2026-03-20", "2026-02-23 09:50");
    let planned = story.plan_at("2026-02-23 10:00");
    assert_eq!(
        (said(&planned), quiet(&planned)),
        (vec![], vec!["settling"])
    );
    assert_eq!(planned.wake, Wake::At(at("2026-02-23 10:20")));
    assert_eq!(said(&story.plan_at("2026-02-23 10:20")), ["delay email"]);
}

#[test]
fn only_who_had_a_first_word_and_still_waits_gets_updates() {
    let now = "2026-02-23 10:00";
    let new = Story::of_teapots("2026-03-20");
    assert_eq!(said(&new.plan_at(now)), ["confirmation email"]);
    let mut shipped = Story::told("2026-03-20", "2026-03-20");
    shipped.ships(0, 2, "2026-02-22 09:00");
    shipped.parcel("p1");
    assert_eq!(said(&shipped.plan_at(now)), ["shipped email"]);
    shipped.turn(now);
    assert_eq!(quiet(&shipped.plan_at("2026-03-02 10:00")), ["finished"]);
    let mut missing = Story::told("2026-03-20", "2026-03-20");
    missing.s.lines[0].missing_since = Some(at("2026-02-22 09:00"));
    assert_eq!(quiet(&missing.plan_at(now)), ["not_in_feed"]);
}

#[test]
fn an_update_that_failed_or_was_withdrawn_is_not_repeated() {
    for state in [MessageState::Failed, MessageState::Withdrawn] {
        let mut story = Story::told("2026-05-29", "2026-05-29");
        let [update] = story.commit(&story.plan_at("2026-02-23 10:00"))[..] else {
            panic!()
        };
        story.fail(update);
        story.notice(update).state = state;
        assert_eq!(quiet(&story.plan_at("2026-02-23 10:05")), ["nothing_new"]);
        assert_eq!(said(&story.plan_at("2026-03-02 10:00")), ["update email"]);
    }
}

#[test]
fn an_update_taken_back_unsent_is_planned_again() {
    let mut story = Story::told("2026-05-29", "2026-05-29");
    let [update] = story.commit(&story.plan_at("2026-02-23 10:00"))[..] else {
        panic!()
    };
    story.fail(update);
    story.notice(update).state = MessageState::Expired;
    story.notice(update).key = None;
    assert_eq!(said(&story.plan_at("2026-02-23 10:05")), ["update email"]);
}
