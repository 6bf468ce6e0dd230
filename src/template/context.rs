//! What templates can print: the facts of a message as plain, cleaned values.
//!
//! One shape for all kinds. Days are `2026-03-20`, windows
//! `2026-03-20/2026-03-24`, quantities are numbers, what is not known is
//! `null` and never absent. A date stands in `ship_date` only where the
//! message states one and in `told` only where it was really said, so a
//! template cannot print an assumption or a date nobody believes.
//! `docs/templates.md` explains every field to merchants.

use super::clean;
use crate::domain::contact::{EmailAddress, Locale};
use crate::domain::eta::Eta;
use crate::domain::kinds::Kind;
use crate::domain::quantity::Quantity;
use crate::domain::shop::{CancelTerms, Charges, ShopProfile};
use crate::domain::statement::{Change, LineStatement, MessageFacts, ShipmentStatement, Statement};
use chrono::NaiveDate;
use serde::Serialize;

/// Longest values that are printed; shops put whole descriptions into names.
const NAME_CHARS_MAX: usize = 160;
const PERSON_CHARS_MAX: usize = 80;
const NUMBER_CHARS_MAX: usize = 64;
const REASON_CHARS_MAX: usize = 300;
const URL_CHARS_MAX: usize = 2_000;

/// The whole context.
#[derive(Clone, Debug, Serialize)]
pub struct TemplateContext {
    pub kind: Kind,
    /// Tag whose way of writing dates and numbers is used.
    pub locale: String,
    /// Tag of the template folder, the language of the words.
    pub language: String,
    pub today: NaiveDate,
    pub shop: ShopContext,
    pub customer: CustomerContext,
    pub several_orders: bool,
    pub numbers: Vec<String>,
    /// The first order: the only one except in merged messages.
    pub order: OrderContext,
    pub orders: Vec<OrderContext>,
    /// The lines the message is about, over all orders.
    pub news: News,
    /// What is still to come, over all orders.
    pub waiting: Waiting,
    pub next_word_by: Option<NaiveDate>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ShopContext {
    pub name: String,
    pub phone: Option<String>,
    pub hours: Option<String>,
    pub website: Option<String>,
    pub email: Option<String>,
    pub can_reply: bool,
    pub charges: Charges,
    pub cancel: CancelTerms,
    pub offer_block: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct CustomerContext {
    pub name: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct OrderContext {
    pub number: String,
    pub ordered_on: NaiveDate,
    /// 1 or 2 when that is true in plain words, else null.
    pub weeks_ago: Option<u8>,
    pub milestone_days: Option<u32>,
    pub lines: Vec<LineContext>,
    /// Parcels that are not named at a line.
    pub parcels: Vec<ParcelContext>,
    pub news: News,
    pub waiting: Waiting,
    pub next_word_by: Option<NaiveDate>,
    pub view_url: Option<String>,
    pub cancel_url: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct LineContext {
    pub name: String,
    pub sku: Option<String>,
    pub ordered: Amount,
    pub shipped: Amount,
    pub shipped_now: Amount,
    /// Shipped before this message.
    pub shipped_before: Amount,
    pub cancelled: Amount,
    pub cancelled_now: Amount,
    pub waiting: Amount,
    pub change: Change,
    /// This line is what the message is about.
    pub is_news: bool,
    pub ship_date: Option<Days>,
    /// It waits, and the message says that there is no date.
    pub no_date: bool,
    /// The date is the one the customer was really told.
    pub unchanged: bool,
    /// The date really told before, where it is another one.
    pub told: Option<Days>,
    pub reason: Option<String>,
    /// The parcel, where it is the only one and holds only this line.
    pub parcel: Option<ParcelContext>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ParcelContext {
    pub carrier: Option<String>,
    pub tracking_numbers: Vec<String>,
    pub tracking_url: Option<String>,
    pub estimate: Option<NaiveDate>,
}

/// The lines a message is about, taken together.
#[derive(Clone, Debug, Serialize)]
pub struct News {
    pub lines: usize,
    /// Pieces shipped, cancelled or waiting, as the kind has it.
    pub pieces: Amount,
    /// Pieces ordered and not cancelled, over the whole order.
    pub of: Amount,
    pub shipped_before: Amount,
    /// The line's name, where there is only one.
    pub name: Option<String>,
    /// The ship date, where all lines have the same one.
    pub ship_date: Option<Days>,
    /// The latest day any line names.
    pub last_date: Option<NaiveDate>,
    /// The date told before, where it was really said and is the same for all.
    pub told: Option<Days>,
    /// Every line's earlier date was really said.
    pub all_told: bool,
    pub reason: Option<String>,
    /// The parcel, where there is only one.
    pub parcel: Option<ParcelContext>,
}

/// What waits, taken together.
#[derive(Clone, Debug, Serialize)]
pub struct Waiting {
    pub lines: usize,
    pub pieces: Amount,
    pub ship_date: Option<Days>,
    pub last_date: Option<NaiveDate>,
    /// Some line has a date that is said.
    pub any_date: bool,
    /// Lines wait, and for every one the message says there is no date.
    pub no_date: bool,
    /// Every line's date is known and the one really told before.
    pub unchanged: bool,
}

/// A quantity as a number: whole where it is whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount(pub Quantity);

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.whole() {
            Some(n) => serializer.serialize_i64(n),
            #[expect(
                clippy::cast_precision_loss,
                reason = "exact below nine trillion pieces"
            )]
            None => serializer.serialize_f64(self.0.0 as f64 / 1000.0),
        }
    }
}

/// A known ETA as text, `2026-03-20` or `2026-03-20/2026-03-24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    from: NaiveDate,
    to: NaiveDate,
}

