//! Connections that break, or are all in use: nothing is lost, nothing happens
//! twice, and nobody who called hears of it. Only a server has connections to
//! lose.

use super::props::{MONDAY, accepted, at, mark_of, teapots, worker};
use super::stage::Stage;
use crate::support::cut::{Cut, Wire};
use backorderd::domain::message::MessageState;
use backorderd::store::postgres::open::READERS_MAX;
use backorderd::store::{Place, ReadStore, Store, StoreError};
use sqlx::Executor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

promises![
    a_connection_lost_between_verbs_is_replaced,
    while_every_connection_for_questions_is_taken_what_is_written_is_written,
    a_commit_is_counted_once_wherever_it_was_cut_off,
    a_mark_and_a_record_are_counted_once_wherever_they_were_cut_off,
    a_mark_and_a_record_take_two_trips,
    verbs_that_are_cut_off_again_and_again_happen_once_each,
    marks_and_records_that_are_cut_off_again_and_again_happen_once_each,
    a_verb_that_the_engine_breaks_a_deadlock_with_runs_again,
    a_server_that_may_forget_is_refused_with_the_reason,
];

const ALL_OTHERS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid()";

async fn a_connection_lost_between_verbs_is_replaced(stage: Stage) {
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    let mut watch = stage.store.read().watch().await.unwrap();
    let message = stage.claim(1, MONDAY).await.remove(0);
    assert!(stage.number(ALL_OTHERS).await > 3);
    assert!(stage.mark(1, &message, MONDAY).await);
    stage.number(ALL_OTHERS).await;
    assert!(stage.record(1, &message, accepted(), MONDAY).await);
    stage.number(ALL_OTHERS).await;
    assert_eq!(stage.state(message.no).await, MessageState::Sent);
    assert_eq!(stage.told("1042").await.len(), 1);
    assert!(watch.has_news().await.unwrap());
}

/// Somebody keeps a table to himself, and every connection that questions share
/// waits for it.
async fn while_every_connection_for_questions_is_taken_what_is_written_is_written(stage: Stage) {
    const N_QUESTIONS: u32 = READERS_MAX + 3;
    stage.announce(&[teapots("L1", "1042")], MONDAY).await;
    stage.review(MONDAY).await;
    let message = stage.claim(1, MONDAY).await.remove(0);
    let mut somebody = stage.database().expect("a server").connect().await;
    let keep = "BEGIN; LOCK TABLE texts IN ACCESS EXCLUSIVE MODE";
    somebody.execute(sqlx::raw_sql(keep)).await.unwrap();
    let mut questions = JoinSet::new();
    for _ in 0..N_QUESTIONS {
        let read = stage.store.read().clone();
        questions.spawn(async move { read.texts(true, 10).await.map(|texts| texts.len()) });
    }
    // As many as there are connections wait at the table, the others for one.
    let waiting = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while stage.number(waiting).await < i64::from(READERS_MAX) {
        assert!(questions.try_join_next().is_none(), "nobody is answered");
    }
    // Marks, records and everything else that is written goes on.
    assert!(stage.mark(1, &message, MONDAY).await);
    assert!(stage.record(1, &message, accepted(), MONDAY).await);
    let audit = stage.store.audit("anna", "tried", "1", None, at(MONDAY));
    audit.await.unwrap();
    let written = "SELECT (SELECT count(*) FROM told) + (SELECT count(*) FROM audit)
        + (SELECT count(*) FROM messages WHERE state = 'sent')";
    assert_eq!(stage.number(written).await, 3);
    assert_eq!(stage.number(waiting).await, i64::from(READERS_MAX));
    // When there is room again every question has its answer.
    somebody.execute("ROLLBACK").await.unwrap();
    let answers = questions.join_all().await;
    assert_eq!(answers.len(), N_QUESTIONS as usize);
    assert!(answers.iter().all(|answer| *answer.as_ref().unwrap() == 0));
    assert_eq!(stage.state(message.no).await, MessageState::Sent);
}

/// A store whose connections lead through a wire.
async fn wired(stage: &Stage) -> (Wire, Store) {
    let database = stage.database().expect("a server");
    let wire = Wire::to(&database.url());
    let place = Place::parse(&wire.url(database.name())).expect("an address");
    let store = Store::open(&place).await.expect("a store");
    (wire, store)
}

