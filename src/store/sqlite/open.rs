//! Opening a database file: pragmas, schema, reader and writer.
//!
//! WAL with `synchronous=FULL`: a commit that returned is on disk. One writing
//! connection, and one beside it for marks and records ([`super::direct`], with
//! the same pragmas); readers are read-only, opened after it because a read-only
//! opener cannot create the WAL.

use crate::store::conn::statements;
use crate::store::schema::{May, Step, step, wants_migration};
use crate::store::types::StoreError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a statement waits for another process's write lock.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that stay in the WAL's file when it begins anew.
pub const WAL_KEPT_MAX: &str = "67108864";
/// How long it is waited for others to leave; they have it open on purpose.
const ALONE_WAIT: Duration = Duration::from_millis(500);
/// How often a file that others are opening at the same moment is tried, and
/// how long it is waited in between. Some of the tries wait for
/// [`BUSY_TIMEOUT`] besides.
const OPEN_TRIES_MAX: u32 = 100;
const OPEN_PAUSE: Duration = Duration::from_millis(20);
/// Readers open at once: pages, CLI and the loops of one daemon.
const READERS_MAX: u32 = 4;

/// Rows the engine's thread may be ahead of whoever reads them: a batch's worth,
/// or the two wait for each other row by row.
const ROWS_AHEAD: usize = 1_024;

const DATA_VERSION: &str = "PRAGMA data_version";
const HAS_SCHEMA: &str = "SELECT EXISTS \
    (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations')";
const SCHEMA: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
const MOVED_TO: &str = "SELECT value FROM meta WHERE name = 'moved_to'";

/// What this engine's own words have no match for.
const NOT_HERE: &str = "SELECT 1";
const PROBE: &str = "
INSERT INTO meta (name, value) VALUES ('probed_at', $1)
ON CONFLICT (name) DO UPDATE SET value = excluded.value";

statements![
    PROBE,
    DATA_VERSION | NOT_HERE,
    HAS_SCHEMA | NOT_HERE,
    SCHEMA | NOT_HERE,
    MOVED_TO | NOT_HERE,
];

pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging()
}

pub(super) fn open_error(path: &Path, source: sqlx::Error) -> StoreError {
    StoreError::Open {
        path: path.display().to_string(),
        source,
    }
}

/// Opens the writing connection, creating the file if it is missing, and
/// brings the schema forward.
///
/// # Errors
/// The file cannot be opened or written; its schema is newer than this program.
pub async fn writer(path: &Path) -> Result<SqliteConnection, StoreError> {
    let mut conn = migrated(path, May::Small).await?;
    let to: Option<String> = sqlx::query_scalar(MOVED_TO)
        .fetch_optional(&mut conn)
        .await
        .map_err(|e| open_error(path, e))?;
    match to {
        None => Ok(conn),
        Some(to) => Err(StoreError::Moved {
            path: path.display().to_string(),
            to,
        }),
    }
}