impl Days {
    pub fn of(eta: Eta) -> Option<Days> {
        Some(Days {
            from: eta.first()?,
            to: eta.last()?,
        })
    }
}

impl Serialize for Days {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.from == self.to {
            serializer.collect_str(&self.from)
        } else {
            serializer.collect_str(&format_args!("{}/{}", self.from, self.to))
        }
    }
}

/// Builds the context of a message; `None` where it has no order.
pub fn build(
    facts: &MessageFacts,
    shop: &ShopContext,
    today: NaiveDate,
    language: &str,
    locale: &str,
) -> Option<TemplateContext> {
    let orders: Vec<OrderContext> = facts
        .orders
        .iter()
        .map(|order| order_context(order, facts.kind, today))
        .collect();
    let order = orders.first()?.clone();
    let parcels = facts.orders.iter().flat_map(|order| &order.shipments);
    Some(TemplateContext {
        kind: facts.kind,
        locale: locale.to_owned(),
        language: language.to_owned(),
        today,
        shop: shop.clone(),
        customer: CustomerContext {
            name: facts
                .customer_name
                .as_deref()
                .and_then(|n| filled(n, PERSON_CHARS_MAX)),
        },
        several_orders: orders.len() > 1,
        numbers: orders.iter().map(|o| o.number.clone()).collect(),
        order,
        news: News::of(orders.iter().flat_map(|o| &o.lines), facts.kind, parcels),
        waiting: Waiting::of(orders.iter().flat_map(|o| &o.lines)),
        next_word_by: orders.iter().filter_map(|o| o.next_word_by).min(),
        orders,
    })
}

/// What templates see of the shop, in a language.
pub fn shop_context(shop: &ShopProfile, language: &Locale) -> ShopContext {
    let hours = language
        .fallbacks()
        .iter()
        .find_map(|tag| shop.hours.get(tag))
        .and_then(|hours| filled(hours, REASON_CHARS_MAX));
    ShopContext {
        name: clean::line(&shop.name, NAME_CHARS_MAX),
        phone: shop
            .phone
            .as_deref()
            .and_then(|p| filled(p, NUMBER_CHARS_MAX))
            // Not to be broken over two lines; texts make it a blank again.
            .map(|phone| phone.replace(' ', "\u{a0}")),
        hours,
        website: shop.website.as_deref().and_then(web_link),
        email: shop.reply_to.as_ref().map(EmailAddress::expose),
        can_reply: shop.reply_to.is_some(),
        charges: shop.charges,
        cancel: shop.cancel,
        offer_block: shop.offer_block,
    }
}

