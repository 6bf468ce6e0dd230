//! The daemon's life: lock, take over, tell systemd, loop, drain, end.
//!
//! Three loops. *Reviewing* looks once a second whether an order's wake-up has
//! come (one look at an index) and runs the job whose tick was fired.
//! *Delivering* sends what is due. *Receiving* takes in what came back. Whoever else writes to the database
//! (import, hold, a run by hand) is seen by the next look.
//!
//! Stop: no new work, let what is on its way end, give leases back, close.
//! A second signal ends at once; what was between dot and answer is in doubt
//! and taken over at the next start. A fatal database error ends the process:
//! nobody knows what is on disk, and the re-read database is the truth.

use crate::app::deliver::Delivery;
use crate::app::maildir::Maildir;
use crate::app::scheduler::{Tick, TimedJob, Timers};
use crate::app::{App, AppError};
use crate::domain::schedule::CronPlan;
use crate::domain::verp::VerpKey;
use crate::store::sqlite::lock::LockAttempt;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// How often each loop looks for work that time alone makes due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it asks whether anybody committed something.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// A trouble that may pass is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// How long a stop waits for answers to final dots; below the unit's
/// `TimeoutStopSec`, so that it is us who say what is in doubt.
const STOP_GRACE: Duration = Duration::from_secs(80);
/// A loop that has not turned for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// A job with its pattern; `nightly` reconciles, every other one reviews.
#[derive(Clone, Debug)]
pub struct Job {
    pub name: String,
    pub plan: CronPlan,
}

/// The job that checks the work list against a full look.
pub const NIGHTLY: &str = "nightly";

fn tell(state: &[NotifyState<'_>]) {
    // Outside systemd nobody listens; that is fine.
    if let Err(error) = tell_manager(state) {
        tracing::warn!("systemd cannot be told: {error}");
    }
}

/// The library knows sockets in the file system only; inside containers the
/// manager's socket is often an abstract one, written with an `@`.
#[expect(
    clippy::disallowed_methods,
    reason = "where the manager listens is asked here only"
)]
fn tell_manager(state: &[NotifyState<'_>]) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let socket = std::env::var("NOTIFY_SOCKET").unwrap_or_default();
    let Some(name) = socket.strip_prefix('@') else {
        return sd_notify::notify(state);
    };
    let words: String = state.iter().map(|word| format!("{word}\n")).collect();
    let manager = SocketAddr::from_abstract_name(name)?;
    UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &manager)?;
    Ok(())
}

