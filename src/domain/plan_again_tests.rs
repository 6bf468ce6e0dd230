//! Saying it again: what is still true goes out, everything else is refused
//! with its reason.

use super::{NotAgain, say_again};
use crate::domain::fixtures::{Story, at, eta};
use crate::domain::ids::MessageNo;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::statement::{Change, Statement};

/// One delay told by e-mail; the story and the statement that told it.
fn delayed() -> (Story, Statement) {
    let mut story = Story::told("2026-03-06", "2026-03-06").moved("2026-03-20", "2026-02-26 09:00");
    assert_eq!(story.turn("2026-02-26 10:02"), ["delay email"]);
    let statement = story.statements.values().last().unwrap().clone();
    (story, statement)
}

fn again(story: &Story, said: &Statement, now: &str) -> Result<super::Again, NotAgain> {
    let plan = story.plan_at(now);
    say_again(
        &story.s,
        &plan,
        said,
        ChannelName::Email,
        &story.policy,
        at(now),
    )
}

#[test]
fn what_is_still_true_is_said_in_the_same_words() {
    let (story, said) = delayed();
    let again = again(&story, &said, "2026-02-26 11:00").unwrap();
    assert_eq!(again.statement.facts_hash(), said.facts_hash());
    let line = &again.statement.lines[0];
    assert_eq!(line.change, Change::Later);
    assert_eq!(line.told.unwrap().promise, eta("2026-03-06"));
    assert_eq!(again.due_at, at("2026-02-26 11:00"));
}

#[test]
fn what_is_untrue_by_now_is_refused() {
    type Bend = fn(&mut Story);
    let teapot = || "Enamel teapot".to_owned();
    let cases: [(&str, Bend, NotAgain); 5] = [
        (
            "all of it shipped",
            |story| {
                story.ships(0, 2, "2026-02-27 09:00");
                assert_eq!(story.turn("2026-02-27 12:00"), ["shipped email"]);
            },
            NotAgain::NothingWaits,
        ),
        (
            "told another date since",
            |story| {
                story.moves(0, "2026-03-27", "2026-02-27 09:00");
                assert_eq!(story.turn("2026-02-27 10:00"), ["delay email"]);
            },
            NotAgain::DateMoved(teapot()),
        ),
        (
            "another date that was not told yet",
            |story| story.moves(0, "2026-03-27", "2026-02-27 11:59"),
            NotAgain::DateMoved(teapot()),
        ),
        (
            "news that is owed",
            |story| story.moves(0, "2026-03-27", "2026-02-27 09:00"),
            NotAgain::NewerNews(Kind::Delay.words()),
        ),
        (
            "an address nobody writes to",
            |story| story.s.suppressed.push(ChannelName::Email),
            NotAgain::Unreachable,
        ),
    ];
    for (name, bend, expected) in cases {
        let (mut story, said) = delayed();
        bend(&mut story);
        let refused = again(&story, &said, "2026-02-27 12:00").unwrap_err();
        assert_eq!(refused, expected, "{name}");
    }
}

#[test]
fn a_date_that_is_over_is_not_named_again() {
    let (story, said) = delayed();
    assert!(again(&story, &said, "2026-03-21 09:00").is_err());
}

#[test]
fn a_shipment_is_reported_again_only_while_it_is_all_that_shipped() {
    let mut story = Story::told("2026-03-20", "2026-03-20");
    story.ships(0, 1, "2026-03-02 09:00");
    story.parcel("p1");
    assert_eq!(story.turn("2026-03-02 10:30"), ["shipped email"]);
    story.s.untold_shipments.clear();
    let said = story.statements.values().last().unwrap().clone();
    let same = again(&story, &said, "2026-03-02 12:00").unwrap().statement;
    assert_eq!(same.lines[0].shipped_now, said.lines[0].shipped_now);
    assert_eq!(same.shipments, said.shipments);
    story.ships(0, 2, "2026-03-03 09:00");
    story.parcel("p2");
    assert_eq!(story.turn("2026-03-03 12:00"), ["shipped email"]);
    let refused = again(&story, &said, "2026-03-03 13:00").unwrap_err();
    assert_eq!(refused, NotAgain::QuantityMoved("Enamel teapot".to_owned()));
}

/// Puts the resend into the queue, as the store would.
fn queue(story: &mut Story, said: &Statement, now: &str) -> MessageNo {
    let again = again(story, said, now).unwrap();
    let first = story.s.notices.last().unwrap().clone();
    let message = MessageNo(900);
    story.s.notices.push(crate::domain::order::PastNotice {
        message,
        key: Some("a key of its own".to_owned()),
        take: 1,
        facts_hash: again.statement.facts_hash(),
        state: MessageState::Queued,
        in_queue: true,
        in_flight: false,
        due_at: again.due_at,
        not_after: again.not_after,
        sent_at: None,
        ..first
    });
    message
}

#[test]
fn while_one_waits_there_is_no_second_and_the_planner_keeps_it() {
    let (mut story, said) = delayed();
    let message = queue(&mut story, &said, "2026-02-26 11:00");
    let refused = again(&story, &said, "2026-02-26 11:01").unwrap_err();
    assert_eq!(refused, NotAgain::InTheWay(message));
    let planned = story.plan_at("2026-02-26 11:02");
    assert_eq!((planned.keep, planned.supersede), (vec![message], vec![]));
}

#[test]
fn a_repetition_gives_way_to_newer_facts() {
    let (mut story, said) = delayed();
    let message = queue(&mut story, &said, "2026-02-26 11:00");
    story.ships(0, 2, "2026-02-26 11:01");
    let planned = story.plan_at("2026-02-26 11:02");
    assert_eq!(planned.supersede, [message]);
    assert!(planned.keep.is_empty());
}

#[test]
fn a_repeated_shipment_stays_queued_too() {
    let mut story = Story::told("2026-03-20", "2026-03-20");
    story.ships(0, 1, "2026-03-02 09:00");
    story.parcel("p1");
    story.turn("2026-03-02 10:30");
    story.s.untold_shipments.clear();
    let said = story.statements.values().last().unwrap().clone();
    let message = queue(&mut story, &said, "2026-03-02 12:00");
    let planned = story.plan_at("2026-03-02 12:01");
    assert_eq!((planned.keep, planned.supersede), (vec![message], vec![]));
}
