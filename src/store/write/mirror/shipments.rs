//! Parcels of orders.

use super::{CHUNK, MirrorInput};
use crate::domain::mirror::ShipmentChange;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::statement::run;
use serde::Serialize;
use std::collections::HashMap;

const SHIPMENTS: &str = "
INSERT INTO shipments (order_id, key, carrier, numbers, url, estimate_on, shipped_at, told_message)
SELECT o.id, j.value ->> 'key', j.value ->> 'carrier', j.value ->> 'numbers', j.value ->> 'url',
  j.value ->> 'estimate_on', CAST(j.value ->> 'shipped_at' AS BIGINT),
  CASE WHEN CAST(j.value ->> 'baseline' AS BOOLEAN) = TRUE THEN 0 END
FROM jsonb_each($1) AS j CROSS JOIN orders o
WHERE o.shop_id = $2 AND o.order_key = j.value ->> 'order_key'
ON CONFLICT (order_id, key) DO UPDATE SET carrier = coalesce(excluded.carrier, shipments.carrier),
  numbers = CASE WHEN excluded.numbers = '[]' THEN shipments.numbers ELSE excluded.numbers END,
  url = coalesce(excluded.url, shipments.url),
  estimate_on = coalesce(excluded.estimate_on, shipments.estimate_on),
  shipped_at = coalesce(excluded.shipped_at, shipments.shipped_at)";

statements![SHIPMENTS];

#[derive(Serialize)]
struct ShipmentRow<'a> {
    order_key: &'a str,
    key: &'a str,
    carrier: Option<&'a str>,
    numbers: String,
    url: Option<&'a str>,
    estimate_on: Option<String>,
    shipped_at: Option<i64>,
    baseline: bool,
}

impl<'a> ShipmentRow<'a> {
    fn of(s: &'a ShipmentChange) -> ShipmentRow<'a> {
        ShipmentRow {
            order_key: &s.order_key,
            key: &s.shipment.key,
            carrier: s.shipment.carrier.as_deref(),
            numbers: json(&s.shipment.tracking_numbers),
            url: s.shipment.tracking_url.as_deref(),
            estimate_on: s.shipment.estimate_on.map(|day| day.to_string()),
            shipped_at: s.shipment.shipped_at.map(|at| at.0),
            baseline: s.baseline,
        }
    }

    /// What the statement does with a stored row: what is new wins, what it
    /// leaves out stays, and who saw the parcel first says whether it is news.
    fn absorb(&mut self, later: ShipmentRow<'a>) {
        self.carrier = later.carrier.or(self.carrier);
        if later.numbers != "[]" {
            self.numbers = later.numbers;
        }
        self.url = later.url.or(self.url);
        self.estimate_on = later.estimate_on.or(self.estimate_on.take());
        self.shipped_at = later.shipped_at.or(self.shipped_at);
    }
}

/// Writes parcels. Lines of one order often name the same one: PostgreSQL
/// refuses to write the same row twice in one statement.
pub(super) async fn write(
    c: &mut Conn<'_>,
    input: &MirrorInput,
    shipments: &[ShipmentChange],
) -> Result<(), sqlx::Error> {
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    let mut rows: Vec<ShipmentRow<'_>> = Vec::new();
    for row in shipments.iter().map(ShipmentRow::of) {
        match places.get(&(row.order_key, row.key)) {
            Some(place) => rows[*place].absorb(row),
            None => {
                places.insert((row.order_key, row.key), rows.len());
                rows.push(row);
            }
        }
    }
    for rows in rows.chunks(CHUNK) {
        run!(c, SHIPMENTS, json(&rows), input.shop_id)?;
    }
    Ok(())
}
