//! What Kannel tells us, by GET: receipts to the address each text was sent
//! with, and inbound texts to the `get-url` of its `sms-service`.
//!
//! Kannel signs nothing. So every receipt's address carries the message's id
//! and a proof made of it with our secret: who has one address cannot make
//! another. Inbound texts have one fixed token. Neither has a time in it; a
//! request played again is the same news and changes nothing.
//!
//! A GET with an effect is Kannel's way and cannot be helped. It ignores what
//! we answer to a receipt and does not repeat one that failed unless it was
//! told to (`http-request-retry`).

use crate::channel::settings::{MacAlgorithm, MacEncoding};
use crate::channel::sms::hook::{
    Call, Hook, Inbound, NotTaken, SmsEvent, made_id, number, plain, words,
};
use crate::channel::sms::signature::{hex, is_mac, is_token, mac};
use crate::domain::ids::MessageUid;
use crate::domain::outcome::Refusal;
use crate::domain::sms_status::SmsStatus;
use crate::domain::time::Instant;
use secrecy::{ExposeSecret, SecretString};

/// Signed with the id, so that a proof is good for receipts and nothing else.
const PURPOSE: &[u8] = b"backorderd kannel receipt ";

pub struct KannelHook {
    pub secret: SecretString,
}

/// Half of an HMAC-SHA256, 128 bits, in hexadecimal.
pub fn proof(uid: MessageUid, secret: &SecretString) -> String {
    let key = secret.expose_secret().as_bytes();
    let id = uid.to_string();
    hex(&mac(MacAlgorithm::Sha256, key, &[PURPOSE, id.as_bytes()])[..16])
}

/// Where the receipts of one text go; Kannel fills in what stands after `%`.
pub fn receipt_url(receipts: &str, uid: MessageUid, secret: &SecretString) -> String {
    let proof = proof(uid, secret);
    format!("{receipts}?m={uid}&p={proof}&d=%d&f=%F&b=%B&t=%T")
}

impl Hook for KannelHook {
    fn name(&self) -> &'static str {
        "kannel"
    }

    fn verify(&self, call: &Call<'_>, _now: Instant) -> Result<(), NotTaken> {
        let query = call.query();
        let secret = self.secret.expose_secret();
        let is_ours = match (call.message(), query.text("p"), query.text("token")) {
            (Some(uid), Some(claimed), None) => {
                // Written short, so made whole again from our own.
                let id = uid.to_string();
                let parts = [PURPOSE, id.as_bytes()];
                let whole = mac(MacAlgorithm::Sha256, secret.as_bytes(), &parts);
                let claimed = format!("{claimed}{}", hex(&whole[16..]));
                is_mac(
                    MacAlgorithm::Sha256,
                    MacEncoding::Hex,
                    secret.as_bytes(),
                    &parts,
                    &claimed,
                )
            }
            (None, None, Some(token)) => is_token(secret, &token),
            _ => false,
        };
        if is_ours {
            Ok(())
        } else {
            Err(NotTaken::Forged)
        }
    }

    fn receipt(&self, call: &Call<'_>) -> Result<Option<SmsEvent>, NotTaken> {
        let query = call.query();
        // Proved by its own address only; the token of inbound texts is none.
        let (Some(ours), Some(_)) = (call.message(), query.text("p")) else {
            return Err(NotTaken::Forged);
        };
        let Some(kind) = query.text("d").and_then(|d| d.parse::<u8>().ok()) else {
            return Err(NotTaken::Unreadable("no type of receipt"));
        };
        let Some(status) = status_of(kind) else {
            return Ok(None);
        };
        let code = plain(query.text("b")).filter(|code| status.is_failure() && code != "0");
        Ok(Some(SmsEvent {
            ours: Some(ours),
            theirs: plain(query.text("f")),
            status,
            // The codes are each operator's own: none is certain.
            class: status.is_failure().then_some(Refusal::Soft),
            code,
            at: seconds(query.text("t")),
        }))
    }

    fn inbound(&self, call: &Call<'_>) -> Result<Option<Inbound>, NotTaken> {
        let query = call.query();
        if query.text("token").is_none() {
            return Err(NotTaken::Forged);
        }
        let Some(from) = query.text("from") else {
            return Err(NotTaken::Unreadable("no sender"));
        };
        let Some(number) = number(&from) else {
            return Ok(None);
        };
        let charset = query.text("cs").unwrap_or_default();
        let text = in_charset(query.bytes("text").unwrap_or_default(), &charset);
        let stamp = query.text("ts").unwrap_or_default();
        let id = plain(query.text("id")).unwrap_or_else(|| made_id(&[&from, &stamp, &text]));
        Ok(Some(Inbound {
            id: Some(id),
            from: number,
            to: query.text("to").unwrap_or_default(),
            text: words(&text),
            is_answered: false,
            at: seconds(Some(stamp)),
        }))
    }
}

/// `%d`; 32 and combinations say nothing that counts.
fn status_of(kind: u8) -> Option<SmsStatus> {
    Some(match kind {
        1 => SmsStatus::Delivered,
        2 => SmsStatus::Undelivered,
        // Kept for a phone that is off.
        4 | 8 => SmsStatus::Sent,
        16 => SmsStatus::Rejected,
        _ => return None,
    })
}

fn seconds(text: Option<String>) -> Option<Instant> {
    let secs: i64 = text?.trim().parse().ok()?;
    (secs > 0).then(|| Instant(secs.saturating_mul(1000)))
}

