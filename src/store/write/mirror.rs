//! Taking in what the shop says: rows and dates, written set-wise in one
//! transaction.
//!
//! The decisions were made by [`crate::domain::mirror`]; this file only writes
//! them. A counter beside the data (`mirror_revision`) guards against two
//! writers that merged against the same state.

use crate::domain::contact::Contact;
use crate::domain::eta::Eta;
use crate::domain::mirror::{EtaChange, LineChange, MirrorChanges, OrderChange, ShipmentChange};
use crate::domain::notice_key::Mode;
use crate::domain::order::EtaOrigin;
use crate::domain::time::Instant;
use crate::store::codec::{eta_columns, json};
use crate::store::types::StoreError;
use crate::store::write::operate::{audit, get_meta, put_meta};
use serde::Serialize;
use sqlx::sqlite::SqliteConnection;
use std::collections::HashMap;
use std::sync::Arc;

// In these statements the document is always the outer loop (`CROSS JOIN`
// keeps the order in SQLite): a planner that reads the document again for every
// line of the shop takes minutes where milliseconds do.

/// Rows per statement: large enough to be quick, small enough that one
/// document stays a few megabytes.
const CHUNK: usize = 2_000;

/// Where the changes come from.
#[derive(Clone, Debug)]
pub struct MirrorInput {
    pub shop_id: i64,
    /// The source's name, for freshness and for `explain`.
    pub source: String,
    pub source_kind: String,
    /// The revision the mirror was read at.
    pub revision: i64,
    /// Baselines are told in this mode.
    pub mode: Mode,
    pub now: Instant,
    /// Keyed hashes of each order's contact, by order key.
    pub hashes: HashMap<String, ContactHashes>,
    /// The source was read completely; only then does it count as fresh.
    pub complete: bool,
    /// Rows that were not taken, for whoever searches an order later:
    /// (line in the file, order number if readable, reason).
    pub rejected: Vec<(u64, Option<String>, String)>,
}

/// Keyed hashes that stand for a contact without naming it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactHashes {
    pub contact: String,
    pub email: Option<String>,
    pub phone: Option<String>,
}

fn failed(source: sqlx::Error) -> StoreError {
    StoreError::Statement {
        doing: "write the shop's rows",
        source: Arc::new(source),
    }
}

pub async fn ensure_shop(
    c: &mut SqliteConnection,
    key: &str,
    name: &str,
    zone: &str,
) -> Result<i64, StoreError> {
    sqlx::query_scalar(
        "INSERT INTO shops (key, name, zone) VALUES ($1, $2, $3) ON CONFLICT (key) \
         DO UPDATE SET name = excluded.name, zone = excluded.zone RETURNING id",
    )
    .bind(key)
    .bind(name)
    .bind(zone)
    .fetch_one(c)
    .await
    .map_err(failed)
}

/// Moves the revision on, or reports that somebody else did.
async fn advance_revision(c: &mut SqliteConnection, read_at: i64) -> Result<(), StoreError> {
    let stored: i64 = get_meta(c, "mirror_revision")
        .await?
        .and_then(|v| v.parse().ok())
        .unwrap_or(0);
    if stored != read_at {
        return Err(StoreError::Overtaken);
    }
    put_meta(c, "mirror_revision", &(stored + 1).to_string()).await
}

const CONTACTS: &str = "
INSERT INTO contacts (shop_id, contact_hash, email, email_hash, phone, phone_hash, name, locale,
  zone, country, sms_consent, preferred)
SELECT $2, value ->> 'contact_hash', value ->> 'email', value ->> 'email_hash', value ->> 'phone',
  value ->> 'phone_hash', value ->> 'name', value ->> 'locale', value ->> 'zone',
  value ->> 'country', value ->> 'sms_consent', value ->> 'preferred'
