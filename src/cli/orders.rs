//! `backorderd orders`: which wait, what each looks like, and why its
//! customer did (or did not) hear from us.

use crate::app::Viewer;
use crate::app::explain::{Explanation, Found};
use crate::cli::context::Context;
use crate::cli::present::{self, Tone, cell, say_line};
use crate::cli::{Ended, Usage, explain};
use crate::domain::ids::OrderId;
use crate::domain::kinds::Kind;
use crate::domain::order::EtaOrigin;
use crate::domain::reason::Verdict;
use crate::store::read::lists::OrderFilter;
use crate::store::types::OrderRow;
use serde_json::{Value, json};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Orders that wait, oldest first
    #[command(after_help = "Example: backorderd orders list --sku TP-100-BL")]
    List {
        /// Also orders that are finished
        #[arg(long)]
        all: bool,
        /// Only orders with this product
        #[arg(long, value_name = "SKU")]
        sku: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// One order as we know it: lines, dates, customer, messages
    #[command(
        after_help = "Example: backorderd orders show 1042\nORDER is the order's number (#1042 and \
        01042 too), the shop's order id, or the customer's address or phone number."
    )]
    Show {
        #[arg(value_name = "ORDER")]
        order: String,
    },
    /// Why: what was said, what was not and why, what comes next
    #[command(
        after_help = "Example: backorderd orders explain 1042\nORDER is the order's number (#1042 \
        and 01042 too), the shop's order id, or the customer's address or phone number."
    )]
    Explain {
        #[arg(value_name = "ORDER")]
        order: String,
        /// Every entry of long lists
        #[arg(long)]
        all: bool,
    },
}

pub async fn run(context: &Context, command: Command) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    match command {
        Command::List { all, sku, limit } => list(context, &viewer, all, sku, limit).await,
        Command::Show { order } => {
            let Some(found) = pick(context, &viewer, &order).await? else {
                return Ok(Ended::Failed);
            };
            if context.json {
                context.print_json(&as_json(&viewer, &found))?;
            } else {
                show(&viewer, &found);
            }
            Ok(Ended::Done)
        }
        Command::Explain { order, all } => {
            let Some(found) = pick(context, &viewer, &order).await? else {
                return Ok(Ended::Failed);
            };
            if context.json {
                let mut document = as_json(&viewer, &found);
                if let (Value::Object(all), Value::Object(more)) =
                    (&mut document, explain::as_json(&viewer, &found))
                {
                    all.extend(more);
                }
                context.print_json(&document)?;
            } else {
                explain::print(&viewer, &found, all);
            }
            Ok(Ended::Done)
        }
    }
}

// ---- finding one ----

/// The order a person means. `None`: it was said why there is not exactly one.
async fn pick(
    context: &Context,
    viewer: &Viewer,
    text: &str,
) -> anyhow::Result<Option<Explanation>> {
    match viewer.find(text).await? {
        Found::Orders(ids) if ids.len() == 1 => Ok(viewer.explain(ids[0]).await?),
        Found::Orders(ids) => several(context, viewer, text, ids).await,
        Found::Rejected(rows) => {
            if context.json {
                let rows: Vec<Value> = rows
                    .into_iter()
                    .map(|(source, line, reason, at)| {
                        json!({ "source": source, "line": line, "reason": reason, "at": at })
                    })
                    .collect();
                context.print_json(&json!({ "orders": [], "rejected_rows": rows }))?;
                return Ok(None);
            }
            let today = viewer.today();
            say_line!("There is no order {text} here, but rows that name it were not taken:");
            for (source, line, reason, at) in rows {
                let day = present::day(at.day_in(viewer.settings.shop.zone), today);
                say_line!("  import of {day} ({source}), line {line}: {reason}");
            }
            say_line!("Repair the row in the shop or the file, and import it again.");
            Ok(None)
        }
        Found::Nothing => {
            nothing(context, viewer, text).await?;
            Ok(None)
        }
    }
}

