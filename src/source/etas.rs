//! Records of a file of dates: `sku, from, to, reason`, one date for every
//! open line of a SKU.

use super::Fault;
use super::Intake;
use super::ParseOptions;
use super::Tray;
use super::columns::Field;
use super::ids;
use super::lines::Fields;
use super::record::Record;
use crate::domain::row::SkuEta;
use std::collections::HashMap;

const REASON_CHARS_MAX: usize = 500;

/// Takes records of dates.
#[derive(Debug)]
pub(super) struct EtaIntake<'o> {
    options: &'o ParseOptions,
    rows: Vec<SkuEta>,
    by_sku: HashMap<String, usize>,
    tray: Tray,
}

impl<'o> EtaIntake<'o> {
    pub fn new(options: &'o ParseOptions) -> EtaIntake<'o> {
        EtaIntake {
            options,
            rows: Vec::new(),
            by_sku: HashMap::new(),
            tray: Tray::default(),
        }
    }

    pub fn finish(self) -> (Vec<SkuEta>, Tray) {
        (self.rows, self.tray)
    }
}

impl Intake for EtaIntake<'_> {
    /// A blank date says that nobody knows. The same SKU twice is fine with
    /// the same date and refused with another one.
    fn take(&mut self, record: &Record<'_>) -> Result<(), Fault> {
        let sku = ids::mandatory_id(record, Field::Sku)?;
        let fields = Fields {
            record,
            options: self.options,
        };
        let eta = fields.eta(&mut self.tray.warnings)?.unwrap_or_default();
        let reason = fields.text(Field::Reason, REASON_CHARS_MAX, &mut self.tray.warnings);
        let row = SkuEta {
            at_line: record.line,
            sku,
            eta,
            reason,
        };
        if let Some(&at) = self.by_sku.get(&row.sku) {
            let known = &self.rows[at];
            if (known.eta, &known.reason) == (row.eta, &row.reason) {
                return Ok(());
            }
            return Err(Fault::of(
                Field::Sku,
                format!(
                    "line {} has the same sku and says something else",
                    known.at_line
                ),
                "keep one row per sku",
            ));
        }
        self.by_sku.insert(row.sku.clone(), self.rows.len());
        self.rows.push(row);
        Ok(())
    }

    fn tray(&mut self) -> &mut Tray {
        &mut self.tray
    }
}
