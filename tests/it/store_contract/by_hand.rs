//! What a person does to single messages: each step by one guarded statement,
//! whatever a sender does at the same moment.

use super::props::{MONDAY, accepted, at, doubt, email_hash, eta, refused, teapots};
use super::stage::Stage;
use backorderd::domain::ids::MessageNo;
use backorderd::domain::kinds::ChannelName;
use backorderd::domain::message::MessageState;
use backorderd::domain::row::Row;
use backorderd::domain::time::Length;
use backorderd::store::types::Claimed;
use backorderd::store::write::by_hand::{Act, Knowledge, Retry};

const LATER: &str = "2026-02-16 14:40";

fn act() -> Act {
    Act {
        by: "mira".to_owned(),
        why: Some("asked to".to_owned()),
    }
}

async fn queued(stage: &Stage) -> MessageNo {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await.messages[0]
}

async fn in_doubt(stage: &Stage) -> Claimed {
    queued(stage).await;
    stage.land(1, doubt(), MONDAY).await.remove(0)
}

async fn withdraw(stage: &Stage, no: MessageNo) -> Vec<MessageNo> {
    let done = stage.store.withdraw_messages(vec![no], act(), at(LATER));
    done.await.expect("an answer")
}

async fn settle(stage: &Stage, no: MessageNo, known: Knowledge) -> Vec<(MessageNo, MessageState)> {
    let done = stage
        .store
        .settle_messages(vec![no], known, act(), at(LATER));
    done.await.expect("an answer")
}

async fn retry(stage: &Stage, no: MessageNo) -> Vec<MessageNo> {
    let s = stage.situation("1042", LATER).await;
    let retry = Retry {
        no,
        facts: vec![(s.order.id, s.order.fact_version)],
        due_at: at(LATER),
        not_after: at(LATER).plus(Length::days(1)),
    };
    let done = stage.store.retry_messages(vec![retry], act(), at(LATER));
    done.await.expect("an answer")
}

async fn audited(stage: &Stage) -> i64 {
    let sql = "SELECT count(*) FROM audit WHERE actor = 'mira' AND target = 'm1'";
    stage.number(sql).await
}

promises![
    a_withdrawn_message_is_not_sent_and_not_planned_again,
    what_is_leased_or_beyond_is_not_withdrawn,
    what_a_person_says_arrived_is_told,
    what_must_arrive_and_did_not_goes_once_more_with_the_same_id,
    what_did_not_arrive_and_is_not_true_any_more_is_planned_again,
    a_courtesy_that_did_not_arrive_is_not_told,
    only_a_doubt_is_settled_and_only_once,
    a_failed_message_goes_out_again_with_fresh_tries,
    a_failed_message_is_not_queued_again_where_it_must_not_go,
    a_resend_is_found_by_what_it_repeats,
];

async fn a_withdrawn_message_is_not_sent_and_not_planned_again(stage: Stage) {
    let no = queued(&stage).await;
    assert_eq!(withdraw(&stage, no).await, [no]);
    assert_eq!(stage.state(no).await, MessageState::Withdrawn);
    assert!(stage.claim(1, LATER).await.is_empty());
    assert!(stage.review(LATER).await.messages.is_empty());
    assert_eq!(audited(&stage).await, 1);
    assert!(withdraw(&stage, no).await.is_empty(), "once");
    assert_eq!(audited(&stage).await, 1);
    let acts = stage.store.read().acts_on(no).await.unwrap();
    let acts: Vec<_> = acts.iter().map(|a| (&*a.verb, a.why.as_deref())).collect();
    assert_eq!(acts, [("withdraw", Some("asked to"))]);
}

async fn what_is_leased_or_beyond_is_not_withdrawn(stage: Stage) {
    let no = queued(&stage).await;
    let claimed = stage.claim(1, MONDAY).await.remove(0);
    assert!(withdraw(&stage, no).await.is_empty());
    assert!(stage.mark(1, &claimed, MONDAY).await);
    assert!(withdraw(&stage, no).await.is_empty());
    assert!(stage.record(1, &claimed, accepted(), MONDAY).await);
    assert!(withdraw(&stage, no).await.is_empty());
    assert_eq!(stage.state(no).await, MessageState::Sent);
    assert_eq!(audited(&stage).await, 0);
}

async fn what_a_person_says_arrived_is_told(stage: Stage) {
    let message = in_doubt(&stage).await;
    let done = settle(&stage, message.no, Knowledge::Arrived).await;
    assert_eq!(done, [(message.no, MessageState::Sent)]);
    let row = stage.message(message.no).await;
    assert_eq!(row.settled_by.as_deref(), Some("mira"));
    assert_eq!(
        stage.told("1042").await,
        ["2026-03-06 possible", "2026-03-06 accepted"]
    );
    assert_eq!(stage.due(LATER).await.len(), 1);
    assert!(stage.review(LATER).await.messages.is_empty());
    let quiet_over = stage.store.settle_doubts(at("2026-02-16 15:30")).await;
    assert_eq!(quiet_over.unwrap(), Default::default());
}

async fn what_must_arrive_and_did_not_goes_once_more_with_the_same_id(stage: Stage) {
    let message = in_doubt(&stage).await;
    let done = settle(&stage, message.no, Knowledge::NotArrived).await;
    assert_eq!(done, [(message.no, MessageState::Queued)]);
    assert!(stage.review(LATER).await.messages.is_empty());
    let again = stage.land(1, accepted(), LATER).await.remove(0);
    assert_eq!((again.no, again.uid), (message.no, message.uid));
    assert_eq!(
        stage.told("1042").await.last().unwrap(),
        "2026-03-06 accepted"
    );
}