FROM json_each($1) WHERE true
ON CONFLICT (shop_id, contact_hash) DO UPDATE SET
  email = coalesce(excluded.email, contacts.email),
  email_hash = coalesce(excluded.email_hash, contacts.email_hash),
  phone = coalesce(excluded.phone, contacts.phone),
  phone_hash = coalesce(excluded.phone_hash, contacts.phone_hash),
  name = coalesce(excluded.name, contacts.name),
  locale = coalesce(excluded.locale, contacts.locale),
  zone = coalesce(excluded.zone, contacts.zone),
  country = coalesce(excluded.country, contacts.country),
  sms_consent = excluded.sms_consent, preferred = excluded.preferred";

/// Open orders of a customer about whom something is new, whatever order said
/// it. Run before the contacts are written.
const WAKE_CONTACTS: &str = "
UPDATE orders SET review_version = review_version + 1, next_review_at = $3
WHERE closed_at IS NULL AND contact_id IN (
  SELECT k.id FROM json_each($1) AS j CROSS JOIN contacts k
  WHERE k.shop_id = $2 AND k.contact_hash = j.value ->> 'contact_hash'
    AND (k.email IS NOT coalesce(j.value ->> 'email', k.email)
      OR k.phone IS NOT coalesce(j.value ->> 'phone', k.phone)
      OR k.name IS NOT coalesce(j.value ->> 'name', k.name)
      OR k.locale IS NOT coalesce(j.value ->> 'locale', k.locale)
      OR k.zone IS NOT coalesce(j.value ->> 'zone', k.zone)
      OR k.country IS NOT coalesce(j.value ->> 'country', k.country)
      OR k.sms_consent <> j.value ->> 'sms_consent' OR k.preferred <> j.value ->> 'preferred'))";

const ORDERS: &str = "
INSERT INTO orders (shop_id, order_key, number, contact_id, ordered_at, ordered_on, zone_used,
  first_seen_at, adopted_at, next_review_at, view_url, cancel_url, customer_deleted)
SELECT $2, j.value ->> 'key', j.value ->> 'number', k.id, j.value ->> 'ordered_at',
  j.value ->> 'ordered_on', j.value ->> 'zone', $3,
  CASE WHEN j.value ->> 'adopted' THEN $3 END, $3, j.value ->> 'view_url',
  j.value ->> 'cancel_url', j.value ->> 'customer_deleted'
FROM json_each($1) AS j CROSS JOIN contacts k
WHERE k.shop_id = $2 AND k.contact_hash = j.value ->> 'contact_hash'
ON CONFLICT (shop_id, order_key) DO UPDATE SET number = excluded.number,
  contact_id = excluded.contact_id, view_url = coalesce(excluded.view_url, orders.view_url),
  cancel_url = coalesce(excluded.cancel_url, orders.cancel_url),
  customer_deleted = max(orders.customer_deleted, excluded.customer_deleted),
  fact_version = orders.fact_version + 1, review_version = orders.review_version + 1,
  next_review_at = $3, closed_at = NULL";

/// Orders that lose a line to another order are reviewed too.
const MOVED: &str = "
UPDATE orders SET fact_version = fact_version + 1, review_version = review_version + 1,
  next_review_at = $3, closed_at = NULL
WHERE id IN (
  SELECT l.order_id FROM json_each($1) AS j CROSS JOIN order_lines l CROSS JOIN orders o
  WHERE l.shop_id = $2 AND l.line_key = j.value ->> 'key'
    AND o.shop_id = $2 AND o.order_key = j.value ->> 'order_key' AND l.order_id <> o.id)";

const LINES: &str = "
INSERT INTO order_lines (order_id, shop_id, line_key, sku, name, qty_ordered, qty_shipped,
  qty_cancelled, qty_shipped_told, qty_cancelled_told, price_minor, currency, supplier, warehouse,
  source_eta_from, source_eta_to, source_reason, eta_from, eta_to, eta_origin, eta_changed_at,
  eta_confirmed_at, reason, seen_waiting, row_hash, extras, updated_at, first_seen_at)
