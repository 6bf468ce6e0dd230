//! What a person does to single messages: take one back, try one again, say
//! what became of one in doubt.
//!
//! Each message is one guarded statement: whatever a daemon did to it a moment
//! earlier makes the guard fail, nothing is changed, and the message is absent
//! from the answer. Every act leaves a line in the audit log, in the same
//! commit.

use super::review::take_back::{wake, withdraw};
use super::settle::land;
use super::untell::{confirm, retract};
use crate::domain::ids::{MessageNo, OrderId};
use crate::domain::kinds::Kind;
use crate::domain::message::MessageState;
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::statement::{Halt, column, maybe_row, run};
use crate::store::types::StoreError;
use crate::store::write::locks;
use crate::store::write::operate::audit;
use serde::Serialize;

/// Who acts and why, for the audit log.
#[derive(Clone, Debug)]
pub struct Act {
    pub by: String,
    pub why: Option<String>,
}

/// A failed message that may go out after all.
#[derive(Clone, Debug)]
pub struct Retry {
    pub no: MessageNo,
    /// The versions of its orders at which it was found to be true.
    pub facts: Vec<(OrderId, i64)>,
    pub due_at: Instant,
    /// Older than this it is reviewed again instead of sent.
    pub not_after: Instant,
}

/// What a person knows about a message in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    Arrived,
    NotArrived,
}

impl Knowledge {
    fn verb(self) -> &'static str {
        match self {
            Knowledge::Arrived => "settle arrived",
            Knowledge::NotArrived => "settle not arrived",
        }
    }
}

const STILL_QUEUED: &str = "
SELECT no FROM messages
WHERE no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e) AND state = 'queued'
ORDER BY no";

/// Back into the queue with fresh attempts and a fresh age. Not while anything
/// else about one of its orders waits or is under way on that channel, nor
/// where a fact moved since a person's look, nor to an address on the
/// do-not-write list.
const RETRY: &str = "
UPDATE messages AS m SET state = 'queued', settled_by = NULL, ended_at = NULL, owner = NULL,
  lease_until = NULL, due_since = $2, due_at = $2, not_after = $3, counted = 0, claims = 0
WHERE m.no = $1 AND m.state = 'failed'
  AND EXISTS (SELECT 1 FROM notices n WHERE n.message_no = m.no)
  AND NOT EXISTS (SELECT 1 FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = m.no AND (n.key IS NULL OR NOT EXISTS (
      SELECT 1 FROM jsonb_each($4) AS e
      WHERE CAST(e.value ->> 'order' AS BIGINT) = o.id
        AND CAST(e.value ->> 'version' AS BIGINT) = o.fact_version)))
  AND NOT EXISTS (SELECT 1 FROM notices n JOIN notices other ON other.order_id = n.order_id
      AND other.channel = n.channel AND other.mode = n.mode
      AND (other.in_queue = TRUE OR other.in_flight = TRUE)
    WHERE n.message_no = m.no)
  AND NOT EXISTS (SELECT 1 FROM suppressions s
    WHERE s.address_hash = m.address_hash AND s.channel = m.channel)";

const QUEUE_NOTICES: &str = "
UPDATE notices SET in_queue = TRUE, in_flight = FALSE,
  fact_version = (SELECT o.fact_version FROM orders o WHERE o.id = notices.order_id)
WHERE message_no = $1";

const DOUBT: &str = "
SELECT m.kind,
  NOT EXISTS (SELECT 1 FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = m.no AND n.fact_version <> o.fact_version) AND m.not_after >= $2
    AS still_true
FROM messages m WHERE m.no = $1 AND m.state = 'in_doubt'";

const ARRIVED: &str = "
UPDATE messages SET state = 'sent', settled_by = $3, quiet_until = NULL, sent_at = $2,
  ended_at = $2
WHERE no = $1 AND state = 'in_doubt'";

const GOES_AGAIN: &str = "
UPDATE messages SET state = 'queued', quiet_until = NULL, due_at = $2
WHERE no = $1 AND state = 'in_doubt'";

const NEVER_ARRIVED: &str = "
UPDATE messages SET state = 'failed', settled_by = $3, quiet_until = NULL, ended_at = $2
WHERE no = $1 AND state = 'in_doubt'";

const FREE_KEY: &str = "UPDATE notices SET key = NULL WHERE message_no = $1";

statements![
    STILL_QUEUED,
    RETRY,
    QUEUE_NOTICES,
    DOUBT,
    ARRIVED,
    GOES_AGAIN,
    NEVER_ARRIVED,
    FREE_KEY,
];

async fn note(
    c: &mut Conn<'_>,
    act: &Act,
    verb: &str,
    no: MessageNo,
    now: Instant,
) -> Result<(), Halt> {
    audit(c, &act.by, verb, &no.to_string(), act.why.as_deref(), now).await
}

