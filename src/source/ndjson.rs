//! From NDJSON text to records: one object per line, blank lines allowed.
//!
//! Numbers, strings, booleans and null are accepted for every field. A key
//! that stands twice in one object is refused, since nobody knows which of
//! the two is meant.

use super::ColumnUse;
use super::Fault;
use super::FileKind;
use super::FileProblem;
use super::Intake;
use super::PROGRESS_EVERY;
use super::ParseOptions;
use super::columns;
use super::columns::Field;
use super::header::Unread;
use super::header::kind_of;
use super::record::Cell;
use super::record::Record;
use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// Different keys remembered of one file.
const KEYS_MAX: usize = 1_000;
/// Nested parcels read of one object.
const PARCELS_MAX: usize = 200;
/// The fields a nested parcel has.
const PARCEL_FIELDS: [Field; 6] = [
    Field::ShipmentId,
    Field::ShippedAt,
    Field::TrackingNumber,
    Field::Carrier,
    Field::TrackingUrl,
    Field::EstimatedDelivery,
];

/// Why an object is rejected, and the column where that is known.
type Refused = (Fault, Option<usize>);

/// A file of objects.
#[derive(Debug)]
pub(super) struct Objects<'t> {
    text: &'t str,
    pub kind: FileKind,
    options: &'t ParseOptions,
}

/// Decides what the objects are, by the keys of the first that parses.
///
/// # Errors
/// A mapped key stands in none of the objects.
pub(super) fn open<'t>(
    text: &'t str,
    options: &'t ParseOptions,
) -> Result<Objects<'t>, FileProblem> {
    let mut keys: Vec<String> = Vec::new();
    let mut kind = options.kind;
    let mut seen: HashMap<String, ()> = HashMap::new();
    // Only a map makes a second look at the whole file necessary.
    let look_at_all = options.map != super::column_map::ColumnMap::default();
    for (_, _, line) in lines(text) {
        let Ok(Pairs(pairs)) = serde_json::from_str::<Pairs>(line) else {
            continue;
        };
        let names: Vec<String> = pairs
            .iter()
            .map(|(key, _)| columns::normalised(key))
            .collect();
        kind.get_or_insert_with(|| kind_of(&names, &options.map));
        for name in names {
            if keys.len() < KEYS_MAX && seen.insert(name.clone(), ()).is_none() {
                keys.push(name);
            }
        }
        if !look_at_all || options.map.check(&keys).is_ok() {
            break;
        }
    }
    options.map.check(&keys)?;
    Ok(Objects {
        text,
        kind: kind.unwrap_or(FileKind::Lines),
        options,
    })
}

/// Lines that are not blank: number, byte offset of the end, text.
fn lines(text: &str) -> impl Iterator<Item = (u64, usize, &str)> {
    let mut end = 0;
    text.split('\n')
        .zip(1u64..)
        .filter_map(move |(line, number)| {
            end += line.len() + 1;
            let line = line.strip_suffix('\r').unwrap_or(line);
            (!line.trim().is_empty()).then_some((number, end, line))
        })
}

/// What a key is read as, decided once per key.
#[derive(Clone, Debug)]
enum Use {
    Fields(Vec<Field>),
    Parcels,
    Unread { said: Unread },
}

impl Objects<'_> {
    /// Hands every object to `intake` and rejects what it refuses.
    ///
    /// # Errors
    /// None; the signature is that of the other format.
    pub fn read(
        &self,
        intake: &mut dyn Intake,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(), FileProblem> {
        let mut uses: HashMap<String, Use> = HashMap::new();
        for (number, end, line) in lines(self.text) {
            let n_records = {
                let tray = intake.tray();
                tray.n_records += 1;
                tray.n_records
            };
            if n_records % PROGRESS_EVERY == 0 {
                progress(end.min(self.text.len()));
            }
            let taken = parse_object(line).and_then(|pairs| {
                let record = self.record(number, pairs, &mut uses, intake)?;
                intake.take(&record).map_err(|fault| (fault, None))
            });
            if let Err((fault, column)) = taken {
                let column =
                    column.or_else(|| fault.field.and_then(|field| column_of(line, field)));
                let rejection = fault.into_rejection(number, column, line);
                intake.tray().rejected.push(rejection);
            }
        }
        Ok(())
    }

    fn record<'a>(
        &self,
        line: u64,
        pairs: Vec<(String, Value)>,
        uses: &mut HashMap<String, Use>,
        intake: &mut dyn Intake,
    ) -> Result<Record<'a>, Refused> {
        let mut record = Record::at(line);
        let mut filled: Vec<Field> = Vec::new();
        for (key, value) in pairs {
            if !uses.contains_key(&key) && uses.len() < KEYS_MAX {
                let found = self.use_of(&key, uses.len() + 1);
                intake.tray().columns.push(ColumnUse {
                    header: key.clone(),
                    field: match &found {
                        Use::Fields(fields) => fields.first().map(|field| field.name()),
                        Use::Parcels => Some("shipments"),
                        Use::Unread { .. } => None,
                    },
                });
                uses.insert(key.clone(), found);
            }
            match uses.get(&key) {
                Some(Use::Fields(fields)) => {
                    for &field in fields {
                        if filled.contains(&field) {
                            return Err(plain_fault(field, "the field stands twice in the object"));
                        }
                        filled.push(field);
                        record.put_cell(field, cell(&value, field)?);
                    }
                }
                Some(Use::Parcels) => record.parcels = parcels(line, value)?,
                Some(Use::Unread { said }) => said.note(line, &mut intake.tray().warnings),
                None => {}
            }
        }
        Ok(record)
    }

    fn use_of(&self, key: &str, number: usize) -> Use {
        let name = columns::normalised(key);
        let fields = self.options.map.fields_of(&name, self.kind);
        if !fields.is_empty() {
            Use::Fields(fields)
        } else if name == "shipments" && self.kind == FileKind::Lines {
            Use::Parcels
        } else {
            Use::Unread {
                said: Unread::of(&name, key, number, self.kind, &self.options.map),
            }
        }
    }
}