/// Runs until `stop` is cancelled.
///
/// # Errors
/// The database is unusable, or nobody has gone live: the process ends.
pub async fn serve(app: App, jobs: Vec<Job>, stop: CancellationToken) -> Result<(), AppError> {
    app.require_live_act().await?;
    let Some(lock) = wait_for_lock(&app, &stop).await? else {
        return Ok(());
    };
    if !wait_for_disk(&app, &stop).await {
        return Ok(());
    }
    app.notice_changed_policy().await?;
    let (delivery, swept) = Delivery::start(app.clone(), lock).await?;
    if swept != Default::default() {
        tracing::warn!(
            queued = swept.queued,
            in_doubt = swept.in_doubt,
            poisoned = swept.poisoned,
            "took over what an earlier process left unfinished"
        );
    }
    let (ticks_in, ticks) = mpsc::channel(64);
    let timers = start_timers(&app, jobs, ticks_in).await?;
    tracing::info!(mode = app.settings().reach.as_str(), "ready");
    tell(&[NotifyState::Ready, NotifyState::Status("ready")]);

    let beat = Arc::new(AtomicU64::new(0));
    let (commits_in, commits) = watch::channel(());
    tokio::spawn(watch_commits(app.clone(), commits_in, stop.clone()));
    let reviewing = review_loop(
        app.clone(),
        ticks,
        commits.clone(),
        beat.clone(),
        stop.clone(),
    );
    let reviewing = tokio::spawn(reviewing);
    let delivering = tokio::spawn(delivery_loop(app.clone(), delivery, commits, stop.clone()));
    let receiving = tokio::spawn(receipt_loop(app.clone(), stop.clone()));
    let watching = tokio::spawn(watchdog(app.clone(), beat, stop.clone()));

    // A loop ending early means trouble: all have to end.
    let mut reviewing = reviewing;
    let mut delivering = delivering;
    let mut receiving = receiving;
    let mut first_error = None;
    tokio::select! {
        () = stop.cancelled() => {}
        ended = &mut reviewing => {
            first_error = outcome(ended).err();
            stop.cancel();
        }
        ended = &mut delivering => {
            first_error = outcome(ended).err();
            stop.cancel();
        }
        ended = &mut receiving => {
            first_error = outcome(ended).err();
            stop.cancel();
        }
    }
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("letting what is on its way end"),
    ]);
    timers.stop().await;
    for task in [&mut reviewing, &mut delivering, &mut receiving] {
        if task.is_finished() {
            continue;
        }
        match tokio::time::timeout(STOP_GRACE, task).await {
            Ok(ended) => first_error = first_error.or(outcome(ended).err()),
            Err(_) => tracing::warn!("a message's answer did not come in time: it is in doubt"),
        }
    }
    watching.abort();
    tracing::info!("stopped");
    match first_error {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn outcome(ended: Result<Result<(), AppError>, tokio::task::JoinError>) -> Result<(), AppError> {
    match ended {
        Ok(result) => result,
        Err(error) => Err(AppError::Refused(format!(
            "a loop of the daemon broke: {error}"
        ))),
    }
}

/// Waits while another process (a run by hand, an older daemon) sends.
async fn wait_for_lock(
    app: &App,
    stop: &CancellationToken,
) -> Result<Option<crate::store::sqlite::lock::DeliveryLock>, AppError> {
    let mut told = false;
    loop {
        let attempt = app
            .store
            .try_delivery_lock()
            .map_err(|source| AppError::Io {
                doing: "make the delivery lock",
                source,
            })?;
        match attempt {
            LockAttempt::Taken(lock) => return Ok(Some(lock)),
            LockAttempt::HeldBy(pid) => {
                if !told {
                    tracing::warn!(
                        pid,
                        "another process sends from this database; waiting for it"
                    );
                    tell(&[NotifyState::Status("waiting: another process sends")]);
                    told = true;
                }
            }
        }
        if wait(LOOK_EVERY, stop).await {
            return Ok(None);
        }
    }
}

/// Waits until the disk takes a commit: with a full disk the daemon stays up,
/// sends nothing and says why.
async fn wait_for_disk(app: &App, stop: &CancellationToken) -> bool {
    loop {
        match app.store.probe(app.now()).await {
            Ok(()) => return true,
            Err(error) => {
                tracing::error!("nothing is sent, the database cannot be written: {error}");
                tell(&[NotifyState::Status(
                    "not sending: the database cannot be written",
                )]);
            }
        }
        if wait(RETRY_AFTER, stop).await {
            return false;
        }
    }
}

/// `true` when it is time to stop.
async fn wait(length: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = tokio::time::sleep(length) => false,
    }
}

/// Says when anybody committed something, in this process or another. A task
/// of its own, because a question to the database is never dropped half-way.
async fn watch_commits(app: App, to: watch::Sender<()>, stop: CancellationToken) {
    let mut commits = None;
    while !wait(ASK_EVERY, &stop).await {
        match &mut commits {
            None => commits = app.viewer.read.watch().await.ok(),
            Some(watch) => {
                if watch.has_news().await.unwrap_or(false) {
                    to.send_replace(());
                }
            }
        }
    }
}

/// Returns after [`LOOK_EVERY`], or sooner when there is news or it is time to
/// stop.
async fn news(commits: &mut watch::Receiver<()>, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        Ok(()) = commits.changed() => {}
        () = tokio::time::sleep(LOOK_EVERY) => {}
    }
}

/// Waits for the next turn of the review: a job's tick, or `None` where there
/// is [`news`]. Without jobs nobody holds the other end of `ticks`; that is a
/// reason to wait for news alone, not to turn without end.
async fn next_turn(
    ticks: &mut mpsc::Receiver<Tick>,
    commits: &mut watch::Receiver<()>,
    stop: &CancellationToken,
) -> Option<Tick> {
    tokio::select! {
        Some(tick) = ticks.recv() => Some(tick),
        () = news(commits, stop) => None,
    }
}

async fn start_timers(
    app: &App,
    jobs: Vec<Job>,
    to: mpsc::Sender<Tick>,
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
    Timers::start(timed, app.viewer.clock.clone(), to)
        .await
        .map_err(|error| AppError::Refused(format!("the timers cannot start: {error}")))
}

