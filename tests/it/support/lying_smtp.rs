//! A relay of which every connection may lie once, in a way drawn by seed.
//!
//! It keeps the ledger of [`super::ledger_smtp`]: what it takes is on the disk
//! before it answers, and so is what it refuses for good. A connection is
//! honest until its moment, then does one thing a relay must not do (or does
//! rarely), and, if it still stands, is honest again. What is taken and what
//! is not, the seed decides apart from what is said about it.

use std::fs;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::Result;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::json;
use sha2::Digest;
use sha2::Sha256;
use tempfile::TempDir;

use super::ledger::Ledger;
use super::ledger_smtp::address;
use super::ledger_smtp::hex;
use super::ledger_smtp::message_id;
use super::ledger_smtp::read_line;
use super::ledger_smtp::read_mail;
use super::listener::Listener;
use super::seeded::Seeded;

/// Everything it may do wrong.
const LIES: &[Lie] = &[
    Lie::Greets("421 4.3.2 not now"),
    Lie::HangsUpAt(Step::Greeting),
    Lie::Says(Step::Ehlo, "421 4.3.2 not now"),
    Lie::Says(Step::Mail, "421 4.3.2 closing"),
    Lie::Says(Step::Mail, "451 4.3.0 later"),
    Lie::Says(Step::Rcpt, "450 4.2.0 greylisted"),
    Lie::Says(Step::Rcpt, "452 4.2.2 full"),
    Lie::Says(Step::Rcpt, "550 5.7.1 not from you"),
    Lie::Says(Step::Data, "451 4.3.0 no room"),
    Lie::HangsUpAt(Step::Mail),
    Lie::HangsUpAt(Step::Rcpt),
    Lie::HangsUpAt(Step::Data),
    Lie::HangsUpInTheBody,
    Lie::AtTheDot(Answer::Deny("421 4.3.2 going down")),
    Lie::AtTheDot(Answer::Deny("451 4.3.0 try again")),
    Lie::AtTheDot(Answer::Deny("554 5.6.0 not this one")),
    Lie::AtTheDot(Answer::Unclear("")),
    Lie::AtTheDot(Answer::Unclear("what?\r\n")),
    Lie::AtTheDot(Answer::Unclear("250 2.0")),
    Lie::AtTheDot(Answer::Unclear("354 go on\r\n")),
    Lie::AtTheDot(Answer::Unclear("25\r\n")),
    Lie::AtTheDot(Answer::Silence),
    Lie::AtTheDot(Answer::Yes("250 2.0.0 one\r\n250 2.0.0 two\r\n")),
    Lie::AtTheDot(Answer::Yes(
        "250-2.0.0 several\r\n250-lines\r\n250 2.0.0 ok\r\n",
    )),
    Lie::AtTheDot(Answer::Yes("250 2.0.0 d\u{e9}j\u{e0} vu\r\n")),
    Lie::AtTheDot(Answer::LongYes),
    Lie::AtTheDot(Answer::LateYes),
    Lie::AtTheDot(Answer::Yes("250 2.0.0 ok\r\n421 4.3.2 and bye\r\n")),
    Lie::ClosesAfter,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Greeting,
    Ehlo,
    Mail,
    Rcpt,
    Data,
}

