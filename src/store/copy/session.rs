//! The two ends of a copy: a source read at one moment, an empty target.

use super::tables::TABLES;
use super::{CopyError, MOVED_TO, SAY, UNSAY, text};
use crate::domain::time::Instant;
use crate::store::conn::{Conn, sql, statements};
use crate::store::place::Place;
use crate::store::read::META;
use crate::store::sqlite::lock::{DeliveryLock, LockAttempt, try_lock};
use crate::store::statement::{Halt, maybe, run, value};
use crate::store::types::StoreError;
use crate::store::write::operate;
use crate::store::{postgres, sqlite};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

// Nobody may write, and nobody may find out whether the database was moved
// before that is decided: every opening asks `meta` and waits there.

const LOCK_META: &str = "LOCK TABLE meta IN ACCESS EXCLUSIVE MODE";
const LOCK_ALL: &str = "LOCK TABLE shops, sources, contacts, orders, order_lines, eta_claims, \
    eta_history, shipments, told, runs, verdicts, messages, notices, message_private, attempts, \
    receipts, receipt_private, texts, text_private, holds, suppressions, \
    vague_refusals, template_versions, job_ticks, audit, rejected_rows IN EXCLUSIVE MODE";
/// Who else has a session of ours open here; the program's name is on each.
const OTHERS: &str = "
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'backorderd'
  AND pid <> pg_backend_pid()";

/// Other processes' sessions on a server; 0 of a file, whose locks tell.
///
/// # Errors
/// The server does not answer.
pub(crate) async fn others(c: &mut Conn<'_>) -> Result<i64, sqlx::Error> {
    let text = sql(c, ALONE, OTHERS);
    value!(c, text)
}

/// The other engine has one connection, and its locks come with it.
const ALONE: &str = "SELECT CAST(0 AS BIGINT)";

statements![ALONE | LOCK_META, ALONE | LOCK_ALL, ALONE | OTHERS];

const BEGIN_MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";
const BEGIN_LOOK: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

enum End {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl End {
    fn conn(&mut self) -> Conn<'_> {
        match self {
            End::Sqlite(conn) => Conn::Sqlite(conn),
            End::Postgres(conn) => Conn::Postgres(conn.into()),
        }
    }

    async fn say(
        &mut self,
        sqlite: &'static str,
        postgres: &'static str,
    ) -> Result<(), sqlx::Error> {
        use sqlx::Executor;
        match self {
            End::Sqlite(conn) => conn.execute(sqlite).await.map(drop),
            End::Postgres(conn) => conn.execute(sqlx::raw_sql(postgres)).await.map(drop),
        }
    }

    async fn close(self) {
        // What was not committed goes with the connection.
        let _ = match self {
            End::Sqlite(conn) => conn.close().await,
            End::Postgres(conn) => conn.close().await,
        };
    }
}

/// The source.
pub struct Reading {
    end: End,
    place: Place,
    _lock: Option<DeliveryLock>,
}

/// The target, inside its one transaction.
pub struct Writing {
    end: End,
    place: Place,
    _lock: Option<DeliveryLock>,
}

fn engine(doing: &'static str, place: &Place) -> impl Fn(sqlx::Error) -> CopyError {
    move |source| CopyError::Engine {
        doing,
        place: place.to_string(),
        source,
    }
}

/// The delivery lock of a database file.
fn lock(place: &Place) -> Result<Option<DeliveryLock>, CopyError> {
    let Place::Sqlite(path) = place else {
        return Ok(None);
    };
    match try_lock(path) {
        Ok(LockAttempt::Taken(lock)) => Ok(Some(lock)),
        Ok(LockAttempt::HeldBy(pid)) => Err(CopyError::Sending {
            place: place.to_string(),
            pid,
        }),
        Err(source) => Err(CopyError::Lock {
            path: place.to_string(),
            source,
        }),
    }
}

fn busy_or(place: &Place, doing: &'static str) -> impl Fn(sqlx::Error) -> CopyError {
    move |error| {
        // 55P03: lock not available.
        let locked = error
            .as_database_error()
            .and_then(|e| e.code().map(|code| code == "55P03"))
            .unwrap_or(false);
        if locked || sqlite::open::is_busy(&error) {
            return CopyError::InUse {
                place: place.to_string(),
            };
        }
        engine(doing, place)(error)
    }
}

