//! Several workers on one database: who is alive, and who has which tick.

use super::props::{MONDAY, accepted, ask, at, mark_of, teapots, worker};
use super::stage::{BackEnd, Stage};
use backorderd::domain::kinds::ChannelName;
use backorderd::domain::message::MessageState;
use backorderd::domain::row::Row;
use backorderd::domain::time::{Instant, Length};
use backorderd::domain::worker::{Role, Worker};
use backorderd::store::write::deliver::Claim;
use backorderd::store::write::sweep::Swept;

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
