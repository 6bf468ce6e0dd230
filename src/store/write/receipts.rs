//! Receipts: stored first, then applied to their message, in one transaction.
//!
//! What a receipt does is worked out from all receipts of the message
//! ([`consequences`]), so order and repetition do not matter. A receipt waits
//! where nothing can be said yet: its message is unknown (our own record of a
//! gateway's answer may still come), or is being sent at this moment. Whoever
//! looks after the store calls [`apply_waiting`] now and then.

use super::deliver::TOUCH_DOWN;
use super::deliver::told::{Said, write_told};
use super::operate::suppress;
use super::review::take_back::wake;
use crate::domain::ids::{MessageNo, MessageUid};
use crate::domain::kinds::ChannelName;
use crate::domain::message::MessageState;
use crate::domain::notice_key::Mode;
use crate::domain::outcome::Refusal;
use crate::domain::receipt::{
    Consequences, PARKED_FOR, RAW_KEPT_FOR, Receipt, ReceiptKind, Stop, Subject, ToldEffect,
    are_vague_on_two_days, consequences,
};
use crate::domain::statement::MessageFacts;
use crate::domain::time::Instant;
use crate::domain::told::Basis;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::statement::{Halt, column, maybe, maybe_row, rows, run, value};
use crate::store::types::StoreError;
use crate::store::write::locks;
use chrono::NaiveDate;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Bytes kept of a report as it came; what it says stands at its beginning.
const RAW_BYTES_MAX: usize = 64 * 1024;
/// Reports kept that nobody could read and that belong to no message: anybody
/// can send such mails, and they must not fill the disk.
const UNCLEAR_MAX: i64 = 1_000;
/// Waiting receipts looked at in one transaction.
const BATCH: i64 = 200;

/// How a report names its message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// By our own id.
    Message(MessageUid),
    /// By the id a relay or gateway gave it.
    Reference { relay: String, reference: String },
}

/// A report that was read.
#[derive(Clone, Debug)]
pub struct NewReceipt {
    pub about: About,
    pub receipt: Receipt,
    /// Who brought it: `mail`, or the gateway's name. Stored with a
    /// suppression.
    pub source: &'static str,
    /// As it came, for a person who wants to look.
    pub raw: Option<Vec<u8>>,
}

/// A mail at the bounce address that nobody could read.
#[derive(Clone, Debug)]
pub struct UnclearMail {
    pub uid: Option<MessageUid>,
    pub event_key: String,
    pub why: &'static str,
    pub raw: Vec<u8>,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Its message is now in this state.
    Applied(MessageNo, MessageState),
    /// Its message is being sent: applied when that has ended.
    Waits(MessageNo),
    /// Nobody knows its message yet.
    Parked,
    /// It was here before.
    Known,
}

const BY_UID: &str = "SELECT no FROM messages WHERE uid = $1";

/// A gateway may use an id again after years: the latest is meant.
const BY_REFERENCE: &str = "
SELECT message_no FROM attempts WHERE reference = $1 AND relay = $2
ORDER BY message_no DESC LIMIT 1";

const STORE: &str = "
INSERT INTO receipts (event_key, message_uid, relay, reference, message_no, kind, rank, at, source,
  code, enhanced, reply, waits)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, TRUE)
ON CONFLICT (event_key) DO NOTHING RETURNING id";

const COUNT_UNCLEAR: &str = "
SELECT count(*) FROM receipts WHERE kind = 'unclear' AND message_no IS NULL";

const STORE_UNCLEAR: &str = "
INSERT INTO receipts (event_key, message_uid, message_no, kind, rank, at, source, reply, waits)
VALUES ($1, $2, $3, 'unclear', 0, $4, 'mail', $5, FALSE)
ON CONFLICT (event_key) DO NOTHING RETURNING id";

const STORE_RAW: &str = "
INSERT INTO receipt_private (receipt_id, raw) VALUES ($1, $2)";

const WAITING: &str = "
SELECT id, message_uid, relay, reference, at FROM receipts WHERE waits = TRUE AND id > $1
ORDER BY id LIMIT $2";

const FOUND: &str = "
UPDATE receipts SET message_no = $2 WHERE id = $1 AND message_no IS NULL";

const GIVE_UP: &str = "
UPDATE receipts SET waits = FALSE WHERE id = $1 AND message_no IS NULL";

const SUBJECT: &str = "
SELECT channel, state, doubts, mode, address_hash FROM messages WHERE no = $1";

const KINDS: &str = "
SELECT kind, source FROM receipts WHERE message_no = $1 AND kind <> 'unclear' ORDER BY id";

