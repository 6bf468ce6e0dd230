//! Servers that answer every way a server can, and some that do not: each
//! gateway is told the same lies, and must never take one for a success, nor
//! ask twice.

use super::fixtures::{envelope, short, traffic};
use super::generic::GenericSmsChannel;
use super::kannel::KannelChannel;
use super::twilio::TwilioChannel;
use super::vonage::VonageChannel;
use crate::channel::Channel;
use crate::channel::settings::{
    BodyTemplate, GenericSmsSettings, HttpAuth, HttpMethod, KannelSettings, Success, TwilioSender,
    TwilioSettings, VonageSettings,
};
use crate::domain::outcome::Outcome;
use crate::domain::time::Length;
use secrecy::SecretString;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vendor {
    Generic,
    Twilio,
    Vonage,
    Kannel,
}

use Vendor::{Generic, Kannel, Twilio, Vonage};

const ALL: [Vendor; 4] = [Generic, Twilio, Vonage, Kannel];

impl Vendor {
    fn channel(self, url: &str, total: Duration) -> Box<dyn Channel> {
        let traffic = traffic(total);
        let (url, secret) = (url.to_owned(), SecretString::from("horse"));
        match self {
            Generic => Box::new(
                GenericSmsChannel::new(GenericSmsSettings {
                    name: "acme".into(),
                    method: HttpMethod::Post,
                    url,
                    headers: vec![],
                    auth: HttpAuth::Bearer(secret),
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
                    traffic,
                })
                .unwrap(),
            ),
            Twilio => Box::new(
                TwilioChannel::new(TwilioSettings {
                    base_url: url,
                    account_sid: "AC123".into(),
                    user: "AC123".into(),
                    token: secret,
                    sender: TwilioSender::From("+15017122661".into()),
                    validity: None,
                    receipts: None,
                    traffic,
                })
                .unwrap(),
            ),
            Vonage => Box::new(
                VonageChannel::new(VonageSettings {
                    base_url: url,
                    api_key: "key1".into(),
                    api_secret: secret,
                    from: "Nordlicht".into(),
                    validity: None,
                    receipts: None,
                    traffic,
                })
                .unwrap(),
            ),
            Kannel => Box::new(
                KannelChannel::new(KannelSettings {
                    url,
                    user: "shop".into(),
                    password: secret,
                    from: None,
                    smsc: None,
                    validity: None,
                    receipts: None,
                    traffic,
                })
                .unwrap(),
            ),
        }
    }

