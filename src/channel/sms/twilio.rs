//! Twilio's messaging API.
//!
//! It has no idempotency key: a request that may have arrived is in doubt,
//! and is never sent again from here. The codes are Twilio's own; it warns
//! that their meanings may change, so an unknown one is never a reason to
//! stop writing to a number.

use super::gateway::{Gateway, TextChannel, unsendable};
use super::{
    HttpAnswer, accepted, by_status, configuration, doubt, evidence, exchange, gateway_url,
    http_client, later, place, refused,
};
use crate::channel::settings::{TwilioSender, TwilioSettings};
use crate::channel::{Answer, ChannelProblem, Text};
use crate::domain::ids::MessageUid;
use crate::domain::outcome::{Deferral, Evidence, Outcome, Refusal};
use crate::domain::time::Length;
use reqwest::{Client, RequestBuilder, Url};
use secrecy::ExposeSecret;
use serde_json::Value;

/// Longest body Twilio takes.
const BODY_CHARS_MAX: usize = 1600;
/// A handset that is off is not tried again at once.
const HANDSET_WAIT: Length = Length::hours(1);

pub type TwilioChannel = TextChannel<TwilioGateway>;

pub struct TwilioGateway {
    settings: TwilioSettings,
    client: Client,
    messages: Url,
}

impl TwilioChannel {
    /// Builds the client; connects to nothing.
    ///
    /// # Errors
    /// The URL is not usable, or there are no root certificates.
    pub fn new(settings: TwilioSettings) -> Result<TwilioChannel, ChannelProblem> {
        let base = gateway_url(&settings.base_url)?;
        let path = format!("2010-04-01/Accounts/{}/Messages.json", settings.account_sid);
        let messages = base
            .join(&path)
            .ok()
            .filter(|url| url.host() == base.host());
        let messages = messages.ok_or_else(|| ChannelProblem::Configuration {
            at: place(&base),
            what: "the account's id is not one".into(),
        })?;
        let client = http_client(&settings.limits)?;
        Ok(TextChannel::through(TwilioGateway {
            settings,
            client,
            messages,
        }))
    }
}

impl Gateway for TwilioGateway {
    fn sessions(&self) -> usize {
        self.settings.sessions
    }

    fn per_minute(&self) -> u32 {
        self.settings.per_minute
    }

    /// Asks for the list of messages, which tells whether the credentials
    /// are right; what the list says is not read.
    fn check(&self) -> Answer<'_, Result<String, ChannelProblem>> {
        Box::pin(async move {
            let list = self
                .client
                .get(self.messages.clone())
                .query(&[("PageSize", "1")]);
            let at = place(&self.messages);
            match exchange(self.sign(list)).await {
                Err(outcome) => Err(ChannelProblem::Unreachable {
                    at,
                    what: outcome.evidence().text.clone(),
                }),
                Ok(answer) => match answer.status {
                    200 => Ok(format!("{at} answers: signed in")),
                    401 | 403 | 404 => Err(ChannelProblem::Configuration {
                        at,
                        what: format!("{}: account or token are wrong", answer.status),
                    }),
                    other => Err(ChannelProblem::Unreachable {
                        at,
                        what: format!("it answers {other}"),
                    }),
                },
            }
        })
    }

    /// There is no idempotency key to give the message's id to.
    fn send<'a>(&'a self, _uid: MessageUid, text: &'a Text) -> Answer<'a, Outcome> {
        Box::pin(async move {
            if text.text.chars().count() > BODY_CHARS_MAX {
                return unsendable("the text is longer than 1600 characters");
            }
            match exchange(self.request(text)).await {
                Ok(answer) => classify(&answer),
                Err(outcome) => *outcome,
            }
        })
    }
}

impl TwilioGateway {
    fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(
            &self.settings.user,
            Some(self.settings.token.expose_secret()),
        )
    }

    fn request(&self, text: &Text) -> RequestBuilder {
        let mut fields = vec![
            ("To", text.to.expose().to_owned()),
            ("Body", text.text.clone()),
        ];
        fields.push(match &self.settings.sender {
            TwilioSender::From(from) => ("From", from.clone()),
            TwilioSender::MessagingService(sid) => ("MessagingServiceSid", sid.clone()),
        });
        if let Some(callback) = &text.callback {
            fields.push(("StatusCallback", callback.clone()));
        }
        if let Some(validity) = self.settings.validity {
            let secs = validity.as_secs().clamp(1, 36_000);
            fields.push(("ValidityPeriod", secs.to_string()));
        }
        self.sign(self.client.post(self.messages.clone()).form(&fields))
    }
}

