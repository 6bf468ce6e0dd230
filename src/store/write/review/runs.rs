//! Runs from their beginning to a person's decision.

use super::take_back::{take_back, wake, withdraw};
use crate::domain::ids::RunNo;
use crate::domain::time::Instant;
use crate::store::conn::{Conn, statements};
use crate::store::statement::{Halt, column, run, value};
use crate::store::types::{NewRun, RunState};
use crate::store::write::locks;
use crate::store::write::operate::audit;
use crate::store::write::ticks::store_tick;

const BEGIN_RUN: &str = "
INSERT INTO runs (job, due, mode, state, started_at, by)
VALUES ($1, $2, $3, 'planned', $4, $5) RETURNING no";

const COUNT_ORDERS: &str = "UPDATE runs SET orders = $2, quiet = $3 WHERE no = $1";

/// A review every few minutes that had nothing to say is not history.
const FORGET_UNEVENTFUL: &str = "
DELETE FROM runs WHERE no = $1 AND messages = 0 AND job <> 'manual'
  AND NOT EXISTS (SELECT 1 FROM verdicts WHERE run_no = $1)";

const HELD_MESSAGES: &str = "
SELECT no FROM messages WHERE run_no = $1 AND state = 'queued' AND held = TRUE";

const DECIDE: &str = "
UPDATE runs SET state = $2, why = coalesce(CAST($3 AS TEXT), why)
WHERE no = $1 AND state = 'held'";

const LET_GO: &str = "
UPDATE messages SET held = FALSE WHERE run_no = $1 AND state = 'queued' AND held = TRUE
RETURNING no";

statements![
    BEGIN_RUN,
    COUNT_ORDERS,
    FORGET_UNEVENTFUL,
    HELD_MESSAGES,
    DECIDE,
    LET_GO,
];

/// See [`crate::store::Store::begin_run`].
pub async fn begin_run(c: &mut Conn<'_>, run: &NewRun, now: Instant) -> Result<RunNo, Halt> {
    let no: i64 = value!(
        c,
        BEGIN_RUN,
        &run.job,
        run.due.map(|due| due.0),
        run.mode.as_str(),
        now.0,
        &run.by,
    )?;
    Ok(RunNo(no))
}

/// See [`crate::store::Store::end_run`].
pub async fn end_run(
    c: &mut Conn<'_>,
    run: RunNo,
    orders: i64,
    quiet: &str,
    tick: Option<&(String, Instant)>,
) -> Result<(), Halt> {
    run!(c, COUNT_ORDERS, run.0, orders, quiet)?;
    run!(c, FORGET_UNEVENTFUL, run.0)?;
    if let Some((job, due)) = tick {
        store_tick(c, job, *due).await?;
    }
    Ok(())
}

/// See [`crate::store::Store::decide_run`].
pub async fn decide_run(
    c: &mut Conn<'_>,
    run: RunNo,
    to: RunState,
    by: &str,
    why: Option<&str>,
    now: Instant,
) -> Result<Option<u64>, Halt> {
    // Orders before the run, as a planner that adds to it has them.
    let waiting: Vec<i64> = column!(c, HELD_MESSAGES, run.0)?;
    locks::orders(c, &[], &waiting).await?;
    if run!(c, DECIDE, run.0, to.as_str(), why)? == 0 {
        return Ok(None);
    }
    let messages: Vec<i64> = column!(c, LET_GO, run.0)?;
    match to {
        RunState::Dropped => {
            withdraw(c, &messages, by, now).await?;
            wake(c, &messages, now).await?;
        }
        RunState::Lapsed => {
            let why = "nobody approved the run in time";
            wake(c, &messages, now).await?;
            take_back(c, &messages, "expired", why, now).await?;
        }
        RunState::Approved | RunState::Planned | RunState::Held => {}
    }
    audit(c, by, to.as_str(), &run.to_string(), why, now).await?;
    Ok(Some(messages.len() as u64))
}