#[derive(Debug, Clone, Copy)]
enum Lie {
    Greets(&'static str),
    HangsUpAt(Step),
    Says(Step, &'static str),
    HangsUpInTheBody,
    AtTheDot(Answer),
    /// After this message, without a word.
    ClosesAfter,
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    /// It was not taken, and this says so.
    Deny(&'static str),
    /// Taken or not: these bytes do not tell, and the line is cut.
    Unclear(&'static str),
    /// Taken or not, and nothing is said until the other side hangs up.
    Silence,
    /// Taken; said in an unusual way.
    Yes(&'static str),
    LongYes,
    LateYes,
}

#[derive(Debug)]
pub struct LyingSmtp {
    listener: Listener,
    relay: Arc<Relay>,
}

#[derive(Debug)]
struct Relay {
    seed: u64,
    per_mille: u16,
    delay: Duration,
    ledger: Ledger,
    dir: TempDir,
}

impl LyingSmtp {
    /// So many of a thousand connections lie once; `delay` passes before
    /// every reply.
    pub fn start(seed: u64, per_mille: u16, delay: Duration) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let relay = Arc::new(Relay {
            seed,
            per_mille,
            delay,
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

    /// Where the ledger and the mails lie.
    pub fn folder(&self) -> &Path {
        self.relay.dir.path()
    }

    /// How many lines the ledger has.
    pub fn n_events(&self) -> usize {
        self.relay.ledger.entries().len()
    }
}

/// One connection's reader and writer, and what of its lie is left.
struct Talk {
    lines: BufReader<TcpStream>,
    out: BufWriter<TcpStream>,
    lie: Option<Lie>,
    /// Messages until then.
    patience: u64,
}

impl Talk {
    /// The lie, if this is its moment.
    fn lie_at(&mut self, is_it: impl Fn(Lie) -> bool) -> Option<Lie> {
        if self.patience > 0 {
            return None;
        }
        self.lie.take_if(|lie| is_it(*lie))
    }

    fn hangs_up_at(&mut self, step: Step) -> bool {
        self.lie_at(|lie| matches!(lie, Lie::HangsUpAt(at) if at == step))
            .is_some()
    }

    /// What is said instead, at this step.
    fn says_at(&mut self, step: Step) -> Option<&'static str> {
        match self.lie_at(|lie| matches!(lie, Lie::Says(at, _) if at == step)) {
            Some(Lie::Says(_, words)) => Some(words),
            _ => None,
        }
    }
}

impl Relay {
    fn session(&self, stream: TcpStream, session: u64) -> Result<()> {
        let mut chance = Seeded::new(self.seed, session);
        let lies = chance.happens(self.per_mille);
        let drawn = usize::try_from(chance.next()).unwrap_or(usize::MAX) % LIES.len();
        let lie = lies.then_some(LIES[drawn]);
        let at_once = matches!(
            lie,
            Some(Lie::Greets(_) | Lie::HangsUpAt(Step::Greeting) | Lie::Says(Step::Ehlo, _))
        );
        let patience = if at_once { 0 } else { chance.next() % 4 };
        let mut talk = Talk {
            lines: BufReader::new(stream.try_clone()?),
            out: BufWriter::new(stream),
            lie,
            patience,
        };
        if talk.hangs_up_at(Step::Greeting) {
            return Ok(());
        }
        if let Some(Lie::Greets(words)) = talk.lie_at(|lie| matches!(lie, Lie::Greets(_))) {
            self.reply(&mut talk, words)?;
            return talk.out.flush();
        }
        self.reply(&mut talk, "220 lying.example ESMTP")?;
        let mut nth = 0;
        let mut from = None;
        let mut recipients: Vec<String> = Vec::new();
        loop {
            // Commands that came together are answered together.
            if talk.lines.buffer().is_empty() {
                talk.out.flush()?;
            }
            let line = read_line(&mut talk.lines)?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let words = line.split([' ', ':']).next().unwrap_or_default();
            match words.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    let usual = "250-lying.example\r\n250-PIPELINING\r\n250 8BITMIME";
                    let words = talk.says_at(Step::Ehlo).unwrap_or(usual);
                    self.reply(&mut talk, words)?;
                }
                "MAIL" => {
                    if talk.hangs_up_at(Step::Mail) {
                        return Ok(());
                    }
                    let lie = talk.says_at(Step::Mail);
                    from = lie.is_none().then(|| address(&line));
                    recipients.clear();
                    self.reply(&mut talk, lie.unwrap_or("250 2.1.0 Ok"))?;
                    if lie.is_some_and(|words| words.starts_with("421")) {
                        return talk.out.flush();
                    }
                }
                "RCPT" if from.is_some() => {
                    if talk.hangs_up_at(Step::Rcpt) {
                        return Ok(());
                    }
                    let to = address(&line);
                    let lie = talk.says_at(Step::Rcpt);
                    match lie {
                        Some(words) => self.note_refusal(words, &[to]),
                        None => recipients.push(to),
                    }
                    self.reply(&mut talk, lie.unwrap_or("250 2.1.5 Ok"))?;
                }
                "DATA" if !recipients.is_empty() => {
                    if talk.hangs_up_at(Step::Data) {
                        return Ok(());
                    }
                    if let Some(words) = talk.says_at(Step::Data) {
                        self.reply(&mut talk, words)?;
                        continue;
                    }
                    self.reply(&mut talk, "354 go on")?;
                    talk.out.flush()?;
                    let in_body = |lie| matches!(lie, Lie::HangsUpInTheBody);
                    if talk.lie_at(in_body).is_some() {
                        read_line(&mut talk.lines)?;
                        return talk.out.get_ref().shutdown(Shutdown::Both);
                    }
                    let mail = read_mail(&mut talk.lines)?;
                    let lie = talk.lie_at(|lie| matches!(lie, Lie::AtTheDot(_)));
                    let is_taken = match lie {
                        Some(Lie::AtTheDot(Answer::Deny(words))) => {
                            self.note_refusal(words, &recipients);
                            false
                        }
                        Some(Lie::AtTheDot(Answer::Unclear(_) | Answer::Silence)) => {
                            chance.happens(500)
                        }
                        _ => true,
                    };
                    if is_taken {
                        nth += 1;
                        fs::write(self.dir.path().join(format!("{session}-{nth}.eml")), &mail)?;
                        self.ledger.append(&json!({
                            "session": session,
                            "nth": nth,
                            "message_id": message_id(&mail),
                            "from": from.take(),
                            "recipients": std::mem::take(&mut recipients),
                            "sha256": hex(&Sha256::digest(&mail)),
                        }));
                    }
                    if !self.answer(&mut talk, lie)? {
                        return talk.out.get_ref().shutdown(Shutdown::Both);
                    }
                    if talk.lie_at(|lie| matches!(lie, Lie::ClosesAfter)).is_some() {
                        talk.out.flush()?;
                        return Ok(());
                    }
                    talk.patience = talk.patience.saturating_sub(1);
                }
                "RSET" => {
                    (from, recipients) = (None, Vec::new());
                    self.reply(&mut talk, "250 2.0.0 Ok")?;
                }
                "QUIT" => {
                    self.reply(&mut talk, "221 2.0.0 Bye")?;
                    return talk.out.flush();
                }
                "RCPT" | "DATA" => self.reply(&mut talk, "503 5.5.1 not yet")?,
                _ => self.reply(&mut talk, "502 5.5.2 not known here")?,
            }
        }
    }

    /// What follows the final dot; `false`: the line is cut.
    fn answer(&self, talk: &mut Talk, lie: Option<Lie>) -> Result<bool> {
        let Some(Lie::AtTheDot(answer)) = lie else {
            self.reply(talk, "250 2.0.0 Ok: queued")?;
            return Ok(true);
        };
        match answer {
            Answer::Deny(words) => {
                self.reply(talk, words)?;
                talk.out.flush()?;
                return Ok(!words.starts_with("421"));
            }
            Answer::Unclear(bytes) => {
                talk.out.write_all(bytes.as_bytes())?;
                talk.out.flush()?;
                return Ok(false);
            }
            Answer::Silence => {
                talk.out.flush()?;
                // An error is the other side's patience at its end.
                let _ = read_line(&mut talk.lines);
                return Ok(false);
            }
            Answer::Yes(bytes) => talk.out.write_all(bytes.as_bytes())?,
            Answer::LongYes => write!(talk.out, "250 2.0.0 {}\r\n", "x".repeat(100_000))?,
            Answer::LateYes => {
                thread::sleep(Duration::from_millis(300));
                self.reply(talk, "250 2.0.0 at last")?;
            }
        }
        Ok(true)
    }

    /// For good: who is refused so may be given up.
    fn note_refusal(&self, words: &str, recipients: &[String]) {
        if let Some(code) = words.strip_prefix('5') {
            let code = format!("5{}", &code[..2]).parse::<u16>().expect("a code");
            self.ledger
                .append(&json!({"refused": code, "recipients": recipients}));
        }
    }

    fn reply(&self, talk: &mut Talk, text: &str) -> Result<()> {
        if !self.delay.is_zero() {
            thread::sleep(self.delay);
        }
        write!(talk.out, "{text}\r\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Sends a mail over a new connection; everything that came back.
    fn send(port: u16) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let talk = "EHLO x\r\nMAIL FROM:<a@shop.example>\r\nRCPT TO:<kim@accept.example>\r\n\
                    DATA\r\nMessage-ID: <n@shop.example>\r\n\r\nx\r\n.\r\nQUIT\r\n";
        // It may have hung up.
        let _ = stream.write_all(talk.as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let mut back = Vec::new();
        let _ = stream.read_to_end(&mut back);
        String::from_utf8_lossy(&back).into_owned()
    }

    #[test]
    fn an_honest_one_takes_and_says_so() {
        let relay = LyingSmtp::start(1, 0, Duration::ZERO);
        assert!(send(relay.port()).contains("250 2.0.0 Ok: queued"));
        assert_eq!(relay.n_events(), 1);
    }

    #[test]
    fn lies_are_the_same_for_the_same_seed_and_of_many_kinds() {
        let play = |seed| {
            let relay = LyingSmtp::start(seed, 1_000, Duration::ZERO);
            let said: Vec<String> = (0..40).map(|_| send(relay.port())).collect();
            (said, relay.n_events())
        };
        let (said, n) = play(7);
        assert_eq!((said.clone(), n), play(7));
        let kinds: std::collections::BTreeSet<&String> = said.iter().collect();
        assert!(kinds.len() > 5, "{kinds:?}");
        assert!(n > 0 && n < 40, "{n}");
    }
}
