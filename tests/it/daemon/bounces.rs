//! Mails that come back: a real Postfix and a real Exim return them, into a
//! Maildir and into the command.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;

use crate::home::Home;
use crate::home::but;
use crate::home::in_days;
use crate::home::teapots;
use crate::support::exim::Exim;
use crate::support::patience::until;
use crate::support::postfix::Postfix;

/// A shop whose relay is not known yet.
fn shop() -> Home {
    Home::live(1, "")
}

/// The command a mail system hands a bounce to.
fn command(home: &Home) -> String {
    let program = env!("CARGO_BIN_EXE_backorderd");
    format!("{program} --home {} receive-bounce", home.path().display())
}

/// A delay is told to an address that does not exist; the mail is accepted and
/// comes back, and everything that follows from it is there.
fn comes_back(
    mut home: Home,
    relay: u16,
    maildir: Option<&Path>,
    address: &str,
    log: impl Fn() -> String,
) {
    home.set("EMAIL__PORT", &relay.to_string());
    if let Some(maildir) = maildir {
        home.set("EMAIL__BOUNCES__MAILDIR", maildir.to_str().unwrap());
    }
    let row = |eta| but(teapots("1042", eta), json!({ "email": address }));
    home.import(&[row(in_days(20))]);
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    home.import(&[row(in_days(31))]);
    let bounced = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until("the mail to have come back", || {
            (home.states().get("bounced") == Some(&1)).then_some(())
        });
    }));
    assert!(bounced.is_ok(), "{}\n{}", daemon.words(), log());

    let told: Vec<(String,)> = home.rows("SELECT basis FROM told ORDER BY seq");
    let told: Vec<&str> = told.iter().map(|(basis,)| basis.as_str()).collect();
    assert_eq!(told, ["baseline", "accepted", "retracted"]);
    let suppressed: Vec<(String, String, String)> =
        home.rows("SELECT channel, reason, source FROM suppressions");
    let expected = (
        "email".to_owned(),
        "came back".to_owned(),
        "mail".to_owned(),
    );
    assert_eq!(suppressed, [expected]);
    let todo: Value = serde_json::from_str(&home.ok(&["todo", "--json"])).expect("JSON");
    assert_eq!(todo["came_back"][0]["order"], "1042");
    assert_eq!(todo["unclear_mails"], json!([]));
    let todo = home.ok(&["todo"]);
    assert!(todo.contains("CAME BACK, AND MUST BE TOLD"), "{todo}");
    assert!(todo.contains("no such mailbox"), "{todo}");
    let local = address.split('@').next().unwrap();
    let words = daemon.words();
    assert!(!words.contains(local), "{words}");
    if let Some(maildir) = maildir {
        until("the mail to be moved", || {
            let n = |folder| fs::read_dir(maildir.join(folder)).map_or(0, Iterator::count);
            (n("new") == 0 && n("cur") == 1).then_some(())
        });
    }
    assert!(daemon.stop().success());
}

#[test]
fn postfix_returns_a_mail_into_the_maildir() {
    let postfix = Postfix::start();
    let maildir = postfix.bounces();
    comes_back(
        shop(),
        postfix.port(),
        Some(&maildir),
        "gonekim@returned.example",
        || postfix.log(),
    );
}

#[test]
fn postfix_hands_a_returned_mail_over() {
    let home = shop();
    let postfix = Postfix::handing_over_to(&command(&home));
    comes_back(
        home,
        postfix.port(),
        None,
        "gonekim@returned.example",
        || postfix.log(),
    );
}

#[test]
fn exim_returns_a_mail_into_the_maildir() {
    let postfix = Postfix::start();
    let exim = Exim::start(postfix.port(), None);
    let maildir = exim.bounces();
    comes_back(
        shop(),
        exim.port(),
        Some(&maildir),
        "gonekim@refuse.example",
        || exim.log(),
    );
}

#[test]
fn exim_hands_a_returned_mail_over() {
    let home = shop();
    let postfix = Postfix::start();
    let exim = Exim::start(postfix.port(), Some(&command(&home)));
    comes_back(home, exim.port(), None, "gonekim@refuse.example", || {
        exim.log()
    });
}

/// Exit code of `receive-bounce` for a mail, and what it said.
fn receive(home: &Home, mail: &[u8]) -> (Option<i32>, String) {
    let mut command = home.command(&[
        "receive-bounce",
        "--recipient",
        "bounces@fernkettle.example",
    ]);
    let mut child = command
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start backorderd");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(mail).expect("it reads to the end");
    drop(input);
    let ended = child.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    (ended.status.code(), said)
}

#[test]
fn a_mail_system_is_never_told_to_send_a_bounce_back() {
    let home = shop();
    let huge = [b"Subject: x\n\n".as_slice(), &b"y".repeat(3_000_000)].concat();
    for mail in [
        b"".as_slice(),
        b"\0\xff no mail",
        b"Subject: hello\n\nkim here",
        &huge,
    ] {
        let (code, said) = receive(&home, mail);
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("kim"), "{said}");
    }
    let kept = home.number("SELECT count(*) FROM receipts WHERE kind = 'unclear'");
    assert_eq!(kept, 4);
    let todo = home.ok(&["todo"]);
    assert!(todo.contains("NOBODY COULD READ"), "{todo}");

    let database = home.path().join("backorderd.db");
    fs::rename(&database, home.path().join("away")).unwrap();
    let (code, said) = receive(&home, b"Subject: x\n\n");
    assert_eq!(code, Some(75), "{said}");
    assert!(!database.exists(), "no database is made by a bounce");
    fs::write(home.path().join("backorderd.toml"), "no configuration").unwrap();
    assert_eq!(receive(&home, b"Subject: x\n\n").0, Some(75));
}
