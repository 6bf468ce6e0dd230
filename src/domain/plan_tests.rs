//! One order as a whole: who leads, what stays queued, what a flight, a
//! failure or a bounce changes.

use crate::domain::contact::{EmailAddress, Preference};
use crate::domain::fixtures::{Story, at, eta, quiet, said};
use crate::domain::ids::MessageNo;
use crate::domain::kinds::ChannelName;
use crate::domain::message::MessageState;
use crate::domain::order::Pause;
use crate::domain::quantity::Quantity;
use crate::domain::reason::{Reason, Wake};
use crate::domain::statement::Change;

const NOTHING: [&str; 0] = [];

#[test]
fn a_split_shipment_says_what_went_and_what_still_waits() {
    let mut story = Story::told("2026-03-20", "2026-03-20");
    story.s.lines[0].ordered = Quantity::pieces(5);
    story.ships(0, 3, "2026-03-06 09:00");
    story.parcel("p1");
    assert_eq!(quiet(&story.plan_at("2026-03-06 09:09")), ["settling"]);
    let planned = story.plan_at("2026-03-06 09:10");
    assert_eq!(said(&planned), ["shipped email"]);
    let statement = &planned.drafts[0].statement;
    let mugs = &statement.lines[0];
    assert_eq!(
        (mugs.shipped_now, mugs.waiting),
        (Quantity::pieces(3), Quantity::pieces(2))
    );
    assert_eq!(mugs.promise, Some(eta("2026-03-20")));
    assert_eq!(mugs.change, Change::Unchanged);
    assert_eq!(statement.shipments[0].key, "p1");
    // The rest: only what is new counts as shipped now, and then it is over.
    story.turn("2026-03-06 09:10");
    story.ships(0, 5, "2026-03-19 09:00");
    story.parcel("p2");
    let planned = story.plan_at("2026-03-19 09:10");
    assert_eq!(
        planned.drafts[0].statement.lines[0].shipped_now,
        Quantity::pieces(2)
    );
    assert_eq!(planned.drafts[0].statement.shipments.len(), 1);
    story.turn("2026-03-19 09:10");
    let planned = story.plan_at("2026-03-19 09:11");
    assert_eq!(
        (quiet(&planned), planned.wake),
        (vec!["finished"], Wake::Never)
    );
}

#[test]
fn a_shipment_waits_for_its_tracking_number_but_not_for_ever() {
    let mut story = Story::told("2026-03-20", "2026-03-20");
    story.ships(0, 2, "2026-03-06 09:00");
    assert_eq!(said(&story.plan_at("2026-03-06 09:30")), NOTHING);
    assert_eq!(
        said(&story.plan_at("2026-03-06 10:00")),
        ["shipped email"],
        "an hour is enough"
    );
    story.parcel("p1");
    assert_eq!(said(&story.plan_at("2026-03-06 09:30")), ["shipped email"]);
}

#[test]
fn a_cancelled_quantity_is_said_once_with_the_rest() {
    let mut story = Story::told("2026-03-20", "2026-03-20");
    story.cancels(0, 1, "2026-02-18 09:00");
    assert_eq!(story.turn("2026-02-18 09:29"), NOTHING);
    let planned = story.plan_at("2026-02-18 09:30");
    let line = &planned.drafts[0].statement.lines[0];
    assert_eq!(
        (line.cancelled_now, line.waiting),
        (Quantity::pieces(1), Quantity::pieces(1))
    );
    assert_eq!(story.turn("2026-02-18 09:30"), ["cancelled email"]);
    assert_eq!(story.turn("2026-02-18 09:31"), NOTHING);
    story.cancels(0, 2, "2026-02-19 09:00");
    assert_eq!(story.turn("2026-02-19 09:30"), ["cancelled email"]);
    assert_eq!(quiet(&story.plan_at("2026-02-19 09:31")), ["finished"]);
}

#[test]
fn shipped_leads_over_a_delay_and_tells_it_too() {
    let mut story = Story::told("2026-03-06", "2026-03-06").and_kettle("2026-03-20", "2026-03-06");
    story.ships(0, 2, "2026-02-18 09:00");
    story.parcel("p1");
    let planned = story.plan_at("2026-02-18 09:30");
    assert_eq!(said(&planned), ["shipped email"]);
    let lines = &planned.drafts[0].statement.lines;
    assert_eq!(lines.len(), 2, "the whole order");
    assert_eq!(lines[1].promise, Some(eta("2026-03-20")));
    assert_eq!(lines[1].change, Change::Later);
    story.turn("2026-02-18 09:30");
    assert_eq!(quiet(&story.plan_at("2026-02-18 09:31")), ["nothing_new"]);
}

