//! From CSV text to records.
//!
//! Line numbers are counted here from byte offsets, so that they are right
//! behind quoted newlines, blank lines and every kind of line end. A quote
//! that never closes would swallow the rest of the file: such a record costs
//! its first line only, and reading goes on behind it.

use super::ColumnUse;
use super::Fault;
use super::FileProblem;
use super::Intake;
use super::PROGRESS_EVERY;
use super::ParseOptions;
use super::ProblemKind;
use super::decode::line_ends;
use super::delimiter;
use super::header::Header;
use super::record::Record;
use std::borrow::Cow;

/// More columns are a sign of a wrong file.
const COLUMNS_MAX: usize = 1_000;
/// A ragged record over more lines than this is a stray quote.
const STRAY_QUOTE_LINES: u64 = 10;
/// Stray quotes forgiven before the file is given up.
const STRAY_QUOTES_MAX: u32 = 100;

/// A CSV file whose header is understood.
#[derive(Debug)]
pub(super) struct Table<'t> {
    text: &'t str,
    pub delimiter: u8,
    pub header: Header,
    /// Where the records begin.
    body_at: usize,
}

/// Reads the header. `name` is the file's, for messages.
///
/// # Errors
/// No header, or one that cannot be used.
pub(super) fn open<'t>(
    text: &'t str,
    name: &str,
    options: &ParseOptions,
) -> Result<Table<'t>, FileProblem> {
    let (delimiter, hint_bytes) = delimiter::detect(text, &options.map);
    let mut reader = reader(&text[hint_bytes..], delimiter);
    let mut cells = csv::StringRecord::new();
    let read = reader.read_record(&mut cells);
    let body_at = hint_bytes + byte_position(&reader);
    let line = 1 + line_ends(&text[..first_byte(text, hint_bytes)]);
    if !matches!(read, Ok(true)) || cells.len() > COLUMNS_MAX {
        return Err(FileProblem::of(
            ProblemKind::Header,
            "the first line is not a header",
            "the first line must name the columns: line_id, order_number, status, ...",
        )
        .at(line, 1));
    }
    let cells = cells.iter().map(|cell| cell.trim().to_owned()).collect();
    Ok(Table {
        text,
        delimiter,
        header: Header::understand(cells, line, name, options)?,
        body_at,
    })
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
}

fn byte_position(reader: &csv::Reader<&[u8]>) -> usize {
    usize::try_from(reader.position().byte()).unwrap_or(usize::MAX)
}

/// The first byte at or behind `at` that is no line end.
fn first_byte(text: &str, at: usize) -> usize {
    let rest = &text.as_bytes()[at..];
    at + rest
        .iter()
        .take_while(|b| matches!(**b, b'\n' | b'\r'))
        .count()
}

impl Table<'_> {
    /// Hands every record to `intake` and rejects what it refuses.
    ///
    /// # Errors
    /// Too many quotes that never close.
    pub fn read(
        &self,
        intake: &mut dyn Intake,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(), FileProblem> {
        for unread in &self.header.unread {
            unread.note(self.header.line, &mut intake.tray().warnings);
        }
        intake.tray().columns = (self.header.names.iter().zip(&self.header.fields))
            .map(|(name, fields)| ColumnUse {
                header: name.clone(),
                field: fields.first().map(|field| field.name()),
            })
            .collect();

        let mut from = self.body_at;
        let (mut line, mut counted) = (1, 0);
        let mut stray_quotes = 0;
        let mut cells = csv::StringRecord::new();
        'restart: loop {
            let mut reader = reader(&self.text[from..], self.delimiter);
            let mut end = from;
            loop {
                let start = first_byte(self.text, end);
                // The text is UTF-8 and lengths may differ: no error is left.
                if !reader.read_record(&mut cells).unwrap_or(false) {
                    return Ok(());
                }
                end = (from + byte_position(&reader)).min(self.text.len());
                line += line_ends(&self.text[counted..start]);
                counted = start;
                let raw = self.text[start..end].trim_end_matches(['\n', '\r']);
                if cells.iter().all(|cell| cell.trim().is_empty()) {
                    continue;
                }
                let n_records = {
                    let tray = intake.tray();
                    tray.n_records += 1;
                    tray.n_records
                };
                if n_records % PROGRESS_EVERY == 0 {
                    progress(end);
                }
                if self.is_stray_quote(&cells, raw, end) {
                    let raw = raw.split(['\n', '\r']).next().unwrap_or_default();
                    intake.tray().rejected.push(unclosed(line, raw));
                    stray_quotes += 1;
                    if stray_quotes > STRAY_QUOTES_MAX {
                        return Err(too_many_quotes(line));
                    }
                    from = start + raw.len();
                    continue 'restart;
                }
                self.take(&cells, line, raw, intake);
            }
        }
    }

    fn is_stray_quote(&self, cells: &csv::StringRecord, raw: &str, end: usize) -> bool {
        if !raw.contains('"') {
            return false;
        }
        let ragged = cells.len() != self.header.fields.len();
        let unclosed = end == self.text.len() && !self.closes(raw);
        unclosed || (ragged && line_ends(raw) > STRAY_QUOTE_LINES)
    }

    /// Does a record's last field end outside of quotes? Followed by a line
    /// end and one more record, a closed one gives two.
    fn closes(&self, raw: &str) -> bool {
        let probe = format!("{raw}\nx");
        let mut reader = reader(&probe, self.delimiter);
        let mut record = csv::StringRecord::new();
        let mut n = 0;
        while reader.read_record(&mut record).unwrap_or(false) {
            n += 1;
        }
        n > 1
    }

    fn take(&self, cells: &csv::StringRecord, line: u64, raw: &str, intake: &mut dyn Intake) {
        if cells.len() != self.header.fields.len() {
            let fault = Fault {
                field: None,
                reason: format!(
                    "the record has {} fields, the header has {}",
                    cells.len(),
                    self.header.fields.len()
                ),
                cure: format!(
                    "a field with \"{}\" or a line end in it must stand in quotes",
                    char::from(self.delimiter).escape_default()
                ),
            };
            intake
                .tray()
                .rejected
                .push(fault.into_rejection(line, None, raw));
            return;
        }
        let mut record = Record::at(line);
        for (fields, cell) in self.header.fields.iter().zip(cells) {
            for field in fields {
                record.put(*field, Cow::Borrowed(cell));
            }
        }
        if let Err(fault) = intake.take(&record) {
            let column = fault.field.and_then(|field| self.header.column_of(field));
            intake
                .tray()
                .rejected
                .push(fault.into_rejection(line, column, raw));
        }
    }
}

fn unclosed(line: u64, raw: &str) -> super::Rejection {
    let fault = Fault {
        field: None,
        reason: "a quote opens in this line and does not close".to_owned(),
        cure: "write a quote within a field twice (\"\"), and the field in quotes".to_owned(),
    };
    fault.into_rejection(line, None, raw)
}

fn too_many_quotes(line: u64) -> FileProblem {
    FileProblem::of(
        ProblemKind::Format,
        format!("more than {STRAY_QUOTES_MAX} quotes open and do not close"),
        "export it again: fields with quotes in them must be quoted",
    )
    .at(line, 1)
}
