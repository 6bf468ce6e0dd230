//! What became of an attempt, and everything that follows from it.

use super::props::{
    MONDAY, accepted, at, day, deferred, doubt, email_hash, eta, refused, teapots, worker,
};
use super::stage::Stage;
use backorderd::domain::contact::{PhoneNumber, Preference};
use backorderd::domain::kinds::{ChannelName, Kind};
use backorderd::domain::message::{MessageState, QUIET_PERIOD};
use backorderd::domain::outcome::{Deferral, Evidence, Outcome, Phase, Refusal};
use backorderd::domain::quantity::Quantity;
use backorderd::domain::row::{Row, RowShipment};
use backorderd::domain::time::Length;
use backorderd::store::types::{Claimed, GiveBack};

/// A confirmation of order 1042 that is being sent by worker 1.
async fn submitted(stage: &Stage) -> Claimed {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    stage.submit(1, MONDAY).await.remove(0)
}

promises![
    an_accepted_message_is_sent_and_its_word_is_told,
    a_ship_notice_tells_quantities_and_parcels,
    two_channels_recorded_in_one_breath_count_one_after_the_other,
    one_doubt_beside_one_success_wakes_the_order_all_the_same,
    put_off_by_the_recipient_it_waits_longer_and_the_attempt_counts,
    put_off_by_the_relay_no_attempt_counts,
    a_dead_address_fails_the_message_and_is_not_written_to_again,
    a_vague_refusal_ends_an_address_on_its_second_day,
    what_is_accepted_in_between_clears_a_vague_refusal,
    the_relay_that_answered_is_kept_with_the_attempt,
    what_a_relay_says_is_kept_to_the_letter,
    in_doubt_is_a_state_of_its_own_and_its_word_is_possible,
    a_record_of_a_worker_that_lost_it_changes_nothing,
    a_lease_is_not_recorded_before_it_is_marked,
    a_lease_given_back_is_queued_again_at_once,
    what_cannot_be_rendered_fails_with_its_reason,
];

async fn an_accepted_message_is_sent_and_its_word_is_told(stage: Stage) {
    let rows = [
        teapots("L1", "1042"),
        Row {
            eta: Some(eta("?")),
            ..teapots("L2", "1042")
        },
    ];
    stage.announce(&rows, MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.submit(1, MONDAY).await.remove(0);
    let before = stage.situation("1042", MONDAY).await;
    let now = "2026-02-16 14:31";
    assert!(stage.record(1, &message, accepted(), now).await);
    let row = stage.message(message.no).await;
    assert_eq!(
        (row.state, row.sent_at, row.attempts),
        (MessageState::Sent, Some(at(now)), 1)
    );
    assert_eq!(
        row.last_reply.as_deref(),
        Some("250 2.0.0 Ok: queued as 4ABC")
    );
    assert_eq!(
        stage.told("1042").await,
        ["2026-03-06 accepted", "unknown accepted"]
    );
    let s = stage.situation("1042", MONDAY).await;
    for line in &s.lines {
        let told = &line.told[0];
        assert_eq!(
            (told.seq, told.message, told.at),
            (1, Some(message.no), at(now))
        );
    }
    // A date is missing, so the message promised another word.
    assert_eq!(s.order.next_word_by, Some(day("2026-02-23")));
    assert!(s.order.review_version > before.order.review_version);
    assert_eq!(s.order.fact_version, before.order.fact_version);
    // Nothing more is owed before its next look.
    assert_eq!(stage.due(now).await, []);
    assert!(!s.notices[0].in_flight && !s.notices[0].in_queue);
    assert!(s.notices[0].key.is_some(), "what was said keeps its key");
    let attempt = stage
        .store
        .read()
        .attempts(message.no)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (attempt.outcome.as_deref(), attempt.code),
        (Some("accepted"), Some(250))
    );
    assert_eq!(
        (attempt.ended_at, attempt.reference.as_deref()),
        (Some(at(now)), Some("4ABC"))
    );
    assert_eq!(attempt.phase.as_deref(), Some("done"));
}

async fn a_ship_notice_tells_quantities_and_parcels(stage: Stage) {
    stage.told_teapots().await;
    let parcel = RowShipment {
        key: "P1".to_owned(),
        shipped_at: None,
        carrier: Some("UPS".to_owned()),
        tracking_numbers: vec!["1Z999".to_owned()],
        tracking_url: None,
        estimate_on: None,
    };
    let shipped = Row {
        shipped: Some(Quantity::pieces(1)),
        shipments: vec![parcel],
        ..teapots("L1", "1042")
    };
    stage.announce(&[shipped], "2026-02-17 10:00").await;
    assert_eq!(
        stage.situation("1042", MONDAY).await.untold_shipments.len(),
        1
    );
    stage.review("2026-02-17 10:10").await;
    let sent = stage.land(1, accepted(), "2026-02-17 10:10").await;
    assert_eq!(sent[0].kind, Kind::Shipped);
    let s = stage.situation("1042", MONDAY).await;
    assert!(s.untold_shipments.is_empty());
    assert_eq!(s.lines[0].shipped_told, Quantity::pieces(1));
    assert_eq!(
        stage.told("1042").await,
        ["2026-03-06 accepted", "2026-03-06 accepted"]
    );
    assert_eq!(s.lines[0].told_seq(), 2);
    assert!(stage.review("2026-02-17 10:10").await.messages.is_empty());
}

