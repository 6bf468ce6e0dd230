//! A database with something in every table goes to the other engine and back.

use crate::support::postgres::Database;
use backorderd::domain::time::Instant;
use backorderd::store::copy::{
    CopyError, Digest, Progress, Purpose, Reading, TABLES, copy, digest,
};
use backorderd::store::{Place, Store, StoreError};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use std::collections::BTreeMap;
use std::path::Path;

const EVERY_TABLE: &str = include_str!("../../fixtures/every-table.sql");

fn file(dir: &Path, name: &str) -> Place {
    Place::Sqlite(dir.join(name))
}

/// A database file with rows in every table.
async fn filled(dir: &Path) -> Place {
    let place = file(dir, "full.db");
    drop(Store::open(&place).await.unwrap());
    let mut raw = raw(&place).await;
    raw.execute(EVERY_TABLE).await.unwrap();
    raw.close().await.unwrap();
    place
}

async fn raw(place: &Place) -> sqlx::SqliteConnection {
    let Place::Sqlite(path) = place else {
        panic!("a file")
    };
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .connect()
        .await
        .unwrap()
}

/// What is in it, as nobody else writes.
async fn digests(place: &Place) -> BTreeMap<&'static str, Digest> {
    let mut reading = Reading::beside_others(place).await.unwrap();
    let mut all = BTreeMap::new();
    for table in TABLES {
        all.insert(
            table.name,
            digest(&mut reading.conn(), table).await.unwrap(),
        );
    }
    reading.leave().await;
    all
}

async fn moved(from: &Place, to: &Place) -> Result<(), CopyError> {
    copy(from, to, Purpose::Move, |_| ()).await.map(drop)
}

fn on_the_server(database: &Database) -> Place {
    Place::parse(&database.url()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_on_the_other_engine_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let first = filled(dir.path()).await;
    let before = digests(&first).await;
    for (table, digest) in &before {
        assert!(digest.rows > 0, "the fixture leaves {table} empty");
    }
    let database = Database::empty().await;
    let server = on_the_server(&database);
    moved(&first, &server).await.unwrap();
    assert_eq!(digests(&server).await, before);
    let back = file(dir.path(), "back.db");
    moved(&server, &back).await.unwrap();
    assert_eq!(digests(&back).await, before);

    // By the engine's own account, apart from what we read and hash ourselves.
    let mut look = raw(&back).await;
    let path = dir.path().join("full.db");
    sqlx::query("ATTACH $1 AS before")
        .bind(path.to_str().unwrap())
        .execute(&mut look)
        .await
        .unwrap();
    for table in TABLES.iter().filter(|table| table.name != "meta") {
        let name = table.name;
        let differing: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "SELECT count(*) FROM (SELECT * FROM main.{name} EXCEPT SELECT * FROM before.{name})"
        )))
        .fetch_one(&mut look)
        .await
        .unwrap();
        assert_eq!(differing, 0, "{name}");
    }
    look.close().await.unwrap();
    database.drop().await;
}