/// Vague failures of mail to the same address.
const VAGUE: &str = "
SELECT r.at FROM receipts r JOIN messages m ON m.no = r.message_no
WHERE r.kind = 'failed_vague' AND m.address_hash = $1 AND m.channel = $2 AND m.mode = 'live'
ORDER BY r.at DESC LIMIT 50";

const APPLIED: &str = "
UPDATE receipts SET waits = FALSE WHERE message_no = $1 AND waits = TRUE";

const SET_STATE: &str = "
UPDATE messages SET state = $2, quiet_until = NULL, ended_at = coalesce(ended_at, $4),
  sent_at = CASE WHEN sent_at IS NULL AND $5 THEN $4 ELSE sent_at END,
  settled_by = CASE WHEN $3 IN ('in_doubt', 'queued') THEN 'receipt' ELSE settled_by END
WHERE no = $1 AND state = $3";

/// Lines about which something was said after this message said something.
const SAID_SINCE: &str = "
SELECT DISTINCT later.line_id FROM told mine
JOIN told later ON later.line_id = mine.line_id AND later.seq > mine.seq
WHERE mine.message_no = $1
  AND (later.message_no IS NULL OR later.message_no <> mine.message_no)";

const FACTS: &str = "SELECT facts FROM message_private WHERE message_no = $1";

/// What other messages told about the same orders and still counts.
const STILL_SAID: &str = "
SELECT p.message_no, p.facts FROM message_private p
WHERE p.message_no IN (
  SELECT o.message_no FROM notices mine
  JOIN notices o ON o.order_id = mine.order_id AND o.mode = mine.mode
    AND o.message_no <> mine.message_no
  JOIN messages m ON m.no = o.message_no
  WHERE mine.message_no = $1 AND m.state IN ('sent', 'delivered'))
ORDER BY p.message_no";

const RETRACT: &str = "
INSERT INTO told (line_id, seq, message_no, promise_from, promise_to, eta_from, eta_to, basis,
  mode, at)
SELECT t.line_id, l.told_seq + 1, t.message_no, t.promise_from, t.promise_to, t.eta_from, t.eta_to,
  'retracted', t.mode, CAST($2 AS BIGINT)
FROM told t JOIN order_lines l ON l.id = t.line_id
WHERE t.message_no = $1 AND t.basis <> 'retracted'
  AND t.seq = (SELECT max(x.seq) FROM told x
    WHERE x.line_id = t.line_id AND x.message_no = t.message_no)";

const COUNT_RETRACTED: &str = "
UPDATE order_lines SET told_seq = told_seq + 1
WHERE id IN (SELECT t.line_id FROM told t WHERE t.message_no = $1 AND t.basis = 'retracted')
  AND EXISTS (SELECT 1 FROM told t
    WHERE t.line_id = order_lines.id AND t.seq = order_lines.told_seq + 1)";

/// A message of the rehearsal after the shop went live: what it told was
/// forgotten then, and what counts as told since has nothing to do with it.
const IS_OF_THE_REHEARSAL: &str = "
SELECT EXISTS (SELECT 1 FROM messages m CROSS JOIN meta present
  WHERE m.no = $1 AND present.name = 'mode' AND present.value <> m.mode)";

/// Only as far as this message had raised them.
const UNTELL: &str = "
UPDATE order_lines AS l SET
  qty_shipped_told = CASE WHEN l.qty_shipped_told <= j.shipped AND l.qty_shipped_told > j.shipped_to
    THEN j.shipped_to ELSE l.qty_shipped_told END,
  qty_cancelled_told = CASE WHEN l.qty_cancelled_told <= j.cancelled
      AND l.qty_cancelled_told > j.cancelled_to
    THEN j.cancelled_to ELSE l.qty_cancelled_told END
FROM (SELECT CAST(e.value ->> 'line' AS BIGINT) AS line,
        CAST(e.value ->> 'shipped' AS BIGINT) AS shipped,
        CAST(e.value ->> 'shipped_to' AS BIGINT) AS shipped_to,
        CAST(e.value ->> 'cancelled' AS BIGINT) AS cancelled,
        CAST(e.value ->> 'cancelled_to' AS BIGINT) AS cancelled_to
      FROM json_each($1) AS e) AS j
WHERE l.id = j.line";

const PARCELS_TOLD: &str = "SELECT order_id, key FROM shipments WHERE told_message = $1";

const UNTELL_PARCEL: &str = "
UPDATE shipments SET told_message = $3 WHERE order_id = $1 AND key = $2";

const FORGET_RAW: &str = "
DELETE FROM receipt_private
WHERE receipt_id IN (SELECT r.id FROM receipts r WHERE r.at < $1)";

