//! The work of the dead, doubts, and what grew too old.

use super::props::{
    GIVEN_UP, MONDAY, accepted, at, deferred, doubt, email_hash, eta, teapots, worker,
};
use super::stage::Stage;
use backorderd::domain::contact::{PhoneNumber, Preference};
use backorderd::domain::kinds::{ChannelName, Kind};
use backorderd::domain::message::MessageState;
use backorderd::domain::outcome::Deferral;
use backorderd::domain::quantity::Quantity;
use backorderd::domain::row::{Row, RowShipment};
use backorderd::domain::time::Length;
use backorderd::store::types::{Claimed, GiveBack, RunState};
use backorderd::store::write::operate::NewHold;
use backorderd::store::write::settle::Settled;

/// When the quiet period of a doubt recorded at [`MONDAY`] is over.
const QUIET_OVER: &str = "2026-02-16 14:45";

async fn in_doubt(stage: &Stage) -> Claimed {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    stage.land(1, doubt(), MONDAY).await.remove(0)
}

promises![
    what_the_dead_were_sending_is_in_doubt_and_what_they_held_is_queued,
    a_doubt_about_what_must_arrive_is_sent_once_more,
    a_repetition_that_waits_survives_a_review,
    a_text_in_doubt_goes_once_more_unless_a_mail_has_said_it,
    a_second_doubt_is_assumed,
    a_doubt_about_a_courtesy_is_assumed_at_once,
    a_doubt_whose_facts_moved_on_is_not_repeated_and_stays_possible,
    the_same_word_planned_anew_after_a_doubt_is_not_said_a_third_time,
    what_shipped_is_not_forgotten_after_two_doubts,
    a_doubt_that_is_too_old_to_be_true_is_not_repeated,
    what_grew_too_old_is_looked_at_again,
    queued_mail_to_a_suppressed_address_is_taken_back,
    a_poisonous_message_is_set_aside_and_the_others_go_on,
    an_outcome_ends_the_count_of_claims_without_one,
    a_hold_ends_when_its_time_is_over_and_wakes_its_orders,
    a_held_run_lapses_and_its_orders_are_looked_at_again,
];

async fn what_the_dead_were_sending_is_in_doubt_and_what_they_held_is_queued(stage: Stage) {
    stage
        .announce(
            &[
                teapots("L1", "1042"),
                teapots("L2", "1043"),
                teapots("L3", "1044"),
            ],
            MONDAY,
        )
        .await;
    stage.review(MONDAY).await;
    let claimed = stage.claim(1, MONDAY).await;
    assert!(stage.mark(1, &claimed[0], MONDAY).await);
    let others = claimed[2].clone();
    stage
        .store
        .give_back(
            worker(1),
            vec![(others.no, others.epoch)],
            GiveBack::Unused,
            at(MONDAY),
        )
        .await
        .unwrap();
    let mine = stage.submit(2, MONDAY).await.remove(0);
    stage.dies(1).await;
    let swept = stage.store.sweep(worker(2), at(GIVEN_UP)).await.unwrap();
    assert_eq!((swept.queued, swept.in_doubt, swept.poisoned), (1, 1, 0));
    assert_eq!(stage.state(claimed[0].no).await, MessageState::InDoubt);
    assert_eq!(stage.state(claimed[1].no).await, MessageState::Queued);
    assert_eq!(stage.state(mine.no).await, MessageState::Submitting);
    assert_eq!(stage.told("1042").await, ["2026-03-06 possible"]);
    // What the dead wrote may still be on its way through the kernel.
    let settled = stage.store.settle_doubts(at(GIVEN_UP)).await.unwrap();
    assert_eq!(settled, Settled::default());
    let attempt = stage
        .store
        .read()
        .attempts(claimed[0].no)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(attempt.outcome.as_deref(), Some("in_doubt"));
    // The dead change nothing any more.
    assert!(
        !stage
            .record(1, &claimed[0], super::props::accepted(), MONDAY)
            .await
    );
    assert!(!stage.mark(1, &claimed[1], MONDAY).await);
    assert_eq!(
        stage.store.sweep(worker(2), at(GIVEN_UP)).await.unwrap(),
        Default::default()
    );
}