SELECT o.id, $2, j.value ->> 'key', j.value ->> 'sku', j.value ->> 'name', j.value ->> 'ordered',
  j.value ->> 'shipped', j.value ->> 'cancelled', j.value ->> 'shipped', j.value ->> 'cancelled',
  j.value ->> 'price_minor', j.value ->> 'currency', j.value ->> 'supplier',
  j.value ->> 'warehouse', j.value ->> 'source_from', j.value ->> 'source_to',
  j.value ->> 'source_reason', j.value ->> 'eta_from', j.value ->> 'eta_to',
  j.value ->> 'origin', $3, j.value ->> 'confirmed_at', j.value ->> 'reason',
  j.value ->> 'seen_waiting', j.value ->> 'row_hash', j.value ->> 'extras',
  j.value ->> 'updated_at', $3
FROM json_each($1) AS j CROSS JOIN orders o
WHERE o.shop_id = $2 AND o.order_key = j.value ->> 'order_key'
ON CONFLICT (shop_id, line_key) DO UPDATE SET order_id = excluded.order_id, sku = excluded.sku,
  name = excluded.name, qty_ordered = excluded.qty_ordered, qty_shipped = excluded.qty_shipped,
  qty_cancelled = excluded.qty_cancelled,
  -- First seen waiting only now: what was done before is not news.
  qty_shipped_told = CASE WHEN order_lines.seen_waiting = 0 THEN excluded.qty_shipped
    ELSE order_lines.qty_shipped_told END,
  qty_cancelled_told = CASE WHEN order_lines.seen_waiting = 0 THEN excluded.qty_cancelled
    ELSE order_lines.qty_cancelled_told END,
  shipped_changed_at = CASE WHEN excluded.qty_shipped > order_lines.qty_shipped THEN $3
    ELSE order_lines.shipped_changed_at END,
  cancelled_changed_at = CASE WHEN excluded.qty_cancelled > order_lines.qty_cancelled THEN $3
    ELSE order_lines.cancelled_changed_at END,
  price_minor = coalesce(excluded.price_minor, order_lines.price_minor),
  currency = coalesce(excluded.currency, order_lines.currency),
  supplier = coalesce(excluded.supplier, order_lines.supplier),
  warehouse = coalesce(excluded.warehouse, order_lines.warehouse),
  source_eta_from = excluded.source_eta_from, source_eta_to = excluded.source_eta_to,
  source_reason = excluded.source_reason, eta_from = excluded.eta_from, eta_to = excluded.eta_to,
  eta_origin = excluded.eta_origin,
  eta_changed_at = CASE WHEN order_lines.eta_from IS NOT excluded.eta_from
      OR order_lines.eta_to IS NOT excluded.eta_to THEN $3 ELSE order_lines.eta_changed_at END,
  eta_confirmed_at = coalesce(excluded.eta_confirmed_at, order_lines.eta_confirmed_at),
  reason = excluded.reason, seen_waiting = max(order_lines.seen_waiting, excluded.seen_waiting),
  row_hash = excluded.row_hash, extras = excluded.extras, updated_at = excluded.updated_at,
  missing_since = NULL";

const BASELINE: &str = "
INSERT INTO told (line_id, seq, promise_from, promise_to, eta_from, eta_to, basis, mode, at)
SELECT l.id, l.told_seq + 1, j.value ->> 'told_from', j.value ->> 'told_to',
  j.value ->> 'eta_from', j.value ->> 'eta_to', j.value ->> 'told_basis', $3, $4
FROM json_each($1) AS j CROSS JOIN order_lines l
WHERE l.shop_id = $2 AND l.line_key = j.value ->> 'key' AND j.value ->> 'told_basis' IS NOT NULL";

const BASELINE_SEQ: &str = "
UPDATE order_lines SET told_seq = told_seq + 1
WHERE id IN (SELECT l.id FROM json_each($1) AS j CROSS JOIN order_lines l
  WHERE l.shop_id = $2 AND l.line_key = j.value ->> 'key' AND j.value ->> 'told_basis' IS NOT NULL)";

const HISTORY: &str = "
INSERT INTO eta_history (line_id, seq, eta_from, eta_to, source, at)
SELECT l.id, coalesce((SELECT max(h.seq) FROM eta_history h WHERE h.line_id = l.id), 0) + 1,
  j.value ->> 'eta_from', j.value ->> 'eta_to', $3, $4
FROM json_each($1) AS j CROSS JOIN order_lines l
WHERE l.shop_id = $2 AND l.line_key = j.value ->> 'key' AND j.value ->> 'eta_changed' = 1";

