//! Looking: the read-only handle, one file per question people and use cases
//! ask. A dry run is given one of these and nothing else.

pub mod aftermath;
pub mod audit;
pub mod by_hand;
pub mod figures;
pub mod histories;
pub mod identity;
pub mod invariants;
pub mod lists;
pub mod mirror;
pub mod proof;
pub mod receipts;
pub mod runs;
pub mod scopes;
pub mod situations;
pub mod suppressions;
pub mod templates;
pub mod texts;
pub mod wishes;
pub mod workers;

use crate::domain::notice_key::Mode;
use crate::domain::time::Instant;
use crate::store::conn::{Conn, is_queued, statements};
use crate::store::place::Place;
use crate::store::statement::{maybe, value};
use crate::store::types::StoreError;
use crate::store::watch::{Pulse, Watch};
use crate::store::{postgres, sqlite};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{Postgres, Sqlite, Transaction};
use std::sync::Arc;
use std::time::Duration;

/// How long a question waits for a connection: all are in use, or the server
/// is away.
const READER_WAIT: Duration = Duration::from_secs(60);

/// Can look, and nothing else: its connections are read-only. Clones share
/// them.
#[derive(Clone)]
pub struct ReadStore {
    pool: Pool,
    place: Place,
    /// Commits of this process, where the engine does not show them by itself.
    pulse: Pulse,
}

#[derive(Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl ReadStore {
    /// How many orders are planned in one go: one snapshot, one transaction.
    /// Trips to a server are dear, trips to a file are not, and there what a
    /// batch holds is most of the program's memory (500: 5 MiB more).
    pub fn batch(&self) -> u32 {
        match self.pool {
            Pool::Sqlite(_) => 250,
            Pool::Postgres(_) => 500,
        }
    }
}

/// A connection from the pool for one question.
pub(crate) enum Reader {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Reader {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            Reader::Sqlite(conn) => Conn::Sqlite(conn),
            Reader::Postgres(conn) => Conn::Postgres((&mut **conn).into()),
        }
    }
}

/// Several questions about one moment.
pub(crate) enum Snapshot {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Snapshot {
    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match self {
            Snapshot::Sqlite(tx) => Conn::Sqlite(tx),
            Snapshot::Postgres(tx) => Conn::Postgres((&mut **tx).into()),
        }
    }

    pub(crate) async fn end(self) -> Result<(), sqlx::Error> {
        match self {
            Snapshot::Sqlite(tx) => tx.rollback().await,
            Snapshot::Postgres(tx) => tx.rollback().await,
        }
    }
}

/// Maps a failed query to what was being attempted.
pub(crate) fn reading(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| match source {
        sqlx::Error::PoolTimedOut => StoreError::NoConnection { doing },
        source => StoreError::Statement {
            doing,
            source: Arc::new(source),
        },
    }
}

/// One question on a connection of its own: what for, the shape of the answer
/// (see [`crate::store::statement`]), text and parameters.
macro_rules! ask {
    ($self:expr, $doing:literal, $shape:ident, $sql:expr $(, $bind:expr)* $(,)?) => {{
        let doing = $crate::store::read::reading($doing);
        let mut reader = $self.reader().await.map_err(&doing)?;
        let mut conn = reader.conn();
        $shape!(&mut conn, $sql $(, $bind)*).map_err(&doing)?
    }};
}
pub(crate) use ask;

pub(crate) const META: &str = "SELECT value FROM meta WHERE name = $1";
const TICK: &str = "SELECT last_due FROM job_ticks WHERE job = $1";
const NEXT_DUE: &str = concat!(
    "SELECT min(m.due_at) FROM messages m WHERE ",
    is_queued!("m"),
    " AND m.held = FALSE AND m.mode = $1"
);
const NEXT_REVIEW: &str = "SELECT min(next_review_at) FROM orders WHERE next_review_at IS NOT NULL";
statements![META, TICK, NEXT_DUE, NEXT_REVIEW];

impl ReadStore {
    /// Opens an existing database.
    ///
    /// # Errors
    /// There is none, or nothing of ours in it; its schema is newer or older
    /// than this program's.
    pub async fn open(place: &Place) -> Result<ReadStore, StoreError> {
        ReadStore::open_with(place, Pulse::default()).await
    }

    pub(crate) async fn open_with(place: &Place, pulse: Pulse) -> Result<ReadStore, StoreError> {
        ReadStore::open_waiting(place, pulse, READER_WAIT).await
    }

    /// Questions wait for a free connection for as long as `wait`.
    async fn open_waiting(
        place: &Place,
        pulse: Pulse,
        wait: Duration,
    ) -> Result<ReadStore, StoreError> {
        let pool = match place {
            Place::Sqlite(path) => Pool::Sqlite(sqlite::open::readers(path, wait).await?),
            Place::Postgres(server) => Pool::Postgres(postgres::open::readers(server, wait).await?),
        };
        Ok(ReadStore {
            pool,
            place: place.clone(),
            pulse,
        })
    }

