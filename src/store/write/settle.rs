//! Settling what is open: the work of the dead, doubts, and what grew too old.

use crate::domain::ids::RunNo;
use crate::domain::ids::{MessageNo, WorkerId};
use crate::domain::kinds::Kind;
use crate::domain::message::{CLAIMS_WITHOUT_OUTCOME_MAX, QUIET_PERIOD, Settlement, settle_doubt};
use crate::domain::statement::MessageFacts;
use crate::domain::time::{Instant, Length};
use crate::domain::told::Basis;
use crate::store::codec::json;
use crate::store::types::{RunState, StoreError};
use crate::store::write::deliver::{Said, write_told};
use crate::store::write::review::{decide_run, take_back, wake};
use sqlx::sqlite::SqliteConnection;
use std::sync::Arc;

fn failed(source: sqlx::Error) -> StoreError {
    StoreError::Statement {
        doing: "settle what is open",
        source: Arc::new(source),
    }
}

/// What a sweep found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Leases given back: nothing of these had been sent.
    pub queued: u64,
    /// May have gone out when their worker died.
    pub in_doubt: u64,
    /// Claimed again and again without any outcome: set aside.
    pub poisoned: u64,
}

/// See [`crate::store::Store::sweep`].
pub async fn sweep(
    c: &mut SqliteConnection,
    me: WorkerId,
    now: Instant,
) -> Result<Swept, StoreError> {
    let poisoned: Vec<i64> = sqlx::query_scalar(
        "UPDATE messages SET state = 'failed', owner = NULL, lease_until = NULL, ended_at = $2, \
         settled_by = 'claimed repeatedly without an outcome' \
         WHERE state = 'leased' AND owner <> $1 AND claims >= $3 RETURNING no",
    )
    .bind(me.0)
    .bind(now.0)
    .bind(CLAIMS_WITHOUT_OUTCOME_MAX)
    .fetch_all(&mut *c)
    .await
    .map_err(failed)?;
    let queued: Vec<i64> = sqlx::query_scalar(
        "UPDATE messages SET state = 'queued', owner = NULL, lease_until = NULL \
         WHERE state = 'leased' AND owner <> $1 RETURNING no",
    )
    .bind(me.0)
    .fetch_all(&mut *c)
    .await
    .map_err(failed)?;
    let in_doubt: Vec<i64> = sqlx::query_scalar(
        "UPDATE messages SET state = 'in_doubt', owner = NULL, lease_until = NULL, \
         counted = counted + 1, doubts = doubts + 1, quiet_until = $2 \
         WHERE state = 'submitting' AND owner <> $1 RETURNING no",
    )
    .bind(me.0)
    .bind(now.plus(QUIET_PERIOD).0)
    .fetch_all(&mut *c)
    .await
    .map_err(failed)?;
    land(c, &poisoned, 0).await?;
    land(c, &queued, 1).await?;
    sqlx::query(
        "UPDATE attempts AS a SET ended_at = $2, outcome = 'in_doubt', phase = 'dot', \
         reply = 'the sender ended before the answer' \
         FROM messages m WHERE m.no = a.message_no AND a.no = m.attempts AND a.ended_at IS NULL \
         AND m.no IN (SELECT value FROM json_each($1))",
    )
    .bind(json(&in_doubt))
    .bind(now.0)
    .execute(&mut *c)
    .await
    .map_err(failed)?;
    let facts = facts_of(c, &in_doubt).await?;
    let said: Vec<Said<'_>> = facts
        .iter()
        .map(|(no, facts)| Said {
            no: *no,
            facts,
            basis: Basis::Possible,
            at: now,
        })
        .collect();
    write_told(c, &said).await.map_err(failed)?;
    let woken: Vec<i64> = poisoned
        .iter()
        .chain(&queued)
        .chain(&in_doubt)
        .copied()
        .collect();
    wake(c, &woken, now).await?;
    Ok(Swept {
        queued: queued.len() as u64,
        in_doubt: in_doubt.len() as u64,
        poisoned: poisoned.len() as u64,
    })
}

