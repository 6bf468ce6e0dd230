//! Delivering: claim, mark, record. Every statement carries its guards, and a
//! row that does not come back lost one of them.

use crate::domain::contact::parse_zone;
use crate::domain::ids::{MessageNo, RunNo, WorkerId};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::{CLAIMS_TOGETHER_MAX, CLAIMS_WITHOUT_OUTCOME_MAX, Landing};
use crate::domain::notice_key::Mode;
use crate::domain::statement::{MessageFacts, hex};
use crate::domain::time::Instant;
use crate::domain::told::Basis;
use crate::store::codec::{eta_columns, json, uid_from_column};
use crate::store::types::{Claimed, GiveBack, Mark, Record, StoreError};
use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

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
    /// Channels that can send at the moment.
    pub channels: Vec<ChannelName>,
}

/// Not said while held: the whole shop, a channel, or one of its orders.
const CLAIM: &str = "
UPDATE messages SET state = 'leased', owner = $1, epoch = epoch + 1, claims = claims + 1,
  lease_until = $2
WHERE no IN (
  SELECT m.no FROM messages m
  WHERE m.state = 'queued' AND m.held = 0 AND m.mode = $3
    AND m.due_at <= $4 AND m.not_after >= $4 AND m.claims < $5
    AND ($6 IS NULL OR m.run_no = $6)
    AND m.channel IN (SELECT c.value FROM json_each($7) c)
    -- Apart from the channels': asked once, it spares the walk through the queue.
    AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.scope = 'global')
    AND m.channel NOT IN (SELECT h.key FROM holds h WHERE h.scope = 'channel')
    AND NOT EXISTS (SELECT 1 FROM notices n JOIN orders o ON o.id = n.order_id
      WHERE n.message_no = m.no AND n.fact_version <> o.fact_version)
    AND NOT EXISTS (SELECT 1 FROM notices n JOIN held_orders v ON v.order_id = n.order_id
      WHERE n.message_no = m.no)
    AND NOT EXISTS (SELECT 1 FROM notices n JOIN notices f ON f.order_id = n.order_id
        AND f.channel = n.channel AND f.mode = n.mode AND f.in_flight = 1
      WHERE n.message_no = m.no)
    AND NOT EXISTS (SELECT 1 FROM suppressions s
      WHERE s.address_hash = m.address_hash AND s.channel = m.channel)
  ORDER BY m.due_at, m.no LIMIT $8)
RETURNING no";

const TAKE_OFF: &str = "
UPDATE notices SET in_queue = 0, in_flight = 1
WHERE message_no IN (SELECT value FROM json_each($1))";

const BUMP_ORDERS: &str = "
UPDATE orders SET review_version = review_version + 1
WHERE id IN (SELECT order_id FROM notices WHERE message_no IN (SELECT value FROM json_each($1)))";

const READ_CLAIMED: &str = "
SELECT m.no, m.uid, m.epoch, m.channel, m.kind, m.mode, m.run_no, m.counted, m.doubts,
  m.planned_at, m.due_since, m.not_after, p.recipient, p.facts, k.zone,
  (SELECT max(o.zone_used) FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = m.no) AS zone_used
FROM messages m JOIN message_private p ON p.message_no = m.no
LEFT JOIN contacts k ON k.id = m.contact_id
WHERE m.no IN (SELECT value FROM json_each($1))
ORDER BY m.due_at, m.no";

const READ_THREADS: &str = "
SELECT DISTINCT mine.message_no, m.no, m.uid
FROM notices mine
JOIN notices other ON other.order_id = mine.order_id AND other.channel = mine.channel
  AND other.mode = mine.mode AND other.message_no < mine.message_no
JOIN messages m ON m.no = other.message_no
WHERE mine.message_no IN (SELECT value FROM json_each($1)) AND mine.channel = 'email'
  AND m.state IN ('sent', 'delivered', 'bounced', 'in_doubt')
ORDER BY mine.message_no, m.no";

