//! Two daemons on one database: one sends, the other waits its turn.

use crate::home::Home;
use crate::home::in_days;
use crate::home::teapots;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;

#[test]
fn the_second_one_waits_and_takes_over_when_the_first_is_gone() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    home.import(&[teapots("1042", in_days(20))]);
    let first = home.serve();
    first.wait_for_words("ready");
    let second = home.serve();
    second.wait_for_words("another process sends from this database; waiting for it");
    second.wait_for_words(&format!("pid={}", first.id()));

    home.import(&[teapots("1042", in_days(31))]);
    home.wait_for_final(1);
    assert!(!second.words().contains("ready"), "{}", second.words());
    // Killed, not stopped: the lock goes with the process.
    first.kill();
    second.wait_for_words("ready");
    home.import(&[teapots("1042", in_days(42))]);
    home.wait_for_final(2);
    assert_eq!(relay.accepted().len(), 2);
    assert_eq!(second.stop().code(), Some(0));
}

#[test]
fn one_that_waits_can_be_stopped() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    home.import(&[teapots("1042", in_days(20))]);
    let first = home.serve();
    first.wait_for_words("ready");
    let second = home.serve();
    second.wait_for_words("waiting for it");
    assert_eq!(second.stop().code(), Some(0));
}
