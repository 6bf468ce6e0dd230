//! Several relays: who gets a mail when the first does not take it, who does
//! not, and who is left alone.

use super::{channel, greeting, hasty, mail, mail_to, pipelined, settings, short, taken};
use crate::channel::settings::{EmailSettings, Login, Security, SmtpSettings};
use crate::channel::smtp::SmtpChannel;
use crate::channel::smtp::breaker::FAILURES_MAX;
use crate::channel::smtp::peer::{Act, Peer, distrust, hear, say};
use crate::channel::{Channel, Session};
use crate::domain::outcome::Outcome;
use secrecy::SecretString;
use std::time::Duration;

fn of(relays: Vec<SmtpSettings>) -> EmailSettings {
    EmailSettings {
        relays,
        ..EmailSettings::through(settings(([127, 0, 0, 1], 1).into()))
    }
}

fn session(settings: EmailSettings) -> Box<dyn Session> {
    SmtpChannel::trusting(settings, distrust()).open()
}

fn with_login(mut settings: SmtpSettings) -> SmtpSettings {
    settings.auth = Some(Login {
        user: "shop".into(),
        password: SecretString::from("horse"),
    });
    settings
}

/// Nobody listens here.
async fn closed_port() -> SmtpSettings {
    let peer = Peer::with(vec![]).await;
    let settings = hasty(peer.address);
    peer.finish().await;
    settings
}

fn wrong_password() -> Vec<Act> {
    let login = vec![hear("AUTH PLAIN"), say("535 5.7.8 wrong\n"), Act::Stall];
    [greeting("250-AUTH PLAIN\n"), login].concat()
}

