//! Claiming: which of the due messages a worker may send next.
//!
//! Where several workers claim at once each passes by what another has in
//! hands, messages and orders alike, so a claim never waits and never blocks a
//! planner. What was looked at may have changed a moment later; the lease is
//! the worker's all the same, and its mark says no.
//!
//! In a file nobody else claims, but marks wait while a claim is written. So
//! what will be claimed is looked up and read beforehand, beside the writer
//! ([`super::foreseen`]), and the claim itself changes rows and nothing more: of
//! the time it kept the writer busy half is left. Who may send is the mark's to
//! say there too.
//!
//! A message that was claimed twice and never had an outcome may be what ended
//! its workers: it is claimed alone, over all channels, so that the next end
//! names it and takes nothing else with it.

use super::{BUMP_ORDERS, TAKE_OFF};
use crate::domain::contact::parse_zone;
use crate::domain::ids::{MessageNo, MessageUid, RunNo, WorkerId};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::{CLAIMS_TOGETHER_MAX, CLAIMS_WITHOUT_OUTCOME_MAX, alone_first};
use crate::domain::notice_key::Mode;
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, is_queued, server_now, sql, statements};
use crate::store::statement::{Halt, column, rows, run, value};
use crate::store::types::{Claimed, StoreError};
use crate::store::write::locks;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// What a worker asks for.
#[derive(Clone, Debug)]
pub struct Claim {
    pub by: WorkerId,
    pub mode: Mode,
    pub now: Instant,
    pub lease_until: Instant,
    pub limit: u32,
    /// Only messages of this run.
    pub run: Option<RunNo>,
    /// Channels it is for.
    pub channels: Vec<ChannelName>,
    /// Channels that can send at the moment: what must be claimed alone is so
    /// over all of them.
    pub able: Vec<ChannelName>,
}

/// What else must be so of a message that is queued and due. What stands in its
/// way is looked up for that message alone: `OFFSET 0` keeps PostgreSQL from
/// working it off for all at once.
macro_rules! is_free {
    () => {
        "m.held = FALSE AND m.mode = $1 AND +m.not_after >= $2 AND m.claims < $3
  AND (CAST($4 AS BIGINT) IS NULL OR m.run_no = $4)
  AND m.channel IN (SELECT CAST(e.atom AS TEXT) FROM jsonb_each($5) AS e)
  -- Apart from the channels': asked once, it spares SQLite the walk.
  AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.scope = 'global')
  AND m.channel NOT IN (SELECT h.key FROM holds h WHERE h.scope = 'channel')
  AND coalesce(CAST(m.run_no AS TEXT), '') NOT IN (SELECT h.key FROM holds h WHERE h.scope = 'run')
  AND NOT EXISTS (SELECT 1 FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = m.no AND n.fact_version <> o.fact_version LIMIT 1 OFFSET 0)
  AND NOT EXISTS (SELECT 1 FROM notices n JOIN held_orders v ON v.order_id = n.order_id
    WHERE n.message_no = m.no LIMIT 1 OFFSET 0)
  AND NOT EXISTS (SELECT 1 FROM notices n JOIN notices f ON f.order_id = n.order_id
      AND f.channel = n.channel AND f.mode = n.mode AND f.in_flight = TRUE
    WHERE n.message_no = m.no LIMIT 1 OFFSET 0)
  AND NOT EXISTS (SELECT 1 FROM suppressions s
    WHERE s.address_hash = m.address_hash AND s.channel = m.channel LIMIT 1 OFFSET 0)"
    };
}

/// The queue is walked in its order and no further than asked for, however long
/// it is.
pub(super) const PICK: &str = concat!(
    "
SELECT m.no FROM messages m
WHERE m.state = 'queued' AND m.due_at <= $2 AND ",
    is_free!(),
    "
ORDER BY m.due_at, m.no LIMIT $6"
);