const FORGET: &str = "
DELETE FROM receipts WHERE at < $1 AND (message_no IS NULL OR kind = 'unclear')";

statements![
    BY_UID,
    BY_REFERENCE,
    STORE,
    COUNT_UNCLEAR,
    STORE_UNCLEAR,
    STORE_RAW,
    WAITING,
    FOUND,
    GIVE_UP,
    SUBJECT,
    KINDS,
    VAGUE,
    APPLIED,
    SET_STATE,
    SAID_SINCE,
    FACTS,
    STILL_SAID,
    RETRACT,
    COUNT_RETRACTED,
    IS_OF_THE_REHEARSAL,
    UNTELL,
    PARCELS_TOLD,
    UNTELL_PARCEL,
    FORGET_RAW,
    FORGET,
];

/// See [`crate::store::Store::take_receipt`].
pub async fn take(c: &mut Conn<'_>, new: &NewReceipt, now: Instant) -> Result<Taken, Halt> {
    let no = find(c, &new.about).await?;
    if let Some(no) = no {
        locks::orders_and_neighbours(c, &[no], &[no]).await?;
    }
    let (uid, relay, reference) = match &new.about {
        About::Message(uid) => (Some(uid.0), None, None),
        About::Reference { relay, reference } => (None, Some(relay), Some(reference)),
    };
    let Receipt {
        event_key,
        kind,
        at,
        evidence,
    } = &new.receipt;
    let stored: Option<i64> = maybe!(
        c,
        STORE,
        event_key,
        uid,
        relay,
        reference,
        no,
        kind.as_str(),
        // Of both channels' ranks the mail's, until the message says which.
        i64::from(kind.rank(ChannelName::Email)),
        at.0,
        new.source,
        evidence.code.map(i64::from),
        evidence.enhanced.as_deref(),
        &evidence.text,
    )?;
    let Some(id) = stored else {
        return Ok(Taken::Known);
    };
    if let Some(raw) = &new.raw {
        keep_raw(c, id, raw).await?;
    }
    match no {
        Some(no) => apply(c, no, now).await,
        None => Ok(Taken::Parked),
    }
}

/// See [`crate::store::Store::set_mail_aside`].
pub async fn set_aside(c: &mut Conn<'_>, mail: &UnclearMail, now: Instant) -> Result<bool, Halt> {
    let uid = mail.uid.map(|uid| uid.0);
    let no: Option<i64> = match uid {
        Some(uid) => maybe!(c, BY_UID, uid)?,
        None => None,
    };
    let of_no_message: i64 = value!(c, COUNT_UNCLEAR)?;
    if no.is_none() && of_no_message >= UNCLEAR_MAX {
        return Ok(false);
    }
    let stored: Option<i64> = maybe!(c, STORE_UNCLEAR, &mail.event_key, uid, no, now.0, mail.why,)?;
    if let Some(id) = stored {
        keep_raw(c, id, &mail.raw).await?;
    }
    Ok(stored.is_some())
}

async fn keep_raw(c: &mut Conn<'_>, id: i64, raw: &[u8]) -> Result<(), sqlx::Error> {
    let kept = raw[..raw.len().min(RAW_BYTES_MAX)].to_vec();
    run!(c, STORE_RAW, id, &kept)?;
    Ok(())
}

async fn find(c: &mut Conn<'_>, about: &About) -> Result<Option<i64>, sqlx::Error> {
    match about {
        About::Message(uid) => maybe!(c, BY_UID, uid.0),
        About::Reference { relay, reference } => maybe!(c, BY_REFERENCE, reference, relay),
    }
}

#[derive(sqlx::FromRow)]
struct WaitingRow {
    id: i64,
    message_uid: Option<Uuid>,
    relay: Option<String>,
    reference: Option<String>,
    at: i64,
}

impl WaitingRow {
    fn about(&self) -> Option<About> {
        match (self.message_uid, &self.relay, &self.reference) {
            (Some(uid), _, _) => Some(About::Message(MessageUid(uid))),
            (None, Some(relay), Some(reference)) => Some(About::Reference {
                relay: relay.clone(),
                reference: reference.clone(),
            }),
            _ => None,
        }
    }
}

