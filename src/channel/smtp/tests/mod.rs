//! Conversations with a relay that misbehaves at every step.

mod door;
mod lies;
mod relays;
mod reuse;
mod steps;

use super::SmtpChannel;
use super::peer::{Act, Peer, distrust, hear, say};
use crate::channel::settings::{EmailSettings, Security, SmtpSettings, StepLimits};
use crate::channel::{Channel, Envelope, Mail, Payload, Session};
use crate::domain::contact::EmailAddress;
use crate::domain::ids::{MessageNo, MessageUid};
use crate::domain::outcome::Outcome;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::task::JoinSet;
use uuid::Uuid;

/// Long enough for a busy machine, short enough to wait for.
const SHORT: Duration = Duration::from_millis(600);

fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

fn settings(at: SocketAddr) -> SmtpSettings {
    SmtpSettings {
        host: at.ip().to_string(),
        port: at.port(),
        security: Security::Plain,
        auth: None,
        helo: "shop.example".into(),
        per_minute: 60,
        limits: StepLimits::default(),
    }
}

/// Every step that a script leaves unanswered ends soon.
fn hasty(at: SocketAddr) -> SmtpSettings {
    SmtpSettings {
        limits: StepLimits {
            connect: SHORT,
            greeting: SHORT,
            command: SHORT,
            data: SHORT,
            body: SHORT,
            dot: SHORT,
            quit: SHORT,
            ..StepLimits::default()
        },
        ..settings(at)
    }
}

fn channel(settings: SmtpSettings) -> SmtpChannel {
    SmtpChannel::trusting(EmailSettings::through(settings), distrust())
}

fn session(settings: SmtpSettings) -> Box<dyn Session> {
    channel(settings).open()
}

fn mail_to(to: &str, bytes: &[u8]) -> Envelope {
    Envelope {
        uid: MessageUid(Uuid::from_u128(7)),
        number: MessageNo(71),
        payload: Payload::Mail(Mail {
            sender: address("bounces@shop.example"),
            to: address(to),
            envelope_id: "token7".into(),
            bytes: bytes.to_vec(),
        }),
    }
}

fn mail() -> Envelope {
    mail_to(
        "anna@mail.example",
        b"Subject: hello\r\n\r\n.hidden\r\nbye\r\n",
    )
}

fn short(outcome: &Outcome) -> String {
    let word = |value: &dyn std::fmt::Debug| format!("{value:?}").to_lowercase();
    let phase = outcome.evidence().phase.as_str();
    match outcome {
        Outcome::Accepted { .. } => "accepted".into(),
        Outcome::InDoubt { .. } => "in doubt".into(),
        Outcome::Deferred { why, .. } => format!("deferred {} at {phase}", word(why)),
        Outcome::Refused { class, .. } => format!("refused {} at {phase}", word(class)),
    }
}

fn greeting(offers: &str) -> Vec<Act> {
    vec![
        say("220 relay.example ESMTP\n"),
        hear("EHLO shop.example"),
        say(&format!("250-relay.example\n{offers}250 HELP\n")),
    ]
}

/// A connection that greets, offers pipelining, and then does `acts`.
fn pipelined(acts: Vec<Act>) -> Vec<Act> {
    [greeting("250-PIPELINING\n"), group(), acts].concat()
}

fn group() -> Vec<Act> {
    vec![
        hear("MAIL FROM:<bounces@shop.example>"),
        hear("RCPT TO:<"),
        hear("DATA"),
    ]
}

/// The group of a mail on a line that was used.
fn next_group() -> Vec<Act> {
    [vec![hear("RSET")], group()].concat()
}

/// A second mail and so on, accepted.
fn next_taken() -> Vec<Act> {
    [next_group(), vec![say("250 reset\n")], taken()].concat()
}

fn taken() -> Vec<Act> {
    vec![
        say("250 ok\n250 ok\n354 go on\n"),
        Act::Body,
        say("250 2.0.0 Ok: queued as 4F2\n"),
    ]
}

/// One mail against each script, all at the same time, with short limits.
async fn check(cases: Vec<(&'static str, Vec<Act>, &'static str)>) {
    let mut running = JoinSet::new();
    for (name, script, expected) in cases {
        running.spawn(async move {
            let peer = Peer::with(vec![script]).await;
            let mut session = session(hasty(peer.address));
            let outcome = session.send(&mail()).await;
            drop(session);
            peer.finish().await;
            assert_eq!(short(&outcome), expected, "{name}");
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}
