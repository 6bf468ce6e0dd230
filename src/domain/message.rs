//! The life of a message: states, and what each event makes of it.
//!
//! ```text
//! queued --claim--> leased --mark--> submitting --2xx--> sent --receipt--> delivered | bounced
//!   ^                 |                |-- 4xx, or failed before the final dot --> queued | failed
//!   +---lease over----+                |-- 5xx --> failed
//!                                      +-- silence after the dot, crash --> in_doubt
//! queued, leased --> superseded | suppressed | expired | withdrawn
//! in_doubt --> sent (assumed, evidence) | queued (once more) | failed (evidence)
//! ```
//!
//! The functions here are pure; the store writes what they answer in guarded
//! statements.

use super::kinds::{ChannelName, Kind};
use super::outcome::{Deferral, Outcome, Refusal};
use super::quiet_hours::SendHours;
use super::retry::RetryPolicy;
use super::time::{Instant, Length};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    Queued,
    Leased,
    Submitting,
    InDoubt,
    Sent,
    Delivered,
    Bounced,
    Failed,
    Superseded,
    Suppressed,
    Expired,
    Withdrawn,
}

impl MessageState {
    pub const ALL: [MessageState; 12] = [
        MessageState::Queued,
        MessageState::Leased,
        MessageState::Submitting,
        MessageState::InDoubt,
        MessageState::Sent,
        MessageState::Delivered,
        MessageState::Bounced,
        MessageState::Failed,
        MessageState::Superseded,
        MessageState::Suppressed,
        MessageState::Expired,
        MessageState::Withdrawn,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            MessageState::Queued => "queued",
            MessageState::Leased => "leased",
            MessageState::Submitting => "submitting",
            MessageState::InDoubt => "in_doubt",
            MessageState::Sent => "sent",
            MessageState::Delivered => "delivered",
            MessageState::Bounced => "bounced",
            MessageState::Failed => "failed",
            MessageState::Superseded => "superseded",
            MessageState::Suppressed => "suppressed",
            MessageState::Expired => "expired",
            MessageState::Withdrawn => "withdrawn",
        }
    }
    pub fn parse(text: &str) -> Option<MessageState> {
        let word = text.trim().to_ascii_lowercase().replace(['-', ' '], "_");
        MessageState::ALL
            .into_iter()
            .find(|state| state.as_str() == word)
    }
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            MessageState::Queued => "waiting to go out",
            MessageState::Leased => "being prepared",
            MessageState::Submitting => "being sent",
            MessageState::InDoubt => "may have gone out",
            MessageState::Sent => "accepted",
            MessageState::Delivered => "arrived",
            MessageState::Bounced => "came back",
            MessageState::Failed => "failed",
            MessageState::Superseded => "replaced by newer facts",
            MessageState::Suppressed => "not sent: do-not-write list",
            MessageState::Expired => "not sent: too old",
            MessageState::Withdrawn => "withdrawn by a person",
        }
    }
    /// Accepted by the far side, or assumed to be.
    pub fn is_sent(self) -> bool {
        matches!(self, MessageState::Sent | MessageState::Delivered)
    }
    /// Nothing more happens to it by itself.
    pub fn is_final(self) -> bool {
        !matches!(
            self,
            MessageState::Queued
                | MessageState::Leased
                | MessageState::Submitting
                | MessageState::InDoubt
        )
    }
}

impl fmt::Display for MessageState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long a message in doubt keeps its place before anything newer may be
/// said: long enough for a paused sender to be killed and its connection to
/// be gone.
pub const QUIET_PERIOD: Length = Length::mins(15);
/// Claims without any outcome (the process died, perhaps over this message)
/// that may share their batch with others; after them it is claimed alone.
pub const CLAIMS_TOGETHER_MAX: i64 = 2;
/// Claims without any outcome before a message is set aside as poison: twice
/// in company and twice alone. One death while alone may still be chance (a
/// kill at that very moment); five starts are what systemd allows a unit that
/// keeps dying, so a real poison is set aside before the unit is given up.
pub const CLAIMS_WITHOUT_OUTCOME_MAX: i64 = 4;

/// Whether messages that must be claimed alone come first at `now`: for half a
/// minute in every five. Otherwise they wait for a moment without other work,
/// which with a long queue never comes; and to make room for them nothing else
/// is claimed, which must not last while a relay keeps a session waiting.
pub fn alone_first(now: Instant) -> bool {
    const TURN: i64 = 30_000;
    const EVERY: i64 = 300_000;
    now.0.rem_euclid(EVERY) < TURN
}

