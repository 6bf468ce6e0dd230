//! The auditor: holds a database against what was really received.
//!
//! ```text
//! auditor DATABASE --ledger FOLDER [--ledger FOLDER] [--shop FILE]
//!         [--sessions N] [--kills N]
//! ```
//!
//! DATABASE is a file or the URL of a PostgreSQL server. It knows nothing of
//! the program it judges and shares no line with it: its SQL, its rules and
//! the receivers' ledgers are all it has. Prints a table by rule; ends with 1
//! if a rule is broken.

mod evidence;
mod report;
mod rules;

#[cfg(test)]
mod defects;

use std::path::Path;
use std::process::ExitCode;

use report::audit;
use rules::Limits;

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("auditor: {why}");
            ExitCode::from(2)
        }
    }
}

/// Whether no rule is broken.
fn run(mut args: impl Iterator<Item = String>) -> Result<bool, String> {
    let mut database = None;
    let mut ledgers = Vec::new();
    let mut shop = None;
    let mut limits = Limits {
        sessions: 4,
        kills: None,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        let number = |text: String| text.parse::<usize>().map_err(|_| "not a number".to_owned());
        match arg.as_str() {
            "--ledger" => ledgers.push(value()?),
            "--shop" => shop = Some(value()?),
            "--sessions" => limits.sessions = number(value()?)?,
            "--kills" => limits.kills = Some(number(value()?)?),
            _ if arg.starts_with('-') => return Err(format!("does not know {arg}")),
            _ => database = Some(arg),
        }
    }
    let database = database.ok_or("which database?")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let mut evidence = runtime
        .block_on(evidence::read_database(&database))
        .map_err(|e| format!("{database}: {e}"))?;
    for ledger in &ledgers {
        let copies = evidence::read_ledger(Path::new(ledger));
        evidence
            .copies
            .push(copies.map_err(|e| format!("{ledger}: {e}"))?);
    }
    if let Some(shop) = &shop {
        let lines = evidence::read_shop(Path::new(shop));
        evidence.shop = Some(lines.map_err(|e| format!("{shop}: {e}"))?);
    }
    let report = audit(&evidence, limits);
    println!("{report}");
    Ok(report.is_clean())
}
