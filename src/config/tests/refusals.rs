//! What is refused, with its exact place and cure.

use super::{NOW, RELAY, Setting};
use crate::config::environment::Environment;
use crate::config::load::LoadArgs;
use crate::config::meant::{Config, SecretUse};
use std::path::Path;

/// One problem at exactly this place, its cure containing `cure`.
#[track_caller]
fn check(text: &str, place_and_what: &str, cure: &str) {
    let problems = Setting::with(text).problems();
    assert_eq!(problems.len(), 1, "{text}\n{problems:#?}");
    let (found, found_cure) = problems[0].split_once(" | ").unwrap();
    assert_eq!(found, place_and_what, "{text}");
    assert!(found_cure.contains(cure), "{text}\n{found_cure}");
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    check(
        "[delay]\ntreshold_days = 3\n",
        "2:1 there is no setting delay.treshold_days",
        "did you mean threshold_days?",
    );
    check(
        "# x\nsettle = \"1h\"\n",
        "2:1 there is no setting settle",
        " in [",
    );
    check(
        "[dealy]\nsettle = \"1h\"\n",
        "1:2 there is no section dealy",
        "did you mean [delay]?",
    );
    check(
        "email = \"x\"\n",
        "1:1 email is a section, not a setting",
        "[email]",
    );
    check(
        "[email.limits]\ndott = \"1m\"\n",
        "2:1 there is no setting email.limits.dott",
        "did you mean dot?",
    );
}

#[test]
fn wrong_values_are_refused_with_place_and_cure() {
    for (text, expected, cure) in [
        (
            "[delay]\nsettle = 30\n",
            "2:10 delay.settle: `30` has no unit",
            "\"30m\" for minutes",
        ),
        (
            "[email.limits]\ndot = \"13m\"\n",
            "2:7 email.limits.dot: a message in doubt may be sent once more after 15m",
            "write \"12m\" or less",
        ),
        (
            "[delay]\nsettle = \"30\"\n",
            "2:10 delay.settle: `30` has no unit",
            "\"30m\" for minutes",
        ),
        (
            "[delay]\n  settle = \"30min\"\n",
            "2:12 delay.settle: `min` is not a unit of time",
            "\"30m\"",
        ),
        (
            "[delay]\nsettle = \"9d\"\n",
            "2:10 delay.settle: 9d is out of range",
            "\"7d\"",
        ),
        (
            "[delay]\nthreshold_days = 0\n",
            "2:18 delay.threshold_days: 0 is out of range",
            "from 1 to 60",
        ),
        (
            "[delay]\nthreshold_days = \"2\"\n",
            "2:18 delay.threshold_days: a whole number is expected, this is a text",
            "without quotes: 2",
        ),
        (
            "[brake]\nper_hour = 0\n",
            "2:12 brake.per_hour: 0 is out of range",
            "from 1",
        ),
        (
            "[delay]\nhours = []\n",
            "2:9 delay.hours never open, so nothing could ever go out",
            "at least one",
        ),
        (
            "[delay]\nhours = [\"Mon 09:00-18:00\", \"Tue 18:00-09:00\"]\n",
            "2:29 delay.hours: `Tue 18:00-09:00` never open",
            "earlier time first",
        ),
        (
            "[delay]\nhours = \"Mon-Fri 09:00-18:00\"\n",
            "2:9 delay.hours: a list is expected, this is a text",
            "[\"Mon-Fri 09:00-18:00\"]",
        ),
        (
            "[updates]\ndays = [14, 7]\n",
            "2:8 updates.days do not rise from one to the next",
            "[7, 14]",
        ),
        (
            "[updates]\nat = 10:00:00\n",
            "2:6 updates.at: a text is expected, this is a date or time without quotes",
            "in quotes",
        ),
        (
            "[updates]\nthen_every = \"36h\"\n",
            "2:14 updates.then_every: `36h` is not a number of whole days",
            "never",
        ),
        (
            "[retry]\ndelays = [\"10m\", \"2m\"]\n",
            "2:10 retry.delays get shorter",
            "rising",
        ),
        (
            "[calendar]\nclosed = [2026-12-25, 2026-02-30]\n",
            "2:23 invalid",
            "",
        ),
        ("[jobs]\nreview = \"*/5 * * *\"\n", "", "every five minutes"),
        (
            "[shop]\nzone = \"CET\"\n",
            "2:8 shop.zone: not a time zone: write an IANA name like Europe/Berlin, or UTC",
            "Europe/London",
        ),
        (
            "[sms]\nkinds = [\"delay\", \"reminder\"]\n",
            "2:19 sms.kinds: `reminder` is not a kind of notice",
            "date_withdrawn",
        ),
        (
            "[database]\nurl = \"mysql://db/x\"\n",
            "2:7 database.url: there is no support for mysql databases, only for SQLite and PostgreSQL",
            "sqlite:/var",
        ),
        (
            "[database]\nurl = \"postgres://shop@db\"\n",
            "2:7 database.url: the name of a database is missing",
            "postgres://user@host/database",
        ),
        (
            "[database]\nurl = \"postgres://shop:hunter2@db/x\"\n",
            "2:7 database.url: a password must not stand in the address",
            "database-password",
        ),
        (
            "mode = \"life\"\n",
            "1:8 `life` is not known here",
            "did you mean \"live\"?",
        ),
    ] {
        let problems = Setting::with(text).problems();
        assert_eq!(problems.len(), 1, "{text}\n{problems:#?}");
        let found = problems[0].replace(" mode: ", " ");
        let (found, found_cure) = found.split_once(" | ").unwrap();
        assert!(
            found.starts_with(expected) || expected.contains("invalid"),
            "{text}\n{found}"
        );
        assert!(found_cure.contains(cure), "{text}\n{found_cure}");
    }
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    let setting =
        Setting::with("mode = \"live\"\n[delay]\nsettle = 30\nfoo = 1\n[brake]\nper_hour = 0\n")
            .var("BACKORDERD__SOONER__TRESHOLD_DAYS", "3")
            .var("BACKORDERD__PACE__FIRST", "many");
    let problems = setting.problems();
    let places: Vec<&str> = problems
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "1:8",
            "1:8",
            "3:10",
            "4:1",
            "6:12",
            "BACKORDERD__PACE__FIRST",
            "BACKORDERD__SOONER__TRESHOLD_DAYS"
        ],
        "{problems:#?}"
    );
    assert!(problems[6].ends_with("did you mean BACKORDERD__SOONER__THRESHOLD_DAYS?"));
}

