//! Texts through a gateway that takes one HTTP request each.
//!
//! What is the same for all gateways is here: the client, the exchange of one
//! request for one bounded answer, and what a bare status means. What an
//! answer *says* is each gateway's own pure function.
//!
//! HTTP has no final dot. The request is on its way once the connection
//! stands, so the line between definite and doubtful runs there:
//! - name, connection or TLS failed: certainly not sent;
//! - a readable refusal (400-428), or "too many" (429): certainly not taken;
//! - everything else that is no success (time-out, reset, 408, 409, any 5xx,
//!   an answer nobody can read): in doubt, unless the gateway's profile knows
//!   better.
//!
//! Nothing an error says comes from the library: its texts carry the URL, and
//! with some gateways the URL carries the number and the password.

pub mod gateway;
pub mod generic;
pub mod twilio;

use crate::channel::ChannelProblem;
use crate::channel::settings::HttpLimits;
use crate::channel::tls::install_tls_provider;
use crate::domain::outcome::{Deferral, Evidence, Outcome, Phase, Refusal};
use crate::domain::time::Length;
use chrono::DateTime;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Url, redirect, retry};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// As much of an answer as is read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// A gateway may ask for a pause, not for a holiday.
const WAIT_MAX: Length = Length::hours(1);
/// Shorter than the patience of any server: a request on a connection that
/// the other side is just closing would be in doubt for nothing.
const KEEP_IDLE: Duration = Duration::from_secs(2);

/// The one HTTP client for everything that must not be sent twice: never
/// follows a redirect, never repeats a request on its own, never waits
/// without end. It reads nothing from the environment.
///
/// # Errors
/// The machine has no usable root certificates.
pub fn http_client(limits: &HttpLimits) -> Result<Client, ChannelProblem> {
    install_tls_provider();
    Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .connect_timeout(limits.connect.min(limits.total))
        .timeout(limits.total)
        .pool_idle_timeout(KEEP_IDLE)
        .tcp_nodelay(true)
        .user_agent(concat!("backorderd/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|_| ChannelProblem::Configuration {
            at: "HTTPS".into(),
            what: "no trusted root certificates".into(),
        })
}

/// A gateway's address: HTTPS, or plain HTTP to this machine.
///
/// # Errors
/// No absolute URL, a password in it, or clear text to somewhere else.
pub fn gateway_url(text: &str) -> Result<Url, ChannelProblem> {
    let wrong = |what: &str| ChannelProblem::Configuration {
        at: "the gateway's URL".into(),
        what: what.into(),
    };
    let url = Url::parse(text).map_err(|_| wrong("it is no absolute URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "a password belongs into the credentials, not into the URL",
        ));
    }
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" if !host.is_empty() => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        "http" => Err(wrong("plain HTTP is only for this machine (loopback)")),
        _ => Err(wrong("it has to begin with https://")),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// Host and port, for people.
fn place(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(443);
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

/// Whether the gateway's port answers; says nothing else to it.
async fn reach(url: &Url, limit: Duration) -> Result<String, ChannelProblem> {
    let at = place(url);
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or(443);
    let what = match timeout(limit, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => return Ok(format!("{at} can be reached")),
        Ok(Err(error)) => error.kind().to_string(),
        Err(_) => "no answer to the connection".to_owned(),
    };
    Err(ChannelProblem::Unreachable { at, what })
}

/// One answer; no more than 64 KiB of it are kept.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    pub status: u16,
    pub body: Vec<u8>,
    /// False if the body was longer than what is kept, or broke off.
    pub is_whole: bool,
    pub wait: Option<Length>,
}

impl HttpAnswer {
    /// The body as JSON, if it is whole and is.
    pub fn json(&self) -> Option<serde_json::Value> {
        self.is_whole
            .then(|| serde_json::from_slice(&self.body).ok())?
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// One that came in whole and asked for no pause.
    #[cfg(test)]
    fn whole(status: u16, body: &str) -> HttpAnswer {
        HttpAnswer {
            status,
            body: body.as_bytes().to_vec(),
            is_whole: true,
            wait: None,
        }
    }
}

/// Sends a request once and reads its answer.
///
/// # Errors
/// No answer: deferred if the connection never stood, in doubt otherwise.
async fn exchange(request: RequestBuilder) -> Result<HttpAnswer, Box<Outcome>> {
    let mut response = request.send().await.map_err(|error| no_answer(&error))?;
    let status = response.status().as_u16();
    let wait = retry_after(response.headers());
    let mut body = Vec::new();
    let is_whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => {
                body.extend_from_slice(&chunk);
            }
            Ok(None) => break true,
            Ok(Some(_)) | Err(_) => break false,
        }
    };
    Ok(HttpAnswer {
        status,
        body,
        is_whole,
        wait,
    })
}

