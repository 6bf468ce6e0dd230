//! `check` and the sender's domain: what the DNS says about it, and what to
//! add. The DNS is a server of the test's own.

use serde_json::Value;

use crate::home::Home;
use crate::support::dns::Dns;
use crate::support::servers::SmtpSink;
use crate::support::servers::free_port;

/// `STATUS ITEM: WORDS -> CURE` of what was said about the domain.
fn said(home: &Home) -> Vec<String> {
    let ended = home.command(&["--json", "check"]).output();
    let printed = ended.expect("start backorderd").stdout;
    let answer: Value = serde_json::from_slice(&printed).expect("JSON");
    let items = answer["items"].as_array().expect("items").iter();
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    items
        .filter(|item| ["SPF", "DMARC", "DKIM", "domain"].contains(&text(item, "item").as_str()))
        .map(|item| {
            let words = [text(item, "status"), text(item, "item"), text(item, "says")];
            let cure = text(item, "cure");
            let [status, name, says] = words;
            format!("{status} {name}: {says} -> {cure}")
        })
        .collect()
}

#[test]
fn a_domain_that_publishes_everything_is_in_order() {
    let long = format!("v=DKIM1; k=rsa; p={}", "A".repeat(392));
    let dns = Dns::serve(&[
        ("fernkettle.example", "some-verification=1"),
        (
            "fernkettle.example",
            "v=spf1 include:spf.relay.example -all",
        ),
        ("_dmarc.fernkettle.example", "v=DMARC1; p=quarantine"),
        ("s1._domainkey.fernkettle.example", &long),
    ]);
    let sink = SmtpSink::start(&[]);
    let mut home = Home::live(sink.port(), "");
    home.set("EMAIL__DNS", &dns.at().to_string());
    home.set("EMAIL__DKIM_SELECTOR", "s1");
    assert_eq!(
        said(&home),
        [
            "ok SPF: fernkettle.example: v=spf1 include:spf.relay.example -all -> ",
            "ok DMARC: _dmarc.fernkettle.example: v=DMARC1; p=quarantine -> ",
            "ok DKIM: there is a key at s1._domainkey.fernkettle.example -> ",
        ]
    );
}

#[test]
fn what_is_missing_is_named_with_the_record_to_add() {
    // The policy of the domain above counts for the one below (RFC 7489, 6.6.3).
    let dns = Dns::serve(&[("_dmarc.fernkettle.example", "v=DMARC1; p=none")]);
    let sink = SmtpSink::start(&[]);
    let mut home = Home::live(sink.port(), "");
    home.set("EMAIL__DNS", &dns.at().to_string());
    home.set("EMAIL__FROM", "orders@news.fernkettle.example");
    home.set("EMAIL__BOUNCES__ADDRESS", "bounces@provider.example");
    home.set("EMAIL__DKIM_SELECTOR", "s1");
    assert_eq!(
        said(&home),
        [
            "warn SPF: provider.example does not say who may send for it -> add what your mail \
             provider names, or if the relay sends by itself: provider.example. TXT \
             \"v=spf1 ip4:ADDRESS-OF-THIS-MACHINE ~all\"",
            "ok DMARC: _dmarc.fernkettle.example: v=DMARC1; p=none -> ",
            "warn domain: mail is from news.fernkettle.example, bounces go to provider.example: \
             they do not belong together, so SPF does not speak for the sender and only DKIM can \
             -> set email.bounces.address to an address at news.fernkettle.example",
            "warn DKIM: there is no key at s1._domainkey.news.fernkettle.example -> add the TXT \
             record your mail provider shows, or mend email.dkim_selector",
        ]
    );
}

#[test]
fn without_a_dns_server_the_check_goes_on_and_does_not_fail() {
    let sink = SmtpSink::start(&[]);
    let mut home = Home::live(sink.port(), "");
    home.set("EMAIL__DNS", &format!("127.0.0.1:{}", free_port()));
    let said = said(&home);
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("warn domain: fernkettle.example: no DNS server answers"));
}

#[test]
fn a_freemail_sender_is_refused_by_the_check_and_at_the_start() {
    let mut home = Home::live(free_port(), "");
    home.set("EMAIL__FROM", "fernkettle@yahoo.co.uk");
    for command in ["check", "serve"] {
        let (printed, succeeded) = home.run(&[command]);
        assert!(!succeeded, "{printed}");
        let why = "mail from yahoo.co.uk sent by another server is refused";
        assert!(printed.contains(why), "{printed}");
    }
}
