//! Conversations with a relay that misbehaves at every step.

use super::SmtpChannel;
use super::peer::{Act, Heard, Peer, distrust, hear, say, trust};
use crate::channel::settings::{Login, Mailbox, Security, SmtpSettings, StepLimits};
use crate::channel::{Channel, ChannelProblem, Envelope, Mail, Payload, Session};
use crate::domain::contact::EmailAddress;
use crate::domain::ids::{MessageNo, MessageUid};
use crate::domain::outcome::Outcome;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::time::Duration;
use uuid::Uuid;

const SHORT: Duration = Duration::from_millis(150);

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
        sessions: 1,
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

fn session(settings: SmtpSettings) -> Box<dyn Session> {
    SmtpChannel::trusting(settings, distrust()).open()
}

fn mail_to(to: &str, bytes: &[u8]) -> Envelope {
    Envelope {
        uid: MessageUid(Uuid::from_u128(7)),
        number: MessageNo(71),
        payload: Payload::Mail(Mail {
            sender: address("bounces@shop.example"),
            to: address(to),
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

fn taken() -> Vec<Act> {
    vec![
        say("250 ok\n250 ok\n354 go on\n"),
        Act::Body,
        say("250 2.0.0 Ok: queued as 4F2\n"),
    ]
}

/// One mail against one script, with short limits.
async fn outcome_of(script: Vec<Act>) -> (String, Heard) {
    let peer = Peer::with(vec![script]).await;
    let mut session = session(hasty(peer.address));
    let outcome = session.send(&mail()).await;
    drop(session);
    (short(&outcome), peer.finish().await)
}

#[tokio::test]
async fn a_mail_is_handed_over_and_the_queue_id_kept() {
    let peer = Peer::with(vec![
        [pipelined(taken()), vec![hear("QUIT"), say("221 bye\n")]].concat(),
    ])
    .await;
    let mut session = session(settings(peer.address));
    let outcome = session.send(&mail()).await;
    assert_eq!(short(&outcome), "accepted");
    assert_eq!(outcome.evidence().reference.as_deref(), Some("4F2"));
    session.close().await;
    let heard = peer.finish().await;
    assert_eq!(
        heard.bodies,
        [b"Subject: hello\r\n\r\n..hidden\r\nbye\r\n\r\n.\r\n".to_vec()]
    );
    assert_eq!(heard.lines[2], "RCPT TO:<anna@mail.example>");
}

#[tokio::test]
async fn without_pipelining_each_command_waits_for_its_answer() {
    let script = [
        greeting(""),
        vec![
            hear("MAIL"),
            say("250 ok\n"),
            hear("RCPT"),
            say("251 will forward\n"),
            hear("DATA"),
            say("354 go on\n"),
            Act::Body,
            say("250 fine\n"),
        ],
    ];
    assert_eq!(outcome_of(script.concat()).await.0, "accepted");
}

#[tokio::test]
async fn what_goes_wrong_before_the_dot_is_definite() {
    let after_group = |text: &str| pipelined(vec![say(text)]);
    let stalls = |text: &str| pipelined(vec![say(text), Act::Stall]);
    let go = || say("250 ok\n250 ok\n354 go on\n");
    let big = "x".repeat(100_000);
    for (name, script, expected) in [
        (
            "no greeting",
            vec![Act::Stall],
            "deferred relay at greeting",
        ),
        ("hangs up at once", vec![], "deferred relay at greeting"),
        (
            "resets at once",
            vec![Act::Reset],
            "deferred relay at greeting",
        ),
        (
            "421 greeting",
            vec![say("421 busy\n")],
            "deferred relay at greeting",
        ),
        (
            "554 greeting",
            vec![say("554 no\n")],
            "deferred relay at greeting",
        ),
        (
            "http greeting",
            vec![say("HTTP/1.1 400 Bad Request\n")],
            "deferred relay at greeting",
        ),
        (
            "endless greeting",
            vec![say(&big)],
            "deferred relay at greeting",
        ),
        (
            "421 at EHLO",
            vec![say("220 x\n"), hear("EHLO"), say("421 bye\n")],
            "deferred relay at greeting",
        ),
        (
            "silent at EHLO",
            vec![say("220 x\n"), hear("EHLO"), Act::Stall],
            "deferred relay at greeting",
        ),
        (
            "no EHLO",
            vec![say("220 x\n"), hear("EHLO"), say("502 what\n")],
            "deferred configuration at greeting",
        ),
        ("silent at MAIL", stalls(""), "deferred relay at mail"),
        (
            "hangs up at MAIL",
            after_group(""),
            "deferred relay at mail",
        ),
        (
            "421 at MAIL",
            after_group("421 bye\n"),
            "deferred relay at mail",
        ),
        (
            "530 at MAIL",
            after_group("530 5.7.0 log in\n530 x\n530 x\n"),
            "deferred configuration at mail",
        ),
        (
            "4xx at MAIL",
            after_group("451 later\n503 x\n503 x\n"),
            "deferred recipient at mail",
        ),
        (
            "half a line at MAIL",
            after_group("250 o"),
            "deferred relay at mail",
        ),
        (
            "silent at RCPT",
            stalls("250 ok\n"),
            "deferred relay at rcpt",
        ),
        (
            "greylisted",
            after_group("250 ok\n450 4.7.1 later\n503 x\n"),
            "deferred recipient at rcpt",
        ),
        (
            "unknown",
            after_group("250 ok\n550 5.1.1 gone\n503 x\n"),
            "refused hard at rcpt",
        ),
        (
            "refused, then gone",
            after_group("250 ok\n550 5.1.1 gone\n"),
            "refused hard at rcpt",
        ),
        (
            "refused in an odd code",
            after_group("250 ok\n571 no\n503 x\n"),
            "refused policy at rcpt",
        ),
        (
            "refused and cut off",
            after_group("250 ok\n571-no\n"),
            "refused policy at rcpt",
        ),
        (
            "421 at RCPT",
            after_group("250 ok\n421 bye\n"),
            "deferred relay at rcpt",
        ),
        (
            "silent at DATA",
            stalls("250 ok\n250 ok\n"),
            "deferred relay at data",
        ),
        (
            "hangs up before 354",
            after_group("250 ok\n250 ok\n"),
            "deferred relay at data",
        ),
        (
            "resets before 354",
            pipelined(vec![say("250 ok\n250 ok\n"), Act::Reset]),
            "deferred relay at data",
        ),
        (
            "451 at DATA",
            after_group("250 ok\n250 ok\n451 later\n"),
            "deferred recipient at data",
        ),
        (
            "250 at DATA",
            after_group("250 ok\n250 ok\n250 ok\n"),
            "deferred relay at data",
        ),
        (
            "one reply too many",
            after_group("250 ok\n250 ok\n354 go\n250 ok\n"),
            "deferred relay at data",
        ),
        (
            "garbage at RCPT",
            after_group("250 ok\nhello?\n354 go\n"),
            "deferred relay at rcpt",
        ),
        (
            "breaks in with 552",
            pipelined(vec![go(), say("552 5.3.4 too big\n")]),
            "refused content at data",
        ),
        (
            "breaks in with 421",
            pipelined(vec![go(), say("421 bye\n")]),
            "deferred relay at data",
        ),
    ] {
        assert_eq!(outcome_of(script).await.0, expected, "{name}");
    }
}

#[tokio::test]
async fn what_goes_wrong_after_the_dot_is_in_doubt_unless_clearly_refused() {
    let after_dot = |acts: Vec<Act>| {
        pipelined([vec![say("250 ok\n250 ok\n354 go on\n"), Act::Body], acts].concat())
    };
    for (name, acts, expected) in [
        ("silent", vec![Act::Stall], "in doubt"),
        ("hangs up", vec![], "in doubt"),
        ("resets", vec![Act::Reset], "in doubt"),
        ("garbage", vec![say("what a nice day\n")], "in doubt"),
        ("half a line", vec![say("250 o")], "in doubt"),
        ("half a reply", vec![say("250-queued\n")], "in doubt"),
        (
            "two codes in one reply",
            vec![say("250-queued\n550 not queued\n")],
            "in doubt",
        ),
        ("354 again", vec![say("354 go on\n")], "in doubt"),
        ("tarpit", vec![say("2"), say("5"), Act::Stall], "in doubt"),
        ("accepted", vec![say("250 ok\n")], "accepted"),
        ("accepted, no text", vec![say("250\n")], "accepted"),
        (
            "accepted in several lines",
            vec![say("250-ok\n250 queued\n")],
            "accepted",
        ),
        (
            "accepted at great length",
            vec![say(&format!("250 {}\n", "x".repeat(100_000)))],
            "accepted",
        ),
        (
            "accepted in another language",
            vec![Act::Say("250 angenommen, schön\r\n".into())],
            "accepted",
        ),
        (
            "421",
            vec![say("421 shutting down\n")],
            "deferred relay at dot",
        ),
        (
            "4xx",
            vec![say("451 4.3.0 later\n")],
            "deferred recipient at dot",
        ),
        (
            "5xx",
            vec![say("554 5.7.1 spam\n")],
            "refused policy at dot",
        ),
        ("5xx, odd", vec![say("571 spam\n")], "refused policy at dot"),
        (
            "5xx in several lines",
            vec![say("550-5.7.26 not\n550 5.7.26 authenticated\n")],
            "refused policy at dot",
        ),
        (
            "5xx, cut off",
            vec![say("550-5.7.26 not\n")],
            "refused policy at dot",
        ),
    ] {
        assert_eq!(outcome_of(after_dot(acts)).await.0, expected, "{name}");
    }
}

#[tokio::test]
async fn a_connection_broken_inside_the_message_is_definite() {
    // More than the system buffers, so that writing really has to wait.
    let large = mail_to("a@mail.example", &b"x\r\n".repeat(9_000_000));
    for end in [Act::Reset, Act::Deaf] {
        let acts = vec![say("250 ok\n250 ok\n354 go on\n"), Act::Part(1000), end];
        let peer = Peer::with(vec![pipelined(acts)]).await;
        let mut session = session(hasty(peer.address));
        let outcome = session.send(&large).await;
        assert_eq!(short(&outcome), "deferred relay at data");
        drop(session);
        peer.release();
        peer.finish().await;
    }
}

#[tokio::test]
async fn a_refused_recipient_does_not_cost_the_connection() {
    let script = [
        pipelined(vec![
            say("250 ok\n550 5.1.1 gone\n554 no valid recipients\n"),
            hear("RSET"),
            say("250 ok\n"),
        ]),
        group(),
        taken(),
        group(),
        taken(),
    ];
    let peer = Peer::with(vec![script.concat()]).await;
    let mut session = session(hasty(peer.address));
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(short(&session.send(&mail()).await));
    }
    assert_eq!(outcomes, ["refused hard at rcpt", "accepted", "accepted"]);
    assert_eq!(peer.finish().await.n_connections, 1);
}

#[tokio::test]
async fn no_dot_is_written_for_a_refused_recipient_even_if_the_relay_asks_for_data() {
    let first = pipelined(vec![say("250 ok\n550 5.1.1 gone\n354 go on\n"), Act::Stall]);
    let peer = Peer::with(vec![first, pipelined(taken())]).await;
    let mut session = session(hasty(peer.address));
    assert_eq!(short(&session.send(&mail()).await), "refused hard at rcpt");
    assert_eq!(short(&session.send(&mail()).await), "accepted");
    assert_eq!(peer.finish().await.n_connections, 2);
}

#[tokio::test]
async fn an_idle_line_that_was_closed_is_replaced_without_a_word() {
    for farewell in [
        vec![],
        vec![say("421 idle too long\n")],
        vec![Act::Reset],
        vec![say("250 ok\n")],
    ] {
        let first = [pipelined(taken()), farewell.clone()].concat();
        let peer = Peer::with(vec![first, pipelined(taken())]).await;
        let mut session = session(settings(peer.address));
        assert_eq!(short(&session.send(&mail()).await), "accepted");
        assert_eq!(
            short(&session.send(&mail()).await),
            "accepted",
            "{farewell:?}"
        );
        assert_eq!(peer.finish().await.n_connections, 2);
    }
}

#[tokio::test]
async fn a_line_that_closes_on_its_second_mail_is_replaced_once() {
    for answer in ["", "421 one mail is enough\n"] {
        let first = [pipelined(taken()), group(), vec![say(answer)]].concat();
        let peer = Peer::with(vec![first, pipelined(taken())]).await;
        let mut session = session(settings(peer.address));
        assert_eq!(short(&session.send(&mail()).await), "accepted");
        assert_eq!(short(&session.send(&mail()).await), "accepted");
        assert_eq!(peer.finish().await.n_connections, 2);
    }
    let first = [pipelined(taken()), group()].concat();
    let peer = Peer::with(vec![first, pipelined(vec![])]).await;
    let mut session = session(settings(peer.address));
    assert_eq!(short(&session.send(&mail()).await), "accepted");
    assert_eq!(
        short(&session.send(&mail()).await),
        "deferred relay at mail"
    );
    assert_eq!(peer.finish().await.n_connections, 2);
}

#[tokio::test]
async fn the_answer_to_a_cancelled_mail_is_never_taken_for_the_next_ones() {
    let late = [
        vec![say("250 ok\n250 ok\n354 go on\n"), Act::Body, Act::Stall],
        vec![say("250 the first one\n")],
    ];
    let second = vec![
        say("250 ok\n250 ok\n354 go on\n"),
        Act::Body,
        say("554 5.7.1 refused\n"),
    ];
    let peer = Peer::with(vec![pipelined(late.concat()), pipelined(second)]).await;
    let mut session = session(settings(peer.address));
    let first = mail();
    let cancelled = tokio::time::timeout(SHORT, session.send(&first)).await;
    assert!(cancelled.is_err());
    assert_eq!(short(&session.send(&mail()).await), "refused policy at dot");
    assert_eq!(peer.finish().await.n_connections, 2);
}

#[tokio::test]
async fn a_late_answer_after_a_time_out_is_never_taken_for_the_next_ones() {
    let late = vec![say("250 ok\n250 ok\n"), Act::Stall, say("354 go on\n")];
    let second = vec![say("250 ok\n550 5.1.1 gone\n503 x\n")];
    let peer = Peer::with(vec![pipelined(late), pipelined(second)]).await;
    let mut session = session(hasty(peer.address));
    assert_eq!(
        short(&session.send(&mail()).await),
        "deferred relay at data"
    );
    assert_eq!(short(&session.send(&mail()).await), "refused hard at rcpt");
    assert_eq!(peer.finish().await.n_connections, 2);
}

#[tokio::test]
async fn a_line_is_recycled_after_its_share_of_mails() {
    let farewell = || vec![hear("QUIT"), say("221 bye\n")];
    let first = [pipelined(taken()), group(), taken(), farewell()].concat();
    let peer = Peer::with(vec![first, pipelined(taken())]).await;
    let mut settings = settings(peer.address);
    settings.limits.n_mails = 2;
    let mut session = session(settings);
    for _ in 0..3 {
        assert_eq!(short(&session.send(&mail()).await), "accepted");
    }
    assert_eq!(peer.finish().await.n_connections, 2);
}

#[tokio::test]
async fn an_idle_or_old_line_is_recycled() {
    let farewell = || vec![hear("QUIT"), say("221 bye\n")];
    for (idle, age) in [(Duration::ZERO, SHORT), (SHORT, Duration::ZERO)] {
        let first = [pipelined(taken()), farewell()].concat();
        let peer = Peer::with(vec![first, pipelined(taken())]).await;
        let mut settings = settings(peer.address);
        settings.limits.idle = idle;
        settings.limits.age = age;
        let mut session = session(settings);
        for _ in 0..2 {
            assert_eq!(short(&session.send(&mail()).await), "accepted");
        }
        assert_eq!(peer.finish().await.n_connections, 2);
    }
}

#[tokio::test]
async fn what_the_relay_cannot_carry_is_refused_before_it_is_offered() {
    let idle = |offers: &str| vec![[greeting(offers), vec![Act::Stall]].concat()];
    let peer = Peer::with(idle("250-SIZE 10\n")).await;
    let mut small = session(settings(peer.address));
    let outcome = small.send(&mail()).await;
    assert_eq!(short(&outcome), "refused content at mail");
    assert_eq!(
        outcome.evidence().text,
        "32 bytes, and the relay takes at most 10"
    );
    drop(small);
    assert_eq!(peer.finish().await.lines, ["EHLO shop.example"]);

    let peer = Peer::with(idle("")).await;
    let mut ascii = session(settings(peer.address));
    let outcome = ascii.send(&mail_to("jürgen@mail.example", b"x")).await;
    assert_eq!(short(&outcome), "refused content at mail");
    assert!(outcome.evidence().text.contains("SMTPUTF8"));
    drop(ascii);
    peer.finish().await;
}

#[tokio::test]
async fn parameters_are_sent_where_they_are_offered() {
    let script = [
        greeting("250-PIPELINING\n250-SIZE 0\n250-DSN\n250-SMTPUTF8\n"),
        group(),
        taken(),
    ];
    let peer = Peer::with(vec![script.concat()]).await;
    let mut session = session(settings(peer.address));
    let outcome = session
        .send(&mail_to("jürgen@mail.example", b"x\r\n"))
        .await;
    assert_eq!(short(&outcome), "accepted");
    let heard = peer.finish().await;
    assert_eq!(
        heard.lines[1..3],
        [
            "MAIL FROM:<bounces@shop.example> SIZE=3 SMTPUTF8 RET=HDRS ENVID=00000000000000000000000000000007",
            "RCPT TO:<jürgen@mail.example> NOTIFY=FAILURE,DELAY",
        ]
    );
}

#[tokio::test]
async fn a_login_is_tried_once_and_its_failure_is_ours_to_repair() {
    for (offers, acts, expected) in [
        (
            "250-AUTH PLAIN LOGIN\n",
            vec![
                hear("AUTH PLAIN AHNob3AAaG9yc2U="),
                say("535 5.7.8 wrong\n"),
                Act::Stall,
            ],
            "deferred configuration at auth",
        ),
        (
            "250-AUTH PLAIN\n",
            vec![hear("AUTH PLAIN"), say("454 4.7.0 later\n"), Act::Stall],
            "deferred relay at auth",
        ),
        (
            "250-AUTH LOGIN\n",
            vec![
                hear("AUTH LOGIN"),
                say("334 VXNlcm5hbWU6\n"),
                hear("c2hvcA=="),
                say("334 UGFzc3dvcmQ6\n"),
                hear("aG9yc2U="),
                say("535 5.7.8 wrong\n"),
                hear("QUIT"),
                say("221 bye\n"),
            ],
            "deferred configuration at auth",
        ),
        (
            "250-AUTH CRAM-MD5\n",
            vec![Act::Stall],
            "deferred configuration at auth",
        ),
        ("", vec![Act::Stall], "deferred configuration at auth"),
        (
            "250-AUTH PLAIN\n250-PIPELINING\n",
            [vec![hear("AUTH PLAIN"), say("235 ok\n")], group(), taken()].concat(),
            "accepted",
        ),
    ] {
        let peer = Peer::with(vec![[greeting(offers), acts].concat()]).await;
        let mut settings = hasty(peer.address);
        settings.auth = Some(Login {
            user: "shop".into(),
            password: SecretString::from("horse"),
        });
        let mut session = session(settings);
        let outcome = session.send(&mail()).await;
        assert_eq!(short(&outcome), expected, "{offers}");
        assert!(!format!("{outcome:?}").contains("horse"));
        drop(session);
        peer.finish().await;
    }
}

#[tokio::test]
async fn tls_that_was_asked_for_is_never_done_without() {
    for (name, script, expected) in [
        (
            "not offered",
            greeting("250-PIPELINING\n"),
            "deferred configuration at tls",
        ),
        (
            "refused",
            [
                greeting("250-STARTTLS\n"),
                vec![hear("STARTTLS"), say("454 not now\n"), Act::Stall],
            ]
            .concat(),
            "deferred relay at tls",
        ),
        (
            "smuggled",
            [
                greeting("250-STARTTLS\n"),
                vec![hear("STARTTLS"), say("220 go\n250 smuggled\n"), Act::Stall],
            ]
            .concat(),
            "deferred relay at tls",
        ),
        (
            "no handshake",
            [
                greeting("250-STARTTLS\n"),
                vec![hear("STARTTLS"), say("220 go\n"), Act::Stall],
            ]
            .concat(),
            "deferred relay at tls",
        ),
    ] {
        let peer = Peer::with(vec![script]).await;
        let mut settings = hasty(peer.address);
        settings.security = Security::StartTls;
        let mut session = session(settings);
        assert_eq!(short(&session.send(&mail()).await), expected, "{name}");
        drop(session);
        let heard = peer.finish().await;
        assert!(
            !heard.lines.iter().any(|line| line.starts_with("MAIL")),
            "{name}"
        );
    }
    let peer = Peer::with(vec![vec![say("220 in clear\n"), Act::Stall]]).await;
    let mut settings = hasty(peer.address);
    settings.security = Security::Tls;
    let mut session = session(settings);
    assert_eq!(short(&session.send(&mail()).await), "deferred relay at tls");
    drop(session);
    peer.finish().await;
}

#[tokio::test]
async fn mail_goes_over_tls_from_the_first_byte_or_after_starttls() {
    let starttls = [
        greeting("250-STARTTLS\n"),
        vec![
            hear("STARTTLS"),
            say("220 go\n"),
            Act::Tls,
            hear("EHLO shop.example"),
            say("250-relay.example\n250 PIPELINING\n"),
        ],
    ];
    for (security, before) in [
        (
            Security::Tls,
            [vec![Act::Tls], greeting("250-PIPELINING\n")].concat(),
        ),
        (Security::StartTls, starttls.concat()),
    ] {
        for host in ["localhost", "127.0.0.1"] {
            let script = [before.clone(), group(), taken(), group(), taken()].concat();
            let peer = Peer::with(vec![script]).await;
            let mut settings = settings(peer.address);
            settings.security = security;
            settings.host = host.into();
            let mut session = SmtpChannel::trusting(settings, trust()).open();
            assert_eq!(
                short(&session.send(&mail()).await),
                "accepted",
                "{security:?}"
            );
            assert_eq!(
                short(&session.send(&mail()).await),
                "accepted",
                "{security:?}"
            );
            assert_eq!(peer.finish().await.n_connections, 1);
        }
    }
}

#[tokio::test]
async fn a_relay_we_do_not_trust_or_that_has_another_name_gets_nothing() {
    for (tls, ip) in [(distrust(), "127.0.0.1"), (trust(), "127.0.0.2")] {
        let peer = Peer::at(ip, vec![vec![Act::Tls]]).await;
        let mut settings = settings(peer.address);
        settings.security = Security::Tls;
        let mut session = SmtpChannel::trusting(settings, tls).open();
        let outcome = session.send(&mail()).await;
        assert_eq!(short(&outcome), "deferred configuration at tls");
        assert!(
            outcome.evidence().text.contains("not trusted"),
            "{outcome:?}"
        );
        peer.finish().await;
    }
}

#[tokio::test]
async fn clear_text_stays_on_this_machine() {
    let mut settings = settings(([192, 0, 2, 1], 25).into());
    settings.limits.connect = SHORT;
    let outcome = session(settings).send(&mail()).await;
    assert_eq!(short(&outcome), "deferred configuration at connect");
}

#[tokio::test]
async fn a_closed_port_is_a_relay_out_of_reach() {
    let closed = Peer::with(vec![]).await;
    let address = closed.address;
    closed.finish().await;
    let outcome = session(hasty(address)).send(&mail()).await;
    assert_eq!(short(&outcome), "deferred relay at connect");
    assert_eq!(outcome.evidence().text, "connection refused");
}

#[tokio::test]
async fn a_check_says_what_it_found_and_sends_nothing() {
    let script = [
        greeting("250-PIPELINING\n250-SIZE 10485760\n"),
        vec![hear("QUIT"), say("221 bye\n")],
    ];
    let peer = Peer::with(vec![script.concat(), vec![say("554 go away\n")]]).await;
    let channel = SmtpChannel::trusting(settings(peer.address), distrust());
    let at = peer.address;
    assert_eq!(
        channel.check().await.unwrap(),
        format!("{at} answers: without TLS, on this machine, up to 10240 KiB a mail, pipelining")
    );
    assert_eq!(
        channel.check().await.unwrap_err(),
        ChannelProblem::Unreachable {
            at: at.to_string(),
            what: "554 go away (greeting)".into()
        }
    );
    assert_eq!(
        peer.finish().await.lines,
        ["EHLO shop.example", "QUIT", "EHLO shop.example"][..2]
    );
}
