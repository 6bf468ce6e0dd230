//! Lists for people: orders and messages.

use super::{ReadStore, ask};
use crate::domain::contact::{EmailAddress, PhoneNumber};
use crate::domain::ids::{MessageNo, OrderId, RunNo};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::notice_key::Mode;
use crate::domain::reason::Verdict;
use crate::domain::statement::MessageFacts;
use crate::domain::time::Instant;
use crate::store::codec::{instant, json};
use crate::store::conn::statements;
use crate::store::statement::{column, maybe_row, rows};
use crate::store::types::{AttemptRow, MessageRow, OrderRow, StoreError};

/// Which messages to list; every part narrows.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    pub order: Option<OrderId>,
    pub state: Option<MessageState>,
    pub run: Option<RunNo>,
    pub kind: Option<Kind>,
    pub no: Option<MessageNo>,
    pub channel: Option<ChannelName>,
    /// About an order with this SKU.
    pub sku: Option<String>,
    /// Sent (or planned, where it was not) at this moment or later.
    pub since: Option<Instant>,
    pub mode: Option<Mode>,
}

/// Which orders to list.
#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    /// Also orders that are finished.
    pub all: bool,
    pub sku: Option<String>,
    pub ids: Option<Vec<OrderId>>,
}

const MESSAGES: &str = "
SELECT m.no, m.channel, m.kind, m.mode, m.state, m.settled_by, m.held, m.run_no, m.planned_at,
  m.due_at, m.not_after, m.sent_at, m.attempts, m.resend_of, p.recipient,
  (SELECT string_agg(o.number, ', ' ORDER BY n.id) FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = m.no) AS orders,
  (SELECT max(n.milestone_days) FROM notices n WHERE n.message_no = m.no) AS milestone_days,
  (SELECT coalesce(CAST(a.code AS TEXT) || ' ', '') || coalesce(a.reply, '') FROM attempts a
    WHERE a.message_no = m.no ORDER BY a.no DESC LIMIT 1) AS last_reply
FROM messages m JOIN message_private p ON p.message_no = m.no
WHERE (CAST($1 AS BIGINT) IS NULL
    OR m.no IN (SELECT n.message_no FROM notices n WHERE n.order_id = $1))
  AND (CAST($2 AS TEXT) IS NULL OR m.state = $2)
  AND (CAST($3 AS BIGINT) IS NULL OR m.run_no = $3)
  AND (CAST($4 AS TEXT) IS NULL OR m.kind = $4)
  AND (CAST($5 AS BIGINT) IS NULL OR m.no = $5)
  AND (CAST($7 AS TEXT) IS NULL OR m.channel = $7)
  AND (CAST($8 AS TEXT) IS NULL OR EXISTS
    (SELECT 1 FROM notices n JOIN order_lines l ON l.order_id = n.order_id
     WHERE n.message_no = m.no AND l.sku = $8))
  AND (CAST($9 AS BIGINT) IS NULL OR coalesce(m.sent_at, m.planned_at) >= $9)
  AND (CAST($10 AS TEXT) IS NULL OR m.mode = $10)
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
    not_after: i64,
    sent_at: Option<i64>,
    attempts: i64,
    resend_of: Option<i64>,
    recipient: String,
    orders: Option<String>,
    milestone_days: Option<i64>,
    last_reply: Option<String>,
}

const ORDERS: &str = "
SELECT o.id, o.number, o.ordered_on, o.next_review_at, o.last_verdict,
  o.closed_at IS NOT NULL AS closed,
  EXISTS (SELECT 1 FROM notices n JOIN messages m ON m.no = n.message_no
    WHERE n.order_id = o.id AND n.rests_at + 1 = o.review_version
      AND m.state IN ('sent', 'delivered')) AS rests,
  coalesce(max(k.name), '') AS customer,
  count(l.id) AS lines,
  CAST(coalesce(sum(CASE WHEN l.qty_ordered > l.qty_shipped + l.qty_cancelled
    THEN l.qty_ordered - l.qty_shipped - l.qty_cancelled END), 0) AS BIGINT) AS waiting,
  max(CASE WHEN l.qty_ordered > l.qty_shipped + l.qty_cancelled THEN l.eta_to END) AS eta,
  count(CASE WHEN l.eta_to IS NULL AND l.qty_ordered > l.qty_shipped + l.qty_cancelled
    THEN 1 END) AS undated,
  (SELECT max(m.sent_at) FROM notices n JOIN messages m ON m.no = n.message_no
    WHERE n.order_id = o.id AND m.sent_at IS NOT NULL) AS last_sent_at,
  (SELECT m.kind FROM notices n JOIN messages m ON m.no = n.message_no
    WHERE n.order_id = o.id AND m.sent_at IS NOT NULL ORDER BY m.sent_at DESC LIMIT 1) AS last_kind
