//! The fields of a row, their names in files, and other names for them.
//!
//! Names are compared without regard to case, blanks and hyphens. A name
//! nobody knows is answered with the nearest one; it is never taken for it.

use super::FileKind;
use super::FileProblem;
use super::ProblemKind;

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

/// Other names of columns: which column of the file feeds which field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnMap {
    /// Our field, its name as given, and the file's column, normalised.
    pairs: Vec<(Field, String, String)>,
}

impl ColumnMap {
    /// Adds one `ours=theirs`, as on a command line. `from` and `to` may be
    /// written for `eta_from` and `eta_to`.
    ///
    /// # Errors
    /// No `=`, an empty side, a field nobody knows, a field named twice.
    pub fn add(&mut self, pair: &str) -> Result<(), BadMap> {
        let (ours, theirs) = pair
            .split_once('=')
            .ok_or_else(|| BadMap::Shape(pair.to_owned()))?;
        let (name, column) = (normalised(ours), normalised(theirs));
        if name.is_empty() || column.is_empty() {
            return Err(BadMap::Shape(pair.to_owned()));
        }
        let field = known(&name, FileKind::Lines)
            .or_else(|| known(&name, FileKind::Etas))
            .ok_or_else(|| BadMap::Unknown {
                nearest: nearest(&name, FileKind::Lines),
                name: name.clone(),
            })?;
        if self.pairs.iter().any(|(known, ..)| *known == field) {
            return Err(BadMap::Twice(field.name()));
        }
        self.pairs.push((field, theirs.trim().to_owned(), column));
        Ok(())
    }

    /// # Errors
    /// The first pair [`ColumnMap::add`] refuses.
    pub fn parse<S: AsRef<str>>(pairs: &[S]) -> Result<ColumnMap, BadMap> {
        let mut map = ColumnMap::default();
        for pair in pairs {
            map.add(pair.as_ref())?;
        }
        Ok(map)
    }

    /// What a column with this normalised name is read as: every field mapped
    /// to it, else the field of that name unless it is mapped elsewhere.
    pub(super) fn fields_of(&self, name: &str, kind: FileKind) -> Vec<Field> {
        let mapped: Vec<Field> = self
            .pairs
            .iter()
            .filter(|(_, _, column)| column == name)
            .map(|(field, ..)| *field)
            .collect();
        if !mapped.is_empty() {
            return mapped;
        }
        known(name, kind)
            .into_iter()
            .filter(|field| !self.pairs.iter().any(|(mapped, ..)| mapped == field))
            .collect()
    }

    /// Is a column of this normalised name set aside, because the map feeds
    /// its field from another one?
    pub(super) fn sets_aside(&self, name: &str, kind: FileKind) -> bool {
        known(name, kind).is_some() && self.fields_of(name, kind).is_empty()
    }

    /// Names the mapped columns that are not among `names` (normalised).
    ///
    /// # Errors
    /// One of them is missing.
    pub(super) fn check(&self, names: &[String]) -> Result<(), FileProblem> {
        for (field, theirs, column) in &self.pairs {
            if names.contains(column) {
                continue;
            }
            let near = names
                .iter()
                .filter(|name| !name.is_empty())
                .min_by_key(|name| distance(column, name));
            let cure = match near {
                Some(near) if distance(column, near) <= 3 => {
                    format!("did you mean {}={near}?", field.name())
                }
                _ => format!("the columns are: {}", listed(names)),
            };
            return Err(FileProblem::of(
                ProblemKind::Header,
                format!(
                    "the file has no column \"{theirs}\", which {} should be read from",
                    field.name()
                ),
                cure,
            )
            .about(field.name()));
        }
        Ok(())
    }
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

/// Why a `ours=theirs` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMap {
    #[error("\"{0}\" is not a column map: write it as ours=theirs, for example line_id=ItemNo")]
    Shape(String),
    #[error("there is no field \"{name}\"{}", suggestion(*.nearest))]
    Unknown {
        name: String,
        nearest: Option<&'static str>,
    },
    #[error("{0} is mapped twice")]
    Twice(&'static str),
}

fn suggestion(nearest: Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name}?"))
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
    }

    #[test]
    fn unknown_names_are_answered_with_the_nearest() {
        for (name, near) in [
            ("lineid", Some("line_id")),
            ("e_mail", Some("email")),
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

    #[test]
    fn maps_read_and_refuse() {
        let map = ColumnMap::parse(&["line_id=Item No", "from=Liefertermin"]).unwrap();
        assert_eq!(map.fields_of("item_no", FileKind::Lines), [Field::LineId]);
        assert_eq!(
            map.fields_of("liefertermin", FileKind::Lines),
            [Field::EtaFrom]
        );
        assert!(map.fields_of("line_id", FileKind::Lines).is_empty());
        assert!(map.sets_aside("line_id", FileKind::Lines));
        for (pairs, message) in [
            (
                vec!["lineid=x"],
                "there is no field \"lineid\"; did you mean line_id?",
            ),
            (vec!["line_id"], "is not a column map"),
            (vec!["line_id="], "is not a column map"),
            (vec!["line_id=a", "Line-ID=b"], "line_id is mapped twice"),
        ] {
            let error = ColumnMap::parse(&pairs).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let missing = map
            .check(&["item_nr".into(), "liefertermin".into()])
            .unwrap_err();
        assert_eq!(missing.cure, "did you mean line_id=item_nr?");
    }
}