async fn a_commit_is_counted_once_wherever_it_was_cut_off(stage: Stage) {
    let (wire, store) = wired(&stage).await;
    for (nth, cut) in [Cut::Before, Cut::After]
        .into_iter()
        .cycle()
        .take(6)
        .enumerate()
    {
        wire.cut(cut);
        store
            .audit("anna", "tried", &nth.to_string(), None, at(MONDAY))
            .await
            .unwrap();
        assert_eq!(wire.left(), 0, "{cut:?} was not cut");
    }
    assert_eq!(stage.number("SELECT count(*) FROM audit").await, 6);
    assert_eq!(
        stage
            .number("SELECT count(DISTINCT target) FROM audit")
            .await,
        6
    );
}

async fn a_mark_and_a_record_are_counted_once_wherever_they_were_cut_off(stage: Stage) {
    let (wire, store) = wired(&stage).await;
    let all = [Cut::BeforePass, Cut::AfterPass, Cut::Before, Cut::After];
    for (i, cut) in all.into_iter().enumerate() {
        let number = format!("{}", 1000 + i);
        stage
            .announce(&[teapots(&format!("L{i}"), &number)], MONDAY)
            .await;
        stage.review(MONDAY).await;
        let message = stage.claim(1, MONDAY).await.remove(0);
        wire.cut(cut);
        let mark = store.mark(worker(1), mark_of(&message), at(MONDAY)).await;
        assert!(mark.unwrap(), "{cut:?}");
        wire.cut(cut);
        let report = stage.report(&message, accepted(), at(MONDAY));
        let record = store.record(worker(1), report, at(MONDAY)).await;
        assert!(record.unwrap(), "{cut:?}");
        assert_eq!(wire.left(), 0, "{cut:?} was not cut");
        assert_eq!(stage.state(message.no).await, MessageState::Sent);
        assert_eq!(stage.message(message.no).await.attempts, 1);
        assert_eq!(stage.told(&number).await.len(), 1);
    }
}

async fn a_mark_and_a_record_take_two_trips(stage: Stage) {
    let (wire, store) = wired(&stage).await;
    for number in ["1042", "1043"] {
        stage.announce(&[teapots(number, number)], MONDAY).await;
        stage.review(MONDAY).await;
        let message = stage.claim(1, MONDAY).await.remove(0);
        let before = wire.n_queries();
        let mark = store.mark(worker(1), mark_of(&message), at(MONDAY)).await;
        assert!(mark.unwrap());
        let marked = wire.n_queries();
        let report = stage.report(&message, accepted(), at(MONDAY));
        let record = store.record(worker(1), report, at(MONDAY)).await;
        assert!(record.unwrap());
        assert_eq!(wire.n_queries() - marked, 2);
        // The first one learned its names before.
        assert!(marked - before == 2 || number == "1042");
    }
}

async fn verbs_that_are_cut_off_again_and_again_happen_once_each(stage: Stage) {
    let stage = Arc::new(stage);
    let stores = four_stores(&stage).await;
    let (killer, victims) = Killer::unleash(&stage, Duration::ZERO, stores.len());
    let mut working = JoinSet::new();
    for (who, (store, victim)) in stores.into_iter().zip(victims).enumerate() {
        working.spawn(async move {
            let mut n = 0_i64;
            while victim.n_ended() < N_ENDED {
                let target = format!("{who}/{n}");
                let done = store.audit("anna", "tried", &target, None, at(MONDAY));
                done.await.unwrap();
                victim.got_on();
                n += 1;
            }
            n
        });
    }
    let n = working.join_all().await.into_iter().sum::<i64>();
    killer.end().await;
    assert_eq!(stage.number("SELECT count(*) FROM audit").await, n);
    let targets = "SELECT count(DISTINCT target) FROM audit";
    assert_eq!(stage.number(targets).await, n);
}

async fn marks_and_records_that_are_cut_off_again_and_again_happen_once_each(stage: Stage) {
    const N_MESSAGES: usize = 200;
    let lines: Vec<_> = (0..N_MESSAGES)
        .map(|n| teapots(&format!("L{n}"), &format!("{}", 1000 + n)))
        .collect();
    stage.announce(&lines, MONDAY).await;
    stage.review(MONDAY).await;
    let stage = Arc::new(stage);
    let stores = four_stores(&stage).await;
    let mut shares = Vec::new();
    for _ in &stores {
        shares.push(stage.claim(1, MONDAY).await);
    }
    assert_eq!(shares.iter().map(Vec::len).sum::<usize>(), N_MESSAGES);
    // They learn names before they can say anything: that takes its time.
    let pause = Duration::from_millis(20);
    let (killer, victims) = Killer::unleash(&stage, pause, stores.len());
    let mut working = JoinSet::new();
    for ((store, mine), victim) in stores.into_iter().zip(shares).zip(victims) {
        let stage = stage.clone();
        working.spawn(async move {
            let mut n = 0_i64;
            for message in mine {
                if victim.n_ended() >= N_ENDED {
                    break;
                }
                let mark = store.mark(worker(1), mark_of(&message), at(MONDAY)).await;
                assert!(mark.unwrap());
                victim.got_on();
                let report = stage.report(&message, accepted(), at(MONDAY));
                let record = store.record(worker(1), report, at(MONDAY)).await;
                assert!(record.unwrap());
                victim.got_on();
                n += 1;
            }
            n
        });
    }
    let n = working.join_all().await.into_iter().sum::<i64>();
    assert!(killer.end().await >= N_ENDED);
    let sent = "SELECT count(*) FROM messages WHERE state = 'sent' AND attempts = 1";
    assert_eq!(stage.number(sent).await, n);
    assert_eq!(stage.number("SELECT count(*) FROM told").await, n);
}

