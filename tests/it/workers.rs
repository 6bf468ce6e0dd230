//! Several daemons on one PostgreSQL database: they share the work, and take
//! over from those that are stopped, killed or cut off.

mod pooled;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::home::Home;
use crate::home::Running;
use crate::home::block_on;
use crate::home::in_days;
use crate::home::teapots;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;
use crate::support::patience::until;
use crate::support::postgres::Database;
use crate::support::postgres::OwnServer;

/// Heartbeats are short, so that the dead are found in a test's time.
pub const SETTINGS: &str = "[workers]\nalive = \"3s\"\n";

/// A relay that takes its time, so that there is a middle of sending.
pub fn relay(delay_ms: u64) -> LedgerSmtp {
    LedgerSmtp::start(Manners {
        delay: Duration::from_millis(delay_ms),
        ..Manners::default()
    })
}

pub fn rows(n: u32, days: u64) -> Vec<serde_json::Value> {
    (0..n)
        .map(|i| teapots(&(3000 + i).to_string(), in_days(days)))
        .collect()
}

pub fn serve(home: &Home, name: &str) -> Running {
    let running = home.start(&["serve", "--name", name]);
    running.wait_for_words("ready");
    running
}

/// `n` customers who are owed a word about a later date.
pub fn owe(home: &Home, n: u32) {
    home.import(&rows(n, 20));
    home.import(&rows(n, 31));
}

/// The database against the relay's ledger: nobody got a word twice, whoever is
/// said to have got it has it, and nobody got what nobody knows of.
pub fn audit(home: &Home, relay: &LedgerSmtp, n: u32) -> BTreeMap<String, i64> {
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    for mail in relay.accepted() {
        *copies.entry(mail.recipients[0].clone()).or_default() += 1;
    }
    let rows: Vec<(String, String)> = home.rows(
        "SELECT p.recipient, m.state FROM messages m \
         JOIN message_private p ON p.message_no = m.no",
    );
    assert_eq!(rows.len(), n as usize, "every customer is owed one message");
    for (recipient, state) in &rows {
        let copies = copies.remove(recipient).unwrap_or(0);
        match state.as_str() {
            "sent" => assert_eq!(copies, 1, "{recipient}"),
            "in_doubt" => assert!(copies <= 1, "{recipient} got {copies}"),
            other => panic!("{recipient}'s message ended {other}"),
        }
    }
    assert!(copies.is_empty(), "arrived and not known: {copies:?}");
    home.states()
}

fn n_workers(home: &Home) -> i64 {
    home.number("SELECT count(*) FROM workers")
}

#[test]
fn three_share_a_queue_and_leave_nothing_behind() {
    const N: u32 = 150;
    let relay = relay(10);
    let home = Home::live_on_postgres(relay.port(), SETTINGS);
    home.import(&rows(N, 20));
    let daemons: Vec<Running> = ["one", "two", "three"]
        .map(|name| serve(&home, name))
        .into();
    let listed = home.ok(&["workers"]);
    for name in ["one", "two", "three"] {
        assert!(listed.contains(name), "{listed}");
    }
    home.import(&rows(N, 31));
    home.wait_for_final(i64::from(N));
    assert_eq!(
        audit(&home, &relay, N),
        [("sent".to_owned(), i64::from(N))].into()
    );
    let senders = home.number("SELECT count(DISTINCT worker) FROM attempts");
    assert!(senders >= 2, "{senders} of them sent something");
    for daemon in daemons {
        assert_eq!(daemon.stop().code(), Some(0));
    }
    assert_eq!(n_workers(&home), 0);
}

#[test]
fn one_plans_and_another_delivers() {
    let relay = relay(0);
    let home = Home::live_on_postgres(relay.port(), SETTINGS);
    home.import(&rows(5, 20));
    let planner = home.start(&["serve", "--only", "plan"]);
    planner.wait_for_words("ready");
    home.import(&rows(5, 31));
    until("the planned messages", || {
        (home.states().get("queued") == Some(&5)).then_some(())
    });
    assert_eq!(relay.accepted().len(), 0);
    let sender = home.start(&["serve", "--only", "deliver"]);
    home.wait_for_final(5);
    assert_eq!(audit(&home, &relay, 5).get("sent"), Some(&5));
    sender.wait_for_words("ready");
    let listed = home.ok(&["workers"]);
    assert!(
        listed.contains(" plans ") && listed.contains(" delivers "),
        "{listed}"
    );
    assert_eq!(planner.stop().code(), Some(0));
    assert_eq!(sender.stop().code(), Some(0));
}

