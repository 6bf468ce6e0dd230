//! Rows against what is stored, case by case.

use super::*;
use crate::domain::contact::Preference;
use crate::domain::policy::Policy;
use crate::domain::row::RowStatus;
use crate::domain::time::Length;

fn row(line: &str, order: &str, eta: Option<&str>) -> Row {
    Row {
        at_line: 2,
        sku: Some("TP".into()),
        product_name: Some("Teapot".into()),
        ordered: Quantity::pieces(2),
        ordered_on: Some("2026-02-16".parse().unwrap()),
        eta: Some(eta.map_or(Eta::Unknown, |day| Eta::day(day.parse().unwrap()))),
        ..Row::bare(line, order, RowStatus::Waiting)
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

#[test]
fn what_a_row_leaves_out_about_wishes_is_what_is_known_of_the_contact() {
    use Preference::{Both, Email, Sms};
    let wishes = |sms_consent, preferred| Wishes {
        sms_consent,
        preferred,
    };
    // Said by the row, known of the contact, known of the order's customer
    // before; what comes out.
    for (sentence, said, contact, order, expected) in [
        ("never seen", (None, None), None, None, (false, Email)),
        (
            "a first word",
            (Some(true), Some(Sms)),
            None,
            None,
            (true, Sms),
        ),
        (
            "a new order, nothing said",
            (None, None),
            Some(wishes(true, Both)),
            None,
            (true, Both),
        ),
        (
            "a new order, half said",
            (None, Some(Email)),
            Some(wishes(true, Sms)),
            None,
            (true, Email),
        ),
        (
            "a no is a word",
            (Some(false), None),
            Some(wishes(true, Both)),
            None,
            (false, Both),
        ),
        (
            "the order's own, nothing said",
            (None, None),
            Some(wishes(true, Sms)),
            Some(wishes(true, Sms)),
            (true, Sms),
        ),
        (
            "a repaired address takes its wishes along",
            (None, None),
            None,
            Some(wishes(true, Sms)),
            (true, Sms),
        ),
        (
            "an address that is somebody's keeps theirs",
            (None, None),
            Some(wishes(false, Email)),
            Some(wishes(true, Sms)),
            (false, Email),
        ),
    ] {
        let mut mirror = Mirror::default();
        if let Some(before) = order {
            mirror = after(&merge(&[row("1", "1042", None)], &mirror, &rules()));
            let stored = mirror.orders.get_mut("1042").unwrap();
            stored.contact.sms_consent = before.sms_consent;
            stored.contact.preferred = before.preferred;
        }
        let mut named = row("1", "1042", Some("2026-03-06"));
        (named.sms_consent, named.preferred) = said;
        let mut changes = merge(&[named], &mirror, &rules());
        let known = contact.map(|known| ("anna".to_owned(), known));
        keep_known_wishes(&mut changes.orders, known.into_iter().collect(), |_| {
            "anna".to_owned()
        });
        let found = &changes.orders[0].contact;
        assert_eq!((found.sms_consent, found.preferred), expected, "{sentence}");
    }
}

#[test]
fn orders_of_one_contact_in_one_file_know_what_the_other_said() {
    let mut first = row("1", "1042", None);
    (first.sms_consent, first.preferred) = (Some(true), Some(Preference::Sms));
    let rows = [first, row("2", "1043", None), row("3", "1044", None)];
    let mut changes = merge(&rows, &Mirror::default(), &rules());
    let whose = |o: &OrderChange| if o.key == "1044" { "bert" } else { "anna" }.to_owned();
    keep_known_wishes(&mut changes.orders, HashMap::new(), whose);
    let consents: Vec<bool> = changes
        .orders
        .iter()
        .map(|o| o.contact.sms_consent)
        .collect();
    assert_eq!(consents, [true, true, false]);
}
