//! Records of order lines: fields to a [`Row`].

use super::Fault;
use super::Intake;
use super::ParseOptions;
use super::Tray;
use super::Warnings;
use super::columns::Field;
use super::contacts::ContactReader;
use super::dates;
use super::dates::ReadInstant;
use super::ids;
use super::parcels;
use super::parcels::ParcelReader;
use super::record::Record;
use super::twins::Twins;
use super::values;
use crate::domain::eta::Eta;
use crate::domain::money::Money;
use crate::domain::quantity::Quantity;
use crate::domain::row::Row;
use crate::domain::row::RowStatus;
use chrono::NaiveDate;

/// Longest product name, reason and other texts, in characters.
const PRODUCT_CHARS_MAX: usize = 200;
const REASON_CHARS_MAX: usize = 500;
const OTHER_CHARS_MAX: usize = 200;

/// Known columns that are kept without being read.
const EXTRAS: [Field; 5] = [
    Field::CustomerId,
    Field::CustomerGroup,
    Field::OrderTotal,
    Field::Alternatives,
    Field::Priority,
];

/// Takes records of order lines.
#[derive(Debug)]
pub(super) struct LineIntake<'o> {
    options: &'o ParseOptions,
    contacts: ContactReader,
    twins: Twins,
    tray: Tray,
}

impl<'o> LineIntake<'o> {
    pub fn new(options: &'o ParseOptions) -> LineIntake<'o> {
        LineIntake {
            options,
            contacts: ContactReader::new(options.shop_country),
            twins: Twins::default(),
            tray: Tray::default(),
        }
    }

    pub fn finish(self) -> (Vec<Row>, Tray) {
        (self.twins.into_rows(), self.tray)
    }

    fn row(&mut self, record: &Record<'_>) -> Result<Row, Fault> {
        let warnings = &mut self.tray.warnings;
        let line_key = ids::mandatory_id(record, Field::LineId)?;
        let order_key = ids::id(record, Field::OrderId)?;
        let order_number = ids::mandatory_id(record, Field::OrderNumber)?;
        let status = values::status(record)?;
        let mut row = Row {
            at_line: record.line,
            order_key,
            ..Row::bare(&line_key, &order_number, status)
        };
        self.contacts.fill(&mut row, record, warnings)?;

        let fields = Fields {
            record,
            options: self.options,
        };
        row.sku = ids::id(record, Field::Sku)?;
        row.product_name = fields.text(Field::ProductName, PRODUCT_CHARS_MAX, warnings);
        row.supplier = fields.text(Field::Supplier, OTHER_CHARS_MAX, warnings);
        row.warehouse = fields.text(Field::Warehouse, OTHER_CHARS_MAX, warnings);
        row.reason = fields.text(Field::Reason, REASON_CHARS_MAX, warnings);
        for field in EXTRAS {
            if let Some(text) = fields.text(field, OTHER_CHARS_MAX, warnings) {
                row.extras.insert(field.name().to_owned(), text);
            }
        }
        fields.quantities(&mut row, warnings)?;
        fields.price(&mut row, warnings);

        match fields.ordered()? {
            Some(ReadInstant::At(at)) => row.ordered_at = Some(at),
            Some(ReadInstant::On(day)) => row.ordered_on = Some(day),
            None => {}
        }
        row.eta = fields.eta(warnings)?;
        row.told = fields.told(warnings)?;
        let (order, zone) = (self.options.dates, self.options.shop_zone);
        row.eta_confirmed_at =
            parcels::optional_instant(record, Field::EtaConfirmedAt, order, zone, warnings);
        row.updated_at = parcels::optional_instant(record, Field::UpdatedAt, order, zone, warnings);
        row.view_url = parcels::link(record, Field::ViewUrl, warnings);
        row.cancel_url = parcels::link(record, Field::CancelUrl, warnings);

        let shipped = match (row.shipped, row.status) {
            (Some(quantity), _) => Some(quantity.is_positive()),
            (None, RowStatus::Shipped) => Some(true),
            (None, _) => None,
        };
        let reader = ParcelReader {
            zone,
            dates: order,
            line_key: &row.line_key,
            shipped,
        };
        row.shipments = reader.parcels(record, warnings)?;
        Ok(row)
    }
}

impl Intake for LineIntake<'_> {
    fn take(&mut self, record: &Record<'_>) -> Result<(), Fault> {
        let row = self.row(record)?;
        self.twins.add(row)
    }
    fn tray(&mut self) -> &mut Tray {
        &mut self.tray
    }
}

/// The fields of one record under the file's options.
pub(super) struct Fields<'r, 't> {
    pub record: &'r Record<'t>,
    pub options: &'r ParseOptions,
}

impl Fields<'_, '_> {
    pub fn text(&self, field: Field, chars_max: usize, warnings: &mut Warnings) -> Option<String> {
        let (text, was_cut) = ids::plain(self.record.text(field)?, chars_max);
        if was_cut {
            let what = format!("a text was cut to {chars_max} characters");
            warnings.note(self.record.line, Some(field.name()), &what, "shorten it");
        }
        text
    }