#[derive(sqlx::FromRow)]
struct ClaimedRow {
    no: i64,
    uid: Vec<u8>,
    epoch: i64,
    channel: String,
    kind: String,
    mode: String,
    run_no: Option<i64>,
    counted: i64,
    doubts: i64,
    planned_at: i64,
    due_since: i64,
    not_after: i64,
    recipient: String,
    facts: String,
    zone: Option<String>,
    zone_used: Option<String>,
}

fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::Statement {
        doing,
        source: Arc::new(source),
    }
}

async fn take(
    c: &mut SqliteConnection,
    ask: &Claim,
    limit: u32,
    claims_below: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    let channels: Vec<&str> = ask.channels.iter().map(|c| c.as_str()).collect();
    sqlx::query_scalar(CLAIM)
        .bind(ask.by.0)
        .bind(ask.lease_until.0)
        .bind(ask.mode.as_str())
        .bind(ask.now.0)
        .bind(claims_below)
        .bind(ask.run.map(|run| run.0))
        .bind(json(&channels))
        .bind(limit)
        .fetch_all(c)
        .await
}

async fn holds_any(c: &mut SqliteConnection, by: WorkerId) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM messages WHERE state = 'leased' AND owner = $1) \
         OR EXISTS (SELECT 1 FROM messages WHERE state = 'submitting' AND owner = $1)",
    )
    .bind(by.0)
    .fetch_one(c)
    .await
}

/// See [`crate::store::Store::claim`].
pub async fn claim(c: &mut SqliteConnection, ask: &Claim) -> Result<Vec<Claimed>, StoreError> {
    let doing = failed("claim messages");
    let mut taken = take(c, ask, ask.limit, CLAIMS_TOGETHER_MAX)
        .await
        .map_err(&doing)?;
    if taken.is_empty() && !holds_any(c, ask.by).await.map_err(&doing)? {
        taken = take(c, ask, 1, CLAIMS_WITHOUT_OUTCOME_MAX)
            .await
            .map_err(&doing)?;
    }
    if taken.is_empty() {
        return Ok(Vec::new());
    }
    let ids = json(&taken);
    for sql in [TAKE_OFF, BUMP_ORDERS] {
        sqlx::query(sql)
            .bind(&ids)
            .execute(&mut *c)
            .await
            .map_err(&doing)?;
    }
    let rows: Vec<ClaimedRow> = sqlx::query_as(READ_CLAIMED)
        .bind(&ids)
        .fetch_all(&mut *c)
        .await
        .map_err(&doing)?;
    let threads: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(READ_THREADS)
        .bind(&ids)
        .fetch_all(&mut *c)
        .await
        .map_err(&doing)?;
    let mut by_message: HashMap<i64, Vec<_>> = HashMap::new();
    for (mine, no, uid) in threads {
        by_message
            .entry(mine)
            .or_default()
            .push(uid_from_column(&uid, "messages", no)?);
    }
    rows.into_iter()
        .map(|row| {
            let corrupt = |column| StoreError::Corrupt {
                table: "messages",
                row: row.no.to_string(),
                column,
            };
            let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
            Ok(Claimed {
                no: MessageNo(row.no),
                uid: uid_from_column(&row.uid, "messages", row.no)?,
                epoch: row.epoch,
                channel: ChannelName::parse(&row.channel).ok_or_else(|| corrupt("channel"))?,
                kind: Kind::parse(&row.kind).ok_or_else(|| corrupt("kind"))?,
                mode: Mode::parse(&row.mode).ok_or_else(|| corrupt("mode"))?,
                run: row.run_no.map(RunNo),
                counted: count(row.counted),
                doubts: count(row.doubts),
                planned_at: Instant(row.planned_at),
                due_since: Instant(row.due_since),
                not_after: Instant(row.not_after),
                // As the planner has it: the customer's own, else the order's.
                zone: row
                    .zone
                    .or(row.zone_used)
                    .and_then(|name| parse_zone(&name).ok())
                    .unwrap_or(chrono_tz::UTC),
                facts: serde_json::from_str(&row.facts).map_err(|_| corrupt("facts"))?,
                thread: by_message.remove(&row.no).unwrap_or_default(),
                recipient: row.recipient,
            })
        })
        .collect()
}

