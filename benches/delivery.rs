//! The far side and the limits of `scripts/bench-delivery`, which reads what
//! this prints. One program, three parts:
//!
//! - `sink` takes every mail as fast as it can be read, answers commands sent
//!   at once in one write, and keeps the Message-IDs in their order of arrival,
//!   so that a mail that came twice is seen. Prints its port; ends with its
//!   standard input. Two commands of its own: `XCLEAR` forgets everything,
//!   `XWAIT n` answers when `n` mails are there, with how many came, how many
//!   of them are different, and their bytes.
//! - `bare PORT SESSIONS MESSAGES` renders and sends with the program's own
//!   templates and sessions, and stores nothing: what delivery would cost
//!   without its promises.
//! - `session PORT SESSIONS MESSAGES` sends one mail again and again: the
//!   session alone.

use backorderd::channel::settings::{
    EmailSettings, Mailbox, Security, SenderIdentity, SmtpSettings, StepLimits,
};
use backorderd::channel::smtp::SmtpChannel;
use backorderd::channel::smtp::message::{Letter, compose};
use backorderd::channel::tls::{install_tls_provider, system_roots};
use backorderd::channel::{Channel, Envelope, Mail, Payload};
use backorderd::domain::contact::EmailAddress;
use backorderd::domain::ids::{MessageNo, MessageUid};
use backorderd::domain::kinds::Kind;
use backorderd::domain::outcome::Outcome;
use backorderd::domain::time::Instant;
use backorderd::template::{SAMPLE_DAY, TemplateSet, sample_shop, samples};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// The program's own, or the limit would be of another program.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    match given[..] {
        ["sink"] => sink(),
        ["bare", port, sessions, n] => send(
            port.parse()?,
            sessions.parse()?,
            n.parse()?,
            Mails::EachItsOwn,
        ),
        ["session", port, sessions, n] => send(
            port.parse()?,
            sessions.parse()?,
            n.parse()?,
            Mails::OneForAll,
        ),
        _ => Err(
            "usage: delivery sink | bare PORT SESSIONS MESSAGES | session PORT SESSIONS MESSAGES"
                .into(),
        ),
    }
}

/// What has arrived.
#[derive(Default)]
struct Ledger {
    /// Hashes of the Message-IDs, in order.
    arrived: Vec<u64>,
    bytes: u64,
    /// With how many somebody who waits is content.
    awaited: Option<usize>,
}

#[derive(Default)]
struct Shelf {
    ledger: Mutex<Ledger>,
    more: Condvar,
}

impl Shelf {
    fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.ledger
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn take(&self, mail: &[u8]) {
        let mut hasher = DefaultHasher::new();
        id_of(mail).hash(&mut hasher);
        let mut ledger = self.ledger();
        ledger.arrived.push(hasher.finish());
        ledger.bytes += mail.len() as u64;
        // Whoever waits is not woken by each mail: that would cost the sender
        // that is waited for a twentieth of its time.
        let arrived = ledger.arrived.len();
        let is_enough = ledger.awaited.take_if(|n| arrived >= *n).is_some();
        drop(ledger);
        if is_enough {
            self.more.notify_all();
        }
    }

    fn clear(&self) {
        *self.ledger() = Ledger::default();
        // Whoever waits says again for how many.
        self.more.notify_all();
    }

    fn wait_for(&self, n: usize) -> String {
        let ledger = self.ledger();
        let ledger = self.more.wait_while(ledger, |ledger| {
            let waits = ledger.arrived.len() < n;
            if waits {
                ledger.awaited = Some(ledger.awaited.map_or(n, |other| other.min(n)));
            }
            waits
        });
        let ledger = ledger.unwrap_or_else(std::sync::PoisonError::into_inner);
        let different: HashSet<u64> = ledger.arrived.iter().copied().collect();
        let (arrived, bytes) = (ledger.arrived.len(), ledger.bytes);
        format!("250 {arrived} {} {bytes}\r\n", different.len())
    }
}

fn id_of(mail: &[u8]) -> &[u8] {
    mail.split(|byte| *byte == b'\n')
        .take_while(|line| *line != b"\r")
        .find(|line| line.len() > 11 && line[..11].eq_ignore_ascii_case(b"message-id:"))
        .unwrap_or_default()
}

