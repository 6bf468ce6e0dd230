//! Rows of one file that meet: the same line twice, the same order number
//! for two customers.

use super::Fault;
use super::columns::Field;
use super::parcels::gather;
use crate::domain::row::Row;
use std::collections::HashMap;

/// The accepted rows, by what identifies them.
#[derive(Debug, Default)]
pub(super) struct Twins {
    rows: Vec<Row>,
    by_line: HashMap<String, usize>,
    /// Without an order id the number identifies the order: who it belongs
    /// to, and the line that said so.
    owners: HashMap<String, (String, u64)>,
}

impl Twins {
    /// Adds a row, or its parcels to the row of the same line. A query that
    /// joins parcels returns a line once per parcel: such rows differ in
    /// their shipment columns only.
    ///
    /// # Errors
    /// The line was there before and said something else; the order number
    /// belongs to another customer.
    pub fn add(&mut self, row: Row) -> Result<(), Fault> {
        let owner = self.claim(&row)?;
        if let Some(&at) = self.by_line.get(&row.line_key) {
            let known = &mut self.rows[at];
            if !same_but_parcels(known, &row) {
                return Err(Fault::of(
                    Field::LineId,
                    format!(
                        "line {} has the same line_id and says something else",
                        known.at_line
                    ),
                    "keep one row per order line; only shipment columns may differ",
                ));
            }
            known.shipped = known.shipped.max(row.shipped);
            for parcel in row.shipments {
                gather(&mut known.shipments, parcel);
            }
            return Ok(());
        }
        if let Some(owner) = owner {
            self.owners
                .insert(row.order_number.clone(), (owner, row.at_line));
        }
        self.by_line.insert(row.line_key.clone(), self.rows.len());
        self.rows.push(row);
        Ok(())
    }

    pub fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    /// The owner to be noted for the row's order number, if none is yet.
    fn claim(&self, row: &Row) -> Result<Option<String>, Fault> {
        let (None, Some(email)) = (&row.order_key, &row.email) else {
            return Ok(None);
        };
        let owner = email.canonical();
        match self.owners.get(&row.order_number) {
            Some((known, line)) if *known != owner => Err(Fault::of(
                Field::Email,
                format!("line {line} gives the same order number another address"),
                "add a column order_id, or correct the address",
            )),
            Some(_) => Ok(None),
            None => Ok(Some(owner)),
        }
    }
}

fn same_but_parcels(a: &Row, b: &Row) -> bool {
    let bare = |row: &Row| Row {
        at_line: 0,
        shipped: None,
        shipments: Vec::new(),
        ..row.clone()
    };
    bare(a) == bare(b)
}
