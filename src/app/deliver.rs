//! Delivering: `claim → render → mark → send → record`, with bounded
//! concurrency, a pace, and brakes of its own.
//!
//! A [`Delivery`] owns the lanes of every channel ([`super::outlet`]). [`Delivery::drain`] sends
//! what is due and returns when nothing is left to claim; the daemon calls it
//! again and again, a manual run until its messages are out, the demo once a
//! step. Only who is enlisted and holds the delivery lock (on PostgreSQL there
//! is none, and several deliver) may make one.
//!
//! Brakes: nothing is claimed while the hold file exists; after a pause of a
//! channel its first few messages go alone and the rest waits for their
//! outcomes; when
//! most of the latest messages of a channel were refused, the channel is put
//! on hold for a person; a relay with wrong credentials or one that is away is
//! left alone for a while and burns no messages.

use crate::app::claiming::{self, Claiming, Wanted};
use crate::app::desk::Desk;
use crate::app::lane::{self, Done, End, LaneBroke, News};
use crate::app::outlet::{Consequence, LATEST, Outlet, limiter};
use crate::app::restore_guard::RestoreGuard;
use crate::app::worker::{Enlisted, Fence};
use crate::app::{App, AppError, hold_file};
use crate::crash_point::crash_point;
use crate::domain::ids::{RunNo, WorkerId};
use crate::domain::kinds::ChannelName;
use crate::domain::message::Landing;
use crate::store::sqlite::lock::DeliveryLock;
use crate::store::types::GiveBack;
use crate::store::write::operate::NewHold;
use crate::store::write::sweep::Swept;
use governor::DefaultDirectRateLimiter;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often doubts, ends of holds and what grew old are looked for while a
/// long queue is worked off, and new work for every channel.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a drain did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryReport {
    pub sent: usize,
    /// Will be tried again later.
    pub deferred: usize,
    pub failed: usize,
    pub in_doubt: usize,
    /// Texts that wait for a decent hour where their recipient lives.
    pub out_of_hours: usize,
    /// Claimed, then not sent because the facts or a brake said so.
    pub not_sent: usize,
    /// Messages that no template could render, with the reason.
    pub unrenderable: Vec<(crate::domain::ids::MessageNo, String)>,
}

impl DeliveryReport {
    pub fn add(&mut self, other: DeliveryReport) {
        self.sent += other.sent;
        self.deferred += other.deferred;
        self.failed += other.failed;
        self.in_doubt += other.in_doubt;
        self.out_of_hours += other.out_of_hours;
        self.not_sent += other.not_sent;
        self.unrenderable.extend(other.unrenderable);
    }
    fn count(&mut self, done: &Done) {
        match &done.end {
            End::Recorded { landing, .. } => match landing {
                Landing::Sent => self.sent += 1,
                Landing::Again { .. } => self.deferred += 1,
                Landing::Failed { .. } => self.failed += 1,
                Landing::InDoubt { .. } => self.in_doubt += 1,
            },
            End::OutOfHours => self.out_of_hours += 1,
            End::Paced => self.deferred += 1,
            End::NotSent | End::Failed(_) => self.not_sent += 1,
            End::Unrenderable(why) => {
                self.failed += 1;
                self.unrenderable.push((done.no, why.clone()));
            }
        }
    }
}

/// The lanes of one worker; see the module's header.
pub struct Delivery {
    app: App,
    worker: WorkerId,
    fence: Fence,
    outlets: BTreeMap<ChannelName, Outlet>,
    news: mpsc::UnboundedReceiver<Result<News, LaneBroke>>,
    desk: Desk,
    lanes: TaskTracker,
    pace: Arc<DefaultDirectRateLimiter>,
    /// The program's own pace allowed one that no channel took yet.
    own_turn: Arc<AtomicBool>,
    /// A claim on its way: what it takes is in our hands, whoever waits for it.
    claiming: Option<Claiming>,
    guard: RestoreGuard,
    _lock: DeliveryLock,
}

