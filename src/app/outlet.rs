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
/// Messages claimed at a time, for each session, where nothing is known of how
/// fast they go.
const CLAIMS_EACH: u32 = 16;
/// Messages still to be got ready, for each session, when the next ones are
/// claimed.
const CLAIMED_AHEAD: u32 = 4;
/// Most that are claimed at a time by few sessions.
const CLAIMS_MAX: u32 = 256;
/// What was claimed together and handed out sooner than this was little: a claim
/// costs as much as a dozen mails, and nobody marks meanwhile.
const USED_SOON: Length = Length::secs(2);

/// One channel's lanes and what is known of its far side.
pub struct Outlet {
    work: mpsc::Sender<Work>,
    sessions: u32,
    per_minute: u32,
    pub pace: Arc<DefaultDirectRateLimiter>,
    /// Claimed, not yet handed to a lane.
    pub waiting: VecDeque<Claimed>,
    /// Handed out, not yet answered.
    pub n_out: u32,
    /// Of those, what no lane has taken yet.
    pub n_ready: u32,
    /// The last claim found nothing more.
    pub exhausted: bool,
    /// How many were claimed last, and when.
    last_claim: Option<(u32, Instant)>,
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
            n_ready: 0,
            exhausted: false,
            last_claim: None,
            parked_until: None,
            away: 0,
            latest: VecDeque::with_capacity(LATEST),
            last_sent_at: None,
        }
    }

    /// Messages that may be ready at once: one behind each session's, so that a
    /// record and the next mark can share a commit.
    pub fn n_ready_max(sessions: usize) -> usize {
        sessions
    }

    /// Another one may be got ready.
    pub fn has_room(&self) -> bool {
        self.n_ready < self.sessions
    }

    pub fn is_parked(&self, now: Instant) -> bool {
        self.parked_until.is_some_and(|until| until > now)
    }

    /// The next claim is made while some are still to be got ready, so that
    /// nobody waits for it; fewer where the pace is slow, or their leases end
    /// while they wait for their turn. After a pause nothing is claimed until
    /// one of the first has come back. `per_minute` is the program's.
    pub fn wants_work(&self, per_minute: u32, now: Instant) -> bool {
        let quarter = self.per_minute.min(per_minute) / 4;
        let low = self
            .sessions
            .saturating_mul(CLAIMED_AHEAD)
            .min(quarter)
            .max(1);
        let is_low = match self.is_cold(now) {
            true => self.n_claimed() == 0,
            false => self.waiting.len() < low as usize,
        };
        is_low && !self.exhausted && self.has_room() && !self.is_parked(now)
    }

    /// In this worker's hands.
    pub fn n_claimed(&self) -> u32 {
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        self.n_out.saturating_add(waiting)
    }

    /// How many to claim: the first messages after a pause go alone; then
    /// enough that no lane waits for a claim, and little enough that a lease is
    /// used long before it is over: twice as many as the last time if those went
    /// fast. `first` and `per_minute` are the program's.
    pub fn room(&self, first: u32, per_minute: u32, now: Instant) -> u32 {
        if self.is_cold(now) {
            return first.max(1);
        }
        let lanes = self.sessions.saturating_mul(CLAIMS_EACH);
        let fast = match self.last_claim {
            Some((n, at)) if now.since(at) < USED_SOON => n.saturating_mul(2).min(CLAIMS_MAX),
            _ => 0,
        };
        let paced = self.per_minute.min(per_minute);
        lanes.max(fast).min(paced / 2).max(1)
    }

    /// Takes what was claimed for it.
    pub fn take(&mut self, claimed: Vec<Claimed>, now: Instant) {
        let n = u32::try_from(claimed.len()).unwrap_or(u32::MAX);
        self.exhausted = n == 0;
        self.last_claim = Some((n, now));
        self.waiting.extend(claimed);
    }

    fn is_cold(&self, now: Instant) -> bool {
        self.last_sent_at
            .is_none_or(|at| now.since(at) > COLD_AFTER)
    }

    /// The next message, which counts as handed out, and where it goes when it
    /// is ready. There is room for it: the lanes' inbox holds as many as may be
    /// ready. It is closed only when the lanes are gone.
    pub fn hand_out(&mut self) -> Option<(Claimed, mpsc::Sender<Work>)> {
        let claimed = self.waiting.pop_front()?;
        self.n_out += 1;
        self.n_ready += 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{MessageNo, MessageUid};
    use crate::domain::kinds::{ChannelName, Kind};
    use crate::domain::notice_key::Mode;
    use crate::template::samples;

    /// An outlet that sent something a moment ago, after a claim of `n`.
    fn warm(sessions: usize, n: u32, claimed_at: Instant) -> Outlet {
        let (work, _) = mpsc::channel(1);
        let mut outlet = Outlet::new(work, sessions, 1_000_000);
        outlet.last_sent_at = Some(claimed_at);
        outlet.last_claim = Some((n, claimed_at));
        outlet
    }

    #[test]
    fn claims_grow_while_they_are_used_up_fast() {
        let (at, soon) = (Instant(1_000_000), Instant(1_000_500));
        let slow = at.plus(Length::secs(30));
        for (sessions, n, now, expected, sentence) in [
            (1, 16, soon, 32, "twice as many"),
            (1, 200, soon, 256, "up to the most"),
            (1, 16, slow, 16, "a slow relay gets few"),
            (1, 256, slow, 16, "again"),
            (16, 256, soon, 256, "what many sessions need is enough"),
            (32, 64, soon, 512, "and never less"),
            (1, 1, soon, 16, "nor after a message that was claimed alone"),
        ] {
            let room = warm(sessions, n, at).room(5, 1_000_000, now);
            assert_eq!(room, expected, "{sentence}");
        }
        let paced = warm(1, 128, at).room(5, 60, soon);
        assert_eq!(paced, 30, "half of what may go in a minute");
        let cold = warm(1, 128, at).room(5, 60, at.plus(Length::mins(2)));
        assert_eq!(cold, 5, "the first ones after a pause go alone");
    }

    fn claimed() -> Claimed {
        let (_, facts) = samples(Kind::Delay).swap_remove(0);
        Claimed {
            no: MessageNo(1),
            uid: MessageUid(uuid::Uuid::nil()),
            epoch: 1,
            channel: ChannelName::Email,
            kind: facts.kind,
            mode: Mode::Live,
            run: None,
            counted: 0,
            doubts: 0,
            planned_at: Instant(0),
            due_since: Instant(0),
            not_after: Instant(0),
            zone: chrono_tz::UTC,
            facts,
            thread: Vec::new(),
            recipient: "anna@mail.example".to_owned(),
        }
    }

    #[test]
    fn the_next_ones_are_claimed_early_where_they_go_fast() {
        let now = Instant(1_000_000);
        let cold = now.plus(Length::mins(2));
        for (sessions, n_waiting, per_minute, at, wants, sentence) in [
            (16, 63, 600, now, true, "fewer than four for each session"),
            (16, 64, 600, now, false, "four for each"),
            (
                16,
                1,
                5,
                now,
                false,
                "a slow pace: what waits has its turn first",
            ),
            (16, 0, 5, now, true, "nothing waits"),
            (1, 0, 600, now, true, "nothing waits for one"),
            (1, 4, 600, now, false, "four for one"),
            (
                16,
                1,
                600,
                cold,
                false,
                "the first ones after a pause go alone",
            ),
        ] {
            let mut outlet = warm(sessions, 16, now);
            outlet.waiting.extend((0..n_waiting).map(|_| claimed()));
            assert_eq!(outlet.wants_work(per_minute, at), wants, "{sentence}");
        }
    }
}
