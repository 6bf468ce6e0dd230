//! An order whose only message was accepted rests until its next look; whatever
//! else happened to it meanwhile has it looked at.

use super::props::{MONDAY, accepted, at, deferred, eta, teapots, worker};
use super::stage::Stage;
use backorderd::domain::message::MessageState;
use backorderd::domain::outcome::Deferral;
use backorderd::domain::row::Row;
use backorderd::store::read::lists::OrderFilter;
use backorderd::store::types::{Claimed, GiveBack};
use backorderd::store::write::by_hand::Act;
use backorderd::store::write::operate::NewHold;

/// A little later that Monday.
const LATER: &str = "2026-02-16 14:40";
/// The confirmation would have been too old to send.
const TOO_OLD: &str = "2026-02-18 14:31";

promises![
    an_order_whose_only_message_was_accepted_rests_until_its_next_look,
    new_facts_on_the_way_have_it_looked_at,
    a_hold_and_its_end_on_the_way_have_it_looked_at,
    changed_settings_on_the_way_have_it_looked_at,
    a_look_on_the_way_is_followed_by_another,
    what_was_given_back_or_put_off_is_looked_at_when_it_went_out,
    each_order_of_a_group_rests_or_not_by_itself,
    what_never_went_out_is_no_rest,
];

/// A confirmation of order 1042 in worker 1's hands.
async fn submitted(stage: &Stage) -> Claimed {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    stage.submit(1, MONDAY).await.remove(0)
}

async fn is_looked_at(stage: &Stage, message: &Claimed, now: &str) {
    assert!(stage.record(1, message, accepted(), now).await);
    assert_eq!(stage.state(message.no).await, MessageState::Sent);
    let order = stage.order("1042").await;
    assert_eq!(stage.due(now).await, [order]);
}

async fn standing(stage: &Stage) -> String {
    let all = OrderFilter::default();
    let rows = stage.store.read().orders(&all, 10).await;
    rows.expect("orders").remove(0).verdict.expect("a verdict")
}

async fn an_order_whose_only_message_was_accepted_rests_until_its_next_look(stage: Stage) {
    let message = submitted(&stage).await;
    assert!(standing(&stage).await.contains("owed"));
    assert!(stage.record(1, &message, accepted(), LATER).await);
    assert_eq!(stage.due(LATER).await, []);
    // A look would find that everything was said, and so says the list.
    assert!(standing(&stage).await.contains("nothing_new"));
    let plan = stage.plan_orders(&[stage.order("1042").await], LATER).await;
    assert!(plan.messages.is_empty() && plan.orders[0].supersede.is_empty());
    assert_eq!(stage.due(TOO_OLD).await.len(), 1);
    stage.review(TOO_OLD).await;
    assert!(standing(&stage).await.contains("nothing_new"));
    assert_eq!(stage.due("2026-02-23 09:59").await, []);
    assert_eq!(stage.due("2026-02-23 10:00").await.len(), 1);
}

async fn new_facts_on_the_way_have_it_looked_at(stage: Stage) {
    let message = submitted(&stage).await;
    let moved = Row {
        eta: Some(eta("2026-03-20")),
        ..teapots("L1", "1042")
    };
    stage.announce(&[moved], LATER).await;
    // It is on its way: nothing is written before that is known.
    assert_eq!(stage.review(LATER).await.messages, []);
    assert_eq!(stage.due(LATER).await, []);
    is_looked_at(&stage, &message, LATER).await;
}

async fn a_hold_and_its_end_on_the_way_have_it_looked_at(stage: Stage) {
    let message = submitted(&stage).await;
    let hold = NewHold {
        scope: "order",
        key: "1042".to_owned(),
        by: "anna".to_owned(),
        why: "the customer calls".to_owned(),
        until: None,
    };
    stage.store.hold(hold, at(LATER)).await.expect("a hold");
    stage.review(LATER).await;
    assert_eq!(stage.due(LATER).await, []);
    is_looked_at(&stage, &message, LATER).await;
}

async fn changed_settings_on_the_way_have_it_looked_at(mut stage: Stage) {
    stage.settings = "one";
    let noticed = stage.store.notice_settings("one", at(MONDAY)).await;
    noticed.expect("settings");
    let message = submitted(&stage).await;
    stage.settings = "two";
    let noticed = stage.store.notice_settings("two", at(LATER)).await;
    noticed.expect("settings");
    stage.review(LATER).await;
    assert_eq!(stage.due(LATER).await, []);
    is_looked_at(&stage, &message, LATER).await;
}

/// By time alone: what it foresaw is the plan of another hour.
async fn a_look_on_the_way_is_followed_by_another(stage: Stage) {
    let message = submitted(&stage).await;
    assert_eq!(stage.due(TOO_OLD).await.len(), 1);
    assert_eq!(stage.review(TOO_OLD).await.messages, []);
    assert_eq!(stage.due(TOO_OLD).await, []);
    is_looked_at(&stage, &message, TOO_OLD).await;
}

async fn what_was_given_back_or_put_off_is_looked_at_when_it_went_out(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    let claimed = stage.claim(1, MONDAY).await.remove(0);
    let lease = vec![(claimed.no, claimed.epoch)];
    let given = stage
        .store
        .give_back(worker(1), lease, GiveBack::Unused, at(MONDAY));
    given.await.expect("given back");
    let message = stage.submit(1, MONDAY).await.remove(0);
    let put_off = deferred(Deferral::Recipient);
    assert!(stage.record(1, &message, put_off, MONDAY).await);
    stage.review(MONDAY).await;
    let message = stage.submit(1, "2026-02-16 16:00").await.remove(0);
    is_looked_at(&stage, &message, "2026-02-16 16:00").await;
}

async fn each_order_of_a_group_rests_or_not_by_itself(stage: Stage) {
    let rows = [teapots("L1", "1042"), teapots("L2", "1043")];
    stage.announce(&rows, MONDAY).await;
    stage.review(MONDAY).await;
    let messages = stage.submit(1, MONDAY).await;
    let moved = Row {
        eta: Some(eta("2026-03-20")),
        ..teapots("L1", "1042")
    };
    stage.announce(&[moved], LATER).await;
    stage.review(LATER).await;
    let record = |message| {
        let report = stage.report(message, accepted(), at(LATER));
        stage.store.record(worker(1), report, at(LATER))
    };
    let (one, other) = tokio::join!(record(&messages[0]), record(&messages[1]));
    assert!(one.expect("a record") && other.expect("a record"));
    assert_eq!(stage.due(LATER).await, [stage.order("1042").await]);
}

async fn what_never_went_out_is_no_rest(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let written = stage.review(MONDAY).await.messages;
    let act = Act {
        by: "anna".to_owned(),
        why: None,
    };
    let withdrawn = stage.store.withdraw_messages(written, act, at(LATER)).await;
    assert_eq!(withdrawn.expect("withdrawn").len(), 1);
    for _ in 0..3 {
        // Each look raises the version: none is the one it would have rested at.
        stage.review(LATER).await;
        assert!(standing(&stage).await.contains("cannot_say"));
        stage.store.wake_all(at(LATER)).await.expect("woken");
    }
}