async fn two_channels_recorded_in_one_breath_count_one_after_the_other(mut stage: Stage) {
    stage.policy.sms.enabled = true;
    let both = |ships| Row {
        phone: Some(PhoneNumber::parse("+447400120123", None).unwrap()),
        sms_consent: Some(true),
        preferred: Some(Preference::Both),
        eta: Some(eta(ships)),
        ..teapots("L1", "1042")
    };
    stage.announce(&[both("2026-03-06")], MONDAY).await;
    assert_eq!(stage.write(MONDAY).await, 1);
    stage
        .announce(&[both("2026-03-20")], "2026-02-17 10:00")
        .await;
    let now = "2026-02-17 11:00";
    stage.review(now).await;
    let pair = stage.submit(1, now).await;
    let channels: Vec<_> = pair.iter().map(|m| m.channel).collect();
    assert_eq!(channels, [ChannelName::Email, ChannelName::Sms]);
    let reports = pair.iter().map(|m| stage.report(m, accepted(), at(now)));
    let [email, text] = reports.collect::<Vec<_>>().try_into().unwrap();
    let (email, text) = tokio::join!(
        stage.store.record(worker(1), email, at(now)),
        stage.store.record(worker(1), text, at(now)),
    );
    assert!(email.unwrap() && text.unwrap());
    let s = stage.situation("1042", MONDAY).await;
    let seqs: Vec<_> = s.lines[0].told.iter().map(|t| (t.seq, t.message)).collect();
    assert_eq!(seqs[1..], [(2, Some(pair[0].no)), (3, Some(pair[1].no))]);
    assert_eq!(stage.number("SELECT told_seq FROM order_lines").await, 3);
}

async fn one_doubt_beside_one_success_wakes_the_order_all_the_same(mut stage: Stage) {
    stage.policy.sms.enabled = true;
    let both = |ships| Row {
        phone: Some(PhoneNumber::parse("+447400120123", None).unwrap()),
        sms_consent: Some(true),
        preferred: Some(Preference::Both),
        eta: Some(eta(ships)),
        ..teapots("L1", "1042")
    };
    stage.announce(&[both("2026-03-06")], MONDAY).await;
    stage.write(MONDAY).await;
    let now = "2026-02-17 11:00";
    for (first, second) in [(doubt(), accepted()), (accepted(), doubt())] {
        stage
            .announce(&[both("2026-03-20")], "2026-02-17 10:00")
            .await;
        stage.review(now).await;
        let pair = stage.submit(1, now).await;
        if pair.len() < 2 {
            continue;
        }
        stage.review(now).await;
        let (a, b) = (
            stage.report(&pair[0], first, at(now)),
            stage.report(&pair[1], second, at(now)),
        );
        let done = tokio::join!(
            stage.store.record(worker(1), a, at(now)),
            stage.store.record(worker(1), b, at(now)),
        );
        assert!(done.0.unwrap() && done.1.unwrap());
        assert_eq!(stage.due(now).await.len(), 1);
    }
}

async fn put_off_by_the_recipient_it_waits_longer_and_the_attempt_counts(stage: Stage) {
    let message = submitted(&stage).await;
    assert!(
        stage
            .record(1, &message, deferred(Deferral::Recipient), MONDAY)
            .await
    );
    let row = stage.message(message.no).await;
    assert_eq!(
        (row.state, row.due_at),
        (MessageState::Queued, at("2026-02-16 14:32"))
    );
    assert!(stage.told("1042").await.is_empty());
    assert!(stage.claim(1, MONDAY).await.is_empty());
    // The order is looked at again, and the message is still right.
    assert!(stage.review(MONDAY).await.messages.is_empty());
    let again = stage.claim(1, "2026-02-16 14:32").await.remove(0);
    assert_eq!((again.counted, again.epoch, again.uid), (1, 2, message.uid));
    assert_eq!(
        (again.planned_at, again.due_since),
        (message.planned_at, message.due_since)
    );
}

