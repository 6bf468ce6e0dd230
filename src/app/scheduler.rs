//! Periodic jobs: five-field cron patterns in the shop's zone.
//!
//! tokio-cron-scheduler keeps the timers. Used plainly it would freeze the
//! zone's offset when a job is created and run an hour off after every clock
//! change, and it fires a 01:30 job twice on a spring night. So its store is
//! wrapped: every next tick it is told comes from our own plan, computed by
//! croner 4 in the real zone ([`CronPlan`]).
//!
//! The library only says *when*; it hands over a [`Tick`] and nothing else.
//! The receiver runs jobs one after the other, so nothing overlaps, and stores
//! the tick with the work it led to. The tick a handler works for is computed
//! from the plan, so double fires and late fires are harmless, and a tick
//! missed while nobody ran is fired once at the start.

use crate::clock::Clock;
use crate::domain::schedule::CronPlan;
use crate::domain::time::Instant;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio_cron_scheduler::job::job_data::{JobAndNextTick, JobStoredData};
use tokio_cron_scheduler::store::{DataStore, InitStore, MetaDataStorage};
use tokio_cron_scheduler::{
    Job, JobScheduler, JobSchedulerError, SimpleJobCode, SimpleMetadataStore,
    SimpleNotificationCode, SimpleNotificationStore,
};
use uuid::Uuid;

/// A job's moment has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    pub job: String,
    /// The newest tick that is owed.
    pub due: Instant,
}

/// A job to fire.
#[derive(Clone, Debug)]
pub struct TimedJob {
    pub name: String,
    pub plan: CronPlan,
    /// The latest tick that was done, in this or an earlier life.
    pub last_done: Option<Instant>,
}

/// Capacity of the library's own channels: far above a handful of jobs.
const CHANNEL_SIZE: usize = 200;
/// A pattern the library can parse; the real one is in the plan.
const ANY_PATTERN: &str = "0 0 0 1 1 *";

/// The running timers; stopping them is [`Timers::stop`].
pub struct Timers {
    library: JobScheduler,
}

impl Timers {
    /// Starts timers that send ticks to `to`. A tick nobody takes is dropped:
    /// the next one covers it. Twice a second, when the library looks at the
    /// time, it calls `beat`.
    ///
    /// # Errors
    /// The library refuses a job.
    pub async fn start(
        jobs: Vec<TimedJob>,
        clock: Arc<dyn Clock>,
        to: mpsc::Sender<Tick>,
        beat: impl Fn() + Send + Sync + 'static,
    ) -> Result<Timers, JobSchedulerError> {
        let plans = Arc::new(Mutex::new(HashMap::new()));
        let store = ZonedStore {
            inner: SimpleMetadataStore::default(),
            plans: plans.clone(),
            clock: clock.clone(),
            beat: Box::new(beat),
        };
        let library = JobScheduler::new_with_storage_and_code(
            Box::new(store),
            Box::new(SimpleNotificationStore::default()),
            Box::new(SimpleJobCode::default()),
            Box::new(SimpleNotificationCode::default()),
            CHANNEL_SIZE,
        )
        .await?;
        for timed in jobs {
            let (name, plan, clock, to) = (
                timed.name.clone(),
                timed.plan.clone(),
                clock.clone(),
                to.clone(),
            );
            // Resuming from the last tick done makes a missed one due at once.
            let from = timed.last_done.unwrap_or_else(|| clock.now());
            let job = Job::new_async(ANY_PATTERN, move |_, _| {
                let tick = plan.due_at(clock.now()).map(|due| Tick {
                    job: name.clone(),
                    due,
                });
                let to = to.clone();
                Box::pin(async move {
                    if let Some(tick) = tick {
                        let _ = to.try_send(tick);
                    }
                })
            })?;
            if let Ok(mut plans) = plans.lock() {
                plans.insert(job.guid(), (timed.plan, from));
            }
            library.add(job).await?;
        }
        library.start().await?;
        Ok(Timers { library })
    }

    /// Stops the timers; ticks that were sent are still in the channel.
    pub async fn stop(mut self) {
        if let Err(error) = self.library.shutdown().await {
            tracing::warn!("the timers did not stop cleanly: {error}");
        }
    }
}

/// The library's in-memory store with every next tick overruled.
struct ZonedStore {
    inner: SimpleMetadataStore,
    plans: Arc<Mutex<HashMap<Uuid, (CronPlan, Instant)>>>,
    clock: Arc<dyn Clock>,
    /// Called with every look of the library.
    beat: Box<dyn Fn() + Send + Sync>,
}

type Reply<T> = Pin<Box<dyn Future<Output = Result<T, JobSchedulerError>> + Send>>;

impl ZonedStore {
    fn next(&self, job: Uuid, after: Option<Instant>) -> Option<DateTime<Utc>> {
        let plans = self.plans.lock().ok()?;
        let (plan, resume_from) = plans.get(&job)?;
        plan.next_after(after.unwrap_or(*resume_from))
            .map(Instant::to_utc)
    }
}

impl InitStore for ZonedStore {
    fn init(&mut self) -> Reply<()> {
        self.inner.init()
    }
    fn inited(&mut self) -> Reply<bool> {
        self.inner.inited()
    }
}

