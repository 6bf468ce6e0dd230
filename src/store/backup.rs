//! A backup while everybody goes on: one file, of either engine.
//!
//! The file is a database of SQLite's that can be used as it is. It is made
//! under another name and gets its own only when it is whole, checked and on
//! disk; a file that is there is never written over. It says in itself that it
//! is a backup, so that a daemon started on it holds everything (see
//! [`crate::app::restore_guard`]).

use crate::domain::time::Instant;
use crate::store::conn::statements;
use crate::store::copy::{BACKUP_OF, CopyError, Progress, Purpose, SAY, copy, note};
use crate::store::place::Place;
use crate::store::sqlite::open;
use crate::store::types::StoreError;
use sqlx::{Connection, Executor};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} is there already; a backup is never written over", .0.display())]
    There(PathBuf),
    #[error("{} is there: a backup is being made, or broke off; remove it then", .0.display())]
    HalfMade(PathBuf),
    #[error("cannot write {}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the database could not be copied")]
    Engine(#[from] sqlx::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The engine's own check found something.
    #[error("the copy is damaged ({0}), so the database is: look at it before anything else")]
    Damaged(String),
}

/// What was made.
#[derive(Clone, Copy, Debug)]
pub struct Backup {
    pub bytes: u64,
}

/// When and where to the last backup was made, beside the data.
pub const LAST_AT: &str = "last_backup_at";
pub const LAST_TO: &str = "last_backup_to";

const VACUUM: &str = "VACUUM INTO $1";
const CHECK: &str = "PRAGMA integrity_check(1)";
const STRAY: &str = "SELECT count(*) FROM pragma_foreign_key_check";
const NOT_HERE: &str = "SELECT $1";
const NOR_HERE: &str = "SELECT 1";
statements![VACUUM | NOT_HERE, CHECK | NOR_HERE, STRAY | NOR_HERE];

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Makes a backup of `from` in the new file `to`; `now` is written into it.
///
/// # Errors
/// See [`BackupError`]; no file is left behind.
pub async fn backup(
    from: &Place,
    to: &Path,
    now: Instant,
    progress: impl FnMut(Progress),
) -> Result<Backup, BackupError> {
    if to.exists() {
        return Err(BackupError::There(to.to_owned()));
    }
    let half = beside(to, ".partial");
    // Nobody else may read what is in it.
    make_private(&half)?;
    let made = match from {
        Place::Sqlite(path) => of_file(path, &half, now).await,
        Place::Postgres(_) => copy(
            from,
            &Place::Sqlite(half.clone()),
            Purpose::Backup(now),
            progress,
        )
        .await
        .map(drop)
        .map_err(BackupError::from),
    };
    let finished = match made {
        Ok(()) => finish(&half, to).await,
        Err(error) => Err(error),
    };
    for end in [
        "",
        "-wal",
        "-shm",
        "-journal",
        ".schema-lock",
        ".delivery-lock",
    ] {
        let _ = std::fs::remove_file(beside(&half, end));
    }
    let backup = finished?;
    let place = to.display().to_string();
    // A backup nobody remembers is one all the same.
    for (name, value) in [(LAST_AT, now.0.to_string()), (LAST_TO, place)] {
        if let Err(error) = note(from, name, &value).await {
            tracing::warn!("the backup is made; that it was could not be written down: {error}");
        }
    }
    Ok(backup)
}

fn make_private(half: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(half);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(BackupError::HalfMade(half.to_owned()))
        }
        Err(source) => Err(BackupError::File {
            path: half.to_owned(),
            source,
        }),
    }
}

/// The engine copies one moment of the file; others read and write meanwhile.
async fn of_file(path: &Path, half: &Path, now: Instant) -> Result<(), BackupError> {
    let mut conn = open::look(path).await?;
    let vacuumed = sqlx::query(VACUUM)
        .bind(half.to_string_lossy().into_owned())
        .execute(&mut conn)
        .await;
    conn.close().await?;
    vacuumed?;
    let mut copied = open::existing(half).await?;
    let said = sqlx::query(SAY)
        .bind(BACKUP_OF)
        .bind(now.0.to_string())
        .execute(&mut copied)
        .await;
    copied.close().await?;
    said.map(drop).map_err(BackupError::from)
}

/// Opens it, has the engine check it, and gives it its name.
async fn finish(half: &Path, to: &Path) -> Result<Backup, BackupError> {
    let mut conn = open::existing(half).await?;
    // One file, whole without a log beside it.
    conn.execute("PRAGMA journal_mode = DELETE").await?;
    let found = open::found(&mut conn, half).await?;
    let check: String = sqlx::query_scalar(CHECK).fetch_one(&mut conn).await?;
    let n_stray: i64 = sqlx::query_scalar(STRAY).fetch_one(&mut conn).await?;
    conn.close().await?;
    if found == 0 {
        return Err(BackupError::Damaged("it has no schema".to_owned()));
    }
    if check != "ok" {
        return Err(BackupError::Damaged(check));
    }
    if n_stray > 0 {
        return Err(BackupError::Damaged(format!(
            "{n_stray} rows name others that are not there"
        )));
    }
    name(half, to).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => BackupError::There(to.to_owned()),
        _ => BackupError::File {
            path: to.to_owned(),
            source,
        },
    })
}

/// A second name cannot replace a file, as a new name for it would.
fn name(half: &Path, to: &Path) -> io::Result<Backup> {
    let file = File::open(half)?;
    file.sync_all()?;
    let bytes = file.metadata()?.len();
    std::fs::hard_link(half, to)?;
    std::fs::remove_file(half)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(Backup { bytes })
}
