//! How verbs and readers speak to the engine: one short word per shape of
//! answer, the parameters in their order behind it.
//!
//! The words answer the engine's own error, and a verb stops with `?`: what it
//! was about to do is said once, where the verb is handed to the writer. A
//! verb may run again from its beginning (the engine broke a deadlock, the
//! connection was lost before the commit), so it keeps nothing between runs.

use crate::store::conn::Conn;
use crate::store::postgres::line::Named;
use crate::store::types::StoreError;
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use std::sync::Arc;

/// Why a verb stops; its transaction is rolled back.
#[derive(Debug)]
pub enum Halt {
    /// The engine refused a statement.
    Engine(sqlx::Error),
    /// What the verb found does not let it go on.
    Found(StoreError),
}

impl Halt {
    /// The answer of a verb that was about to do this.
    pub fn while_trying(self, doing: &'static str) -> StoreError {
        match self {
            Halt::Engine(source) => StoreError::Statement {
                doing,
                source: Arc::new(source),
            },
            Halt::Found(error) => error,
        }
    }
}

impl From<sqlx::Error> for Halt {
    fn from(source: sqlx::Error) -> Halt {
        Halt::Engine(source)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Halt {
        Halt::Found(error)
    }
}

/// Runs a statement; answers how many rows it touched.
macro_rules! run {
    ($c:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::conn::on!($c, x => sqlx::query($sql)
            $(.bind($bind))*
            .execute(x)
            .await
            .map(|done| done.rows_affected()))
    };
}
pub(crate) use run;

/// The one value of a statement that always answers one row.
macro_rules! value {
    ($c:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::conn::on!($c, x => sqlx::query_scalar($sql)
            $(.bind($bind))*
            .fetch_one(x)
            .await)
    };
}
pub(crate) use value;

/// The first column of a row that may be missing.
macro_rules! maybe {
    ($c:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::conn::on!($c, x => sqlx::query_scalar($sql)
            $(.bind($bind))*
            .fetch_optional(x)
            .await)
    };
}
pub(crate) use maybe;

/// A row that may be missing, as a tuple or a `FromRow` type.
macro_rules! maybe_row {
    ($c:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::conn::on!($c, x => sqlx::query_as($sql)
            $(.bind($bind))*
            .fetch_optional(x)
            .await)
    };
}
pub(crate) use maybe_row;

/// The one row of a statement that always answers one.
macro_rules! row {
    ($c:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::conn::on!($c, x => sqlx::query_as($sql)
            $(.bind($bind))*
            .fetch_one(x)
            .await)
    };
}
pub(crate) use row;

/// The first column of every row.
macro_rules! column {
    ($c:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::conn::on!($c, x => sqlx::query_scalar($sql)
            $(.bind($bind))*
            .fetch_all(x)
            .await)
    };
}
pub(crate) use column;

/// Every row, as a tuple or a `FromRow` type.
macro_rules! rows {
    ($c:expr, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::store::conn::on!($c, x => sqlx::query_as($sql)
            $(.bind($bind))*
            .fetch_all(x)
            .await)
    };
}
pub(crate) use rows;

/// Runs a statement of a server whose answer nobody needs. A session that gathers
/// is told with its next question or the commit, and an error is heard there.
pub(crate) async fn later<const N: usize>(
    c: &mut Conn<'_>,
    named: &Named,
    documents: [String; N],
) -> Result<(), sqlx::Error> {
    match c {
        Conn::Sqlite(_) => Err(only_on_a_server()),
        Conn::Postgres(line) => line.later(named, documents.into()).await,
    }
}

/// Every row of a statement of a server; on a session that gathers it is asked
/// together with what was gathered.
pub(crate) async fn answers<T, const N: usize>(
    c: &mut Conn<'_>,
    named: &Named,
    documents: [String; N],
) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    match c {
        Conn::Sqlite(_) => Err(only_on_a_server()),
        Conn::Postgres(line) => {
            let rows = line.answers(named, documents.into()).await?;
            rows.iter().map(T::from_row).collect()
        }
    }
}

fn only_on_a_server() -> sqlx::Error {
    sqlx::Error::Protocol("a file knows no statements by name".to_owned())
}
