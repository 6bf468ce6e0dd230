//! `backorderd db copy` and `db take-back`: from one engine to the other.

use super::{key_of, place};
use crate::app::addresses::{KeyCopy, copy_key};
use crate::cli::context::Context;
use crate::cli::present::{BAD, GOOD, count, say, styled};
use crate::cli::{Ended, Usage};
use crate::config::Config;
use crate::store::Place;
use crate::store::copy::{Copied, Copies, Purpose, copy, take_back as unmark};
use crate::wiring;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::fmt::Write as _;
use std::io::IsTerminal;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd db copy --to postgres://backorderd@db.example/backorderd\n         \
    backorderd db copy --from sqlite:/backup/march.db --to postgres://backorderd@db.example/b\n\
    Stop everything that uses the source first. The target has to be empty and is written in one \
    transaction: all or nothing, read back and compared before it counts. Afterwards the source, \
    unless it is a backup, refuses to be used (`db take-back` undoes that); set database.url to the target and start. A \
    password is taken from the configuration (for its own database), from PGPASSWORD or from \
    ~/.pgpass."
)]
pub struct Args {
    /// sqlite:PATH or postgres://...; the configured database without it
    #[arg(long, value_name = "DATABASE")]
    from: Option<String>,
    /// An empty database: sqlite:PATH or postgres://...; the configured one without it
    #[arg(long, value_name = "DATABASE", required_unless_present = "from")]
    to: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd db take-back --database sqlite:/var/lib/backorderd/backorderd.db\n\
    Everything is held until you release it: what was sent from the copy is not known here, and \
    would be said again."
)]
pub struct TakeBackArgs {
    /// The database that was moved away; the configured one without it
    #[arg(long, value_name = "DATABASE")]
    database: Option<String>,
}

/// Says on a terminal what is being done.
pub struct Progress(ProgressBar);

impl Progress {
    pub fn start(is_silent: bool) -> Progress {
        if is_silent || !std::io::stderr().is_terminal() {
            return Progress(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Progress(bar)
    }

    pub fn show(&self, step: crate::store::copy::Progress) {
        use crate::store::copy::Progress as Step;
        self.0.set_message(match step {
            Step::Writing(table, rows) => format!("{table}: {rows} rows"),
            Step::Checking(table) => format!("reading back {table}"),
        });
        self.0.tick();
    }

    pub fn end(self) {
        self.0.finish_and_clear();
    }
}

pub async fn run(context: &Context, config: &Config, args: Args) -> anyhow::Result<Ended> {
    let from = place(config, args.from.as_deref())?;
    let to = place(config, args.to.as_deref())?;
    if from.to_string() == to.to_string() {
        return Err(Usage(format!("{from} cannot be copied into itself")).into());
    }
    let (from_key, to_key) = (key_of(config, &from), key_of(config, &to));
    // First: another database's key must be found before anything is written.
    let key = copy_key(&from_key, &to_key)?;
    let progress = Progress::start(context.json);
    let copied = copy(&from, &to, Purpose::Move, |step| progress.show(step)).await;
    progress.end();
    let Copies {
        tables: copied,
        source_is_moved,
    } = copied?;
    if context.json {
        let tables: Vec<_> = copied
            .iter()
            .map(|c| json!({ "table": c.table, "rows": c.digest.rows, "checksum": c.digest.shown() }))
            .collect();
        context.print_json(&json!({
            "from": from.to_string(),
            "to": to.to_string(),
            "source_is_moved": source_is_moved,
            "address_key": (key != KeyCopy::None).then_some(&to_key),
            "tables": tables,
        }))?;
        return Ok(Ended::Done);
    }
    let mut text = format!("{}  {from}\n   into  {to}\n", styled(GOOD, "COPIED"));
    text.push_str(&counted(&copied));
    match (key, &to) {
        (KeyCopy::None, _) => {
            let _ = writeln!(
                text,
                "{} there is no address key at {}: put it to {}, or the copy is refused.",
                styled(BAD, "But"),
                from_key.display(),
                to_key.display()
            );
        }
        (_, Place::Sqlite(_)) => {
            let _ = writeln!(text, "The address key is in {}.", to_key.display());
        }
        (_, Place::Postgres(_)) => {
            let _ = writeln!(
                text,
                "The address key is in {}; every machine that uses the database needs it in its \
                 state folder.",
                to_key.display()
            );
        }
    }
    let _ = writeln!(
        text,
        "{}Set database.url to the new one and start the daemon.",
        if source_is_moved {
            "The old database refuses to be used from now on (`backorderd db take-back` undoes \
             it). "
        } else {
            "The backup stays as it is, and can be copied again. The copy knows that it is older \
             than what was sent since: everything is held at its first start. "
        }
    );
    say(&text)?;
    Ok(Ended::Done)
}

fn counted(copied: &[Copied]) -> String {
    let n_rows: u64 = copied.iter().map(|c| c.digest.rows).sum();
    let mut text = String::new();
    for Copied { table, digest } in copied.iter().filter(|c| c.digest.rows > 0) {
        let _ = writeln!(text, "  {table:<16} {:>9}  {}", digest.rows, digest.shown());
    }
    let _ = writeln!(
        text,
        "{} in all, read back and compared.",
        count(usize::try_from(n_rows).unwrap_or(usize::MAX), "row", "rows")
    );
    text
}

pub async fn take_back(
    context: &Context,
    config: &Config,
    args: TakeBackArgs,
) -> anyhow::Result<Ended> {
    let place = place(config, args.database.as_deref())?;
    let to = unmark(&place, wiring::clock(config).now()).await?;
    if context.json {
        context.print_json(&json!({ "place": place.to_string(), "was_moved_to": to }))?;
    } else {
        say(&match &to {
            Some(to) => format!(
                "{place} can be used again. It was moved to {to}: see that nothing runs on that \
                 one any more.\nEverything is held; backorderd release --why \"...\" lets it go \
                 on.\n"
            ),
            None => format!("{place} was not moved away; nothing was changed.\n"),
        })?;
    }
    Ok(if to.is_some() {
        Ended::Done
    } else {
        Ended::Failed
    })
}
