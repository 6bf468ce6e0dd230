//! Order lines, with their baselines and the history of their dates.

use super::MirrorInput;
use crate::domain::mirror::LineChange;
use crate::store::codec::{eta_columns, json};
use crate::store::conn::{Conn, statements};
use crate::store::statement::run;
use serde::Serialize;

/// Orders that lose a line to another order are reviewed too.
const MOVED: &str = "
UPDATE orders SET fact_version = fact_version + 1, review_version = review_version + 1,
  next_review_at = $3, closed_at = NULL
WHERE id IN (
  SELECT l.order_id FROM jsonb_each($1) AS j CROSS JOIN order_lines l CROSS JOIN orders o
  WHERE l.shop_id = $2 AND l.line_key = j.value ->> 'key'
    AND o.shop_id = $2 AND o.order_key = j.value ->> 'order_key' AND l.order_id <> o.id)";

const LINES: &str = "
INSERT INTO order_lines (order_id, shop_id, line_key, sku, name, qty_ordered, qty_shipped,
  qty_cancelled, qty_shipped_told, qty_cancelled_told, price_minor, currency, supplier, warehouse,
  source_eta_from, source_eta_to, source_reason, eta_from, eta_to, eta_origin, eta_changed_at,
  eta_confirmed_at, reason, seen_waiting, row_hash, extras, updated_at, first_seen_at)
SELECT o.id, CAST($2 AS BIGINT), j.value ->> 'key', j.value ->> 'sku', j.value ->> 'name',
  CAST(j.value ->> 'ordered' AS BIGINT), CAST(j.value ->> 'shipped' AS BIGINT),
  CAST(j.value ->> 'cancelled' AS BIGINT), CAST(j.value ->> 'shipped' AS BIGINT),
  CAST(j.value ->> 'cancelled' AS BIGINT), CAST(j.value ->> 'price_minor' AS BIGINT),
  j.value ->> 'currency', j.value ->> 'supplier', j.value ->> 'warehouse',
  j.value ->> 'source_from', j.value ->> 'source_to', j.value ->> 'source_reason',
  j.value ->> 'eta_from', j.value ->> 'eta_to', j.value ->> 'origin', CAST($3 AS BIGINT),
  CAST(j.value ->> 'confirmed_at' AS BIGINT), j.value ->> 'reason',
  CAST(j.value ->> 'seen_waiting' AS BOOLEAN), j.value ->> 'row_hash', j.value ->> 'extras',
  CAST(j.value ->> 'updated_at' AS BIGINT), CAST($3 AS BIGINT)
FROM jsonb_each($1) AS j CROSS JOIN orders o
WHERE o.shop_id = $2 AND o.order_key = j.value ->> 'order_key'
ON CONFLICT (shop_id, line_key) DO UPDATE SET order_id = excluded.order_id, sku = excluded.sku,
  name = excluded.name, qty_ordered = excluded.qty_ordered, qty_shipped = excluded.qty_shipped,
  qty_cancelled = excluded.qty_cancelled,
  -- First seen waiting only now: what was done before is not news.
  qty_shipped_told = CASE WHEN order_lines.seen_waiting = FALSE THEN excluded.qty_shipped
    ELSE order_lines.qty_shipped_told END,
  qty_cancelled_told = CASE WHEN order_lines.seen_waiting = FALSE THEN excluded.qty_cancelled
    ELSE order_lines.qty_cancelled_told END,
  shipped_changed_at = CASE WHEN excluded.qty_shipped > order_lines.qty_shipped
    THEN CAST($3 AS BIGINT) ELSE order_lines.shipped_changed_at END,
  cancelled_changed_at = CASE WHEN excluded.qty_cancelled > order_lines.qty_cancelled
    THEN CAST($3 AS BIGINT) ELSE order_lines.cancelled_changed_at END,
  price_minor = coalesce(excluded.price_minor, order_lines.price_minor),
  currency = coalesce(excluded.currency, order_lines.currency),
  supplier = coalesce(excluded.supplier, order_lines.supplier),
  warehouse = coalesce(excluded.warehouse, order_lines.warehouse),
  source_eta_from = excluded.source_eta_from, source_eta_to = excluded.source_eta_to,
  source_reason = excluded.source_reason, eta_from = excluded.eta_from, eta_to = excluded.eta_to,
  eta_origin = excluded.eta_origin,
  eta_changed_at = CASE WHEN order_lines.eta_from IS DISTINCT FROM excluded.eta_from
      OR order_lines.eta_to IS DISTINCT FROM excluded.eta_to THEN CAST($3 AS BIGINT)
    ELSE order_lines.eta_changed_at END,
  eta_confirmed_at = coalesce(excluded.eta_confirmed_at, order_lines.eta_confirmed_at),
  reason = excluded.reason, seen_waiting = order_lines.seen_waiting OR excluded.seen_waiting,
  row_hash = excluded.row_hash, extras = excluded.extras, updated_at = excluded.updated_at,
  missing_since = NULL";

