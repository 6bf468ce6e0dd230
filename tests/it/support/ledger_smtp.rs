//! An SMTP peer that writes down what it accepts before it says so.
//!
//! Its ledger is what really happened at the relay: an entry per accepted
//! message, durable at the instant of acceptance, so that a test can kill the
//! sender anywhere and afterwards compare. On request it drops the connection,
//! by seeded chance, at the two moments that matter: with the whole message in
//! hand and not accepted, and accepted but not answered. It offers what our
//! sender uses (PIPELINING, 8BITMIME, SMTPUTF8); no TLS, no AUTH.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::Result;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::json;
use sha2::Digest;
use sha2::Sha256;
use tempfile::TempDir;

use super::ledger::Ledger;
use super::listener::Listener;
use super::seeded::Seeded;

/// How it treats its clients. The default accepts everything at once.
#[derive(Debug, Clone, Default)]
pub struct Manners {
    pub seed: u64,
    /// Passes before every reply: latency of the line.
    pub delay: Duration,
    /// Passes between the record of a message and its answer.
    pub thinks: Duration,
    /// Of a thousand messages, so many lose the line after the final dot,
    /// before anything is recorded: not accepted.
    pub lost_before_accepting: u16,
    /// And so many after the record, before the reply: accepted, unanswered.
    pub lost_after_accepting: u16,
}

/// One accepted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// From 1, in the order of acceptance within its session.
    pub nth: u64,
    pub session: u64,
    pub message_id: String,
    pub from: String,
    pub recipients: Vec<String>,
    /// SHA-256 of the message as it came, dots unstuffed.
    pub sha256: String,
}

#[derive(Debug)]
pub struct LedgerSmtp {
    listener: Listener,
    relay: Arc<Relay>,
}

#[derive(Debug)]
struct Relay {
    manners: Manners,
    ledger: Ledger,
    dir: TempDir,
}

impl LedgerSmtp {
    pub fn start(manners: Manners) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let relay = Arc::new(Relay {
            manners,
            ledger: Ledger::open(dir.path()),
            dir,
        });
        let listener = Listener::serve({
            let relay = relay.clone();
            // An error is the client's hanging up, which is no news here.
            move |stream, number| drop(relay.session(stream, number))
        });
        Self { listener, relay }
    }

    pub fn port(&self) -> u16 {
        self.listener.port()
    }

    /// Dies and comes back: every session is cut, the ledger stays.
    pub fn cut_all(&self) {
        self.listener.cut_all();
    }

    /// All accepted messages, oldest first.
    pub fn accepted(&self) -> Vec<Accepted> {
        self.relay.ledger.entries().iter().map(read_entry).collect()
    }

    /// An accepted message as it came.
    pub fn mail(&self, accepted: &Accepted) -> Vec<u8> {
        fs::read(self.relay.mail_path(accepted.session, accepted.nth)).expect("an accepted mail")
    }
}

fn read_entry(entry: &serde_json::Value) -> Accepted {
    let text = |name: &str| entry[name].as_str().expect("text in the ledger").to_owned();
    let number = |name: &str| entry[name].as_u64().expect("a number in the ledger");
    let recipients = entry["recipients"]
        .as_array()
        .expect("recipients in the ledger");
    Accepted {
        nth: number("nth"),
        session: number("session"),
        message_id: text("message_id"),
        from: text("from"),
        recipients: recipients
            .iter()
            .filter_map(|r| Some(r.as_str()?.to_owned()))
            .collect(),
        sha256: text("sha256"),
    }
}

impl Relay {
    fn mail_path(&self, session: u64, nth: u64) -> std::path::PathBuf {
        self.dir.path().join(format!("{session}-{nth}.eml"))
    }

    fn session(&self, stream: TcpStream, session: u64) -> Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?);
        let mut out = BufWriter::new(stream);
        let mut chance = Seeded::new(self.manners.seed, session);
        let mut nth = 0;
        let mut from = None;
        let mut recipients = Vec::new();
        self.reply(&mut out, "220 ledger.example ESMTP")?;
        loop {
            // Commands that came together are answered together.
            if lines.buffer().is_empty() {
                out.flush()?;
            }
            let line = read_line(&mut lines)?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let verb = line
                .split([' ', ':'])
                .next()
                .unwrap_or_default()
                .to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.reply(
                    &mut out,
                    "250-ledger.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8",
                )?,
                "MAIL" => {
                    (from, recipients) = (Some(address(&line)), Vec::new());
                    self.reply(&mut out, "250 2.1.0 Ok")?;
                }
                "RCPT" if from.is_some() => {
                    recipients.push(address(&line));
                    self.reply(&mut out, "250 2.1.5 Ok")?;
                }
                "DATA" if !recipients.is_empty() => {
                    self.reply(&mut out, "354 go on")?;
                    out.flush()?;
                    let mail = read_mail(&mut lines)?;
                    if chance.happens(self.manners.lost_before_accepting) {
                        return Ok(());
                    }
                    nth += 1;
                    fs::write(self.mail_path(session, nth), &mail)?;
                    self.ledger.append(&json!({
                        "session": session,
                        "nth": nth,
                        "message_id": message_id(&mail),
                        "from": from.take(),
                        "recipients": std::mem::take(&mut recipients),
                        "sha256": hex(&Sha256::digest(&mail)),
                    }));
                    if chance.happens(self.manners.lost_after_accepting) {
                        return Ok(());
                    }
                    thread::sleep(self.manners.thinks);
                    self.reply(
                        &mut out,
                        &format!("250 2.0.0 Ok: queued as L{session}-{nth}"),
                    )?;
                }
                "RSET" => {
                    (from, recipients) = (None, Vec::new());
                    self.reply(&mut out, "250 2.0.0 Ok")?;
                }
                "HELO" | "NOOP" => self.reply(&mut out, "250 2.0.0 Ok")?,
                "QUIT" => {
                    self.reply(&mut out, "221 2.0.0 Bye")?;
                    return out.flush();
                }
                "RCPT" | "DATA" => self.reply(&mut out, "503 5.5.1 not yet")?,
                _ => self.reply(&mut out, "502 5.5.2 not known here")?,
            }
        }
    }

    fn reply(&self, out: &mut impl Write, text: &str) -> Result<()> {
        if !self.manners.delay.is_zero() {
            thread::sleep(self.manners.delay);
        }
        write!(out, "{text}\r\n")
    }
}