const SHIPMENTS: &str = "
INSERT INTO shipments (order_id, key, carrier, numbers, url, estimate_on, shipped_at, told_message)
SELECT o.id, j.value ->> 'key', j.value ->> 'carrier', j.value ->> 'numbers', j.value ->> 'url',
  j.value ->> 'estimate_on', j.value ->> 'shipped_at', CASE WHEN j.value ->> 'baseline' THEN 0 END
FROM json_each($1) AS j CROSS JOIN orders o
WHERE o.shop_id = $2 AND o.order_key = j.value ->> 'order_key'
ON CONFLICT (order_id, key) DO UPDATE SET carrier = coalesce(excluded.carrier, shipments.carrier),
  numbers = CASE WHEN excluded.numbers = '[]' THEN shipments.numbers ELSE excluded.numbers END,
  url = coalesce(excluded.url, shipments.url),
  estimate_on = coalesce(excluded.estimate_on, shipments.estimate_on),
  shipped_at = coalesce(excluded.shipped_at, shipments.shipped_at)";

#[derive(Serialize)]
struct ContactRow<'a> {
    contact_hash: &'a str,
    email: Option<String>,
    email_hash: Option<&'a str>,
    phone: Option<&'a str>,
    phone_hash: Option<&'a str>,
    name: Option<&'a str>,
    locale: Option<String>,
    zone: Option<String>,
    country: Option<&'a str>,
    sms_consent: i64,
    preferred: &'static str,
}

impl<'a> ContactRow<'a> {
    /// Takes over what this row leaves out.
    fn fill_from(&mut self, earlier: ContactRow<'a>) {
        self.email = self.email.take().or(earlier.email);
        self.email_hash = self.email_hash.or(earlier.email_hash);
        self.phone = self.phone.or(earlier.phone);
        self.phone_hash = self.phone_hash.or(earlier.phone_hash);
        self.name = self.name.or(earlier.name);
        self.locale = self.locale.take().or(earlier.locale);
        self.zone = self.zone.take().or(earlier.zone);
        self.country = self.country.or(earlier.country);
    }
}

fn contact_row<'a>(contact: &'a Contact, hashes: &'a ContactHashes) -> ContactRow<'a> {
    ContactRow {
        contact_hash: &hashes.contact,
        email: contact
            .email
            .as_ref()
            .map(crate::domain::contact::EmailAddress::expose),
        email_hash: hashes.email.as_deref(),
        phone: contact
            .phone
            .as_ref()
            .map(crate::domain::contact::PhoneNumber::expose),
        phone_hash: hashes.phone.as_deref(),
        name: contact.name.as_deref(),
        locale: contact.locale.as_ref().map(ToString::to_string),
        zone: contact.zone.map(|z| z.name().to_owned()),
        country: contact
            .country
            .as_ref()
            .map(crate::domain::contact::Country::as_str),
        sms_consent: i64::from(contact.sms_consent),
        preferred: contact.preferred.as_str(),
    }
}

#[derive(Serialize)]
struct OrderRow<'a> {
    key: &'a str,
    number: &'a str,
    contact_hash: &'a str,
    ordered_at: Option<i64>,
    ordered_on: String,
    zone: &'static str,
    adopted: i64,
    view_url: Option<&'a str>,
    cancel_url: Option<&'a str>,
    customer_deleted: i64,
}

#[derive(Serialize)]
struct LineRow<'a> {
    key: &'a str,
    order_key: &'a str,
    sku: Option<&'a str>,
    name: &'a str,
    ordered: i64,
    shipped: i64,
    cancelled: i64,
    price_minor: Option<i64>,
    currency: Option<&'a str>,
    supplier: Option<&'a str>,
    warehouse: Option<&'a str>,
    source_from: Option<String>,
    source_to: Option<String>,
    source_reason: Option<&'a str>,
    eta_from: Option<String>,
    eta_to: Option<String>,
    origin: &'static str,
    eta_changed: i64,
    confirmed_at: Option<i64>,
    reason: Option<&'a str>,
    seen_waiting: i64,
    row_hash: &'a str,
    extras: Option<String>,
    updated_at: Option<i64>,
    told_from: Option<String>,
    told_to: Option<String>,
    told_basis: Option<&'static str>,
}