async fn several(
    context: &Context,
    viewer: &Viewer,
    text: &str,
    ids: Vec<OrderId>,
) -> anyhow::Result<Option<Explanation>> {
    let filter = OrderFilter {
        all: true,
        ids: Some(ids),
        ..OrderFilter::default()
    };
    let rows = viewer.read.orders(&filter, 50).await?;
    // An exact number wins over likenesses such as 01042.
    let exact: Vec<&OrderRow> = rows.iter().filter(|r| r.number == text.trim()).collect();
    if let [one] = exact.as_slice() {
        return Ok(viewer.explain(one.id).await?);
    }
    if context.json {
        let orders: Vec<Value> = rows.iter().map(row_json).collect();
        context.print_json(&json!({ "orders": orders }))?;
        return Ok(None);
    }
    say_line!(
        "{} match \"{text}\":",
        present::count(rows.len(), "order", "orders")
    );
    print_rows(viewer, &rows);
    if let Some(row) = rows.first() {
        say_line!("\nPick one by its number, for example: {}", row.number);
    }
    Ok(None)
}

async fn nothing(context: &Context, viewer: &Viewer, text: &str) -> anyhow::Result<()> {
    let sources = viewer.read.sources().await?;
    if context.json {
        let sources: Vec<Value> = sources
            .into_iter()
            .map(|(name, kind, at, rows)| {
                json!({ "name": name, "kind": kind, "last_read_at": at, "rows": rows })
            })
            .collect();
        context.print_json(&json!({ "orders": [], "rejected_rows": [], "sources": sources }))?;
        return Ok(());
    }
    let zone = viewer.settings.shop.zone;
    say_line!("There is no order {text} here, and no rejected row names it.");
    if sources.is_empty() {
        say_line!("Nothing was ever imported: backorderd import FILE");
    }
    for (name, _, at, rows) in sources {
        match at {
            Some(at) => say_line!(
                "Last complete read of \"{name}\": {} ({} ago), {}.",
                present::moment(at, zone, viewer.today()),
                present::length(viewer.now().since(at)),
                present::count(usize::try_from(rows).unwrap_or(0), "row", "rows"),
            ),
            None => say_line!("\"{name}\" was never read completely."),
        }
    }
    say_line!(
        "\nUsual causes:\n  \
         - the order came in after that read\n  \
         - none of it was on backorder: only waiting lines are taken over\n  \
         - the shop writes the number differently; try the customer's address"
    );
    Ok(())
}

// ---- list ----

async fn list(
    context: &Context,
    viewer: &Viewer,
    all: bool,
    sku: Option<String>,
    limit: u32,
) -> anyhow::Result<Ended> {
    if sku.as_deref().is_some_and(str::is_empty) {
        return Err(Usage("--sku wants a product's number".to_owned()).into());
    }
    let filter = OrderFilter {
        all,
        sku,
        ids: None,
    };
    // One more than asked for tells whether there are more.
    let mut rows = viewer.read.orders(&filter, limit.saturating_add(1)).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    if context.json {
        let orders: Vec<Value> = rows.iter().map(row_json).collect();
        context.print_json(&json!({ "orders": orders, "more": more }))?;
        return Ok(Ended::Done);
    }
    if rows.is_empty() {
        let what = match &filter.sku {
            Some(sku) => format!("No order with {sku} waits."),
            None => "No order waits.".to_owned(),
        };
        say_line!("{what}");
        return Ok(Ended::Done);
    }
    print_rows(viewer, &rows);
    if more {
        say_line!("\nThere are more: --limit {}", limit.saturating_mul(4));
    }
    Ok(Ended::Done)
}

