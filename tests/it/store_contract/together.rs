//! Two processes on one database at the same moment. On SQLite they take turns
//! at the file; on PostgreSQL their transactions really overlap.
//!
//! Nobody can see from outside which of two overlapping commits came first. So
//! a mark is stopped midway, or the cases look at what is left once a promise
//! was given: after the answer the number of messages being sent must not rise.

use super::props::{
    MONDAY, address, ask, at, doubt, email_hash, eta, mark_of, refused, teapots, worker,
};
use super::stage::{BackEnd, Stage, overtaken};
use backorderd::domain::contact::EmailAddress;
use backorderd::domain::ids::MessageNo;
use backorderd::domain::kinds::ChannelName;
use backorderd::domain::message::MessageState;
use backorderd::domain::mirror::EtaChange;
use backorderd::domain::order::EtaOrigin;
use backorderd::domain::row::Row;
use backorderd::domain::time::Length;
use backorderd::store::types::{Claimed, Review};
use backorderd::store::write::deliver::Claim;
use backorderd::store::write::mirror::ClaimChange;
use backorderd::store::write::operate::NewHold;
use sqlx::Executor;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::task::JoinSet;

promises![
    two_workers_that_claim_at_once_share_no_message,
    once_a_hold_is_answered_no_mark_passes,
    once_an_address_is_suppressed_nothing_to_it_is_marked,
    once_a_refusal_is_recorded_nothing_to_its_address_is_marked,
    once_an_import_is_answered_no_older_word_is_marked,
    once_a_date_is_set_no_older_word_is_marked,
    a_hold_amid_many_marks_stops_all_that_come_later,
    an_order_that_comes_while_its_hold_is_lifted_is_looked_at_again,
    of_two_planners_of_an_order_one_hears_that_it_stays_due,
    a_plan_and_a_claim_of_the_same_message_do_not_both_win,
    of_two_imports_of_the_same_rows_one_is_overtaken,
    refusals_recorded_on_both_sides_do_not_block_each_other,
    whoever_settles_at_the_same_moment_settles_once,
    what_changes_nothing_wakes_nobody,
    what_finds_nothing_to_do_commits_nothing,
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

/// A mark is stopped after it has looked and before it has written; meanwhile
/// `act` forbids what it says. Whoever is answered first is obeyed: `act` has to
/// wait for the mark, or the mark is refused.
async fn forbid_midway<F>(stage: &Stage, message: &Claimed, act: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let still = stage.standstill().await;
    let (store, mark) = (stage.store.clone(), mark_of(message));
    let mark = tokio::spawn(async move { store.mark(worker(1), mark, at(MONDAY)).await });
    stage.until_waiting(1, &mark).await;
    let act = tokio::spawn(act);
    stage.until_waiting(2, &act).await;
    let forbidden_first = act.is_finished();
    still.let_go().await;
    let marked = mark.await.unwrap().unwrap();
    act.await.unwrap();
    assert!(
        !(forbidden_first && marked),
        "{} was marked after the answer",
        message.no
    );
    let is = stage.state(message.no).await;
    assert_eq!(marked, is == MessageState::Submitting, "{is}");
}

async fn once_a_hold_is_answered_no_mark_passes(stage: Stage) {
    let claimed = claimed(&stage, 6).await;
    let holder = stage.another_store().await;
    let contact = stage.situation("1006", MONDAY).await.order.contact_id.0;
    let scopes = [
        ("global", String::new()),
        ("channel", "email".to_owned()),
        ("order", "1003".to_owned()),
        ("sku", "TP".to_owned()),
        ("supplier", "Potter".to_owned()),
        ("customer", contact.to_string()),
    ];
    for (message, (scope, key)) in claimed.iter().zip(scopes) {
        let hold = NewHold {
            scope,
            key: key.clone(),
            by: "mira".to_owned(),
            why: "stop".to_owned(),
            until: None,
        };
        let placing = holder.clone();
        let place = async move { assert!(placing.hold(hold, at(MONDAY)).await.unwrap()) };
        forbid_midway(&stage, message, place).await;
        let released = holder.release(scope, &key, "mira", None, at(MONDAY)).await;
        assert!(released.unwrap());
    }
}

/// Its planner still saw the hold, and whoever lifted it did not see the order.
async fn an_order_that_comes_while_its_hold_is_lifted_is_looked_at_again(stage: Stage) {
    let hold = NewHold {
        scope: "sku",
        key: "TP".to_owned(),
        by: "mira".to_owned(),
        why: "recalled".to_owned(),
        until: None,
    };
    assert!(stage.store.hold(hold, at(MONDAY)).await.unwrap());
    let mut somebody = stage.database().expect("a server").connect().await;
    let keep = sqlx::raw_sql("BEGIN; SELECT 1 FROM holds FOR UPDATE");
    somebody.execute(keep).await.unwrap();
    let holder = stage.another_store().await;
    let lift = async move { holder.release("sku", "TP", "mira", None, at(MONDAY)).await };
    let lifting = tokio::spawn(lift);
    stage.until_waiting(1, &lifting).await;
    stage.announce(&orders(1), MONDAY).await;
    assert!(stage.review(MONDAY).await.messages.is_empty(), "held");
    assert!(stage.due(MONDAY).await.is_empty(), "until it is lifted");
    somebody.execute("ROLLBACK").await.unwrap();
    assert!(lifting.await.unwrap().unwrap());
    assert_eq!(stage.review(MONDAY).await.messages.len(), 1);
}

async fn once_an_address_is_suppressed_nothing_to_it_is_marked(stage: Stage) {
    let message = claimed(&stage, 1).await.remove(0);
    // Its customer is reached elsewhere by now: no order leads to the address.
    let moved = stage
        .force("UPDATE contacts SET email_hash = 'elsewhere'")
        .await;
    assert_eq!(moved.unwrap(), 1);
    let other = stage.another_store().await;
    let stop = async move {
        let (hash, email) = (email_hash("1001"), ChannelName::Email);
        let stop = other.suppress(&hash, email, "stop", "person", at(MONDAY));
        stop.await.unwrap();
    };
    forbid_midway(&stage, &message, stop).await;
}

async fn once_a_refusal_is_recorded_nothing_to_its_address_is_marked(stage: Stage) {
    let twin = Row {
        email: orders(1)[0].email.clone(),
        ..teapots("L2", "1002")
    };
    stage.announce(&[orders(1).remove(0), twin], MONDAY).await;
    stage.review(MONDAY).await;
    let mut claimed = stage.claim(1, MONDAY).await;
    let (first, second) = (claimed.remove(0), claimed.remove(0));
    assert!(stage.mark(1, &first, MONDAY).await);
    let other = stage.another_store().await;
    let report = stage.report(&first, refused(), at(MONDAY));
    let record = async move {
        let recorded = other.record(worker(1), report, at(MONDAY)).await;
        assert!(recorded.unwrap());
    };
    forbid_midway(&stage, &second, record).await;
}

async fn once_an_import_is_answered_no_older_word_is_marked(stage: Stage) {
    let message = claimed(&stage, 1).await.remove(0);
    let later = Row {
        eta: Some(eta("2026-03-20")),
        ..teapots("L1", "1001")
    };
    let (input, changes) = stage.merged(&[later], false, MONDAY).await;
    let importer = stage.another_store().await;
    let import = async move { importer.commit_mirror(input, changes).await.unwrap() };
    forbid_midway(&stage, &message, import).await;
    assert_eq!(stage.due(MONDAY).await.len(), 1);
}

async fn once_a_date_is_set_no_older_word_is_marked(stage: Stage) {
    let message = claimed(&stage, 1).await.remove(0);
    let revision = stage.store.read().mirror_revision().await.unwrap();
    let claims = vec![ClaimChange {
        shop_id: stage.shop,
        scope: "sku",
        key: "TP".to_owned(),
        set: Some((eta("2026-04-01"), None)),
        origin: EtaOrigin::Operator,
    }];
    let lines = vec![EtaChange {
        line_key: "L1".to_owned(),
        eta: eta("2026-04-01"),
        origin: EtaOrigin::Operator,
        reason: None,
    }];
    let (setter, mode) = (stage.another_store().await, stage.mode);
    let set = async move {
        let done = setter.commit_claims(revision, claims, lines, mode, "mira", at(MONDAY));
        done.await.unwrap();
    };
    forbid_midway(&stage, &message, set).await;
}

async fn a_hold_amid_many_marks_stops_all_that_come_later(stage: Stage) {
    let claimed = claimed(&stage, 40).await;
    let other = stage.another_store().await;
    let held = Arc::new(AtomicBool::new(false));
    let n_asked = Arc::new(AtomicUsize::new(0));
    let mut marks = JoinSet::new();
    for (messages, store) in claimed.chunks(10).zip([&stage.store, &other].repeat(2)) {
        let (messages, store) = (messages.to_vec(), store.clone());
        let (held, n_asked) = (held.clone(), n_asked.clone());
        marks.spawn(async move {
            let mut n_passed = 0;
            for message in &messages {
                n_asked.fetch_add(1, Ordering::SeqCst);
                let late = held.load(Ordering::SeqCst);
                let passed = store.mark(worker(1), mark_of(message), at(MONDAY)).await;
                let passed = passed.unwrap();
                assert!(!(late && passed), "{} was marked under a hold", message.no);
                n_passed += i64::from(passed);
            }
            n_passed
        });
    }
    while n_asked.load(Ordering::SeqCst) < claimed.len() / 3 {
        tokio::task::yield_now().await;
    }
    let hold = NewHold {
        scope: "global",
        key: String::new(),
        by: "mira".to_owned(),
        why: "stop".to_owned(),
        until: None,
    };
    assert!(other.hold(hold, at(MONDAY)).await.unwrap());
    held.store(true, Ordering::SeqCst);
    let submitting = "SELECT count(*) FROM messages WHERE state = 'submitting'";
    let at_the_answer = stage.number(submitting).await;
    assert_eq!(
        marks.join_all().await.into_iter().sum::<i64>(),
        at_the_answer
    );
    assert_eq!(stage.number(submitting).await, at_the_answer);
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
    stage.dies(1).await;
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

async fn what_changes_nothing_wakes_nobody(stage: Stage) {
    stage.announce(&orders(1), MONDAY).await;
    let now = at(MONDAY);
    // On SQLite whoever sweeps is the only one alive.
    stage.store.sweep(worker(1), now).await.unwrap();
    let mut mine = stage.store.read().watch().await.unwrap();
    mine.has_news().await.unwrap();
    // What a daemon does whenever it hears of something.
    stage.store.sweep(worker(1), now).await.unwrap();
    stage.store.settle_doubts(now).await.unwrap();
    stage.store.tidy(now, Length::hours(24)).await.unwrap();
    assert!(stage.claim(1, MONDAY).await.is_empty());
    assert!(!mine.has_news().await.unwrap(), "it would never rest");
    assert_eq!(stage.store.wake_all(now).await.unwrap(), 1);
    assert!(mine.has_news().await.unwrap());
}

async fn what_finds_nothing_to_do_commits_nothing(stage: Stage) {
    let (store, now) = (&stage.store, at(MONDAY));
    store.sweep(worker(1), now).await.unwrap();
    assert!(store.store_tick("nightly", now).await.unwrap());
    let mut watch = store.read().watch().await.unwrap();
    // A word each session ends its last transaction with.
    let taken_back = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND pid <> pg_backend_pid() AND query = 'ROLLBACK'";
    for (nth, what) in [
        "take due",
        "take orders",
        "lease",
        "store",
        "claim",
        "tidy",
        "close",
    ]
    .into_iter()
    .enumerate()
    {
        store.put_meta("before", what).await.unwrap();
        watch.has_news().await.unwrap();
        if let BackEnd::Postgres = stage.back_end() {
            assert_eq!(stage.number(taken_back).await, 0, "{what}");
        }
        let idle = match nth {
            0 => store.take_due(worker(1), now, 9).await.unwrap().is_empty(),
            1 => store.take_orders(worker(1), &[]).await.unwrap().is_empty(),
            2 => !store
                .lease_tick("nightly", now, worker(2), now)
                .await
                .unwrap(),
            3 => !store.store_tick("nightly", now).await.unwrap(),
            4 => stage.claim(1, MONDAY).await.is_empty(),
            5 => store.tidy(now, Length::hours(24)).await.unwrap() == 0,
            _ => !store.close_text(1, "mira", now).await.unwrap(),
        };
        assert!(idle, "{what} found something");
        assert!(!watch.has_news().await.unwrap(), "{what}");
        if let BackEnd::Postgres = stage.back_end() {
            assert_eq!(stage.number(taken_back).await, 1, "{what} has committed");
        }
    }
}
