//! The do-not-write list as a CSV file: read from another sender's export or
//! from another `backorderd`, and written for one.
//!
//! Two shapes with a header, in any order of columns:
//!
//! ```text
//! address,reason,since                          from anybody
//! address_hash,channel,reason,source,since,key  from a backorderd
//! ```
//!
//! A hash means something only to whoever has the key it was made with, so the
//! key's fingerprint stands in every row. Reading is all or nothing, and says
//! of everything that is wrong line, column and field. No error repeats an
//! address.

use crate::domain::contact::{Country, EmailAddress, PhoneNumber};
use crate::domain::kinds::ChannelName;
use crate::domain::time::{Instant, at_time};
use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat};
use chrono_tz::Tz;
use std::fmt;
use std::io::Write;

/// Letters of a hash.
const HASH_LETTERS: usize = 32;
/// Problems listed; a file that is wrong all through needs no more.
const PROBLEMS_MAX: usize = 20;

const COLUMNS: [&str; 7] = [
    "address",
    "address_hash",
    "channel",
    "reason",
    "source",
    "since",
    "key",
];

/// What a row names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    Email(EmailAddress),
    Phone(PhoneNumber),
    Hash(String, ChannelName),
}

/// A row that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRow {
    pub what: Listed,
    pub reason: String,
    pub source: Option<String>,
    pub since: Option<Instant>,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListProblem {
    pub line: u64,
    /// Counted from 1; 0 for the line as a whole.
    pub column: usize,
    pub field: &'static str,
    pub what: String,
}

impl fmt::Display for ListProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            0 => write!(f, "line {}: {}", self.line, self.what),
            n => {
                let (line, field, what) = (self.line, self.field, &self.what);
                write!(f, "line {line}, column {n} ({field}): {what}")
            }
        }
    }
}

/// How values are read.
#[derive(Clone, Debug)]
pub struct ListOptions {
    /// Of days without a time.
    pub zone: Tz,
    /// Of numbers without a country.
    pub country: Option<Country>,
    /// Fingerprint of our own key.
    pub key: String,
    pub now: Instant,
}

/// A row that is written.
#[derive(Clone, Debug)]
pub struct ExportRow<'a> {
    pub address_hash: &'a str,
    pub channel: ChannelName,
    pub reason: &'a str,
    pub source: &'a str,
    pub since: Instant,
}

struct Header(Vec<Option<&'static str>>);

impl Header {
    fn index(&self, field: &str) -> Option<usize> {
        self.0.iter().position(|f| *f == Some(field))
    }
}

/// One row while it is read.
struct Record<'a> {
    header: &'a Header,
    record: &'a csv::StringRecord,
    line: u64,
}

impl<'a> Record<'a> {
    fn get(&self, field: &str) -> Option<&'a str> {
        let value = self.record.get(self.header.index(field)?)?.trim();
        (!value.is_empty()).then_some(value)
    }

    fn problem(&self, field: &'static str, what: impl Into<String>) -> ListProblem {
        ListProblem {
            line: self.line,
            column: self.header.index(field).map_or(0, |n| n + 1),
            field,
            what: what.into(),
        }
    }
}

/// Reads a file.
///
/// # Errors
/// Everything that is wrong with it, the first twenty; nothing of it may be
/// used then.
pub fn parse(bytes: &[u8], options: &ListOptions) -> Result<Vec<ListedRow>, Vec<ListProblem>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(bytes);
    let header = header(&mut reader).map_err(|problem| vec![problem])?;
    let (mut out, mut problems) = (Vec::new(), Vec::new());
    let mut record = csv::StringRecord::new();
    loop {
        if problems.len() >= PROBLEMS_MAX {
            break;
        }
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                let line = record.position().map_or(0, csv::Position::line);
                let row = Record {
                    header: &header,
                    record: &record,
                    line,
                };
                match read_row(&row, options) {
                    Ok(row) => out.push(row),
                    Err(problem) => problems.push(problem),
                }
            }
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                problems.push(ListProblem {
                    line,
                    column: 0,
                    field: "",
                    what: unreadable(&error),
                });
                break;
            }
        }
    }
    if problems.is_empty() {
        Ok(out)
    } else {
        Err(problems)
    }
}

