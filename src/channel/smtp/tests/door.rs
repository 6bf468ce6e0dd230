//! Getting in: addresses, TLS, logins, and what a check says.

use super::{
    SHORT, channel, greeting, group, hasty, mail, next_taken, session, settings, short, taken,
};
use crate::channel::settings::{EmailSettings, Login, Security};
use crate::channel::smtp::SmtpChannel;
use crate::channel::smtp::peer::{Act, Peer, distrust, hear, say, trust};
use crate::channel::{Channel, ChannelProblem};
use secrecy::SecretString;

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
            let script = [before.clone(), group(), taken(), next_taken()].concat();
            let peer = Peer::with(vec![script]).await;
            let mut settings = settings(peer.address);
            settings.security = security;
            settings.host = host.into();
            let mut session =
                SmtpChannel::trusting(EmailSettings::through(settings), trust()).open();
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
        let mut session = SmtpChannel::trusting(EmailSettings::through(settings), tls).open();
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
    let channel = channel(settings(peer.address));
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
