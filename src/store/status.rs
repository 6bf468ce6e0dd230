//! What there is to know about a database, whatever state it is in.

use crate::store::conn::{Conn, sql, statements};
use crate::store::copy::session::others;
use crate::store::copy::{BACKUP_OF, MOVED_TO, TABLES};
use crate::store::place::Place;
use crate::store::read::META;
use crate::store::sqlite::lock::holder;
use crate::store::statement::{maybe, row, value};
use crate::store::types::StoreError;
use crate::store::{backup, postgres, sqlite};
use serde::Serialize;
use sqlx::Connection;
use std::path::Path;
use std::sync::Arc;

const ENGINE: &str = "SELECT 'SQLite ' || sqlite_version()";
const ENGINE_POSTGRES: &str = "SELECT 'PostgreSQL ' || current_setting('server_version')";
const SIZE: &str = "
SELECT CAST(p.page_count * s.page_size AS BIGINT)
FROM pragma_page_count AS p, pragma_page_size AS s";
const SIZE_POSTGRES: &str = "SELECT pg_database_size(current_database())";
const JOURNAL: &str = "PRAGMA journal_mode";
const NOT_HERE: &str = "SELECT 1";
const MESSAGES: &str = "SELECT min(planned_at), max(planned_at) FROM messages";

statements![
    ENGINE | ENGINE_POSTGRES,
    SIZE | SIZE_POSTGRES,
    JOURNAL | NOT_HERE,
    MESSAGES,
];

/// A database as a thing.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub engine: String,
    /// Without a password.
    pub place: String,
    pub schema: Schema,
    pub bytes: i64,
    /// Of what is committed and not yet part of the file; SQLite's.
    pub log_bytes: Option<u64>,
    pub senders: Senders,
    /// What durability stands on, in the engine's own words.
    pub settings: Vec<Setting>,
    /// Why it cannot be written to, if it cannot.
    pub unfit: Option<String>,
    /// `None` while the schema is another.
    pub contents: Option<Contents>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Schema {
    pub found: i64,
    pub known: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    pub name: &'static str,
    pub value: String,
}

/// Who may send at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Senders {
    Nobody,
    /// A process holds the delivery lock; its id, if it can be read.
    LockHeldBy(Option<u32>),
    /// Connections of other processes of ours to a server.
    Connections(i64),
}

#[derive(Clone, Debug, Serialize)]
pub struct Contents {
    pub rows: Vec<Rows>,
    /// Unix milliseconds.
    pub oldest_message_at: Option<i64>,
    pub newest_message_at: Option<i64>,
    pub mode: String,
    pub last_backup_at: Option<i64>,
    pub last_backup_to: Option<String>,
    /// It is a backup nobody has started anything on.
    pub backup_made_at: Option<i64>,
    pub moved_to: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rows {
    pub table: &'static str,
    pub rows: i64,
}

fn failed(source: sqlx::Error) -> StoreError {
    StoreError::Statement {
        doing: "look at the database",
        source: Arc::new(source),
    }
}

/// Looks at a database; changes nothing.
///
/// # Errors
/// There is none, or it cannot be read.
pub async fn status(place: &Place) -> Result<Status, StoreError> {
    match place {
        Place::Sqlite(path) => of_file(place, path).await,
        Place::Postgres(server) => of_server(place, server).await,
    }
}

async fn of_file(place: &Place, path: &Path) -> Result<Status, StoreError> {
    let mut conn = sqlite::open::look(path).await?;
    let schema = Schema {
        found: sqlite::open::found(&mut conn, path).await?,
        known: sqlite::open::known_version(),
    };
    let journal: String = sqlx::query_scalar(JOURNAL)
        .fetch_one(&mut conn)
        .await
        .map_err(failed)?;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let senders = match holder(path) {
        Ok(Some(pid)) => Senders::LockHeldBy(pid),
        Ok(None) | Err(_) => Senders::Nobody,
    };
    let (engine, bytes, contents) = ask(&mut Conn::Sqlite(&mut conn), schema).await?;
    let _ = conn.close().await;
    Ok(Status {
        engine,
        place: place.to_string(),
        schema,
        bytes,
        log_bytes: Some(std::fs::metadata(log).map_or(0, |log| log.len())),
        senders,
        settings: vec![
            Setting {
                name: "journal_mode",
                value: journal,
            },
            // Ours to choose, for each connection.
            Setting {
                name: "synchronous",
                value: "full".to_owned(),
            },
        ],
        unfit: None,
        contents,
    })
}

async fn of_server(place: &Place, server: &postgres::Server) -> Result<Status, StoreError> {
    // Nothing that is asked next could be trusted to be answered.
    postgres::open::must_not_be_shared(server).await?;
    let mut conn = postgres::open::copying(server).await?;
    let schema = Schema {
        found: postgres::open::found(&mut conn, server).await?,
        known: postgres::open::known_version(),
    };
    let (promises, unfit) = postgres::open::promises(&mut conn).await.map_err(failed)?;
    let senders = match others(&mut Conn::Postgres((&mut conn).into())).await {
        Ok(0) => Senders::Nobody,
        Ok(n) => Senders::Connections(n),
        Err(error) => return Err(failed(error)),
    };
    let (engine, bytes, contents) = ask(&mut Conn::Postgres((&mut conn).into()), schema).await?;
    let _ = conn.close().await;
    let settings = promises
        .into_iter()
        .map(|(name, value)| Setting { name, value })
        .collect();
    Ok(Status {
        engine,
        place: place.to_string(),
        schema,
        bytes,
        log_bytes: None,
        senders,
        settings,
        unfit,
        contents,
    })
}

async fn ask(
    c: &mut Conn<'_>,
    schema: Schema,
) -> Result<(String, i64, Option<Contents>), StoreError> {
    let text = sql(c, ENGINE, ENGINE_POSTGRES);
    let engine: String = value!(c, text).map_err(failed)?;
    let text = sql(c, SIZE, SIZE_POSTGRES);
    let bytes: i64 = value!(c, text).map_err(failed)?;
    let contents = match schema.found == schema.known {
        true => Some(contents(c).await.map_err(failed)?),
        false => None,
    };
    Ok((engine, bytes, contents))
}

async fn contents(c: &mut Conn<'_>) -> Result<Contents, sqlx::Error> {
    let mut rows = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let text = sql(c, table.count.sqlite, table.count.postgres);
        rows.push(Rows {
            table: table.name,
            rows: value!(c, text)?,
        });
    }
    let (oldest, newest): (Option<i64>, Option<i64>) = row!(c, MESSAGES)?;
    let instant = |text: Option<String>| text.and_then(|text| text.parse().ok());
    Ok(Contents {
        rows,
        oldest_message_at: oldest,
        newest_message_at: newest,
        mode: meta(c, "mode")
            .await?
            .unwrap_or_else(|| "sandbox".to_owned()),
        last_backup_at: instant(meta(c, backup::LAST_AT).await?),
        last_backup_to: meta(c, backup::LAST_TO).await?,
        backup_made_at: instant(meta(c, BACKUP_OF).await?),
        moved_to: meta(c, MOVED_TO).await?,
    })
}

async fn meta(c: &mut Conn<'_>, name: &str) -> Result<Option<String>, sqlx::Error> {
    maybe!(c, META, name)
}
