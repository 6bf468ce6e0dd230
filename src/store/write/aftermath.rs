//! The writing handle after the sending: what the dead left, doubts, workers
//! that come and go, and what comes back.

use super::{Store, alone, operate, receipts, settle, sweep, templates, texts, workers};
use crate::domain::ids::WorkerId;
use crate::domain::time::{Instant, Length};
use crate::store::read::receipts::ReadyReceipt;
use crate::store::types::StoreError;
use crate::store::writer::{Wakes, Writer};
use std::sync::Arc;

/// The writer's road for heartbeats.
struct Beats {
    writer: Writer,
}

impl Store {
    // ---- settling ----

    /// Takes over what dead workers left behind: leases go back to the queue,
    /// messages that were being sent are in doubt, the dead are forgotten. On
    /// SQLite only the holder of the delivery lock may call it, and everybody
    /// else is dead; on PostgreSQL anybody may, now and then, and dead is whose
    /// last heartbeat is older than it promised, by the server's clock.
    pub async fn sweep(&self, me: WorkerId, now: Instant) -> Result<sweep::Swept, StoreError> {
        let wakes = |s: &sweep::Swept| Wakes::others_if(*s != sweep::Swept::default());
        alone!(self, "take over unfinished work", wakes, [], c => sweep::sweep(c, me, now))
    }

    // ---- workers ----

    /// Makes a worker known, alive from now on. It has to be before it claims
    /// anything.
    pub async fn enlist(&self, worker: workers::NewWorker, now: Instant) -> Result<(), StoreError> {
        alone!(self, "enlist as a worker", |()| Wakes::Nobody, [worker], c => {
            workers::enlist(c, worker, now)
        })
    }

    /// A heartbeat: covers everything the worker has in hands. `false`: others
    /// declared it dead and took that over; it must not go on. Waits behind no
    /// other verb.
    pub async fn beat(&self, worker: WorkerId, now: Instant) -> Result<bool, StoreError> {
        let beats = Beats {
            writer: self.writer.for_beats(),
        };
        alone!(beats, "write a heartbeat", |alive| Wakes::nobody_if(*alive), [], c => {
            workers::beat(c, worker, now)
        })
    }

    /// A worker leaves, having given back what it had. What it left all the
    /// same is taken over by the next sweep.
    pub async fn dismiss(&self, worker: WorkerId) -> Result<(), StoreError> {
        alone!(self, "dismiss a worker", |()| Wakes::Nobody, [], c => {
            workers::dismiss(c, worker)
        })
    }

    /// Settles messages whose quiet period in doubt is over.
    pub async fn settle_doubts(&self, now: Instant) -> Result<settle::Settled, StoreError> {
        let wakes = |s: &settle::Settled| Wakes::others_if(*s != settle::Settled::default());
        alone!(self, "settle doubts", wakes, [], c => settle::settle_doubts(c, now))
    }

    /// Takes queued messages back that are too old or whose address must not
    /// be written to, ends holds and held runs whose time is over, and wakes
    /// the orders concerned.
    ///
    /// Each of these, and each run, is a transaction of its own: it locks its
    /// orders once, before anything else.
    pub async fn tidy(&self, now: Instant, lapse: Length) -> Result<u64, StoreError> {
        let wakes = |n: &u64| Wakes::others_if(*n > 0);
        let taken_back: Result<u64, StoreError> =
            alone!(self, "tidy the queue", wakes, [], c => settle::tidy(c, now));
        let mut changed = taken_back?;
        while let Some(n) = self.lapse_run(now, lapse).await? {
            changed += n;
        }
        let ended: Result<u64, StoreError> =
            alone!(self, "end holds", wakes, [], c => operate::end_holds(c, now));
        Ok(changed + ended?)
    }

    /// Takes one held run back whose time is over, if there is one; answers for
    /// how many messages.
    async fn lapse_run(&self, now: Instant, lapse: Length) -> Result<Option<u64>, StoreError> {
        let wakes = |n: &Option<u64>| Wakes::others_if(n.is_some());
        alone!(self, "let a run lapse", wakes, [], c => settle::lapse_run(c, now, lapse))
    }

    /// Keeps what template versions are made of (version, source), each once;
    /// answers how many were not kept yet.
    pub async fn keep_templates(
        &self,
        new: Vec<(String, String)>,
        now: Instant,
    ) -> Result<u64, StoreError> {
        alone!(self, "keep templates", |_| Wakes::Nobody, [new], c => templates::keep(c, new, now))
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
        alone!(self, "set a mail aside", |_| Wakes::Others, [mail], c => {
            receipts::set_aside(c, mail, now)
        })
    }

    /// Applies receipts that waited and can be applied now, some hundred at a
    /// time; gives up on those whose message did not appear in time. Looks
    /// first, and writes only where there is something to write. Answers for
    /// how many messages.
    ///
    /// # Errors
    /// One of them cannot be read: all others that can be applied were.
    pub async fn apply_receipts(&self, now: Instant) -> Result<u64, StoreError> {
        let (mut messages, mut failed, mut after) = (0, None, 0);
        loop {
            let limit = receipts::PASS_MAX;
            let ready = self.read.ready_receipts(now, after, limit).await?;
            let Some(last) = ready.last() else { break };
            after = last.id;
            match self.apply_together(ready.clone(), now).await {
                // Behind those that cannot be read, all of them wait too.
                Err(StoreError::Corrupt { .. }) => {}
                Ok(n) => {
                    messages += n;
                    if failed.is_none() {
                        break;
                    }
                    continue;
                }
                Err(error) => return Err(error),
            }
            for receipt in ready {
                match self.apply_together(vec![receipt], now).await {
                    Ok(n) => messages += n,
                    Err(error @ StoreError::Corrupt { .. }) => failed = failed.or(Some(error)),
                    Err(error) => return Err(error),
                }
            }
        }
        failed.map_or(Ok(messages), Err)
    }

    async fn apply_together(
        &self,
        ready: Vec<ReadyReceipt>,
        now: Instant,
    ) -> Result<u64, StoreError> {
        let wakes = receipts::Applied::wakes;
        let applied = alone!(self, "apply receipts", wakes, [ready], c => {
            receipts::apply_waiting(c, ready, now)
        });
        applied.map(|applied| applied.messages)
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
        alone!(self, "close a text", |closed| Wakes::nobody_if(*closed), [by], c => {
            texts::close(c, id, by, now)
        })
    }

    /// Deletes the words and numbers of old texts; what they asked for stays.
    pub async fn forget_texts(&self, now: Instant) -> Result<(), StoreError> {
        alone!(self, "forget old texts", |()| Wakes::Nobody, [], c => texts::forget(c, now))
    }
}
