//! Opening: what the server must be able to promise, the schema, the readers.

use super::Server;
use super::connect::{SHARED, connect, is_shared};
use crate::store::conn::statements;
use crate::store::schema::{May, Step, step, wants_migration};
use crate::store::types::StoreError;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::{Connection, Executor};
use std::time::Duration;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/postgres");

/// Readers open at once: pages, CLI and the loops of one daemon.
pub const READERS_MAX: u32 = 4;

/// The oldest version whose words are used: 14, as `server_version_num`.
const VERSION_MIN: i64 = 140_000;

/// What a server says about itself. The timeline changes when a standby takes
/// over; a standby has none to write to.
const PROMISES: &str = "
SELECT CAST(current_setting('server_version_num') AS BIGINT) AS version,
  current_setting('server_encoding') AS encoding,
  current_setting('synchronous_commit') AS synchronous_commit,
  current_setting('fsync') AS fsync,
  CASE WHEN pg_is_in_recovery() THEN NULL
    ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline";

const HAS_SCHEMA: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
const SCHEMA: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
const MOVED_TO: &str = "SELECT value FROM meta WHERE name = 'moved_to'";

/// What this engine does not know.
const NOT_HERE: &str = "SELECT 1";

statements![
    NOT_HERE | PROMISES,
    NOT_HERE | HAS_SCHEMA,
    NOT_HERE | SCHEMA,
    NOT_HERE | MOVED_TO,
];

#[derive(sqlx::FromRow)]
struct Promises {
    version: i64,
    encoding: String,
    synchronous_commit: String,
    fsync: String,
    timeline: Option<String>,
}

/// Why a server cannot be written to, if it cannot.
fn unfit(server: &Promises) -> Option<String> {
    if server.version < VERSION_MIN {
        return Some(format!(
            "PostgreSQL 14 or newer is needed, this is {}",
            server.version / 10_000
        ));
    }
    if server.encoding != "UTF8" {
        return Some(format!(
            "its encoding is {}; create the database with ENCODING 'UTF8'",
            server.encoding
        ));
    }
    // All other words mean: on the server's own disk, or safer.
    if server.synchronous_commit == "off" {
        return Some(
            "synchronous_commit is off: what was sent could be forgotten and sent again; set it \
             to on for this user or database"
                .to_owned(),
        );
    }
    if server.fsync == "off" {
        return Some(
            "fsync is off: what was sent could be forgotten and sent again; set it to on"
                .to_owned(),
        );
    }
    if server.timeline.is_none() {
        return Some("it is a standby; name the primary".to_owned());
    }
    None
}

fn open_error(server: &Server, source: sqlx::Error) -> StoreError {
    StoreError::Open {
        path: server.to_string(),
        source,
    }
}

/// A session that writes, on a server that keeps its promises.
pub struct Writing {
    pub conn: PgConnection,
    /// Whose history of transactions this is.
    pub timeline: String,
}

/// Opens a writing session of a database whose schema is there.
///
/// # Errors
/// The server cannot be reached or does not let us in;
/// [`sqlx::Error::Configuration`]: it does not keep our promises.
pub async fn session(server: &Server) -> Result<Writing, sqlx::Error> {
    let mut conn = connect(server, server.writing()).await?;
    let promises: Promises = sqlx::query_as(PROMISES).fetch_one(&mut conn).await?;
    if let Some(why) = unfit(&promises) {
        return Err(sqlx::Error::Configuration(why.into()));
    }
    Ok(Writing {
        conn,
        timeline: promises.timeline.unwrap_or_default(),
    })
}

/// Opens a writing session and brings the schema forward.
///
/// # Errors
/// The server cannot be reached, cannot keep what we promise, or its schema is
/// newer than this program.
pub async fn writer(server: &Server) -> Result<Writing, StoreError> {
    let mut writing = migrated(server, May::Small).await?;
    let to: Option<String> = sqlx::query_scalar(MOVED_TO)
        .fetch_optional(&mut writing.conn)
        .await
        .map_err(|e| open_error(server, e))?;
    match to {
        None => Ok(writing),
        Some(to) => Err(StoreError::Moved {
            path: server.to_string(),
            to,
        }),
    }
}

/// The same, also of a database that was moved away.
///
/// # Errors
/// As [`writer`].
pub async fn migrated(server: &Server, may: May) -> Result<Writing, StoreError> {
    must_not_be_shared(server).await?;
    let mut writing = match session(server).await {
        Err(sqlx::Error::Configuration(why)) => {
            return Err(StoreError::Unfit {
                path: server.to_string(),
                why: why.to_string(),
            });
        }
        other => other.map_err(|e| open_error(server, e))?,
    };
    let found = found(&mut writing.conn, server).await?;
    if wants_migration(found, known_version(), may)? {
        migrate(server).await?;
    }
    Ok(writing)
}

/// Refuses a pooler that gives sessions to others in between.
///
/// # Errors
/// There is one, or the server cannot be reached.
pub async fn must_not_be_shared(server: &Server) -> Result<(), StoreError> {
    match is_shared(server).await {
        Ok(false) => Ok(()),
        Ok(true) => Err(StoreError::Unfit {
            path: server.to_string(),
            why: SHARED.to_owned(),
        }),
        Err(error) => Err(open_error(server, error)),
    }
}

