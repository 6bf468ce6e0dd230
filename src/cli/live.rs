//! `backorderd live`: the one act after which messages reach customers.

use crate::app::live::{ForecastTable, LOOK_AHEAD_DAYS};
use crate::app::{App, Reach, Viewer};
use crate::cli::context::Context;
use crate::cli::present::{self, GOOD, HEAD, count, say, styled, table, table_text};
use crate::cli::{Ended, Usage};
use crate::config::{Config, ConfiguredMode, SecretUse};
use crate::domain::kinds::ChannelName;
use crate::domain::notice_key::Mode;
use crate::domain::time::Instant;
use crate::store::sqlite::lock::LockAttempt;
use crate::wiring;
use anyhow::bail;
use serde::Serialize;
use std::fmt::Write as _;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: backorderd live\n         \
    backorderd live --yes \"Fern & Kettle\"\n\
    First write mode = \"live\" (or \"review\": every run waits for your yes) into the \
    configuration; until this command was run, such a configuration sends nothing. It shows what \
    will be said in the next 14 days, asks for the shop's name, takes a fresh baseline (what \
    waits today counts as known, nobody is written to about the past) and records who did it.")]
pub struct Args {
    /// Do not ask: the shop's name, exactly as configured
    #[arg(long, value_name = "SHOPNAME")]
    yes: Option<String>,
}

pub async fn run(context: &Context, args: Args) -> anyhow::Result<Ended> {
    let config = context.config(SecretUse::LeaveOut)?;
    if config.mode == ConfiguredMode::Sandbox {
        bail!("{}", still_sandbox(&config));
    }
    // Going live with nothing to baseline would announce the first import.
    wiring::require_database(&config).await?;
    let app = wiring::app(&config).await?;
    if let Some(broken) = app.viewer.templates.broken().first() {
        bail!(
            "nothing was changed: a template cannot be used ({}); repair it first, backorderd \
             templates check shows everything",
            broken.problem
        );
    }
    let zone = config.shop.zone;
    let today = app.viewer.today();
    if app.viewer.read.mode().await? == Mode::Live {
        let since = live_since(&app.viewer).await?;
        let since = since.map_or_else(String::new, |at| {
            format!(" since {}", present::moment(at, zone, today))
        });
        say(&format!(
            "{} is live already{since}. To look at every run first: mode = \"review\"; to stop \
             sending: backorderd hold --why ...\n",
            config.shop.name
        ))?;
        return Ok(Ended::Failed);
    }
    if let Some(typed) = args.yes.as_deref().filter(|typed| !is_name(typed, &config)) {
        let usage = format!(
            "--yes \"{typed}\" is not the name of this shop, \"{}\"",
            config.shop.name
        );
        return Err(Usage(usage).into());
    }
    let until = app.viewer.look_ahead(LOOK_AHEAD_DAYS);
    let forecast = app.viewer.forecast_after_live(until).await?;
    if !context.json {
        say(&preface(&app, &config, &forecast))?;
    }
    if args.yes.is_none() && !confirmed(context, &config)? {
        eprintln!("Nothing was changed: still in the sandbox.");
        return Ok(Ended::Failed);
    }
    let n_lines = app.go_live(&context.by()).await?;
    let daemon = match app.store.try_delivery_lock() {
        Ok(LockAttempt::HeldBy(pid)) => Some(pid),
        Ok(LockAttempt::Taken(_)) | Err(_) => None,
    };
    if context.json {
        let answer = Answer {
            mode: config.mode.as_str(),
            orders: forecast.orders,
            lines_baselined: n_lines,
            restart_daemon: daemon.is_some(),
        };
        context.print_json(&answer)?;
    } else {
        say(&aftermath(&config, n_lines, daemon))?;
    }
    Ok(Ended::Done)
}

#[derive(Serialize)]
struct Answer {
    mode: &'static str,
    orders: usize,
    lines_baselined: u64,
    /// A daemon still runs with the configuration it was started with.
    restart_daemon: bool,
}

