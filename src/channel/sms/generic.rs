//! Any gateway that takes a text in one HTTP request, described by settings:
//! where to, how to sign in, what to say, and how to read the answer.
//!
//! Placeholders are filled in as values, once, inside the strings of the
//! template. Nothing a customer or a product is called can end a string, add
//! a field, or be taken for a placeholder.
//!
//! The answer is read in this order: success, opted out, dead number, "later"
//! statuses, and then what the bare status means. A success needs its status
//! and, where the settings ask a question about the body, the right reply to
//! it: another reply is a refusal, none at all is doubt.

use super::gateway::{Gateway, TextChannel};
use super::{
    HttpAnswer, accepted, by_status, doubt, evidence, exchange, gateway_url, http_client, later,
    reach, refused,
};
use crate::channel::settings::{
    AnswerMatch, BodyTemplate, GenericSmsSettings, HttpAuth, HttpMethod,
};
use crate::channel::{Answer, ChannelProblem, Text};
use crate::domain::ids::MessageUid;
use crate::domain::outcome::{Deferral, Evidence, Outcome, Refusal};
use crate::domain::sms_text::{SmsEncoding, measure};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Url};
use secrecy::ExposeSecret;
use serde_json::Value;

/// As much of a refusal's body as becomes evidence.
const EXCERPT_CHARS_MAX: usize = 160;

pub type GenericSmsChannel = TextChannel<GenericGateway>;

pub struct GenericGateway {
    settings: GenericSmsSettings,
    client: Client,
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
        let client = http_client(&settings.limits)?;
        Ok(TextChannel::through(GenericGateway {
            settings,
            client,
            url,
            credential,
        }))
    }
}

impl Gateway for GenericGateway {
    fn sessions(&self) -> usize {
        self.settings.sessions
    }

    fn per_minute(&self) -> u32 {
        self.settings.per_minute
    }

    /// Only whether the port answers: no gateway can be asked anything more
    /// in general.
    fn check(&self) -> Answer<'_, Result<String, ChannelProblem>> {
        Box::pin(async move {
            let found = reach(&self.url, self.settings.limits.connect).await?;
            Ok(format!(
                "{}: {found}; the login is not checked",
                self.settings.name
            ))
        })
    }

    fn send<'a>(&'a self, uid: MessageUid, text: &'a Text) -> Answer<'a, Outcome> {
        Box::pin(async move {
            match exchange(self.request(uid, text)).await {
                Ok(answer) => classify(&self.settings, &answer, &text.text),
                Err(outcome) => *outcome,
            }
        })
    }
}

