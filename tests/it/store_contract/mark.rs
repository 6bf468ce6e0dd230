//! The intent to send: one guard after another.

use super::props::{
    GIVEN_UP, MONDAY, accepted, at, doubt, email_hash, eta, mark_of, teapots, worker,
};
use super::stage::Stage;
use backorderd::domain::contact::{PhoneNumber, Preference};
use backorderd::domain::kinds::{ChannelName, Kind};
use backorderd::domain::message::MessageState;
use backorderd::domain::row::Row;
use backorderd::domain::time::Length;
use backorderd::store::types::Claimed;
use backorderd::store::write::operate::NewHold;

/// One claimed confirmation of order 1042.
async fn claimed(stage: &Stage) -> Claimed {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    stage.claim(1, MONDAY).await.remove(0)
}

/// The mark must be refused, and nothing may be left of it.
async fn refused(stage: &Stage, message: &Claimed) {
    assert!(!stage.mark(1, message, MONDAY).await);
    assert_eq!(stage.state(message.no).await, MessageState::Leased);
    assert!(
        stage
            .store
            .read()
            .attempts(message.no)
            .await
            .unwrap()
            .is_empty()
    );
}

promises![
    a_mark_that_passes_writes_the_attempt,
    a_message_is_marked_once,
    a_hold_placed_after_the_claim_is_obeyed,
    facts_that_moved_after_the_claim_are_not_sent,
    no_text_is_marked_after_consent_was_taken_back,
    an_address_suppressed_after_the_claim_is_not_written_to,
    a_lease_that_is_anothers_or_older_marks_nothing,
    a_lease_that_has_passed_marks_nothing,
    what_grew_too_old_after_the_claim_is_not_sent,
    a_second_try_is_a_second_attempt,
];

async fn a_mark_that_passes_writes_the_attempt(stage: Stage) {
    let message = claimed(&stage).await;
    assert!(stage.mark(1, &message, MONDAY).await);
    assert_eq!(stage.state(message.no).await, MessageState::Submitting);
    let attempts = stage.store.read().attempts(message.no).await.unwrap();
    assert_eq!(attempts.len(), 1);
    let attempt = &attempts[0];
    assert_eq!(
        (attempt.no, attempt.relay.as_str(), attempt.began_at),
        (1, "relay.example", at(MONDAY))
    );
    assert_eq!(attempt.message_id, mark_of(&message).message_id_header);
    assert_eq!((attempt.ended_at, attempt.outcome.as_deref()), (None, None));
}

async fn a_message_is_marked_once(stage: Stage) {
    let message = claimed(&stage).await;
    assert!(stage.mark(1, &message, MONDAY).await);
    assert!(!stage.mark(1, &message, MONDAY).await);
    assert_eq!(
        stage.store.read().attempts(message.no).await.unwrap().len(),
        1
    );
}

async fn a_hold_placed_after_the_claim_is_obeyed(stage: Stage) {
    let message = claimed(&stage).await;
    let contact = stage
        .situation("1042", MONDAY)
        .await
        .order
        .contact_id
        .0
        .to_string();
    for (scope, key) in [
        ("global", ""),
        ("channel", "email"),
        ("order", "1042"),
        ("sku", "TP"),
        ("supplier", "Potter"),
        ("customer", contact.as_str()),
    ] {
        let hold = NewHold {
            scope,
            key: key.to_owned(),
            by: "mira".to_owned(),
            why: "stop".to_owned(),
            until: None,
        };
        assert!(stage.store.hold(hold, at(MONDAY)).await.unwrap());
        refused(&stage, &message).await;
        stage
            .store
            .release(scope, key, "mira", None, at(MONDAY))
            .await
            .unwrap();
    }
    assert!(stage.mark(1, &message, MONDAY).await);
}

async fn facts_that_moved_after_the_claim_are_not_sent(stage: Stage) {
    let message = claimed(&stage).await;
    stage
        .announce(
            &[Row {
                eta: Some(eta("2026-03-20")),
                ..teapots("L1", "1042")
            }],
            MONDAY,
        )
        .await;
    refused(&stage, &message).await;
}

