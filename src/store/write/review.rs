//! Deciding, written down: runs, plans, ticks.

use crate::domain::ids::{MessageNo, RunNo};
use crate::domain::reason::{Verdict, Wake};
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::types::{NewRun, Review, ReviewWritten, RunState, StoreError};
use crate::store::write::operate::audit;
use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

fn failed(source: sqlx::Error) -> StoreError {
    StoreError::Statement {
        doing: "write a plan",
        source: Arc::new(source),
    }
}

pub async fn begin_run(
    c: &mut SqliteConnection,
    run: &NewRun,
    now: Instant,
) -> Result<RunNo, StoreError> {
    sqlx::query_scalar(
        "INSERT INTO runs (job, due, mode, state, started_at, by) \
         VALUES ($1, $2, $3, 'planned', $4, $5) RETURNING no",
    )
    .bind(&run.job)
    .bind(run.due.map(|due| due.0))
    .bind(run.mode.as_str())
    .bind(now.0)
    .bind(&run.by)
    .fetch_one(c)
    .await
    .map(RunNo)
    .map_err(failed)
}

const CURRENT: &str = "
SELECT o.id FROM orders o JOIN json_each($1) j ON o.id = j.value ->> 'id'
WHERE o.review_version = j.value ->> 'version'";

const TAKEN_KEYS: &str = "SELECT key FROM notices WHERE key IN (SELECT value FROM json_each($1))";

pub(super) const SUPERSEDE: &str = "
UPDATE messages SET state = $2, ended_at = $3, settled_by = $4
WHERE no IN (SELECT value FROM json_each($1)) AND state = 'queued' RETURNING no";

pub(super) const FREE_KEYS: &str = "
UPDATE notices SET key = NULL, in_queue = 0, in_flight = 0
WHERE message_no IN (SELECT value FROM json_each($1))";

/// Vouches for a kept message on behalf of the order that was planned, and of
/// no other order the message is about.
const KEEP: &str = "
UPDATE notices AS n SET fact_version = o.fact_version
FROM json_each($1) AS j CROSS JOIN orders o
WHERE o.id = j.value ->> 'order' AND n.order_id = o.id
  AND n.message_no = j.value ->> 'message' AND n.in_queue = 1";

const NOTICES_OF: &str = "
SELECT order_id, message_no FROM notices
WHERE message_no IN (SELECT value FROM json_each($1)) AND in_queue = 1";

const INSERT_MESSAGES: &str = "
INSERT INTO messages (no, uid, purpose, mode, run_no, held, channel, kind, contact_id,
  address_hash, state, planned_at, due_since, due_at, not_after)
SELECT value ->> 'no', unhex(value ->> 'uid'), 'customer', $2, $3, $4, value ->> 'channel',
  value ->> 'kind', value ->> 'contact', value ->> 'address_hash', 'queued', $5,
  value ->> 'due_at', value ->> 'due_at', value ->> 'not_after'
FROM json_each($1)";

const INSERT_NOTICES: &str = "
INSERT INTO notices (message_no, order_id, channel, kind, mode, discriminator, key, fact_version,
  facts_hash, milestone_days, in_queue, in_flight)
SELECT value ->> 'no', value ->> 'order', value ->> 'channel', value ->> 'kind', $2,
  value ->> 'discriminator', value ->> 'key', value ->> 'fact_version', value ->> 'facts_hash',
  value ->> 'milestone_days', 1, 0
FROM json_each($1)";

const INSERT_PRIVATE: &str = "
INSERT INTO message_private (message_no, recipient, facts)
SELECT value ->> 'no', value ->> 'recipient', value ->> 'facts' FROM json_each($1)";

const NEXT_LOOK: &str = "
UPDATE orders AS o SET next_review_at = j.value ->> 'next',
  review_version = o.review_version + (j.value ->> 'written'),
  closed_at = CASE WHEN j.value ->> 'never' = 1 THEN coalesce(o.closed_at, $2) ELSE NULL END,
  last_verdict = j.value ->> 'verdict'
