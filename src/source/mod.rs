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
//! Order of reading: [`decode`] (bytes to text), [`delimiter`] and
//! [`csv_rows`] or [`ndjson`] (text to records), [`columns`] and [`header`]
//! (names to fields), [`lines`] or [`etas`] (records to rows) with [`dates`],
//! [`values`], [`contacts`], [`parcels`] for single fields, [`twins`] (rows
//! that meet), [`rejects`] (the reject file).

pub mod columns;
mod contacts;
mod csv_rows;
pub mod dates;
mod decode;
mod delimiter;
mod etas;
mod header;
mod lines;
mod ndjson;
mod parcels;
mod record;
pub mod rejects;
mod twins;
mod values;

use crate::domain::contact::Country;
use crate::domain::row::Row;
use crate::domain::row::SkuEta;
use chrono_tz::Tz;
use columns::ColumnMap;
use columns::Field;
use dates::DateOrder;
use std::collections::HashMap;
use std::fmt;

/// Lines listed with a warning; the count goes on.
const WARNING_LINES_MAX: usize = 20;
/// Different warnings kept of one file.
const WARNINGS_MAX: usize = 200;
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

/// A record that is not used, and what to do about it.
///
/// `raw` may hold personal data. It is for the reject file only; `Debug`
/// leaves it out, and reason and cure never repeat an address or a number.
#[derive(Clone, PartialEq, Eq)]
pub struct Rejection {
    /// First line of the record in the original file, from 1.
    pub line: u64,
    /// CSV: number of the field, from 1. NDJSON: column in characters, from 1.
    pub column: Option<usize>,
    /// Our name of the field.
    pub field: Option<String>,
    pub reason: String,
    pub cure: String,
    /// The record as it stood there, without its line end.
    pub raw: String,
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("line", &self.line)
            .field("column", &self.column)
            .field("field", &self.field)
            .field("reason", &self.reason)
            .field("cure", &self.cure)
            .field("raw", &format_args!("<{} bytes>", self.raw.len()))
            .finish()
    }
}

/// Something left out or doubtful, told once for all rows it happened in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub field: Option<String>,
    pub what: String,
    pub cure: String,
    /// The first lines it happened in, at most twenty, rising.
    pub lines: Vec<u64>,
    /// How often it happened in all.
    pub times: u64,
}

/// Why a file as a whole is not read. Displays as one sentence; `cure` says
/// what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct FileProblem {
    pub kind: ProblemKind,
    pub what: String,
    pub cure: String,
    /// Where in the file, from 1.
    pub line: Option<u64>,
    /// Column in characters, or number of the field for a header, from 1.
    pub column: Option<usize>,
    /// Name of the column it is about.
    pub field: Option<String>,
}

/// Kinds of [`FileProblem`], for callers that branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// Nothing in it.
    Empty,
    /// Not text in an encoding we read.
    Encoding,
    /// Text, but neither CSV nor NDJSON.
    Format,
    /// Columns missing, named twice or mapped wrongly.
    Header,
}

impl FileProblem {
    fn of(kind: ProblemKind, what: impl Into<String>, cure: impl Into<String>) -> FileProblem {
        FileProblem {
            kind,
            what: what.into(),
            cure: cure.into(),
            line: None,
            column: None,
            field: None,
        }
    }
    fn at(mut self, line: u64, column: usize) -> FileProblem {
        self.line = Some(line);
        self.column = Some(column);
        self
    }
    fn about(mut self, field: &str) -> FileProblem {
        self.field = Some(field.to_owned());
        self
    }
}

/// Why a record is rejected; the reader of the format adds where.
#[derive(Debug)]
struct Fault {
    field: Option<Field>,
    reason: String,
    cure: String,
}

impl Fault {
    fn of(field: Field, reason: impl Into<String>, cure: impl Into<String>) -> Fault {
        Fault {
            field: Some(field),
            reason: reason.into(),
            cure: cure.into(),
        }
    }
}

/// Warnings while they are gathered.
#[derive(Debug, Default)]
struct Warnings {
    list: Vec<Warning>,
    index: HashMap<(Option<String>, String), usize>,
}

impl Warnings {
    /// `what` must come from a small set of sentences: equal ones are counted
    /// together. Beyond the limit new ones are left out.
    fn note(&mut self, line: u64, field: Option<&str>, what: &str, cure: &str) {
        let key = (field.map(str::to_owned), what.to_owned());
        let at = match self.index.get(&key) {
            Some(&at) => at,
            None if self.list.len() >= WARNINGS_MAX => return,
            None => {
                self.list.push(Warning {
                    field: key.0.clone(),
                    what: key.1.clone(),
                    cure: cure.to_owned(),
                    lines: Vec::new(),
                    times: 0,
                });
                self.index.insert(key, self.list.len() - 1);
                self.list.len() - 1
            }
        };
        let warning = &mut self.list[at];
        warning.times += 1;
        if warning.lines.len() < WARNING_LINES_MAX && warning.lines.last() != Some(&line) {
            warning.lines.push(line);
        }
    }
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
