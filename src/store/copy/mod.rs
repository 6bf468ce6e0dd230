//! One database into another, whichever engines they are.
//!
//! Everything is read from one moment of the source and written in one
//! transaction of an empty target, page by page, so that memory stays flat and
//! a copy that breaks off leaves the target as empty as it was. Before that
//! transaction is committed every table is read back and its count and
//! [`Digest`] compared with what left the source.
//!
//! Two ways to take the source. To *move*, nobody else may have it open, and it
//! stays so until it is marked as moved: not a row can be written behind our
//! back, and a daemon that is started on it by mistake refuses. To *back up*,
//! everybody goes on, and the copy is marked as one (see
//! [`crate::store::read::identity`]).

pub mod rows;
pub mod session;
pub mod tables;

pub use rows::Digest;
pub use session::{Reading, Writing, note, take_back};
pub use tables::{TABLES, Table};

use crate::domain::time::Instant;
use crate::store::conn::{Conn, Statement, sql};
use crate::store::place::Place;
use crate::store::read::META;
use crate::store::statement::{maybe, run, value};
use crate::store::types::StoreError;
use rows::{Pages, document};

/// Why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot make the delivery lock of {path}")]
    Lock {
        path: String,
        source: std::io::Error,
    },
    /// The source's delivery lock is held.
    #[error("{}", sending(place, *pid))]
    Sending { place: String, pid: Option<u32> },
    /// Somebody is in the source, to look or to write.
    #[error("{place} is open in another process; stop the daemon and every other command first")]
    InUse { place: String },
    /// Sessions of other processes on a server.
    #[error(
        "{n} other connections of backorderd are open to {place}; stop the daemons and every \
         other command first"
    )]
    Connected { place: String, n: i64 },
    #[error(
        "{place} is not empty: there are rows in {table}; a copy goes into an empty database only"
    )]
    NotEmpty { place: String, table: &'static str },
    #[error(
        "{place} has schema {found}, this program copies schema {known}; run `backorderd db \
         migrate` there first"
    )]
    OtherSchema {
        place: String,
        found: i64,
        known: i64,
    },
    #[error("cannot {doing} {table}")]
    Table {
        doing: &'static str,
        table: &'static str,
        source: sqlx::Error,
    },
    #[error("cannot {doing} {place}")]
    Engine {
        doing: &'static str,
        place: String,
        source: sqlx::Error,
    },
    /// What arrived is not what left.
    #[error(
        "{table} did not arrive as it left ({left} rows, {arrived} arrived); nothing was written"
    )]
    Differs {
        table: &'static str,
        left: u64,
        arrived: u64,
    },
    /// The copy is whole; only the mark on the source is missing.
    #[error(
        "everything was copied to {to}, but {place} could not be marked as moved: do not start \
         anything on it"
    )]
    NotMarked {
        place: String,
        to: String,
        source: sqlx::Error,
    },
}

fn sending(place: &str, pid: Option<u32>) -> String {
    let who = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
    format!("a daemon or a run{who} sends from {place}; stop it first")
}

/// A table that was read or checked.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    pub table: &'static str,
    pub digest: Digest,
}

/// What was copied.
#[derive(Clone, Debug)]
pub struct Copies {
    pub tables: Vec<Copied>,
    /// The source refuses to be used from now on.
    pub source_is_moved: bool,
}

/// What is being done, for people who wait.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// Rows of this table are written, so many so far.
    Writing(&'static str, u64),
    /// The table is read back.
    Checking(&'static str),
}

/// What the copy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The source is given up.
    Move,
    /// The source goes on; the copy says when it was made.
    Backup(Instant),
}

/// Marks a copy as a backup, so that a daemon started on it knows.
pub const BACKUP_OF: &str = "backup_made_at";
/// Marks a source as given up.
pub const MOVED_TO: &str = "moved_to";

