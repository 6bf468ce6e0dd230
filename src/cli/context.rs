//! What every command starts from: the configuration, who acts, and whether
//! people or programs read the answer.

use crate::app::{App, Viewer};
use crate::cli::present;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Environment, LoadArgs, SecretUse, environment, state_folder};
use crate::domain::time::Instant;
use crate::wiring;
use anyhow::Context as _;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// The global flags and the environment, read once.
pub struct Context {
    file: Option<PathBuf>,
    home: Option<PathBuf>,
    pub json: bool,
    by: Option<String>,
    environment: Environment,
}

impl Context {
    pub fn new(
        file: Option<PathBuf>,
        home: Option<PathBuf>,
        json: bool,
        by: Option<String>,
    ) -> Context {
        Context {
            file,
            home,
            json,
            by,
            environment: environment(),
        }
    }

    /// Loads the configuration; `secrets` says whether passwords are needed.
    ///
    /// # Errors
    /// All problems of the configuration at once.
    pub fn config(&self, secrets: SecretUse) -> anyhow::Result<Config> {
        Ok(Config::load(&LoadArgs {
            file: self.file.as_deref(),
            home: self.home.as_deref(),
            environment: &self.environment,
            secrets,
            now: self.machine_now(),
        })?)
    }

    /// The state folder, whatever else is wrong with the configuration.
    pub fn state_folder(&self) -> Option<PathBuf> {
        state_folder(&LoadArgs {
            file: self.file.as_deref(),
            home: self.home.as_deref(),
            environment: &self.environment,
            secrets: SecretUse::LeaveOut,
            now: self.machine_now(),
        })
    }

    /// The machine's time, where no configuration names another.
    pub fn machine_now(&self) -> Instant {
        SystemClock.now()
    }

    /// What can only look, with its configuration.
    ///
    /// # Errors
    /// Configuration, database or templates.
    pub async fn viewer(&self) -> anyhow::Result<Viewer> {
        let config = self.config(SecretUse::LeaveOut)?;
        Ok(wiring::viewer(&config).await?)
    }

    /// What can write, without secrets: for acts that send nothing.
    ///
    /// # Errors
    /// Configuration, database or templates.
    pub async fn writer(&self) -> anyhow::Result<App> {
        let config = self.config(SecretUse::LeaveOut)?;
        Ok(wiring::app(&config).await?)
    }

    /// What can write and send.
    ///
    /// # Errors
    /// Configuration with its secrets, database, channels or templates.
    pub async fn sender(&self) -> anyhow::Result<App> {
        let config = self.config(SecretUse::Load)?;
        Ok(wiring::app(&config).await?)
    }

    /// Who acts, for the audit log.
    #[expect(
        clippy::disallowed_methods,
        reason = "the login name is asked for here and nowhere else"
    )]
    pub fn by(&self) -> String {
        self.by
            .clone()
            .or_else(|| std::env::var("SUDO_USER").ok())
            .or_else(|| std::env::var("USER").ok())
            .or_else(|| std::env::var("LOGNAME").ok())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "unknown".to_owned())
    }

    /// Prints a value as JSON, one document; instants as RFC 3339 in UTC.
    ///
    /// # Errors
    /// Standard output is gone.
    pub fn print_json<T: serde::Serialize>(&self, value: &T) -> anyhow::Result<()> {
        let mut document = serde_json::to_value(value).context("cannot print JSON")?;
        present::spell_out_times(&mut document);
        let mut out = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &document).context("cannot print JSON")?;
        writeln!(out)?;
        Ok(())
    }

    /// Asks a person; `None` when nobody can be asked.
    pub fn ask(&self, question: &str) -> Option<String> {
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return None;
        }
        eprint!("{question} ");
        let _ = std::io::stderr().flush();
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).ok()?;
        Some(line.trim().to_owned())
    }
}
