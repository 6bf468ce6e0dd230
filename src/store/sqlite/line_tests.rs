use super::*;
use crate::store::conn::Conn;
use crate::store::sqlite::engine::SqliteEngine;
use crate::store::sqlite::open;
use crate::store::writer::{Engine, Wakes};
use std::time::Duration;
use tempfile::TempDir;

const WRITE: &str = "INSERT INTO meta (name, value) VALUES ('written', $1)";

/// An engine on a new file, and another connection to it.
async fn engine() -> (TempDir, SqliteEngine, SqliteConnection) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("b.sqlite");
    let mut conn = open::writer(&path).await.unwrap();
    // The test does not wait five seconds to be told that somebody is busy.
    conn.execute("PRAGMA busy_timeout = 1").await.unwrap();
    let other = open::existing(&path).await.unwrap();
    (place, SqliteEngine::new(conn), other)
}

async fn line(engine: &mut SqliteEngine) -> Line<'_> {
    match engine.begin().await.unwrap() {
        Conn::Sqlite(line) => line,
        Conn::Postgres(_) => unreachable!("a file"),
    }
}

async fn written(other: &mut SqliteConnection) -> i64 {
    let asked = sqlx::query_scalar("SELECT count(*) FROM meta WHERE name = 'written'");
    asked.fetch_one(other).await.unwrap()
}

fn text(value: &str) -> Vec<String> {
    vec![value.to_owned()]
}

#[tokio::test]
async fn what_is_said_last_is_written_with_the_commit() {
    let (_place, mut engine, mut other) = engine().await;
    let mut line = line(&mut engine).await;
    let rows = line.answers("SELECT $1", text("x")).await.unwrap();
    assert_eq!(rows.len(), 1);
    line.later(WRITE, text("x")).await.unwrap();
    assert!(matches!(engine.commit(Wakes::Nobody).await, Committed::Yes));
    assert_eq!(written(&mut other).await, 1);
}

#[tokio::test]
async fn what_is_said_in_between_comes_before_what_follows() {
    let (_place, mut engine, mut other) = engine().await;
    let mut line = line(&mut engine).await;
    line.later(WRITE, text("x")).await.unwrap();
    let change = "UPDATE meta SET value = 'y' WHERE name = 'written' RETURNING 1";
    assert_eq!(line.answers(change, Vec::new()).await.unwrap().len(), 1);
    assert!(matches!(engine.commit(Wakes::Nobody).await, Committed::Yes));
    assert_eq!(written(&mut other).await, 1);
}

#[tokio::test]
async fn a_statement_that_fails_before_the_commit_has_written_nothing() {
    let (_place, mut engine, mut other) = engine().await;
    for _ in 0..2 {
        let mut line = line(&mut engine).await;
        line.answers(
            concat!(
                "INSERT INTO meta (name, value) VALUES ('written', $1)",
                " RETURNING 1"
            ),
            text("x"),
        )
        .await
        .unwrap();
        line.later(WRITE, text("the same name")).await.unwrap();
        let ended = engine.commit(Wakes::Nobody).await;
        assert!(matches!(ended, Committed::No(_)), "{ended:?}");
        assert!(engine.roll_back().await);
        assert_eq!(written(&mut other).await, 0);
    }
}

#[tokio::test]
async fn of_a_commit_that_fails_nobody_knows() {
    let (_place, mut engine, mut other) = engine().await;
    other
        .execute(
            "CREATE TABLE held (no INTEGER REFERENCES messages (no) DEFERRABLE INITIALLY DEFERRED)",
        )
        .await
        .unwrap();
    let mut line = line(&mut engine).await;
    // Right until the end of the transaction, and wrong then.
    let wrong = "INSERT INTO held (no) VALUES (CAST($1 AS INTEGER))";
    line.later(wrong, text("7")).await.unwrap();
    let ended = engine.commit(Wakes::Nobody).await;
    assert!(matches!(ended, Committed::Unknown(_)), "{ended:?}");
}

#[tokio::test]
async fn a_file_in_other_hands_is_waited_for() {
    for asks in [true, false] {
        let (_place, mut engine, mut other) = engine().await;
        other.execute("BEGIN IMMEDIATE").await.unwrap();
        let waiting = tokio::spawn(async move {
            let mut line = line(&mut engine).await;
            if asks {
                let insert = "INSERT INTO meta (name, value) VALUES ('written', $1) RETURNING 1";
                line.answers(insert, text("x")).await.unwrap();
            } else {
                line.later(WRITE, text("x")).await.unwrap();
            }
            engine.commit(Wakes::Nobody).await
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting.is_finished());
        other.execute("COMMIT").await.unwrap();
        assert!(matches!(waiting.await.unwrap(), Committed::Yes));
        assert_eq!(written(&mut other).await, 1);
    }
}

#[tokio::test]
async fn what_was_not_begun_need_not_be_taken_back() {
    let (_place, mut engine, mut other) = engine().await;
    let _ = line(&mut engine).await;
    assert!(engine.roll_back().await);
    // Nobody holds the file.
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    other.execute("COMMIT").await.unwrap();
    let _ = line(&mut engine).await;
    assert!(matches!(engine.commit(Wakes::Nobody).await, Committed::Yes));
}
