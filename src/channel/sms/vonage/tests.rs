//! Vonage's answers, and one request to a server that looks at it.

use super::*;
use crate::channel::Channel;
use crate::channel::sms::fixtures::{answer, envelope, short, traffic};
use secrecy::SecretString;
use std::time::Duration;
use wiremock::matchers::{body_string, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

#[test]
fn statuses_mean_what_the_table_says() {
    for (status, expected) in [
        (1, "deferred relay"),
        (2, "deferred configuration"),
        (3, "refused soft"),
        (4, "deferred configuration"),
        (5, "deferred recipient"),
        (6, "refused hard"),
        (7, "refused optedout"),
        (8, "deferred configuration"),
        (9, "deferred configuration"),
        (10, "deferred relay"),
        (11, "deferred configuration"),
        (12, "refused content"),
        (14, "deferred configuration"),
        (15, "deferred configuration"),
        (22, "refused policy"),
        (23, "deferred configuration"),
        (29, "refused policy"),
        (32, "deferred configuration"),
        (33, "refused hard"),
        (99, "in_doubt"),
    ] {
        let body = format!(
            r#"{{"message-count":"1","messages":[{{"status":"{status}","error-text":"no 491713920012"}}]}}"#
        );
        let outcome = classify(&answer(200, &body));
        assert_eq!(short(&outcome), expected, "{status}");
        assert_eq!(outcome.evidence().text, "no <number>");
        assert_eq!(outcome.evidence().enhanced, Some(status.to_string()));
    }
}

#[test]
fn every_part_has_to_be_taken() {
    let part = |status: &str, id: &str| format!(r#"{{"status":"{status}","message-id":"{id}"}}"#);
    let of = |parts: &[String]| format!(r#"{{"messages":[{}]}}"#, parts.join(","));
    for (status, body, expected) in [
        (200, of(&[part("0", "A1")]), "accepted"),
        (200, of(&[part("0", "A1"), part("0", "A2")]), "accepted"),
        (200, of(&[part("0", "A1"), part("1", "")]), "in_doubt"),
        (200, of(&[part("7", ""), part("0", "A2")]), "in_doubt"),
        (200, of(&[part("1", ""), part("1", "")]), "deferred relay"),
        (200, of(&[part("x", "")]), "in_doubt"),
        (200, of(&[]), "in_doubt"),
        (
            200,
            r#"{"messages":[{"status":0,"message-id":"A1"}]}"#.into(),
            "accepted",
        ),
        (200, "<html>".into(), "in_doubt"),
        (200, String::new(), "in_doubt"),
        (201, of(&[part("0", "A1")]), "in_doubt"),
        (401, String::new(), "deferred configuration"),
        (402, String::new(), "deferred configuration"),
        (429, String::new(), "deferred relay"),
        (500, of(&[part("0", "A1")]), "in_doubt"),
    ] {
        assert_eq!(
            short(&classify(&answer(status, &body))),
            expected,
            "{status} {body}"
        );
    }
    let both = classify(&answer(200, &of(&[part("0", "A1"), part("0", "A2")])));
    assert_eq!(both.evidence().reference.as_deref(), Some("A1,A2"));
}

fn settings(base_url: &str) -> VonageSettings {
    VonageSettings {
        base_url: base_url.to_owned(),
        api_key: "key1".into(),
        api_secret: SecretString::from("horse"),
        from: "+447700900001".into(),
        validity: Some(Duration::from_secs(1)),
        receipts: Some("https://shop.example/sms/vonage/status".into()),
        traffic: traffic(Duration::from_secs(5)),
    }
}

#[tokio::test]
async fn a_text_is_posted_once_with_all_its_fields() {
    let server = MockServer::start().await;
    for (text, expected, kind) in [
        ("Order 10432 & more", "Order+10432+%26+more", ""),
        ("Заказ", "%D0%97%D0%B0%D0%BA%D0%B0%D0%B7", "&type=unicode"),
    ] {
        Mock::given(method("POST"))
            .and(path("/sms/json"))
            .and(body_string(format!(
                "api_key=key1&api_secret=horse&from=447700900001&to=491713920012&text={expected}\
                 &client-ref=00000000000000000000000000000007{kind}&ttl=20000&status-report-req=1\
                 &callback=https%3A%2F%2Fshop.example%2Fsms%2Fvonage%2Fstatus",
            )))
            .respond_with(ResponseTemplate::new(200).set_body_string(
                r#"{"message-count":"1","messages":[{"status":"0","message-id":"0A1"}]}"#,
            ))
            .expect(1)
            .mount(&server)
            .await;
        let channel = VonageChannel::new(settings(&server.uri())).unwrap();
        let outcome = channel.open().send(&envelope(text)).await;
        assert_eq!(short(&outcome), "accepted");
        assert_eq!(outcome.evidence().reference.as_deref(), Some("0A1"));
    }
    let found = VonageChannel::new(settings(&server.uri()))
        .unwrap()
        .check()
        .await
        .unwrap();
    assert!(found.ends_with("the login is not checked"), "{found}");
}
