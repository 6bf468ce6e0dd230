//! Vonage's SMS API, once Nexmo's: one form per text, always answered with
//! HTTP 200 and one entry per part of the text.
//!
//! The entries' own statuses decide. A text of which some parts were taken and
//! others not is in doubt: a phone may show it or not, and sending it again
//! could show it twice. There is no idempotency key; our mark (`client-ref`)
//! comes back with every receipt.

pub mod codes;
pub mod hook;

use super::answer::{accepted, by_status, doubt, evidence};
use super::http::{HttpAnswer, gateway_url, place};
use super::{Gateway, GatewayChannel};
use crate::channel::settings::{Traffic, VonageSettings};
use crate::channel::{ChannelProblem, Text};
use crate::domain::ids::MessageUid;
use crate::domain::outcome::Outcome;
use crate::domain::sms_text::{SmsEncoding, measure};
use reqwest::{Client, RequestBuilder, Url};
use secrecy::ExposeSecret;
use serde_json::Value;

pub type VonageChannel = GatewayChannel<Vonage>;

pub struct Vonage {
    settings: VonageSettings,
    url: Url,
}

impl VonageChannel {
    /// Builds the client; connects to nothing.
    ///
    /// # Errors
    /// The URL is not usable, or there are no root certificates.
    pub fn new(settings: VonageSettings) -> Result<VonageChannel, ChannelProblem> {
        let base = gateway_url(&settings.base_url)?;
        let url = base
            .join("sms/json")
            .map_err(|_| ChannelProblem::Configuration {
                at: place(&base),
                what: "it is not the address of a web service".into(),
            })?;
        VonageChannel::over(Vonage { settings, url })
    }
}

impl Gateway for Vonage {
    fn name(&self) -> &str {
        "Vonage"
    }

    fn url(&self) -> &Url {
        &self.url
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
        let settings = &self.settings;
        let mut fields = vec![
            ("api_key", settings.api_key.clone()),
            ("api_secret", settings.api_secret.expose_secret().to_owned()),
            ("from", settings.from.trim_start_matches('+').to_owned()),
            ("to", text.to.expose().trim_start_matches('+').to_owned()),
            ("text", text.text.clone()),
            ("client-ref", uid.to_string()),
        ];
        if measure(&text.text).encoding == SmsEncoding::Ucs2 {
            fields.push(("type", "unicode".to_owned()));
        }
        if let Some(validity) = settings.validity {
            let bounds = (20_000, 604_800_000);
            let ms = validity.as_millis().clamp(bounds.0, bounds.1);
            fields.push(("ttl", ms.to_string()));
        }
        if let Some(receipts) = &settings.receipts {
            fields.push(("status-report-req", "1".to_owned()));
            // Without our mark in it: the parameters of the address might be
            // signed or not, and `client-ref` comes back anyway.
            fields.push(("callback", receipts.clone()));
        }
        Ok(client.post(self.url.clone()).form(&fields))
    }

    fn classify(&self, answer: &HttpAnswer, _text: &Text) -> Outcome {
        classify(answer)
    }
}

/// What Vonage's answer to a message means.
pub fn classify(answer: &HttpAnswer) -> Outcome {
    let json = answer.json();
    let parts = json
        .as_ref()
        .and_then(|json| json.get("messages"))
        .and_then(Value::as_array);
    let parts = match parts {
        Some(parts) if answer.status == 200 => parts.as_slice(),
        _ => &[],
    };
    if parts.is_empty() {
        return by_status(answer, evidence(answer, ""));
    }
    let status = |part: &Value| part.get("status").and_then(whole);
    let refused = parts.iter().find(|part| status(part) != Some(0));
    let Some(refused) = refused else {
        let ids: Vec<&str> = parts
            .iter()
            .filter_map(|part| part.get("message-id").and_then(Value::as_str))
            .collect();
        return accepted(answer, Some(ids.join(",")));
    };
    let words = refused.get("error-text").and_then(Value::as_str);
    let code = status(refused);
    let evidence = evidence(answer, words.unwrap_or_default())
        .with_enhanced(code.map(|code| code.to_string()));
    if parts.iter().any(|part| status(part) == Some(0)) {
        return doubt(evidence);
    }
    match code {
        Some(code) => codes::outcome(code, answer, evidence),
        None => doubt(evidence),
    }
}

/// A number that may be written as one or as a text.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

#[cfg(test)]
mod tests;