fn sink() -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    let shelf = Arc::new(Shelf::default());
    std::thread::spawn(move || {
        for line in listener.incoming().flatten() {
            let shelf = Arc::clone(&shelf);
            // A sender that hangs up is no business of the sink's.
            std::thread::spawn(move || drop(converse(line, &shelf)));
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn converse(mut line: TcpStream, shelf: &Shelf) -> io::Result<()> {
    line.set_nodelay(true)?;
    let mut chunk = vec![0_u8; 64 * 1024];
    let mut heard: Vec<u8> = Vec::new();
    let mut said = b"220 sink\r\n".to_vec();
    let mut in_mail = false;
    loop {
        line.write_all(&said)?;
        said.clear();
        let n = line.read(&mut chunk)?;
        if n == 0 {
            return Ok(());
        }
        heard.extend_from_slice(&chunk[..n]);
        let mut used = 0;
        loop {
            let rest = &heard[used..];
            if in_mail {
                let Some(end) = end_of_mail(rest) else { break };
                shelf.take(&rest[..end]);
                used += end + 5;
                in_mail = false;
                said.extend_from_slice(b"250 taken\r\n");
                continue;
            }
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                break;
            };
            let command = String::from_utf8_lossy(&rest[..end])
                .trim()
                .to_ascii_uppercase();
            used += end + 1;
            let (verb, rest) = command.split_once(' ').unwrap_or((&command, ""));
            match verb {
                "EHLO" => said.extend_from_slice(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n"),
                "DATA" => {
                    in_mail = true;
                    said.extend_from_slice(b"354 go\r\n");
                }
                "XCLEAR" => {
                    shelf.clear();
                    said.extend_from_slice(b"250 clear\r\n");
                }
                "XWAIT" => said.extend(shelf.wait_for(rest.parse().unwrap_or(0)).bytes()),
                "QUIT" => {
                    said.extend_from_slice(b"221 bye\r\n");
                    return line.write_all(&said);
                }
                _ => said.extend_from_slice(b"250 ok\r\n"),
            }
        }
        heard.drain(..used);
    }
}

/// Where the line end before the final dot begins.
fn end_of_mail(heard: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = heard[from..].iter().position(|byte| *byte == b'.') {
        let dot = from + at;
        if dot >= 2 && &heard[dot - 2..dot] == b"\r\n" && heard[dot + 1..].starts_with(b"\r\n") {
            return Some(dot - 2);
        }
        from = dot + 1;
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mails {
    EachItsOwn,
    OneForAll,
}

/// Prints the mails a second, from the first connection to the last answer.
#[tokio::main]
async fn send(port: u16, sessions: usize, n: u64, mails: Mails) -> Result<(), Failure> {
    install_tls_provider();
    let mut settings = EmailSettings::through(SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port,
        security: Security::Plain,
        auth: None,
        helo: "bench.example".to_owned(),
        per_minute: u32::MAX,
        limits: StepLimits::default(),
    });
    settings.sessions = sessions;
    let channel = SmtpChannel::trusting(settings, system_roots()?);
    let desk = Arc::new(Desk::open()?);
    let handed_out = Arc::new(AtomicU64::new(0));
    let began = tokio::time::Instant::now();
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..sessions {
        let mut session = channel.open();
        let (desk, handed_out) = (Arc::clone(&desk), Arc::clone(&handed_out));
        lanes.spawn(async move {
            let mut kept: Option<Envelope> = None;
            loop {
                let number = handed_out.fetch_add(1, Ordering::Relaxed);
                if number >= n {
                    break;
                }
                let envelope = match kept.take() {
                    Some(envelope) => envelope,
                    None => desk.write(number)?,
                };
                let outcome = session.send(&envelope).await;
                if !matches!(outcome, Outcome::Accepted { .. }) {
                    return Err(Failure::from(format!(
                        "a mail was not taken: {}",
                        outcome.name()
                    )));
                }
                kept = Some(envelope).filter(|_| mails == Mails::OneForAll);
            }
            session.close().await;
            Ok::<(), Failure>(())
        });
    }
    while let Some(ended) = lanes.join_next().await {
        ended??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = n as f64 / began.elapsed().as_secs_f64();
    println!("{rate:.0}");
    Ok(())
}

/// What a mail is made with.
struct Desk {
    templates: TemplateSet,
    sender: SenderIdentity,
}

impl Desk {
    fn open() -> Result<Desk, Failure> {
        let from = Mailbox {
            name: Some("Fern & Kettle".to_owned()),
            address: EmailAddress::parse("orders@fernkettle.example")?,
        };
        Ok(Desk {
            templates: TemplateSet::load(None, &sample_shop())?,
            sender: SenderIdentity {
                reply_to: from.clone(),
                from,
                bounces: None,
                bounce_address: None,
                unsubscribe_mailto: None,
            },
        })
    }

    fn write(&self, number: u64) -> Result<Envelope, Failure> {
        let (_, mut facts) = samples(Kind::Delay).swap_remove(0);
        facts.customer_name = Some(format!("Anna Kowalski {number}"));
        // As little is said as in the mails of the shop beside it.
        for order in &mut facts.orders {
            order.cancel_url = None;
            for line in &mut order.lines {
                line.reason = None;
            }
        }
        let email = self.templates.render_email(&facts, SAMPLE_DAY)?;
        let to = Mailbox {
            name: facts.customer_name,
            address: EmailAddress::parse(&format!("customer{number}@mail.example"))?,
        };
        let token = format!("{number:026}");
        let letter = Letter {
            token: &token,
            shop: "fern",
            to: &to,
            subject: &email.subject,
            text: &email.text,
            html: &email.html,
            at: Instant(1_772_100_120_000),
            earlier: &[],
            may_unsubscribe: true,
        };
        let mail = Mail {
            sender: self.sender.from.address.clone(),
            bytes: compose(&letter, &self.sender)?,
            to: to.address,
            envelope_id: token,
        };
        Ok(Envelope {
            uid: MessageUid(uuid::Uuid::from_u128(u128::from(number))),
            number: MessageNo(i64::try_from(number)?),
            payload: Payload::Mail(mail),
        })
    }
}
