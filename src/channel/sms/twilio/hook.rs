//! What Twilio tells us: status callbacks and inbound texts, both forms by
//! POST, signed over our public address and every field.
//!
//! `X-Twilio-Signature` is the Base64 of an HMAC-SHA1 with the account's token
//! (<https://www.twilio.com/docs/usage/security>). It has no time in it; an old
//! request played again is the same news and changes nothing.

use super::codes;
use crate::channel::settings::{MacAlgorithm, MacEncoding};
use crate::channel::sms::hook::{
    Call, Fields, Hook, Inbound, NotTaken, SmsEvent, number, plain, words,
};
use crate::channel::sms::signature::{from_hex, is_mac, is_same, sha256_of};
use crate::domain::sms_status::SmsStatus;
use crate::domain::time::Instant;
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeMap, BTreeSet};

pub struct TwilioHook {
    /// The account's own token, also where an API key sends.
    pub token: SecretString,
}

impl Hook for TwilioHook {
    fn name(&self) -> &'static str {
        "twilio"
    }

    fn verify(&self, call: &Call<'_>, _now: Instant) -> Result<(), NotTaken> {
        let claimed = call.header("x-twilio-signature").unwrap_or_default();
        let body_is_named = match call.query().text("bodySHA256") {
            Some(hash) => from_hex(&hash).is_some_and(|h| is_same(&h, &sha256_of(call.body))),
            // A body that is no form is only proved by its hash.
            None => call.body.is_empty() || !call.is_json(),
        };
        let key = self.token.expose_secret().as_bytes();
        let fields = signed_fields(&call.form());
        let is_theirs = both_ports(call.url).iter().fold(false, |found, url| {
            let parts = [url.as_bytes(), &fields];
            let this = is_mac(
                MacAlgorithm::Sha1,
                MacEncoding::Base64,
                key,
                &parts,
                claimed,
            );
            found | this
        });
        if is_theirs && body_is_named {
            Ok(())
        } else {
            Err(NotTaken::Forged)
        }
    }

    fn receipt(&self, call: &Call<'_>) -> Result<Option<SmsEvent>, NotTaken> {
        let form = call.form();
        let sid = plain(form.text("MessageSid").or_else(|| form.text("SmsSid")));
        let status = form
            .text("MessageStatus")
            .or_else(|| form.text("SmsStatus"));
        let (Some(sid), Some(word)) = (sid, status) else {
            return Err(NotTaken::Unreadable("no id or no status"));
        };
        let Some(status) = status_of(&word) else {
            return Ok(None);
        };
        let code = plain(form.text("ErrorCode"));
        let number = code.as_deref().and_then(|code| code.parse().ok());
        Ok(Some(SmsEvent {
            ours: call.message(),
            theirs: Some(sid),
            status,
            class: status.is_failure().then(|| codes::class(number)),
            code,
            at: None,
        }))
    }

    fn inbound(&self, call: &Call<'_>) -> Result<Option<Inbound>, NotTaken> {
        let form = call.form();
        let (Some(sid), Some(from)) = (plain(form.text("MessageSid")), form.text("From")) else {
            return Err(NotTaken::Unreadable("no id or no sender"));
        };
        let Some(from) = number(&from) else {
            return Ok(None);
        };
        Ok(Some(Inbound {
            id: Some(sid),
            from,
            to: form.text("To").unwrap_or_default(),
            text: words(&form.text("Body").unwrap_or_default()),
            is_answered: form.text("OptOutType").is_some(),
            at: None,
        }))
    }

    /// An empty answer in Twilio's own language: nothing is sent back.
    fn thanks(&self) -> (&'static str, &'static str) {
        ("text/xml", "<Response/>")
    }
}

/// <https://www.twilio.com/docs/messaging/api/message-resource>; `None` for
/// the states of texts that come in.
fn status_of(word: &str) -> Option<SmsStatus> {
    Some(match word {
        "accepted" | "scheduled" | "queued" | "sending" => SmsStatus::Accepted,
        "sent" => SmsStatus::Sent,
        "delivered" | "read" => SmsStatus::Delivered,
        "undelivered" | "partially_delivered" => SmsStatus::Undelivered,
        "failed" | "canceled" => SmsStatus::Rejected,
        _ => return None,
    })
}

/// Names in byte order, each with its values in order and once.
fn signed_fields(form: &Fields) -> Vec<u8> {
    let mut named: BTreeMap<&str, BTreeSet<&[u8]>> = BTreeMap::new();
    for (name, value) in &form.0 {
        named.entry(name).or_default().insert(value);
    }
    let mut out = Vec::new();
    for (name, values) in named {
        for value in values {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value);
        }
    }
    out
}