FROM json_each($1) AS j WHERE o.id = j.value ->> 'id'";

const LAST_VERDICTS: &str = "
SELECT o.id, o.last_verdict FROM orders o JOIN json_each($1) j ON o.id = j.value ->> 'id'";

const INSERT_VERDICTS: &str = "
INSERT INTO verdicts (order_id, run_no, at, verdict)
SELECT value ->> 'order', $2, $3, value ->> 'verdict' FROM json_each($1)";

#[derive(Serialize)]
struct VersionRow {
    id: i64,
    version: i64,
}

#[derive(Serialize)]
struct KeptRow {
    order: i64,
    message: i64,
}

#[derive(Serialize)]
struct MessageRow<'a> {
    no: i64,
    uid: String,
    channel: &'static str,
    kind: &'static str,
    contact: i64,
    address_hash: &'a str,
    due_at: i64,
    not_after: i64,
    recipient: &'a str,
    facts: String,
}

#[derive(Serialize)]
struct NoticeRow<'a> {
    no: i64,
    order: i64,
    channel: &'static str,
    kind: &'static str,
    discriminator: &'a str,
    key: &'a str,
    fact_version: i64,
    facts_hash: &'a str,
    milestone_days: Option<u32>,
}

#[derive(Serialize)]
struct LookRow {
    id: i64,
    next: Option<i64>,
    never: i64,
    /// Its messages changed: plans made before this one are stale.
    written: i64,
    verdict: String,
}

#[derive(Serialize)]
struct VerdictRow {
    order: i64,
    verdict: String,
}

/// See [`crate::store::Store::commit_review`].
pub async fn commit(
    c: &mut SqliteConnection,
    review: &Review,
    now: Instant,
) -> Result<ReviewWritten, StoreError> {
    let versions: Vec<VersionRow> = review
        .orders
        .iter()
        .map(|o| VersionRow {
            id: o.order.0,
            version: o.review_version,
        })
        .collect();
    let mut current: HashSet<i64> = sqlx::query_scalar(CURRENT)
        .bind(json(&versions))
        .fetch_all(&mut *c)
        .await
        .map_err(failed)?
        .into_iter()
        .collect();
    let taken = taken_keys(c, review).await?;
    let shared = notices_of(c, review).await?;
    leave_entangled(review, &taken, &shared, &mut current);
    let mut out = ReviewWritten::default();
    out.stale.extend(
        review
            .orders
            .iter()
            .map(|o| o.order)
            .filter(|o| !current.contains(&o.0)),
    );
    let fresh = || {
        review
            .orders
            .iter()
            .filter(|o| current.contains(&o.order.0))
    };

    let superseded: Vec<i64> = fresh().flat_map(|o| &o.supersede).map(|no| no.0).collect();
    // Orders that lose a shared message without having been planned for it
    // have to be; those that were get their next look below.
    wake(c, &superseded, now).await?;
    take_back(c, &superseded, "superseded", "newer facts", now).await?;
    let kept: Vec<KeptRow> = fresh()
        .flat_map(|o| {
            o.keep.iter().map(|no| KeptRow {
                order: o.order.0,
                message: no.0,
            })
        })
        .collect();
    if !kept.is_empty() {
        sqlx::query(KEEP)
            .bind(json(&kept))
            .execute(&mut *c)
            .await
            .map_err(failed)?;
    }
    insert_messages(c, review, &current, &taken, now, &mut out).await?;
    look_again(c, review, &current, now).await?;
    Ok(out)
}

