//! What came back: the receipts of a message, mails nobody could read, and
//! what somebody is still owed because a message came back.

use super::{ReadStore, ask};
use crate::domain::ids::MessageNo;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::notice_key::Mode;
use crate::domain::receipt::{PARKED_FOR, ReceiptKind};
use crate::domain::time::Instant;
use crate::store::conn::statements;
use crate::store::statement::{maybe_row, rows, value};
use crate::store::types::StoreError;
use serde::Serialize;

const WAITS: &str = "SELECT EXISTS (SELECT 1 FROM receipts WHERE waits = TRUE)";

/// Of the receipts that wait, those that wait no longer: about a message that
/// may hear of them ([`crate::domain::receipt::consequences`] says which may
/// not), or about none since `$1`. A gateway may use an id again after years:
/// the latest is meant.
const READY: &str = "
SELECT w.id, m.no FROM (
  SELECT r.id, r.at, CASE WHEN r.message_uid IS NOT NULL
      THEN (SELECT x.no FROM messages x WHERE x.uid = r.message_uid)
      ELSE (SELECT max(a.message_no) FROM attempts a
        WHERE a.reference = r.reference AND a.relay = r.relay) END AS message_no
  FROM receipts r WHERE r.waits = TRUE) AS w
LEFT JOIN messages m ON m.no = w.message_no
WHERE CASE WHEN m.no IS NULL THEN w.at < $1
    WHEN m.state = 'queued' THEN m.doubts > 0
    ELSE m.state NOT IN ('leased', 'submitting') END
  AND w.id > $3
ORDER BY w.id LIMIT $2";

const OF_MESSAGE: &str = "
SELECT kind, at, source, code, enhanced, reply FROM receipts
WHERE message_no = $1 AND kind <> 'unclear' ORDER BY at, id";

const UNCLEAR: &str = "
SELECT id, at, reply, message_no FROM receipts WHERE kind = 'unclear' ORDER BY id DESC LIMIT $1";

const RAW: &str = "
SELECT r.id, r.at, r.reply, r.message_no, p.raw FROM receipts r
JOIN receipt_private p ON p.receipt_id = r.id WHERE r.id = $1 AND r.kind = 'unclear'";

/// Came back, and nothing went out about the order since or waits to.
const CAME_BACK: &str = "
SELECT m.no, m.kind, m.channel, m.not_after, o.number,
  (SELECT max(r.kind) FROM receipts r WHERE r.message_no = m.no AND r.kind LIKE 'failed%') AS why
FROM messages m JOIN notices n ON n.message_no = m.no JOIN orders o ON o.id = n.order_id
WHERE m.state = 'bounced' AND m.mode = $1 AND o.closed_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM notices x JOIN messages y ON y.no = x.message_no
    WHERE x.order_id = n.order_id AND x.mode = n.mode AND x.message_no <> m.no
      AND y.planned_at >= m.planned_at
      AND y.state IN ('queued', 'leased', 'submitting', 'in_doubt', 'sent', 'delivered'))
ORDER BY m.not_after, m.no LIMIT $2";

statements![WAITS, READY, OF_MESSAGE, UNCLEAR, RAW, CAME_BACK];

/// A receipt that waits no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ReadyReceipt {
    pub id: i64,
    /// Who is to hear of it; `None`: it waited for too long.
    pub message: Option<MessageNo>,
}

/// A receipt of a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReceiptRow {
    pub kind: ReceiptKind,
    pub at: Instant,
    /// Who brought it.
    pub source: String,
    pub code: Option<i64>,
    pub enhanced: Option<String>,
    /// Words of the other side, without addresses.
    pub reply: String,
}

/// A mail at the bounce address that nobody could read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnclearRow {
    pub id: i64,
    pub at: Instant,
    pub why: String,
    pub message: Option<MessageNo>,
}

/// Such a mail as it came: customers' addresses and words are in it.
#[derive(Clone)]
pub struct UnclearMail {
    pub row: UnclearRow,
    pub raw: Vec<u8>,
}

