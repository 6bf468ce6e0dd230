//! One mail, one conversation: what every step and every fault means.

use super::{
    SHORT, check, greeting, group, hasty, mail, mail_to, pipelined, session, settings, short, taken,
};
use crate::channel::settings::{SmtpSettings, StepLimits, UNACKNOWLEDGED_MAX};
use crate::channel::smtp::peer::{Act, Peer, hear, say};
use crate::domain::message::QUIET_PERIOD;
use std::time::Duration;

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
        [b"Subject: hello\r\n\r\n..hidden\r\nbye\r\n.\r\n".to_vec()]
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
    check(vec![("one by one", script.concat(), "accepted")]).await;
}

/// Leaves this long for everything before the dot.
fn with_time_before_the_dot(at: std::net::SocketAddr, time: Duration) -> SmtpSettings {
    let mut settings = settings(at);
    let limits = &mut settings.limits;
    limits.dot = QUIET_PERIOD.to_std() - UNACKNOWLEDGED_MAX - time;
    assert_eq!(limits.before_dot(), time);
    settings
}

#[tokio::test]
async fn a_relay_that_is_slow_at_every_step_runs_out_of_time_before_the_dot() {
    let slowly = |acts: Vec<Act>| -> Vec<Act> {
        let pause = Act::Wait(SHORT / 4);
        acts.into_iter()
            .flat_map(|act| [pause.clone(), act])
            .collect()
    };
    let greets = || slowly(greeting("250-PIPELINING\n"));
    let takes = || vec![say("250 ok\n"), say("250 ok\n"), say("354 go on\n")];
    for (sentence, script, expected) in [
        ("at the greeting", greets(), "deferred relay at connect"),
        (
            "at the opening",
            [
                greeting("250-PIPELINING\n"),
                group(),
                slowly(takes()),
                slowly(takes()),
            ]
            .concat(),
            "deferred relay at data",
        ),
        (
            "at the body",
            pipelined(vec![say("250 ok\n250 ok\n354 go on\n"), Act::Deaf]),
            "deferred relay at data",
        ),
    ] {
        let peer = Peer::with(vec![[script, vec![Act::Stall]].concat()]).await;
        let time = SHORT * 5 / 8;
        let mut session = session(with_time_before_the_dot(peer.address, time));
        let huge = "x".repeat(70).repeat(400_000);
        let mail = mail_to("anna@mail.example", huge.as_bytes());
        let outcome = session.send(&mail).await;
        assert_eq!(short(&outcome), expected, "{sentence}");
        let said = &outcome.evidence().text;
        assert_eq!(
            said, "too slow over all steps before the final dot",
            "{sentence}"
        );
        drop(session);
        peer.release();
        assert!(peer.finish().await.bodies.is_empty(), "{sentence}");
    }
}

#[test]
fn nothing_of_a_message_moves_any_more_when_it_may_be_sent_again() {
    let of = |dot| StepLimits {
        dot,
        ..StepLimits::default()
    };
    for limits in [
        StepLimits::default(),
        of(Duration::from_secs(1)),
        of(StepLimits::DOT_MAX),
    ] {
        let all = limits.before_dot() + limits.dot + UNACKNOWLEDGED_MAX;
        assert!(all <= QUIET_PERIOD.to_std(), "{limits:?}");
        assert!(
            limits.before_dot() >= Duration::from_secs(120),
            "{limits:?}"
        );
    }
}

#[tokio::test]
async fn what_goes_wrong_before_the_dot_is_definite() {
    let after_group = |text: &str| pipelined(vec![say(text)]);
    let stalls = |text: &str| pipelined(vec![say(text), Act::Stall]);
    let go = || say("250 ok\n250 ok\n354 go on\n");
    let big = "x".repeat(100_000);
    check(vec![
        (
            "no greeting",
            vec![Act::Stall],
            "deferred relay at greeting",
        ),
        ("hangs up at once", vec![], "deferred relay at greeting"),
        (
            "resets at EHLO",
            vec![say("220 x\n"), hear("EHLO"), Act::Reset],
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
    ])
    .await;
}

#[tokio::test]
async fn what_goes_wrong_after_the_dot_is_in_doubt_unless_clearly_refused() {
    let after_dot = |acts: Vec<Act>| {
        pipelined([vec![say("250 ok\n250 ok\n354 go on\n"), Act::Body], acts].concat())
    };
    let cases = [
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
    ];
    let cases = cases.map(|(name, acts, expected)| (name, after_dot(acts), expected));
    check(cases.to_vec()).await;
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
            "MAIL FROM:<bounces@shop.example> SIZE=3 SMTPUTF8 RET=HDRS ENVID=token7",
            "RCPT TO:<jürgen@mail.example> NOTIFY=FAILURE,DELAY",
        ]
    );
}