#[test]
fn a_line_missing_from_the_feed_says_nothing_about_its_date() {
    let mut story = Story::told("2026-03-20", "2026-03-06");
    story.s.lines[0].missing_since = Some(at("2026-02-18 09:00"));
    let planned = story.plan_at("2026-03-20 10:00");
    assert_eq!(
        (said(&planned), quiet(&planned)),
        (vec![], vec!["not_in_feed"])
    );
    let mut new = Story::of_teapots("2026-03-06");
    new.s.lines[0].missing_since = Some(at("2026-02-16 14:30"));
    assert_eq!(said(&new.plan_at("2026-02-16 14:31")), NOTHING);
    // Its neighbour speaks, without a word about the missing one's date.
    let story = story.and_kettle("2026-03-20", "2026-03-06");
    let planned = story.plan_at("2026-02-18 10:00");
    assert_eq!(said(&planned), ["delay email"]);
    assert_eq!(planned.drafts[0].statement.lines[0].promise, None);
}

#[test]
fn a_pause_keeps_the_order_silent_until_its_day() {
    let mut story = Story::told("2026-03-20", "2026-03-06");
    story.commit(&story.plan_at("2026-02-17 10:00"));
    story.s.pause = Some(Pause {
        scope: "order".to_owned(),
        why: "agreed by phone".to_owned(),
        until: Some(at("2026-03-02 00:00")),
    });
    let planned = story.plan_at("2026-02-18 10:00");
    assert_eq!((said(&planned), quiet(&planned)), (vec![], vec!["paused"]));
    assert_eq!(planned.supersede, [], "what is queued is held, not lost");
    assert_eq!(planned.keep, [], "and nobody vouches for it meanwhile");
    assert_eq!(planned.wake, Wake::At(at("2026-03-02 00:00")));
    assert_eq!(quiet(&story.plan_at("2026-03-02 00:00")), ["queued"]);
    story.s.pause.as_mut().unwrap().until = None;
    assert_eq!(story.plan_at("2026-03-02 00:00").wake, Wake::OnEvent);
}

#[test]
fn a_queued_message_stays_while_it_is_right_and_gives_way_when_it_is_not() {
    let mut story = Story::told("2026-03-20", "2026-03-06");
    let written = story.commit(&story.plan_at("2026-02-17 10:00"));
    let again = story.plan_at("2026-02-17 10:05");
    assert_eq!((said(&again), again.keep), (vec![], written.clone()));
    assert_eq!(again.supersede, []);
    // Another date: while it settles the queued one is already wrong.
    story.moves(0, "2026-03-25", "2026-02-17 10:06");
    let unsettled = story.plan_at("2026-02-17 10:06");
    assert_eq!(said(&unsettled), NOTHING);
    assert_eq!(unsettled.supersede, written);
    let settled = story.plan_at("2026-02-17 10:36");
    assert_eq!(
        (said(&settled), settled.supersede),
        (vec!["delay email".to_owned()], written.clone())
    );
    // Another fact of the same news: written anew under the same key.
    story.moves(0, "2026-03-20", "2026-02-17 09:00");
    story.s.lines[0].name = "Teapot, enamel".to_owned();
    let renamed = story.plan_at("2026-02-17 10:40");
    assert_eq!(renamed.supersede, written);
    let old = story.notice(written[0]).key.clone();
    assert_eq!(Some(renamed.drafts[0].key.clone()), old);
    story.commit(&renamed);
    // The news is off: nothing is owed and the queue empties.
    story.moves(0, "2026-03-06", "2026-02-17 10:41");
    let off = story.plan_at("2026-02-17 10:42");
    assert_eq!((said(&off), off.supersede), (vec![], vec![MessageNo(2)]));
}

#[test]
fn what_a_person_took_back_is_not_said_to_another_address_instead() {
    let mut story = Story::told("2026-03-20", "2026-03-20").moved("2026-04-20", "2026-02-18 09:00");
    let planned = story.plan_at("2026-02-18 12:00");
    assert_eq!(said(&planned), ["delay email"]);
    let delay = story.commit(&planned)[0];
    story.withdraw(delay);
    story.s.order.contact.email = Some(EmailAddress::parse("elsewhere@mail.example").unwrap());
    assert_eq!(said(&story.plan_at("2026-02-18 12:01")), NOTHING);
}

#[test]
fn nothing_is_written_while_a_message_of_that_channel_is_in_flight() {
    let mut story = Story::told("2026-03-20", "2026-03-06");
    let [delay] = story.commit(&story.plan_at("2026-02-17 10:00"))[..] else {
        panic!()
    };
    story.launch(delay);
    story.moves(0, "2026-03-30", "2026-02-17 10:01");
    let planned = story.plan_at("2026-02-17 12:00");
    assert_eq!(
        (said(&planned), quiet(&planned)),
        (vec![], vec!["in_flight"])
    );
    assert_eq!(planned.supersede, []);
    story.accept(delay, at("2026-02-17 12:01"));
    assert_eq!(said(&story.plan_at("2026-02-17 12:02")), ["delay email"]);
}

