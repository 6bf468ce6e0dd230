//! What Vonage tells us: receipts and inbound texts as a query, a form or
//! JSON, in the words of the SMS API or of the Messages API.
//!
//! The SMS API signs its parameters: all of them but `sig`, sorted,
//! `&name=value`, with `&` and `=` inside values turned into `_`, through a
//! keyed hash (or, its oldest way, MD5 with the secret behind them). The
//! Messages API sends a signed token (JWT, HS256) that names the body's hash.
//! Both carry a time. Vonage repeats for 24 hours what we did not take, so a
//! request that old is still good; older ones are not.
//!
//! A long text comes in parts (`concat`). They are not put together: the
//! first part holds the words that matter.

use super::codes;
use crate::channel::settings::{MacAlgorithm, MacEncoding, VonageSigning};
use crate::channel::sms::hook::{
    Call, Fields, Hook, Inbound, NotTaken, SmsEvent, number, parse_uid, plain, words,
};
use crate::channel::sms::signature::{
    from_base64_url, from_hex, is_mac, is_same, mac, md5_of, sha256_of,
};
use crate::domain::sms_status::SmsStatus;
use crate::domain::time::{Instant, Length};
use chrono::{DateTime, NaiveDateTime};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// Vonage repeats a webhook for a day.
const AGE_MAX: Length = Length::hours(25);
/// Clocks differ.
const AHEAD_MAX: Length = Length::mins(5);

pub struct VonageHook {
    pub secret: SecretString,
    pub signing: VonageSigning,
}

impl Hook for VonageHook {
    fn name(&self) -> &'static str {
        "vonage"
    }

    fn verify(&self, call: &Call<'_>, now: Instant) -> Result<(), NotTaken> {
        let token = call
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "));
        let is_theirs = match token {
            Some(token) => self.is_token_for(token.trim(), call.body, now),
            None => self.has_signed(&call.parameters(), now),
        };
        if is_theirs {
            Ok(())
        } else {
            Err(NotTaken::Forged)
        }
    }

    fn receipt(&self, call: &Call<'_>) -> Result<Option<SmsEvent>, NotTaken> {
        let fields = call.parameters();
        let nested = call.json().unwrap_or_default();
        let theirs = plain(
            fields
                .text("message_uuid")
                .or_else(|| fields.text("messageId")),
        );
        let ours = fields
            .text("client_ref")
            .or_else(|| fields.text("client-ref"));
        let ours = ours.as_deref().and_then(parse_uid);
        let ours = ours.or_else(|| call.message());
        let word = fields.text("status");
        let (Some(theirs), Some(word)) = (theirs, word) else {
            return Err(NotTaken::Unreadable("no id or no status"));
        };
        let Some(status) = status_of(&word) else {
            return Ok(None);
        };
        let problem = nested.pointer("/error/title").and_then(Value::as_str);
        let code = fields
            .text("err-code")
            .or_else(|| problem.map(str::to_owned));
        let code = plain(code).filter(|code| code != "0");
        let table = code.as_deref().and_then(|code| code.parse().ok());
        Ok(Some(SmsEvent {
            ours,
            theirs: Some(theirs),
            status,
            class: status.is_failure().then(|| codes::class(table)),
            code,
            at: told_at(&fields),
        }))
    }

    fn inbound(&self, call: &Call<'_>) -> Result<Option<Inbound>, NotTaken> {
        let fields = call.parameters();
        let id = plain(
            fields
                .text("message_uuid")
                .or_else(|| fields.text("messageId")),
        );
        let from = fields.text("msisdn").or_else(|| fields.text("from"));
        let (Some(id), Some(from)) = (id, from) else {
            return Err(NotTaken::Unreadable("no id or no sender"));
        };
        let Some(from) = number(&from) else {
            return Ok(None);
        };
        Ok(Some(Inbound {
            id: Some(id),
            from,
            to: fields.text("to").unwrap_or_default(),
            text: words(&fields.text("text").unwrap_or_default()),
            is_answered: false,
            at: told_at(&fields),
        }))
    }
}

