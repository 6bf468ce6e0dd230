//! The writers: tasks that own the writing connections, and how they are asked.
//!
//! The two hot verbs, *mark* and *record*, are grouped ([`group`]). Every other
//! verb is a transaction of its own ([`task`]).
//!
//! SQLite has one task for all; PostgreSQL has one for the hot verbs, one for
//! heartbeats and one for the rest, so that a long plan neither stops the
//! sending nor makes the process look dead.
//!
//! Nobody can cancel a transaction: callers hold only the receiving end of an
//! answer. A verb may run more than once (the connection was lost before its
//! commit, the engine broke a deadlock), each time from its beginning and on
//! the arguments it was given; it is answered once. When it is unknown whether
//! a commit happened the task stops; whoever asks afterwards hears
//! [`StoreError::Closed`] and the process ends.

mod group;
mod task;

use crate::domain::ids::WorkerId;
use crate::domain::time::Instant;
use crate::store::conn::Conn;
use crate::store::statement::Halt;
use crate::store::types::{Mark, Record, StoreError};
use crate::store::write::deliver;
use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

pub use task::Failed;

/// Jobs that may wait; beyond it callers wait to hand theirs in.
const QUEUE_MAX: usize = 1024;

/// An engine's transactions on one connection, one after another.
pub trait Engine: Send + 'static {
    /// Opens a transaction; waits as long as the engine is busy or away. One
    /// that gathers opens it with the verb's first question, unless the last
    /// transaction failed.
    fn begin(&mut self) -> impl Future<Output = Result<Conn<'_>, sqlx::Error>> + Send;
    /// Ends it, and lets those hear of it who have to look.
    fn commit(&mut self, wakes: Wakes) -> impl Future<Output = Committed> + Send;
    /// Takes it back; `false`: the connection cannot be used any more.
    fn roll_back(&mut self) -> impl Future<Output = bool> + Send;
    /// Whether the same verb may succeed if it runs again.
    fn is_worth_another_try(&self, error: &sqlx::Error) -> bool;
    /// Marks and records that share a commit, in a transaction of their own.
    fn record_and_mark(
        &mut self,
        asked: Arc<Asked>,
    ) -> impl Future<Output = Result<Answers, Failed>> + Send
    where
        Self: Sized,
    {
        async move {
            task::transact(self, RECORDING, &*asked, |conn, asked| {
                Box::pin(async move {
                    let answers = deliver::record_and_mark(conn, asked).await?;
                    let wakes = answers.wakes();
                    Ok((answers, wakes))
                })
            })
            .await
        }
    }
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What a group of marks and records is about to do.
pub const RECORDING: &str = "record what was sent";

/// Marks and records that share a commit, each with its worker and the time.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub records: Vec<(WorkerId, Instant, Record)>,
    pub marks: Vec<(WorkerId, Instant, Mark)>,
}

/// For each of them, in their order: whether the attempt was still its worker's,
/// whether the message may be sent.
#[derive(Debug)]
pub struct Answers {
    pub recorded: Vec<bool>,
    pub marked: Vec<bool>,
    /// No order has to be looked at for what was recorded.
    pub all_rest: bool,
}

impl Answers {
    /// What was sent may give this process orders to review; others find them
    /// soon enough, and need not be told of every message.
    pub fn wakes(&self) -> Wakes {
        let recorded = self.recorded.contains(&true);
        if recorded && !self.all_rest {
            Wakes::Us
        } else {
            Wakes::nobody_if(recorded || self.marked.contains(&true))
        }
    }
}

/// How a commit ended.
#[derive(Debug)]
pub enum Committed {
    /// Durably.
    Yes,
    /// Nothing was written.
    No(sqlx::Error),
    /// Nobody knows.
    Unknown(sqlx::Error),
}

/// Who has to look after a verb, judged by what it answers. A loop that tidies
/// up whenever it hears of a commit must not hear of its own that changed
/// nothing, or it never rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakes {
    /// Every process: something fell due.
    Others,
    /// This process.
    Us,
    /// Nobody: what was written is nobody's business.
    Nobody,
    /// Nobody, for nothing was written: there is nothing to commit.
    Unchanged,
}

impl Wakes {
    /// For a verb that falls due for everybody if it changes anything at all.
    pub fn others_if(changed: bool) -> Wakes {
        if changed {
            Wakes::Others
        } else {
            Wakes::Unchanged
        }
    }

