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

/// Listens until the answer is aborted; there is no transaction to cancel.
pub fn start(server: &Server, pulse: Pulse) -> JoinHandle<()> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(server.listening());
    tokio::spawn(async move {
        loop {
            if let Ok(mut listener) = PgListener::connect_with(&pool).await
                && listener.listen(CHANNEL).await.is_ok()
            {
                // `None`: the connection was lost, and something may be missed.
                while listener.try_recv().await.is_ok() {
                    pulse.beat();
                }
            }
            pulse.beat();
            tokio::time::sleep(PAUSE).await;
        }
    })
}
