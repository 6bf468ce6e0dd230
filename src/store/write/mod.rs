//! The writing handle and its verbs, one file per movement of the story.

mod aftermath;
pub mod by_hand;
pub mod deliver;
pub mod locks;
pub mod mirror;
pub mod operate;
mod operators;
pub mod receipts;
pub mod review;
pub mod settings;
pub mod settle;
pub mod suppressions;
pub mod sweep;
pub mod templates;
pub mod texts;
pub mod ticks;
pub mod untell;
pub mod workers;

use crate::domain::ids::{MessageNo, OrderId, RunNo, WorkerId};
use crate::domain::mirror::{EtaChange, MirrorChanges};
use crate::domain::notice_key::Mode;
use crate::domain::time::Instant;
use crate::store::place::Place;
use crate::store::postgres::engine::PostgresEngine;
use crate::store::read::{ReadStore, reading};
use crate::store::sqlite::direct::Direct;
use crate::store::sqlite::engine::SqliteEngine;
use crate::store::sqlite::lock::{DeliveryLock, LockAttempt, try_lock};
use crate::store::sqlite::open::BUSY_TIMEOUT;
use crate::store::types::{
    Claimed, GiveBack, Mark, NewRun, Record, Review, ReviewWritten, RunState, StoreError,
};
use crate::store::watch::Pulse;
use crate::store::write::deliver::claim::Taken;
use crate::store::writer::{Wakes, Writer};
use crate::store::{postgres, sqlite};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// What a claim is about to do.
const CLAIMING: &str = "claim messages";

/// May change what is remembered. Clones share the writer.
#[derive(Clone)]
pub struct Store {
    read: ReadStore,
    writer: Writer,
    place: Place,
    /// Reads what will be claimed from a file; opened with the first claim.
    claims: Arc<OnceCell<Direct>>,
}

/// Hands a verb to the writer: what it needs is kept behind its back, so that
/// it can run again from its beginning, and is lent to each run by reference.
macro_rules! alone {
    ($self:expr, $doing:expr, $wakes:expr, [$($kept:ident),*], $conn:ident => $body:expr) => {{
        let kept = Arc::new(($($kept,)*));
        $self
            .writer
            .alone($doing, $wakes, move |$conn| {
                let kept = kept.clone();
                Box::pin(async move {
                    let ($($kept,)*) = &*kept;
                    $body.await
                })
            })
            .await
    }};
}
use alone;

impl Store {
    /// Opens the database at `place` and brings its schema forward; a file is
    /// created where there is none.
    ///
    /// # Errors
    /// It cannot be opened or written, its schema is newer than this program,
    /// or the server does not keep what we promise.
    pub async fn open(place: &Place) -> Result<Store, StoreError> {
        let pulse = Pulse::default();
        let writer = match place {
            Place::Sqlite(path) => {
                let conn = sqlite::open::writer(path).await?;
                Writer::one(SqliteEngine::new(conn, path))
            }
            Place::Postgres(server) => {
                let session = postgres::open::writer(server).await?;
                let hot = PostgresEngine::gathering(server.clone(), pulse.clone(), deliver::NAMED);
                let beats = PostgresEngine::unconnected(server.clone(), pulse.clone());
                let rest = PostgresEngine::new(server.clone(), session, pulse.clone());
                Writer::three(hot, beats, rest)
            }
        };
        Ok(Store {
            read: ReadStore::open_with(place, pulse).await?,
            writer,
            place: place.clone(),
            claims: Arc::default(),
        })
    }

    pub fn read(&self) -> &ReadStore {
        &self.read
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Tries to become the process that sends; see [`crate::store::sqlite::lock`].
    /// Any number may send from a server: there it is always ours.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn try_delivery_lock(&self) -> std::io::Result<LockAttempt> {
        match &self.place {
            Place::Sqlite(path) => try_lock(path),
            Place::Postgres(_) => Ok(LockAttempt::Taken(DeliveryLock::not_needed())),
        }
    }