impl GenericGateway {
    fn request(&self, uid: MessageUid, text: &Text) -> RequestBuilder {
        let settings = &self.settings;
        let values = Values::of(text, &settings.from);
        let method = match settings.method {
            HttpMethod::Get => Method::GET,
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
        };
        let mut request = self.client.request(method, self.url.clone());
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

/// Every string of a template.
fn strings(body: &BodyTemplate) -> Box<dyn Iterator<Item = &str> + '_> {
    fn of_json(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
        match value {
            Value::String(text) => Box::new(std::iter::once(text.as_str())),
            Value::Array(items) => Box::new(items.iter().flat_map(of_json)),
            Value::Object(members) => Box::new(members.values().flat_map(of_json)),
            _ => Box::new(std::iter::empty()),
        }
    }
    match body {
        BodyTemplate::Json(value) => of_json(value),
        BodyTemplate::Form(fields) => Box::new(fields.iter().map(|(_, value)| value.as_str())),
    }
}

/// What the placeholders stand for in one message.
struct Values([(&'static str, String); 7]);

impl Values {
    fn of(text: &Text, from: &str) -> Values {
        let encoding = match measure(&text.text).encoding {
            SmsEncoding::Gsm7 => "gsm7",
            SmsEncoding::Ucs2 => "ucs2",
        };
        let to = text.to.expose();
        Values([
            ("to", to.to_owned()),
            ("to_digits", to.trim_start_matches('+').to_owned()),
            ("from", from.to_owned()),
            ("text", text.text.clone()),
            ("ref", text.reference.clone()),
            ("callback", text.callback.clone().unwrap_or_default()),
            ("encoding", encoding.to_owned()),
        ])
    }

    /// Knows all names, for a look at the template.
    fn example() -> Values {
        let names = [
            "to",
            "to_digits",
            "from",
            "text",
            "ref",
            "callback",
            "encoding",
        ];
        Values(names.map(|name| (name, String::new())))
    }

    /// Replaces each `{{name}}` once, from left to right; what was put in is
    /// not looked at again.
    ///
    /// # Errors
    /// The name of a placeholder that does not exist.
    fn fill<'a>(&self, template: &'a str) -> Result<String, &'a str> {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else {
                break;
            };
            let found = self.0.iter().find(|(known, _)| *known == name.trim());
            out.push_str(before);
            out.push_str(&found.ok_or(name.trim())?.1);
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// As [`Values::fill`], for a template that was looked at before.
    fn filled(&self, template: &str) -> String {
        self.fill(template).unwrap_or_default()
    }

    fn fill_json(&self, template: &Value) -> Value {
        match template {
            Value::String(text) => Value::String(self.filled(text)),
            Value::Array(items) => items.iter().map(|item| self.fill_json(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), self.fill_json(value)))
                .collect(),
            other => other.clone(),
        }
    }
}

/// What an answer means by these settings. `own_text` is what we sent, to be
/// kept out of the evidence where the gateway repeats it.
pub fn classify(settings: &GenericSmsSettings, answer: &HttpAnswer, own_text: &str) -> Outcome {
    let json = answer.json();
    let json = json.as_ref();
    let evidence = evidence(answer, &excerpt(answer, json, own_text));
    let is_success = is_success_status(settings, answer.status);
    let asked = settings.success.matching.as_ref();
    let reply = asked.map(|question| reply_to(question, answer, json));
    if is_success && matches!(reply, None | Some(Reply::Yes)) {
        return taken(settings, answer, json, evidence);
    }
    if is_any(settings.opted_out.as_ref(), answer, json) {
        return refused(Refusal::OptedOut, evidence);
    }
    if is_any(settings.hard.as_ref(), answer, json) {
        return refused(Refusal::Hard, evidence);
    }
    if is_success && matches!(reply, Some(Reply::No)) {
        return refused(Refusal::Soft, evidence);
    }
    if settings.retry_statuses.contains(&answer.status) {
        return match answer.status {
            // These two speak about the gateway, the others about one text.
            429 | 503 => later(evidence, answer.wait),
            _ => Outcome::Deferred {
                why: Deferral::Recipient,
                wait: answer.wait,
                evidence,
            },
        };
    }
    by_status(answer, evidence)
}

fn is_success_status(settings: &GenericSmsSettings, status: u16) -> bool {
    match settings.success.statuses.as_slice() {
        [] => matches!(status, 200..=202),
        listed => listed.contains(&status),
    }
}

/// A success by its status, and by its body where that was asked for. An id
/// that should be there and is not leaves doubt, unless the body said yes.
fn taken(
    settings: &GenericSmsSettings,
    answer: &HttpAnswer,
    json: Option<&Value>,
    evidence: Evidence,
) -> Outcome {
    let Some(pointer) = &settings.id_pointer else {
        return accepted(answer, None);
    };
    let id = json
        .and_then(|json| json.pointer(pointer))
        .and_then(|id| match id {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
    if id.is_none() && settings.success.matching.is_none() {
        return doubt(evidence);
    }
    accepted(answer, id)
}

/// A gateway's reply to a question the settings ask.
enum Reply {
    Yes,
    /// It said something else.
    No,
    /// It said nothing about that.
    Nothing,
}

fn reply_to(question: &AnswerMatch, answer: &HttpAnswer, json: Option<&Value>) -> Reply {
    match question {
        AnswerMatch::Json { pointer, any_of } => match json.and_then(|j| j.pointer(pointer)) {
            Some(value) if any_of.contains(value) => Reply::Yes,
            Some(_) => Reply::No,
            None => Reply::Nothing,
        },
        AnswerMatch::Text(phrases) => {
            let text = answer.text().to_lowercase();
            let is_there = |phrase: &String| text.contains(&phrase.to_lowercase());
            match phrases.iter().any(is_there) {
                true => Reply::Yes,
                false => Reply::Nothing,
            }
        }
    }
}

fn is_any(question: Option<&AnswerMatch>, answer: &HttpAnswer, json: Option<&Value>) -> bool {
    question.is_some_and(|question| matches!(reply_to(question, answer, json), Reply::Yes))
}

/// The words of a refusal: the speaking members of a JSON answer, or the
/// beginning of a short plain one. Never our own text, never a web page.
fn excerpt(answer: &HttpAnswer, json: Option<&Value>, own_text: &str) -> String {
    let words = match json {
        Some(json) => {
            let mut words = Vec::new();
            speaking_members(json, &mut words);
            words.join(", ")
        }
        None => answer.text(),
    };
    let head: String = words.chars().take(EXCERPT_CHARS_MAX).collect();
    let start: String = own_text.chars().take(12).collect();
    let repeats_us = !start.is_empty() && words.contains(&start);
    if head.trim_start().starts_with('<') || repeats_us {
        return format!("HTTP {}", answer.status);
    }
    head
}

fn speaking_members(value: &Value, words: &mut Vec<String>) {
    const SPEAKING: [&str; 9] = [
        "error",
        "error-text",
        "message",
        "code",
        "description",
        "detail",
        "title",
        "reason",
        "status",
    ];
    match value {
        Value::Array(items) => items.iter().for_each(|item| speaking_members(item, words)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if SPEAKING.contains(&name.as_str()) => {
                        words.push(text.clone());
                    }
                    Value::Number(number) if SPEAKING.contains(&name.as_str()) => {
                        words.push(number.to_string());
                    }
                    nested => speaking_members(nested, words),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "generic_tests.rs"]
mod tests;
