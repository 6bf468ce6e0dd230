//! What operators do, and the handles themselves.

use super::props::{MONDAY, accepted, at, email_hash, eta, teapots, worker};
use super::stage::{BackEnd, Stage};
use backorderd::domain::kinds::ChannelName;
use backorderd::domain::message::MessageState;
use backorderd::domain::notice_key::Mode;
use backorderd::domain::quantity::Quantity;
use backorderd::domain::row::{Row, RowShipment};
use backorderd::domain::time::Length;
use backorderd::store::read::situations::ReadSituation;
use backorderd::store::sqlite::lock::LockAttempt;
use backorderd::store::types::RunState;
use backorderd::store::write::operate::NewHold;
use backorderd::store::write::settings::{Noticed, Spoken};
use backorderd::store::{ReadStore, Store, StoreError};

fn hold(scope: &'static str, key: &str, until: Option<&str>) -> NewHold {
    NewHold {
        scope,
        key: key.to_owned(),
        by: "mira".to_owned(),
        why: "look first".to_owned(),
        until: until.map(at),
    }
}

promises![
    an_approved_run_goes_out,
    approval_does_not_make_an_untrue_message_go_out,
    a_dropped_run_is_withdrawn_and_not_said_again,
    a_run_that_is_not_held_cannot_be_decided,
    a_hold_is_placed_once_and_lifted_once,
    of_several_holds_the_longest_counts,
    a_suppression_wakes_the_customers_orders,
    going_live_tells_a_fresh_baseline_and_forgets_the_sandbox,
    a_run_held_in_the_sandbox_does_not_collect_live_messages,
    sandbox_words_are_not_seen_in_live_mode,
    a_setting_is_read_back,
    changed_settings_wake_every_order_and_are_noticed_once,
    changed_settings_have_their_say_until_all_were_looked_at_under_them,
    what_is_planned_under_older_settings_waits_and_is_looked_at_again,
    one_process_delivers_from_a_file_and_any_number_from_a_server,
    a_database_of_a_newer_program_is_refused,
    a_database_of_an_older_program_is_brought_forward_by_who_may_write,
    looking_needs_a_database,
    looking_works_when_nobody_has_it_open,
];

async fn an_approved_run_goes_out(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let mut review = stage.plan(MONDAY).await;
    review.held = true;
    let run = review.run;
    stage.commit(review, MONDAY).await;
    let decide = |to| {
        stage
            .store
            .decide_run(run, to, "mira", Some("looked at it"), at(MONDAY))
    };
    assert_eq!(decide(RunState::Approved).await.unwrap(), Some(1));
    assert_eq!(
        decide(RunState::Dropped).await.unwrap(),
        None,
        "decided once"
    );
    let row = stage
        .store
        .read()
        .runs(Some(run), 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (row.state, row.why.as_deref()),
        (RunState::Approved, Some("looked at it"))
    );
    assert_eq!(stage.claim(1, MONDAY).await.len(), 1);
    assert_eq!(
        stage
            .number("SELECT count(*) FROM audit WHERE verb = 'approved'")
            .await,
        1
    );
}

async fn approval_does_not_make_an_untrue_message_go_out(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let mut review = stage.plan(MONDAY).await;
    review.held = true;
    let run = review.run;
    stage.commit(review, MONDAY).await;
    stage
        .announce(
            &[Row {
                eta: Some(eta("2026-03-20")),
                ..teapots("L1", "1042")
            }],
            MONDAY,
        )
        .await;
    stage
        .store
        .decide_run(run, RunState::Approved, "mira", None, at(MONDAY))
        .await
        .unwrap();
    assert!(stage.claim(1, MONDAY).await.is_empty());
}