    /// Its way to say yes.
    fn yes(self) -> (u16, &'static str) {
        match self {
            Generic => (201, r#"{"id":"g-1"}"#),
            Twilio => (201, r#"{"sid":"SM01","status":"queued"}"#),
            Vonage => (200, r#"{"messages":[{"status":"0","message-id":"0A1"}]}"#),
            Kannel => (202, "0: Accepted for delivery"),
        }
    }
}

async fn send(vendor: Vendor, url: &str, total: Duration) -> Outcome {
    let channel = vendor.channel(url, total);
    let outcome = channel
        .open()
        .send(&envelope("Order 10432 ships 2 Oct."))
        .await;
    let printed = format!("{outcome:?}");
    for secret in ["7700900", "10432", "horse"] {
        assert!(!printed.contains(secret), "{vendor:?}: {printed}");
    }
    outcome
}

/// One text to a server that gives one answer, must not be asked twice, and
/// nowhere else.
async fn outcome_of(vendor: Vendor, response: ResponseTemplate) -> Outcome {
    let server = MockServer::start().await;
    Mock::given(path("/elsewhere"))
        .respond_with(ResponseTemplate::new(200).set_body_string(vendor.yes().1))
        .expect(0)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .respond_with(response)
        .expect(1)
        .mount(&server)
        .await;
    send(vendor, &server.uri(), LONG).await
}

#[tokio::test]
async fn every_status_and_body_has_its_meaning() {
    let plain = ResponseTemplate::new;
    let with = |status, body: &str| ResponseTemplate::new(status).set_body_string(body);
    let moved = |status| plain(status).insert_header("Location", "/elsewhere");
    for vendor in ALL {
        let (status, yes) = vendor.yes();
        let long = format!("{yes}{}", " ".repeat(10_000_000));
        for (name, response, expected) in [
            ("yes", with(status, yes), "accepted"),
            (
                "wrong content type",
                with(status, yes).insert_header("content-type", "text/html"),
                "accepted",
            ),
            ("10 MB", with(status, &long), "in_doubt"),
            (
                "half of it",
                with(status, &yes[..yes.len() / 3]),
                "in_doubt",
            ),
            ("malformed", with(200, r#"{"id":"#), "in_doubt"),
            ("another JSON", with(200, r#"{"ok":true}"#), "in_doubt"),
            ("empty", plain(200), "in_doubt"),
            (
                "html",
                with(200, "<html><body>Welcome</body></html>"),
                "in_doubt",
            ),
            ("202 without words", plain(202), "in_doubt"),
            ("204", plain(204), "in_doubt"),
            ("302", moved(302), "in_doubt"),
            ("303", moved(303), "in_doubt"),
            ("301", moved(301), "deferred configuration"),
            ("307", moved(307), "deferred configuration"),
            ("308", moved(308), "deferred configuration"),
            ("401", plain(401), "deferred configuration"),
            ("no money", plain(402), "deferred configuration"),
            ("403", plain(403), "deferred configuration"),
            ("404", plain(404), "deferred configuration"),
            ("408", plain(408), "in_doubt"),
            ("the same key at work", plain(409), "in_doubt"),
            ("the same key, other content", plain(422), "refused soft"),
            ("429", plain(429), "deferred relay"),
            ("500", plain(500), "in_doubt"),
            ("500 that says yes", with(500, yes), "in_doubt"),
            ("502", with(502, "<html>bad gateway</html>"), "in_doubt"),
            ("503", plain(503), "in_doubt"),
            ("504", plain(504), "in_doubt"),
        ] {
            let outcome = outcome_of(vendor, response).await;
            assert_eq!(short(&outcome), expected, "{vendor:?}: {name}");
        }
    }
}

#[tokio::test]
async fn a_wait_is_asked_for_in_every_way() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    for vendor in ALL {
        for (asked, at, expected) in [
            ("30", None, Some(30)),
            ("999999999", None, Some(3600)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(date), Some(60)),
            ("Sat, 06 Nov 2094 08:50:37 GMT", Some(date), Some(3600)),
            ("1e99", None, None),
            ("soon", None, None),
        ] {
            let mut response = ResponseTemplate::new(429).insert_header("Retry-After", asked);
            if let Some(at) = at {
                response = response.insert_header("Date", at);
            }
            let Outcome::Deferred { wait, .. } = outcome_of(vendor, response).await else {
                panic!("{vendor:?}: {asked} is not deferred");
            };
            assert_eq!(wait.map(Length::as_secs), expected, "{vendor:?}: {asked}");
        }
    }
}

#[tokio::test]
async fn no_answer_in_time_is_doubt() {
    for vendor in ALL {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(201).set_delay(Duration::from_secs(30)))
            .expect(1)
            .mount(&server)
            .await;
        let outcome = send(vendor, &server.uri(), SHORT).await;
        assert_eq!(short(&outcome), "in_doubt", "{vendor:?}");
    }
}

#[tokio::test]
async fn a_connection_lost_after_the_request_is_doubt_and_before_it_is_not() {
    for vendor in ALL {
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
            let outcome = send(vendor, &url, LONG).await;
            assert_eq!(short(&outcome), "in_doubt", "{vendor:?}: {answer:?}");
            // Nobody knocked a second time.
            let listener = peer.await.unwrap();
            let second = tokio::time::timeout(SHORT, listener.accept()).await;
            assert!(second.is_err(), "{vendor:?}: the request was repeated");
        }
        let closed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/", closed.local_addr().unwrap());
        drop(closed);
        let outcome = send(vendor, &url, LONG).await;
        assert_eq!(short(&outcome), "deferred relay", "{vendor:?}");
        let no_tls = MockServer::start().await;
        let url = no_tls.uri().replace("http://", "https://");
        let outcome = send(vendor, &url, LONG).await;
        assert_eq!(short(&outcome), "deferred relay", "{vendor:?}");
    }
}

/// A full queue of connections nobody accepts: the connection itself never
/// stands, so nothing can have been sent.
#[tokio::test]
async fn a_connection_that_never_stands_is_definite() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let at = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    // Until the system itself does not take another one.
    while let Ok(Ok(stream)) = tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(at)).await
    {
        waiting.push(stream);
    }
    for vendor in ALL {
        let outcome = send(vendor, &format!("http://{at}/"), LONG).await;
        assert_eq!(short(&outcome), "deferred relay", "{vendor:?}");
    }
    drop(waiting);
}
