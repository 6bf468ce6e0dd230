//! What a writing task does: takes what waits, answers it, goes on.
//!
//! Verbs that are alone come after the group that was gathered with them: the
//! group's sessions wait for it, and what it records makes room for a claim. Who
//! asked at the same time has no answer yet, so either may be the first.

use super::group::{self, Group};
use super::{Alone, Committed, Engine, Job, Wakes, Work};
use crate::crash_point::crash_point;
use crate::store::conn::Conn;
use crate::store::statement::Halt;
use crate::store::types::StoreError;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Most jobs taken at a time.
const JOBS_MAX: usize = 256;
/// How often everybody who is ready goes first before a group is closed: it
/// costs no waiting, and answers that have just arrived share the commit. With
/// sixteen sessions ten messages a commit in place of six; a timer in its place
/// made larger groups and was slower.
const BREATHS: usize = 4;
/// A record and a mark: as many jobs as one session hands in at a time.
const OF_ONE_SESSION: usize = 2;
/// How often a verb gives way or is cut off before that is its answer.
const TRIES_MAX: u32 = 20;

/// Answers jobs until nobody is left who could ask, or the connection is of no
/// use any more.
pub(super) async fn serve(mut engine: impl Engine, mut inbox: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(JOBS_MAX);
    let mut n_last = 0;
    while inbox.recv_many(&mut jobs, JOBS_MAX).await > 0 {
        let mut n_jobs = jobs.len();
        let mut group = Group::default();
        let mut alone: Vec<Alone> = jobs.drain(..).filter_map(|job| group.take(job)).collect();
        // One session's, and so was the last: as a rule it is the only one, and
        // nobody else comes.
        let is_complete = n_last <= OF_ONE_SESSION && group.n_jobs() >= n_last;
        let breaths = if is_complete { 0 } else { BREATHS };
        for _ in 0..breaths {
            tokio::task::yield_now().await;
        }
        while n_jobs < JOBS_MAX
            && let Ok(job) = inbox.try_recv()
        {
            alone.extend(group.take(job));
            n_jobs += 1;
        }
        if group.n_jobs() > 0 {
            n_last = group.n_jobs();
        }
        if !group::answer(&mut engine, group).await {
            return;
        }
        for job in alone {
            if !run_alone(&mut engine, job).await {
                return;
            }
        }
    }
    engine.close().await;
}

/// How a transaction ended that was not committed.
#[derive(Debug)]
pub enum Failed {
    /// Nothing of it was written, and this is the answer.
    Taken(StoreError),
    /// Nothing of it was written; the connection is of no use any more.
    Stuck(StoreError),
    /// Nobody knows.
    Unknown(StoreError),
}

impl Failed {
    /// Of a commit. Whoever asks next only hears that nobody writes any more.
    pub fn unknown(doing: &'static str, source: sqlx::Error) -> Failed {
        tracing::error!("a commit failed while trying to {doing}: {source}");
        let source = Arc::new(source);
        Failed::Unknown(StoreError::CommitFailed { doing, source })
    }
}

/// Runs the work in a transaction until it is committed or has its answer.
pub(super) async fn transact<E: Engine, A, T>(
    engine: &mut E,
    doing: &'static str,
    asked: &A,
    work: impl for<'c, 'e> Fn(&'c mut Conn<'e>, &'c A) -> Work<'c, (T, Wakes)>,
) -> Result<T, Failed> {
    let mut tries = 0;
    loop {
        tries += 1;
        let halt = match engine.begin().await {
            // A connection could not be had, however long it was tried.
            Err(source) => return Err(Failed::Taken(Halt::from(source).while_trying(doing))),
            Ok(mut conn) => match work(&mut conn, asked).await {
                Err(halt) => halt,
                Ok((value, Wakes::Unchanged)) => {
                    if engine.roll_back().await {
                        return Ok(value);
                    }
                    return Err(Failed::Stuck(StoreError::Closed));
                }
                Ok((value, wakes)) => {
                    crash_point("commit-begins");
                    match engine.commit(wakes).await {
                        Committed::Yes => {
                            crash_point("committed");
                            return Ok(value);
                        }
                        Committed::No(source) => Halt::from(source),
                        Committed::Unknown(source) => return Err(Failed::unknown(doing, source)),
                    }
                }
            },
        };
        let rolled_back = engine.roll_back().await;
        let again =
            tries < TRIES_MAX && matches!(&halt, Halt::Engine(e) if engine.is_worth_another_try(e));
        if !rolled_back {
            return Err(Failed::Stuck(halt.while_trying(doing)));
        }
        if !again {
            return Err(Failed::Taken(halt.while_trying(doing)));
        }
    }
}

/// `false`: the task must stop.
async fn run_alone(engine: &mut impl Engine, job: Alone) -> bool {
    let done = transact(engine, job.doing, &job.verb, |conn, verb| verb(conn)).await;
    let (answer, goes_on) = match done {
        Ok(value) => (Ok(value), true),
        Err(Failed::Taken(error)) => (Err(error), true),
        Err(Failed::Stuck(error) | Failed::Unknown(error)) => (Err(error), false),
    };
    let _ = job.answer.send(answer);
    goes_on
}
