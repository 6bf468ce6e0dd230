//! The lying peer: everything a relay, or something that passes for one, may
//! do, against what must become of the mail, of the connection, and of the
//! next mail.
//!
//! Times are scaled: where a real relay takes 500 of 600 seconds, these take
//! 500 of 3,000 milliseconds. That the real limits are what they should be is
//! a test of its own.

use super::{
    SHORT, address, channel, greeting, hasty, mail, mail_to, next_group, next_taken, pipelined,
    settings, short, taken,
};
use crate::channel::settings::{EmailSettings, Security, SmtpSettings, StepLimits};
use crate::channel::smtp::SmtpChannel;
use crate::channel::smtp::peer::{Act, Peer, hear, say, trust};
use crate::channel::{Channel, Payload};
use std::time::Duration;
use tokio::task::JoinSet;

/// Slow, but in time.
const SLOW: Duration = Duration::from_millis(500);
/// Plenty for anybody who is only slow.
const PATIENCE: Duration = Duration::from_secs(3);

/// One mail and, after it, a second one.
struct Row {
    peer_does: &'static str,
    /// What its first connection does; a second one takes the mail.
    script: Vec<Act>,
    /// What becomes of the first mail.
    becomes: &'static str,
    and_then: &'static str,
    /// Whether the second mail goes over the same connection.
    keeps_line: bool,
    patience: Duration,
}

fn row(peer_does: &'static str, script: Vec<Act>, becomes: &'static str) -> Row {
    Row {
        peer_does,
        script,
        becomes,
        and_then: "accepted",
        keeps_line: false,
        patience: SHORT,
    }
}

impl Row {
    /// The conversation goes on as if nothing had been.
    fn and_goes_on(mut self) -> Row {
        self.script.extend(next_taken());
        self.keeps_line = true;
        self
    }
    /// The second mail is put off, on the same connection.
    fn and_then(mut self, becomes: &'static str) -> Row {
        self.and_then = becomes;
        self.keeps_line = true;
        self
    }
    fn with_patience(mut self) -> Row {
        self.patience = PATIENCE;
        self
    }
}

fn limits(length: Duration) -> StepLimits {
    StepLimits {
        connect: length,
        greeting: length,
        command: length,
        data: length,
        body: length,
        dot: length,
        quit: length,
        ..StepLimits::default()
    }
}

