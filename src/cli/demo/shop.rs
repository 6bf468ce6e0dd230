//! The made-up shop: its customers, their orders, and the export file it
//! writes.
//!
//! The story edits orders here as a shop's staff would edit theirs;
//! [`Shop::export`] writes what a shop system would write, and the import
//! reads that and nothing else.

use super::cast::{PRODUCTS, cast};
use crate::domain::time::Instant;
use chrono::DateTime;
use serde::Serialize;

/// The shop's configuration; `{now}` is when the story ends.
pub const CONFIGURATION: &str = r#"# Made by `backorderd demo`: a made-up shop whose clock stands still.
# Nothing here can send: sandbox mode, and every message becomes a file.
mode = "sandbox"

[shop]
name = "Fern & Kettle"
phone = "020 7946 0018"
website = "https://fernkettle.example/"
reply_to = "help@fernkettle.example"
zone = "Europe/London"
locale = "en"
country = "GB"
currency = "GBP"
charges = "at_order"
cancel = "until_shipped"

[shop.hours]
en = "Monday to Friday 9:00 to 17:00"
de = "Montag bis Freitag 9 bis 17 Uhr"

[email]
from = "Fern & Kettle <orders@fernkettle.example>"

[sms]
gateway = "folder"
countries = ["GB", "DE", "US"]

[brake]
per_hour = 20

# One morning the mail server is away; this is how often we knock.
[retry]
relay_delay = "5m"

# Three weeks pass in seconds; a real shop leaves this at its default.
[pace]
per_minute = 1000000

[demo]
now = "{now}"
"#;

/// One line of the shop's export, in the columns every source has.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShopRow {
    pub line_id: String,
    pub order_number: String,
    pub customer_name: &'static str,
    pub email: String,
    pub phone: &'static str,
    pub sms_consent: &'static str,
    pub preferred_channel: &'static str,
    pub locale: &'static str,
    pub time_zone: &'static str,
    pub country: &'static str,
    pub sku: &'static str,
    pub product_name: &'static str,
    pub quantity: u32,
    pub quantity_shipped: u32,
    pub quantity_cancelled: u32,
    pub unit_price: &'static str,
    pub currency: &'static str,
    pub ordered_at: &'static str,
    pub eta_from: String,
    pub eta_to: String,
    pub eta_withdrawn: &'static str,
    pub reason: &'static str,
    pub status: &'static str,
    pub shipment_id: &'static str,
    pub shipped_at: &'static str,
    pub tracking_number: &'static str,
    pub carrier: &'static str,
    pub tracking_url: &'static str,
    pub estimated_delivery: &'static str,
    pub view_url: String,
}

/// What the shop knows of its orders.
pub struct Shop {
    rows: Vec<(Instant, ShopRow)>,
}

/// A moment of the story; it is written by hand and always parses.
pub fn moment(text: &str) -> Instant {
    DateTime::parse_from_rfc3339(text).map_or(Instant(0), |at| Instant::from_datetime(&at))
}

impl Shop {
    /// With everybody's order as it will be when it is placed.
    pub fn open() -> Shop {
        let mut rows = Vec::new();
        for (number, who, at, lines) in cast() {
            for (index, (sku, pieces, from, to)) in lines.iter().enumerate() {
                let product = PRODUCTS.iter().find(|(known, ..)| known == sku);
                let (_, name, price) = product.copied().unwrap_or((sku, sku, ""));
                let row = ShopRow {
                    line_id: format!("{number}-{}", index + 1),
                    order_number: number.to_string(),
                    customer_name: who.name,
                    email: format!("{}@mail.example", who.mailbox),
                    phone: who.texts,
                    sms_consent: if who.texts.is_empty() { "no" } else { "yes" },
                    preferred_channel: if who.texts.is_empty() {
                        "email"
                    } else {
                        "both"
                    },
                    locale: who.locale,
                    time_zone: who.zone,
                    country: who.country,
                    sku,
                    product_name: name,
                    quantity: *pieces,
                    unit_price: price,
                    currency: "GBP",
                    ordered_at: at,
                    eta_from: (*from).to_owned(),
                    eta_to: (*to).to_owned(),
                    status: "waiting",
                    view_url: format!("https://fernkettle.example/o/{number}"),
                    ..ShopRow::default()
                };
                rows.push((moment(at), row));
            }
        }
        Shop { rows }
    }

    /// How many orders are placed in all.
    pub fn n_orders(&self) -> usize {
        let numbers: std::collections::BTreeSet<&str> = self
            .rows
            .iter()
            .map(|(_, row)| row.order_number.as_str())
            .collect();
        numbers.len()
    }

    /// When the next order after `now` is placed.
    pub fn next_order(&self, now: Instant) -> Option<Instant> {
        self.rows
            .iter()
            .map(|(at, _)| *at)
            .filter(|at| *at > now)
            .min()
    }

    /// Changes every line of an order.
    pub fn edit_order(&mut self, number: &str, edit: impl Fn(&mut ShopRow)) {
        let of_order = |(_, row): &&mut (Instant, ShopRow)| row.order_number == number;
        self.rows
            .iter_mut()
            .filter(of_order)
            .for_each(|(_, row)| edit(row));
    }

    /// Changes every line of a product.
    pub fn edit_sku(&mut self, sku: &str, edit: impl Fn(&mut ShopRow)) {
        let of_sku = |(_, row): &&mut (Instant, ShopRow)| row.sku == sku;
        self.rows
            .iter_mut()
            .filter(of_sku)
            .for_each(|(_, row)| edit(row));
    }

    /// Loses an order, as shops do.
    pub fn lose_order(&mut self, number: &str) {
        self.rows.retain(|(_, row)| row.order_number != number);
    }

    /// The export file of this moment: the orders placed so far.
    ///
    /// # Errors
    /// Never in practice: it is written into memory.
    pub fn export(&self, now: Instant) -> anyhow::Result<Vec<u8>> {
        let mut out = csv::Writer::from_writer(Vec::new());
        for (_, row) in self.rows.iter().filter(|(at, _)| *at <= now) {
            out.serialize(row)?;
        }
        Ok(out.into_inner().map_err(csv::IntoInnerError::into_error)?)
    }
}
