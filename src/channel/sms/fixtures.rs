//! What the gateways' tests have in common.

use super::hook::Call;
use super::http::HttpAnswer;
use crate::channel::settings::{HttpLimits, Traffic};
use crate::channel::{Envelope, Payload, Text};
use crate::domain::contact::PhoneNumber;
use crate::domain::ids::{MessageNo, MessageUid};
use crate::domain::outcome::Outcome;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use uuid::Uuid;

/// A number that exists in no network, of a kind that takes texts.
pub const NUMBER: &str = "+491713920012";

pub fn answer(status: u16, body: &str) -> HttpAnswer {
    HttpAnswer {
        status,
        body: body.as_bytes().to_vec(),
        is_whole: true,
        wait: None,
    }
}

/// An outcome in a word or two.
pub fn short(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Deferred { why, .. } => format!("deferred {why:?}").to_lowercase(),
        Outcome::Refused { class, .. } => format!("refused {class:?}").to_lowercase(),
        other => other.name().to_owned(),
    }
}

pub fn text(text: &str) -> Text {
    Text {
        to: PhoneNumber::parse(NUMBER, None).unwrap(),
        text: text.to_owned(),
        reference: "m71".into(),
    }
}

pub fn envelope(words: &str) -> Envelope {
    Envelope {
        uid: MessageUid(Uuid::from_u128(7)),
        number: MessageNo(71),
        payload: Payload::Text(text(words)),
    }
}

pub fn traffic(total: Duration) -> Traffic {
    Traffic {
        sessions: 1,
        per_minute: 60,
        limits: HttpLimits {
            connect: Duration::from_millis(500),
            total,
        },
    }
}

pub fn headers(named: &[(&'static str, &str)]) -> HeaderMap {
    named
        .iter()
        .map(|(name, value)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        })
        .collect()
}

/// A POST, or a GET where there is no body.
pub fn call<'a>(url: &'a str, headers: &'a HeaderMap, body: &'a str) -> Call<'a> {
    Call {
        is_post: !body.is_empty(),
        url,
        headers,
        body: body.as_bytes(),
    }
}
