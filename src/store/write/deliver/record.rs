//! Recording what became of an attempt: its row, and what follows from it. The
//! statements are a server's, and run with others, in [`super::breath`].

use super::told::Said;
use crate::domain::ids::WorkerId;
use crate::domain::message::Landing;
use crate::domain::outcome::{Outcome, Refusal};
use crate::domain::receipt::Stop;
use crate::domain::statement::hex;
use crate::domain::time::Instant;
use crate::domain::told::Basis;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::statement::run;
use crate::store::types::Record;
use serde::Serialize;
use std::collections::BTreeMap;

macro_rules! record {
    () => {
        "
UPDATE messages AS m SET state = j.state, due_at = coalesce(j.due_at, m.due_at),
  counted = m.counted + j.counted, doubts = m.doubts + j.doubt, quiet_until = j.quiet_until,
  sent_at = j.sent_at, ended_at = j.ended_at, owner = NULL, lease_until = NULL, claims = 0
FROM (SELECT CAST(e.value ->> 'no' AS BIGINT) AS message_no,
        CAST(e.value ->> 'epoch' AS BIGINT) AS epoch,
        CAST(e.value ->> 'now' AS BIGINT) AS now, unhex(e.value ->> 'worker') AS worker,
        e.value ->> 'state' AS state, CAST(e.value ->> 'due_at' AS BIGINT) AS due_at,
        CAST(e.value ->> 'counted' AS BIGINT) AS counted,
        CAST(e.value ->> 'doubt' AS BIGINT) AS doubt,
        CAST(e.value ->> 'quiet_until' AS BIGINT) AS quiet_until,
        CAST(e.value ->> 'sent_at' AS BIGINT) AS sent_at,
        CAST(e.value ->> 'ended_at' AS BIGINT) AS ended_at
      FROM jsonb_each($1) AS e) AS j
WHERE m.no = j.message_no AND coalesce(m.state, '') = 'submitting' AND m.epoch = j.epoch AND m.owner = j.worker"
    };
}
pub(super) use record;

/// This and the next two read the document of what ended from `ended_ones`,
/// where it is taken apart once: that costs more than a row they write.
macro_rules! end_attempts {
    () => {
        "
UPDATE attempts AS a SET ended_at = CAST(j.value ->> 'now' AS BIGINT),
  outcome = j.value ->> 'outcome', code = CAST(j.value ->> 'code' AS BIGINT),
  enhanced = j.value ->> 'enhanced', phase = j.value ->> 'phase', reply = j.value ->> 'reply',
  reference = j.value ->> 'reference', relay = coalesce(j.value ->> 'relay', a.relay)
FROM ended_ones AS j JOIN messages m ON m.no = CAST(j.value ->> 'no' AS BIGINT)
WHERE a.message_no = m.no AND a.no = m.attempts"
    };
}
pub(super) use end_attempts;

macro_rules! land_notices {
    () => {
        "
UPDATE notices AS n SET in_flight = j.in_flight, in_queue = j.in_queue
FROM (SELECT CAST(e.value ->> 'no' AS BIGINT) AS message_no,
        CAST(e.value ->> 'in_flight' AS BOOLEAN) AS in_flight,
        CAST(e.value ->> 'in_queue' AS BOOLEAN) AS in_queue
      FROM ended_ones AS e) AS j
WHERE n.message_no = j.message_no"
    };
}
pub(super) use land_notices;

macro_rules! wake_orders {
    () => {
        "
UPDATE orders AS o SET review_version = o.review_version + 1, closed_at = NULL,
  next_review_at = coalesce(j.wake_at, o.next_review_at),
  next_word_by = CASE WHEN j.firm = 1 THEN j.word ELSE o.next_word_by END
FROM (SELECT n.order_id, min(CAST(e.value ->> 'wake_at' AS BIGINT)) AS wake_at,
        max(CASE WHEN CAST(e.value ->> 'firm' AS BOOLEAN) = TRUE THEN 1 ELSE 0 END) AS firm,
        min(e.value -> 'words' ->> CAST(n.order_id AS TEXT)) AS word
      FROM ended_ones AS e CROSS JOIN notices n
      WHERE n.message_no = CAST(e.value ->> 'no' AS BIGINT) GROUP BY n.order_id) AS j
WHERE o.id = j.order_id"
    };
}
pub(super) use wake_orders;

const SUPPRESS: &str = "
INSERT INTO suppressions (address_hash, channel, reason, source, since)
SELECT m.address_hash, m.channel, j.value ->> 'reason', 'reply',
  CAST(j.value ->> 'now' AS BIGINT)
FROM jsonb_each($1) AS j JOIN messages m ON m.no = CAST(j.value ->> 'no' AS BIGINT)
WHERE CAST(j.value ->> 'suppress' AS BOOLEAN) = TRUE
ON CONFLICT DO NOTHING";

