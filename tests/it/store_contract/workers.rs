//! Several workers on one database: who is alive, who has which tick, who plans
//! for whom.

use super::props::{MONDAY, accepted, address, ask, at, eta, mark_of, teapots, worker};
use super::stage::{BackEnd, Stage};
use backorderd::domain::contact::EmailAddress;
use backorderd::domain::ids::OrderId;
use backorderd::domain::kinds::ChannelName;
use backorderd::domain::message::MessageState;
use backorderd::domain::row::Row;
use backorderd::domain::time::{Instant, Length};
use backorderd::domain::worker::{Role, Worker};
use backorderd::store::types::{Brake, Review};
use backorderd::store::write::deliver::Claim;
use backorderd::store::write::sweep::Swept;
use std::collections::BTreeSet;

promises![
    a_worker_is_listed_with_what_it_holds_and_gone_when_it_left,
    a_heartbeat_is_fresh_and_says_when_the_worker_is_not_known_any_more,
    who_may_be_alive_keeps_what_it_has_and_who_was_silent_loses_it,
    nobody_is_declared_dead_by_another_workers_clock,
    what_somebody_left_without_giving_it_back_is_taken_over,
    two_sweepers_take_over_each_thing_once,
    who_was_silent_for_too_long_claims_and_marks_nothing,
    an_outcome_counts_until_somebody_took_the_message_over,
    a_tick_is_one_workers_until_it_is_done,
    a_tick_goes_to_another_when_its_worker_is_dead,
    an_older_tick_is_never_taken_after_a_newer_one,
    two_planners_at_once_never_have_the_same_customer,
    a_planners_customer_is_free_again_when_the_plan_is_written,
    a_plan_for_a_customer_somebody_else_has_is_not_written,
    certain_orders_are_taken_unless_their_customer_is_taken,
    two_planners_together_do_not_pass_the_brake,
    over_the_brake_the_rest_is_collected_in_one_run,
    a_thousand_commits_are_heard_of_and_are_not_a_thousand_wake_ups,
];

fn orders(n: u32) -> Vec<Row> {
    (1..=n)
        .map(|i| teapots(&format!("L{i}"), &format!("{}", 1000 + i)))
        .collect()
}

async fn queued(stage: &Stage, n: u32) {
    stage.announce(&orders(n), MONDAY).await;
    assert_eq!(stage.review(MONDAY).await.messages.len(), n as usize);
}

async fn listed(stage: &Stage, by: u128) -> Option<Worker> {
    let all = stage.store.read().workers(at(MONDAY)).await.unwrap();
    all.into_iter().find(|w| w.id == worker(by))
}

async fn sweep(stage: &Stage, by: u128) -> (u64, u64, u64) {
    let swept = stage.store.sweep(worker(by), at(MONDAY)).await.unwrap();
    (swept.workers, swept.queued, swept.in_doubt)
}

/// Everybody but these is gone.
async fn only(stage: &Stage, workers: &[u128]) {
    for by in (1..=9).filter(|by| !workers.contains(by)) {
        stage.store.dismiss(worker(by)).await.unwrap();
    }
}

// ---- living and dying ----

async fn a_worker_is_listed_with_what_it_holds_and_gone_when_it_left(stage: Stage) {
    queued(&stage, 3).await;
    let claimed = stage.claim(1, MONDAY).await;
    assert!(stage.mark(1, &claimed[0], MONDAY).await);
    let one = listed(&stage, 1).await.unwrap();
    assert_eq!((one.leased, one.submitting), (2, 1));
    assert_eq!((one.host.as_str(), one.pid), ("mill", 1));
    assert_eq!((one.role, one.alive), (Role::All, true));
    // Each is the server's clock at its own place in the statement.
    assert!(one.heartbeat_at.since(one.started_at).0.abs() < 1_000);
    stage.dies(1).await;
    assert!(!listed(&stage, 1).await.unwrap().alive);
    let two = listed(&stage, 2).await.unwrap();
    assert_eq!((two.leased, two.submitting, two.alive), (0, 0, true));
    stage.store.dismiss(worker(2)).await.unwrap();
    assert_eq!(listed(&stage, 2).await, None);
}

