//! The command line: one file per command, and one printer for all of them.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 70 internal trouble, 78 bad
//! configuration. Everything that prints a list also prints `--json`; nothing
//! but the answer goes to standard output.

mod audit;
mod check;
mod config;
mod context;
mod db;
mod demo;
mod eta;
mod evidence;
mod explain;
mod forecast;
mod hold;
mod import;
mod live;
mod messages;
mod orders;
mod pick;
mod present;
mod receipts;
mod receive_bounce;
mod run;
mod runs;
mod serve;
mod stats;
mod suppressions;
mod templates;
mod texts;
mod todo;
mod workers;

use crate::cli::context::Context;
use crate::telemetry::whole_story;
use clap::{CommandFactory, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Keeps customers who wait for backordered goods told the truth.
#[derive(Debug, Parser)]
#[command(
    name = "backorderd",
    version = long_version(),
    about,
    max_term_width = 100,
    after_help = "First time here? `backorderd demo` shows a made-up shop's three weeks without \
                  sending anything.\nExit codes: 0 done, 1 failed, 2 usage, 70 internal, 78 \
                  configuration."
)]
pub struct Cli {
    /// The configuration file; without it the usual places are searched
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "FILE",
        conflicts_with = "home"
    )]
    config: Option<PathBuf>,
    /// A folder with backorderd.toml and the state, as `demo` leaves one
    #[arg(
        long,
        global = true,
        help_heading = "Global options",
        value_name = "DIR"
    )]
    home: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,
    /// Who acts, for the audit log; the login name without it
    #[arg(
        long = "as",
        global = true,
        help_heading = "Global options",
        value_name = "NAME"
    )]
    by: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: review, deliver, keep time
    Serve(serve::Args),
    /// Show a made-up shop's three weeks; nothing leaves this computer
    Demo(demo::Args),
    /// Take in order lines or dates from CSV or NDJSON files
    Import(import::Args),
    /// A send run by hand: show who hears what, ask, send
    Run(run::Args),
    /// Runs that were made; approve or drop a held one
    #[command(subcommand)]
    Runs(runs::Command),
    /// Orders: list, show, explain
    #[command(subcommand)]
    Orders(orders::Command),
    /// Messages: list, show, resend, withdraw, retry, settle
    #[command(subcommand)]
    Messages(messages::Command),
    /// Texts from customers: list, done
    #[command(subcommand)]
    Texts(texts::Command),
    /// Everything that waits for a person
    Todo(todo::Args),
    /// The do-not-write list: list, add, remove, import, export
    #[command(subcommand)]
    Suppressions(suppressions::Command),
    /// Stop sending: everything, a channel, a run, an order, a SKU, a supplier, a customer
    Hold(hold::HoldArgs),
    /// Lift a hold
    Release(hold::ReleaseArgs),
    /// Set, list or clear dates that beat the shop's own
    #[command(subcommand)]
    Eta(eta::Command),
    /// Go live: from now on messages reach customers
    Live(live::Args),
    /// What would be said in the next days if nothing else happened
    Forecast(forecast::Args),
    /// The processes that plan and deliver, and whether they live
    Workers(workers::Args),
    /// Figures: what waits, how long, how sending goes
    Stats(stats::Args),
    /// Templates: check, preview
    #[command(subcommand)]
    Templates(templates::Command),
    /// Check configuration, database, templates, relay, gateway, schedules
    Check(check::Args),
    /// The database: status, migrate, backup, copy
    #[command(subcommand)]
    Db(db::Command),
    /// The configuration as it is meant
    #[command(subcommand)]
    Config(config::Command),
    /// Whether what is stored is in order; `audit list`: who did what
    Audit(audit::Args),
    /// Everything that can be shown for one message
    Evidence(evidence::Args),
    /// Mails at the bounce address that nobody could read
    #[command(subcommand)]
    Receipts(receipts::Command),
    /// Take in a mail that came back; for the mail system
    ReceiveBounce(receive_bounce::Args),
    /// Print shell completions
    Completions(CompletionArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: backorderd completions bash > /etc/bash_completion.d/backorderd")]
struct CompletionArgs {
    shell: clap_complete::Shell,
}

/// How a command ended, when it ended well enough to have an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Done,
    /// Something failed, and it was said what.
    Failed,
    /// `EX_TEMPFAIL` of sysexits.h: the mail system tries again.
    ComeAgain,
}