/// The same, one step at a time: the walk, which only the queue's index has in
/// order, and each message by its number, which no other way leads to (plus and
/// `coalesce` hide them). As one question 128 of 4,000 took 1 ms or 30, by what
/// the engine believed of the tables; a test counts what is read. What a message
/// can be passed by for without a look elsewhere is said to the walk too; to the
/// message once more, as it may have changed before it was locked.
const PICK_AMONG_OTHERS: &str = concat!(
    "
SELECT m.no
FROM (SELECT w.no, w.due_at FROM messages w
    WHERE ",
    is_queued!("w"),
    " AND w.held = FALSE AND w.due_at <= $2 AND w.mode = $1
      AND w.claims < $3 AND (CAST($4 AS BIGINT) IS NULL OR w.run_no = $4)
      -- Not IN, which may be a join, and joins may be in another order.
      AND w.channel = ANY (ARRAY(SELECT CAST(e.atom AS TEXT) FROM jsonb_each($5) AS e))
      AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.scope = 'global')
      AND w.channel NOT IN (SELECT h.key FROM holds h WHERE h.scope = 'channel')
    ORDER BY w.due_at, w.no OFFSET 0) AS q
  CROSS JOIN LATERAL (SELECT m.no FROM messages m
    WHERE m.no = q.no AND coalesce(m.state, '') = 'queued' AND +m.due_at <= $2 AND ",
    is_free!(),
    "
    FOR UPDATE OF m SKIP LOCKED) AS m
ORDER BY q.due_at, q.no LIMIT $6"
);

/// Claimed twice without an outcome, the longest due: few, unless many
/// processes died. Written out for the index: see `messages_suspect`.
const SUSPECTS: &str = concat!(
    "
SELECT m.no, m.channel FROM messages m
WHERE ",
    is_queued!("m"),
    " AND m.claims > 1 AND m.claims >= $1 AND m.due_at <= $2 AND m.held = FALSE
  AND m.mode = $3 AND m.channel IN (SELECT CAST(e.atom AS TEXT) FROM jsonb_each($4) AS e)
ORDER BY m.due_at LIMIT 100"
);

/// One of those is in the worker's hands and has not left: a lease counts as a
/// claim. On its way it may have company: who dies then leaves a doubt.
const HAS_SUSPECT: &str = "
SELECT EXISTS (SELECT 1 FROM messages WHERE state = 'leased' AND owner = $1 AND claims > $2)";

/// Of some, looked up by their numbers.
macro_rules! pick_of {
    ($lock:literal) => {
        concat!(
            "
SELECT m.no FROM messages m
WHERE m.no IN (SELECT CAST(s.atom AS BIGINT) FROM jsonb_each($7) AS s)
  AND coalesce(m.state, '') = 'queued' AND +m.due_at <= $2 AND ",
            is_free!(),
            "
ORDER BY m.due_at, m.no LIMIT $6",
            $lock
        )
    };
}

const PICK_OF: &str = pick_of!("");
const PICK_OF_AMONG_OTHERS: &str = pick_of!(" FOR UPDATE OF m SKIP LOCKED");

macro_rules! lease {
    ($($fence:tt)*) => {
        concat!(
            "
UPDATE messages SET state = 'leased', owner = $2, epoch = epoch + 1, claims = claims + 1,
  lease_until = $3
WHERE no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e) AND state = 'queued'",
            $($fence)*
            "
RETURNING no, epoch"
        )
    };
}

const LEASE: &str = lease!();
/// Only who is alive in the eyes of the others: they would take it away again.
const LEASE_ALIVE: &str = lease!(
    "
  AND EXISTS (SELECT 1 FROM workers w WHERE w.id = $2 AND w.heartbeat_at + w.alive_ms > ",
    server_now!(),
    ")",
);

pub(super) const READ_CLAIMED: &str = "
SELECT m.no, m.uid, m.epoch, m.channel, m.kind, m.mode, m.run_no, m.counted, m.doubts,
  m.planned_at, m.due_since, m.not_after, p.recipient, p.facts, k.zone,
  (SELECT max(o.zone_used) FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = m.no) AS zone_used
FROM messages m JOIN message_private p ON p.message_no = m.no
LEFT JOIN contacts k ON k.id = m.contact_id
WHERE m.no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)
ORDER BY m.due_at, m.no";

pub(super) const READ_THREADS: &str = "
SELECT DISTINCT mine.message_no, m.no, m.uid
FROM notices mine
JOIN notices other ON other.order_id = mine.order_id AND other.channel = mine.channel
  AND other.mode = mine.mode AND other.message_no < mine.message_no
JOIN messages m ON m.no = other.message_no
WHERE mine.message_no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)
  AND mine.channel = 'email' AND m.state IN ('sent', 'delivered', 'bounced', 'in_doubt')
ORDER BY mine.message_no, m.no";

const HAS_ANY: &str = "
SELECT EXISTS (SELECT 1 FROM messages WHERE owner = $1 AND state IN ('leased', 'submitting'))";

statements![
    PICK | PICK_AMONG_OTHERS,
    SUSPECTS,
    HAS_SUSPECT,
    PICK_OF | PICK_OF_AMONG_OTHERS,
    LEASE | LEASE_ALIVE,
    READ_CLAIMED,
    READ_THREADS,
    HAS_ANY
];

