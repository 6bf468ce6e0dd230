//! What became of a message after it was handed over, and what followed: its
//! receipts, the ledger, the do-not-write list, what was planned instead.

use super::receipts::ReceiptRow;
use super::{ReadStore, ask};
use crate::domain::ids::MessageNo;
use crate::domain::kinds::ChannelName;
use crate::domain::message::MessageState;
use crate::domain::time::Instant;
use crate::store::conn::statements;
use crate::store::statement::{maybe_row, rows, value};
use crate::store::types::StoreError;
use serde::Serialize;

const RETRACTED: &str = "
SELECT EXISTS (SELECT 1 FROM told t WHERE t.message_no = $1 AND t.basis = 'retracted'
  AND NOT EXISTS (SELECT 1 FROM told x
    WHERE x.line_id = t.line_id AND x.message_no = t.message_no AND x.seq > t.seq))";

const STOPPED: &str = "
SELECT s.reason, s.source, s.since FROM messages m
JOIN suppressions s ON s.address_hash = m.address_hash AND s.channel = m.channel
WHERE m.no = $1";

/// What was planned about the same orders after it came back.
const INSTEAD: &str = "
SELECT DISTINCT y.no, y.channel, y.state FROM notices n
JOIN notices x ON x.order_id = n.order_id AND x.mode = n.mode AND x.message_no > n.message_no
JOIN messages y ON y.no = x.message_no
WHERE n.message_no = $1 AND y.planned_at >= $2
  AND y.state IN ('queued', 'leased', 'submitting', 'in_doubt', 'sent', 'delivered')
ORDER BY y.no LIMIT 20";

/// Open orders it was about: about the others nobody is owed a word.
const OPEN: &str = "
SELECT EXISTS (SELECT 1 FROM notices n JOIN orders o ON o.id = n.order_id
  WHERE n.message_no = $1 AND o.closed_at IS NULL)";

statements![RETRACTED, STOPPED, INSTEAD, OPEN];

/// The address of a message is not written to any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stopped {
    pub reason: String,
    pub source: String,
    pub since: Instant,
}

/// A message that says what another one could not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instead {
    pub message: MessageNo,
    pub channel: ChannelName,
    pub state: MessageState,
}

/// What became of a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Aftermath {
    /// Everything reported about it, oldest first.
    pub receipts: Vec<ReceiptRow>,
    /// What it said counts as not said.
    pub is_retracted: bool,
    pub stopped: Option<Stopped>,
    /// Newer messages about its orders; only of one that came back.
    pub instead: Vec<Instead>,
    /// It came back, nothing says it otherwise, and an order waits.
    pub waits_for_a_person: bool,
}

impl Aftermath {
    pub fn is_empty(&self) -> bool {
        self.receipts.is_empty() && !self.is_retracted
    }
}

impl ReadStore {
    /// What became of a message in this state after it was handed over.
    pub async fn aftermath(
        &self,
        no: MessageNo,
        state: MessageState,
    ) -> Result<Aftermath, StoreError> {
        let receipts = self.receipts(no).await?;
        let is_retracted: bool = ask!(self, "read the ledger", value, RETRACTED, no.0);
        let came_back = state == MessageState::Bounced;
        let mut found = Aftermath {
            is_retracted,
            ..Aftermath::default()
        };
        if !receipts.is_empty() || came_back {
            let stopped: Option<(String, String, i64)> =
                ask!(self, "read the do-not-write list", maybe_row, STOPPED, no.0);
            found.stopped = stopped.map(|(reason, source, since)| Stopped {
                reason,
                source,
                since: Instant(since),
            });
        }
        if came_back {
            let back_at = receipts.iter().map(|r| r.at.0).min().unwrap_or(i64::MIN);
            let instead: Vec<(i64, String, String)> =
                ask!(self, "read what came instead", rows, INSTEAD, no.0, back_at);
            found.instead = instead
                .into_iter()
                .filter_map(|(no, channel, state)| {
                    Some(Instead {
                        message: MessageNo(no),
                        channel: ChannelName::parse(&channel)?,
                        state: MessageState::parse(&state)?,
                    })
                })
                .collect();
            let is_open: bool = ask!(self, "look for open orders", value, OPEN, no.0);
            found.waits_for_a_person = is_open && found.instead.is_empty();
        }
        found.receipts = receipts;
        Ok(found)
    }
}