/// Version with the zone rules compiled in: an old program knows old rules.
fn long_version() -> &'static str {
    static TEXT: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let rules = chrono_tz::IANA_TZDB_VERSION;
        format!("{} (time zone rules {rules})", env!("CARGO_PKG_VERSION"))
    });
    &TEXT
}

/// Whatever the machine has: all wait for one writer, and threads that have
/// nothing to do wake each other and keep memory of their own.
const THREADS_MAX: usize = 4;

/// Threads that wait for sockets, files and the database. The engine and the
/// desk (`app::desk`) have theirs: with one of each for every core they are in
/// each other's way. On two cores, two in place of one cost a tenth of CPU time
/// and a tenth of the messages a second.
fn n_threads() -> usize {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    (n_cores / 2).clamp(1, THREADS_MAX)
}

/// Parses the arguments, runs the command, prints what went wrong.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(n_threads())
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("backorderd: cannot start: {error}");
            return ExitCode::from(70);
        }
    };
    let result = runtime.block_on(dispatch(cli));
    // A blocking read of standard input must not keep the process alive.
    runtime.shutdown_background();
    match result {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::Failed) => ExitCode::from(1),
        Ok(Ended::ComeAgain) => ExitCode::from(75),
        Err(error) => fail(&error),
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<Ended> {
    let context = Context::new(cli.config, cli.home, cli.json, cli.by);
    match cli.command {
        Command::Serve(args) => serve::run(&context, args).await,
        Command::Demo(args) => demo::run(&context, args).await,
        Command::Import(args) => import::run(&context, args).await,
        Command::Run(args) => run::run(&context, args).await,
        Command::Runs(command) => runs::run(&context, command).await,
        Command::Orders(command) => orders::run(&context, command).await,
        Command::Messages(command) => messages::run(&context, command).await,
        Command::Texts(command) => texts::run(&context, command).await,
        Command::Suppressions(command) => suppressions::run(&context, command).await,
        Command::Todo(args) => todo::run(&context, args).await,
        Command::Hold(args) => hold::hold(&context, args).await,
        Command::Release(args) => hold::release(&context, args).await,
        Command::Eta(command) => eta::run(&context, command).await,
        Command::Live(args) => live::run(&context, args).await,
        Command::Forecast(args) => forecast::run(&context, args).await,
        Command::Workers(args) => workers::run(&context, args).await,
        Command::Stats(args) => stats::run(&context, args).await,
        Command::Templates(command) => templates::run(&context, command).await,
        Command::Check(args) => check::run(&context, args).await,
        Command::Db(command) => db::run(&context, command).await,
        Command::Config(command) => config::run(&context, command).await,
        Command::Audit(args) => audit::run(&context, args).await,
        Command::Evidence(args) => evidence::run(&context, args).await,
        Command::Receipts(command) => receipts::run(&context, command).await,
        Command::ReceiveBounce(args) => Ok(receive_bounce::run(&context, args).await),
        Command::Completions(args) => {
            let mut command = Cli::command();
            clap_complete::generate(
                args.shell,
                &mut command,
                "backorderd",
                &mut std::io::stdout(),
            );
            Ok(Ended::Done)
        }
    }
}

/// Prints an error with everything behind it and picks the exit code.
fn fail(error: &anyhow::Error) -> ExitCode {
    use crate::app::AppError;
    use crate::config::ConfigErrors;
    use crate::store::StoreError;
    if let Some(errors) = error.downcast_ref::<ConfigErrors>() {
        eprintln!("{}", errors.plain());
        return ExitCode::from(78);
    }
    if let Some(usage) = error.downcast_ref::<Usage>() {
        eprintln!("backorderd: {usage}");
        return ExitCode::from(2);
    }
    // Somebody closed the pipe we print into: not an error.
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        return ExitCode::SUCCESS;
    }
    eprintln!("backorderd: {}", whole_story(error.as_ref()));
    // A transparent error shows its source's words, not its source.
    let internal = error.chain().any(|cause| {
        let store = cause.downcast_ref::<StoreError>();
        let app = cause.downcast_ref::<AppError>();
        store.is_some_and(StoreError::is_fatal) || app.is_some_and(AppError::is_fatal)
    });
    ExitCode::from(if internal { 70 } else { 1 })
}

/// The command was called in a way that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
