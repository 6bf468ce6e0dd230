//! Gateways that answer every way a gateway can, and some that do not.

use super::*;
use crate::channel::Channel;
use crate::channel::settings::{AnswerMatch, Login, Success};
use crate::channel::sms::fixtures::{answer, envelope, short, traffic};
use secrecy::SecretString;
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpListener;
use wiremock::matchers::{
    basic_auth, bearer_token, body_json, body_string, header, method, query_param,
};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn settings(url: &str) -> GenericSmsSettings {
    GenericSmsSettings {
        name: "acme".into(),
        method: HttpMethod::Post,
        url: url.to_owned(),
        headers: vec![],
        auth: HttpAuth::None,
        body: BodyTemplate::Json(json!({ "to": "{{to}}", "text": "{{text}}" })),
        from: "Nordlicht".into(),
        success: Success {
            statuses: vec![],
            matching: None,
        },
        id_pointer: Some("/id".into()),
        retry_statuses: vec![],
        hard: None,
        opted_out: None,
        idempotency_header: None,
        receipts: None,
        traffic: traffic(Duration::from_secs(5)),
    }
}

fn json_is(pointer: &str, value: Value) -> AnswerMatch {
    AnswerMatch::Json {
        pointer: pointer.to_owned(),
        any_of: vec![value],
    }
}

