//! Opening a line to the relay: name, socket, TLS, greeting, login.
//!
//! Clear text goes to loopback only, whatever the settings say. `STARTTLS`
//! is spoken before the library takes over, on a wire that refuses to go on
//! if anything was smuggled in behind the reply; the library alone would keep
//! such bytes across the handshake and take them for answers.

use super::wire::{Tap, Wire};
use crate::channel::settings::{Login, Security, SmtpSettings, StepLimits};
use crate::domain::outcome::{Deferral, Evidence, Outcome, Phase};
use crate::domain::reply_class::classify;
use crate::domain::smtp_reply::Reply;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Ehlo, Starttls};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

/// An open conversation, greeted and signed in.
pub(super) struct Line {
    pub(super) conn: AsyncSmtpConnection,
    pub(super) tap: Arc<Tap>,
    pub(super) offers: Offers,
    pub(super) opened_at: Instant,
    pub(super) used_at: Instant,
    pub(super) n_mails: u32,
    /// It was used: `RSET` comes first.
    pub(super) needs_reset: bool,
}

/// What the relay said it can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    pub(super) pipelining: bool,
    pub(super) dsn: bool,
    pub(super) smtputf8: bool,
    /// `Some(0)` means that it knows the keyword and has no fixed limit.
    pub(super) size: Option<u64>,
}

impl Offers {
    pub(super) fn of(ehlo: &Reply) -> Offers {
        let mut offers = Offers::default();
        for line in ehlo.lines.iter().skip(1) {
            let mut words = line.split_whitespace();
            match words.next().map(str::to_ascii_uppercase).as_deref() {
                Some("PIPELINING") => offers.pipelining = true,
                Some("DSN") => offers.dsn = true,
                Some("SMTPUTF8") => offers.smtputf8 = true,
                Some("SIZE") => {
                    offers.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0));
                }
                _ => {}
            }
        }
        offers
    }
}

/// A step without an answer that could be used.
#[derive(Debug)]
pub(super) enum Broken {
    /// No answer in time.
    Silent,
    /// All the time there is before the final dot was used up.
    Late,
    /// The line ended or broke.
    Lost,
    /// The far side spoke when it was our turn; perhaps a farewell.
    OutOfTurn,
    /// What came is no SMTP reply.
    Garbled,
}

impl Broken {
    pub(super) fn words(&self) -> &'static str {
        match self {
            Broken::Silent => "no answer in time",
            Broken::Late => "too slow over all steps before the final dot",
            Broken::Lost => "the connection was lost",
            Broken::OutOfTurn => "the relay spoke or hung up out of turn",
            Broken::Garbled => "an answer that is no SMTP reply",
        }
    }

    /// Certainly not accepted; says nothing about the message.
    pub(super) fn before_the_dot(&self, phase: Phase) -> Outcome {
        Outcome::Deferred {
            why: Deferral::Relay,
            wait: None,
            evidence: Evidence::new(phase, self.words()),
        }
    }
}

/// One question and its answer, whatever the answer says. The second value
/// is false when the library could not follow: the reply counts, and the
/// conversation is over.
pub(super) async fn step(
    limit: Duration,
    tap: &Tap,
    answer: impl Future<Output = Result<Response, Error>>,
) -> Result<(Reply, bool), Broken> {
    match timeout(limit, answer).await {
        Err(_) => Err(Broken::Silent),
        Ok(Ok(_)) => tap.take_reply().map(|r| (r, true)).ok_or(Broken::Garbled),
        Ok(Err(error)) => understand(&error, tap),
    }
}

/// A reply that the library reports as an error, or what went wrong.
pub(super) fn understand(error: &Error, tap: &Tap) -> Result<(Reply, bool), Broken> {
    let heard = tap.take_reply();
    if let Some(code) = error.status().map(u16::from) {
        // After some refusals the library says QUIT by itself, and the last
        // reply heard is the one to that.
        let reply = heard.filter(|reply| reply.code == code).unwrap_or_else(|| {
            let text = std::error::Error::source(error).map(ToString::to_string);
            Reply::of(code, &text.unwrap_or_default())
        });
        return Ok((reply, true));
    }
    if tap.out_of_turn() {
        return Err(Broken::OutOfTurn);
    }
    if !error.is_response() {
        return Err(Broken::Lost);
    }
    match (heard, tap.begun_code()) {
        (Some(reply), _) => Ok((reply, false)),
        // A refusal is one from its first line on.
        (None, Some(code)) if code >= 400 => Ok((Reply::of(code, "(cut off)"), false)),
        (None, Some(_)) => Err(Broken::Garbled),
        (None, None) if error.to_string().contains("incomplete") => Err(Broken::Lost),
        (None, None) => Err(Broken::Garbled),
    }
}

