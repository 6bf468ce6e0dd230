//! `backorderd workers`: the processes that plan and deliver, and whether they
//! live.

use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{self, Tone, cell, say_line};
use crate::domain::time::Length;
use crate::domain::worker::{Role, Worker};
use serde_json::json;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd workers\nA dead one is forgotten as soon as another worker \
    has taken over what it held."
)]
pub struct Args {}

pub async fn run(context: &Context, _args: Args) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let workers = viewer.read.workers(viewer.now()).await?;
    if context.json {
        context.print_json(&json!({ "workers": workers }))?;
        return Ok(Ended::Done);
    }
    if workers.is_empty() {
        say_line!("Nobody works on this database. Start the daemon: backorderd serve");
        return Ok(Ended::Done);
    }
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let mut table = present::table(&[
        "WORKER",
        "DOES",
        "HOST",
        "PROCESS",
        "SINCE",
        "LAST HEARTBEAT",
        "HOLDS",
        "STATE",
    ]);
    for worker in &workers {
        let (state, tone) = if worker.alive {
            ("alive", Tone::Good)
        } else {
            ("dead", Tone::Bad)
        };
        table.add_row([
            cell(called(worker), Tone::Plain),
            cell(does(worker.role), Tone::Plain),
            cell(&worker.host, Tone::Plain),
            cell(worker.pid.to_string(), Tone::Plain),
            cell(present::moment(worker.started_at, zone, today), Tone::Plain),
            cell(heard(worker), tone),
            cell(holds(worker), Tone::Plain),
            cell(state, tone),
        ]);
    }
    present::print_table(&table);
    if workers.iter().any(|worker| !worker.alive) {
        let words = "What a dead worker holds is taken over by another one, or by the next start: \
                     what it was sending is in doubt, the rest is queued.";
        say_line!("\n{}", present::wrap(words, 0, present::PROSE_WIDTH));
    }
    Ok(Ended::Done)
}

fn heard(worker: &Worker) -> String {
    let silent = Length(worker.silent_ms);
    match silent.as_secs() {
        secs @ 0..120 => format!("{secs} s ago"),
        _ => format!("{} ago", present::length(silent)),
    }
}

/// Its name, or the end of its id.
fn called(worker: &Worker) -> String {
    worker.name.clone().unwrap_or_else(|| {
        let id = worker.id.to_string();
        id[id.len().saturating_sub(8)..].to_owned()
    })
}

fn does(role: Role) -> &'static str {
    match role {
        Role::All => "plans, delivers",
        Role::Deliver => "delivers",
        Role::Plan => "plans",
        Role::Run => "a run by hand",
    }
}

fn holds(worker: &Worker) -> String {
    let parts: Vec<String> = [(worker.leased, "claimed"), (worker.submitting, "sending")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
    if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join(", ")
    }
}
