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

/// An error with everything behind it, each thing once: many errors of libraries
/// repeat in their own words what their source says.
pub fn whole_story(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::whole_story;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(String, #[source] Option<Box<Layer>>);

    #[test]
    fn nothing_is_said_twice() {
        let layer = |text: &str, below| Layer(text.to_owned(), below);
        for (sentence, texts, words) in [
            ("one", &["cannot open it"][..], "cannot open it"),
            (
                "its cause",
                &["cannot open it", "gone"],
                "cannot open it: gone",
            ),
            (
                "a cause that repeats its own",
                &["cannot open it", "the database says: gone", "gone"],
                "cannot open it: the database says: gone",
            ),
            (
                "a layer that says nothing",
                &["gone", "gone", "why"],
                "gone: why",
            ),
        ] {
            let mut below = None;
            for text in texts.iter().rev() {
                below = Some(Box::new(layer(text, below)));
            }
            assert_eq!(whole_story(&*below.unwrap()), words, "{sentence}");
        }
    }
}
