//! From rows to changes: how a source's rows alter what we mirror.
//!
//! Pure: the stored state comes in as a [`Mirror`], the changes go out as a
//! value that the store writes in one transaction. A dry run of an import is
//! the same call without the write. What a source does not say stays as it is;
//! a row that is missing means nothing; only a line once seen waiting can ever
//! cause a message.

mod claims;
mod line;
mod wishes;

use self::line::line_change;
pub use self::line::row_hash;
pub use claims::{Claim, Claims, EtaChange, reclaim, sku_claims};
pub use wishes::{SaidWishes, Wishes, keep_known_wishes};

use super::contact::Contact;
use super::eta::Eta;
use super::order::EtaOrigin;
use super::policy::{ConfirmationPolicy, ConfirmedBy};
use super::quantity::Quantity;
use super::row::{Row, RowShipment};
use super::time::Instant;
use super::told::Basis;
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What is stored about the orders and lines that some rows name.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    /// No order has ever been stored.
    pub is_empty: bool,
    pub orders: HashMap<String, StoredOrder>,
    pub lines: HashMap<String, StoredLine>,
    /// Dates that beat a source's own.
    pub claims: Claims,
}

#[derive(Clone, Debug)]
pub struct StoredOrder {
    pub contact: Contact,
    pub ordered_on: NaiveDate,
    pub zone: Tz,
}

#[derive(Clone, Debug)]
pub struct StoredLine {
    pub order_key: String,
    pub row_hash: String,
    pub sku: Option<String>,
    pub ordered: Quantity,
    pub shipped: Quantity,
    pub cancelled: Quantity,
    pub source_eta: Eta,
    pub source_reason: Option<String>,
    pub eta: Eta,
    pub eta_origin: EtaOrigin,
    pub seen_waiting: bool,
    pub updated_at: Option<Instant>,
}

/// How rows are taken.
#[derive(Clone, Debug)]
pub struct MergeRules {
    pub now: Instant,
    pub shop_zone: Tz,
    pub confirmation: ConfirmationPolicy,
    /// Confirm what was already waiting at first sight instead of adopting it.
    pub announce: bool,
    /// A push older than what is stored is ignored; a file always applies.
    pub is_push: bool,
}