fn unreadable(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8 text".to_owned(),
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("it has {len} fields, the header has {expected_len}"),
        _ => "it cannot be read as CSV".to_owned(),
    }
}

fn header(reader: &mut csv::Reader<&[u8]>) -> Result<Header, ListProblem> {
    let wrong = |column, what: String| ListProblem {
        line: 1,
        column,
        field: "header",
        what,
    };
    let names = reader
        .headers()
        .map_err(|error| wrong(0, unreadable(&error)))?;
    let mut found = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let name = name.trim().to_ascii_lowercase();
        let known = COLUMNS.iter().find(|column| **column == name).copied();
        if known.is_some() && found.contains(&known) {
            return Err(wrong(n + 1, format!("\"{name}\" stands there twice")));
        }
        if known.is_none() && name.contains('@') {
            let what = "there is no header; the first line must name the columns: \
                        address,reason,since";
            return Err(wrong(n + 1, what.to_owned()));
        }
        found.push(known);
    }
    let header = Header(found);
    match (header.index("address"), header.index("address_hash")) {
        (None, None) => Err(wrong(
            0,
            "there is no column \"address\" (or \"address_hash\")".to_owned(),
        )),
        (Some(_), Some(n)) => Err(wrong(
            n + 1,
            "\"address\" and \"address_hash\" cannot both be there".to_owned(),
        )),
        (None, Some(_)) if header.index("channel").is_none() || header.index("key").is_none() => {
            Err(wrong(
                0,
                "\"address_hash\" needs the columns \"channel\" and \"key\"".to_owned(),
            ))
        }
        _ => Ok(header),
    }
}

fn read_row(row: &Record<'_>, options: &ListOptions) -> Result<ListedRow, ListProblem> {
    let channel = match row.get("channel") {
        None => None,
        Some(text) => match ChannelName::parse(text) {
            Some(channel) => Some(channel),
            None => return Err(row.problem("channel", "it must be email or sms")),
        },
    };
    let what = if row.header.index("address_hash").is_some() {
        hash(row, channel, options)?
    } else {
        address(row, channel, options)?
    };
    let since = match row.get("since") {
        None => None,
        Some(text) => match moment(text, options.zone) {
            Some(at) if at > options.now => {
                return Err(row.problem("since", "it lies in the future"));
            }
            Some(at) => Some(at),
            None => {
                let what = "it must be a day (2026-03-02) or a moment (2026-03-02T14:00:00Z)";
                return Err(row.problem("since", what));
            }
        },
    };
    let reason = row.get("reason").unwrap_or("imported");
    if reason.contains('@') || reason.chars().count() > 200 {
        let what = "it must be at most 200 letters and name no address";
        return Err(row.problem("reason", what));
    }
    Ok(ListedRow {
        what,
        reason: reason.to_owned(),
        source: row.get("source").map(str::to_owned),
        since,
    })
}

fn hash(
    row: &Record<'_>,
    channel: Option<ChannelName>,
    options: &ListOptions,
) -> Result<Listed, ListProblem> {
    let Some(channel) = channel else {
        return Err(row.problem("channel", "it is empty"));
    };
    if row.get("key") != Some(options.key.as_str()) {
        let what = "the hashes were made with another address key and would match nobody; \
                    import addresses, or take the key along";
        return Err(row.problem("key", what));
    }
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    match row.get("address_hash") {
        Some(text) if text.len() == HASH_LETTERS && text.chars().all(is_hex) => {
            Ok(Listed::Hash(text.to_owned(), channel))
        }
        Some(_) => Err(row.problem("address_hash", "it is not a hash of 32 letters 0-9, a-f")),
        None => Err(row.problem("address_hash", "it is empty")),
    }
}

fn address(
    row: &Record<'_>,
    channel: Option<ChannelName>,
    options: &ListOptions,
) -> Result<Listed, ListProblem> {
    let Some(text) = row.get("address") else {
        return Err(row.problem("address", "it is empty"));
    };
    let by_mail = channel.map_or_else(|| text.contains('@'), |c| c == ChannelName::Email);
    if by_mail {
        let email = EmailAddress::parse(text);
        email
            .map(Listed::Email)
            .map_err(|why| row.problem("address", format!("it is not an address: {why}")))
    } else {
        let phone = PhoneNumber::parse(text, options.country);
        phone
            .map(Listed::Phone)
            .map_err(|why| row.problem("address", format!("it is not a number: {why}")))
    }
}

