//! Disks that take nothing more. The limit on a file's size stands in for the
//! full disk: writing behind it fails as a full disk's writes do, in the middle
//! of a commit, and without being root.

use crate::home::{Home, Running, in_days, teapots};
use crate::support::ledger_smtp::{LedgerSmtp, Manners};
use crate::support::patience::moment;
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// Kilobytes a file may have in the limited process: enough for the templates
/// that are kept at the start.
const LIMIT_KB: u64 = 500;
/// Orders whose import writes more than that.
const N: i64 = 400;

/// `serve` in a process that cannot write behind the limit.
fn serve_limited(home: &Home) -> Running {
    let serve = home.command(&["serve"]);
    let mut command = Command::new("bash");
    command
        .arg("-c")
        .arg(format!(
            "trap '' XFSZ; ulimit -S -f {LIMIT_KB}; exec \"$0\" \"$@\""
        ))
        .arg(serve.get_program())
        .args(serve.get_args());
    command.env_clear();
    for (name, value) in serve.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    home.start_as(command)
}

fn orders(eta: u64) -> Vec<Value> {
    (0..N)
        .map(|i| teapots(&format!("{}", 1000 + i), in_days(eta)))
        .collect()
}

#[test]
fn a_commit_that_fails_ends_the_process_and_the_next_one_carries_on() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    home.import(&orders(20));
    home.tidy();
    let mut daemon = serve_limited(&home);
    daemon.wait_for_words("ready");
    // The importer is not limited: behind what it writes there is no room.
    home.import(&orders(31));
    assert_eq!(daemon.wait().code(), Some(70), "{}", daemon.words());
    assert!(
        daemon.words().contains("a commit failed"),
        "{}",
        daemon.words()
    );

    let n_sent = relay.accepted().len() as i64;
    let daemon = home.serve();
    home.wait_for_final(N);
    let sent = relay.accepted();
    let n_doubts = home.states().get("in_doubt").copied().unwrap_or(0);
    let mut to: Vec<_> = sent.iter().map(|mail| mail.recipients.clone()).collect();
    to.sort();
    to.dedup();
    assert_eq!(to.len(), sent.len(), "somebody was written to twice");
    assert!(sent.len() as i64 + n_doubts >= N && n_sent <= N);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_disk_that_is_full_at_the_start_is_waited_for() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    // Somebody looks for so long that the log cannot be emptied.
    let _reader = home.look_on();
    home.import(&orders(20));
    home.import(&orders(31));
    let mut daemon = serve_limited(&home);
    daemon.wait_for_words("nothing is sent, the database cannot be written");
    moment(Duration::from_secs(1));
    assert!(!daemon.has_ended() && relay.accepted().is_empty());
    // Room is made.
    let raised = Command::new("prlimit")
        .arg(format!("--pid={}", daemon.id()))
        .arg("--fsize=unlimited:unlimited")
        .status()
        .expect("prlimit, of util-linux");
    assert!(raised.success());
    daemon.wait_for_words("ready");
    home.wait_for_final(N);
    assert_eq!(relay.accepted().len() as i64, N);
    assert_eq!(daemon.stop().code(), Some(0));
}
