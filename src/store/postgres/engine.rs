//! The writer's transactions, whatever happens to the connection.
//!
//! Lost before COMMIT, nothing has happened: the server takes it back, and the
//! verb runs again on a new connection. Lost at COMMIT, the new connection asks
//! what became of the transaction, whose number came with its beginning. Only
//! where nobody can tell (another server took over, the number is forgotten,
//! the server stays away) it is unknown, and the process ends.

use super::Server;
use super::line::{Line, Named, Unsaid};
use super::listen::CHANNEL;
use super::open::{self, Writing};
use super::server::BY_NAME;
use crate::store::conn::{Conn, statements};
use crate::store::watch::Pulse;
use crate::store::writer::{Committed, Engine, Wakes};
use sqlx::Executor;
use sqlx::postgres::{PgConnection, PgDatabaseError, PgSeverity};
use std::time::Duration;
use tokio::time::Instant;

/// How long a verb waits for a server that is away. Longer than a restart or a
/// change of servers takes; then a person should know.
const AWAY_MAX: Duration = Duration::from_secs(300);
/// Between two looks whether it is back.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The number is what the server is asked for when the connection is lost.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
                     SELECT CAST(pg_current_xact_id() AS TEXT)";
/// The SELECT fails where a statement has failed before; a bare COMMIT would
/// answer that kindly, and write nothing.
const COMMIT: &str = "SELECT 1; COMMIT";
const COMMIT_AND_TELL: &str = "SELECT pg_notify('backorderd', ''); COMMIT";
/// How often a process tells others at the most. What is committed meanwhile
/// they find with their next look; a thousand commits must not be a thousand
/// wake-ups of everybody.
const TELL_EVERY: Duration = Duration::from_millis(250);
const FATE: &str = "SELECT pg_xact_status(CAST($1 AS xid8))";

/// What a relay said stands in literals: on, nothing but the quote is special.
const QUOTES: &str = "SELECT current_setting('standard_conforming_strings') = 'on'";

/// What the other engine does instead.
const NOT_HERE: &str = "SELECT $1";
statements![NOT_HERE | FATE];

/// See `Engine`.
pub struct PostgresEngine {
    server: Server,
    session: Option<Writing>,
    /// And what is gathered for it.
    unsaid: Unsaid,
    /// What it is to know by name, if it gathers, and whether it does.
    named: &'static [Named],
    knows_names: bool,
    /// The last transaction failed: the next one begins by itself, so that
    /// whether the server is there is known before a verb runs.
    is_careful: bool,
    pulse: Pulse,
    told_at: Option<Instant>,
}

impl PostgresEngine {
    pub fn new(server: Server, session: Writing, pulse: Pulse) -> PostgresEngine {
        PostgresEngine {
            session: Some(session),
            ..PostgresEngine::unconnected(server, pulse)
        }
    }

    /// One that connects with its first verb.
    pub fn unconnected(server: Server, pulse: Pulse) -> PostgresEngine {
        debug_assert!(COMMIT_AND_TELL.contains(CHANNEL));
        PostgresEngine {
            server,
            session: None,
            unsaid: Unsaid::default(),
            named: &[],
            knows_names: false,
            is_careful: false,
            pulse,
            told_at: None,
        }
    }

    /// One for short verbs, hundreds a second, that say these statements by
    /// their names; it connects with its first verb.
    pub fn gathering(server: Server, pulse: Pulse, named: &'static [Named]) -> PostgresEngine {
        PostgresEngine {
            named,
            ..PostgresEngine::unconnected(server, pulse)
        }
    }