async fn a_dropped_run_is_withdrawn_and_not_said_again(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let mut review = stage.plan(MONDAY).await;
    review.held = true;
    let run = review.run;
    let message = stage.commit(review, MONDAY).await.messages[0];
    let dropped = stage
        .store
        .decide_run(run, RunState::Dropped, "mira", None, at(MONDAY))
        .await;
    assert_eq!(dropped.unwrap(), Some(1));
    let row = stage.message(message).await;
    assert_eq!(
        (row.state, row.settled_by.as_deref()),
        (MessageState::Withdrawn, Some("mira"))
    );
    assert_eq!(stage.due(MONDAY).await.len(), 1);
    assert!(
        stage.review(MONDAY).await.messages.is_empty(),
        "a person's no stands"
    );
}

async fn a_run_that_is_not_held_cannot_be_decided(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let review = stage.plan(MONDAY).await;
    let run = review.run;
    stage.commit(review, MONDAY).await;
    let decided = stage
        .store
        .decide_run(run, RunState::Dropped, "mira", None, at(MONDAY))
        .await;
    assert_eq!(decided.unwrap(), None);
    assert_eq!(stage.claim(1, MONDAY).await.len(), 1);
}

async fn a_hold_is_placed_once_and_lifted_once(stage: Stage) {
    stage
        .import(&[teapots("L1", "1042"), teapots("L2", "1043")], MONDAY)
        .await;
    stage.review(MONDAY).await;
    let store = &stage.store;
    assert!(
        store
            .hold(hold("order", "1042", None), at(MONDAY))
            .await
            .unwrap()
    );
    assert!(
        !store
            .hold(hold("order", "1042", None), at(MONDAY))
            .await
            .unwrap()
    );
    assert_eq!(stage.due(MONDAY).await, [stage.order("1042").await]);
    stage.review(MONDAY).await;
    assert!(
        store
            .release("order", "1042", "mira", Some("done"), at(MONDAY))
            .await
            .unwrap()
    );
    assert!(
        !store
            .release("order", "1042", "mira", None, at(MONDAY))
            .await
            .unwrap()
    );
    assert_eq!(stage.due(MONDAY).await, [stage.order("1042").await]);
    assert_eq!(stage.number("SELECT count(*) FROM audit").await, 2);
}

async fn of_several_holds_the_longest_counts(stage: Stage) {
    stage.import(&[teapots("L1", "1042")], MONDAY).await;
    let until = Some("2026-02-16 14:00");
    for hold in [
        hold("order", "1042", until),
        hold("sku", "TP", None),
        hold("supplier", "Potter", Some("2026-02-20 14:00")),
    ] {
        assert!(stage.store.hold(hold, at(MONDAY)).await.unwrap());
    }
    let pause = stage.situation("1042", MONDAY).await.pause.unwrap();
    assert_eq!((pause.scope.as_str(), pause.until), ("sku", None));
}

async fn a_suppression_wakes_the_customers_orders(stage: Stage) {
    stage
        .import(&[teapots("L1", "1042"), teapots("L2", "1043")], MONDAY)
        .await;
    stage.review(MONDAY).await;
    for _ in 0..2 {
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
    }
    assert_eq!(stage.due(MONDAY).await, [stage.order("1042").await]);
    assert_eq!(
        stage.situation("1042", MONDAY).await.suppressed,
        [ChannelName::Email]
    );
    assert!(stage.situation("1043", MONDAY).await.suppressed.is_empty());
}