/// Why no line could be opened, as the outcome for the message that waits.
pub(super) type NoLine = Box<Outcome>;

fn repair(phase: Phase, what: &str) -> NoLine {
    Box::new(Outcome::Deferred {
        why: Deferral::Configuration,
        wait: None,
        evidence: Evidence::new(phase, what),
    })
}

fn unreachable(phase: Phase, what: &str) -> NoLine {
    Box::new(Outcome::Deferred {
        why: Deferral::Relay,
        wait: None,
        evidence: Evidence::new(phase, what),
    })
}

impl Line {
    /// Connects, protects the line as the settings ask, reads the greeting
    /// and signs in.
    ///
    /// # Errors
    /// Anything short of that, as a deferred outcome. Nothing has been said
    /// about any message.
    pub(super) async fn open(
        settings: &SmtpSettings,
        tls: &Arc<ClientConfig>,
    ) -> Result<Line, NoLine> {
        let limits = &settings.limits;
        let tcp = connect(settings).await?;
        let wire = Wire::over(tcp).map_err(|error| broken_socket(&error))?;
        let wire = match settings.security {
            Security::Plain => wire,
            Security::Tls => encrypt(wire, settings, tls).await?,
            Security::StartTls => {
                let mut wire = wire;
                match timeout(limits.greeting, ask_for_tls(&mut wire, settings)).await {
                    Err(_) => return Err(silent(Phase::Greeting)),
                    Ok(asked) => asked?,
                }
                encrypt(wire, settings, tls).await?.with_greeting()
            }
        };
        let mut line = greet(wire, settings, limits).await?;
        if let Some(login) = &settings.auth {
            line.sign_in(login, limits).await?;
        }
        Ok(line)
    }

    async fn sign_in(&mut self, login: &Login, limits: &StepLimits) -> Result<(), NoLine> {
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        if self
            .conn
            .server_info()
            .get_auth_mechanism(&mechanisms)
            .is_none()
        {
            return Err(repair(
                Phase::Auth,
                "the relay offers no login with a password (AUTH PLAIN or LOGIN)",
            ));
        }
        let password = login.password.expose_secret().to_owned();
        let credentials = Credentials::new(login.user.clone(), password);
        let answer = self.conn.auth(&mechanisms, &credentials);
        match step(limits.command, &self.tap, answer).await {
            Ok((reply, true)) if reply.class() == 2 => Ok(()),
            Ok((reply, _)) => Err(Box::new(classify(Phase::Auth, &reply))),
            Err(broken) => Err(Box::new(broken.before_the_dot(Phase::Auth))),
        }
    }
}

/// Resolves and connects, one address after the other. Clear text is refused
/// before the first packet if any address of the name lies elsewhere.
async fn connect(settings: &SmtpSettings) -> Result<TcpStream, NoLine> {
    let limit = settings.limits.connect;
    let name = (settings.host.as_str(), settings.port);
    let addresses: Vec<SocketAddr> = match timeout(limit, lookup_host(name)).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(_)) => {
            return Err(unreachable(
                Phase::Connect,
                "the relay's name was not found",
            ));
        }
        Err(_) => {
            return Err(unreachable(
                Phase::Connect,
                "no answer about the relay's name",
            ));
        }
    };
    let is_here = addresses.iter().all(|address| address.ip().is_loopback());
    if settings.security == Security::Plain && !is_here {
        return Err(repair(
            Phase::Connect,
            "without TLS a relay may only be on this machine (loopback)",
        ));
    }
    let mut last = unreachable(Phase::Connect, "the relay's name has no address");
    for address in addresses {
        last = match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(error)) => broken_socket(&error),
            Err(_) => unreachable(Phase::Connect, "no answer to the connection"),
        };
    }
    Err(last)
}

