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

// No session waits for ever: a stuck question must not keep a page waiting, the
// largest import is one statement per table, a verb that waited for a lock runs
// again, and a process that hangs, or a machine that is gone, must not keep its
// locks. Compiling (`jit`) costs more than our short statements.

const LOOKS: &str = "
SET default_transaction_read_only TO on;
SET statement_timeout TO '60s';
SET idle_in_transaction_session_timeout TO '60s';
SET jit TO off";

// What writes walks from a few rows along indexes. A server that has not counted
// a table yet, or counted it while it was small, reads all of it instead, and a
// session keeps that plan: measured, most of its time went there.
const WRITES: &str = "
SET statement_timeout TO '300s';
SET lock_timeout TO '15s';
SET idle_in_transaction_session_timeout TO '60s';
SET jit TO off;
SET enable_hashjoin TO off;
SET enable_mergejoin TO off;
SET enable_bitmapscan TO off;
SET enable_seqscan TO off";

/// Said once more to a session that is told statements by their names
/// ([`super::line`]): a handful of rows each, hundreds a second, and the same way
/// to them whatever the tables hold. Weighing a plan of its own for each took as
/// long as looking. And nothing but the quote is special in a literal.
pub const BY_NAME: &str = "
SET plan_cache_mode TO force_generic_plan;
SET standard_conforming_strings TO on";

const COPIES: &str = "
SET statement_timeout TO 0;
SET idle_in_transaction_session_timeout TO 0;
SET lock_timeout TO '5s';
SET jit TO off";

/// How a session is opened.
pub struct Session {
    pub options: PgConnectOptions,
    /// The first it is told; empty if nothing.
    pub settings: &'static str,
}

/// An address with its options. Clones share them.
#[derive(Clone)]
pub struct Server {
    options: Arc<PgConnectOptions>,
    /// The file of certificates that the address names.
    root: Option<Arc<str>>,
}

impl Server {
    /// Reads `postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=…]`; a
    /// host that begins with `/` (written `%2F`) is the folder of a socket.
    ///
    /// # Errors
    /// No database is named, an option is unknown, or it is no address.
    pub fn parse(text: &str) -> Result<Server, PlaceError> {
        let (_, query) = text.split_once('?').unwrap_or((text, ""));
        let mut root = None;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !KNOWN_OPTIONS.contains(&key) {
                return Err(PlaceError::Option(key.to_owned()));
            }
            if key == "sslrootcert" {
                root = Some(Arc::from(value));
            }
        }
        let options = PgConnectOptions::from_str(text).map_err(|_| PlaceError::Address)?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(PlaceError::NoDatabase);
        }
        let options = options
            .application_name("backorderd")
            // Nothing here is a fraction, and PgBouncer does not take it.
            .extra_float_digits(None)
            .disable_statement_logging();
        Ok(Server {
            options: Arc::new(options),
            root,
        })
    }

    /// The same with a password that stands elsewhere.
    #[must_use]
    pub fn with_password(self, password: &SecretString) -> Server {
        let options = Arc::unwrap_or_clone(self.options);
        Server {
            options: Arc::new(options.password(password.expose_secret())),
            root: self.root,
        }
    }

    /// Another database of the same server.
    #[must_use]
    pub fn with_database(self, name: &str) -> Server {
        let options = Arc::unwrap_or_clone(self.options);
        Server {
            options: Arc::new(options.database(name)),
            root: self.root,
        }
    }

    fn session(&self, settings: &'static str) -> Session {
        Session {
            options: PgConnectOptions::clone(&self.options),
            settings,
        }
    }

    /// Sessions that can only look.
    pub fn reading(&self) -> Session {
        self.session(LOOKS)
    }

    /// Sessions that write.
    pub fn writing(&self) -> Session {
        self.session(WRITES)
    }

    /// A session that brings the schema forward: that takes as long as it takes.
    pub fn migrating(&self) -> Session {
        self.session("")
    }

    /// A session that reads or writes everything, however long that takes; only
    /// for locks it does not wait long.
    pub fn copying(&self) -> Session {
        self.session(COPIES)
    }

    /// A session that listens.
    pub fn listening(&self) -> PgConnectOptions {
        PgConnectOptions::clone(&self.options)
    }

    /// The file named by `sslrootcert`, if it cannot be read: the driver reports
    /// that like a server that is away.
    pub fn unreadable_root(&self) -> Option<&str> {
        let root = self.root.as_deref()?;
        std::fs::File::open(root).is_err().then_some(root)
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
        let (reading, writing) = (server.reading().settings, server.writing().settings);
        assert!(
            reading.contains("SET default_transaction_read_only TO on"),
            "{reading}"
        );
        assert!(!writing.contains("read_only"), "{writing}");
        assert!(writing.contains("SET lock_timeout TO"), "{writing}");
        for settings in [reading, writing] {
            for word in ["statement_timeout", "idle_in_transaction_session_timeout"] {
                assert!(settings.contains(&format!("SET {word} TO '")), "{settings}");
            }
        }
    }

    #[test]
    fn a_file_of_certificates_that_is_not_there_is_known() {
        let of = |root| Server::parse(&format!("postgres://shop@db.example/b?{root}")).unwrap();
        let missing = of("sslmode=verify-full&sslrootcert=/nowhere/ca.pem");
        assert_eq!(missing.unreadable_root(), Some("/nowhere/ca.pem"));
        let there = of(concat!(
            "sslrootcert=",
            env!("CARGO_MANIFEST_DIR"),
            "/Cargo.toml"
        ));
        assert_eq!(there.unreadable_root(), None);
    }
}
