//! Reading orders the way the planner wants them.
//!
//! A batch of orders is read with a handful of set-wise queries over one
//! snapshot; the cost is that of the orders asked for, never of all that are
//! open.

use super::mirror::ContactRow;
use super::{ReadStore, ask, reading};
use crate::domain::contact::parse_zone;
use crate::domain::ids::{ContactId, LineId, MessageNo, OrderId};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::notice_key::Mode;
use crate::domain::order::{EtaOrigin, Line, Order, PastNotice, Pause, Shipment, Situation};
use crate::domain::quantity::Quantity;
use crate::domain::time::{Instant, Length};
use crate::domain::told::{Basis, Told};
use crate::store::codec::{day_from_column, eta_from_columns, instant, json};
use crate::store::conn::statements;
use crate::store::statement::{column, rows};
use crate::store::types::StoreError;
use std::collections::HashMap;

/// A contact's hashes, for whoever writes messages.
#[derive(Clone, Debug, Default)]
pub struct AddressHashes {
    pub email: Option<String>,
    pub phone: Option<String>,
}

/// An order's situation and what only the outbox needs.
#[derive(Clone, Debug)]
pub struct ReadSituation {
    pub situation: Situation,
    pub hashes: AddressHashes,
}

#[derive(sqlx::FromRow)]
struct OrderRow {
    id: i64,
    order_key: String,
    number: String,
    contact_id: i64,
    ordered_on: String,
    zone_used: String,
    first_seen_at: i64,
    adopted_at: Option<i64>,
    fact_version: i64,
    review_version: i64,
    view_url: Option<String>,
    cancel_url: Option<String>,
    next_word_by: Option<String>,
    customer_deleted: bool,
    email_hash: Option<String>,
    phone_hash: Option<String>,
    #[sqlx(flatten)]
    contact: ContactRow,
}

const ORDERS: &str = "
SELECT o.id, o.order_key, o.number, o.contact_id, o.ordered_on, o.zone_used, o.first_seen_at,
  o.adopted_at, o.fact_version, o.review_version, o.view_url, o.cancel_url, o.next_word_by,
  o.customer_deleted, k.email_hash, k.phone_hash, k.name, k.email, k.phone, k.sms_consent, k.preferred, k.locale,
  k.zone, k.country
FROM orders o JOIN contacts k ON k.id = o.contact_id
WHERE o.id IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e) ORDER BY o.id";

#[derive(sqlx::FromRow)]
struct LineRow {
    id: i64,
    order_id: i64,
    line_key: String,
    sku: Option<String>,
    name: String,
    qty_ordered: i64,
    qty_shipped: i64,
    qty_cancelled: i64,
    qty_shipped_told: i64,
    qty_cancelled_told: i64,
    shipped_changed_at: Option<i64>,
    cancelled_changed_at: Option<i64>,
    eta_from: Option<String>,
    eta_to: Option<String>,
    eta_origin: String,
    eta_changed_at: i64,
    reason: Option<String>,
    first_seen_at: i64,
    missing_since: Option<i64>,
}

const LINES: &str = "
SELECT id, order_id, line_key, sku, name, qty_ordered, qty_shipped, qty_cancelled,
  qty_shipped_told, qty_cancelled_told, shipped_changed_at, cancelled_changed_at, eta_from, eta_to,
  eta_origin, eta_changed_at, reason, first_seen_at, missing_since
FROM order_lines WHERE seen_waiting = TRUE AND order_id IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)
ORDER BY id";

#[derive(sqlx::FromRow)]
struct ToldRow {
    line_id: i64,
    seq: i64,
    message_no: Option<i64>,
    promise_from: Option<String>,
    promise_to: Option<String>,
    eta_from: Option<String>,
    eta_to: Option<String>,
    basis: String,
    at: i64,
}

const TOLD: &str = "
SELECT t.line_id, t.seq, t.message_no, t.promise_from, t.promise_to, t.eta_from, t.eta_to,
  t.basis, t.at
FROM jsonb_each($1) AS e CROSS JOIN order_lines l CROSS JOIN told t
WHERE l.order_id = CAST(e.atom AS BIGINT) AND t.line_id = l.id AND t.mode = $2
ORDER BY t.line_id, t.seq";

