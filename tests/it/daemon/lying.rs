//! A text gateway that lies over HTTP, in its answers and in its receipts,
//! with the whole program on the other side.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use backorderd::clock::Clock;
use backorderd::clock::SystemClock;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use serde_json::Value;
use serde_json::json;
use sha2::Sha256;

use super::texts;
use super::texts::texted;
use crate::home::Home;
use crate::home::Running;
use crate::home::in_days;
use crate::home::orders_of_teapots;
use crate::home::teapots;
use crate::support::http_gateway::Answer;
use crate::support::http_gateway::HttpGateway;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;
use crate::support::patience::until;
use crate::support::servers::free_port;

const SECRET: &str = "staple";

/// The door gateways report to.
#[derive(Clone, Copy)]
struct Door {
    port: u16,
}

impl Door {
    /// A signed receipt; the status it is answered with.
    fn told(self, body: &Value) -> u16 {
        self.told_by(SECRET, SystemClock.now().0 / 1000, body)
    }

    /// Signed with this secret, at this second.
    fn told_by(self, secret: &str, secs: i64, body: &Value) -> u16 {
        let body = body.to_string();
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).expect("a key");
        mac.update(format!("{secs}.{body}").as_bytes());
        let hash: String = mac
            .finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("reach the daemon");
        write!(
            stream,
            "POST /sms/generic/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Content-Type: application/json\r\nX-Timestamp: {secs}\r\n\
             X-Signature: sha256={hash}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("tell the daemon");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok());
        status.unwrap_or_else(|| panic!("no answer: {answer}"))
    }
}

struct Shop {
    home: Home,
    relay: LedgerSmtp,
    door: Door,
    _secrets: tempfile::TempDir,
}

impl Shop {
    fn at(gateway: &HttpGateway, door: Door) -> Shop {
        let secrets = tempfile::tempdir().expect("a temporary folder");
        let secret = secrets.path().join("hook");
        fs::write(&secret, SECRET).expect("write a secret");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("a private file");
        let settings = format!(
            r#"{}
[sms.generic.proof]
by = "signature"
name = "X-Signature"
secret = {{ file = "{}" }}
algorithm = "sha256"
encoding = "hex"
prefix = "sha256="
time_header = "X-Timestamp"
[sms.generic.receipts]
id = "/id"
ref = "/ref"
status = "/status"
error = "/error"
words = {{ SENT = "sent", DELIVRD = "delivered", UNDELIV = "undelivered" }}
[web]
listen = "127.0.0.1:{}"
"#,
            texts::settings(gateway),
            secret.display(),
            door.port
        );
        let relay = LedgerSmtp::start(Manners::default());
        let mut home = Home::live(relay.port(), &settings);
        home.set("SMS__PER_MINUTE", "6000");
        Shop {
            home,
            relay,
            door,
            _secrets: secrets,
        }
    }

    fn serve(&self) -> Running {
        let daemon = self.home.serve();
        daemon.wait_for_words("ready");
        daemon
    }

    fn have_news(&self, orders: &[&str]) {
        for days in [20, 31] {
            let row = |order: &&str| texted(teapots(order, in_days(days)));
            let rows: Vec<Value> = orders.iter().map(row).collect();
            self.home.import(&rows);
        }
    }

    fn wait_for(&self, state: &str, n: i64) {
        until(&format!("{n} messages to be {state}"), || {
            (self.home.states().get(state) == Some(&n)).then_some(())
        });
    }
}

fn free_door() -> Door {
    Door { port: free_port() }
}

/// Takes each text under a number of its own.
fn takes_all() -> HttpGateway {
    HttpGateway::start(|request| Answer::json(201, &json!({"id": format!("g-{}", request.nth)})))
}

#[test]
fn an_absurd_wait_is_cut_to_an_hour_and_the_text_is_not_asked_for_again() {
    let gateway = HttpGateway::start(|_| Answer::Reply {
        status: 429,
        headers: vec![("retry-after".to_owned(), "999999999".to_owned())],
        body: String::new(),
    });
    let shop = Shop::at(&gateway, free_door());
    let before = SystemClock.now();
    let daemon = shop.serve();
    shop.have_news(&["1042"]);
    until("the text to be put off", || {
        (shop
            .home
            .number("SELECT count(*) FROM attempts WHERE code = 429")
            == 1)
            .then_some(())
    });
    shop.wait_for("queued", 1);
    let secs = (shop.home.number("SELECT due_at FROM messages") - before.0) / 1000;
    assert!((3600..4000).contains(&secs), "due in {secs} s");
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(gateway.requests().len(), 1);
}