    /// Writes nothing, durably: answers whether the disk takes commits. Of a
    /// file, on a connection of its own: the writer would be of no use any more
    /// after a commit that failed, and this may be asked again.
    ///
    /// # Errors
    /// It does not.
    pub async fn probe(&self, now: Instant) -> Result<(), StoreError> {
        let text = now.0.to_string();
        if let Place::Sqlite(path) = &self.place {
            return sqlite::open::probe(path, &text).await;
        }
        alone!(self, "write a probe", |()| Wakes::Nobody, [text], c => {
            operate::put_meta(c, "probed_at", text)
        })
    }

    // ---- taking in what the shop says ----

    /// Makes sure the shop's row exists; answers its id.
    pub async fn ensure_shop(&self, key: &str, name: &str, zone: &str) -> Result<i64, StoreError> {
        let (key, name, zone) = (key.to_owned(), name.to_owned(), zone.to_owned());
        alone!(self, "write the shop", |_| Wakes::Nobody, [key, name, zone], c => {
            mirror::ensure_shop(c, key, name, zone)
        })
    }

    /// Writes a source's changes in one transaction, all or nothing. Orders
    /// with a changed line or header become due for review and get new
    /// versions; adopted lines get their baseline. Once answered, nothing is
    /// marked any more that states the facts from before.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] when the mirror changed since `revision` was
    /// read: read again and merge again.
    pub async fn commit_mirror(
        &self,
        input: mirror::MirrorInput,
        changes: MirrorChanges,
    ) -> Result<(), StoreError> {
        alone!(self, "write the shop's rows", |()| Wakes::Others, [input, changes], c => {
            mirror::commit(c, input, changes)
        })
    }

    /// Remembers that a source's latest file was not taken in, and the rows
    /// that are to blame; the next file that is takes it back.
    pub async fn refuse_file(
        &self,
        new: mirror::NewRefusal,
        now: Instant,
    ) -> Result<(), StoreError> {
        alone!(self, "note a refused file", |()| Wakes::Nobody, [new], c => {
            mirror::refuse_file(c, new, now)
        })
    }

    /// Sets or removes dates for orders, lines or SKUs and applies `lines`,
    /// the lines whose ETA in force changes by it.
    ///
    /// # Errors
    /// As [`Store::commit_mirror`].
    pub async fn commit_claims(
        &self,
        revision: i64,
        claims: Vec<mirror::ClaimChange>,
        lines: Vec<EtaChange>,
        mode: Mode,
        by: &str,
        now: Instant,
    ) -> Result<(), StoreError> {
        let by = by.to_owned();
        alone!(self, "write dates", |()| Wakes::Others, [claims, lines, by], c => {
            mirror::commit_claims(c, revision, claims, lines, mode, by, now)
        })
    }

    // ---- deciding ----

    /// Records that a run begins; it has written nothing yet.
    pub async fn begin_run(&self, run: NewRun, now: Instant) -> Result<RunNo, StoreError> {
        alone!(self, "record a run", |_| Wakes::Nobody, [run], c => {
            review::runs::begin_run(c, run, now)
        })
    }

    /// Writes one batch of a review, all or nothing: messages with their
    /// notices, superseded ones, verdicts that changed and the next look at
    /// each order. An order whose inputs changed since it was read is left
    /// due and named in the answer; a message one of whose orders is such, or
    /// whose key is taken, is not written. Orders whose plan hangs on one that
    /// cannot be written (they share a new message with it, or keep one that
    /// another takes back) stay due as well.
    pub async fn commit_review(
        &self,
        review: Review,
        now: Instant,
    ) -> Result<ReviewWritten, StoreError> {
        alone!(self, "write a plan", |_| Wakes::Others, [review], c => {
            review::commit::commit(c, review, now)
        })
    }