#[derive(sqlx::FromRow)]
struct ShipmentRow {
    order_id: i64,
    key: String,
    carrier: Option<String>,
    numbers: String,
    url: Option<String>,
    estimate_on: Option<String>,
}

const SHIPMENTS: &str = "
SELECT order_id, key, carrier, numbers, url, estimate_on FROM shipments
WHERE told_message IS NULL AND order_id IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)
ORDER BY order_id, key";

#[derive(sqlx::FromRow)]
struct NoticeRow {
    order_id: i64,
    message_no: i64,
    kind: String,
    channel: String,
    discriminator: String,
    key: Option<String>,
    again: bool,
    fact_version: i64,
    facts_hash: String,
    state: String,
    in_queue: bool,
    in_flight: bool,
    milestone_days: Option<i64>,
    due_at: i64,
    not_after: i64,
    sent_at: Option<i64>,
    elsewhere: bool,
}

const NOTICES: &str = "
SELECT n.order_id, n.message_no, n.kind, n.channel, n.discriminator, n.key, n.fact_version,
  n.facts_hash, m.state, n.take > 0 OR m.doubts > 0 AS again, n.in_queue, n.in_flight,
  n.milestone_days, m.due_at, m.not_after, m.sent_at,
  m.address_hash IS DISTINCT FROM
    CASE n.channel WHEN 'email' THEN k.email_hash ELSE k.phone_hash END AS elsewhere
FROM notices n JOIN messages m ON m.no = n.message_no JOIN orders o ON o.id = n.order_id
JOIN contacts k ON k.id = o.contact_id
WHERE n.order_id IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e) AND n.mode = $2 AND n.key IS NOT NULL
ORDER BY n.message_no";

const PAUSES: &str = "
SELECT v.order_id, h.scope, h.why, h.until
FROM held_orders v JOIN holds h ON h.id = v.hold_id
WHERE v.order_id IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e) ORDER BY h.id";

const SUPPRESSED: &str = "
SELECT k.id, s.channel FROM contacts k JOIN suppressions s
  ON (s.channel = 'email' AND s.address_hash = k.email_hash)
  OR (s.channel = 'sms' AND s.address_hash = k.phone_hash)
WHERE k.id IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)";

const COURTESIES: &str = "
SELECT m.contact_id, m.sent_at FROM messages m
WHERE m.contact_id IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e) AND m.mode = $2 AND m.sent_at > $3
  AND m.kind IN ('date_set', 'sooner', 'update') AND m.state IN ('sent', 'delivered')
ORDER BY m.sent_at";

const DUE: &str =
    "SELECT id FROM orders WHERE next_review_at <= $1 ORDER BY next_review_at, id LIMIT $2";
const OPEN: &str = "SELECT id FROM orders WHERE closed_at IS NULL AND id > $1 ORDER BY id LIMIT $2";

statements![
    ORDERS, LINES, TOLD, SHIPMENTS, NOTICES, PAUSES, SUPPRESSED, COURTESIES, DUE, OPEN,
];

impl ReadStore {
    /// Orders due for review at `now`, longest due first, at most `limit`.
    pub async fn due_orders(&self, now: Instant, limit: u32) -> Result<Vec<OrderId>, StoreError> {
        let ids: Vec<i64> = ask!(
            self,
            "look for due orders",
            column,
            DUE,
            now.0,
            i64::from(limit)
        );
        Ok(ids.into_iter().map(OrderId).collect())
    }

    /// Open orders after `after`, in order of their row numbers.
    pub async fn open_orders(
        &self,
        after: OrderId,
        limit: u32,
    ) -> Result<Vec<OrderId>, StoreError> {
        let ids: Vec<i64> = ask!(
            self,
            "list open orders",
            column,
            OPEN,
            after.0,
            i64::from(limit)
        );
        Ok(ids.into_iter().map(OrderId).collect())
    }

