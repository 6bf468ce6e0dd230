//! Receipts, inbound texts and signatures, with proofs made by another
//! program (Python's `hmac`).

use super::*;
use crate::channel::sms::fixtures::{call, headers};
use crate::channel::sms::signature::hex;
use crate::domain::ids::MessageUid;
use crate::domain::outcome::Refusal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

const SECS: i64 = 1_771_200_000;
const NOW: Instant = Instant(SECS * 1000);
const RECEIPT: &str = "msisdn=491713920012&to=FernKettle&network-code=23410&messageId=0A00000001\
    &price=0.03&status=delivered&scts=2602160000&err-code=0\
    &client-ref=00000000000000000000000000000007&message-timestamp=2026-02-16+00%3A00%3A00\
    &timestamp=1771200000&nonce=n%3D1%262";
const SHA256: &str = "4c180f930f8430d7d1a8034cbf283e5b6f5285bee177c47fd52620df75348d6f";

fn hook(signing: VonageSigning) -> VonageHook {
    VonageHook {
        secret: SecretString::from("secret"),
        signing,
    }
}

fn sha256() -> VonageHook {
    hook(VonageSigning::Mac(MacAlgorithm::Sha256))
}

fn verify(hook: &VonageHook, body: &str, now: Instant) -> bool {
    let none = headers(&[]);
    hook.verify(
        &call("https://shop.example/sms/vonage/status", &none, body),
        now,
    )
    .is_ok()
}

#[test]
fn signatures_are_the_vendors_own() {
    // The one the vendor's own libraries are tested with.
    let old = "a=1&b=2&timestamp=1461605396&sig=6af838ef94998832dbfc29020b564830";
    let then = Instant(1_461_605_400_000);
    assert!(verify(&hook(VonageSigning::Md5Hash), old, then));
    assert!(!verify(
        &hook(VonageSigning::Md5Hash),
        &old.replace("a=1", "a=2"),
        then
    ));
    for (algorithm, sig) in [
        (MacAlgorithm::Md5, "f6a8dc62ca2477a09f3ee46b29aa5839"),
        (
            MacAlgorithm::Sha1,
            "3dc47b081e20d46d35ab20941142bfa59e427b94",
        ),
        (MacAlgorithm::Sha256, SHA256),
        (
            MacAlgorithm::Sha512,
            "eaf92a69178c2ee13eb07d76e53d0393c901a9ef53a43f625e6a467c4abcceeb\
             a5dc02ae21d9bfed06eca66552989faa8ee206a18c130ce63bb88430d74647e1",
        ),
    ] {
        let hook = hook(VonageSigning::Mac(algorithm));
        for sig in [sig.to_owned(), sig.to_uppercase()] {
            assert!(
                verify(&hook, &format!("{RECEIPT}&sig={sig}"), NOW),
                "{algorithm:?}"
            );
            assert!(
                verify(&hook, &format!("sig={sig}&{RECEIPT}"), NOW),
                "{algorithm:?}"
            );
        }
        let wrong = RECEIPT.replace("delivered", "rejected");
        assert!(!verify(&hook, &format!("{wrong}&sig={sig}"), NOW));
        assert!(!verify(&hook, &format!("{RECEIPT}&extra=1&sig={sig}"), NOW));
        assert!(!verify(&hook, &format!("{RECEIPT}&sig={}", &sig[2..]), NOW));
        assert!(!verify(&hook, RECEIPT, NOW));
    }
    // The same as one flat JSON object and as a query.
    let fields = Fields::parse(RECEIPT.as_bytes());
    let mut object: serde_json::Map<String, Value> = fields
        .0
        .iter()
        .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into()))
        .collect();
    object.insert("sig".into(), SHA256.into());
    assert!(verify(&sha256(), &Value::Object(object).to_string(), NOW));
    let none = headers(&[]);
    let url = format!("https://shop.example/sms/vonage/status?{RECEIPT}&sig={SHA256}");
    assert!(sha256().verify(&call(&url, &none, ""), NOW).is_ok());
    let nobody = VonageHook {
        secret: SecretString::from(""),
        signing: VonageSigning::Md5Hash,
    };
    let of_nothing = hex(&md5_of(&[b"&timestamp=1771200000"]));
    assert!(!verify(
        &nobody,
        &format!("timestamp=1771200000&sig={of_nothing}"),
        NOW
    ));
}

