//! `backorderd db`: the database as a thing to look after.

mod backup;
mod copy;
mod migrate;
mod status;

use crate::app::addresses::key_path;
use crate::cli::context::Context;
use crate::cli::{Ended, Usage};
use crate::config::{Config, SecretUse};
use crate::store::Place;
use crate::wiring;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Which database, how large, which schema, who sends, the last backup
    Status(status::Args),
    /// Bring the schema forward over a big step
    Migrate(migrate::Args),
    /// Write a backup beside a running daemon
    Backup(backup::Args),
    /// Move everything into an empty database, of either engine
    Copy(copy::Args),
    /// Use a database again that was moved away
    TakeBack(copy::TakeBackArgs),
}

pub async fn run(context: &Context, command: Command) -> anyhow::Result<Ended> {
    let config = context.config(SecretUse::LeaveOut)?;
    match command {
        Command::Status(args) => status::run(context, &config, args).await,
        Command::Migrate(args) => migrate::run(context, &config, args).await,
        Command::Backup(args) => backup::run(context, &config, args).await,
        Command::Copy(args) => copy::run(context, &config, args).await,
        Command::TakeBack(args) => copy::take_back(context, &config, args).await,
    }
}

/// The configured database, or the one that is named; the configured one's
/// password goes with its address.
fn place(config: &Config, named: Option<&str>) -> anyhow::Result<Place> {
    let configured = wiring::place(config)?;
    let Some(named) = named else {
        return Ok(configured);
    };
    let named = Place::parse(named).map_err(|error| Usage(error.to_string()))?;
    Ok(if named.to_string() == configured.to_string() {
        configured
    } else {
        named
    })
}

/// Where the address key of a database lies.
fn key_of(config: &Config, place: &Place) -> PathBuf {
    match place {
        Place::Sqlite(path) => key_path(path),
        Place::Postgres(_) => key_path(&config.state_dir.join("backorderd")),
    }
}