fn print_rows(viewer: &Viewer, rows: &[OrderRow]) {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let mut table = present::table(&[
        "ORDER",
        "CUSTOMER",
        "ORDERED",
        "WAITS",
        "SHIP DATE",
        "LAST WROTE",
        "NOW",
    ]);
    for row in rows {
        let eta = match row.eta {
            _ if row.waiting == 0 => String::new(),
            Some(day) => present::day(day, today),
            None => "no date".to_owned(),
        };
        let wrote = match (row.last_sent_at, &row.last_kind) {
            (Some(at), Some(kind)) => format!(
                "{} {}",
                present::day(at.day_in(zone), today),
                Kind::parse(kind).map_or_else(|| kind.clone(), Kind::words)
            ),
            _ => "never".to_owned(),
        };
        let (now, tone) = standing(row);
        table.add_row([
            cell(&row.number, Tone::Plain),
            cell(&row.customer, Tone::Plain),
            cell(present::day(row.ordered_on, today), Tone::Plain),
            cell(present::pieces(row.waiting), Tone::Plain),
            cell(eta, Tone::Plain),
            cell(wrote, Tone::Plain),
            cell(now, tone),
        ]);
    }
    present::print_table(&table);
}

/// The verdict that matters most to a person.
fn standing(row: &OrderRow) -> (String, Tone) {
    let verdicts = verdicts(row);
    let first = verdicts
        .iter()
        .find(|v| v.reason.needs_a_person())
        .or_else(|| verdicts.iter().find(|v| v.is_said()))
        .or_else(|| verdicts.first());
    match first {
        _ if row.closed => ("finished".to_owned(), Tone::Faint),
        None => ("not looked at yet".to_owned(), Tone::Waits),
        Some(v) if v.is_said() => {
            let kind = v.kind.map_or_else(String::new, Kind::words);
            (format!("{kind} planned"), Tone::Good)
        }
        // The colour says already that a person should look.
        Some(v) if v.reason.needs_a_person() => {
            let words = present::without_call(v.reason.words());
            (format!("to do: {words}"), Tone::Bad)
        }
        Some(v) => (v.reason.words().to_owned(), Tone::Plain),
    }
}

