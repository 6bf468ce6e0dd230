//! When a relay is left alone: a circuit breaker, pure.
//!
//! ```text
//! in use ──N failures in a row──► resting ──time is over──► one try
//!   ▲  └──a fault a person has to repair──►  ▲                │ │
//!   │                                        └────fails───────┘ │
//!   └───────────────────────answers─────────────────────────────┘
//! ```
//!
//! After a rest exactly one mail tries the relay while the others go on
//! without it: it pays the connection's time limit, not all of them. A try
//! that never reports back (its task was dropped) delays the next by one more
//! rest and blocks nobody.

use crate::domain::outcome::{Deferral, Outcome, Phase};
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row after which a relay is left alone.
pub(super) const FAILURES_MAX: u32 = 5;

#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    resting: Option<Resting>,
}

#[derive(Clone, Debug)]
struct Resting {
    until: Instant,
    length: Duration,
    because: Deferral,
    words: String,
}

/// Why a relay was not asked, and for how long it will not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeftAlone {
    pub(super) wait: Duration,
    pub(super) because: Deferral,
    /// What it said or did last.
    pub(super) words: String,
}

impl Breaker {
    /// Whether to try the relay now. After a rest only the first who asks may.
    pub(super) fn ask(&mut self, now: Instant) -> Result<(), LeftAlone> {
        let Some(resting) = &mut self.resting else {
            return Ok(());
        };
        if now >= resting.until {
            resting.until = now + resting.length;
            return Ok(());
        }
        Err(LeftAlone {
            wait: resting.until - now,
            because: resting.because,
            words: resting.words.clone(),
        })
    }

    /// Whether it would be tried now; takes no turn.
    pub(super) fn is_in_use(&self, now: Instant) -> bool {
        self.resting
            .as_ref()
            .is_none_or(|resting| now >= resting.until)
    }

    /// Learns from what became of a mail; true if the relay is left alone
    /// from now on and was not before.
    pub(super) fn heed(
        &mut self,
        outcome: &Outcome,
        now: Instant,
        rest: Duration,
        repair: Duration,
    ) -> bool {
        let was_resting = self.resting.is_some();
        let (length, because) = match outcome {
            Outcome::Deferred {
                why: Deferral::Configuration,
                ..
            } => (repair, Deferral::Configuration),
            Outcome::Deferred {
                why: Deferral::Relay,
                evidence,
                ..
            } if evidence.phase <= Phase::Mail => {
                self.failures = self.failures.saturating_add(1);
                if self.failures < FAILURES_MAX && !was_resting {
                    return false;
                }
                (rest, Deferral::Relay)
            }
            // In the middle of a mail says little about the next connection.
            Outcome::Deferred {
                why: Deferral::Relay,
                ..
            }
            | Outcome::InDoubt { .. } => return false,
            _ => {
                *self = Breaker::default();
                return false;
            }
        };
        self.resting = Some(Resting {
            until: now + length,
            length,
            because,
            words: outcome.evidence().text.clone(),
        });
        !was_resting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Evidence;

    const REST: Duration = Duration::from_secs(60);
    const REPAIR: Duration = Duration::from_secs(900);

    fn put_off(why: Deferral, phase: Phase) -> Outcome {
        Outcome::Deferred {
            why,
            wait: None,
            evidence: Evidence::new(phase, "words"),
        }
    }
    fn away() -> Outcome {
        put_off(Deferral::Relay, Phase::Connect)
    }
    fn accepted() -> Outcome {
        Outcome::Accepted {
            evidence: Evidence::new(Phase::Done, "ok"),
        }
    }

    #[tokio::test]
    async fn five_failures_in_a_row_and_then_one_try_per_rest() {
        let mut breaker = Breaker::default();
        let t0 = Instant::now();
        for n in 1..=5 {
            assert_eq!(breaker.ask(t0), Ok(()));
            assert_eq!(breaker.heed(&away(), t0, REST, REPAIR), n == 5, "{n}");
        }
        let shut = breaker.ask(t0 + REST / 2).unwrap_err();
        assert_eq!((shut.wait, shut.because), (REST / 2, Deferral::Relay));
        assert!(!breaker.is_in_use(t0 + REST / 2) && breaker.is_in_use(t0 + REST));
        // Half open: one goes, the others wait for what it finds.
        assert_eq!(breaker.ask(t0 + REST), Ok(()));
        assert!(breaker.ask(t0 + REST).is_err());
        assert!(!breaker.heed(&away(), t0 + REST, REST, REPAIR));
        assert!(
            breaker
                .ask(t0 + REST * 2 - Duration::from_millis(1))
                .is_err()
        );
        assert_eq!(breaker.ask(t0 + REST * 2), Ok(()));
        breaker.heed(&accepted(), t0 + REST * 2, REST, REPAIR);
        for _ in 0..9 {
            assert_eq!(breaker.ask(t0 + REST * 2), Ok(()));
        }
    }

    #[tokio::test]
    async fn an_answer_about_a_mail_ends_the_row_of_failures() {
        let mut breaker = Breaker::default();
        let t0 = Instant::now();
        let later = put_off(Deferral::Recipient, Phase::Rcpt);
        for _ in 0..9 {
            for _ in 0..4 {
                breaker.heed(&away(), t0, REST, REPAIR);
            }
            breaker.heed(&later, t0, REST, REPAIR);
        }
        assert_eq!(breaker.ask(t0), Ok(()));
        // What breaks inside a mail neither counts nor clears.
        for _ in 0..4 {
            breaker.heed(&away(), t0, REST, REPAIR);
        }
        breaker.heed(&put_off(Deferral::Relay, Phase::Data), t0, REST, REPAIR);
        assert_eq!(breaker.ask(t0), Ok(()));
        breaker.heed(&away(), t0, REST, REPAIR);
        assert!(breaker.ask(t0).is_err());
    }

    #[tokio::test]
    async fn a_fault_of_configuration_parks_at_once_and_for_longer() {
        let mut breaker = Breaker::default();
        let t0 = Instant::now();
        let wrong = put_off(Deferral::Configuration, Phase::Auth);
        assert!(breaker.heed(&wrong, t0, REST, REPAIR));
        let shut = breaker.ask(t0 + REST).unwrap_err();
        assert_eq!(shut.because, Deferral::Configuration);
        assert_eq!(shut.wait, REPAIR - REST);
        assert_eq!(breaker.ask(t0 + REPAIR), Ok(()));
        assert!(breaker.ask(t0 + REPAIR).is_err());
    }
}