/// Ends the flight of notices; `in_queue` says whether they wait again.
async fn land(c: &mut SqliteConnection, messages: &[i64], in_queue: i64) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE notices SET in_flight = 0, in_queue = $2 \
         WHERE message_no IN (SELECT value FROM json_each($1))",
    )
    .bind(json(&messages))
    .bind(in_queue)
    .execute(c)
    .await
    .map_err(failed)?;
    Ok(())
}

async fn facts_of(
    c: &mut SqliteConnection,
    messages: &[i64],
) -> Result<Vec<(MessageNo, MessageFacts)>, StoreError> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT message_no, facts FROM message_private \
         WHERE message_no IN (SELECT value FROM json_each($1))",
    )
    .bind(json(&messages))
    .fetch_all(c)
    .await
    .map_err(failed)?;
    rows.into_iter()
        .map(|(no, facts)| {
            let facts = serde_json::from_str(&facts).map_err(|_| StoreError::Corrupt {
                table: "message_private",
                row: no.to_string(),
                column: "facts",
            })?;
            Ok((MessageNo(no), facts))
        })
        .collect()
}

/// How doubts were settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    pub once_more: u64,
    pub assumed: u64,
}

#[derive(sqlx::FromRow)]
struct DoubtRow {
    no: i64,
    kind: String,
    doubts: i64,
    still_true: i64,
}

const DOUBTS: &str = "
SELECT m.no, m.kind,
  -- Doubts about the same word said under an earlier number count: no customer
  -- gets a third copy because the first two were planned apart.
  m.doubts + coalesce((SELECT max(e.doubts) FROM notices mine
    JOIN notices past ON past.order_id = mine.order_id AND past.channel = mine.channel
      AND past.mode = mine.mode AND past.kind = mine.kind
      AND past.discriminator = mine.discriminator AND past.message_no < mine.message_no
    JOIN messages e ON e.no = past.message_no
    WHERE mine.message_no = m.no AND e.settled_by = 'assumed'), 0) AS doubts,
  NOT EXISTS (SELECT 1 FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = m.no AND n.fact_version <> o.fact_version) AND m.not_after >= $1
    AS still_true
FROM messages m WHERE m.state = 'in_doubt' AND m.quiet_until <= $1";

/// See [`crate::store::Store::settle_doubts`].
pub async fn settle_doubts(c: &mut SqliteConnection, now: Instant) -> Result<Settled, StoreError> {
    let doubts: Vec<DoubtRow> = sqlx::query_as(DOUBTS)
        .bind(now.0)
        .fetch_all(&mut *c)
        .await
        .map_err(failed)?;
    let mut settled = Settled::default();
    for doubt in &doubts {
        let kind = Kind::parse(&doubt.kind).ok_or_else(|| StoreError::Corrupt {
            table: "messages",
            row: doubt.no.to_string(),
            column: "kind",
        })?;
        let n_doubts = u32::try_from(doubt.doubts).unwrap_or(u32::MAX);
        match settle_doubt(kind, n_doubts, doubt.still_true != 0) {
            Settlement::OnceMore => {
                settled.once_more += 1;
                sqlx::query(
                    "UPDATE messages SET state = 'queued', quiet_until = NULL, due_at = $2 \
                     WHERE no = $1",
                )
                .bind(doubt.no)
                .bind(now.0)
                .execute(&mut *c)
                .await
                .map_err(failed)?;
                land(c, &[doubt.no], 1).await?;
            }
            verdict @ (Settlement::Assume | Settlement::Outdated) => {
                settled.assumed += 1;
                sqlx::query(
                    "UPDATE messages SET state = 'sent', settled_by = 'assumed', \
                     quiet_until = NULL, sent_at = $2, ended_at = $2 WHERE no = $1",
                )
                .bind(doubt.no)
                .bind(now.0)
                .execute(&mut *c)
                .await
                .map_err(failed)?;
                land(c, &[doubt.no], 0).await?;
                if verdict == Settlement::Outdated && kind.must_arrive() && n_doubts == 1 {
                    // Its key would answer "said already" for kinds whose key
                    // does not hold the place in the ledger (shipped,
                    // cancelled ...): what must arrive is planned again.
                    sqlx::query("UPDATE notices SET key = NULL WHERE message_no = $1")
                        .bind(doubt.no)
                        .execute(&mut *c)
                        .await
                        .map_err(failed)?;
                }
                // When the facts moved on, what it said stays only possible:
                // the planner then tells everybody who may believe it.
                if verdict == Settlement::Assume {
                    let facts = facts_of(c, &[doubt.no]).await?;
                    let said: Vec<Said<'_>> = facts
                        .iter()
                        .map(|(no, facts)| Said {
                            no: *no,
                            facts,
                            basis: Basis::Assumed,
                            at: now,
                        })
                        .collect();
                    write_told(c, &said).await.map_err(failed)?;
                }
            }
        }
        wake(c, &[doubt.no], now).await?;
    }
    Ok(settled)
}