#[test]
fn what_would_reach_the_wrong_hands_is_refused() {
    let relay = |more: &str| format!("{RELAY}{more}");
    check(
        &relay("security = \"plain\"\n"),
        "9:12 security = \"plain\" would send mail, and the login, in clear text over the network",
        "127.0.0.1",
    );
    check(
        &RELAY.replace("orders@fernkettle.example", "Shop <shop@gmail.com>"),
        "8:8 mail from gmail.com sent by another server is refused or filed as spam",
        "own domain",
    );
    check(
        &relay("[email.bounces]\naddress = \"bounces@gmail.com\"\n"),
        "10:11 mail from gmail.com sent by another server is refused or filed as spam",
        "own domain",
    );
    check(
        &relay("[email.bounces]\naddress = \"a+b@fernkettle.example\"\n"),
        "10:11 no token can be added to this address: the part before the @ has a + in it, which is where the token begins",
        "plus = false",
    );
    check(
        &relay("[email.domains]\n\"gmail\" = 60\n"),
        "10:1 email.domains: `gmail` is not a domain",
        "\"gmail.com\" = 60",
    );
    check(
        &relay("[email.domains]\n\"gmail.com\" = 0\n"),
        "10:15 email.domains: 0 is out of range",
        "a number from 1",
    );
    check(
        &relay("dns = \"dns.example\"\n"),
        "9:7 email.dns: `dns.example` is not the address of a DNS server",
        "127.0.0.1:5353",
    );
    check(
        &relay("dkim_selector = \"s1._domainkey.x\"\n"),
        "9:17 email.dkim_selector: `s1._domainkey.x` is not a DKIM selector",
        "before ._domainkey",
    );
    check(
        &relay("[email.backup.second]\nport = 587\n"),
        "10:1 a relay without a host cannot take any mail",
        "smtp2.shop.example",
    );
    check(
        &relay("[email.backup.second]\nhost = \"smtp2.example\"\nsecurity = \"plain\"\n"),
        "11:12 security = \"plain\" would send mail, and the login, in clear text over the network",
        "127.0.0.1",
    );
    check(
        &relay("[email.backup.second]\nhost = \"smtp2.example\"\nprot = 465\n"),
        "11:1 there is no setting email.backup.second.prot",
        "did you mean port?",
    );
    check(
        "[email.backup.second]\nhost = \"smtp2.example\"\n",
        "2:1 smtp2.example can stand in for a relay, but email.host names none",
        "[email]",
    );
    check(
        &relay("user = \"x\"\n"),
        "9:8 this needs email.password, which is not set",
        "add password = {",
    );
    check(
        &format!("mode = \"review\"\n{RELAY}[sms]\ngateway = \"folder\"\n"),
        "11:11 texts to customers cannot go into a folder (mode is review)",
        "sandbox",
    );
    check(
        &relay(
            "[demo]\nnow = \"2026-03-09T11:40:00Z\"\n[sandbox]\nemail = \"me@fernkettle.example\"\n",
        ),
        "10:7 a clock that stands still is for the demo alone, and sandbox.email lets messages leave this machine",
        "take demo.now out",
    );
    check(
        "[sandbox]\nphone = \"+442079460018\"\n",
        "2:9 sandbox texts to a phone need a gateway, and sms.gateway names none",
        "set up [sms]",
    );
    check(
        "[sms.twilio]\nbase_url = \"http://api.example/\"\n",
        "2:12 sms.twilio.base_url: http would send texts and the login in clear text over the network",
        "https://",
    );
    check(
        "mode = \"live\"\n[shop]\nname = \"X\"\n",
        "1:8 this needs email.host, which is not set",
        "add host = \"smtp.shop.example\" to [email]",
    );
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let environment = Environment::default();
    let errors = Config::load(&LoadArgs {
        file: Some(Path::new("/nowhere/backorderd.toml")),
        home: None,
        environment: &environment,
        secrets: SecretUse::Load,
        now: NOW,
    })
    .unwrap_err();
    assert!(
        errors
            .plain()
            .contains("there is no file /nowhere/backorderd.toml")
    );
}