#[test]
fn a_part_of_the_work_is_for_servers() {
    let relay = relay(0);
    let home = Home::live(relay.port(), "");
    let (words, succeeded) = home.run(&["serve", "--only", "plan"]);
    assert!(!succeeded && words.contains("PostgreSQL"), "{words}");
}

#[test]
fn who_was_stopped_for_too_long_has_lost_its_work_and_ends() {
    const N: u32 = 60;
    let relay = relay(20);
    let mut home = Home::live_on_postgres(relay.port(), SETTINGS);
    home.set("EMAIL__SESSIONS", "2");
    owe(&home, N);
    let mut stopped = serve(&home, "stopped");
    until("the first mails", || {
        (relay.accepted().len() >= 8).then_some(())
    });
    stopped.freeze(&home);
    let held = home.number("SELECT count(*) FROM messages WHERE state IN ('leased', 'submitting')");
    assert!(held > 0, "it was stopped with nothing in hands");
    let other = serve(&home, "other");
    other.wait_for_words("took over what another process left unfinished");
    home.wait_for_final(i64::from(N));
    let n_doubts = home.states().get("in_doubt").copied().unwrap_or(0);
    assert!(n_doubts <= 2, "{n_doubts} in doubt from two sessions");
    let after = home.number("SELECT count(*) FROM attempts");
    assert_eq!(after, i64::from(N), "one attempt each");

    stopped.signal("CONT");
    let ended = stopped.wait();
    let words = stopped.words();
    assert_eq!(ended.code(), Some(70), "{words}");
    assert!(words.contains("others declared it dead"), "{words}");
    // What it says on waking is nobody's business any more.
    assert_eq!(home.number("SELECT count(*) FROM attempts"), after);
    audit(&home, &relay, N);
    assert_eq!(other.stop().code(), Some(0));
}

#[test]
fn what_a_killed_one_had_is_done_by_the_others() {
    const N: u32 = 80;
    let relay = relay(20);
    let mut home = Home::live_on_postgres(relay.port(), SETTINGS);
    home.set("EMAIL__SESSIONS", "2");
    owe(&home, N);
    let killed = serve(&home, "killed");
    let other = serve(&home, "other");
    until("mails of both", || {
        let senders = home.number("SELECT count(DISTINCT worker) FROM attempts");
        (senders == 2 && relay.accepted().len() >= 12).then_some(())
    });
    killed.kill();
    home.wait_for_final(i64::from(N));
    let states = audit(&home, &relay, N);
    let n_doubts = states.get("in_doubt").copied().unwrap_or(0);
    assert!(n_doubts <= 2, "{n_doubts} in doubt from two sessions");
    until("the dead to be forgotten", || {
        (n_workers(&home) == 1).then_some(())
    });
    assert_eq!(other.stop().code(), Some(0));
}

#[test]
fn a_tick_that_all_of_them_fire_is_handled_by_one() {
    let relay = relay(0);
    let mut home = Home::live_on_postgres(relay.port(), SETTINGS);
    home.set("LOG__LEVEL", "debug");
    home.import(&rows(3, 20));
    // Owed since long ago: whoever starts fires it at once.
    home.execute("INSERT INTO job_ticks (job, last_due) VALUES ('nightly', 0)");
    let daemons: Vec<Running> = (0..3).map(|_| home.serve()).collect();
    for daemon in &daemons {
        daemon.wait_for_words("ready");
    }
    until("the tick to be done", || {
        let done = "SELECT count(*) FROM job_ticks WHERE job = 'nightly' AND last_due > 0 \
                    AND last_due >= leased_due";
        (home.number(done) == 1).then_some(())
    });
    let handled = |daemon: &Running| {
        let words = daemon.words();
        let lines = words.lines().filter(|line| line.contains("took a tick"));
        lines.filter(|line| line.contains("nightly")).count()
    };
    let words: Vec<String> = daemons
        .into_iter()
        .map(|mut daemon| {
            daemon.signal("TERM");
            assert_eq!(daemon.wait().code(), Some(0));
            handled(&daemon).to_string()
        })
        .collect();
    assert_eq!(words.iter().filter(|n| *n == "1").count(), 1, "{words:?}");
    assert_eq!(words.iter().filter(|n| *n == "0").count(), 2, "{words:?}");
}