/// Keys of the review's messages that are in use.
async fn taken_keys(
    c: &mut SqliteConnection,
    review: &Review,
) -> Result<HashSet<String>, StoreError> {
    let keys: Vec<&str> = review
        .messages
        .iter()
        .flat_map(|m| &m.planned.notices)
        .map(|n| n.key.as_str())
        .collect();
    if keys.is_empty() {
        return Ok(HashSet::new());
    }
    let taken: Vec<String> = sqlx::query_scalar(TAKEN_KEYS)
        .bind(json(&keys))
        .fetch_all(c)
        .await
        .map_err(failed)?;
    Ok(taken.into_iter().collect())
}

/// Queued messages the review would supersede, with their orders.
async fn notices_of(
    c: &mut SqliteConnection,
    review: &Review,
) -> Result<Vec<(i64, i64)>, StoreError> {
    let messages: Vec<i64> = review
        .orders
        .iter()
        .flat_map(|o| &o.supersede)
        .map(|no| no.0)
        .collect();
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as(NOTICES_OF)
        .bind(json(&messages))
        .fetch_all(c)
        .await
        .map_err(failed)
}

/// Takes those orders out of `current` whose plan cannot be written because
/// of another order's: they share a new message with an order that is stale or
/// already has its part, or keep a message another one takes back. They stay
/// due and are planned without it.
fn leave_entangled(
    review: &Review,
    taken: &HashSet<String>,
    shared: &[(i64, i64)],
    current: &mut HashSet<i64>,
) {
    loop {
        let before = current.len();
        for message in &review.messages {
            let notices = &message.planned.notices;
            let known = notices.iter().any(|n| taken.contains(&n.key));
            let stale = notices.iter().any(|n| !current.contains(&n.order.0));
            for notice in notices {
                if stale || (known && !taken.contains(&notice.key)) {
                    current.remove(&notice.order.0);
                }
            }
        }
        let gone: HashSet<i64> = review
            .orders
            .iter()
            .filter(|o| current.contains(&o.order.0))
            .flat_map(|o| &o.supersede)
            .map(|no| no.0)
            .collect();
        for order in &review.orders {
            let agrees = |message: &i64| order.supersede.iter().any(|no| no.0 == *message);
            let loses = shared
                .iter()
                .any(|(id, no)| *id == order.order.0 && gone.contains(no) && !agrees(no));
            if loses {
                current.remove(&order.order.0);
            }
        }
        if current.len() == before {
            return;
        }
    }
}

/// Takes queued messages out of the queue for good and frees their keys, so
/// that what was taken back unsent can be planned again.
pub(super) async fn take_back(
    c: &mut SqliteConnection,
    messages: &[i64],
    state: &str,
    why: &str,
    now: Instant,
) -> Result<u64, StoreError> {
    if messages.is_empty() {
        return Ok(0);
    }
    let gone: Vec<i64> = sqlx::query_scalar(SUPERSEDE)
        .bind(json(&messages))
        .bind(state)
        .bind(now.0)
        .bind(why)
        .fetch_all(&mut *c)
        .await
        .map_err(failed)?;
    sqlx::query(FREE_KEYS)
        .bind(json(&gone))
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    Ok(gone.len() as u64)
}

