//! What is wrong with the rows of a file: on the terminal, and in a file of
//! its own beside it.

use super::input::ReadFile;
use crate::cli::present::{self, count};
use crate::source::rejects::write_rejects;
use crate::source::{FileProblem, Rejection, Warning};
use anyhow::Context as _;
use std::path::PathBuf;

/// Rejected rows shown on the terminal; all of them are in the reject file.
const SHOWN_MAX: usize = 10;

fn place(name: &str, line: Option<u64>, column: Option<usize>, field: Option<&str>) -> String {
    let mut text = name.to_owned();
    if let Some(line) = line {
        text.push_str(&format!(":{line}"));
    }
    if let Some(column) = column {
        text.push_str(&format!(":{column}"));
    }
    if let Some(field) = field {
        text.push_str(&format!(" ({field})"));
    }
    text
}

pub(super) fn file_problem(name: &str, problem: &FileProblem) -> String {
    let at = place(name, problem.line, problem.column, problem.field.as_deref());
    format!(
        "{at}: {}\n  {}\nNothing was taken in.",
        problem.what, problem.cure
    )
}

pub(super) fn print_warnings(name: &str, warnings: &[Warning]) {
    for warning in warnings {
        let field = warning
            .field
            .as_ref()
            .map(|f| format!(" ({f})"))
            .unwrap_or_default();
        let lines: Vec<String> = warning
            .lines
            .iter()
            .take(3)
            .map(ToString::to_string)
            .collect();
        let lines = match (lines.is_empty(), warning.times as usize > lines.len()) {
            (true, _) => String::new(),
            (false, true) => format!(" [lines {}, ... {} times]", lines.join(", "), warning.times),
            (false, false) if lines.len() == 1 => format!(" [line {}]", lines[0]),
            (false, false) => format!(" [lines {}]", lines.join(", ")),
        };
        anstream::eprintln!(
            "{} {name}{field}: {}; {}{lines}",
            present::styled(present::WAITS, "note"),
            warning.what,
            warning.cure
        );
    }
}

pub(super) fn print_rejected(name: &str, rejected: &[Rejection]) {
    for r in rejected.iter().take(SHOWN_MAX) {
        anstream::eprintln!(
            "{} {}: {}\n     {}",
            present::styled(present::BAD, "bad"),
            place(name, Some(r.line), r.column, r.field.as_deref()),
            r.reason,
            r.cure
        );
    }
    if rejected.len() > SHOWN_MAX {
        eprintln!("... and {} more", rejected.len() - SHOWN_MAX);
    }
}

/// Writes the rejected rows beside their file, for its owner alone.
pub(super) fn write_reject_file(file: &ReadFile, rejected: &[Rejection]) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if rejected.is_empty() {
        return Ok(());
    }
    let mut name = match &file.path {
        Some(path) => path.as_os_str().to_owned(),
        None => "standard-input".into(),
    };
    name.push(".rejected.csv");
    let path = PathBuf::from(name);
    let mut out = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    write_rejects(rejected, &mut out)?;
    eprintln!(
        "{} not taken in, with the reasons: {}",
        count(rejected.len(), "row was", "rows were"),
        path.display()
    );
    Ok(())
}
