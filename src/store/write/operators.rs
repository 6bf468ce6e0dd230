//! The writing handle for operators: holds, messages settled by hand, the
//! do-not-write list, going live, settings and the audit log.

use super::{Store, alone, by_hand, operate, settings, suppressions};
use crate::domain::ids::{MessageNo, OrderId};
use crate::domain::kinds::ChannelName;
use crate::domain::message::MessageState;
use crate::domain::time::Instant;
use crate::store::Place;
use crate::store::types::StoreError;
use crate::store::writer::Wakes;
use std::sync::Arc;

impl Store {
    /// Places a hold; `false` when there is one already. Once answered, nothing
    /// under it is marked.
    pub async fn hold(&self, hold: operate::NewHold, now: Instant) -> Result<bool, StoreError> {
        alone!(self, "place a hold", |done| Wakes::others_if(*done), [hold], c => {
            operate::hold(c, hold, now)
        })
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
    ///
    /// An order that came under it while it was being lifted is woken behind it,
    /// in a transaction of its own; if the process ends between the two, by the
    /// nightly look at everything.
    pub async fn release(
        &self,
        scope: &str,
        key: &str,
        by: &str,
        why: Option<&str>,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let (scope, key, by) = (scope.to_owned(), key.to_owned(), by.to_owned());
        let (why, under) = (why.map(str::to_owned), (scope.clone(), key.clone()));
        let wakes = |done: &bool| Wakes::others_if(*done);
        let lifted: Result<bool, StoreError> = alone!(self, "lift a hold", wakes, [scope, key, by, why], c => {
            operate::release(c, scope, key, by, why.as_deref(), now)
        });
        if lifted? {
            self.wake_under(under, now).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Wakes the orders that are under a hold which was lifted and were not there
    /// when it was: only where several write at once.
    async fn wake_under(
        &self,
        (scope, key): (String, String),
        now: Instant,
    ) -> Result<u64, StoreError> {
        if let Place::Sqlite(_) = self.place {
            return Ok(0);
        }
        alone!(self, "wake orders", |n| Wakes::others_if(*n > 0), [scope, key], c => {
            operate::wake_under(c, scope, key, now)
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

    /// Puts addresses on the do-not-write list, all or none, wakes the orders
    /// of whoever is reached there, and writes one entry in the audit log if
    /// one of them was not on it. Answers how many were not. Once answered,
    /// nothing to them is marked.
    pub async fn suppress_all(
        &self,
        new: Vec<suppressions::NewSuppression>,
        deed: suppressions::Deed,
        now: Instant,
    ) -> Result<u64, StoreError> {
        alone!(self, "write the do-not-write list", |n| Wakes::others_if(*n > 0), [new, deed], c => {
            suppressions::suppress_all(c, new, deed, now)
        })
    }

    /// Takes an address off the do-not-write list, with the vague refusals
    /// that count towards it, wakes the open orders of whoever is reached there
    /// and answers them; `None` when it is not on it.
    pub async fn lift_suppression(
        &self,
        address_hash: &str,
        channel: ChannelName,
        deed: suppressions::Deed,
        now: Instant,
    ) -> Result<Option<Vec<OrderId>>, StoreError> {
        let hash = address_hash.to_owned();
        let wakes = |found: &Option<Vec<OrderId>>| Wakes::others_if(found.is_some());
        alone!(self, "lift a suppression", wakes, [hash, deed], c => {
            suppressions::lift(c, hash, channel, deed, now)
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

    /// Puts a value beside the data unless there is one; answers the one that
    /// is there then, the same for everybody who asks.
    pub async fn put_meta_first(&self, name: &str, value: &str) -> Result<String, StoreError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        alone!(self, "write a first setting", |_| Wakes::Nobody, [name, value], c => {
            operate::put_meta_first(c, name, value)
        })
    }

    /// Takes note of the settings a process runs with, by their digest. Others
    /// than before wake every open order, and what is planned waits for a
    /// person from that same moment on: see [`Store::end_settings_say`].
    pub async fn notice_settings(
        &self,
        digest: &str,
        now: Instant,
    ) -> Result<settings::Noticed, StoreError> {
        let digest = digest.to_owned();
        alone!(self, "notice the settings", settings::Noticed::wakes, [digest], c => {
            settings::notice(c, digest, now)
        })
    }

    /// Ends the say of changed settings, once no order is due any more that may
    /// not have been looked at under them. Only who runs with the settings that
    /// were noticed last can.
    pub async fn end_settings_say(
        &self,
        digest: &str,
        now: Instant,
    ) -> Result<settings::Spoken, StoreError> {
        let digest = digest.to_owned();
        alone!(self, "end the say of settings", settings::Spoken::wakes, [digest], c => {
            settings::end_say(c, digest, now)
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
