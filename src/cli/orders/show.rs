//! `orders show`: one order as we know it, for people and for programs.

use crate::app::Viewer;
use crate::app::explain::Explanation;
use crate::cli::messages;
use crate::cli::present::{self, Tone, cell, say_line};
use crate::domain::contact::{EmailAddress, PhoneNumber};
use crate::domain::order::EtaOrigin;
use serde_json::{Value, json};

pub(super) fn show(viewer: &Viewer, e: &Explanation) {
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
            contact
                .email
                .as_ref()
                .map_or_else(|| "none".to_owned(), EmailAddress::masked),
        ),
        (
            "Phone",
            contact
                .phone
                .as_ref()
                .map_or_else(|| "none".to_owned(), PhoneNumber::masked),
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
        messages::print_rows(viewer, &e.messages);
    }
    say_line!("\nWhy: backorderd orders explain {}", order.number);
}

pub(super) fn as_json(viewer: &Viewer, e: &Explanation) -> Value {
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
            "email_masked": contact.email.as_ref().map(EmailAddress::masked),
            "phone_masked": contact.phone.as_ref().map(PhoneNumber::masked),
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
