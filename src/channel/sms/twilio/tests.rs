//! Twilio's answers, and one request to a server that looks at it.

use super::*;
use crate::channel::Channel;
use crate::channel::sms::fixtures::{answer, envelope, short, traffic};
use secrecy::SecretString;
use std::time::Duration;
use wiremock::matchers::{basic_auth, body_string, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

#[test]
fn error_codes_mean_what_the_table_says() {
    for (code, expected) in [
        (20003, "deferred configuration"),
        (20404, "deferred configuration"),
        (20429, "deferred relay"),
        (21211, "refused hard"),
        (21212, "deferred configuration"),
        (21606, "deferred configuration"),
        (21659, "deferred configuration"),
        (21408, "refused policy"),
        (21610, "refused optedout"),
        (21612, "refused policy"),
        (21614, "refused hard"),
        (21617, "refused content"),
        (21611, "deferred relay"),
        (30001, "deferred relay"),
        (30002, "deferred configuration"),
        (30003, "deferred recipient"),
        (30004, "refused soft"),
        (30005, "refused hard"),
        (30006, "refused hard"),
        (30007, "refused policy"),
        (30008, "deferred recipient"),
        (30999, "deferred recipient"),
        (21999, "refused soft"),
    ] {
        let body = format!("{{\"code\":{code},\"message\":\"no +15005550001\",\"status\":400}}");
        let outcome = classify(&answer(400, &body));
        assert_eq!(short(&outcome), expected, "{code}");
        assert_eq!(outcome.evidence().text, "no <number>");
        assert_eq!(outcome.evidence().enhanced, Some(code.to_string()));
        // The same after the message was created.
        let body = format!("{{\"sid\":\"SM1\",\"status\":\"failed\",\"error_code\":{code}}}");
        assert_eq!(short(&classify(&answer(201, &body))), expected, "{code}");
    }
}

#[test]
fn only_a_readable_answer_with_an_id_is_a_success() {
    for (status, body, expected) in [
        (201, r#"{"sid":"SM0123","status":"queued"}"#, "accepted"),
        (201, r#"{"sid":"MM0123","status":"accepted"}"#, "accepted"),
        (200, r#"{"sid":"SM0123"}"#, "accepted"),
        (201, r#"{"status":"queued"}"#, "in_doubt"),
        (201, r#"{"sid":7}"#, "in_doubt"),
        (201, "", "in_doubt"),
        (201, "<html>welcome</html>", "in_doubt"),
        (201, r#"{"sid":"SM01"#, "in_doubt"),
        (302, "", "in_doubt"),
        (401, "", "deferred configuration"),
        (403, r#"{"code":99}"#, "deferred configuration"),
        (400, "<html>bad</html>", "refused soft"),
        (408, r#"{"code":21211}"#, "in_doubt"),
        (429, r#"{"code":20429}"#, "deferred relay"),
        (500, r#"{"code":21211}"#, "in_doubt"),
        (503, "", "in_doubt"),
    ] {
        assert_eq!(
            short(&classify(&answer(status, body))),
            expected,
            "{status} {body}"
        );
    }
    let cut = HttpAnswer {
        is_whole: false,
        ..answer(201, r#"{"sid":"SM0123"}"#)
    };
    assert_eq!(short(&classify(&cut)), "in_doubt");
}

fn settings(base_url: &str) -> TwilioSettings {
    TwilioSettings {
        base_url: base_url.to_owned(),
        account_sid: "AC123".into(),
        user: "AC123".into(),
        token: SecretString::from("horse"),
        sender: TwilioSender::From("+15017122661".into()),
        validity: Some(Duration::from_secs(7200)),
        receipts: Some("https://shop.example/sms/twilio/status".into()),
        traffic: traffic(Duration::from_secs(5)),
    }
}

#[tokio::test]
async fn a_text_is_posted_once_with_all_its_fields() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/2010-04-01/Accounts/AC123/Messages.json"))
        .and(basic_auth("AC123", "horse"))
        .and(body_string(
            "To=%2B491713920012&Body=Order+10432+%26+more&From=%2B15017122661\
             &StatusCallback=https%3A%2F%2Fshop.example%2Fsms%2Ftwilio%2Fstatus%3Fm%3D00000000000000000000000000000007&ValidityPeriod=7200",
        ))
        .respond_with(
            ResponseTemplate::new(201).set_body_string(r#"{"sid":"SM77","status":"queued"}"#),
        )
        .expect(1)
        .mount(&server)
        .await;
    let channel = TwilioChannel::new(settings(&server.uri())).unwrap();
    let outcome = channel.open().send(&envelope("Order 10432 & more")).await;
    assert_eq!(short(&outcome), "accepted");
    assert_eq!(outcome.evidence().reference.as_deref(), Some("SM77"));
}

#[tokio::test]
async fn a_check_signs_in_and_sends_nothing() {
    for (status, is_fine) in [(200, true), (401, false), (503, false)] {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .and(query_param("PageSize", "1"))
            .respond_with(ResponseTemplate::new(status))
            .expect(1)
            .mount(&server)
            .await;
        let channel = TwilioChannel::new(settings(&server.uri())).unwrap();
        assert_eq!(channel.check().await.is_ok(), is_fine, "{status}");
    }
}

#[test]
fn an_account_id_cannot_lead_elsewhere() {
    let mut odd = settings("https://api.twilio.example");
    odd.base_url = "http://api.twilio.example".into();
    assert!(TwilioChannel::new(odd).is_err());
}