/// The dialogue in clear before TLS. It carries nothing worth reading, and
/// what it says is asked again afterwards.
async fn ask_for_tls(wire: &mut Wire, settings: &SmtpSettings) -> Result<(), NoLine> {
    let lost = |phase: Phase| move |error: io::Error| unreachable(phase, &words(&error));
    let greeting = wire.reply().await.map_err(lost(Phase::Greeting))?;
    if greeting.code != 220 {
        return Err(Box::new(classify(Phase::Greeting, &greeting)));
    }
    let ehlo = Ehlo::new(helo(settings)).to_string();
    let offers = wire.ask(&ehlo).await.map_err(lost(Phase::Greeting))?;
    if offers.class() != 2 {
        return Err(Box::new(classify(Phase::Greeting, &offers)));
    }
    if !offers
        .lines
        .iter()
        .any(|line| line.trim().eq_ignore_ascii_case("STARTTLS"))
    {
        return Err(repair(
            Phase::Tls,
            "the relay does not offer STARTTLS, and nothing is sent without it",
        ));
    }
    let go = wire
        .ask(&Starttls.to_string())
        .await
        .map_err(lost(Phase::Tls))?;
    if go.class() != 2 {
        return Err(Box::new(classify(Phase::Tls, &go)));
    }
    Ok(())
}

async fn encrypt(
    wire: Wire,
    settings: &SmtpSettings,
    tls: &Arc<ClientConfig>,
) -> Result<Wire, NoLine> {
    let name = ServerName::try_from(settings.host.clone())
        .map_err(|_| repair(Phase::Tls, "the relay's name cannot stand in a certificate"))?;
    let connector = TlsConnector::from(Arc::clone(tls));
    match timeout(settings.limits.connect, wire.encrypt(&connector, name)).await {
        Ok(Ok(wire)) => Ok(wire),
        Ok(Err(error)) => Err(no_tls(&error)),
        Err(_) => Err(silent(Phase::Tls)),
    }
}

async fn greet(wire: Wire, settings: &SmtpSettings, limits: &StepLimits) -> Result<Line, NoLine> {
    let tap = wire.tap();
    let helo = helo(settings);
    let greeted = AsyncSmtpConnection::connect_with_transport(Box::new(wire), &helo);
    let conn = match timeout(limits.greeting, greeted).await {
        Err(_) => return Err(silent(Phase::Greeting)),
        Ok(Ok(conn)) => conn,
        Ok(Err(error)) => {
            return Err(Box::new(match understand(&error, &tap) {
                Ok((reply, _)) => classify(Phase::Greeting, &reply),
                Err(broken) => broken.before_the_dot(Phase::Greeting),
            }));
        }
    };
    let Some(ehlo) = tap.take_reply() else {
        return Err(Box::new(Broken::Garbled.before_the_dot(Phase::Greeting)));
    };
    let now = Instant::now();
    Ok(Line {
        conn,
        tap,
        offers: Offers::of(&ehlo),
        opened_at: now,
        used_at: now,
        n_mails: 0,
        needs_reset: false,
    })
}

fn helo(settings: &SmtpSettings) -> ClientId {
    ClientId::Domain(settings.helo.clone())
}

fn silent(phase: Phase) -> NoLine {
    Box::new(Broken::Silent.before_the_dot(phase))
}

fn broken_socket(error: &io::Error) -> NoLine {
    unreachable(Phase::Connect, &words(error))
}

/// A wrong certificate is repaired by a person; everything else that breaks
/// a handshake may be the network.
fn no_tls(error: &io::Error) -> NoLine {
    let cause = error
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(why)) => repair(
            Phase::Tls,
            &format!("the relay's certificate is not trusted: {why:?}"),
        ),
        Some(other) => unreachable(Phase::Tls, &format!("TLS failed: {other}")),
        None => unreachable(Phase::Tls, &words(error)),
    }
}

/// The kind of an error, which never contains a name or an address.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Broken::Lost.words().to_owned(),
        io::ErrorKind::InvalidData => error.to_string(),
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_in_any_case_and_never_from_the_greeting_line() {
        let lines = [
            "DSN.relay.example pleased",
            "pipelining",
            "SIZE 1000",
            "SMTPUTF8",
            "dsn",
        ];
        let ehlo = Reply {
            code: 250,
            lines: lines.map(str::to_owned).to_vec(),
        };
        let offers = Offers::of(&ehlo);
        assert_eq!(offers.size, Some(1000));
        assert!(offers.pipelining && offers.dsn && offers.smtputf8);
        assert_eq!(Offers::of(&Reply::of(250, "PIPELINING")), Offers::default());
        let no_limit = Reply {
            code: 250,
            lines: vec!["relay".into(), "SIZE".into()],
        };
        assert_eq!(Offers::of(&no_limit).size, Some(0));
    }
}
