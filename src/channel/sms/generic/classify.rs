//! Reading an answer by the settings.
//!
//! In this order: success, opted out, dead number, "later" statuses, and then
//! what the bare status means. A success needs its status and, where the
//! settings ask a question about the body, the right reply to it: another
//! reply is a refusal, none at all is doubt.

use crate::channel::settings::{AnswerMatch, GenericSmsSettings};
use crate::channel::sms::answer::{accepted, by_status, doubt, evidence, later, refused};
use crate::channel::sms::http::HttpAnswer;
use crate::domain::outcome::{Deferral, Evidence, Outcome, Refusal};
use serde_json::Value;

/// As much of a refusal's body as becomes evidence.
const EXCERPT_CHARS_MAX: usize = 160;

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