fn order_context(order: &Statement, kind: Kind, today: NaiveDate) -> OrderContext {
    let mut lines: Vec<LineContext> = order
        .lines
        .iter()
        .map(|line| line_context(line, kind))
        .collect();
    let mut parcels: Vec<ParcelContext> = order.shipments.iter().map(parcel_context).collect();
    let shipped_now = lines
        .iter()
        .filter(|l| l.shipped_now.0.is_positive())
        .count();
    if shipped_now == 1
        && parcels.len() == 1
        && let Some(line) = lines.iter_mut().find(|l| l.shipped_now.0.is_positive())
    {
        line.parcel = parcels.pop();
    }
    OrderContext {
        number: clean::line(&order.order_number, NUMBER_CHARS_MAX),
        ordered_on: order.ordered_on,
        weeks_ago: weeks_ago((today - order.ordered_on).num_days()),
        milestone_days: order.milestone_days,
        news: News::of(&lines, kind, &order.shipments),
        waiting: Waiting::of(&lines),
        lines,
        parcels,
        next_word_by: order.next_word_by,
        view_url: order.view_url.as_deref().and_then(web_link),
        cancel_url: order.cancel_url.as_deref().and_then(web_link),
    }
}

/// A day or two more is still "a week ago": weekends defer updates.
fn weeks_ago(days: i64) -> Option<u8> {
    match days {
        6..=9 => Some(1),
        13..=16 => Some(2),
        _ => None,
    }
}

fn line_context(line: &LineStatement, kind: Kind) -> LineContext {
    let waits = line.waiting.is_positive();
    let ship_date = line.promise.filter(|_| waits).and_then(Days::of);
    let said = line
        .told
        .filter(|told| told.said)
        .and_then(|told| Days::of(told.promise));
    // Where nothing is said about the date, the earlier one would stand there
    // as if it still held.
    let states_date =
        line.promise.is_some() || matches!(line.change, Change::Overdue | Change::Withdrawn);
    let unchanged = line.change == Change::Unchanged && said.is_some() && ship_date.is_some();
    let name = [Some(&line.name), line.sku.as_ref()]
        .into_iter()
        .flatten()
        .find_map(|text| filled(text, NAME_CHARS_MAX))
        .unwrap_or_else(|| "–".to_owned());
    LineContext {
        name,
        sku: line
            .sku
            .as_deref()
            .and_then(|s| filled(s, NUMBER_CHARS_MAX)),
        ordered: Amount(line.ordered),
        shipped: Amount(line.shipped),
        shipped_now: Amount(line.shipped_now),
        shipped_before: Amount(line.shipped.less(line.shipped_now)),
        cancelled: Amount(line.cancelled),
        cancelled_now: Amount(line.cancelled_now),
        waiting: Amount(line.waiting),
        change: line.change,
        is_news: is_news(line, kind),
        no_date: waits && line.promise == Some(Eta::Unknown),
        unchanged,
        told: said.filter(|told| waits && states_date && Some(*told) != ship_date),
        ship_date,
        reason: line
            .reason_to_give()
            .and_then(|r| filled(r, REASON_CHARS_MAX)),
        parcel: None,
    }
}

/// Whether a line is one of those that caused a message of this kind.
fn is_news(line: &LineStatement, kind: Kind) -> bool {
    match kind {
        Kind::Cancelled => line.cancelled_now.is_positive(),
        Kind::Shipped => line.shipped_now.is_positive(),
        Kind::DateWithdrawn => line.change == Change::Withdrawn,
        Kind::Delay => line.change == Change::Later,
        Kind::Confirmation => line.change == Change::New,
        Kind::Overdue => line.change == Change::Overdue,
        Kind::DateSet => line.change == Change::Set,
        Kind::Sooner => line.change == Change::Sooner,
        Kind::Update => line.waiting.is_positive(),
    }
}