/// A nested array of parcels. Keys nobody knows are passed over: shops put
/// whole records there.
fn parcels<'a>(line: u64, value: Value) -> Result<Vec<Record<'a>>, Refused> {
    let list = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) if list.len() <= PARCELS_MAX => list,
        Value::Array(_) => {
            return Err(plain_fault(
                Field::ShipmentId,
                "the object has more than 200 shipments",
            ));
        }
        _ => {
            return Err(plain_fault(
                Field::ShipmentId,
                "shipments is not an array of objects",
            ));
        }
    };
    let mut parcels = Vec::with_capacity(list.len());
    for item in list {
        let Value::Object(keys) = item else {
            return Err(plain_fault(
                Field::ShipmentId,
                "shipments is not an array of objects",
            ));
        };
        let mut parcel = Record::at(line);
        for (key, value) in keys {
            let field = match columns::normalised(&key).as_str() {
                "id" => Some(Field::ShipmentId),
                name => columns::known(name, FileKind::Lines),
            };
            if let Some(field) = field.filter(|field| PARCEL_FIELDS.contains(field)) {
                parcel.put_cell(field, cell(&value, field)?);
            }
        }
        parcels.push(parcel);
    }
    Ok(parcels)
}

/// A scalar as text. Lists of scalars are joined, which several tracking
/// numbers and alternatives need.
fn cell<'a>(value: &Value, field: Field) -> Result<Cell<'a>, Refused> {
    let (text, inexact) = match value {
        Value::Null => (String::new(), false),
        Value::Bool(flag) => (flag.to_string(), false),
        Value::Number(n) => (n.to_string(), n.is_f64()),
        Value::String(text) => (text.clone(), false),
        Value::Array(list) if matches!(field, Field::TrackingNumber | Field::Alternatives) => {
            let mut parts = Vec::with_capacity(list.len());
            let mut inexact = false;
            for item in list {
                let part = cell(item, Field::LineId)?;
                inexact |= part.inexact;
                parts.push(part.text.into_owned());
            }
            (parts.join(","), inexact)
        }
        Value::Array(_) | Value::Object(_) => {
            return Err(plain_fault(
                field,
                "a plain value is expected, not a list or an object",
            ));
        }
    };
    Ok(Cell {
        text: Cow::Owned(text),
        inexact,
    })
}

fn plain_fault(field: Field, reason: &str) -> Refused {
    (
        Fault::of(
            field,
            reason,
            "write a string, a number, true, false or null, once",
        ),
        None,
    )
}

/// Where a field's key stands, in characters from 1.
fn column_of(line: &str, field: Field) -> Option<usize> {
    let at = line.find(&format!("\"{}\"", field.name()))?;
    Some(1 + line[..at].chars().count())
}

fn parse_object(line: &str) -> Result<Vec<(String, Value)>, Refused> {
    serde_json::from_str::<Pairs>(line)
        .map(|Pairs(pairs)| pairs)
        .map_err(|error| {
            // The column counts bytes.
            let bytes = error.column().saturating_sub(1).min(line.len());
            let column = 1 + line
                .bytes()
                .take(bytes)
                .filter(|b| b & 0xC0 != 0x80)
                .count();
            let reason = if error.is_eof() {
                "the object does not end in this line"
            } else if error.is_data() {
                "the line is not a JSON object, or a key stands twice in it"
            } else {
                "the line is not valid JSON"
            };
            let fault = Fault {
                field: None,
                reason: format!("{reason} (column {column})"),
                cure: "write one complete JSON object per line".to_owned(),
            };
            (fault, Some(column))
        })
}

/// The members of an object in their order.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs: Vec<(String, Value)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    if pairs.iter().any(|(known, _)| *known == key) {
                        return Err(serde::de::Error::custom("a key stands twice"));
                    }
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
