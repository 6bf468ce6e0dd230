//! One request, one bounded answer: the client every gateway uses, and the
//! exchange itself.
//!
//! HTTP has no final dot. The request is on its way once the connection
//! stands, so the line between definite and doubtful runs there. Nothing an
//! error says comes from the library: its texts carry the URL, and with some
//! gateways the URL carries the number and the password.

use super::answer::{configuration, doubt, later};
use crate::channel::ChannelProblem;
use crate::channel::settings::HttpLimits;
use crate::channel::tls::install_tls_provider;
use crate::crash_point::crash_point;
use crate::domain::outcome::{Evidence, Outcome, Phase};
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
pub fn place(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(443);
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

/// Whether the gateway's port answers; says nothing else to it.
pub async fn reach(url: &Url, limit: Duration) -> Result<String, ChannelProblem> {
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
}

/// Sends a request once and reads its answer.
///
/// # Errors
/// No answer: deferred if the connection never stood, in doubt otherwise.
pub async fn exchange(request: RequestBuilder) -> Result<HttpAnswer, Box<Outcome>> {
    crash_point("text-ready");
    let mut response = request.send().await.map_err(|error| no_answer(&error))?;
    crash_point("text-answered");
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

#[cfg(test)]
mod tests {
    use super::*;
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
    fn a_client_needs_no_preparation() {
        assert!(http_client(&HttpLimits::default()).is_ok());
    }
}