const MARK: &str = "
UPDATE messages AS m SET state = 'submitting', attempts = m.attempts + 1,
  template_version = j.template, content_hash = j.content
FROM (SELECT value ->> 'no' AS message_no, value ->> 'epoch' AS epoch,
        value ->> 'worker' AS worker, value ->> 'now' AS now, value ->> 'template' AS template,
        value ->> 'content' AS content
      FROM json_each($1)) AS j
WHERE m.no = j.message_no AND m.state = 'leased' AND m.epoch = j.epoch AND m.owner = unhex(j.worker)
  AND m.lease_until > j.now AND m.not_after >= j.now AND m.held = 0
  AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.scope = 'global'
    OR (h.scope = 'channel' AND h.key = m.channel))
  AND NOT EXISTS (SELECT 1 FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = m.no AND n.fact_version <> o.fact_version)
  AND NOT EXISTS (SELECT 1 FROM notices n JOIN held_orders v ON v.order_id = n.order_id
    WHERE n.message_no = m.no)
  AND NOT EXISTS (SELECT 1 FROM suppressions s
    WHERE s.address_hash = m.address_hash AND s.channel = m.channel)
RETURNING no";

const BEGIN_ATTEMPTS: &str = "
INSERT INTO attempts (message_no, no, worker, epoch, relay, message_id_header, began_at)
SELECT m.no, m.attempts, m.owner, m.epoch, j.value ->> 'relay', j.value ->> 'header',
  j.value ->> 'now'
FROM json_each($1) AS j JOIN messages m ON m.no = j.value ->> 'no'
WHERE true";

#[derive(Serialize)]
struct MarkRow<'a> {
    no: i64,
    epoch: i64,
    worker: String,
    now: i64,
    relay: &'a str,
    header: Option<&'a str>,
    template: &'a str,
    content: &'a str,
}

/// Positions of `numbers` in rounds in which no number comes twice: a set-wise
/// statement answers by number, and two callers that name the same message
/// (one of them with a lease that is not theirs) must not share an answer.
fn rounds(numbers: impl Iterator<Item = MessageNo>) -> Vec<Vec<usize>> {
    let mut seen: HashMap<MessageNo, usize> = HashMap::new();
    let mut out: Vec<Vec<usize>> = Vec::new();
    for (position, no) in numbers.enumerate() {
        let round = seen.entry(no).and_modify(|n| *n += 1).or_default();
        if *round == out.len() {
            out.push(Vec::new());
        }
        out[*round].push(position);
    }
    out
}

/// Marks what may be sent; says of each whether it passed its guards.
pub async fn mark_all(
    c: &mut SqliteConnection,
    marks: &[(WorkerId, Instant, &Mark)],
) -> Result<Vec<bool>, sqlx::Error> {
    let mut out = vec![false; marks.len()];
    for round in rounds(marks.iter().map(|(_, _, mark)| mark.no)) {
        let asked: Vec<_> = round.iter().map(|i| marks[*i]).collect();
        let passed = mark_round(c, &asked).await?;
        for i in round {
            out[i] = passed.contains(&marks[i].2.no.0);
        }
    }
    Ok(out)
}

async fn mark_round(
    c: &mut SqliteConnection,
    marks: &[(WorkerId, Instant, &Mark)],
) -> Result<HashSet<i64>, sqlx::Error> {
    let mut rows: Vec<MarkRow<'_>> = marks
        .iter()
        .map(|(by, now, mark)| MarkRow {
            no: mark.no.0,
            epoch: mark.epoch,
            worker: hex(by.0.as_bytes()),
            now: now.0,
            relay: &mark.relay,
            header: mark.message_id_header.as_deref(),
            template: &mark.template_version,
            content: &mark.content_hash,
        })
        .collect();
    let passed: HashSet<i64> = sqlx::query_scalar(MARK)
        .bind(json(&rows))
        .fetch_all(&mut *c)
        .await?
        .into_iter()
        .collect();
    rows.retain(|row| passed.contains(&row.no));
    sqlx::query(BEGIN_ATTEMPTS)
        .bind(json(&rows))
        .execute(&mut *c)
        .await?;
    Ok(passed)
}