fn line_row(line: &LineChange) -> LineRow<'_> {
    let (source_from, source_to) = eta_columns(line.source_eta);
    let (eta_from, eta_to) = eta_columns(line.eta);
    let told = line.baseline.map(|(eta, basis)| (eta_columns(eta), basis));
    let ((told_from, told_to), told_basis) = match told {
        Some((columns, basis)) => (columns, Some(basis.as_str())),
        None => ((None, None), None),
    };
    LineRow {
        key: &line.key,
        order_key: &line.order_key,
        sku: line.sku.as_deref(),
        name: &line.name,
        ordered: line.ordered.0,
        shipped: line.shipped.0,
        cancelled: line.cancelled.0,
        price_minor: line.price_minor,
        currency: line.currency.as_deref(),
        supplier: line.supplier.as_deref(),
        warehouse: line.warehouse.as_deref(),
        source_from,
        source_to,
        source_reason: line.source_reason.as_deref(),
        eta_from,
        eta_to,
        origin: line.eta_origin.as_str(),
        eta_changed: i64::from(line.eta_changed),
        confirmed_at: line.eta_confirmed_at.map(|at| at.0),
        reason: line.reason.as_deref(),
        seen_waiting: i64::from(line.seen_waiting),
        row_hash: &line.row_hash,
        extras: (!line.extras.is_empty()).then(|| json(&line.extras)),
        updated_at: line.updated_at.map(|at| at.0),
        told_from,
        told_to,
        told_basis,
    }
}

#[derive(Serialize)]
struct ShipmentRow<'a> {
    order_key: &'a str,
    key: &'a str,
    carrier: Option<&'a str>,
    numbers: String,
    url: Option<&'a str>,
    estimate_on: Option<String>,
    shipped_at: Option<i64>,
    baseline: i64,
}

/// See [`crate::store::Store::commit_mirror`].
pub async fn commit(
    c: &mut SqliteConnection,
    input: &MirrorInput,
    changes: &MirrorChanges,
) -> Result<(), StoreError> {
    advance_revision(c, input.revision).await?;
    for orders in changes.orders.chunks(CHUNK) {
        write_orders(c, input, orders).await?;
    }
    for lines in changes.lines.chunks(CHUNK) {
        write_lines(c, input, lines).await?;
    }
    for shipments in changes.shipments.chunks(CHUNK) {
        write_shipments(c, input, shipments).await?;
    }
    write_source(c, input, changes.counts.rows).await
}

async fn write_orders(
    c: &mut SqliteConnection,
    input: &MirrorInput,
    orders: &[OrderChange],
) -> Result<(), StoreError> {
    let hashed = orders
        .iter()
        .map(|o| Some((o, input.hashes.get(&o.key)?)))
        .collect::<Option<Vec<_>>>()
        // Leaving the order out instead would lose it without a word.
        .ok_or_else(|| failed(sqlx::Error::InvalidArgument("an order has no hash".into())))?;
    // One row per contact: PostgreSQL refuses to upsert the same row twice in
    // one statement, and in the order of the rows. The last one wins; what it
    // leaves out, an earlier one may have said.
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut contacts: Vec<ContactRow<'_>> = Vec::new();
    for (o, h) in &hashed {
        let mut row = contact_row(&o.contact, h);
        match places.get(h.contact.as_str()) {
            Some(place) => {
                std::mem::swap(&mut row, &mut contacts[*place]);
                contacts[*place].fill_from(row);
            }
            None => {
                places.insert(&h.contact, contacts.len());
                contacts.push(row);
            }
        }
    }
    let document = json(&contacts);
    sqlx::query(WAKE_CONTACTS)
        .bind(&document)
        .bind(input.shop_id)
        .bind(input.now.0)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    sqlx::query(CONTACTS)
        .bind(&document)
        .bind(input.shop_id)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    let rows: Vec<OrderRow<'_>> = hashed
        .iter()
        .map(|(o, h)| OrderRow {
            key: &o.key,
            number: &o.number,
            contact_hash: &h.contact,
            ordered_at: o.ordered_at.map(|at| at.0),
            ordered_on: o.ordered_on.to_string(),
            zone: o.zone.name(),
            adopted: i64::from(o.adopted),
            view_url: o.view_url.as_deref(),
            cancel_url: o.cancel_url.as_deref(),
            customer_deleted: i64::from(o.customer_deleted),
        })
        .collect();
    sqlx::query(ORDERS)
        .bind(json(&rows))
        .bind(input.shop_id)
        .bind(input.now.0)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    Ok(())
}

