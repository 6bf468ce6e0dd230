//! Two processes on one database at the same moment. On SQLite they take turns
//! at the file; on PostgreSQL their transactions really overlap.
//!
//! Nobody can see from outside which of two overlapping commits came first, so
//! the cases look at what is left once the promise was given: after a hold (an
//! import, a suppression) has been answered, the number of messages being sent
//! must not rise any more.

use super::props::{
    MONDAY, accepted, address, ask, at, doubt, email_hash, eta, mark_of, refused, teapots, worker,
};
use super::stage::{Stage, overtaken};
use backorderd::domain::contact::EmailAddress;
use backorderd::domain::ids::MessageNo;
use backorderd::domain::kinds::ChannelName;
use backorderd::domain::message::MessageState;
use backorderd::domain::mirror::EtaChange;
use backorderd::domain::order::EtaOrigin;
use backorderd::domain::row::Row;
use backorderd::store::Store;
use backorderd::store::types::{Claimed, Review};
use backorderd::store::write::deliver::Claim;
use backorderd::store::write::mirror::ClaimChange;
use backorderd::store::write::operate::NewHold;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinSet;

promises![
    two_workers_that_claim_at_once_share_no_message,
    once_a_hold_is_answered_no_mark_passes,
    once_an_import_is_answered_no_older_word_is_marked,
    once_a_date_is_set_no_older_word_is_marked,
    once_an_address_is_suppressed_nothing_to_it_is_marked,
    of_two_planners_of_an_order_one_hears_that_it_stays_due,
    a_plan_and_a_claim_of_the_same_message_do_not_both_win,
    of_two_imports_of_the_same_rows_one_is_overtaken,
    refusals_recorded_on_both_sides_do_not_block_each_other,
    whoever_settles_at_the_same_moment_settles_once,
];

fn orders(n: u32) -> Vec<Row> {
    (1..=n)
        .map(|i| teapots(&format!("L{i}"), &format!("{}", 1000 + i)))
        .collect()
}

/// Queues one confirmation for each of `n` orders.
async fn queued(stage: &Stage, n: u32) {
    stage.announce(&orders(n), MONDAY).await;
    assert_eq!(stage.review(MONDAY).await.messages.len(), n as usize);
}

async fn claimed(stage: &Stage, n: u32) -> Vec<Claimed> {
    queued(stage, n).await;
    let all = Claim {
        limit: n,
        ..ask(worker(1), stage.mode, at(MONDAY))
    };
    let claimed = stage.claim_as(all).await;
    assert_eq!(claimed.len(), n as usize);
    claimed
}

async fn two_workers_that_claim_at_once_share_no_message(stage: Stage) {
    const N: u32 = 60;
    queued(&stage, N).await;
    let n_taken = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for (by, store) in [(1, stage.store.clone()), (2, stage.another_store().await)] {
        for _ in 0..2 {
            let (store, n_taken, mode) = (store.clone(), n_taken.clone(), stage.mode);
            workers.spawn(async move {
                let mut mine: Vec<MessageNo> = Vec::new();
                for _ in 0..1_000 {
                    let ask = Claim {
                        limit: 3,
                        ..ask(worker(by), mode, at(MONDAY))
                    };
                    let got = store.claim(ask).await.unwrap();
                    mine.extend(got.iter().map(|message| message.no));
                    let before = n_taken.fetch_add(got.len(), Ordering::SeqCst);
                    if before + got.len() >= N as usize {
                        break;
                    }
                }
                mine
            });
        }
    }
    let all: Vec<MessageNo> = workers.join_all().await.concat();
    let different: BTreeSet<MessageNo> = all.iter().copied().collect();
    assert_eq!((all.len(), different.len()), (N as usize, N as usize));
    let doubly = "SELECT count(*) FROM messages WHERE state = 'leased' AND epoch <> 1";
    assert_eq!(stage.number(doubly).await, 0);
}