/// What the record of an attempt needs to know about its message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flight {
    pub kind: Kind,
    /// Attempts so far that count, this one included.
    pub attempts: u32,
    /// Times it was in doubt before.
    pub doubts: u32,
    /// When it first became due.
    pub due_since: Instant,
    pub not_after: Instant,
}

/// What a recorded outcome does to its message.
#[derive(Clone, Debug, PartialEq)]
pub enum Landing {
    /// `sent`; what it said is told.
    Sent,
    /// Back to `queued`, due at the instant given; whether the attempt counts.
    Again { due_at: Instant, counts: bool },
    /// `failed`; `suppress` puts the address on the do-not-write list.
    Failed { suppress: bool, why: FailedWhy },
    /// `in_doubt` until the quiet period ends; what it said is possible.
    InDoubt { quiet_until: Instant },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailedWhy {
    Refused,
    AttemptsUsedUp,
    TooOld,
}

/// The landing of an attempt. `sample` in 0..1 spreads retries.
pub fn land(
    flight: &Flight,
    outcome: &Outcome,
    retry: &RetryPolicy,
    sample: f64,
    now: Instant,
) -> Landing {
    match outcome {
        Outcome::Accepted { .. } => Landing::Sent,
        Outcome::InDoubt { .. } => Landing::InDoubt {
            quiet_until: now.plus(QUIET_PERIOD),
        },
        Outcome::Refused { class, .. } => Landing::Failed {
            suppress: matches!(class, Refusal::Hard | Refusal::OptedOut),
            why: FailedWhy::Refused,
        },
        Outcome::Deferred { why, wait, .. } => {
            let counts = *why == Deferral::Recipient;
            let delay = match why {
                Deferral::Recipient => retry.delay(flight.attempts, sample),
                Deferral::Relay => retry.relay_delay(sample),
                Deferral::Configuration => retry.configuration_delay,
                Deferral::NotBegun => Length::ZERO,
            };
            let due_at = now.plus(delay.max(wait.unwrap_or_default()));
            if counts && flight.attempts >= retry.attempts_max {
                return Landing::Failed {
                    suppress: false,
                    why: FailedWhy::AttemptsUsedUp,
                };
            }
            // A message that would come too late fails only for reasons of its
            // own; a relay that is away lets it expire and be planned again.
            if counts && due_at > flight.due_since.plus(retry.age_max(flight.kind)) {
                return Landing::Failed {
                    suppress: false,
                    why: FailedWhy::TooOld,
                };
            }
            Landing::Again { due_at, counts }
        }
    }
}

/// The earliest moment from `now` on at which a message may go over its
/// channel: texts keep to `hours` in the recipient's zone, mails may always go.
/// Asked when a text is planned and again right before it is sent.
pub fn earliest_send(channel: ChannelName, hours: &SendHours, zone: Tz, now: Instant) -> Instant {
    match channel {
        ChannelName::Email => now,
        ChannelName::Sms => hours.earliest(now, zone),
    }
}

/// What happens to a message whose quiet period in doubt is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Sent once more, same Message-ID: it must arrive and is still true.
    OnceMore,
    /// Assumed sent: what it said is told by assumption.
    Assume,
    /// Assumed sent for the record; the facts moved on and the planner decides
    /// what is owed now.
    Outdated,
}

