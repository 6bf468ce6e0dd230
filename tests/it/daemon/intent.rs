//! The intent to send stands in the database before the dot can leave, and the
//! outcome only after the answer.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::home::Home;
use crate::home::in_days;
use crate::home::orders_of_teapots;
use crate::home::teapots;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;
use crate::support::patience::until;
use crate::support::servers::program;

#[test]
fn while_the_relay_thinks_about_a_message_it_is_submitting_and_nothing_is_told() {
    let relay = LedgerSmtp::start(Manners {
        thinks: Duration::from_secs(3),
        ..Manners::default()
    });
    let home = Home::live(relay.port(), "");
    home.import(&[teapots("1042", in_days(20))]);
    home.import(&[teapots("1042", in_days(31))]);
    let running = home.serve();
    until("the message at the relay", || {
        (relay.accepted().len() == 1).then_some(())
    });
    let now: Vec<(String, i64, i64, i64)> = home.rows(
        "SELECT m.state, m.attempts,
           (SELECT count(*) FROM attempts a WHERE a.message_no = m.no AND a.ended_at IS NULL),
           (SELECT count(*) FROM told t WHERE t.message_no = m.no)
         FROM messages m",
    );
    assert_eq!(now, [("submitting".to_owned(), 1, 1, 0)]);
    home.wait_for_final(1);
    assert_eq!(home.states(), [("sent".to_owned(), 1)].into());
    assert_eq!(running.stop().code(), Some(0));
    assert_eq!(relay.accepted().len(), 1);
}

#[test]
fn a_question_that_fails_ends_the_daemon_and_not_what_is_on_its_way() {
    let relay = LedgerSmtp::start(Manners {
        thinks: Duration::from_secs(3),
        ..Manners::default()
    });
    let home = Home::live(relay.port(), "");
    home.import(&[teapots("1042", in_days(20))]);
    home.import(&[teapots("1042", in_days(31))]);
    let mut running = home.serve();
    until("the message at the relay", || {
        (relay.accepted().len() == 1).then_some(())
    });
    // Looked at every second while something is sent, and no part of a record.
    home.force("ALTER TABLE runs RENAME TO runs_elsewhere");
    until("the end", || running.has_ended().then_some(()));
    assert_eq!(home.states(), [("sent".to_owned(), 1)].into());
    assert_eq!(running.wait().code(), Some(1));
}

/// A system call that matters here.
#[derive(Debug, PartialEq)]
enum Call {
    /// Something reached the write-ahead log, perhaps only in memory.
    Log,
    /// What was in the log is on the disk.
    Sync,
    /// The end of a message left for the relay.
    Dot,
}

fn call(line: &str) -> Option<Call> {
    // `1234 pwrite64(11</home/…/backorderd.db-wal>, …`
    let (_, call) = line.split_once(' ')?;
    let call = call.trim_start();
    let of_log = call.contains("backorderd.db-wal>");
    if call.starts_with("pwrite64(") && of_log {
        Some(Call::Log)
    } else if (call.starts_with("fdatasync(") || call.starts_with("fsync(")) && of_log {
        Some(Call::Sync)
    } else if call.starts_with("sendto(") && call.contains("\\r\\n.\\r\\n\"") {
        Some(Call::Dot)
    } else {
        None
    }
}

#[test]
fn the_intent_is_on_the_disk_before_the_dot_leaves() {
    const N: usize = 10;
    let relay = LedgerSmtp::start(Manners::default());
    let mut home = Home::live(relay.port(), "");
    // One after the other, so that each dot has a commit of its own before it.
    home.set("EMAIL__SESSIONS", "1");
    home.import(&orders_of_teapots(N, in_days(20)));
    home.import(&orders_of_teapots(N, in_days(31)));
    let trace = home.path().join("calls.txt");
    let watched = home.command(&["run", "--yes"]);
    let mut strace = Command::new(program("strace"));
    strace
        .args(["-f", "-qq", "-y", "-s", "65536", "-o"])
        .arg(&trace)
        .args(["-e", "trace=pwrite64,fsync,fdatasync,sendto,write,writev"])
        .arg(watched.get_program())
        .args(watched.get_args())
        .env_clear()
        .envs(
            watched
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let ended = strace.output().expect("start strace");
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(relay.accepted().len(), N);

    let trace = fs::read_to_string(&trace).expect("the calls");
    let calls: Vec<Call> = trace.lines().filter_map(call).collect();
    let n_dots = calls.iter().filter(|call| **call == Call::Dot).count();
    assert_eq!(n_dots, N, "the end of every message is seen");
    for (n, before) in calls.split(|call| *call == Call::Dot).take(N).enumerate() {
        let written = before.iter().rposition(|call| *call == Call::Log);
        let on_disk = before.iter().rposition(|call| *call == Call::Sync);
        assert!(
            written.is_some() && written < on_disk,
            "before dot {n}: {before:?}"
        );
    }
}