/// See [`crate::store::Store::withdraw_messages`].
pub async fn withdraw_messages(
    c: &mut Conn<'_>,
    messages: &[MessageNo],
    act: &Act,
    now: Instant,
) -> Result<Vec<MessageNo>, Halt> {
    let asked: Vec<i64> = messages.iter().map(|no| no.0).collect();
    locks::orders(c, &[], &asked).await?;
    let mut out = Vec::new();
    // A claim may take one between this look and the statement: each is asked
    // for by itself, so that its count says which.
    let queued: Vec<i64> = column!(c, STILL_QUEUED, json(&asked))?;
    for no in queued {
        if withdraw(c, &[no], &act.by, now).await? == 1 {
            wake(c, &[no], now).await?;
            note(c, act, "withdraw", MessageNo(no), now).await?;
            out.push(MessageNo(no));
        }
    }
    Ok(out)
}

#[derive(Serialize)]
struct FactRow {
    order: i64,
    version: i64,
}

/// See [`crate::store::Store::retry_messages`].
pub async fn retry_messages(
    c: &mut Conn<'_>,
    retries: &[Retry],
    act: &Act,
    now: Instant,
) -> Result<Vec<MessageNo>, Halt> {
    let asked: Vec<i64> = retries.iter().map(|retry| retry.no.0).collect();
    locks::orders(c, &[], &asked).await?;
    let mut out = Vec::new();
    for retry in retries {
        let facts: Vec<FactRow> = retry
            .facts
            .iter()
            .map(|(order, version)| FactRow {
                order: order.0,
                version: *version,
            })
            .collect();
        let (no, due, until) = (retry.no.0, retry.due_at.0, retry.not_after.0);
        if run!(c, RETRY, no, due, until, json(&facts))? == 0 {
            continue;
        }
        run!(c, QUEUE_NOTICES, no)?;
        wake(c, &[no], now).await?;
        note(c, act, "retry", retry.no, now).await?;
        out.push(retry.no);
    }
    Ok(out)
}

#[derive(sqlx::FromRow)]
struct DoubtRow {
    kind: String,
    still_true: bool,
}

/// See [`crate::store::Store::settle_messages`].
pub async fn settle_messages(
    c: &mut Conn<'_>,
    messages: &[MessageNo],
    known: Knowledge,
    act: &Act,
    now: Instant,
) -> Result<Vec<(MessageNo, MessageState)>, Halt> {
    let asked: Vec<i64> = messages.iter().map(|no| no.0).collect();
    locks::orders(c, &[], &asked).await?;
    let mut out = Vec::new();
    for no in messages {
        let doubt: Option<DoubtRow> = maybe_row!(c, DOUBT, no.0, now.0)?;
        let Some(doubt) = doubt else { continue };
        if let Some(state) = settle(c, *no, &doubt, known, act, now).await? {
            wake(c, &[no.0], now).await?;
            note(c, act, known.verb(), *no, now).await?;
            out.push((*no, state));
        }
    }
    Ok(out)
}

async fn settle(
    c: &mut Conn<'_>,
    no: MessageNo,
    doubt: &DoubtRow,
    known: Knowledge,
    act: &Act,
    now: Instant,
) -> Result<Option<MessageState>, Halt> {
    let kind = Kind::parse(&doubt.kind).ok_or_else(|| StoreError::Corrupt {
        table: "messages",
        row: no.to_string(),
        column: "kind",
    })?;
    match known {
        Knowledge::Arrived => {
            if run!(c, ARRIVED, no.0, now.0, &act.by)? == 0 {
                return Ok(None);
            }
            land(c, &[no.0], false).await?;
            confirm(c, no.0, now).await?;
            Ok(Some(MessageState::Sent))
        }
        // The same letter with the same Message-ID: should the person be
        // wrong, the customer's mailbox can tell. Until it is out nothing was
        // said: should its facts move first, the planner still owes it.
        Knowledge::NotArrived if kind.must_arrive() && doubt.still_true => {
            if run!(c, GOES_AGAIN, no.0, now.0)? == 0 {
                return Ok(None);
            }
            land(c, &[no.0], true).await?;
            retract(c, no.0, now).await?;
            Ok(Some(MessageState::Queued))
        }
        // Not said, then: the ledger forgets it and the planner, whose key is
        // free again, says what is owed today.
        Knowledge::NotArrived => {
            if run!(c, NEVER_ARRIVED, no.0, now.0, &act.by)? == 0 {
                return Ok(None);
            }
            land(c, &[no.0], false).await?;
            retract(c, no.0, now).await?;
            run!(c, FREE_KEY, no.0)?;
            Ok(Some(MessageState::Failed))
        }
    }
}