async fn write_lines(
    c: &mut SqliteConnection,
    input: &MirrorInput,
    lines: &[LineChange],
) -> Result<(), StoreError> {
    let rows: Vec<LineRow<'_>> = lines.iter().map(line_row).collect();
    let document = json(&rows);
    for sql in [MOVED, LINES] {
        sqlx::query(sql)
            .bind(&document)
            .bind(input.shop_id)
            .bind(input.now.0)
            .execute(&mut *c)
            .await
            .map_err(failed)?;
    }
    sqlx::query(BASELINE)
        .bind(&document)
        .bind(input.shop_id)
        .bind(input.mode.as_str())
        .bind(input.now.0)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    sqlx::query(BASELINE_SEQ)
        .bind(&document)
        .bind(input.shop_id)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    sqlx::query(HISTORY)
        .bind(&document)
        .bind(input.shop_id)
        .bind(&input.source)
        .bind(input.now.0)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    Ok(())
}

async fn write_shipments(
    c: &mut SqliteConnection,
    input: &MirrorInput,
    shipments: &[ShipmentChange],
) -> Result<(), StoreError> {
    let rows: Vec<ShipmentRow<'_>> = shipments
        .iter()
        .map(|s| ShipmentRow {
            order_key: &s.order_key,
            key: &s.shipment.key,
            carrier: s.shipment.carrier.as_deref(),
            numbers: json(&s.shipment.tracking_numbers),
            url: s.shipment.tracking_url.as_deref(),
            estimate_on: s.shipment.estimate_on.map(|day| day.to_string()),
            shipped_at: s.shipment.shipped_at.map(|at| at.0),
            baseline: i64::from(s.baseline),
        })
        .collect();
    sqlx::query(SHIPMENTS)
        .bind(json(&rows))
        .bind(input.shop_id)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Notes that the source was read, and which of its rows were not taken.
async fn write_source(
    c: &mut SqliteConnection,
    input: &MirrorInput,
    rows: usize,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO sources (shop_id, name, kind, last_ok_at, rows_read) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (shop_id, name) DO UPDATE SET \
         last_ok_at = coalesce(excluded.last_ok_at, sources.last_ok_at), \
         rows_read = excluded.rows_read",
    )
    .bind(input.shop_id)
    .bind(&input.source)
    .bind(&input.source_kind)
    .bind(input.complete.then_some(input.now.0))
    .bind(rows as i64)
    .execute(&mut *c)
    .await
    .map_err(failed)?;
    for (line, number, reason) in &input.rejected {
        sqlx::query(
            "INSERT INTO rejected_rows (source, at_line, order_number, reason, at) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&input.source)
        .bind(*line as i64)
        .bind(number)
        .bind(reason)
        .bind(input.now.0)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    }
    Ok(())
}

/// A date set for an order, a line or a SKU; `None` takes it away.
#[derive(Clone, Debug)]
pub struct ClaimChange {
    pub shop_id: i64,
    /// `order`, `line` or `sku`.
    pub scope: &'static str,
    pub key: String,
    pub set: Option<(Eta, Option<String>)>,
    pub origin: EtaOrigin,
}

#[derive(Serialize)]
struct EtaRow<'a> {
    key: &'a str,
    eta_from: Option<String>,
    eta_to: Option<String>,
    origin: &'static str,
    reason: Option<&'a str>,
    eta_changed: i64,
}