#[derive(sqlx::FromRow)]
pub(super) struct ClaimedRow {
    pub(super) no: i64,
    pub(super) uid: Uuid,
    pub(super) epoch: i64,
    pub(super) channel: String,
    pub(super) kind: String,
    pub(super) mode: String,
    pub(super) run_no: Option<i64>,
    pub(super) counted: i64,
    pub(super) doubts: i64,
    pub(super) planned_at: i64,
    pub(super) due_since: i64,
    pub(super) not_after: i64,
    pub(super) recipient: String,
    pub(super) facts: String,
    pub(super) zone: Option<String>,
    pub(super) zone_used: Option<String>,
}

/// Due messages with fewer claims behind them than this; with a list, those of
/// it.
async fn pick(
    c: &mut Conn<'_>,
    ask: &Claim,
    limit: u32,
    claims_below: i64,
    of: Option<&[i64]>,
) -> Result<Vec<i64>, sqlx::Error> {
    let channels: Vec<&str> = ask.channels.iter().map(|c| c.as_str()).collect();
    let (mode, run) = (ask.mode.as_str(), ask.run.map(|run| run.0));
    let (now, channels, limit) = (ask.now.0, json(&channels), i64::from(limit));
    let picked: Vec<i64> = match of {
        None => {
            let pick = sql(c, PICK, PICK_AMONG_OTHERS);
            column!(c, pick, mode, now, claims_below, run, channels, limit)?
        }
        Some(of) => {
            let pick = sql(c, PICK_OF, PICK_OF_AMONG_OTHERS);
            let of = json(&of);
            column!(c, pick, mode, now, claims_below, run, channels, limit, of)?
        }
    };
    locks::orders_at_once(c, picked).await
}

/// The message that must be claimed alone and has waited longest, on whatever
/// channel, and whether that is one of those asked for.
async fn pick_alone(c: &mut Conn<'_>, ask: &Claim) -> Result<Option<(i64, bool)>, sqlx::Error> {
    let able: Vec<&str> = ask.able.iter().map(|c| c.as_str()).collect();
    let suspects: Vec<(i64, String)> = rows!(
        c,
        SUSPECTS,
        CLAIMS_TOGETHER_MAX,
        ask.now.0,
        ask.mode.as_str(),
        json(&able),
    )?;
    if suspects.is_empty() {
        return Ok(None);
    }
    let of_all = Claim {
        channels: ask.able.clone(),
        ..ask.clone()
    };
    let numbers: Vec<i64> = suspects.iter().map(|(no, _)| *no).collect();
    let picked = pick(c, &of_all, 1, CLAIMS_WITHOUT_OUTCOME_MAX, Some(&numbers)).await?;
    let found = suspects.iter().find(|(no, _)| picked.contains(no));
    Ok(found.map(|(no, channel)| (*no, ask.channels.iter().any(|c| c.as_str() == channel))))
}

/// Those that were still in the queue, with the epochs they have now.
async fn lease(
    c: &mut Conn<'_>,
    ask: &Claim,
    picked: Vec<i64>,
) -> Result<Vec<(i64, i64)>, sqlx::Error> {
    if picked.is_empty() {
        return Ok(Vec::new());
    }
    let lease = sql(c, LEASE, LEASE_ALIVE);
    rows!(c, lease, json(&picked), ask.by.0, ask.lease_until.0)
}

/// What a claim took.
#[derive(Debug)]
pub enum Taken {
    /// Of what was foreseen these, by their numbers.
    AsForeseen(HashSet<i64>),
    Otherwise(Vec<Claimed>),
}

impl Taken {
    /// The messages themselves.
    pub fn claimed(self, foreseen: Vec<Claimed>) -> Vec<Claimed> {
        match self {
            Taken::AsForeseen(taken) => (foreseen.into_iter())
                .filter(|claimed| taken.contains(&claimed.no.0))
                .map(|claimed| Claimed {
                    epoch: claimed.epoch + 1,
                    ..claimed
                })
                .collect(),
            Taken::Otherwise(claimed) => claimed,
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Taken::AsForeseen(taken) => taken.is_empty(),
            Taken::Otherwise(claimed) => claimed.is_empty(),
        }
    }
}

