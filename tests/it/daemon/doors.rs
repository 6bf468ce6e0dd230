//! A relay as providers run them: behind TLS and a login. A real Postfix, the
//! real program, certificates of a test authority that only some of these
//! daemons trust.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::home::Home;
use crate::home::Running;
use crate::home::in_days;
use crate::home::teapots;
use crate::support::patience::until;
use crate::support::postfix::PASSWORD;
use crate::support::postfix::Postfix;
use crate::support::postfix::USER;
use crate::support::postfix::authority;
use crate::support::servers::free_port;

/// A shop with the login for a relay's door.
fn shop(security: &str, port: u16, password: &str) -> Home {
    let mut home = Home::live(port, "");
    home.set("EMAIL__HOST", "localhost");
    home.set("EMAIL__SECURITY", security);
    log_in(&mut home, "EMAIL", password);
    home
}

fn log_in(home: &mut Home, section: &str, password: &str) {
    let secret = home.path().join(format!("{section}.password"));
    fs::write(&secret, format!("{password}\n")).expect("write the password");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("a private file");
    home.set(&format!("{section}__USER"), USER);
    let secret = secret.to_str().expect("a path in UTF-8");
    home.set(&format!("{section}__PASSWORD__FILE"), secret);
}

/// Serves with the test authority as the only one that is trusted.
fn serve_trusting(home: &Home) -> Running {
    let mut command = home.command(&["serve"]);
    command.env("SSL_CERT_FILE", authority());
    home.start_as(command)
}

fn news(home: &Home) {
    home.import(&[teapots("1042", in_days(20))]);
    home.import(&[teapots("1042", in_days(31))]);
}

#[test]
fn mail_goes_through_tls_and_a_login_at_both_doors() {
    let postfix = Postfix::with_doors();
    let doors = postfix.doors();
    for (n, (security, port)) in [("starttls", doors.starttls), ("tls", doors.tls)]
        .into_iter()
        .enumerate()
    {
        let home = shop(security, port, PASSWORD);
        news(&home);
        let daemon = serve_trusting(&home);
        let mails = postfix.wait_for(n + 1);
        let received = mails.iter().map(|mail| String::from_utf8_lossy(mail));
        // What the relay itself writes down about the way it got each mail.
        for mail in received {
            assert!(mail.contains("using TLSv1.3"), "{mail}");
            assert!(
                mail.contains("(Authenticated sender: backorderd@"),
                "{mail}"
            );
            assert!(mail.contains("with ESMTPSA"), "{mail}");
        }
        home.wait_for_final(1);
        assert_eq!(home.states(), [("sent".to_owned(), 1)].into());
        assert_eq!(daemon.stop().code(), Some(0));
    }
}

#[test]
fn a_check_signs_in_and_says_how() {
    let postfix = Postfix::with_doors();
    let check = |password| {
        let home = shop("starttls", postfix.doors().starttls, password);
        let mut command = home.command(&["check"]);
        command.env("SSL_CERT_FILE", authority());
        let ended = command.output().expect("start backorderd");
        String::from_utf8_lossy(&ended.stdout).into_owned()
    };
    let well = check(PASSWORD);
    let says = "answers: TLS after STARTTLS, signed in, ";
    assert!(well.contains(says), "{well}");
    let wrong = check("battery staple");
    assert!(wrong.contains("has to be set up differently"), "{wrong}");
    assert!(wrong.contains("535"), "{wrong}");
    assert!(!wrong.contains("battery staple"), "{wrong}");
}

#[test]
fn a_relay_whose_certificate_is_not_trusted_hears_neither_login_nor_mail() {
    let postfix = Postfix::with_doors();
    let home = shop("starttls", postfix.doors().starttls, PASSWORD);
    news(&home);
    let daemon = home.serve();
    daemon.wait_for_words("certificate is not trusted");
    until("the mail to wait", || {
        (home.states() == [("queued".to_owned(), 1)].into()).then_some(())
    });
    assert_eq!(home.number("SELECT max(counted) FROM messages"), 0);
    assert_eq!(postfix.arrived().len(), 0);
    assert!(!postfix.log().contains("sasl_username"));
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_second_relay_stands_in_and_the_record_says_so() {
    let postfix = Postfix::with_doors();
    let doors = postfix.doors();
    // The first is away in one shop, and does not know the password in another.
    for (n, (port, password)) in [(free_port(), PASSWORD), (doors.starttls, "battery staple")]
        .into_iter()
        .enumerate()
    {
        let mut home = shop("starttls", port, password);
        home.set("EMAIL__BACKUP__SECOND__HOST", "localhost");
        home.set("EMAIL__BACKUP__SECOND__SECURITY", "tls");
        home.set("EMAIL__BACKUP__SECOND__PORT", &doors.tls.to_string());
        log_in(&mut home, "EMAIL__BACKUP__SECOND", PASSWORD);
        news(&home);
        let daemon = serve_trusting(&home);
        postfix.wait_for(n + 1);
        home.wait_for_final(1);
        let said: Vec<(String, String)> =
            home.rows("SELECT outcome, reply FROM attempts ORDER BY no");
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(said[0].0, "accepted");
        let by = format!("[localhost:{}]", doors.tls);
        assert!(said[0].1.starts_with(&by), "{said:?}");
        assert_eq!(daemon.stop().code(), Some(0));
    }
}