async fn a_heartbeat_is_fresh_and_says_when_the_worker_is_not_known_any_more(stage: Stage) {
    stage.dies(1).await;
    // Nobody took anything over: it is as alive as before.
    assert!(stage.store.beat(worker(1), at(MONDAY)).await.unwrap());
    let one = listed(&stage, 1).await.unwrap();
    assert!(one.alive && one.silent_ms < 60_000, "{one:?}");
    stage.dies(1).await;
    sweep(&stage, 2).await;
    assert!(!stage.store.beat(worker(1), at(MONDAY)).await.unwrap());
    assert!(stage.store.beat(worker(2), at(MONDAY)).await.unwrap());
}

async fn who_may_be_alive_keeps_what_it_has_and_who_was_silent_loses_it(stage: Stage) {
    queued(&stage, 2).await;
    let claimed = stage.claim(1, MONDAY).await;
    assert!(stage.mark(1, &claimed[0], MONDAY).await);
    only(&stage, &[1, 2]).await;
    if let BackEnd::Postgres = stage.back_end() {
        assert_eq!(sweep(&stage, 2).await, (0, 0, 0));
        stage.dies(1).await;
    }
    // With a file nobody else has the lock, so nobody else is alive.
    assert_eq!(sweep(&stage, 2).await, (1, 1, 1));
    assert_eq!(sweep(&stage, 2).await, (0, 0, 0));
    assert_eq!(listed(&stage, 1).await, None);
    assert_eq!(stage.state(claimed[0].no).await, MessageState::InDoubt);
    assert_eq!(stage.state(claimed[1].no).await, MessageState::Queued);
    // A sweeper never declares itself dead.
    stage.dies(2).await;
    assert_eq!(sweep(&stage, 2).await, (0, 0, 0));
}

async fn nobody_is_declared_dead_by_another_workers_clock(stage: Stage) {
    if let BackEnd::Sqlite = stage.back_end() {
        // There the delivery lock says who is alive, and no clock at all.
        return;
    }
    queued(&stage, 2).await;
    stage.submit(1, MONDAY).await;
    only(&stage, &[1, 2]).await;
    for wrong in [Length::days(3650), Length::days(-3650)] {
        let now = at(MONDAY).plus(wrong);
        let swept = stage.store.sweep(worker(2), now).await.unwrap();
        assert_eq!(swept, Swept::default(), "with a clock {wrong:?} away");
        assert!(stage.store.beat(worker(2), now).await.unwrap());
    }
    assert!(listed(&stage, 1).await.unwrap().alive);
}

async fn what_somebody_left_without_giving_it_back_is_taken_over(stage: Stage) {
    queued(&stage, 2).await;
    let claimed = stage.claim(1, MONDAY).await;
    assert!(stage.mark(1, &claimed[0], MONDAY).await);
    only(&stage, &[2]).await;
    assert_eq!(sweep(&stage, 2).await, (0, 1, 1));
}

async fn two_sweepers_take_over_each_thing_once(stage: Stage) {
    const N: u32 = 30;
    queued(&stage, N).await;
    only(&stage, &[1, 2, 3, 4]).await;
    for by in [1, 2] {
        let part = Claim {
            limit: N / 2,
            ..ask(worker(by), stage.mode, at(MONDAY))
        };
        let claimed = stage.claim_as(part).await;
        assert_eq!(claimed.len(), N as usize / 2);
        for message in &claimed[..5] {
            assert!(stage.mark(by, message, MONDAY).await);
        }
        stage.dies(by).await;
    }
    let other = stage.another_store().await;
    let (a, b) = tokio::join!(
        stage.store.sweep(worker(3), at(MONDAY)),
        other.sweep(worker(4), at(MONDAY)),
    );
    let (a, b): (Swept, Swept) = (a.unwrap(), b.unwrap());
    assert_eq!((a.queued + b.queued, a.in_doubt + b.in_doubt), (20, 10));
    let told = "SELECT count(*) FROM told WHERE basis = 'possible'";
    assert_eq!(stage.number(told).await, 10);
    assert_eq!(
        (listed(&stage, 1).await, listed(&stage, 2).await),
        (None, None)
    );
}