/// The copy's own words about itself; the source's are not taken along.
pub(crate) const UNSAY: &str = "DELETE FROM meta WHERE name = $1";
/// Rows that a new schema comes with.
const CLEAR: &str = "DELETE FROM meta";
pub(crate) const SAY: &str = "
INSERT INTO meta (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value";

crate::store::conn::statements![UNSAY, CLEAR, SAY];

fn text(c: &Conn<'_>, statement: &Statement) -> &'static str {
    sql(c, statement.sqlite, statement.postgres)
}

/// Copies everything; answers what every table came to. The target is
/// committed last, and for a move the source is marked after it: unless it is a
/// backup, which nobody lives in and which may be copied as often as one likes.
///
/// # Errors
/// See [`CopyError`]; unless it says otherwise, the target is as empty as it was.
pub async fn copy(
    from: &Place,
    to: &Place,
    purpose: Purpose,
    mut progress: impl FnMut(Progress),
) -> Result<Copies, CopyError> {
    let mut source = match purpose {
        Purpose::Move => Reading::alone(from).await?,
        Purpose::Backup(_) => Reading::beside_others(from).await?,
    };
    let mut target = match Writing::open(to).await {
        Ok(target) => target,
        Err(error) => {
            source.leave().await;
            return Err(error);
        }
    };
    let copied = match fill(&mut source, &mut target, purpose, &mut progress).await {
        Ok(copied) => copied,
        Err(error) => {
            target.give_up().await;
            source.leave().await;
            return Err(error);
        }
    };
    let is_backup: Result<Option<String>, _> = maybe!(&mut source.conn(), META, BACKUP_OF);
    let is_backup = match is_backup {
        Ok(found) => found.is_some(),
        Err(error) => {
            target.give_up().await;
            source.leave().await;
            return Err(CopyError::Engine {
                doing: "read",
                place: from.to_string(),
                source: error,
            });
        }
    };
    if let Err(error) = target.commit().await {
        source.leave().await;
        return Err(error);
    }
    let is_moved = purpose == Purpose::Move && !is_backup;
    if is_moved {
        source.mark_moved(to).await?;
    } else {
        source.leave().await;
    }
    Ok(Copies {
        tables: copied,
        source_is_moved: is_moved,
    })
}

async fn fill(
    source: &mut Reading,
    target: &mut Writing,
    purpose: Purpose,
    progress: &mut impl FnMut(Progress),
) -> Result<Vec<Copied>, CopyError> {
    run!(&mut target.conn(), CLEAR).map_err(|source| CopyError::Table {
        doing: "clear",
        table: "meta",
        source,
    })?;
    let mut copied = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        let digest = write(source, target, table, progress).await?;
        copied.push(Copied {
            table: table.name,
            digest,
        });
    }
    for (table, left) in TABLES.iter().zip(&copied) {
        progress(Progress::Checking(table.name));
        let arrived = digest(&mut target.conn(), table).await?;
        if arrived != left.digest {
            return Err(CopyError::Differs {
                table: table.name,
                left: left.digest.rows,
                arrived: arrived.rows,
            });
        }
    }
    let mut conn = target.conn();
    let failed = |source| CopyError::Table {
        doing: "write",
        table: "meta",
        source,
    };
    if let Purpose::Backup(now) = purpose {
        run!(&mut conn, SAY, BACKUP_OF, now.0.to_string()).map_err(failed)?;
    }
    run!(&mut conn, UNSAY, MOVED_TO).map_err(failed)?;
    Ok(copied)
}

async fn write(
    source: &mut Reading,
    target: &mut Writing,
    table: &'static Table,
    progress: &mut impl FnMut(Progress),
) -> Result<Digest, CopyError> {
    let failed = |doing| {
        move |source| CopyError::Table {
            doing,
            table: table.name,
            source,
        }
    };
    let mut digest = Digest::default();
    let mut pages = Pages::of(table);
    loop {
        progress(Progress::Writing(table.name, digest.rows));
        let rows = pages
            .next(&mut source.conn())
            .await
            .map_err(failed("read"))?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            digest.add(row);
        }
        let mut conn = target.conn();
        let insert = text(&conn, &table.insert);
        run!(&mut conn, insert, document(table, &rows)).map_err(failed("write"))?;
    }
    if let Some(number) = &table.number {
        let mut conn = target.conn();
        let number = text(&conn, number);
        let _: i64 = value!(&mut conn, number).map_err(failed("number the rows of"))?;
    }
    Ok(digest)
}

/// What a table comes to.
///
/// # Errors
/// It cannot be read.
pub async fn digest(c: &mut Conn<'_>, table: &'static Table) -> Result<Digest, CopyError> {
    let mut digest = Digest::default();
    let mut pages = Pages::of(table);
    loop {
        let rows = pages.next(c).await.map_err(|source| CopyError::Table {
            doing: "read",
            table: table.name,
            source,
        })?;
        if rows.is_empty() {
            return Ok(digest);
        }
        for row in &rows {
            digest.add(row);
        }
    }
}
