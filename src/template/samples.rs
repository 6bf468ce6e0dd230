//! Made-up messages of every kind: what templates are proved with, what
//! previews show, and what the words of a review look like.

use crate::domain::contact::{EmailAddress, Locale};
use crate::domain::eta::Eta;
use crate::domain::ids::{LineId, OrderId};
use crate::domain::kinds::Kind;
use crate::domain::quantity::Quantity;
use crate::domain::shop::{CancelTerms, Charges, ShopProfile};
use crate::domain::statement::{
    Change, LineStatement, MessageFacts, ShipmentStatement, Statement, ToldBefore,
};
use chrono::{Days, NaiveDate};

/// The day the samples are written on, a Thursday.
pub const SAMPLE_DAY: NaiveDate = match NaiveDate::from_ymd_opt(2026, 2, 26) {
    Some(day) => day,
    None => NaiveDate::MIN,
};

/// Fern & Kettle; the & in its name shows wrong escaping at once.
pub fn sample_shop() -> ShopProfile {
    let hours = [
        ("en", "Monday to Friday 9:00 to 17:00"),
        ("de", "Montag bis Freitag 9 bis 17 Uhr"),
    ];
    ShopProfile {
        name: "Fern & Kettle".to_owned(),
        phone: Some("020 7946 0018".to_owned()),
        hours: hours
            .map(|(tag, words)| (tag.to_owned(), words.to_owned()))
            .into(),
        website: Some("https://fernkettle.example".to_owned()),
        reply_to: EmailAddress::parse("hello@fernkettle.example").ok(),
        zone: chrono_tz::Europe::London,
        locale: locale("en-GB"),
        charges: Charges::AtOrder,
        cancel: CancelTerms::UntilShipped,
        offer_block: false,
    }
}

/// Named messages of a kind, in English; the first is the plainest. Every name
/// occurs once. Only kinds that merge have one about several orders.
pub fn samples(kind: Kind) -> Vec<(&'static str, MessageFacts)> {
    let plain = message(kind, vec![order(kind, "1042", vec![pot(kind)])]);
    let with = |change: &dyn Fn(&mut MessageFacts)| {
        let mut facts = plain.clone();
        change(&mut facts);
        facts
    };
    let mut all = vec![
        ("one item", plain.clone()),
        (
            "several items",
            with(&|facts| {
                let (mut mug, mut tray) = (pot(kind), pot(kind));
                mug.line = LineId(2);
                mug.name = "Stoneware mug, grey".to_owned();
                if mug.change == Change::Unchanged {
                    quiet(&mut mug);
                }
                mug.promise = mug.promise.map(|eta| eta.later_by(4));
                mug.told = mug.told.map(|told| ToldBefore {
                    promise: told.promise.later_by(4),
                    ..told
                });
                mug.reason = None;
                tray.line = LineId(3);
                tray.name = "Oak tea tray".to_owned();
                quiet(&mut tray);
                facts.orders[0].lines.extend([mug, tray]);
            }),
        ),
        (
            "window of days",
            with(&|facts| {
                for line in lines(facts) {
                    line.promise = line.promise.map(widened);
                    line.told = line.told.map(|told| ToldBefore {
                        promise: widened(told.promise),
                        ..told
                    });
                }
            }),
        ),
        (
            "no date",
            with(&|facts| {
                for line in lines(facts) {
                    line.promise = line.promise.map(|_| Eta::Unknown);
                    line.told = None;
                }
                facts.orders[0].next_word_by = Some(day(12));
            }),
        ),
        (
            "date not stated",
            with(&|facts| {
                for line in lines(facts) {
                    line.promise = None;
                    if line.change == Change::Unchanged {
                        line.change = Change::NotStated;
                    }
                }
            }),
        ),
        (
            "nothing really said before",
            with(&|facts| {
                for line in lines(facts) {
                    line.told = line.told.map(|told| ToldBefore {
                        said: false,
                        ..told
                    });
                }
            }),
        ),
        (
            "broken quantity",
            with(&|facts| {
                for line in lines(facts) {
                    line.name = "Linen by the metre".to_owned();
                    for quantity in [
                        &mut line.ordered,
                        &mut line.waiting,
                        &mut line.shipped,
                        &mut line.shipped_now,
                        &mut line.cancelled_now,
                    ] {
                        quantity.0 = quantity.0 * 5 / 4;
                    }
                }
            }),
        ),
        (
            "next year",
            with(&|facts| {
                for line in lines(facts) {
                    line.promise = line.promise.map(|eta| eta.later_by(330));
                }
            }),
        ),
        ("no name", with(&|facts| facts.customer_name = None)),
        (
            "no links, no reason",
            with(&|facts| {
                let order = &mut facts.orders[0];
                (order.view_url, order.cancel_url) = (None, None);
                for parcel in &mut order.shipments {
                    parcel.carrier = None;
                    parcel.tracking_numbers.clear();
                    parcel.tracking_url = None;
                    parcel.estimate_on = None;
                }
                for line in &mut order.lines {
                    line.reason = None;
                }
            }),
        ),
        ("nasty characters", with(&spoil)),
    ];
    if kind == Kind::Shipped {
        all.push((
            "two parcels",
            with(&|facts| facts.orders[0].shipments.push(parcel("1042-2"))),
        ));
        all.push((
            "the last pieces",
            with(&|facts| {
                let line = &mut facts.orders[0].lines[0];
                line.shipped = line.ordered;
                line.shipped_now = Quantity::pieces(2);
                line.waiting = Quantity::ZERO;
                line.promise = None;
                line.change = Change::NotStated;
            }),
        ));
    }
    if kind == Kind::Cancelled {
        all.push((
            "all of it, and another item shipped",
            with(&|facts| {
                let mut mug = pot(Kind::Shipped);
                mug.line = LineId(2);
                mug.name = "Stoneware mug, grey".to_owned();
                let order = &mut facts.orders[0];
                let pot = &mut order.lines[0];
                pot.cancelled = pot.ordered;
                pot.cancelled_now = pot.ordered;
                pot.waiting = Quantity::ZERO;
                pot.promise = None;
                pot.change = Change::NotStated;
                order.lines.push(mug);
                order.shipments.push(parcel("1042-1"));
            }),
        ));
    }
    if kind.merges_across_orders() {
        let mut kettle = pot(kind);
        kettle.line = LineId(7);
        kettle.name = "Copper kettle".to_owned();
        let orders = vec![
            order(kind, "1042", vec![pot(kind)]),
            order(kind, "1046", vec![kettle]),
        ];
        all.push(("two orders", message(kind, orders)));
    }
    if kind == Kind::Update {
        all.push((
            "two weeks",
            with(&|facts| {
                facts.orders[0].milestone_days = Some(14);
                facts.orders[0].ordered_on = before(14);
            }),
        ));
    }
    all
}