    async fn connected(&mut self) -> Result<&mut Writing, sqlx::Error> {
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                self.knows_names = false;
                open::session(&self.server).await?
            }
        };
        Ok(self.session.insert(session))
    }

    fn gathers(&self) -> bool {
        !self.named.is_empty()
    }

    /// Has the session know the names. Not as it connects: who only asks for a
    /// transaction's fate must not wait at somebody's table for it.
    async fn learn_names(&mut self) -> Result<(), sqlx::Error> {
        let named = self.named;
        let session = self.connected().await?;
        session.conn.execute(sqlx::raw_sql(BY_NAME)).await?;
        let row = session.conn.fetch_one(sqlx::raw_sql(QUOTES)).await?;
        let keeps: bool = sqlx::Row::try_get(&row, 0)?;
        if !keeps {
            let why = "it does not keep standard_conforming_strings on";
            return Err(sqlx::Error::Configuration(why.into()));
        }
        for text in named.iter().filter_map(Named::prepare) {
            let text = sqlx::AssertSqlSafe(text);
            session.conn.execute(sqlx::raw_sql(text)).await?;
        }
        self.knows_names = true;
        Ok(())
    }

    async fn try_begin(&mut self) -> Result<(), sqlx::Error> {
        self.connected().await?;
        if self.gathers() && !self.knows_names {
            self.learn_names().await?;
        }
        self.unsaid.begin(BEGIN);
        if self.is_careful || !self.gathers() {
            self.line()?.said().await?;
            self.is_careful = false;
        }
        Ok(())
    }

    /// The session and what is unsaid.
    fn line(&mut self) -> Result<Line<'_>, sqlx::Error> {
        let session = self.session.as_mut().ok_or_else(gone)?;
        Ok(Line::gathering(&mut session.conn, &mut self.unsaid))
    }

    /// What became of the transaction whose COMMIT was not answered.
    async fn fate(&mut self, lost: sqlx::Error, timeline: &str) -> Committed {
        let given_up = Instant::now() + AWAY_MAX;
        let mut pause = PAUSE_FIRST;
        loop {
            let Some(xid) = self.unsaid.xid().map(str::to_owned) else {
                return Committed::Unknown(lost);
            };
            let told: Result<Option<String>, sqlx::Error> = match self.connected().await {
                Ok(session) if session.timeline != timeline => return Committed::Unknown(lost),
                Ok(session) => {
                    let asked = sqlx::query_scalar(FATE).bind(xid);
                    asked.fetch_one(&mut session.conn).await
                }
                Err(error) => Err(error),
            };
            match told.as_ref().map(Option::as_deref) {
                Ok(Some("committed")) => return Committed::Yes,
                Ok(Some("aborted")) => return Committed::No(lost),
                // Its server process has not noticed yet that we are gone.
                Ok(Some("in progress")) => {}
                Ok(_) => return Committed::Unknown(lost),
                Err(error) if is_away(error) => self.session = None,
                Err(_) => return Committed::Unknown(lost),
            }
            if Instant::now() >= given_up {
                return Committed::Unknown(lost);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

impl Engine for PostgresEngine {
    async fn begin(&mut self) -> Result<Conn<'_>, sqlx::Error> {
        let given_up = Instant::now() + AWAY_MAX;
        let mut pause = PAUSE_FIRST;
        while let Err(error) = self.try_begin().await {
            self.session = None;
            // Learning names waits at tables, as verbs do.
            let may_pass = is_away(&error) || is_contention(&error);
            if !may_pass || Instant::now() >= given_up {
                return Err(error);
            }
            tracing::warn!("the database is away or busy and is asked again: {error}");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        if self.gathers() {
            return self.line().map(Conn::Postgres);
        }
        let session = self.session.as_mut().ok_or_else(gone)?;
        Ok(Conn::Postgres((&mut session.conn).into()))
    }

    async fn commit(&mut self, wakes: Wakes) -> Committed {
        let Some(session) = &mut self.session else {
            // The transaction went with its connection.
            return Committed::No(gone());
        };
        let timeline = session.timeline.clone();
        let now = Instant::now();
        let tells = wakes == Wakes::Others && self.told_at.is_none_or(|at| now - at >= TELL_EVERY);
        let words = self
            .unsaid
            .and(if tells { COMMIT_AND_TELL } else { COMMIT });
        let committed = match commit(&mut session.conn, words).await {
            Ok(()) => Committed::Yes,
            Err(error) if is_refusal(&error) => Committed::No(error),
            Err(error) => {
                self.session = None;
                tracing::warn!("the database went away during a commit: {error}");
                self.fate(error, &timeline).await
            }
        };
        if matches!(committed, Committed::Yes) && matches!(wakes, Wakes::Us | Wakes::Others) {
            if tells {
                self.told_at = Some(now);
            }
            self.pulse.beat();
        }
        committed
    }

    async fn roll_back(&mut self) -> bool {
        self.is_careful = true;
        if self.unsaid.forget()
            && let Some(session) = &mut self.session
            && session.conn.execute("ROLLBACK").await.is_err()
        {
            self.session = None;
        }
        // A new connection has no transaction.
        true
    }

    fn is_worth_another_try(&self, error: &sqlx::Error) -> bool {
        is_away(error) || is_contention(error)
    }

    async fn close(self) {
        if let Some(session) = self.session {
            let _ = sqlx::Connection::close(session.conn).await;
        }
    }
}

async fn commit(conn: &mut PgConnection, words: String) -> Result<(), sqlx::Error> {
    let words = sqlx::raw_sql(sqlx::AssertSqlSafe(words));
    conn.execute(words).await.map(drop)
}

fn gone() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::NotConnected.into())
}

fn database_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    match error {
        sqlx::Error::Database(error) => error.try_downcast_ref::<PgDatabaseError>(),
        _ => None,
    }
}

/// The server said no and goes on; nothing was written.
fn is_refusal(error: &sqlx::Error) -> bool {
    database_error(error).is_some_and(|e| matches!(e.severity(), PgSeverity::Error))
}

/// The connection is gone, or the server is starting, stopping, full or about
/// to be replaced.
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        // The only promise that changes by itself.
        sqlx::Error::Configuration(why) => why.to_string().contains("standby"),
        _ => database_error(error).is_some_and(|e| {
            let code = e.code();
            code.starts_with("08")
                || [
                    "57P01", "57P02", "57P03", "57P05", "53300", "25006", "25P03",
                ]
                .contains(&code)
        }),
    }
}

/// Two transactions stood in each other's way and this one had to give in:
/// serialization failure, deadlock, lock not available.
fn is_contention(error: &sqlx::Error) -> bool {
    database_error(error).is_some_and(|e| ["40001", "40P01", "55P03"].contains(&e.code()))
}
