//! Many at once: the writer, its readers and other processes.

use super::props::{MONDAY, accepted, at, deferred, mark_of, teapots, worker};
use super::stage::Stage;
use backorderd::domain::message::MessageState;
use backorderd::domain::outcome::Deferral;
use backorderd::domain::row::Row;
use backorderd::domain::time::Length;
use backorderd::store::read::lists::OrderFilter;
use backorderd::store::write::deliver::Claim;
use backorderd::store::{Store, StoreError};
use std::time::Duration;
use tokio::task::JoinSet;

fn orders(n: u32) -> Vec<Row> {
    (1..=n)
        .map(|i| teapots(&format!("L{i}"), &format!("{}", 1000 + i)))
        .collect()
}

promises![
    two_hundred_at_once_are_each_answered_rightly,
    a_stranger_in_the_same_breath_does_not_share_the_answer,
    a_record_the_engine_refuses_does_not_take_the_others_with_it,
    a_caller_that_goes_away_does_not_cancel_the_write,
    what_was_answered_is_there_for_every_reader,
    a_verb_that_fails_leaves_the_store_working,
    two_processes_commit_side_by_side,
    a_commit_elsewhere_is_noticed_however_many_are_reading,
    many_may_open_a_new_database_at_the_same_moment,
    a_long_import_elsewhere_delays_a_mark_and_does_not_fail_it,
];

async fn two_hundred_at_once_are_each_answered_rightly(stage: Stage) {
    stage.announce(&orders(200), MONDAY).await;
    stage.review(MONDAY).await;
    let all = Claim {
        limit: 200,
        ..super::props::ask(worker(1), stage.mode, at(MONDAY))
    };
    let claimed = stage.claim_as(all).await;
    assert_eq!(claimed.len(), 200);
    // Every third is not this worker's any more, every fifth asks twice.
    let mut marks = JoinSet::new();
    for (i, message) in claimed.iter().enumerate() {
        let by = worker(if i % 3 == 0 { 2 } else { 1 });
        for _ in 0..(if i % 5 == 0 { 2 } else { 1 }) {
            let (store, mark) = (stage.store.clone(), mark_of(message));
            marks.spawn(async move { (i, store.mark(by, mark, at(MONDAY)).await.unwrap()) });
        }
    }
    let mut passed = vec![0; 200];
    while let Some(answer) = marks.join_next().await {
        let (i, yes) = answer.unwrap();
        passed[i] += i32::from(yes);
    }
    for (i, n) in passed.iter().enumerate() {
        assert_eq!(*n, i32::from(i % 3 != 0), "message {i}");
    }
    let mut records = JoinSet::new();
    for (i, message) in claimed.iter().enumerate() {
        let report = stage.report(message, accepted(), at(MONDAY));
        let store = stage.store.clone();
        records.spawn(async move {
            (
                i,
                store.record(worker(1), report, at(MONDAY)).await.unwrap(),
            )
        });
    }
    while let Some(answer) = records.join_next().await {
        let (i, mine) = answer.unwrap();
        assert_eq!(mine, i % 3 != 0, "message {i}");
    }
    assert_eq!(stage.number("SELECT count(*) FROM told").await, 133);
    assert_eq!(
        stage
            .number("SELECT count(*) FROM attempts WHERE outcome = 'accepted'")
            .await,
        133
    );
}

