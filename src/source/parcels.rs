//! Parcels a row names: flat columns, or nested objects in NDJSON.
//!
//! A parcel is news to a customer, so one is only made where something left:
//! shops create tracking numbers while the goods still lie on the shelf. One
//! without an id is known by its first tracking number, which the other lines
//! in the same parcel share, else by its line.

use super::Fault;
use super::Warnings;
use super::columns::Field;
use super::dates;
use super::dates::DateOrder;
use super::dates::ReadInstant;
use super::ids;
use super::record::Record;
use super::values;
use crate::domain::row::RowShipment;
use crate::domain::time::Instant;
use crate::domain::time::at_time;
use chrono::NaiveDate;
use chrono::NaiveTime;
use chrono_tz::Tz;

/// Parcels kept of one line, and numbers of one parcel.
const PARCELS_MAX: usize = 100;
const NUMBERS_MAX: usize = 20;
/// Longest carrier name and tracking number.
const CARRIER_CHARS_MAX: usize = 100;
const NUMBER_CHARS_MAX: usize = 100;

/// What reading a parcel needs beside its record.
pub(super) struct ParcelReader<'o> {
    pub zone: Tz,
    pub dates: Option<DateOrder>,
    pub line_key: &'o str,
    /// Did anything of the line ship? `None`: the row does not say.
    pub shipped: Option<bool>,
}

impl ParcelReader<'_> {
    /// The parcels of a row, unique by key, in order.
    ///
    /// # Errors
    /// A shipment id is damaged.
    pub fn parcels(
        &self,
        record: &Record<'_>,
        warnings: &mut Warnings,
    ) -> Result<Vec<RowShipment>, Fault> {
        let mut parcels = Vec::new();
        // Beside nested parcels the flat columns only count where they name one.
        let flat = record.parcels.is_empty()
            || record.text(Field::ShipmentId).is_some()
            || record.text(Field::TrackingNumber).is_some();
        for record in flat.then_some(record).into_iter().chain(&record.parcels) {
            if let Some(parcel) = self.parcel(record, warnings)? {
                gather(&mut parcels, parcel);
            }
        }
        if parcels.len() > PARCELS_MAX {
            warnings.note(
                record.line,
                Some(Field::ShipmentId.name()),
                "a line has more than 100 parcels; the rest was left out",
                "check the query for a join that multiplies rows",
            );
            parcels.truncate(PARCELS_MAX);
        }
        Ok(parcels)
    }

    fn parcel(
        &self,
        record: &Record<'_>,
        warnings: &mut Warnings,
    ) -> Result<Option<RowShipment>, Fault> {
        let id = ids::id(record, Field::ShipmentId)?;
        let tracking_numbers = numbers(record, warnings);
        let carrier = record
            .text(Field::Carrier)
            .and_then(|text| ids::plain(text, CARRIER_CHARS_MAX).0);
        let shipped_at =
            optional_instant(record, Field::ShippedAt, self.dates, self.zone, warnings);
        let tracking_url = link(record, Field::TrackingUrl, warnings);
        let estimate_on = self.estimate(record, warnings);

        let named = id.is_some() || !tracking_numbers.is_empty() || shipped_at.is_some();
        let left = shipped_at.is_some() || self.shipped.unwrap_or(id.is_some());
        if !left || !(named || carrier.is_some() || tracking_url.is_some()) {
            if named {
                warnings.note(
                    record.line,
                    Some(Field::TrackingNumber.name()),
                    "a parcel is named for a line of which nothing has shipped; it was left out",
                    "it will be read once quantity_shipped or shipped_at says that it left",
                );
            }
            return Ok(None);
        }
        let key = id.unwrap_or_else(|| match tracking_numbers.iter().min() {
            Some(number) => format!("tracking:{number}"),
            None => format!("line:{}", self.line_key),
        });
        Ok(Some(RowShipment {
            key,
            shipped_at,
            carrier,
            tracking_numbers,
            tracking_url,
            estimate_on,
        }))
    }

    fn estimate(&self, record: &Record<'_>, warnings: &mut Warnings) -> Option<NaiveDate> {
        let text = record
            .text(Field::EstimatedDelivery)
            .filter(|text| !dates::is_no_date(text))?;
        match dates::day(text, self.dates, self.zone) {
            Ok(read) => Some(read.day),
            Err((_, cure)) => {
                dropped_date(record, Field::EstimatedDelivery, cure, warnings);
                None
            }
        }
    }
}

/// Adds a parcel, or its news to the one of the same key.
pub(super) fn gather(parcels: &mut Vec<RowShipment>, parcel: RowShipment) {
    let Some(known) = parcels.iter_mut().find(|known| known.key == parcel.key) else {
        parcels.push(parcel);
        return;
    };
    for number in parcel.tracking_numbers {
        if !known.tracking_numbers.contains(&number) && known.tracking_numbers.len() < NUMBERS_MAX {
            known.tracking_numbers.push(number);
        }
    }
    known.shipped_at = known.shipped_at.or(parcel.shipped_at);
    known.carrier = known.carrier.take().or(parcel.carrier);
    known.tracking_url = known.tracking_url.take().or(parcel.tracking_url);
    known.estimate_on = known.estimate_on.or(parcel.estimate_on);
}