    pub(crate) async fn reader(&self) -> Result<Reader, sqlx::Error> {
        Ok(match &self.pool {
            Pool::Sqlite(pool) => Reader::Sqlite(pool.acquire().await?),
            Pool::Postgres(pool) => Reader::Postgres(pool.acquire().await?),
        })
    }

    /// What is read through it was true at one and the same moment.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, sqlx::Error> {
        Ok(match &self.pool {
            Pool::Sqlite(pool) => Snapshot::Sqlite(pool.begin().await?),
            Pool::Postgres(pool) => Snapshot::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
        })
    }

    /// Begins to look for commits, this process's and others'.
    ///
    /// # Errors
    /// The database cannot be opened once more.
    pub async fn watch(&self) -> Result<Watch, StoreError> {
        Ok(match &self.place {
            Place::Sqlite(path) => Watch::sqlite(sqlite::open::watch(path).await?),
            Place::Postgres(server) => {
                let listening = postgres::listen::start(server, self.pulse.clone())
                    .await
                    .map_err(reading("listen for changes"))?;
                Watch::postgres(self.pulse.clone(), listening)
            }
        })
    }

    /// A value kept beside the data.
    pub async fn meta(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(ask!(self, "read a setting", maybe, META, name))
    }

    /// The mode the data is in; sandbox until somebody goes live.
    pub async fn mode(&self) -> Result<Mode, StoreError> {
        Ok(self
            .meta("mode")
            .await?
            .and_then(|m| Mode::parse(&m))
            .unwrap_or(Mode::Sandbox))
    }

    /// The latest tick done of a job.
    pub async fn tick(&self, job: &str) -> Result<Option<Instant>, StoreError> {
        let due: Option<i64> = ask!(self, "read a tick", maybe, TICK, job);
        Ok(due.map(Instant))
    }

    /// When the next message falls due, among those that may go out.
    pub async fn next_due(&self, mode: Mode) -> Result<Option<Instant>, StoreError> {
        let due: Option<i64> = ask!(
            self,
            "look for due messages",
            value,
            NEXT_DUE,
            mode.as_str()
        );
        Ok(due.map(Instant))
    }

    /// When the next order wants to be looked at.
    pub async fn next_review(&self) -> Result<Option<Instant>, StoreError> {
        let due: Option<i64> = ask!(self, "look for due orders", value, NEXT_REVIEW);
        Ok(due.map(Instant))
    }
}

#[cfg(test)]
mod tests {
    use super::{ReadStore, Reader};
    use crate::domain::time::Instant;
    use crate::store::watch::Pulse;
    use crate::store::{Place, Store, StoreError};
    use std::borrow::Cow;
    use std::time::Duration;

    /// Every connection that questions share is taken, for a while.
    #[tokio::test]
    async fn without_a_free_connection_a_question_waits_says_so_and_may_be_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Sqlite(folder.path().join("b.sqlite"));
        let store = Store::open(&place).await.unwrap();
        let wait = Duration::from_millis(50);
        let read = ReadStore::open_waiting(&place, Pulse::default(), wait)
            .await
            .unwrap();
        let mut taken = Vec::new();
        let error = loop {
            match read.reader().await {
                Ok(reader) => taken.push(reader),
                Err(_) => break read.meta("kept").await.unwrap_err(),
            }
        };
        assert!(taken.len() > 1, "more than one may ask");
        assert!(
            matches!(error, StoreError::NoConnection { .. }),
            "{error:?}"
        );
        assert!(error.is_no_connection() && !error.is_fatal());
        assert_eq!(
            error.to_string(),
            "no connection to the database came free in time to read a setting: all are in use, \
             or its server is away"
        );
        // Nothing of several questions at one moment is answered either.
        let none = read.situations(&[], crate::domain::notice_key::Mode::Live, Instant(0));
        assert!(none.await.unwrap_err().is_no_connection());
        // Who writes has a connection of its own and does not notice.
        store.put_meta("kept", "yes").await.unwrap();
        taken.pop();
        let kept = read.meta("kept").await.unwrap();
        assert_eq!(kept.as_deref(), Some("yes"));
    }

    /// The dry run's guarantee: not by discipline but by the engine.
    #[tokio::test]
    async fn a_reading_handle_cannot_write() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(&Place::Sqlite(place.path().join("b.sqlite")))
            .await
            .unwrap();
        for sql in [
            "INSERT INTO meta (name, value) VALUES ('mode', 'live')",
            "UPDATE messages SET state = 'queued'",
            "DELETE FROM holds",
            "CREATE TABLE mine (id INTEGER)",
        ] {
            let Reader::Sqlite(mut conn) = store.read().reader().await.unwrap() else {
                panic!("a file")
            };
            let refused = sqlx::query(sql).execute(&mut *conn).await;
            let code = refused
                .unwrap_err()
                .as_database_error()
                .and_then(|e| e.code().map(Cow::into_owned));
            assert_eq!(code.as_deref(), Some("8"), "{sql}");
        }
    }
}