FROM orders o JOIN contacts k ON k.id = o.contact_id
LEFT JOIN order_lines l ON l.order_id = o.id AND l.seen_waiting = TRUE
WHERE ($1 OR o.closed_at IS NULL)
  AND (CAST($2 AS TEXT) IS NULL
    OR o.id IN (SELECT s.order_id FROM order_lines s WHERE s.sku = $2))
  AND (CAST($3 AS TEXT) IS NULL
    OR o.id IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($3) AS e))
GROUP BY o.id ORDER BY o.ordered_on, o.id LIMIT $4";

#[derive(sqlx::FromRow)]
struct RawOrder {
    id: i64,
    number: String,
    ordered_on: String,
    next_review_at: Option<i64>,
    last_verdict: Option<String>,
    closed: bool,
    rests: bool,
    customer: String,
    lines: i64,
    waiting: i64,
    eta: Option<String>,
    undated: i64,
    last_sent_at: Option<i64>,
    last_kind: Option<String>,
}

const FACTS: &str = "SELECT recipient, facts FROM message_private WHERE message_no = $1";

const FACTS_OF_RUN: &str = "
SELECT m.no, p.facts FROM messages m JOIN message_private p ON p.message_no = m.no
WHERE m.run_no = $1 ORDER BY m.no LIMIT $2";

const ATTEMPTS: &str = "
SELECT no, relay, message_id_header, began_at, ended_at, outcome, code, enhanced, phase, reply,
  reference
FROM attempts WHERE message_no = $1 ORDER BY no";

const FIND: &str = "
SELECT o.id FROM orders o WHERE o.id IN (
  SELECT id FROM orders WHERE number = $1
  UNION SELECT id FROM orders WHERE ltrim(number, '#0') = ltrim($2, '0')
  UNION SELECT id FROM orders WHERE shop_id IN (SELECT id FROM shops) AND order_key = $1
  UNION SELECT p.id FROM contacts k JOIN orders p ON p.contact_id = k.id
    WHERE k.email_hash = $3 OR k.phone_hash = $3)
ORDER BY (o.number = $1) DESC, o.id LIMIT 50";

const SILENT: &str = "
SELECT w.number, w.last_word FROM (
  SELECT s.id, s.number,
    CASE WHEN s.sent_at > s.first_seen_at THEN s.sent_at ELSE s.first_seen_at END AS last_word
  FROM (
    SELECT o.id, o.number, o.first_seen_at,
      (SELECT max(m.sent_at) FROM notices n JOIN messages m ON m.no = n.message_no
        WHERE n.order_id = o.id AND m.mode = $1) AS sent_at
    FROM orders o WHERE o.closed_at IS NULL AND o.first_seen_at < $2 AND EXISTS
      (SELECT 1 FROM order_lines l WHERE l.order_id = o.id AND l.seen_waiting = TRUE
       AND l.qty_ordered > l.qty_shipped + l.qty_cancelled)) AS s) AS w
WHERE w.last_word < $2 ORDER BY w.last_word, w.id LIMIT $3";

const WITH_VERDICTS: &str = "
SELECT o.id, o.number, o.last_verdict FROM orders o
WHERE o.closed_at IS NULL AND o.last_verdict IS NOT NULL AND EXISTS
  (SELECT 1 FROM jsonb_each(o.last_verdict) AS v WHERE v.value -> 'reason' ->> 'code' IN
    (SELECT CAST(e.atom AS TEXT) FROM jsonb_each($1) AS e))
