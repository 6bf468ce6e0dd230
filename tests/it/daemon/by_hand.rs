//! People act on single messages while a daemon sends them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::home::Home;
use crate::home::but;
use crate::home::in_days;
use crate::home::orders_of_teapots;
use crate::home::teapots;
use crate::support::exim::Exim;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;
use crate::support::patience::until;
use crate::support::postfix::Postfix;

fn json_of(home: &Home, args: &[&str]) -> Value {
    let mut args = args.to_vec();
    args.push("--json");
    let (printed, _) = home.run(&args);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// Orders that are owed a delay.
fn slip(home: &Home, orders: &[Value]) {
    home.import(orders);
    let late = json!({ "eta_from": in_days(31) });
    let later: Vec<Value> = orders
        .iter()
        .map(|row| but(row.clone(), late.clone()))
        .collect();
    home.import(&later);
}

#[test]
fn a_resend_goes_to_the_present_address_once_and_never_untrue() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    slip(&home, &[teapots("1042", in_days(20))]);
    home.ok(&["run", "--yes"]);
    assert_eq!(relay.accepted().len(), 1);

    let moved = json!({ "eta_from": in_days(31), "email": "new@accept.example" });
    home.import(&[but(teapots("1042", in_days(20)), moved.clone())]);
    let look = home.ok(&["messages", "resend", "m1", "--dry-run"]);
    assert!(look.contains("1 message to resend"), "{look}");
    assert_eq!(
        home.number("SELECT count(*) FROM messages"),
        1,
        "only a look"
    );
    let done = json_of(&home, &["messages", "resend", "m1", "--why", "lost"]);
    assert_eq!(
        (&done["done"], &done["messages"][0]["as"]),
        (&json!(1), &json!(2))
    );
    let (second, agreed) = home.run(&["messages", "resend", "m1"]);
    assert!(
        !agreed && second.contains("m2, about the same order"),
        "{second}"
    );
    home.ok(&["run", "--yes"]);
    let sent = relay.accepted();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1].recipients, ["new@accept.example"]);
    assert_ne!(sent[0].message_id, sent[1].message_id);
    let shown = home.ok(&["messages", "show", "m1"]);
    assert!(shown.contains("Said again by: m2"), "{shown}");
    assert!(shown.contains("\"lost\""), "{shown}");

    let gone = but(
        teapots("1042", in_days(20)),
        json!({
            "eta_from": in_days(31), "status": "shipped", "quantity_shipped": 2,
        }),
    );
    home.import(&[but(gone, moved)]);
    home.ok(&["run", "--yes"]);
    let (refused, agreed) = home.run(&["messages", "resend", "m1"]);
    assert!(
        !agreed && refused.contains("nothing of it waits any more"),
        "{refused}"
    );
}

#[test]
fn nobody_is_asked_about_many_without_a_terminal() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    slip(&home, &orders_of_teapots(3, in_days(20)));
    home.ok(&["hold", "--why", "look first"]);
    let daemon = home.serve();
    until("three messages under the hold", || {
        (home.number("SELECT count(*) FROM messages") == 3).then_some(())
    });
    assert!(daemon.stop().success());
    let waiting = home.ok(&["release", "--dry-run", "--show", "2"]);
    assert!(waiting.contains("3 still true, goes out"), "{waiting}");
    let (words, agreed) = home.run(&["messages", "withdraw", "--state", "queued"]);
    assert!(!agreed && words.contains("--yes"), "{words}");
    let done = json_of(
        &home,
        &["messages", "withdraw", "--state", "queued", "--yes"],
    );
    assert_eq!(done["done"], 3);
    home.ok(&["release", "--why", "looked"]);
    home.run(&["run", "--yes"]);
    assert!(relay.accepted().is_empty());
    assert_eq!(home.states(), BTreeMap::from([("withdrawn".to_owned(), 3)]));
}