/// See [`crate::store::Store::claim`]. `foreseen`: numbers and epochs of
/// [`super::foreseen::foresee`], where that was asked.
pub async fn claim(
    c: &mut Conn<'_>,
    ask: &Claim,
    foreseen: Option<&HashMap<i64, i64>>,
) -> Result<Taken, Halt> {
    let nothing = Taken::Otherwise(Vec::new());
    if value!(c, HAS_SUSPECT, ask.by.0, CLAIMS_TOGETHER_MAX)? {
        return Ok(nothing);
    }
    let mut alone = None;
    if alone_first(ask.now) {
        alone = pick_alone(c, ask).await?;
        // What the worker has in hands comes to its end first; then whoever
        // claims for its channel gets it.
        if let Some((_, is_asked_for)) = alone
            && (!is_asked_for || value!(c, HAS_ANY, ask.by.0)?)
        {
            return Ok(nothing);
        }
    }
    let picked = match (alone, foreseen) {
        (Some((no, _)), _) => vec![no],
        (None, Some(foreseen)) => foreseen.keys().copied().collect(),
        (None, None) => pick(c, ask, ask.limit, CLAIMS_TOGETHER_MAX, None).await?,
    };
    let mut taken = lease(c, ask, picked).await?;
    if taken.is_empty() && !value!(c, HAS_ANY, ask.by.0)? {
        let picked = pick(c, ask, 1, CLAIMS_WITHOUT_OUTCOME_MAX, None).await?;
        taken = lease(c, ask, picked).await?;
    }
    if taken.is_empty() {
        return Ok(nothing);
    }
    let numbers: Vec<i64> = taken.iter().map(|(no, _)| *no).collect();
    let ids = json(&numbers);
    run!(c, TAKE_OFF, &ids)?;
    run!(c, BUMP_ORDERS, &ids)?;
    let is_foreseen = |(no, epoch): &(i64, i64)| {
        foreseen.is_some_and(|foreseen| foreseen.get(no) == Some(&(epoch - 1)))
    };
    if taken.iter().all(is_foreseen) {
        return Ok(Taken::AsForeseen(numbers.into_iter().collect()));
    }
    Ok(Taken::Otherwise(read(c, &numbers).await?))
}

/// Messages as whoever sends them needs them, in the order of the queue.
async fn read(c: &mut Conn<'_>, numbers: &[i64]) -> Result<Vec<Claimed>, Halt> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let ids = json(&numbers);
    let rows: Vec<ClaimedRow> = rows!(c, READ_CLAIMED, &ids)?;
    let threads: Vec<(i64, i64, Uuid)> = rows!(c, READ_THREADS, &ids)?;
    let threads = threads.into_iter().map(|(mine, _, uid)| (mine, uid));
    Ok(with_threads(rows, threads)?)
}

/// Messages, each with those before it in its thread.
pub(super) fn with_threads(
    rows: Vec<ClaimedRow>,
    threads: impl IntoIterator<Item = (i64, Uuid)>,
) -> Result<Vec<Claimed>, StoreError> {
    let mut by_message: HashMap<i64, Vec<MessageUid>> = HashMap::new();
    for (mine, uid) in threads {
        by_message.entry(mine).or_default().push(MessageUid(uid));
    }
    rows.into_iter()
        .map(|row| {
            let thread = by_message.remove(&row.no).unwrap_or_default();
            row.into_claimed(thread)
        })
        .collect()
}

impl ClaimedRow {
    fn into_claimed(self, thread: Vec<MessageUid>) -> Result<Claimed, StoreError> {
        let corrupt = |column| StoreError::Corrupt {
            table: "messages",
            row: self.no.to_string(),
            column,
        };
        let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(Claimed {
            no: MessageNo(self.no),
            uid: MessageUid(self.uid),
            epoch: self.epoch,
            channel: ChannelName::parse(&self.channel).ok_or_else(|| corrupt("channel"))?,
            kind: Kind::parse(&self.kind).ok_or_else(|| corrupt("kind"))?,
            mode: Mode::parse(&self.mode).ok_or_else(|| corrupt("mode"))?,
            run: self.run_no.map(RunNo),
            counted: count(self.counted),
            doubts: count(self.doubts),
            planned_at: Instant(self.planned_at),
            due_since: Instant(self.due_since),
            not_after: Instant(self.not_after),
            // As the planner has it: the customer's own, else the order's.
            zone: self
                .zone
                .or(self.zone_used)
                .and_then(|name| parse_zone(&name).ok())
                .unwrap_or(chrono_tz::UTC),
            facts: serde_json::from_str(&self.facts).map_err(|_| corrupt("facts"))?,
            thread,
            recipient: self.recipient,
        })
    }
}
