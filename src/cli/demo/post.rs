//! The far side of the demo: the folder channels, with a memory of their own
//! and a mail server that is away one morning.
//!
//! What a receiver counted is kept here and never in our database, so that
//! "none lost, none twice" is said by somebody else than us.

use crate::channel::{Answer, Channel, ChannelProblem, Envelope, Session};
use crate::clock::{Clock, SettableClock};
use crate::domain::ids::MessageNo;
use crate::domain::kinds::ChannelName;
use crate::domain::outcome::{Deferral, Evidence, Outcome, Phase};
use crate::domain::time::Instant;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What arrived, and how often we knocked in vain.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    taken: BTreeMap<MessageNo, u32>,
    turned_away: usize,
}

impl Ledger {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// How often a message was taken.
    pub fn times(&self, no: MessageNo) -> u32 {
        self.pages().taken.get(&no).copied().unwrap_or(0)
    }
    /// Messages taken more than once.
    pub fn twice(&self) -> usize {
        self.pages().taken.values().filter(|n| **n > 1).count()
    }
    /// Different messages taken.
    pub fn taken(&self) -> usize {
        self.pages().taken.len()
    }
    /// Attempts the server did not answer.
    pub fn turned_away(&self) -> usize {
        self.pages().turned_away
    }
}

/// A folder channel behind the ledger.
pub struct Counted {
    pub inner: Arc<dyn Channel>,
    pub ledger: Ledger,
    pub clock: SettableClock,
    /// From when to when nobody answers.
    pub away: Option<(Instant, Instant)>,
}

impl Channel for Counted {
    fn name(&self) -> ChannelName {
        self.inner.name()
    }
    fn max_sessions(&self) -> usize {
        self.inner.max_sessions()
    }
    fn per_minute(&self) -> u32 {
        self.inner.per_minute()
    }
    fn check(&self) -> Answer<'_, Result<String, ChannelProblem>> {
        self.inner.check()
    }
    fn open(&self) -> Box<dyn Session> {
        Box::new(CountedSession {
            inner: self.inner.open(),
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            away: self.away,
        })
    }
}

struct CountedSession {
    inner: Box<dyn Session>,
    ledger: Ledger,
    clock: SettableClock,
    away: Option<(Instant, Instant)>,
}

impl Session for CountedSession {
    fn send<'a>(&'a mut self, envelope: &'a Envelope) -> Answer<'a, Outcome> {
        Box::pin(async move {
            let now = self.clock.now();
            if self.away.is_some_and(|(from, to)| from <= now && now < to) {
                self.ledger.pages().turned_away += 1;
                return Outcome::Deferred {
                    why: Deferral::Relay,
                    wait: None,
                    evidence: Evidence::new(Phase::Connect, "connection refused"),
                };
            }
            let outcome = self.inner.send(envelope).await;
            if matches!(outcome, Outcome::Accepted { .. }) {
                *self
                    .ledger
                    .pages()
                    .taken
                    .entry(envelope.number)
                    .or_default() += 1;
            }
            outcome
        })
    }
    fn close(&mut self) -> Answer<'_, ()> {
        self.inner.close()
    }
}