async fn check(rows: Vec<Row>) {
    let mut running = JoinSet::new();
    for row in rows {
        running.spawn(async move {
            let Row {
                peer_does,
                script,
                becomes,
                and_then,
                keeps_line,
                patience,
            } = row;
            let more = if keeps_line {
                vec![]
            } else {
                vec![pipelined(taken())]
            };
            let peer = Peer::with([vec![script], more].concat()).await;
            let mut session = channel(SmtpSettings {
                limits: limits(patience),
                ..settings(peer.address)
            })
            .open();
            let first = short(&session.send(&mail()).await);
            let second = short(&session.send(&mail()).await);
            drop(session);
            let heard = peer.finish().await;
            assert_eq!(
                (first.as_str(), second.as_str()),
                (becomes, and_then),
                "{peer_does}"
            );
            let n = if keeps_line { 1 } else { 2 };
            assert_eq!(heard.n_connections, n, "{peer_does}");
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

fn after_dot(acts: Vec<Act>) -> Vec<Act> {
    pipelined([vec![say("250 ok\n250 ok\n354 go on\n"), Act::Body], acts].concat())
}

#[tokio::test]
async fn at_the_door() {
    let slow_banner = [vec![Act::Wait(SLOW)], pipelined(taken())].concat();
    check(vec![
        row("greets late", slow_banner, "accepted")
            .with_patience()
            .and_goes_on(),
        row(
            "never greets",
            vec![Act::Stall],
            "deferred relay at greeting",
        ),
        row(
            "421 instead of a greeting",
            vec![say("421 busy\n")],
            "deferred relay at greeting",
        ),
        row(
            "421 at EHLO",
            vec![say("220 x\n"), hear("EHLO"), say("421 bye\n")],
            "deferred relay at greeting",
        ),
    ])
    .await;
}

#[tokio::test]
async fn before_the_message() {
    let says = |text: &str| pipelined(vec![say(text)]);
    let slow_steps = [
        greeting(""),
        vec![hear("MAIL"), Act::Wait(SLOW), say("250 ok\n")],
        vec![hear("RCPT"), Act::Wait(SLOW), say("250 ok\n")],
        vec![hear("DATA"), Act::Wait(SLOW), say("354 ok\n")],
        vec![Act::Body, say("250 ok\n")],
        vec![hear("RSET"), say("250 ok\n"), hear("MAIL"), say("250 ok\n")],
        vec![hear("RCPT"), say("250 ok\n"), hear("DATA"), say("354 ok\n")],
        vec![Act::Body, say("250 ok\n")],
    ];
    let mut slow = row(
        "takes its time at every step",
        slow_steps.concat(),
        "accepted",
    );
    slow.keeps_line = true;
    check(vec![
        slow.with_patience(),
        row("421 at MAIL", says("421 bye\n"), "deferred relay at mail"),
        row(
            "421 at RCPT",
            says("250 ok\n421 bye\n"),
            "deferred relay at rcpt",
        ),
        row(
            "421 at DATA",
            says("250 ok\n250 ok\n421 bye\n"),
            "deferred relay at data",
        ),
        row(
            "4xx at MAIL",
            says("451 4.3.0 later\n503 x\n503 x\n"),
            "deferred recipient at mail",
        )
        .and_goes_on(),
        row(
            "greylists at RCPT",
            says("250 ok\n450 4.7.1 later\n503 x\n"),
            "deferred recipient at rcpt",
        )
        .and_goes_on(),
        row(
            "5xx at RCPT",
            says("250 ok\n550 5.1.1 gone\n503 x\n"),
            "refused hard at rcpt",
        )
        .and_goes_on(),
        row(
            "5xx at RCPT for reasons of its own",
            says("250 ok\n550 5.7.1 policy\n503 x\n"),
            "refused policy at rcpt",
        )
        .and_goes_on(),
        row(
            "5xx at RCPT and wants the message all the same",
            pipelined(vec![say("250 ok\n550 5.1.1 gone\n354 go on\n"), Act::Stall]),
            "refused hard at rcpt",
        ),
        row(
            "closes before 354",
            says("250 ok\n250 ok\n"),
            "deferred relay at data",
        ),
        row(
            "resets before 354",
            pipelined(vec![say("250 ok\n250 ok\n"), Act::Reset]),
            "deferred relay at data",
        ),
        row(
            "is silent before 354",
            pipelined(vec![say("250 ok\n250 ok\n"), Act::Stall]),
            "deferred relay at data",
        ),
    ])
    .await;
}

#[tokio::test]
async fn in_the_message() {
    // More than the system buffers, so that the fault comes before the dot.
    let large = mail_to("a@mail.example", &b"x\r\n".repeat(9_000_000));
    let go = || say("250 ok\n250 ok\n354 go on\n");
    for (peer_does, end, becomes) in [
        ("resets", vec![Act::Reset], "deferred relay at data"),
        ("stops reading", vec![Act::Deaf], "deferred relay at data"),
        (
            "421",
            vec![say("421 bye\n"), Act::Deaf],
            "deferred relay at data",
        ),
    ] {
        let first = pipelined([vec![go(), Act::Part(1000)], end].concat());
        let peer = Peer::with(vec![first, pipelined(taken())]).await;
        let mut session = channel(hasty(peer.address)).open();
        assert_eq!(short(&session.send(&large).await), becomes, "{peer_does}");
        peer.release();
        assert_eq!(
            short(&session.send(&mail()).await),
            "accepted",
            "{peer_does}"
        );
        peer.finish().await;
    }
}

#[tokio::test]
async fn after_the_dot() {
    check(vec![
        row(
            "421",
            after_dot(vec![say("421 bye\n")]),
            "deferred relay at dot",
        ),
        row(
            "4xx",
            after_dot(vec![say("451 4.3.0 later\n")]),
            "deferred recipient at dot",
        )
        .and_goes_on(),
        row(
            "452",
            after_dot(vec![say("452 4.3.1 full\n")]),
            "deferred recipient at dot",
        )
        .and_goes_on(),
        row(
            "5xx",
            after_dot(vec![say("554 5.7.1 spam\n")]),
            "refused policy at dot",
        )
        .and_goes_on(),
        row(
            "552",
            after_dot(vec![say("552 5.3.4 too big\n")]),
            "refused content at dot",
        )
        .and_goes_on(),
        row("resets", after_dot(vec![Act::Reset]), "in doubt"),
        row("closes", after_dot(vec![]), "in doubt"),
        row("is silent", after_dot(vec![Act::Stall]), "in doubt"),
        row(
            "garbage",
            after_dot(vec![say("\u{1}\u{2}what\n")]),
            "in doubt",
        ),
        row("half a line", after_dot(vec![say("250 queue")]), "in doubt"),
        row(
            "354 instead of 250",
            after_dot(vec![say("354 go on\n"), Act::Stall]),
            "in doubt",
        ),
        row(
            "accepts when the time is nearly over",
            after_dot(vec![Act::Wait(SLOW), say("250 ok\n")]),
            "accepted",
        )
        .with_patience()
        .and_goes_on(),
    ])
    .await;
}

#[tokio::test]
async fn a_tarpit_costs_each_step_its_limit_and_no_more() {
    const PAUSE: Duration = Duration::from_millis(50);
    let begun = tokio::time::Instant::now();
    let drip = |text| vec![Act::Drip(text, PAUSE)];
    check(vec![
        row(
            "drips the greeting",
            drip("220-patience "),
            "deferred relay at greeting",
        ),
        row(
            "drips the answer to EHLO",
            [vec![say("220 x\n"), hear("EHLO")], drip("250-patience\r\n")].concat(),
            "deferred relay at greeting",
        ),
        row(
            "drips the answer to MAIL",
            pipelined(drip("250-x ")),
            "deferred relay at mail",
        ),
        row(
            "drips the answer to RCPT",
            pipelined([vec![say("250 ok\n")], drip("250-x ")].concat()),
            "deferred relay at rcpt",
        ),
        row(
            "drips the answer to DATA",
            pipelined([vec![say("250 ok\n250 ok\n")], drip("354-x ")].concat()),
            "deferred relay at data",
        ),
        row(
            "drips the answer to the dot",
            after_dot(drip("250-x ")),
            "in doubt",
        ),
    ])
    .await;
    // Six at the same time: one limit, not a sum, and time for the second mails.
    assert!(begun.elapsed() < SHORT * 10, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn between_two_mails() {
    let then = |acts: Vec<Act>| [pipelined(taken()), acts].concat();
    // In one packet with the answer to the dot, so that it waits on the line.
    let with_more = |more: &str| after_dot(vec![say(&format!("250 ok\n{more}")), Act::Stall]);
    check(vec![
        row("closes after one mail", then(vec![]), "accepted"),
        row(
            "421 to RSET",
            then([next_group(), vec![say("421 bye\n")]].concat()),
            "accepted",
        ),
        row(
            "421 waits on the idle line",
            with_more("421 idle\n"),
            "accepted",
        ),
        row("an extra 250", with_more("250 ok\n"), "accepted"),
        row("an extra 550", with_more("550 not really\n"), "accepted"),
        row("half an extra line", with_more("55"), "accepted"),
        row(
            "an extra 250 that is still on its way when we speak",
            // Read as the answers to RSET, MAIL, RCPT and DATA, of which the
            // last should have been 354: nothing was sent, nothing believed.
            then(
                [
                    next_group(),
                    vec![say("250 late\n250 reset\n250 ok\n250 ok\n"), Act::Stall],
                ]
                .concat(),
            ),
            "accepted",
        )
        .and_then("deferred relay at data"),
    ])
    .await;
}

#[tokio::test]
async fn answers_of_odd_form() {
    let long = format!("250 {}\n", "x".repeat(100_000));
    let endless = "250-more\n".repeat(10_000) + "250 done\n";
    check(vec![
        row(
            "several lines",
            after_dot(vec![say("250-a\n250-b\n250 c\n")]),
            "accepted",
        )
        .and_goes_on(),
        row("a line of 100 kB", after_dot(vec![say(&long)]), "accepted").and_goes_on(),
        row(
            "ten thousand lines",
            after_dot(vec![say(&endless)]),
            "accepted",
        ),
        row(
            "another alphabet",
            after_dot(vec![Act::Say("250 принято\r\n".into())]),
            "accepted",
        )
        .and_goes_on(),
        row(
            "bytes of no alphabet",
            after_dot(vec![Act::Say(b"250 \xff\xfe\x00\r\n".to_vec())]),
            "accepted",
        )
        .and_goes_on(),
        row(
            "two codes in one answer",
            after_dot(vec![say("250-yes\n550 no\n")]),
            "in doubt",
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_it_does_not_offer_is_not_used_or_the_mail_is_refused() {
    let bare = || {
        let step = |command, answer: &str| vec![hear(command), say(answer)];
        [
            step("MAIL FROM:<bounces@shop.example>", "250 ok\n"),
            step("RCPT TO:<", "250 ok\n"),
            step("DATA", "354 ok\n"),
            vec![Act::Body, say("250 ok\n")],
        ]
        .concat()
    };
    let peer = Peer::with(vec![[greeting(""), bare()].concat()]).await;
    let mut session = channel(hasty(peer.address)).open();
    // An address of another alphabet: refused here, with the code it would get.
    let refused = session.send(&mail_to("jürgen@mail.example", b"x")).await;
    assert_eq!(short(&refused), "refused content at mail");
    assert_eq!(refused.evidence().enhanced.as_deref(), Some("5.6.7"));
    // A domain of another alphabet alone goes in ASCII, and needs nothing.
    let to = mail_to("anna@grün.example", b"x\r\n");
    assert_eq!(short(&session.send(&to).await), "accepted");
    let Payload::Mail(sent) = &to.payload else {
        panic!("a mail");
    };
    assert_eq!(sent.to, address("anna@xn--grn-ioa.example"));
    drop(session);
    let heard = peer.finish().await;
    assert_eq!(heard.lines[2], "RCPT TO:<anna@xn--grn-ioa.example>");

    let peer = Peer::with(vec![[greeting("250-SIZE 20\n"), vec![Act::Stall]].concat()]).await;
    let mut session = channel(hasty(peer.address)).open();
    let refused = session.send(&mail()).await;
    assert_eq!(short(&refused), "refused content at mail");
    assert_eq!(refused.evidence().enhanced.as_deref(), Some("5.3.4"));
    drop(session);
    peer.finish().await;
}

#[tokio::test]
async fn a_black_hole_costs_the_limit_for_connecting() {
    // A listener whose queue is full: further attempts are dropped in silence.
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let hole = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    hole.bind(&any.into()).unwrap();
    hole.listen(0).unwrap();
    let at = hole.local_addr().unwrap().as_socket().unwrap();
    let filler: Vec<_> = (0..4)
        .map(|_| tokio::spawn(tokio::net::TcpStream::connect(at)))
        .collect();
    let mut session = channel(hasty(at)).open();
    let mut said = Vec::new();
    for _ in 0..2 {
        said.push(session.send(&mail()).await.evidence().text.clone());
    }
    assert!(
        said.iter()
            .any(|text| text == "no answer to the connection"),
        "{said:?}"
    );
    filler.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn without_the_tls_that_was_asked_for_nothing_leaves() {
    let starttls =
        |after: Vec<Act>| [greeting("250-STARTTLS\n"), vec![hear("STARTTLS")], after].concat();
    for (peer_does, security, host, script, becomes) in [
        (
            "strips STARTTLS",
            Security::StartTls,
            "localhost",
            greeting(""),
            "deferred configuration at tls",
        ),
        (
            "closes in the handshake",
            Security::StartTls,
            "localhost",
            starttls(vec![say("220 go\n"), Act::Part(10)]),
            "deferred relay at tls",
        ),
        (
            "has another name",
            Security::StartTls,
            "127.0.0.2",
            starttls(vec![say("220 go\n"), Act::Tls]),
            "deferred configuration at tls",
        ),
        (
            "has a certificate of long ago",
            Security::StartTls,
            "localhost",
            starttls(vec![say("220 go\n"), Act::TlsExpired]),
            "deferred configuration at tls",
        ),
        (
            "has a certificate of long ago",
            Security::Tls,
            "localhost",
            vec![Act::TlsExpired],
            "deferred configuration at tls",
        ),
    ] {
        let ip = if host == "localhost" {
            "127.0.0.1"
        } else {
            host
        };
        let peer = Peer::at(ip, vec![script]).await;
        let mut settings = hasty(peer.address);
        settings.security = security;
        settings.host = host.into();
        let mut session = SmtpChannel::trusting(EmailSettings::through(settings), trust()).open();
        let outcome = session.send(&mail()).await;
        assert_eq!(short(&outcome), becomes, "{peer_does}");
        drop(session);
        let heard = peer.finish().await;
        let is_quiet = !heard.lines.iter().any(|line| line.starts_with("MAIL"));
        assert!(is_quiet, "{peer_does}: {:?}", heard.lines);
    }
}

#[test]
fn the_real_limits_are_as_long_as_relays_may_need() {
    let limits = StepLimits::default();
    let secs = [
        limits.greeting,
        limits.command,
        limits.data,
        limits.body,
        limits.dot,
    ]
    .map(|limit| limit.as_secs());
    assert_eq!(secs, [60, 60, 120, 180, 600]);
}