#[test]
fn a_run_by_hand_takes_part_beside_them() {
    const N: u32 = 30;
    let relay = relay(5);
    let home = Home::live_on_postgres(relay.port(), SETTINGS);
    home.import(&rows(N, 20));
    let daemon = serve(&home, "one");
    daemon.freeze(&home);
    home.import(&rows(N, 31));
    let words = home.ok(&["run", "--yes"]);
    assert!(words.contains(&format!("{N} sent.")), "{words}");
    assert_eq!(audit(&home, &relay, N).get("sent"), Some(&i64::from(N)));
    let by_hand = "SELECT count(*) FROM workers WHERE role = 'run'";
    assert_eq!(home.number(by_hand), 0, "it left");
    drop(daemon);
}

// ---- a server that goes away ----

#[test]
fn a_server_that_restarts_under_load_costs_no_message() {
    const N: u32 = 150;
    let (server, url) = OwnServer::start();
    let relay = relay(10);
    let home = Home::live_at(&url, relay.port(), SETTINGS);
    home.import(&rows(N, 20));
    let mut daemons: Vec<Running> = ["one", "two"].map(|name| serve(&home, name)).into();
    home.import(&rows(N, 31));
    for enough in [20, 70] {
        until("some mails", || {
            (relay.accepted().len() >= enough).then_some(())
        });
        server.call("stop");
        server.call("start");
    }
    until("all of them", || {
        // As the service manager would.
        for daemon in &mut daemons {
            if daemon.has_ended() {
                println!("it ended: {}", daemon.words());
                *daemon = home.serve();
            }
        }
        let open = "SELECT count(*) FROM messages \
                    WHERE state NOT IN ('queued', 'leased', 'submitting')";
        (home.number(open) >= i64::from(N)).then_some(())
    });
    let states = audit(&home, &relay, N);
    let n_doubts = states.get("in_doubt").copied().unwrap_or(0);
    assert!(n_doubts <= 16, "{n_doubts} in doubt after two restarts");
    for daemon in daemons {
        daemon.wait_for_words("ready");
        assert_eq!(daemon.stop().code(), Some(0));
    }
}

#[test]
fn of_eight_first_processes_in_one_folder_one_makes_the_address_key() {
    let database = block_on(Database::empty());
    let relay = relay(0);
    let mut home = Home::unlaunched(relay.port(), "");
    home.set("DATABASE__URL", &database.url());
    let mut all: Vec<Running> = (0..8)
        .map(|n| {
            let address = format!("c{n}@mail.example");
            home.start(&["suppressions", "add", &address, "--why", "asked"])
        })
        .collect();
    for process in &mut all {
        let ended = process.wait();
        assert_eq!(ended.code(), Some(0), "{}", process.words());
    }
    let keys: Vec<_> = std::fs::read_dir(home.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().contains("address-key"))
        .collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    block_on(database.drop());
}

#[test]
fn of_eight_first_machines_one_keeps_its_address_key_and_the_others_hear_why_not() {
    let database = block_on(Database::empty());
    let relay = relay(0);
    let homes: Vec<Home> = (0..8)
        .map(|_| {
            let mut home = Home::unlaunched(relay.port(), "");
            home.set("DATABASE__URL", &database.url());
            home
        })
        .collect();
    let all: Vec<(&Home, Running)> = homes
        .iter()
        .map(|home| {
            let rows = home.path().join("orders.ndjson");
            std::fs::write(&rows, format!("{}\n", teapots("3000", in_days(20)))).expect("a file");
            let rows = rows.to_str().expect("a path in UTF-8");
            (home, home.start(&["import", rows]))
        })
        .collect();
    let mut n_kept = 0;
    for (home, mut process) in all {
        let ended = process.wait();
        let (words, key) = (process.words(), home.address_key());
        if key.exists() {
            assert_eq!(ended.code(), Some(0), "{words}");
            n_kept += 1;
        } else {
            assert_ne!(ended.code(), Some(0), "{words}");
            assert!(words.contains("address key"), "{words}");
        }
    }
    assert_eq!(n_kept, 1);
    block_on(database.drop());
}

#[test]
fn a_server_that_is_not_up_yet_is_waited_for() {
    let relay = relay(0);
    let mut home = Home::live_on_postgres(relay.port(), "");
    // Nobody listens at port 1.
    home.set("DATABASE__URL", "postgres://nobody@127.0.0.1:1/shop");
    let mut daemon = home.serve();
    daemon.wait_for_words("nothing is sent, the database is away");
    assert!(!daemon.has_ended());
    assert_eq!(daemon.stop().code(), Some(0));
    // Who asks by hand is answered at once.
    let (said, ok) = home.run(&["run", "--dry-run"]);
    assert!(!ok && said.contains("cannot open the database"), "{said}");
}
