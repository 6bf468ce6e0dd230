//! The daemon's life: lock, enlist, take over, tell systemd, loop, drain, leave.
//!
//! Its loops, or some of them in a process that only plans or only delivers:
//! *reviewing* looks once a second whether an order's wake-up has come (one
//! look at an index) and runs the job whose tick was fired, *delivering* sends
//! what is due, *receiving* takes in what came back. Whoever else writes to the
//! database (import, hold, a run by hand) is seen by the next look.
//!
//! Each loop beats for itself ([`Beats`]): one that hangs is named, and not
//! hidden by another that turns.
//!
//! Stop: no new work, let what is on its way end, give leases back, close.
//! A second signal ends at once; what was between dot and answer is in doubt
//! and taken over at the next start, or by another worker. A fatal database
//! error ends the process: nobody knows what is on disk, and the re-read
//! database is the truth.

mod beats;
mod feeds;
mod manager;
mod receiving;
mod reviewing;
mod templates;

use crate::app::deliver::Delivery;
use crate::app::worker::{Enlisted, Fence};
use crate::app::{App, AppError};
use crate::crash_point::crash_point;
use crate::domain::schedule::CronPlan;
use crate::domain::worker::Role;
use crate::store::Place;
use crate::store::sqlite::lock::{DeliveryLock, LockAttempt};
use crate::store::write::sweep::Swept;
use crate::telemetry::whole_story;
use beats::{PATIENCE_TICKING, PATIENCE_WRITING};
use manager::{tell, watchdog};
use receiving::receipt_loop;
use reviewing::{review_loop, start_timers};
use sd_notify::NotifyState;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use beats::Beats;

/// How often each loop looks for work that time alone makes due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it asks whether anybody committed something.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// A trouble that may pass is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// How long a stop waits for answers to final dots; below the unit's
/// `TimeoutStopSec`, so that it is us who say what is in doubt.
const STOP_GRACE: Duration = Duration::from_secs(80);
/// How often a worker looks whether another died, at the most.
const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// A job with its pattern; `nightly` reconciles, every other one reviews.
#[derive(Clone, Debug)]
pub struct Job {
    pub name: String,
    pub plan: CronPlan,
}

/// The job that checks the work list against a full look.
pub const NIGHTLY: &str = "nightly";

/// What this process is among the others.
#[derive(Clone, Debug)]
pub struct Post {
    pub role: Role,
    /// What the operator calls it.
    pub name: Option<String>,
}

/// Runs until `stop` is cancelled. The service manager hears that we live while
/// every loop of `beats` turns; those of this daemon are added to it.
///
/// # Errors
/// The database is unusable, nobody has gone live, or others declared this
/// process dead: it ends.
pub async fn serve(
    app: App,
    jobs: Vec<Job>,
    post: Post,
    beats: Beats,
    stop: CancellationToken,
) -> Result<(), AppError> {
    app.require_live_act().await?;
    let Some(lock) = wait_for_lock(&app, &stop).await? else {
        return Ok(());
    };
    if !wait_for_disk(&app, &stop).await {
        return Ok(());
    }
    if post.role.plans() {
        app.notice_changed_policy().await?;
    }
    let enlisted = Enlisted::enlist(&app, post.role, post.name.as_deref()).await?;
    let enlisted = enlisted.until(&stop);
    crash_point("enlisted");
    let result = work(&app, jobs, post.role, &enlisted, lock, (beats, &stop)).await;
    crash_point("leaving");
    // After a failure it is unknown what is still in hands: others take over
    // when this worker has been silent for long enough.
    let result = match result {
        Ok(()) => enlisted.leave().await,
        Err(error) => Err(error),
    };
    tracing::info!("stopped");
    result
}

