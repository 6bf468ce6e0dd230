//! TLS between the program and a server that is real, with a certificate of an
//! authority that the test makes: what is let through, and what is said of what
//! is not.

use tempfile::TempDir;

use crate::home::Home;
use crate::home::in_days;
use crate::home::teapots;
use crate::support::postgres::Certificate;
use crate::support::postgres::OwnServer;

/// A home on this database; the relay is not needed.
fn home(url: &str) -> Home {
    let mut home = Home::unlaunched(1, "");
    home.set("DATABASE__URL", url);
    home
}

/// What is said of an address that is not let through.
fn refusal(url: &str) -> String {
    let home = home(url);
    let (said, ok) = home.run(&["db", "status"]);
    assert!(!ok, "{url}: {said}");
    assert!(said.contains("cannot open the database"), "{said}");
    // A daemon does not wait for what waiting does not mend.
    let mut daemon = home.serve();
    assert_ne!(daemon.wait().code(), Some(0));
    let words = daemon.words();
    assert!(words.contains("cannot open the database"), "{words}");
    // Lines are wrapped, and behind a bar.
    said.split(['\n', '│', '|'])
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_server_that_is_who_it_says_is_spoken_to_and_no_other() {
    let by_ip = Certificate::of("IP:127.0.0.1");
    let (server, _) = OwnServer::start();
    let port = server.listen("hostssl", Some(&by_ip));
    let root = by_ip.authority.display();
    let at = format!("postgres://backorderd@127.0.0.1:{port}/postgres");

    let checked = format!("{at}?sslmode=verify-full&sslrootcert={root}");
    let right = home(&checked);
    right.import(&[teapots("3000", in_days(20))]);
    right.ok(&["db", "status"]);
    let found = right.ok(&["orders", "list"]);
    assert!(found.contains("3000"), "{found}");

    let other = Certificate::of("IP:127.0.0.1");
    let wrong_ca = other.authority.display();
    let empty = TempDir::new().expect("a temporary folder");
    let nowhere = empty.path().join("ca.pem");
    for (options, says) in [
        (
            format!("sslmode=verify-full&sslrootcert={wrong_ca}"),
            "the server's certificate is not one of an authority known here",
        ),
        (
            "sslmode=verify-full".to_owned(),
            "name its file by sslrootcert",
        ),
        (
            format!("sslmode=verify-full&sslrootcert={}", nowhere.display()),
            "named by sslrootcert, cannot be read",
        ),
        (
            "sslmode=disable".to_owned(),
            "the server lets nobody in without TLS: write ?sslmode=verify-full behind the address",
        ),
    ] {
        let said = refusal(&format!("{at}?{options}"));
        assert!(said.contains(says), "{options}: {said}");
    }
}

#[test]
fn a_certificate_for_another_name_is_refused_unless_only_the_signer_counts() {
    let elsewhere = Certificate::of("DNS:db.example");
    let (server, _) = OwnServer::start();
    let port = server.listen("hostssl", Some(&elsewhere));
    let root = elsewhere.authority.display();
    let at = format!("postgres://backorderd@127.0.0.1:{port}/postgres");
    let said = refusal(&format!("{at}?sslmode=verify-full&sslrootcert={root}"));
    let says = "the server's certificate is for another name than 127.0.0.1";
    assert!(said.contains(says), "{said}");
    home(&format!("{at}?sslmode=verify-ca&sslrootcert={root}")).ok(&["db", "status"]);
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_asked_for() {
    let (server, _) = OwnServer::start();
    let port = server.listen("host", None);
    let at = format!("postgres://backorderd@127.0.0.1:{port}/postgres");
    for mode in ["require", "verify-ca", "verify-full"] {
        let said = refusal(&format!("{at}?sslmode={mode}"));
        let says = "the server offers no TLS, and sslmode asks for it";
        assert!(said.contains(says), "{mode}: {said}");
    }
    home(&at).ok(&["db", "status"]);
}