/// See [`crate::store::Store::apply_receipts`].
pub async fn apply_waiting(c: &mut Conn<'_>, now: Instant) -> Result<u64, Halt> {
    let mut applied = 0;
    let mut after = 0;
    loop {
        let waiting: Vec<WaitingRow> = rows!(c, WAITING, after, BATCH)?;
        let Some(last) = waiting.last() else {
            return Ok(applied);
        };
        after = last.id;
        let mut found = Vec::new();
        for row in &waiting {
            let no = match row.about() {
                Some(about) => find(c, &about).await?,
                None => None,
            };
            match no {
                Some(no) => found.push((row.id, no)),
                None if row.at < now.minus(PARKED_FOR).0 => {
                    run!(c, GIVE_UP, row.id)?;
                }
                None => {}
            }
        }
        let messages: Vec<i64> = found.iter().map(|(_, no)| *no).collect();
        locks::orders_and_neighbours(c, &messages, &messages).await?;
        let mut done = HashSet::new();
        for (id, no) in found {
            run!(c, FOUND, id, no)?;
            if done.insert(no) && matches!(apply(c, no, now).await?, Taken::Applied(..)) {
                applied += 1;
            }
        }
    }
}

/// See [`crate::store::Store::forget_reports`].
pub async fn forget(c: &mut Conn<'_>, now: Instant) -> Result<u64, Halt> {
    let before = now.minus(RAW_KEPT_FOR).0;
    let raw = run!(c, FORGET_RAW, before)?;
    run!(c, FORGET, before)?;
    Ok(raw)
}

#[derive(sqlx::FromRow)]
struct SubjectRow {
    channel: String,
    state: String,
    doubts: i64,
    mode: String,
    address_hash: String,
}

/// Applies all receipts of a message whose orders are locked.
async fn apply(c: &mut Conn<'_>, no: i64, now: Instant) -> Result<Taken, Halt> {
    let row: Option<SubjectRow> = maybe_row!(c, SUBJECT, no)?;
    let Some(row) = row else {
        return Ok(Taken::Parked);
    };
    let corrupt = |column| StoreError::Corrupt {
        table: "messages",
        row: no.to_string(),
        column,
    };
    let subject = Subject {
        channel: ChannelName::parse(&row.channel).ok_or_else(|| corrupt("channel"))?,
        state: MessageState::parse(&row.state).ok_or_else(|| corrupt("state"))?,
        doubts: u32::try_from(row.doubts).unwrap_or(u32::MAX),
    };
    let stored: Vec<(String, String)> = rows!(c, KINDS, no)?;
    let receipts: Vec<(ReceiptKind, String)> = stored
        .into_iter()
        .filter_map(|(kind, source)| Some((ReceiptKind::parse(&kind)?, source)))
        .collect();
    let kinds: Vec<ReceiptKind> = receipts.iter().map(|(kind, _)| *kind).collect();
    let Some(follows) = consequences(subject, &kinds) else {
        return Ok(Taken::Waits(MessageNo(no)));
    };
    let changes = change_state(c, no, subject.state, &follows, now).await?;
    match follows.told {
        ToldEffect::Nothing => {}
        ToldEffect::Confirm => confirm(c, no, now).await?,
        ToldEffect::Retract => retract(c, no, now).await?,
    }
    // A sandbox message went to the sandbox: its customer's address is fine.
    if Mode::parse(&row.mode) == Some(Mode::Live) {
        stop_address(c, &row, subject.channel, &receipts, follows.suppress, now).await?;
    }
    if changes || follows.told != ToldEffect::Nothing {
        wake(c, &[no], now).await?;
    }
    run!(c, APPLIED, no)?;
    Ok(Taken::Applied(MessageNo(no), follows.state))
}

/// Puts the address on the do-not-write list if the receipts of the message
/// say so, or if a vague one is the second of its kind.
async fn stop_address(
    c: &mut Conn<'_>,
    row: &SubjectRow,
    channel: ChannelName,
    receipts: &[(ReceiptKind, String)],
    stop: Option<Stop>,
    now: Instant,
) -> Result<(), Halt> {
    let vague = ReceiptKind::Failed(Refusal::HardAfterTwoDays);
    let of = |wanted: &dyn Fn(ReceiptKind) -> bool| {
        let mut found = receipts.iter().filter(|(kind, _)| wanted(*kind));
        found.next().map(|(_, source)| source.as_str())
    };
    let (stop, source) = match (stop, of(&|kind| kind == vague)) {
        (Some(stop), _) => (stop, of(&|kind| kind.stops() == Some(stop))),
        (None, Some(source)) => {
            let hash = &row.address_hash;
            let at: Vec<i64> = column!(c, VAGUE, hash, channel.as_str())?;
            let days: Vec<NaiveDate> = at
                .into_iter()
                .map(|at| Instant(at).day_in(chrono_tz::UTC))
                .collect();
            if !are_vague_on_two_days(&days) {
                return Ok(());
            }
            (Stop::Dead, Some(source))
        }
        (None, None) => return Ok(()),
    };
    let (hash, source) = (&row.address_hash, source.unwrap_or("receipt"));
    suppress(c, hash, channel, stop.as_str(), source, now).await
}

