//! What is foreseen of an order whose one message was accepted: that nothing
//! more is owed before its next look, or that somebody has to look.

use crate::domain::contact::Preference;
use crate::domain::fixtures::{Story, at};
use crate::domain::reason::Wake;

/// Three days after the order.
const EARLY: &str = "2026-02-19 10:02";

fn delayed() -> Story {
    Story::told("2026-03-06", "2026-03-06").moved("2026-03-20", "2026-02-19 09:00")
}

/// Beside the teapots a kettle that is gone from the shop's list.
fn asking() -> Story {
    let mut story = delayed().and_kettle("2026-03-06", "2026-03-06");
    story.s.lines[1].missing_since = Some(at("2026-02-18 09:00"));
    story
}

fn shipping(pieces: i64) -> Story {
    let mut story = Story::told("2026-03-06", "2026-03-06");
    story.ships(0, pieces, "2026-02-18 09:00");
    story.parcel("P1");
    story
}

#[test]
fn an_order_rests_when_its_one_message_is_all_there_is_to_say() {
    let texting = || delayed().texting(Preference::Both);
    let mut queued = delayed();
    queued.commit(&queued.plan_at(EARLY));
    queued.moves(0, "2026-03-30", "2026-02-19 10:10");
    for (story, now, rests, sentence) in [
        (delayed(), EARLY, true, "a new date"),
        (
            Story::of_teapots("2026-03-06"),
            "2026-02-16 14:31",
            true,
            "a confirmation",
        ),
        (shipping(1), EARLY, true, "a part of it ships"),
        (
            delayed(),
            "2026-02-26 10:02",
            false,
            "a milestone it makes needless: somebody has to say so",
        ),
        (
            shipping(2),
            EARLY,
            false,
            "all of it ships: somebody has to close the order",
        ),
        (
            texting(),
            EARLY,
            false,
            "two messages: one lands before the other",
        ),
        (
            queued,
            "2026-02-19 11:30",
            false,
            "another one is being taken back",
        ),
        (
            asking(),
            EARLY,
            false,
            "a person is asked: that has to go when it is settled",
        ),
        (
            Story::told("2026-03-06", "2026-03-06"),
            EARLY,
            false,
            "no message at all",
        ),
    ] {
        let planned = story.plan_at(now);
        assert_eq!(planned.rests, rests, "{sentence}: {planned:#?}");
    }
}

#[test]
fn the_next_look_is_early_enough_for_what_was_told() {
    let mut story = delayed();
    let planned = story.plan_at(EARLY);
    assert_eq!(story.turn(EARLY), ["delay email"]);
    // When the message would have been too old to send; then what was foreseen:
    // the seventh day of the order.
    assert_eq!(planned.wake, Wake::At(at("2026-02-21 10:02")));
    let next = story.plan_at(EARLY).wake;
    assert_eq!(next, Wake::At(at("2026-02-23 10:00")));
}