async fn a_doubt_about_what_must_arrive_is_sent_once_more(stage: Stage) {
    let message = in_doubt(&stage).await;
    let settled = stage.store.settle_doubts(at(QUIET_OVER)).await.unwrap();
    assert_eq!((settled.once_more, settled.assumed), (1, 0));
    let again = stage.submit(1, QUIET_OVER).await.remove(0);
    assert_eq!(
        (again.no, again.uid, again.doubts),
        (message.no, message.uid, 1)
    );
    assert!(
        stage
            .record(1, &again, super::props::accepted(), QUIET_OVER)
            .await
    );
    assert_eq!(
        stage.told("1042").await,
        ["2026-03-06 possible", "2026-03-06 accepted"]
    );
}

async fn a_repetition_that_waits_survives_a_review(stage: Stage) {
    let message = in_doubt(&stage).await;
    stage.store.settle_doubts(at(QUIET_OVER)).await.unwrap();
    // A hold or a relay that is away keeps it from going at once.
    assert!(stage.review(QUIET_OVER).await.messages.is_empty());
    assert_eq!(stage.state(message.no).await, MessageState::Queued);
    assert_eq!(stage.submit(1, QUIET_OVER).await.len(), 1);
}

async fn a_text_in_doubt_goes_once_more_unless_a_mail_has_said_it(mut stage: Stage) {
    stage.policy.sms.enabled = true;
    stage.policy.sms.kinds = [Kind::Confirmation].into_iter().collect();
    let row = |line, number, preferred| Row {
        phone: Some(PhoneNumber::parse(&format!("+44791112{number}"), None).unwrap()),
        sms_consent: Some(true),
        preferred: Some(preferred),
        ..teapots(line, number)
    };
    let rows = [
        row("L1", "1042", Preference::Both),
        row("L2", "1043", Preference::Sms),
    ];
    stage.announce(&rows, MONDAY).await;
    stage.review(MONDAY).await;
    let mut texts = Vec::new();
    for message in stage.submit(1, MONDAY).await {
        let is_text = message.channel == ChannelName::Sms;
        let outcome = if is_text { doubt() } else { accepted() };
        assert!(stage.record(1, &message, outcome, MONDAY).await);
        if is_text {
            texts.push((message.facts.orders[0].order_number.clone(), message.no));
        }
    }
    texts.sort();
    let settled = stage.store.settle_doubts(at(QUIET_OVER)).await.unwrap();
    assert_eq!((settled.once_more, settled.assumed), (1, 1));
    // By mail as well, and by text only.
    assert_eq!(stage.state(texts[0].1).await, MessageState::Sent);
    assert_eq!(stage.state(texts[1].1).await, MessageState::Queued);
    assert!(stage.review(QUIET_OVER).await.messages.is_empty());
}

async fn a_second_doubt_is_assumed(stage: Stage) {
    in_doubt(&stage).await;
    stage.store.settle_doubts(at(QUIET_OVER)).await.unwrap();
    let again = stage.land(1, doubt(), QUIET_OVER).await.remove(0);
    let later = "2026-02-16 15:00";
    let settled = stage.store.settle_doubts(at(later)).await.unwrap();
    assert_eq!((settled.once_more, settled.assumed), (0, 1));
    let row = stage.message(again.no).await;
    assert_eq!(
        (row.state, row.settled_by.as_deref()),
        (MessageState::Sent, Some("assumed"))
    );
    assert_eq!(
        stage.told("1042").await.last().unwrap(),
        "2026-03-06 assumed"
    );
    assert_eq!(stage.due(later).await.len(), 1);
    assert!(stage.review(later).await.messages.is_empty());
}

async fn a_doubt_about_a_courtesy_is_assumed_at_once(stage: Stage) {
    stage.told_teapots().await;
    let milestone = "2026-02-23 10:00";
    stage.review(milestone).await;
    let update = stage.land(1, doubt(), milestone).await.remove(0);
    assert!(!update.kind.must_arrive());
    let later = "2026-02-23 10:15";
    let settled = stage.store.settle_doubts(at(later)).await.unwrap();
    assert_eq!((settled.once_more, settled.assumed), (0, 1));
    assert!(
        !stage
            .situation("1042", later)
            .await
            .notices
            .last()
            .unwrap()
            .in_flight
    );
}

async fn a_doubt_whose_facts_moved_on_is_not_repeated_and_stays_possible(stage: Stage) {
    let message = in_doubt(&stage).await;
    stage
        .announce(
            &[Row {
                eta: Some(eta("2026-03-20")),
                ..teapots("L1", "1042")
            }],
            MONDAY,
        )
        .await;
    let settled = stage.store.settle_doubts(at(QUIET_OVER)).await.unwrap();
    assert_eq!((settled.once_more, settled.assumed), (0, 1));
    assert_eq!(stage.state(message.no).await, MessageState::Sent);
    assert_eq!(stage.told("1042").await, ["2026-03-06 possible"]);
    // Whoever may believe the old date hears the new one.
    stage.review("2026-02-17 10:00").await;
    assert_eq!(stage.claim(1, "2026-02-17 10:00").await.len(), 1);
}

