//! Lists and histories for people: orders, messages, runs, holds, what was
//! said and what was not.

use super::{ReadStore, reading};
use crate::domain::contact::{EmailAddress, PhoneNumber};
use crate::domain::ids::{LineId, MessageNo, OrderId, RunNo};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::notice_key::Mode;
use crate::domain::statement::MessageFacts;
use crate::domain::time::Instant;
use crate::store::codec::{eta_from_columns, instant};
use crate::store::types::{
    AttemptRow, EtaRow, HoldRow, MessageRow, OrderRow, RunRow, RunState, StoreError, ToldRow,
    VerdictRow,
};

/// Which messages to list; every part narrows.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    pub order: Option<OrderId>,
    pub state: Option<MessageState>,
    pub run: Option<RunNo>,
    pub kind: Option<Kind>,
    pub no: Option<MessageNo>,
}

/// Which orders to list.
#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    /// Also orders that are finished.
    pub all: bool,
    pub sku: Option<String>,
    pub ids: Option<Vec<OrderId>>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunProgress {
    /// Nothing more happens to these now.
    pub ended: usize,
    /// On their way or due in a moment.
    pub due: usize,
    /// Due later.
    pub later: usize,
}

const MESSAGES: &str = "
SELECT m.no, m.channel, m.kind, m.mode, m.state, m.settled_by, m.held, m.run_no, m.planned_at,
  m.due_at, m.sent_at, m.attempts, p.recipient,
  (SELECT group_concat(o.number, ', ') FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = m.no) AS orders,
  (SELECT max(n.milestone_days) FROM notices n WHERE n.message_no = m.no) AS milestone_days,
  (SELECT coalesce(a.code || ' ', '') || coalesce(a.reply, '') FROM attempts a
    WHERE a.message_no = m.no ORDER BY a.no DESC LIMIT 1) AS last_reply
FROM messages m JOIN message_private p ON p.message_no = m.no
WHERE ($1 IS NULL OR m.no IN (SELECT n.message_no FROM notices n WHERE n.order_id = $1))
  AND ($2 IS NULL OR m.state = $2) AND ($3 IS NULL OR m.run_no = $3)
  AND ($4 IS NULL OR m.kind = $4) AND ($5 IS NULL OR m.no = $5)
ORDER BY m.no DESC LIMIT $6";

#[derive(sqlx::FromRow)]
struct RawMessage {
    no: i64,
    channel: String,
    kind: String,
    mode: String,
    state: String,
    settled_by: Option<String>,
    held: bool,
    run_no: Option<i64>,
    planned_at: i64,
    due_at: i64,
    sent_at: Option<i64>,
    attempts: i64,
    recipient: String,
    orders: Option<String>,
    milestone_days: Option<i64>,
    last_reply: Option<String>,
}

const ORDERS: &str = "
SELECT o.id, o.number, o.ordered_on, o.next_review_at, o.last_verdict, o.closed_at IS NOT NULL AS closed,
  coalesce(k.name, '') AS customer,
  count(l.id) AS lines,
  coalesce(sum(max(l.qty_ordered - l.qty_shipped - l.qty_cancelled, 0)), 0) AS waiting,
  max(CASE WHEN l.qty_ordered > l.qty_shipped + l.qty_cancelled THEN l.eta_to END) AS eta,
  coalesce(sum(l.eta_to IS NULL AND l.qty_ordered > l.qty_shipped + l.qty_cancelled), 0) AS undated,
  (SELECT max(m.sent_at) FROM notices n JOIN messages m ON m.no = n.message_no
    WHERE n.order_id = o.id AND m.sent_at IS NOT NULL) AS last_sent_at,
  (SELECT m.kind FROM notices n JOIN messages m ON m.no = n.message_no
    WHERE n.order_id = o.id AND m.sent_at IS NOT NULL ORDER BY m.sent_at DESC LIMIT 1) AS last_kind
FROM orders o JOIN contacts k ON k.id = o.contact_id
LEFT JOIN order_lines l ON l.order_id = o.id AND l.seen_waiting = 1
WHERE ($1 OR o.closed_at IS NULL)
  AND ($2 IS NULL OR o.id IN (SELECT s.order_id FROM order_lines s WHERE s.sku = $2))
  AND ($3 IS NULL OR o.id IN (SELECT value FROM json_each($3)))
