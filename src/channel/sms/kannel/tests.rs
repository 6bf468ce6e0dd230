//! smsbox's lines, and one request to a server that looks at it.

use super::*;
use crate::channel::Channel;
use crate::channel::sms::fixtures::{NUMBER, answer, envelope, short, traffic};
use secrecy::SecretString;
use std::time::Duration;
use wiremock::matchers::{body_string, header, method, path, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

#[test]
fn lines_mean_what_the_table_says() {
    for (status, body, expected) in [
        (202, "0: Accepted for delivery", "accepted"),
        (202, "3: Queued for later delivery", "accepted"),
        (202, "Sent.", "accepted"),
        (202, "Sent. Message splits: 2", "accepted"),
        (202, "Sent. Denied receivers are: +491713920013", "accepted"),
        (
            202,
            "Sent. Denied receivers are: +491713920012",
            "refused policy",
        ),
        (202, "something else", "in_doubt"),
        (202, "", "in_doubt"),
        (200, "<html>", "in_doubt"),
        (
            400,
            "Missing receiver number, rejected",
            "deferred configuration",
        ),
        (
            400,
            "Empty receiver number not allowed, rejected",
            "deferred configuration",
        ),
        (
            400,
            "Sender missing and no global set, rejected",
            "deferred configuration",
        ),
        (400, "Invalid content-type", "deferred configuration"),
        (
            400,
            "Insufficient headers, rejected",
            "deferred configuration",
        ),
        (400, "Garbage coding field, rejected", "refused content"),
        (
            403,
            "Authorization failed for sendsms",
            "deferred configuration",
        ),
        (403, "Not routable. Do not try again.", "refused hard"),
        (500, "Sending failed.", "deferred recipient"),
        (
            500,
            "Sending failed. Failed receivers are: +491713920012",
            "deferred recipient",
        ),
        (500, "a proxy's own trouble", "in_doubt"),
        (503, "Temporal failure, try again later.", "deferred relay"),
        (503, "", "in_doubt"),
        (429, "", "deferred relay"),
        (302, "", "in_doubt"),
    ] {
        let outcome = classify(&answer(status, body), NUMBER);
        assert_eq!(short(&outcome), expected, "{status} {body}");
        assert!(!outcome.evidence().text.contains("713920"), "{body}");
    }
}

fn settings(url: &str) -> KannelSettings {
    KannelSettings {
        url: format!("{url}/cgi-bin/sendsms"),
        user: "shop".into(),
        password: SecretString::from("horse"),
        from: Some("FernKettle".into()),
        smsc: None,
        validity: Some(Duration::from_secs(90)),
        receipts: Some((
            "http://127.0.0.1:8025/sms/kannel/status".into(),
            SecretString::from("staple"),
        )),
        traffic: traffic(Duration::from_secs(5)),
    }
}

#[tokio::test]
async fn a_text_is_posted_once_with_all_its_headers() {
    let server = MockServer::start().await;
    for (text, coding) in [("Order 10432 & more\n+ x", "0"), ("Заказ 🫖", "2")] {
        let proof = hook::proof(envelope("").uid, &SecretString::from("staple"));
        let receipts = format!(
            "http://127.0.0.1:8025/sms/kannel/status?m=00000000000000000000000000000007\
             &p={proof}&d=%d&f=%F&b=%B&t=%T"
        );
        Mock::given(method("POST"))
            .and(path("/cgi-bin/sendsms"))
            .and(query_param_is_missing("text"))
            .and(header("content-type", "text/plain; charset=UTF-8"))
            .and(header("x-kannel-username", "shop"))
            .and(header("x-kannel-password", "horse"))
            .and(header("x-kannel-to", "+491713920012"))
            .and(header("x-kannel-from", "FernKettle"))
            .and(header("x-kannel-coding", coding))
            .and(header("x-kannel-charset", "UTF-8"))
            .and(header("x-kannel-validity", "1"))
            .and(header("x-kannel-dlr-mask", "31"))
            .and(header("x-kannel-dlr-url", receipts.as_str()))
            .and(body_string(text))
            .respond_with(ResponseTemplate::new(202).set_body_string("0: Accepted for delivery"))
            .expect(1)
            .mount(&server)
            .await;
        let channel = KannelChannel::new(settings(&server.uri())).unwrap();
        assert_eq!(
            short(&channel.open().send(&envelope(text)).await),
            "accepted"
        );
    }
}

#[tokio::test]
async fn a_setting_no_header_can_carry_is_said_and_nothing_is_sent() {
    let channel = KannelChannel::new(KannelSettings {
        from: Some("Fern\nKettle".into()),
        ..settings("http://127.0.0.1:9")
    });
    let outcome = channel.unwrap().open().send(&envelope("x")).await;
    assert_eq!(short(&outcome), "deferred configuration");
}
