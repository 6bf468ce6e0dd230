//! Twilio's error codes, as they come with an answer and with a receipt.
//!
//! Twilio warns that their meanings may change, so an unknown one is never a
//! reason to stop writing to a number.

use crate::channel::sms::answer::{configuration, later, refused};
use crate::channel::sms::http::HttpAnswer;
use crate::domain::outcome::{Deferral, Evidence, Outcome, Refusal};
use crate::domain::time::Length;

/// A handset that is off is not tried again at once.
const HANDSET_WAIT: Length = Length::hours(1);

/// What a code speaks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The account, the sender, the address: a person has to repair it.
    Configuration,
    /// Twilio is busy.
    Busy,
    /// A phone that is off or out of reach.
    Handset,
    /// One of the codes for which another try is worth it.
    Passing,
    Refused(Refusal),
    /// In no table.
    Unknown,
}

/// The tables of <https://www.twilio.com/docs/api/errors>, as far as they
/// concern texts.
pub fn meaning(code: u64) -> Meaning {
    match code {
        20003 | 20404 | 21212 | 21603 | 21606 | 21659 | 30002 => Meaning::Configuration,
        20429 | 21611 | 30001 => Meaning::Busy,
        21211 | 21614 | 30005 | 30006 => Meaning::Refused(Refusal::Hard),
        21610 => Meaning::Refused(Refusal::OptedOut),
        // About a country or a pair of numbers: not the fault of this number,
        // and no reason to stop everybody else's texts.
        21408 | 21612 | 30007 | 30034 => Meaning::Refused(Refusal::Policy),
        21602 | 21617 => Meaning::Refused(Refusal::Content),
        30003 => Meaning::Handset,
        30004 => Meaning::Refused(Refusal::Soft),
        30000..=30999 => Meaning::Passing,
        _ => Meaning::Unknown,
    }
}

/// What becomes of the text an answer with this code is about.
pub fn outcome(code: u64, answer: &HttpAnswer, evidence: Evidence) -> Outcome {
    let recipient_later = |wait, evidence| Outcome::Deferred {
        why: Deferral::Recipient,
        wait,
        evidence,
    };
    match meaning(code) {
        Meaning::Configuration => configuration(evidence),
        Meaning::Busy => later(evidence, answer.wait),
        Meaning::Handset => recipient_later(Some(HANDSET_WAIT), evidence),
        Meaning::Passing => recipient_later(None, evidence),
        Meaning::Refused(class) => refused(class, evidence),
        Meaning::Unknown if matches!(answer.status, 401 | 403 | 404) => configuration(evidence),
        Meaning::Unknown => refused(Refusal::Soft, evidence),
    }
}

/// What a failure after acceptance says of the number. Only what is certain
/// counts: a number is dead, or its owner opted out.
pub fn class(code: Option<u64>) -> Refusal {
    match code.map(meaning) {
        Some(Meaning::Refused(class)) => class,
        Some(Meaning::Configuration) => Refusal::Policy,
        _ => Refusal::Soft,
    }
}
