//! Logs: a message for people, fields for queries, never personal data.
//!
//! Text or JSON on standard error; on a terminal text is coloured, under
//! systemd each line is left to the journal, which has its own clock.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    Text,
    Json,
}

/// Starts logging; call once, in `main`'s command. `level` is one of `error`,
/// `warn`, `info`, `debug`, `trace`; `under_journal` leaves the time out.
pub fn start(lines: Lines, level: &str, under_journal: bool) {
    // Libraries may put addresses and bodies into their debug lines: they are
    // never let below `info`, whatever the level of our own.
    let filter = EnvFilter::new(format!(
        "{level},lettre=info,sqlx=warn,hyper=warn,reqwest=warn,rustls=warn,handlebars=warn,\
         tokio_cron_scheduler=warn"
    ));
    let base = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let started = match (lines, under_journal) {
        (Lines::Json, _) => base.json().flatten_event(true).try_init(),
        (Lines::Text, true) => base.without_time().with_ansi(false).try_init(),
        (Lines::Text, false) => base
            .with_timer(SystemTime)
            .with_ansi(std::io::stderr().is_terminal())
            .try_init(),
    };
    // A second start in one process (tests) keeps the first.
    drop(started);
}