/// A message that came back, and nobody has said it otherwise since.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CameBackRow {
    pub no: MessageNo,
    pub kind: Kind,
    pub channel: ChannelName,
    pub order: String,
    /// Until when it would have been true.
    pub not_after: Instant,
    pub why: Option<ReceiptKind>,
}

impl ReadStore {
    /// Whether a receipt waits for its message: a look at an index.
    pub async fn receipts_wait(&self) -> Result<bool, StoreError> {
        Ok(ask!(self, "look for receipts that wait", value, WAITS))
    }

    /// Receipts that waited and can be applied, or are to be given up, at
    /// `now`; the first `limit` of them behind the receipt `after`.
    pub async fn ready_receipts(
        &self,
        now: Instant,
        after: i64,
        limit: u32,
    ) -> Result<Vec<ReadyReceipt>, StoreError> {
        let since = now.minus(PARKED_FOR).0;
        let found: Vec<(i64, Option<i64>)> = ask!(
            self,
            "look for receipts that can be applied",
            rows,
            READY,
            since,
            i64::from(limit),
            after
        );
        let ready = found.into_iter().map(|(id, message)| ReadyReceipt {
            id,
            message: message.map(MessageNo),
        });
        Ok(ready.collect())
    }

    /// Everything reported about a message, oldest first.
    pub async fn receipts(&self, no: MessageNo) -> Result<Vec<ReceiptRow>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            kind: String,
            at: i64,
            source: String,
            code: Option<i64>,
            enhanced: Option<String>,
            reply: String,
        }
        let found: Vec<Row> = ask!(self, "read receipts", rows, OF_MESSAGE, no.0);
        found
            .into_iter()
            .map(|row| {
                Ok(ReceiptRow {
                    kind: ReceiptKind::parse(&row.kind).ok_or_else(|| StoreError::Corrupt {
                        table: "receipts",
                        row: no.to_string(),
                        column: "kind",
                    })?,
                    at: Instant(row.at),
                    source: row.source,
                    code: row.code,
                    enhanced: row.enhanced,
                    reply: row.reply,
                })
            })
            .collect()
    }

    /// Mails nobody could read, newest first.
    pub async fn unclear_mails(&self, limit: u32) -> Result<Vec<UnclearRow>, StoreError> {
        let found: Vec<(i64, i64, String, Option<i64>)> =
            ask!(self, "list unclear mails", rows, UNCLEAR, i64::from(limit));
        Ok(found
            .into_iter()
            .map(|(id, at, why, message)| UnclearRow {
                id,
                at: Instant(at),
                why,
                message: message.map(MessageNo),
            })
            .collect())
    }

    /// A mail nobody could read, as it came, while it is kept.
    pub async fn unclear_mail(&self, id: i64) -> Result<Option<UnclearMail>, StoreError> {
        type Row = (i64, i64, String, Option<i64>, Vec<u8>);
        let found: Option<Row> = ask!(self, "read an unclear mail", maybe_row, RAW, id);
        Ok(found.map(|(id, at, why, message, raw)| UnclearMail {
            row: UnclearRow {
                id,
                at: Instant(at),
                why,
                message: message.map(MessageNo),
            },
            raw,
        }))
    }

    /// Messages of a mode that came back and were not said otherwise, the most
    /// pressing first.
    pub async fn came_back(&self, mode: Mode, limit: u32) -> Result<Vec<CameBackRow>, StoreError> {
        type Row = (i64, String, String, i64, String, Option<String>);
        let found: Vec<Row> = ask!(
            self,
            "list what came back",
            rows,
            CAME_BACK,
            mode.as_str(),
            i64::from(limit)
        );
        found
            .into_iter()
            .map(|(no, kind, channel, not_after, order, why)| {
                let corrupt = |column| StoreError::Corrupt {
                    table: "messages",
                    row: no.to_string(),
                    column,
                };
                Ok(CameBackRow {
                    no: MessageNo(no),
                    kind: Kind::parse(&kind).ok_or_else(|| corrupt("kind"))?,
                    channel: ChannelName::parse(&channel).ok_or_else(|| corrupt("channel"))?,
                    order,
                    not_after: Instant(not_after),
                    why: why.as_deref().and_then(ReceiptKind::parse),
                })
            })
            .collect()
    }
}