async fn insert_messages(
    c: &mut SqliteConnection,
    review: &Review,
    current: &HashSet<i64>,
    taken: &HashSet<String>,
    now: Instant,
    out: &mut ReviewWritten,
) -> Result<(), StoreError> {
    if review.messages.is_empty() {
        return Ok(());
    }
    let first: i64 = sqlx::query_scalar("SELECT coalesce(max(no), 0) + 1 FROM messages")
        .fetch_one(&mut *c)
        .await
        .map_err(failed)?;
    let (mut messages, mut notices) = (Vec::new(), Vec::new());
    for message in &review.messages {
        let planned = &message.planned;
        if planned
            .notices
            .iter()
            .any(|n| !current.contains(&n.order.0))
        {
            continue;
        }
        if planned.notices.iter().any(|n| taken.contains(&n.key)) {
            out.known += 1;
            continue;
        }
        let no = first + messages.len() as i64;
        messages.push(MessageRow {
            no,
            uid: message.uid.to_string(),
            channel: planned.channel.as_str(),
            kind: planned.kind.as_str(),
            contact: planned.contact.0,
            address_hash: &message.address_hash,
            due_at: planned.due_at.0,
            not_after: planned.not_after.0,
            recipient: &message.recipient,
            facts: json(&planned.facts),
        });
        notices.extend(planned.notices.iter().map(|n| NoticeRow {
            no,
            order: n.order.0,
            channel: planned.channel.as_str(),
            kind: planned.kind.as_str(),
            discriminator: &n.discriminator,
            key: &n.key,
            fact_version: n.fact_version,
            facts_hash: &n.facts_hash,
            milestone_days: n.milestone_days,
        }));
        out.messages.push(MessageNo(no));
    }
    let document = json(&messages);
    sqlx::query(INSERT_MESSAGES)
        .bind(&document)
        .bind(review.mode.as_str())
        .bind(review.run.0)
        .bind(review.held)
        .bind(now.0)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    sqlx::query(INSERT_PRIVATE)
        .bind(&document)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    sqlx::query(INSERT_NOTICES)
        .bind(json(&notices))
        .bind(review.mode.as_str())
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    let held_state = if review.held { "held" } else { "planned" };
    sqlx::query(
        "UPDATE runs SET messages = messages + $2, \
         state = CASE WHEN $3 = 'held' OR state = 'planned' THEN $3 ELSE state END WHERE no = $1",
    )
    .bind(review.run.0)
    .bind(messages.len() as i64)
    .bind(if messages.is_empty() {
        "planned"
    } else {
        held_state
    })
    .execute(&mut *c)
    .await
    .map_err(failed)?;
    Ok(())
}

/// Writes when each order is looked at again, and its verdicts where they
/// differ from the last ones.
async fn look_again(
    c: &mut SqliteConnection,
    review: &Review,
    current: &HashSet<i64>,
    now: Instant,
) -> Result<(), StoreError> {
    let fresh = || {
        review
            .orders
            .iter()
            .filter(|o| current.contains(&o.order.0))
    };
    let spoke: HashSet<_> = review
        .messages
        .iter()
        .flat_map(|m| &m.planned.notices)
        .map(|n| n.order)
        .collect();
    let looks: Vec<LookRow> = fresh()
        .map(|o| LookRow {
            id: o.order.0,
            next: match o.wake {
                Wake::At(at) => Some(at.0),
                Wake::OnEvent | Wake::Never => None,
            },
            never: i64::from(o.wake == Wake::Never),
            written: i64::from(!o.supersede.is_empty() || spoke.contains(&o.order)),
            verdict: json(&o.verdicts),
        })
        .collect();
    let document = json(&looks);
    let last: HashMap<i64, Option<String>> = sqlx::query_as(LAST_VERDICTS)
        .bind(&document)
        .fetch_all(&mut *c)
        .await
        .map_err(failed)?
        .into_iter()
        .collect();
    let verdicts: Vec<VerdictRow> = fresh()
        .filter(|o| {
            let last = last.get(&o.order.0).and_then(Option::as_deref);
            !is_known(last, &o.verdicts)
        })
        .flat_map(|o| {
            o.verdicts.iter().map(|v| VerdictRow {
                order: o.order.0,
                verdict: json(v),
            })
        })
        .collect();
    if !verdicts.is_empty() {
        sqlx::query(INSERT_VERDICTS)
            .bind(json(&verdicts))
            .bind(review.run.0)
            .bind(now.0)
            .execute(&mut *c)
            .await
            .map_err(failed)?;
    }
    sqlx::query(NEXT_LOOK)
        .bind(&document)
        .bind(now.0)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Whether the stored verdicts say the same already.
fn is_known(stored: Option<&str>, verdicts: &[Verdict]) -> bool {
    let stored: Option<Vec<Verdict>> = stored.and_then(|text| serde_json::from_str(text).ok());
    stored.is_some_and(|stored| {
        stored.len() == verdicts.len() && stored.iter().zip(verdicts).all(|(a, b)| a.repeats(b))
    })
}

pub async fn end_run(
    c: &mut SqliteConnection,
    run: RunNo,
    orders: i64,
    quiet: &str,
    tick: Option<(String, Instant)>,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE runs SET orders = $2, quiet = $3 WHERE no = $1")
        .bind(run.0)
        .bind(orders)
        .bind(quiet)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    // A review every few minutes that had nothing to say is not history.
    sqlx::query(
        "DELETE FROM runs WHERE no = $1 AND messages = 0 AND job <> 'manual' \
         AND NOT EXISTS (SELECT 1 FROM verdicts WHERE run_no = $1)",
    )
    .bind(run.0)
    .execute(&mut *c)
    .await
    .map_err(failed)?;
    if let Some((job, due)) = tick {
        store_tick(c, &job, due).await?;
    }
    Ok(())
}

/// Compare and advance: one winner, whoever asks.
pub async fn store_tick(
    c: &mut SqliteConnection,
    job: &str,
    due: Instant,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO job_ticks (job, last_due) VALUES ($1, $2) \
         ON CONFLICT (job) DO UPDATE SET last_due = excluded.last_due \
         WHERE excluded.last_due > job_ticks.last_due",
    )
    .bind(job)
    .bind(due.0)
    .execute(c)
    .await
    .map_err(failed)?;
    Ok(done.rows_affected() == 1)
}

