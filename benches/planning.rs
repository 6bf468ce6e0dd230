//! What one order costs to decide about: `cargo bench --bench planning`.
//!
//! Ten thousand orders of a shop as it is on a Thursday morning, most of them
//! unchanged; every iteration takes the next one, so a line of the table is
//! the time per order. `plan` is what a tick pays for each order that is due,
//! `forecast` what `live` and an import pay for each open one.

use backorderd::domain::contact::{Contact, EmailAddress, Locale, Preference};
use backorderd::domain::eta::Eta;
use backorderd::domain::forecast::forecast;
use backorderd::domain::ids::{ContactId, LineId, OrderId};
use backorderd::domain::notice_key::Mode;
use backorderd::domain::order::{EtaOrigin, Line, Order, Shipment, Situation};
use backorderd::domain::plan::plan;
use backorderd::domain::policy::Policy;
use backorderd::domain::quantity::Quantity;
use backorderd::domain::time::{Instant, Length};
use backorderd::domain::told::{Basis, Told};
use chrono::{Days, NaiveDate};
use divan::{Bencher, black_box};

const N_ORDERS: i64 = 10_000;
/// Thursday 26 February 2026, 10:02 in London.
const NOW: Instant = Instant(1_772_100_120_000);

fn main() {
    divan::main();
}

/// What is the matter with an order.
#[derive(Clone, Copy, Debug)]
enum Case {
    Unchanged,
    Delayed,
    WithoutDate,
    NeverTold,
    PartlyShipped,
}

impl Case {
    /// Of twenty orders: one new, one shipping, two delayed, two without a
    /// date, and fourteen as they were.
    fn of(n: i64) -> Case {
        match n % 20 {
            0 => Case::NeverTold,
            1 => Case::PartlyShipped,
            2 | 3 => Case::Delayed,
            4 | 5 => Case::WithoutDate,
            _ => Case::Unchanged,
        }
    }
}

fn orders() -> Vec<Situation> {
    (1..=N_ORDERS).map(|n| order(n, Case::of(n))).collect()
}

fn today() -> NaiveDate {
    NOW.day_in(chrono_tz::Europe::London)
}

fn order(n: i64, case: Case) -> Situation {
    let zone = chrono_tz::Europe::London;
    let days_ago = n.unsigned_abs() % 40;
    let ordered_on = today() - Days::new(days_ago);
    let first_seen_at = NOW
        .minus(Length::days(days_ago.cast_signed()))
        .minus(Length::hours(1));
    let contact = Contact {
        name: Some("Anna Kowalski".to_owned()),
        email: EmailAddress::parse(&format!("anna-{n}@mail.example")).ok(),
        phone: None,
        sms_consent: false,
        preferred: Preference::Email,
        locale: Locale::parse("en").ok(),
        zone: None,
        country: None,
    };
    let n_lines = 1 + n % 3;
    let shipped = matches!(case, Case::PartlyShipped);
    Situation {
        order: Order {
            id: OrderId(n),
            key: n.to_string(),
            number: n.to_string(),
            contact_id: ContactId(n),
            contact,
            ordered_on,
            zone,
            first_seen_at,
            adopted_at: None,
            fact_version: 1,
            review_version: 1,
            view_url: None,
            cancel_url: None,
            next_word_by: None,
        },
        lines: (0..n_lines)
            .map(|index| line(n * 10 + index, case, first_seen_at, n))
            .collect(),
        untold_shipments: shipped
            .then(|| Shipment {
                key: format!("p{n}"),
                carrier: Some("UPS".to_owned()),
                tracking_numbers: vec![format!("1Z{n}")],
                tracking_url: None,
                estimate_on: None,
            })
            .into_iter()
            .collect(),
        notices: Vec::new(),
        pause: None,
        suppressed: Vec::new(),
        courtesy_sent_at: Vec::new(),
    }
}

fn line(id: i64, case: Case, first_seen_at: Instant, n: i64) -> Line {
    let day = Eta::day(today() + Days::new(3 + n.unsigned_abs() % 50));
    let later = Eta::day(today() + Days::new(12 + n.unsigned_abs() % 50));
    let (eta, told) = match case {
        Case::Unchanged | Case::PartlyShipped => (day, Some(day)),
        Case::Delayed => (later, Some(day)),
        Case::WithoutDate => (Eta::Unknown, Some(Eta::Unknown)),
        Case::NeverTold => (day, None),
    };
    let is_shipped = matches!(case, Case::PartlyShipped);
    let shipped = if is_shipped { 1 } else { 0 };
    Line {
        id: LineId(id),
        key: id.to_string(),
        sku: Some(format!("TP-{}", id % 500)),
        name: "Enamel teapot, 1 litre, blue".to_owned(),
        ordered: Quantity::pieces(3),
        shipped: Quantity::pieces(shipped),
        cancelled: Quantity::ZERO,
        shipped_told: Quantity::ZERO,
        cancelled_told: Quantity::ZERO,
        shipped_changed_at: is_shipped.then(|| NOW.minus(Length::hours(2))),
        cancelled_changed_at: None,
        eta,
        eta_origin: EtaOrigin::Source,
        eta_changed_at: NOW.minus(Length::hours(1)),
        reason: None,
        first_seen_at,
        missing_since: None,
        told: told
            .map(|promise| Told {
                seq: 1,
                message: None,
                promise,
                eta: promise,
                basis: Basis::Accepted,
                at: first_seen_at,
            })
            .into_iter()
            .collect(),
    }
}

#[divan::bench(sample_size = 500)]
fn plan_an_order(bencher: Bencher<'_, '_>) {
    let (orders, policy) = (orders(), Policy::default());
    let mut next = orders.iter().cycle();
    bencher
        .with_inputs(|| next.next().expect("a cycle"))
        .bench_local_values(|s| plan(black_box(s), &policy, Mode::Live, NOW));
}

#[divan::bench(sample_size = 500, args = [
    Case::Unchanged, Case::Delayed, Case::WithoutDate, Case::NeverTold, Case::PartlyShipped,
])]
fn plan_an_order_that_is(bencher: Bencher<'_, '_>, case: Case) {
    let policy = Policy::default();
    let orders: Vec<Situation> = (1..=1_000).map(|n| order(n, case)).collect();
    let mut next = orders.iter().cycle();
    bencher
        .with_inputs(|| next.next().expect("a cycle"))
        .bench_local_values(|s| plan(black_box(s), &policy, Mode::Live, NOW));
}

#[divan::bench(sample_size = 100)]
fn forecast_an_order_for_14_days(bencher: Bencher<'_, '_>) {
    let (orders, policy) = (orders(), Policy::default());
    let mut next = orders.iter().cycle();
    let until = NOW.plus(Length::days(14));
    bencher
        .with_inputs(|| next.next().expect("a cycle"))
        .bench_local_values(|s| forecast(black_box(s), &policy, Mode::Live, NOW, until));
}