/// Marks all of `claimed` over two stores while `act` runs; answers how many
/// passed. Whatever is marked after `act` was answered has to be refused.
async fn mark_during<F>(stage: &Stage, claimed: &[Claimed], act: F) -> usize
where
    F: Future<Output = ()>,
{
    let other = stage.another_store().await;
    let answered = Arc::new(AtomicBool::new(false));
    let n_asked = Arc::new(AtomicUsize::new(0));
    let mut marks = JoinSet::new();
    for (i, messages) in claimed.chunks(claimed.len().div_ceil(4)).enumerate() {
        let store: Store = if i % 2 == 0 { &stage.store } else { &other }.clone();
        let messages = messages.to_vec();
        let (answered, n_asked) = (answered.clone(), n_asked.clone());
        marks.spawn(async move {
            let mut n_passed = 0;
            for message in &messages {
                n_asked.fetch_add(1, Ordering::SeqCst);
                let late = answered.load(Ordering::SeqCst);
                let passed = store.mark(worker(1), mark_of(message), at(MONDAY)).await;
                let passed = passed.unwrap();
                assert!(
                    !(late && passed),
                    "{} was marked after the answer",
                    message.no
                );
                n_passed += usize::from(passed);
            }
            n_passed
        });
    }
    while n_asked.load(Ordering::SeqCst) < claimed.len() / 3 {
        tokio::task::yield_now().await;
    }
    act.await;
    answered.store(true, Ordering::SeqCst);
    let at_the_answer = submitting(stage).await;
    let n_passed = marks.join_all().await.into_iter().sum();
    assert_eq!(
        submitting(stage).await,
        at_the_answer,
        "one came after the answer"
    );
    assert_eq!(at_the_answer, n_passed);
    n_passed
}

async fn submitting(stage: &Stage) -> usize {
    let n = "SELECT count(*) FROM messages WHERE state = 'submitting'";
    usize::try_from(stage.number(n).await).unwrap()
}

async fn once_a_hold_is_answered_no_mark_passes(stage: Stage) {
    let claimed = claimed(&stage, 60).await;
    let scopes = [("global", ""), ("channel", "email"), ("sku", "TP")];
    let mut n_before = 0;
    for ((scope, key), messages) in scopes.into_iter().zip(claimed.chunks(20)) {
        let holder = stage.another_store().await;
        let place = async {
            let hold = NewHold {
                scope,
                key: key.to_owned(),
                by: "mira".to_owned(),
                why: "stop".to_owned(),
                until: None,
            };
            assert!(holder.hold(hold, at(MONDAY)).await.unwrap());
        };
        // What passed in earlier rounds is recorded, so that each counts anew.
        n_before += mark_during(&stage, messages, place).await;
        for message in messages {
            if stage.state(message.no).await == MessageState::Submitting {
                assert!(stage.record(1, message, accepted(), MONDAY).await);
            }
        }
        let released = holder.release(scope, key, "mira", None, at(MONDAY)).await;
        assert!(released.unwrap());
    }
    let sent = "SELECT count(*) FROM messages WHERE state = 'sent'";
    assert_eq!(stage.number(sent).await, n_before as i64);
}

async fn once_an_import_is_answered_no_older_word_is_marked(stage: Stage) {
    let claimed = claimed(&stage, 40).await;
    let later: Vec<Row> = orders(40)
        .into_iter()
        .map(|row| Row {
            eta: Some(eta("2026-03-20")),
            ..row
        })
        .collect();
    let (input, changes) = stage.merged(&later, false, MONDAY).await;
    let importer = stage.another_store().await;
    let import = async { importer.commit_mirror(input, changes).await.unwrap() };
    mark_during(&stage, &claimed, import).await;
}