const RECORD: &str = "
UPDATE messages AS m SET state = j.state, due_at = coalesce(j.due_at, m.due_at),
  counted = m.counted + j.counted, doubts = m.doubts + j.doubt, quiet_until = j.quiet_until,
  sent_at = j.sent_at, ended_at = j.ended_at, owner = NULL, lease_until = NULL, claims = 0
FROM (SELECT value ->> 'no' AS message_no, value ->> 'epoch' AS epoch,
        value ->> 'worker' AS worker, value ->> 'state' AS state, value ->> 'due_at' AS due_at,
        value ->> 'counted' AS counted, value ->> 'doubt' AS doubt,
        value ->> 'quiet_until' AS quiet_until, value ->> 'sent_at' AS sent_at,
        value ->> 'ended_at' AS ended_at
      FROM json_each($1)) AS j
WHERE m.no = j.message_no AND m.state = 'submitting' AND m.epoch = j.epoch AND m.owner = unhex(j.worker)
RETURNING no";

const END_ATTEMPTS: &str = "
UPDATE attempts AS a SET ended_at = j.value ->> 'now', outcome = j.value ->> 'outcome',
  code = j.value ->> 'code', enhanced = j.value ->> 'enhanced', phase = j.value ->> 'phase',
  reply = j.value ->> 'reply', reference = j.value ->> 'reference'
FROM json_each($1) AS j JOIN messages m ON m.no = j.value ->> 'no'
WHERE a.message_no = m.no AND a.no = m.attempts";

const LAND_NOTICES: &str = "
UPDATE notices AS n SET in_flight = j.value ->> 'in_flight', in_queue = j.value ->> 'in_queue'
FROM json_each($1) AS j WHERE n.message_no = j.value ->> 'no'";

const WAKE_ORDERS: &str = "
UPDATE orders AS o SET review_version = o.review_version + 1, closed_at = NULL,
  next_review_at = coalesce(j.wake_at, o.next_review_at)
FROM (SELECT n.order_id, min(e.value ->> 'wake_at') AS wake_at
      FROM json_each($1) AS e CROSS JOIN notices n
      WHERE n.message_no = e.value ->> 'no' GROUP BY n.order_id) AS j
WHERE o.id = j.order_id";

const SUPPRESS: &str = "
INSERT INTO suppressions (address_hash, channel, reason, source, since)
SELECT m.address_hash, m.channel, j.value ->> 'reply', 'reply', j.value ->> 'now'
FROM json_each($1) AS j JOIN messages m ON m.no = j.value ->> 'no'
WHERE j.value ->> 'suppress' = 1
ON CONFLICT DO NOTHING";

/// Everybody at an address that was just suppressed has to be reached
/// otherwise, whatever order the refused message was about.
const WAKE_SUPPRESSED: &str = "
UPDATE orders SET review_version = review_version + 1, next_review_at = j.now
FROM (SELECT k.id AS contact_id, max(e.value ->> 'now') AS now
      FROM json_each($1) AS e CROSS JOIN messages m CROSS JOIN contacts k
      WHERE m.no = e.value ->> 'no' AND e.value ->> 'suppress' = 1
        AND (k.email_hash = m.address_hash OR k.phone_hash = m.address_hash)
      GROUP BY k.id) AS j
WHERE orders.contact_id = j.contact_id AND orders.closed_at IS NULL";