async fn going_live_tells_a_fresh_baseline_and_forgets_the_sandbox(mut stage: Stage) {
    stage.mode = Mode::Sandbox;
    let parcel = RowShipment {
        key: "P1".to_owned(),
        shipped_at: None,
        carrier: None,
        tracking_numbers: Vec::new(),
        tracking_url: None,
        estimate_on: None,
    };
    stage
        .announce(&[teapots("L1", "1042"), teapots("L2", "1043")], MONDAY)
        .await;
    assert_eq!(stage.write(MONDAY).await, 2);
    let shipped = Row {
        shipped: Some(Quantity::pieces(1)),
        shipments: vec![parcel],
        ..teapots("L1", "1042")
    };
    stage
        .announce(
            &[
                shipped,
                Row {
                    eta: Some(eta("2026-03-20")),
                    ..teapots("L2", "1043")
                },
            ],
            "2026-02-17 10:00",
        )
        .await;
    let queued = stage.review("2026-02-17 11:00").await.messages;
    assert!(!queued.is_empty());
    let mut held = stage.plan_orders(&[], MONDAY).await;
    held.held = true;
    let live_at = "2026-02-17 12:00";
    assert_eq!(stage.store.read().mode().await.unwrap(), Mode::Sandbox);
    assert_eq!(stage.store.go_live("mira", at(live_at)).await.unwrap(), 2);
    assert_eq!(stage.store.read().mode().await.unwrap(), Mode::Live);
    for no in queued {
        assert_eq!(stage.state(no).await, MessageState::Withdrawn);
    }
    stage.mode = Mode::Live;
    assert_eq!(stage.told("1042").await, ["2026-03-06 baseline"]);
    assert_eq!(stage.told("1043").await, ["2026-03-20 baseline"]);
    let s = stage.situation("1042", live_at).await;
    assert!(s.notices.is_empty() && s.untold_shipments.is_empty());
    assert!(!s.lines[0].has_untold_shipment());
    assert_eq!(
        (s.order.adopted_at, s.order.next_word_by),
        (Some(at(live_at)), None)
    );
    assert!(s.courtesy_sent_at.is_empty());
    // Nothing of it is said in live mode.
    assert!(stage.review(live_at).await.messages.is_empty());
    assert!(stage.claim(1, live_at).await.is_empty());
    assert_eq!(
        stage
            .number("SELECT count(*) FROM audit WHERE verb = 'live' AND actor = 'mira'")
            .await,
        1
    );
}

async fn a_run_held_in_the_sandbox_does_not_collect_live_messages(mut stage: Stage) {
    stage.mode = Mode::Sandbox;
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    let mut review = stage.plan(MONDAY).await;
    review.held = true;
    stage.commit(review, MONDAY).await;
    stage.store.go_live("mira", at(MONDAY)).await.unwrap();
    let since = at(MONDAY).minus(Length::hours(1));
    assert_eq!(
        stage.store.read().held_run_since(since).await.unwrap(),
        None
    );
}

async fn sandbox_words_are_not_seen_in_live_mode(mut stage: Stage) {
    stage.mode = Mode::Sandbox;
    stage.told_teapots().await;
    assert_eq!(stage.told("1042").await.len(), 1);
    stage.mode = Mode::Live;
    let s = stage.situation("1042", MONDAY).await;
    assert!(s.notices.is_empty() && s.lines[0].told.is_empty());
    assert!(stage.claim(1, MONDAY).await.is_empty());
}

async fn a_setting_is_read_back(stage: Stage) {
    let store = &stage.store;
    assert_eq!(store.read().meta("policy_digest").await.unwrap(), None);
    store.put_meta("policy_digest", "a").await.unwrap();
    store.put_meta("policy_digest", "b").await.unwrap();
    assert_eq!(
        store.read().meta("policy_digest").await.unwrap().as_deref(),
        Some("b")
    );
    store.probe(at(MONDAY)).await.unwrap();
    store
        .audit("mira", "looked", "1042", None, at(MONDAY))
        .await
        .unwrap();
    assert_eq!(stage.number("SELECT count(*) FROM audit").await, 1);
    assert_eq!(
        store.read().shop_id("shop").await.unwrap(),
        Some(stage.shop)
    );
    assert_eq!(store.read().shop_id("other").await.unwrap(), None);
    assert_eq!(
        store
            .ensure_shop("shop", "Renamed", "Europe/London")
            .await
            .unwrap(),
        stage.shop
    );
}

/// Whether what is planned waits for a person, because settings changed.
async fn settings_speak(stage: &Stage) -> bool {
    let since = stage.store.read().meta("policy_changed_at").await.unwrap();
    since.is_some_and(|since| !since.is_empty())
}

