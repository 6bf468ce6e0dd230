//! Taking messages to send them.

use super::props::{GIVEN_UP, MONDAY, address, ask, at, email_hash, eta, teapots, worker};
use super::stage::{BackEnd, Stage};
use backorderd::domain::ids::MessageNo;
use backorderd::domain::kinds::ChannelName;
use backorderd::domain::notice_key::Mode;
use backorderd::domain::row::Row;
use backorderd::domain::time::Length;
use backorderd::store::types::GiveBack;
use backorderd::store::write::deliver::Claim;
use backorderd::store::write::operate::NewHold;

fn hold(scope: &'static str, key: &str) -> NewHold {
    NewHold {
        scope,
        key: key.to_owned(),
        by: "mira".to_owned(),
        why: "look first".to_owned(),
        until: None,
    }
}

/// Confirmations of so many orders, from 1001 on, in the queue.
async fn queue(stage: &Stage, orders: u32) -> Vec<MessageNo> {
    let rows: Vec<Row> = (1..=orders)
        .map(|n| teapots(&format!("L{n}"), &format!("{}", 1000 + n)))
        .collect();
    stage.announce(&rows, MONDAY).await;
    stage.review(MONDAY).await.messages
}

fn numbers(claimed: &[backorderd::store::types::Claimed]) -> Vec<MessageNo> {
    claimed.iter().map(|m| m.no).collect()
}

promises![
    a_claim_carries_what_the_sender_needs,
    the_oldest_due_come_first_and_no_more_than_asked_for,
    nothing_is_claimed_before_it_is_due_or_when_it_is_too_old,
    two_claims_never_share_a_message,
    a_claim_keeps_to_its_channels_its_run_and_its_mode,
    every_scope_of_hold_keeps_its_messages_and_its_release_lets_them_go,
    what_is_not_true_any_more_is_not_claimed,
    nobody_on_the_do_not_write_list_is_claimed,
    nothing_overtakes_what_is_in_flight_about_the_same_order,
    a_message_claimed_again_and_again_without_an_outcome_is_left_alone,
    behind_a_long_queue_it_has_its_turn_and_is_alone,
    what_must_be_alone_is_so_over_all_channels,
    what_must_be_alone_and_cannot_go_stands_in_nobodys_way,
    later_messages_thread_onto_the_earlier_ones,
    a_claim_raises_the_review_version_so_that_older_plans_are_stale,
    what_left_the_queue_between_the_look_and_the_claim_is_not_claimed,
];

async fn a_claim_carries_what_the_sender_needs(stage: Stage) {
    let queued = queue(&stage, 1).await;
    let claimed = stage.claim(1, MONDAY).await.remove(0);
    assert_eq!(
        (claimed.no, claimed.epoch, claimed.counted, claimed.doubts),
        (queued[0], 1, 0, 0)
    );
    assert_eq!(
        (claimed.channel, claimed.mode),
        (ChannelName::Email, Mode::Live)
    );
    assert_eq!(claimed.recipient, address("1001"));
    assert_eq!(
        claimed.facts.orders[0].lines[0].promise,
        Some(eta("2026-03-06"))
    );
    assert_eq!(
        (claimed.planned_at, claimed.due_since),
        (at(MONDAY), at(MONDAY))
    );
    assert!(claimed.not_after > at(MONDAY) && claimed.thread.is_empty() && claimed.run.is_some());
}

async fn the_oldest_due_come_first_and_no_more_than_asked_for(stage: Stage) {
    let queued = queue(&stage, 5).await;
    stage
        .force("UPDATE messages SET due_at = due_at - 1000 WHERE no = 4")
        .await
        .unwrap();
    let three = stage
        .claim_as(Claim {
            limit: 3,
            ..ask(worker(1), stage.mode, at(MONDAY))
        })
        .await;
    assert_eq!(numbers(&three), [queued[3], queued[0], queued[1]]);
    assert_eq!(
        numbers(&stage.claim(1, MONDAY).await),
        [queued[2], queued[4]]
    );
}

