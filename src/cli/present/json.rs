//! Documents for programs: decimal quantities and RFC 3339 instants.

use crate::domain::statement::Statement;
use chrono::{DateTime, SecondsFormat};

/// What a message states about one order, for programs: quantities as
/// decimals, like everywhere else.
pub fn statement_json(statement: &Statement) -> serde_json::Value {
    let lines: Vec<serde_json::Value> = statement
        .lines
        .iter()
        .map(|line| {
            serde_json::json!({
                "sku": line.sku,
                "product_name": line.name,
                "quantity": line.ordered.to_string(),
                "quantity_shipped": line.shipped.to_string(),
                "quantity_shipped_now": line.shipped_now.to_string(),
                "quantity_cancelled": line.cancelled.to_string(),
                "quantity_cancelled_now": line.cancelled_now.to_string(),
                "quantity_waiting": line.waiting.to_string(),
                "promise": line.promise,
                "eta": line.eta,
                "told_before": line.told,
                "change": line.change,
                "reason": line.reason_to_give(),
            })
        })
        .collect();
    serde_json::json!({
        "order_number": statement.order_number,
        "kind": statement.kind,
        "milestone_days": statement.milestone_days,
        "lines": lines,
        "shipments": statement.shipments,
        "next_word_by": statement.next_word_by,
    })
}

/// Instants of a document as programs of other people read them: RFC 3339 in
/// UTC instead of our milliseconds.
pub fn spell_out_times(value: &mut serde_json::Value) {
    use serde_json::Value;
    let is_instant = |key: &str| key.ends_with("_at") || matches!(key, "at" | "until" | "since");
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let spelled = value
                    .as_i64()
                    .filter(|_| is_instant(key))
                    .and_then(DateTime::from_timestamp_millis);
                match spelled {
                    Some(at) => {
                        *value = Value::String(at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
                    }
                    None => spell_out_times(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(spell_out_times),
        _ => {}
    }
}