/// Kannel passes a text on in the alphabet it came in.
fn in_charset(bytes: &[u8], charset: &str) -> String {
    match charset.to_ascii_uppercase().as_str() {
        "UTF-16BE" | "UTF-16" | "UCS-2" => {
            let units: Vec<u16> = bytes
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            String::from_utf16_lossy(&units)
        }
        // Every byte is its own character there.
        "ISO-8859-1" | "WINDOWS-1252" => bytes.iter().map(|b| char::from(*b)).collect(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::sms::fixtures::{call, headers};
    use uuid::Uuid;

    const NOW: Instant = Instant(1_771_200_000_000);
    const UID: MessageUid = MessageUid(Uuid::from_u128(7));

    fn hook() -> KannelHook {
        KannelHook {
            secret: SecretString::from("horse"),
        }
    }

    #[test]
    fn a_receipt_is_proved_by_its_own_address() {
        let none = headers(&[]);
        let good = receipt_url(
            "http://127.0.0.1:8025/sms/kannel/status",
            UID,
            &hook().secret,
        );
        let verify = |url: &str| hook().verify(&call(url, &none, ""), NOW).is_ok();
        assert!(verify(&good));
        assert!(verify(&good.replace("%d", "1").replace("%T", "1771200000")));
        let proof = proof(UID, &hook().secret);
        let other = MessageUid(Uuid::from_u128(8)).to_string();
        for wrong in [
            good.replace(&UID.to_string(), &other),
            good.replace(&proof, &proof[..30]),
            good.replace(&proof, &proof.replace(&proof[..1], "x")),
            good.replace(&proof, ""),
            good.replace("&p=", "&q="),
            format!("{good}&token=horse"),
            "http://127.0.0.1:8025/sms/kannel/status".into(),
        ] {
            assert!(!verify(&wrong), "{wrong}");
        }
        let inbound = "http://127.0.0.1:8025/sms/kannel/inbound?from=1&token=";
        assert!(verify(&format!("{inbound}horse")));
        assert!(!verify(&format!("{inbound}horsf")));
        assert!(!verify(inbound));
        // The inbound token opens no receipts, nor a receipt's proof texts.
        let token = "http://127.0.0.1:8025/sms/kannel/status?token=horse&d=1";
        assert!(verify(token));
        assert_eq!(
            hook().receipt(&call(token, &none, "")),
            Err(NotTaken::Forged)
        );
        assert_eq!(
            hook().inbound(&call(&good, &none, "")),
            Err(NotTaken::Forged)
        );
    }

    #[test]
    fn every_type_of_receipt_has_its_rank() {
        let none = headers(&[]);
        for (kind, expected) in [
            ("1", Some((SmsStatus::Delivered, None))),
            ("2", Some((SmsStatus::Undelivered, Some(Refusal::Soft)))),
            ("4", Some((SmsStatus::Sent, None))),
            ("8", Some((SmsStatus::Sent, None))),
            ("16", Some((SmsStatus::Rejected, Some(Refusal::Soft)))),
            ("32", None),
            ("3", None),
        ] {
            let url = receipt_url("http://127.0.0.1/s", UID, &hook().secret)
                .replace("%d", kind)
                .replace("%F", "f-1")
                .replace("%B", "0x0B")
                .replace("%T", "1771200000");
            let event = hook().receipt(&call(&url, &none, "")).unwrap();
            if let Some(event) = &event {
                assert_eq!(
                    (event.ours, event.theirs.as_deref()),
                    (Some(UID), Some("f-1"))
                );
                assert_eq!(event.at, Some(NOW));
                assert_eq!(event.code.is_some(), event.class.is_some());
            }
            assert_eq!(event.map(|e| (e.status, e.class)), expected, "{kind}");
        }
        let url = receipt_url("http://127.0.0.1/s", UID, &hook().secret);
        assert!(hook().receipt(&call(&url, &none, "")).is_err());
    }

    #[test]
    fn texts_come_in_their_own_alphabet() {
        let none = headers(&[]);
        let read = |rest: &str| {
            let url = format!("http://127.0.0.1/i?token=horse&from=%2B491713920012&to=60611{rest}");
            hook().inbound(&call(&url, &none, ""))
        };
        for (rest, text) in [
            ("&text=Stop+it&cs=UTF-8", "Stop it"),
            ("&text=arr%C3%AAt&cs=UTF-8", "arrêt"),
            ("&text=arr%EAt&cs=ISO-8859-1", "arrêt"),
            ("&text=%00S%00t%04%3E%00p&cs=UTF-16BE", "Stоp"),
            ("&text=", ""),
            ("", ""),
        ] {
            let found = read(rest).unwrap().unwrap();
            assert_eq!((found.text.as_str(), found.to.as_str()), (text, "60611"));
        }
        let with_id = read("&text=x&ts=1771200000&id=abc-1").unwrap().unwrap();
        assert_eq!(
            (with_id.id.as_deref(), with_id.at),
            (Some("abc-1"), Some(NOW))
        );
        let made = |rest| read(rest).unwrap().unwrap().id;
        assert_eq!(made("&text=x&ts=1"), made("&text=x&ts=1"));
        assert_ne!(made("&text=x&ts=1"), made("&text=x&ts=2"));
        let url = "http://127.0.0.1/i?token=horse&from=60611&text=x";
        assert_eq!(hook().inbound(&call(url, &none, "")), Ok(None));
    }
}
