//! smsbox's lines, and one request to a server that looks at it.

use super::*;
use crate::channel::Channel;
use crate::channel::sms::fixtures::{NUMBER, answer, envelope, short, traffic};
use secrecy::SecretString;
use std::time::Duration;
use wiremock::matchers::{body_string, method};
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
async fn a_text_is_posted_once_with_all_its_fields() {
    let server = MockServer::start().await;
    for (text, written, coding) in [
        ("Order 10432 & more", "Order+10432+%26+more", 0),
        ("Заказ", "%D0%97%D0%B0%D0%BA%D0%B0%D0%B7", 2),
    ] {
        let proof = hook::proof(envelope("").uid, &SecretString::from("staple"));
        Mock::given(method("POST"))
            .and(body_string(format!(
                "username=shop&password=horse&to=%2B491713920012&text={written}&coding={coding}\
                 &charset=UTF-8&from=FernKettle&validity=1&dlr-mask=31\
                 &dlr-url=http%3A%2F%2F127.0.0.1%3A8025%2Fsms%2Fkannel%2Fstatus%3Fm%3D\
                 00000000000000000000000000000007%26p%3D{proof}%26d%3D%25d%26f%3D%25F%26b%3D%25B%26t%3D%25T",
            )))
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