/// The same, also of a database that was moved away.
///
/// # Errors
/// As [`writer`].
pub async fn migrated(path: &Path, may: May) -> Result<SqliteConnection, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match try_migrated(path, may).await {
            Err(error) if tries < OPEN_TRIES_MAX && is_somebody_busy(&error) => {
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Switching a new file to WAL, and reading it while another process does so,
/// are the two moments at which the engine says "busy" at once instead of
/// waiting. Nothing has happened then, and every step may be taken again.
async fn try_migrated(path: &Path, may: May) -> Result<SqliteConnection, StoreError> {
    let options = options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("journal_size_limit", WAL_KEPT_MAX)
        .optimize_on_close(true, 400);
    let mut conn = SqliteConnection::connect_with(&options)
        .await
        .map_err(|e| open_error(path, e))?;
    let found = found(&mut conn, path).await?;
    if wants_migration(found, known_version(), may)? {
        migrate(path, &mut conn).await?;
    }
    Ok(conn)
}

fn is_somebody_busy(error: &StoreError) -> bool {
    match error {
        StoreError::Open { source, .. } => is_busy(source),
        StoreError::Migrate(MigrateError::Execute(source)) => is_busy(source),
        StoreError::Migrate(MigrateError::ExecuteMigration(source, _)) => is_busy(source),
        _ => false,
    }
}

/// Opens one connection that only looks, whatever the schema is.
///
/// # Errors
/// There is no such file, or it cannot be read.
pub async fn look(path: &Path) -> Result<SqliteConnection, StoreError> {
    SqliteConnection::connect_with(&options(path).read_only(true))
        .await
        .map_err(|e| open_error(path, e))
}

/// Opens one connection that writes to a file that is there, whatever the
/// schema is.
///
/// # Errors
/// There is no such file, or it cannot be written.
pub async fn existing(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = options(path).synchronous(SqliteSynchronous::Full);
    SqliteConnection::connect_with(&options)
        .await
        .map_err(|e| open_error(path, e))
}

/// Tries a commit; waits as long as another process writes.
///
/// # Errors
/// The file does not take it.
pub async fn probe(path: &Path, now: &str) -> Result<(), StoreError> {
    let mut conn = existing(path).await?;
    let tried = loop {
        match sqlx::query(PROBE).bind(now).execute(&mut conn).await {
            Err(error) if is_busy(&error) => {}
            tried => break tried,
        }
    };
    let _ = conn.close().await;
    tried.map(drop).map_err(|source| StoreError::Statement {
        doing: "write a probe",
        source: Arc::new(source),
    })
}

/// Migrations behind the schema that was found, with their names.
pub fn missing(found: i64) -> Vec<(i64, String)> {
    let missing = MIGRATOR.iter().filter(|m| m.version > found);
    missing
        .map(|m| (m.version, m.description.to_string()))
        .collect()
}

/// Opens the only connection there is: nobody else can open the file, to look
/// or to write, while it lives.
///
/// # Errors
/// There is no such file; somebody has it open ([`is_busy`]).
pub async fn alone(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = options(path)
        .busy_timeout(ALONE_WAIT)
        .locking_mode(SqliteLockingMode::Exclusive)
        .synchronous(SqliteSynchronous::Full);
    let mut conn = SqliteConnection::connect_with(&options).await?;
    // The lock comes with the first look.
    sqlx::query(MOVED_TO).fetch_optional(&mut conn).await?;
    Ok(conn)
}

/// Brings the schema forward. The engine's migrator locks nothing, so two
/// processes that start together on a new file take turns at a lock beside it.
async fn migrate(path: &Path, conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let cannot_lock = |e| open_error(path, sqlx::Error::Io(e));
    let mut name = path.as_os_str().to_owned();
    name.push(".schema-lock");
    let lock = File::create(PathBuf::from(name)).map_err(cannot_lock)?;
    // Waiting for another process's migration may take a while.
    let locked = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock));
    let _lock = match locked.await {
        Ok(lock) => lock.map_err(cannot_lock)?,
        Err(gone) => return Err(cannot_lock(std::io::Error::other(gone))),
    };
    // Not `run`: its future cannot be sent between threads.
    MIGRATOR
        .run_direct(None, conn, false)
        .await
        .map_err(StoreError::Migrate)
}

/// Opens one connection that notices what other connections commit.
///
/// # Errors
/// As [`readers`].
pub async fn watch(path: &Path) -> Result<SqliteConnection, StoreError> {
    look(path).await
}

/// Rises with every commit of another connection.
///
/// # Errors
/// The database cannot be asked.
pub async fn data_version(conn: &mut SqliteConnection) -> Result<u64, StoreError> {
    let version: i64 = sqlx::query_scalar(DATA_VERSION)
        .fetch_one(conn)
        .await
        .map_err(|source| StoreError::Statement {
            doing: "look for changes",
            source: Arc::new(source),
        })?;
    Ok(version.unsigned_abs())
}

/// Opens read-only connections to an existing database; who asks waits for a
/// free one as long as `wait`.
///
/// # Errors
/// There is no such file; its schema is newer or older than this program's.
pub async fn readers(path: &Path, wait: Duration) -> Result<SqlitePool, StoreError> {
    let options = options(path).read_only(true);
    // By hand first: a pool reports a failing open only as a timeout.
    let mut probe = SqliteConnection::connect_with(&options)
        .await
        .map_err(|e| open_error(path, e))?;
    let found = found(&mut probe, path).await?;
    match step(found, known_version()) {
        Step::None => {}
        Step::Small => return Err(StoreError::OlderSchema),
        Step::Big | Step::Back => {
            wants_migration(found, known_version(), May::Small)?;
        }
    }
    probe.close().await.map_err(|e| open_error(path, e))?;
    SqlitePoolOptions::new()
        .max_connections(READERS_MAX)
        .acquire_timeout(wait)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .map_err(|e| open_error(path, e))
}

/// The schema this program knows: its highest migration.
pub fn known_version() -> i64 {
    MIGRATOR.iter().map(|m| m.version).max().unwrap_or(0)
}

/// The schema's version; 0 for an empty file.
///
/// # Errors
/// The file cannot be read, or is no database.
pub async fn found(conn: &mut SqliteConnection, path: &Path) -> Result<i64, StoreError> {
    let there: bool = sqlx::query_scalar(HAS_SCHEMA)
        .fetch_one(&mut *conn)
        .await
        .map_err(|e| open_error(path, e))?;
    if !there {
        return Ok(0);
    }
    sqlx::query_scalar(SCHEMA)
        .fetch_one(&mut *conn)
        .await
        .map_err(|e| open_error(path, e))
}

/// SQLite's own word for "somebody else is writing": safe to try again before
/// anything was changed.
pub fn is_busy(error: &sqlx::Error) -> bool {
    match error {
        // Primary result code 5 in the low byte, whatever the extension says.
        sqlx::Error::Database(db) => db
            .code()
            .and_then(|c| c.parse::<i32>().ok())
            .is_some_and(|c| c & 0xff == 5),
        _ => false,
    }
}
