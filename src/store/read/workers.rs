//! Who plans and delivers at the moment, and what they have in hands.

use super::{ReadStore, reading};
use crate::domain::ids::WorkerId;
use crate::domain::time::Instant;
use crate::domain::worker::{Role, Worker};
use crate::store::conn::{server_now, sql, statements};
use crate::store::statement::rows;
use crate::store::types::StoreError;
use uuid::Uuid;

macro_rules! workers {
    ($($now:tt)+) => {
        concat!(
            "
SELECT w.id, w.name, w.host, w.pid, w.version, w.role, w.alive_ms, w.started_at, w.heartbeat_at, ",
            $($now)+,
            " AS asked_at,
  (SELECT count(*) FROM messages m WHERE m.state = 'leased' AND m.owner = w.id) AS leased,
  (SELECT count(*) FROM messages m WHERE m.state = 'submitting' AND m.owner = w.id) AS submitting
FROM workers w ORDER BY w.started_at, w.id"
        )
    };
}
const WORKERS: &str = workers!("CAST($1 AS BIGINT)");
const WORKERS_BY_SERVER: &str = workers!(server_now!());

statements![WORKERS | WORKERS_BY_SERVER];

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: Option<String>,
    host: String,
    pid: i64,
    version: String,
    role: String,
    alive_ms: i64,
    started_at: i64,
    heartbeat_at: i64,
    asked_at: i64,
    leased: i64,
    submitting: i64,
}

impl ReadStore {
    /// All workers that are known, the oldest first. How long they have been
    /// silent is counted by the server's clock where there is a server, else
    /// up to `now`.
    pub async fn workers(&self, now: Instant) -> Result<Vec<Worker>, StoreError> {
        let doing = reading("list workers");
        let mut reader = self.reader().await.map_err(&doing)?;
        let mut conn = reader.conn();
        let text = sql(&conn, WORKERS, WORKERS_BY_SERVER);
        let found: Vec<Row> = rows!(&mut conn, text, now.0).map_err(&doing)?;
        found.into_iter().map(Row::into_worker).collect()
    }
}

impl Row {
    fn into_worker(self) -> Result<Worker, StoreError> {
        let role = Role::parse(&self.role).ok_or_else(|| StoreError::Corrupt {
            table: "workers",
            row: self.id.to_string(),
            column: "role",
        })?;
        let silent_ms = (self.asked_at - self.heartbeat_at).max(0);
        Ok(Worker {
            id: WorkerId(self.id),
            name: self.name,
            host: self.host,
            pid: u32::try_from(self.pid).unwrap_or(0),
            version: self.version,
            role,
            started_at: Instant(self.started_at),
            heartbeat_at: Instant(self.heartbeat_at),
            silent_ms,
            alive: silent_ms < self.alive_ms,
            leased: u64::try_from(self.leased).unwrap_or(0),
            submitting: u64::try_from(self.submitting).unwrap_or(0),
        })
    }
}
