//! Receipts: stored first, then applied to their message, in one transaction.
//!
//! What a receipt does is worked out from all receipts of the message
//! ([`consequences`]), so order and repetition do not matter. A receipt waits
//! where nothing can be said yet: its message is unknown (our own record of a
//! gateway's answer may still come), or is being sent at this moment. Whoever
//! looks after the store calls [`apply_waiting`] now and then, with what a
//! reader found ready: what cannot be applied yet costs no transaction.

use super::deliver::TOUCH_DOWN;
use super::operate::suppress;
use super::review::take_back::wake;
use super::untell::{confirm, retract};
use crate::domain::ids::{MessageNo, MessageUid};
use crate::domain::kinds::ChannelName;
use crate::domain::message::MessageState;
use crate::domain::notice_key::Mode;
use crate::domain::outcome::Refusal;
use crate::domain::receipt::{
    Consequences, RAW_KEPT_FOR, Receipt, ReceiptKind, Stop, Subject, ToldEffect,
    are_vague_on_two_days, consequences,
};
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::read::receipts::ReadyReceipt;
use crate::store::statement::{Halt, column, maybe, maybe_row, rows, run, value};
use crate::store::types::StoreError;
use crate::store::write::locks;
use crate::store::writer::Wakes;
use chrono::NaiveDate;

/// Bytes kept of a report as it came; what it says stands at its beginning.
const RAW_BYTES_MAX: usize = 64 * 1024;
/// Reports kept that nobody could read and that belong to no message: anybody
/// can send such mails, and they must not fill the disk.
const UNCLEAR_MAX: i64 = 1_000;
/// Waiting receipts applied in one transaction; the rest comes with the next.
pub const PASS_MAX: u32 = 200;

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

/// As far as they wait still.
const FOUND: &str = "
UPDATE receipts SET message_no = j.no
FROM (SELECT CAST(e.value ->> 'id' AS BIGINT) AS id, CAST(e.value ->> 'message' AS BIGINT) AS no
      FROM jsonb_each($1) AS e) AS j
WHERE receipts.id = j.id AND receipts.waits = TRUE
RETURNING message_no";

const GIVE_UP: &str = "
UPDATE receipts SET waits = FALSE
WHERE waits = TRUE AND message_no IS NULL
  AND id IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)";

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
    FOUND,
    GIVE_UP,
    SUBJECT,
    KINDS,
    VAGUE,
    APPLIED,
    SET_STATE,
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

/// What became of receipts that waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Messages that were told about theirs.
    pub messages: u64,
    /// Receipts given up, because their message did not appear in time.
    pub given_up: u64,
}

impl Applied {
    pub(super) fn wakes(&self) -> Wakes {
        match (self.messages, self.given_up) {
            (0, 0) => Wakes::Unchanged,
            (0, _) => Wakes::Nobody,
            _ => Wakes::Others,
        }
    }
}

/// See [`crate::store::Store::apply_receipts`]. What was found is looked at
/// again: another process may have been faster, and a message may have gone
/// back on its way.
pub async fn apply_waiting(
    c: &mut Conn<'_>,
    ready: &[ReadyReceipt],
    now: Instant,
) -> Result<Applied, Halt> {
    let (found, lapsed): (Vec<&ReadyReceipt>, Vec<&ReadyReceipt>) =
        ready.iter().partition(|receipt| receipt.message.is_some());
    let mut messages: Vec<i64> = found.iter().filter_map(|r| Some(r.message?.0)).collect();
    messages.sort_unstable();
    messages.dedup();
    locks::orders_and_neighbours(c, &messages, &messages).await?;
    let waited: Vec<i64> = column!(c, FOUND, json(&found))?;
    let mut applied = Applied::default();
    for no in messages.into_iter().filter(|no| waited.contains(no)) {
        let taken = apply(c, no, now).await?;
        applied.messages += u64::from(matches!(taken, Taken::Applied(..)));
    }
    if !lapsed.is_empty() {
        let lapsed: Vec<i64> = lapsed.iter().map(|receipt| receipt.id).collect();
        applied.given_up = run!(c, GIVE_UP, json(&lapsed))?;
    }
    Ok(applied)
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