impl Delivery {
    /// Opens the lanes (they connect with their first message) and takes over
    /// what earlier workers left unfinished. On a database that is not the one
    /// that was here last everything is held first.
    ///
    /// # Errors
    /// The database cannot be written, or nobody has gone live.
    pub async fn start(
        app: App,
        enlisted: &Enlisted,
        lock: DeliveryLock,
    ) -> Result<(Delivery, Swept), AppError> {
        app.require_live_act().await?;
        let guard = RestoreGuard::enter(&app).await?;
        app.keep_templates().await?;
        let (worker, fence) = (enlisted.id(), enlisted.fence());
        crash_point("sweep-begins");
        let swept = app.store.sweep(worker, app.now()).await?;
        crash_point("swept");
        let (news_in, news) = mpsc::unbounded_channel();
        let lanes = TaskTracker::new();
        let mut outlets = BTreeMap::new();
        for (name, channel) in app.channels.iter() {
            let sessions = channel.max_sessions();
            let (work, inbox) = mpsc::channel(Outlet::n_ready_max(sessions));
            let inbox = Arc::new(Mutex::new(inbox));
            for _ in 0..sessions {
                let lane = lane::run(
                    app.clone(),
                    (worker, fence.clone()),
                    channel.open(),
                    inbox.clone(),
                    news_in.clone(),
                );
                let broken = news_in.clone();
                lanes.spawn(async move {
                    // A lane answers every message it was given; one that
                    // panicked cannot, and nobody may wait for it.
                    if tokio::spawn(lane).await.is_err() {
                        let _ = broken.send(Err(LaneBroke));
                    }
                });
            }
            let outlet = Outlet::new(work, sessions, channel.per_minute());
            outlets.insert(*name, outlet);
        }
        lanes.close();
        let desk = Desk::open(app.viewer.clone(), news_in).map_err(|source| AppError::Io {
            doing: "start the thread that renders messages",
            source,
        })?;
        let pace = Arc::new(limiter(app.settings().pace.per_minute));
        let delivery = Delivery {
            app,
            worker,
            fence,
            outlets,
            news,
            desk,
            lanes,
            pace,
            own_turn: Arc::default(),
            claiming: None,
            guard,
            _lock: lock,
        };
        Ok((delivery, swept))
    }

    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// Sends everything that is due, of one run or of all, until nothing can
    /// be claimed or `stop` is cancelled; messages on their way are waited
    /// for. `progress` hears of each.
    ///
    /// # Errors
    /// The database cannot be read or written; after a fatal error the
    /// process must end.
    pub async fn drain(
        &mut self,
        run: Option<RunNo>,
        stop: &CancellationToken,
        mut progress: impl FnMut(&Done),
    ) -> Result<DeliveryReport, AppError> {
        let mut report = DeliveryReport::default();
        // Since the last claim that took something began, and since the last one did.
        let (mut ended_since_take, mut ended_since_claim) = (false, false);
        let mut next_look = tokio::time::Instant::now();
        loop {
            let stopping = stop.is_cancelled();
            if !stopping && tokio::time::Instant::now() >= next_look {
                self.look_around().await?;
                next_look = tokio::time::Instant::now() + LOOK_EVERY;
            }
            // What waits for a relay that was just found away is not thrown
            // after it: each try could take its whole time limit.
            self.return_leases(stopping).await?;
            if !stopping && self.claiming.is_none() {
                self.claiming = self.claim(run);
                if self.claiming.is_some() {
                    ended_since_claim = false;
                }
            }
            let n_out: u32 = self.outlets.values().map(|o| o.n_out).sum();
            let is_empty = self.outlets.values().all(|o| o.waiting.is_empty());
            if is_empty && n_out == 0 && self.claiming.is_none() {
                if stop.is_cancelled() || !ended_since_take {
                    break;
                }
                // What ended may have made room for what was in its way.
                for outlet in self.outlets.values_mut() {
                    outlet.exhausted = false;
                }
                ended_since_take = false;
                continue;
            }
            // Hand out the next one as soon as the pace allows; meanwhile
            // listen to the lanes.
            let paced = self.next_channel();
            tokio::select! {
                biased;
                news = self.news.recv() => match news {
                    None => break,
                    Some(Err(LaneBroke)) => return Err(AppError::LaneBroke),
                    Some(Ok(News::Room(name))) => {
                        if let Some(outlet) = self.outlets.get_mut(&name) {
                            outlet.n_ready = outlet.n_ready.saturating_sub(1);
                        }
                    }
                    Some(Ok(News::Done(done))) => {
                        if let Some(outlet) = self.outlets.get_mut(&done.channel) {
                            outlet.n_out = outlet.n_out.saturating_sub(1);
                        }
                        (ended_since_take, ended_since_claim) = (true, true);
                        report.count(&done);
                        progress(&done);
                        self.heed(done).await?;
                    }
                },
                (claims, ended) = claiming::ended(&mut self.claiming) => {
                    self.claiming = None;
                    for (name, claimed, asked_at) in claims {
                        if !claimed.is_empty() {
                            ended_since_take = ended_since_claim;
                        }
                        if let Some(outlet) = self.outlets.get_mut(&name) {
                            outlet.take(claimed, asked_at);
                        }
                    }
                    ended?;
                }
                name = paced => {
                    if let Some(outlet) = self.outlets.get_mut(&name)
                        && let Some((claimed, to)) = outlet.hand_out()
                    {
                        self.desk.write(claimed, to).map_err(|_| AppError::LaneBroke)?;
                    }
                }
                () = tokio::time::sleep_until(next_look), if !stopping => {}
            }
        }
        Ok(report)
    }

