//! Gateways that answer every way a gateway can, and some that do not.

use super::*;
use crate::channel::settings::{HttpLimits, Login, Success};
use crate::channel::{Channel, Envelope, Payload};
use crate::domain::contact::PhoneNumber;
use crate::domain::ids::MessageNo;
use crate::domain::time::Length;
use secrecy::SecretString;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;
use wiremock::matchers::{
    basic_auth, bearer_token, body_json, body_string, header, method, query_param,
};
use wiremock::{Mock, MockServer, ResponseTemplate};

const SHORT: Duration = Duration::from_millis(200);

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
        sessions: 1,
        per_minute: 60,
        limits: HttpLimits {
            connect: SHORT,
            total: Duration::from_secs(5),
        },
    }
}

fn json_is(pointer: &str, value: Value) -> AnswerMatch {
    AnswerMatch::Json {
        pointer: pointer.to_owned(),
        any_of: vec![value],
    }
}

fn envelope(text: &str) -> Envelope {
    Envelope {
        uid: MessageUid(Uuid::from_u128(7)),
        number: MessageNo(71),
        payload: Payload::Text(Text {
            to: PhoneNumber::parse("+442079460018", None).unwrap(),
            text: text.to_owned(),
            reference: "m71".into(),
            callback: Some("https://shop.example/hooks?m=71".into()),
        }),
    }
}

fn short(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Deferred { why, .. } => format!("deferred {why:?}").to_lowercase(),
        Outcome::Refused { class, .. } => format!("refused {class:?}").to_lowercase(),
        other => other.name().to_owned(),
    }
}

async fn send(settings: GenericSmsSettings) -> Outcome {
    let channel = GenericSmsChannel::new(settings).unwrap();
    let outcome = channel
        .open()
        .send(&envelope("Order 10432 ships 2 Oct."))
        .await;
    let printed = format!("{outcome:?}");
    for secret in ["7946", "10432", "horse"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    outcome
}

/// One text to a gateway that gives one answer and must not be asked twice.
async fn outcome_of(response: ResponseTemplate) -> Outcome {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(response)
        .expect(1)
        .mount(&server)
        .await;
    send(settings(&server.uri())).await
}

#[tokio::test]
async fn every_status_and_body_has_its_meaning() {
    let plain = ResponseTemplate::new;
    let with = |status, body: &str| ResponseTemplate::new(status).set_body_string(body);
    let waits = |value: &str| plain(429).insert_header("Retry-After", value);
    for (name, response, expected) in [
        ("201 with id", with(201, r#"{"id":"g-1"}"#), "accepted"),
        ("202 with number", with(202, r#"{"id":17}"#), "accepted"),
        (
            "wrong content type",
            with(200, r#"{"id":"g-1"}"#).insert_header("content-type", "text/html"),
            "accepted",
        ),
        ("missing id", with(200, r#"{"ok":true}"#), "in_doubt"),
        ("malformed", with(200, r#"{"id":"#), "in_doubt"),
        ("empty", plain(200), "in_doubt"),
        (
            "html",
            with(200, "<html><body>Welcome</body></html>"),
            "in_doubt",
        ),
        (
            "10 MB",
            with(
                200,
                &format!("{{\"id\":\"g-1\",\"x\":\"{}\"}}", "x".repeat(10_000_000)),
            ),
            "in_doubt",
        ),
        ("204", plain(204), "in_doubt"),
        (
            "redirect",
            plain(302).insert_header("Location", "/elsewhere"),
            "in_doubt",
        ),
        (
            "see other",
            plain(303).insert_header("Location", "/elsewhere"),
            "in_doubt",
        ),
        (
            "moved",
            plain(308).insert_header("Location", "/elsewhere"),
            "deferred configuration",
        ),
        (
            "400",
            with(400, r#"{"error":"bad number +44 20 7946 0018"}"#),
            "refused soft",
        ),
        (
            "401",
            with(401, r#"{"error":"horse is wrong"}"#).set_body_string(""),
            "deferred configuration",
        ),
        ("402", plain(402), "deferred configuration"),
        ("403", plain(403), "deferred configuration"),
        ("404", plain(404), "deferred configuration"),
        ("408", plain(408), "in_doubt"),
        ("409", plain(409), "in_doubt"),
        (
            "422",
            with(422, r#"{"error":"other body"}"#),
            "refused soft",
        ),
        ("429", waits("30"), "deferred relay"),
        (
            "429, date without date",
            waits("Sun, 06 Nov 1994 08:49:37 GMT"),
            "deferred relay",
        ),
        ("429, absurd", waits("1e99"), "deferred relay"),
        ("429, absent", plain(429), "deferred relay"),
        ("500", plain(500), "in_doubt"),
        ("502", with(502, "<html>bad gateway</html>"), "in_doubt"),
        ("503", plain(503), "in_doubt"),
        ("504", plain(504), "in_doubt"),
        (
            "repeats our text",
            with(400, r#"{"message":"refused: Order 10432 ships 2 Oct."}"#),
            "refused soft",
        ),
    ] {
        assert_eq!(short(&outcome_of(response).await), expected, "{name}");
    }
    let Outcome::Deferred { wait, .. } = outcome_of(waits("30")).await else {
        panic!("deferred");
    };
    assert_eq!(wait.map(Length::as_secs), Some(30));
    let refused = outcome_of(with(400, r#"{"error":"bad number +44 20 7946 0018"}"#)).await;
    assert_eq!(refused.evidence().text, "bad number <number>");
}

#[tokio::test]
async fn no_answer_in_time_is_doubt() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(201).set_delay(Duration::from_secs(30)))
        .expect(1)
        .mount(&server)
        .await;
    let mut settings = settings(&server.uri());
    settings.limits.total = SHORT;
    assert_eq!(short(&send(settings).await), "in_doubt");
}

#[tokio::test]
async fn a_connection_lost_after_the_request_is_doubt_and_before_it_is_not() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 2",
        b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\":",
        b"what?\r\n\r\n",
    ] {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let peer = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.set_zero_linger().unwrap();
            listener
        });
        let outcome = send(settings(&url)).await;
        assert_eq!(short(&outcome), "in_doubt", "{answer:?}");
        // Nobody knocked a second time.
        let listener = peer.await.unwrap();
        let second = tokio::time::timeout(SHORT, listener.accept()).await;
        assert!(second.is_err(), "the request was repeated");
    }
    let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    assert_eq!(short(&send(settings(&url)).await), "deferred relay");
    let no_tls = MockServer::start().await;
    let url = no_tls.uri().replace("http://", "https://");
    assert_eq!(short(&send(settings(&url)).await), "deferred relay");
}

#[tokio::test]
async fn values_are_values_in_json() {
    let server = MockServer::start().await;
    let text = "He said \"no\",\n{{to}} \\ €";
    Mock::given(body_json(json!({
        "messages": [{ "destinations": [{ "to": "442079460018" }], "from": "Nordlicht",
                       "text": text, "n": 1, "ref": "ref m71", "enc": "gsm7" }],
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
                       "text": "{{text}}", "n": 1, "ref": "ref {{ref}}", "enc": "{{encoding}}" }],
    }));
    settings.headers = vec![("X-Fixed".into(), "yes".into())];
    settings.idempotency_header = Some("Idempotency-Key".into());
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
            "to=%2B442079460018&text=a%26to%3Db&password=horse",
        ))
        .respond_with(ResponseTemplate::new(200))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .and(query_param("to", "+442079460018"))
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
        let outcome = classify(&vonage, &HttpAnswer::whole(200, body), "Order");
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
        let outcome = classify(&kannel, &HttpAnswer::whole(status, body), "Order");
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