async fn four_stores(stage: &Stage) -> Vec<Store> {
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(stage.another_store().await);
    }
    stores
}

/// Sessions that are ended before work that is cut off again and again may rest.
const N_ENDED: i64 = 12;

/// Blows after which everybody may end a verb: one that is cut off too often
/// gives up, and rightly.
const BLOWS: usize = 5;

/// Ends all sessions but the stage's, again and again.
struct Killer {
    n_ended: Arc<AtomicI64>,
    over: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Killer {
    /// With this pause in between; those whose sessions it ends hold the victims.
    fn unleash(stage: &Arc<Stage>, pause: Duration, n: usize) -> (Killer, Vec<Victim>) {
        let (n_ended, over) = <(Arc<AtomicI64>, Arc<AtomicBool>)>::default();
        let (got_on, hears) = (0..n)
            .map(|_| watch::channel(()))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        let victims = got_on.into_iter().map(|got_on| Victim {
            n_ended: n_ended.clone(),
            got_on,
        });
        let victims = victims.collect();
        let (stage, count, is_over) = (stage.clone(), n_ended.clone(), over.clone());
        let task = tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                for _ in 0..BLOWS {
                    count.fetch_add(stage.number(ALL_OTHERS).await, Ordering::Relaxed);
                    tokio::time::sleep(pause).await;
                }
                for mut victim in hears.clone() {
                    // Who is through cannot get on.
                    let _ = victim.changed().await;
                }
            }
        });
        let killer = Killer {
            n_ended,
            over,
            task,
        };
        (killer, victims)
    }

    /// How many it ended.
    async fn end(self) -> i64 {
        self.over.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.n_ended.load(Ordering::Relaxed)
    }
}

/// Whose sessions are ended.
struct Victim {
    n_ended: Arc<AtomicI64>,
    got_on: watch::Sender<()>,
}

impl Victim {
    /// Sessions that were ended, everybody's.
    fn n_ended(&self) -> i64 {
        self.n_ended.load(Ordering::Relaxed)
    }

    /// A verb of its was answered.
    fn got_on(&self) {
        self.got_on.send_replace(());
    }
}

async fn a_verb_that_the_engine_breaks_a_deadlock_with_runs_again(stage: Stage) {
    let database = stage.database().expect("a server");
    stage
        .announce(&[teapots("L1", "1001"), teapots("L2", "1002")], MONDAY)
        .await;
    let mut other = database.connect().await;
    // Only the verb looks for deadlocks in time, so it is the one to give in.
    for words in [
        "SET deadlock_timeout = '60s'",
        "BEGIN",
        "UPDATE orders SET view_url = 'x' WHERE number = '1002'",
    ] {
        other.execute(words).await.unwrap();
    }
    let store = stage.store.clone();
    let waking = tokio::spawn(async move { store.wake_all(at(MONDAY)).await });
    let waits = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while stage.number(waits).await == 0 {}
    other
        .execute("UPDATE orders SET view_url = 'x' WHERE number = '1001'")
        .await
        .unwrap();
    other.execute("COMMIT").await.unwrap();
    assert_eq!(waking.await.unwrap().unwrap(), 2);
    assert_eq!(
        stage
            .number(
                "SELECT count(*) FROM orders WHERE view_url = 'x' AND next_review_at IS NOT NULL"
            )
            .await,
        2
    );
}

async fn a_server_that_may_forget_is_refused_with_the_reason(stage: Stage) {
    let database = stage.database().expect("a server");
    let mut admin = database.connect().await;
    admin
        .execute("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$")
        .await
        .unwrap();
    let refused = Store::open(&stage.place()).await.err();
    let Some(error @ StoreError::Unfit { .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(
        error.to_string().contains("synchronous_commit is off"),
        "{error}"
    );
    // Looking does not depend on it.
    ReadStore::open(&stage.place()).await.unwrap();
}