async fn the_same_word_planned_anew_after_a_doubt_is_not_said_a_third_time(stage: Stage) {
    stage.told_teapots().await;
    let with_parcel = |name: &str| Row {
        shipped: Some(Quantity::pieces(1)),
        shipments: vec![RowShipment {
            key: "P1".to_owned(),
            shipped_at: None,
            carrier: None,
            tracking_numbers: vec!["1Z999".to_owned()],
            tracking_url: None,
            estimate_on: None,
        }],
        product_name: Some(name.to_owned()),
        ..teapots("L1", "1042")
    };
    let [ships, renamed] = ["Enamel teapot", "Enamel teapot, blue"].map(with_parcel);
    stage.announce(&[ships], "2026-02-17 10:00").await;
    stage.review("2026-02-17 10:10").await;
    let first = stage.land(1, doubt(), "2026-02-17 10:10").await.remove(0);
    assert_eq!(first.kind, Kind::Shipped);
    // Its words are outdated by something else than the parcel.
    stage.announce(&[renamed], "2026-02-17 10:15").await;
    let once = stage.store.settle_doubts(at("2026-02-17 10:25")).await;
    assert_eq!(once.unwrap().once_more, 0);
    stage.review("2026-02-17 10:25").await;
    let second = stage.land(1, doubt(), "2026-02-17 10:25").await.remove(0);
    assert_eq!(second.kind, Kind::Shipped, "it must arrive: said again");
    assert_ne!(first.no, second.no);
    let twice = stage.store.settle_doubts(at("2026-02-17 10:40")).await;
    let twice = twice.unwrap();
    assert_eq!((twice.once_more, twice.assumed), (0, 1));
    assert!(stage.review("2026-02-17 10:40").await.messages.is_empty());
}

async fn what_shipped_is_not_forgotten_after_two_doubts(stage: Stage) {
    let shipped = |number: &str| Row {
        shipped: Some(Quantity::pieces(2)),
        shipments: vec![RowShipment {
            key: "P1".to_owned(),
            shipped_at: None,
            carrier: None,
            tracking_numbers: vec![number.to_owned()],
            tracking_url: None,
            estimate_on: None,
        }],
        ..teapots("L1", "1042")
    };
    stage.told_teapots().await;
    stage.announce(&[shipped("1Z-1")], "2026-02-17 10:00").await;
    stage.review("2026-02-17 10:30").await;
    assert_eq!(stage.land(1, doubt(), "2026-02-17 10:30").await.len(), 1);
    for now in ["2026-02-17 10:46", "2026-02-17 11:02"] {
        stage.store.settle_doubts(at(now)).await.unwrap();
        if now < "2026-02-17 11" {
            assert_eq!(stage.land(1, doubt(), now).await.len(), 1);
            // While the second copy is in doubt the facts move.
            stage.announce(&[shipped("1Z-2")], "2026-02-17 10:50").await;
        }
    }
    stage.review("2026-02-17 11:02").await;
    assert!(stage.claim(1, "2026-02-17 12:00").await.is_empty());
    let s = stage.situation("1042", "2026-02-17 12:00").await;
    assert_eq!(s.lines[0].shipped_told, Quantity::pieces(2));
}

async fn a_doubt_that_is_too_old_to_be_true_is_not_repeated(stage: Stage) {
    in_doubt(&stage).await;
    let late = at("2026-03-20 10:00");
    let settled = stage.store.settle_doubts(late).await.unwrap();
    assert_eq!((settled.once_more, settled.assumed), (0, 1));
}

async fn what_grew_too_old_is_looked_at_again(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let first = stage.review(MONDAY).await.messages[0];
    let late = stage.situation("1042", MONDAY).await.notices[0]
        .not_after
        .plus(Length(1));
    assert_eq!(stage.store.tidy(late, Length::hours(24)).await.unwrap(), 1);
    assert_eq!(stage.state(first).await, MessageState::Expired);
    assert_eq!(
        stage.store.read().due_orders(late, 9).await.unwrap().len(),
        1
    );
    // Its key is free: the same thing may be planned again.
    assert!(stage.situation("1042", MONDAY).await.notices.is_empty());
    assert_eq!(stage.review("2026-02-18 14:31").await.messages.len(), 1);
}