#[derive(Serialize)]
struct RecordRow<'a> {
    no: i64,
    epoch: i64,
    worker: String,
    now: i64,
    state: &'static str,
    due_at: Option<i64>,
    counted: i64,
    doubt: i64,
    quiet_until: Option<i64>,
    sent_at: Option<i64>,
    ended_at: Option<i64>,
    in_flight: i64,
    in_queue: i64,
    wake_at: Option<i64>,
    suppress: i64,
    outcome: &'static str,
    code: Option<u16>,
    enhanced: Option<&'a str>,
    phase: &'static str,
    reply: &'a str,
    reference: Option<&'a str>,
}

fn record_row<'a>(by: WorkerId, now: Instant, record: &'a Record) -> RecordRow<'a> {
    let evidence = record.outcome.evidence();
    let mut row = RecordRow {
        no: record.no.0,
        epoch: record.epoch,
        worker: hex(by.0.as_bytes()),
        now: now.0,
        state: "",
        due_at: None,
        counted: 0,
        doubt: 0,
        quiet_until: None,
        sent_at: None,
        ended_at: None,
        in_flight: 0,
        in_queue: 0,
        wake_at: Some(now.0),
        suppress: 0,
        outcome: record.outcome.name(),
        code: evidence.code,
        enhanced: evidence.enhanced.as_deref(),
        phase: evidence.phase.as_str(),
        reply: &evidence.text,
        reference: evidence.reference.as_deref(),
    };
    match &record.landing {
        Landing::Sent => {
            row.state = "sent";
            (row.counted, row.sent_at, row.ended_at) = (1, Some(now.0), Some(now.0));
        }
        Landing::Again { due_at, counts } => {
            row.state = "queued";
            (row.due_at, row.counted, row.in_queue) = (Some(due_at.0), i64::from(*counts), 1);
        }
        Landing::Failed { suppress, .. } => {
            row.state = "failed";
            (row.counted, row.ended_at, row.suppress) = (1, Some(now.0), i64::from(*suppress));
        }
        Landing::InDoubt { quiet_until } => {
            row.state = "in_doubt";
            (row.counted, row.doubt, row.in_flight) = (1, 1, 1);
            // What ends the quiet period wakes the order, not the doubt.
            (row.quiet_until, row.wake_at) = (Some(quiet_until.0), None);
        }
    }
    row
}

/// Records what became of attempts; says of each whether it was still its
/// worker's.
pub async fn record_all(
    c: &mut SqliteConnection,
    records: &[(WorkerId, Instant, &Record)],
) -> Result<Vec<bool>, sqlx::Error> {
    let mut out = vec![false; records.len()];
    for round in rounds(records.iter().map(|(_, _, record)| record.no)) {
        let told: Vec<_> = round.iter().map(|i| records[*i]).collect();
        let passed = record_round(c, &told).await?;
        for i in round {
            out[i] = passed.contains(&records[i].2.no.0);
        }
    }
    Ok(out)
}

async fn record_round(
    c: &mut SqliteConnection,
    records: &[(WorkerId, Instant, &Record)],
) -> Result<HashSet<i64>, sqlx::Error> {
    let mut rows: Vec<RecordRow<'_>> = records
        .iter()
        .map(|(by, now, record)| record_row(*by, *now, record))
        .collect();
    let passed: HashSet<i64> = sqlx::query_scalar(RECORD)
        .bind(json(&rows))
        .fetch_all(&mut *c)
        .await?
        .into_iter()
        .collect();
    rows.retain(|row| passed.contains(&row.no));
    let document = json(&rows);
    sqlx::query(END_ATTEMPTS)
        .bind(&document)
        .execute(&mut *c)
        .await?;
    sqlx::query(LAND_NOTICES)
        .bind(&document)
        .execute(&mut *c)
        .await?;
    let said: Vec<Said<'_>> = records
        .iter()
        .filter(|(_, _, record)| passed.contains(&record.no.0))
        .filter_map(|(_, now, record)| {
            let basis = match record.landing {
                Landing::Sent => Basis::Accepted,
                Landing::InDoubt { .. } => Basis::Possible,
                Landing::Again { .. } | Landing::Failed { .. } => return None,
            };
            Some(Said {
                no: record.no,
                facts: &record.facts,
                basis,
                at: *now,
            })
        })
        .collect();
    write_told(c, &said).await?;
    sqlx::query(WAKE_ORDERS)
        .bind(&document)
        .execute(&mut *c)
        .await?;
    if rows.iter().any(|row| row.suppress == 1) {
        for sql in [SUPPRESS, WAKE_SUPPRESSED] {
            sqlx::query(sql).bind(&document).execute(&mut *c).await?;
        }
    }
    Ok(passed)
}

