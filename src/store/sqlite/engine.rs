//! The writer's transactions on a database file.
//!
//! What is on disk after a failed commit nobody knows, so it is never tried
//! again and never looked up here: the process ends, and the re-read database
//! is the truth.

use super::line::{self, Line, Unsaid};
use crate::store::conn::Conn;
use crate::store::writer::{Committed, Engine, Wakes};
use sqlx::Executor;
use sqlx::sqlite::SqliteConnection;

/// See `Engine`.
pub struct SqliteEngine {
    conn: SqliteConnection,
    unsaid: Unsaid,
}

impl SqliteEngine {
    pub fn new(conn: SqliteConnection) -> SqliteEngine {
        SqliteEngine {
            conn,
            unsaid: Unsaid::default(),
        }
    }
}

impl Engine for SqliteEngine {
    async fn begin(&mut self) -> Result<Conn<'_>, sqlx::Error> {
        self.unsaid.begin();
        let line = Line::gathering(&mut self.conn, &mut self.unsaid);
        Ok(Conn::Sqlite(line))
    }

    /// Everybody who has the file open sees a commit; nobody has to be told.
    async fn commit(&mut self, _wakes: Wakes) -> Committed {
        line::commit(&mut self.conn, &mut self.unsaid).await
    }

    /// A full disk makes the engine end a transaction by itself.
    async fn roll_back(&mut self) -> bool {
        if !self.unsaid.forget() {
            return true;
        }
        match self.conn.execute("ROLLBACK").await {
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
        let _ = self.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
        let _ = sqlx::Connection::close(self.conn).await;
    }
}
