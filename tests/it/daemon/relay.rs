//! What the relay answers, and when it is away: a real Postfix, a port where
//! nobody listens, a login that is wrong.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use backorderd::clock::Clock;
use backorderd::clock::SystemClock;
use serde_json::json;

use super::texts;
use crate::home::Home;
use crate::home::but;
use crate::home::in_days;
use crate::home::orders_of_teapots;
use crate::home::teapots;
use crate::support::http_gateway::Answer;
use crate::support::http_gateway::HttpGateway;
use crate::support::listener::Listener;
use crate::support::mail::Mail;
use crate::support::patience::until;
use crate::support::postfix::Postfix;
use crate::support::servers::SmtpSink;
use crate::support::servers::free_port;

#[test]
fn postfix_accepts_one_defers_one_and_refuses_one_who_is_then_texted() {
    let postfix = Postfix::start();
    let gateway = HttpGateway::start(|_| Answer::json(201, &json!({"id": "g-1"})));
    let home = Home::live(postfix.port(), &texts::settings(&gateway));
    let rows = |eta| {
        let refused = json!({
            "email": "gone@refuse.example", "phone": "+447400123456", "sms_consent": true,
        });
        [
            teapots("1042", eta),
            but(teapots("1043", eta), json!({"email": "busy@later.example"})),
            but(teapots("1044", eta), refused),
        ]
    };
    home.import(&rows(in_days(20)));
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    let before = SystemClock.now();
    home.import(&rows(in_days(31)));

    let mails = postfix.wait_for(1);
    let mail = Mail::parse(&mails[0]);
    assert_eq!(
        mail.header("Delivered-To"),
        Some("customer-1042@accept.example")
    );
    assert_eq!(mail.defects, [""; 0]);
    assert!(mail.text.expect("a text").contains("1042"));

    until("the text instead of the refused mail", || {
        (gateway.requests().len() == 1).then_some(())
    });
    let body: serde_json::Value = serde_json::from_str(&gateway.requests()[0].body).expect("JSON");
    assert_eq!(body["to"], "+447400123456");
    assert!(body["text"].as_str().expect("a text").contains("1044"));

    let state = || -> Vec<(String, String, String, i64, i64)> {
        home.rows(
            "SELECT p.recipient, m.channel, m.state, m.counted, m.due_at FROM messages m \
             JOIN message_private p ON p.message_no = m.no ORDER BY p.recipient",
        )
    };
    let ended = until("every outcome to be recorded", || {
        let open = state()
            .iter()
            .any(|m| m.2 == "leased" || m.2 == "submitting");
        let deferred = state().iter().any(|m| m.2 == "queued" && m.3 == 1);
        (!open && deferred && state().len() == 4).then(state)
    });
    let words: Vec<String> = ended
        .iter()
        .map(|m| format!("{} {} {}", m.0, m.1, m.2))
        .collect();
    assert_eq!(
        words,
        [
            "+447400123456 sms sent",
            "busy@later.example email queued",
            "customer-1042@accept.example email sent",
            "gone@refuse.example email failed",
        ]
    );
    let secs = (ended[1].4 - before.0) / 1000;
    assert!((100..180).contains(&secs), "again in {secs} s");
    let why: Vec<(i64, String)> = home.rows(
        "SELECT a.code, a.enhanced FROM attempts a JOIN messages m ON m.no = a.message_no \
         WHERE m.channel = 'email' ORDER BY a.code",
    );
    let why: Vec<_> = why.iter().map(|(c, e)| (*c, e.as_str())).collect();
    assert_eq!(why, [(250, "2.0.0"), (450, "4.3.2"), (550, "5.1.1")]);
    assert_eq!(home.number("SELECT count(*) FROM suppressions"), 1);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn while_the_relay_is_away_nothing_is_lost_and_then_everything_goes_out() {
    let port = free_port();
    let home = Home::live(port, "[retry]\nrelay_delay = \"1s\"\n");
    let rows = |eta| orders_of_teapots(12, eta);
    home.import(&rows(in_days(20)));
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    home.import(&rows(in_days(31)));
    daemon.wait_for_words("the relay is away");
    until("all messages to wait", || {
        (home.states() == [("queued".to_owned(), 12)].into()).then_some(())
    });
    // Nobody's attempt was used up by it.
    assert_eq!(home.number("SELECT max(counted) FROM messages"), 0);
    let sink = SmtpSink::start_on(port);
    home.wait_for_final(12);
    assert_eq!(sink.wait_for(12).len(), 12);
    assert_eq!(home.states(), [("sent".to_owned(), 12)].into());
    assert_eq!(daemon.stop().code(), Some(0));
}

/// Knows SMTP up to the login, which it refuses. Counts logins and mails.
fn refuses_logins(stream: TcpStream, logins: &AtomicUsize, mails: &AtomicUsize) {
    let mut out = stream.try_clone().expect("the same line");
    let mut say = |words: &str| drop(write!(out, "{words}\r\n"));
    say("220 relay.example ESMTP");
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        match line.split(' ').next().unwrap_or_default() {
            "EHLO" => say("250-relay.example\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN"),
            "AUTH" => {
                logins.fetch_add(1, Ordering::SeqCst);
                say("535 5.7.8 authentication failed");
            }
            "QUIT" => return say("221 2.0.0 Bye"),
            "MAIL" => {
                mails.fetch_add(1, Ordering::SeqCst);
                say("530 5.7.0 authentication required");
            }
            _ => say("503 5.5.1 not now"),
        }
    }
}

#[test]
fn a_wrong_password_parks_the_relay_and_burns_no_message() {
    let (logins, mails) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let relay = Listener::serve({
        let (logins, mails) = (logins.clone(), mails.clone());
        move |stream, _| refuses_logins(stream, &logins, &mails)
    });
    let mut home = Home::live(relay.port(), "");
    let rows = |eta| orders_of_teapots(40, eta);
    home.import(&rows(in_days(20)));
    let secret = home.path().join("smtp.password");
    fs::write(&secret, "correct horse\n").expect("write the password");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("a private file");
    home.set("EMAIL__USER", "backorderd");
    home.set(
        "EMAIL__PASSWORD__FILE",
        secret.to_str().expect("a path in UTF-8"),
    );
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    let before = SystemClock.now();
    home.import(&rows(in_days(31)));
    daemon.wait_for_words("has to be set up differently");
    until("everything to be given back", || {
        (home.states() == [("queued".to_owned(), 40)].into()).then_some(())
    });
    let tried = logins.load(Ordering::SeqCst);
    assert!(
        (1..=8).contains(&tried),
        "{tried} logins with a wrong password"
    );
    assert_eq!(mails.load(Ordering::SeqCst), 0);
    assert_eq!(home.number("SELECT max(counted) FROM messages"), 0);
    let again = home.number("SELECT max(due_at) FROM messages") - before.0;
    assert!(again >= 15 * 60 * 1000, "tried again after {again} ms");
    assert!(!daemon.words().contains("correct horse"));
    assert_eq!(daemon.stop().code(), Some(0));
}
