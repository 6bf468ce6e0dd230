//! Texts through a real Kannel: out, reported on, answered, refused, and with
//! Kannel killed in the middle.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::texts::texted;
use crate::home::Home;
use crate::home::but;
use crate::home::in_days;
use crate::home::teapots;
use crate::support::http_gateway::Answer;
use crate::support::http_gateway::HttpGateway;
use crate::support::kannel::Kannel;
use crate::support::kannel::PASSWORD;
use crate::support::kannel::Segment;
use crate::support::kannel::USER;
use crate::support::kannel::get;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;
use crate::support::patience::until;
use crate::support::servers::free_port;

const SECRET: &str = "Vq3hT8kLw1Zr5Yd7";

/// A shop that texts through Kannel, and everybody it talks to.
struct Shop {
    home: Home,
    kannel: Kannel,
    relay: LedgerSmtp,
    operator: HttpGateway,
    web: u16,
    _secrets: tempfile::TempDir,
}

/// Texts go by this way of Kannel's; `more` is TOML.
fn shop(smsc: &str, password: &str, more: &str) -> Shop {
    let operator = HttpGateway::start(|_| Answer::Reply {
        status: 202,
        headers: vec![],
        body: "0: Accepted for delivery".to_owned(),
    });
    let web = free_port();
    let inbound = format!(
        "http://127.0.0.1:{web}/sms/kannel/inbound?token={SECRET}\
         &from=%q&to=%Q&text=%b&ts=%T&id=%I&cs=%C"
    );
    let kannel = Kannel::start(&inbound, &operator.base_url());
    let secrets = tempfile::tempdir().expect("a temporary folder");
    let secret = |name: &str, words: &str| {
        let path = secrets.path().join(name);
        fs::write(&path, words).expect("write a secret");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a private file");
        path.display().to_string()
    };
    let relay = LedgerSmtp::start(Manners::default());
    let settings = format!(
        r#"
[sms]
gateway = "kannel"
hours = ["Mon-Sun 00:00-24:00"]
per_minute = 6000
connect = "2s"
total = "10s"
[sms.kannel]
url = "{url}"
user = "{USER}"
password = {{ file = "{password}" }}
from = "FernKettle"
smsc = "{smsc}"
receipt_secret = {{ file = "{receipts}" }}
[web]
listen = "127.0.0.1:{web}"
{more}
"#,
        url = kannel.url(),
        password = secret("password", password),
        receipts = secret("receipts", SECRET),
    );
    Shop {
        home: Home::live(relay.port(), &settings),
        kannel,
        relay,
        operator,
        web,
        _secrets: secrets,
    }
}

impl Shop {
    /// One message for each order, by text.
    fn have_news(&self, orders: &[&str]) {
        let rows = |days| -> Vec<_> {
            let row = |order: &&str| texted(teapots(order, in_days(days)));
            orders.iter().map(row).collect()
        };
        self.home.import(&rows(20));
        self.home.import(&rows(31));
    }

    fn wait_for_states(&self, expected: &[(&str, i64)]) {
        let expected = expected.iter().map(|(s, n)| ((*s).to_owned(), *n));
        let expected = expected.collect();
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until("the states to be as they should", || {
                (self.home.states() == expected).then_some(())
            });
        }));
        let states = self.home.states();
        let orders: Vec<(String, i64, Option<i64>, Option<String>)> = (self.home)
            .rows("SELECT number, review_version, next_review_at, last_verdict FROM orders");
        assert!(
            waited.is_ok(),
            "{states:?}\n{orders:?}\n{}",
            self.kannel.log()
        );
    }
}

fn utf16(segments: &[Segment]) -> String {
    let bytes: Vec<u8> = segments.iter().flat_map(|s| s.bytes.clone()).collect();
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16(&units).expect("UTF-16")
}

