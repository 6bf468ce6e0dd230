//! Dates that do not come with the line: a person's word or a dates file.

use super::lines::HISTORY;
use super::{CHUNK, advance_revision, lock_touched};
use crate::domain::eta::Eta;
use crate::domain::mirror::EtaChange;
use crate::domain::notice_key::Mode;
use crate::domain::order::EtaOrigin;
use crate::domain::time::Instant;
use crate::store::codec::{eta_columns, json};
use crate::store::conn::{Conn, statements};
use crate::store::statement::{Halt, run};
use crate::store::write::operate::audit;
use serde::Serialize;

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

const SET_CLAIM: &str = "
INSERT INTO eta_claims (shop_id, scope, key, eta_from, eta_to, reason, origin, by, confirmed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (shop_id, scope, key) DO UPDATE SET eta_from = excluded.eta_from,
  eta_to = excluded.eta_to, reason = excluded.reason, origin = excluded.origin,
  by = excluded.by, confirmed_at = excluded.confirmed_at";

const CLEAR_CLAIM: &str = "
DELETE FROM eta_claims WHERE shop_id = $1 AND scope = $2 AND key = $3";

const RECLAIM: &str = "
WITH j AS MATERIALIZED (
  SELECT k.id, e.value ->> 'eta_from' AS eta_from, e.value ->> 'eta_to' AS eta_to,
    e.value ->> 'origin' AS origin, e.value ->> 'reason' AS reason
  FROM jsonb_each($1) AS e CROSS JOIN order_lines k
  WHERE k.shop_id = $2 AND k.line_key = e.value ->> 'key')
UPDATE order_lines AS l SET eta_from = j.eta_from, eta_to = j.eta_to, eta_origin = j.origin,
  reason = j.reason,
  eta_changed_at = CASE WHEN l.eta_from IS DISTINCT FROM j.eta_from
      OR l.eta_to IS DISTINCT FROM j.eta_to THEN CAST($3 AS BIGINT)
    ELSE l.eta_changed_at END
FROM j WHERE l.id = j.id";

const RECLAIM_ORDERS: &str = "
UPDATE orders SET fact_version = fact_version + 1, review_version = review_version + 1,
  next_review_at = $3
WHERE id IN (SELECT l.order_id FROM jsonb_each($1) AS j CROSS JOIN order_lines l
  WHERE l.shop_id = $2 AND l.line_key = j.value ->> 'key')";

statements![SET_CLAIM, CLEAR_CLAIM, RECLAIM, RECLAIM_ORDERS];

#[derive(Serialize)]
struct EtaRow<'a> {
    key: &'a str,
    eta_from: Option<String>,
    eta_to: Option<String>,
    origin: &'static str,
    reason: Option<&'a str>,
    eta_changed: bool,
}

impl<'a> EtaRow<'a> {
    fn of(change: &'a EtaChange) -> EtaRow<'a> {
        let (eta_from, eta_to) = eta_columns(change.eta);
        EtaRow {
            key: &change.line_key,
            eta_from,
            eta_to,
            origin: change.origin.as_str(),
            reason: change.reason.as_deref(),
            eta_changed: true,
        }
    }
}

/// See [`crate::store::Store::commit_claims`].
pub async fn commit_claims(
    c: &mut Conn<'_>,
    revision: i64,
    claims: &[ClaimChange],
    lines: &[EtaChange],
    mode: Mode,
    by: &str,
    now: Instant,
) -> Result<(), Halt> {
    advance_revision(c, revision).await?;
    let shop_id = claims.first().map_or(1, |claim| claim.shop_id);
    let keys: Vec<&str> = lines.iter().map(|line| line.line_key.as_str()).collect();
    lock_touched(c, shop_id, &[], &keys, &[]).await?;
    for claim in claims {
        write_claim(c, claim, mode, by, now).await?;
    }
    for chunk in lines.chunks(CHUNK) {
        let rows: Vec<EtaRow<'_>> = chunk.iter().map(EtaRow::of).collect();
        let document = json(&rows);
        run!(c, RECLAIM, &document, shop_id, now.0)?;
        run!(c, RECLAIM_ORDERS, &document, shop_id, now.0)?;
        // Whose date is in force now: after a claim is gone, mostly the shop's.
        for origin in [EtaOrigin::Source, EtaOrigin::Sku, EtaOrigin::Operator] {
            let of_it = chunk.iter().filter(|change| change.origin == origin);
            let rows: Vec<EtaRow<'_>> = of_it.map(EtaRow::of).collect();
            if !rows.is_empty() {
                run!(c, HISTORY, json(&rows), shop_id, origin.as_str(), now.0)?;
            }
        }
    }
    Ok(())
}

async fn write_claim(
    c: &mut Conn<'_>,
    claim: &ClaimChange,
    mode: Mode,
    by: &str,
    now: Instant,
) -> Result<(), Halt> {
    let (shop, scope, key) = (claim.shop_id, claim.scope, &claim.key);
    match &claim.set {
        Some((eta, reason)) => {
            let (from, to) = eta_columns(*eta);
            let origin = claim.origin.as_str();
            run!(
                c, SET_CLAIM, shop, scope, key, &from, &to, reason, origin, by, now.0
            )?;
        }
        None => {
            run!(c, CLEAR_CLAIM, shop, scope, key)?;
        }
    }
    if claim.origin == EtaOrigin::Operator {
        let verb = if claim.set.is_some() {
            "eta set"
        } else {
            "eta clear"
        };
        let target = format!("{scope}:{key} ({})", mode.as_str());
        audit(c, by, verb, &target, None, now).await?;
    }
    Ok(())
}
