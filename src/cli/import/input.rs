//! Reading the files of an import: bytes in, rows and rejections out.

use crate::source::{
    self, ColumnUse, FileProblem, Format, ParseOptions, ParsedFile, Rejection, Warning,
};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

/// A file that was read.
pub(super) struct ReadFile {
    pub(super) name: String,
    pub(super) path: Option<PathBuf>,
    pub(super) parsed: ParsedFile,
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
    if stdin {
        std::io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    }
    .with_context(|| format!("cannot read {name}"))?;
    let bar = progress(bytes.len() as u64, "reading");
    let parsed = source::parse(&bytes, &name, options, &mut |done| bar.set_position(done));
    bar.finish_and_clear();
    let path = (!stdin).then(|| path.to_owned());
    Ok(match parsed {
        Ok(parsed) => Ok(ReadFile { name, path, parsed }),
        Err(problem) => Err((name, problem)),
    })
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
    pub(super) fn rejected_orders(&self) -> Vec<(u64, Option<String>, String)> {
        let ParsedFile::Lines(parsed) = &self.parsed else {
            return Vec::new();
        };
        parsed
            .rejected
            .iter()
            .map(|r| {
                let number = order_number(&r.raw, &parsed.columns, parsed.format);
                (r.line, number, r.reason.clone())
            })
            .collect()
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