async fn change_state(
    c: &mut Conn<'_>,
    no: i64,
    before: MessageState,
    follows: &Consequences,
    now: Instant,
) -> Result<bool, Halt> {
    let after = follows.state;
    if before == after {
        return Ok(false);
    }
    let (to, from) = (after.as_str(), before.as_str());
    run!(c, SET_STATE, no, to, from, now.0, after.is_sent())?;
    if matches!(before, MessageState::InDoubt | MessageState::Queued) {
        run!(c, TOUCH_DOWN, json(&[no]), false)?;
    }
    Ok(true)
}

async fn facts_of(c: &mut Conn<'_>, no: i64) -> Result<Option<MessageFacts>, Halt> {
    let facts: Option<String> = maybe!(c, FACTS, no)?;
    facts.map(|text| read_facts(no, &text)).transpose()
}

fn read_facts(no: i64, text: &str) -> Result<MessageFacts, Halt> {
    serde_json::from_str(text).map_err(|_| {
        Halt::Found(StoreError::Corrupt {
            table: "message_private",
            row: no.to_string(),
            column: "facts",
        })
    })
}

/// It was said after all. Where something newer was said about an order, that
/// told the whole order and stays what is believed.
pub(super) async fn confirm(c: &mut Conn<'_>, no: i64, now: Instant) -> Result<(), Halt> {
    let Some(mut facts) = facts_of(c, no).await? else {
        return Ok(());
    };
    let newer: Vec<i64> = column!(c, SAID_SINCE, no)?;
    facts
        .orders
        .retain(|order| !order.lines.iter().any(|line| newer.contains(&line.line.0)));
    let said = Said {
        no: MessageNo(no),
        facts: &facts,
        basis: Basis::Accepted,
        at: now,
    };
    Ok(write_told(c, &[said]).await?)
}

#[derive(Serialize)]
struct UntoldRow {
    line: i64,
    shipped: i64,
    shipped_to: i64,
    cancelled: i64,
    cancelled_to: i64,
}

/// It was not said: its entries do not count, and neither do the quantities
/// and parcels that only it reported.
pub(super) async fn retract(c: &mut Conn<'_>, no: i64, now: Instant) -> Result<(), Halt> {
    run!(c, RETRACT, no, now.0)?;
    run!(c, COUNT_RETRACTED, no)?;
    let rehearsed: bool = value!(c, IS_OF_THE_REHEARSAL, no)?;
    if rehearsed {
        return Ok(());
    }
    let Some(facts) = facts_of(c, no).await? else {
        return Ok(());
    };
    let others: Vec<(i64, String)> = rows!(c, STILL_SAID, no)?;
    let others = others
        .iter()
        .map(|(other, text)| Ok((*other, read_facts(*other, text)?)))
        .collect::<Result<Vec<(i64, MessageFacts)>, Halt>>()?;
    let mut told_by_others: HashMap<i64, (i64, i64)> = HashMap::new();
    for line in others
        .iter()
        .flat_map(|(_, f)| &f.orders)
        .flat_map(|o| &o.lines)
    {
        let told = told_by_others.entry(line.line.0).or_default();
        told.0 = told.0.max(line.shipped.0);
        told.1 = told.1.max(line.cancelled.0);
    }
    let untold: Vec<UntoldRow> = facts
        .orders
        .iter()
        .flat_map(|order| &order.lines)
        .map(|line| {
            let (shipped, cancelled) = told_by_others.get(&line.line.0).copied().unwrap_or((0, 0));
            UntoldRow {
                line: line.line.0,
                shipped: line.shipped.0,
                shipped_to: (line.shipped.0 - line.shipped_now.0).max(shipped),
                cancelled: line.cancelled.0,
                cancelled_to: (line.cancelled.0 - line.cancelled_now.0).max(cancelled),
            }
        })
        .collect();
    run!(c, UNTELL, json(&untold))?;
    let parcels: Vec<(i64, String)> = rows!(c, PARCELS_TOLD, no)?;
    for (order, key) in parcels {
        let told_by = others.iter().rev().find(|(_, facts)| {
            facts
                .orders
                .iter()
                .filter(|o| o.order.0 == order)
                .any(|o| o.shipments.iter().any(|parcel| parcel.key == key))
        });
        run!(
            c,
            UNTELL_PARCEL,
            order,
            &key,
            told_by.map(|(other, _)| *other)
        )?;
    }
    Ok(())
}