async fn once_a_date_is_set_no_older_word_is_marked(stage: Stage) {
    let claimed = claimed(&stage, 40).await;
    let read = stage.store.read();
    let revision = read.mirror_revision().await.unwrap();
    let claims = vec![ClaimChange {
        shop_id: stage.shop,
        scope: "sku",
        key: "TP".to_owned(),
        set: Some((eta("2026-04-01"), None)),
        origin: EtaOrigin::Operator,
    }];
    let lines = (1..=40)
        .map(|i| EtaChange {
            line_key: format!("L{i}"),
            eta: eta("2026-04-01"),
            origin: EtaOrigin::Operator,
            reason: None,
        })
        .collect();
    let setter = stage.another_store().await;
    let mode = stage.mode;
    let set = async {
        let done = setter.commit_claims(revision, claims, lines, mode, "mira", at(MONDAY));
        done.await.unwrap();
    };
    mark_during(&stage, &claimed, set).await;
}

async fn once_an_address_is_suppressed_nothing_to_it_is_marked(stage: Stage) {
    let claimed = claimed(&stage, 30).await;
    let other = stage.another_store().await;
    for (i, message) in claimed.iter().enumerate() {
        let hash = email_hash(&format!("{}", 1001 + i));
        let (marking, stopping) = if i % 2 == 0 {
            (&stage.store, &other)
        } else {
            (&other, &stage.store)
        };
        let stop = async {
            let stop = stopping.suppress(&hash, ChannelName::Email, "stop", "person", at(MONDAY));
            stop.await.unwrap();
            stage.state(message.no).await
        };
        let mark = marking.mark(worker(1), mark_of(message), at(MONDAY));
        let (marked, at_the_answer) = tokio::join!(mark, stop);
        let is = if marked.unwrap() {
            MessageState::Submitting
        } else {
            MessageState::Leased
        };
        assert_eq!(at_the_answer, is, "{}", message.no);
    }
}

