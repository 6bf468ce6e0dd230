//! `backorderd serve`: the daemon.

use crate::app::App;
use crate::cli::context::Context;
use crate::cli::{Ended, Usage};
use crate::config::{Config, LogFormat, SecretUse};
use crate::daemon::{self, Beats, Job, Post};
use crate::domain::worker::Role;
use crate::telemetry::{self, Lines};
use crate::wiring::{self, WiringError};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd serve --config /etc/backorderd/backorderd.toml\n\
    Stop it with SIGTERM or Ctrl-C; what is on its way ends first. `touch` a file named `hold` in \
    the state folder to stop sending at once."
)]
pub struct Args {
    /// Do only a part of the work; other processes on the same PostgreSQL database do the rest
    #[arg(long, value_name = "PART", value_enum)]
    only: Option<Part>,
    /// What this process is called in `backorderd workers`
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Part {
    /// Send what is due
    Deliver,
    /// Review orders and keep time; send nothing
    Plan,
}

impl Args {
    fn post(self, config: &Config) -> Result<Post, Usage> {
        let role = match self.only {
            None => Role::All,
            // The process that holds a file's delivery lock does everything.
            Some(_) if wiring::database_file(config).is_some() => {
                return Err(Usage(
                    "serve --only is for several processes on one PostgreSQL database; with an \
                     SQLite file one process does all the work"
                        .to_owned(),
                ));
            }
            Some(Part::Deliver) => Role::Deliver,
            Some(Part::Plan) => Role::Plan,
        };
        Ok(Post {
            role,
            name: self.name.filter(|name| !name.trim().is_empty()),
        })
    }
}

pub async fn run(context: &Context, args: Args) -> anyhow::Result<Ended> {
    // First of all: a stop asked for during the start is a stop, not a death.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // A closed terminal; what is read at the start is read by a restart only.
    let mut hang_up = signal(SignalKind::hangup())?;
    let config = context.config(SecretUse::Load)?;
    let post = args.post(&config)?;
    let lines = match config.log.format {
        LogFormat::Text => Lines::Text,
        LogFormat::Json => Lines::Json,
    };
    telemetry::start(lines, config.log.level.as_str(), under_journal());
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
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
    let Some(app) = open(&config, &stop).await? else {
        return Ok(Ended::Done);
    };
    let jobs = config
        .jobs
        .iter()
        .map(|job| Job {
            name: job.name.as_str().to_owned(),
            plan: job.plan.clone(),
        })
        .collect();
    let beats = Beats::default();
    let front = wiring::front(&config, &app).await?;
    let front = front.map(|front| {
        let stop = stop.clone();
        let serving = beats.of_idle("web", front.serve(stop.clone()));
        tokio::spawn(async move {
            let ended = serving.await;
            stop.cancel();
            ended
        })
    });
    let ended = daemon::serve(app, jobs, post, beats, stop.clone()).await;
    stop.cancel();
    if let Some(front) = front {
        front.await??;
    }
    ended?;
    Ok(Ended::Done)
}

/// Opens the program. A database that is away for now is waited for: a daemon
/// that gave up would be given up by systemd, too, after a few tries.
async fn open(config: &Config, stop: &CancellationToken) -> anyhow::Result<Option<App>> {
    loop {
        match wiring::app(config).await {
            Ok(app) => return Ok(Some(app)),
            Err(WiringError::Store(error)) if error.may_pass() => {
                if daemon::wait_for_database(&error.into(), stop).await {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// systemd says which stream is the journal's; it writes the time itself.
#[expect(
    clippy::disallowed_methods,
    reason = "where our standard error goes is asked here only"
)]
fn under_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}