/// Which line has to be changed, and to what.
fn still_sandbox(config: &Config) -> String {
    let set_in = config
        .settings()
        .find(|(setting, ..)| *setting == "mode")
        .and_then(|(_, _, set_in)| set_in.map(str::to_owned));
    let place = match (set_in, &config.file) {
        (Some(place), _) => format!("change {place} from mode = \"sandbox\" to"),
        (None, Some(file)) => format!("add this line at the top of {}:", file.display()),
        (None, None) => "write a backorderd.toml that begins with".to_owned(),
    };
    format!(
        "the configuration says sandbox, and nothing was changed\n  {place} mode = \"live\"\n  (or \
         mode = \"review\": to customers too, but every run waits for your yes), then run this again"
    )
}

async fn live_since(viewer: &Viewer) -> anyhow::Result<Option<Instant>> {
    let stored = viewer.read.meta("live_since").await?;
    Ok(stored.and_then(|text| text.parse().ok()).map(Instant))
}

/// What goes live, and what it will say first.
fn preface(app: &App, config: &Config, forecast: &ForecastTable) -> String {
    let zone = config.shop.zone;
    let today = app.viewer.today();
    let mut text = format!(
        "{} goes live.    mode: {}    {} {zone}\n\n",
        styled(HEAD, &config.shop.name),
        config.mode.as_str(),
        present::moment(app.now(), zone, today),
    );
    let orders = count(forecast.orders, "open order is", "open orders are");
    let _ = writeln!(
        text,
        "A fresh baseline is taken: {orders} noted as they stand today, with today's dates.\n\
         Nobody is written to about the past. What waits in the sandbox's queue is dropped.\n"
    );
    if forecast.days.is_empty() {
        text.push_str(
            "If the shop changed nothing, nobody would hear anything in the next 14 days.\n\n",
        );
    } else {
        text.push_str("If the shop changed nothing, this is said in the next 14 days:\n\n");
        let mut rows = table(&["DAY", "MESSAGES", "NOTICES"]);
        for (day, kinds) in &forecast.days {
            let total: usize = kinds.values().sum();
            let what: Vec<String> = kinds
                .iter()
                .map(|((kind, channel), n)| match channel {
                    ChannelName::Email => format!("{n} {}", kind.words()),
                    ChannelName::Sms => format!("{n} {} by text", kind.words()),
                })
                .collect();
            let day = present::day(*day, today);
            rows.add_row([day, total.to_string(), what.join(", ")]);
        }
        text.push_str(&table_text(&rows));
        if let Some((at, number, kind, channel)) = forecast.first.first() {
            let _ = writeln!(
                text,
                "\nThe first: {} to the customer of order {number}, {} by {channel}.",
                present::moment(*at, zone, today),
                kind.words()
            );
        }
        text.push('\n');
    }
    if app.settings().reach == Reach::Review {
        text.push_str("In mode review every run waits for your yes: backorderd runs list\n\n");
    }
    text
}

fn is_name(typed: &str, config: &Config) -> bool {
    typed.trim() == config.shop.name.trim()
}

/// Asks for the shop's name.
fn confirmed(context: &Context, config: &Config) -> anyhow::Result<bool> {
    let name = &config.shop.name;
    let question = format!("From then on messages reach customers. Type the shop's name ({name}):");
    match context.ask(&question) {
        Some(typed) => Ok(is_name(&typed, config)),
        None => {
            let usage = format!(
                "nobody can be asked here; to go live without a question add --yes \"{name}\""
            );
            Err(Usage(usage).into())
        }
    }
}

fn aftermath(config: &Config, n_lines: u64, daemon: Option<Option<u32>>) -> String {
    let lines = count(
        usize::try_from(n_lines).unwrap_or(usize::MAX),
        "line has",
        "lines have",
    );
    let next = match daemon {
        Some(Some(pid)) => format!(
            "Now restart the daemon (process {pid}): it still runs with what it read at its start."
        ),
        Some(None) => {
            "Now restart the daemon: it still runs with what it read at its start.".to_owned()
        }
        None => "Now start the daemon: backorderd serve".to_owned(),
    };
    format!(
        "{}  {}: {lines} a fresh baseline.\n\n\
         {next}\n\
         Stop sending    backorderd hold --why \"...\"\n\
         Slow down       mode = \"review\" in {}, and restart the daemon: every run waits for you\n",
        styled(GOOD, "LIVE"),
        config.shop.name,
        config.file.as_ref().map_or_else(
            || "the configuration".to_owned(),
            |f| f.display().to_string()
        ),
    )
}
