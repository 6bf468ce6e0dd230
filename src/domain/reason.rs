//! Verdicts: for one order in one review, what is said or why nothing is.
//!
//! Every silence has a reason; `explain`, the dry run and the counts of a run
//! print these. Codes are for JSON, [`Reason::words`] for people.

use super::ids::MessageNo;
use super::kinds::{ChannelName, Kind};
use super::time::Instant;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// One judgement about one order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What is, or would have been, said.
    pub kind: Option<Kind>,
    pub channel: Option<ChannelName>,
    pub reason: Reason,
    /// The date it is about, or the line's name: a few words for people.
    pub about: Option<String>,
}

impl Verdict {
    pub fn said(kind: Kind, channel: ChannelName) -> Verdict {
        Verdict {
            kind: Some(kind),
            channel: Some(channel),
            reason: Reason::Owed,
            about: None,
        }
    }
    pub fn quiet(kind: Option<Kind>, reason: Reason) -> Verdict {
        Verdict {
            kind,
            channel: None,
            reason,
            about: None,
        }
    }
    /// Everything was said.
    pub fn nothing_new() -> Verdict {
        Verdict::quiet(None, Reason::NothingNew)
    }
    #[must_use]
    pub fn about(mut self, text: impl Into<String>) -> Verdict {
        self.about = Some(text.into());
        self
    }
    pub fn is_said(&self) -> bool {
        self.reason == Reason::Owed
    }
    /// True when this says nothing that `before` did not: a message that waits
    /// still waits after a failed try, and each try moves only its hour. With
    /// a relay away for hours that is no history worth keeping.
    pub fn repeats(&self, before: &Verdict) -> bool {
        match (&self.reason, &before.reason) {
            (Reason::Queued { message: now, .. }, Reason::Queued { message: then, .. }) => {
                now == then
                    && (self.kind, self.channel, &self.about)
                        == (before.kind, before.channel, &before.about)
            }
            _ => self == before,
        }
    }
}

/// Why something is said, or is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Reason {
    /// It is owed: a message is written.
    Owed,
    /// The customer knows everything.
    NothingNew,
    /// Nothing of the order waits any more and everything was said.
    Finished,
    /// The date moved by less than the limit; decided again before the told day.
    SmallChange {
        days: i64,
        limit: u32,
        again_at: Option<Instant>,
    },
    /// Changed a moment ago; a second change would make it wrong.
    Settling { until: Instant },
    /// The told day has passed; the shop gets a little longer.
    Grace { until: Instant },
    /// The shop's date lies in the past.
    DateInPast { on: NaiveDate },
    /// A date nobody would believe; waits for a person.
    NotBelieved { on: NaiveDate, why: Disbelief },
    /// Already past when we first saw it.
    StaleAtBaseline { on: NaiveDate },
    /// Everything was told shortly before the milestone.
    MilestoneSatisfied { days: u32, sent_at: Instant },
    /// Gone from complete reads of its source; gone is not shipped.
    NotInFeed { since: Instant },
    /// Paused or held by a person.
    Paused { why: String, until: Option<Instant> },
    /// A message about this order is being sent, or may have gone out a moment
    /// ago; decided again when that is known.
    InFlight { message: MessageNo },
    /// A message that says this already waits to go out.
    Queued { message: MessageNo, due_at: Instant },
    /// This very thing was said.
    AlreadySaid { message: MessageNo },
    /// It was tried and failed, or a person withdrew it.
    CannotSay { message: MessageNo },
    /// No channel reaches the customer.
    Unreachable,
    /// A courtesy that comes too soon after the last one.
    CourtesyGap { until: Instant },
    /// Enough courtesies this week.
    WeeklyCap { until: Instant },
}

/// Why a date is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disbelief {
    BeforeOrder,
    TooFarAhead,
    Jump,
}

impl Reason {
    /// The code stored and printed in JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Owed => "owed",
            Reason::NothingNew => "nothing_new",
            Reason::Finished => "finished",
            Reason::SmallChange { .. } => "small_change",
            Reason::Settling { .. } => "settling",
            Reason::Grace { .. } => "grace",
            Reason::DateInPast { .. } => "date_in_past",
            Reason::NotBelieved { .. } => "not_believed",
            Reason::StaleAtBaseline { .. } => "stale_at_baseline",
            Reason::MilestoneSatisfied { .. } => "milestone_satisfied",
            Reason::NotInFeed { .. } => "not_in_feed",
            Reason::Paused { .. } => "paused",
            Reason::InFlight { .. } => "in_flight",
            Reason::Queued { .. } => "queued",
            Reason::AlreadySaid { .. } => "already_said",
            Reason::CannotSay { .. } => "cannot_say",
            Reason::Unreachable => "unreachable",
            Reason::CourtesyGap { .. } => "courtesy_gap",
            Reason::WeeklyCap { .. } => "weekly_cap",
        }
    }

    /// Waits for a person: belongs on the list of things to do.
    pub fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Reason::DateInPast { .. }
                | Reason::NotBelieved { .. }
                | Reason::StaleAtBaseline { .. }
                | Reason::NotInFeed { .. }
                | Reason::CannotSay { .. }
                | Reason::Unreachable
        )
    }

    /// The reason without its particulars, as counted in a run's summary.
    pub fn words(&self) -> &'static str {
        match self {
            Reason::Owed => "owed",
            Reason::NothingNew => "nothing new since we last wrote",
            Reason::Finished => "finished, everything was said",
            Reason::SmallChange { .. } => {
                "moved by less than your limit; decided again the working day before the told date"
            }
            Reason::Settling { .. } => "changed a moment ago; decided when it has stood a while",
            Reason::Grace { .. } => "the told day has just passed; given a little longer",
            Reason::DateInPast { .. } => "the shop's date lies in the past; a person should look",
            Reason::NotBelieved { .. } => "a date nobody would believe; a person should look",
            Reason::StaleAtBaseline { .. } => {
                "already past when we first saw it; a person should look"
            }
            Reason::MilestoneSatisfied { .. } => {
                "update not needed, told everything shortly before"
            }
            Reason::NotInFeed { .. } => "gone from the shop's list; gone is not shipped",
            Reason::Paused { .. } => "paused or held by a person",
            Reason::InFlight { .. } => "a message about it is on its way right now",
            Reason::Queued { .. } => "a message that says it waits to go out",
            Reason::AlreadySaid { .. } => "said already",
            Reason::CannotSay { .. } => "tried and failed; a person should look",
            Reason::Unreachable => "no address or number works; a person should look",
            Reason::CourtesyGap { .. } => "wrote to this customer a few days ago; waits",
            Reason::WeeklyCap { .. } => "enough messages to this customer this week; waits",
        }
    }
}

/// When an order has to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    At(Instant),
    /// Only news can change anything.
    OnEvent,
    /// The order is finished.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_is_no_new_verdict() {
        let queued = |no: i64, at: i64| {
            let reason = Reason::Queued {
                message: MessageNo(no),
                due_at: Instant(at),
            };
            Verdict::quiet(Some(Kind::Delay), reason)
        };
        assert!(queued(7, 2).repeats(&queued(7, 1)));
        assert!(!queued(8, 1).repeats(&queued(7, 1)));
        assert!(!queued(7, 1).about("pot").repeats(&queued(7, 1)));
        let settling = |at| Verdict::quiet(None, Reason::Settling { until: Instant(at) });
        assert!(settling(1).repeats(&settling(1)));
        assert!(!settling(2).repeats(&settling(1)));
    }
}