    /// For a verb whose changes are its caller's business alone, if it makes
    /// any.
    pub fn nobody_if(changed: bool) -> Wakes {
        if changed {
            Wakes::Nobody
        } else {
            Wakes::Unchanged
        }
    }
}

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;
type AnyValue = Box<dyn Any + Send>;
/// What a verb is doing, until it is done.
pub type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, Halt>> + Send + 'c>>;
type Verb = Box<dyn for<'c, 'e> Fn(&'c mut Conn<'e>) -> Work<'c, (AnyValue, Wakes)> + Send + Sync>;

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
    Alone(Alone),
}

/// One verb in one transaction.
struct Alone {
    doing: &'static str,
    verb: Verb,
    answer: Answer<AnyValue>,
}

/// A handle to the tasks; clones share them.
#[derive(Clone)]
pub struct Writer {
    hot: mpsc::Sender<Job>,
    beats: mpsc::Sender<Job>,
    rest: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts one task over an open connection.
    pub fn one(engine: impl Engine) -> Writer {
        let jobs = start(engine);
        Writer {
            hot: jobs.clone(),
            beats: jobs.clone(),
            rest: jobs,
        }
    }

    /// Starts a task for marks and records, one for heartbeats and one for
    /// everything else.
    pub fn three(hot: impl Engine, beats: impl Engine, rest: impl Engine) -> Writer {
        Writer {
            hot: start(hot),
            beats: start(beats),
            rest: start(rest),
        }
    }

    /// The same, but what it does alone does not wait behind other verbs.
    pub(crate) fn for_beats(&self) -> Writer {
        Writer {
            rest: self.beats.clone(),
            ..self.clone()
        }
    }

    /// Runs `verb` as one transaction; `wakes` says of its answer who has to
    /// look.
    ///
    /// # Errors
    /// What the verb answers; it is unknown whether it was committed; the task
    /// has stopped.
    pub async fn alone<T, F>(
        &self,
        doing: &'static str,
        wakes: fn(&T) -> Wakes,
        verb: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c, 'e> Fn(&'c mut Conn<'e>) -> Work<'c, T> + Send + Sync + 'static,
    {
        let (answer, reply) = oneshot::channel();
        let verb: Verb = Box::new(move |conn| {
            let work = verb(conn);
            Box::pin(async move {
                let value = work.await?;
                let wakes = wakes(&value);
                Ok((Box::new(value) as AnyValue, wakes))
            })
        });
        let job = Job::Alone(Alone {
            doing,
            verb,
            answer,
        });
        hand_in(&self.rest, job).await?;
        let value = reply.await.map_err(|_| StoreError::Closed)??;
        value
            .downcast::<T>()
            .map(|value| *value)
            .map_err(|_| StoreError::Closed)
    }

    /// See [`crate::store::Store::mark`].
    pub async fn mark(&self, by: WorkerId, mark: Mark, now: Instant) -> Result<bool, StoreError> {
        let (answer, reply) = oneshot::channel();
        let job = Job::Mark {
            by,
            now,
            mark,
            answer,
        };
        hand_in(&self.hot, job).await?;
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
        let job = Job::Record {
            by,
            now,
            record: Box::new(record),
            answer,
        };
        hand_in(&self.hot, job).await?;
        reply.await.map_err(|_| StoreError::Closed)?
    }
}

fn start(engine: impl Engine) -> mpsc::Sender<Job> {
    let (jobs, inbox) = mpsc::channel(QUEUE_MAX);
    tokio::spawn(task::serve(engine, inbox));
    jobs
}

async fn hand_in(to: &mpsc::Sender<Job>, job: Job) -> Result<(), StoreError> {
    to.send(job).await.map_err(|_| StoreError::Closed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::engine::SqliteEngine;
    use crate::store::sqlite::open;
    use crate::store::statement::run;
    use sqlx::Executor;

    async fn try_out(writer: &Writer, sql: &'static str) -> Result<(), StoreError> {
        let verb = writer.alone(
            "try",
            |()| Wakes::Nobody,
            move |c| {
                Box::pin(async move {
                    run!(c, sql)?;
                    Ok(())
                })
            },
        );
        verb.await
    }

    #[tokio::test]
    async fn a_full_disk_refuses_the_verb_and_the_writer_lives_on() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("b.sqlite");
        let mut conn = open::writer(&path).await.unwrap();
        // The engine's own word for a disk with nothing left.
        conn.execute("PRAGMA max_page_count = 1").await.unwrap();
        let writer = Writer::one(SqliteEngine::new(conn, &path));
        let full = "INSERT INTO meta (name, value) VALUES ('x', hex(zeroblob(9000000)))";
        for _ in 0..2 {
            let refused = try_out(&writer, full).await.unwrap_err();
            assert!(!refused.is_fatal(), "{refused}");
        }
        try_out(
            &writer,
            "INSERT INTO meta (name, value) VALUES ('y', 'small')",
        )
        .await
        .unwrap();
    }
}