/// What becomes of a message in doubt for the `doubts`-th time. `said_by_mail`:
/// it is a text, and a relay took the same news as a mail.
///
/// A repetition is the same message and takes the way of the first copy, a text
/// goes as a text: reports about the first one still count for it. Where a mail
/// has said it all, a second text would only annoy.
pub fn settle_doubt(kind: Kind, doubts: u32, still_true: bool, said_by_mail: bool) -> Settlement {
    match (kind.must_arrive(), doubts, still_true) {
        (_, _, false) => Settlement::Outdated,
        (true, 1, true) if !said_by_mail => Settlement::OnceMore,
        _ => Settlement::Assume,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::{Evidence, Phase};

    fn flight(kind: Kind, attempts: u32) -> Flight {
        Flight {
            kind,
            attempts,
            doubts: 0,
            due_since: Instant(0),
            not_after: Instant(Length::days(2).0),
        }
    }
    fn e() -> Evidence {
        Evidence::new(Phase::Rcpt, "reply")
    }
    fn lands(kind: Kind, attempts: u32, outcome: &Outcome, at: Length) -> Landing {
        land(
            &flight(kind, attempts),
            outcome,
            &RetryPolicy::default(),
            0.5,
            Instant(at.0),
        )
    }

    #[test]
    fn half_a_minute_in_every_five_is_for_messages_that_must_be_alone() {
        let (second, minute) = (Length::secs(1), Length::mins(1));
        for start in [Instant(0), Instant(1_771_252_200_000), Instant(-7_000)] {
            let seconds = (0..300).map(|n| start.plus(Length(n * second.0)));
            assert_eq!(seconds.filter(|at| alone_first(*at)).count(), 30);
        }
        let halves = |n: i64| Instant(n * minute.0 / 2);
        let turns: Vec<i64> = (0..20).filter(|n| alone_first(halves(*n))).collect();
        assert_eq!(turns, [0, 10]);
    }

    #[test]
    fn silence_after_the_dot_is_doubt_and_nothing_else_is() {
        assert_eq!(
            lands(
                Kind::Delay,
                1,
                &Outcome::InDoubt { evidence: e() },
                Length::ZERO
            ),
            Landing::InDoubt {
                quiet_until: Instant(QUIET_PERIOD.0)
            }
        );
        assert_eq!(
            lands(
                Kind::Delay,
                1,
                &Outcome::Accepted { evidence: e() },
                Length::ZERO
            ),
            Landing::Sent
        );
    }

    #[test]
    fn refusals_end_it_and_only_a_dead_address_is_suppressed() {
        for (class, suppress) in [
            (Refusal::Hard, true),
            // Whether it is the second on another day, the store knows.
            (Refusal::HardAfterTwoDays, false),
            (Refusal::OptedOut, true),
            (Refusal::Policy, false),
            (Refusal::Content, false),
            (Refusal::Soft, false),
        ] {
            assert_eq!(
                lands(
                    Kind::Update,
                    1,
                    &Outcome::Refused {
                        class,
                        evidence: e()
                    },
                    Length::ZERO
                ),
                Landing::Failed {
                    suppress,
                    why: FailedWhy::Refused
                }
            );
        }
    }

    #[test]
    fn deferrals_come_back_until_attempts_or_age_are_used_up() {
        let deferred = |why, wait| Outcome::Deferred {
            why,
            wait,
            evidence: e(),
        };
        let later = deferred(Deferral::Recipient, None);
        assert_eq!(
            lands(Kind::Delay, 1, &later, Length::ZERO),
            Landing::Again {
                due_at: Instant(Length::mins(2).0),
                counts: true
            }
        );
        assert_eq!(
            lands(Kind::Update, 3, &later, Length::hours(24)),
            Landing::Failed {
                suppress: false,
                why: FailedWhy::TooOld
            }
        );
        assert_eq!(
            lands(Kind::Delay, 99, &later, Length::ZERO),
            Landing::Failed {
                suppress: false,
                why: FailedWhy::AttemptsUsedUp
            }
        );
        // A relay that is away uses up nothing, however long it takes.
        assert!(matches!(
            lands(
                Kind::Update,
                99,
                &deferred(Deferral::Relay, None),
                Length::hours(30)
            ),
            Landing::Again { counts: false, .. }
        ));
        // What the far side asks for is honoured when it is longer.
        assert_eq!(
            lands(
                Kind::Delay,
                1,
                &deferred(Deferral::Recipient, Some(Length::hours(1))),
                Length::ZERO
            ),
            Landing::Again {
                due_at: Instant(Length::hours(1).0),
                counts: true
            }
        );
    }

    #[test]
    fn doubt_is_settled_by_kind_once() {
        let settled = |kind, doubts, still_true| settle_doubt(kind, doubts, still_true, false);
        assert_eq!(settled(Kind::Delay, 1, true), Settlement::OnceMore);
        assert_eq!(settled(Kind::Delay, 2, true), Settlement::Assume);
        assert_eq!(settled(Kind::Update, 1, true), Settlement::Assume);
        assert_eq!(settled(Kind::Delay, 1, false), Settlement::Outdated);
    }

    #[test]
    fn a_text_whose_news_went_by_mail_is_not_sent_once_more() {
        let settled = |still_true| settle_doubt(Kind::Delay, 1, still_true, true);
        assert_eq!(settled(true), Settlement::Assume);
        assert_eq!(settled(false), Settlement::Outdated);
    }
}
