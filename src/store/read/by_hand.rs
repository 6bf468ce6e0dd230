//! What a person's acts on single messages start from, and what they left.

use super::{ReadStore, ask};
use crate::domain::ids::{MessageNo, MessageUid, OrderId};
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::statements;
use crate::store::statement::{column, rows};
use crate::store::types::{ActRow, StoreError};
use uuid::Uuid;

/// A notice of a message, as far as a resend needs it.
#[derive(Clone, Debug)]
pub struct Origin {
    pub message: MessageNo,
    pub order: OrderId,
    pub discriminator: String,
    /// The highest take of this notice so far.
    pub take: u32,
    /// Where the message went.
    pub address_hash: String,
}

/// What names a message in a relay's log.
#[derive(Clone, Debug)]
pub struct MailName {
    pub no: MessageNo,
    pub uid: MessageUid,
    pub message_id: String,
}

#[derive(sqlx::FromRow)]
struct OriginRow {
    message_no: i64,
    order_id: i64,
    discriminator: String,
    take: i64,
    address_hash: String,
}

const ORIGINS: &str = "
SELECT n.message_no, n.order_id, n.discriminator, m.address_hash,
  (SELECT max(x.take) FROM notices x
    WHERE x.order_id = n.order_id AND x.kind = n.kind AND x.channel = n.channel
      AND x.mode = n.mode AND x.discriminator = n.discriminator) AS take
FROM notices n JOIN messages m ON m.no = n.message_no
WHERE n.message_no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)
ORDER BY n.id";

const RESENDS: &str = "
SELECT no FROM messages WHERE resend_of = $1 ORDER BY no";

const ACTS_ON: &str = "
SELECT actor, verb, why, at FROM audit WHERE target = $1 ORDER BY seq";

const MAIL_NAMES: &str = "
SELECT DISTINCT m.no, m.uid, a.message_id_header
FROM messages m JOIN attempts a ON a.message_no = m.no
WHERE m.no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)
  AND a.message_id_header IS NOT NULL
ORDER BY m.no";

statements![ORIGINS, RESENDS, ACTS_ON, MAIL_NAMES];

fn numbers(messages: &[MessageNo]) -> String {
    json(&messages.iter().map(|no| no.0).collect::<Vec<_>>())
}

impl ReadStore {
    /// The notices of some messages.
    pub async fn origins(&self, messages: &[MessageNo]) -> Result<Vec<Origin>, StoreError> {
        let ids = numbers(messages);
        let found: Vec<OriginRow> = ask!(self, "read notices", rows, ORIGINS, ids);
        Ok(found
            .into_iter()
            .map(|row| Origin {
                message: MessageNo(row.message_no),
                order: OrderId(row.order_id),
                discriminator: row.discriminator,
                take: u32::try_from(row.take).unwrap_or(u32::MAX),
                address_hash: row.address_hash,
            })
            .collect())
    }

    /// The messages by which this one was sent again, oldest first.
    pub async fn resends(&self, of: MessageNo) -> Result<Vec<MessageNo>, StoreError> {
        let found: Vec<i64> = ask!(self, "look for resends", column, RESENDS, of.0);
        Ok(found.into_iter().map(MessageNo).collect())
    }

    /// What people did to a message, oldest first.
    pub async fn acts_on(&self, message: MessageNo) -> Result<Vec<ActRow>, StoreError> {
        type Row = (String, String, Option<String>, i64);
        let target = message.to_string();
        let found: Vec<Row> = ask!(self, "read the audit log", rows, ACTS_ON, target);
        Ok(found
            .into_iter()
            .map(|(by, verb, why, at)| ActRow {
                by,
                verb,
                why,
                at: Instant(at),
            })
            .collect())
    }

    /// How mails are named in the relay's log.
    pub async fn mail_names(&self, messages: &[MessageNo]) -> Result<Vec<MailName>, StoreError> {
        type Row = (i64, Uuid, String);
        let ids = numbers(messages);
        let found: Vec<Row> = ask!(self, "read Message-IDs", rows, MAIL_NAMES, ids);
        Ok(found
            .into_iter()
            .map(|(no, uid, message_id)| MailName {
                no: MessageNo(no),
                uid: MessageUid(uid),
                message_id,
            })
            .collect())
    }
}
