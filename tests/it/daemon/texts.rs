//! Texts through an HTTP gateway: one request per text, and what its answers
//! mean.

use std::time::Duration;

use backorderd::clock::Clock;
use backorderd::clock::SystemClock;
use chrono::Datelike;
use chrono::Days;
use serde_json::Value;
use serde_json::json;

use crate::home::Home;
use crate::home::but;
use crate::home::in_days;
use crate::home::orders_of_teapots;
use crate::home::teapots;
use crate::home::today;
use crate::support::http_gateway::Answer;
use crate::support::http_gateway::HttpGateway;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;
use crate::support::patience::until;

/// A shop that texts through this gateway, at any hour.
pub fn settings(gateway: &HttpGateway) -> String {
    let url = gateway.base_url();
    format!(
        r#"
[sms]
gateway = "generic"
hours = ["Mon-Sun 00:00-24:00"]
connect = "1s"
total = "1s"
[sms.generic]
url = "{url}/v1/messages"
from = "FernKettle"
auth = "none"
retry_statuses = [429, 503]
id_pointer = "/id"
idempotency_header = "Idempotency-Key"
[sms.generic.json]
to = "{{{{to}}}}"
from = "{{{{from}}}}"
text = "{{{{text}}}}"
"#
    )
}

/// The customer of an order who wants texts.
pub fn texted(row: Value) -> Value {
    but(
        row,
        json!({
            "phone": "+447400123456", "sms_consent": true, "preferred_channel": "sms",
            "country": "GB",
        }),
    )
}

/// A shop one of whose customers, who wants texts, has a new date to hear of.
fn with_news(gateway: &HttpGateway, setting: Option<(&str, &str)>) -> (Home, LedgerSmtp) {
    let relay = LedgerSmtp::start(Manners::default());
    let mut home = Home::live(relay.port(), &settings(gateway));
    if let Some((name, value)) = setting {
        home.set(name, value);
    }
    home.import(&[texted(teapots("1042", in_days(20)))]);
    home.import(&[texted(teapots("1042", in_days(31)))]);
    (home, relay)
}

#[test]
fn an_order_that_does_not_say_takes_no_consent_back() {
    let gateway = HttpGateway::start(|_| Answer::json(201, &json!({"id": "g-1"})));
    let (home, _relay) = with_news(&gateway, None);
    let agreed = "SELECT count(*) FROM contacts WHERE sms_consent = TRUE AND preferred = 'sms'";
    let same = json!({"email": "customer-1042@accept.example"});
    home.import(&[but(teapots("1043", in_days(20)), same.clone())]);
    assert_eq!(home.number("SELECT count(*) FROM contacts"), 1);
    assert_eq!(home.number(agreed), 1, "the second order said nothing");
    let refused = json!({"email": "customer-1042@accept.example", "sms_consent": false});
    home.import(&[but(teapots("1044", in_days(20)), refused)]);
    assert_eq!(home.number(agreed), 0, "the third said no");
}

#[test]
fn a_text_goes_out_once_with_its_words_and_its_identity() {
    let gateway = HttpGateway::start(|_| Answer::json(201, &json!({"id": "g-1"})));
    let (home, relay) = with_news(&gateway, None);
    home.ok(&["run", "--yes"]);
    home.ok(&["run", "--yes"]);
    let requests = gateway.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        (requests[0].method.as_str(), requests[0].path.as_str()),
        ("POST", "/v1/messages")
    );
    let body: Value = serde_json::from_str(&requests[0].body).expect("JSON");
    assert_eq!(body["to"], "+447400123456");
    assert_eq!(body["from"], "FernKettle");
    let text = body["text"].as_str().expect("a text");
    let day = in_days(31).format("%-d %b").to_string();
    for words in ["1042", day.as_str()] {
        assert!(text.contains(words), "no `{words}` in: {text}");
    }
    let sent: Vec<(uuid::Uuid, String, String)> = home.rows(
        "SELECT m.uid, m.state, a.reference FROM messages m JOIN attempts a ON a.message_no = m.no",
    );
    assert_eq!(sent.len(), 1);
    let uid = sent[0].0.simple().to_string();
    assert_eq!(requests[0].header("idempotency-key"), Some(uid.as_str()));
    assert_eq!((sent[0].1.as_str(), sent[0].2.as_str()), ("sent", "g-1"));
    assert_eq!(relay.accepted().len(), 0, "the customer asked for texts");
}

#[test]
fn a_gateway_that_asks_for_patience_gets_it() {
    let gateway = HttpGateway::start(|_| Answer::Reply {
        status: 429,
        headers: vec![("retry-after".to_owned(), "1800".to_owned())],
        body: String::new(),
    });
    let (home, _relay) = with_news(&gateway, None);
    let before = SystemClock.now();
    let printed = home.ok(&["run", "--yes"]);
    assert!(printed.contains("1 put off"), "{printed}");
    let waits: Vec<(String, i64)> = home.rows("SELECT state, due_at FROM messages");
    assert_eq!(waits.len(), 1);
    assert_eq!(waits[0].0, "queued");
    let secs = (waits[0].1 - before.0) / 1000;
    assert!((1800..2000).contains(&secs), "due in {secs} s");
    home.ok(&["run", "--yes"]);
    assert_eq!(gateway.requests().len(), 1);
}

