//! Proofs, receipts and texts of a gateway that is only known by settings.

use super::*;
use crate::channel::settings::{InboundFields, MacAlgorithm, MacEncoding};
use crate::channel::sms::fixtures::{call, headers};
use crate::channel::sms::signature::{hex, mac};
use crate::domain::ids::MessageUid;
use crate::domain::sms_status::SmsStatus;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use uuid::Uuid;

const NOW: Instant = Instant(1_771_200_000_000);
const BODY: &str = r#"{"data":{"id":"g-1"},"status":"DELIVRD"}"#;
const URL: &str = "https://shop.example/sms/generic/status";

fn hook(proof: HookProof) -> GenericHook {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    GenericHook {
        settings: GenericHookSettings {
            proof,
            receipts: Some(ReceiptFields {
                id: "/data/id".into(),
                reference: Some("ref".into()),
                status: "status".into(),
                error: Some("/error".into()),
                words: vec![
                    ("DELIVRD".into(), SmsStatus::Delivered),
                    ("UNDELIV".into(), SmsStatus::Undelivered),
                    ("ACCEPTD".into(), SmsStatus::Sent),
                ],
                hard: owned(&["101", "dead"]),
                opted_out: owned(&["102"]),
            }),
            inbound: Some(InboundFields {
                id: Some("id".into()),
                from: "from".into(),
                to: None,
                text: "text".into(),
            }),
        },
    }
}

fn header_token() -> HookProof {
    HookProof::Header {
        name: "x-token".into(),
        secret: SecretString::from("horse"),
    }
}

fn signed(algorithm: MacAlgorithm, encoding: MacEncoding, time: bool) -> HookProof {
    HookProof::Signature(HookSignature {
        header: "x-signature".into(),
        secret: SecretString::from("horse"),
        algorithm,
        encoding,
        prefix: "v1=".into(),
        time_header: time.then(|| "x-time".to_owned()),
    })
}