impl VonageHook {
    fn has_signed(&self, fields: &Fields, now: Instant) -> bool {
        let (Some(claimed), Some(at)) = (fields.text("sig"), fields.text("timestamp")) else {
            return false;
        };
        let Ok(secs) = at.parse::<i64>() else {
            return false;
        };
        let mut pairs: Vec<&(String, Vec<u8>)> =
            fields.0.iter().filter(|(name, _)| name != "sig").collect();
        pairs.sort();
        let mut text = Vec::new();
        for (name, value) in pairs {
            text.push(b'&');
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            text.extend(value.iter().map(|b| match b {
                b'&' | b'=' => b'_',
                other => *other,
            }));
        }
        let key = self.secret.expose_secret().as_bytes();
        let is_theirs = match self.signing {
            VonageSigning::Mac(algorithm) => {
                is_mac(algorithm, MacEncoding::Hex, key, &[&text], &claimed)
            }
            VonageSigning::Md5Hash => {
                let claimed = from_hex(&claimed).unwrap_or_default();
                !key.is_empty() && is_same(&claimed, &md5_of(&[&text, key]))
            }
        };
        is_theirs && is_recent(secs, now)
    }

    /// RFC 7519 and RFC 7515, as far as one vendor's tokens need it: three
    /// parts, HS256 and nothing else, the body's hash, and the times.
    fn is_token_for(&self, token: &str, body: &[u8], now: Instant) -> bool {
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, claimed] = parts[..] else {
            return false;
        };
        let key = self.secret.expose_secret().as_bytes();
        let signed = format!("{header}.{claims}");
        let expected = mac(MacAlgorithm::Sha256, key, &[signed.as_bytes()]);
        let claimed = from_base64_url(claimed).unwrap_or_default();
        if key.is_empty() || !is_same(&claimed, &expected) {
            return false;
        }
        let json = |part| -> Option<Value> { serde_json::from_slice(&from_base64_url(part)?).ok() };
        let (Some(header), Some(claims)) = (json(header), json(claims)) else {
            return false;
        };
        let hash = claims.get("payload_hash").and_then(Value::as_str);
        let hash = hash.and_then(from_hex).unwrap_or_default();
        let time = |name: &str| claims.get(name).and_then(Value::as_i64);
        let now_secs = now.0 / 1000;
        header.get("alg").and_then(Value::as_str) == Some("HS256")
            && is_same(&hash, &sha256_of(body))
            && time("iat").is_some_and(|at| is_recent(at, now))
            && time("exp").is_none_or(|end| now_secs <= end.saturating_add(AHEAD_MAX.as_secs()))
            && time("nbf").is_none_or(|from| from <= now_secs.saturating_add(AHEAD_MAX.as_secs()))
    }
}

fn is_recent(secs: i64, now: Instant) -> bool {
    let age = (now.0 / 1000).saturating_sub(secs);
    (-AHEAD_MAX.as_secs()..=AGE_MAX.as_secs()).contains(&age)
}

/// Both APIs' words; `None` for `unknown` and what neither has.
fn status_of(word: &str) -> Option<SmsStatus> {
    Some(match word {
        "submitted" => SmsStatus::Accepted,
        "accepted" | "buffered" => SmsStatus::Sent,
        "delivered" | "read" => SmsStatus::Delivered,
        "failed" | "undeliverable" => SmsStatus::Undelivered,
        "rejected" => SmsStatus::Rejected,
        "expired" => SmsStatus::Expired,
        _ => return None,
    })
}

/// `2026-03-09 11:40:00` (UTC) or RFC 3339.
fn told_at(fields: &Fields) -> Option<Instant> {
    let text = fields
        .text("message-timestamp")
        .or_else(|| fields.text("timestamp"))?;
    if let Ok(at) = DateTime::parse_from_rfc3339(&text) {
        return Some(Instant::from_datetime(&at));
    }
    let at = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S").ok()?;
    Some(Instant::from_datetime(&at.and_utc()))
}

#[cfg(test)]
#[path = "hook_tests.rs"]
mod tests;