ORDER BY o.id LIMIT 1000";

statements![
    MESSAGES,
    ORDERS,
    FACTS,
    FACTS_OF_RUN,
    ATTEMPTS,
    FIND,
    SILENT,
    WITH_VERDICTS,
];

fn facts_of(no: MessageNo, facts: &str) -> Result<MessageFacts, StoreError> {
    serde_json::from_str(facts).map_err(|_| StoreError::Corrupt {
        table: "message_private",
        row: no.to_string(),
        column: "facts",
    })
}

impl ReadStore {
    /// Messages, newest first.
    pub async fn messages(
        &self,
        filter: &MessageFilter,
        limit: u32,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let found: Vec<RawMessage> = ask!(
            self,
            "list messages",
            rows,
            MESSAGES,
            filter.order.map(|o| o.0),
            filter.state.map(MessageState::as_str),
            filter.run.map(|r| r.0),
            filter.kind.map(Kind::as_str),
            filter.no.map(|no| no.0),
            i64::from(limit),
            filter.channel.map(ChannelName::as_str),
            &filter.sku,
            filter.since.map(|since| since.0),
            filter.mode.map(Mode::as_str)
        );
        found.into_iter().map(message_row).collect()
    }

    /// What a message states and to whom, for a preview by a person.
    pub async fn message_facts(
        &self,
        no: MessageNo,
    ) -> Result<Option<(String, MessageFacts)>, StoreError> {
        let found: Option<(String, String)> = ask!(self, "read a message", maybe_row, FACTS, no.0);
        found
            .map(|(recipient, facts)| Ok((recipient, facts_of(no, &facts)?)))
            .transpose()
    }

    /// What a run's messages state, oldest first.
    pub async fn facts_of_run(
        &self,
        run: RunNo,
        limit: u32,
    ) -> Result<Vec<(MessageNo, MessageFacts)>, StoreError> {
        let found: Vec<(i64, String)> = ask!(
            self,
            "read a run's messages",
            rows,
            FACTS_OF_RUN,
            run.0,
            i64::from(limit)
        );
        found
            .into_iter()
            .map(|(no, facts)| Ok((MessageNo(no), facts_of(MessageNo(no), &facts)?)))
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
        let found: Vec<Row> = ask!(self, "read a message's attempts", rows, ATTEMPTS, no.0);
        Ok(found
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
            .map(|ids| json(&ids.iter().map(|o| o.0).collect::<Vec<_>>()));
        let found: Vec<RawOrder> = ask!(
            self,
            "list orders",
            rows,
            ORDERS,
            filter.all,
            &filter.sku,
            ids,
            i64::from(limit)
        );
        found
            .into_iter()
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
                    // What a look at it would find, which nobody had to take.
                    verdict: match row.rests {
                        true => Some(json(&[Verdict::nothing_new()])),
                        false => row.last_verdict,
                    },
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
        let ids: Vec<i64> = ask!(
            self,
            "find an order",
            column,
            FIND,
            text.trim(),
            bare,
            address_hash
        );
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
        let found: Vec<(String, i64)> = ask!(
            self,
            "look for long silences",
            rows,
            SILENT,
            mode.as_str(),
            since.0,
            i64::from(limit)
        );
        Ok(found
            .into_iter()
            .map(|(number, at)| (number, Instant(at)))
            .collect())
    }

    /// Open orders whose last verdict waits for a person: (order, number,
    /// customer, verdicts).
    pub async fn orders_with_verdicts(
        &self,
        codes: &[&str],
    ) -> Result<Vec<(OrderId, String, String)>, StoreError> {
        let found: Vec<(i64, String, String)> = ask!(
            self,
            "list what waits for a person",
            rows,
            WITH_VERDICTS,
            json(&codes)
        );
        Ok(found
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
        not_after: Instant(row.not_after),
        sent_at: instant(row.sent_at),
        attempts: row.attempts,
        resend_of: row.resend_of.map(MessageNo),
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