/// Migrations behind the schema that was found, with their names.
pub fn missing(found: i64) -> Vec<(i64, String)> {
    let missing = MIGRATOR.iter().filter(|m| m.version > found);
    missing
        .map(|m| (m.version, m.description.to_string()))
        .collect()
}

/// What a server promises, in its own words, and why it cannot be written to,
/// if it cannot.
///
/// # Errors
/// It does not answer.
pub async fn promises(
    conn: &mut PgConnection,
) -> Result<(Vec<(&'static str, String)>, Option<String>), sqlx::Error> {
    let promises: Promises = sqlx::query_as(PROMISES).fetch_one(conn).await?;
    let why = unfit(&promises);
    let words = vec![
        ("synchronous_commit", promises.synchronous_commit),
        ("fsync", promises.fsync),
        ("encoding", promises.encoding),
        (
            "timeline",
            promises.timeline.unwrap_or_else(|| "none".to_owned()),
        ),
    ];
    Ok((words, why))
}

/// Opens one session that only looks, whatever the schema is.
///
/// # Errors
/// The server cannot be reached.
pub async fn look(server: &Server) -> Result<PgConnection, StoreError> {
    connect(server, server.reading())
        .await
        .map_err(|e| open_error(server, e))
}

/// Opens one session for statements that take as long as they take.
///
/// # Errors
/// As [`look`].
pub async fn copying(server: &Server) -> Result<PgConnection, StoreError> {
    connect(server, server.copying())
        .await
        .map_err(|e| open_error(server, e))
}

/// Processes that start together take turns at an advisory lock of the
/// migrator's.
async fn migrate(server: &Server) -> Result<(), StoreError> {
    let mut conn = connect(server, server.migrating())
        .await
        .map_err(|e| open_error(server, e))?;
    // Not `run`: its future cannot be sent between threads.
    let done = MIGRATOR.run_direct(None, &mut conn, false).await;
    let _ = conn.close().await;
    done.map_err(StoreError::Migrate)
}

/// Opens sessions that can only look.
///
/// # Errors
/// The server cannot be reached; there is no schema, or one that is newer or
/// older than this program's.
pub async fn readers(server: &Server, wait: Duration) -> Result<PgPool, StoreError> {
    let reading = server.reading();
    must_not_be_shared(server).await?;
    // By hand first: a pool reports a failing open only as a timeout.
    let mut probe = connect(server, server.reading())
        .await
        .map_err(|e| open_error(server, e))?;
    let found = found(&mut probe, server).await?;
    let _ = probe.close().await;
    if found == 0 {
        return Err(StoreError::NoSchema {
            path: server.to_string(),
        });
    }
    match step(found, known_version()) {
        Step::None => {}
        Step::Small => return Err(StoreError::OlderSchema),
        Step::Big | Step::Back => {
            wants_migration(found, known_version(), May::Small)?;
        }
    }
    Ok(PgPoolOptions::new()
        .max_connections(READERS_MAX)
        .acquire_timeout(wait)
        .after_connect(move |conn, _| {
            Box::pin(async move {
                conn.execute(sqlx::raw_sql(reading.settings)).await?;
                Ok(())
            })
        })
        .connect_lazy_with(reading.options))
}

/// The schema this program knows: its highest migration.
pub fn known_version() -> i64 {
    MIGRATOR.iter().map(|m| m.version).max().unwrap_or(0)
}

/// The schema's version; 0 where there is none.
///
/// # Errors
/// The server does not answer.
pub async fn found(conn: &mut PgConnection, server: &Server) -> Result<i64, StoreError> {
    let there: bool = sqlx::query_scalar(HAS_SCHEMA)
        .fetch_one(&mut *conn)
        .await
        .map_err(|e| open_error(server, e))?;
    if !there {
        return Ok(0);
    }
    sqlx::query_scalar(SCHEMA)
        .fetch_one(&mut *conn)
        .await
        .map_err(|e| open_error(server, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit() -> Promises {
        Promises {
            version: 150_018,
            encoding: "UTF8".to_owned(),
            synchronous_commit: "on".to_owned(),
            fsync: "on".to_owned(),
            timeline: Some("00000001".to_owned()),
        }
    }

    #[test]
    fn a_server_that_cannot_promise_is_refused_with_the_reason() {
        assert_eq!(unfit(&fit()), None);
        for word in ["local", "remote_write", "remote_apply"] {
            let mut safe = fit();
            safe.synchronous_commit = word.to_owned();
            assert_eq!(unfit(&safe), None, "{word}");
        }
        type Spoil = fn(&mut Promises);
        let cases: [(Spoil, &str); 5] = [
            (
                |p| p.version = 130_011,
                "PostgreSQL 14 or newer is needed, this is 13",
            ),
            (
                |p| p.encoding = "SQL_ASCII".to_owned(),
                "its encoding is SQL_ASCII",
            ),
            (
                |p| p.synchronous_commit = "off".to_owned(),
                "synchronous_commit is off",
            ),
            (|p| p.fsync = "off".to_owned(), "fsync is off"),
            (|p| p.timeline = None, "it is a standby"),
        ];
        for (spoil, says) in cases {
            let mut server = fit();
            spoil(&mut server);
            let why = unfit(&server).unwrap_or_default();
            assert!(why.starts_with(says), "{why}");
        }
    }
}