#[test]
fn an_empty_account_parks_the_channel_and_fails_no_text() {
    let gateway = HttpGateway::start(|_| Answer::json(402, &json!({"error": "balance"})));
    let shop = Shop::at(&gateway, free_door());
    let daemon = shop.serve();
    // Mails in the same run go on.
    let rows = |days| {
        let mut rows = orders_of_teapots(3, in_days(days));
        let row = |n: u32| texted(teapots(&(5000 + n).to_string(), in_days(days)));
        rows.extend((0..30).map(row));
        rows
    };
    shop.home.import(&rows(20));
    shop.home.import(&rows(31));
    daemon.wait_for_words("has to be set up differently");
    shop.wait_for("sent", 3);
    shop.wait_for("queued", 30);
    assert_eq!(shop.relay.accepted().len(), 3);
    let n_asked = gateway.requests().len();
    assert!((1..=5).contains(&n_asked), "{n_asked} texts without money");
    let counted = "SELECT max(counted) FROM messages WHERE channel = 'sms'";
    assert_eq!(shop.home.number(counted), 0);
    assert_eq!(shop.home.number("SELECT count(*) FROM suppressions"), 0);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_receipt_before_the_answer_to_the_text_itself_finds_its_message() {
    let door = free_door();
    // By the gateway's own id, which nobody has told us yet.
    let gateway = HttpGateway::start(move |request| {
        let id = format!("g-{}", request.nth);
        let status = door.told(&json!({"id": id, "status": "DELIVRD"}));
        Answer::json(if status == 200 { 201 } else { 500 }, &json!({"id": id}))
    });
    let shop = Shop::at(&gateway, door);
    let daemon = shop.serve();
    shop.have_news(&["1042", "1043"]);
    shop.wait_for("delivered", 2);
    assert_eq!(gateway.requests().len(), 2);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn receipts_twice_late_forged_and_replayed_change_nothing_that_is_known() {
    let gateway = takes_all();
    let shop = Shop::at(&gateway, free_door());
    let daemon = shop.serve();
    shop.have_news(&["1042"]);
    shop.wait_for("sent", 1);
    let now = || SystemClock.now().0 / 1000;
    let receipts = || shop.home.number("SELECT count(*) FROM receipts");
    let say = |status: &str| json!({"id": "g-0", "status": status});
    let state = |expected: &str| {
        assert_eq!(shop.home.states(), [(expected.to_owned(), 1)].into());
    };

    // Signed by somebody else, or at another time: an hour ago, and ahead.
    let delivered = say("DELIVRD");
    for (secret, secs) in [
        ("stapler", now()),
        ("", now()),
        (SECRET, now() - 3600),
        (SECRET, now() + 3600),
    ] {
        assert_eq!(shop.door.told_by(secret, secs, &delivered), 403);
    }
    assert_eq!(receipts(), 0);
    state("sent");

    // Unknown to us: kept for a day in case it comes to be known.
    let unknown = json!({"id": "g-99", "status": "UNDELIV"});
    assert_eq!(shop.door.told(&unknown), 200);
    state("sent");

    // Delivered, then everything that came later than it should have.
    for _ in 0..2 {
        assert_eq!(shop.door.told(&delivered), 200);
        state("delivered");
    }
    let known = receipts();
    for late in ["SENT", "UNDELIV", "DELIVRD", "SENT"] {
        assert_eq!(shop.door.told(&say(late)), 200);
        state("delivered");
    }
    assert_eq!(receipts(), known + 2, "one for each new word");
    // A word of its own that nobody explained says nothing.
    assert_eq!(shop.door.told(&say("WHATEVER")), 200);
    assert_eq!(receipts(), known + 2);
    assert_eq!(shop.relay.accepted().len(), 0, "nothing to say by mail");
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_hundred_receipts_at_once_are_taken_and_each_text_ends_as_its_best_news() {
    const N_TEXTS: usize = 10;
    let gateway = takes_all();
    let shop = Shop::at(&gateway, free_door());
    let daemon = shop.serve();
    let orders: Vec<String> = (0..N_TEXTS).map(|n| (6000 + n).to_string()).collect();
    shop.have_news(&orders.iter().map(String::as_str).collect::<Vec<_>>());
    shop.wait_for("sent", 10);
    let door = shop.door;
    let told: Vec<_> = (0..100)
        .map(|n| {
            thread::spawn(move || {
                let word = ["SENT", "DELIVRD", "UNDELIV", "DELIVRD", "SENT"][n / 20];
                door.told(&json!({"id": format!("g-{}", n % N_TEXTS), "status": word}))
            })
        })
        .collect();
    for answer in told {
        assert_eq!(answer.join().expect("a caller"), 200);
    }
    shop.wait_for("delivered", 10);
    // Three words for each, however often they were said.
    assert_eq!(shop.home.number("SELECT count(*) FROM receipts"), 30);
    assert_eq!(gateway.requests().len(), N_TEXTS);
    assert_eq!(daemon.stop().code(), Some(0));
}
