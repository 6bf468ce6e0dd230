//! A connection on a thread of its own: one on which marks and records are
//! written, and one on which is read what will be claimed.
//!
//! The library that everything else speaks through hands a statement to its
//! thread and wakes whoever waits for each of its answers; fitted into few
//! statements, marks and records took them as JSON, each through a table made
//! for the purpose. Here a group is one job: it is handed over once, runs as one
//! function of small prepared statements, and is answered once (decision 023).
//!
//! Promises: a job is one transaction; what it wrote is there entirely or not at
//! all, and who hears [`Ended::Committed`] has it on disk. What a failed COMMIT
//! left there nobody knows. Nobody can cancel a job: callers hold only the
//! receiving end of an answer. It waits as long as another process has the file.
//!
//! It knows no statement; those are `write::deliver`'s, in `by_row` and `foreseen`.

use super::open::WAL_KEPT_MAX;
use crate::crash_point::crash_point;
use crate::store::types::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use sqlx::error::{DatabaseError, ErrorKind};
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// Statements kept prepared: more than the program has.
const PREPARED_MAX: usize = 64;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// A handle to the thread.
pub struct Direct {
    jobs: mpsc::Sender<Job>,
    gone: oneshot::Receiver<()>,
}

/// How a job ended.
#[derive(Debug)]
pub enum Ended<T> {
    Committed(T),
    /// Nothing was written, and nothing was to be.
    Unchanged(T),
    /// Nothing was written.
    Refused(sqlx::Error),
    /// Nothing was written, and the connection is of no use any more.
    Stuck(sqlx::Error),
    /// Nobody knows what was written.
    Unknown(sqlx::Error),
}

impl Direct {
    /// Opens another connection to a file that is there and has its schema, to
    /// write.
    ///
    /// # Errors
    /// It cannot be opened, or the system has no thread left.
    pub fn open(path: &Path, busy_timeout: Duration) -> Result<Direct, StoreError> {
        Direct::start("marks", path, connect(path, busy_timeout))
    }

    /// The same, to [`Direct::look`].
    ///
    /// # Errors
    /// The same.
    pub fn open_to_look(path: &Path, busy_timeout: Duration) -> Result<Direct, StoreError> {
        let conn = connect(path, busy_timeout).and_then(|conn| {
            conn.pragma_update(None, "query_only", true)?;
            Ok(conn)
        });
        Direct::start("claims", path, conn)
    }

    fn start(
        name: &str,
        path: &Path,
        conn: rusqlite::Result<Connection>,
    ) -> Result<Direct, StoreError> {
        let cannot = |source| StoreError::Open {
            path: path.display().to_string(),
            source,
        };
        let conn = conn.map_err(|e| cannot(refused(e)))?;
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (leaves, gone) = oneshot::channel();
        let work = move || {
            for job in inbox {
                job(&conn);
            }
            drop(conn);
            let _ = leaves.send(());
        };
        thread::Builder::new()
            .name(name.into())
            .spawn(work)
            .map_err(|e| cannot(sqlx::Error::Io(e)))?;
        Ok(Direct { jobs, gone })
    }

    /// Runs `work` as one transaction. It answers what it found, and whether it
    /// wrote anything.
    ///
    /// # Errors
    /// The thread is gone.
    pub async fn transact<T, W>(&self, work: W) -> Result<Ended<T>, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> rusqlite::Result<(T, bool)> + Send + 'static,
    {
        self.run(move |conn| transact(conn, work)).await
    }

    /// Runs `work` as of one and the same moment; it changes nothing.
    ///
    /// # Errors
    /// The thread is gone; within: the engine refused a statement.
    pub async fn look<T, W>(&self, work: W) -> Result<Result<T, sqlx::Error>, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let look = |conn: &Connection| {
            // Ends when it is dropped.
            let moment = conn.unchecked_transaction()?;
            work(&moment)
        };
        self.run(move |conn| look(conn).map_err(refused)).await
    }

    async fn run<T, J>(&self, job: J) -> Result<T, StoreError>
    where
        T: Send + 'static,
        J: FnOnce(&Connection) -> T + Send + 'static,
    {
        let (answer, reply) = oneshot::channel();
        let job = move |conn: &Connection| {
            let _ = answer.send(job(conn));
        };
        (self.jobs.send(Box::new(job))).map_err(|_| StoreError::Closed)?;
        reply.await.map_err(|_| StoreError::Closed)
    }

    /// Ends the thread and waits until its connection is closed.
    pub async fn close(self) {
        drop(self.jobs);
        let _ = self.gone.await;
    }
}

fn connect(path: &Path, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(busy_timeout)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "journal_size_limit", WAL_KEPT_MAX)?;
    conn.set_prepared_statement_cache_capacity(PREPARED_MAX);
    Ok(conn)
}

fn transact<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<(T, bool)>,
) -> Ended<T> {
    // Nothing has happened yet: a long import elsewhere is no failure.
    while let Err(error) = say(conn, "BEGIN IMMEDIATE") {
        if error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) {
            return Ended::Refused(refused(error));
        }
    }
    let done = work(conn);
    if let Ok((value, true)) = done {
        crash_point("commit-begins");
        return match say(conn, "COMMIT") {
            Ok(()) => {
                crash_point("committed");
                Ended::Committed(value)
            }
            Err(error) => Ended::Unknown(refused(error)),
        };
    }
    // A full disk makes the engine end a transaction by itself.
    let taken_back = conn.is_autocommit() || say(conn, "ROLLBACK").is_ok();
    match done {
        Ok((value, _)) if taken_back => Ended::Unchanged(value),
        Ok(_) => Ended::Stuck(sqlx::Error::WorkerCrashed),
        Err(error) if taken_back => Ended::Refused(refused(error)),
        Err(error) => Ended::Stuck(refused(error)),
    }
}

fn refused(error: rusqlite::Error) -> sqlx::Error {
    Refused::from(error).into()
}

fn say(conn: &Connection, words: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(words)?.execute(()).map(drop)
}

/// What the engine said, in the words the store's errors carry.
#[derive(Debug)]
struct Refused {
    code: Option<i32>,
    message: String,
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Refused {
        Refused {
            code: error.sqlite_error().map(|e| e.extended_code),
            message: error.to_string(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DatabaseError::code(self) {
            Some(code) => write!(f, "(code: {code}) {}", self.message()),
            None => f.write_str(self.message()),
        }
    }
}

impl StdError for Refused {}

impl DatabaseError for Refused {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        self.code.map(|code| code.to_string().into())
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

#[cfg(test)]
#[path = "direct_tests.rs"]
mod tests;