async fn changed_settings_wake_every_order_and_are_noticed_once(stage: Stage) {
    stage
        .import(&[teapots("L1", "1042"), teapots("L2", "1043")], MONDAY)
        .await;
    stage.review(MONDAY).await;
    let notice = |digest| stage.store.notice_settings(digest, at(MONDAY));
    assert_eq!(notice("old").await.unwrap(), Noticed::First);
    assert_eq!(notice("old").await.unwrap(), Noticed::Known);
    assert!(stage.due(MONDAY).await.is_empty());
    assert!(!settings_speak(&stage).await);
    // Read before, a plan finds its orders changed and writes nothing.
    let before = stage.situations(&[stage.order("1042").await], MONDAY).await;
    let changed = Noticed::Changed { orders: 2 };
    assert_eq!(notice("new").await.unwrap(), changed);
    let after = stage.situations(&[stage.order("1042").await], MONDAY).await;
    let version = |read: &[ReadSituation]| read[0].situation.order.review_version;
    assert_ne!(version(&before), version(&after));
    assert_eq!(stage.due(MONDAY).await.len(), 2);
    assert!(settings_speak(&stage).await);
    assert_eq!(notice("new").await.unwrap(), Noticed::Known);
    let kept = stage.store.read().meta("policy_digest").await.unwrap();
    assert_eq!(kept.as_deref(), Some("new"));
}

async fn changed_settings_have_their_say_until_all_were_looked_at_under_them(mut stage: Stage) {
    stage
        .import(&[teapots("L1", "1042"), teapots("L2", "1043")], MONDAY)
        .await;
    stage.review(MONDAY).await;
    stage.settings = "new";
    let (store, now) = (&stage.store, at(MONDAY));
    let end = |digest| store.end_settings_say(digest, now);
    store.notice_settings("old", now).await.unwrap();
    assert_eq!(end("old").await.unwrap(), Spoken::NotYet, "nothing changed");
    store.notice_settings("new", now).await.unwrap();
    assert_eq!(end("new").await.unwrap(), Spoken::NotYet, "all are due");
    // A plan of one of them that came too late: it is still due.
    let both = stage.due(MONDAY).await;
    let review = stage.plan_orders(&both, MONDAY).await;
    let moved = "UPDATE orders SET review_version = review_version + 1 WHERE number = '1042'";
    assert_eq!(stage.force(moved).await.unwrap(), 1);
    assert_eq!(stage.commit(review, MONDAY).await.stale.len(), 1);
    assert_eq!(end("new").await.unwrap(), Spoken::NotYet, "one is due");
    assert!(settings_speak(&stage).await);
    stage.review(MONDAY).await;
    assert_eq!(end("old").await.unwrap(), Spoken::NotOurs);
    assert!(settings_speak(&stage).await);
    assert_eq!(end("new").await.unwrap(), Spoken::Ended);
    assert!(!settings_speak(&stage).await);
    assert_eq!(end("new").await.unwrap(), Spoken::NotYet, "nothing to end");
}

