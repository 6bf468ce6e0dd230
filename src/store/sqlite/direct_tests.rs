use super::*;
use crate::store::sqlite::open;
use rusqlite::Result;
use sqlx::Executor;
use sqlx::sqlite::SqliteConnection;
use tempfile::TempDir;

/// The thread on a new file, and another connection to it.
async fn direct() -> (TempDir, Direct, SqliteConnection) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("b.sqlite");
    let first = open::writer(&path).await.unwrap();
    sqlx::Connection::close(first).await.unwrap();
    let other = open::existing(&path).await.unwrap();
    // The test does not wait five seconds to be told that somebody is busy.
    let direct = Direct::open(&path, Duration::from_millis(1)).unwrap();
    (place, direct, other)
}

fn write(c: &Connection) -> Result<((), bool)> {
    c.execute("INSERT INTO meta (name, value) VALUES ('written', 'x')", ())?;
    Ok(((), true))
}

async fn written(other: &mut SqliteConnection) -> i64 {
    let asked = sqlx::query_scalar("SELECT count(*) FROM meta WHERE name = 'written'");
    asked.fetch_one(other).await.unwrap()
}

#[tokio::test]
async fn what_was_answered_is_there_for_others() {
    let (_place, direct, mut other) = direct().await;
    let ended = direct.transact(write).await.unwrap();
    assert!(matches!(ended, Ended::Committed(())), "{ended:?}");
    assert_eq!(written(&mut other).await, 1);
}

#[tokio::test]
async fn every_commit_is_flushed() {
    let (_place, direct, _other) = direct().await;
    let asked = |c: &Connection| {
        let flushes: i64 = c.query_row("PRAGMA synchronous", (), |row| row.get(0))?;
        let journal: String = c.query_row("PRAGMA journal_mode", (), |row| row.get(0))?;
        let keys: bool = c.query_row("PRAGMA foreign_keys", (), |row| row.get(0))?;
        let kept: i64 = c.query_row("PRAGMA journal_size_limit", (), |row| row.get(0))?;
        Ok(((flushes, journal, keys, kept.to_string()), false))
    };
    let ended = direct.transact(asked).await.unwrap();
    let Ended::Unchanged(found) = ended else {
        panic!("{ended:?}")
    };
    let kept = WAL_KEPT_MAX.to_owned();
    assert_eq!(found, (2, "wal".to_owned(), true, kept));
}

#[tokio::test]
async fn a_job_that_changed_nothing_leaves_nothing_open() {
    let (_place, direct, mut other) = direct().await;
    let ended = direct.transact(|_| Ok((7, false))).await.unwrap();
    assert!(matches!(ended, Ended::Unchanged(7)), "{ended:?}");
    // Nobody holds the file.
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    other.execute("COMMIT").await.unwrap();
}

#[tokio::test]
async fn a_job_whose_statement_failed_has_written_nothing_and_hinders_no_other() {
    let (_place, direct, mut other) = direct().await;
    for _ in 0..2 {
        let twice = |c: &Connection| {
            write(c)?;
            write(c)
        };
        let ended = direct.transact(twice).await.unwrap();
        let Ended::Refused(error) = ended else {
            panic!("{ended:?}")
        };
        let said = error.to_string();
        assert!(said.contains("(code: 1555)"), "{said}");
        assert!(said.contains("UNIQUE constraint failed"), "{said}");
        assert_eq!(written(&mut other).await, 0);
    }
    let ended = direct.transact(write).await.unwrap();
    assert!(matches!(ended, Ended::Committed(())), "{ended:?}");
}

#[tokio::test]
async fn of_a_commit_that_fails_nobody_knows() {
    let (_place, direct, mut other) = direct().await;
    let held =
        "CREATE TABLE held (no INTEGER REFERENCES messages (no) DEFERRABLE INITIALLY DEFERRED)";
    other.execute(held).await.unwrap();
    // Right until the end of the transaction, and wrong then.
    let wrong = |c: &Connection| {
        c.execute("INSERT INTO held (no) VALUES (7)", ())?;
        Ok(((), true))
    };
    let ended = direct.transact(wrong).await.unwrap();
    assert!(matches!(ended, Ended::Unknown(_)), "{ended:?}");
}

#[tokio::test]
async fn a_disk_with_nothing_left_refuses_the_job_and_the_next_one_runs() {
    let (_place, direct, mut other) = direct().await;
    let full = |c: &Connection| {
        // The engine's own word for it.
        c.query_row("PRAGMA max_page_count = 1", (), |_| Ok(()))?;
        c.execute("UPDATE meta SET value = hex(zeroblob(9000000))", ())?;
        Ok(((), true))
    };
    let ended = direct.transact(full).await.unwrap();
    let Ended::Refused(error) = ended else {
        panic!("{ended:?}")
    };
    assert!(error.to_string().contains("(code: 13)"), "{error}");
    let ended = direct.transact(write).await.unwrap();
    assert!(matches!(ended, Ended::Committed(())), "{ended:?}");
    assert_eq!(written(&mut other).await, 1);
}

#[tokio::test]
async fn a_file_in_other_hands_is_waited_for() {
    let (_place, direct, mut other) = direct().await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let waiting = tokio::spawn(async move { direct.transact(write).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    other.execute("COMMIT").await.unwrap();
    let ended = waiting.await.unwrap().unwrap();
    assert!(matches!(ended, Ended::Committed(())), "{ended:?}");
    assert_eq!(written(&mut other).await, 1);
}

#[tokio::test]
async fn a_job_that_panics_is_heard_of() {
    let (_place, direct, mut other) = direct().await;
    let job = |c: &Connection| -> Result<((), bool)> {
        write(c)?;
        panic!("in the middle")
    };
    let ended = direct.transact(job).await;
    assert!(matches!(ended, Err(StoreError::Closed)), "{ended:?}");
    let ended = direct.transact(write).await;
    assert!(matches!(ended, Err(StoreError::Closed)), "{ended:?}");
    assert_eq!(written(&mut other).await, 0);
}

#[tokio::test]
async fn closing_waits_until_the_connection_is_closed() {
    let (place, direct, other) = direct().await;
    direct.transact(write).await.unwrap();
    sqlx::Connection::close(other).await.unwrap();
    direct.close().await;
    // Who closes the last connection leaves nothing beside the file.
    assert!(!place.path().join("b.sqlite-wal").exists());
}
