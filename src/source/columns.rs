//! The fields of a row and their names in files.
//!
//! Names are compared without regard to case, blanks and hyphens. A name
//! nobody knows is answered with the nearest one; it is never taken for it.

use super::FileKind;

macro_rules! fields {
    ($($field:ident = $name:literal),+ $(,)?) => {
        /// One field of a row, by the name the contract gives it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Field { $($field),+ }

        impl Field {
            /// Every field, in the order of the contract.
            pub const ALL: &'static [Field] = &[$(Field::$field),+];

            pub fn name(self) -> &'static str {
                match self { $(Field::$field => $name),+ }
            }
        }
    };
}

fields! {
    LineId = "line_id",
    OrderId = "order_id",
    OrderNumber = "order_number",
    CustomerId = "customer_id",
    CustomerName = "customer_name",
    Email = "email",
    Phone = "phone",
    SmsConsent = "sms_consent",
    PreferredChannel = "preferred_channel",
    CustomerGroup = "customer_group",
    Locale = "locale",
    TimeZone = "time_zone",
    Country = "country",
    Sku = "sku",
    ProductName = "product_name",
    Quantity = "quantity",
    QuantityShipped = "quantity_shipped",
    QuantityCancelled = "quantity_cancelled",
    UnitPrice = "unit_price",
    UnitPriceMinor = "unit_price_minor",
    OrderTotal = "order_total",
    Currency = "currency",
    OrderedAt = "ordered_at",
    EtaFrom = "eta_from",
    EtaTo = "eta_to",
    EtaConfirmedAt = "eta_confirmed_at",
    EtaWithdrawn = "eta_withdrawn",
    ToldFrom = "told_from",
    ToldTo = "told_to",
    Reason = "reason",
    Status = "status",
    ShipmentId = "shipment_id",
    ShippedAt = "shipped_at",
    TrackingNumber = "tracking_number",
    Carrier = "carrier",
    TrackingUrl = "tracking_url",
    EstimatedDelivery = "estimated_delivery",
    ViewUrl = "view_url",
    CancelUrl = "cancel_url",
    Supplier = "supplier",
    Warehouse = "warehouse",
    Alternatives = "alternatives",
    Priority = "priority",
    CustomerDeleted = "customer_deleted",
    UpdatedAt = "updated_at",
}

/// Fields a file of dates may have.
const ETA_FIELDS: [Field; 5] = [
    Field::Sku,
    Field::EtaFrom,
    Field::EtaTo,
    Field::EtaWithdrawn,
    Field::Reason,
];

/// Words other systems use, for suggestions only.
const HINTS: &[(&str, Field)] = &[
    ("amount", Field::Quantity),
    ("arrival", Field::EtaFrom),
    ("customer", Field::CustomerName),
    ("customer_email", Field::Email),
    ("date", Field::EtaFrom),
    ("delivery_date", Field::EtaFrom),
    ("due_date", Field::EtaFrom),
    ("expected", Field::EtaFrom),
    ("expected_date", Field::EtaFrom),
    ("full_name", Field::CustomerName),
    ("item", Field::ProductName),
    ("item_id", Field::LineId),
    ("language", Field::Locale),
    ("line", Field::LineId),
    ("lineitem_id", Field::LineId),
    ("mail", Field::Email),
    ("mobile", Field::Phone),
    ("name", Field::CustomerName),
    ("order", Field::OrderNumber),
    ("order_date", Field::OrderedAt),
    ("order_no", Field::OrderNumber),
    ("price", Field::UnitPrice),
    ("product", Field::ProductName),
    ("qty", Field::Quantity),
    ("qty_shipped", Field::QuantityShipped),
    ("restock_date", Field::EtaFrom),
    ("ship_date", Field::EtaFrom),
    ("state", Field::Status),
    ("telephone", Field::Phone),
    ("timezone", Field::TimeZone),
    ("tracking", Field::TrackingNumber),
];

/// A header as it is compared: lower case, blanks and hyphens as one `_`.
pub(super) fn normalised(header: &str) -> String {
    let mut name = String::with_capacity(header.len());
    for c in header
        .trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
        .chars()
    {
        if c.is_whitespace() || c == '-' || c == '_' {
            if !name.ends_with('_') {
                name.push('_');
            }
        } else {
            name.extend(c.to_lowercase());
        }
    }
    name
}

/// The field a normalised header names in a file of this kind.
pub(super) fn known(name: &str, kind: FileKind) -> Option<Field> {
    let field = match (name, kind) {
        ("eta", _) | ("from", FileKind::Etas) => Field::EtaFrom,
        ("to", FileKind::Etas) => Field::EtaTo,
        ("tracking_numbers", _) => Field::TrackingNumber,
        ("e_mail" | "email_address" | "e_mail_address", _) => Field::Email,
        _ => *Field::ALL.iter().find(|field| field.name() == name)?,
    };
    (kind == FileKind::Lines || ETA_FIELDS.contains(&field)).then_some(field)
}

/// The known name nearest to a normalised header, if one is near.
pub(super) fn nearest(name: &str, kind: FileKind) -> Option<&'static str> {
    let fitting = |field: &Field| kind == FileKind::Lines || ETA_FIELDS.contains(field);
    if let Some((_, field)) = HINTS
        .iter()
        .find(|(hint, field)| *hint == name && fitting(field))
    {
        return Some(field.name());
    }
    let limit = (name.chars().count() / 3).clamp(1, 3);
    Field::ALL
        .iter()
        .filter(|field| fitting(field))
        .map(|field| (distance(name, field.name()), field.name()))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Letters to change, drop, add or swap with their neighbour. Long names are
/// cut: nothing known is longer than 40 characters.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(40).collect();
    let b: Vec<char> = b.chars().take(40).collect();
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// Names in a row for a message, at most twenty.
pub(super) fn listed(names: &[String]) -> String {
    let mut text = names
        .iter()
        .take(20)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > 20 {
        text.push_str(", ...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_blanks_and_hyphens() {
        for header in [
            "line_id",
            "Line ID",
            " LINE-ID ",
            "\u{feff}line_id",
            "Line - Id",
        ] {
            assert_eq!(
                known(&normalised(header), FileKind::Lines),
                Some(Field::LineId),
                "{header}"
            );
        }
        assert_eq!(known("eta", FileKind::Lines), Some(Field::EtaFrom));
        assert_eq!(known("from", FileKind::Lines), None);
        assert_eq!(known("from", FileKind::Etas), Some(Field::EtaFrom));
        assert_eq!(known("email", FileKind::Etas), None);
        for header in ["E-Mail", "e-mail", "Email Address", "E-Mail-Address"] {
            let field = known(&normalised(header), FileKind::Lines);
            assert_eq!(field, Some(Field::Email), "{header}");
        }
        assert_eq!(known("e_mail", FileKind::Etas), None);
    }

    #[test]
    fn unknown_names_are_answered_with_the_nearest() {
        for (name, near) in [
            ("lineid", Some("line_id")),
            ("emial", Some("email")),
            ("quantitiy", Some("quantity")),
            ("satus", Some("status")),
            ("qty", Some("quantity")),
            ("warehouse_shelf_number", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, FileKind::Lines), near, "{name}");
        }
    }

    #[test]
    fn distances_count_letters() {
        assert_eq!(distance("status", "status"), 0);
        assert_eq!(distance("satus", "status"), 1);
        assert_eq!(distance("sttaus", "status"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