const BASELINE: &str = "
INSERT INTO told (line_id, seq, promise_from, promise_to, eta_from, eta_to, basis, mode, at)
SELECT l.id, l.told_seq + 1, j.value ->> 'told_from', j.value ->> 'told_to',
  j.value ->> 'eta_from', j.value ->> 'eta_to', j.value ->> 'told_basis', CAST($3 AS TEXT),
  CAST($4 AS BIGINT)
FROM jsonb_each($1) AS j CROSS JOIN order_lines l
WHERE l.shop_id = $2 AND l.line_key = j.value ->> 'key' AND j.value ->> 'told_basis' IS NOT NULL";

const BASELINE_SEQ: &str = "
UPDATE order_lines SET told_seq = told_seq + 1
WHERE id IN (SELECT l.id FROM jsonb_each($1) AS j CROSS JOIN order_lines l
  WHERE l.shop_id = $2 AND l.line_key = j.value ->> 'key' AND j.value ->> 'told_basis' IS NOT NULL)";

pub(super) const HISTORY: &str = "
INSERT INTO eta_history (line_id, seq, eta_from, eta_to, source, at)
SELECT l.id, coalesce((SELECT max(h.seq) FROM eta_history h WHERE h.line_id = l.id), 0) + 1,
  j.value ->> 'eta_from', j.value ->> 'eta_to', CAST($3 AS TEXT), CAST($4 AS BIGINT)
FROM jsonb_each($1) AS j CROSS JOIN order_lines l
WHERE l.shop_id = $2 AND l.line_key = j.value ->> 'key'
  AND CAST(j.value ->> 'eta_changed' AS BOOLEAN) = TRUE";

statements![MOVED, LINES, BASELINE, BASELINE_SEQ, HISTORY];

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
    eta_changed: bool,
    confirmed_at: Option<i64>,
    reason: Option<&'a str>,
    seen_waiting: bool,
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
        eta_changed: line.eta_changed,
        confirmed_at: line.eta_confirmed_at.map(|at| at.0),
        reason: line.reason.as_deref(),
        seen_waiting: line.seen_waiting,
        row_hash: &line.row_hash,
        extras: (!line.extras.is_empty()).then(|| json(&line.extras)),
        updated_at: line.updated_at.map(|at| at.0),
        told_from,
        told_to,
        told_basis,
    }
}

/// Writes lines; adopted ones get their baseline, changed dates their history.
pub(super) async fn write(
    c: &mut Conn<'_>,
    input: &MirrorInput,
    lines: &[LineChange],
) -> Result<(), sqlx::Error> {
    let rows: Vec<LineRow<'_>> = lines.iter().map(line_row).collect();
    let document = json(&rows);
    let (shop, now) = (input.shop_id, input.now.0);
    run!(c, MOVED, &document, shop, now)?;
    run!(c, LINES, &document, shop, now)?;
    run!(c, BASELINE, &document, shop, input.mode.as_str(), now)?;
    run!(c, BASELINE_SEQ, &document, shop)?;
    run!(c, HISTORY, &document, shop, &input.source, now)?;
    Ok(())
}
