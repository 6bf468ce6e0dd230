//! From rows to changes: how a source's rows alter what we mirror.
//!
//! Pure: the stored state comes in as a [`Mirror`], the changes go out as a
//! value that the store writes in one transaction. A dry run of an import is
//! the same call without the write. What a source does not say stays as it is;
//! a row that is missing means nothing; only a line once seen waiting can ever
//! cause a message.

use super::contact::Contact;
use super::eta::Eta;
use super::order::EtaOrigin;
use super::policy::{ConfirmationPolicy, ConfirmedBy};
use super::quantity::Quantity;
use super::row::{Row, RowShipment, RowStatus, SkuEta};
use super::statement::hex;
use super::time::Instant;
use super::told::Basis;
use chrono::NaiveDate;
use chrono_tz::Tz;
use sha2::{Digest, Sha256};
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

/// Dates by order, line and SKU, as set by people and dates files.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    pub by_order: HashMap<String, Claim>,
    pub by_line: HashMap<String, Claim>,
    pub by_sku: HashMap<String, Claim>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    pub eta: Eta,
    pub reason: Option<String>,
    pub origin: EtaOrigin,
}

impl Claims {
    /// The ETA in force: order beats line beats SKU beats the source.
    pub fn effective(
        &self,
        order_key: &str,
        line_key: &str,
        sku: Option<&str>,
        source: Eta,
        source_reason: Option<&str>,
    ) -> (Eta, EtaOrigin, Option<String>) {
        let claim = self
            .by_order
            .get(order_key)
            .or_else(|| self.by_line.get(line_key))
            .or_else(|| sku.and_then(|sku| self.by_sku.get(sku)));
        match claim {
            Some(claim) => (claim.eta, claim.origin, claim.reason.clone()),
            None => (source, EtaOrigin::Source, source_reason.map(str::to_owned)),
        }
    }
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
    pub contact: Contact,
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
    take(&mut order.view_url, &row.view_url);
    take(&mut order.cancel_url, &row.cancel_url);
    order.customer_deleted |= row.customer_deleted;
}

