//! Marks and records of one breath in a file, row by row.
//!
//! What [`super::breath`] says to a server about all of them at once is said
//! here about one after the other, each by small statements that find their row
//! by its number: in one process, on one connection, a statement costs a few
//! microseconds and no trip. The two say the same, and the contract's tests hold
//! both to it; where several messages of a group are about one order, it is here
//! as if each had come in a group of its own. Records come before marks, and
//! refusals that may end an address behind the other records: what was accepted
//! clears an address before it is judged, and the marks see who must not be
//! written to any more.

use super::record::{RecordRow, record_row, said};
use super::told::Said;
use super::vague::{is_vague, may_suppress};
use crate::domain::ids::WorkerId;
use crate::domain::outcome::{Outcome, Refusal};
use crate::domain::statement::LineStatement;
use crate::domain::time::Instant;
use crate::store::codec::eta_columns;
use crate::store::conn::statements;
use crate::store::types::{Mark, Record};
use crate::store::writer::{Answers, Asked};
use rusqlite::{Connection, OptionalExtension, Result, params};
use std::collections::BTreeMap;

/// What a group of records is judged by, read once for all of them: the
/// database's present mode (what a rehearsal told counts for nothing in a shop
/// that went live meanwhile), and whether any address at all was refused vaguely.
const AROUND: &str = "
SELECT (SELECT value FROM meta WHERE name = 'mode'), EXISTS (SELECT 1 FROM vague_refusals)";

const RECORD: &str = "
UPDATE messages SET state = ?4, due_at = coalesce(?5, due_at), counted = counted + ?6,
  doubts = doubts + ?7, quiet_until = ?8, sent_at = ?9, ended_at = ?10, owner = NULL,
  lease_until = NULL, claims = 0
WHERE no = ?1 AND state = 'submitting' AND epoch = ?2 AND owner = ?3
RETURNING attempts, mode, address_hash, channel, planned_at";

const END_ATTEMPT: &str = "
UPDATE attempts SET ended_at = ?3, outcome = ?4, code = ?5, enhanced = ?6, phase = ?7,
  reply = ?8, reference = ?9, relay = coalesce(?10, relay)
WHERE message_no = ?1 AND no = ?2";

const LAND: &str = "
UPDATE notices SET in_flight = ?2, in_queue = ?3 WHERE message_no = ?1";

const COUNT_TOLD: &str = "
UPDATE order_lines SET told_seq = told_seq + ?2, qty_shipped_told = max(qty_shipped_told, ?3),
  qty_cancelled_told = max(qty_cancelled_told, ?4)
WHERE id = ?1";

const APPEND_TOLD: &str = "
INSERT INTO told (line_id, seq, message_no, promise_from, promise_to, eta_from, eta_to, basis,
  mode, at)