impl DataStore<JobStoredData> for ZonedStore {
    fn get(&mut self, id: Uuid) -> Reply<Option<JobStoredData>> {
        self.inner.get(id)
    }
    fn add_or_update(&mut self, mut data: JobStoredData) -> Reply<()> {
        if let Some(id) = data.id.as_ref().map(Uuid::from) {
            let next = self.next(id, None);
            data.set_next_tick(next);
        }
        self.inner.add_or_update(data)
    }
    fn delete(&mut self, id: Uuid) -> Reply<()> {
        self.inner.delete(id)
    }
}

impl MetaDataStorage for ZonedStore {
    fn list_next_ticks(&mut self) -> Reply<Vec<JobAndNextTick>> {
        (self.beat)();
        self.inner.list_next_ticks()
    }
    fn set_next_and_last_tick(
        &mut self,
        id: Uuid,
        _next: Option<DateTime<Utc>>,
        last: Option<DateTime<Utc>>,
    ) -> Reply<()> {
        // Several missed ticks are one: go on from now, not from the old one.
        let after = last
            .map(|at| Instant::from_datetime(&at))
            .max(Some(self.clock.now()));
        let next = self.next(id, after);
        self.inner.set_next_and_last_tick(id, next, last)
    }
    fn time_till_next_job(&mut self) -> Reply<Option<std::time::Duration>> {
        self.inner.time_till_next_job()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SettableClock;
    use crate::domain::time::Length;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn at(text: &str) -> Instant {
        Instant::from_datetime(&DateTime::parse_from_rfc3339(text).unwrap())
    }

    fn store(pattern: &str, resume_from: &str, now: &str) -> (ZonedStore, Uuid) {
        let plan = CronPlan::parse(pattern, chrono_tz::Europe::Berlin, at(resume_from)).unwrap();
        let id = Uuid::from_u128(7);
        let plans = HashMap::from([(id, (plan, at(resume_from)))]);
        let store = ZonedStore {
            inner: SimpleMetadataStore::default(),
            plans: Arc::new(Mutex::new(plans)),
            clock: Arc::new(SettableClock::at(at(now))),
            beat: Box::new(|| ()),
        };
        (store, id)
    }

    fn stored(id: Uuid) -> JobStoredData {
        JobStoredData {
            id: Some(id.into()),
            last_updated: None,
            last_tick: None,
            next_tick: 1,
            job_type: 0,
            count: 0,
            extra: Vec::new(),
            ran: false,
            stopped: false,
            job: None,
            time_offset_seconds: 3600,
        }
    }

    async fn next(store: &mut ZonedStore) -> Instant {
        let ticks = store.list_next_ticks().await.unwrap();
        Instant(i64::try_from(ticks[0].next_tick).unwrap() * 1000)
    }

    #[tokio::test]
    async fn the_hour_stays_right_when_the_clocks_change() {
        // 10:00 in Berlin is 08:00Z before the change of 25 October, 09:00Z after.
        let (mut store, id) = store("0 10 * * *", "2026-10-24T12:00:00Z", "2026-10-24T12:00:00Z");
        store.add_or_update(stored(id)).await.unwrap();
        assert_eq!(next(&mut store).await, at("2026-10-25T09:00:00Z"));
        let last = at("2026-10-25T09:00:00Z").to_utc();
        store
            .set_next_and_last_tick(id, None, Some(last))
            .await
            .unwrap();
        assert_eq!(next(&mut store).await, at("2026-10-26T09:00:00Z"));
        // And in spring, from the winter's offset to the summer's.
        let (mut store, id) =
            self::store("0 10 * * *", "2026-03-28T12:00:00Z", "2026-03-28T12:00:00Z");
        store.add_or_update(stored(id)).await.unwrap();
        assert_eq!(next(&mut store).await, at("2026-03-29T08:00:00Z"));
    }

    #[tokio::test]
    async fn missed_ticks_fire_once_and_then_in_step() {
        let now = "2026-06-10T12:00:00Z";
        let (mut store, id) = store("0 10 * * *", "2026-06-07T08:00:00Z", now);
        store.add_or_update(stored(id)).await.unwrap();
        // Due since three days: fires at once.
        assert!(next(&mut store).await <= at(now));
        let first = next(&mut store).await.to_utc();
        store
            .set_next_and_last_tick(id, None, Some(first))
            .await
            .unwrap();
        assert_eq!(next(&mut store).await, at("2026-06-11T08:00:00Z"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_missed_tick_reaches_the_receiver_when_the_timers_start() {
        let clock = Arc::new(crate::clock::SystemClock);
        let now = clock.now();
        let plan = CronPlan::parse("0 0 * * *", chrono_tz::UTC, now).unwrap();
        let due = plan.due_at(now).unwrap();
        let jobs = vec![TimedJob {
            name: "nightly".into(),
            plan,
            last_done: Some(due.minus(Length::days(2))),
        }];
        let (to, mut ticks) = mpsc::channel(4);
        let beats = Arc::new(AtomicU64::new(0));
        let beat = {
            let beats = beats.clone();
            move || {
                beats.fetch_add(1, Ordering::Relaxed);
            }
        };
        let timers = Timers::start(jobs, clock, to, beat).await.unwrap();
        let tick = tokio::time::timeout(std::time::Duration::from_secs(10), ticks.recv()).await;
        timers.stop().await;
        assert_eq!(
            tick.unwrap(),
            Some(Tick {
                job: "nightly".into(),
                due
            })
        );
        assert!(beats.load(Ordering::Relaxed) > 0, "who fires ticks beats");
    }
}