/// What a message said, and how sure we are.
pub struct Said<'a> {
    pub no: MessageNo,
    pub facts: &'a MessageFacts,
    pub basis: Basis,
    pub at: Instant,
}

const WRITE_TOLD: &str = "
INSERT INTO told (line_id, seq, message_no, promise_from, promise_to, eta_from, eta_to, basis,
  mode, at)
SELECT l.id, l.told_seq + row_number() OVER (PARTITION BY l.id ORDER BY m.no), m.no,
  j.value ->> 'promise_from', j.value ->> 'promise_to', j.value ->> 'eta_from',
  j.value ->> 'eta_to', j.value ->> 'basis', m.mode, j.value ->> 'at'
FROM json_each($1) AS j
CROSS JOIN order_lines l
CROSS JOIN messages m
WHERE l.id = j.value ->> 'line' AND m.no = j.value ->> 'no' AND j.value ->> 'states_date' = 1";

const COUNT_TOLD: &str = "
UPDATE order_lines AS l SET told_seq = l.told_seq + c.dates,
  qty_shipped_told = max(l.qty_shipped_told, c.shipped),
  qty_cancelled_told = max(l.qty_cancelled_told, c.cancelled)
FROM (SELECT value ->> 'line' AS line, sum(value ->> 'states_date') AS dates,
        max(value ->> 'shipped') AS shipped, max(value ->> 'cancelled') AS cancelled
      FROM json_each($1) GROUP BY value ->> 'line') AS c
WHERE l.id = c.line";

const TELL_SHIPMENTS: &str = "
UPDATE shipments AS s SET told_message = j.value ->> 'no'
FROM json_each($1) AS j
WHERE s.order_id = j.value ->> 'order' AND s.key = j.value ->> 'key'";

const KEEP_WORD: &str = "
UPDATE orders AS o SET next_word_by = j.value ->> 'next_word_by'
FROM json_each($1) AS j WHERE o.id = j.value ->> 'order'";

#[derive(Serialize)]
struct ToldRow {
    no: i64,
    line: i64,
    promise_from: Option<String>,
    promise_to: Option<String>,
    eta_from: Option<String>,
    eta_to: Option<String>,
    basis: &'static str,
    at: i64,
    states_date: i64,
    shipped: i64,
    cancelled: i64,
}

#[derive(Serialize)]
struct ParcelRow<'a> {
    no: i64,
    order: i64,
    key: &'a str,
}

#[derive(Serialize)]
struct WordRow {
    order: i64,
    next_word_by: Option<String>,
}