/// Several numbers stand in one cell, between commas, semicolons or bars.
/// Blanks do not part them: carriers print numbers in groups.
fn numbers(record: &Record<'_>, warnings: &mut Warnings) -> Vec<String> {
    let mut numbers: Vec<String> = Vec::new();
    let Some(text) = record.text(Field::TrackingNumber) else {
        return numbers;
    };
    let whole = ids::spreadsheet_damage(text);
    let parts = text.split([',', ';', '|', '\n']);
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        let damaged = record.is_inexact(Field::TrackingNumber)
            || whole.is_some()
            || ids::spreadsheet_damage(part).is_some();
        let (number, was_cut) = ids::plain(part, NUMBER_CHARS_MAX);
        match number {
            Some(number) if !damaged && !was_cut => {
                if !numbers.contains(&number) && numbers.len() < NUMBERS_MAX {
                    numbers.push(number);
                }
            }
            _ => warnings.note(
                record.line,
                Some(Field::TrackingNumber.name()),
                "a tracking number is damaged and was left out",
                "format the column as text before the file is opened in a spreadsheet",
            ),
        }
    }
    numbers
}

/// A moment that may be left out when it does not parse. A day alone is its
/// first moment in the shop.
pub(super) fn optional_instant(
    record: &Record<'_>,
    field: Field,
    order: Option<DateOrder>,
    zone: Tz,
    warnings: &mut Warnings,
) -> Option<Instant> {
    let text = record.text(field).filter(|text| !dates::is_no_date(text))?;
    match dates::instant(text, order, zone) {
        Ok(ReadInstant::At(at)) => Some(at),
        Ok(ReadInstant::On(day)) => Some(at_time(day, NaiveTime::MIN, zone)),
        Err((_, cure)) => {
            dropped_date(record, field, cure, warnings);
            None
        }
    }
}

fn dropped_date(record: &Record<'_>, field: Field, cure: &str, warnings: &mut Warnings) {
    warnings.note(
        record.line,
        Some(field.name()),
        "a date was not understood and left out",
        cure,
    );
}

/// A link, or nothing with a warning.
pub(super) fn link(record: &Record<'_>, field: Field, warnings: &mut Warnings) -> Option<String> {
    match values::url(record.text(field)?) {
        Ok(url) => Some(url),
        Err(reason) => {
            let what = format!("a link was left out: {reason}");
            warnings.note(
                record.line,
                Some(field.name()),
                &what,
                "write it as https://...",
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn read(shipped: Option<bool>, cells: &[(Field, &str)]) -> (Vec<RowShipment>, Warnings) {
        let mut record = Record::at(3);
        for (field, text) in cells {
            record.put(*field, Cow::Owned((*text).to_owned()));
        }
        let reader = ParcelReader {
            zone: chrono_tz::Europe::London,
            dates: None,
            line_key: "L1",
            shipped,
        };
        let mut warnings = Warnings::default();
        (reader.parcels(&record, &mut warnings).unwrap(), warnings)
    }

    #[test]
    fn a_parcel_is_known_by_its_id_its_number_or_its_line() {
        let number = (Field::TrackingNumber, "JJ2, JJ1 | JJ2");
        let (parcels, _) = read(Some(true), &[(Field::ShipmentId, "S9"), number]);
        assert_eq!(parcels[0].key, "S9");
        assert_eq!(parcels[0].tracking_numbers, ["JJ2", "JJ1"]);
        assert_eq!(read(Some(true), &[number]).0[0].key, "tracking:JJ1");
        assert_eq!(
            read(Some(true), &[(Field::Carrier, "DHL")]).0[0].key,
            "line:L1"
        );
        assert!(read(Some(true), &[]).0.is_empty());
    }

    #[test]
    fn a_label_printed_early_is_no_parcel() {
        let number = (Field::TrackingNumber, "JJ1");
        let (parcels, warnings) = read(Some(false), &[(Field::ShipmentId, "S9"), number]);
        assert!(parcels.is_empty());
        assert_eq!(warnings.list.len(), 1);
        assert!(read(None, &[number]).0.is_empty());
        assert_eq!(read(None, &[(Field::ShipmentId, "S9")]).0.len(), 1);
        assert_eq!(
            read(Some(false), &[number, (Field::ShippedAt, "2026-03-06")])
                .0
                .len(),
            1
        );
    }

    #[test]
    fn details_that_do_not_parse_are_left_out() {
        let (parcels, warnings) = read(
            Some(true),
            &[
                (Field::ShipmentId, "S9"),
                (Field::TrackingNumber, "1,23E+12"),
                (Field::TrackingUrl, "javascript:alert(1)"),
                (Field::EstimatedDelivery, "3-5 days"),
                (Field::ShippedAt, "yesterday"),
            ],
        );
        let bare = RowShipment {
            key: "S9".into(),
            shipped_at: None,
            carrier: None,
            tracking_numbers: vec![],
            tracking_url: None,
            estimate_on: None,
        };
        assert_eq!(parcels, [bare]);
        assert!(warnings.list.len() >= 4);
    }
}
