//! `backorderd serve`: the daemon.

use crate::cli::Ended;
use crate::cli::context::Context;
use crate::config::{LogFormat, SecretUse};
use crate::daemon::{self, Job};
use crate::telemetry::{self, Lines};
use crate::wiring;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd serve --config /etc/backorderd/backorderd.toml\n\
    Stop it with SIGTERM or Ctrl-C; what is on its way ends first. `touch` a file named `hold` in \
    the state folder to stop sending at once."
)]
pub struct Args {}

pub async fn run(context: &Context, _args: Args) -> anyhow::Result<Ended> {
    // First of all: a stop asked for during the start is a stop, not a death.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let config = context.config(SecretUse::Load)?;
    let lines = match config.log.format {
        LogFormat::Text => Lines::Text,
        LogFormat::Json => Lines::Json,
    };
    telemetry::start(lines, config.log.level.as_str(), under_journal());
    let app = wiring::app(&config).await?;
    let jobs = config
        .jobs
        .iter()
        .map(|job| Job {
            name: job.name.as_str().to_owned(),
            plan: job.plan.clone(),
        })
        .collect();
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
        asked.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("asked again: ending at once; what is unanswered is in doubt");
        std::process::exit(1);
    });
    let front = wiring::front(&config, &app).await?;
    let front = front.map(|front| {
        let stop = stop.clone();
        tokio::spawn(async move {
            let ended = front.serve(stop.clone()).await;
            stop.cancel();
            ended
        })
    });
    let ended = daemon::serve(app, jobs, stop.clone()).await;
    stop.cancel();
    if let Some(front) = front {
        front.await??;
    }
    ended?;
    Ok(Ended::Done)
}

/// systemd says which stream is the journal's; it writes the time itself.
#[expect(
    clippy::disallowed_methods,
    reason = "where our standard error goes is asked here only"
)]
fn under_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}