fn parcel_context(parcel: &ShipmentStatement) -> ParcelContext {
    let text = |text: &str| filled(text, NUMBER_CHARS_MAX);
    ParcelContext {
        carrier: parcel.carrier.as_deref().and_then(text),
        tracking_numbers: parcel
            .tracking_numbers
            .iter()
            .filter_map(|n| text(n))
            .collect(),
        tracking_url: parcel.tracking_url.as_deref().and_then(web_link),
        estimate: parcel.estimate_on,
    }
}

impl News {
    fn of<'a>(
        lines: impl IntoIterator<Item = &'a LineContext>,
        kind: Kind,
        parcels: impl IntoIterator<Item = &'a ShipmentStatement>,
    ) -> News {
        let all: Vec<&LineContext> = lines.into_iter().collect();
        let news: Vec<&LineContext> = all.iter().filter(|l| l.is_news).copied().collect();
        let pieces = |line: &LineContext| match kind {
            Kind::Shipped => line.shipped_now,
            Kind::Cancelled => line.cancelled_now,
            _ => line.waiting,
        };
        let mut parcels = parcels.into_iter();
        let parcel = parcels.next().filter(|_| parcels.next().is_none());
        News {
            lines: news.len(),
            pieces: sum(news.iter().map(|l| pieces(l).0)),
            of: sum(all.iter().map(|l| match kind {
                Kind::Cancelled => l.ordered.0,
                _ => l.ordered.0.less(l.cancelled.0),
            })),
            shipped_before: sum(all.iter().map(|l| l.shipped_before.0)),
            name: match news.as_slice() {
                [one] => Some(one.name.clone()),
                _ => None,
            },
            ship_date: common(news.iter().map(|l| l.ship_date)),
            last_date: last_day(news.iter().map(|l| l.ship_date)),
            told: common(news.iter().map(|l| l.told)),
            all_told: !news.is_empty() && news.iter().all(|l| l.told.is_some()),
            reason: common(news.iter().map(|l| l.reason.as_ref())).cloned(),
            parcel: parcel.map(parcel_context),
        }
    }
}

impl Waiting {
    fn of<'a>(lines: impl IntoIterator<Item = &'a LineContext>) -> Waiting {
        let lines: Vec<&LineContext> = lines
            .into_iter()
            .filter(|l| l.waiting.0.is_positive())
            .collect();
        Waiting {
            lines: lines.len(),
            pieces: sum(lines.iter().map(|l| l.waiting.0)),
            ship_date: common(lines.iter().map(|l| l.ship_date)),
            last_date: last_day(lines.iter().map(|l| l.ship_date)),
            any_date: lines.iter().any(|l| l.ship_date.is_some()),
            no_date: !lines.is_empty() && lines.iter().all(|l| l.no_date),
            unchanged: !lines.is_empty() && lines.iter().all(|l| l.unchanged),
        }
    }
}

fn sum(quantities: impl Iterator<Item = Quantity>) -> Amount {
    // Saturating: absurd quantities of a broken feed must not stop a mail.
    Amount(Quantity(
        quantities.fold(0i64, |all, q| all.saturating_add(q.0)),
    ))
}

/// The value all have; `None` when one has none or two differ.
fn common<T: PartialEq>(values: impl Iterator<Item = Option<T>>) -> Option<T> {
    let mut values = values;
    let first = values.next()??;
    values
        .all(|value| value.as_ref() == Some(&first))
        .then_some(first)
}

/// The latest day, where every line has one.
fn last_day(dates: impl Iterator<Item = Option<Days>>) -> Option<NaiveDate> {
    dates
        .map(|days| days.map(|days| days.to))
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .max()
}

fn filled(text: &str, chars_max: usize) -> Option<String> {
    let text = clean::line(text, chars_max);
    (!text.is_empty()).then_some(text)
}

fn web_link(text: &str) -> Option<String> {
    clean::web_address(text).filter(|url| url.len() <= URL_CHARS_MAX)
}
