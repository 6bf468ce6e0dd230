//! The relays of an installation, in the order in which they are tried, and
//! what all sessions together know about them.
//!
//! A mail goes to the next relay only when the one before certainly did not
//! take it and never will: it could not be reached, did not let us in, or
//! refused us before it accepted the sender. A relay that refuses *the
//! recipient* or puts the mail off has answered, and asking another one for a
//! better answer is not our business.

use super::breaker::{Breaker, LeftAlone};
use super::pace::Pace;
use crate::channel::settings::{EmailSettings, SmtpSettings};
use crate::domain::outcome::{Deferral, Evidence, Outcome, Phase};
use crate::domain::time::Length;
use rustls::ClientConfig;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

pub(super) struct Relays {
    pub(super) list: Vec<Relay>,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) sessions: usize,
    domains: Vec<(String, Mutex<Pace>)>,
    rest: Duration,
    repair: Duration,
}

pub(super) struct Relay {
    pub(super) settings: SmtpSettings,
    state: Mutex<State>,
}

struct State {
    breaker: Breaker,
    /// `None` for the only relay: the delivering loop keeps its pace.
    pace: Option<Pace>,
}

impl Relays {
    pub(super) fn of(settings: EmailSettings, tls: Arc<ClientConfig>) -> Relays {
        let is_one_of_several = settings.relays.len() > 1;
        let relay = |settings: SmtpSettings| Relay {
            state: Mutex::new(State {
                breaker: Breaker::default(),
                pace: is_one_of_several.then(|| Pace::per_minute(settings.per_minute)),
            }),
            settings,
        };
        let pace = |(domain, n)| (domain, Mutex::new(Pace::per_minute(n)));
        Relays {
            list: settings.relays.into_iter().map(relay).collect(),
            tls,
            sessions: settings.sessions.max(1),
            domains: settings.domains.into_iter().map(pace).collect(),
            rest: settings.rest,
            repair: settings.repair,
        }
    }

    /// The fastest relay's pace; the slower ones hold theirs by themselves.
    pub(super) fn per_minute(&self) -> u32 {
        let paces = self.list.iter().map(|relay| relay.settings.per_minute);
        paces.max().unwrap_or(1).max(1)
    }

    /// Counts a mail to this domain over the relay that is likely to get it,
    /// or says how long it should wait.
    pub(super) fn admit(&self, domain: &str, now: Instant) -> Option<Duration> {
        let own = self.domains.iter().find(|(name, _)| name == domain);
        let mut of_domain =
            own.map(|(_, pace)| pace.lock().unwrap_or_else(PoisonError::into_inner));
        let mut of_relay = self.list.iter().find_map(|relay| {
            let state = relay.state();
            state.breaker.is_in_use(now).then_some(state)
        });
        let mut paces: Vec<&mut Pace> = of_domain
            .as_deref_mut()
            .into_iter()
            .chain(of_relay.as_mut().and_then(|state| state.pace.as_mut()))
            .collect();
        let slowest = paces.iter_mut().max_by_key(|pace| pace.wait(now))?;
        if !slowest.wait(now).is_zero() {
            return Some(slowest.come_back(now));
        }
        paces.iter_mut().for_each(|pace| pace.took(now));
        None
    }

    /// Notes what became of a mail at relay number `n`.
    pub(super) fn heed(&self, n: usize, outcome: &Outcome, now: Instant) {
        let relay = &self.list[n];
        let is_left_alone = relay
            .state()
            .breaker
            .heed(outcome, now, self.rest, self.repair);
        // Of an only relay the delivering loop tells.
        if is_left_alone && self.list.len() > 1 {
            let evidence = outcome.evidence();
            tracing::error!(
                relay = relay.settings.place(),
                code = evidence.code,
                phase = evidence.phase.as_str(),
                "the relay is left alone for a while, others stand in: {}",
                evidence.text
            );
        }
    }
}

impl Relay {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it may be tried now.
    pub(super) fn ask(&self, now: Instant) -> Result<(), LeftAlone> {
        self.state().breaker.ask(now)
    }

    /// How long its pace makes a mail wait that was admitted for another one.
    pub(super) fn stand_in(&self, now: Instant) -> Option<Duration> {
        let mut state = self.state();
        let pace = state.pace.as_mut()?;
        if pace.wait(now).is_zero() {
            pace.took(now);
            return None;
        }
        Some(pace.wait(now))
    }
}

/// Whether the next relay may have the mail: nothing of it was accepted, and
/// it was not about the mail.
pub(super) fn is_free_for_the_next(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Deferred { why, evidence, .. } => {
            *why != Deferral::Recipient && evidence.phase <= Phase::Mail
        }
        _ => false,
    }
}

/// The answer for a mail that no relay was asked about, or none took.
#[derive(Default)]
pub(super) struct Nobody(Option<Outcome>);

impl Nobody {
    pub(super) fn took_it(&mut self, outcome: Outcome) {
        // What passes by itself counts more than what has to be repaired: the
        // mail is tried again sooner.
        let passes = |outcome: &Outcome| {
            matches!(
                outcome,
                Outcome::Deferred {
                    why: Deferral::Relay,
                    ..
                }
            )
        };
        match &self.0 {
            Some(before) if passes(before) || !passes(&outcome) => {}
            _ => self.0 = Some(outcome),
        }
    }

    pub(super) fn was_asked(&mut self, left_alone: &LeftAlone) {
        let words = format!("not asked again so soon after: {}", left_alone.words);
        self.took_it(waits(left_alone.because, left_alone.wait, &words));
    }

    pub(super) fn has_room(&mut self, wait: Duration) {
        self.took_it(waits(
            Deferral::Relay,
            wait,
            "the relay has had its share of this minute",
        ));
    }

    pub(super) fn outcome(self) -> Outcome {
        self.0.unwrap_or_else(|| {
            waits(
                Deferral::Configuration,
                Duration::ZERO,
                "no relay is configured",
            )
        })
    }
}

fn waits(why: Deferral, wait: Duration, words: &str) -> Outcome {
    let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    Outcome::Deferred {
        why,
        wait: Some(Length(millis)),
        evidence: Evidence::new(Phase::Connect, words),
    }
}
