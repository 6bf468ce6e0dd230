//! Noticing that somebody committed: this process or another.

use crate::store::types::StoreError;
use sqlx::sqlite::SqliteConnection;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinHandle;

/// Rises with every commit heard of. Clones are one count.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One that looks for commits; see [`crate::store::ReadStore::watch`].
pub struct Watch {
    eye: Eye,
    seen: Option<u64>,
}

enum Eye {
    /// Asked for changes and nothing else: what it notices is counted for each
    /// connection by itself.
    Sqlite(Box<SqliteConnection>),
    Postgres {
        pulse: Pulse,
        listening: JoinHandle<()>,
    },
}

impl Watch {
    pub(crate) fn sqlite(conn: SqliteConnection) -> Watch {
        Watch {
            eye: Eye::Sqlite(Box::new(conn)),
            seen: None,
        }
    }

    pub(crate) fn postgres(pulse: Pulse, listening: JoinHandle<()>) -> Watch {
        Watch {
            eye: Eye::Postgres { pulse, listening },
            seen: None,
        }
    }

    /// Whether anybody committed since this was last asked; at first, yes.
    /// Cheap to ask often. On PostgreSQL other processes are heard of when
    /// they make something due, a moment after they did; look now and then
    /// all the same.
    ///
    /// # Errors
    /// The database cannot be asked.
    pub async fn has_news(&mut self) -> Result<bool, StoreError> {
        let now = match &mut self.eye {
            Eye::Sqlite(conn) => crate::store::sqlite::open::data_version(conn).await?,
            Eye::Postgres { pulse, .. } => pulse.count(),
        };
        Ok(self.seen.replace(now) != Some(now))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Eye::Postgres { listening, .. } = &self.eye {
            listening.abort();
        }
    }
}