/// What Twilio's answer to a message means.
pub fn classify(answer: &HttpAnswer) -> Outcome {
    let json = answer.json();
    let field = |name: &str| json.as_ref().and_then(|json| json.get(name));
    let words = field("message").or_else(|| field("error_message"));
    let words = words.and_then(Value::as_str).unwrap_or_default();
    let code = field("code")
        .or_else(|| field("error_code"))
        .and_then(Value::as_u64);
    let evidence = evidence(answer, words).with_enhanced(code.map(|code| code.to_string()));
    if (200..300).contains(&answer.status) {
        let sid = field("sid").and_then(Value::as_str);
        let status = field("status").and_then(Value::as_str);
        return match (sid, status) {
            (Some(_), Some("failed" | "undelivered" | "canceled")) => {
                by_code(code.unwrap_or(0), answer, evidence)
            }
            (Some(sid), _) if sid.starts_with("SM") || sid.starts_with("MM") => {
                accepted(answer, Some(sid.to_owned()))
            }
            _ => doubt(evidence),
        };
    }
    match (answer.status, code) {
        // A code in a 5xx does not make it definite.
        (400..=407 | 410..=428, Some(code)) => by_code(code, answer, evidence),
        _ => by_status(answer, evidence),
    }
}

fn by_code(code: u64, answer: &HttpAnswer, evidence: Evidence) -> Outcome {
    let recipient_later = |wait, evidence| Outcome::Deferred {
        why: Deferral::Recipient,
        wait,
        evidence,
    };
    match code {
        20003 | 20404 | 21212 | 21603 | 21606 | 21659 | 30002 => configuration(evidence),
        20429 | 21611 | 30001 => later(evidence, answer.wait),
        21211 | 21614 | 30005 | 30006 => refused(Refusal::Hard, evidence),
        21610 => refused(Refusal::OptedOut, evidence),
        // About a country or a pair of numbers: not the fault of this number,
        // and no reason to stop everybody else's texts.
        21408 | 21612 | 30007 | 30034 => refused(Refusal::Policy, evidence),
        21602 | 21617 => refused(Refusal::Content, evidence),
        30003 => recipient_later(Some(HANDSET_WAIT), evidence),
        30004 => refused(Refusal::Soft, evidence),
        30000..=30999 => recipient_later(None, evidence),
        _ if matches!(answer.status, 401 | 403 | 404) => configuration(evidence),
        _ => refused(Refusal::Soft, evidence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::settings::HttpLimits;
    use crate::channel::{Channel, Envelope, Payload};
    use crate::domain::contact::PhoneNumber;
    use crate::domain::ids::MessageNo;
    use secrecy::SecretString;
    use std::time::Duration;
    use uuid::Uuid;
    use wiremock::matchers::{basic_auth, body_string, method, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    fn short(outcome: &Outcome) -> String {
        match outcome {
            Outcome::Deferred { why, .. } => format!("deferred {why:?}").to_lowercase(),
            Outcome::Refused { class, .. } => format!("refused {class:?}").to_lowercase(),
            other => other.name().to_owned(),
        }
    }

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
            let body =
                format!("{{\"code\":{code},\"message\":\"no +15005550001\",\"status\":400}}");
            let outcome = classify(&HttpAnswer::whole(400, &body));
            assert_eq!(short(&outcome), expected, "{code}");
            assert_eq!(outcome.evidence().text, "no <number>");
            assert_eq!(outcome.evidence().enhanced, Some(code.to_string()));
            // The same after the message was created.
            let body = format!("{{\"sid\":\"SM1\",\"status\":\"failed\",\"error_code\":{code}}}");
            assert_eq!(
                short(&classify(&HttpAnswer::whole(201, &body))),
                expected,
                "{code}"
            );
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
                short(&classify(&HttpAnswer::whole(status, body))),
                expected,
                "{status} {body}"
            );
        }
        let cut = HttpAnswer {
            is_whole: false,
            ..HttpAnswer::whole(201, r#"{"sid":"SM0123"}"#)
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
            sessions: 1,
            per_minute: 60,
            limits: HttpLimits {
                connect: Duration::from_millis(500),
                total: Duration::from_millis(500),
            },
        }
    }

    fn envelope() -> Envelope {
        Envelope {
            uid: MessageUid(Uuid::from_u128(7)),
            number: MessageNo(71),
            payload: Payload::Text(Text {
                to: PhoneNumber::parse("+442079460018", None).unwrap(),
                text: "Order 10432 & more".into(),
                reference: "m71".into(),
                callback: Some("https://shop.example/hooks".into()),
            }),
        }
    }

    #[tokio::test]
    async fn a_text_is_posted_once_with_all_its_fields() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/2010-04-01/Accounts/AC123/Messages.json"))
            .and(basic_auth("AC123", "horse"))
            .and(body_string(
                "To=%2B442079460018&Body=Order+10432+%26+more&From=%2B15017122661\
                 &StatusCallback=https%3A%2F%2Fshop.example%2Fhooks&ValidityPeriod=7200",
            ))
            .respond_with(
                ResponseTemplate::new(201).set_body_string(r#"{"sid":"SM77","status":"queued"}"#),
            )
            .expect(1)
            .mount(&server)
            .await;
        let channel = TwilioChannel::new(settings(&server.uri())).unwrap();
        let outcome = channel.open().send(&envelope()).await;
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
}