/// Consent is taken back with a row of another order; nobody has planned since.
async fn no_text_is_marked_after_consent_was_taken_back(mut stage: Stage) {
    stage.policy.sms.enabled = true;
    stage.policy.sms.kinds = vec![Kind::Confirmation].into_iter().collect();
    let row = |line: &str, order: &str, consent: bool| Row {
        email: teapots("L", "1042").email,
        phone: Some(PhoneNumber::parse("+447911123456", None).unwrap()),
        sms_consent: Some(consent),
        preferred: Some(Preference::Sms),
        ..teapots(line, order)
    };
    let orders = [row("L1", "1042", true), row("L2", "1043", true)];
    stage.announce(&orders, MONDAY).await;
    assert_eq!(stage.review(MONDAY).await.messages.len(), 2);
    let claimed = stage.claim(1, MONDAY).await;
    assert!(!claimed.is_empty());
    stage.announce(&[row("L2", "1043", false)], MONDAY).await;
    for message in &claimed {
        assert_eq!(message.channel, ChannelName::Sms);
        assert!(!stage.mark(1, message, MONDAY).await);
    }
    assert!(stage.claim(2, MONDAY).await.is_empty());
}

async fn an_address_suppressed_after_the_claim_is_not_written_to(stage: Stage) {
    let message = claimed(&stage).await;
    let hash = email_hash("1042");
    stage
        .store
        .suppress(&hash, ChannelName::Email, "stop", "person", at(MONDAY))
        .await
        .unwrap();
    refused(&stage, &message).await;
}

async fn a_lease_that_is_anothers_or_older_marks_nothing(stage: Stage) {
    let message = claimed(&stage).await;
    let foreign = stage
        .store
        .mark(worker(2), mark_of(&message), at(MONDAY))
        .await;
    assert!(!foreign.unwrap());
    for epoch in [message.epoch - 1, message.epoch + 1] {
        refused(
            &stage,
            &Claimed {
                epoch,
                ..message.clone()
            },
        )
        .await;
    }
    assert!(stage.mark(1, &message, MONDAY).await);
}

async fn a_lease_that_has_passed_marks_nothing(stage: Stage) {
    let message = claimed(&stage).await;
    let late = stage
        .store
        .mark(
            worker(1),
            mark_of(&message),
            at(MONDAY).plus(Length::secs(60)),
        )
        .await;
    assert!(!late.unwrap());
    let in_time = stage
        .store
        .mark(
            worker(1),
            mark_of(&message),
            at(MONDAY).plus(Length::secs(59)),
        )
        .await;
    assert!(in_time.unwrap());
}

async fn what_grew_too_old_after_the_claim_is_not_sent(stage: Stage) {
    let message = claimed(&stage).await;
    stage
        .force("UPDATE messages SET lease_until = 9000000000000")
        .await
        .unwrap();
    let late = message.not_after.plus(Length(1));
    assert!(
        !stage
            .store
            .mark(worker(1), mark_of(&message), late)
            .await
            .unwrap()
    );
    assert!(
        stage
            .store
            .mark(worker(1), mark_of(&message), message.not_after)
            .await
            .unwrap()
    );
}

async fn a_second_try_is_a_second_attempt(stage: Stage) {
    claimed(&stage).await;
    stage.dies(1).await;
    stage.store.sweep(worker(2), at(GIVEN_UP)).await.unwrap();
    let first = stage.submit(2, GIVEN_UP).await.remove(0);
    assert_eq!(first.epoch, 2);
    assert!(stage.record(2, &first, doubt(), GIVEN_UP).await);
    let later = "2026-02-16 15:06";
    stage.store.settle_doubts(at(later)).await.unwrap();
    let second = stage.submit(2, later).await.remove(0);
    assert_eq!((second.epoch, second.uid, second.doubts), (3, first.uid, 1));
    assert!(stage.record(2, &second, accepted(), later).await);
    let outcomes: Vec<_> = stage
        .store
        .read()
        .attempts(first.no)
        .await
        .unwrap()
        .into_iter()
        .map(|a| (a.no, a.outcome.unwrap()))
        .collect();
    assert_eq!(
        outcomes,
        [(1, "in_doubt".to_owned()), (2, "accepted".to_owned())]
    );
}
