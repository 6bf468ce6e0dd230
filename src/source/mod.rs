//! Where order lines come from: a shop's files, as typed rows.
//!
//! [`parse`] turns the bytes of a CSV or NDJSON file into
//! [`Row`]s or [`SkuEta`]s. It is called by the import
//! command, which opens the file and stores the rows; nothing in here touches
//! a disk, a database or a clock.
//!
//! Promises:
//! - *nothing is guessed*: a value with two readings is refused with its cure;
//! - *one bad row costs one row*: it is rejected with its line, field, reason
//!   and original text, and the rest is read. Only what makes every row
//!   doubtful (encoding, header) is a [`FileProblem`];
//! - *what can be left out is left out*: a phone number, a link or a language
//!   that does not parse is dropped with a warning, because the customer can
//!   still be written to. A date, a quantity, a status or an address cannot;
//! - positions are those of the original file, also behind quoted newlines;
//! - no panic on any bytes, and memory in proportion to the file.
//!
//! A row that is missing means nothing, and neither does a rejected one: what
//! is stored about its line stays as it is.
//!
//! Order of reading: `decode` (bytes to text), `delimiter` and `csv_rows` or
//! `ndjson` (text to records), `columns`, [`column_map`] and `header` (names
//! to fields), `lines` or `etas` (records to rows) with [`dates`],
//! `notation`, `values`, `ids`, `contacts`, `parcels` for single fields,
//! `twins` (rows that meet), [`report`] and [`rejects`] (what is said about
//! the rest). [`do_not_write`] stands apart: the do-not-write list as a file.

pub mod column_map;
mod columns;
mod contacts;
mod csv_rows;
pub mod dates;
mod decode;
mod delimiter;
pub mod do_not_write;
mod etas;
mod header;
mod ids;
mod lines;
mod ndjson;
mod notation;
mod parcels;
mod record;
pub mod rejects;
pub mod report;
#[cfg(test)]
mod tests;
mod twins;
mod values;

use crate::domain::contact::Country;
use crate::domain::row::Row;
use crate::domain::row::SkuEta;
use chrono_tz::Tz;
use column_map::ColumnMap;
use dates::DateOrder;
use report::Fault;
use report::Warnings;

pub use report::FileProblem;
pub use report::ProblemKind;
pub use report::Rejection;
pub use report::Warning;

/// Records between two reports of progress.
const PROGRESS_EVERY: u64 = 1_000;

/// What the reader has to know beside the file.
#[derive(Clone, Debug)]
pub struct ParseOptions {
    /// Zone of clock times without an offset.
    pub shop_zone: Tz,
    /// Country of phone numbers where neither number nor row names one.
    pub shop_country: Option<Country>,
    /// Currency of prices where the row names none.
    pub shop_currency: Option<String>,
    /// How `03/04/2027` is meant; without it such dates are refused.
    pub dates: Option<DateOrder>,
    /// Other names of columns.
    pub map: ColumnMap,
    /// What the file holds; detected from its columns when absent.
    pub kind: Option<FileKind>,
}

impl ParseOptions {
    /// For a shop in `zone`, with everything else absent.
    pub fn in_zone(zone: Tz) -> ParseOptions {
        ParseOptions {
            shop_zone: zone,
            shop_country: None,
            shop_currency: None,
            dates: None,
            map: ColumnMap::default(),
            kind: None,
        }
    }
}

/// What the records of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Order lines.
    Lines,
    /// Dates per SKU.
    Etas,
}

/// A file that was read.
#[derive(Debug)]
pub enum ParsedFile {
    Lines(Parsed<Row>),
    Etas(Parsed<SkuEta>),
}

