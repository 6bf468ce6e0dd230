//! Any gateway that takes a text in one HTTP request, described by settings:
//! where to, how to sign in, what to say, and how to read the answer.
//!
//! Placeholders are filled in as values, once, inside the strings of the
//! template. Nothing a customer or a product is called can end a string, add
//! a field, or be taken for a placeholder.
//!
//! What the answers mean is in [`mod@classify`], what fills the placeholders in
//! [`values`].

pub mod classify;
pub mod hook;
pub mod values;

use super::http::{HttpAnswer, gateway_url};
use super::{Gateway, GatewayChannel, with_message};
use crate::channel::settings::{BodyTemplate, GenericSmsSettings, HttpAuth, HttpMethod, Traffic};
use crate::channel::{ChannelProblem, Text};
use crate::domain::ids::MessageUid;
use crate::domain::outcome::Outcome;
use classify::classify;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Url};
use secrecy::ExposeSecret;
use serde_json::Value;
use values::{Values, strings};

pub type GenericSmsChannel = GatewayChannel<Generic>;

pub struct Generic {
    settings: GenericSmsSettings,
    url: Url,
    /// The header of [`HttpAuth::Header`].
    credential: Option<(HeaderName, HeaderValue)>,
}

impl GenericSmsChannel {
    /// Builds the client; connects to nothing.
    ///
    /// # Errors
    /// The URL, a header or a placeholder is not usable, or there are no root
    /// certificates.
    pub fn new(settings: GenericSmsSettings) -> Result<GenericSmsChannel, ChannelProblem> {
        let url = gateway_url(&settings.url)?;
        let wrong = |what: String| ChannelProblem::Configuration {
            at: settings.name.clone(),
            what,
        };
        if settings.method == HttpMethod::Get && matches!(settings.body, BodyTemplate::Json(_)) {
            return Err(wrong("a GET request cannot carry JSON".into()));
        }
        for name in header_names(&settings) {
            if HeaderName::try_from(name).is_err() {
                return Err(wrong(format!("{name:?} is no name of a header")));
            }
        }
        let known = Values::example();
        if let Some(unknown) = strings(&settings.body).find_map(|s| known.fill(s).err()) {
            return Err(wrong(format!("{{{{{unknown}}}}} is no placeholder")));
        }
        let credential = match credential(&settings.auth) {
            Some(Err(())) => return Err(wrong("the key cannot stand in a header".into())),
            Some(Ok(header)) => Some(header),
            None => None,
        };
        GenericSmsChannel::over(Generic {
            settings,
            url,
            credential,
        })
    }
}

impl Gateway for Generic {
    fn name(&self) -> &str {
        &self.settings.name
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
        Ok(self.asking(client, uid, text))
    }

    fn classify(&self, answer: &HttpAnswer, text: &Text) -> Outcome {
        classify(&self.settings, answer, &text.text)
    }
}

impl Generic {
    fn asking(&self, client: &Client, uid: MessageUid, text: &Text) -> RequestBuilder {
        let settings = &self.settings;
        let callback = settings.receipts.as_deref();
        let callback = callback.map(|receipts| with_message(receipts, uid));
        let values = Values::of(text, &settings.from, callback.unwrap_or_default());
        let method = match settings.method {
            HttpMethod::Get => Method::GET,
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
        };
        let mut request = client.request(method, self.url.clone());
        for (name, value) in &settings.headers {
            request = request.header(name, value);
        }
        if let Some(name) = &settings.idempotency_header {
            request = request.header(name, uid.to_string());
        }
        if let Some((name, value)) = &self.credential {
            request = request.header(name, value);
        }
        let mut secrets: &[_] = &[];
        match &settings.auth {
            HttpAuth::Basic(login) => {
                request = request.basic_auth(&login.user, Some(login.password.expose_secret()));
            }
            HttpAuth::Bearer(token) => request = request.bearer_auth(token.expose_secret()),
            HttpAuth::None | HttpAuth::Header { .. } => {}
            HttpAuth::Fields(fields) => secrets = fields,
        }
        match &settings.body {
            BodyTemplate::Json(template) => {
                let mut body = values.fill_json(template);
                if let Value::Object(members) = &mut body {
                    for (name, secret) in secrets {
                        members.insert(name.clone(), secret.expose_secret().into());
                    }
                }
                request.json(&body)
            }
            BodyTemplate::Form(template) => {
                let mut fields: Vec<(&str, String)> = template
                    .iter()
                    .map(|(name, value)| (name.as_str(), values.filled(value)))
                    .collect();
                for (name, secret) in secrets {
                    fields.push((name, secret.expose_secret().to_owned()));
                }
                match settings.method {
                    HttpMethod::Get => request.query(&fields),
                    HttpMethod::Post | HttpMethod::Put => request.form(&fields),
                }
            }
        }
    }
}

fn header_names(settings: &GenericSmsSettings) -> impl Iterator<Item = &str> {
    let fixed = settings.headers.iter().map(|(name, _)| name);
    fixed
        .chain(&settings.idempotency_header)
        .map(String::as_str)
}

/// The header that carries a key; the error does not say which part of it is
/// wrong, because one of them is the key.
fn credential(auth: &HttpAuth) -> Option<Result<(HeaderName, HeaderValue), ()>> {
    let HttpAuth::Header { name, value } = auth else {
        return None;
    };
    let name = HeaderName::try_from(name.as_str());
    let value = HeaderValue::try_from(value.expose_secret());
    Some(match (name, value) {
        (Ok(name), Ok(mut value)) => {
            value.set_sensitive(true);
            Ok((name, value))
        }
        _ => Err(()),
    })
}

#[cfg(test)]
mod tests;