fn moment(text: &str, zone: Tz) -> Option<Instant> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Some(at_time(day, NaiveTime::MIN, zone));
    }
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    Some(Instant::from_datetime(&at))
}

/// Writes a list as [`parse`] reads it where the key is the same.
///
/// # Errors
/// The writer fails.
pub fn write<'a>(
    rows: impl Iterator<Item = ExportRow<'a>>,
    key: &str,
    to: &mut dyn Write,
) -> std::io::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record([
        "address_hash",
        "channel",
        "reason",
        "source",
        "since",
        "key",
    ])?;
    for row in rows {
        let since = row
            .since
            .to_utc()
            .to_rfc3339_opts(SecondsFormat::Secs, true);
        csv.write_record([
            row.address_hash,
            row.channel.as_str(),
            row.reason,
            row.source,
            &since,
            key,
        ])?;
    }
    csv.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ListOptions {
        ListOptions {
            zone: chrono_tz::Europe::London,
            country: None,
            key: "beef".to_owned(),
            now: Instant(1_800_000_000_000),
        }
    }

    fn said(text: &str) -> String {
        match parse(text.as_bytes(), &options()) {
            Ok(rows) => format!("{} rows", rows.len()),
            Err(problems) => {
                let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
                all.join("; ")
            }
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let hash = "0123456789abcdef0123456789abcdef";
        for (text, expected) in [
            ("address\nanna@mail.example\n+447911123456\n", "2 rows"),
            ("ADDRESS,note\nanna@mail.example,x\n", "1 rows"),
            (
                "address,reason,since\na@b.example,asked us,2026-03-02\n",
                "1 rows",
            ),
            (
                "address,since\nanna.mail.example,\nb@c.example,2.3.2026\n",
                "line 2, column 1 (address): it is not a number: ",
            ),
            (
                "address,since\nb@c.example,2.3.2026\n",
                "line 2, column 2 (since): it must be a day (2026-03-02) or a moment \
                 (2026-03-02T14:00:00Z)",
            ),
            (
                "address,since\nb@c.example,2999-01-01\n",
                "line 2, column 2 (since): it lies in the future",
            ),
            (
                "anna@mail.example\n",
                "line 1, column 1 (header): there is no header",
            ),
            ("mail\nx\n", "line 1: there is no column \"address\""),
            (
                "address,reason\na@b.example\n",
                "line 2: it has 1 fields, the header has 2",
            ),
            (
                "address,reason\na@b.example,wrote to c@d.example\n",
                "line 2, column 2 (reason): it must be at most 200 letters and name no address",
            ),
            (
                &format!("address_hash,channel,key\n{hash},email,beef\n"),
                "1 rows",
            ),
            (
                &format!("address_hash,channel,key\n{hash},email,dead\n"),
                "line 2, column 3 (key): the hashes were made with another address key",
            ),
            (
                "address_hash,channel,key\n012,email,beef\n",
                "line 2, column 1 (address_hash): it is not a hash",
            ),
        ] {
            let said = said(text);
            assert!(said.starts_with(expected), "{text}: {said}");
            assert!(!said.contains("b@c.example"), "{said}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let hash = "0123456789abcdef0123456789abcdef";
        let row = ExportRow {
            address_hash: hash,
            channel: ChannelName::Sms,
            reason: "opted out, \"please\"",
            source: "twilio",
            since: Instant(1_772_100_180_000),
        };
        let mut out = Vec::new();
        write(std::iter::once(row), "beef", &mut out).unwrap();
        let rows = parse(&out, &options()).unwrap();
        assert_eq!(
            rows[0].what,
            Listed::Hash(hash.to_owned(), ChannelName::Sms)
        );
        assert_eq!(rows[0].reason, "opted out, \"please\"");
        assert_eq!(rows[0].source.as_deref(), Some("twilio"));
        assert_eq!(rows[0].since, Some(Instant(1_772_100_180_000)));
    }
}