#[test]
fn shared_secrets_stand_in_a_header_or_the_query() {
    let verify = |proof: HookProof, url: &str, named: &[(&'static str, &str)]| {
        let headers = headers(named);
        hook(proof).verify(&call(url, &headers, BODY), NOW).is_ok()
    };
    assert!(verify(header_token(), URL, &[("x-token", "horse")]));
    for named in [
        &[("x-token", "hors")][..],
        &[("x-token", "")],
        &[("token", "horse")],
        &[],
    ] {
        assert!(!verify(header_token(), URL, named), "{named:?}");
    }
    let query = || HookProof::Query {
        name: "key".into(),
        secret: SecretString::from("horse"),
    };
    assert!(verify(query(), &format!("{URL}?key=horse"), &[]));
    assert!(!verify(query(), &format!("{URL}?key=horsf"), &[]));
    assert!(!verify(query(), URL, &[("key", "horse")]));
}

#[test]
fn signatures_cover_the_body_and_the_time() {
    let at = (NOW.0 / 1000).to_string();
    for algorithm in [
        MacAlgorithm::Md5,
        MacAlgorithm::Sha1,
        MacAlgorithm::Sha256,
        MacAlgorithm::Sha512,
    ] {
        for encoding in [MacEncoding::Hex, MacEncoding::Base64] {
            let write = |bytes: Vec<u8>| match encoding {
                MacEncoding::Hex => hex(&bytes),
                MacEncoding::Base64 => STANDARD.encode(bytes),
            };
            let bare = write(mac(algorithm, b"horse", &[BODY.as_bytes()]));
            let timed = write(mac(
                algorithm,
                b"horse",
                &[at.as_bytes(), b".", BODY.as_bytes()],
            ));
            let verify = |time: bool, claimed: &str, stamp: &str, body: &str, now: Instant| {
                let headers = headers(&[("x-signature", claimed), ("x-time", stamp)]);
                let hook = hook(signed(algorithm, encoding, time));
                hook.verify(&call(URL, &headers, body), now).is_ok()
            };
            let (bare, timed) = (format!("v1={bare}"), format!("v1={timed}"));
            assert!(verify(false, &bare, "", BODY, NOW));
            assert!(verify(true, &timed, &at, BODY, NOW));
            assert!(verify(true, &timed, &at, BODY, NOW.plus(Length::mins(5))));
            for (time, claimed, stamp, body, now) in [
                (false, timed.as_str(), at.as_str(), BODY, NOW),
                (false, &bare[3..], "", BODY, NOW),
                (false, &bare, "", "{}", NOW),
                (false, &bare, "", "", NOW),
                (true, &bare, &at, BODY, NOW),
                (true, &timed, "", BODY, NOW),
                (true, &timed, "1771200001", BODY, NOW),
                (true, &timed, &at, BODY, NOW.plus(Length::mins(6))),
                (true, &timed, &at, BODY, NOW.minus(Length::mins(6))),
                (true, &timed, &at, BODY, NOW.plus(Length::hours(1))),
            ] {
                assert!(
                    !verify(time, claimed, stamp, body, now),
                    "{claimed} {stamp}"
                );
            }
        }
    }
}

#[test]
fn receipts_are_read_by_name_and_by_place() {
    let none = headers(&[]);
    let uid = MessageUid(Uuid::from_u128(7));
    for (status, error, expected) in [
        ("DELIVRD", "", Some((SmsStatus::Delivered, None))),
        ("delivrd", "", Some((SmsStatus::Delivered, None))),
        ("ACCEPTD", "101", Some((SmsStatus::Sent, None))),
        (
            "UNDELIV",
            "101",
            Some((SmsStatus::Undelivered, Some(Refusal::Hard))),
        ),
        (
            "UNDELIV",
            "DEAD",
            Some((SmsStatus::Undelivered, Some(Refusal::Hard))),
        ),
        (
            "UNDELIV",
            "102",
            Some((SmsStatus::Undelivered, Some(Refusal::OptedOut))),
        ),
        (
            "UNDELIV",
            "7",
            Some((SmsStatus::Undelivered, Some(Refusal::Soft))),
        ),
        ("ENROUTE", "", None),
    ] {
        let body = format!(
            r#"{{"data":{{"id":17}},"ref":"{uid}","status":"{status}","error":"{error}"}}"#
        );
        let event = hook(header_token())
            .receipt(&call(URL, &none, &body))
            .unwrap();
        if let Some(event) = &event {
            assert_eq!(
                (event.ours, event.theirs.as_deref()),
                (Some(uid), Some("17"))
            );
        }
        assert_eq!(
            event.map(|e| (e.status, e.class)),
            expected,
            "{status} {error}"
        );
    }
    // Our mark in the address serves where theirs is missing.
    let marked = format!("{URL}?m={uid}");
    let event = hook(header_token()).receipt(&call(&marked, &none, r#"{"status":"DELIVRD"}"#));
    assert_eq!(event.unwrap().unwrap().ours, Some(uid));
    for body in [
        r#"{"data":{"id":"1"}}"#,
        r#"{"status":"DELIVRD"}"#,
        "[]",
        "x",
    ] {
        let found = hook(header_token()).receipt(&call(URL, &none, body));
        assert!(matches!(found, Err(NotTaken::Unreadable(_))), "{body}");
    }
}

#[test]
fn texts_are_read_from_forms_queries_and_json() {
    let none = headers(&[]);
    for (url, body) in [
        (URL.to_owned(), "from=491713920012&text=Stop+it&id=7"),
        (
            URL.to_owned(),
            r#"{"from":"+491713920012","text":"Stop it","id":"7"}"#,
        ),
        (
            format!("{URL}?from=%2B491713920012&text=Stop%20it&id=7"),
            "",
        ),
    ] {
        let found = hook(header_token())
            .inbound(&call(&url, &none, body))
            .unwrap()
            .unwrap();
        assert_eq!(
            (found.from.expose(), found.text.as_str()),
            ("+491713920012", "Stop it")
        );
        assert_eq!(found.id.as_deref(), Some("7"));
    }
    let read = |body: &str| hook(header_token()).inbound(&call(URL, &none, body));
    let id = |body: &str| read(body).unwrap().unwrap().id;
    assert_eq!(
        id("from=491713920012&text=x&n=1"),
        id("from=491713920012&text=x&n=1")
    );
    assert_ne!(
        id("from=491713920012&text=x&n=1"),
        id("from=491713920012&text=x&n=2")
    );
    assert!(read("text=x").is_err());
    assert_eq!(read("from=60611&text=x"), Ok(None));
}
