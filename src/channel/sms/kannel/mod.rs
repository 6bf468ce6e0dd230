//! Kannel's `smsbox`: a gateway the shop runs by itself.
//!
//! The request is a form by POST, so that neither the password nor the text
//! stands in an address that proxies write down. The answer is one line of
//! words and no id; what we know a text by is in the address of its receipt
//! ([`hook::proof`]). Kannel splits long texts by itself.
//!
//! Kannel says plainly when it has not taken a text, so its 500 and 503 are
//! definite, as long as they come with Kannel's own words.

pub mod hook;

use super::answer::{accepted, by_status, configuration, doubt, evidence, later, refused};
use super::http::{HttpAnswer, gateway_url};
use super::{Gateway, GatewayChannel};
use crate::channel::settings::{KannelSettings, Traffic};
use crate::channel::{ChannelProblem, Text};
use crate::domain::ids::MessageUid;
use crate::domain::outcome::{Deferral, Outcome, Refusal};
use crate::domain::sms_text::{SmsEncoding, measure};
use reqwest::{Client, RequestBuilder, Url};
use secrecy::ExposeSecret;

/// Delivered, not delivered, buffered, accepted by the operator, rejected.
const RECEIPTS_WANTED: u8 = 1 | 2 | 4 | 8 | 16;

pub type KannelChannel = GatewayChannel<Kannel>;

pub struct Kannel {
    settings: KannelSettings,
    url: Url,
}

impl KannelChannel {
    /// Builds the client; connects to nothing.
    ///
    /// # Errors
    /// The URL is not usable, or there are no root certificates.
    pub fn new(settings: KannelSettings) -> Result<KannelChannel, ChannelProblem> {
        let url = gateway_url(&settings.url)?;
        KannelChannel::over(Kannel { settings, url })
    }
}

impl Gateway for Kannel {
    fn name(&self) -> &str {
        "Kannel"
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
        let coding = match measure(&text.text).encoding {
            SmsEncoding::Gsm7 => "0",
            SmsEncoding::Ucs2 => "2",
        };
        let mut fields = vec![
            ("username", settings.user.clone()),
            ("password", settings.password.expose_secret().to_owned()),
            ("to", text.to.expose().to_owned()),
            ("text", text.text.clone()),
            ("coding", coding.to_owned()),
            ("charset", "UTF-8".to_owned()),
        ];
        if let Some(from) = &settings.from {
            fields.push(("from", from.clone()));
        }
        if let Some(smsc) = &settings.smsc {
            fields.push(("smsc", smsc.clone()));
        }
        if let Some(validity) = settings.validity {
            let mins = (validity.as_secs() / 60).max(1);
            fields.push(("validity", mins.to_string()));
        }
        if let Some((receipts, secret)) = &settings.receipts {
            fields.push(("dlr-mask", RECEIPTS_WANTED.to_string()));
            fields.push(("dlr-url", hook::receipt_url(receipts, uid, secret)));
        }
        Ok(client.post(self.url.clone()).form(&fields))
    }

    fn classify(&self, answer: &HttpAnswer, text: &Text) -> Outcome {
        classify(answer, text.to.expose())
    }
}

/// What smsbox's line means; `to` is the one number we asked for.
pub fn classify(answer: &HttpAnswer, to: &str) -> Outcome {
    let line = answer.text();
    let line = line.trim();
    let evidence = evidence(answer, line.get(..line.len().min(160)).unwrap_or_default());
    let says = |words: &str| line.to_lowercase().contains(words);
    match answer.status {
        200 | 202 if says("denied receivers") && line.contains(to.trim_start_matches('+')) => {
            refused(Refusal::Policy, evidence)
        }
        200 | 202
            if answer.is_whole
                && ["0: accepted", "3: queued", "sent."]
                    .iter()
                    .any(|words| line.to_lowercase().starts_with(words)) =>
        {
            accepted(answer, None)
        }
        // Both refusals are 403; only the words tell them apart.
        403 if says("not routable") => refused(Refusal::Hard, evidence),
        403 => configuration(evidence),
        // What we always send and Kannel misses, or what it may not do.
        400 if says("sender missing") || says("missing receiver") || says("empty receiver") => {
            configuration(evidence)
        }
        400 => refused(Refusal::Content, evidence),
        500 if says("sending failed") => Outcome::Deferred {
            why: Deferral::Recipient,
            wait: answer.wait,
            evidence,
        },
        503 if says("temporal failure") => later(evidence, answer.wait),
        200 | 202 => doubt(evidence),
        _ => by_status(answer, evidence),
    }
}

#[cfg(test)]
mod tests;
