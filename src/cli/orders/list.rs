//! `orders list`: which orders wait, and how each stands.

use crate::app::Viewer;
use crate::cli::context::Context;
use crate::cli::present::{self, Tone, cell, say_line};
use crate::cli::{Ended, Usage};
use crate::domain::kinds::Kind;
use crate::domain::reason::Verdict;
use crate::store::read::lists::OrderFilter;
use crate::store::types::OrderRow;
use serde_json::{Value, json};

pub(super) async fn list(
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

pub(super) fn print_rows(viewer: &Viewer, rows: &[OrderRow]) {
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

pub(super) fn row_json(row: &OrderRow) -> Value {
    let mut value = json!(row);
    if let Value::Object(map) = &mut value {
        map.remove("verdict");
        map.insert("verdicts".to_owned(), json!(verdicts(row)));
        map.remove("waiting");
        map.insert("waiting".to_owned(), json!(present::pieces(row.waiting)));
    }
    value
}
