//! What is stored about the orders and lines some rows name, for the merge.

use super::{ReadStore, ask};
use crate::domain::contact::{
    Contact, Country, EmailAddress, Locale, PhoneNumber, Preference, parse_zone,
};
use crate::domain::mirror::{Claim, Claims, Mirror, StoredLine, StoredOrder};
use crate::domain::order::EtaOrigin;
use crate::domain::quantity::Quantity;
use crate::domain::time::Instant;
use crate::store::codec::{day_from_column, eta_from_columns, json};
use crate::store::conn::statements;
use crate::store::statement::{maybe, rows};
use crate::store::types::{ClaimRow, StoreError};
use std::collections::HashMap;

/// Keys per statement.
const CHUNK: usize = 5_000;

#[derive(sqlx::FromRow)]
struct OrderRow {
    order_key: String,
    ordered_on: String,
    zone_used: String,
    #[sqlx(flatten)]
    contact: ContactRow,
}

/// The contact columns every reader of orders joins in.
#[derive(sqlx::FromRow)]
pub(crate) struct ContactRow {
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    sms_consent: bool,
    preferred: String,
    locale: Option<String>,
    zone: Option<String>,
    country: Option<String>,
}

impl ContactRow {
    /// What cannot be read any more (a zone that left the database, say) is
    /// left out rather than keeping the whole order from being read.
    pub(crate) fn into_contact(self) -> Contact {
        let country = self.country.and_then(|c| Country::parse(&c).ok());
        Contact {
            name: self.name,
            email: self.email.and_then(|e| EmailAddress::parse(&e).ok()),
            phone: self
                .phone
                .and_then(|p| PhoneNumber::parse(&p, country).ok()),
            sms_consent: self.sms_consent,
            preferred: Preference::parse(&self.preferred).unwrap_or_default(),
            locale: self.locale.and_then(|l| Locale::parse(&l).ok()),
            zone: self.zone.and_then(|z| parse_zone(&z).ok()),
            country,
        }
    }
}

#[derive(sqlx::FromRow)]
struct LineRow {
    line_key: String,
    order_key: String,
    row_hash: String,
    sku: Option<String>,
    qty_ordered: i64,
    qty_shipped: i64,
    qty_cancelled: i64,
    source_eta_from: Option<String>,
    source_eta_to: Option<String>,
    source_reason: Option<String>,
    eta_from: Option<String>,
    eta_to: Option<String>,
    eta_origin: String,
    seen_waiting: bool,
    updated_at: Option<i64>,
}

const LINE_COLUMNS: &str = "
SELECT l.line_key, o.order_key, l.row_hash, l.sku, l.qty_ordered, l.qty_shipped, l.qty_cancelled,
  l.source_eta_from, l.source_eta_to, l.source_reason, l.eta_from, l.eta_to, l.eta_origin,
  l.seen_waiting, l.updated_at
FROM order_lines l JOIN orders o ON o.id = l.order_id
WHERE l.shop_id = $1 AND l.line_key IN (SELECT CAST(e.atom AS TEXT) FROM jsonb_each($2) AS e)";

const CLAIMED_LINES: &str = "
SELECT l.line_key, o.order_key, l.row_hash, l.sku, l.qty_ordered, l.qty_shipped, l.qty_cancelled,
  l.source_eta_from, l.source_eta_to, l.source_reason, l.eta_from, l.eta_to, l.eta_origin,
  l.seen_waiting, l.updated_at
FROM order_lines l JOIN orders o ON o.id = l.order_id
-- The plus keeps the engine from walking all of the shop's lines.
WHERE +l.shop_id = $1 AND l.seen_waiting = TRUE AND o.closed_at IS NULL AND l.id IN (
  SELECT id FROM order_lines WHERE sku IN (SELECT CAST(e.atom AS TEXT) FROM jsonb_each($2) AS e)
  UNION SELECT id FROM order_lines
    WHERE shop_id = $1 AND line_key IN (SELECT CAST(e.atom AS TEXT) FROM jsonb_each($3) AS e)
  UNION SELECT s.id FROM orders p JOIN order_lines s ON s.order_id = p.id
    WHERE p.shop_id = $1 AND p.order_key IN (SELECT CAST(e.atom AS TEXT) FROM jsonb_each($4) AS e))";

const ORDER_COLUMNS: &str = "
SELECT o.order_key, o.ordered_on, o.zone_used, k.name, k.email, k.phone, k.sms_consent,
  k.preferred, k.locale, k.zone, k.country
FROM orders o JOIN contacts k ON k.id = o.contact_id
WHERE o.shop_id = $1 AND o.order_key IN (SELECT CAST(e.atom AS TEXT) FROM jsonb_each($2) AS e)";

const SHOP: &str = "SELECT id FROM shops WHERE key = $1";
const ANY_ORDER: &str = "SELECT id FROM orders WHERE shop_id = $1 LIMIT 1";
const CLAIMS: &str = "
SELECT scope, key, eta_from, eta_to, reason, origin, by, confirmed_at
FROM eta_claims WHERE shop_id = $1 ORDER BY scope, key";

statements![
    LINE_COLUMNS,
    CLAIMED_LINES,
    ORDER_COLUMNS,
    SHOP,
    ANY_ORDER,
    CLAIMS,
];

