//! The writing handle and its verbs, one file per movement of the story.

pub mod by_hand;
pub mod deliver;
pub mod locks;
pub mod mirror;
pub mod operate;
pub mod receipts;
pub mod review;
pub mod settle;
pub mod sweep;
pub mod texts;
pub mod ticks;
pub mod workers;

use crate::domain::ids::{MessageNo, OrderId, RunNo, WorkerId};
use crate::domain::kinds::ChannelName;
use crate::domain::message::MessageState;
use crate::domain::mirror::{EtaChange, MirrorChanges};
use crate::domain::notice_key::Mode;
use crate::domain::time::{Instant, Length};
use crate::store::place::Place;
use crate::store::postgres::engine::PostgresEngine;
use crate::store::read::ReadStore;
use crate::store::sqlite::engine::SqliteEngine;
use crate::store::sqlite::lock::{DeliveryLock, LockAttempt, try_lock};
use crate::store::types::{
    Claimed, GiveBack, Mark, NewRun, Record, Review, ReviewWritten, RunState, StoreError,
};
use crate::store::watch::Pulse;
use crate::store::writer::{Wakes, Writer};
use crate::store::{postgres, sqlite};
use std::sync::Arc;

/// May change what is remembered. Clones share the writer.
#[derive(Clone)]
pub struct Store {
    read: ReadStore,
    writer: Writer,
    place: Place,
}

/// The writer's road for heartbeats.
struct Beats {
    writer: Writer,
}