/// Rows in file order, and what is to be said about the rest.
#[derive(Debug)]
pub struct Parsed<T> {
    pub rows: Vec<T>,
    /// In file order.
    pub rejected: Vec<Rejection>,
    /// In order of first occurrence.
    pub warnings: Vec<Warning>,
    /// The columns of a CSV file from left to right, the keys of an NDJSON
    /// file in order of appearance.
    pub columns: Vec<ColumnUse>,
    pub format: Format,
    pub encoding: Encoding,
    /// Records seen: rows, rejected ones and those merged into others.
    pub n_records: u64,
}

/// What a column of the file is read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnUse {
    /// As the file spells it.
    pub header: String,
    /// Our name; `None` for a column nobody reads.
    pub field: Option<&'static str>,
}

/// How records are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv { delimiter: char },
    Ndjson,
}

/// How the characters are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// Takes records, one by one, and keeps what becomes of them.
trait Intake {
    /// # Errors
    /// The record is to be rejected.
    fn take(&mut self, record: &record::Record<'_>) -> Result<(), Fault>;
    fn tray(&mut self) -> &mut Tray;
}

/// What every intake keeps beside its rows.
#[derive(Debug, Default)]
struct Tray {
    rejected: Vec<Rejection>,
    warnings: Warnings,
    columns: Vec<ColumnUse>,
    n_records: u64,
}

/// Reads a whole file. `name` is only a hint for messages: the format comes
/// from the content. `progress` hears the bytes done, now and then and at the
/// end.
///
/// # Errors
/// The file is empty, is no text we can decode, has no usable header, or a
/// column map names what is not there.
pub fn parse(
    bytes: &[u8],
    name: &str,
    options: &ParseOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<ParsedFile, FileProblem> {
    let decoded = decode::decode(bytes, name)?;
    let text = decoded.text.as_ref();
    let total = bytes.len() as u64;
    let mut scaled = |done: usize| {
        progress(total.min((done as u128 * u128::from(total) / text.len().max(1) as u128) as u64));
    };
    let first = text.trim_start().chars().next();
    let opened = match first {
        None => {
            return Err(FileProblem::of(
                ProblemKind::Empty,
                "the file is empty",
                "export it again; a file without rows still has a header line",
            ));
        }
        Some('{') => Opened::Ndjson(ndjson::open(text, options)?),
        Some('[') => {
            return Err(FileProblem::of(
                ProblemKind::Format,
                "the file is one JSON array, and one object per line is expected",
                "convert it: jq -c '.[]' in.json > out.ndjson",
            ));
        }
        Some(_) => Opened::Csv(csv_rows::open(text, name, options)?),
    };
    let (format, kind) = match &opened {
        Opened::Ndjson(file) => (Format::Ndjson, file.kind),
        Opened::Csv(table) => (
            Format::Csv {
                delimiter: char::from(table.delimiter),
            },
            table.header.kind,
        ),
    };
    let mut run = |intake: &mut dyn Intake| match &opened {
        Opened::Ndjson(file) => file.read(intake, &mut scaled),
        Opened::Csv(table) => table.read(intake, &mut scaled),
    };
    let read = match kind {
        FileKind::Lines => {
            let mut intake = lines::LineIntake::new(options);
            run(&mut intake)?;
            let (rows, tray) = intake.finish();
            ParsedFile::Lines(tray.into_parsed(rows, format, decoded.encoding))
        }
        FileKind::Etas => {
            let mut intake = etas::EtaIntake::new(options);
            run(&mut intake)?;
            let (rows, tray) = intake.finish();
            ParsedFile::Etas(tray.into_parsed(rows, format, decoded.encoding))
        }
    };
    progress(total);
    Ok(read)
}

/// A file whose format and kind are known.
enum Opened<'t> {
    Csv(csv_rows::Table<'t>),
    Ndjson(ndjson::Objects<'t>),
}

impl Tray {
    fn into_parsed<T>(self, rows: Vec<T>, format: Format, encoding: Encoding) -> Parsed<T> {
        Parsed {
            rows,
            rejected: self.rejected,
            warnings: self.warnings.list,
            columns: self.columns,
            format,
            encoding,
            n_records: self.n_records,
        }
    }
}
