//! `backorderd db backup`: one file that can be put in the database's place.

use super::key_of;
use crate::app::addresses::{KeyCopy, copy_key, key_path};
use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{self, BAD, GOOD, say, styled};
use crate::config::Config;
use crate::store::Place;
use crate::store::backup::backup;
use crate::wiring::{self, WiringError};
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd db backup /backup/backorderd-$(date +%F).db\n\
    The daemon goes on meanwhile. The file is one moment of the database, checked, and can be \
    used as it is; the address key is copied beside it. Of a database on a server it is a copy \
    as an SQLite file: back into an empty server with `db copy --from sqlite:FILE --to \
    postgres://...`. Customers' addresses are in it: keep it where nobody else can read it."
)]
pub struct Args {
    /// A file that is not there yet
    file: PathBuf,
}

pub async fn run(context: &Context, config: &Config, args: Args) -> anyhow::Result<Ended> {
    let place = wiring::place(config)?;
    if let Place::Sqlite(path) = &place
        && !path.exists()
    {
        let path = path.display().to_string();
        return Err(WiringError::NoDatabase { path }.into());
    }
    let to_key = key_path(&args.file);
    let progress = super::copy::Progress::start(context.json);
    let made = backup(&place, &args.file, wiring::clock(config).now(), |step| {
        progress.show(step);
    })
    .await;
    progress.end();
    let made = made?;
    let key = copy_key(&key_of(config, &place), &to_key)?;
    if context.json {
        context.print_json(&json!({
            "file": args.file,
            "bytes": made.bytes,
            "address_key": (key != KeyCopy::None).then_some(&to_key),
        }))?;
        return Ok(Ended::Done);
    }
    let file = args.file.display();
    let mut text = format!(
        "{}  {file}, {}, checked\n",
        styled(GOOD, "BACKED UP"),
        present::bytes(made.bytes)
    );
    match key {
        KeyCopy::Copied | KeyCopy::There => {
            let _ = writeln!(
                text,
                "The address key is in {}. Keep the two together: without the key the backup is \
                 refused, and who asked not to be written to would be forgotten.",
                to_key.display()
            );
        }
        KeyCopy::None => {
            let _ = writeln!(
                text,
                "{} there is no address key at {}; without it the backup is refused.",
                styled(BAD, "But"),
                key_of(config, &place).display()
            );
        }
    }
    if let Place::Postgres(_) = place {
        let _ = writeln!(
            text,
            "For backups of the whole server, or to any moment, use the server's own tools, such \
             as\n  pg_dump --format=custom --file={file}.dump --dbname='{place}'"
        );
    }
    say(&text)?;
    Ok(Ended::Done)
}
