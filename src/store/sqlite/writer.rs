//! The one writer: a task that owns the writing connection.
//!
//! The two hot verbs, *mark* and *record*, are grouped: the task takes what
//! waits, runs one set-wise guarded statement per verb over all of it, commits
//! once and then answers everybody. One durable commit per message would cap
//! sending at the disk's flush rate (measured: some 850 a second); a savepoint
//! per job was tried elsewhere at 4,000 jobs a second and is slower than the
//! set. Every other verb is a transaction of its own.
//!
//! Nobody can cancel a transaction: callers hold only the receiving end of an
//! answer. When a commit fails the task stops; whoever asks afterwards hears
//! [`StoreError::Closed`] and the process ends.

use crate::domain::ids::WorkerId;
use crate::domain::time::Instant;
use crate::store::sqlite::open::is_busy;
use crate::store::types::{Mark, Record, StoreError};
use crate::store::write::deliver;
use sqlx::Executor;
use sqlx::sqlite::SqliteConnection;
use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Most jobs one commit takes along.
const GROUP_MAX: usize = 256;
/// Jobs that may wait; beyond it callers wait to hand theirs in.
const QUEUE_MAX: usize = 1024;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;
type AnyValue = Box<dyn Any + Send>;
type Work<'c> = Pin<Box<dyn Future<Output = Result<AnyValue, StoreError>> + Send + 'c>>;
type Verb = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c> + Send>;

enum Job {
    Mark {
        by: WorkerId,
        now: Instant,
        mark: Mark,
        answer: Answer<bool>,
    },
    Record {
        by: WorkerId,
        now: Instant,
        record: Box<Record>,
        answer: Answer<bool>,
    },
    Alone {
        doing: &'static str,
        verb: Verb,
        answer: Answer<AnyValue>,
    },
}

/// A handle to the task; clones share it.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the task over an open connection.
    pub fn start(conn: SqliteConnection) -> Writer {
        let (jobs, inbox) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(serve(conn, inbox));
        Writer { jobs }
    }

    /// Runs `verb` as one transaction.
    ///
    /// # Errors
    /// What the verb answers; a failed commit; the task has stopped.
    pub async fn alone<T, F>(&self, doing: &'static str, verb: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(
                &'c mut SqliteConnection,
            )
                -> Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>
            + Send
            + 'static,
    {
        let (answer, reply) = oneshot::channel();
        let verb: Verb = Box::new(move |conn| {
            let work = verb(conn);
            Box::pin(async move { work.await.map(|value| Box::new(value) as AnyValue) })
        });
        self.hand_in(Job::Alone {
            doing,
            verb,
            answer,
        })
        .await?;
        let value = reply.await.map_err(|_| StoreError::Closed)??;
        value
            .downcast::<T>()
            .map(|value| *value)
            .map_err(|_| StoreError::Closed)
    }

    /// See [`crate::store::Store::mark`].
    pub async fn mark(&self, by: WorkerId, mark: Mark, now: Instant) -> Result<bool, StoreError> {
        let (answer, reply) = oneshot::channel();
        self.hand_in(Job::Mark {
            by,
            now,
            mark,
            answer,
        })
        .await?;
        reply.await.map_err(|_| StoreError::Closed)?
    }

    /// See [`crate::store::Store::record`].
    pub async fn record(
        &self,
        by: WorkerId,
        record: Record,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let (answer, reply) = oneshot::channel();
        self.hand_in(Job::Record {
            by,
            now,
            record: Box::new(record),
            answer,
        })
        .await?;
        reply.await.map_err(|_| StoreError::Closed)?
    }

    async fn hand_in(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.send(job).await.map_err(|_| StoreError::Closed)
    }
}

/// Marks and records that share a commit.
#[derive(Default)]
struct Group {
    marks: Vec<(WorkerId, Instant, Mark, Answer<bool>)>,
    records: Vec<(WorkerId, Instant, Record, Answer<bool>)>,
}

async fn serve(mut conn: SqliteConnection, mut inbox: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(GROUP_MAX);
    while inbox.recv_many(&mut jobs, GROUP_MAX).await > 0 {
        let mut group = Group::default();
        for job in jobs.drain(..) {
            match job {
                Job::Mark {
                    by,
                    now,
                    mark,
                    answer,
                } => group.marks.push((by, now, mark, answer)),
                Job::Record {
                    by,
                    now,
                    record,
                    answer,
                } => {
                    group.records.push((by, now, *record, answer));
                }
                Job::Alone {
                    doing,
                    verb,
                    answer,
                } => {
                    if !run_alone(&mut conn, doing, verb, answer).await {
                        return;
                    }
                }
            }
        }
        if !run_group(&mut conn, group).await {
            return;
        }
    }
    // Everybody who could ask is gone: leave a tidy file behind. A failure
    // here loses nothing, the WAL is replayed at the next start.
    let _ = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
    let _ = sqlx::Connection::close(conn).await;
}