#[test]
fn a_flight_on_one_channel_leaves_the_other_free() {
    let mut story = Story::told("2026-03-20", "2026-03-06").texting(Preference::Both);
    let written = story.commit(&story.plan_at("2026-02-17 10:00"));
    story.launch(written[0]);
    story.moves(0, "2026-03-30", "2026-02-17 10:01");
    let planned = story.plan_at("2026-02-17 12:00");
    assert_eq!(said(&planned), ["delay sms"]);
    assert_eq!(planned.supersede, [written[1]]);
}

#[test]
fn the_text_outlives_the_acceptance_of_its_e_mail_while_it_is_true() {
    let mut story = Story::told("2026-03-20", "2026-03-06").texting(Preference::Both);
    let [email, text] = story.commit(&story.plan_at("2026-02-17 10:00"))[..] else {
        panic!()
    };
    story.launch(email);
    assert_eq!(story.plan_at("2026-02-17 10:01").keep, [text]);
    story.accept(email, at("2026-02-17 10:02"));
    let planned = story.plan_at("2026-02-17 10:03");
    assert_eq!((said(&planned), &planned.keep), (vec![], &vec![text]));
    assert_eq!(quiet(&planned), ["queued"]);
    let mut taken_back = story.clone();
    taken_back.s.order.contact.sms_consent = false;
    assert_eq!(taken_back.plan_at("2026-02-17 10:03").supersede, [text]);
    story.moves(0, "2026-03-21", "2026-02-17 10:04");
    let planned = story.plan_at("2026-02-17 11:00");
    assert_eq!((said(&planned), planned.supersede), (vec![], vec![text]));
}

#[test]
fn a_ship_text_outlives_its_e_mail_while_the_rest_keeps_its_date() {
    let mut story = Story::told("2026-03-20", "2026-03-20").texting(Preference::Both);
    story.ships(0, 1, "2026-02-18 05:00");
    story.parcel("p1");
    let [email, text] = story.commit(&story.plan_at("2026-02-18 06:00"))[..] else {
        panic!()
    };
    story.accept(email, at("2026-02-18 06:01"));
    assert_eq!(story.plan_at("2026-02-18 06:02").keep, [text]);
    let mut moved = story.clone();
    moved.moves(0, "2026-03-21", "2026-02-18 06:10");
    assert_eq!(moved.plan_at("2026-02-18 06:11").supersede, [text]);
    assert_eq!(moved.plan_at("2026-02-18 07:11").supersede, [text]);
    let mut more = story.clone();
    more.ships(0, 2, "2026-02-18 07:00");
    more.parcel("p2");
    let planned = more.plan_at("2026-02-18 08:00");
    assert_eq!(said(&planned), ["shipped email", "shipped sms"]);
    assert_eq!(planned.supersede, [text]);
}

#[test]
fn a_failed_message_is_not_tried_again_and_the_other_channel_takes_over() {
    // Prefers e-mail, may be texted.
    let mut story = Story::told("2026-03-20", "2026-03-06").texting(Preference::Email);
    let [email] = story.commit(&story.plan_at("2026-02-17 10:00"))[..] else {
        panic!()
    };
    story.fail(email);
    let planned = story.plan_at("2026-02-17 10:01");
    assert_eq!(
        (said(&planned), quiet(&planned)),
        (vec!["delay sms".to_owned()], vec!["cannot_say"])
    );
    let [text] = story.commit(&planned)[..] else {
        panic!()
    };
    let mut both_failed = story.clone();
    both_failed.fail(text);
    let planned = both_failed.plan_at("2026-02-17 10:02");
    assert_eq!(quiet(&planned), ["cannot_say", "cannot_say"]);
    story.accept(text, at("2026-02-17 10:02"));
    assert_eq!(quiet(&story.plan_at("2026-02-17 10:03")), ["nothing_new"]);
    // A courtesy stays unsaid.
    let mut story = Story::told("2026-03-02", "2026-03-06").texting(Preference::Email);
    story.moves(0, "2026-02-25", "2026-02-17 08:00");
    let [email] = story.commit(&story.plan_at("2026-02-17 10:00"))[..] else {
        panic!()
    };
    story.fail(email);
    let planned = story.plan_at("2026-02-17 10:01");
    assert_eq!(
        (said(&planned), quiet(&planned)),
        (vec![], vec!["cannot_say"])
    );
}

