//! Templates that are edited while the daemon runs.

use std::fs;

use crate::home::Home;

#[test]
fn edited_templates_are_in_force_within_seconds_and_broken_ones_are_named() {
    // Nothing is sent: nobody listens there.
    let home = Home::live(9, "[templates]\ndir = \"words\"\n");
    let file = home.path().join("words/en/delay/sms.hbs");
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    let write = |words: &str| fs::write(&file, words).expect("write a template");
    write("{{#if");
    let daemon = home.serve();
    daemon.wait_for_words("the built-in one is used");

    write("{{shop.name}}: order {{order.number}} ships later.");
    daemon.wait_for_words("templates were changed and are in force");
    write("{{shop.name}}: order {{order.nubmer}} ships later.");
    daemon.wait_for_words("its last good version is used");
    assert!(daemon.stop().success());
}