/// The address with and without its default port: Twilio signs the one or the
/// other.
fn both_ports(url: &str) -> [String; 2] {
    let Some((scheme, rest)) = url.split_once("://") else {
        return [url.to_owned(), url.to_owned()];
    };
    let port = if scheme == "https" { ":443" } else { ":80" };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let bare = host.strip_suffix(port).unwrap_or(host);
    let has_other_port = bare.rsplit_once(':').is_some_and(|(_, digits)| {
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    });
    let with_port = if has_other_port {
        host.to_owned()
    } else {
        format!("{bare}{port}")
    };
    [
        format!("{scheme}://{bare}{path}"),
        format!("{scheme}://{with_port}{path}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::sms::fixtures::{call, headers};
    use crate::domain::ids::MessageUid;
    use crate::domain::outcome::Refusal;
    use uuid::Uuid;

    const NOW: Instant = Instant(1_771_200_000_000);
    const LONG_TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn form(fields: &[(&str, &str)]) -> String {
        let mut form = reqwest::Url::parse("http://x/").unwrap();
        form.query_pairs_mut().extend_pairs(fields);
        form.query().unwrap_or_default().to_owned()
    }

    fn verify(token: &str, url: &str, body: &str, kind: &str, signature: &str) -> bool {
        let hook = TwilioHook {
            token: SecretString::from(token),
        };
        let headers = headers(&[("content-type", kind), ("x-twilio-signature", signature)]);
        hook.verify(&call(url, &headers, body), NOW).is_ok()
    }

    #[test]
    fn signatures_are_the_vendors_own() {
        let kind = "application/x-www-form-urlencoded";
        let (sid_a, sid_b, sid_c) = (
            format!("AC{}", "a".repeat(32)),
            format!("SM{}", "b".repeat(32)),
            format!("SM{}", "c".repeat(32)),
        );
        let call = [
            ("Digits", "1234"),
            ("CallSid", "CA1234567890ABCDE"),
            ("To", "+18005551212"),
            ("Caller", "+14158675309"),
            ("From", "+14158675309"),
        ];
        let twice = [
            ("Sid", "CA123"),
            ("SidAccount", "AC123"),
            ("Digits", "5678"),
            ("Digits", "1234"),
            ("Digits", "1234"),
        ];
        let status = [
            ("AccountSid", sid_a.as_str()),
            ("ApiVersion", "2010-04-01"),
            ("From", "+15017122661"),
            ("MessageSid", &sid_b),
            ("MessageStatus", "delivered"),
            ("SmsSid", &sid_b),
            ("SmsStatus", "delivered"),
            ("To", "+15558675310"),
        ];
        let inbound = [
            ("AccountSid", sid_a.as_str()),
            ("Body", "STOP please é"),
            ("From", "+15558675310"),
            ("MessageSid", &sid_c),
            ("NumMedia", "0"),
            ("NumSegments", "1"),
            ("To", "+15017122661"),
        ];
        let doc = "https://mycompany.com/myapp.php?foo=1&bar=2";
        let shop = "https://shop.example/hooks/twilio";
        for (token, url, fields, signature) in [
            (
                "12345",
                doc.to_owned(),
                &call[..],
                "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
            ),
            (
                "12345",
                doc.to_owned(),
                &twice,
                "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
            ),
            (
                LONG_TOKEN,
                format!("{shop}/status"),
                &status,
                "Q6NEo1RYoIFWxl7mQxhaMHS28Bk=",
            ),
            (
                LONG_TOKEN,
                format!("{shop}/inbound?tenant=7"),
                &inbound,
                "wBQkzS4dEjp37JvoVBOXqsh4k7M=",
            ),
        ] {
            let body = form(fields);
            assert!(verify(token, &url, &body, kind, signature), "{url}");
            // With or without the default port, the fields in any order.
            let with_port = url
                .replacen(".example", ".example:443", 1)
                .replacen(".com", ".com:443", 1);
            assert!(
                verify(token, &with_port, &body, kind, signature),
                "{with_port}"
            );
            let mut turned = fields.to_vec();
            turned.reverse();
            assert!(
                verify(token, &url, &form(&turned), kind, signature),
                "{url}"
            );
            // One changed letter anywhere, and it is nobody's.
            let mut wrong = fields.to_vec();
            wrong[0].1 = "x";
            for (token, url, body, signature) in [
                ("12346", url.as_str(), body.as_str(), signature),
                (token, &url.replacen("https", "http", 1), &body, signature),
                (token, &format!("{url}0"), &body, signature),
                (
                    token,
                    &url.replacen(".example", ".example:8443", 1)
                        .replacen(".com", ".com:8443", 1),
                    &body,
                    signature,
                ),
                (token, &url, &form(&wrong), signature),
                (token, &url, &format!("{body}&New=1"), signature),
                (token, &url, &body, &signature.to_lowercase()),
                (token, &url, &body, ""),
                ("", &url, &body, signature),
            ] {
                assert!(!verify(token, url, body, kind, signature), "{url} {body}");
            }
        }
    }

    #[test]
    fn a_json_body_is_proved_by_its_hash() {
        let hash = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
        let url = format!("https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256={hash}");
        let body = r#"{"property": "value", "boolean": true}"#;
        let signature = "a9nBmqA0ju/hNViExpshrM61xv4=";
        assert!(verify("12345", &url, body, "application/json", signature));
        let other = body.replace("true", "false");
        assert!(!verify(
            "12345",
            &url,
            &other,
            "application/json",
            signature
        ));
        let bare = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert!(!verify("12345", bare, body, "application/json", signature));
    }

    fn hook() -> TwilioHook {
        TwilioHook {
            token: SecretString::from(LONG_TOKEN),
        }
    }

    #[test]
    fn every_status_and_code_has_its_rank_and_meaning() {
        for (status, code, expected) in [
            ("accepted", "", Some((SmsStatus::Accepted, None))),
            ("scheduled", "", Some((SmsStatus::Accepted, None))),
            ("queued", "", Some((SmsStatus::Accepted, None))),
            ("sending", "", Some((SmsStatus::Accepted, None))),
            ("sent", "", Some((SmsStatus::Sent, None))),
            ("delivered", "", Some((SmsStatus::Delivered, None))),
            ("read", "", Some((SmsStatus::Delivered, None))),
            (
                "partially_delivered",
                "",
                Some((SmsStatus::Undelivered, Some(Refusal::Soft))),
            ),
            (
                "canceled",
                "",
                Some((SmsStatus::Rejected, Some(Refusal::Soft))),
            ),
            (
                "failed",
                "21610",
                Some((SmsStatus::Rejected, Some(Refusal::OptedOut))),
            ),
            (
                "failed",
                "30002",
                Some((SmsStatus::Rejected, Some(Refusal::Policy))),
            ),
            (
                "undelivered",
                "30003",
                Some((SmsStatus::Undelivered, Some(Refusal::Soft))),
            ),
            (
                "undelivered",
                "30004",
                Some((SmsStatus::Undelivered, Some(Refusal::Soft))),
            ),
            (
                "undelivered",
                "30005",
                Some((SmsStatus::Undelivered, Some(Refusal::Hard))),
            ),
            (
                "undelivered",
                "30006",
                Some((SmsStatus::Undelivered, Some(Refusal::Hard))),
            ),
            (
                "undelivered",
                "30007",
                Some((SmsStatus::Undelivered, Some(Refusal::Policy))),
            ),
            (
                "undelivered",
                "30008",
                Some((SmsStatus::Undelivered, Some(Refusal::Soft))),
            ),
            (
                "undelivered",
                "39999",
                Some((SmsStatus::Undelivered, Some(Refusal::Soft))),
            ),
            ("receiving", "", None),
            ("received", "", None),
            ("something else", "", None),
        ] {
            let body = form(&[
                ("MessageSid", "SM1"),
                ("MessageStatus", status),
                ("ErrorCode", code),
            ]);
            let headers = headers(&[]);
            let uid = MessageUid(Uuid::from_u128(7));
            let url = format!("https://shop.example/sms/twilio/status?m={uid}");
            let event = hook().receipt(&call(&url, &headers, &body)).unwrap();
            if let Some(event) = &event {
                assert_eq!(
                    (event.ours, event.theirs.as_deref()),
                    (Some(uid), Some("SM1"))
                );
            }
            assert_eq!(
                event.map(|e| (e.status, e.class)),
                expected,
                "{status} {code}"
            );
        }
        let headers = headers(&[]);
        for body in [
            "",
            "MessageSid=SM1",
            "MessageStatus=sent",
            "MessageSid=%20&MessageStatus=sent",
        ] {
            let found = hook().receipt(&call("https://shop.example/", &headers, body));
            assert!(matches!(found, Err(NotTaken::Unreadable(_))), "{body}");
        }
    }

    #[test]
    fn an_inbound_text_is_read_and_a_short_code_is_nobody() {
        let headers = headers(&[]);
        let read = |fields: &[(&str, &str)]| {
            hook().inbound(&call("https://shop.example/", &headers, &form(fields)))
        };
        let stop = [
            ("MessageSid", "SM2"),
            ("From", "+491713920012"),
            ("To", "+15017122661"),
            ("Body", "Stop é"),
        ];
        let found = read(&stop).unwrap().unwrap();
        assert_eq!(
            (found.from.expose(), found.text.as_str(), found.is_answered),
            ("+491713920012", "Stop é", false)
        );
        let mut answered = stop.to_vec();
        answered.push(("OptOutType", "STOP"));
        assert!(read(&answered).unwrap().unwrap().is_answered);
        assert_eq!(
            read(&[("MessageSid", "SM2"), ("From", "60611"), ("Body", "hi")]),
            Ok(None)
        );
        assert!(read(&[("From", "+491713920012")]).is_err());
        assert_eq!(hook().thanks(), ("text/xml", "<Response/>"));
    }
}
