//! Taking over what the dead left behind.
//!
//! On SQLite the caller holds the delivery lock, so everybody else is dead. On
//! PostgreSQL others are at work, and who is dead is said by heartbeats and the
//! server's clock: a worker that was silent for longer than it promised. Its
//! row is locked while its work is taken, and gone afterwards, so a heartbeat
//! that comes too late finds nothing and its process knows. Sweepers pass by
//! whom another has in hands; two share the work.

use super::settle::{land, tell};
use crate::domain::ids::WorkerId;
use crate::domain::message::{CLAIMS_WITHOUT_OUTCOME_MAX, QUIET_PERIOD};
use crate::domain::statement::hex;
use crate::domain::time::Instant;
use crate::domain::told::Basis;
use crate::store::codec::json;
use crate::store::conn::{Conn, server_now, sql, statements};
use crate::store::statement::{Halt, column, rows, run};
use crate::store::write::locks;
use crate::store::write::review::take_back::wake;
use std::collections::BTreeSet;
use uuid::Uuid;

const DEAD: &str = "SELECT id FROM workers WHERE id <> $1 ORDER BY id";
const DEAD_BY_SERVER: &str = concat!(
    "
SELECT id FROM workers WHERE id <> $1 AND heartbeat_at + alive_ms <= ",
    server_now!(),
    " ORDER BY id FOR UPDATE SKIP LOCKED"
);

/// Of the dead, and of owners nobody knows: they left without giving back.
const LEFT_BEHIND: &str = "
SELECT m.no, m.owner FROM messages m
WHERE m.owner <> $1 AND m.state IN ('leased', 'submitting')
  AND (m.owner IN (SELECT unhex(CAST(e.atom AS TEXT)) FROM jsonb_each($2) AS e)
    OR NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = m.owner))";

const SET_ASIDE: &str = "
UPDATE messages SET state = 'failed', owner = NULL, lease_until = NULL, ended_at = $3,
  settled_by = 'claimed repeatedly without an outcome'
WHERE no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)
  AND state = 'leased' AND claims >= $4
  AND owner IN (SELECT unhex(CAST(e.atom AS TEXT)) FROM jsonb_each($2) AS e)
RETURNING no";

const QUEUE_AGAIN: &str = "
UPDATE messages SET state = 'queued', owner = NULL, lease_until = NULL
WHERE no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e) AND state = 'leased'
  AND owner IN (SELECT unhex(CAST(e.atom AS TEXT)) FROM jsonb_each($2) AS e)
RETURNING no";

const DOUBT: &str = "
UPDATE messages SET state = 'in_doubt', owner = NULL, lease_until = NULL,
  counted = counted + 1, doubts = doubts + 1, quiet_until = $3
WHERE no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e) AND state = 'submitting'
  AND owner IN (SELECT unhex(CAST(e.atom AS TEXT)) FROM jsonb_each($2) AS e)
RETURNING no";

const END_ATTEMPTS: &str = "
UPDATE attempts AS a SET ended_at = $2, outcome = 'in_doubt', phase = 'dot',
  reply = 'the sender ended before the answer'
FROM messages m WHERE m.no = a.message_no AND a.no = m.attempts AND a.ended_at IS NULL
  AND m.no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)";

const FORGET: &str = "
DELETE FROM workers
WHERE id IN (SELECT unhex(CAST(e.atom AS TEXT)) FROM jsonb_each($1) AS e)";

statements![
    DEAD | DEAD_BY_SERVER,
    LEFT_BEHIND,
    SET_ASIDE,
    QUEUE_AGAIN,
    DOUBT,
    END_ATTEMPTS,
    FORGET,
];

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Workers that were declared dead.
    pub workers: u64,
    /// Leases given back: nothing of these had been sent.
    pub queued: u64,
    /// May have gone out when their worker died.
    pub in_doubt: u64,
    /// Claimed again and again without any outcome: set aside.
    pub poisoned: u64,
}

impl Swept {
    /// Some work was left behind.
    pub fn took_over(&self) -> bool {
        self.queued + self.in_doubt + self.poisoned > 0
    }
}

fn ids(workers: impl IntoIterator<Item = Uuid>) -> String {
    let ids: Vec<String> = workers.into_iter().map(|id| hex(id.as_bytes())).collect();
    json(&ids)
}

/// See [`crate::store::Store::sweep`].
pub async fn sweep(c: &mut Conn<'_>, me: WorkerId, now: Instant) -> Result<Swept, Halt> {
    let dead_text = sql(c, DEAD, DEAD_BY_SERVER);
    let dead: Vec<Uuid> = column!(c, dead_text, me.0)?;
    let left: Vec<(i64, Uuid)> = rows!(c, LEFT_BEHIND, me.0, ids(dead.iter().copied()))?;
    let mut swept = Swept {
        workers: dead.len() as u64,
        ..Swept::default()
    };
    if !left.is_empty() {
        take_over(c, &left, now, &mut swept).await?;
    }
    if !dead.is_empty() {
        run!(c, FORGET, ids(dead))?;
    }
    Ok(swept)
}

async fn take_over(
    c: &mut Conn<'_>,
    left: &[(i64, Uuid)],
    now: Instant,
    swept: &mut Swept,
) -> Result<(), Halt> {
    let messages: Vec<i64> = left.iter().map(|(no, _)| *no).collect();
    let owners: BTreeSet<Uuid> = left.iter().map(|(_, owner)| *owner).collect();
    locks::orders(c, &[], &messages).await?;
    let (left, owners) = (json(&messages), ids(owners));
    let most = CLAIMS_WITHOUT_OUTCOME_MAX;
    let poisoned: Vec<i64> = column!(c, SET_ASIDE, &left, &owners, now.0, most)?;
    let queued: Vec<i64> = column!(c, QUEUE_AGAIN, &left, &owners)?;
    let quiet_until = now.plus(QUIET_PERIOD).0;
    let in_doubt: Vec<i64> = column!(c, DOUBT, &left, &owners, quiet_until)?;
    land(c, &poisoned, false).await?;
    land(c, &queued, true).await?;
    run!(c, END_ATTEMPTS, json(&in_doubt), now.0)?;
    tell(c, &in_doubt, Basis::Possible, now).await?;
    let woken = [poisoned.as_slice(), &queued, &in_doubt].concat();
    wake(c, &woken, now).await?;
    swept.queued = queued.len() as u64;
    swept.in_doubt = in_doubt.len() as u64;
    swept.poisoned = poisoned.len() as u64;
    Ok(())
}