fn message(kind: Kind, orders: Vec<Statement>) -> MessageFacts {
    MessageFacts {
        kind,
        locale: locale("en"),
        customer_name: Some("Anna Kowalski".to_owned()),
        orders,
    }
}

fn order(kind: Kind, number: &str, lines: Vec<LineStatement>) -> Statement {
    let is_dateless = matches!(kind, Kind::DateWithdrawn | Kind::Overdue);
    Statement {
        order: OrderId(1),
        order_number: number.to_owned(),
        ordered_on: before(if kind == Kind::Confirmation { 0 } else { 7 }),
        kind,
        milestone_days: (kind == Kind::Update).then_some(7),
        lines,
        shipments: if kind == Kind::Shipped {
            vec![parcel(&format!("{number}-1"))]
        } else {
            vec![]
        },
        next_word_by: is_dateless.then(|| day(12)),
        view_url: Some(format!("https://fernkettle.example/o/{number}")),
        cancel_url: Some(format!("https://fernkettle.example/c/{number}")),
    }
}

/// Two teapots, in the state the kind is about.
fn pot(kind: Kind) -> LineStatement {
    let told = |days| {
        Some(ToldBefore {
            promise: Eta::day(day(days)),
            said: true,
        })
    };
    let known = |days| Some(Eta::day(day(days)));
    let (change, promise, told) = match kind {
        Kind::Confirmation => (Change::New, known(8), None),
        Kind::DateSet => (
            Change::Set,
            known(15),
            Some(ToldBefore {
                promise: Eta::Unknown,
                said: true,
            }),
        ),
        Kind::Delay => (Change::Later, known(22), told(8)),
        Kind::Sooner => (Change::Sooner, known(14), told(29)),
        Kind::DateWithdrawn => (Change::Withdrawn, Some(Eta::Unknown), told(8)),
        Kind::Overdue => (
            Change::Overdue,
            Some(Eta::Unknown),
            Some(ToldBefore {
                promise: Eta::day(before(2)),
                said: true,
            }),
        ),
        Kind::Update => (Change::Unchanged, known(15), told(15)),
        Kind::Shipped | Kind::Cancelled => (Change::Unchanged, known(22), told(22)),
    };
    let reason = match kind {
        Kind::Delay => Some("our supplier's delivery to us is late"),
        Kind::DateWithdrawn => Some("our supplier cannot name a date"),
        _ => None,
    };
    let mut line = LineStatement {
        line: LineId(1),
        sku: Some("TP-100-BL".to_owned()),
        name: "Enamel teapot, 1 litre, blue".to_owned(),
        ordered: Quantity::pieces(2),
        shipped: Quantity::ZERO,
        shipped_now: Quantity::ZERO,
        cancelled: Quantity::ZERO,
        cancelled_now: Quantity::ZERO,
        waiting: Quantity::pieces(2),
        promise,
        eta: promise.unwrap_or_default(),
        told,
        change,
        reason: reason.map(ToOwned::to_owned),
    };
    match kind {
        Kind::Shipped => ship(&mut line, 3, 2),
        Kind::Cancelled => {
            line.cancelled = Quantity::pieces(1);
            line.cancelled_now = Quantity::pieces(1);
            line.waiting = Quantity::pieces(1);
        }
        _ => {}
    }
    line
}

