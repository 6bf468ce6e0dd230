//! An SMS gateway that lies in ways drawn by seed.
//!
//! Whether it took a text and what it says about it are drawn apart, where a
//! gateway could say so either way. What it took is in a ledger as the auditor
//! reads it.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use sha2::Digest;
use sha2::Sha256;
use tempfile::TempDir;

use crate::support::http_gateway::Answer;
use crate::support::http_gateway::HttpGateway;
use crate::support::http_gateway::Request;
use crate::support::ledger::Ledger;
use crate::support::seeded::Seeded;

/// What is said, and whether the text may have been taken all the same.
#[derive(Debug, Clone, Copy)]
enum Lie {
    /// A status with headers and a body; taken or not, as drawn.
    Doubtful(u16, &'static str, &'static str),
    /// Not taken.
    No(u16, &'static str, &'static str),
    /// Taken.
    Yes(u16, &'static str, &'static str),
    Huge,
    HangsUp,
    TooLate,
}

const JSON: &str = "application/json";
const HTML: &str = "text/html";

const LIES: &[Lie] = &[
    Lie::Doubtful(500, JSON, "{}"),
    Lie::Doubtful(502, HTML, "<h1>Bad gateway</h1>"),
    Lie::Doubtful(504, HTML, ""),
    Lie::Doubtful(408, JSON, "{}"),
    Lie::Doubtful(200, JSON, "{\"id\": \"g-"),
    Lie::Doubtful(200, JSON, ""),
    Lie::Doubtful(200, HTML, "<html>Log in</html>"),
    Lie::No(429, JSON, "1"),
    Lie::No(429, JSON, "99999999"),
    Lie::No(429, JSON, ""),
    Lie::No(503, JSON, "30"),
    Lie::Yes(201, "text/plain", "{\"id\": \"g-1\"}"),
    Lie::Yes(202, JSON, "{\"id\": \"g-2\", \"more\": [1, 2]}"),
    Lie::Huge,
    Lie::HangsUp,
    Lie::TooLate,
];

pub struct LyingGateway {
    gateway: HttpGateway,
    dir: TempDir,
}

impl LyingGateway {
    /// So many of a thousand requests are answered with a lie.
    pub fn start(seed: u64, per_mille: u16) -> LyingGateway {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let ledger = Ledger::open(dir.path());
        let mut chance = Seeded::new(seed, 77);
        let gateway = HttpGateway::start(move |request| {
            let honest = Lie::Yes(201, JSON, "{\"id\": \"g-0\"}");
            let drawn = usize::try_from(chance.next()).unwrap_or(usize::MAX) % LIES.len();
            let lie = if chance.happens(per_mille) {
                LIES[drawn]
            } else {
                honest
            };
            let taken = match lie {
                Lie::Yes(..) => true,
                Lie::No(..) => false,
                _ => chance.happens(500),
            };
            if taken {
                ledger.append(&entry(request));
            }
            said(lie)
        });
        LyingGateway { gateway, dir }
    }

    /// Where the ledger of taken texts lies.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// The part of a configuration that sends texts here.
    pub fn settings(&self) -> String {
        let url = self.gateway.base_url();
        format!(
            r#"
[sms]
gateway = "generic"
hours = ["Mon-Sun 00:00-24:00"]
connect = "1s"
total = "1s"
sessions = 2
per_minute = 100_000
per_day = 100_000
[sms.generic]
url = "{url}/v1/messages"
from = "FernKettle"
auth = "none"
retry_statuses = [429, 503]
id_pointer = "/id"
idempotency_header = "Idempotency-Key"
[sms.generic.json]
to = "{{{{to}}}}"
from = "{{{{from}}}}"
text = "{{{{text}}}}"
"#
        )
    }
}

fn entry(request: &Request) -> Value {
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    let text = body["text"].as_str().unwrap_or_default();
    let hash: String = Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json!({
        "uid": request.header("idempotency-key"),
        "recipients": [body["to"]],
        "sha256": hash,
        "text": text,
    })
}

fn said(lie: Lie) -> Answer {
    let reply = |status, kind: &str, body: String, wait: &str| {
        let mut headers = vec![("content-type".to_owned(), kind.to_owned())];
        if !wait.is_empty() {
            headers.push(("retry-after".to_owned(), wait.to_owned()));
        }
        Answer::Reply {
            status,
            headers,
            body,
        }
    };
    match lie {
        Lie::Doubtful(status, kind, body) | Lie::Yes(status, kind, body) => {
            reply(status, kind, body.to_owned(), "")
        }
        Lie::No(status, kind, wait) => reply(status, kind, "{}".to_owned(), wait),
        Lie::Huge => reply(200, JSON, " ".repeat(10_000_000), ""),
        Lie::HangsUp => Answer::HangUp,
        Lie::TooLate => {
            let late = reply(201, JSON, "{\"id\": \"g-9\"}".to_owned(), "");
            Answer::Late(Duration::from_millis(1_200), Box::new(late))
        }
    }
}