GROUP BY o.id ORDER BY o.ordered_on, o.id LIMIT $4";

#[derive(sqlx::FromRow)]
struct RawOrder {
    id: i64,
    number: String,
    ordered_on: String,
    next_review_at: Option<i64>,
    last_verdict: Option<String>,
    closed: bool,
    customer: String,
    lines: i64,
    waiting: i64,
    eta: Option<String>,
    undated: i64,
    last_sent_at: Option<i64>,
    last_kind: Option<String>,
}

impl ReadStore {
    /// Messages, newest first.
    pub async fn messages(
        &self,
        filter: &MessageFilter,
        limit: u32,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let rows: Vec<RawMessage> = sqlx::query_as(MESSAGES)
            .bind(filter.order.map(|o| o.0))
            .bind(filter.state.map(MessageState::as_str))
            .bind(filter.run.map(|r| r.0))
            .bind(filter.kind.map(Kind::as_str))
            .bind(filter.no.map(|no| no.0))
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(reading("list messages"))?;
        rows.into_iter().map(message_row).collect()
    }

    /// What a message states and to whom, for a preview by a person.
    pub async fn message_facts(
        &self,
        no: MessageNo,
    ) -> Result<Option<(String, MessageFacts)>, StoreError> {
        let row: Option<(String, String)> =
            sqlx::query_as("SELECT recipient, facts FROM message_private WHERE message_no = $1")
                .bind(no.0)
                .fetch_optional(&self.pool)
                .await
                .map_err(reading("read a message"))?;
        row.map(|(recipient, facts)| {
            let facts = serde_json::from_str(&facts).map_err(|_| StoreError::Corrupt {
                table: "message_private",
                row: no.to_string(),
                column: "facts",
            })?;
            Ok((recipient, facts))
        })
        .transpose()
    }

