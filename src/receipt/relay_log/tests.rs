//! Logs as relays write them, and what they come to.

use super::{Fate, RelayLog, event_key};
use crate::domain::outcome::Refusal;

const ID: &str = "<token.1@fernkettle.example>";

fn fate_in(log: &str) -> Option<Fate> {
    read(log).verdict(ID).map(|verdict| verdict.fate)
}

fn read(log: &str) -> RelayLog {
    let mut reader = RelayLog::watching([ID]);
    for (n, line) in log.lines().enumerate() {
        reader.line(line.trim_start().as_bytes(), || format!("line {}", n + 1));
    }
    reader
}

#[test]
fn each_log_has_its_verdict() {
    let cases = [
        (
            "nothing of ours",
            "Mar  2 09:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<other@x>\n\
          Mar  2 09:00:01 mx postfix/smtp[9]: 4AAA11: to=<a@b>, relay=b[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)",
            None,
        ),
        (
            "announced and then lost",
            "Mar  2 09:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<token.1@fernkettle.example>\n\
          Mar  2 09:00:01 mx postfix/smtpd[8]: lost connection after DATA from shop[192.0.2.9]",
            Some(Fate::Announced),
        ),
        (
            "taken and not tried yet",
            "Mar  2 09:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<token.1@fernkettle.example>\n\
          Mar  2 09:00:01 mx postfix/qmgr[7]: 4AAA11: from=<b+1@fernkettle.example>, size=4321, nrcpt=1 (queue active)",
            Some(Fate::Taken),
        ),
        (
            "sent, with a time by RFC 5424 and an instance of its own",
            "2026-03-02T09:00:00.123456+00:00 mx postfix-out/cleanup[9]: 4ZpQ1r2Xyz: message-id=<token.1@fernkettle.example>\n\
          2026-03-02T09:00:01.123456+00:00 mx postfix-out/relay/smtp[9]: 4ZpQ1r2Xyz: to=<a@b.example>, relay=b.example[192.0.2.1]:25, delay=1.1, delays=0.1/0/0.5/0.5, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 99F)",
            Some(Fate::Delivered),
        ),
        (
            "deferred",
            "Mar  2 09:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<token.1@fernkettle.example>\n\
          Mar  2 09:00:01 mx postfix/smtp[9]: 4AAA11: to=<a@b>, relay=none, delay=30, delays=0/0/30/0, dsn=4.4.1, status=deferred (connect to b[192.0.2.1]:25: Connection timed out)",
            Some(Fate::Delayed),
        ),
        (
            "deferred, then sent",
            "Mar  2 09:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<token.1@fernkettle.example>\n\
          Mar  2 09:00:01 mx postfix/smtp[9]: 4AAA11: to=<a@b>, relay=none, delay=30, dsn=4.4.1, status=deferred (connect to b[192.0.2.1]:25: Connection timed out)\n\
          Mar  2 09:30:01 mx postfix/smtp[9]: 4AAA11: to=<a@b>, relay=b[192.0.2.1]:25, delay=1830, dsn=2.0.0, status=sent (250 ok)\n\
          Mar  2 09:30:01 mx postfix/qmgr[7]: 4AAA11: removed",
            Some(Fate::Delivered),
        ),
        (
            "no such mailbox",
            "Mar  2 09:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<token.1@fernkettle.example>\n\
          Mar  2 09:00:01 mx postfix/smtp[9]: 4AAA11: to=<a@b>, orig_to=<c@d>, relay=b[192.0.2.1]:25, delay=1, dsn=5.1.1, status=bounced (host b[192.0.2.1] said: 550 5.1.1 <a@b>: Recipient address rejected: User unknown in virtual mailbox table (in reply to RCPT TO command))",
            Some(Fate::Failed(Refusal::Hard)),
        ),
        (
            "deferred until it was too old",
            "Mar  2 09:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<token.1@fernkettle.example>\n\
          Mar  2 09:00:01 mx postfix/smtp[9]: 4AAA11: to=<a@b>, relay=none, delay=30, dsn=4.4.1, status=deferred (connect to b[192.0.2.1]:25: Connection timed out)\n\
          Mar  7 09:00:01 mx postfix/qmgr[7]: 4AAA11: from=<b+1@fernkettle.example>, status=expired, returned to sender",
            Some(Fate::Failed(Refusal::Soft)),
        ),
        (
            "through a filter and then bounced",
            "Mar  2 09:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<token.1@fernkettle.example>\n\
          Mar  2 09:00:01 mx postfix/cleanup[9]: 4BBB22: message-id=<token.1@fernkettle.example>\n\
          Mar  2 09:00:01 mx postfix/smtp[9]: 4AAA11: to=<a@b>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 4BBB22)\n\
          Mar  2 09:00:02 mx postfix/smtp[9]: 4BBB22: to=<a@b>, relay=b[192.0.2.1]:25, delay=1, dsn=5.2.2, status=bounced (host b[192.0.2.1] said: 552 5.2.2 mailbox full (in reply to end of DATA command))",
            Some(Fate::Failed(Refusal::Soft)),
        ),
        (
            "two copies, one of them lost",
            "Mar  2 09:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<token.1@fernkettle.example>\n\
          Mar  2 09:16:00 mx postfix/cleanup[9]: 4BBB22: message-id=<token.1@fernkettle.example>\n\
          Mar  2 09:16:02 mx postfix/lmtp[9]: 4BBB22: to=<a@b>, relay=/run/lmtp, delay=1, dsn=2.0.0, status=sent (250 2.0.0 ok)",
            Some(Fate::Delivered),
        ),
        (
            "a queue id that was used again",
            "Mar  2 09:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<token.1@fernkettle.example>\n\
          Mar  2 09:00:01 mx postfix/qmgr[7]: 4AAA11: from=<>, size=4321, nrcpt=1 (queue active)\n\
          Mar  2 12:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<other@x>\n\
          Mar  2 12:00:01 mx postfix/smtp[9]: 4AAA11: to=<z@y>, relay=y[192.0.2.1]:25, delay=1, dsn=5.1.1, status=bounced (550 no)",
            Some(Fate::Taken),
        ),
        (
            "an alias of two, one of them dead",
            "Mar  2 09:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<token.1@fernkettle.example>\n\
          Mar  2 09:00:01 mx postfix/local[9]: 4AAA11: to=<a@b>, orig_to=<c@b>, relay=local, delay=1, dsn=2.0.0, status=sent (delivered to mailbox)\n\
          Mar  2 09:00:01 mx postfix/local[9]: 4AAA11: to=<d@b>, orig_to=<c@b>, relay=local, delay=1, dsn=5.1.1, status=bounced (unknown user: \"d\")",
            Some(Fate::Taken),
        ),
        (
            "thrown away",
            "Mar  2 09:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<token.1@fernkettle.example>\n\
          Mar  2 09:00:01 mx postfix/discard[9]: 4AAA11: to=<a@b>, relay=none, delay=0, dsn=2.0.0, status=sent (b)",
            Some(Fate::Taken),
        ),
        (
            "exim: sent",
            "2026-03-02 09:00:01 1tABCD-000000001Xy-2abc <= b+1@fernkettle.example H=(shop) [192.0.2.9] P=esmtp S=4321 id=token.1@fernkettle.example T=\"Order 1042 id=other\" from <b+1@fernkettle.example> for a@b.example\n\
          2026-03-02 09:00:02 1tABCD-000000001Xy-2abc => a@b.example R=dnslookup T=remote_smtp H=b.example [192.0.2.1] C=\"250 2.0.0 Ok: queued as 550ABC\"\n\
          2026-03-02 09:00:02 1tABCD-000000001Xy-2abc Completed",
            Some(Fate::Delivered),
        ),
        (
            "exim of old, by syslog, with the process",
            "Mar  2 09:00:01 mx exim[77]: [77] 2026-03-02 09:00:01.123 +0000 1tABCD-0001Xy-2a <= <> H=localhost [127.0.0.1] P=esmtp S=4321 id=token.1@fernkettle.example",
            Some(Fate::Taken),
        ),
        (
            "exim: deferred",
            "2026-03-02 09:00:01 1tABCD-000000001Xy-2abc <= b@fernkettle.example H=(shop) [192.0.2.9] P=esmtp S=4321 id=token.1@fernkettle.example\n\
          2026-03-02 09:00:02 1tABCD-000000001Xy-2abc == a@b.example R=dnslookup T=remote_smtp defer (-44) H=b.example [192.0.2.1]: SMTP error from remote mail server after RCPT TO:<a@b.example>: 450 4.2.0 greylisted",
            Some(Fate::Delayed),
        ),
        (
            "exim: no such mailbox",
            "2026-03-02 09:00:01 1tABCD-000000001Xy-2abc <= b@fernkettle.example H=(shop) [192.0.2.9] P=esmtp S=4321 id=token.1@fernkettle.example\n\
          2026-03-02 09:00:02 1tABCD-000000001Xy-2abc ** a@b.example R=dnslookup T=remote_smtp H=b.example [192.0.2.1]: SMTP error from remote mail server after RCPT TO:<a@b.example>: 550 5.1.1 no such user",
            Some(Fate::Failed(Refusal::Hard)),
        ),
        (
            "exim: too old",
            "2026-03-02 09:00:01 1tABCD-000000001Xy-2abc <= b@fernkettle.example H=(shop) [192.0.2.9] P=esmtp S=4321 id=token.1@fernkettle.example\n\
          2026-03-07 09:00:02 1tABCD-000000001Xy-2abc ** a@b.example: retry timeout exceeded",
            Some(Fate::Failed(Refusal::Soft)),
        ),
    ];
    for (name, log, expected) in cases {
        assert_eq!(fate_in(log), expected, "{name}");
    }
}