/// Without its CRLF. The end of the connection is an error.
pub(super) fn read_line(lines: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut line = Vec::new();
    lines.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(line)
}

/// Up to the line of a single dot; stuffed dots taken out, line ends CRLF.
pub(super) fn read_mail(lines: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut mail = Vec::new();
    loop {
        let line = read_line(lines)?;
        if line == b"." {
            return Ok(mail);
        }
        mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        mail.extend_from_slice(b"\r\n");
    }
}

/// What stands between `<` and `>`.
pub(super) fn address(line: &str) -> String {
    let inside = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or_else(String::new, |(address, _)| address.to_owned())
}

pub(super) fn message_id(mail: &[u8]) -> String {
    let text = String::from_utf8_lossy(mail);
    let headers = text
        .split("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .replace("\r\n ", " ");
    let named = headers.lines().filter_map(|line| line.split_once(':'));
    let mut ids = named.filter(|(name, _)| name.eq_ignore_ascii_case("message-id"));
    ids.next()
        .map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends one mail in one pipelined breath; the replies after the dot.
    fn send(port: u16, id: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut replies = BufReader::new(stream.try_clone().unwrap());
        let mut reply = move || {
            read_line(&mut replies)
                .ok()
                .map(|r| String::from_utf8(r).unwrap())
        };
        reply()?;
        write!(stream, "HELO x\r\nMAIL FROM:<a@shop.example>\r\n").unwrap();
        write!(
            stream,
            "RCPT TO:<kim@accept.example> NOTIFY=NEVER\r\nDATA\r\n"
        )
        .unwrap();
        for expected in ["250", "250", "250", "354"] {
            assert_eq!(&reply()?[..3], expected);
        }
        write!(
            stream,
            "Message-ID:\r\n <{id}@shop.example>\r\n\r\n{body}\r\n.\r\n"
        )
        .unwrap();
        reply()
    }

    #[test]
    fn an_answered_message_is_in_the_ledger_with_its_id_recipient_and_content() {
        let relay = LedgerSmtp::start(Manners::default());
        let reply = send(relay.port(), "n1", "..one dot\r\nend").unwrap();
        assert!(reply.starts_with("250 2.0.0 "), "{reply}");
        let accepted = relay.accepted();
        assert_eq!(accepted.len(), 1);
        assert_eq!(accepted[0].message_id, "<n1@shop.example>");
        assert_eq!(accepted[0].from, "a@shop.example");
        assert_eq!(accepted[0].recipients, ["kim@accept.example"]);
        let mail = relay.mail(&accepted[0]);
        assert!(mail.ends_with(b"\r\n\r\n.one dot\r\nend\r\n"));
        assert_eq!(accepted[0].sha256, hex(&Sha256::digest(mail)));
    }

    #[test]
    fn a_line_lost_after_accepting_leaves_an_entry_and_one_lost_before_does_not() {
        let cases = [((1_000, 0), 0), ((0, 1_000), 1)];
        for ((lost_before_accepting, lost_after_accepting), n) in cases {
            let manners = Manners {
                lost_before_accepting,
                lost_after_accepting,
                ..Manners::default()
            };
            let relay = LedgerSmtp::start(manners);
            assert_eq!(send(relay.port(), "n1", "x"), None);
            assert_eq!(relay.accepted().len(), n);
        }
    }

    #[test]
    fn lost_lines_are_the_same_for_the_same_seed() {
        let lost = |seed| {
            let manners = Manners {
                seed,
                lost_after_accepting: 500,
                ..Manners::default()
            };
            let relay = LedgerSmtp::start(manners);
            (0..24)
                .map(|_| send(relay.port(), "n", "x").is_none())
                .collect::<Vec<_>>()
        };
        assert_eq!(lost(5), lost(5));
        assert!(lost(5).contains(&true) && lost(5).contains(&false));
    }

    #[test]
    fn a_slow_line_delays_every_reply() {
        let delay = Duration::from_millis(20);
        let relay = LedgerSmtp::start(Manners {
            delay,
            ..Manners::default()
        });
        let begun = tokio::time::Instant::now();
        assert!(send(relay.port(), "n1", "x").is_some());
        assert!(begun.elapsed() >= delay * 6);
    }

    #[test]
    fn a_cut_session_ends_and_the_next_one_is_taken() {
        let relay = LedgerSmtp::start(Manners::default());
        let mut replies = BufReader::new(TcpStream::connect(("127.0.0.1", relay.port())).unwrap());
        assert!(read_line(&mut replies).is_ok());
        relay.cut_all();
        assert!(read_line(&mut replies).is_err());
        assert!(send(relay.port(), "n2", "x").is_some());
    }
}
