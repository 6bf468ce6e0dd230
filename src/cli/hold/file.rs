//! The hold file: created and removed without asking any database.

use super::Answer;
use crate::app::hold_file;
use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{self, GOOD, WAITS, say, styled};
use crate::config::Config;
use crate::domain::time::Instant;
use crate::wiring::{self, WiringError};
use anyhow::{Context as _, bail};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

fn answer(done: bool, path: &Path) -> Answer<'static> {
    Answer {
        done,
        scope: "global",
        key: "",
        file: Some(path.display().to_string()),
        until: None,
        orders_looked_at_again: None,
        messages_waiting: None,
        waiting: None,
    }
}

/// Where the hold file lies, and the zone its words are in.
pub struct HoldPlace<'a> {
    pub folder: &'a Path,
    pub zone: chrono_tz::Tz,
}

impl HoldPlace<'_> {
    pub fn of(config: &Config) -> HoldPlace<'_> {
        HoldPlace {
            folder: &config.state_dir,
            zone: config.shop.zone,
        }
    }
}

/// Creates the file with the reason in its first line. One that is there
/// already stays as it is: it holds.
pub fn create(
    context: &Context,
    place: &HoldPlace<'_>,
    why: &str,
    now: Instant,
) -> anyhow::Result<Ended> {
    let path = hold_file::path(place.folder);
    let shown = path.display();
    if !place.folder.is_dir() {
        // A file where no daemon looks would only look like a hold.
        bail!(
            "nothing is held: there is no state folder {}; point --config or --home at the right \
             place",
            place.folder.display()
        );
    }
    let zone = place.zone;
    let at = present::moment(now, zone, now.day_in(zone));
    let line: String = why.split_whitespace().collect::<Vec<_>>().join(" ");
    let content = format!("{line}\nby {}, {at}\n", context.by());
    let opened = OpenOptions::new().write(true).create_new(true).open(&path);
    let is_new = match opened {
        Ok(mut file) => {
            // The file holds whether or not its words reach the disk.
            if let Err(error) = file.write_all(content.as_bytes()) {
                eprintln!("backorderd: the reason could not be written: {error}");
            }
            true
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
        Err(error) => {
            return Err(error)
                .with_context(|| format!("nothing is held: cannot create the hold file {shown}"));
        }
    };
    if context.json {
        context.print_json(&answer(is_new, &path))?;
    } else if is_new {
        say(&format!(
            "{}  Everything, by the file {shown}: \"{line}\"\n\
             It stays until: backorderd release --file\n\
             Not called back: what the mail server or the gateway has taken already.\n",
            styled(WAITS, "HELD")
        ))?;
    } else {
        let reason = hold_file::reason(place.folder);
        let reason = reason
            .map(|r| format!(", it says \"{r}\""))
            .unwrap_or_default();
        say(&format!(
            "The hold file is there already{reason}: {shown}\n"
        ))?;
    }
    Ok(Ended::Done)
}

/// Removes the file where the configuration cannot be read.
pub fn remove_anyway(context: &Context, folder: &Path) -> anyhow::Result<Ended> {
    let path = hold_file::path(folder);
    let was_there = taken_away(&path)?;
    if context.json {
        context.print_json(&answer(was_there, &path))?;
    } else if was_there {
        say(&format!(
            "{}  The hold file is gone: {}\n\
             The configuration cannot be read, so what else holds is not known.\n",
            styled(GOOD, "RELEASED"),
            path.display()
        ))?;
    } else {
        say(&format!("There is no hold file {}.\n", path.display()))?;
    }
    Ok(if was_there {
        Ended::Done
    } else {
        Ended::Failed
    })
}

fn taken_away(path: &Path) -> anyhow::Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => {
            let shown = path.display();
            Err(error).with_context(|| format!("cannot remove the hold file {shown}"))
        }
    }
}

/// Removes the file, and says what else still holds.
pub async fn remove(context: &Context, config: &Config) -> anyhow::Result<Ended> {
    let path = hold_file::path(&config.state_dir);
    let shown = path.display();
    let was_there = taken_away(&path)?;
    let ended = if was_there {
        Ended::Done
    } else {
        Ended::Failed
    };
    if context.json {
        context.print_json(&answer(was_there, &path))?;
        return Ok(ended);
    }
    let mut text = if was_there {
        format!(
            "{}  The hold file is gone: {shown}\n\
             What waited is held against today's facts and then goes out, at most {} a minute.\n",
            styled(GOOD, "RELEASED"),
            config.pace.per_minute
        )
    } else {
        format!("There is no hold file {shown}.\n")
    };
    match wiring::read_store(config).await {
        Ok(read) => text.push_str(&super::still_held(config, read.holds().await?.len())),
        Err(WiringError::NoDatabase { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    say(&text)?;
    Ok(ended)
}
