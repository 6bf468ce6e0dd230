//! The storm brake, where a person is in a hurry.

use crate::home::Home;
use crate::home::in_days;
use crate::home::orders_of_teapots;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;

#[test]
fn a_yes_answers_the_question_and_not_the_brake() {
    let relay = LedgerSmtp::start(Manners::default());
    let mut home = Home::live(relay.port(), "");
    home.set("BRAKE__PER_HOUR", "3");
    home.import(&orders_of_teapots(12, in_days(20)));
    home.import(&orders_of_teapots(12, in_days(31)));
    let said = home.ok(&["run", "--yes"]);
    assert_eq!(relay.accepted().len(), 0, "{said}");
    let held = "SELECT count(*) FROM messages WHERE state = 'queued' AND held = TRUE";
    assert_eq!(home.number(held), 12, "{said}");
    assert!(said.contains("runs approve"), "{said}");
}