async fn what_did_not_arrive_and_is_not_true_any_more_is_planned_again(stage: Stage) {
    let message = in_doubt(&stage).await;
    let moved = Row {
        eta: Some(eta("2026-03-20")),
        ..teapots("L1", "1042")
    };
    stage.announce(&[moved], LATER).await;
    let done = settle(&stage, message.no, Knowledge::NotArrived).await;
    assert_eq!(done, [(message.no, MessageState::Failed)]);
    let words = stage.told("1042").await;
    assert_eq!(words.last().unwrap(), "2026-03-06 retracted");
    let written = stage.review("2026-02-16 15:30").await.messages;
    assert_eq!(written.len(), 1, "it is owed as if nothing had been said");
    assert_ne!(written[0], message.no);
}

async fn a_courtesy_that_did_not_arrive_is_not_told(stage: Stage) {
    stage.told_teapots().await;
    let milestone = "2026-02-23 10:00";
    stage.review(milestone).await;
    let update = stage.land(1, doubt(), milestone).await.remove(0);
    assert!(!update.kind.must_arrive());
    let (known, now) = (Knowledge::NotArrived, at("2026-02-23 10:05"));
    let done = stage
        .store
        .settle_messages(vec![update.no], known, act(), now);
    assert_eq!(done.await.unwrap(), [(update.no, MessageState::Failed)]);
    let again = stage.review("2026-02-23 10:06").await.messages;
    assert_eq!(again.len(), 1, "day 7 is still owed");
}

async fn only_a_doubt_is_settled_and_only_once(stage: Stage) {
    let no = queued(&stage).await;
    for known in [Knowledge::Arrived, Knowledge::NotArrived] {
        assert!(settle(&stage, no, known).await.is_empty());
    }
    stage.land(1, doubt(), MONDAY).await;
    assert_eq!(settle(&stage, no, Knowledge::Arrived).await.len(), 1);
    for known in [Knowledge::Arrived, Knowledge::NotArrived] {
        assert!(settle(&stage, no, known).await.is_empty());
    }
    assert_eq!(audited(&stage).await, 1);
}

async fn a_failed_message_goes_out_again_with_fresh_tries(stage: Stage) {
    let no = queued(&stage).await;
    stage.force("UPDATE messages SET state = 'failed', counted = 7, claims = 3, settled_by = 'x', ended_at = 1").await.unwrap();
    stage
        .force("UPDATE notices SET in_queue = FALSE")
        .await
        .unwrap();
    assert_eq!(retry(&stage, no).await, [no]);
    assert!(stage.review(LATER).await.messages.is_empty());
    let claimed = stage.claim(1, LATER).await.remove(0);
    assert_eq!((claimed.no, claimed.counted), (no, 0));
    assert_eq!(claimed.due_since, at(LATER));
    assert!(retry(&stage, no).await.is_empty(), "once");
    assert_eq!(audited(&stage).await, 1);
}

async fn a_failed_message_is_not_queued_again_where_it_must_not_go(stage: Stage) {
    let no = queued(&stage).await;
    stage.land(1, refused(), MONDAY).await;
    assert_eq!(stage.state(no).await, MessageState::Failed);
    assert!(retry(&stage, no).await.is_empty(), "suppressed");
    stage.force("DELETE FROM suppressions").await.unwrap();
    stage
        .force("UPDATE orders SET fact_version = fact_version + 1")
        .await
        .unwrap();
    let stale = Retry {
        no,
        facts: vec![(stage.order("1042").await, 1)],
        due_at: at(LATER),
        not_after: at(LATER),
    };
    let done = stage.store.retry_messages(vec![stale], act(), at(LATER));
    assert!(done.await.unwrap().is_empty(), "its facts moved");
    // Something else about the order waits.
    stage
        .force("UPDATE notices SET in_flight = TRUE")
        .await
        .unwrap();
    assert!(retry(&stage, no).await.is_empty(), "in the way");
    stage
        .force("UPDATE notices SET in_flight = FALSE")
        .await
        .unwrap();
    let hash = email_hash("1042");
    let email = ChannelName::Email;
    let stopped = stage
        .store
        .suppress(&hash, email, "asked", "mira", at(LATER));
    stopped.await.unwrap();
    assert!(
        retry(&stage, no).await.is_empty(),
        "on the do-not-write list"
    );
    assert_eq!(audited(&stage).await, 0);
    stage.force("DELETE FROM suppressions").await.unwrap();
    assert_eq!(retry(&stage, no).await, [no]);
}

async fn a_resend_is_found_by_what_it_repeats(stage: Stage) {
    stage.told_teapots().await;
    let first = MessageNo(1);
    let mut message = super::stage::teapots_message(&stage, "1042").await;
    message.resend_of = Some(first);
    message.planned.notices[0].key = "a key of its own".to_owned();
    message.planned.notices[0].take = 1;
    let mut review = stage.plan_orders(&[stage.order("1042").await], LATER).await;
    review.messages.push(message);
    let written = stage.commit(review, LATER).await.messages;
    let read = stage.store.read();
    assert_eq!(read.resends(first).await.unwrap(), written);
    assert_eq!(stage.message(written[0]).await.resend_of, Some(first));
    let origin = read.origins(&[first]).await.unwrap().remove(0);
    assert_eq!((origin.message, origin.take), (first, 1));
    // The planner leaves it where it is.
    stage.store.wake_all(at(LATER)).await.unwrap();
    stage.review(LATER).await;
    assert_eq!(stage.state(written[0]).await, MessageState::Queued);
    let names = read.mail_names(&[first]).await.unwrap();
    assert!(names.iter().all(|name| name.no == first));
}