/// See [`crate::store::Store::tidy`].
pub async fn tidy(
    c: &mut SqliteConnection,
    now: Instant,
    lapse: Length,
) -> Result<u64, StoreError> {
    let aged: Vec<i64> =
        sqlx::query_scalar("SELECT no FROM messages WHERE state = 'queued' AND not_after < $1")
            .bind(now.0)
            .fetch_all(&mut *c)
            .await
            .map_err(failed)?;
    let suppressed: Vec<i64> = sqlx::query_scalar(
        "SELECT m.no FROM suppressions s CROSS JOIN messages m \
         WHERE m.address_hash = s.address_hash AND m.channel = s.channel AND m.state = 'queued'",
    )
    .fetch_all(&mut *c)
    .await
    .map_err(failed)?;
    let poisoned: Vec<i64> = sqlx::query_scalar(
        // Written out for the index: see `messages_poisonous`.
        "SELECT no FROM messages \
         WHERE state = 'queued' AND claims > 2 AND claims >= $1 AND due_at <= $2",
    )
    .bind(CLAIMS_WITHOUT_OUTCOME_MAX)
    .bind(now.0)
    .fetch_all(&mut *c)
    .await
    .map_err(failed)?;
    let mut changed = 0;
    for (messages, state, why) in [
        (&suppressed, "suppressed", "on the do-not-write list"),
        (&aged, "expired", "too old to be true; looked at again"),
    ] {
        wake(c, messages, now).await?;
        changed += take_back(c, messages, state, why, now).await?;
    }
    if !poisoned.is_empty() {
        sqlx::query(
            "UPDATE messages SET state = 'failed', ended_at = $2, \
             settled_by = 'claimed repeatedly without an outcome' \
             WHERE no IN (SELECT value FROM json_each($1))",
        )
        .bind(json(&poisoned))
        .bind(now.0)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
        land(c, &poisoned, 0).await?;
        wake(c, &poisoned, now).await?;
        changed += poisoned.len() as u64;
    }
    changed += end_holds(c, now).await?;
    let lapsed: Vec<i64> =
        sqlx::query_scalar("SELECT no FROM runs WHERE state = 'held' AND started_at < $1")
            .bind(now.minus(lapse).0)
            .fetch_all(&mut *c)
            .await
            .map_err(failed)?;
    for run in lapsed {
        let why = Some("nobody approved it in time");
        changed += decide_run(c, RunNo(run), RunState::Lapsed, "backorderd", why, now)
            .await?
            .unwrap_or(0);
    }
    Ok(changed)
}

/// Ends holds whose time is over and wakes their orders.
async fn end_holds(c: &mut SqliteConnection, now: Instant) -> Result<u64, StoreError> {
    let over: Vec<(String, String)> =
        sqlx::query_as("SELECT scope, key FROM holds WHERE until <= $1")
            .bind(now.0)
            .fetch_all(&mut *c)
            .await
            .map_err(failed)?;
    for (scope, key) in &over {
        super::operate::release(c, scope, key, "backorderd", Some("its time is over"), now).await?;
    }
    Ok(over.len() as u64)
}
