//! Twilio's messaging API.
//!
//! It has no idempotency key: a request that may have arrived is in doubt,
//! and is never sent again from here. The codes are Twilio's own; it warns
//! that their meanings may change, so an unknown one is never a reason to
//! stop writing to a number.

pub mod codes;
pub mod hook;

use super::answer::{accepted, by_status, doubt, evidence};
use super::http::{HttpAnswer, gateway_url, place};
use super::{Gateway, GatewayChannel, unsendable, with_message};
use crate::channel::settings::{Traffic, TwilioSender, TwilioSettings};
use crate::channel::{ChannelProblem, Text};
use crate::domain::ids::MessageUid;
use crate::domain::outcome::Outcome;
use reqwest::{Client, RequestBuilder, Url};
use secrecy::ExposeSecret;
use serde_json::Value;

/// Longest body Twilio takes.
const BODY_CHARS_MAX: usize = 1600;

pub type TwilioChannel = GatewayChannel<Twilio>;

pub struct Twilio {
    settings: TwilioSettings,
    messages: Url,
}

impl TwilioChannel {
    /// Builds the client; connects to nothing.
    ///
    /// # Errors
    /// The URL is not usable, or there are no root certificates.
    pub fn new(settings: TwilioSettings) -> Result<TwilioChannel, ChannelProblem> {
        let base = gateway_url(&settings.base_url)?;
        let path = format!("2010-04-01/Accounts/{}/Messages.json", settings.account_sid);
        let messages = base
            .join(&path)
            .ok()
            .filter(|url| url.host() == base.host());
        let messages = messages.ok_or_else(|| ChannelProblem::Configuration {
            at: place(&base),
            what: "the account's id is not one".into(),
        })?;
        TwilioChannel::over(Twilio { settings, messages })
    }
}

impl Twilio {
    fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(
            &self.settings.user,
            Some(self.settings.token.expose_secret()),
        )
    }
}

impl Gateway for Twilio {
    fn name(&self) -> &str {
        "Twilio"
    }

    fn url(&self) -> &Url {
        &self.messages
    }

    fn traffic(&self) -> &Traffic {
        &self.settings.traffic
    }

    fn request(
        &self,
        client: &Client,
        uid: MessageUid,
        text: &Text,
    ) -> Result<RequestBuilder, Box<Outcome>> {
        if text.text.chars().count() > BODY_CHARS_MAX {
            return Err(unsendable("the text is longer than 1600 characters"));
        }
        let mut fields = vec![
            ("To", text.to.expose().to_owned()),
            ("Body", text.text.clone()),
        ];
        fields.push(match &self.settings.sender {
            TwilioSender::From(from) => ("From", from.clone()),
            TwilioSender::MessagingService(sid) => ("MessagingServiceSid", sid.clone()),
        });
        // Our own id in the address: a receipt can come before the answer that
        // names theirs, or in place of it.
        if let Some(receipts) = &self.settings.receipts {
            fields.push(("StatusCallback", with_message(receipts, uid)));
        }
        if let Some(validity) = self.settings.validity {
            let secs = validity.as_secs().clamp(1, 36_000);
            fields.push(("ValidityPeriod", secs.to_string()));
        }
        Ok(self.sign(client.post(self.messages.clone()).form(&fields)))
    }

    fn classify(&self, answer: &HttpAnswer, _text: &Text) -> Outcome {
        classify(answer)
    }

    /// The list of messages tells whether the login is right; what it says is
    /// not read.
    fn sign_in(&self, client: &Client) -> Option<RequestBuilder> {
        let list = client.get(self.messages.clone());
        Some(self.sign(list.query(&[("PageSize", "1")])))
    }
}

/// What Twilio's answer to a message means.
pub fn classify(answer: &HttpAnswer) -> Outcome {
    let json = answer.json();
    let field = |name: &str| json.as_ref().and_then(|json| json.get(name));
    let words = field("message").or_else(|| field("error_message"));
    let words = words.and_then(Value::as_str).unwrap_or_default();
    let code = field("code")
        .or_else(|| field("error_code"))
        .and_then(Value::as_u64);
    let evidence = evidence(answer, words).with_enhanced(code.map(|code| code.to_string()));
    if (200..300).contains(&answer.status) {
        let sid = field("sid").and_then(Value::as_str);
        let status = field("status").and_then(Value::as_str);
        return match (sid, status) {
            (Some(_), Some("failed" | "undelivered" | "canceled")) => {
                codes::outcome(code.unwrap_or(0), answer, evidence)
            }
            (Some(sid), _) if sid.starts_with("SM") || sid.starts_with("MM") => {
                accepted(answer, Some(sid.to_owned()))
            }
            _ => doubt(evidence),
        };
    }
    match (answer.status, code) {
        // A code in a 5xx does not make it definite.
        (400..=407 | 410..=428, Some(code)) => codes::outcome(code, answer, evidence),
        _ => by_status(answer, evidence),
    }
}

#[cfg(test)]
mod tests;
