//! What became of one attempt to hand a message over.
//!
//! Four answers, and the fourth is the important one: a relay that never
//! answered after the final dot has neither accepted nor refused. What nobody
//! recognises is *in doubt*, never success (RFC 1047, RFC 5321 6.1).

use super::time::Length;
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
}

/// Why a message was refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No such mailbox or number: the address is not written to again.
    Hard,
    /// The recipient opted out at the gateway.
    OptedOut,
    /// Our reputation, authentication or sending right.
    Policy,
    /// The message itself: too big, not representable.
    Content,
    /// Vague, but final for this message.
    Soft,
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
    fn evidence_is_one_short_line_without_addresses() {
        let e = Evidence::new(
            Phase::Rcpt,
            "550 5.1.1 <anna@mail.example>:\r\nunknown\tuser",
        );
        assert_eq!(e.text, "550 5.1.1 <address> unknown user");
        assert!(Evidence::new(Phase::Rcpt, &"ü".repeat(900)).text.len() <= REPLY_BYTES_MAX);
    }
}