    /// The channel whose pace allows a message first, of those that have one
    /// and a lane for it; the least busy where several may: neither does a long
    /// queue of mails keep the texts waiting, nor a slow gateway the mails.
    /// Never, where there is none. Who gives up waiting loses nobody's turn.
    fn next_channel(&self) -> impl Future<Output = ChannelName> + use<> {
        let mut able: Vec<_> = (self.outlets.iter())
            .filter(|(_, outlet)| !outlet.waiting.is_empty() && outlet.has_room())
            .collect();
        able.sort_by_key(|(_, outlet)| outlet.n_out);
        let mut turns: Vec<_> = (able.into_iter())
            .map(|(name, outlet)| {
                let (name, pace) = (*name, outlet.pace.clone());
                Box::pin(async move {
                    pace.until_ready().await;
                    name
                })
            })
            .collect();
        let (own_pace, is_free) = (self.pace.clone(), Arc::clone(&self.own_turn));
        async move {
            if !is_free.load(Relaxed) {
                own_pace.until_ready().await;
                is_free.store(true, Relaxed);
            }
            let name = poll_fn(|context| {
                (turns.iter_mut())
                    .map(|turn| turn.as_mut().poll(context))
                    .find(Poll::is_ready)
                    .unwrap_or(Poll::Pending)
            });
            let name = name.await;
            is_free.store(false, Relaxed);
            name
        }
    }

    /// What time alone brings about: ends of doubts and holds, messages that
    /// grew too old, new ones for channels that had nothing to do.
    async fn look_around(&mut self) -> Result<(), AppError> {
        self.app.store.settle_doubts(self.app.now()).await?;
        crash_point("doubts-settled");
        self.app
            .store
            .tidy(self.app.now(), self.app.policy().brake.lapse)
            .await?;
        crash_point("tidied");
        for outlet in self.outlets.values_mut() {
            outlet.exhausted = false;
        }
        Ok(())
    }