    /// What a run's messages state, oldest first.
    pub async fn facts_of_run(
        &self,
        run: RunNo,
        limit: u32,
    ) -> Result<Vec<(MessageNo, MessageFacts)>, StoreError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT m.no, p.facts FROM messages m JOIN message_private p ON p.message_no = m.no \
             WHERE m.run_no = $1 ORDER BY m.no LIMIT $2",
        )
        .bind(run.0)
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(reading("read a run's messages"))?;
        rows.into_iter()
            .map(|(no, facts)| {
                let facts = serde_json::from_str(&facts).map_err(|_| StoreError::Corrupt {
                    table: "message_private",
                    row: no.to_string(),
                    column: "facts",
                })?;
                Ok((MessageNo(no), facts))
            })
            .collect()
    }

    /// A message's tries, first first.
    pub async fn attempts(&self, no: MessageNo) -> Result<Vec<AttemptRow>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            no: i64,
            relay: String,
            message_id_header: Option<String>,
            began_at: i64,
            ended_at: Option<i64>,
            outcome: Option<String>,
            code: Option<i64>,
            enhanced: Option<String>,
            phase: Option<String>,
            reply: Option<String>,
            reference: Option<String>,
        }
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT no, relay, message_id_header, began_at, ended_at, outcome, code, enhanced, \
             phase, reply, reference FROM attempts WHERE message_no = $1 ORDER BY no",
        )
        .bind(no.0)
        .fetch_all(&self.pool)
        .await
        .map_err(reading("read a message's attempts"))?;
        Ok(rows
            .into_iter()
            .map(|r| AttemptRow {
                no: r.no,
                relay: r.relay,
                message_id: r.message_id_header,
                began_at: Instant(r.began_at),
                ended_at: instant(r.ended_at),
                outcome: r.outcome,
                code: r.code,
                enhanced: r.enhanced,
                phase: r.phase,
                reply: r.reply,
                reference: r.reference,
            })
            .collect())
    }

    /// Orders, oldest first.
    pub async fn orders(
        &self,
        filter: &OrderFilter,
        limit: u32,
    ) -> Result<Vec<OrderRow>, StoreError> {
        let ids = filter
            .ids
            .as_ref()
            .map(|ids| crate::store::codec::json(&ids.iter().map(|o| o.0).collect::<Vec<_>>()));
        let rows: Vec<RawOrder> = sqlx::query_as(ORDERS)
            .bind(filter.all)
            .bind(&filter.sku)
            .bind(ids)
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(reading("list orders"))?;
        rows.into_iter()
            .map(|row| {
                let corrupt = |column| StoreError::Corrupt {
                    table: "orders",
                    row: row.id.to_string(),
                    column,
                };
                Ok(OrderRow {
                    id: OrderId(row.id),
                    ordered_on: row.ordered_on.parse().map_err(|_| corrupt("ordered_on"))?,
                    eta: row
                        .eta
                        .filter(|_| row.undated == 0)
                        .and_then(|day| day.parse().ok()),
                    number: row.number,
                    customer: row.customer,
                    waiting: row.waiting,
                    lines: row.lines,
                    last_sent_at: instant(row.last_sent_at),
                    last_kind: row.last_kind,
                    verdict: row.last_verdict,
                    next_review_at: instant(row.next_review_at),
                    closed: row.closed,
                })
            })
            .collect()
    }

    /// Finds orders by number (`#1042`, `01042` and `1042` alike), by the
    /// shop's order id, or by a contact's keyed address hash.
    pub async fn find_orders(
        &self,
        text: &str,
        address_hash: Option<&str>,
    ) -> Result<Vec<OrderId>, StoreError> {
        let bare = text.trim().trim_start_matches('#');
        let ids: Vec<i64> = sqlx::query_scalar(
            "SELECT o.id FROM orders o WHERE o.id IN ( \
               SELECT id FROM orders WHERE number = $1 \
               UNION SELECT id FROM orders WHERE ltrim(number, '#0') = ltrim($2, '0') \
               UNION SELECT id FROM orders \
                 WHERE shop_id IN (SELECT id FROM shops) AND order_key = $1 \
               UNION SELECT p.id FROM contacts k JOIN orders p ON p.contact_id = k.id \
                 WHERE k.email_hash = $3 OR k.phone_hash = $3) \
             ORDER BY (o.number = $1) DESC, o.id LIMIT 50",
        )
        .bind(text.trim())
        .bind(bare)
        .bind(address_hash)
        .fetch_all(&self.pool)
        .await
        .map_err(reading("find an order"))?;
        Ok(ids.into_iter().map(OrderId).collect())
    }

    /// Orders with something still to come whose customer has heard nothing
    /// since `since` (nor was first seen after it): number and the last word,
    /// longest silence first.
    pub async fn silent_orders(
        &self,
        mode: Mode,
        since: Instant,
        limit: u32,
    ) -> Result<Vec<(String, Instant)>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT o.number, max(o.first_seen_at, coalesce((SELECT max(m.sent_at) \
               FROM notices n JOIN messages m ON m.no = n.message_no \
               WHERE n.order_id = o.id AND m.mode = $1), 0)) AS last_word \
             FROM orders o WHERE o.closed_at IS NULL AND o.first_seen_at < $2 AND EXISTS \
             (SELECT 1 FROM order_lines l WHERE l.order_id = o.id AND l.seen_waiting = 1 \
              AND l.qty_ordered > l.qty_shipped + l.qty_cancelled) \
             AND last_word < $2 ORDER BY last_word, o.id LIMIT $3",
        )
        .bind(mode.as_str())
        .bind(since.0)
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(reading("look for long silences"))?;
        Ok(rows
            .into_iter()
            .map(|(number, at)| (number, Instant(at)))
            .collect())
    }

    /// Rejected rows that name an order: (source, line, reason, when).
    pub async fn rejected_rows(
        &self,
        number: &str,
    ) -> Result<Vec<(String, i64, String, Instant)>, StoreError> {
        let bare = number.trim().trim_start_matches('#');
        let rows: Vec<(String, i64, String, i64)> = sqlx::query_as(
            "SELECT source, at_line, reason, at FROM rejected_rows \
             WHERE order_number = $1 OR ltrim(order_number, '#0') = ltrim($1, '0') \
             ORDER BY id DESC LIMIT 20",
        )
        .bind(bare)
        .fetch_all(&self.pool)
        .await
        .map_err(reading("search rejected rows"))?;
        Ok(rows
            .into_iter()
            .map(|(s, l, r, at)| (s, l, r, Instant(at)))
            .collect())
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
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT t.line_id, t.seq, t.message_no, t.promise_from, t.promise_to, t.basis, t.at \
             FROM told t JOIN order_lines l ON l.id = t.line_id \
             WHERE l.order_id = $1 AND t.mode = $2 ORDER BY t.at, t.line_id, t.seq",
        )
        .bind(order.0)
        .bind(mode.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(reading("read what was said"))?;
        rows.into_iter()
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
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT h.line_id, h.eta_from, h.eta_to, h.source, h.at \
             FROM eta_history h JOIN order_lines l ON l.id = h.line_id \
             WHERE l.order_id = $1 ORDER BY h.at, h.line_id, h.seq",
        )
        .bind(order.0)
        .fetch_all(&self.pool)
        .await
        .map_err(reading("read the dates' history"))?;
        rows.into_iter()
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
        let rows: Vec<(i64, Option<i64>, String)> = sqlx::query_as(
            "SELECT at, run_no, verdict FROM verdicts WHERE order_id = $1 ORDER BY id",
        )
        .bind(order.0)
        .fetch_all(&self.pool)
        .await
        .map_err(reading("read verdicts"))?;
        rows.into_iter()
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

    /// Runs, newest first.
    pub async fn runs(&self, only: Option<RunNo>, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            no: i64,
            job: String,
            mode: String,
            state: String,
            started_at: i64,
            orders: i64,
            messages: i64,
            by: String,
            why: Option<String>,
            states: Option<String>,
        }
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT r.no, r.job, r.mode, r.state, r.started_at, r.orders, r.messages, r.by, r.why, \
             (SELECT json_group_object(s.state, s.n) FROM (SELECT m.state, count(*) AS n \
               FROM messages m WHERE m.run_no = r.no GROUP BY m.state) s) AS states \
             FROM runs r WHERE ($1 IS NULL OR r.no = $1) ORDER BY r.no DESC LIMIT $2",
        )
        .bind(only.map(|r| r.0))
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(reading("list runs"))?;
        rows.into_iter()
            .map(|r| {
                let corrupt = |column| StoreError::Corrupt {
                    table: "runs",
                    row: r.no.to_string(),
                    column,
                };
                Ok(RunRow {
                    no: RunNo(r.no),
                    mode: Mode::parse(&r.mode).ok_or_else(|| corrupt("mode"))?,
                    state: RunState::parse(&r.state).ok_or_else(|| corrupt("state"))?,
                    states: r
                        .states
                        .as_deref()
                        .and_then(|s| serde_json::from_str(s).ok())
                        .unwrap_or_default(),
                    job: r.job,
                    started_at: Instant(r.started_at),
                    orders: r.orders,
                    messages: r.messages,
                    by: r.by,
                    why: r.why,
                })
            })
            .collect()
    }

    /// How far a run's messages are, counted in the database.
    pub async fn run_progress(&self, run: RunNo, soon: Instant) -> Result<RunProgress, StoreError> {
        let (ended, due, later): (Option<i64>, Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT sum(state NOT IN ('queued', 'leased', 'submitting')), \
             sum(state IN ('leased', 'submitting') OR (state = 'queued' AND held = 0 AND due_at <= $2)), \
             sum(state = 'queued' AND held = 0 AND due_at > $2) FROM messages WHERE run_no = $1",
        )
        .bind(run.0)
        .bind(soon.0)
        .fetch_one(&self.pool)
        .await
        .map_err(reading("look at a run"))?;
        let count = |n: Option<i64>| usize::try_from(n.unwrap_or(0)).unwrap_or(0);
        Ok(RunProgress {
            ended: count(ended),
            due: count(due),
            later: count(later),
        })
    }

    /// The held run that still collects, if it began after `since`.
    pub async fn held_run_since(&self, since: Instant) -> Result<Option<RunNo>, StoreError> {
        let no: Option<i64> = sqlx::query_scalar(
            "SELECT no FROM runs WHERE state = 'held' AND started_at > $1 ORDER BY no DESC LIMIT 1",
        )
        .bind(since.0)
        .fetch_optional(&self.pool)
        .await
        .map_err(reading("look for a held run"))?;
        Ok(no.map(RunNo))
    }

    /// All holds, oldest first.
    pub async fn holds(&self) -> Result<Vec<HoldRow>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            scope: String,
            key: String,
            by: String,
            why: String,
            since: i64,
            until: Option<i64>,
        }
        let rows: Vec<Row> =
            sqlx::query_as("SELECT scope, key, by, why, since, until FROM holds ORDER BY id")
                .fetch_all(&self.pool)
                .await
                .map_err(reading("list holds"))?;
        Ok(rows
            .into_iter()
            .map(|r| HoldRow {
                scope: r.scope,
                key: r.key,
                by: r.by,
                why: r.why,
                since: Instant(r.since),
                until: instant(r.until),
            })
            .collect())
    }

    /// Sources with when they were last read: (name, kind, when, rows).
    pub async fn sources(&self) -> Result<Vec<(String, String, Option<Instant>, i64)>, StoreError> {
        let rows: Vec<(String, String, Option<i64>, i64)> =
            sqlx::query_as("SELECT name, kind, last_ok_at, rows_read FROM sources ORDER BY name")
                .fetch_all(&self.pool)
                .await
                .map_err(reading("list sources"))?;
        Ok(rows
            .into_iter()
            .map(|(n, k, at, rows)| (n, k, instant(at), rows))
            .collect())
    }

    /// Open orders whose last verdict waits for a person: (order, number,
    /// customer, verdicts).
    pub async fn orders_with_verdicts(
        &self,
        codes: &[&str],
    ) -> Result<Vec<(OrderId, String, String)>, StoreError> {
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT o.id, o.number, o.last_verdict FROM orders o \
             WHERE o.closed_at IS NULL AND o.last_verdict IS NOT NULL AND EXISTS \
             (SELECT 1 FROM json_each(o.last_verdict) v WHERE v.value -> 'reason' ->> 'code' IN \
              (SELECT value FROM json_each($1))) ORDER BY o.id LIMIT 1000",
        )
        .bind(crate::store::codec::json(&codes))
        .fetch_all(&self.pool)
        .await
        .map_err(reading("list what waits for a person"))?;
        Ok(rows
            .into_iter()
            .map(|(id, n, v)| (OrderId(id), n, v))
            .collect())
    }
}

