//! What any other gateway tells us, read by the settings.
//!
//! Proved by a shared secret in a header or the query, or by a keyed hash of
//! the body. Where the hash covers a time, only five minutes are good;
//! without one, a request played again is the same news and changes nothing.

use crate::channel::settings::{GenericHookSettings, HookProof, HookSignature, ReceiptFields};
use crate::channel::sms::hook::{
    Call, Fields, Hook, Inbound, NotTaken, SmsEvent, made_id, number, parse_uid, plain, words,
};
use crate::channel::sms::signature::{is_mac, is_token};
use crate::domain::outcome::Refusal;
use crate::domain::time::{Instant, Length};
use secrecy::ExposeSecret;
use serde_json::Value;

/// How old, or how far ahead, a signed time may be.
const AGE_MAX: Length = Length::mins(5);

pub struct GenericHook {
    pub settings: GenericHookSettings,
}

impl Hook for GenericHook {
    fn name(&self) -> &'static str {
        "generic"
    }

    fn verify(&self, call: &Call<'_>, now: Instant) -> Result<(), NotTaken> {
        let is_theirs = match &self.settings.proof {
            HookProof::Header { name, secret } => call
                .header(name)
                .is_some_and(|claimed| is_token(secret.expose_secret(), claimed)),
            HookProof::Query { name, secret } => call
                .query()
                .text(name)
                .is_some_and(|claimed| is_token(secret.expose_secret(), &claimed)),
            HookProof::Signature(signature) => has_signed(signature, call, now),
        };
        if is_theirs {
            Ok(())
        } else {
            Err(NotTaken::Forged)
        }
    }

    fn receipt(&self, call: &Call<'_>) -> Result<Option<SmsEvent>, NotTaken> {
        let Some(places) = &self.settings.receipts else {
            return Err(NotTaken::Unreadable("receipts are not set up"));
        };
        let said = Said::of(call);
        let theirs = plain(said.at(&places.id));
        let reference = places.reference.as_deref().and_then(|place| said.at(place));
        let ours = reference.as_deref().and_then(parse_uid);
        let ours = ours.or_else(|| call.message());
        let Some(word) = said.at(&places.status) else {
            return Err(NotTaken::Unreadable("no status"));
        };
        if theirs.is_none() && ours.is_none() {
            return Err(NotTaken::Unreadable("no id"));
        }
        let known = places
            .words
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&word));
        let Some((_, status)) = known else {
            return Ok(None);
        };
        let code = places.error.as_deref().and_then(|place| said.at(place));
        let code = plain(code);
        Ok(Some(SmsEvent {
            ours,
            theirs,
            status: *status,
            class: status.is_failure().then(|| class(places, code.as_deref())),
            code,
            at: None,
        }))
    }

    fn inbound(&self, call: &Call<'_>) -> Result<Option<Inbound>, NotTaken> {
        let Some(places) = &self.settings.inbound else {
            return Err(NotTaken::Unreadable("inbound texts are not set up"));
        };
        let said = Said::of(call);
        let Some(from) = said.at(&places.from) else {
            return Err(NotTaken::Unreadable("no sender"));
        };
        let Some(number) = number(&from) else {
            return Ok(None);
        };
        let text = said.at(&places.text).unwrap_or_default();
        let id = places.id.as_deref().and_then(|place| said.at(place));
        // Without an id of theirs a repetition is what is the same all over.
        let id = plain(id).unwrap_or_else(|| {
            let whole = String::from_utf8_lossy(call.body);
            made_id(&[call.url, &whole])
        });
        Ok(Some(Inbound {
            id: Some(id),
            from: number,
            to: places
                .to
                .as_deref()
                .and_then(|place| said.at(place))
                .unwrap_or_default(),
            text: words(&text),
            is_answered: false,
            at: None,
        }))
    }
}

fn class(places: &ReceiptFields, code: Option<&str>) -> Refusal {
    let is_in = |list: &[String]| {
        code.is_some_and(|code| list.iter().any(|known| known.eq_ignore_ascii_case(code)))
    };
    if is_in(&places.opted_out) {
        Refusal::OptedOut
    } else if is_in(&places.hard) {
        Refusal::Hard
    } else {
        Refusal::Soft
    }
}

fn has_signed(signature: &HookSignature, call: &Call<'_>, now: Instant) -> bool {
    // A hash of nothing is good for every request without a body.
    if call.body.is_empty() {
        return false;
    }
    let claimed = call.header(&signature.header).unwrap_or_default();
    let Some(claimed) = claimed.trim().strip_prefix(signature.prefix.as_str()) else {
        return false;
    };
    let key = signature.secret.expose_secret().as_bytes();
    let is_mac =
        |parts: &[&[u8]]| is_mac(signature.algorithm, signature.encoding, key, parts, claimed);
    match &signature.time_header {
        None => is_mac(&[call.body]),
        Some(name) => {
            let time = call.header(name).unwrap_or_default().trim();
            let Ok(secs) = time.parse::<i64>() else {
                return false;
            };
            let age = (now.0 / 1000).saturating_sub(secs).saturating_abs();
            is_mac(&[time.as_bytes(), b".", call.body]) && age <= AGE_MAX.as_secs()
        }
    }
}

/// What a request says, by name or by place.
struct Said {
    fields: Fields,
    json: Option<Value>,
}

impl Said {
    fn of(call: &Call<'_>) -> Said {
        Said {
            fields: call.parameters(),
            json: call.is_post.then(|| call.json()).flatten(),
        }
    }

    fn at(&self, place: &str) -> Option<String> {
        if !place.starts_with('/') {
            return self.fields.text(place);
        }
        match self.json.as_ref()?.pointer(place)? {
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "hook_tests.rs"]
mod tests;