async fn put_off_by_the_relay_no_attempt_counts(stage: Stage) {
    let message = submitted(&stage).await;
    assert!(
        stage
            .record(1, &message, deferred(Deferral::Relay), MONDAY)
            .await
    );
    let again = stage.claim(1, "2026-02-16 15:00").await.remove(0);
    assert_eq!(
        (again.counted, stage.message(message.no).await.attempts),
        (0, 1)
    );
}

async fn a_dead_address_fails_the_message_and_is_not_written_to_again(stage: Stage) {
    let same = |line, order| Row {
        email: teapots("L", "1042").email,
        ..teapots(line, order)
    };
    stage
        .announce(&[same("L1", "1042"), same("L2", "1043")], MONDAY)
        .await;
    stage.review(MONDAY).await;
    let pair = stage.submit(1, MONDAY).await;
    assert!(
        stage
            .record(1, &pair[1], deferred(Deferral::Recipient), MONDAY)
            .await
    );
    stage.review(MONDAY).await;
    assert!(stage.record(1, &pair[0], refused(), MONDAY).await);
    assert_eq!(stage.state(pair[0].no).await, MessageState::Failed);
    let s = stage.situation("1042", MONDAY).await;
    assert_eq!(s.suppressed, [ChannelName::Email]);
    assert!(s.notices[0].key.is_some() && stage.told("1042").await.is_empty());
    // Both orders of this customer have to be reached otherwise.
    assert_eq!(stage.due(MONDAY).await.len(), 2);
    assert!(stage.claim(1, "2026-02-16 15:00").await.is_empty());
    let hash = email_hash("1042");
    assert_eq!(
        stage
            .store
            .read()
            .find_orders("?", Some(&hash))
            .await
            .unwrap()
            .len(),
        2
    );
}

async fn in_doubt_is_a_state_of_its_own_and_its_word_is_possible(stage: Stage) {
    let message = submitted(&stage).await;
    assert!(stage.record(1, &message, doubt(), MONDAY).await);
    assert_eq!(stage.state(message.no).await, MessageState::InDoubt);
    assert_eq!(stage.told("1042").await, ["2026-03-06 possible"]);
    let s = stage.situation("1042", MONDAY).await;
    assert!(s.notices[0].in_flight, "nothing may overtake it");
    assert_eq!(s.lines[0].shipped_told, Quantity::ZERO);
    assert!(stage.claim(2, MONDAY).await.is_empty());
    let settled = stage
        .store
        .settle_doubts(at(MONDAY).plus(QUIET_PERIOD).minus(Length(1)))
        .await;
    assert_eq!(settled.unwrap(), Default::default());
}

async fn a_record_of_a_worker_that_lost_it_changes_nothing(stage: Stage) {
    let message = submitted(&stage).await;
    let before = stage.situation("1042", MONDAY).await;
    assert!(!stage.record(2, &message, accepted(), MONDAY).await);
    for epoch in [message.epoch - 1, message.epoch + 1] {
        let other = Claimed {
            epoch,
            ..message.clone()
        };
        assert!(!stage.record(1, &other, accepted(), MONDAY).await);
    }
    assert_eq!(stage.state(message.no).await, MessageState::Submitting);
    assert_eq!(stage.situation("1042", MONDAY).await, before);
    let attempt = stage
        .store
        .read()
        .attempts(message.no)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(attempt.outcome, None);
    assert!(stage.record(1, &message, accepted(), MONDAY).await);
    assert!(
        !stage.record(1, &message, refused(), MONDAY).await,
        "once is enough"
    );
    assert_eq!(stage.state(message.no).await, MessageState::Sent);
}

async fn a_lease_is_not_recorded_before_it_is_marked(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.claim(1, MONDAY).await.remove(0);
    assert!(!stage.record(1, &message, accepted(), MONDAY).await);
    assert_eq!(stage.state(message.no).await, MessageState::Leased);
}

async fn a_lease_given_back_is_queued_again_at_once(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    for _ in 0..5 {
        let message = stage.claim(1, MONDAY).await.remove(0);
        let foreign = stage.store.give_back(
            worker(2),
            vec![(message.no, message.epoch)],
            GiveBack::Unused,
            at(MONDAY),
        );
        assert_eq!(foreign.await.unwrap(), 0);
        let back = stage.store.give_back(
            worker(1),
            vec![(message.no, message.epoch)],
            GiveBack::Unused,
            at(MONDAY),
        );
        assert_eq!(back.await.unwrap(), 1, "it counts no claim, however often");
    }
    assert_eq!(stage.due(MONDAY).await.len(), 1);
    stage.review(MONDAY).await;
    assert_eq!(stage.claim(1, MONDAY).await.len(), 1);
}