fn no_answer(error: &reqwest::Error) -> Box<Outcome> {
    Box::new(if error.is_builder() {
        configuration(Evidence::new(Phase::Connect, "the request cannot be built"))
    } else if error.is_connect() || error.is_dns() {
        let what = if error.is_timeout() {
            "no answer to the connection"
        } else {
            "no connection to the gateway"
        };
        later(Evidence::new(Phase::Connect, what), None)
    } else if error.is_timeout() {
        doubt(Evidence::new(Phase::Dot, "no answer in time"))
    } else {
        doubt(Evidence::new(Phase::Dot, "the connection was lost"))
    })
}

/// What a status means when nothing else about the answer is known.
fn by_status(answer: &HttpAnswer, evidence: Evidence) -> Outcome {
    match answer.status {
        429 => later(evidence, answer.wait),
        425 => later(evidence, answer.wait),
        // Credentials, an empty account, a wrong or moved address.
        401..=405 | 407 | 410 | 301 | 307 | 308 => configuration(evidence),
        // 409 is what gateways with idempotency keys say while the first
        // request with the same key is still at work.
        408 | 409 => doubt(evidence),
        400..=428 => refused(Refusal::Soft, evidence),
        _ => doubt(evidence),
    }
}

fn evidence(answer: &HttpAnswer, text: &str) -> Evidence {
    Evidence::new(Phase::Dot, &without_numbers(text)).with_code(answer.status)
}

fn accepted(answer: &HttpAnswer, reference: Option<String>) -> Outcome {
    let evidence = Evidence::new(Phase::Done, "the gateway took it").with_code(answer.status);
    Outcome::Accepted {
        evidence: evidence.with_reference(reference.filter(|id| is_plain_id(id))),
    }
}

fn refused(class: Refusal, evidence: Evidence) -> Outcome {
    Outcome::Refused { class, evidence }
}

/// About the gateway, not about the message.
fn later(evidence: Evidence, wait: Option<Length>) -> Outcome {
    Outcome::Deferred {
        why: Deferral::Relay,
        wait,
        evidence,
    }
}

fn configuration(evidence: Evidence) -> Outcome {
    Outcome::Deferred {
        why: Deferral::Configuration,
        wait: None,
        evidence,
    }
}

fn doubt(evidence: Evidence) -> Outcome {
    Outcome::InDoubt { evidence }
}

fn is_plain_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 200 && id.chars().all(|c| c.is_ascii_graphic())
}

/// `Retry-After` in seconds, or as a date counted from the answer's own
/// `Date`, so that no clock of ours is needed; cut to [`WAIT_MAX`].
fn retry_after(headers: &HeaderMap) -> Option<Length> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let asked = text(RETRY_AFTER)?.trim();
    let wait = match asked.parse::<u64>() {
        Ok(secs) => Length::secs(i64::try_from(secs.min(86_400)).unwrap_or(86_400)),
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(asked).ok()?;
            let now = DateTime::parse_from_rfc2822(text(DATE)?).ok()?;
            Length((until - now).num_milliseconds())
        }
    };
    Some(wait.clamp(Length::ZERO, WAIT_MAX))
}