fn line_change(
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

/// A new ETA for lines that are stored: what a dates file or a person changes.
#[derive(Clone, Debug, PartialEq)]
pub struct EtaChange {
    pub line_key: String,
    pub eta: Eta,
    pub origin: EtaOrigin,
    pub reason: Option<String>,
}

/// The lines whose ETA in force differs under `claims` from the stored one.
pub fn reclaim(lines: &HashMap<String, StoredLine>, claims: &Claims) -> Vec<EtaChange> {
    let mut out: Vec<EtaChange> = lines
        .iter()
        .filter_map(|(key, line)| {
            let (eta, origin, reason) = claims.effective(
                &line.order_key,
                key,
                line.sku.as_deref(),
                line.source_eta,
                line.source_reason.as_deref(),
            );
            (eta != line.eta || origin != line.eta_origin).then(|| EtaChange {
                line_key: key.clone(),
                eta,
                origin,
                reason,
            })
        })
        .collect();
    out.sort_by(|a, b| a.line_key.cmp(&b.line_key));
    out
}

/// The claims of a dates file.
pub fn sku_claims(rows: &[SkuEta]) -> HashMap<String, Claim> {
    rows.iter()
        .map(|row| {
            let claim = Claim {
                eta: row.eta,
                reason: row.reason.clone(),
                origin: EtaOrigin::Sku,
            };
            (row.sku.clone(), claim)
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Policy;
    use crate::domain::time::Length;

    fn row(line: &str, order: &str, eta: Option<&str>) -> Row {
        Row {
            at_line: 2,
            line_key: line.into(),
            order_key: None,
            order_number: order.into(),
            status: RowStatus::Waiting,
            customer_name: None,
            email: None,
            phone: None,
            sms_consent: None,
            preferred: None,
            locale: None,
            zone: None,
            country: None,
            customer_deleted: false,
            sku: Some("TP".into()),
            product_name: Some("Teapot".into()),
            ordered: Quantity::pieces(2),
            shipped: None,
            cancelled: None,
            price_minor: None,
            currency: None,
            supplier: None,
            warehouse: None,
            ordered_at: None,
            ordered_on: Some("2026-02-16".parse().unwrap()),
            eta: Some(eta.map_or(Eta::Unknown, |day| Eta::day(day.parse().unwrap()))),
            eta_confirmed_at: None,
            told: None,
            reason: None,
            shipments: vec![],
            view_url: None,
            cancel_url: None,
            extras: BTreeMap::new(),
            updated_at: None,
        }
    }

    /// Noon on 16 February 2026, the day of the order.
    fn rules() -> MergeRules {
        MergeRules {
            now: Instant(1_771_243_200_000),
            shop_zone: chrono_tz::UTC,
            confirmation: Policy::default().confirmation,
            announce: false,
            is_push: false,
        }
    }

    fn stored(line: &LineChange) -> StoredLine {
        StoredLine {
            order_key: line.order_key.clone(),
            row_hash: line.row_hash.clone(),
            sku: line.sku.clone(),
            ordered: line.ordered,
            shipped: line.shipped,
            cancelled: line.cancelled,
            source_eta: line.source_eta,
            source_reason: line.source_reason.clone(),
            eta: line.eta,
            eta_origin: line.eta_origin,
            seen_waiting: line.seen_waiting,
            updated_at: line.updated_at,
        }
    }

    /// The mirror after `changes` were written.
    fn after(changes: &MirrorChanges) -> Mirror {
        Mirror {
            is_empty: false,
            orders: changes
                .orders
                .iter()
                .map(|o| {
                    let stored = StoredOrder {
                        contact: o.contact.clone(),
                        ordered_on: o.ordered_on,
                        zone: o.zone,
                    };
                    (o.key.clone(), stored)
                })
                .collect(),
            lines: changes
                .lines
                .iter()
                .map(|l| (l.key.clone(), stored(l)))
                .collect(),
            claims: Claims::default(),
        }
    }

    #[test]
    fn first_sight_is_a_silent_baseline_unless_announced() {
        let rows = [row("1", "1042", Some("2026-03-06")), row("2", "1043", None)];
        let empty = Mirror {
            is_empty: true,
            ..Mirror::default()
        };
        let changes = merge(&rows, &empty, &rules());
        assert_eq!(
            (changes.counts.new_orders, changes.counts.adopted_orders),
            (2, 2)
        );
        let told = Eta::day("2026-03-06".parse().unwrap());
        assert_eq!(changes.lines[0].baseline, Some((told, Basis::Baseline)));
        let announced = merge(
            &rows,
            &empty,
            &MergeRules {
                announce: true,
                ..rules()
            },
        );
        assert_eq!(announced.counts.adopted_orders, 0);
        assert_eq!(announced.lines[0].baseline, None);
    }

    #[test]
    fn what_the_shop_told_is_the_baseline_where_it_says_so() {
        let mut told = row("1", "1042", Some("2026-03-20"));
        told.told = Some(Eta::day("2026-03-06".parse().unwrap()));
        let empty = Mirror {
            is_empty: true,
            ..Mirror::default()
        };
        let changes = merge(&[told], &empty, &rules());
        assert_eq!(
            changes.lines[0].baseline,
            Some((Eta::day("2026-03-06".parse().unwrap()), Basis::Shop))
        );
    }

    #[test]
    fn a_new_order_is_confirmed_and_a_late_one_adopted() {
        let mirror = Mirror::default();
        let fresh = merge(&[row("1", "1042", None)], &mirror, &rules());
        assert!(!fresh.orders[0].adopted);
        let late = MergeRules {
            now: rules().now.plus(Length::days(4)),
            ..rules()
        };
        assert!(merge(&[row("1", "1042", None)], &mirror, &late).orders[0].adopted);
        let mut by_shop = rules();
        by_shop.confirmation.by = ConfirmedBy::Shop;
        assert!(merge(&[row("1", "1042", None)], &mirror, &by_shop).orders[0].adopted);
    }

    #[test]
    fn the_same_rows_twice_change_nothing() {
        let rows = [row("1", "1042", Some("2026-03-06"))];
        let mirror = after(&merge(&rows, &Mirror::default(), &rules()));
        let mut moved = rows.clone();
        moved[0].at_line = 99;
        let again = merge(&moved, &mirror, &rules());
        assert_eq!(
            (
                again.counts.unchanged,
                again.lines.len(),
                again.orders.len()
            ),
            (1, 0, 0)
        );
    }

    #[test]
    fn a_changed_date_and_a_shipment_are_news() {
        let mirror = after(&merge(
            &[row("1", "1042", Some("2026-03-06"))],
            &Mirror::default(),
            &rules(),
        ));
        let changes = merge(&[row("1", "1042", Some("2026-03-20"))], &mirror, &rules());
        assert!(changes.lines[0].eta_changed && !changes.lines[0].is_new);
        let mut ship = row("1", "1042", Some("2026-03-06"));
        ship.shipped = Some(Quantity::pieces(1));
        let changes = merge(&[ship], &mirror, &rules());
        assert!(changes.lines[0].shipped_changed && !changes.lines[0].eta_changed);
    }

    #[test]
    fn first_seen_as_shipped_is_not_ours() {
        let mut done = row("1", "1042", None);
        done.status = RowStatus::Shipped;
        let changes = merge(&[done], &Mirror::default(), &rules());
        let line = &changes.lines[0];
        assert_eq!(line.shipped, Quantity::pieces(2));
        assert!(!line.seen_waiting && !line.shipped_changed && line.baseline.is_none());
    }

    #[test]
    fn a_source_without_a_column_leaves_what_is_stored() {
        let mirror = after(&merge(
            &[row("1", "1042", Some("2026-03-06"))],
            &Mirror::default(),
            &rules(),
        ));
        let mut silent = row("1", "1042", None);
        silent.eta = None;
        let changes = merge(&[silent], &mirror, &rules());
        assert_eq!(changes.lines[0].eta.to_string(), "2026-03-06");
        assert!(!changes.lines[0].eta_changed);
    }

    #[test]
    fn a_persons_date_beats_the_source() {
        let mut mirror = after(&merge(
            &[row("1", "1042", Some("2026-03-06"))],
            &Mirror::default(),
            &rules(),
        ));
        let day = Eta::day("2026-04-01".parse().unwrap());
        let claim = Claim {
            eta: day,
            reason: None,
            origin: EtaOrigin::Operator,
        };
        mirror.claims.by_sku.insert("TP".into(), claim);
        assert_eq!(reclaim(&mirror.lines, &mirror.claims)[0].eta, day);
        let changes = merge(&[row("1", "1042", Some("2026-03-09"))], &mirror, &rules());
        assert_eq!(
            (changes.lines[0].eta, changes.lines[0].eta_origin),
            (day, EtaOrigin::Operator)
        );
    }

    #[test]
    fn an_older_push_is_ignored_and_a_file_never() {
        let at = |ms| Some(Instant(ms));
        let mut first = row("1", "1042", Some("2026-03-06"));
        first.updated_at = at(2_000);
        let mirror = after(&merge(&[first], &Mirror::default(), &rules()));
        let mut older = row("1", "1042", Some("2026-03-20"));
        older.updated_at = at(1_000);
        let push = MergeRules {
            is_push: true,
            ..rules()
        };
        assert_eq!(
            merge(&[older.clone()], &mirror, &push).counts.older_ignored,
            1
        );
        assert_eq!(merge(&[older], &mirror, &rules()).lines.len(), 1);
    }
}