async fn of_two_planners_of_an_order_one_hears_that_it_stays_due(stage: Stage) {
    const N: usize = 40;
    stage.announce(&orders(N as u32), MONDAY).await;
    let mine: Review = stage.plan(MONDAY).await;
    let mut theirs = stage.plan(MONDAY).await;
    theirs.orders.reverse();
    theirs.messages.reverse();
    let other = stage.another_store().await;
    let (a, b) = tokio::join!(
        stage.store.commit_review(mine, at(MONDAY)),
        other.commit_review(theirs, at(MONDAY)),
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(a.messages.len() + b.messages.len(), N);
    assert_eq!(
        (a.stale.len(), b.stale.len()),
        (b.messages.len(), a.messages.len())
    );
    let stale: BTreeSet<_> = a.stale.iter().chain(&b.stale).collect();
    assert_eq!(stale.len(), N, "each order is one planner's");
    let queued = "SELECT count(*) FROM notices WHERE in_queue = TRUE";
    assert_eq!(stage.number(queued).await, N as i64);
}

async fn a_plan_and_a_claim_of_the_same_message_do_not_both_win(stage: Stage) {
    const N: u32 = 40;
    queued(&stage, N).await;
    let mut orders = Vec::new();
    for i in 1..=N {
        orders.push(stage.order(&format!("{}", 1000 + i)).await);
    }
    let mut review = stage.plan_orders(&orders, MONDAY).await;
    for order in &mut review.orders {
        order.supersede = std::mem::take(&mut order.keep);
        assert_eq!(order.supersede.len(), 1);
    }
    let places = review.orders.iter().map(|o| (o.order, o.supersede[0]));
    let places: Vec<_> = places.collect();
    let other = stage.another_store().await;
    let claim = async {
        let mut n_claimed = 0;
        for _ in 0..8 {
            let some = Claim {
                limit: 5,
                ..ask(worker(1), stage.mode, at(MONDAY))
            };
            n_claimed += other.claim(some).await.unwrap().len();
        }
        n_claimed
    };
    let (written, n_claimed) = tokio::join!(stage.store.commit_review(review, at(MONDAY)), claim);
    let stale = written.unwrap().stale;
    assert_eq!(stale.len(), n_claimed);
    for (order, message) in places {
        let is = if stale.contains(&order) {
            MessageState::Leased
        } else {
            MessageState::Superseded
        };
        assert_eq!(stage.state(message).await, is, "{message}");
    }
}

async fn of_two_imports_of_the_same_rows_one_is_overtaken(stage: Stage) {
    let other = stage.another_store().await;
    for round in 0..5 {
        let rows: Vec<Row> = (0..20)
            .map(|i| teapots(&format!("R{round}L{i}"), &format!("{round}{i:03}")))
            .collect();
        let (mine, changes) = stage.merged(&rows, false, MONDAY).await;
        let (theirs, same) = stage.merged(&rows, false, MONDAY).await;
        let (a, b) = tokio::join!(
            stage.store.commit_mirror(mine, changes),
            other.commit_mirror(theirs, same),
        );
        assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
        assert!(overtaken(&a) || overtaken(&b), "{a:?} {b:?}");
    }
    assert_eq!(stage.number("SELECT count(*) FROM order_lines").await, 100);
    assert_eq!(stage.number("SELECT count(*) FROM orders").await, 100);
}

async fn refusals_recorded_on_both_sides_do_not_block_each_other(stage: Stage) {
    // Orders of the first and the second ten share their customers.
    let shared = orders(40).into_iter().enumerate().map(|(i, row)| Row {
        email: match i {
            10..20 => EmailAddress::parse(&address(&format!("{}", 1001 + i - 10))).ok(),
            _ => row.email.clone(),
        },
        ..row
    });
    let shared: Vec<Row> = shared.collect();
    stage.announce(&shared, MONDAY).await;
    stage.review(MONDAY).await;
    let claimed = stage.claim(1, MONDAY).await;
    assert_eq!(claimed.len(), 40);
    let other = stage.another_store().await;
    let mut asked = JoinSet::new();
    for message in &claimed[..20] {
        assert!(stage.mark(1, message, MONDAY).await);
    }
    for i in 0..10 {
        for (n, store) in [(0, &stage.store), (1, &other)] {
            let report = stage.report(&claimed[n * 10 + i], refused(), at(MONDAY));
            let mark = mark_of(&claimed[20 + n * 10 + i]);
            let (recorder, marker) = (store.clone(), store.clone());
            asked.spawn(async move { recorder.record(worker(1), report, at(MONDAY)).await });
            asked.spawn(async move { marker.mark(worker(1), mark, at(MONDAY)).await });
        }
    }
    for answer in asked.join_all().await {
        assert!(answer.unwrap());
    }
    let suppressed = "SELECT count(*) FROM suppressions";
    assert_eq!(stage.number(suppressed).await, 10);
}

async fn whoever_settles_at_the_same_moment_settles_once(stage: Stage) {
    const N: u64 = 20;
    queued(&stage, N as u32).await;
    let other = stage.another_store().await;
    assert_eq!(stage.land(1, doubt(), MONDAY).await.len(), N as usize);
    let quiet_over = at("2026-02-16 14:45");
    let (a, b) = tokio::join!(
        stage.store.settle_doubts(quiet_over),
        other.settle_doubts(quiet_over),
    );
    assert_eq!(a.unwrap().once_more + b.unwrap().once_more, N);
    let claimed = stage.claim(1, "2026-02-16 14:45").await;
    assert_eq!(claimed.len(), N as usize);
    let over = at("2026-02-16 15:05");
    let (a, b) = tokio::join!(
        stage.store.sweep(worker(2), over),
        other.sweep(worker(3), over),
    );
    assert_eq!(a.unwrap().queued + b.unwrap().queued, N);
    let waiting = "SELECT count(*) FROM notices WHERE in_queue = TRUE AND in_flight = FALSE";
    assert_eq!(stage.number(waiting).await, N as i64);
    let told = "SELECT count(*) FROM told WHERE basis = 'possible'";
    assert_eq!(stage.number(told).await, N as i64);
}
