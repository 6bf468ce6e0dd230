//! What only evidence asks of a message.

use super::{ReadStore, ask};
use crate::domain::ids::MessageNo;
use crate::domain::time::Instant;
use crate::store::codec::instant;
use crate::store::conn::statements;
use crate::store::statement::{column, maybe_row};
use crate::store::types::StoreError;
use serde::Serialize;
use uuid::Uuid;

const PROOF: &str = "
SELECT uid, address_hash, template_version, content_hash, not_after, ended_at, doubts
FROM messages WHERE no = $1";

const ORDER_KEYS: &str = "
SELECT DISTINCT o.order_key FROM notices n JOIN orders o ON o.id = n.order_id
WHERE n.message_no = $1 ORDER BY o.order_key";

/// What triggered it, notice by notice.
const TRIGGERS: &str = "
SELECT kind || ' ' || discriminator FROM notices WHERE message_no = $1 ORDER BY id";

statements![PROOF, ORDER_KEYS, TRIGGERS];

/// Names and fingerprints of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Part of its Message-ID and of keys at gateways; the same in every try.
    pub uid: String,
    #[serde(skip)]
    pub address_hash: String,
    pub template_version: Option<String>,
    /// SHA-256 of what was handed over.
    pub content_hash: Option<String>,
    pub not_after: Instant,
    pub ended_at: Option<Instant>,
    pub doubts: i64,
    #[serde(skip)]
    pub order_keys: Vec<String>,
    /// Kind and what gave cause for it, notice by notice.
    pub triggers: Vec<String>,
}

impl ReadStore {
    /// Names and fingerprints of a message.
    pub async fn proof(&self, no: MessageNo) -> Result<Option<Proof>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            uid: Uuid,
            address_hash: String,
            template_version: Option<String>,
            content_hash: Option<String>,
            not_after: i64,
            ended_at: Option<i64>,
            doubts: i64,
        }
        let found: Option<Row> = ask!(self, "read a message", maybe_row, PROOF, no.0);
        let Some(row) = found else {
            return Ok(None);
        };
        let order_keys: Vec<String> = ask!(self, "read its orders", column, ORDER_KEYS, no.0);
        let triggers: Vec<String> = ask!(self, "read its notices", column, TRIGGERS, no.0);
        Ok(Some(Proof {
            uid: row.uid.simple().to_string(),
            address_hash: row.address_hash,
            template_version: row.template_version,
            content_hash: row.content_hash,
            not_after: Instant(row.not_after),
            ended_at: instant(row.ended_at),
            doubts: row.doubts,
            order_keys,
            triggers,
        }))
    }
}
