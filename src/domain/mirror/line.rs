//! What one row changes about its line: quantities, ETA, and whether the line
//! is taken over silently.

use super::{LineChange, MergeRules, Mirror, OrderChange, StoredLine};
use crate::domain::quantity::Quantity;
use crate::domain::row::{Row, RowStatus};
use crate::domain::statement::hex;
use crate::domain::told::Basis;
use sha2::{Digest, Sha256};

pub(super) fn line_change(
    row: &Row,
    row_hash: String,
    stored: Option<&StoredLine>,
    order: &OrderChange,
    mirror: &Mirror,
    rules: &MergeRules,
) -> LineChange {
    // Some shops write quantity 0 on a cancelled line: that is the rest of it,
    // not an order of nothing.
    let emptied = row.status == RowStatus::Cancelled && row.ordered == Quantity::ZERO;
    let ordered = match stored {
        Some(stored) if emptied => stored.ordered,
        _ => row.ordered,
    };
    let shipped = row
        .shipped
        .or(stored.map(|s| s.shipped))
        .unwrap_or_default();
    let cancelled = row
        .cancelled
        .or(stored.map(|s| s.cancelled))
        .unwrap_or_default();
    let (shipped, cancelled) = match row.status {
        RowStatus::Waiting => (shipped, cancelled),
        RowStatus::Shipped if row.shipped.is_none() => (ordered.less(cancelled), cancelled),
        RowStatus::Cancelled if row.cancelled.is_none() || emptied => {
            (shipped, ordered.less(shipped))
        }
        RowStatus::Shipped | RowStatus::Cancelled => (shipped, cancelled),
    };
    let waiting = ordered.less(shipped).less(cancelled).is_positive();
    let first_waiting = waiting && stored.is_none_or(|s| !s.seen_waiting);
    let source_eta = row.eta.or(stored.map(|s| s.source_eta)).unwrap_or_default();
    let source_reason = row.reason.clone().or_else(|| {
        stored
            .filter(|s| s.source_eta == source_eta)
            .and_then(|s| s.source_reason.clone())
    });
    let (eta, eta_origin, reason) = mirror.claims.effective(
        &order.key,
        &row.line_key,
        row.sku.as_deref(),
        source_eta,
        source_reason.as_deref(),
    );
    let known = stored.filter(|s| s.seen_waiting);
    // A new line of an order that is adopted counts as told; so does one that
    // shows up long after its order.
    let adopt = first_waiting && order.adopted && !(rules.announce);
    LineChange {
        order_key: order.key.clone(),
        key: row.line_key.clone(),
        sku: row.sku.clone(),
        name: row
            .product_name
            .clone()
            .or_else(|| row.sku.clone())
            .unwrap_or_else(|| row.line_key.clone()),
        ordered,
        shipped,
        cancelled,
        shipped_changed: known.is_some_and(|s| shipped > s.shipped),
        cancelled_changed: known.is_some_and(|s| cancelled > s.cancelled),
        price_minor: row.price_minor,
        currency: row.currency.clone(),
        supplier: row.supplier.clone(),
        warehouse: row.warehouse.clone(),
        source_eta,
        source_reason,
        eta,
        eta_origin,
        eta_changed: stored.is_none_or(|s| s.eta != eta || s.eta_origin != eta_origin),
        eta_confirmed_at: row.eta_confirmed_at,
        reason,
        seen_waiting: waiting || stored.is_some_and(|s| s.seen_waiting),
        row_hash,
        extras: row.extras.clone(),
        updated_at: row.updated_at,
        is_new: known.is_none(),
        baseline: adopt.then_some(match row.told {
            Some(told) => (told, Basis::Shop),
            None => (eta, Basis::Baseline),
        }),
    }
}

/// Fingerprint of everything a row says, its place in the file aside: an
/// unchanged row writes nothing.
pub fn row_hash(row: &Row) -> String {
    let placeless = Row {
        at_line: 0,
        ..row.clone()
    };
    let text = serde_json::to_vec(&placeless).unwrap_or_default();
    hex(&Sha256::digest(&text)[..16])
}