#[test]
fn what_is_kept_names_nobody() {
    let log = "Mar  2 09:00:00 mx postfix/cleanup[9]: 4AAA11: message-id=<token.1@fernkettle.example>\n\
      Mar  2 09:00:01 mx postfix/smtp[9]: 4AAA11: to=<kim.secret@b>, relay=b[192.0.2.1]:25, delay=1, dsn=5.1.1, status=bounced (host b said: 550 5.1.1 <kim.secret@b>: Kim Secret is unknown)";
    let reader = read(log);
    let verdict = reader.verdict(ID).unwrap();
    let evidence = &verdict.evidence;
    assert_eq!(evidence.text, "the relay's log: given up");
    assert_eq!(evidence.enhanced.as_deref(), Some("5.1.1"));
    assert_eq!(evidence.code, Some(550));
    assert_eq!(evidence.reference.as_deref(), Some("4AAA11"));
    assert!(!format!("{reader:?}").to_lowercase().contains("secret"));
    let places: Vec<&str> = verdict.lines.iter().map(|l| l.place.as_str()).collect();
    assert_eq!(places, ["line 1", "line 2"]);
    let again = read(log).verdict(ID).unwrap();
    assert_eq!(event_key(ID, &verdict), event_key(ID, &again));
}

#[test]
fn any_bytes_are_answered() {
    let mut reader = RelayLog::watching([ID]);
    for line in [
        b"".as_slice(),
        b"\xff\xfe\0",
        b"]: : [",
        b"x postfix/cleanup[1]: 4AAA11: message-id=",
        b"1tABCD-000000001Xy-2abc <= ",
        b"1tABCD-000000001Xy-2abc **  ",
        b"x postfix/smtp[1]: 4AAA11: to=<>, status=",
    ] {
        reader.line(line, String::new);
    }
    assert!(reader.verdicts().is_empty());
}
