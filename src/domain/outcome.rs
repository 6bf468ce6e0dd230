//! What became of one attempt to hand a message over.
//!
//! Four answers, and the fourth is the important one: a relay that never
//! answered after the final dot has neither accepted nor refused. What nobody
//! recognises is *in doubt*, never success (RFC 1047, RFC 5321 6.1).

use super::time::Length;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// Longest reply text kept as evidence, in bytes.
pub const REPLY_BYTES_MAX: usize = 500;

/// The result of an attempt, with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Outcome {
    /// The relay or gateway took responsibility.
    Accepted { evidence: Evidence },
    /// Certainly not taken; may be tried again. `wait` is what the far side
    /// asked for, if it did.
    Deferred {
        why: Deferral,
        wait: Option<Length>,
        evidence: Evidence,
    },
    /// Certainly not taken, and trying the same again is pointless.
    Refused { class: Refusal, evidence: Evidence },
    /// It may or may not have been taken.
    InDoubt { evidence: Evidence },
}

/// Why a message was put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deferral {
    /// The recipient's side said "later" (4yz, greylisting, throttling).
    Recipient,
    /// The relay could not be reached or closed the connection; says nothing
    /// about this message and does not use up one of its attempts.
    Relay,
    /// Credentials, TLS or the sender address are wrong: everything for this
    /// relay waits until a person repairs it.
    Configuration,
    /// We did not begin: a hold, the hour or our own standing changed between
    /// the record of the intent and the first byte.
    NotBegun,
}

/// Why a message was refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No such mailbox or number: the address is not written to again.
    Hard,
    /// Vague about the mailbox, as mail servers are. Once may be a fault of
    /// theirs; on two different days it means that the mailbox is gone.
    HardAfterTwoDays,
    /// The recipient opted out at the gateway.
    OptedOut,
    /// Our reputation, authentication or sending right.
    Policy,
    /// The message itself: too big, not representable.
    Content,
    /// Vague, but final for this message.
    Soft,
}

/// Vague refusals further apart are two accidents, not one dead mailbox.
const VAGUE_DAYS_MAX: i64 = 30;

impl Refusal {
    /// Whether the address is written to no more. `vague_before` is the latest
    /// earlier day of a vague refusal of it with nothing accepted since.
    pub fn ends_the_address(self, vague_before: Option<NaiveDate>, today: NaiveDate) -> bool {
        match self {
            Refusal::Hard | Refusal::OptedOut => true,
            Refusal::HardAfterTwoDays => vague_before.is_some_and(|day| {
                (1..=VAGUE_DAYS_MAX).contains(&today.signed_duration_since(day).num_days())
            }),
            Refusal::Policy | Refusal::Content | Refusal::Soft => false,
        }
    }
}

/// How far the conversation had come. Before `Dot` an unanswered step is
/// definite; from `Dot` on silence is doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Connect,
    Greeting,
    Tls,
    Auth,
    Mail,
    Rcpt,
    Data,
    /// The body, or an HTTP request, was (perhaps) completely written.
    Dot,
    Done,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Connect => "connect",
            Phase::Greeting => "greeting",
            Phase::Tls => "tls",
            Phase::Auth => "auth",
            Phase::Mail => "mail",
            Phase::Rcpt => "rcpt",
            Phase::Data => "data",
            Phase::Dot => "dot",
            Phase::Done => "done",
        }
    }
}

/// What the far side said, cut to [`REPLY_BYTES_MAX`] and free of addresses
/// where we can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub phase: Phase,
    /// SMTP reply code or HTTP status.
    pub code: Option<u16>,
    /// Enhanced status code (RFC 3463) or a gateway's own error code.
    pub enhanced: Option<String>,
    /// Reply text, or the error in our words when there was no reply.
    pub text: String,
    /// Queue id or gateway message id, where the answer names one.
    pub reference: Option<String>,
    /// Which relay said it, as `host:port`.
    #[serde(default)]
    pub relay: Option<String>,
}