async fn nothing_is_claimed_before_it_is_due_or_when_it_is_too_old(stage: Stage) {
    queue(&stage, 1).await;
    let not_after = stage.situation("1001", MONDAY).await.notices[0].not_after;
    let early = ask(worker(1), stage.mode, at(MONDAY).minus(Length(1)));
    assert!(stage.claim_as(early).await.is_empty());
    let late = ask(worker(1), stage.mode, not_after.plus(Length(1)));
    assert!(stage.claim_as(late).await.is_empty());
    assert_eq!(
        stage
            .claim_as(ask(worker(1), stage.mode, not_after))
            .await
            .len(),
        1
    );
}

async fn two_claims_never_share_a_message(stage: Stage) {
    queue(&stage, 40).await;
    let other = stage.another_store().await;
    let part = |by| Claim {
        limit: 7,
        ..ask(worker(by), stage.mode, at(MONDAY))
    };
    let mut all = Vec::new();
    loop {
        let (a, b) = tokio::join!(stage.store.claim(part(1)), other.claim(part(2)));
        let (a, b) = (a.unwrap(), b.unwrap());
        if a.is_empty() && b.is_empty() {
            break;
        }
        all.extend(numbers(&a));
        all.extend(numbers(&b));
    }
    all.sort();
    let count = all.len();
    all.dedup();
    assert_eq!((count, all.len()), (40, 40));
}

async fn a_claim_keeps_to_its_channels_its_run_and_its_mode(stage: Stage) {
    queue(&stage, 1).await;
    let base = || ask(worker(1), stage.mode, at(MONDAY));
    let run = stage.store.read().runs(None, 1).await.unwrap()[0].no;
    for other in [
        Claim {
            channels: vec![ChannelName::Sms],
            ..base()
        },
        Claim {
            channels: Vec::new(),
            ..base()
        },
        Claim {
            run: Some(backorderd::domain::ids::RunNo(run.0 + 1)),
            ..base()
        },
        Claim {
            mode: Mode::Sandbox,
            ..base()
        },
    ] {
        assert!(stage.claim_as(other.clone()).await.is_empty(), "{other:?}");
    }
    assert_eq!(
        stage
            .claim_as(Claim {
                run: Some(run),
                ..base()
            })
            .await
            .len(),
        1
    );
}

async fn every_scope_of_hold_keeps_its_messages_and_its_release_lets_them_go(stage: Stage) {
    queue(&stage, 2).await;
    let contact = stage
        .situation("1001", MONDAY)
        .await
        .order
        .contact_id
        .0
        .to_string();
    // Scope, key, and how many of the two are still claimed under it.
    for (scope, key, left) in [
        ("global", "", 0),
        ("channel", "email", 0),
        ("channel", "sms", 2),
        ("order", "1001", 1),
        ("customer", contact.as_str(), 1),
        ("sku", "TP", 0),
        ("sku", "other", 2),
        ("supplier", "Potter", 0),
    ] {
        assert!(
            stage
                .store
                .hold(hold(scope, key), at(MONDAY))
                .await
                .unwrap(),
            "{scope}:{key}"
        );
        let claimed = stage.claim(1, MONDAY).await;
        assert_eq!(claimed.len(), left, "{scope}:{key}");
        let leases = claimed.iter().map(|m| (m.no, m.epoch)).collect();
        stage
            .store
            .give_back(worker(1), leases, GiveBack::Unused, at(MONDAY))
            .await
            .unwrap();
        assert!(
            stage
                .store
                .release(scope, key, "mira", None, at(MONDAY))
                .await
                .unwrap()
        );
        stage.review(MONDAY).await;
    }
    assert_eq!(stage.claim(1, MONDAY).await.len(), 2);
}

async fn what_is_not_true_any_more_is_not_claimed(stage: Stage) {
    queue(&stage, 2).await;
    stage
        .announce(
            &[Row {
                eta: Some(eta("2026-03-20")),
                ..teapots("L1", "1001")
            }],
            MONDAY,
        )
        .await;
    let claimed = stage.claim(1, MONDAY).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].facts.orders[0].order_number, "1002");
}