VALUES (?1, (SELECT told_seq FROM order_lines WHERE id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

const TELL_SHIPMENT: &str = "
UPDATE shipments SET told_message = ?1 WHERE order_id = ?2 AND key = ?3";

/// And whether each may rest, and whether somebody thought it closed.
const ORDERS_OF: &str = "
SELECT o.id, n.rests_at IS NOT DISTINCT FROM o.review_version, o.closed_at IS NOT NULL
FROM notices n JOIN orders o ON o.id = n.order_id
WHERE n.message_no = ?1";

/// What was told is an input of the planner.
const HEAR_ORDER: &str = "
UPDATE orders SET review_version = review_version + 1,
  next_word_by = CASE WHEN ?2 THEN ?3 ELSE next_word_by END
WHERE id = ?1";

/// These two by themselves: each writes to an index, whether anything changes or
/// not.
const WAKE_ORDER: &str = "UPDATE orders SET next_review_at = ?2 WHERE id = ?1";
const REOPEN_ORDER: &str = "UPDATE orders SET closed_at = NULL WHERE id = ?1";

const CLEAR_VAGUE: &str = "
DELETE FROM vague_refusals WHERE address_hash = ?1 AND channel = ?2";

const VAGUE_DAY: &str = "
SELECT day FROM vague_refusals WHERE address_hash = ?1 AND channel = ?2";

const KEEP_VAGUE: &str = "
INSERT INTO vague_refusals (address_hash, channel, day) VALUES (?1, ?2, ?3)
ON CONFLICT (address_hash, channel) DO UPDATE SET day = excluded.day
WHERE vague_refusals.day < excluded.day";

const SUPPRESS: &str = "
INSERT INTO suppressions (address_hash, channel, reason, source, since)
VALUES (?1, ?2, ?3, 'reply', ?4) ON CONFLICT DO NOTHING";

/// Everybody at an address that was just suppressed has to be reached
/// otherwise, whatever order the refused message was about.
const WAKE_SUPPRESSED: &str = "
UPDATE orders SET review_version = review_version + 1, next_review_at = ?2
WHERE contact_id IN (SELECT id FROM contacts WHERE email_hash = ?1
    UNION SELECT id FROM contacts WHERE phone_hash = ?1)
  -- Said so that no index leads to all that are open.
  AND coalesce(closed_at, 0) = 0";

/// As a rule there is no hold at all, and that is all that is asked of them.
const MARK: &str = "
UPDATE messages SET state = 'submitting', attempts = attempts + 1, template_version = ?5,
  content_hash = ?6
WHERE no = ?1 AND state = 'leased' AND epoch = ?2 AND owner = ?3
  AND lease_until > ?4 AND not_after >= ?4 AND held = FALSE
  AND (NOT EXISTS (SELECT 1 FROM holds)
    OR NOT EXISTS (SELECT 1 FROM holds h WHERE h.scope = 'global'
        OR (h.scope = 'channel' AND h.key = messages.channel)
        OR (h.scope = 'run' AND h.key = CAST(messages.run_no AS TEXT)))
      AND NOT EXISTS (SELECT 1 FROM notices n JOIN held_orders v ON v.order_id = n.order_id
        WHERE n.message_no = messages.no))
  AND NOT EXISTS (SELECT 1 FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = messages.no AND n.fact_version <> o.fact_version)
  AND NOT EXISTS (SELECT 1 FROM suppressions s
    WHERE s.address_hash = messages.address_hash AND s.channel = messages.channel)";

const BEGIN_ATTEMPT: &str = "
INSERT INTO attempts (message_no, no, worker, epoch, relay, message_id_header, began_at)
VALUES (?1, (SELECT attempts FROM messages WHERE no = ?1), ?2, ?3, ?4, ?5, ?6)";

/// What the other engine says in [`super::breath`].
const NOT_HERE: &str = "SELECT 1";

statements![
    AROUND | NOT_HERE,
    RECORD | NOT_HERE,
    END_ATTEMPT | NOT_HERE,
    LAND | NOT_HERE,
    COUNT_TOLD | NOT_HERE,
    APPEND_TOLD | NOT_HERE,
    TELL_SHIPMENT | NOT_HERE,
    ORDERS_OF | NOT_HERE,
    HEAR_ORDER | NOT_HERE,
    WAKE_ORDER | NOT_HERE,
    REOPEN_ORDER | NOT_HERE,
    CLEAR_VAGUE | NOT_HERE,
    VAGUE_DAY | NOT_HERE,
    KEEP_VAGUE | NOT_HERE,
    SUPPRESS | NOT_HERE,
    WAKE_SUPPRESSED | NOT_HERE,
    MARK | NOT_HERE,
    BEGIN_ATTEMPT | NOT_HERE,
];

/// As [`super::breath::record_and_mark`].
///
/// # Errors
/// The engine refused a statement: what was written is to be taken back.
pub fn record_and_mark(c: &Connection, asked: &Asked) -> Result<Answers> {
    let mut answers = Answers {
        recorded: vec![false; asked.records.len()],
        marked: Vec::with_capacity(asked.marks.len()),
        all_rest: true,
    };
    if !asked.records.is_empty() {
        let around = around(c)?;
        for ends_addresses in [false, true] {
            for (passed, (by, now, asked)) in answers.recorded.iter_mut().zip(&asked.records) {
                if may_suppress(asked) == ends_addresses
                    && let Some(rests) = record(c, &around, *by, *now, asked)?
                {
                    *passed = true;
                    answers.all_rest &= rests;
                }
            }
        }
    }
    for (by, now, asked) in &asked.marks {
        answers.marked.push(mark(c, *by, *now, asked)?);
    }
    Ok(answers)
}

/// Answers how many rows it changed.
fn run(c: &Connection, text: &str, values: impl rusqlite::Params) -> Result<usize> {
    c.prepare_cached(text)?.execute(values)
}

fn mark(c: &Connection, by: WorkerId, now: Instant, mark: &Mark) -> Result<bool> {
    let (no, worker) = (mark.no.0, by.0.as_bytes());
    let (template, content) = (&mark.template_version, &mark.content_hash);
    let guards = params![no, mark.epoch, worker, now.0, template, content];
    if run(c, MARK, guards)? == 0 {
        return Ok(false);
    }
    let (relay, header) = (&mark.relay, &mark.message_id_header);
    let attempt = params![no, worker, mark.epoch, relay, header, now.0];
    run(c, BEGIN_ATTEMPT, attempt)?;
    Ok(true)
}

/// See [`AROUND`].
struct Around {
    /// `None`: nobody has said yet.
    mode: Option<String>,
    some_are_vague: bool,
}

fn around(c: &Connection) -> Result<Around> {
    c.prepare_cached(AROUND)?.query_row([], |row| {
        Ok(Around {
            mode: row.get(0)?,
            some_are_vague: row.get(1)?,
        })
    })
}

/// What is known of a message that was recorded.
struct Recorded {
    attempts: i64,
    mode: String,
    is_in_mode: bool,
    address_hash: String,
    channel: String,
    planned_at: i64,
}

/// Answers whether the orders rest. `None`: the attempt was not its worker's any
/// more.
fn record(
    c: &Connection,
    around: &Around,
    by: WorkerId,
    now: Instant,
    record: &Record,
) -> Result<Option<bool>> {
    let mut row = record_row(by, now, record);
    let no = record.no.0;
    let guards = params![
        no,
        record.epoch,
        by.0.as_bytes(),
        row.state,
        row.due_at,
        row.counted,
        row.doubt,
        row.quiet_until,
        row.sent_at,
        row.ended_at,
    ];
    let recorded = c.prepare_cached(RECORD)?.query_row(guards, |row| {
        let mode: String = row.get(1)?;
        Ok(Recorded {
            attempts: row.get(0)?,
            is_in_mode: around.mode.as_ref().is_none_or(|present| *present == mode),
            mode,
            address_hash: row.get(2)?,
            channel: row.get(3)?,
            planned_at: row.get(4)?,
        })
    });
    let Some(message) = recorded.optional()? else {
        return Ok(None);
    };
    let orders = orders_of(c, no)?;
    // Not where the clock was set back since they were planned.
    let as_foreseen = message.planned_at <= now.0 && orders.values().all(|order| order.may_rest);
    let rests = row.may_rest(message.is_in_mode, as_foreseen);
    judge(c, &mut row, &message, now, record)?;
    let attempt = params![
        no,
        message.attempts,
        now.0,
        row.outcome,
        row.code,
        row.enhanced,
        row.phase,
        row.reply,
        row.reference,
        row.relay,
    ];
    run(c, END_ATTEMPT, attempt)?;
    run(c, LAND, params![no, row.in_flight, row.in_queue])?;
    if let Some(said) = said(now, record) {
        tell(c, &said, &message)?;
    }
    wake_orders(c, &row, orders)?;
    if around.some_are_vague && matches!(record.outcome, Outcome::Accepted { .. }) {
        run(c, CLEAR_VAGUE, [&message.address_hash, &message.channel])?;
    }
    if row.suppress {
        let (hash, channel) = (&message.address_hash, &message.channel);
        run(c, SUPPRESS, params![hash, channel, row.reason, now.0])?;
        run(c, WAKE_SUPPRESSED, params![hash, now.0])?;
    }
    Ok(Some(rests))
}

/// Whether a vague refusal is the second of its kind; its day is kept for next
/// time.
fn judge(
    c: &Connection,
    row: &mut RecordRow<'_>,
    message: &Recorded,
    now: Instant,
    record: &Record,
) -> Result<()> {
    if !is_vague(record) {
        return Ok(());
    }
    let today = now.day_in(chrono_tz::UTC);
    let address = [&message.address_hash, &message.channel];
    let before: Option<String> = c
        .prepare_cached(VAGUE_DAY)?
        .query_row(address, |row| row.get(0))
        .optional()?;
    let before = before.and_then(|day| day.parse().ok());
    row.suppress |= Refusal::HardAfterTwoDays.ends_the_address(before, today);
    let (hash, channel) = (&message.address_hash, &message.channel);
    run(c, KEEP_VAGUE, params![hash, channel, today.to_string()])?;
    Ok(())
}

/// Appends to the told-ledger what the message said.
fn tell(c: &Connection, said: &Said<'_>, message: &Recorded) -> Result<()> {
    // The ledger has a mode, quantities have none.
    let counts = said.basis.is_firm() && message.is_in_mode;
    for order in &said.facts.orders {
        for line in &order.lines {
            tell_line(c, said, line, message, counts)?;
        }
        for parcel in order.shipments.iter().filter(|_| counts) {
            let parcel = params![said.no.0, order.order.0, parcel.key];
            run(c, TELL_SHIPMENT, parcel)?;
        }
    }
    Ok(())
}

fn tell_line(
    c: &Connection,
    said: &Said<'_>,
    line: &LineStatement,
    message: &Recorded,
    counts: bool,
) -> Result<()> {
    let (shipped, cancelled) = match counts {
        true => (line.shipped.0, line.cancelled.0),
        false => (0, 0),
    };
    let states_date = line.promise.is_some();
    let count = params![line.line.0, states_date, shipped, cancelled];
    if run(c, COUNT_TOLD, count)? == 0 || !states_date {
        return Ok(());
    }
    let (promise_from, promise_to) = eta_columns(line.promise.unwrap_or_default());
    let (eta_from, eta_to) = eta_columns(line.eta);
    let entry = params![
        line.line.0,
        said.no.0,
        promise_from,
        promise_to,
        eta_from,
        eta_to,
        said.basis.as_str(),
        message.mode,
        said.at.0,
    ];
    run(c, APPEND_TOLD, entry)?;
    Ok(())
}

/// An order a recorded message is about.
struct OrderOf {
    may_rest: bool,
    is_closed: bool,
}

fn orders_of(c: &Connection, no: i64) -> Result<BTreeMap<i64, OrderOf>> {
    let mut orders = c.prepare_cached(ORDERS_OF)?;
    // One for each: a message says one thing of an order (`notices_one_in_flight`).
    let orders = orders.query_map([no], |row| {
        let order = OrderOf {
            may_rest: row.get(1)?,
            is_closed: row.get(2)?,
        };
        Ok((row.get(0)?, order))
    })?;
    orders.collect()
}

fn wake_orders(c: &Connection, row: &RecordRow<'_>, orders: BTreeMap<i64, OrderOf>) -> Result<()> {
    for (id, order) in orders {
        let word = row.words.get(&id.to_string()).cloned().flatten();
        run(c, HEAR_ORDER, params![id, row.firm, word])?;
        if let Some(at) = row.wake_at {
            run(c, WAKE_ORDER, [id, at])?;
        }
        if order.is_closed {
            run(c, REOPEN_ORDER, [id])?;
        }
    }
    Ok(())
}
