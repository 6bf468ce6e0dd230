//! The reject file: what was not used, why, and the records themselves.
//!
//! It holds personal data as the input did. Who writes it to a disk gives it
//! to its owner alone (mode 0600).

use super::Rejection;
use std::io;
use std::io::Write;

/// Writes the rejected records as CSV with a header: `line, column, field,
/// reason, cure, record`, the last exactly as it stood in the file.
///
/// # Errors
/// The writer fails.
pub fn write_rejects(rejected: &[Rejection], to: &mut dyn Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(["line", "column", "field", "reason", "cure", "record"])?;
    for rejection in rejected {
        csv.write_record([
            rejection.line.to_string().as_str(),
            rejection
                .column
                .map(|n| n.to_string())
                .unwrap_or_default()
                .as_str(),
            rejection.field.as_deref().unwrap_or_default(),
            &rejection.reason,
            &rejection.cure,
            &rejection.raw,
        ])?;
    }
    csv.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_stood_and_debug_hides_them() {
        let rejection = Rejection {
            line: 17,
            column: Some(4),
            field: Some("email".into()),
            reason: "not an e-mail address".into(),
            cure: "correct it, or leave it empty".into(),
            raw: "L1;\"a\nb\";waiting;anna(at)mail.example".into(),
        };
        let mut out = Vec::new();
        write_rejects(std::slice::from_ref(&rejection), &mut out).unwrap();
        let mut reader = csv::Reader::from_reader(out.as_slice());
        let record = reader.records().next().unwrap().unwrap();
        assert_eq!(&record[0], "17");
        assert_eq!(&record[5], rejection.raw);
        assert!(!format!("{rejection:?}").contains("anna"));
    }
}
