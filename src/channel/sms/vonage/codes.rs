//! Vonage's two tables: the status in an answer, and the error code in a
//! receipt (<https://developer.vonage.com/en/messaging/sms/overview>).

use crate::channel::sms::answer::{configuration, doubt, later, refused};
use crate::channel::sms::http::HttpAnswer;
use crate::domain::outcome::{Deferral, Evidence, Outcome, Refusal};

/// What becomes of a text whose answer has this status. 0 is not asked here.
pub fn outcome(status: u64, answer: &HttpAnswer, evidence: Evidence) -> Outcome {
    match status {
        // Too fast, or too many connections.
        1 | 10 => later(evidence, answer.wait),
        // Parameters missing; credentials; our account barred, without
        // credit, without this API; a wrong signature or callback address; a
        // sender that is not ours.
        2 | 4 | 8 | 9 | 11 | 14 | 15 | 23 | 32 => configuration(evidence),
        3 => refused(Refusal::Soft, evidence),
        5 => Outcome::Deferred {
            why: Deferral::Recipient,
            wait: answer.wait,
            evidence,
        },
        // No such number, or one that is no longer in use.
        6 | 33 => refused(Refusal::Hard, evidence),
        7 => refused(Refusal::OptedOut, evidence),
        12 => refused(Refusal::Content, evidence),
        // A network or a number this account may not write to.
        22 | 29 => refused(Refusal::Policy, evidence),
        // In no table: it says neither yes nor no.
        _ => doubt(evidence),
    }
}

/// What an error code says of the number.
pub fn class(code: Option<u64>) -> Refusal {
    match code {
        // Gone for good; no such number; barred, a fixed line among them.
        Some(3 | 9) => Refusal::Hard,
        // Its owner has us barred.
        Some(4) => Refusal::OptedOut,
        // Spam filters, age limits, the operator's own block.
        Some(6 | 13 | 14) => Refusal::Policy,
        Some(10) => Refusal::Content,
        _ => Refusal::Soft,
    }
}