#[tokio::test]
async fn a_relay_that_certainly_has_nothing_of_a_mail_is_stood_in_for() {
    let starttls = |mut settings: SmtpSettings| {
        settings.security = Security::StartTls;
        settings
    };
    let tls = |mut settings: SmtpSettings| {
        settings.security = Security::Tls;
        settings
    };
    let same = |settings| settings;
    type Change<'a> = &'a dyn Fn(SmtpSettings) -> SmtpSettings;
    let cases: [(&str, Vec<Act>, Change<'_>); 12] = [
        ("hangs up", vec![], &same),
        ("says nothing", vec![Act::Stall], &same),
        (
            "resets",
            vec![say("220 x\n"), hear("EHLO"), Act::Reset],
            &same,
        ),
        ("is busy", vec![say("421 busy\n")], &same),
        ("is busy, in another way", vec![say("450 later\n")], &same),
        ("has no service here", vec![say("554 no\n")], &same),
        ("does not offer TLS", greeting(""), &starttls),
        ("speaks in clear", vec![say("220 x\n"), Act::Stall], &tls),
        ("refuses the login", wrong_password(), &with_login),
        (
            "wants a login",
            pipelined(vec![say("530 5.7.0 log in\n530 x\n530 x\n")]),
            &same,
        ),
        (
            "refuses our address",
            pipelined(vec![say("553 5.1.8 no\n503 x\n503 x\n")]),
            &same,
        ),
        ("closes at MAIL", pipelined(vec![say("421 bye\n")]), &same),
    ];
    for (name, script, change) in cases {
        let first = Peer::with(vec![script]).await;
        let second = Peer::with(vec![pipelined(taken())]).await;
        let (at_first, at_second) = (first.address, second.address);
        let relays = vec![change(hasty(at_first)), hasty(at_second)];
        let mut session = session(of(relays));
        let outcome = session.send(&mail()).await;
        assert_eq!(short(&outcome), "accepted", "{name}");
        let evidence = outcome.evidence();
        assert_eq!(evidence.relay, Some(at_second.to_string()), "{name}");
        assert!(evidence.text.contains(&at_second.to_string()), "{name}");
        drop(session);
        assert_eq!(first.finish().await.bodies.len(), 0, "{name}");
        assert_eq!(second.finish().await.bodies.len(), 1, "{name}");
    }
    let second = Peer::with(vec![pipelined(taken())]).await;
    let relays = vec![closed_port().await, hasty(second.address)];
    assert_eq!(short(&session(of(relays)).send(&mail()).await), "accepted");
    second.finish().await;
}

#[tokio::test]
async fn a_relay_that_answered_about_the_mail_is_not_stood_in_for() {
    let dot = |acts: Vec<Act>| {
        pipelined([vec![say("250 ok\n250 ok\n354 go on\n"), Act::Body], acts].concat())
    };
    for (name, script, expected) in [
        (
            "greylists",
            pipelined(vec![say("250 ok\n450 4.7.1 later\n503 x\n")]),
            "deferred recipient at rcpt",
        ),
        (
            "knows nobody",
            pipelined(vec![say("250 ok\n550 5.1.1 gone\n503 x\n")]),
            "refused hard at rcpt",
        ),
        (
            "puts MAIL off",
            pipelined(vec![say("451 4.3.0 later\n503 x\n503 x\n")]),
            "deferred recipient at mail",
        ),
        (
            "is lost at RCPT",
            pipelined(vec![say("250 ok\n")]),
            "deferred relay at rcpt",
        ),
        (
            "refuses the letter",
            dot(vec![say("554 5.7.1 spam\n")]),
            "refused policy at dot",
        ),
        (
            "closes at the dot",
            dot(vec![say("421 bye\n")]),
            "deferred relay at dot",
        ),
        // The one that matters most: it may have the mail.
        ("is silent after the dot", dot(vec![Act::Stall]), "in doubt"),
        ("hangs up after the dot", dot(vec![]), "in doubt"),
    ] {
        let first = Peer::with(vec![script]).await;
        let second = Peer::with(vec![]).await;
        let relays = vec![hasty(first.address), hasty(second.address)];
        let mut session = session(of(relays));
        assert_eq!(short(&session.send(&mail()).await), expected, "{name}");
        drop(session);
        first.finish().await;
        assert_eq!(second.finish().await.n_connections, 0, "{name}");
    }
}

#[tokio::test]
async fn when_nobody_takes_a_mail_the_answer_is_the_one_that_passes_sooner() {
    for (first, second, expected) in [
        (false, false, "deferred relay at connect"),
        (true, false, "deferred relay at connect"),
        (false, true, "deferred relay at connect"),
        (true, true, "deferred configuration at auth"),
    ] {
        let mut relays = Vec::new();
        let mut peers = Vec::new();
        for is_wrong in [first, second] {
            if is_wrong {
                let peer = Peer::with(vec![wrong_password()]).await;
                relays.push(with_login(hasty(peer.address)));
                peers.push(peer);
            } else {
                relays.push(closed_port().await);
            }
        }
        let outcome = session(of(relays)).send(&mail()).await;
        assert_eq!(short(&outcome), expected, "{first} {second}");
        for peer in peers {
            peer.finish().await;
        }
    }
}

#[tokio::test]
async fn a_wrong_password_parks_its_own_relay_and_no_other() {
    let first = Peer::with(vec![wrong_password()]).await;
    let both = || [pipelined(taken()), super::next_taken(), super::next_taken()].concat();
    let second = Peer::with(vec![both(), both()]).await;
    let relays = vec![with_login(hasty(first.address)), hasty(second.address)];
    let channel = SmtpChannel::trusting(of(relays), distrust());
    // What one session learned, the others know.
    for mut session in [channel.open(), channel.open()] {
        for _ in 0..3 {
            assert_eq!(short(&session.send(&mail()).await), "accepted");
        }
    }
    assert_eq!(first.finish().await.n_connections, 1);
    assert_eq!(second.finish().await.n_connections, 2);
}

#[tokio::test]
async fn a_relay_that_fails_five_times_in_a_row_is_left_alone() {
    let n = FAILURES_MAX as usize;
    let busy = vec![vec![say("421 busy\n")]; n];
    let first = Peer::with(busy.clone()).await;
    let mails = [vec![pipelined(taken())], vec![super::next_taken(); n + 2]].concat();
    let second = Peer::with(vec![mails.concat()]).await;
    let mut fast = hasty(second.address);
    fast.per_minute = 6_000;
    let mut with_backup = session(of(vec![hasty(first.address), fast]));
    for _ in 0..n + 3 {
        assert_eq!(short(&with_backup.send(&mail()).await), "accepted");
    }
    drop(with_backup);
    assert_eq!(first.finish().await.n_connections, n);
    assert_eq!(second.finish().await.n_connections, 1);

    // An only relay as well: the mail is put off until its rest is over.
    let only = Peer::with(busy).await;
    let mut alone = session(of(vec![hasty(only.address)]));
    for _ in 0..n {
        let outcome = alone.send(&mail()).await;
        assert_eq!(short(&outcome), "deferred relay at greeting");
    }
    let outcome = alone.send(&mail()).await;
    assert_eq!(short(&outcome), "deferred relay at connect");
    assert_eq!(
        outcome.evidence().text,
        "not asked again so soon after: busy"
    );
    let Outcome::Deferred {
        wait: Some(wait), ..
    } = outcome
    else {
        panic!("no wait");
    };
    assert!((1..=60).contains(&wait.as_secs()));
    assert_eq!(only.finish().await.n_connections, n);
}

#[tokio::test]
async fn after_its_rest_the_first_relay_is_used_again() {
    let busy = vec![say("421 busy\n")];
    let back = [pipelined(taken()), super::next_taken()].concat();
    let first = Peer::with([vec![busy; FAILURES_MAX as usize], vec![back]].concat()).await;
    let mails = vec![super::next_taken(); FAILURES_MAX as usize - 1];
    let second = Peer::with(vec![[pipelined(taken()), mails.concat()].concat()]).await;
    let at_first = first.address.to_string();
    let mut settings = of(vec![hasty(first.address), hasty(second.address)]);
    settings.rest = Duration::ZERO;
    let mut session = session(settings);
    let mut by = Vec::new();
    for _ in 0..FAILURES_MAX + 2 {
        let outcome = session.send(&mail()).await;
        assert_eq!(short(&outcome), "accepted");
        by.push(outcome.evidence().relay.clone() == Some(at_first.clone()));
    }
    assert_eq!(by, [false, false, false, false, false, true, true]);
    drop(session);
    first.finish().await;
    second.finish().await;
}

#[tokio::test]
async fn a_relay_that_stands_in_keeps_its_own_pace() {
    let second = Peer::with(vec![pipelined(taken())]).await;
    let mut slow = hasty(second.address);
    slow.per_minute = 1;
    let mut session = session(of(vec![closed_port().await, slow]));
    assert_eq!(short(&session.send(&mail()).await), "accepted");
    let outcome = session.send(&mail()).await;
    assert_eq!(short(&outcome), "deferred relay at connect");
    drop(session);
    assert_eq!(second.finish().await.bodies.len(), 1);
}

#[tokio::test]
async fn a_domain_gets_no_more_than_its_share_and_others_do_not_wait() {
    let mut settings = of(vec![settings(([127, 0, 0, 1], 1).into())]);
    settings.domains = vec![("busy.example".into(), 2)];
    let channel = SmtpChannel::trusting(settings, distrust());
    let to = |to| mail_to(to, b"x\r\n");
    let mut sessions = [channel.open(), channel.open()];
    let mut ask = |n: usize, address| {
        let wait = sessions[n].admit(&to(address));
        wait.map(|wait| (wait.as_secs_f64() / 10.0).round() as u64 * 10)
    };
    assert_eq!(ask(0, "anna@busy.example"), None);
    assert_eq!(ask(1, "kim@busy.example"), Some(30));
    assert_eq!(ask(0, "jo@busy.example"), Some(60));
    assert_eq!(ask(0, "anna@mail.example"), None);
    assert_eq!(ask(1, "kim@mail.example"), None);
}

#[tokio::test]
async fn a_check_looks_at_every_relay() {
    let well = || [greeting(""), vec![hear("QUIT"), say("221 bye\n")]].concat();
    let first = Peer::with(vec![well(), well()]).await;
    let second = Peer::with(vec![well(), vec![say("421 busy\n")]]).await;
    let relays = vec![settings(first.address), settings(second.address)];
    let channel = SmtpChannel::trusting(of(relays), distrust());
    let found = channel.check().await.unwrap();
    let lines: Vec<&str> = found.lines().collect();
    assert!(
        lines[0].starts_with(&format!("{} answers", first.address)),
        "{found}"
    );
    assert!(
        lines[1].starts_with(&format!("{} answers", second.address)),
        "{found}"
    );
    let problem = channel.check().await.unwrap_err().to_string();
    assert!(
        problem.starts_with(&second.address.to_string()),
        "{problem}"
    );
    assert!(problem.contains("busy"), "{problem}");
    first.finish().await;
    second.finish().await;
}

#[tokio::test]
async fn sessions_of_one_relay_are_not_slowed_down_twice() {
    let mut only = settings(([127, 0, 0, 1], 1).into());
    only.per_minute = 1;
    let mut session = channel(only).open();
    // The delivering loop keeps the pace of an only relay.
    for _ in 0..3 {
        assert_eq!(session.admit(&mail()), None);
    }
}