/// The mirror and the revision it was read at.
pub struct ReadMirror {
    pub mirror: Mirror,
    pub revision: i64,
}

impl ReadStore {
    /// The id of a shop by its key; absent before the first write.
    pub async fn shop_id(&self, key: &str) -> Result<Option<i64>, StoreError> {
        Ok(ask!(self, "find the shop", maybe, SHOP, key))
    }

    /// The stored state of the named orders and lines, with all claims. The
    /// revision is read first: a writer in between makes the commit fail, not
    /// the merge wrong.
    pub async fn mirror(
        &self,
        shop_id: i64,
        order_keys: &[&str],
        line_keys: &[&str],
    ) -> Result<ReadMirror, StoreError> {
        let revision = self.mirror_revision().await?;
        let any: Option<i64> = ask!(self, "read the orders", maybe, ANY_ORDER, shop_id);
        let mut mirror = Mirror {
            is_empty: any.is_none(),
            ..Mirror::default()
        };
        mirror.claims = claims_of(self.claims(shop_id).await?);
        if mirror.is_empty {
            return Ok(ReadMirror { mirror, revision });
        }
        for keys in order_keys.chunks(CHUNK) {
            let found: Vec<OrderRow> = ask!(
                self,
                "read the orders",
                rows,
                ORDER_COLUMNS,
                shop_id,
                json(&keys)
            );
            for row in found {
                let zone = parse_zone(&row.zone_used).unwrap_or(chrono_tz::UTC);
                let ordered_on =
                    day_from_column(&row.ordered_on, "orders", &row.order_key, "ordered_on")?;
                let contact = row.contact.into_contact();
                mirror.orders.insert(
                    row.order_key,
                    StoredOrder {
                        contact,
                        ordered_on,
                        zone,
                    },
                );
            }
        }
        for keys in line_keys.chunks(CHUNK) {
            let found: Vec<LineRow> = ask!(
                self,
                "read the order lines",
                rows,
                LINE_COLUMNS,
                shop_id,
                json(&keys)
            );
            insert_lines(&mut mirror.lines, found)?;
        }
        Ok(ReadMirror { mirror, revision })
    }

    pub async fn mirror_revision(&self) -> Result<i64, StoreError> {
        Ok(self
            .meta("mirror_revision")
            .await?
            .and_then(|v| v.parse().ok())
            .unwrap_or(0))
    }

    /// Open lines that claims on the given SKUs, lines and orders can touch.
    pub async fn lines_under_claims(
        &self,
        shop_id: i64,
        skus: &[&str],
        lines: &[&str],
        orders: &[&str],
    ) -> Result<HashMap<String, StoredLine>, StoreError> {
        let found: Vec<LineRow> = ask!(
            self,
            "read the order lines",
            rows,
            CLAIMED_LINES,
            shop_id,
            json(&skus),
            json(&lines),
            json(&orders)
        );
        let mut out = HashMap::new();
        insert_lines(&mut out, found)?;
        Ok(out)
    }

    /// Every date set by a person or a dates file, in order of scope and key.
    pub async fn claims(&self, shop_id: i64) -> Result<Vec<ClaimRow>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            scope: String,
            key: String,
            eta_from: Option<String>,
            eta_to: Option<String>,
            reason: Option<String>,
            origin: String,
            by: String,
            confirmed_at: i64,
        }
        let found: Vec<Row> = ask!(self, "read the dates people set", rows, CLAIMS, shop_id);
        found
            .into_iter()
            .map(|row| {
                Ok(ClaimRow {
                    eta: eta_from_columns(row.eta_from, row.eta_to, "eta_claims", &row.key)?,
                    scope: row.scope,
                    key: row.key,
                    reason: row.reason,
                    origin: row.origin,
                    by: row.by,
                    confirmed_at: Instant(row.confirmed_at),
                })
            })
            .collect()
    }
}

fn insert_lines(
    into: &mut HashMap<String, StoredLine>,
    rows: Vec<LineRow>,
) -> Result<(), StoreError> {
    for row in rows {
        let key = row.line_key;
        let line = StoredLine {
            order_key: row.order_key,
            row_hash: row.row_hash,
            sku: row.sku,
            ordered: Quantity(row.qty_ordered),
            shipped: Quantity(row.qty_shipped),
            cancelled: Quantity(row.qty_cancelled),
            source_eta: eta_from_columns(
                row.source_eta_from,
                row.source_eta_to,
                "order_lines",
                &key,
            )?,
            source_reason: row.source_reason,
            eta: eta_from_columns(row.eta_from, row.eta_to, "order_lines", &key)?,
            eta_origin: EtaOrigin::parse(&row.eta_origin),
            seen_waiting: row.seen_waiting,
            updated_at: row.updated_at.map(Instant),
        };
        into.insert(key, line);
    }
    Ok(())
}

/// Claims as the merge wants them.
pub fn claims_of(rows: Vec<ClaimRow>) -> Claims {
    let mut claims = Claims::default();
    for row in rows {
        let claim = Claim {
            eta: row.eta,
            reason: row.reason,
            origin: EtaOrigin::parse(&row.origin),
        };
        match row.scope.as_str() {
            "order" => claims.by_order.insert(row.key, claim),
            "line" => claims.by_line.insert(row.key, claim),
            _ => claims.by_sku.insert(row.key, claim),
        };
    }
    claims
}