#[test]
fn a_text_goes_out_with_its_words_and_comes_to_be_delivered() {
    let shop = shop("fake", PASSWORD, "");
    let phone = shop.kannel.phone();
    let daemon = shop.home.serve();
    daemon.wait_for_words("ready");
    shop.have_news(&["1042"]);
    shop.wait_for_states(&[("delivered", 1)]);
    let heard = phone.wait_for(1);
    assert_eq!(heard.len(), 1);
    let one = &heard[0];
    assert_eq!(
        (one.from.as_str(), one.to.as_str(), one.kind.as_str()),
        ("FernKettle", "+447400123456", "text")
    );
    let words = String::from_utf8(one.bytes.clone()).expect("UTF-8");
    let day = in_days(31).format("%-d %b").to_string();
    for part in ["Fern & Kettle", "1042", day.as_str(), "STOP"] {
        assert!(words.contains(part), "no `{part}` in: {words}");
    }
    // Taken by the operator (8), on the phone (1); each told with our own id,
    // and whichever comes first.
    let kinds = || -> Vec<String> {
        let receipts: Vec<(String, String)> = shop.home.rows(
            "SELECT r.kind, r.source FROM receipts r JOIN messages m ON m.no = r.message_no \
             ORDER BY r.kind",
        );
        receipts.iter().map(|(k, s)| format!("{k} {s}")).collect()
    };
    until("both reports", || (kinds().len() == 2).then_some(()));
    assert_eq!(kinds(), ["delivered kannel", "underway kannel"]);
    assert_eq!(shop.relay.accepted().len(), 0);
    let said = daemon.words();
    for secret in [PASSWORD, SECRET, "7400123456"] {
        assert!(!said.contains(secret), "{said}");
    }
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn greek_and_a_teapot_arrive_in_two_parts_unharmed() {
    let mut shop = shop("fake", PASSWORD, "");
    let name = "Κήπος 🫖";
    shop.home.set("SHOP__NAME", name);
    let phone = shop.kannel.phone();
    let daemon = shop.home.serve();
    daemon.wait_for_words("ready");
    shop.have_news(&["1042"]);
    shop.wait_for_states(&[("delivered", 1)]);
    let heard = phone.wait_for(2);
    assert_eq!(heard.len(), 2, "{heard:?}");
    for (part, nth) in heard.iter().zip(1..) {
        // An 8-bit reference, of two, this one.
        assert_eq!((part.header.len(), &part.header[4..]), (6, &[2, nth][..]));
        assert!(part.bytes.len() <= 134, "67 units and no more");
    }
    let words = utf16(&heard);
    assert!(words.starts_with(name), "{words}");
    assert!(
        words.contains("1042") && words.ends_with("texts."),
        "{words}"
    );
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn what_the_operator_gives_up_goes_by_mail_and_kannel_reports_an_end_once() {
    let shop = shop("operator", PASSWORD, "");
    let daemon = shop.home.serve();
    daemon.wait_for_words("ready");
    shop.have_news(&["1042"]);
    let request = until("the operator to be asked", || {
        shop.operator.requests().first().cloned()
    });
    shop.wait_for_states(&[("sent", 1)]);
    // Not delivered (2).
    let answer = shop.kannel.reports(&request.path, 2);
    assert!(answer.contains("Sent."), "{answer}");
    let mails = until("a mail instead", || {
        let mails = shop.relay.accepted();
        (!mails.is_empty()).then_some(mails)
    });
    assert_eq!(mails[0].recipients, ["customer-1042@accept.example"]);
    shop.wait_for_states(&[("bounced", 1), ("sent", 1)]);
    let told: Vec<(String,)> = shop
        .home
        .rows("SELECT basis FROM told WHERE message_no IS NOT NULL ORDER BY seq");
    let told: Vec<&str> = told.iter().map(|(basis,)| basis.as_str()).collect();
    assert_eq!(told, ["accepted", "retracted", "accepted"]);
    // Kannel itself knows the text no more: it reports an end once.
    let again = shop.kannel.reports(&request.path, 1);
    assert!(again.contains("Unknown DLR"), "{again}");
    assert_eq!(shop.operator.requests().len(), 1);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn stop_over_the_air_ends_texts_and_is_answered_once() {
    let shop = shop("fake", PASSWORD, "");
    let mut phone = shop.kannel.phone();
    let daemon = shop.home.serve();
    daemon.wait_for_words("ready");
    shop.have_news(&["1042"]);
    shop.wait_for_states(&[("delivered", 1)]);
    // Numbers come without a plus over the air.
    phone.says("447400123456", "Stop");
    until("the number to be stopped", || {
        (shop
            .home
            .number("SELECT count(*) FROM suppressions WHERE channel = 'sms'")
            == 1)
            .then_some(())
    });
    let heard = phone.wait_for(2);
    let answer = String::from_utf8_lossy(&heard[1].bytes).into_owned();
    assert_eq!(heard[1].to, "+447400123456");
    assert!(answer.contains("no more texts"), "{answer}");
    // What comes now goes by mail.
    shop.home.import(&[texted(teapots("1042", in_days(45)))]);
    until("a mail instead of a text", || {
        (shop.relay.accepted().len() == 1).then_some(())
    });
    assert_eq!(phone.segments().len(), 2);
    // Who does not know the token stops nobody.
    let forged = "/sms/kannel/inbound?token=no&from=447400999999&text=STOP&id=1";
    assert!(get(shop.web, forged).starts_with("HTTP/1.1 403 "));
    assert_eq!(shop.home.number("SELECT count(*) FROM suppressions"), 1);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_wrong_password_parks_the_channel_and_burns_no_text() {
    let shop = shop("fake", "wrong horse", "");
    let phone = shop.kannel.phone();
    let daemon = shop.home.serve();
    daemon.wait_for_words("ready");
    shop.have_news(&["1042", "1043", "1044"]);
    daemon.wait_for_words("has to be set up differently");
    shop.wait_for_states(&[("queued", 3)]);
    assert_eq!(shop.home.number("SELECT max(counted) FROM messages"), 0);
    assert_eq!(phone.segments().len(), 0);
    // Mails go on meanwhile.
    let mailed = |days| but(teapots("1045", in_days(days)), json!({"quantity": 3}));
    shop.home.import(&[mailed(20)]);
    shop.home.import(&[mailed(31)]);
    let mailed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until("a mail", || {
            (!shop.relay.accepted().is_empty()).then_some(())
        });
    }));
    let states = shop.home.states();
    assert!(mailed.is_ok(), "{states:?}\n{}", daemon.words());
    assert!(!daemon.words().contains("horse"));
    assert_eq!(daemon.stop().code(), Some(0));
}

/// Nobody is connected to the fake SMSC until the end, so that Kannel keeps
/// what it took, and its own repeats cannot be taken for ours.
#[test]
fn kannel_killed_in_the_middle_loses_and_doubles_nothing() {
    let orders: Vec<String> = (4000..4040).map(|n: u32| n.to_string()).collect();
    let orders: Vec<&str> = orders.iter().map(String::as_str).collect();
    let mut shop = shop("fake", PASSWORD, "[retry]\nrelay_delay = \"1s\"\n");
    shop.home.set("SMS__PER_MINUTE", "600");
    let daemon = shop.home.serve();
    daemon.wait_for_words("ready");
    shop.have_news(&orders);
    let taken = "SELECT count(*) FROM messages WHERE state = 'sent'";
    until("some texts to be taken", || {
        (shop.home.number(taken) >= 10).then_some(())
    });
    shop.kannel.kill();
    daemon.wait_for_words("the relay is away");
    let before = shop.home.number(taken);
    assert!(before < 40, "killed too late: {before}");
    shop.kannel.start_again();
    shop.home.wait_for_final(40);
    let states = shop.home.states();
    let sure = states.get("sent").copied().unwrap_or_default();
    let doubtful = states.get("in_doubt").copied().unwrap_or_default();
    assert!(sure + doubtful == 40 && doubtful <= 2, "{states:?}");

    let phone = shop.kannel.phone();
    let n_sure = usize::try_from(sure).expect("a count");
    phone.wait_for(n_sure);
    until("every text to be reported on", || {
        let delivered = "SELECT count(*) FROM messages WHERE state = 'delivered'";
        (shop.home.number(delivered) >= sure).then_some(())
    });
    let mut heard: Vec<String> = phone
        .segments()
        .iter()
        .map(|s| String::from_utf8_lossy(&s.bytes).into_owned())
        .collect();
    let n_heard = heard.len();
    heard.sort();
    heard.dedup();
    assert_eq!(heard.len(), n_heard, "one of them twice");
    assert!((n_sure..=40).contains(&n_heard), "{n_heard} of {states:?}");
    assert_eq!(daemon.stop().code(), Some(0));
}
