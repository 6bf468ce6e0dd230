//! Histories of an order for `explain`: what was said, what the shop said, what
//! was decided, and rows that were not taken.

use super::{ReadStore, ask};
use crate::domain::feed::{RejectedRow, StoredReject};
use crate::domain::ids::{LineId, MessageNo, OrderId, RunNo};
use crate::domain::notice_key::Mode;
use crate::domain::time::Instant;
use crate::store::codec::eta_from_columns;
use crate::store::conn::statements;
use crate::store::statement::rows;
use crate::store::types::{EtaRow, StoreError, ToldRow, VerdictRow};

const TOLD: &str = "
SELECT t.line_id, t.seq, t.message_no, t.promise_from, t.promise_to, t.basis, t.at
FROM told t JOIN order_lines l ON l.id = t.line_id
WHERE l.order_id = $1 AND t.mode = $2 ORDER BY t.at, t.line_id, t.seq";

const ETAS: &str = "
SELECT h.line_id, h.eta_from, h.eta_to, h.source, h.at
FROM eta_history h JOIN order_lines l ON l.id = h.line_id
WHERE l.order_id = $1 ORDER BY h.at, h.line_id, h.seq";

const VERDICTS: &str = "SELECT at, run_no, verdict FROM verdicts WHERE order_id = $1 ORDER BY id";

const REJECTED: &str = "
SELECT source, at_line, order_number, field, reason, at FROM rejected_rows
WHERE order_number = $1 OR ltrim(order_number, '#0') = ltrim($1, '0')
ORDER BY id DESC LIMIT 20";

const ALL_REJECTED: &str = "
SELECT source, at_line, order_number, field, reason, at FROM rejected_rows
ORDER BY source, id LIMIT $1";

statements![TOLD, ETAS, VERDICTS, REJECTED, ALL_REJECTED];

#[derive(sqlx::FromRow)]
struct Reject {
    source: String,
    at_line: i64,
    order_number: Option<String>,
    field: Option<String>,
    reason: String,
    at: i64,
}

impl Reject {
    fn stored(self) -> StoredReject {
        StoredReject {
            source: self.source,
            row: RejectedRow {
                line: u64::try_from(self.at_line).unwrap_or(0),
                order_number: self.order_number,
                field: self.field,
                reason: self.reason,
            },
            at: Instant(self.at),
        }
    }
}

impl ReadStore {
    /// Rejected rows that name an order.
    pub async fn rejected_rows(&self, number: &str) -> Result<Vec<StoredReject>, StoreError> {
        let bare = number.trim().trim_start_matches('#');
        let found: Vec<Reject> = ask!(self, "search rejected rows", rows, REJECTED, bare);
        Ok(found.into_iter().map(Reject::stored).collect())
    }

    /// Rejected rows of every source's latest file.
    pub async fn all_rejected_rows(&self, limit: u32) -> Result<Vec<StoredReject>, StoreError> {
        let limit = i64::from(limit);
        let found: Vec<Reject> = ask!(self, "list rejected rows", rows, ALL_REJECTED, limit);
        Ok(found.into_iter().map(Reject::stored).collect())
    }

    /// Everything said about an order in one mode, oldest first.
    pub async fn told_history(
        &self,
        order: OrderId,
        mode: Mode,
    ) -> Result<Vec<ToldRow>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            line_id: i64,
            seq: i64,
            message_no: Option<i64>,
            promise_from: Option<String>,
            promise_to: Option<String>,
            basis: String,
            at: i64,
        }
        let found: Vec<Row> = ask!(
            self,
            "read what was said",
            rows,
            TOLD,
            order.0,
            mode.as_str()
        );
        found
            .into_iter()
            .map(|r| {
                Ok(ToldRow {
                    line: LineId(r.line_id),
                    seq: r.seq,
                    message: r.message_no.map(MessageNo),
                    promise: eta_from_columns(r.promise_from, r.promise_to, "told", r.line_id)?,
                    basis: r.basis,
                    mode,
                    at: Instant(r.at),
                })
            })
            .collect()
    }

    /// Dates the shop gave for an order's lines, oldest first.
    pub async fn eta_history(&self, order: OrderId) -> Result<Vec<EtaRow>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            line_id: i64,
            eta_from: Option<String>,
            eta_to: Option<String>,
            source: String,
            at: i64,
        }
        let found: Vec<Row> = ask!(self, "read the dates' history", rows, ETAS, order.0);
        found
            .into_iter()
            .map(|r| {
                Ok(EtaRow {
                    line: LineId(r.line_id),
                    eta: eta_from_columns(r.eta_from, r.eta_to, "eta_history", r.line_id)?,
                    source: r.source,
                    at: Instant(r.at),
                })
            })
            .collect()
    }

    /// An order's verdicts, oldest first.
    pub async fn verdicts(&self, order: OrderId) -> Result<Vec<VerdictRow>, StoreError> {
        let found: Vec<(i64, Option<i64>, String)> =
            ask!(self, "read verdicts", rows, VERDICTS, order.0);
        found
            .into_iter()
            .map(|(at, run, verdict)| {
                let verdict = serde_json::from_str(&verdict).map_err(|_| StoreError::Corrupt {
                    table: "verdicts",
                    row: order.0.to_string(),
                    column: "verdict",
                })?;
                Ok(VerdictRow {
                    at: Instant(at),
                    run: run.map(RunNo),
                    verdict,
                })
            })
            .collect()
    }
}