async fn queued_mail_to_a_suppressed_address_is_taken_back(stage: Stage) {
    stage
        .announce(&[teapots("L1", "1042"), teapots("L2", "1043")], MONDAY)
        .await;
    let queued = stage.review(MONDAY).await.messages;
    stage
        .store
        .suppress(
            &email_hash("1042"),
            ChannelName::Email,
            "stop",
            "person",
            at(MONDAY),
        )
        .await
        .unwrap();
    assert_eq!(stage.due(MONDAY).await.len(), 1);
    assert_eq!(
        stage
            .store
            .tidy(at(MONDAY), Length::hours(24))
            .await
            .unwrap(),
        1
    );
    assert_eq!(stage.state(queued[0]).await, MessageState::Suppressed);
    assert_eq!(stage.state(queued[1]).await, MessageState::Queued);
    stage.review(MONDAY).await;
    let order = stage.order("1042").await;
    let verdicts = stage.store.read().verdicts(order).await.unwrap();
    assert_eq!(
        verdicts.last().unwrap().verdict.reason.code(),
        "unreachable"
    );
}

async fn a_poisonous_message_is_set_aside_and_the_others_go_on(stage: Stage) {
    stage
        .announce(&[teapots("L1", "1042"), teapots("L2", "1043")], MONDAY)
        .await;
    let queued = stage.review(MONDAY).await.messages;
    stage
        .force("UPDATE messages SET claims = 4 WHERE no = 1")
        .await
        .unwrap();
    assert_eq!(
        stage
            .store
            .tidy(at(MONDAY), Length::hours(24))
            .await
            .unwrap(),
        1
    );
    assert_eq!(stage.state(queued[0]).await, MessageState::Failed);
    assert_eq!(stage.claim(1, MONDAY).await.len(), 1);
}

async fn an_outcome_ends_the_count_of_claims_without_one(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    let mut now = at(MONDAY);
    for round in 0..6 {
        let message = stage
            .claim_as(super::props::ask(worker(1), stage.mode, now))
            .await
            .remove(0);
        assert!(
            stage
                .store
                .mark(worker(1), super::props::mark_of(&message), now)
                .await
                .unwrap(),
            "{round}"
        );
        let report = stage.report(&message, deferred(Deferral::Relay), now);
        assert!(stage.store.record(worker(1), report, now).await.unwrap());
        now = now.plus(Length::mins(5));
    }
    assert_eq!(stage.number("SELECT claims FROM messages").await, 0);
}

async fn a_hold_ends_when_its_time_is_over_and_wakes_its_orders(stage: Stage) {
    stage.import(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    let until = at("2026-02-17 09:00");
    let hold = NewHold {
        scope: "order",
        key: "1042".to_owned(),
        by: "mira".to_owned(),
        why: "called".to_owned(),
        until: Some(until),
    };
    assert!(stage.store.hold(hold, at(MONDAY)).await.unwrap());
    let paused = stage.situation("1042", MONDAY).await.pause.unwrap();
    assert_eq!(
        (paused.scope.as_str(), paused.until),
        ("order", Some(until))
    );
    stage.review(MONDAY).await;
    assert_eq!(
        stage
            .store
            .tidy(at(MONDAY), Length::hours(24))
            .await
            .unwrap(),
        0
    );
    assert_eq!(stage.store.tidy(until, Length::hours(24)).await.unwrap(), 1);
    assert!(stage.store.read().holds().await.unwrap().is_empty());
    assert_eq!(
        stage.store.read().due_orders(until, 9).await.unwrap().len(),
        1
    );
}

async fn a_held_run_lapses_and_its_orders_are_looked_at_again(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let mut review = stage.plan(MONDAY).await;
    review.held = true;
    let run = review.run;
    let message = stage.commit(review, MONDAY).await.messages[0];
    let next_day = "2026-02-17 14:31";
    assert_eq!(
        stage
            .store
            .tidy(at("2026-02-17 14:29"), Length::hours(24))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        stage
            .store
            .tidy(at(next_day), Length::hours(24))
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        stage.store.read().runs(Some(run), 1).await.unwrap()[0].state,
        RunState::Lapsed
    );
    assert_eq!(stage.state(message).await, MessageState::Expired);
    assert_eq!(stage.review(next_day).await.messages.len(), 1);
}