async fn what_is_planned_under_older_settings_waits_and_is_looked_at_again(mut stage: Stage) {
    let day = |n: u32| format!("2026-03-{n:02} 08:00");
    stage
        .announce(&[teapots("L1", "1042"), teapots("L2", "1043")], MONDAY)
        .await;
    stage.settings = "old";
    let (store, now) = (stage.store.clone(), at(MONDAY));
    store.notice_settings("old", now).await.unwrap();
    store.notice_settings("new", now).await.unwrap();
    // A process from before the change is faster, and plans what is due.
    let written = stage.review(MONDAY).await;
    assert!(written.overtaken && written.held && !written.messages.is_empty());
    assert!(stage.due(MONDAY).await.is_empty());
    assert!(stage.claim(9, &day(3)).await.is_empty(), "a person decides");
    let end = || store.end_settings_say("new", now);
    let both = Spoken::Overlooked { orders: 2 };
    assert_eq!(end().await.unwrap(), both, "by those who know better");
    assert!(settings_speak(&stage).await);
    assert_eq!(stage.due(MONDAY).await.len(), 2);
    // Half of them, then all.
    stage.settings = "new";
    let one = stage.order("1042").await;
    let review = stage.plan_orders(&[one], MONDAY).await;
    stage.commit(review, MONDAY).await;
    stage.settings = "old";
    assert!(stage.review(MONDAY).await.overtaken);
    assert_eq!(end().await.unwrap(), Spoken::Overlooked { orders: 1 });
    let due = stage.due(MONDAY).await;
    assert_eq!(due, [stage.order("1043").await]);
    stage.settings = "new";
    let written = stage.review(MONDAY).await;
    assert!(!written.overtaken);
    // One that was looked at is planned by the old ones once more.
    stage.settings = "old";
    let review = stage.plan_orders(&[one], MONDAY).await;
    assert!(stage.commit(review, MONDAY).await.overtaken);
    assert_eq!(end().await.unwrap(), Spoken::Overlooked { orders: 1 });
    stage.settings = "new";
    stage.review(MONDAY).await;
    assert_eq!(end().await.unwrap(), Spoken::Ended);
    // What the old ones plan now waits still.
    stage.settings = "old";
    let moved = [Row {
        eta: Some(eta("2026-05-20")),
        ..teapots("L1", "1042")
    }];
    stage.announce(&moved, &day(3)).await;
    let written = stage.review(&day(3)).await;
    assert!(written.overtaken && written.held);
    assert!(stage.claim(9, &day(4)).await.is_empty());
}

async fn one_process_delivers_from_a_file_and_any_number_from_a_server(stage: Stage) {
    let other = stage.another_store().await;
    let LockAttempt::Taken(lock) = stage.store.try_delivery_lock().unwrap() else {
        panic!("free")
    };
    let second = other.try_delivery_lock().unwrap();
    match stage.back_end() {
        BackEnd::Sqlite => assert!(matches!(second, LockAttempt::HeldBy(Some(_)))),
        BackEnd::Postgres => assert!(matches!(second, LockAttempt::Taken(_))),
    }
    // Whoever does not deliver may still commit.
    other.probe(at(MONDAY)).await.unwrap();
    drop(lock);
    assert!(matches!(
        other.try_delivery_lock().unwrap(),
        LockAttempt::Taken(_)
    ));
}

async fn a_database_of_a_newer_program_is_refused(stage: Stage) {
    stage
        .force(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             SELECT 9999, 'later', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await
        .unwrap();
    for refused in [
        Store::open(&stage.place()).await.err(),
        ReadStore::open(&stage.place()).await.err(),
    ] {
        assert!(
            matches!(refused, Some(StoreError::NewerSchema { found: 9999, .. })),
            "{refused:?}"
        );
    }
}

async fn a_database_of_an_older_program_is_brought_forward_by_who_may_write(stage: Stage) {
    stage.force("DELETE FROM _sqlx_migrations").await.unwrap();
    let refused = ReadStore::open(&stage.place()).await.err();
    assert!(
        matches!(
            refused,
            Some(StoreError::OlderSchema | StoreError::NoSchema { .. })
        ),
        "{refused:?}"
    );
}

async fn looking_needs_a_database(stage: Stage) {
    let nowhere = stage.nowhere();
    assert!(matches!(
        ReadStore::open(&nowhere).await,
        Err(StoreError::Open { .. })
    ));
    // It was not made by looking.
    assert!(matches!(
        ReadStore::open(&nowhere).await,
        Err(StoreError::Open { .. })
    ));
}

async fn looking_works_when_nobody_has_it_open(stage: Stage) {
    let place = stage.place();
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    stage.land(1, accepted(), MONDAY).await;
    stage.store.sweep(worker(1), at(MONDAY)).await.unwrap();
    drop(stage.store);
    let read = ReadStore::open(&place).await.unwrap();
    assert_eq!(read.find_orders("1042", None).await.unwrap().len(), 1);
}