/// The database is there, of the schema that is known, and was not moved.
async fn require(end: &mut End, place: &Place) -> Result<(), CopyError> {
    let (found, known) = match (&mut *end, place) {
        (End::Sqlite(conn), Place::Sqlite(path)) => (
            sqlite::open::found(conn, path).await?,
            sqlite::open::known_version(),
        ),
        (End::Postgres(conn), Place::Postgres(server)) => (
            postgres::open::found(conn, server).await?,
            postgres::open::known_version(),
        ),
        _ => (0, 0),
    };
    if found == 0 {
        return Err(StoreError::NoSchema {
            path: place.to_string(),
        }
        .into());
    }
    if found != known {
        return Err(CopyError::OtherSchema {
            place: place.to_string(),
            found,
            known,
        });
    }
    Ok(())
}

impl Reading {
    /// Takes a database for ourselves alone.
    ///
    /// # Errors
    /// Somebody sends from it or has it open; it was moved; its schema is
    /// another.
    pub async fn alone(place: &Place) -> Result<Reading, CopyError> {
        let (mut end, lock) = match place {
            Place::Sqlite(path) => {
                if !path.exists() {
                    return Err(StoreError::NoSchema {
                        path: place.to_string(),
                    }
                    .into());
                }
                let mut probe = End::Sqlite(sqlite::open::look(path).await?);
                let required = require(&mut probe, place).await;
                probe.close().await;
                required?;
                let lock = lock(place)?;
                let conn = sqlite::open::alone(path)
                    .await
                    .map_err(busy_or(place, "open"))?;
                (End::Sqlite(conn), lock)
            }
            Place::Postgres(server) => {
                let mut end = End::Postgres(postgres::open::copying(server).await?);
                require(&mut end, place).await?;
                (end, None)
            }
        };
        end.say("BEGIN IMMEDIATE", BEGIN_MOMENT)
            .await
            .map_err(busy_or(place, "read"))?;
        let mut conn = end.conn();
        for lock in [LOCK_META, LOCK_ALL] {
            let text = sql(&conn, ALONE, lock);
            run!(&mut conn, text).map_err(busy_or(place, "lock"))?;
        }
        let n = others(&mut conn).await.map_err(engine("ask", place))?;
        if n > 0 {
            end.close().await;
            return Err(CopyError::Connected {
                place: place.to_string(),
                n,
            });
        }
        let moved: Option<String> =
            maybe!(&mut end.conn(), META, MOVED_TO).map_err(engine("read", place))?;
        if let Some(to) = moved {
            end.close().await;
            return Err(StoreError::Moved {
                path: place.to_string(),
                to,
            }
            .into());
        }
        Ok(Reading {
            end,
            place: place.clone(),
            _lock: lock,
        })
    }

    /// Reads a database at one moment while others go on.
    ///
    /// # Errors
    /// It cannot be read, or its schema is another.
    pub async fn beside_others(place: &Place) -> Result<Reading, CopyError> {
        let mut end = match place {
            Place::Sqlite(path) => End::Sqlite(sqlite::open::look(path).await?),
            Place::Postgres(server) => End::Postgres(postgres::open::copying(server).await?),
        };
        require(&mut end, place).await?;
        end.say("BEGIN", BEGIN_LOOK)
            .await
            .map_err(engine("read", place))?;
        Ok(Reading {
            end,
            place: place.clone(),
            _lock: None,
        })
    }

    pub fn conn(&mut self) -> Conn<'_> {
        self.end.conn()
    }

    /// Leaves it as it was.
    pub async fn leave(self) {
        self.end.close().await;
    }

    /// Writes down that it was moved, and lets others in.
    ///
    /// # Errors
    /// [`CopyError::NotMarked`].
    pub async fn mark_moved(mut self, to: &Place) -> Result<(), CopyError> {
        let marked = match run!(&mut self.end.conn(), SAY, MOVED_TO, to.to_string()) {
            Ok(_) => self.end.say("COMMIT", "COMMIT").await,
            Err(error) => Err(error),
        };
        let place = self.place.to_string();
        self.end.close().await;
        marked.map_err(|source| CopyError::NotMarked {
            place,
            to: to.to_string(),
            source,
        })
    }
}