    /// Claims for the channels that have little left to hand out: each by
    /// itself, as a long queue of one must not use up what another may take.
    /// `None`: none of them wants anything.
    fn claim(&self, run: Option<RunNo>) -> Option<Claiming> {
        let now = self.app.now();
        let pace = &self.app.settings().pace;
        let limits: Vec<(ChannelName, u32)> = (self.outlets.iter())
            .filter(|(_, o)| o.wants_work(pace.per_minute, now))
            .map(|(name, o)| (*name, o.room(pace.first, pace.per_minute, now)))
            .collect();
        let held = || hold_file::is_held(&self.app.settings().state_dir);
        if limits.is_empty() || held() || !self.fence.holds() {
            return None;
        }
        let able = (self.outlets.iter())
            .filter(|(_, outlet)| !outlet.is_parked(now))
            .map(|(name, _)| *name)
            .collect();
        let texts = self.outlets.get(&ChannelName::Sms);
        let wanted = Wanted {
            by: self.worker,
            limits,
            able,
            texts_in_hands: texts.map_or(0, Outlet::n_claimed),
            run,
        };
        Some(claiming::begin(self.app.clone(), wanted))
    }

    /// Gives back what was claimed for parked channels, or for all.
    async fn return_leases(&mut self, all: bool) -> Result<(), AppError> {
        let now = self.app.now();
        let leases: Vec<_> = self
            .outlets
            .values_mut()
            .filter(|o| all || o.is_parked(now))
            .flat_map(|outlet| outlet.waiting.drain(..))
            .map(|claimed| (claimed.no, claimed.epoch))
            .collect();
        if !leases.is_empty() {
            self.app
                .store
                .give_back(self.worker, leases, GiveBack::Unused, self.app.now())
                .await?;
        }
        Ok(())
    }

    /// Draws the consequences of an outcome for its channel.
    async fn heed(&mut self, done: Done) -> Result<(), AppError> {
        let now = self.app.now();
        let Some(outlet) = self.outlets.get_mut(&done.channel) else {
            return Ok(());
        };
        let (outcome, refused) = match done.end {
            End::Recorded { outcome, landing } => {
                let refused = matches!(landing, Landing::Failed { .. });
                (outcome, refused)
            }
            End::Failed(error) => return Err(error),
            End::Unrenderable(why) => {
                tracing::error!(message_no = done.no.0, order = done.orders, kind = %done.kind, "cannot be rendered: {why}");
                return Ok(());
            }
            End::NotSent | End::OutOfHours | End::Paced => return Ok(()),
        };
        let evidence = outcome.evidence();
        tracing::info!(
            message_no = done.no.0,
            order = done.orders,
            channel = %done.channel,
            kind = %done.kind,
            outcome = outcome.name(),
            code = evidence.code,
            phase = evidence.phase.as_str(),
            relay = evidence.relay,
            "attempt ended"
        );
        match outlet.note(&outcome, refused, &self.app.policy().retry, now) {
            Consequence::Nothing => {}
            Consequence::Misconfigured => tracing::error!(
                channel = %done.channel,
                code = evidence.code,
                "the channel has to be set up differently and is left alone for a while: {}",
                evidence.text
            ),
            Consequence::Away => {
                tracing::warn!(channel = %done.channel, "the relay is away; trying again later");
            }
            Consequence::MostlyRefused(n_refused) => {
                let why = format!("{n_refused} of the last {LATEST} messages were refused");
                tracing::error!(channel = %done.channel, "{why}: the channel is on hold");
                let hold = NewHold {
                    scope: "channel",
                    key: done.channel.as_str().to_owned(),
                    by: "backorderd".to_owned(),
                    why,
                    until: None,
                };
                self.app.store.hold(hold, now).await?;
            }
        }
        Ok(())
    }

    /// Lets messages on their way end, closes every session, and gives the
    /// delivery lock back, and what a claim that nobody waited for has taken.
    pub async fn stop(mut self) {
        if let Some(claiming) = self.claiming.take()
            && let Ok((claims, _)) = claiming.await
        {
            let leases: Vec<_> = (claims.iter())
                .flat_map(|(_, claimed, _)| claimed)
                .map(|claimed| (claimed.no, claimed.epoch))
                .collect();
            let (store, now) = (&self.app.store, self.app.now());
            if !leases.is_empty() {
                // Who cannot write is about to end; what is left is swept.
                let given = store.give_back(self.worker, leases, GiveBack::Unused, now);
                drop(given.await);
            }
        }
        drop(self.outlets);
        self.lanes.wait().await;
        self.guard.leave().await;
    }
}
