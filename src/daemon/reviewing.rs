//! The loop that decides: reviews what is due and handles the ticks of jobs.
//!
//! Several daemons on one database fire the same ticks. Each asks for a tick
//! before it handles it, and one gets it. The others keep it in mind and ask
//! again until it is done: should its handler die, one of them takes it.

use super::{RETRY_AFTER, news, wait};
use crate::app::maildir::Maildir;
use crate::app::scheduler::{Tick, TimedJob, Timers};
use crate::app::{App, AppError};
use crate::daemon::{Job, NIGHTLY};
use crate::domain::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant as Moment;
use tokio_util::sync::CancellationToken;

/// How often a tick is asked for that another worker has.
const ASK_FOR_TICK_EVERY: Duration = Duration::from_secs(5);
/// From the beginning of a review without a tick to that of the next. While
/// thousands of messages go out, many give their orders back to be looked at:
/// gathered, they are one reading and one commit.
const GATHER: Duration = Duration::from_secs(1);

/// Starts the timers of the jobs; ticks arrive at `to`, and `beat` is called
/// as long as they look at the time.
///
/// # Errors
/// The database cannot be read, or the library refuses a job.
pub(super) async fn start_timers(
    app: &App,
    jobs: Vec<Job>,
    to: mpsc::Sender<Tick>,
    beat: impl Fn() + Send + Sync + 'static,
) -> Result<Timers, AppError> {
    let mut timed = Vec::with_capacity(jobs.len());
    for job in jobs {
        let last_done = app.viewer.read.tick(&job.name).await?;
        timed.push(TimedJob {
            name: job.name,
            plan: job.plan,
            last_done,
        });
    }
    Timers::start(timed, app.viewer.clock.clone(), to, beat)
        .await
        .map_err(|error| AppError::Refused(format!("the timers cannot start: {error}")))
}

/// Ticks that are not known to be done, the newest of each job, and when each
/// was last asked for.
#[derive(Default)]
struct Owed(BTreeMap<String, (Instant, Option<Moment>)>);

impl Owed {
    fn add(&mut self, tick: Tick) {
        self.0.insert(tick.job, (tick.due, None));
    }

    /// The next one it is time to ask for.
    fn next(&mut self, now: Moment) -> Option<Tick> {
        let waited = |asked: &Option<Moment>| {
            asked.is_none_or(|at| now.duration_since(at) >= ASK_FOR_TICK_EVERY)
        };
        let (job, (due, asked)) = self.0.iter_mut().find(|(_, (_, asked))| waited(asked))?;
        *asked = Some(now);
        Some(Tick {
            job: job.clone(),
            due: *due,
        })
    }

    /// A newer one of the job may have come meanwhile.
    fn is_done(&mut self, tick: &Tick) {
        if self
            .0
            .get(&tick.job)
            .is_some_and(|(due, _)| *due <= tick.due)
        {
            self.0.remove(&tick.job);
        }
    }
}

/// Waits for the next turn of the review: a job's tick, or `None` where there
/// is [`news`], which is not heard before `gathered`. Without jobs nobody holds
/// the other end of `ticks`; that is a reason to wait for news alone, not to
/// turn without end.
async fn next_turn(
    ticks: &mut mpsc::Receiver<Tick>,
    commits: &mut watch::Receiver<()>,
    gathered: Moment,
    stop: &CancellationToken,
) -> Option<Tick> {
    let gathering = async {
        tokio::select! {
            () = tokio::time::sleep_until(gathered) => {}
            () = stop.cancelled() => {}
        }
        news(commits, stop).await;
    };
    tokio::select! {
        Some(tick) = ticks.recv() => Some(tick),
        () = gathering => None,
    }
}

/// Reviews until `stop`.
///
/// # Errors
/// The database is unusable.
pub(super) async fn review_loop(
    app: App,
    mut ticks: mpsc::Receiver<Tick>,
    mut commits: watch::Receiver<()>,
    stop: CancellationToken,
) -> Result<(), AppError> {
    let mut owed = Owed::default();
    let mut gathered = Moment::now();
    loop {
        if let Some(tick) = next_turn(&mut ticks, &mut commits, gathered, &stop).await {
            owed.add(tick);
        }
        if stop.is_cancelled() {
            return Ok(());
        }
        gathered = Moment::now() + GATHER;
        match turn(&app, &mut owed).await {
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                tracing::error!("the review failed and is tried again: {error}");
                if wait(RETRY_AFTER, &stop).await {
                    return Ok(());
                }
            }
            Ok(()) => {}
        }
    }
}

