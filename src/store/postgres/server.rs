//! One database on a server, and how its sessions are set.
//!
//! What the address leaves out comes from where psql takes it: `PGUSER`,
//! `PGPASSWORD`, `PGSSLMODE`, `~/.pgpass`. The password is in the driver's
//! options and nowhere else; neither `Display` nor `Debug` shows it.

use crate::store::place::PlaceError;
use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use std::fmt;
use std::str::FromStr;

/// What may stand behind the `?` of an address; a mistyped `sslmode` must not
/// silently mean plain text.
const KNOWN_OPTIONS: &[&str] = &["host", "sslmode", "sslrootcert", "sslcert", "sslkey"];

/// A stuck question must not keep a page waiting for ever.
const READ_TIMEOUT: &str = "60s";
/// The largest import is one statement per table.
const WRITE_TIMEOUT: &str = "300s";
/// Then the verb runs again: others had the orders for too long.
const LOCK_TIMEOUT: &str = "15s";
/// A process that hangs, or a machine that is gone, must not keep its locks.
const IDLE_TIMEOUT: &str = "60s";

/// An address with its options.
#[derive(Clone)]
pub struct Server {
    options: Box<PgConnectOptions>,
}

impl Server {
    /// Reads `postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=…]`; a
    /// host that begins with `/` (written `%2F`) is the folder of a socket.
    ///
    /// # Errors
    /// No database is named, an option is unknown, or it is no address.
    pub fn parse(text: &str) -> Result<Server, PlaceError> {
        let (_, query) = text.split_once('?').unwrap_or((text, ""));
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, _) = pair.split_once('=').unwrap_or((pair, ""));
            if !KNOWN_OPTIONS.contains(&key) {
                return Err(PlaceError::Option(key.to_owned()));
            }
        }
        let options = PgConnectOptions::from_str(text).map_err(|_| PlaceError::Address)?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(PlaceError::NoDatabase);
        }
        let options = options
            .application_name("backorderd")
            .disable_statement_logging();
        Ok(Server {
            options: Box::new(options),
        })
    }

    /// The same with a password that stands elsewhere.
    #[must_use]
    pub fn with_password(mut self, password: &SecretString) -> Server {
        *self.options = self.options.clone().password(password.expose_secret());
        self
    }

    /// Another database of the same server.
    #[must_use]
    pub fn with_database(mut self, name: &str) -> Server {
        *self.options = self.options.clone().database(name);
        self
    }

    /// Sessions that can only look.
    pub fn reading(&self) -> PgConnectOptions {
        self.options.as_ref().clone().options([
            ("default_transaction_read_only", "on"),
            ("statement_timeout", READ_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
            // Compiling costs more than our short statements.
            ("jit", "off"),
        ])
    }

    /// Sessions that write.
    pub fn writing(&self) -> PgConnectOptions {
        self.options.as_ref().clone().options([
            ("statement_timeout", WRITE_TIMEOUT),
            ("lock_timeout", LOCK_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
            ("jit", "off"),
        ])
    }

    /// A session that brings the schema forward: that takes as long as it takes.
    pub fn migrating(&self) -> PgConnectOptions {
        self.options.as_ref().clone()
    }

    /// A session that reads or writes everything, however long that takes; only
    /// for locks it does not wait long.
    pub fn copying(&self) -> PgConnectOptions {
        self.options.clone().options([
            ("statement_timeout", "0"),
            ("idle_in_transaction_session_timeout", "0"),
            ("lock_timeout", "5s"),
            ("jit", "off"),
        ])
    }

    /// A session that listens.
    pub fn listening(&self) -> PgConnectOptions {
        self.options.as_ref().clone()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let (user, name) = (
            options.get_username(),
            options.get_database().unwrap_or_default(),
        );
        match options.get_socket() {
            Some(folder) => write!(f, "postgres://{user}@/{name}?host={}", folder.display()),
            None => {
                let (host, port) = (options.get_host(), options.get_port());
                write!(f, "postgres://{user}@{host}:{port}/{name}")
            }
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self})")
    }
}