/// Some of a line goes out now, some stays.
fn ship(line: &mut LineStatement, now: i64, still: i64) {
    line.shipped_now = Quantity::pieces(now);
    line.shipped = line.shipped_now;
    line.waiting = Quantity::pieces(still);
    line.cancelled = Quantity::ZERO;
    line.cancelled_now = Quantity::ZERO;
    line.ordered = Quantity::pieces(now + still);
}

/// A line that waits and is not what the message is about.
fn quiet(line: &mut LineStatement) {
    line.shipped = Quantity::ZERO;
    line.shipped_now = Quantity::ZERO;
    line.cancelled = Quantity::ZERO;
    line.cancelled_now = Quantity::ZERO;
    line.ordered = Quantity::pieces(1);
    line.waiting = Quantity::pieces(1);
    line.promise = Some(Eta::day(day(15)));
    line.told = Some(ToldBefore {
        promise: Eta::day(day(15)),
        said: true,
    });
    line.change = Change::Unchanged;
    line.reason = None;
}

fn parcel(key: &str) -> ShipmentStatement {
    ShipmentStatement {
        key: key.to_owned(),
        carrier: Some("UPS".to_owned()),
        tracking_numbers: vec!["1Z999AA1012345678".to_owned()],
        tracking_url: Some(format!("https://fernkettle.example/t/{key}")),
        estimate_on: Some(day(4)),
    }
}

/// Everything a careless or hostile feed can put into a value.
fn spoil(facts: &mut MessageFacts) {
    facts.customer_name = Some("Zoë <b>O'Brien</b>\r\nBcc: x@y.example".to_owned());
    let order = &mut facts.orders[0];
    order.order_number = "#10*42_&\u{202e}<1>".to_owned();
    order.view_url = Some("javascript:alert(1)".to_owned());
    order.cancel_url = Some("https://fernkettle.example/c?a=1&copy=(2)_*".to_owned());
    for line in &mut order.lines {
        line.name = "1. *Pot* _\"A & B\"_ `x` <script>#[y](z)\n\n# Big\n> q\n- l\\".to_owned();
        line.reason = Some("{{order.number}} **late** <!-- & -->".to_owned());
    }
    for parcel in &mut order.shipments {
        parcel.carrier = Some("D*P*D & <Co>".to_owned());
        parcel.tracking_numbers = vec!["1_2_3".to_owned(), "**4**".to_owned()];
    }
}

fn lines(facts: &mut MessageFacts) -> impl Iterator<Item = &mut LineStatement> {
    facts.orders.iter_mut().flat_map(|order| &mut order.lines)
}

fn widened(eta: Eta) -> Eta {
    match eta {
        Eta::Day { on } => Eta::window(on, on + Days::new(4)).unwrap_or(eta),
        eta => eta,
    }
}

fn day(days: u64) -> NaiveDate {
    SAMPLE_DAY + Days::new(days)
}

fn before(days: u64) -> NaiveDate {
    SAMPLE_DAY - Days::new(days)
}

/// Only called with tags written above.
fn locale(tag: &str) -> Locale {
    Locale::parse(tag).unwrap_or_else(|_| unreachable!("{tag} is a language tag"))
}
