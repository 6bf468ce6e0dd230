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
use std::sync::Arc;

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

/// An address with its options. Clones share them.
#[derive(Clone)]
pub struct Server {
    options: Arc<PgConnectOptions>,
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
            options: Arc::new(options),
        })
    }

    /// The same with a password that stands elsewhere.
    #[must_use]
    pub fn with_password(self, password: &SecretString) -> Server {
        let options = Arc::unwrap_or_clone(self.options);
        Server {
            options: Arc::new(options.password(password.expose_secret())),
        }
    }

    /// Another database of the same server.
    #[must_use]
    pub fn with_database(self, name: &str) -> Server {
        let options = Arc::unwrap_or_clone(self.options);
        Server {
            options: Arc::new(options.database(name)),
        }
    }

    fn options(&self) -> PgConnectOptions {
        PgConnectOptions::clone(&self.options)
    }

    /// Sessions that can only look.
    pub fn reading(&self) -> PgConnectOptions {
        self.options().options([
            ("default_transaction_read_only", "on"),
            ("statement_timeout", READ_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
            // Compiling costs more than our short statements.
            ("jit", "off"),
        ])
    }

    /// Sessions that write.
    pub fn writing(&self) -> PgConnectOptions {
        self.options().options([
            ("statement_timeout", WRITE_TIMEOUT),
            ("lock_timeout", LOCK_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_TIMEOUT),
            ("jit", "off"),
            // What writes walks from a few rows along indexes. A server that has
            // not counted a table yet, or counted it while it was small, reads
            // all of it instead, and a session keeps that plan: measured, most
            // of its time went there.
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("enable_bitmapscan", "off"),
            ("enable_seqscan", "off"),
        ])
    }

    /// A session that brings the schema forward: that takes as long as it takes.
    pub fn migrating(&self) -> PgConnectOptions {
        self.options()
    }

    /// A session that reads or writes everything, however long that takes; only
    /// for locks it does not wait long.
    pub fn copying(&self) -> PgConnectOptions {
        self.options().options([
            ("statement_timeout", "0"),
            ("idle_in_transaction_session_timeout", "0"),
            ("lock_timeout", "5s"),
            ("jit", "off"),
        ])
    }

    /// A session that listens.
    pub fn listening(&self) -> PgConnectOptions {
        self.options()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The dry run's guarantee, on this engine: the server refuses.
    #[test]
    fn sessions_that_look_are_read_only_and_none_waits_for_ever() {
        let server = Server::parse("postgres://shop@db.example/b").unwrap();
        let (reading, writing) = (server.reading(), server.writing());
        let of = |options: &PgConnectOptions| options.get_options().unwrap_or_default().to_owned();
        let (reading, writing) = (of(&reading), of(&writing));
        assert!(
            reading.contains("-c default_transaction_read_only=on"),
            "{reading}"
        );
        assert!(!writing.contains("read_only"), "{writing}");
        assert!(writing.contains("-c lock_timeout="), "{writing}");
        for options in [reading, writing] {
            for word in ["statement_timeout", "idle_in_transaction_session_timeout"] {
                assert!(options.contains(&format!("-c {word}=")), "{options}");
            }
        }
    }
}