#[test]
fn verbs_beside_a_sending_daemon_make_no_second_copy_and_lose_none() {
    let relay = LedgerSmtp::start(Manners {
        seed: 7,
        delay: Duration::from_millis(3),
        lost_before_accepting: 60,
        lost_after_accepting: 60,
        ..Manners::default()
    });
    let home = Home::live(relay.port(), "");
    let n = 40;
    slip(&home, &orders_of_teapots(n, in_days(20)));
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    let withdrawn: BTreeSet<i64> = thread::scope(|scope| {
        let acts = |args: &'static [&'static str]| {
            let home = &home;
            scope.spawn(move || {
                let rounds = (0..4).map(|_| json_of(home, args));
                let done = rounds.flat_map(|round| {
                    let messages = round["messages"].as_array().cloned().unwrap_or_default();
                    messages.into_iter().filter(|m| m["done"] == true)
                });
                let numbers = done.filter_map(|m| m["message"].as_i64());
                numbers.collect::<BTreeSet<i64>>()
            })
        };
        let withdraw = acts(&["messages", "withdraw", "--state", "queued", "--yes"]);
        let retry = acts(&["messages", "retry", "--state", "failed", "--yes"]);
        let settle = acts(&[
            "messages",
            "settle",
            "--state",
            "in_doubt",
            "--arrived",
            "--why",
            "seen",
            "--yes",
        ]);
        retry.join().unwrap();
        settle.join().unwrap();
        withdraw.join().unwrap()
    });
    home.wait_for_final(i64::try_from(n).unwrap());
    assert!(daemon.stop().success());

    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    for mail in relay.accepted() {
        *copies.entry(mail.message_id).or_default() += 1;
    }
    assert!(copies.values().all(|n| *n == 1), "{copies:?}");
    let tried: Vec<(i64, String)> =
        home.rows("SELECT message_no, message_id_header FROM attempts ORDER BY id");
    for (no, id) in &tried {
        let reached = copies.contains_key(id.trim_matches(['<', '>'])) || copies.contains_key(id);
        assert!(
            !(reached && withdrawn.contains(no)),
            "m{no} was withdrawn and sent"
        );
    }
    let states: Vec<(i64, String)> = home.rows("SELECT no, state FROM messages ORDER BY no");
    assert_eq!(states.len(), n, "one message for each order");
    for (no, state) in states {
        let fine = matches!(state.as_str(), "sent" | "in_doubt");
        assert_eq!(withdrawn.contains(&no), !fine, "m{no} is {state}");
    }
}

/// A doubt, and a real relay's log that says what became of it.
fn settled_by(home: &Home, log: &str, state: &str, basis: &str) {
    let path = home.path().join("relay.log");
    std::fs::write(&path, log).unwrap();
    let file = path.to_str().unwrap();
    let dry = home.ok(&["messages", "settle", "--from-log", file, "--dry-run"]);
    assert!(dry.contains("1 message to settle"), "{dry}\n{log}");
    assert!(!dry.contains("customer-1042@"), "{dry}");
    let done = json_of(home, &["messages", "settle", "--from-log", file]);
    assert_eq!(done["done"], 1, "{done}");
    assert_eq!(home.states().get(state), Some(&1), "{log}");
    let told: Vec<(String,)> = home.rows("SELECT basis FROM told ORDER BY seq");
    assert_eq!(told.last().unwrap().0, basis);
    let again = json_of(home, &["messages", "settle", "m1", "--from-log", file]);
    assert_eq!(again["done"], 0, "{again}");
    let kept = home
        .number("SELECT count(*) FROM receipts WHERE reply LIKE '%@%' OR reply LIKE '%customer%'");
    assert_eq!(kept, 0);
}

/// Sends the one message through a relay, and forgets that it answered.
fn doubt(home: &mut Home, port: u16) {
    home.set("EMAIL__PORT", &port.to_string());
    slip(home, &[teapots("1042", in_days(20))]);
    home.ok(&["run", "--yes"]);
    assert_eq!(home.states().get("sent"), Some(&1));
    home.force(
        "UPDATE messages SET state = 'in_doubt', doubts = 1, sent_at = NULL, ended_at = NULL, \
         quiet_until = 9000000000000",
    );
    home.force("UPDATE told SET basis = 'possible' WHERE basis = 'accepted'");
    home.force("UPDATE notices SET in_flight = TRUE");
}

#[test]
fn the_log_of_a_real_postfix_settles_a_doubt() {
    let postfix = Postfix::start();
    let mut home = Home::live(1, "");
    doubt(&mut home, postfix.port());
    until("the delivery in the log", || {
        postfix.log().contains("status=sent").then_some(())
    });
    settled_by(&home, &postfix.log(), "sent", "accepted");
}

#[test]
fn the_log_of_a_real_exim_settles_a_doubt() {
    let postfix = Postfix::start();
    let exim = Exim::start(postfix.port(), None);
    let mut home = Home::live(1, "");
    doubt(&mut home, exim.port());
    // This one takes every mail and then finds nobody to give it to.
    until("the end in the log", || {
        exim.log().contains("no such user here").then_some(())
    });
    settled_by(&home, &exim.log(), "bounced", "retracted");
}
