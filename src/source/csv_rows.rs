//! From CSV text to records.
//!
//! Line numbers are counted here from byte offsets, so that they are right
//! behind quoted newlines, blank lines and every kind of line end. A quote
//! that never closes would swallow the rest of the file, and two stray ones the
//! lines between them: such a record costs its first line only, and reading
//! goes on behind it.

use super::ColumnUse;
use super::Fault;
use super::FileProblem;
use super::Intake;
use super::PROGRESS_EVERY;
use super::ParseOptions;
use super::ProblemKind;
use super::Rejection;
use super::decode::line_ends;
use super::delimiter;
use super::header::Header;
use super::record::Record;
use std::borrow::Cow;

/// More columns are a sign of a wrong file.
const COLUMNS_MAX: usize = 1_000;
/// A ragged record over more lines than this is a stray quote.
const STRAY_QUOTE_LINES: u64 = 10;
/// Quotes without an end forgiven before the file is given up.
const UNCLOSED_MAX: u32 = 100;

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
        let mut unclosed = 0;
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
                let quoting = quoting(raw, self.delimiter);
                let ragged = cells.len() != self.header.fields.len();
                let long = ragged && line_ends(raw) > STRAY_QUOTE_LINES;
                if quoting != Quoting::Fine || long {
                    let first_line = raw.split(['\n', '\r']).next().unwrap_or_default();
                    intake.tray().rejected.push(misquoted(line, first_line));
                    // An unclosed quote has cost a look at the whole rest.
                    unclosed += u32::from(quoting == Quoting::Unclosed);
                    if unclosed > UNCLOSED_MAX {
                        return Err(too_many_quotes(line));
                    }
                    from = start + first_line.len();
                    continue 'restart;
                }
                let breaks_off = start + raw.len() == self.text.len();
                if breaks_off && cells.len() < self.header.fields.len() {
                    intake.tray().rejected.push(cut_off(line, raw));
                    continue;
                }
                self.take(&cells, line, raw, intake);
            }
        }
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

/// How a record's quotes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quoting {
    Fine,
    /// The last quote opens and does not close.
    Unclosed,
    /// Text follows a closing quote: a quote within a field was not doubled,
    /// or two stray quotes have made one field of many.
    Broken,
}

/// Looks at the quotes of one record as RFC 4180 means them; blanks behind a
/// closing quote are forgiven. The parser itself accepts everything, and
/// would join lines without a word.
fn quoting(raw: &str, delimiter: u8) -> Quoting {
    #[derive(Clone, Copy, PartialEq)]
    enum At {
        Start,
        Plain,
        Quoted,
        Closed,
        Behind,
    }
    if !raw.contains('"') {
        return Quoting::Fine;
    }
    let mut at = At::Start;
    for byte in raw.bytes() {
        at = match (at, byte) {
            (At::Quoted, b'"') => At::Closed,
            (At::Quoted, _) => At::Quoted,
            (At::Start | At::Closed, b'"') => At::Quoted,
            (_, b) if b == delimiter || b == b'\n' || b == b'\r' => At::Start,
            (At::Closed | At::Behind, b' ') => At::Behind,
            (At::Closed | At::Behind, _) => return Quoting::Broken,
            (At::Start | At::Plain, _) => At::Plain,
        };
    }
    if at == At::Quoted {
        Quoting::Unclosed
    } else {
        Quoting::Fine
    }
}

fn misquoted(line: u64, raw: &str) -> Rejection {
    let fault = Fault {
        field: None,
        reason: "the quotes in this line do not match".to_owned(),
        cure: "write a quote within a field twice (\"\"), and the field in quotes".to_owned(),
    };
    fault.into_rejection(line, None, raw)
}

fn cut_off(line: u64, raw: &str) -> Rejection {
    let fault = Fault {
        field: None,
        reason: "the file breaks off within this line".to_owned(),
        cure: "it was cut off while it was written or copied: export it again".to_owned(),
    };
    fault.into_rejection(line, None, raw)
}

fn too_many_quotes(line: u64) -> FileProblem {
    FileProblem::of(
        ProblemKind::Format,
        format!("more than {UNCLOSED_MAX} quotes open and do not close"),
        "export it again: fields with quotes in them must be quoted",
    )
    .at(line, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_match_or_do_not() {
        for (raw, quoting_is) in [
            ("a,b", Quoting::Fine),
            ("\"a\",\"b\"", Quoting::Fine),
            ("\"a \"\"b\"\"\" ,\"\nc\"", Quoting::Fine),
            ("5\" nail,b", Quoting::Fine),
            ("\"\",\"\"", Quoting::Fine),
            ("\"5\" nail\",b", Quoting::Broken),
            ("a,\"b\nc,\"d", Quoting::Broken),
            ("a,\"b", Quoting::Unclosed),
            ("a,\"b\"\"", Quoting::Unclosed),
        ] {
            assert_eq!(quoting(raw, b','), quoting_is, "{raw}");
        }
    }
}
