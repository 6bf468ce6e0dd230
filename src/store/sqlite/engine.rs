//! The writer's transactions on a database file.
//!
//! What is on disk after a failed commit nobody knows, so it is never tried
//! again and never looked up here: the process ends, and the re-read database
//! is the truth.

use crate::store::conn::Conn;
use crate::store::sqlite::open::is_busy;
use crate::store::writer::{Committed, Engine, Wakes};
use sqlx::Executor;
use sqlx::sqlite::SqliteConnection;

/// See `Engine`.
pub struct SqliteEngine(pub SqliteConnection);

impl Engine for SqliteEngine {
    /// Waits as long as another process takes.
    async fn begin(&mut self) -> Result<Conn<'_>, sqlx::Error> {
        loop {
            match self.0.execute("BEGIN IMMEDIATE").await {
                Ok(_) => return Ok(Conn::Sqlite(&mut self.0)),
                // Nothing has happened yet: a long import elsewhere is no failure.
                Err(error) if is_busy(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Everybody who has the file open sees a commit; nobody has to be told.
    async fn commit(&mut self, _wakes: Wakes) -> Committed {
        match self.0.execute("COMMIT").await {
            Ok(_) => Committed::Yes,
            Err(error) => Committed::Unknown(error),
        }
    }

    /// A full disk makes the engine end a transaction by itself.
    async fn roll_back(&mut self) -> bool {
        match self.0.execute("ROLLBACK").await {
            Ok(_) => true,
            Err(sqlx::Error::Database(e)) => e.message().contains("no transaction is active"),
            Err(_) => false,
        }
    }

    fn is_worth_another_try(&self, _error: &sqlx::Error) -> bool {
        false
    }

    async fn close(mut self) {
        // Leaves a tidy file behind. A failure here loses nothing, the WAL is
        // replayed at the next start.
        let _ = self.0.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
        let _ = sqlx::Connection::close(self.0).await;
    }
}