/// Everybody at an address that was just suppressed has to be reached
/// otherwise, whatever order the refused message was about.
const WAKE_SUPPRESSED: &str = "
UPDATE orders SET review_version = review_version + 1, next_review_at = j.now
FROM (SELECT f.id AS contact_id, max(f.now) AS now FROM (
        SELECT k.id, CAST(e.value ->> 'now' AS BIGINT) AS now
        FROM jsonb_each($1) AS e CROSS JOIN messages m CROSS JOIN contacts k
        WHERE m.no = CAST(e.value ->> 'no' AS BIGINT) AND k.email_hash = m.address_hash
          AND CAST(e.value ->> 'suppress' AS BOOLEAN) = TRUE
        UNION
        SELECT k.id, CAST(e.value ->> 'now' AS BIGINT)
        FROM jsonb_each($1) AS e CROSS JOIN messages m CROSS JOIN contacts k
        WHERE m.no = CAST(e.value ->> 'no' AS BIGINT) AND k.phone_hash = m.address_hash
          AND CAST(e.value ->> 'suppress' AS BOOLEAN) = TRUE) AS f
      GROUP BY f.id) AS j
WHERE orders.contact_id = j.contact_id
  -- Said so that no index leads to all that are open.
  AND coalesce(orders.closed_at, 0) = 0";

statements![SUPPRESS, WAKE_SUPPRESSED];

#[derive(Serialize)]
pub(super) struct RecordRow<'a> {
    pub(super) no: i64,
    pub(super) epoch: i64,
    pub(super) worker: String,
    pub(super) now: i64,
    pub(super) state: &'static str,
    pub(super) due_at: Option<i64>,
    pub(super) counted: i64,
    pub(super) doubt: i64,
    pub(super) quiet_until: Option<i64>,
    pub(super) sent_at: Option<i64>,
    pub(super) ended_at: Option<i64>,
    pub(super) in_flight: bool,
    pub(super) in_queue: bool,
    pub(super) wake_at: Option<i64>,
    /// What it told counts, and these are the days by which its orders hear of
    /// us again.
    pub(super) firm: bool,
    pub(super) words: BTreeMap<String, Option<String>>,
    pub(super) suppress: bool,
    /// Why, if so: a word that START lifts, or what the other side said.
    pub(super) reason: &'a str,
    pub(super) outcome: &'static str,
    pub(super) code: Option<u16>,
    pub(super) enhanced: Option<&'a str>,
    pub(super) phase: &'static str,
    pub(super) reply: &'a str,
    pub(super) reference: Option<&'a str>,
    /// Which of several relays answered.
    pub(super) relay: Option<&'a str>,
}

impl RecordRow<'_> {
    /// Takes note of what the database knows of the message: whether it is of
    /// its present mode, and whether nothing happened to the message's orders
    /// but what was foreseen when it was planned. Answers whether they rest: what it
    /// told is all that was owed, and their next look is early enough.
    pub(super) fn may_rest(&mut self, is_in_mode: bool, as_foreseen: bool) -> bool {
        self.firm &= is_in_mode;
        let rests = self.firm && as_foreseen;
        if rests {
            self.wake_at = None;
        }
        rests
    }
}

pub(super) fn record_row<'a>(by: WorkerId, now: Instant, record: &'a Record) -> RecordRow<'a> {
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
        in_flight: false,
        in_queue: false,
        wake_at: Some(now.0),
        firm: false,
        words: BTreeMap::new(),
        suppress: false,
        reason: match &record.outcome {
            Outcome::Refused {
                class: Refusal::OptedOut,
                ..
            } => Stop::OptedOut.as_str(),
            _ => &evidence.text,
        },
        outcome: record.outcome.name(),
        code: evidence.code,
        enhanced: evidence.enhanced.as_deref(),
        phase: evidence.phase.as_str(),
        reply: &evidence.text,
        reference: evidence.reference.as_deref(),
        relay: evidence.relay.as_deref(),
    };
    match &record.landing {
        Landing::Sent => {
            row.state = "sent";
            row.firm = true;
            row.words = (record.facts.orders.iter())
                .map(|order| {
                    let by = order.next_word_by.map(|day| day.to_string());
                    (order.order.0.to_string(), by)
                })
                .collect();
            (row.counted, row.sent_at, row.ended_at) = (1, Some(now.0), Some(now.0));
        }
        Landing::Again { due_at, counts } => {
            row.state = "queued";
            (row.due_at, row.counted, row.in_queue) = (Some(due_at.0), i64::from(*counts), true);
        }
        Landing::Failed { suppress, .. } => {
            row.state = "failed";
            (row.counted, row.ended_at, row.suppress) = (1, Some(now.0), *suppress);
        }
        Landing::InDoubt { quiet_until } => {
            row.state = "in_doubt";
            (row.counted, row.doubt, row.in_flight) = (1, 1, true);
            // What ends the quiet period wakes the order, not the doubt.
            (row.quiet_until, row.wake_at) = (Some(quiet_until.0), None);
        }
    }
    row
}

/// What a recorded attempt has told, if it told anything.
pub(super) fn said<'a>(now: Instant, record: &'a Record) -> Option<Said<'a>> {
    let basis = match record.landing {
        Landing::Sent => Basis::Accepted,
        Landing::InDoubt { .. } => Basis::Possible,
        Landing::Again { .. } | Landing::Failed { .. } => return None,
    };
    Some(Said {
        no: record.no,
        facts: &record.facts,
        basis,
        at: now,
    })
}

/// Puts addresses that were refused for good on the do-not-write list.
pub(super) async fn suppress(c: &mut Conn<'_>, rows: &[RecordRow<'_>]) -> Result<(), sqlx::Error> {
    if rows.iter().any(|row| row.suppress) {
        let document = json(&rows);
        run!(c, SUPPRESS, &document)?;
        run!(c, WAKE_SUPPRESSED, &document)?;
    }
    Ok(())
}