    /// The situations of some orders in one mode, in order of their row
    /// numbers; orders that do not exist are absent. Read from one snapshot.
    pub async fn situations(
        &self,
        orders: &[OrderId],
        mode: Mode,
        now: Instant,
    ) -> Result<Vec<ReadSituation>, StoreError> {
        let doing = reading("read orders for review");
        let ids = json(&orders.iter().map(|o| o.0).collect::<Vec<_>>());
        let mut snapshot = self.snapshot().await.map_err(&doing)?;
        let c = &mut snapshot.conn();
        let orders: Vec<OrderRow> = rows!(c, ORDERS, &ids).map_err(&doing)?;
        // Each once, whatever was asked for.
        let ids = json(&orders.iter().map(|o| o.id).collect::<Vec<_>>());
        let contacts = json(&orders.iter().map(|o| o.contact_id).collect::<Vec<_>>());
        let lines: Vec<LineRow> = rows!(c, LINES, &ids).map_err(&doing)?;
        let told: Vec<ToldRow> = rows!(c, TOLD, &ids, mode.as_str()).map_err(&doing)?;
        let shipments: Vec<ShipmentRow> = rows!(c, SHIPMENTS, &ids).map_err(&doing)?;
        let notices: Vec<NoticeRow> = rows!(c, NOTICES, &ids, mode.as_str()).map_err(&doing)?;
        let pauses: Vec<(i64, String, String, Option<i64>)> =
            rows!(c, PAUSES, &ids).map_err(&doing)?;
        let suppressed: Vec<(i64, String)> = rows!(c, SUPPRESSED, &contacts).map_err(&doing)?;
        let since = now.minus(Length::days(14)).0;
        let courtesies: Vec<(i64, i64)> =
            rows!(c, COURTESIES, &contacts, mode.as_str(), since).map_err(&doing)?;
        snapshot.end().await.map_err(&doing)?;

        let mut told_by_line = group(told, |t| t.line_id);
        let mut lines = group(lines, |l| l.order_id);
        let mut shipments = group(shipments, |s| s.order_id);
        let mut notices = group(notices, |n| n.order_id);
        let mut pauses = group(pauses, |p| p.0);
        let suppressed = group(suppressed, |s| s.0);
        let courtesies = group(courtesies, |c| c.0);
        orders
            .into_iter()
            .map(|row| {
                let (id, contact_id) = (row.id, row.contact_id);
                let lines = lines.remove(&id).unwrap_or_default();
                // The one that lasts longest; one without an end lasts for ever.
                let pause = pauses
                    .remove(&id)
                    .unwrap_or_default()
                    .into_iter()
                    .rev()
                    .max_by_key(|(_, _, _, until)| until.unwrap_or(i64::MAX));
                let hashes = AddressHashes {
                    email: row.email_hash.clone(),
                    phone: row.phone_hash.clone(),
                };
                let situation = Situation {
                    order: order(row)?,
                    lines: lines
                        .into_iter()
                        .map(|l| {
                            let told = told_by_line.remove(&l.id).unwrap_or_default();
                            line(l, told)
                        })
                        .collect::<Result<_, _>>()?,
                    untold_shipments: shipments
                        .remove(&id)
                        .unwrap_or_default()
                        .into_iter()
                        .map(shipment)
                        .collect(),
                    notices: notices
                        .remove(&id)
                        .unwrap_or_default()
                        .into_iter()
                        .map(notice)
                        .collect::<Result<_, _>>()?,
                    pause: pause.map(|(_, scope, why, until)| Pause {
                        scope,
                        why,
                        until: instant(until),
                    }),
                    suppressed: suppressed
                        .get(&contact_id)
                        .into_iter()
                        .flatten()
                        .filter_map(|(_, channel)| ChannelName::parse(channel))
                        .collect(),
                    courtesy_sent_at: courtesies
                        .get(&contact_id)
                        .into_iter()
                        .flatten()
                        .map(|(_, at)| Instant(*at))
                        .collect(),
                };
                Ok(ReadSituation { situation, hashes })
            })
            .collect()
    }
}

fn group<T>(rows: Vec<T>, key: impl Fn(&T) -> i64) -> HashMap<i64, Vec<T>> {
    let mut out: HashMap<i64, Vec<T>> = HashMap::new();
    for row in rows {
        out.entry(key(&row)).or_default().push(row);
    }
    out
}