/// Writes a word beside the data, whatever its schema is.
///
/// # Errors
/// It cannot be written.
pub async fn note(place: &Place, name: &str, value: &str) -> Result<(), CopyError> {
    let mut end = writing(place).await?;
    let noted = run!(&mut end.conn(), SAY, name, value);
    end.close().await;
    noted.map(drop).map_err(engine("write to", place))
}

/// Takes the mark of [`Reading::mark_moved`] off again and holds everything;
/// answers where it was moved to, `None` when it was not.
///
/// # Errors
/// It cannot be written.
pub async fn take_back(place: &Place, now: Instant) -> Result<Option<String>, CopyError> {
    let mut end = writing(place).await?;
    require(&mut end, place).await?;
    end.say("BEGIN IMMEDIATE", "BEGIN")
        .await
        .map_err(busy_or(place, "write to"))?;
    let taken = unmark(&mut end.conn(), now).await;
    let taken = match taken {
        Ok(to) => end
            .say("COMMIT", "COMMIT")
            .await
            .map(|()| to)
            .map_err(Halt::from),
        Err(halt) => Err(halt),
    };
    end.close().await;
    Ok(taken.map_err(|halt| halt.while_trying("take the database back"))?)
}

async fn unmark(c: &mut Conn<'_>, now: Instant) -> Result<Option<String>, Halt> {
    let to: Option<String> = maybe!(c, META, MOVED_TO)?;
    if let Some(to) = &to {
        run!(c, UNSAY, MOVED_TO)?;
        let why =
            format!("it was copied to {to} and taken back; what was said from there is missing");
        operate::hold_restored(c, &why, now).await?;
    }
    Ok(to)
}

async fn writing(place: &Place) -> Result<End, CopyError> {
    Ok(match place {
        Place::Sqlite(path) => End::Sqlite(sqlite::open::existing(path).await?),
        Place::Postgres(server) => End::Postgres(postgres::open::copying(server).await?),
    })
}

impl Writing {
    /// Opens a database without rows, or makes one, and begins.
    ///
    /// # Errors
    /// Somebody sends from it; there are rows; it cannot be made.
    pub async fn open(place: &Place) -> Result<Writing, CopyError> {
        let lock = lock(place)?;
        let mut end = match place {
            Place::Sqlite(path) => End::Sqlite(sqlite::open::writer(path).await?),
            Place::Postgres(server) => {
                // Makes the schema, and looks whether the server keeps promises.
                let session = postgres::open::writer(server).await?;
                let _ = session.conn.close().await;
                End::Postgres(postgres::open::copying(server).await?)
            }
        };
        end.say("BEGIN IMMEDIATE", "BEGIN")
            .await
            .map_err(busy_or(place, "write"))?;
        let mut conn = end.conn();
        for lock in [LOCK_META, LOCK_ALL] {
            let text = sql(&conn, ALONE, lock);
            run!(&mut conn, text).map_err(busy_or(place, "lock"))?;
        }
        for table in TABLES {
            let any = text(&conn, &table.any);
            let any: bool = value!(&mut conn, any).map_err(engine("read", place))?;
            if any {
                end.close().await;
                return Err(CopyError::NotEmpty {
                    place: place.to_string(),
                    table: table.name,
                });
            }
        }
        Ok(Writing {
            end,
            place: place.clone(),
            _lock: lock,
        })
    }

    pub fn conn(&mut self) -> Conn<'_> {
        self.end.conn()
    }

    /// Leaves it as empty as it was.
    pub async fn give_up(self) {
        self.end.close().await;
    }

    /// # Errors
    /// It is not known whether anything was written: look before trying again.
    pub async fn commit(mut self) -> Result<(), CopyError> {
        let committed = self.end.say("COMMIT", "COMMIT").await;
        let place = self.place.clone();
        self.end.close().await;
        committed.map_err(engine("commit", &place))
    }
}