#[test]
fn a_gateway_that_took_it_and_never_answered_is_not_asked_again() {
    let silences: [fn() -> Answer; 2] = [
        || Answer::HangUp,
        || {
            let late = Box::new(Answer::json(201, &json!({"id": "g-1"})));
            Answer::Late(Duration::from_millis(1_500), late)
        },
    ];
    for silence in silences {
        let gateway = HttpGateway::start(move |_| silence());
        let (home, relay) = with_news(&gateway, None);
        let printed = home.ok(&["run", "--yes"]);
        assert!(printed.contains("1 in doubt"), "{printed}");
        home.ok(&["run", "--yes"]);
        let daemon = home.serve();
        daemon.wait_for_words("ready");
        assert_eq!(daemon.stop().code(), Some(0));
        assert_eq!(gateway.requests().len(), 1);
        assert_eq!(home.states(), [("in_doubt".to_owned(), 1)].into());
        assert_eq!(relay.accepted().len(), 0);
    }
}

#[test]
fn a_text_waits_for_decent_hours() {
    let gateway = HttpGateway::start(|_| Answer::json(201, &json!({"id": "g-1"})));
    // A weekday that is neither today nor next to it, wherever midnight falls.
    let open = today().checked_add_days(Days::new(3)).expect("a day");
    let hours = format!("[\"{} 09:00-20:00\"]", open.weekday());
    let (home, relay) = with_news(&gateway, Some(("SMS__HOURS", &hours)));
    let printed = home.ok(&["run", "--yes"]);
    assert!(printed.contains("1 go out later"), "{printed}");
    assert_eq!(gateway.requests().len(), 0);
    assert_eq!(relay.accepted().len(), 0);
    let due: Vec<(String, i64)> = home.rows("SELECT state, due_at FROM messages");
    assert_eq!(due[0].0, "queued");
    let due = backorderd::domain::time::Instant(due[0].1).in_zone(chrono_tz::Europe::London);
    assert_eq!(due.date_naive(), open);
    assert_eq!(due.time().to_string(), "09:00:00");
}

#[test]
fn a_limited_run_takes_an_order_whole_or_leaves_it_for_later() {
    let gateway = HttpGateway::start(|_| Answer::json(201, &json!({"id": "g-1"})));
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), &settings(&gateway));
    let row = |days| {
        let row = texted(teapots("9042", in_days(days)));
        but(row, json!({"preferred_channel": "both"}))
    };
    home.import(&[row(20)]);
    home.import(&[row(31)]);
    home.ok(&["run", "--yes", "--limit", "1"]);
    assert_eq!((relay.accepted().len(), gateway.requests().len()), (0, 0));
    home.ok(&["run", "--yes"]);
    assert_eq!((relay.accepted().len(), gateway.requests().len()), (1, 1));
}

#[test]
fn a_long_queue_of_mails_does_not_keep_a_text_waiting() {
    let gateway = HttpGateway::start(|_| Answer::json(201, &json!({"id": "g-1"})));
    let relay = LedgerSmtp::start(Manners {
        delay: Duration::from_millis(60),
        ..Manners::default()
    });
    let mut home = Home::live(relay.port(), &settings(&gateway));
    home.set("EMAIL__SESSIONS", "1");
    let rows = |days| {
        let mut rows = orders_of_teapots(40, in_days(days));
        rows.push(texted(teapots("9042", in_days(days))));
        rows
    };
    home.import(&rows(20));
    home.import(&rows(31));
    let daemon = home.serve();
    until("the text", || {
        (!gateway.requests().is_empty()).then_some(())
    });
    let n_mails = relay.accepted().len();
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(n_mails < 30, "the text left after {n_mails} of 40 mails");
}

/// A gateway that takes few a minute gets few a minute, whatever goes out
/// beside it, and the mails do not wait for it.
#[test]
fn texts_keep_their_own_pace_and_mails_do_not_wait_for_it() {
    const PER_MINUTE: u32 = 30;
    let gateway = HttpGateway::start(|_| Answer::json(201, &json!({"id": "g-1"})));
    let relay = LedgerSmtp::start(Manners::default());
    let mut home = Home::live(relay.port(), &settings(&gateway));
    home.set("SMS__PER_MINUTE", &PER_MINUTE.to_string());
    let rows = |days| {
        let mut rows = orders_of_teapots(40, in_days(days));
        rows.extend((0..12).map(|n| {
            but(
                texted(teapots(&format!("90{n:02}"), in_days(days))),
                json!({"email": format!("texted{n}@mail.example"), "phone": format!("+4479460001{n:02}")}),
            )
        }));
        rows
    };
    home.import(&rows(20));
    home.import(&rows(31));
    let began = tokio::time::Instant::now();
    let daemon = home.serve();
    until("all mails", || (relay.accepted().len() == 40).then_some(()));
    until("texts", || (gateway.requests().len() > 3).then_some(()));
    let n_texts = gateway.requests().len();
    // A tenth of a minute's worth may go at once.
    let most =
        f64::from(PER_MINUTE) / 10.0 + began.elapsed().as_secs_f64() * f64::from(PER_MINUTE) / 60.0;
    assert!(n_texts < 12, "{n_texts} texts left with 40 mails");
    assert!(
        n_texts as f64 <= most,
        "{n_texts} texts, {most} were allowed"
    );
    assert_eq!(daemon.stop().code(), Some(0));
}
