//! `backorderd db migrate`: the schema's big steps, taken when a person says
//! so.

use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{count, say};
use crate::config::Config;
use crate::store::copy::CopyError;
use crate::store::schema::{May, Step, step};
use crate::store::sqlite::lock::{LockAttempt, try_lock};
use crate::store::status::{Senders, status};
use crate::store::{Place, Store, StoreError, postgres, sqlite};
use crate::wiring::{self, WiringError};
use serde_json::json;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd db backup /backup/before.db && backorderd db migrate\n\
    Small steps are taken by `serve` and every writing command by themselves; a big one may take \
    long and cannot be undone, so it waits for this. Stop the daemons first."
)]
pub struct Args {
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub async fn run(context: &Context, config: &Config, args: Args) -> anyhow::Result<Ended> {
    let place = wiring::place(config)?;
    if let Place::Sqlite(path) = &place
        && !path.exists()
    {
        let path = path.display().to_string();
        return Err(WiringError::NoDatabase { path }.into());
    }
    let there = status(&place).await?;
    let (found, known) = (there.schema.found, there.schema.known);
    let missing = match &place {
        Place::Sqlite(_) => sqlite::open::missing(found),
        Place::Postgres(_) => postgres::open::missing(found),
    };
    match step(found, known) {
        Step::Back => return Err(StoreError::NewerSchema { found, known }.into()),
        Step::None => {
            if context.json {
                context.print_json(&json!({ "from": found, "to": known, "steps": 0 }))?;
            } else {
                say(&format!("The schema is {found} already; nothing to do.\n"))?;
            }
            return Ok(Ended::Done);
        }
        Step::Small | Step::Big => {}
    }
    // Whoever runs now was made for the schema from before.
    let _lock = match &place {
        Place::Sqlite(path) => match try_lock(path)? {
            LockAttempt::Taken(lock) => Some(lock),
            LockAttempt::HeldBy(pid) => {
                let place = place.to_string();
                return Err(CopyError::Sending { place, pid }.into());
            }
        },
        Place::Postgres(_) => None,
    };
    if let Senders::Connections(n) = there.senders {
        let place = place.to_string();
        return Err(CopyError::Connected { place, n }.into());
    }
    if !args.yes {
        let steps: String = missing
            .iter()
            .map(|(version, what)| format!("  {version:>4}  {what}\n"))
            .collect();
        eprint!(
            "From schema {found} to {known}:\n{steps}It cannot be undone; a backup is made with \
             `backorderd db backup FILE`.\n"
        );
        let said = context.ask("Go on? [y/N]");
        if !said.is_some_and(|said| said.eq_ignore_ascii_case("y")) {
            eprintln!("Nothing was changed. Without anybody to ask: --yes");
            return Ok(Ended::Failed);
        }
    }
    match &place {
        Place::Sqlite(path) => {
            sqlx::Connection::close(sqlite::open::migrated(path, May::Big).await?).await?;
        }
        Place::Postgres(server) => {
            let session = postgres::open::migrated(server, May::Big).await?;
            sqlx::Connection::close(session.conn).await?;
        }
    }
    let store = Store::open(&place).await?;
    let target = format!("schema:{known}");
    let now = wiring::clock(config).now();
    store
        .audit(&context.by(), "migrate", &target, None, now)
        .await?;
    if context.json {
        context.print_json(&json!({ "from": found, "to": known, "steps": missing.len() }))?;
    } else {
        say(&format!(
            "The schema is {known} now ({}).\n",
            count(missing.len(), "step", "steps")
        ))?;
    }
    Ok(Ended::Done)
}