/// Opens the write transaction; waits as long as another process takes.
async fn begin(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    loop {
        match conn.execute("BEGIN IMMEDIATE").await {
            Ok(_) => return Ok(()),
            // Nothing has happened yet: a long import elsewhere is no failure.
            Err(error) if is_busy(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// `false`: the task must stop.
async fn run_alone(
    conn: &mut SqliteConnection,
    doing: &'static str,
    verb: Verb,
    answer: Answer<AnyValue>,
) -> bool {
    if let Err(source) = begin(conn).await {
        let _ = answer.send(Err(StoreError::Statement {
            doing,
            source: Arc::new(source),
        }));
        return true;
    }
    match verb(conn).await {
        Ok(value) => match conn.execute("COMMIT").await {
            Ok(_) => {
                let _ = answer.send(Ok(value));
                true
            }
            Err(source) => {
                let _ = answer.send(Err(StoreError::CommitFailed {
                    doing,
                    source: Arc::new(source),
                }));
                false
            }
        },
        Err(error) => {
            let rolled_back = roll_back(conn).await;
            let _ = answer.send(Err(error));
            rolled_back
        }
    }
}

/// Ends a failed transaction. A full disk makes the engine end it by itself.
async fn roll_back(conn: &mut SqliteConnection) -> bool {
    match conn.execute("ROLLBACK").await {
        Ok(_) => true,
        Err(sqlx::Error::Database(e)) => e.message().contains("no transaction is active"),
        Err(_) => false,
    }
}

/// Answers a group from one commit; `false`: the task must stop. One job the
/// engine refuses must not take the others with it: then each is tried alone.
async fn run_group(conn: &mut SqliteConnection, group: Group) -> bool {
    let jobs = group.marks.len() + group.records.len();
    if jobs == 0 {
        return true;
    }
    let doing = "record what was sent";
    match try_group(conn, &group).await {
        Ok((recorded, marked)) => {
            for ((_, _, _, answer), mine) in group.records.into_iter().zip(recorded) {
                let _ = answer.send(Ok(mine));
            }
            for ((_, _, _, answer), passed) in group.marks.into_iter().zip(marked) {
                let _ = answer.send(Ok(passed));
            }
            true
        }
        Err(Failed::Statement(source)) => {
            if !roll_back(conn).await {
                let source = Arc::new(source);
                group.refuse(|| StoreError::Statement {
                    doing,
                    source: source.clone(),
                });
                return false;
            }
            if jobs > 1 {
                for single in group.singles() {
                    if !Box::pin(run_group(conn, single)).await {
                        return false;
                    }
                }
                return true;
            }
            let source = Arc::new(source);
            group.refuse(|| StoreError::Statement {
                doing,
                source: source.clone(),
            });
            true
        }
        Err(Failed::Commit(source)) => {
            let source = Arc::new(source);
            group.refuse(|| StoreError::CommitFailed {
                doing,
                source: source.clone(),
            });
            false
        }
    }
}

/// Where a group failed.
enum Failed {
    /// Nothing of it was written.
    Statement(sqlx::Error),
    /// Nobody knows.
    Commit(sqlx::Error),
}

async fn try_group(
    conn: &mut SqliteConnection,
    group: &Group,
) -> Result<(Vec<bool>, Vec<bool>), Failed> {
    let records: Vec<_> = group
        .records
        .iter()
        .map(|(by, now, record, _)| (*by, *now, record))
        .collect();
    let marks: Vec<_> = group
        .marks
        .iter()
        .map(|(by, now, mark, _)| (*by, *now, mark))
        .collect();
    begin(conn).await.map_err(Failed::Statement)?;
    let recorded = deliver::record_all(conn, &records)
        .await
        .map_err(Failed::Statement)?;
    let marked = deliver::mark_all(conn, &marks)
        .await
        .map_err(Failed::Statement)?;
    conn.execute("COMMIT").await.map_err(Failed::Commit)?;
    Ok((recorded, marked))
}

impl Group {
    fn singles(self) -> impl Iterator<Item = Group> {
        let records = self.records.into_iter().map(|record| Group {
            records: vec![record],
            marks: Vec::new(),
        });
        let marks = self.marks.into_iter().map(|mark| Group {
            records: Vec::new(),
            marks: vec![mark],
        });
        records.chain(marks)
    }

    fn refuse(self, error: impl Fn() -> StoreError) {
        for (_, _, _, answer) in self.records {
            let _ = answer.send(Err(error()));
        }
        for (_, _, _, answer) in self.marks {
            let _ = answer.send(Err(error()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::open;

    async fn run(writer: &Writer, sql: &'static str) -> Result<(), StoreError> {
        let verb = writer.alone("try", move |c: &mut SqliteConnection| {
            Box::pin(async move {
                let done = sqlx::query(sql).execute(c).await;
                done.map(drop).map_err(|source| StoreError::Statement {
                    doing: "try",
                    source: Arc::new(source),
                })
            })
        });
        verb.await
    }

    #[tokio::test]
    async fn a_full_disk_refuses_the_verb_and_the_writer_lives_on() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("b.sqlite");
        let mut conn = open::writer(&path).await.unwrap();
        // The engine's own word for a disk with nothing left.
        conn.execute("PRAGMA max_page_count = 1").await.unwrap();
        let writer = Writer::start(conn);
        let full = "INSERT INTO meta (name, value) VALUES ('x', hex(zeroblob(9000000)))";
        for _ in 0..2 {
            let refused = run(&writer, full).await.unwrap_err();
            assert!(!refused.is_fatal(), "{refused}");
        }
        run(
            &writer,
            "INSERT INTO meta (name, value) VALUES ('y', 'small')",
        )
        .await
        .unwrap();
    }
}