async fn a_stranger_in_the_same_breath_does_not_share_the_answer(stage: Stage) {
    stage.announce(&orders(1), MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.claim(1, MONDAY).await.remove(0);
    for _ in 0..20 {
        let (mine, theirs) = (mark_of(&message), mark_of(&message));
        let (theirs, _, again) = tokio::join!(
            stage.store.mark(worker(2), theirs, at(MONDAY)),
            stage.store.probe(at(MONDAY)),
            stage.store.mark(worker(3), mine, at(MONDAY)),
        );
        assert!(!theirs.unwrap() && !again.unwrap());
    }
    let (mine, theirs) = tokio::join!(
        stage.store.mark(worker(1), mark_of(&message), at(MONDAY)),
        stage.store.mark(worker(2), mark_of(&message), at(MONDAY)),
    );
    assert!(mine.unwrap() && !theirs.unwrap());
    let report = |by| (by, stage.report(&message, accepted(), at(MONDAY)));
    let ((a, right), (b, wrong)) = (report(worker(1)), report(worker(2)));
    let (right, wrong) = tokio::join!(
        stage.store.record(a, right, at(MONDAY)),
        stage.store.record(b, wrong, at(MONDAY)),
    );
    assert!(right.unwrap() && !wrong.unwrap());
    assert_eq!(stage.told("1001").await.len(), 1);
}

async fn a_record_the_engine_refuses_does_not_take_the_others_with_it(stage: Stage) {
    stage.announce(&orders(3), MONDAY).await;
    stage.review(MONDAY).await;
    let flying = stage.submit(1, MONDAY).await;
    // Beside the planner: one more queued, so that the first has no way back.
    let order = stage.order("1001").await;
    let mut review = stage.plan_orders(&[order], MONDAY).await;
    let mut second = super::stage::teapots_message(&stage, "1001").await;
    second.planned.notices[0].key = "another".to_owned();
    review.messages.push(second);
    assert_eq!(stage.commit(review, MONDAY).await.messages.len(), 1);
    let later = stage.report(&flying[0], deferred(Deferral::Relay), at(MONDAY));
    let fine = |i: usize| stage.report(&flying[i], accepted(), at(MONDAY));
    let (bad, a, b) = tokio::join!(
        stage.store.record(worker(1), later, at(MONDAY)),
        stage.store.record(worker(1), fine(1), at(MONDAY)),
        stage.store.record(worker(1), fine(2), at(MONDAY)),
    );
    assert!(matches!(bad, Err(StoreError::Statement { .. })), "{bad:?}");
    assert!(a.unwrap() && b.unwrap());
    assert_eq!(stage.state(flying[0].no).await, MessageState::Submitting);
}

async fn a_caller_that_goes_away_does_not_cancel_the_write(stage: Stage) {
    stage.announce(&orders(1), MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.claim(1, MONDAY).await.remove(0);
    // Polled once, so that the job is handed in, and dropped.
    let gone = stage.store.mark(worker(1), mark_of(&message), at(MONDAY));
    tokio::select! { biased; _ = gone => {}, () = std::future::ready(()) => {} }
    let gone = stage.store.put_meta("written", "yes");
    tokio::select! { biased; _ = gone => {}, () = std::future::ready(()) => {} }
    // What comes after comes after, in the queue of marks as in the other.
    stage.store.probe(at(MONDAY)).await.unwrap();
    stage.store.probe(at(MONDAY)).await.unwrap();
    assert!(!stage.mark(2, &message, MONDAY).await);
    assert_eq!(
        stage.store.read().meta("written").await.unwrap().as_deref(),
        Some("yes")
    );
    assert_eq!(stage.state(message.no).await, MessageState::Submitting);
}

async fn what_was_answered_is_there_for_every_reader(stage: Stage) {
    let looking = backorderd::store::ReadStore::open(&stage.place())
        .await
        .unwrap();
    for n in 0..50 {
        stage.store.put_meta("n", &n.to_string()).await.unwrap();
        assert_eq!(looking.meta("n").await.unwrap(), Some(n.to_string()));
    }
}

async fn a_verb_that_fails_leaves_the_store_working(stage: Stage) {
    let wrong = stage.plan_orders(&[], MONDAY).await;
    let no_run = backorderd::domain::ids::RunNo(999);
    stage.announce(&orders(1), MONDAY).await;
    let mut review = stage.plan(MONDAY).await;
    review.run = no_run;
    let refused = stage.store.commit_review(review, at(MONDAY)).await;
    assert!(
        matches!(&refused, Err(e @ StoreError::Statement { .. }) if !e.is_fatal()),
        "{refused:?}"
    );
    stage.commit(wrong, MONDAY).await;
    assert_eq!(
        stage.due(MONDAY).await.len(),
        1,
        "nothing of it was written"
    );
    assert_eq!(stage.review(MONDAY).await.messages.len(), 1);
}

async fn two_processes_commit_side_by_side(stage: Stage) {
    let other = stage.another_store().await;
    let mut both = JoinSet::new();
    for (who, store) in [("a", stage.store.clone()), ("b", other.clone())] {
        both.spawn(async move {
            for n in 0..25 {
                store.put_meta(&format!("{who}{n}"), "x").await.unwrap();
            }
        });
    }
    while let Some(done) = both.join_next().await {
        done.unwrap();
    }
    assert_eq!(
        stage
            .number("SELECT count(*) FROM meta WHERE value = 'x'")
            .await,
        50
    );
    // An import elsewhere is seen here, and what is claimed here stays ours.
    stage.announce(&orders(2), MONDAY).await;
    stage.review(MONDAY).await;
    let mine = stage.claim(1, MONDAY).await;
    assert!(
        other
            .claim(super::props::ask(worker(2), stage.mode, at(MONDAY)))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        !other
            .mark(worker(2), mark_of(&mine[0]), at(MONDAY))
            .await
            .unwrap()
    );
    assert!(stage.mark(1, &mine[0], MONDAY).await);
}

async fn a_commit_elsewhere_is_noticed_however_many_are_reading(stage: Stage) {
    stage.announce(&orders(1), MONDAY).await;
    let other = stage.another_store().await;
    let read = stage.store.read();
    let mut watch = read.watch().await.unwrap();
    assert!(watch.has_news().await.unwrap(), "at first, always");
    for n in 0..5 {
        assert!(!watch.has_news().await.unwrap(), "quiet before round {n}");
        // A process tells others no oftener than this.
        tokio::time::sleep(Duration::from_millis(260)).await;
        // Readers that keep the pool busy must not hide the change.
        let all = OrderFilter::default();
        let busy = tokio::join!(
            read.orders(&all, 9),
            read.holds(),
            read.sources(),
            read.mode()
        );
        assert!(busy.0.is_ok() && busy.1.is_ok() && busy.2.is_ok() && busy.3.is_ok());
        assert_eq!(other.wake_all(at(MONDAY)).await.unwrap(), 1);
        let heard = async {
            while !watch.has_news().await.unwrap() {
                tokio::task::yield_now().await;
            }
        };
        let heard = tokio::time::timeout(Duration::from_secs(10), heard).await;
        assert!(heard.is_ok(), "round {n}");
    }
    // One's own commits are news as well: they may make something due.
    stage.announce(&orders(2), MONDAY).await;
    assert!(watch.has_news().await.unwrap());
}

async fn many_may_open_a_new_database_at_the_same_moment(stage: Stage) {
    let mut opening = JoinSet::new();
    for _ in 0..16 {
        let place = stage.empty_place().await;
        opening.spawn(async move { Store::open(&place).await.map(|_| ()) });
    }
    while let Some(done) = opening.join_next().await {
        done.unwrap().unwrap();
    }
}

async fn a_long_import_elsewhere_delays_a_mark_and_does_not_fail_it(stage: Stage) {
    stage.announce(&orders(1), MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.claim(1, MONDAY).await.remove(0);
    let other = stage.another_store().await;
    let rows: Vec<Row> = (0..3_000)
        .map(|n| teapots(&format!("M{n}"), &format!("{}", 5_000 + n)))
        .collect();
    let (input, changes) = stage.merged(&rows, false, MONDAY).await;
    let import = tokio::spawn(async move { other.commit_mirror(input, changes).await });
    assert!(stage.mark(1, &message, MONDAY).await);
    import.await.unwrap().unwrap();
    let late = at(MONDAY).plus(Length::secs(5));
    assert!(
        stage
            .store
            .record(worker(1), stage.report(&message, accepted(), late), late)
            .await
            .unwrap()
    );
}