async fn nobody_on_the_do_not_write_list_is_claimed(stage: Stage) {
    queue(&stage, 2).await;
    let hash = email_hash("1001");
    stage
        .store
        .suppress(&hash, ChannelName::Sms, "stop", "person", at(MONDAY))
        .await
        .unwrap();
    let both = stage.claim(1, MONDAY).await;
    assert_eq!(both.len(), 2, "the other channel is not concerned");
    let leases = both.iter().map(|m| (m.no, m.epoch)).collect();
    stage
        .store
        .give_back(worker(1), leases, GiveBack::Unused, at(MONDAY))
        .await
        .unwrap();
    stage
        .store
        .suppress(&hash, ChannelName::Email, "stop", "person", at(MONDAY))
        .await
        .unwrap();
    assert_eq!(stage.claim(1, MONDAY).await.len(), 1);
}

async fn nothing_overtakes_what_is_in_flight_about_the_same_order(stage: Stage) {
    queue(&stage, 1).await;
    let flying = stage.submit(1, MONDAY).await;
    // Force a second queued message about the order beside the planner.
    stage
        .announce(
            &[Row {
                eta: Some(eta("2026-03-20")),
                ..teapots("L1", "1001")
            }],
            MONDAY,
        )
        .await;
    let mut review = stage.plan(MONDAY).await;
    assert!(review.messages.is_empty(), "the planner waits as well");
    let mut second = super::stage::teapots_message(&stage, "1001").await;
    second.planned.notices[0].key = "another".to_owned();
    review.messages.push(second);
    let written = stage.commit(review, MONDAY).await;
    assert_eq!(written.messages.len(), 1);
    assert!(stage.claim(2, MONDAY).await.is_empty());
    assert!(
        stage
            .record(1, &flying[0], super::props::accepted(), MONDAY)
            .await
    );
    assert_eq!(numbers(&stage.claim(2, MONDAY).await), written.messages);
}

async fn a_message_claimed_again_and_again_without_an_outcome_is_left_alone(stage: Stage) {
    queue(&stage, 1).await;
    for round in 1..=4 {
        assert_eq!(stage.claim(round, MONDAY).await.len(), 1, "{round}");
        stage.dies(round).await;
        let swept = stage
            .store
            .sweep(worker(round + 1), at(GIVEN_UP))
            .await
            .unwrap();
        assert_eq!(
            (swept.queued, swept.poisoned),
            if round < 4 { (1, 0) } else { (0, 1) }
        );
    }
    assert!(stage.claim(9, MONDAY).await.is_empty());
}

async fn behind_a_long_queue_it_has_its_turn_and_is_alone(stage: Stage) {
    let queue = queue(&stage, 8).await;
    // As if two processes had died with each of these.
    let twice = "UPDATE messages SET claims = 2 WHERE no IN (5, 6)";
    assert_eq!(stage.force(twice).await.unwrap(), 2);
    let claim = async |now: &str| {
        let ask = Claim {
            limit: 2,
            ..ask(worker(1), stage.mode, at(now))
        };
        numbers(&stage.claim_as(ask).await)
    };
    // Not its turn: the queue goes on.
    let between = "2026-02-16 14:31";
    assert_eq!(claim(between).await, queue[..2]);
    // Its turn: first what the worker has comes to an end.
    let turn = "2026-02-16 14:35";
    assert!(claim(turn).await.is_empty());
    let give_back = async |messages: &[MessageNo]| {
        let epoch = "SELECT max(epoch) FROM messages WHERE state = 'leased'";
        let epoch = stage.number(epoch).await;
        let leases = messages.iter().map(|no| (*no, epoch)).collect();
        let given = stage
            .store
            .give_back(worker(1), leases, GiveBack::Unused, at(turn));
        assert_eq!(given.await.unwrap(), messages.len() as u64);
    };
    give_back(&queue[..2]).await;
    assert_eq!(claim(turn).await, queue[4..5], "alone");
    let later = "2026-02-16 14:36";
    for now in [turn, later] {
        assert!(claim(now).await.is_empty(), "and nothing beside it");
    }
    give_back(&queue[4..5]).await;
    assert_eq!(claim(later).await, queue[..2], "its turn is over");
}