#[test]
fn newer_news_goes_out_on_a_channel_that_failed_before() {
    let mut story = Story::told("2026-03-20", "2026-03-06");
    let [email] = story.commit(&story.plan_at("2026-02-17 10:00"))[..] else {
        panic!()
    };
    story.fail(email);
    assert_eq!(quiet(&story.plan_at("2026-02-17 10:01")), ["cannot_say"]);
    story.moves(0, "2026-03-25", "2026-02-18 09:00");
    assert_eq!(said(&story.plan_at("2026-02-18 10:00")), ["delay email"]);
}

#[test]
fn words_that_come_back_are_not_sent_without_end() {
    let mut story = Story::told("2026-03-20", "2026-03-06");
    for (minute, expected) in [("00", 1), ("10", 1), ("20", 0), ("30", 0)] {
        let planned = story.plan_at(&format!("2026-02-17 10:{minute}"));
        assert_eq!(planned.drafts.len(), expected, "at {minute}");
        for no in story.commit(&planned) {
            story.accept(no, at("2026-02-17 10:01"));
            story.bounce(no, at("2026-02-17 10:02"));
        }
    }
    // Where there is another channel it is taken at once.
    let mut story = Story::told("2026-03-20", "2026-03-06").texting(Preference::Sms);
    let [text] = story.commit(&story.plan_at("2026-02-17 10:00"))[..] else {
        panic!()
    };
    story.accept(text, at("2026-02-17 10:01"));
    story.bounce(text, at("2026-02-17 10:02"));
    assert_eq!(said(&story.plan_at("2026-02-17 10:03")), ["delay email"]);
}

#[test]
fn a_message_in_doubt_is_neither_said_nor_failed() {
    let mut story = Story::told("2026-03-20", "2026-03-06").texting(Preference::Email);
    let [email] = story.commit(&story.plan_at("2026-02-17 10:00"))[..] else {
        panic!()
    };
    story.launch(email);
    assert_eq!(quiet(&story.plan_at("2026-02-17 10:01")), ["in_flight"]);
    // Its ledger entry is about to be written; the notice is no failure.
    story.notice(email).in_flight = false;
    story.notice(email).state = MessageState::InDoubt;
    let planned = story.plan_at("2026-02-17 10:20");
    assert_eq!(
        (said(&planned), quiet(&planned)),
        (vec![], vec!["in_flight"])
    );
}

#[test]
fn a_message_is_too_old_once_a_day_it_names_is_over() {
    let story = Story::told("2026-02-19", "2026-02-17");
    let planned = story.plan_at("2026-02-18 10:00");
    assert_eq!(said(&planned), ["delay email"]);
    assert_eq!(planned.drafts[0].not_after, at("2026-02-20 00:00"));
    let far = Story::told("2026-03-20", "2026-03-06").plan_at("2026-02-18 10:00");
    assert_eq!(far.drafts[0].not_after, at("2026-02-20 10:00"));
    assert_eq!(far.wake, Wake::At(at("2026-02-20 10:00")));
}

#[test]
fn an_order_wakes_when_a_told_day_is_over() {
    // The withdrawal could not be said; the day passes all the same.
    let mut story = Story::told("?", "2026-02-20");
    let [email] = story.commit(&story.plan_at("2026-02-18 10:00"))[..] else {
        panic!()
    };
    story.fail(email);
    let planned = story.plan_at("2026-02-18 10:01");
    assert_eq!(quiet(&planned), ["cannot_say"]);
    assert_eq!(planned.wake, Wake::At(at("2026-02-21 00:00")));
    let grace = story.plan_at("2026-02-21 00:00");
    assert_eq!(quiet(&grace), ["grace"]);
    assert_eq!(said(&story.plan_at("2026-02-24 10:00")), ["overdue email"]);
}

#[test]
fn a_written_window_is_looked_at_when_its_first_day_is_over() {
    let mut story = Story::told("2026-02-18/2026-03-20", "2026-03-06");
    let planned = story.plan_at("2026-02-18 21:00");
    assert_eq!(planned.wake, Wake::At(at("2026-02-19 00:00")));
    let evening = story.commit(&planned);
    let planned = story.plan_at("2026-02-19 00:00");
    assert_eq!(planned.supersede, evening);
    let promise = planned.drafts[0].statement.lines[0].promise;
    assert_eq!(promise, Some(eta("2026-02-19/2026-03-20")));
}

#[test]
fn verdicts_name_the_channel_and_message_they_are_about() {
    let mut story = Story::told("2026-03-20", "2026-03-06");
    let [email] = story.commit(&story.plan_at("2026-02-17 10:00"))[..] else {
        panic!()
    };
    let verdict = &story.plan_at("2026-02-17 10:05").verdicts[0];
    assert_eq!(verdict.channel, Some(ChannelName::Email));
    let expected = Reason::Queued {
        message: email,
        due_at: at("2026-02-17 10:00"),
    };
    assert_eq!(verdict.reason, expected);
}