fn verdicts(row: &OrderRow) -> Vec<Verdict> {
    row.verdict
        .as_deref()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn row_json(row: &OrderRow) -> Value {
    let mut value = json!(row);
    if let Value::Object(map) = &mut value {
        map.remove("verdict");
        map.insert("verdicts".to_owned(), json!(verdicts(row)));
        map.remove("waiting");
        map.insert("waiting".to_owned(), json!(present::pieces(row.waiting)));
    }
    value
}

// ---- show ----

fn show(viewer: &Viewer, e: &Explanation) {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let order = &e.situation.order;
    let contact = &order.contact;
    say_line!(
        "{}",
        present::styled(
            present::HEAD,
            &format!(
                "Order {}, {}, ordered {}",
                order.number,
                contact.short_name(),
                present::day(order.ordered_on, today)
            )
        )
    );
    say_line!();
    let mut table = present::table(&[
        "PRODUCT",
        "SKU",
        "ORDERED",
        "SHIPPED",
        "CANCELLED",
        "WAITS",
        "SHIP DATE",
        "LAST TOLD",
    ]);
    for line in &e.situation.lines {
        let date = if line.waiting().is_positive() {
            let by = match line.eta_origin {
                EtaOrigin::Source => "",
                EtaOrigin::Sku => " (dates file)",
                EtaOrigin::Operator => " (set by hand)",
            };
            format!("{}{by}", present::eta(line.eta, today))
        } else {
            String::new()
        };
        let told = line.believed().latest().map_or_else(
            || "nothing".to_owned(),
            |told| {
                let assumed = if told.basis.was_said() {
                    ""
                } else {
                    " (assumed)"
                };
                format!("{}{assumed}", present::eta(told.promise, today))
            },
        );
        table.add_row([
            cell(&line.name, Tone::Plain),
            cell(line.sku.clone().unwrap_or_default(), Tone::Plain),
            cell(line.ordered.to_string(), Tone::Plain),
            cell(line.shipped.to_string(), Tone::Plain),
            cell(line.cancelled.to_string(), Tone::Plain),
            cell(line.waiting().to_string(), Tone::Plain),
            cell(date, Tone::Plain),
            cell(told, Tone::Plain),
        ]);
    }
    present::print_table(&table);
    say_line!();
    let mut facts = vec![
        ("Shop's id", order.key.clone()),
        (
            "E-mail",
            contact.email.as_ref().map_or_else(
                || "none".to_owned(),
                crate::domain::contact::EmailAddress::masked,
            ),
        ),
        (
            "Phone",
            contact.phone.as_ref().map_or_else(
                || "none".to_owned(),
                crate::domain::contact::PhoneNumber::masked,
            ),
        ),
        (
            "Texts",
            if contact.sms_consent {
                "agreed to"
            } else {
                "no consent"
            }
            .to_owned(),
        ),
        ("Prefers", contact.preferred.as_str().to_owned()),
        (
            "Language",
            contact
                .locale
                .as_ref()
                .map_or_else(|| "the shop's".to_owned(), ToString::to_string),
        ),
        ("Zone", order.zone.name().to_owned()),
        (
            "First seen",
            present::moment(order.first_seen_at, zone, today),
        ),
    ];
    if let Some(at) = order.adopted_at {
        facts.push((
            "Taken over",
            format!("silently, {}", present::moment(at, zone, today)),
        ));
    }
    if let Some(day) = order.next_word_by {
        facts.push((
            "We promised",
            format!("to write again by {}", present::day(day, today)),
        ));
    }
    facts.push((
        "Looked at",
        e.order.next_review_at.map_or_else(
            || "again when something changes".to_owned(),
            |at| format!("again {}", present::moment(at, zone, today)),
        ),
    ));
    present::print_facts(&facts);
    if !e.messages.is_empty() {
        say_line!();
        super::messages::print_rows(viewer, &e.messages);
    }
    say_line!("\nWhy: backorderd orders explain {}", order.number);
}

fn as_json(viewer: &Viewer, e: &Explanation) -> Value {
    let order = &e.situation.order;
    let contact = &order.contact;
    let lines: Vec<Value> = e
        .situation
        .lines
        .iter()
        .map(|line| {
            json!({
                "line_id": line.key,
                "sku": line.sku,
                "product_name": line.name,
                "quantity": line.ordered.to_string(),
                "quantity_shipped": line.shipped.to_string(),
                "quantity_cancelled": line.cancelled.to_string(),
                "quantity_waiting": line.waiting().to_string(),
                "eta": line.eta,
                "eta_origin": line.eta_origin,
                "eta_changed_at": line.eta_changed_at,
                "reason": line.reason,
                "missing_since_at": line.missing_since,
                "told": line.believed().latest().map(|told| json!({
                    "promise": told.promise,
                    "basis": told.basis,
                    "message": told.message,
                    "at": told.at,
                })),
            })
        })
        .collect();
    json!({
        "order": {
            "id": order.id,
            "order_id": order.key,
            "number": order.number,
            "customer": contact.short_name(),
            "email_masked": contact.email.as_ref().map(crate::domain::contact::EmailAddress::masked),
            "phone_masked": contact.phone.as_ref().map(crate::domain::contact::PhoneNumber::masked),
            "sms_consent": contact.sms_consent,
            "preferred_channel": contact.preferred,
            "locale": contact.locale.as_ref().map(ToString::to_string),
            "time_zone": order.zone.name(),
            "ordered_on": order.ordered_on,
            "first_seen_at": order.first_seen_at,
            "adopted_at": order.adopted_at,
            "next_word_by": order.next_word_by,
            "next_review_at": e.order.next_review_at,
            "closed": e.order.closed,
        },
        "mode": viewer.mode(),
        "lines": lines,
        "messages": e.messages,
    })
}