/// Hands a verb to the writer: what it needs is kept behind its back, so that
/// it can run again from its beginning, and is lent to each run by reference.
macro_rules! alone {
    ($self:expr, $doing:literal, $wakes:expr, [$($kept:ident),*], $conn:ident => $body:expr) => {{
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
            Place::Sqlite(path) => Writer::one(SqliteEngine(sqlite::open::writer(path).await?)),
            Place::Postgres(server) => {
                let engine = async || {
                    let session = postgres::open::writer(server).await?;
                    Ok(PostgresEngine::new(server.clone(), session, pulse.clone()))
                };
                let beats = PostgresEngine::unconnected(server.clone(), pulse.clone());
                Writer::three(engine().await?, beats, engine().await?)
            }
        };
        Ok(Store {
            read: ReadStore::open_with(place, pulse).await?,
            writer,
            place: place.clone(),
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
        alone!(self, "record a run", |_| Wakes::Nobody, [run], c => review::runs::begin_run(c, run, now))
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
        alone!(self, "take due orders", |_| Wakes::Nobody, [], c => {
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
        alone!(self, "take orders", |_| Wakes::Nobody, [orders], c => {
            review::planning::take_orders(c, by, orders)
        })
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
        alone!(self, "take a tick", |_| Wakes::Nobody, [job], c => {
            ticks::lease_tick(c, job, due, worker, now)
        })
    }

    /// Stores a job's tick if it is newer than the stored one; `false` when
    /// somebody was there first.
    pub async fn store_tick(&self, job: &str, due: Instant) -> Result<bool, StoreError> {
        let job = job.to_owned();
        alone!(self, "store a tick", |_| Wakes::Nobody, [job], c => ticks::store_tick(c, job, due))
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
        alone!(self, "decide on a run", |n: &Option<u64>| Wakes::others_if(n.is_some()), [by, why], c => {
            review::runs::decide_run(c, run, to, by, why.as_deref(), now)
        })
    }

    /// Makes every open order due for review at `now`; answers how many.
    pub async fn wake_all(&self, now: Instant) -> Result<u64, StoreError> {
        alone!(self, "wake all orders", |n| Wakes::others_if(*n > 0), [], c => operate::wake_all(c, now))
    }

    // ---- delivering ----

    /// Takes up to `limit` messages that are due at `now`, not held, still
    /// true (no fact of their orders changed since they were planned) and not
    /// overtaking anything, oldest due first, and leases them to `by` until
    /// `lease_until`. Two callers never get the same message for overlapping
    /// leases. Messages of orders that somebody is changing at this moment are
    /// passed by. On PostgreSQL a worker whose heartbeat is too old gets nothing.
    pub async fn claim(&self, ask: deliver::Claim) -> Result<Vec<Claimed>, StoreError> {
        let wakes = |claimed: &Vec<Claimed>| match claimed.is_empty() {
            true => Wakes::Unchanged,
            false => Wakes::Nobody,
        };
        alone!(self, "claim messages", wakes, [ask], c => deliver::claim::claim(c, ask))
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

    // ---- settling ----

    /// Takes over what dead workers left behind: leases go back to the queue,
    /// messages that were being sent are in doubt, the dead are forgotten. On
    /// SQLite only the holder of the delivery lock may call it, and everybody
    /// else is dead; on PostgreSQL anybody may, now and then, and dead is whose
    /// last heartbeat is older than it promised, by the server's clock.
    pub async fn sweep(&self, me: WorkerId, now: Instant) -> Result<sweep::Swept, StoreError> {
        alone!(self, "take over unfinished work", |s: &sweep::Swept| Wakes::others_if(*s != sweep::Swept::default()), [], c => sweep::sweep(c, me, now))
    }

    // ---- workers ----

    /// Makes a worker known, alive from now on. It has to be before it claims
    /// anything.
    pub async fn enlist(&self, worker: workers::NewWorker, now: Instant) -> Result<(), StoreError> {
        alone!(self, "enlist as a worker", |()| Wakes::Nobody, [worker], c => workers::enlist(c, worker, now))
    }

    /// A heartbeat: covers everything the worker has in hands. `false`: others
    /// declared it dead and took that over; it must not go on. Waits behind no
    /// other verb.
    pub async fn beat(&self, worker: WorkerId, now: Instant) -> Result<bool, StoreError> {
        let beats = Beats {
            writer: self.writer.for_beats(),
        };
        alone!(beats, "write a heartbeat", |_| Wakes::Nobody, [], c => workers::beat(c, worker, now))
    }

    /// A worker leaves, having given back what it had. What it left all the
    /// same is taken over by the next sweep.
    pub async fn dismiss(&self, worker: WorkerId) -> Result<(), StoreError> {
        alone!(self, "dismiss a worker", |()| Wakes::Nobody, [], c => workers::dismiss(c, worker))
    }

    /// Settles messages whose quiet period in doubt is over.
    pub async fn settle_doubts(&self, now: Instant) -> Result<settle::Settled, StoreError> {
        alone!(self, "settle doubts", |s| Wakes::others_if(*s != settle::Settled::default()), [], c => settle::settle_doubts(c, now))
    }

    /// Takes queued messages back that are too old or whose address must not
    /// be written to, ends holds and held runs whose time is over, and wakes
    /// the orders concerned.
    pub async fn tidy(&self, now: Instant, lapse: Length) -> Result<u64, StoreError> {
        alone!(self, "tidy the queue", |n| Wakes::others_if(*n > 0), [], c => settle::tidy(c, now, lapse))
    }

    // ---- what comes back ----

    /// Stores a report and applies what follows from all reports about its
    /// message: its state, the ledger, the do-not-write list, its orders due.
    /// Once answered, nothing to a suppressed address is marked. The same
    /// report again changes nothing; one about a message nobody knows, or one
    /// that is being sent, waits ([`Store::apply_receipts`]).
    pub async fn take_receipt(
        &self,
        new: receipts::NewReceipt,
        now: Instant,
    ) -> Result<receipts::Taken, StoreError> {
        alone!(self, "take a receipt", |_| Wakes::Others, [new], c => receipts::take(c, new, now))
    }

    /// Keeps a mail nobody could read, for a person to look at; `false` when it
    /// was here before, or too many of no message are.
    pub async fn set_mail_aside(
        &self,
        mail: receipts::UnclearMail,
        now: Instant,
    ) -> Result<bool, StoreError> {
        alone!(self, "set a mail aside", |_| Wakes::Others, [mail], c => receipts::set_aside(c, mail, now))
    }

    /// Applies receipts that waited and can be applied now; gives up on those
    /// whose message did not appear in time. Answers for how many messages.
    pub async fn apply_receipts(&self, now: Instant) -> Result<u64, StoreError> {
        alone!(self, "apply receipts", |_| Wakes::Others, [], c => receipts::apply_waiting(c, now))
    }

    /// Deletes reports as they came once they are old, and what belongs to no
    /// message; what they said about messages stays. Answers how many.
    pub async fn forget_reports(&self, now: Instant) -> Result<u64, StoreError> {
        alone!(self, "forget old reports", |_| Wakes::Nobody, [], c => receipts::forget(c, now))
    }

    /// Takes in a text somebody sent: ends or restarts texts to the number,
    /// holds orders that may have been cancelled, notes what a person has to
    /// look at, and decides on the one automatic answer. The same text again
    /// changes nothing and is not answered.
    pub async fn take_text(
        &self,
        new: texts::NewText,
        now: Instant,
    ) -> Result<texts::TakenText, StoreError> {
        let wakes = |taken: &texts::TakenText| match taken {
            texts::TakenText::Known => Wakes::Nobody,
            texts::TakenText::Taken { .. } => Wakes::Others,
        };
        alone!(self, "take a text", wakes, [new], c => texts::take(c, new, now))
    }

    /// Records what became of the automatic answer to a text.
    pub async fn text_answered(&self, id: i64, outcome: &str) -> Result<(), StoreError> {
        let outcome = outcome.to_owned();
        alone!(self, "record an answer", |()| Wakes::Nobody, [outcome], c => {
            texts::answered(c, id, outcome)
        })
    }

    /// A person has looked at a text; `false` when nobody has to.
    pub async fn close_text(&self, id: i64, by: &str, now: Instant) -> Result<bool, StoreError> {
        let by = by.to_owned();
        alone!(self, "close a text", |_| Wakes::Nobody, [by], c => texts::close(c, id, by, now))
    }

    /// Deletes the words and numbers of old texts; what they asked for stays.
    pub async fn forget_texts(&self, now: Instant) -> Result<(), StoreError> {
        alone!(self, "forget old texts", |()| Wakes::Nobody, [], c => texts::forget(c, now))
    }

    // ---- operators ----

    /// Places a hold; `false` when there is one already. Once answered, nothing
    /// under it is marked.
    pub async fn hold(&self, hold: operate::NewHold, now: Instant) -> Result<bool, StoreError> {
        alone!(self, "place a hold", |done| Wakes::others_if(*done), [hold], c => operate::hold(c, hold, now))
    }

    /// Holds everything because this database is not the one that was here
    /// last; a hold on everything that is there already becomes this one. A
    /// mark that it is a backup is taken off in the same commit.
    pub async fn hold_restored(&self, why: &str, now: Instant) -> Result<(), StoreError> {
        let why = why.to_owned();
        alone!(self, "hold everything", |()| Wakes::Others, [why], c => {
            operate::hold_restored(c, why, now)
        })
    }

    /// Lifts a hold and wakes the orders it kept silent; `false` when there is
    /// none.
    pub async fn release(
        &self,
        scope: &str,
        key: &str,
        by: &str,
        why: Option<&str>,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let (scope, key, by) = (scope.to_owned(), key.to_owned(), by.to_owned());
        let why = why.map(str::to_owned);
        alone!(self, "lift a hold", |done| Wakes::others_if(*done), [scope, key, by, why], c => {
            operate::release(c, scope, key, by, why.as_deref(), now)
        })
    }

    /// Takes messages back that wait in the queue, for good: their keys stay
    /// taken. Answers those that still waited; once answered, none of them is
    /// claimed.
    pub async fn withdraw_messages(
        &self,
        messages: Vec<MessageNo>,
        act: by_hand::Act,
        now: Instant,
    ) -> Result<Vec<MessageNo>, StoreError> {
        let wakes = |done: &Vec<MessageNo>| Wakes::others_if(!done.is_empty());
        alone!(self, "withdraw messages", wakes, [messages, act], c => {
            by_hand::withdraw_messages(c, messages, act, now)
        })
    }

    /// Queues failed messages again, with fresh attempts and a fresh age.
    /// Answers those that were still failed, true, and in nobody's way.
    pub async fn retry_messages(
        &self,
        retries: Vec<by_hand::Retry>,
        act: by_hand::Act,
        now: Instant,
    ) -> Result<Vec<MessageNo>, StoreError> {
        let wakes = |done: &Vec<MessageNo>| Wakes::others_if(!done.is_empty());
        alone!(self, "queue messages again", wakes, [retries, act], c => {
            by_hand::retry_messages(c, retries, act, now)
        })
    }

    /// A person says what became of messages in doubt. What arrived is told.
    /// What did not goes once more, as it is, if it must arrive and is still
    /// true; else it has failed, and its orders are planned again. Answers
    /// those that were still in doubt, with the state they are in now.
    pub async fn settle_messages(
        &self,
        messages: Vec<MessageNo>,
        known: by_hand::Knowledge,
        act: by_hand::Act,
        now: Instant,
    ) -> Result<Vec<(MessageNo, MessageState)>, StoreError> {
        let wakes = |done: &Vec<(MessageNo, MessageState)>| Wakes::others_if(!done.is_empty());
        alone!(self, "settle messages", wakes, [messages, act], c => {
            by_hand::settle_messages(c, messages, known, act, now)
        })
    }

    /// Puts an address on the do-not-write list of a channel and wakes the
    /// orders of whoever is reached there. Twice is once. Once answered,
    /// nothing to it is marked.
    pub async fn suppress(
        &self,
        address_hash: &str,
        channel: ChannelName,
        reason: &str,
        source: &str,
        now: Instant,
    ) -> Result<(), StoreError> {
        let hash = address_hash.to_owned();
        let (reason, source) = (reason.to_owned(), source.to_owned());
        alone!(self, "suppress an address", |()| Wakes::Others, [hash, reason, source], c => {
            operate::suppress(c, hash, channel, reason, source, now)
        })
    }

    /// Goes live: a fresh baseline of every open line in live mode, and the
    /// record of who did it. What was queued in sandbox mode is taken back.
    pub async fn go_live(&self, by: &str, now: Instant) -> Result<u64, StoreError> {
        let by = by.to_owned();
        alone!(self, "go live", |_| Wakes::Others, [by], c => operate::go_live(c, by, now))
    }

    /// Puts a value beside the data (mode, digests, marks of first times).
    pub async fn put_meta(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        alone!(self, "write a setting", |()| Wakes::Nobody, [name, value], c => {
            operate::put_meta(c, name, value)
        })
    }

    /// An entry in the audit log.
    pub async fn audit(
        &self,
        actor: &str,
        verb: &str,
        target: &str,
        why: Option<&str>,
        now: Instant,
    ) -> Result<(), StoreError> {
        let (actor, verb, target) = (actor.to_owned(), verb.to_owned(), target.to_owned());
        let why = why.map(str::to_owned);
        alone!(self, "write the audit log", |()| Wakes::Nobody, [actor, verb, target, why], c => {
            operate::audit(c, actor, verb, target, why.as_deref(), now)
        })
    }
}
