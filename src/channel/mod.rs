//! Words to the world: how a finished message leaves the house.
//!
//! A [`Channel`] is one way out (a mail relay, a text gateway, a folder). The
//! delivering loop opens as many [`Session`]s as the channel allows, gives
//! each to one task, and hands it one [`Envelope`] after the other. A session
//! is one conversation at a time, so at most one message per session can be
//! in doubt.
//!
//! Promises every channel keeps:
//! - [`Session::send`] answers with an [`Outcome`], never with a `Result`: no
//!   `?` can jump past the question whether the message may have left.
//! - What nobody recognises after the point of no return is *in doubt*; what
//!   happened before it is *deferred*. Nothing is ever guessed to be sent.
//! - Dropping a `send` half-way ends that session's connection. The next send
//!   starts on a fresh one and can never read an answer meant for another.
//! - No address, number, secret or text of a message is in a log line, an
//!   error or the evidence of an outcome.
//!
//! Channels do not retry, wait for quiet hours, keep the pace of the whole or
//! remember anything beyond their process: that is the business of the
//! delivering loop and the store. What they know of the far side's own limits
//! they say before a message is theirs ([`Session::admit`]).

pub mod folder;
pub mod settings;
pub mod sms;
pub mod smtp;
pub mod tls;

use crate::domain::contact::{EmailAddress, PhoneNumber};
use crate::domain::ids::{MessageNo, MessageUid};
use crate::domain::kinds::ChannelName;
use crate::domain::outcome::Outcome;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future, as object-safe async methods need it.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One way out of the house.
pub trait Channel: Send + Sync {
    fn name(&self) -> ChannelName;

    /// Sessions that may be open at the same time; at least 1.
    fn max_sessions(&self) -> usize;

    /// Messages a minute over all sessions of this channel; at least 1.
    fn per_minute(&self) -> u32;

    /// Reaches out, signs in where that is possible without a message, and
    /// says in one line what it found. Sends nothing.
    ///
    /// # Errors
    /// The far side cannot be reached, or something has to be repaired first.
    fn check(&self) -> Answer<'_, Result<String, ChannelProblem>>;

    /// A session that has not connected yet; it does so with its first
    /// message.
    fn open(&self) -> Box<dyn Session>;
}

/// One conversation with the far side, owned by one task.
pub trait Session: Send {
    /// Whether the far side may get this one now; if not, how long it should
    /// wait. Asked before the intent to send is recorded, because nobody may
    /// wait between the record and the first byte. Counts it when it may go.
    fn admit(&mut self, envelope: &Envelope) -> Option<Duration> {
        let _ = envelope;
        None
    }

    /// Hands over one message. The caller has recorded its intent before;
    /// only this call may put the message on the wire, and at most once.
    ///
    /// Dropping the future leaves the message in doubt for the caller and
    /// ends the connection.
    fn send<'a>(&'a mut self, envelope: &'a Envelope) -> Answer<'a, Outcome>;

    /// Takes leave politely, within seconds. The session may be used again
    /// and then connects anew.
    fn close(&mut self) -> Answer<'_, ()>;
}

/// A finished message with what identifies it.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// Identity outside; the same on every attempt.
    pub uid: MessageUid,
    /// Number for people, and for file names.
    pub number: MessageNo,
    pub payload: Payload,
}

#[derive(Clone, Debug)]
pub enum Payload {
    Mail(Mail),
    Text(Text),
}

impl Payload {
    pub fn channel(&self) -> ChannelName {
        match self {
            Payload::Mail(_) => ChannelName::Email,
            Payload::Text(_) => ChannelName::Sms,
        }
    }
}

/// An e-mail as it goes over the wire.
#[derive(Clone)]
pub struct Mail {
    /// Envelope sender: where bounces go.
    pub sender: EmailAddress,
    /// Envelope recipient; there is always exactly one.
    pub to: EmailAddress,
    /// What a report about this mail names it by (`ENVID`, RFC 3461), the same
    /// on every attempt: up to 100 printable characters.
    pub envelope_id: String,
    /// The whole message (RFC 5322), line ends CRLF, made by
    /// [`smtp::message::compose`].
    pub bytes: Vec<u8>,
}

/// A text message as the gateway gets it.
#[derive(Clone)]
pub struct Text {
    pub to: PhoneNumber,
    /// Already smoothed and measured.
    pub text: String,
    /// Our reference, for gateways that carry one; never personal.
    pub reference: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mail({}, {} bytes)", self.to, self.bytes.len())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Text({}, {} characters)",
            self.to,
            self.text.chars().count()
        )
    }
}

/// Why a channel is not usable at the moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelProblem {
    /// Network, DNS, or the far side is closed: may pass by itself.
    #[error("{at} cannot be used now: {what}")]
    Unreachable { at: String, what: String },
    /// Credentials, certificates, addresses: a person has to repair it.
    #[error("{at} has to be set up differently: {what}")]
    Configuration { at: String, what: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_shows_neither_address_nor_text() {
        let mail = Mail {
            sender: EmailAddress::parse("bounces@shop.example").unwrap(),
            to: EmailAddress::parse("anna.k@mail.example").unwrap(),
            envelope_id: "m71".into(),
            bytes: b"Subject: hello".to_vec(),
        };
        let text = Text {
            to: PhoneNumber::parse("+442079460018", None).unwrap(),
            text: "Hello Anna".into(),
            reference: "m71".into(),
        };
        assert_eq!(format!("{mail:?}"), "Mail(an...@mail.example, 14 bytes)");
        assert_eq!(format!("{text:?}"), "Text(+44 ... 0018, 10 characters)");
    }

    #[test]
    fn channels_and_sessions_are_usable_as_trait_objects() {
        fn takes(_: Option<(&dyn Channel, &mut dyn Session)>) {}
        takes(None);
    }
}
