//! A record as both formats deliver it: fields by name, still text.

use super::columns::Field;
use std::borrow::Cow;

/// One value.
#[derive(Clone, Debug)]
pub(super) struct Cell<'a> {
    pub text: Cow<'a, str>,
    /// A JSON number with a fraction or beyond 64 bits: as an id it may have
    /// lost digits.
    pub inexact: bool,
}

/// One record of a file. A field can be absent (no such column), blank, or
/// have text.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub line: u64,
    cells: Vec<Option<Cell<'a>>>,
    /// Nested parcels (NDJSON only), each with shipment fields.
    pub parcels: Vec<Record<'a>>,
}

impl<'a> Record<'a> {
    pub fn at(line: u64) -> Record<'a> {
        Record {
            line,
            cells: vec![None; Field::ALL.len()],
            parcels: Vec::new(),
        }
    }

    /// One field of the first record.
    #[cfg(test)]
    pub fn of(field: Field, text: &'a str) -> Record<'a> {
        let mut record = Record::at(1);
        record.put(field, Cow::Borrowed(text));
        record
    }

    pub fn put(&mut self, field: Field, text: Cow<'a, str>) {
        self.put_cell(
            field,
            Cell {
                text,
                inexact: false,
            },
        );
    }

    pub fn put_cell(&mut self, field: Field, cell: Cell<'a>) {
        self.cells[field as usize] = Some(cell);
    }

    /// Does the source have this field at all, filled or not?
    pub fn has(&self, field: Field) -> bool {
        self.cells[field as usize].is_some()
    }

    /// The value without surrounding blanks; `None` where there is none.
    /// `NULL` and `\N` are how database exports write "none".
    pub fn text(&self, field: Field) -> Option<&str> {
        let text = self.cells[field as usize].as_ref()?.text.trim();
        (!text.is_empty() && text != "NULL" && text != "\\N").then_some(text)
    }

    pub fn is_inexact(&self, field: Field) -> bool {
        self.cells[field as usize]
            .as_ref()
            .is_some_and(|cell| cell.inexact)
    }
}
