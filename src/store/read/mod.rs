//! Looking: the read-only handle, one file per question people and use cases
//! ask. A dry run is given one of these and nothing else.

pub mod figures;
pub mod lists;
pub mod mirror;
pub mod scopes;
pub mod situations;
pub mod wishes;

use crate::domain::notice_key::Mode;
use crate::domain::time::Instant;
use crate::store::sqlite::open;
use crate::store::types::StoreError;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Can look, and nothing else: its connections are read-only. Clones share
/// them.
#[derive(Clone)]
pub struct ReadStore {
    pub(crate) pool: SqlitePool,
    /// Asked for changes and nothing else: what it notices is counted for each
    /// connection by itself, so it must always be the same one.
    watch: Arc<Mutex<SqliteConnection>>,
}

/// Maps a failed query to what was being attempted.
pub(crate) fn reading(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::Statement {
        doing,
        source: Arc::new(source),
    }
}

impl ReadStore {
    /// Opens an existing database.
    ///
    /// # Errors
    /// See [`open::readers`].
    pub async fn open(path: &Path) -> Result<ReadStore, StoreError> {
        Ok(ReadStore {
            pool: open::readers(path).await?,
            watch: Arc::new(Mutex::new(open::watch(path).await?)),
        })
    }

    /// A value kept beside the data.
    pub async fn meta(&self, name: &str) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(reading("read a setting"))
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
        let due: Option<i64> = sqlx::query_scalar("SELECT last_due FROM job_ticks WHERE job = $1")
            .bind(job)
            .fetch_optional(&self.pool)
            .await
            .map_err(reading("read a tick"))?;
        Ok(due.map(Instant))
    }

    /// When the next message falls due, among those that may go out.
    pub async fn next_due(&self, mode: Mode) -> Result<Option<Instant>, StoreError> {
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT min(due_at) FROM messages WHERE state = 'queued' AND held = 0 AND mode = $1",
        )
        .bind(mode.as_str())
        .fetch_one(&self.pool)
        .await
        .map_err(reading("look for due messages"))?;
        Ok(due.map(Instant))
    }

    /// When the next order wants to be looked at.
    pub async fn next_review(&self) -> Result<Option<Instant>, StoreError> {
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT min(next_review_at) FROM orders WHERE next_review_at IS NOT NULL",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(reading("look for due orders"))?;
        Ok(due.map(Instant))
    }

    /// Rises when anybody commits, this process or another: cheap to ask often.
    pub async fn data_version(&self) -> Result<i64, StoreError> {
        let mut watch = self.watch.lock().await;
        sqlx::query_scalar("PRAGMA data_version")
            .fetch_one(&mut *watch)
            .await
            .map_err(reading("look for changes"))
    }
}

#[cfg(test)]
mod tests {
    use crate::store::Store;
    use std::borrow::Cow;

    /// The dry run's guarantee: not by discipline but by the engine.
    #[tokio::test]
    async fn a_reading_handle_cannot_write() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(&place.path().join("b.sqlite")).await.unwrap();
        for sql in [
            "INSERT INTO meta (name, value) VALUES ('mode', 'live')",
            "UPDATE messages SET state = 'queued'",
            "DELETE FROM holds",
            "CREATE TABLE mine (id INTEGER)",
        ] {
            let refused = sqlx::query(sql).execute(&store.read().pool).await;
            let code = refused
                .unwrap_err()
                .as_database_error()
                .and_then(|e| e.code().map(Cow::into_owned));
            assert_eq!(code.as_deref(), Some("8"), "{sql}");
        }
    }
}