/// What the rows change. Lists are in order of the rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MirrorChanges {
    pub orders: Vec<OrderChange>,
    pub lines: Vec<LineChange>,
    pub shipments: Vec<ShipmentChange>,
    pub counts: MirrorCounts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct MirrorCounts {
    pub rows: usize,
    pub unchanged: usize,
    pub new_orders: usize,
    pub adopted_orders: usize,
    pub new_lines: usize,
    pub changed_lines: usize,
    pub eta_changes: usize,
    pub newly_shipped: usize,
    pub newly_cancelled: usize,
    pub older_ignored: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct OrderChange {
    pub key: String,
    pub number: String,
    /// As of the rows and the stored order; [`keep_known_wishes`] adds what is
    /// known of the contact from other orders.
    pub contact: Contact,
    pub said: SaidWishes,
    pub ordered_at: Option<Instant>,
    pub ordered_on: NaiveDate,
    pub zone: Tz,
    pub view_url: Option<String>,
    pub cancel_url: Option<String>,
    pub customer_deleted: bool,
    pub is_new: bool,
    pub adopted: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LineChange {
    pub order_key: String,
    pub key: String,
    pub sku: Option<String>,
    pub name: String,
    pub ordered: Quantity,
    pub shipped: Quantity,
    pub cancelled: Quantity,
    pub shipped_changed: bool,
    pub cancelled_changed: bool,
    pub price_minor: Option<i64>,
    pub currency: Option<String>,
    pub supplier: Option<String>,
    pub warehouse: Option<String>,
    pub source_eta: Eta,
    pub source_reason: Option<String>,
    pub eta: Eta,
    pub eta_origin: EtaOrigin,
    pub eta_changed: bool,
    pub eta_confirmed_at: Option<Instant>,
    pub reason: Option<String>,
    pub seen_waiting: bool,
    pub row_hash: String,
    pub extras: BTreeMap<String, String>,
    pub updated_at: Option<Instant>,
    pub is_new: bool,
    /// What counts as told from the start, for adopted lines.
    pub baseline: Option<(Eta, Basis)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ShipmentChange {
    pub order_key: String,
    pub shipment: RowShipment,
    /// Reported before we came: not news.
    pub baseline: bool,
}

/// An order's key: the shop's order id, else its number.
pub fn order_key(row: &Row) -> &str {
    row.order_key.as_deref().unwrap_or(&row.order_number)
}

/// Works out what `rows` change; see the module's header.
pub fn merge(rows: &[Row], mirror: &Mirror, rules: &MergeRules) -> MirrorChanges {
    let mut out = MirrorChanges::default();
    let mut orders: HashMap<String, usize> = HashMap::new();
    let adopted_orders = orders_to_adopt(rows, mirror, rules);
    for row in rows {
        out.counts.rows += 1;
        let key = order_key(row);
        let stored = mirror.lines.get(&row.line_key);
        let hash = row_hash(row);
        if let Some(stored) = stored {
            if stored.row_hash == hash && stored.order_key == key {
                out.counts.unchanged += 1;
                continue;
            }
            let older = match (row.updated_at, stored.updated_at) {
                (Some(row), Some(stored)) => row < stored,
                _ => false,
            };
            if rules.is_push && older {
                out.counts.older_ignored += 1;
                continue;
            }
        }
        match orders.get(key) {
            Some(index) => absorb(&mut out.orders[*index], row),
            None => {
                let adopted = adopted_orders.contains(key);
                let order = order_change(row, mirror.orders.get(key), rules, adopted);
                out.counts.new_orders += usize::from(order.is_new);
                out.counts.adopted_orders += usize::from(order.is_new && order.adopted);
                orders.insert(key.to_owned(), out.orders.len());
                out.orders.push(order);
            }
        }
        let order = &out.orders[orders[key]];
        let line = line_change(row, hash, stored, order, mirror, rules);
        for shipment in &row.shipments {
            out.shipments.push(ShipmentChange {
                order_key: key.to_owned(),
                shipment: shipment.clone(),
                baseline: line.is_new,
            });
        }
        let counts = &mut out.counts;
        counts.new_lines += usize::from(line.is_new);
        counts.changed_lines += usize::from(!line.is_new);
        counts.eta_changes += usize::from(line.eta_changed && !line.is_new);
        counts.newly_shipped += usize::from(line.shipped_changed);
        counts.newly_cancelled += usize::from(line.cancelled_changed);
        out.lines.push(line);
    }
    out
}

/// Orders whose waiting lines are taken over silently: everything at first
/// sight, whatever the shop confirms itself, and what comes too late.
fn orders_to_adopt<'r>(rows: &'r [Row], mirror: &Mirror, rules: &MergeRules) -> HashSet<&'r str> {
    if rules.announce {
        return HashSet::new();
    }
    let everything = mirror.is_empty || rules.confirmation.by == ConfirmedBy::Shop;
    rows.iter()
        .filter(|row| {
            let ordered_at = row.ordered_at.or_else(|| {
                row.ordered_on.map(|day| {
                    super::time::at_time(day, chrono::NaiveTime::MIN, row_zone(row, rules))
                })
            });
            let late =
                ordered_at.is_some_and(|at| rules.now.since(at) > rules.confirmation.max_age);
            everything || late
        })
        .map(order_key)
        .collect()
}

fn row_zone(row: &Row, rules: &MergeRules) -> Tz {
    row.zone.unwrap_or(rules.shop_zone)
}

fn order_change(
    row: &Row,
    stored: Option<&StoredOrder>,
    rules: &MergeRules,
    adopted: bool,
) -> OrderChange {
    // Milestones count in the shop's zone: its day is the one on the receipt.
    let zone = stored.map_or(rules.shop_zone, |stored| stored.zone);
    let ordered_on = stored.map_or_else(
        || {
            row.ordered_on
                .or_else(|| row.ordered_at.map(|at| at.day_in(zone)))
                .unwrap_or_else(|| rules.now.day_in(zone))
        },
        |stored| stored.ordered_on,
    );
    let mut order = OrderChange {
        key: order_key(row).to_owned(),
        number: row.order_number.clone(),
        contact: stored.map_or_else(no_contact, |stored| stored.contact.clone()),
        said: SaidWishes::default(),
        ordered_at: row.ordered_at,
        ordered_on,
        zone,
        view_url: None,
        cancel_url: None,
        customer_deleted: false,
        is_new: stored.is_none(),
        adopted,
    };
    absorb(&mut order, row);
    order
}

fn no_contact() -> Contact {
    Contact {
        name: None,
        email: None,
        phone: None,
        sms_consent: false,
        preferred: super::contact::Preference::Email,
        locale: None,
        zone: None,
        country: None,
    }
}

/// Takes over what a row says about its order; what it leaves out stays.
fn absorb(order: &mut OrderChange, row: &Row) {
    fn take<T: Clone>(to: &mut Option<T>, from: &Option<T>) {
        if from.is_some() {
            to.clone_from(from);
        }
    }
    let contact = &mut order.contact;
    take(&mut contact.name, &row.customer_name);
    take(&mut contact.email, &row.email);
    take(&mut contact.phone, &row.phone);
    take(&mut contact.locale, &row.locale);
    take(&mut contact.zone, &row.zone);
    take(&mut contact.country, &row.country);
    contact.sms_consent = row.sms_consent.unwrap_or(contact.sms_consent);
    contact.preferred = row.preferred.unwrap_or(contact.preferred);
    take(&mut order.said.sms_consent, &row.sms_consent);
    take(&mut order.said.preferred, &row.preferred);
    take(&mut order.view_url, &row.view_url);
    take(&mut order.cancel_url, &row.cancel_url);
    order.customer_deleted |= row.customer_deleted;
}

#[cfg(test)]
#[path = "mirror_tests.rs"]
mod tests;