fn message_row(row: RawMessage) -> Result<MessageRow, StoreError> {
    let corrupt = |column| StoreError::Corrupt {
        table: "messages",
        row: row.no.to_string(),
        column,
    };
    Ok(MessageRow {
        no: MessageNo(row.no),
        channel: ChannelName::parse(&row.channel).ok_or_else(|| corrupt("channel"))?,
        kind: Kind::parse(&row.kind).ok_or_else(|| corrupt("kind"))?,
        mode: Mode::parse(&row.mode).ok_or_else(|| corrupt("mode"))?,
        state: MessageState::parse(&row.state).ok_or_else(|| corrupt("state"))?,
        orders: row
            .orders
            .map(|o| o.split(", ").map(str::to_owned).collect())
            .unwrap_or_default(),
        recipient: masked(&row.recipient),
        settled_by: row.settled_by,
        held: row.held,
        run: row.run_no.map(RunNo),
        planned_at: Instant(row.planned_at),
        due_at: Instant(row.due_at),
        sent_at: instant(row.sent_at),
        attempts: row.attempts,
        milestone_days: row.milestone_days.and_then(|d| u32::try_from(d).ok()),
        last_reply: row.last_reply.filter(|r| !r.trim().is_empty()),
    })
}

fn masked(recipient: &str) -> String {
    if let Ok(email) = EmailAddress::parse(recipient) {
        return email.masked();
    }
    PhoneNumber::parse(recipient, None).map_or_else(|_| "hidden".to_owned(), |p| p.masked())
}
