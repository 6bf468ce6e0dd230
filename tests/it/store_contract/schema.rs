//! Two schemas, one meaning; and every statement fits both.
//!
//! In place of checks at compile time: whatever the program says to a database
//! is a registered constant, is prepared on both engines here, and tables and
//! columns are the same on both but for the agreed types.

use super::stage::Stage;
use crate::support::postgres::Database;
use backorderd::store::{Place, STATEMENTS, Store};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Executor, SqlSafeStr};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A migrated database of each engine, empty.
struct Both {
    sqlite: SqliteConnection,
    postgres: PgConnection,
    database: Database,
    _folder: tempfile::TempDir,
}

impl Both {
    async fn open() -> Both {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("b.sqlite");
        drop(
            Store::open(&Place::Sqlite(file.clone()))
                .await
                .expect("a store"),
        );
        let sqlite = SqliteConnectOptions::new().filename(file);
        let database = Database::fresh().await;
        Both {
            sqlite: sqlite.connect().await.expect("a connection"),
            postgres: database.connect().await,
            database,
            _folder: folder,
        }
    }
}

#[tokio::test]
async fn every_statement_is_prepared_by_both_engines() {
    let mut both = Both::open().await;
    let mut wrong = Vec::new();
    let mut n_prepared = 0;
    for (file, statements) in STATEMENTS {
        for statement in *statements {
            n_prepared += 1;
            if let Err(error) = both.sqlite.prepare(statement.sqlite.into_sql_str()).await {
                wrong.push(format!("{file} {} on SQLite: {error}", statement.name));
            }
            if let Err(error) = both
                .postgres
                .prepare(statement.postgres.into_sql_str())
                .await
            {
                wrong.push(format!("{file} {} on PostgreSQL: {error}", statement.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(n_prepared > 100, "{n_prepared} statements are few");
    both.database.drop().await;
}

/// What is said to an engine beside the registered statements: its words for
/// beginning and ending, on which nothing can be prepared.
const UNPREPARED: &[&str] = &["sqlite/engine.rs", "sqlite/direct.rs", "postgres/engine.rs"];

#[test]
fn every_statement_in_the_sources_is_registered() {
    let registered: BTreeMap<&str, BTreeSet<&str>> = STATEMENTS
        .iter()
        .map(|(file, statements)| {
            let names = statements.iter().flat_map(|s| s.name.split(' '));
            (*file, names.collect())
        })
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut wrong = Vec::new();
    let mut n_texts = 0;
    for path in rust_files(&root) {
        let file = path
            .strip_prefix(&root)
            .expect("below")
            .display()
            .to_string();
        let text = std::fs::read_to_string(&path).expect("a source file");
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let names = registered.get(file.as_str());
        for name in sql_constants(text) {
            n_texts += 1;
            if !names.is_some_and(|names| names.contains(name.as_str()))
                && !UNPREPARED.contains(&file.as_str())
            {
                wrong.push(format!("{file}: {name} is not in its statements!"));
            }
        }
        // Texts that are written where they are used would pass unseen.
        for call in [
            "query(\"",
            "query_scalar(\"",
            "query_as(\"",
            "query(\n",
            "raw_sql(\"",
        ] {
            if text.contains(call) && !UNPREPARED.contains(&file.as_str()) {
                wrong.push(format!("{file}: a statement without a name, near `{call}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(n_texts > 100, "{n_texts} statements are few");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs")
            && !path.to_string_lossy().ends_with("_tests.rs")
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The constants whose text begins with a word of SQL.
fn sql_constants(text: &str) -> Vec<String> {
    const WORDS: &[&str] = &[
        "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "LOCK", "PRAGMA",
    ];
    text.split("const ")
        .skip(1)
        .filter_map(|rest| {
            let (name, value) = rest.split_once(": &str =")?;
            let value = value.trim_start().strip_prefix('"')?;
            let value = value.trim_start_matches(['\\', '\n', ' ']);
            WORDS
                .iter()
                .any(|word| value.starts_with(word))
                .then(|| name.trim().to_owned())
        })
        .collect()
}

/// A column as one engine describes it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::FromRow)]
struct Column {
    table_name: String,
    name: String,
    type_name: String,
    required: bool,
}

const SQLITE_COLUMNS: &str = "
SELECT t.name AS table_name, c.name AS name, c.type AS type_name,
  (c.\"notnull\" = 1 OR c.pk > 0) AS required
FROM sqlite_master t JOIN pragma_table_info(t.name) c
WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' AND t.name NOT LIKE '_sqlx_%'
ORDER BY t.name, c.name";

const POSTGRES_COLUMNS: &str = "
SELECT CAST(c.table_name AS TEXT) AS table_name, CAST(c.column_name AS TEXT) AS name,
  CAST(coalesce(c.domain_name, c.data_type) AS TEXT) AS type_name,
  c.is_nullable = 'NO' AS required
FROM information_schema.columns c JOIN information_schema.tables t
  ON t.table_name = c.table_name AND t.table_schema = c.table_schema
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
  AND c.table_name NOT LIKE '\\_sqlx\\_%'
ORDER BY c.table_name COLLATE \"C\", c.column_name COLLATE \"C\"";

/// Flags and days have no type of their own in SQLite.
fn fits(sqlite: &str, postgres: &str) -> bool {
    matches!(
        (sqlite, postgres),
        ("INTEGER", "bigint" | "boolean")
            | ("TEXT", "text" | "civil_day")
            | ("BLOB", "uuid" | "bytea")
    )
}

#[tokio::test]
async fn both_schemas_have_the_same_tables_and_columns() {
    let mut both = Both::open().await;
    let ours: Vec<Column> = sqlx::query_as(SQLITE_COLUMNS)
        .fetch_all(&mut both.sqlite)
        .await
        .expect("columns");
    let theirs: Vec<Column> = sqlx::query_as(POSTGRES_COLUMNS)
        .fetch_all(&mut both.postgres)
        .await
        .expect("columns");
    let names = |columns: &[Column]| -> BTreeSet<String> {
        columns
            .iter()
            .map(|c| format!("{}.{}", c.table_name, c.name))
            .collect()
    };
    assert_eq!(names(&ours), names(&theirs));
    assert!(ours.len() > 150, "{} columns are few", ours.len());
    for (a, b) in ours.iter().zip(&theirs) {
        assert_eq!((&a.table_name, &a.name), (&b.table_name, &b.name));
        assert!(fits(&a.type_name, &b.type_name), "{a:?} {b:?}");
        assert_eq!(a.required, b.required, "{a:?} {b:?}");
    }
    both.database.drop().await;
}

#[tokio::test]
async fn both_schemas_have_the_same_indexes_and_views() {
    let mut both = Both::open().await;
    let ours: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_master WHERE type IN ('index', 'view') \
         AND name NOT LIKE 'sqlite_autoindex%' ORDER BY name",
    )
    .fetch_all(&mut both.sqlite)
    .await
    .expect("names");
    let theirs: Vec<String> = sqlx::query_scalar(
        "SELECT CAST(c.relname AS TEXT) FROM pg_class c \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_constraint k ON k.conindid = c.oid \
         WHERE n.nspname = 'public' AND c.relkind IN ('i', 'v') AND k.oid IS NULL \
         ORDER BY c.relname COLLATE \"C\"",
    )
    .fetch_all(&mut both.postgres)
    .await
    .expect("names");
    assert_eq!(ours, theirs);
    both.database.drop().await;
}

promises![text_sorts_by_its_bytes];

async fn text_sorts_by_its_bytes(stage: Stage) {
    for name in ["b", "B", "ä", "a", "_", "10", "9"] {
        stage.store.put_meta(name, "sorted").await.unwrap();
    }
    let sorted = "SELECT count(*) FROM \
        (SELECT name, row_number() OVER (ORDER BY name) AS no FROM meta WHERE value = 'sorted') AS s \
        WHERE (s.name = '10' AND s.no = 1) OR (s.name = '9' AND s.no = 2) OR (s.name = 'B' AND s.no = 3) \
        OR (s.name = '_' AND s.no = 4) OR (s.name = 'a' AND s.no = 5) OR (s.name = 'b' AND s.no = 6)";
    assert_eq!(stage.number(sorted).await, 6);
}