async fn review_loop(
    app: App,
    mut ticks: mpsc::Receiver<Tick>,
    mut commits: watch::Receiver<()>,
    beat: Arc<AtomicU64>,
    stop: CancellationToken,
) -> Result<(), AppError> {
    loop {
        let tick = next_turn(&mut ticks, &mut commits, &stop).await;
        if stop.is_cancelled() {
            return Ok(());
        }
        let turn = match tick {
            Some(tick) if app.viewer.read.tick(&tick.job).await? >= Some(tick.due) => Ok(()),
            Some(tick) if tick.job == NIGHTLY => nightly(&app, tick).await,
            Some(tick) => review(&app, &tick.job, Some(tick.due)).await,
            None => match app.viewer.read.next_review().await? {
                Some(due) if due <= app.now() => review(&app, "review", None).await,
                _ => Ok(()),
            },
        };
        match turn {
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                tracing::error!("the review failed and is tried again: {error}");
                if wait(RETRY_AFTER, &stop).await {
                    return Ok(());
                }
            }
            Ok(()) => {}
        }
        beat.fetch_add(1, Ordering::Relaxed);
    }
}

async fn review(
    app: &App,
    job: &str,
    tick: Option<crate::domain::time::Instant>,
) -> Result<(), AppError> {
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

async fn nightly(app: &App, tick: Tick) -> Result<(), AppError> {
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

/// Takes in what lies in the Maildir, and applies receipts that came before
/// our own record of what they are about.
async fn receipt_loop(app: App, stop: CancellationToken) -> Result<(), AppError> {
    let key = app.viewer.key.verp_key();
    let mut maildir = app.settings().bounce_maildir.clone().map(Maildir::at);
    while !wait(LOOK_EVERY, &stop).await {
        match receive(&app, maildir.as_mut(), &key).await {
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                tracing::error!("what came back cannot be taken in, and stays there: {error}");
                if wait(RETRY_AFTER, &stop).await {
                    break;
                }
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

async fn receive(app: &App, maildir: Option<&mut Maildir>, key: &VerpKey) -> Result<(), AppError> {
    if app.viewer.read.receipts_wait().await? {
        let messages = app.store.apply_receipts(app.now()).await?;
        if messages > 0 {
            tracing::info!(messages, "applied reports that had waited");
        }
    }
    let Some(maildir) = maildir else {
        return Ok(());
    };
    let look = maildir.look(&app.store, key, app.now()).await?;
    if look.taken > 0 {
        tracing::info!(
            mails = look.taken,
            unclear = look.set_aside,
            "took in what came back"
        );
    }
    for trouble in look.troubles {
        tracing::warn!("a mail that came back cannot be read: {trouble}");
    }
    Ok(())
}

async fn delivery_loop(
    app: App,
    mut delivery: Delivery,
    mut commits: watch::Receiver<()>,
    stop: CancellationToken,
) -> Result<(), AppError> {
    let mut held = false;
    let result = loop {
        let now_held = crate::app::hold_file::is_held(&app.settings().state_dir);
        if now_held != held {
            held = now_held;
            if held {
                tracing::warn!("the hold file is there: nothing is sent until it is gone");
            } else {
                tracing::info!("the hold file is gone: sending goes on");
            }
        }
        match delivery.drain(None, &stop, |_| ()).await {
            Ok(_) => {}
            // Whatever broke, an outcome may be unrecorded: end, and take
            // over what is unfinished at the next start.
            Err(error) => break Err(error),
        }
        news(&mut commits, &stop).await;
        if stop.is_cancelled() {
            break Ok(());
        }
    };
    if result.is_ok() {
        delivery.stop().await;
    }
    result
}

/// Tells systemd that we live, but only while reviewing makes progress and the
/// database answers. A timer of its own would prove nothing.
async fn watchdog(app: App, beat: Arc<AtomicU64>, stop: CancellationToken) {
    let Some(interval) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut last = (beat.load(Ordering::Relaxed), tokio::time::Instant::now());
    while !wait(interval / 2, &stop).await {
        let now = beat.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, tokio::time::Instant::now());
        }
        let alive = last.1.elapsed() < STUCK_AFTER.max(interval);
        if alive && app.viewer.read.meta("mode").await.is_ok() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Instant;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

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
            let mut turn = pin!(next_turn(&mut ticks, &mut seen, &stop));
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
