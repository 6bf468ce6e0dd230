//! One channel as its deliverer sees it: what was claimed for it, how many are
//! out, how fast it may go, and what its far side has answered lately.
//!
//! It decides nothing about single messages and touches no database.

use crate::app::prepare::Work;
use crate::domain::outcome::{Deferral, Outcome};
use crate::domain::retry::RetryPolicy;
use crate::domain::time::{Instant, Length};
use crate::store::types::Claimed;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Outcomes looked at to tell whether a channel is mostly refused.
pub const LATEST: usize = 20;
/// Without any message for so long, the next ones are "the first" again.
const COLD_AFTER: Length = Length::mins(1);
/// Failures to reach a relay in a row before it is left alone.
const AWAY_MAX: u32 = 5;
/// Messages claimed at a time, for each session.
const CLAIMS_EACH: u32 = 16;

/// One channel's lanes and what is known of its far side.
pub struct Outlet {
    work: mpsc::Sender<Work>,
    sessions: u32,
    per_minute: u32,
    pub pace: Arc<DefaultDirectRateLimiter>,
    /// Claimed, not yet handed to a lane.
    pub waiting: VecDeque<Claimed>,
    /// Handed to a lane, not yet answered.
    pub n_out: u32,
    /// The last claim found nothing more.
    pub exhausted: bool,
    /// Nothing is claimed for it before this.
    parked_until: Option<Instant>,
    away: u32,
    /// Latest outcomes, `true` for a refusal.
    latest: VecDeque<bool>,
    last_sent_at: Option<Instant>,
}

/// What an outcome means for its whole channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    Nothing,
    /// Its settings are wrong: it is left alone for a while.
    Misconfigured,
    /// Nobody is there: it is left alone for a while.
    Away,
    /// So many of the [`LATEST`] were refused: a person has to look.
    MostlyRefused(usize),
}

impl Outlet {
    pub fn new(work: mpsc::Sender<Work>, sessions: usize, per_minute: u32) -> Outlet {
        Outlet {
            work,
            sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
            per_minute,
            pace: Arc::new(limiter(per_minute)),
            waiting: VecDeque::new(),
            n_out: 0,
            exhausted: false,
            parked_until: None,
            away: 0,
            latest: VecDeque::with_capacity(LATEST),
            last_sent_at: None,
        }
    }

    /// Messages that may be out at once: one in each session's hands and one
    /// ready behind it, so that a record and the next mark can share a commit.
    pub fn n_out_max(sessions: usize) -> usize {
        sessions * 2
    }

    /// A lane could take another one.
    pub fn has_room(&self) -> bool {
        self.n_out < self.sessions.saturating_mul(2)
    }

    pub fn is_parked(&self, now: Instant) -> bool {
        self.parked_until.is_some_and(|until| until > now)
    }

    pub fn wants_work(&self, now: Instant) -> bool {
        self.waiting.is_empty()
            && !self.exhausted
            && self.has_room()
            && !self.is_parked(now)
            && !(self.is_cold(now) && self.n_out > 0)
    }

    /// How many to claim: the first messages after a pause go alone; then
    /// enough that no lane waits for a claim, and little enough that a lease is
    /// used long before it is over. `first` and `per_minute` are the program's.
    pub fn room(&self, first: u32, per_minute: u32, now: Instant) -> u32 {
        if self.is_cold(now) {
            return first.max(1);
        }
        let paced = self.per_minute.min(per_minute);
        let lanes = self.sessions.saturating_mul(CLAIMS_EACH);
        lanes.min(paced / 2).max(1)
    }

    fn is_cold(&self, now: Instant) -> bool {
        self.last_sent_at
            .is_none_or(|at| now.since(at) > COLD_AFTER)
    }

    /// The next message, which counts as handed out, and where it goes when it
    /// is ready. There is room for it: a lane's inbox holds as many as may be
    /// out. It is closed only when the lanes are gone.
    pub fn hand_out(&mut self) -> Option<(Claimed, mpsc::Sender<Work>)> {
        let claimed = self.waiting.pop_front()?;
        self.n_out += 1;
        Some((claimed, self.work.clone()))
    }

    /// Takes note of an outcome.
    pub fn note(
        &mut self,
        outcome: &Outcome,
        refused: bool,
        retry: &RetryPolicy,
        now: Instant,
    ) -> Consequence {
        match outcome {
            Outcome::Deferred {
                why: Deferral::Configuration,
                ..
            } => {
                self.parked_until = Some(now.plus(retry.configuration_delay));
                return Consequence::Misconfigured;
            }
            Outcome::Deferred {
                why: Deferral::Relay,
                ..
            } => {
                self.away += 1;
                if self.away < AWAY_MAX.min(self.sessions) {
                    return Consequence::Nothing;
                }
                self.parked_until = Some(now.plus(retry.relay_delay));
                return Consequence::Away;
            }
            Outcome::Deferred {
                why: Deferral::NotBegun,
                ..
            } => return Consequence::Nothing,
            _ => self.away = 0,
        }
        self.last_sent_at = Some(now);
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(refused);
        let n_refused = self.latest.iter().filter(|refused| **refused).count();
        if n_refused * 2 <= LATEST {
            return Consequence::Nothing;
        }
        self.latest.clear();
        Consequence::MostlyRefused(n_refused)
    }
}

/// So many a minute.
pub fn limiter(per_minute: u32) -> DefaultDirectRateLimiter {
    let rate = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
    // A tenth of a minute's worth may go at once: a burst, not a flood.
    let burst = NonZeroU32::new(per_minute / 10).unwrap_or(NonZeroU32::MIN);
    RateLimiter::direct(Quota::per_minute(rate).allow_burst(burst))
}
