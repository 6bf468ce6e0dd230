//! `backorderd db status`.

use crate::app::restore_guard::note_path;
use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{self, count};
use crate::config::Config;
use crate::domain::time::Instant;
use crate::store::Place;
use crate::store::schema::{Step, step};
use crate::store::status::{Contents, Senders, Status, status};
use crate::wiring::{self, WiringError};
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd db status --json | jq .contents.last_backup_at\n\
    Looks only, also at a database that was moved, restored, or has another schema."
)]
pub struct Args {}

pub async fn run(context: &Context, config: &Config, _args: Args) -> anyhow::Result<Ended> {
    let place = wiring::place(config)?;
    if let Place::Sqlite(path) = &place
        && !path.exists()
    {
        let path = path.display().to_string();
        return Err(WiringError::NoDatabase { path }.into());
    }
    let found = status(&place).await?;
    let (key, note) = (
        super::key_of(config, &place),
        note_path(&place, &config.state_dir),
    );
    if context.json {
        let mut document = json!(found);
        if let Value::Object(map) = &mut document {
            map.insert("address_key".to_owned(), json!(key));
            map.insert("address_key_there".to_owned(), json!(key.exists()));
        }
        context.print_json(&document)?;
        return Ok(Ended::Done);
    }
    let moment = |ms: i64| {
        let (zone, now) = (config.shop.zone, wiring::clock(config).now());
        present::moment(Instant(ms), zone, now.day_in(zone))
    };
    let mut facts = vec![
        ("Engine", found.engine.clone()),
        ("Place", found.place.clone()),
        ("Schema", schema(&found)),
        ("Size", bytes(&found)),
        ("Sends", sends(&found)),
        ("Promises", promises(&found)),
        ("Address key", {
            let there = if key.exists() { "" } else { ", MISSING" };
            format!("{}{there}", key.display())
        }),
        ("Last seen", {
            let there = if note.exists() { "" } else { ", not there yet" };
            format!("{}{there}", note.display())
        }),
    ];
    if let Some(contents) = &found.contents {
        describe(contents, &moment, &mut facts);
    }
    present::print_facts(&facts);
    Ok(Ended::Done)
}

fn schema(found: &Status) -> String {
    let (there, known) = (found.schema.found, found.schema.known);
    match step(there, known) {
        Step::None => format!("{there}, as this program knows it"),
        Step::Small => format!("{there}; {known} comes with the next start or writing command"),
        Step::Big => format!("{there}; {known} needs `backorderd db migrate`"),
        Step::Back => format!("{there}, newer than this program knows ({known})"),
    }
}

fn bytes(found: &Status) -> String {
    let own = present::bytes(found.bytes.unsigned_abs());
    match found.log_bytes {
        Some(log) => format!(
            "{own}, and {} in the log beside it (-wal)",
            present::bytes(log)
        ),
        None => own,
    }
}

fn sends(found: &Status) -> String {
    match found.senders {
        Senders::Nobody => "nobody".to_owned(),
        Senders::LockHeldBy(Some(pid)) => format!("process {pid} holds the delivery lock"),
        Senders::LockHeldBy(None) => "another process holds the delivery lock".to_owned(),
        Senders::Connections(n) => format!(
            "{} of other processes",
            count(usize::try_from(n).unwrap_or(0), "connection", "connections")
        ),
    }
}

fn promises(found: &Status) -> String {
    let words: Vec<String> = found
        .settings
        .iter()
        .map(|setting| format!("{} {}", setting.name, setting.value))
        .collect();
    match &found.unfit {
        None => format!("kept ({})", words.join(", ")),
        Some(why) => format!("NOT KEPT: {why} ({})", words.join(", ")),
    }
}

fn describe(
    contents: &Contents,
    moment: &impl Fn(i64) -> String,
    facts: &mut Vec<(&'static str, String)>,
) {
    facts.push(("Mode", contents.mode.clone()));
    facts.push((
        "Messages",
        match (contents.oldest_message_at, contents.newest_message_at) {
            (Some(oldest), Some(newest)) => {
                format!("from {} to {}", moment(oldest), moment(newest))
            }
            _ => "none yet".to_owned(),
        },
    ));
    facts.push((
        "Last backup",
        match (contents.last_backup_at, &contents.last_backup_to) {
            (Some(at), Some(to)) => format!("{} to {to}", moment(at)),
            _ => "none by `backorderd db backup`".to_owned(),
        },
    ));
    if let Some(at) = contents.backup_made_at {
        let words = format!("made {}; whoever starts on it holds everything", moment(at));
        facts.push(("Is a backup", words));
    }
    if let Some(to) = &contents.moved_to {
        facts.push(("Moved", format!("to {to}; nothing is started on this one")));
    }
    let rows: Vec<String> = contents
        .rows
        .iter()
        .filter(|rows| rows.rows > 0)
        .map(|rows| format!("{} {}", rows.table, rows.rows))
        .collect();
    facts.push((
        "Rows",
        if rows.is_empty() {
            "none".to_owned()
        } else {
            rows.join(", ")
        },
    ));
}