fn order(row: OrderRow) -> Result<Order, StoreError> {
    let day = |text: &str, column| day_from_column(text, "orders", row.id, column);
    let mut contact = row.contact.into_contact();
    if row.customer_deleted {
        // The account is gone: nobody is written to, and a person is told so.
        (contact.email, contact.phone) = (None, None);
    }
    Ok(Order {
        id: OrderId(row.id),
        ordered_on: day(&row.ordered_on, "ordered_on")?,
        next_word_by: row
            .next_word_by
            .as_deref()
            .map(|d| day(d, "next_word_by"))
            .transpose()?,
        zone: parse_zone(&row.zone_used).unwrap_or(chrono_tz::UTC),
        key: row.order_key,
        number: row.number,
        contact_id: ContactId(row.contact_id),
        contact,
        first_seen_at: Instant(row.first_seen_at),
        adopted_at: instant(row.adopted_at),
        fact_version: row.fact_version,
        review_version: row.review_version,
        view_url: row.view_url,
        cancel_url: row.cancel_url,
    })
}

fn line(row: LineRow, told: Vec<ToldRow>) -> Result<Line, StoreError> {
    Ok(Line {
        id: LineId(row.id),
        eta: eta_from_columns(row.eta_from, row.eta_to, "order_lines", row.id)?,
        key: row.line_key,
        sku: row.sku,
        name: row.name,
        ordered: Quantity(row.qty_ordered),
        shipped: Quantity(row.qty_shipped),
        cancelled: Quantity(row.qty_cancelled),
        shipped_told: Quantity(row.qty_shipped_told),
        cancelled_told: Quantity(row.qty_cancelled_told),
        shipped_changed_at: instant(row.shipped_changed_at),
        cancelled_changed_at: instant(row.cancelled_changed_at),
        eta_origin: EtaOrigin::parse(&row.eta_origin),
        eta_changed_at: Instant(row.eta_changed_at),
        reason: row.reason,
        first_seen_at: Instant(row.first_seen_at),
        missing_since: instant(row.missing_since),
        told: told
            .into_iter()
            .map(|t| {
                let corrupt = |column| StoreError::Corrupt {
                    table: "told",
                    row: format!("{}/{}", t.line_id, t.seq),
                    column,
                };
                Ok(Told {
                    seq: t.seq,
                    message: t.message_no.map(MessageNo),
                    promise: eta_from_columns(t.promise_from, t.promise_to, "told", t.line_id)?,
                    eta: eta_from_columns(t.eta_from, t.eta_to, "told", t.line_id)?,
                    basis: Basis::parse(&t.basis).ok_or_else(|| corrupt("basis"))?,
                    at: Instant(t.at),
                })
            })
            .collect::<Result<_, StoreError>>()?,
    })
}

fn shipment(row: ShipmentRow) -> Shipment {
    Shipment {
        key: row.key,
        carrier: row.carrier,
        tracking_numbers: serde_json::from_str(&row.numbers).unwrap_or_default(),
        tracking_url: row.url,
        estimate_on: row.estimate_on.and_then(|day| day.parse().ok()),
    }
}

fn notice(row: NoticeRow) -> Result<PastNotice, StoreError> {
    let corrupt = |column| StoreError::Corrupt {
        table: "notices",
        row: row.message_no.to_string(),
        column,
    };
    Ok(PastNotice {
        message: MessageNo(row.message_no),
        kind: Kind::parse(&row.kind).ok_or_else(|| corrupt("kind"))?,
        channel: ChannelName::parse(&row.channel).ok_or_else(|| corrupt("channel"))?,
        state: MessageState::parse(&row.state).ok_or_else(|| corrupt("state"))?,
        discriminator: row.discriminator,
        key: row.key,
        again: row.again,
        fact_version: row.fact_version,
        facts_hash: row.facts_hash,
        in_queue: row.in_queue,
        in_flight: row.in_flight,
        milestone_days: row.milestone_days.and_then(|d| u32::try_from(d).ok()),
        due_at: Instant(row.due_at),
        not_after: Instant(row.not_after),
        sent_at: instant(row.sent_at),
        elsewhere: row.elsewhere,
    })
}
