//! Hearing of what other processes commit.
//!
//! A verb that makes something due says so in its own transaction; whoever
//! listens looks. What is missed (the connection was lost, another version
//! forgot to tell) is found by looking now and then: nobody relies on this.

use super::Server;
use crate::store::watch::Pulse;
use sqlx::postgres::{PgListener, PgPoolOptions};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Where verbs tell. A database is one shop's, so one channel is enough.
pub const CHANNEL: &str = "backorderd";

/// Before a lost connection is tried again.
const PAUSE: Duration = Duration::from_secs(2);

/// Listens until the task is aborted; there is no transaction to cancel. What
/// is committed after the answer is heard of.
///
/// # Errors
/// The server cannot be reached.
pub async fn start(server: &Server, pulse: Pulse) -> Result<JoinHandle<()>, sqlx::Error> {
    let mut listener = listen(server).await?;
    let server = server.clone();
    Ok(tokio::spawn(async move {
        loop {
            // Most losses it mends by itself and answers `None`: something may
            // be missed.
            while listener.try_recv().await.is_ok() {
                pulse.beat();
            }
            tokio::time::sleep(PAUSE).await;
            if let Ok(again) = listen(&server).await {
                listener = again;
            }
            pulse.beat();
        }
    }))
}

async fn listen(server: &Server) -> Result<PgListener, sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(server.listening());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