#[test]
fn a_request_is_good_for_the_day_in_which_it_may_be_repeated() {
    let body = format!("{RECEIPT}&sig={SHA256}");
    for (hours, good) in [(0, true), (1, true), (24, true), (26, false)] {
        let now = NOW.plus(Length::hours(hours));
        assert_eq!(verify(&sha256(), &body, now), good, "{hours}");
    }
    assert!(verify(&sha256(), &body, NOW.minus(Length::mins(4))));
    assert!(!verify(&sha256(), &body, NOW.minus(Length::mins(6))));
}

fn token(header: &str, claims: &str, key: &[u8]) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", part(header), part(claims));
    let tag = mac(MacAlgorithm::Sha256, key, &[signed.as_bytes()]);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[test]
fn a_token_names_the_body_and_its_time() {
    let body = r#"{"message_uuid":"u1","status":"delivered"}"#;
    let hash = hex(&sha256_of(body.as_bytes()));
    let hs256 = r#"{"alg":"HS256","typ":"JWT"}"#;
    let claims = |iat: i64, rest: &str| {
        format!(r#"{{"iat":{iat},"jti":"j","iss":"Vonage","payload_hash":"{hash}"{rest}}}"#)
    };
    let good = token(hs256, &claims(SECS, ""), b"secret");
    let verify = |token: &str, body: &str| {
        let value = format!("Bearer {token}");
        let headers = headers(&[
            ("authorization", &value),
            ("content-type", "application/json"),
        ]);
        sha256()
            .verify(
                &call("https://shop.example/sms/vonage/status", &headers, body),
                NOW,
            )
            .is_ok()
    };
    assert!(verify(&good, body));
    let none = r#"{"alg":"none"}"#;
    for (what, token) in [
        ("another key", token(hs256, &claims(SECS, ""), b"other")),
        ("no algorithm", token(none, &claims(SECS, ""), b"secret")),
        (
            "no signature",
            format!("{}.", good.rsplit_once('.').unwrap().0),
        ),
        ("two parts", good.rsplit_once('.').unwrap().0.to_owned()),
        (
            "old",
            token(hs256, &claims(SECS - 26 * 3600, ""), b"secret"),
        ),
        (
            "from tomorrow",
            token(hs256, &claims(SECS + 3600, ""), b"secret"),
        ),
        (
            "over",
            token(
                hs256,
                &claims(SECS, &format!(r#","exp":{}"#, SECS - 600)),
                b"secret",
            ),
        ),
        (
            "not yet",
            token(
                hs256,
                &claims(SECS, &format!(r#","nbf":{}"#, SECS + 600)),
                b"secret",
            ),
        ),
        (
            "no time",
            token(hs256, &format!(r#"{{"payload_hash":"{hash}"}}"#), b"secret"),
        ),
        (
            "no hash",
            token(hs256, &format!(r#"{{"iat":{SECS}}}"#), b"secret"),
        ),
        ("nothing", String::new()),
        ("rubbish", "a.b.c".into()),
    ] {
        assert!(!verify(&token, body), "{what}");
    }
    assert!(!verify(&good, &body.replace("delivered", "rejected")));
}

#[test]
fn every_status_and_code_has_its_rank_and_meaning() {
    let none = headers(&[]);
    for (status, code, expected) in [
        ("submitted", "", Some((SmsStatus::Accepted, None))),
        ("accepted", "0", Some((SmsStatus::Sent, None))),
        ("buffered", "0", Some((SmsStatus::Sent, None))),
        ("delivered", "0", Some((SmsStatus::Delivered, None))),
        (
            "failed",
            "1",
            Some((SmsStatus::Undelivered, Some(Refusal::Soft))),
        ),
        (
            "failed",
            "2",
            Some((SmsStatus::Undelivered, Some(Refusal::Soft))),
        ),
        (
            "failed",
            "3",
            Some((SmsStatus::Undelivered, Some(Refusal::Hard))),
        ),
        (
            "failed",
            "4",
            Some((SmsStatus::Undelivered, Some(Refusal::OptedOut))),
        ),
        (
            "failed",
            "9",
            Some((SmsStatus::Undelivered, Some(Refusal::Hard))),
        ),
        (
            "rejected",
            "6",
            Some((SmsStatus::Rejected, Some(Refusal::Policy))),
        ),
        (
            "rejected",
            "10",
            Some((SmsStatus::Rejected, Some(Refusal::Content))),
        ),
        (
            "rejected",
            "14",
            Some((SmsStatus::Rejected, Some(Refusal::Policy))),
        ),
        (
            "undeliverable",
            "",
            Some((SmsStatus::Undelivered, Some(Refusal::Soft))),
        ),
        (
            "expired",
            "99",
            Some((SmsStatus::Expired, Some(Refusal::Soft))),
        ),
        ("unknown", "1", None),
    ] {
        let body = format!(
            "messageId=0A1&status={status}&err-code={code}&client-ref={}",
            "0".repeat(31) + "7"
        );
        let event = sha256()
            .receipt(&call("https://shop.example/", &none, &body))
            .unwrap();
        if let Some(event) = &event {
            assert_eq!(event.ours, Some(MessageUid(Uuid::from_u128(7))));
            assert_eq!(event.theirs.as_deref(), Some("0A1"));
        }
        assert_eq!(
            event.map(|e| (e.status, e.class)),
            expected,
            "{status} {code}"
        );
    }
    // The Messages API's way to say it.
    let body = r#"{"message_uuid":"u1","to":"491713920012","from":"FernKettle",
        "timestamp":"2026-02-16T00:00:00Z","status":"rejected","client_ref":"00000000000000000000000000000007",
        "error":{"type":"https://x","title":"1340","detail":"d","instance":"i"}}"#;
    let event = sha256()
        .receipt(&call("https://shop.example/", &none, body))
        .unwrap()
        .unwrap();
    assert_eq!(
        event,
        SmsEvent {
            ours: Some(MessageUid(Uuid::from_u128(7))),
            theirs: Some("u1".into()),
            status: SmsStatus::Rejected,
            class: Some(Refusal::Soft),
            code: Some("1340".into()),
            at: Some(NOW),
        }
    );
    for body in ["status=delivered", "messageId=0A1", "{}"] {
        let found = sha256().receipt(&call("https://shop.example/", &none, body));
        assert!(matches!(found, Err(NotTaken::Unreadable(_))), "{body}");
    }
}

#[test]
fn inbound_texts_are_read_in_both_apis_words() {
    let none = headers(&[]);
    let read = |body: &str| sha256().inbound(&call("https://shop.example/", &none, body));
    for body in [
        "msisdn=491713920012&to=447700900001&messageId=0B1&text=Stop+it&type=text&message-timestamp=2026-02-16+00%3A00%3A00",
        r#"{"channel":"sms","message_uuid":"0B1","to":"447700900001","from":"491713920012","timestamp":"2026-02-16T00:00:00Z","text":"Stop it"}"#,
    ] {
        let found = read(body).unwrap().unwrap();
        assert_eq!(found.from.expose(), "+491713920012");
        assert_eq!(
            (found.text.as_str(), found.id.as_deref()),
            ("Stop it", Some("0B1"))
        );
        assert_eq!(found.at, Some(NOW));
    }
    assert_eq!(read("msisdn=60611&messageId=0B1&text=x"), Ok(None));
    assert!(read("msisdn=491713920012&text=x").is_err());
}
