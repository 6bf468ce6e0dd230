//! The writer's transactions on a database file.
//!
//! Marks and records have a connection of their own ([`Direct`]); one task
//! speaks to both, so they never wait for each other. What is on disk after a
//! failed commit nobody knows, so it is never tried again and never looked up
//! here: the process ends, and the re-read database is the truth.

use super::direct::{Direct, Ended};
use super::open::{BUSY_TIMEOUT, is_busy};
use crate::store::conn::Conn;
use crate::store::types::StoreError;
use crate::store::write::deliver::by_row;
use crate::store::writer::{Answers, Asked, Committed, Engine, Failed, RECORDING, Wakes};
use sqlx::Executor;
use sqlx::sqlite::SqliteConnection;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See `Engine`.
pub struct SqliteEngine {
    conn: SqliteConnection,
    path: PathBuf,
    /// Opened with the first mark: most commands never send.
    direct: Option<Direct>,
}

impl SqliteEngine {
    pub fn new(conn: SqliteConnection, path: &Path) -> SqliteEngine {
        SqliteEngine {
            conn,
            path: path.to_owned(),
            direct: None,
        }
    }
}

impl Engine for SqliteEngine {
    async fn begin(&mut self) -> Result<Conn<'_>, sqlx::Error> {
        // Nothing has happened yet: a long import elsewhere is no failure.
        while let Err(error) = self.conn.execute("BEGIN IMMEDIATE").await {
            if !is_busy(&error) {
                return Err(error);
            }
        }
        Ok(Conn::Sqlite(&mut self.conn))
    }

    /// Everybody who has the file open sees a commit; nobody has to be told.
    async fn commit(&mut self, _wakes: Wakes) -> Committed {
        match self.conn.execute("COMMIT").await {
            Ok(_) => Committed::Yes,
            Err(error) => Committed::Unknown(error),
        }
    }

    /// A full disk makes the engine end a transaction by itself.
    async fn roll_back(&mut self) -> bool {
        match self.conn.execute("ROLLBACK").await {
            Ok(_) => true,
            Err(sqlx::Error::Database(e)) => e.message().contains("no transaction is active"),
            Err(_) => false,
        }
    }

    fn is_worth_another_try(&self, _error: &sqlx::Error) -> bool {
        false
    }

    async fn record_and_mark(&mut self, asked: Arc<Asked>) -> Result<Answers, Failed> {
        let work = move |conn: &rusqlite::Connection| {
            let answers = by_row::record_and_mark(conn, &asked)?;
            let wrote = answers.wakes() != Wakes::Unchanged;
            Ok((answers, wrote))
        };
        let refused = |source| StoreError::Statement {
            doing: RECORDING,
            source: Arc::new(source),
        };
        let direct = match &self.direct {
            Some(direct) => direct,
            None => {
                let opened = Direct::open(&self.path, BUSY_TIMEOUT).map_err(Failed::Taken)?;
                self.direct.insert(opened)
            }
        };
        match direct.transact(work).await {
            Ok(Ended::Committed(answers) | Ended::Unchanged(answers)) => Ok(answers),
            Ok(Ended::Refused(source)) => Err(Failed::Taken(refused(source))),
            Ok(Ended::Stuck(source)) => Err(Failed::Stuck(refused(source))),
            Ok(Ended::Unknown(source)) => Err(Failed::unknown(RECORDING, source)),
            Err(error) => {
                tracing::error!("the thread that writes marks and records broke off");
                Err(Failed::Stuck(error))
            }
        }
    }

    async fn close(mut self) {
        // Leaves a tidy file behind, if the process lives that long. A failure
        // here loses nothing, the WAL is replayed at the next start.
        let _ = self.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
        if let Some(direct) = self.direct {
            direct.close().await;
        }
        let _ = sqlx::Connection::close(self.conn).await;
    }
}