impl Evidence {
    pub fn new(phase: Phase, text: &str) -> Evidence {
        Evidence {
            phase,
            code: None,
            enhanced: None,
            text: shorten(text),
            reference: None,
            relay: None,
        }
    }
    #[must_use]
    pub fn with_code(mut self, code: u16) -> Evidence {
        self.code = Some(code);
        self
    }
    #[must_use]
    pub fn with_enhanced(mut self, enhanced: Option<String>) -> Evidence {
        self.enhanced = enhanced;
        self
    }
    #[must_use]
    pub fn with_reference(mut self, reference: Option<String>) -> Evidence {
        self.reference = reference;
        self
    }
}

impl Outcome {
    pub fn evidence(&self) -> &Evidence {
        match self {
            Outcome::Accepted { evidence }
            | Outcome::Deferred { evidence, .. }
            | Outcome::Refused { evidence, .. }
            | Outcome::InDoubt { evidence } => evidence,
        }
    }
    /// Names the relay that answered; where there are `several`, also in the
    /// words, so that everybody who reads them knows.
    #[must_use]
    pub fn at(mut self, relay: &str, several: bool) -> Outcome {
        let (Outcome::Accepted { evidence }
        | Outcome::Deferred { evidence, .. }
        | Outcome::Refused { evidence, .. }
        | Outcome::InDoubt { evidence }) = &mut self;
        if several {
            evidence.text = shorten(&format!("[{relay}] {}", evidence.text));
        }
        evidence.relay = Some(relay.to_owned());
        self
    }
    /// The word stored with the attempt.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Accepted { .. } => "accepted",
            Outcome::Deferred { .. } => "deferred",
            Outcome::Refused { .. } => "refused",
            Outcome::InDoubt { .. } => "in_doubt",
        }
    }
}

/// Cuts to the limit at a character boundary and replaces line ends, so that
/// a reply is one line wherever it is shown. Anything that looks like an
/// address is masked: relays love to repeat it.
fn shorten(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(REPLY_BYTES_MAX));
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        if word.contains('@') {
            out.push_str("<address>");
        } else {
            out.extend(word.chars().filter(|c| !c.is_control()));
        }
    }
    if out.len() > REPLY_BYTES_MAX {
        let mut end = REPLY_BYTES_MAX;
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vague_refusal_ends_an_address_on_its_second_day() {
        let day = |d| NaiveDate::from_ymd_opt(2026, 3, d).unwrap();
        let vague = Refusal::HardAfterTwoDays;
        for (before, ends) in [
            (None, false),
            (Some(day(31)), false),
            (Some(day(30)), true),
            (Some(day(1)), true),
            (NaiveDate::from_ymd_opt(2026, 2, 28), false),
        ] {
            assert_eq!(vague.ends_the_address(before, day(31)), ends, "{before:?}");
        }
        assert!(Refusal::Hard.ends_the_address(None, day(31)));
        for class in [Refusal::Policy, Refusal::Content, Refusal::Soft] {
            assert!(!class.ends_the_address(Some(day(1)), day(31)));
        }
    }

    #[test]
    fn the_relay_that_answered_is_named_and_an_address_still_is_not() {
        let outcome = Outcome::Accepted {
            evidence: Evidence::new(Phase::Done, "Ok <anna@mail.example>"),
        };
        let alone = outcome.clone().at("smtp.example:465", false);
        assert_eq!(alone.evidence().relay.as_deref(), Some("smtp.example:465"));
        assert_eq!(alone.evidence().text, "Ok <address>");
        let one_of_two = outcome.at("smtp.example:465", true);
        assert_eq!(
            one_of_two.evidence().text,
            "[smtp.example:465] Ok <address>"
        );
    }

    #[test]
    fn evidence_is_one_short_line_without_addresses() {
        let e = Evidence::new(
            Phase::Rcpt,
            "550 5.1.1 <anna@mail.example>:\r\nunknown\tuser",
        );
        assert_eq!(e.text, "550 5.1.1 <address> unknown user");
        assert!(Evidence::new(Phase::Rcpt, &"ü".repeat(900)).text.len() <= REPLY_BYTES_MAX);
    }
}
