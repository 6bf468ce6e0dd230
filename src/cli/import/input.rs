//! Reading the files of an import: bytes in, rows and rejections out.

use crate::domain::feed::{RejectedRow, family};
use crate::domain::time::Instant;
use crate::source::{
    self, ColumnUse, FileProblem, Format, ParseOptions, ParsedFile, Rejection, Warning,
};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file that was read.
pub(super) struct ReadFile {
    pub(super) name: String,
    pub(super) path: Option<PathBuf>,
    pub(super) parsed: ParsedFile,
    /// When it was written, by the file system; of standard input, now.
    pub(super) written_at: Option<Instant>,
    pub(super) ends_line: bool,
}

pub(super) type Unreadable = (String, FileProblem);

pub(super) fn read(
    path: &Path,
    options: &ParseOptions,
) -> anyhow::Result<Result<ReadFile, Unreadable>> {
    let stdin = path.as_os_str() == "-";
    let name = if stdin {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let mut bytes = Vec::new();
    let written_at = if stdin {
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .map(|_| None)
    } else {
        read_file(path, &mut bytes).map(Some)
    }
    .with_context(|| format!("cannot read {name}"))?;
    let bar = progress(bytes.len() as u64, "reading");
    let parsed = source::parse(&bytes, &name, options, &mut |done| bar.set_position(done));
    bar.finish_and_clear();
    let path = (!stdin).then(|| path.to_owned());
    Ok(match parsed {
        Ok(parsed) => Ok(ReadFile {
            name,
            path,
            parsed,
            written_at,
            ends_line: ends_line(&bytes),
        }),
        Err(problem) => Err((name, problem)),
    })
}

/// Reads a file; answers when it was written.
fn read_file(path: &Path, bytes: &mut Vec<u8>) -> std::io::Result<Instant> {
    let mut file = std::fs::File::open(path)?;
    file.read_to_end(bytes)?;
    Ok(Instant(file.metadata()?.mtime().saturating_mul(1_000)))
}

/// The last character is a line end, in any encoding we read.
fn ends_line(bytes: &[u8]) -> bool {
    let last = bytes.iter().rev().find(|byte| **byte != 0);
    matches!(last, Some(b'\n' | b'\r'))
}

/// The name under which a file is remembered.
pub(super) fn source_name(path: Option<&Path>) -> String {
    path.and_then(Path::file_name).map_or_else(
        || "standard input".to_owned(),
        |name| family(&name.to_string_lossy()),
    )
}

pub(super) fn progress(total: u64, what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}%")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(what)
}

impl ReadFile {
    pub(super) fn remarks(&self) -> (&[Rejection], &[Warning]) {
        match &self.parsed {
            ParsedFile::Lines(p) => (&p.rejected, &p.warnings),
            ParsedFile::Etas(p) => (&p.rejected, &p.warnings),
        }
    }

    /// The rejected rows with the order number where it can be read, so that
    /// whoever searches the order later finds out why it is not there.
    pub(super) fn rejected_rows(&self) -> Vec<RejectedRow> {
        let (rejected, columns, format) = match &self.parsed {
            ParsedFile::Lines(p) => (&p.rejected, &p.columns, p.format),
            ParsedFile::Etas(p) => (&p.rejected, &p.columns, p.format),
        };
        rejected
            .iter()
            .map(|r| RejectedRow {
                line: r.line,
                order_number: order_number(&r.raw, columns, format),
                field: r.field.clone(),
                reason: r.reason.clone(),
            })
            .collect()
    }

    pub(super) fn source(&self) -> String {
        source_name(self.path.as_deref())
    }

    /// Rows in it, readable or not.
    pub(super) fn n_rows(&self) -> u64 {
        let n = match &self.parsed {
            ParsedFile::Lines(p) => p.rows.len() + p.rejected.len(),
            ParsedFile::Etas(p) => p.rows.len() + p.rejected.len(),
        };
        n as u64
    }
}

fn order_number(raw: &str, columns: &[ColumnUse], format: Format) -> Option<String> {
    let number = match format {
        Format::Csv { delimiter } => {
            let index = columns
                .iter()
                .position(|c| c.field == Some("order_number"))?;
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .delimiter(u8::try_from(delimiter).ok()?)
                .from_reader(raw.as_bytes());
            let record = reader.records().next()?.ok()?;
            record.get(index)?.trim().to_owned()
        }
        Format::Ndjson => {
            let header = &columns
                .iter()
                .find(|c| c.field == Some("order_number"))?
                .header;
            let value: serde_json::Value = serde_json::from_str(raw).ok()?;
            match value.get(header)? {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            }
        }
    };
    (!number.is_empty()).then(|| number.trim_start_matches('#').to_owned())
}