async fn send(settings: GenericSmsSettings) -> Outcome {
    let channel = GenericSmsChannel::new(settings).unwrap();
    let outcome = channel
        .open()
        .send(&envelope("Order 10432 ships 2 Oct."))
        .await;
    let printed = format!("{outcome:?}");
    for secret in ["713920", "10432", "horse"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    outcome
}

#[tokio::test]
async fn values_are_values_in_json() {
    let server = MockServer::start().await;
    let text = "He said \"no\",\n{{to}} \\ €";
    Mock::given(body_json(json!({
        "messages": [{ "destinations": [{ "to": "491713920012" }], "from": "Nordlicht",
                       "text": text, "n": 1, "ref": "ref m71", "enc": "gsm7",
                       "dlr": "https://shop.example/sms/generic/status?m=00000000000000000000000000000007" }],
        "key": "horse",
    })))
    .and(header(
        "Idempotency-Key",
        "00000000000000000000000000000007",
    ))
    .and(header("X-Fixed", "yes"))
    .respond_with(ResponseTemplate::new(200).set_body_string(r#"{"id":"g-1"}"#))
    .expect(1)
    .mount(&server)
    .await;
    let mut settings = settings(&server.uri());
    settings.body = BodyTemplate::Json(json!({
        "messages": [{ "destinations": [{ "to": "{{to_digits}}" }], "from": "{{ from }}",
                       "text": "{{text}}", "n": 1, "ref": "ref {{ref}}", "enc": "{{encoding}}",
                       "dlr": "{{callback}}" }],
    }));
    settings.headers = vec![("X-Fixed".into(), "yes".into())];
    settings.idempotency_header = Some("Idempotency-Key".into());
    settings.receipts = Some("https://shop.example/sms/generic/status".into());
    settings.auth = HttpAuth::Fields(vec![("key".into(), SecretString::from("horse"))]);
    let channel = GenericSmsChannel::new(settings).unwrap();
    let outcome = channel.open().send(&envelope(text)).await;
    assert_eq!(short(&outcome), "accepted", "{outcome:?}");
    assert_eq!(outcome.evidence().reference.as_deref(), Some("g-1"));
}

#[tokio::test]
async fn values_are_values_in_forms_and_queries() {
    let form = || {
        BodyTemplate::Form(vec![
            ("to".into(), "{{to}}".into()),
            ("text".into(), "{{text}}".into()),
        ])
    };
    let secret = || HttpAuth::Fields(vec![("password".into(), SecretString::from("horse"))]);
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(body_string(
            "to=%2B491713920012&text=a%26to%3Db&password=horse",
        ))
        .respond_with(ResponseTemplate::new(200))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(query_param("to", "+491713920012"))
        .and(query_param("text", "a&to=b"))
        .and(query_param("password", "horse"))
        .respond_with(ResponseTemplate::new(202).set_body_string("0: Accepted for delivery"))
        .expect(1)
        .mount(&server)
        .await;
    for http_method in [HttpMethod::Post, HttpMethod::Get] {
        let mut settings = settings(&server.uri());
        settings.method = http_method;
        settings.body = form();
        settings.auth = secret();
        settings.id_pointer = None;
        let channel = GenericSmsChannel::new(settings).unwrap();
        assert_eq!(
            short(&channel.open().send(&envelope("a&to=b")).await),
            "accepted"
        );
    }
}

#[tokio::test]
async fn credentials_go_where_the_gateway_wants_them() {
    let server = MockServer::start().await;
    let fine = || ResponseTemplate::new(200).set_body_string(r#"{"id":"g-1"}"#);
    let horse = || SecretString::from("horse");
    Mock::given(basic_auth("shop", "horse"))
        .respond_with(fine())
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(bearer_token("horse"))
        .respond_with(fine())
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(header("X-Key", "horse"))
        .respond_with(fine())
        .expect(1)
        .mount(&server)
        .await;
    for auth in [
        HttpAuth::Basic(Login {
            user: "shop".into(),
            password: horse(),
        }),
        HttpAuth::Bearer(horse()),
        HttpAuth::Header {
            name: "X-Key".into(),
            value: horse(),
        },
    ] {
        let mut settings = settings(&server.uri());
        settings.auth = auth;
        assert_eq!(short(&send(settings).await), "accepted");
    }
}

#[test]
fn a_gateway_that_always_says_200_is_read_by_its_body() {
    let mut vonage = settings("https://gateway.example");
    vonage.id_pointer = Some("/messages/0/message-id".into());
    vonage.success.matching = Some(json_is("/messages/0/status", json!("0")));
    vonage.opted_out = Some(json_is("/messages/0/status", json!("7")));
    vonage.hard = Some(json_is("/messages/0/status", json!("6")));
    for (body, expected) in [
        (
            r#"{"messages":[{"status":"0","message-id":"0A1"}]}"#,
            "accepted",
        ),
        (r#"{"messages":[{"status":"0"}]}"#, "accepted"),
        (r#"{"messages":[{"status":"7"}]}"#, "refused optedout"),
        (r#"{"messages":[{"status":"6"}]}"#, "refused hard"),
        (
            r#"{"messages":[{"status":"9","error-text":"no credit"}]}"#,
            "refused soft",
        ),
        (r#"{"messages":[]}"#, "in_doubt"),
        ("fine", "in_doubt"),
    ] {
        let outcome = classify(&vonage, &answer(200, body), "Order");
        assert_eq!(short(&outcome), expected, "{body}");
    }
}

#[test]
fn a_gateway_that_speaks_in_words_is_read_by_its_words() {
    let mut kannel = settings("http://localhost:13013/cgi-bin/sendsms");
    kannel.id_pointer = None;
    kannel.success.statuses = vec![202];
    kannel.success.matching = Some(AnswerMatch::Text(vec![
        "accepted".into(),
        "Queued".into(),
        "Sent.".into(),
    ]));
    kannel.hard = Some(AnswerMatch::Text(vec!["Not routable".into()]));
    kannel.opted_out = Some(AnswerMatch::Text(vec!["blacklisted".into()]));
    kannel.retry_statuses = vec![500, 503];
    for (status, body, expected) in [
        (202, "0: Accepted for delivery", "accepted"),
        (202, "3: Queued for later delivery", "accepted"),
        (202, "Sent.", "accepted"),
        (202, "something else", "in_doubt"),
        (400, "Missing receiver number, rejected", "refused soft"),
        (
            403,
            "Authorization failed for sendsms",
            "deferred configuration",
        ),
        (403, "Not routable. Do not try again.", "refused hard"),
        (403, "Number is blacklisted", "refused optedout"),
        (500, "Sending failed.", "deferred recipient"),
        (503, "Temporal failure, try again later.", "deferred relay"),
        (502, "", "in_doubt"),
    ] {
        let outcome = classify(&kannel, &answer(status, body), "Order");
        assert_eq!(short(&outcome), expected, "{status} {body}");
    }
}

#[test]
fn settings_that_cannot_work_are_refused_when_they_are_read() {
    let of = |edit: &dyn Fn(&mut GenericSmsSettings)| {
        let mut settings = settings("https://gateway.example");
        edit(&mut settings);
        GenericSmsChannel::new(settings)
            .err()
            .map(|error| error.to_string())
    };
    let form = |value: &str| BodyTemplate::Form(vec![("x".into(), value.into())]);
    let key = || HttpAuth::Header {
        name: "X-Key".into(),
        value: SecretString::from("horse\n"),
    };
    for (error, expected) in [
        (
            of(&|s| s.url = "http://gateway.example".into()),
            "plain HTTP is only for this machine",
        ),
        (
            of(&|s| s.method = HttpMethod::Get),
            "a GET request cannot carry JSON",
        ),
        (
            of(&|s| s.body = BodyTemplate::Json(json!([{ "x": "a {{txet}}" }]))),
            "{{txet}} is no placeholder",
        ),
        (of(&|s| s.body = form("{{}}")), "{{}} is no placeholder"),
        (
            of(&|s| s.idempotency_header = Some("no header".into())),
            "\"no header\" is no name of a header",
        ),
        (of(&|s| s.auth = key()), "the key cannot stand in a header"),
    ] {
        let error = error.unwrap_or_default();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(!error.contains("horse"));
    }
    assert_eq!(of(&|_| {}), None);
}

#[tokio::test]
async fn a_check_only_knocks() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    let channel = GenericSmsChannel::new(settings(&format!("http://{at}/send"))).unwrap();
    let found = channel.check().await.unwrap();
    assert_eq!(
        found,
        format!("acme: {at} can be reached; the login is not checked")
    );
    drop(listener);
    assert!(channel.check().await.is_err());
}
