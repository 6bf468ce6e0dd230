//! What is said about a file beside its rows: rejections, warnings, and why a
//! whole file is not read.
//!
//! Texts here carry no address, no number and no name. The record itself is
//! kept for the reject file only.

use super::columns::Field;
use std::collections::HashMap;
use std::fmt;

/// Lines listed with a warning; the count goes on.
const WARNING_LINES_MAX: usize = 20;
/// Different warnings kept of one file.
const WARNINGS_MAX: usize = 200;

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
    pub(super) fn of(
        kind: ProblemKind,
        what: impl Into<String>,
        cure: impl Into<String>,
    ) -> FileProblem {
        FileProblem {
            kind,
            what: what.into(),
            cure: cure.into(),
            line: None,
            column: None,
            field: None,
        }
    }
    pub(super) fn at(mut self, line: u64, column: usize) -> FileProblem {
        self.line = Some(line);
        self.column = Some(column);
        self
    }
    pub(super) fn about(mut self, field: &str) -> FileProblem {
        self.field = Some(field.to_owned());
        self
    }
}

/// Why a record is rejected; the reader of the format adds where.
#[derive(Debug)]
pub(super) struct Fault {
    pub field: Option<Field>,
    pub reason: String,
    pub cure: String,
}

impl Fault {
    /// The rejection of a record with this fault.
    pub fn into_rejection(self, line: u64, column: Option<usize>, raw: &str) -> Rejection {
        Rejection {
            line,
            column,
            field: self.field.map(|field| field.name().to_owned()),
            reason: self.reason,
            cure: self.cure,
            raw: raw.to_owned(),
        }
    }

    pub fn of(field: Field, reason: impl Into<String>, cure: impl Into<String>) -> Fault {
        Fault {
            field: Some(field),
            reason: reason.into(),
            cure: cure.into(),
        }
    }
}

/// Warnings while they are gathered.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    pub list: Vec<Warning>,
    index: HashMap<(Option<String>, String), usize>,
}

impl Warnings {
    /// `what` must come from a small set of sentences: equal ones are counted
    /// together. Beyond the limit new ones are left out.
    pub fn note(&mut self, line: u64, field: Option<&str>, what: &str, cure: &str) {
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