async fn what_cannot_be_rendered_fails_with_its_reason(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.claim(1, MONDAY).await.remove(0);
    let leases = vec![(message.no, message.epoch)];
    let failed = "the template names nothing we know".to_owned();
    assert_eq!(
        stage
            .store
            .give_back(
                worker(1),
                leases,
                GiveBack::Unrenderable(failed.clone()),
                at(MONDAY)
            )
            .await
            .unwrap(),
        1
    );
    let row = stage.message(message.no).await;
    assert_eq!(
        (row.state, row.settled_by),
        (MessageState::Failed, Some(failed))
    );
    let s = stage.situation("1042", MONDAY).await;
    assert!(!s.notices[0].in_flight && !s.notices[0].in_queue && s.notices[0].key.is_some());
}

/// "No such user here", without a code that says so.
fn vague() -> Outcome {
    let evidence = Evidence::new(Phase::Rcpt, "No such user here").with_code(550);
    Outcome::Refused {
        class: Refusal::HardAfterTwoDays,
        evidence,
    }
}

/// A new order of the customer of 1042, announced and sent with this outcome.
async fn another(stage: &Stage, order: &str, outcome: Outcome, now: &str) -> Vec<ChannelName> {
    let row = Row {
        email: teapots("L1", "1042").email,
        ..teapots(order, order)
    };
    stage.announce(&[row], now).await;
    stage.review(now).await;
    assert_eq!(stage.land(1, outcome, now).await.len(), 1);
    stage.situation(order, now).await.suppressed
}

async fn a_vague_refusal_ends_an_address_on_its_second_day(stage: Stage) {
    let none: [ChannelName; 0] = [];
    assert_eq!(another(&stage, "1042", vague(), MONDAY).await, none);
    // The same day says nothing new.
    let later = "2026-02-16 16:00";
    assert_eq!(another(&stage, "1043", vague(), later).await, none);
    let tuesday = "2026-02-17 14:00";
    let stopped = another(&stage, "1044", vague(), tuesday).await;
    assert_eq!(stopped, [ChannelName::Email]);
    let why = "SELECT count(*) FROM suppressions WHERE source = 'reply'";
    assert_eq!(stage.number(why).await, 1);
    // Everybody at that address is looked at again.
    assert!(
        stage
            .due(tuesday)
            .await
            .contains(&stage.order("1042").await)
    );
}

async fn what_is_accepted_in_between_clears_a_vague_refusal(stage: Stage) {
    let none: [ChannelName; 0] = [];
    assert_eq!(another(&stage, "1042", vague(), MONDAY).await, none);
    let tuesday = "2026-02-17 14:00";
    assert_eq!(another(&stage, "1043", accepted(), tuesday).await, none);
    let wednesday = "2026-02-18 14:00";
    assert_eq!(another(&stage, "1044", vague(), wednesday).await, none);
    let kept = "SELECT count(*) FROM vague_refusals WHERE CAST(day AS TEXT) = '2026-02-18'";
    assert_eq!(stage.number(kept).await, 1);
}

async fn the_relay_that_answered_is_kept_with_the_attempt(stage: Stage) {
    let message = submitted(&stage).await;
    let outcome = accepted().at("second.example:465", false);
    assert!(stage.record(1, &message, outcome, MONDAY).await);
    let attempts = stage.store.read().attempts(message.no).await.unwrap();
    assert_eq!(attempts[0].relay, "second.example:465");
}

/// Marks and records reach a server inside a statement's text.
async fn what_a_relay_says_is_kept_to_the_letter(stage: Stage) {
    if let Some(database) = stage.database() {
        // Then a backslash would be special; a session has to say otherwise.
        let words = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET standard_conforming_strings \
            = off', current_database()); END $$";
        let mut admin = database.connect().await;
        sqlx::Executor::execute(&mut admin, words).await.unwrap();
    }
    let words = [
        "it's full, isn't it",
        "'); DROP TABLE told; --",
        "'', ''''",
        r"C:\new\u0041\'; COMMIT; --",
        r"E'\\x41' $1 $$ $follow$ :name ? /* -- */",
        "größe “ok” 🫖 \u{7f}",
        "",
    ];
    let rows: Vec<Row> = (0..words.len())
        .map(|i| teapots(&format!("L{i}"), &format!("{}", 1000 + i)))
        .collect();
    stage.announce(&rows, MONDAY).await;
    stage.review(MONDAY).await;
    let flying = stage.submit(1, MONDAY).await;
    assert_eq!(flying.len(), words.len());
    for (message, words) in flying.iter().zip(words) {
        let evidence = Evidence::new(Phase::Done, words).with_code(250);
        let kept = evidence.text.clone();
        let outcome = Outcome::Accepted { evidence };
        assert!(stage.record(1, message, outcome, MONDAY).await, "{words}");
        let attempts = stage.store.read().attempts(message.no).await.unwrap();
        assert_eq!(attempts[0].reply.as_deref(), Some(kept.as_str()));
    }
}
