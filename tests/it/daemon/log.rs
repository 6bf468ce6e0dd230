//! What the daemon's log can be searched for.

use crate::home::Home;
use crate::home::in_days;
use crate::home::teapots;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;

#[test]
fn messages_are_found_by_their_order_and_refused_files_are_named() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    home.import(&[teapots("1042", in_days(20))]);
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    home.import(&[teapots("1042", in_days(31))]);
    home.wait_for_final(1);
    daemon.wait_for_words("order=\"1042\"");
    assert_eq!(daemon.stop().code(), Some(0));

    let bad = home.path().join("bad.csv");
    std::fs::write(&bad, "line_id,order_number,status\na,1042,lost\n").expect("write a file");
    let (words, is_done) = home.run(&["import", bad.to_str().expect("a path in UTF-8")]);
    assert!(!is_done, "{words}");
    let daemon = home.serve();
    daemon.wait_for_words("a file from the shop was not taken in");
    daemon.wait_for_words("bad.csv");
    assert_eq!(daemon.stop().code(), Some(0));
}