pub async fn decide_run(
    c: &mut SqliteConnection,
    run: RunNo,
    to: RunState,
    by: &str,
    why: Option<&str>,
    now: Instant,
) -> Result<Option<u64>, StoreError> {
    let held = sqlx::query(
        "UPDATE runs SET state = $2, why = coalesce($3, why) WHERE no = $1 AND state = 'held'",
    )
    .bind(run.0)
    .bind(to.as_str())
    .bind(why)
    .execute(&mut *c)
    .await
    .map_err(failed)?;
    if held.rows_affected() == 0 {
        return Ok(None);
    }
    let messages: Vec<i64> = sqlx::query_scalar(
        "UPDATE messages SET held = 0 WHERE run_no = $1 AND state = 'queued' AND held = 1 RETURNING no",
    )
    .bind(run.0)
    .fetch_all(&mut *c)
    .await
    .map_err(failed)?;
    match to {
        // A person's no stands: the keys stay taken.
        RunState::Dropped => {
            sqlx::query(SUPERSEDE)
                .bind(json(&messages))
                .bind("withdrawn")
                .bind(now.0)
                .bind(by)
                .execute(&mut *c)
                .await
                .map_err(failed)?;
            sqlx::query(
                "UPDATE notices SET in_queue = 0 \
                 WHERE message_no IN (SELECT value FROM json_each($1))",
            )
            .bind(json(&messages))
            .execute(&mut *c)
            .await
            .map_err(failed)?;
            wake(c, &messages, now).await?;
        }
        RunState::Lapsed => {
            wake(c, &messages, now).await?;
            take_back(
                c,
                &messages,
                "expired",
                "nobody approved the run in time",
                now,
            )
            .await?;
        }
        RunState::Approved | RunState::Planned | RunState::Held => {}
    }
    audit(c, by, to.as_str(), &run.to_string(), why, now).await?;
    Ok(Some(messages.len() as u64))
}

pub(super) async fn wake(
    c: &mut SqliteConnection,
    messages: &[i64],
    now: Instant,
) -> Result<(), StoreError> {
    sqlx::query(super::deliver::WAKE_BY_MESSAGE)
        .bind(json(&messages))
        .bind(now.0)
        .execute(c)
        .await
        .map_err(failed)?;
    Ok(())
}
