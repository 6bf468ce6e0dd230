//! Connecting: what a session is told first, and in a sentence why there is none.
//!
//! The settings of a session are its first statement and not part of the
//! greeting: a pooler in between (PgBouncer) does not let them through there.
//! A pooler that hands a session to others between two transactions drops
//! them, and locks and listening as well; [`is_shared`] finds it out.

use super::server::{Server, Session};
use crate::store::conn::statements;
use rustls::{CertificateError, Error as TlsError};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Connection, Executor, Row};
use std::io::{Error as IoError, ErrorKind};
use std::time::Duration;

/// How long one try to connect may take; a connection that is not there yet
/// has no transaction that could be cancelled.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

const BACKEND: &str = "SELECT pg_backend_pid()";

/// What the other engine does instead.
const NOT_HERE: &str = "SELECT 1";
statements![NOT_HERE | BACKEND];

/// What is said of a pooler whose sessions are not sessions.
pub const SHARED: &str = "a pooler in between (PgBouncer with pool_mode = transaction or \
    statement?) gives one session to several clients; set pool_mode = session for this \
    database, or name the server itself";

/// Opens a session and tells it its settings.
///
/// # Errors
/// The server cannot be reached or does not let us in;
/// [`sqlx::Error::Tls`]: in words of our own, and trying again is no use.
pub async fn connect(server: &Server, session: Session) -> Result<PgConnection, sqlx::Error> {
    let open = async {
        let mut conn = session.options.connect().await?;
        if !session.settings.is_empty() {
            conn.execute(sqlx::raw_sql(session.settings)).await?;
        }
        Ok(conn)
    };
    match tokio::time::timeout(CONNECT_WAIT, open).await {
        Ok(opened) => opened.map_err(|error| in_a_sentence(error, server, &session.options)),
        Err(_) => Err(sqlx::Error::Io(IoError::new(
            ErrorKind::TimedOut,
            "the server does not answer",
        ))),
    }
}

/// Whether a pooler lets several clients share one session, so that nothing
/// set or locked in it lasts. Two sessions take turns: with a server, or a
/// pooler in session mode, each is always at the same process, and never at
/// that of the other. One turn and then two in a row tell poolers apart that
/// give out their sessions in a circle.
///
/// # Errors
/// The server cannot be reached.
pub async fn is_shared(server: &Server) -> Result<bool, sqlx::Error> {
    let mut ours = connect(server, server.migrating()).await?;
    let mut others = connect(server, server.migrating()).await?;
    let at = backend(&mut ours).await?;
    let mut shared = false;
    for turns in [1, 2] {
        for _ in 0..turns {
            shared |= backend(&mut others).await? == at;
        }
        shared |= backend(&mut ours).await? != at;
    }
    let _ = ours.close().await;
    let _ = others.close().await;
    Ok(shared)
}

/// The server's process behind a session. Not a prepared statement: of these,
/// too, a pooler may lose track.
async fn backend(conn: &mut PgConnection) -> Result<i32, sqlx::Error> {
    // Text, as everything that is not prepared.
    let row = conn.fetch_one(sqlx::raw_sql(BACKEND)).await?;
    row.try_get(0)
}

/// An error of the driver in words that say what to do, where we know that.
fn in_a_sentence(error: sqlx::Error, server: &Server, options: &PgConnectOptions) -> sqlx::Error {
    let why = match &error {
        sqlx::Error::Io(io) => io
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<TlsError>())
            .map(|tls| of_tls(tls, options))
            .or_else(|| server.unreadable_root().map(of_root)),
        sqlx::Error::Tls(why) if why.to_string().contains("does not support TLS") => Some(
            "the server offers no TLS, and sslmode asks for it: switch it on there (ssl = on)"
                .to_owned(),
        ),
        sqlx::Error::Database(refused)
            if refused.code().as_deref() == Some("28000")
                && is_plain(options)
                && refused.message().contains("no encryption") =>
        {
            Some(
                "the server lets nobody in without TLS: write ?sslmode=verify-full behind the \
                 address"
                    .to_owned(),
            )
        }
        _ => None,
    };
    why.map_or(error, |why| sqlx::Error::Tls(why.into()))
}

fn is_plain(options: &PgConnectOptions) -> bool {
    matches!(
        options.get_ssl_mode(),
        PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer
    )
}

fn of_root(path: &str) -> String {
    format!("the file {path}, named by sslrootcert, cannot be read")
}

fn of_tls(error: &TlsError, options: &PgConnectOptions) -> String {
    match error {
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!(
            "the server's certificate is for another name than {}: name the host in the address \
             as its certificate does",
            options.get_host()
        ),
        TlsError::InvalidCertificate(CertificateError::Expired)
        | TlsError::InvalidCertificate(CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired".to_owned()
        }
        TlsError::InvalidCertificate(_) => format!(
            "the server's certificate is not one of an authority known here ({error}): if it is \
             of your own authority, name its file by sslrootcert"
        ),
        TlsError::AlertReceived(_) => {
            format!("the server broke off the start of TLS ({error})")
        }
        _ => format!("the server's TLS cannot be used ({error})"),
    }
}
