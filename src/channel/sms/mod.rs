//! Texts through a gateway that takes one HTTP request each.
//!
//! A [`Gateway`] knows two things: how to ask ([`Gateway::request`]) and what
//! an answer means ([`Gateway::classify`], a pure function). All the rest is
//! here, once: the client ([`http`]), the exchange, and what an answer means
//! that no gateway has words for ([`answer`]).
//!
//! The way back is the other half of each gateway: delivery receipts and the
//! texts people send us come to our own web address. [`hook`] says what they
//! become, [`signature`] how it is proved that the gateway sent them.
//!
//! Gateways do not retry: a request is made once, and what nobody can read
//! afterwards is in doubt.

pub mod answer;
pub mod generic;
pub mod hook;
pub mod http;
pub mod kannel;
pub mod signature;
pub mod twilio;
pub mod vonage;

use crate::channel::settings::Traffic;
use crate::channel::{Answer, Channel, ChannelProblem, Envelope, Payload, Session, Text};
use crate::domain::ids::MessageUid;
use crate::domain::kinds::ChannelName;
use crate::domain::outcome::{Evidence, Outcome, Phase, Refusal};
use answer::refused;
use http::{HttpAnswer, exchange, http_client, place, reach};
use reqwest::{Client, RequestBuilder, Url};
use std::sync::Arc;

/// One vendor's way to take a text.
pub trait Gateway: Send + Sync + 'static {
    /// For people, in the line a check prints.
    fn name(&self) -> &str;

    /// Where requests go.
    fn url(&self) -> &Url;

    fn traffic(&self) -> &Traffic;

    /// The one request for this text.
    ///
    /// # Errors
    /// What becomes of a text this gateway can never take.
    fn request(
        &self,
        client: &Client,
        uid: MessageUid,
        text: &Text,
    ) -> Result<RequestBuilder, Box<Outcome>>;

    /// What an answer means. Pure.
    fn classify(&self, answer: &HttpAnswer, text: &Text) -> Outcome;

    /// A request that signs in and sends nothing, where the gateway has one.
    fn sign_in(&self, _client: &Client) -> Option<RequestBuilder> {
        None
    }
}

/// A gateway as a way out of the house.
pub struct GatewayChannel<G> {
    inner: Arc<Inner<G>>,
}

struct Inner<G> {
    gateway: G,
    client: Client,
}

impl<G: Gateway> GatewayChannel<G> {
    /// Builds the client; connects to nothing.
    ///
    /// # Errors
    /// The machine has no root certificates.
    pub fn over(gateway: G) -> Result<GatewayChannel<G>, ChannelProblem> {
        let client = http_client(&gateway.traffic().limits)?;
        Ok(GatewayChannel {
            inner: Arc::new(Inner { gateway, client }),
        })
    }
}

impl<G: Gateway> Channel for GatewayChannel<G> {
    fn name(&self) -> ChannelName {
        ChannelName::Sms
    }

    fn max_sessions(&self) -> usize {
        self.inner.gateway.traffic().sessions.max(1)
    }

    fn per_minute(&self) -> u32 {
        self.inner.gateway.traffic().per_minute.max(1)
    }

    /// Signs in where the gateway lets us without sending a text; otherwise
    /// only looks whether the port answers.
    fn check(&self) -> Answer<'_, Result<String, ChannelProblem>> {
        Box::pin(async move {
            let gateway = &self.inner.gateway;
            let name = gateway.name();
            let Some(request) = gateway.sign_in(&self.inner.client) else {
                let found = reach(gateway.url(), gateway.traffic().limits.connect).await?;
                return Ok(format!("{name}: {found}; the login is not checked"));
            };
            let at = place(gateway.url());
            match exchange(request).await {
                Err(outcome) => Err(ChannelProblem::Unreachable {
                    at,
                    what: outcome.evidence().text.clone(),
                }),
                Ok(answer) => match answer.status {
                    200 => Ok(format!("{name}: {at} answers: signed in")),
                    401 | 403 | 404 => Err(ChannelProblem::Configuration {
                        at,
                        what: format!("{}: the account or its secret is wrong", answer.status),
                    }),
                    other => Err(ChannelProblem::Unreachable {
                        at,
                        what: format!("it answers {other}"),
                    }),
                },
            }
        })
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(GatewaySession {
            inner: Arc::clone(&self.inner),
        })
    }
}

struct GatewaySession<G> {
    inner: Arc<Inner<G>>,
}

impl<G: Gateway> Session for GatewaySession<G> {
    fn send<'a>(&'a mut self, envelope: &'a Envelope) -> Answer<'a, Outcome> {
        Box::pin(async move {
            let Payload::Text(text) = &envelope.payload else {
                return *unsendable("an e-mail cannot go to a text gateway");
            };
            let Inner { gateway, client } = &*self.inner;
            let request = match gateway.request(client, envelope.uid, text) {
                Ok(request) => request,
                Err(outcome) => return *outcome,
            };
            match exchange(request).await {
                Ok(answer) => gateway.classify(&answer, text),
                Err(outcome) => *outcome,
            }
        })
    }

    fn close(&mut self) -> Answer<'_, ()> {
        Box::pin(async {})
    }
}

/// A text this gateway can never take; nothing was sent.
fn unsendable(what: &str) -> Box<Outcome> {
    let evidence = Evidence::new(Phase::Connect, what);
    Box::new(refused(Refusal::Content, evidence))
}

/// The address of receipts, with the message it is about. Vendors sign or at
/// least keep it, so a receipt is known before we know their id.
fn with_message(receipts: &str, uid: MessageUid) -> String {
    let mark = if receipts.contains('?') { '&' } else { '?' };
    format!("{receipts}{mark}m={uid}")
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod lying_tests;