async fn who_was_silent_for_too_long_claims_and_marks_nothing(stage: Stage) {
    queued(&stage, 2).await;
    let first = Claim {
        limit: 1,
        ..ask(worker(1), stage.mode, at(MONDAY))
    };
    let claimed = stage.claim_as(first).await;
    stage.dies(1).await;
    if let BackEnd::Postgres = stage.back_end() {
        assert!(!stage.mark(1, &claimed[0], MONDAY).await);
        assert!(stage.claim(1, MONDAY).await.is_empty());
        assert_eq!(stage.state(claimed[0].no).await, MessageState::Leased);
    }
    // Nobody took it over, and it is heard of again.
    assert!(stage.store.beat(worker(1), at(MONDAY)).await.unwrap());
    assert!(stage.mark(1, &claimed[0], MONDAY).await);
    assert_eq!(stage.claim(1, MONDAY).await.len(), 1);
    // Its own clock is a guard of its own.
    let late = at(MONDAY).plus(Length::mins(3));
    let second = &stage.claim(2, MONDAY).await;
    assert!(second.is_empty());
    let mark = stage.store.mark(worker(1), mark_of(&claimed[0]), late);
    assert!(!mark.await.unwrap());
}

async fn an_outcome_counts_until_somebody_took_the_message_over(stage: Stage) {
    queued(&stage, 2).await;
    let sent = stage.submit(1, MONDAY).await;
    stage.dies(1).await;
    assert!(stage.record(1, &sent[0], accepted(), MONDAY).await);
    assert_eq!(stage.state(sent[0].no).await, MessageState::Sent);
    sweep(&stage, 2).await;
    assert!(!stage.record(1, &sent[1], accepted(), MONDAY).await);
    assert_eq!(stage.state(sent[1].no).await, MessageState::InDoubt);
}

// ---- ticks ----

async fn take(stage: &Stage, due: i64, by: u128) -> bool {
    let taken = stage
        .store
        .lease_tick("review", Instant(due), worker(by), at(MONDAY));
    taken.await.unwrap()
}