const RECLAIM: &str = "
WITH j AS MATERIALIZED (
  SELECT k.id, e.value ->> 'eta_from' AS eta_from, e.value ->> 'eta_to' AS eta_to,
    e.value ->> 'origin' AS origin, e.value ->> 'reason' AS reason
  FROM json_each($1) AS e CROSS JOIN order_lines k
  WHERE k.shop_id = $2 AND k.line_key = e.value ->> 'key')
UPDATE order_lines AS l SET eta_from = j.eta_from, eta_to = j.eta_to, eta_origin = j.origin,
  reason = j.reason,
  eta_changed_at = CASE WHEN l.eta_from IS NOT j.eta_from OR l.eta_to IS NOT j.eta_to THEN $3
    ELSE l.eta_changed_at END
FROM j WHERE l.id = j.id";

const RECLAIM_ORDERS: &str = "
UPDATE orders SET fact_version = fact_version + 1, review_version = review_version + 1,
  next_review_at = $3
WHERE id IN (SELECT l.order_id FROM json_each($1) AS j CROSS JOIN order_lines l
  WHERE l.shop_id = $2 AND l.line_key = j.value ->> 'key')";

/// See [`crate::store::Store::commit_claims`].
pub async fn commit_claims(
    c: &mut SqliteConnection,
    revision: i64,
    claims: &[ClaimChange],
    lines: &[EtaChange],
    mode: Mode,
    by: &str,
    now: Instant,
) -> Result<(), StoreError> {
    advance_revision(c, revision).await?;
    let shop_id = claims.first().map_or(1, |claim| claim.shop_id);
    for claim in claims {
        match &claim.set {
            Some((eta, reason)) => {
                let (from, to) = eta_columns(*eta);
                sqlx::query(
                    "INSERT INTO eta_claims (shop_id, scope, key, eta_from, eta_to, reason, \
                     origin, by, confirmed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                     ON CONFLICT (shop_id, scope, key) DO UPDATE SET eta_from = excluded.eta_from, \
                     eta_to = excluded.eta_to, reason = excluded.reason, \
                     origin = excluded.origin, by = excluded.by, \
                     confirmed_at = excluded.confirmed_at",
                )
                .bind(claim.shop_id)
                .bind(claim.scope)
                .bind(&claim.key)
                .bind(from)
                .bind(to)
                .bind(reason)
                .bind(claim.origin.as_str())
                .bind(by)
                .bind(now.0)
                .execute(&mut *c)
                .await
                .map_err(failed)?;
            }
            None => {
                sqlx::query(
                    "DELETE FROM eta_claims WHERE shop_id = $1 AND scope = $2 AND key = $3",
                )
                .bind(claim.shop_id)
                .bind(claim.scope)
                .bind(&claim.key)
                .execute(&mut *c)
                .await
                .map_err(failed)?;
            }
        }
        if claim.origin == EtaOrigin::Operator {
            let verb = if claim.set.is_some() {
                "eta set"
            } else {
                "eta clear"
            };
            let target = format!("{}:{} ({})", claim.scope, claim.key, mode.as_str());
            audit(c, by, verb, &target, None, now).await?;
        }
    }
    let source = claims
        .first()
        .map_or("source", |claim| claim.origin.as_str());
    for chunk in lines.chunks(CHUNK) {
        let rows: Vec<EtaRow<'_>> = chunk
            .iter()
            .map(|change| {
                let (eta_from, eta_to) = eta_columns(change.eta);
                EtaRow {
                    key: &change.line_key,
                    eta_from,
                    eta_to,
                    origin: change.origin.as_str(),
                    reason: change.reason.as_deref(),
                    eta_changed: 1,
                }
            })
            .collect();
        let document = json(&rows);
        for sql in [RECLAIM, RECLAIM_ORDERS] {
            sqlx::query(sql)
                .bind(&document)
                .bind(shop_id)
                .bind(now.0)
                .execute(&mut *c)
                .await
                .map_err(failed)?;
        }
        sqlx::query(HISTORY)
            .bind(&document)
            .bind(shop_id)
            .bind(source)
            .bind(now.0)
            .execute(&mut *c)
            .await
            .map_err(failed)?;
    }
    Ok(())
}