    /// Closes a run with its counts. An uneventful run of a timed job leaves
    /// no row behind.
    pub async fn end_run(
        &self,
        run: RunNo,
        orders: i64,
        quiet: String,
        tick: Option<(String, Instant)>,
    ) -> Result<(), StoreError> {
        alone!(self, "close a run", |()| Wakes::Nobody, [quiet, tick], c => {
            review::runs::end_run(c, run, orders, quiet, tick.as_ref())
        })
    }

    /// Takes orders that are due for review at `now`, longest due first, for
    /// `by` to plan; some `limit` of them. Where several processes may plan, the
    /// persons behind them are leased for a minute, all their due orders come
    /// along, and [`Store::commit_review`] gives them back; an order of a person
    /// another planner has is passed by, and stays due.
    pub async fn take_due(
        &self,
        by: WorkerId,
        now: Instant,
        limit: u32,
    ) -> Result<Vec<OrderId>, StoreError> {
        if let Place::Sqlite(_) = self.place {
            return self.read.due_orders(now, limit).await;
        }
        let wakes = |taken: &Vec<OrderId>| Wakes::nobody_if(!taken.is_empty());
        alone!(self, "take due orders", wakes, [], c => {
            review::planning::take_due(c, by, now, limit)
        })
    }

    /// The same for certain orders, due or not: answers those of persons that
    /// no other planner has.
    pub async fn take_orders(
        &self,
        by: WorkerId,
        orders: &[OrderId],
    ) -> Result<Vec<OrderId>, StoreError> {
        let orders = orders.to_vec();
        if let Place::Sqlite(_) = self.place {
            return Ok(orders);
        }
        let wakes = |taken: &Vec<OrderId>| Wakes::nobody_if(!taken.is_empty());
        alone!(self, "take orders", wakes, [orders], c => {
            review::planning::take_orders(c, by, orders)
        })
    }