/// Every column is listed, of every table, on both engines: what is missing
/// would be forgotten by a copy.
#[tokio::test]
async fn no_table_and_no_column_is_left_out() {
    let mut listed: Vec<String> = TABLES
        .iter()
        .flat_map(|t| {
            t.columns
                .iter()
                .map(move |c| format!("{}.{}", t.name, c.name))
        })
        .collect();
    listed.sort();
    let left_out = |name: &String| !name.starts_with("workers.") && !name.starts_with("_sqlx");

    let dir = tempfile::tempdir().unwrap();
    let place = file(dir.path(), "b.db");
    drop(Store::open(&place).await.unwrap());
    let mut conn = raw(&place).await;
    let mut there: Vec<String> = sqlx::query_scalar(
        "SELECT t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    there.retain(left_out);
    there.sort();
    assert_eq!(listed, there, "SQLite");

    let database = Database::fresh().await;
    let mut conn = database.connect().await;
    let mut there: Vec<String> = sqlx::query_scalar(
        "SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c \
         JOIN information_schema.tables t USING (table_schema, table_name) \
         WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    there.retain(left_out);
    there.sort();
    assert_eq!(listed, there, "PostgreSQL");
    conn.close().await.unwrap();
    database.drop().await;
}

/// The fixture tries every column with a value and, where it may, without.
#[tokio::test]
async fn the_fixture_fills_every_column() {
    let dir = tempfile::tempdir().unwrap();
    let mut conn = raw(&filled(dir.path()).await).await;
    for table in TABLES {
        for column in table.columns {
            let (table, column) = (table.name, column.name);
            let filled: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
                "SELECT count({column}) FROM {table}"
            )))
            .fetch_one(&mut conn)
            .await
            .unwrap();
            assert!(filled > 0, "{table}.{column} is never filled");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rows_are_numbered_behind_the_copied_ones() {
    let dir = tempfile::tempdir().unwrap();
    let first = filled(dir.path()).await;
    let database = Database::empty().await;
    let server = on_the_server(&database);
    moved(&first, &server).await.unwrap();
    let store = Store::open(&server).await.unwrap();
    store
        .audit("anna", "x", "y", None, Instant(1))
        .await
        .unwrap();
    store.ensure_shop("third", "Third", "UTC").await.unwrap();
    let mut conn = database.connect().await;
    let audit: i64 = sqlx::query_scalar("SELECT max(seq) FROM audit")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(audit, 1164);
    let shop: i64 = sqlx::query_scalar("SELECT id FROM shops WHERE key = 'third'")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(shop, 8);
    conn.close().await.unwrap();
    drop(store);
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_moved_is_refused_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let first = filled(dir.path()).await;
    let second = file(dir.path(), "second.db");
    moved(&first, &second).await.unwrap();
    let refused = Store::open(&first).await.err().unwrap();
    assert!(matches!(refused, StoreError::Moved { .. }), "{refused}");
    let says = refused.to_string();
    assert!(
        says.contains("second.db") && says.contains("db take-back"),
        "{says}"
    );
    let again = moved(&first, &file(dir.path(), "third.db")).await;
    assert!(matches!(
        again,
        Err(CopyError::Store(StoreError::Moved { .. }))
    ));
    // The copy itself is free to be used.
    drop(Store::open(&second).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_copied_while_somebody_is_in_the_source() {
    let dir = tempfile::tempdir().unwrap();
    let first = filled(dir.path()).await;
    let target = file(dir.path(), "second.db");
    let store = Store::open(&first).await.unwrap();
    let refused = moved(&first, &target).await.unwrap_err();
    assert!(matches!(refused, CopyError::InUse { .. }), "{refused}");
    let lock = store.try_delivery_lock().unwrap();
    let refused = moved(&first, &target).await.unwrap_err();
    assert!(
        matches!(refused, CopyError::Sending { pid: Some(_), .. }),
        "{refused}"
    );
    drop((lock, store));

    let database = Database::fresh().await;
    let server = on_the_server(&database);
    let store = Store::open(&server).await.unwrap();
    let refused = moved(&server, &target).await.unwrap_err();
    assert!(matches!(refused, CopyError::Connected { .. }), "{refused}");
    drop(store);
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_into_an_empty_database_only() {
    let dir = tempfile::tempdir().unwrap();
    let first = filled(dir.path()).await;
    let other = file(dir.path(), "other.db");
    let store = Store::open(&other).await.unwrap();
    store.ensure_shop("x", "X", "UTC").await.unwrap();
    drop(store);
    let database = Database::fresh().await;
    let server = on_the_server(&database);
    let store = Store::open(&server).await.unwrap();
    store.put_meta("probed_at", "1").await.unwrap();
    drop(store);
    for target in [other, server] {
        let refused = moved(&first, &target).await.unwrap_err();
        assert!(matches!(refused, CopyError::NotEmpty { .. }), "{refused}");
    }
    // Nothing happened to the source.
    drop(Store::open(&first).await.unwrap());
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_the_other_engine_cannot_hold_leaves_both_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let first = filled(dir.path()).await;
    let mut conn = raw(&first).await;
    conn.execute("UPDATE audit SET why = 'a' || char(0) || 'b' WHERE seq = 161")
        .await
        .unwrap();
    conn.close().await.unwrap();
    let database = Database::empty().await;
    let server = on_the_server(&database);
    let refused = moved(&first, &server).await.unwrap_err();
    assert!(
        matches!(refused, CopyError::Table { table: "audit", .. }),
        "{refused}"
    );
    // But for what the schema itself comes with.
    let mut left = digests(&server).await;
    left.remove("meta");
    assert!(left.values().all(|d| d.rows == 0), "{left:?}");
    drop(Store::open(&first).await.unwrap());
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_copy_is_made_beside_others_and_says_so() {
    let database = Database::empty().await;
    let server = on_the_server(&database);
    let store = Store::open(&server).await.unwrap();
    store.ensure_shop("x", "X", "UTC").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let target = file(dir.path(), "backup.db");
    let mut seen = 0;
    copy(&server, &target, Purpose::Backup(Instant(7)), |step| {
        seen += usize::from(matches!(step, Progress::Checking(_)));
    })
    .await
    .unwrap();
    assert_eq!(seen, TABLES.len());
    let copied = Store::open(&target).await.unwrap();
    assert_eq!(
        copied
            .read()
            .meta("backup_made_at")
            .await
            .unwrap()
            .as_deref(),
        Some("7")
    );
    // The source goes on.
    store.ensure_shop("y", "Y", "UTC").await.unwrap();
    drop((copied, store));
    // Nobody lives in a backup: copying it moves nobody out, and the copy is one.
    for n in 1..=2 {
        let again = file(dir.path(), &format!("again-{n}.db"));
        let copies = copy(&target, &again, Purpose::Move, |_| ()).await.unwrap();
        assert!(!copies.source_is_moved);
        let again = Store::open(&again).await.unwrap();
        assert_eq!(again.read().backup_made_at().await.unwrap(), Some(7));
    }
    database.drop().await;
}