/// One tick, or else what is due.
async fn turn(app: &App, owed: &mut Owed) -> Result<(), AppError> {
    if let Some(tick) = owed.next(Moment::now()) {
        if app.viewer.read.tick(&tick.job).await? >= Some(tick.due) {
            owed.is_done(&tick);
            return Ok(());
        }
        let taken = app
            .store
            .lease_tick(&tick.job, tick.due, app.worker, app.now());
        if taken.await? {
            tracing::debug!(job = tick.job, due = %tick.due.to_utc(), "took a tick");
            handle(app, &tick).await?;
            owed.is_done(&tick);
            return Ok(());
        }
    }
    match app.viewer.read.next_review().await? {
        Some(due) if due <= app.now() => review(app, "review", None).await,
        // Another process may have looked at everything.
        _ => app.settings_have_spoken().await,
    }
}

async fn handle(app: &App, tick: &Tick) -> Result<(), AppError> {
    if tick.job == NIGHTLY {
        nightly(app, tick).await
    } else {
        review(app, &tick.job, Some(tick.due)).await
    }
}

async fn review(app: &App, job: &str, tick: Option<Instant>) -> Result<(), AppError> {
    let report = app.review_due(job, "backorderd", tick).await?;
    if report.messages > 0 {
        tracing::info!(
            run = report.run.map(|run| run.0),
            orders = report.orders,
            messages = report.messages,
            held = report.held,
            "reviewed"
        );
    }
    if report.held > 0 {
        tracing::warn!(
            run = report.run.map(|run| run.0),
            held = report.held,
            "messages wait for a person: backorderd runs list"
        );
    }
    Ok(())
}

async fn nightly(app: &App, tick: &Tick) -> Result<(), AppError> {
    let overlooked = app.reconcile().await?;
    if overlooked > 0 {
        tracing::error!(
            overlooked,
            "orders were owed a look that the work list did not know of; they are looked at now"
        );
    }
    app.store.forget_reports(app.now()).await?;
    app.store.forget_texts(app.now()).await?;
    if let Some(path) = &app.settings().bounce_maildir {
        Maildir::at(path.clone()).forget(app.now());
    }
    app.store.store_tick(&tick.job, tick.due).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    fn tick(job: &str, due: i64) -> Tick {
        Tick {
            job: job.to_owned(),
            due: Instant(due),
        }
    }

    #[test]
    fn a_tick_another_has_is_asked_for_again_until_it_is_done() {
        let now = Moment::now();
        let later = now + ASK_FOR_TICK_EVERY;
        let mut owed = Owed::default();
        owed.add(tick("review", 1));
        assert_eq!(owed.next(now), Some(tick("review", 1)));
        assert_eq!(owed.next(now), None);
        assert_eq!(owed.next(later), Some(tick("review", 1)));
        owed.is_done(&tick("review", 1));
        assert_eq!(owed.next(later + ASK_FOR_TICK_EVERY), None);
    }

    #[test]
    fn the_newest_tick_of_a_job_covers_the_older_ones() {
        let now = Moment::now();
        let mut owed = Owed::default();
        owed.add(tick("review", 1));
        owed.add(tick("nightly", 1));
        owed.add(tick("review", 2));
        // The older one was being handled when the newer one came.
        owed.is_done(&tick("review", 1));
        assert_eq!(owed.next(now), Some(tick("nightly", 1)));
        assert_eq!(owed.next(now), Some(tick("review", 2)));
        assert_eq!(owed.next(now), None);
    }

    /// What a first look at the next turn finds: `None` while there is
    /// nothing to do.
    fn first_look(
        tick: Option<Tick>,
        jobs: bool,
        commits: bool,
        stopped: bool,
    ) -> Option<Option<Tick>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (ticks_in, mut ticks) = mpsc::channel(1);
            if let Some(tick) = tick {
                ticks_in.try_send(tick).unwrap();
            }
            let ticks_in = jobs.then_some(ticks_in);
            let (commits_in, mut seen) = watch::channel(());
            let commits_in = commits.then_some(commits_in);
            let stop = CancellationToken::new();
            if stopped {
                stop.cancel();
            }
            let gathered = Moment::now();
            let mut turn = pin!(next_turn(&mut ticks, &mut seen, gathered, &stop));
            let look = poll_fn(|cx| {
                Poll::Ready(match turn.as_mut().poll(cx) {
                    Poll::Ready(found) => Some(found),
                    Poll::Pending => None,
                })
            });
            let found = look.await;
            drop((ticks_in, commits_in));
            found
        })
    }

    #[test]
    fn a_turn_comes_for_a_reason_and_not_because_somebody_is_gone() {
        for (sentence, jobs, commits) in [
            ("all are there", true, true),
            ("no job is configured", false, true),
            ("nobody watches for commits any more", true, false),
            ("neither", false, false),
        ] {
            assert_eq!(first_look(None, jobs, commits, false), None, "{sentence}");
            let stopped = first_look(None, jobs, commits, true);
            assert_eq!(stopped, Some(None), "{sentence}, and it is time to stop");
        }
        let tick = Tick {
            job: NIGHTLY.to_owned(),
            due: Instant(0),
        };
        let ticked = first_look(Some(tick.clone()), true, true, false);
        assert_eq!(ticked, Some(Some(tick)));
    }
}