/// Appends to the told-ledger what messages said. Quantities and parcels count
/// as told only when the word is firm.
pub async fn write_told(c: &mut SqliteConnection, said: &[Said<'_>]) -> Result<(), sqlx::Error> {
    let (mut told, mut parcels, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for s in said {
        let firm = s.basis.is_firm();
        for order in &s.facts.orders {
            for line in &order.lines {
                let (promise_from, promise_to) = eta_columns(line.promise.unwrap_or_default());
                let (eta_from, eta_to) = eta_columns(line.eta);
                told.push(ToldRow {
                    no: s.no.0,
                    line: line.line.0,
                    promise_from,
                    promise_to,
                    eta_from,
                    eta_to,
                    basis: s.basis.as_str(),
                    at: s.at.0,
                    states_date: i64::from(line.promise.is_some()),
                    shipped: if firm { line.shipped.0 } else { 0 },
                    cancelled: if firm { line.cancelled.0 } else { 0 },
                });
            }
            if firm {
                parcels.extend(order.shipments.iter().map(|parcel| ParcelRow {
                    no: s.no.0,
                    order: order.order.0,
                    key: &parcel.key,
                }));
                words.push(WordRow {
                    order: order.order.0,
                    next_word_by: order.next_word_by.map(|day| day.to_string()),
                });
            }
        }
    }
    if told.is_empty() {
        return Ok(());
    }
    let document = json(&told);
    sqlx::query(WRITE_TOLD)
        .bind(&document)
        .execute(&mut *c)
        .await?;
    sqlx::query(COUNT_TOLD)
        .bind(&document)
        .execute(&mut *c)
        .await?;
    if !parcels.is_empty() {
        sqlx::query(TELL_SHIPMENTS)
            .bind(json(&parcels))
            .execute(&mut *c)
            .await?;
    }
    if !words.is_empty() {
        sqlx::query(KEEP_WORD)
            .bind(json(&words))
            .execute(&mut *c)
            .await?;
    }
    Ok(())
}

const GIVE_BACK: &str = "
UPDATE messages AS m SET state = CASE WHEN $3 IS NULL THEN 'queued' ELSE 'failed' END,
  owner = NULL, lease_until = NULL, settled_by = $3, due_at = coalesce($5, m.due_at),
  claims = CASE WHEN $3 IS NULL THEN max(m.claims - 1, 0) ELSE m.claims END,
  ended_at = CASE WHEN $3 IS NULL THEN NULL ELSE $4 END
FROM json_each($1) AS j
WHERE m.no = j.value ->> 'no' AND m.epoch = j.value ->> 'epoch' AND m.state = 'leased'
  AND m.owner = $2
RETURNING no";

const UNFLY: &str = "
UPDATE notices SET in_flight = 0, in_queue = $2
WHERE message_no IN (SELECT value FROM json_each($1))";

pub(super) const WAKE_BY_MESSAGE: &str = "
UPDATE orders SET review_version = review_version + 1, next_review_at = $2, closed_at = NULL
WHERE id IN (SELECT order_id FROM notices WHERE message_no IN (SELECT value FROM json_each($1)))";

#[derive(Serialize)]
struct LeaseRow {
    no: i64,
    epoch: i64,
}

/// See [`crate::store::Store::give_back`].
pub async fn give_back(
    c: &mut SqliteConnection,
    by: WorkerId,
    leases: &[(MessageNo, i64)],
    why: &GiveBack,
    now: Instant,
) -> Result<u64, StoreError> {
    let doing = failed("give leases back");
    let (reason, due_at) = match why {
        GiveBack::Unused => (None, None),
        GiveBack::PutOff(until) => (None, Some(until.0)),
        GiveBack::Unrenderable(reason) => (Some(reason.as_str()), None),
    };
    let rows: Vec<LeaseRow> = leases
        .iter()
        .map(|(no, epoch)| LeaseRow {
            no: no.0,
            epoch: *epoch,
        })
        .collect();
    let back: Vec<i64> = sqlx::query_scalar(GIVE_BACK)
        .bind(json(&rows))
        .bind(by.0)
        .bind(reason)
        .bind(now.0)
        .bind(due_at)
        .fetch_all(&mut *c)
        .await
        .map_err(&doing)?;
    let ids = json(&back);
    sqlx::query(UNFLY)
        .bind(&ids)
        .bind(i64::from(reason.is_none()))
        .execute(&mut *c)
        .await
        .map_err(&doing)?;
    sqlx::query(WAKE_BY_MESSAGE)
        .bind(&ids)
        .bind(now.0)
        .execute(&mut *c)
        .await
        .map_err(&doing)?;
    Ok(back.len() as u64)
}