/// Masks everything that could be a phone number: seven digits or more, with
/// whatever people put between them.
fn without_numbers(text: &str) -> String {
    let is_between = |c: char| " -.()/+".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut held = String::new();
    let mut n_digits = 0;
    let flush = |out: &mut String, held: &mut String, n_digits: &mut usize| {
        if *n_digits >= 7 {
            let rest = held.trim_end_matches(is_between).len();
            out.push_str("<number>");
            out.push_str(&held[rest..]);
        } else {
            out.push_str(held);
        }
        held.clear();
        *n_digits = 0;
    };
    for c in text.chars() {
        if c.is_ascii_digit() || c == '+' || (n_digits > 0 && is_between(c)) {
            n_digits += usize::from(c.is_ascii_digit());
            held.push(c);
        } else {
            flush(&mut out, &mut held, &mut n_digits);
            out.push(c);
        }
    }
    flush(&mut out, &mut held, &mut n_digits);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn clear_text_stays_on_this_machine() {
        for good in [
            "https://api.example/v1",
            "http://127.0.0.1:8080/x",
            "http://localhost:13013/cgi-bin/sendsms",
            "http://[::1]:80/",
        ] {
            assert!(gateway_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://api.example/v1",
            "http://localhost.example/",
            "ftp://api.example",
            "api.example",
            "https://user:secret@api.example/",
        ] {
            let error = gateway_url(bad).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_wait_is_read_in_seconds_or_as_a_date_and_is_never_long() {
        for (asked, date, expected) in [
            ("120", None, Some(Length::secs(120))),
            ("0", None, Some(Length::ZERO)),
            ("99999999999", None, Some(WAIT_MAX)),
            ("999999999999999999999999", None, None),
            ("-5", None, None),
            ("soon", None, None),
            (
                "Sun, 06 Nov 1994 08:50:37 GMT",
                Some("Sun, 06 Nov 1994 08:49:37 GMT"),
                Some(Length::secs(60)),
            ),
            (
                "Sun, 06 Nov 1994 08:40:37 GMT",
                Some("Sun, 06 Nov 1994 08:49:37 GMT"),
                Some(Length::ZERO),
            ),
            (
                "Sat, 06 Nov 2094 08:40:37 GMT",
                Some("Sun, 06 Nov 1994 08:49:37 GMT"),
                Some(WAIT_MAX),
            ),
            ("Sun, 06 Nov 1994 08:50:37 GMT", None, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(asked));
            if let Some(date) = date {
                headers.insert(DATE, HeaderValue::from_static(date));
            }
            assert_eq!(retry_after(&headers), expected, "{asked}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn numbers_are_masked_and_codes_are_not() {
        for (text, expected) in [
            (
                "The 'To' number +15005550001 is not valid",
                "The 'To' number <number> is not valid",
            ),
            ("to (212) 555-0147.", "to (<number>."),
            ("error 21211", "error 21211"),
            ("+44 20 7946 0018", "<number>"),
            ("code 30, later", "code 30, later"),
            ("a + b", "a + b"),
        ] {
            assert_eq!(without_numbers(text), expected);
        }
    }

    #[test]
    fn a_client_needs_no_preparation() {
        assert!(http_client(&HttpLimits::default()).is_ok());
    }

    proptest! {
        #[test]
        fn no_number_survives(before in "[a-z ]{0,5}", digits in "[0-9]{7,15}", cut in 0_usize..7, sep in "[ ./()-]{0,2}", after in "[a-z ]{0,5}") {
            let number = format!("{}{sep}{}", &digits[..cut], &digits[cut..]);
            let masked = without_numbers(&format!("{before}{number}{after}"));
            prop_assert!(!masked.chars().any(|c| c.is_ascii_digit()), "{}", masked);
        }
    }

    #[test]
    fn a_bare_status_is_definite_only_where_it_must_be() {
        let short = |status| {
            let answer = HttpAnswer {
                status,
                body: Vec::new(),
                is_whole: true,
                wait: Some(Length::secs(5)),
            };
            match by_status(&answer, evidence(&answer, "")) {
                Outcome::Deferred { why, wait, .. } => format!("{why:?} {wait:?}"),
                Outcome::Refused { class, .. } => format!("{class:?}"),
                other => other.name().to_owned(),
            }
        };
        for status in [
            408, 409, 500, 502, 503, 504, 431, 499, 303, 302, 200, 202, 600,
        ] {
            assert_eq!(short(status), "in_doubt", "{status}");
        }
        for status in [401, 402, 403, 404, 405, 407, 410, 301, 307, 308] {
            assert_eq!(short(status), "Configuration None", "{status}");
        }
        assert_eq!(short(429), "Relay Some(Length(5000))");
        assert_eq!((short(400), short(422)), ("Soft".into(), "Soft".into()));
    }
}
