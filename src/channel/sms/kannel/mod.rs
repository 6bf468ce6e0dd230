//! Kannel's `smsbox`: a gateway the shop runs by itself.
//!
//! The request is a POST with the text as its body and all the rest in
//! `X-Kannel-*` headers (user's guide, "Using the HTTP interface to send SMS
//! messages"), so that neither the password nor the text stands in an address
//! that proxies write down. A form by POST, which other gateways take, is
//! refused by Kannel 1.4.5 ("Invalid content-type").
//!
//! The answer is one line of words and no id; what we know a text by is in the
//! address of its receipt ([`hook::proof`]). Kannel splits long texts by
//! itself, as far as `max-messages` of the user's group goes, cuts off the
//! rest without a word, and asks for the receipt of the first part only.
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
use crate::domain::outcome::{Deferral, Evidence, Outcome, Phase, Refusal};
use crate::domain::sms_text::{SmsEncoding, measure};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Url};
use secrecy::ExposeSecret;

/// Delivered, not delivered, buffered, accepted by the operator, rejected.
const RECEIPTS_WANTED: u8 = 1 | 2 | 4 | 8 | 16;

/// Refusals that are about us, not about this text.
const CONFIGURATION_WORDS: [&str; 5] = [
    "sender missing",
    "missing receiver",
    "empty receiver",
    "insufficient headers",
    "invalid content-type",
];

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
            ("x-kannel-username", settings.user.clone()),
            ("x-kannel-to", text.to.expose().to_owned()),
            ("x-kannel-coding", coding.to_owned()),
            // Of the body; without it, coding 2 is taken for UTF-16.
            ("x-kannel-charset", "UTF-8".to_owned()),
        ];
        if let Some(from) = &settings.from {
            fields.push(("x-kannel-from", from.clone()));
        }
        if let Some(smsc) = &settings.smsc {
            fields.push(("x-kannel-smsc", smsc.clone()));
        }
        if let Some(validity) = settings.validity {
            let mins = (validity.as_secs() / 60).max(1);
            fields.push(("x-kannel-validity", mins.to_string()));
        }
        if let Some((receipts, secret)) = &settings.receipts {
            fields.push(("x-kannel-dlr-mask", RECEIPTS_WANTED.to_string()));
            let url = hook::receipt_url(receipts, uid, secret);
            fields.push(("x-kannel-dlr-url", url));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(name, header(&value)?);
        }
        let mut password = header(settings.password.expose_secret())?;
        password.set_sensitive(true);
        headers.insert("x-kannel-password", password);
        headers.insert(CONTENT_TYPE, header("text/plain; charset=UTF-8")?);
        let request = client.post(self.url.clone()).headers(headers);
        Ok(request.body(text.text.clone()))
    }

    fn classify(&self, answer: &HttpAnswer, text: &Text) -> Outcome {
        classify(answer, text.to.expose())
    }
}

/// A header's value; other alphabets go as UTF-8.
fn header(value: &str) -> Result<HeaderValue, Box<Outcome>> {
    HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        let what = "a setting of [sms.kannel] has characters no header can carry";
        Box::new(configuration(Evidence::new(Phase::Connect, what)))
    })
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
        400 if CONFIGURATION_WORDS.iter().any(|words| says(words)) => configuration(evidence),
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