/// Everything between coming and leaving.
async fn work(
    app: &App,
    jobs: Vec<Job>,
    role: Role,
    enlisted: &Enlisted,
    lock: DeliveryLock,
    (beats, stop): (Beats, &CancellationToken),
) -> Result<(), AppError> {
    let (commits_in, commits) = watch::channel(());
    let mut loops = JoinSet::new();
    let mut timers = None;
    if role.delivers() {
        let (delivery, swept) = Delivery::start(app.clone(), enlisted, lock).await?;
        report_swept(swept);
        let delivering = delivery_loop(app.clone(), delivery, commits.clone(), stop.clone());
        loops.spawn(beats.of("delivering", PATIENCE_WRITING, delivering));
    }
    if role.plans() {
        let (ticks_in, ticks) = mpsc::channel(64);
        let beat = beats.expect("timers", PATIENCE_TICKING);
        timers = Some(start_timers(app, jobs, ticks_in, move || beat.beat()).await?);
        let reviewing = review_loop(app.clone(), ticks, commits, stop.clone());
        loops.spawn(beats.of("reviewing", PATIENCE_WRITING, reviewing));
        let receiving = receipt_loop(app.clone(), stop.clone());
        loops.spawn(beats.of("receiving", PATIENCE_WRITING, receiving));
        tokio::spawn(feeds::watch_feeds(app.clone(), stop.clone()));
    }
    if matches!(app.store.place(), Place::Postgres(_)) {
        let sweeping = sweep_loop(app.clone(), enlisted.fence(), stop.clone());
        loops.spawn(beats.of("sweeping", PATIENCE_WRITING, sweeping));
    }
    tokio::spawn(templates::watch_templates(app.clone(), stop.clone()));
    tokio::spawn(watch_commits(app.clone(), commits_in, stop.clone()));
    let watching = tokio::spawn(watchdog(app.clone(), beats, stop.clone()));
    tracing::info!(
        mode = app.settings().reach.as_str(),
        role = role.as_str(),
        "ready"
    );
    tell(&[NotifyState::Ready, NotifyState::Status("ready")]);

    // A loop that ends early means trouble: all have to end.
    let mut result = Ok(());
    tokio::select! {
        () = stop.cancelled() => {}
        // What it died of is said when it leaves.
        () = enlisted.died() => {}
        Some(ended) = loops.join_next() => result = outcome(ended),
    }
    stop.cancel();
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("letting what is on its way end"),
    ]);
    if let Some(timers) = timers {
        timers.stop().await;
    }
    let rest = async {
        while let Some(ended) = loops.join_next().await {
            result = std::mem::replace(&mut result, Ok(())).and(outcome(ended));
        }
    };
    if tokio::time::timeout(STOP_GRACE, rest).await.is_err() {
        tracing::warn!("a message's answer did not come in time: it is in doubt");
        // Their tasks go on until the process ends.
        loops.detach_all();
    }
    watching.abort();
    result
}

fn report_swept(swept: Swept) {
    if swept.took_over() {
        tracing::warn!(
            workers = swept.workers,
            queued = swept.queued,
            in_doubt = swept.in_doubt,
            poisoned = swept.poisoned,
            "took over what another process left unfinished"
        );
    }
}

/// Takes over, now and then, what workers leave behind that died meanwhile.
async fn sweep_loop(app: App, fence: Fence, stop: CancellationToken) -> Result<(), AppError> {
    let alive = Duration::from_millis(u64::try_from(app.settings().alive.0).unwrap_or(0));
    let every = SWEEP_EVERY.min(alive / 4);
    loop {
        let swept = if fence.is_steady() {
            app.store.sweep(app.worker, app.now()).await
        } else {
            Ok(Swept::default())
        };
        match swept {
            Ok(swept) => report_swept(swept),
            Err(error) if error.is_fatal() => return Err(error.into()),
            Err(error) => tracing::error!("cannot look after the other workers: {error}"),
        }
        if wait(every, &stop).await {
            return Ok(());
        }
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
) -> Result<Option<DeliveryLock>, AppError> {
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

/// Says that the database is away and waits a little; `true` when it is time
/// to stop.
pub async fn wait_for_database(why: &anyhow::Error, stop: &CancellationToken) -> bool {
    tracing::error!(
        "nothing is sent, the database is away: {}",
        whole_story(why.as_ref())
    );
    tell(&[NotifyState::Status("not sending: the database is away")]);
    wait(RETRY_AFTER, stop).await
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
            // What is on its way is still in its hands, and records have a
            // connection of their own: it goes on where it was.
            Err(error) if error.is_no_connection() => {
                tracing::error!("nothing is sent for a while: {error}");
                if wait(RETRY_AFTER, &stop).await {
                    break delivery.drain(None, &stop, |_| ()).await.map(drop);
                }
                continue;
            }
            // Whatever broke: end, and take over what is unfinished at the next
            // start.
            Err(error) => break Err(error),
        }
        news(&mut commits, &stop).await;
        if stop.is_cancelled() {
            break Ok(());
        }
    };
    // A question that failed says nothing about what is on its way: nothing more
    // leaves, and those outcomes are still written down. After a commit that may
    // have failed nothing can be.
    if !matches!(&result, Err(error) if error.is_fatal()) {
        stop.cancel();
        delivery.stop().await;
    }
    result
}
