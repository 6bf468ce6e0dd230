//! An SMS gateway over HTTP that writes down every request before it answers.
//!
//! A real listener speaking HTTP/1.1 with keep-alive, small enough to lie in
//! ways a library would not let it: answer late, or never. The test says how
//! each request is answered; the ledger keeps what was asked.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Result;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use super::ledger::Ledger;
use super::listener::Listener;

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// From 0, in the order of arrival.
    pub nth: u64,
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What the gateway does with a request it has written down.
#[derive(Debug, Clone)]
pub enum Answer {
    Reply {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// The reply comes, this much later.
    Late(Duration, Box<Answer>),
    /// Taken and never answered: the line is cut.
    HangUp,
}

impl Answer {
    /// A JSON reply without further headers.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self::Reply {
            status,
            headers,
            body: body.to_string(),
        }
    }
}

type Script = Box<dyn FnMut(&Request) -> Answer + Send>;

#[derive(Debug)]
pub struct HttpGateway {
    listener: Listener,
    gateway: Arc<Gateway>,
}

struct Gateway {
    ledger: Ledger,
    script: Mutex<(u64, Script)>,
    _dir: TempDir,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway")
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

impl HttpGateway {
    /// `script` sees the requests one after another, in the ledger's order.
    pub fn start(script: impl FnMut(&Request) -> Answer + Send + 'static) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let ledger = Ledger::open(dir.path());
        let script = Mutex::new((0, Box::new(script) as Script));
        let gateway = Arc::new(Gateway {
            ledger,
            script,
            _dir: dir,
        });
        let listener = Listener::serve({
            let gateway = gateway.clone();
            // An error is the client's hanging up, which is no news here.
            move |stream, _| drop(gateway.connection(stream))
        });
        Self { listener, gateway }
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.listener.port())
    }

    /// All requests so far, oldest first.
    pub fn requests(&self) -> Vec<Request> {
        self.gateway
            .ledger
            .entries()
            .iter()
            .map(read_entry)
            .collect()
    }
}

fn read_entry(entry: &serde_json::Value) -> Request {
    let text = |name: &str| entry[name].as_str().expect("text in the ledger").to_owned();
    Request {
        nth: entry["nth"].as_u64().expect("a number in the ledger"),
        method: text("method"),
        path: text("path"),
        headers: serde_json::from_value(entry["headers"].clone()).expect("headers in the ledger"),
        body: text("body"),
    }
}

impl Gateway {
    fn connection(&self, mut stream: TcpStream) -> Result<()> {
        let mut input = BufReader::new(stream.try_clone()?);
        while let Some(mut request) = read_request(&mut input)? {
            // One lock for number, record and script: all three agree on the order.
            let mut answer = {
                let mut script = self.script.lock().unwrap();
                request.nth = script.0;
                script.0 += 1;
                self.ledger.append(&json!({
                    "nth": request.nth,
                    "method": request.method,
                    "path": request.path,
                    "headers": request.headers,
                    "body": request.body,
                }));
                (script.1)(&request)
            };
            let (status, headers, body) = loop {
                match answer {
                    Answer::Reply {
                        status,
                        headers,
                        body,
                    } => break (status, headers, body),
                    Answer::HangUp => return stream.shutdown(std::net::Shutdown::Both),
                    Answer::Late(delay, then) => {
                        thread::sleep(delay);
                        answer = *then;
                    }
                }
            };
            let mut reply = format!(
                "HTTP/1.1 {status} Said so\r\ncontent-length: {}\r\n",
                body.len()
            );
            for (name, value) in headers {
                reply += &format!("{name}: {value}\r\n");
            }
            stream.write_all(format!("{reply}\r\n{body}").as_bytes())?;
        }
        Ok(())
    }
}

/// `None` at the end of the connection. Only bodies with a length: what our
/// client sends, and what lets a gateway know that it has all of it.
fn read_request(input: &mut BufReader<TcpStream>) -> Result<Option<Request>> {
    let mut first = String::new();
    if input.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut words = first.split_whitespace().map(str::to_owned);
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(Request {
        nth: 0,
        method,
        path,
        headers,
        body,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two requests on one connection; all that came back.
    fn post_twice(gateway: &HttpGateway) -> String {
        let mut stream =
            TcpStream::connect(gateway.base_url().trim_start_matches("http://")).unwrap();
        let first =
            "POST /sms?a=1 HTTP/1.1\r\nAuthorization: Bearer t\r\nContent-Length: 5\r\n\r\nhello";
        let second = "POST /sms HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        write!(stream, "{first}{second}").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut back = String::new();
        stream.read_to_string(&mut back).unwrap();
        back
    }

    #[test]
    fn each_request_is_written_down_and_answered_as_told() {
        let gateway = HttpGateway::start(|request| match request.nth {
            0 => Answer::json(201, &json!({"id": request.body})),
            _ => Answer::Late(
                Duration::from_millis(1),
                Box::new(Answer::Reply {
                    status: 429,
                    headers: vec![("retry-after".to_owned(), "7".to_owned())],
                    body: String::new(),
                }),
            ),
        });
        let back = post_twice(&gateway);
        assert!(back.starts_with("HTTP/1.1 201 "), "{back}");
        assert!(back.contains("{\"id\":\"hello\"}HTTP/1.1 429 "), "{back}");
        assert!(back.contains("retry-after: 7\r\n"), "{back}");
        let requests = gateway.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(
            (requests[0].method.as_str(), requests[0].path.as_str()),
            ("POST", "/sms?a=1")
        );
        assert_eq!(requests[0].header("authorization"), Some("Bearer t"));
        assert_eq!(requests[0].body, "hello");
        assert_eq!(requests[1].nth, 1);
    }

    #[test]
    fn a_request_that_is_never_answered_is_still_in_the_ledger() {
        let gateway = HttpGateway::start(|_| Answer::HangUp);
        assert_eq!(post_twice(&gateway), "");
        assert_eq!(gateway.requests().len(), 1);
    }
}