async fn what_must_be_alone_is_so_over_all_channels(stage: Stage) {
    let queue = queue(&stage, 4).await;
    let twice = "UPDATE messages SET claims = 2 WHERE no = 3";
    assert_eq!(stage.force(twice).await.unwrap(), 1);
    let texts = "UPDATE messages SET channel = 'sms' WHERE no IN (1, 2)";
    assert_eq!(stage.force(texts).await.unwrap(), 2);
    let claim = async |channel: ChannelName, able: &[ChannelName]| {
        let ask = Claim {
            channels: vec![channel],
            able: able.to_vec(),
            ..ask(worker(1), stage.mode, at(MONDAY))
        };
        numbers(&stage.claim_as(ask).await)
    };
    let both = ChannelName::ALL.to_vec();
    assert!(claim(ChannelName::Sms, &both).await.is_empty());
    assert_eq!(claim(ChannelName::Email, &both).await, queue[2..3]);
    assert!(claim(ChannelName::Sms, &both).await.is_empty());
    // Whose channel cannot send keeps nobody waiting.
    let again = "UPDATE messages SET state = 'queued', owner = NULL, lease_until = NULL
        WHERE state = 'leased'";
    assert_eq!(stage.force(again).await.unwrap(), 1);
    let texts = claim(ChannelName::Sms, &[ChannelName::Sms]).await;
    assert_eq!(texts, queue[..2]);
}

async fn what_must_be_alone_and_cannot_go_stands_in_nobodys_way(stage: Stage) {
    let queue = queue(&stage, 3).await;
    let twice = "UPDATE messages SET claims = 2 WHERE no = 1";
    assert_eq!(stage.force(twice).await.unwrap(), 1);
    stage
        .store
        .hold(hold("order", "1001"), at(MONDAY))
        .await
        .unwrap();
    assert_eq!(numbers(&stage.claim(1, MONDAY).await), queue[1..]);
}

async fn later_messages_thread_onto_the_earlier_ones(stage: Stage) {
    stage.told_teapots().await;
    let first = stage.number("SELECT no FROM messages").await;
    stage
        .announce(
            &[Row {
                eta: Some(eta("2026-03-20")),
                ..teapots("L1", "1042")
            }],
            "2026-02-17 10:00",
        )
        .await;
    stage.review("2026-02-17 11:00").await;
    let claimed = stage.claim(1, "2026-02-17 11:00").await;
    assert_eq!(claimed[0].thread.len(), 1);
    assert_eq!(first, 1);
}

async fn a_claim_raises_the_review_version_so_that_older_plans_are_stale(stage: Stage) {
    queue(&stage, 1).await;
    let order = stage.order("1001").await;
    let plan = stage.plan_orders(&[order], MONDAY).await;
    stage.claim(1, MONDAY).await;
    assert_eq!(stage.commit(plan, MONDAY).await.stale, [order]);
}

/// In a file the claim looks first and leases then; on a server it passes by what
/// another has in hands.
async fn what_left_the_queue_between_the_look_and_the_claim_is_not_claimed(stage: Stage) {
    let rows = ["1042", "1043", "1044"].map(|number| teapots(&format!("L{number}"), number));
    stage.announce(&rows, MONDAY).await;
    stage.review(MONDAY).await;
    let ask = ask(worker(1), stage.mode, at(MONDAY));
    let change = "UPDATE messages SET state = 'withdrawn', ended_at = 1 WHERE no = 1;
         UPDATE notices SET in_queue = FALSE WHERE message_no = 1;
         UPDATE messages SET epoch = epoch + 3 WHERE no = 2";
    let mut claimed = match stage.back_end() {
        BackEnd::Sqlite => {
            let foreseen = stage.store.foresee(&ask).await.expect("a look");
            assert_eq!(foreseen.as_deref().map(<[_]>::len), Some(3));
            stage.standstill().await.and_then(change).await;
            let claimed = stage.store.claim_foreseen(ask, foreseen).await;
            claimed.expect("a claim")
        }
        BackEnd::Postgres => {
            let standstill = stage.standstill().await;
            let claimed = stage.store.claim(ask).await.expect("a claim");
            assert!(claimed.is_empty(), "others have them in hands");
            standstill.and_then(change).await;
            claimed
        }
    };
    claimed.extend(stage.claim(1, MONDAY).await);
    let epochs: Vec<(i64, i64)> = claimed.iter().map(|c| (c.no.0, c.epoch)).collect();
    assert_eq!(epochs, [(2, 4), (3, 1)]);
}