async fn a_tick_is_one_workers_until_it_is_done(stage: Stage) {
    let other = stage.another_store().await;
    let due = Instant(1_000);
    let (a, b) = tokio::join!(
        stage.store.lease_tick("review", due, worker(1), at(MONDAY)),
        other.lease_tick("review", due, worker(2), at(MONDAY)),
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(a ^ b, "one gets it");
    let (winner, loser) = if a { (1, 2) } else { (2, 1) };
    assert!(
        take(&stage, 1_000, winner).await,
        "asking again is harmless"
    );
    assert!(
        !take(&stage, 2_000, loser).await,
        "it is at one of this job"
    );
    // Another job's ticks are apart.
    let nightly = stage
        .store
        .lease_tick("nightly", due, worker(loser), at(MONDAY));
    assert!(nightly.await.unwrap());
    let read = stage.store.read();
    assert!(read.tick("review").await.unwrap() < Some(due), "still owed");
    assert!(stage.store.store_tick("review", due).await.unwrap());
    assert_eq!(read.tick("review").await.unwrap(), Some(due));
    assert!(!take(&stage, 1_000, winner).await && !take(&stage, 1_000, loser).await);
    assert!(take(&stage, 2_000, loser).await, "the next one is free");
}

async fn a_tick_goes_to_another_when_its_worker_is_dead(stage: Stage) {
    assert!(take(&stage, 1_000, 1).await);
    assert!(!take(&stage, 1_000, 2).await);
    stage.dies(1).await;
    assert!(take(&stage, 1_000, 2).await);
    stage.store.dismiss(worker(2)).await.unwrap();
    assert!(take(&stage, 1_000, 3).await);
}

async fn an_older_tick_is_never_taken_after_a_newer_one(stage: Stage) {
    assert!(take(&stage, 2_000, 1).await);
    assert!(
        stage
            .store
            .store_tick("review", Instant(2_000))
            .await
            .unwrap()
    );
    assert!(!take(&stage, 1_000, 1).await);
    assert!(
        !stage
            .store
            .store_tick("review", Instant(1_000))
            .await
            .unwrap()
    );
}

// ---- planning ----

async fn due(stage: &Stage, by: u128, limit: u32) -> BTreeSet<OrderId> {
    let taken = stage.store.take_due(worker(by), at(MONDAY), limit).await;
    taken.unwrap().into_iter().collect()
}

fn mail(customer: u32) -> EmailAddress {
    EmailAddress::parse(&address(&customer.to_string())).expect("an address")
}

/// Two orders each of so many customers.
async fn customers_of_two(stage: &Stage, n: u32) {
    let rows: Vec<Row> = (1..=2 * n)
        .map(|i| Row {
            email: Some(mail(1 + (i - 1) % n)),
            ..teapots(&format!("L{i}"), &format!("{}", 1000 + i))
        })
        .collect();
    stage.announce(&rows, MONDAY).await;
}

async fn customers_of(stage: &Stage, orders: &BTreeSet<OrderId>) -> BTreeSet<i64> {
    let orders: Vec<OrderId> = orders.iter().copied().collect();
    let read = stage.situations(&orders, MONDAY).await;
    read.iter()
        .map(|r| r.situation.order.contact_id.0)
        .collect()
}

async fn two_planners_at_once_never_have_the_same_customer(stage: Stage) {
    customers_of_two(&stage, 10).await;
    let other = stage.another_store().await;
    let all: BTreeSet<OrderId> = stage.due(MONDAY).await.into_iter().collect();
    assert_eq!(all.len(), 20);
    if let BackEnd::Sqlite = stage.back_end() {
        // One process plans at a time; nothing is written.
        assert_eq!(due(&stage, 1, 100).await, all);
        assert_eq!(due(&stage, 2, 100).await, all);
        return;
    }
    let (a, b) = tokio::join!(
        stage.store.take_due(worker(1), at(MONDAY), 6),
        other.take_due(worker(2), at(MONDAY), 6),
    );
    let a: BTreeSet<OrderId> = a.unwrap().into_iter().collect();
    let b: BTreeSet<OrderId> = b.unwrap().into_iter().collect();
    assert!(!a.is_empty() && !b.is_empty(), "{a:?} {b:?}");
    let (of_a, of_b) = (
        customers_of(&stage, &a).await,
        customers_of(&stage, &b).await,
    );
    assert!(of_a.is_disjoint(&of_b));
    // Both orders of everybody, whatever the limit says.
    assert_eq!((a.len(), b.len()), (2 * of_a.len(), 2 * of_b.len()));
    let rest = due(&stage, 3, 100).await;
    assert_eq!(a.len() + b.len() + rest.len(), 20);
    assert!(due(&stage, 4, 100).await.is_empty());
    // They are all still due: nobody has written anything.
    assert_eq!(stage.due(MONDAY).await.len(), 20);
}

async fn planned(stage: &Stage, orders: &BTreeSet<OrderId>, by: u128) -> Review {
    let orders: Vec<OrderId> = orders.iter().copied().collect();
    Review {
        planner: Some(worker(by)),
        ..stage.plan_orders(&orders, MONDAY).await
    }
}

async fn a_planners_customer_is_free_again_when_the_plan_is_written(stage: Stage) {
    customers_of_two(&stage, 2).await;
    let mine = due(&stage, 1, 1).await;
    let review = planned(&stage, &mine, 1).await;
    let written = stage.commit(review, MONDAY).await;
    assert!(written.stale.is_empty() && !written.messages.is_empty());
    let leases = "SELECT count(*) FROM contacts WHERE planned_by IS NOT NULL";
    assert_eq!(stage.number(leases).await, 0);
    let rows = [Row {
        eta: Some(eta("2026-04-20")),
        email: Some(mail(1)),
        ..teapots("L1", "1001")
    }];
    stage.import(&rows, MONDAY).await;
    assert!(
        due(&stage, 2, 100)
            .await
            .contains(&stage.order("1001").await)
    );
}

async fn a_plan_for_a_customer_somebody_else_has_is_not_written(stage: Stage) {
    if let BackEnd::Sqlite = stage.back_end() {
        return one_process_plans(&stage).await;
    }
    customers_of_two(&stage, 1).await;
    let mine = due(&stage, 1, 10).await;
    let review = planned(&stage, &mine, 1).await;
    // The minute is over, and another planner takes the customer.
    let over = "UPDATE contacts SET planned_until = planned_until - 60001";
    assert_eq!(stage.force(over).await.unwrap(), 1);
    assert_eq!(due(&stage, 2, 10).await, mine);
    let written = stage.commit(review, MONDAY).await;
    assert_eq!((written.stale.len(), written.messages.len()), (2, 0));
    assert_eq!(stage.due(MONDAY).await.len(), 2);
    // The other one still has it, and is not disturbed.
    let review = planned(&stage, &mine, 2).await;
    assert!(stage.commit(review, MONDAY).await.stale.is_empty());
    // Nor is a plan written whose lease nobody took, but which is over.
    let written = stage.commit(planned(&stage, &mine, 2).await, MONDAY).await;
    assert_eq!(written.stale.len(), 2);
}

/// With a file a plan needs no leases.
async fn one_process_plans(stage: &Stage) {
    customers_of_two(stage, 1).await;
    let all = stage.due(MONDAY).await.into_iter().collect();
    let review = planned(stage, &all, 1).await;
    assert!(stage.commit(review, MONDAY).await.stale.is_empty());
}

async fn certain_orders_are_taken_unless_their_customer_is_taken(stage: Stage) {
    customers_of_two(&stage, 2).await;
    let all: Vec<OrderId> = stage.due(MONDAY).await;
    let taken = due(&stage, 1, 1).await;
    let read = async |by| {
        let taken = stage.store.take_orders(worker(by), &all).await.unwrap();
        taken.into_iter().collect::<BTreeSet<OrderId>>()
    };
    match stage.back_end() {
        BackEnd::Sqlite => assert_eq!(read(2).await.len(), all.len()),
        BackEnd::Postgres => {
            let rest = read(2).await;
            assert_eq!((taken.len(), rest.len()), (2, 2));
            assert!(taken.is_disjoint(&rest));
            assert_eq!(read(2).await, rest, "asking again is harmless");
            assert_eq!(read(1).await, taken);
            assert!(read(3).await.is_empty());
        }
    }
}

fn limit(n: u64) -> Option<Brake> {
    Some(Brake {
        since: at(MONDAY).minus(Length::hours(1)),
        limit: n,
    })
}

async fn two_planners_together_do_not_pass_the_brake(stage: Stage) {
    const N: u32 = 40;
    stage.announce(&orders(N), MONDAY).await;
    let all = stage.due(MONDAY).await;
    let other = stage.another_store().await;
    let mut both = tokio::task::JoinSet::new();
    for (part, store) in all.chunks(N as usize / 2).zip([stage.store.clone(), other]) {
        // Batches of four, each of which alone is far below the limit.
        let mut reviews = Vec::new();
        for orders in part.chunks(4) {
            let review = stage.plan_orders(orders, MONDAY).await;
            reviews.push(Review {
                brake: limit(20),
                ..review
            });
        }
        both.spawn(async move {
            for review in reviews {
                store.commit_review(review, at(MONDAY)).await.unwrap();
            }
        });
    }
    while let Some(done) = both.join_next().await {
        done.unwrap();
    }
    let free = "SELECT count(*) FROM messages WHERE held = FALSE";
    assert_eq!(stage.number(free).await, 20);
    let held = "SELECT count(*) FROM messages WHERE held = TRUE";
    assert_eq!(stage.number(held).await, i64::from(N) - 20);
    let runs = "SELECT count(*) FROM runs WHERE state = 'held'";
    assert_eq!(stage.number(runs).await, 1, "a person decides once");
}

async fn over_the_brake_the_rest_is_collected_in_one_run(stage: Stage) {
    stage.announce(&orders(6), MONDAY).await;
    let all = stage.due(MONDAY).await;
    let mut held = Vec::new();
    for orders in all.chunks(2) {
        let review = stage.plan_orders(orders, MONDAY).await;
        let written = stage.commit(
            Review {
                brake: limit(2),
                ..review
            },
            MONDAY,
        );
        held.push(written.await.held);
    }
    assert_eq!(held, [false, true, true]);
    let collected = "SELECT messages FROM runs WHERE state = 'held'";
    assert_eq!(stage.number(collected).await, 4);
}

// ---- hearing of each other ----

async fn a_thousand_commits_are_heard_of_and_are_not_a_thousand_wake_ups(stage: Stage) {
    const N: u32 = 1_000;
    let other = stage.another_store().await;
    let mut watch = other.read().watch().await.unwrap();
    // A watch that has just begun has news.
    assert!(watch.has_news().await.unwrap());
    let mut listener = stage.listener().await;
    let begun = tokio::time::Instant::now();
    for n in 0..N {
        let hash = format!("{n:064}");
        let done = stage
            .store
            .suppress(&hash, ChannelName::Email, "test", "person", at(MONDAY));
        done.await.unwrap();
    }
    let took = begun.elapsed();
    let mut heard = false;
    for _ in 0..200 {
        heard = heard || watch.has_news().await.unwrap();
        if heard {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(heard, "nobody heard of it");
    if let Some(listener) = &mut listener {
        let silence = std::time::Duration::from_millis(500);
        let mut n = 0;
        while let Ok(told) = tokio::time::timeout(silence, listener.recv()).await {
            told.unwrap();
            n += 1;
        }
        let most = took.as_millis() / 250 + 1;
        assert!(n >= 1 && n <= most, "{n} notifications in {took:?}");
    }
}
