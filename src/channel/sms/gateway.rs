//! One channel for every gateway: its sessions, its pace, and the refusal of
//! what is no text.
//!
//! A gateway is one file that knows how to ask for a text and how to read the
//! answer ([`Gateway`]); everything the delivery asks of a channel besides is
//! the same for all of them and stands here.

use super::refused;
use crate::channel::{Answer, Channel, ChannelProblem, Envelope, Payload, Session, Text};
use crate::domain::ids::MessageUid;
use crate::domain::kinds::ChannelName;
use crate::domain::outcome::{Evidence, Outcome, Phase, Refusal};
use std::sync::Arc;

/// What differs from gateway to gateway.
pub trait Gateway: Send + Sync + 'static {
    /// Texts at a time, as configured.
    fn sessions(&self) -> usize;

    /// Texts a minute, as configured.
    fn per_minute(&self) -> u32;

    /// Whether it can be reached, and signed in to where it can be asked;
    /// says what was found. Sends nothing.
    fn check(&self) -> Answer<'_, Result<String, ChannelProblem>>;

    /// Asks for one text, once.
    fn send<'a>(&'a self, uid: MessageUid, text: &'a Text) -> Answer<'a, Outcome>;
}

/// Texts through one gateway.
pub struct TextChannel<G> {
    gateway: Arc<G>,
}

impl<G: Gateway> TextChannel<G> {
    pub(super) fn through(gateway: G) -> TextChannel<G> {
        TextChannel {
            gateway: Arc::new(gateway),
        }
    }
}

impl<G: Gateway> Channel for TextChannel<G> {
    fn name(&self) -> ChannelName {
        ChannelName::Sms
    }

    fn max_sessions(&self) -> usize {
        self.gateway.sessions().max(1)
    }

    fn per_minute(&self) -> u32 {
        self.gateway.per_minute().max(1)
    }

    fn check(&self) -> Answer<'_, Result<String, ChannelProblem>> {
        self.gateway.check()
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(TextSession {
            gateway: Arc::clone(&self.gateway),
        })
    }
}

/// HTTP keeps its connections to itself: a session is only a turn.
struct TextSession<G> {
    gateway: Arc<G>,
}

impl<G: Gateway> Session for TextSession<G> {
    fn send<'a>(&'a mut self, envelope: &'a Envelope) -> Answer<'a, Outcome> {
        match &envelope.payload {
            Payload::Text(text) => self.gateway.send(envelope.uid, text),
            Payload::Mail(_) => {
                Box::pin(async { unsendable("an e-mail cannot go to a text gateway") })
            }
        }
    }

    fn close(&mut self) -> Answer<'_, ()> {
        Box::pin(async {})
    }
}

/// Refused by us, before anybody was asked.
pub(super) fn unsendable(what: &str) -> Outcome {
    refused(Refusal::Content, Evidence::new(Phase::Connect, what))
}
