//! One row of a source: a backordered order line as the shop describes it.
//!
//! Parsed and typed; every source delivers this shape and the store mirrors
//! it. `None` means "the source did not say", which leaves what is stored as
//! it is. A row that is missing means nothing at all.

use super::contact::{Country, EmailAddress, Locale, PhoneNumber, Preference};
use super::eta::Eta;
use super::quantity::Quantity;
use super::time::Instant;
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An order line as one source row states it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Where it stood, for messages about it: line in the file, from 1.
    pub at_line: u64,
    /// The shop's line id; unique within the shop.
    pub line_key: String,
    /// The shop's order id; without one the number identifies the order.
    pub order_key: Option<String>,
    pub order_number: String,
    pub status: RowStatus,

    pub customer_name: Option<String>,
    pub email: Option<EmailAddress>,
    pub phone: Option<PhoneNumber>,
    pub sms_consent: Option<bool>,
    pub preferred: Option<Preference>,
    pub locale: Option<Locale>,
    pub zone: Option<Tz>,
    pub country: Option<Country>,
    pub customer_deleted: bool,

    pub sku: Option<String>,
    pub product_name: Option<String>,
    pub ordered: Quantity,
    pub shipped: Option<Quantity>,
    pub cancelled: Option<Quantity>,
    pub price_minor: Option<i64>,
    pub currency: Option<String>,
    pub supplier: Option<String>,
    pub warehouse: Option<String>,

    pub ordered_at: Option<Instant>,
    /// The local day of the order where the source gave only a day.
    pub ordered_on: Option<NaiveDate>,

    /// `None`: the source has no column for it. `Some(Unknown)`: it says that
    /// nobody knows.
    pub eta: Option<Eta>,
    pub eta_confirmed_at: Option<Instant>,
    /// What the customer was told before we came, for a baseline.
    pub told: Option<Eta>,
    pub reason: Option<String>,

    /// Parcels named by this row; several rows of one line may add more.
    pub shipments: Vec<RowShipment>,

    pub view_url: Option<String>,
    pub cancel_url: Option<String>,
    /// Known columns we keep without reading them (customer_id, priority ...).
    pub extras: BTreeMap<String, String>,
    pub updated_at: Option<Instant>,
}

impl Row {
    /// A row of one piece that says only what every row has to.
    pub fn bare(line_key: &str, order_number: &str, status: RowStatus) -> Row {
        Row {
            at_line: 1,
            line_key: line_key.to_owned(),
            order_key: None,
            order_number: order_number.to_owned(),
            status,
            customer_name: None,
            email: None,
            phone: None,
            sms_consent: None,
            preferred: None,
            locale: None,
            zone: None,
            country: None,
            customer_deleted: false,
            sku: None,
            product_name: None,
            ordered: Quantity::pieces(1),
            shipped: None,
            cancelled: None,
            price_minor: None,
            currency: None,
            supplier: None,
            warehouse: None,
            ordered_at: None,
            ordered_on: None,
            eta: None,
            eta_confirmed_at: None,
            told: None,
            reason: None,
            shipments: Vec::new(),
            view_url: None,
            cancel_url: None,
            extras: BTreeMap::new(),
            updated_at: None,
        }
    }
}

/// A parcel as a row names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowShipment {
    pub key: String,
    pub shipped_at: Option<Instant>,
    pub carrier: Option<String>,
    pub tracking_numbers: Vec<String>,
    pub tracking_url: Option<String>,
    pub estimate_on: Option<NaiveDate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowStatus {
    Waiting,
    Shipped,
    Cancelled,
}

/// One row of an `etas` file: a date for every open line of a SKU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SkuEta {
    pub at_line: u64,
    pub sku: String,
    pub eta: Eta,
    pub reason: Option<String>,
}