    /// Quantities win over the status; where they are silent it fills them.
    fn quantities(&self, row: &mut Row, warnings: &mut Warnings) -> Result<(), Fault> {
        let ordered = values::quantity(self.record, Field::Quantity)?;
        let shipped = values::quantity(self.record, Field::QuantityShipped)?;
        let cancelled = values::quantity(self.record, Field::QuantityCancelled)?;
        row.ordered = ordered.unwrap_or(Quantity::pieces(1));
        let gone = shipped
            .unwrap_or_default()
            .and(cancelled.unwrap_or_default());
        // Some shops set the quantity of a cancelled line to zero.
        if !row.ordered.is_positive() && row.status != RowStatus::Cancelled {
            return Err(Fault::of(
                Field::Quantity,
                "nothing was ordered",
                "quantity is what was ordered, not what is left; leave it empty for one piece",
            ));
        }
        if gone > row.ordered {
            return Err(Fault::of(
                Field::QuantityShipped,
                format!(
                    "shipped and cancelled make {gone}, and {} were ordered",
                    row.ordered
                ),
                "quantity is what was ordered, not what is left",
            ));
        }
        let rest = row.ordered.less(gone);
        row.shipped = match (shipped, row.status) {
            (None, RowStatus::Shipped) => Some(rest),
            (given, _) => given,
        };
        row.cancelled = match (cancelled, row.status) {
            (None, RowStatus::Cancelled) => Some(rest),
            (given, _) => given,
        };
        let contradicted = match row.status {
            RowStatus::Shipped => shipped.is_some() && rest.is_positive(),
            RowStatus::Cancelled => cancelled.is_some() && rest.is_positive(),
            RowStatus::Waiting => false,
        };
        if contradicted {
            warnings.note(
                self.record.line,
                Some(Field::Status.name()),
                "the status says finished, the quantities leave a rest; the quantities were believed",
                "leave the quantity empty if the status means all of it",
            );
        }
        Ok(())
    }

    /// A price is printed at most; whatever is wrong with it is left out.
    fn price(&self, row: &mut Row, warnings: &mut Warnings) {
        let mut drop = |field: Field, what: &str, cure: &str| {
            warnings.note(self.record.line, Some(field.name()), what, cure);
        };
        if let Some(text) = self.record.text(Field::Currency) {
            if text.len() == 3 && text.bytes().all(|b| b.is_ascii_alphabetic()) {
                row.currency = Some(text.to_ascii_uppercase());
            } else {
                drop(
                    Field::Currency,
                    "a currency was not understood and left out, with its price",
                    "write three letters, like EUR",
                );
                return;
            }
        }
        let currency = row
            .currency
            .clone()
            .or_else(|| self.options.shop_currency.clone());
        if let Some(text) = self.record.text(Field::UnitPriceMinor) {
            row.price_minor = text.parse().ok();
            if row.price_minor.is_none() {
                drop(
                    Field::UnitPriceMinor,
                    "a price was not understood and left out",
                    "write whole minor units, like 1299 for 12.99",
                );
            }
        } else if let Some(text) = self.record.text(Field::UnitPrice) {
            let Some(currency) = currency.as_deref() else {
                drop(
                    Field::UnitPrice,
                    "a price has no currency and was left out",
                    "add a column currency, or set the shop's",
                );
                return;
            };
            match Money::parse_major(text, currency) {
                Ok(money) if text.bytes().any(|b| b.is_ascii_digit()) => {
                    row.price_minor = Some(money.minor);
                }
                _ => drop(
                    Field::UnitPrice,
                    "a price was not understood and left out",
                    "write it like 1299.50 or 1299,50, without thousands separators or symbols",
                ),
            }
        }
        if row.price_minor.is_some() && row.currency.is_none() {
            row.currency = currency;
        }
    }

    fn ordered(&self) -> Result<Option<ReadInstant>, Fault> {
        let text = self
            .record
            .text(Field::OrderedAt)
            .filter(|text| !dates::is_no_date(text));
        text.map(|text| dates::instant(text, self.options.dates, self.options.shop_zone))
            .transpose()
            .map_err(|(reason, cure)| Fault::of(Field::OrderedAt, reason, cure))
    }

    /// `None` without a column for it; `Unknown` where the column is blank or
    /// the date was withdrawn.
    pub fn eta(&self, warnings: &mut Warnings) -> Result<Option<Eta>, Fault> {
        if values::flag(self.record, Field::EtaWithdrawn)? {
            return Ok(Some(Eta::Unknown));
        }
        if !self.record.has(Field::EtaFrom) && !self.record.has(Field::EtaTo) {
            return Ok(None);
        }
        self.window(Field::EtaFrom, Field::EtaTo, warnings)
            .map(Some)
    }

    /// What the customer was told before; blank means nothing was said.
    fn told(&self, warnings: &mut Warnings) -> Result<Option<Eta>, Fault> {
        let told = self.window(Field::ToldFrom, Field::ToldTo, warnings)?;
        Ok((told != Eta::Unknown).then_some(told))
    }

    fn window(&self, from: Field, to: Field, warnings: &mut Warnings) -> Result<Eta, Fault> {
        let ends = (self.day(from, warnings)?, self.day(to, warnings)?);
        Eta::from_ends(ends.0, ends.1)
            .map_err(|problem| Fault::of(from, problem.to_string(), "the earlier day comes first"))
    }

    fn day(&self, field: Field, warnings: &mut Warnings) -> Result<Option<NaiveDate>, Fault> {
        let text = self
            .record
            .text(field)
            .filter(|text| !dates::is_no_date(text));
        let Some(text) = text else {
            return Ok(None);
        };
        let read = dates::day(text, self.options.dates, self.options.shop_zone)
            .map_err(|(reason, cure)| Fault::of(field, reason, cure))?;
        if let Some(note) = read.note {
            let (what, cure) = note.words();
            warnings.note(self.record.line, Some(field.name()), what, cure);
        }
        Ok(Some(read.day))
    }
}
