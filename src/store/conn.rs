//! One connection of one of the two engines.
//!
//! A verb's SQL is written once and prepared unchanged on both; `on!`
//! compiles the lines around it once per driver, so that types stay real. Where
//! the dialects differ, [`sql`] picks between two texts with the same bind list.
//! Nothing here opens, begins or commits: that is `sqlite/` and `postgres/`.

use crate::store::postgres;
use sqlx::sqlite::SqliteConnection;

/// A connection, lent for some statements.
pub enum Conn<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(postgres::line::Line<'a>),
}

/// Runs the body with the connection itself: `on!(c, x => query(Q).execute(x).await)`.
/// `c` is a `&mut Conn`; it can be used again afterwards.
macro_rules! on {
    ($conn:expr, $c:ident => $body:expr) => {
        match $conn {
            $crate::store::conn::Conn::Sqlite(conn) => {
                let $c = &mut **conn;
                $body
            }
            $crate::store::conn::Conn::Postgres(line) => match line.session().await {
                Ok($c) => $body,
                Err(error) => Err(error),
            },
        }
    };
}
pub(crate) use on;

/// The text for this connection's engine; both take the same parameters.
pub fn sql(conn: &Conn<'_>, sqlite: &'static str, postgres: &'static str) -> &'static str {
    match conn {
        Conn::Sqlite(_) => sqlite,
        Conn::Postgres(_) => postgres,
    }
}

/// The clock of a PostgreSQL server in Unix milliseconds, as it stands when a
/// statement runs. Leases and heartbeats are counted by it: the clocks of two
/// machines differ, and a process that was stopped carries an old time. SQLite's
/// texts have a last parameter in its place.
macro_rules! server_now {
    () => {
        "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
    };
}
pub(crate) use server_now;

/// That a message of this alias is in the queue, said for the indexes of both
/// engines: SQLite's are for a state, PostgreSQL's for what has neither an owner
/// nor an end, so that a mark changes no index.
macro_rules! is_queued {
    ($alias:literal) => {
        concat!(
            $alias,
            ".state = 'queued' AND ",
            $alias,
            ".owner IS NULL AND ",
            $alias,
            ".ended_at IS NULL"
        )
    };
}
pub(crate) use is_queued;

/// A statement the program runs. A test prepares every one on both engines,
/// another finds texts that are not registered.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    pub name: &'static str,
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

/// Registers a file's texts: `statements![ONE, OTHER, CLAIM | CLAIM_POSTGRES];`.
macro_rules! statements {
    (@one $shared:ident) => {
        $crate::store::conn::Statement {
            name: stringify!($shared),
            sqlite: $shared,
            postgres: $shared,
        }
    };
    (@one $sqlite:ident $postgres:ident) => {
        $crate::store::conn::Statement {
            name: concat!(stringify!($sqlite), " ", stringify!($postgres)),
            sqlite: $sqlite,
            postgres: $postgres,
        }
    };
    ($($shared:ident $(| $postgres:ident)?),* $(,)?) => {
        /// Every statement of this file.
        pub const STATEMENTS: &[$crate::store::conn::Statement] = &[
            $($crate::store::conn::statements!(@one $shared $($postgres)?)),*
        ];
    };
}
pub(crate) use statements;

/// Statements for one trip to the engine, one after another: SQLite takes them
/// in one call.
macro_rules! in_turn {
    ($first:expr $(, $next:expr)* $(,)?) => {
        concat!($first $(, ";", $next)*)
    };
}
pub(crate) use in_turn;

/// The same for PostgreSQL, which prepares one statement at a time: as parts of
/// one. They all see what was there before, and none may write a row that
/// another writes; [`in_turn`] is the same thing for such.
macro_rules! at_once {
    ($first:ident: $part:expr $(, $name:ident: $next:expr)* $(,)?) => {
        concat!(
            "WITH ", stringify!($first), " AS (", $part, ")"
            $(, ", ", stringify!($name), " AS (", $next, ")")*,
            " SELECT 1"
        )
    };
}
pub(crate) use at_once;