    /// Lets others plan for the persons behind these orders, which the caller took
    /// and writes no plan for.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn leave_orders(&self, by: WorkerId, orders: &[OrderId]) -> Result<(), StoreError> {
        if let Place::Sqlite(_) = self.place {
            return Ok(());
        }
        let orders = orders.to_vec();
        let wakes = |n_left: &usize| Wakes::others_if(*n_left > 0);
        alone!(self, "leave orders", wakes, [orders], c => {
            review::planning::leave(c, by, orders)
        })?;
        Ok(())
    }

    /// Takes a job's tick for `worker` to handle; `false`: it is done, or a
    /// worker that lives is at one of this job. Asking again is harmless; who
    /// loses it asks again until it is done.
    pub async fn lease_tick(
        &self,
        job: &str,
        due: Instant,
        worker: WorkerId,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let job = job.to_owned();
        alone!(self, "take a tick", |taken| Wakes::nobody_if(*taken), [job], c => {
            ticks::lease_tick(c, job, due, worker, now)
        })
    }

    /// Stores a job's tick if it is newer than the stored one; `false` when
    /// somebody was there first.
    pub async fn store_tick(&self, job: &str, due: Instant) -> Result<bool, StoreError> {
        let job = job.to_owned();
        alone!(self, "store a tick", |stored| Wakes::nobody_if(*stored), [job], c => {
            ticks::store_tick(c, job, due)
        })
    }

    /// A held run is approved, dropped or lapses. Approval releases its
    /// messages to the re-check every message gets; the others are taken back
    /// and their orders reviewed. Answers the number of messages concerned,
    /// `None` when the run is not held.
    pub async fn decide_run(
        &self,
        run: RunNo,
        to: RunState,
        by: &str,
        why: Option<&str>,
        now: Instant,
    ) -> Result<Option<u64>, StoreError> {
        let (by, why) = (by.to_owned(), why.map(str::to_owned));
        let wakes = |n: &Option<u64>| Wakes::others_if(n.is_some());
        alone!(self, "decide on a run", wakes, [by, why], c => {
            review::runs::decide_run(c, run, to, by, why.as_deref(), now)
        })
    }

    /// Makes every open order due for review at `now`; answers how many.
    pub async fn wake_all(&self, now: Instant) -> Result<u64, StoreError> {
        alone!(self, "wake all orders", |n| Wakes::others_if(*n > 0), [], c => {
            operate::wake_all(c, now)
        })
    }

    // ---- delivering ----

    /// Takes up to `limit` messages that are due at `now`, not held, still
    /// true (no fact of their orders changed since they were planned) and not
    /// overtaking anything, oldest due first, and leases them to `by` until
    /// `lease_until`. Two callers never get the same message for overlapping
    /// leases. Messages of orders that somebody is changing at this moment are
    /// passed by. On PostgreSQL a worker whose heartbeat is too old gets nothing.
    /// In a file all this is as of a moment before the lease, except that they
    /// are in the queue.
    pub async fn claim(&self, ask: deliver::Claim) -> Result<Vec<Claimed>, StoreError> {
        let foreseen = self.foresee(&ask).await?;
        self.claim_foreseen(ask, foreseen).await
    }

    /// The first half of [`Store::claim`]: what it will take from a file if nothing
    /// changes in between, with the epochs from before it. `None` on a server,
    /// where others claim as well.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn foresee(&self, ask: &deliver::Claim) -> Result<Option<Vec<Claimed>>, StoreError> {
        let Place::Sqlite(path) = &self.place else {
            return Ok(None);
        };
        let open = async || Direct::open_to_look(path, BUSY_TIMEOUT);
        let looking = self.claims.get_or_try_init(open).await?;
        let ask = ask.clone();
        let found = looking.look(move |conn| deliver::foreseen::foresee(conn, &ask));
        let found = found.await.inspect_err(|_| {
            tracing::error!("the thread that reads what will be claimed broke off");
        });
        found?.map_err(reading(CLAIMING))?.map(Some)
    }

    /// The second half: leases what is still as it was foreseen.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn claim_foreseen(
        &self,
        ask: deliver::Claim,
        foreseen: Option<Vec<Claimed>>,
    ) -> Result<Vec<Claimed>, StoreError> {
        let epochs = foreseen.as_ref().map(|foreseen| {
            let by_number = foreseen.iter().map(|claimed| (claimed.no.0, claimed.epoch));
            by_number.collect()
        });
        let wakes = |taken: &Taken| Wakes::nobody_if(!taken.is_empty());
        let taken: Taken = alone!(self, CLAIMING, wakes, [ask, epochs], c => {
            deliver::claim::claim(c, ask, epochs.as_ref())
        })?;
        Ok(taken.claimed(foreseen.unwrap_or_default()))
    }

    /// Records, durably, that sending begins. `false`: the message may not be
    /// sent (its facts moved, it was held, suppressed or withdrawn, it is too
    /// old, the lease is another's, or on PostgreSQL the worker's heartbeat is
    /// too old) and no byte of it may leave.
    pub async fn mark(&self, by: WorkerId, mark: Mark, now: Instant) -> Result<bool, StoreError> {
        self.writer.mark(by, mark, now).await
    }

    /// Records what became of it, with everything that follows (ledger, order,
    /// suppression, next try) in the same commit. `false`: the message was no
    /// longer this worker's and nothing was changed. No heartbeat is asked for:
    /// as long as nobody took the message over, what really became of it is
    /// better than the doubt it would be in.
    pub async fn record(
        &self,
        by: WorkerId,
        record: Record,
        now: Instant,
    ) -> Result<bool, StoreError> {
        self.writer.record(by, record, now).await
    }

    /// Gives leases back that will not be used. Answers how many were still
    /// this worker's.
    pub async fn give_back(
        &self,
        by: WorkerId,
        leases: Vec<(MessageNo, i64)>,
        why: GiveBack,
        now: Instant,
    ) -> Result<u64, StoreError> {
        alone!(self, "give leases back", |n| Wakes::others_if(*n > 0), [leases, why], c => {
            deliver::give_back::give_back(c, by, leases, why, now)
        })
    }
}
