//! Ticks of jobs, without a leader: who takes one handles it, whoever is first.

use crate::domain::ids::WorkerId;
use crate::domain::time::Instant;
use crate::store::conn::{Conn, server_now, sql, statements};
use crate::store::statement::{Halt, run};

/// Compare and advance: one winner, whoever asks.
const STORE_TICK: &str = "
INSERT INTO job_ticks (job, last_due) VALUES ($1, $2)
ON CONFLICT (job) DO UPDATE SET last_due = excluded.last_due
WHERE excluded.last_due > job_ticks.last_due";

// A job's first row says that the tick before this one was done: should nobody
// finish it, the next start still owes it. A tick is free when nobody has one
// of the job, when that one is done, or when who has it is not alive.
macro_rules! lease_tick {
    ($($now:tt)+) => {
        concat!(
            "
INSERT INTO job_ticks (job, last_due, leased_due, leased_by)
VALUES ($1, CAST($2 AS BIGINT) - 1, $2, $3)
ON CONFLICT (job) DO UPDATE SET leased_due = excluded.leased_due, leased_by = excluded.leased_by
WHERE job_ticks.last_due < excluded.leased_due
  AND (job_ticks.leased_by IS NULL OR job_ticks.leased_by = excluded.leased_by
    OR job_ticks.leased_due <= job_ticks.last_due
    OR NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = job_ticks.leased_by
      AND w.heartbeat_at + w.alive_ms > ", $($now)+, "))"
        )
    };
}
const LEASE_TICK: &str = lease_tick!("$4");
const LEASE_TICK_BY_SERVER: &str = lease_tick!(server_now!());

statements![STORE_TICK, LEASE_TICK | LEASE_TICK_BY_SERVER];

/// See [`crate::store::Store::store_tick`].
pub async fn store_tick(c: &mut Conn<'_>, job: &str, due: Instant) -> Result<bool, Halt> {
    Ok(run!(c, STORE_TICK, job, due.0)? == 1)
}

/// See [`crate::store::Store::lease_tick`].
pub async fn lease_tick(
    c: &mut Conn<'_>,
    job: &str,
    due: Instant,
    worker: WorkerId,
    now: Instant,
) -> Result<bool, Halt> {
    let text = sql(c, LEASE_TICK, LEASE_TICK_BY_SERVER);
    Ok(run!(c, text, job, due.0, worker.0, now.0)? == 1)
}
