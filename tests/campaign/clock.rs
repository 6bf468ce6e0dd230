//! The wall clock jumps while the daemon runs: a day, ten years, summer time.

use std::fs;

use crate::support::patience::until;
use crate::support::servers;
use crate::world::Peers;
use crate::world::World;

const N: usize = 18;

/// Plays one jump: the clock is moved when some mails are out, and is right
/// again in the next life.
fn survives(before: &str, after: &str, zone: &str) {
    let mut world = World::with_orders(
        N,
        Peers {
            seed: 11,
            mail_lies: 200,
            reply_delay: std::time::Duration::from_millis(8),
            text_lies: None,
        },
    );
    world.home.set("SHOP__ZONE", zone);
    world.move_all_dates();
    world.import();
    let time = world.home.path().join("time");
    fs::write(&time, before).expect("set the clock");
    let library = servers::folder().join("faketime/libfaketimeMT.so.1");
    assert!(
        library.is_file(),
        "no libfaketime: run scripts/servers first"
    );
    let path = |path: &std::path::Path| path.to_str().expect("a path in UTF-8").to_owned();
    world.variables = vec![
        ("LD_PRELOAD".to_owned(), path(&library)),
        ("FAKETIME_TIMESTAMP_FILE".to_owned(), path(&time)),
        ("FAKETIME_NO_CACHE".to_owned(), "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
    ];
    let mut running = world.serve();
    until("some mails", || {
        (world.relay.n_events() >= 6 || running.has_ended()).then_some(())
    });
    fs::write(&time, after).expect("move the clock");
    world.wait_until_idle(&mut running);
    let words = running.words();
    assert!(
        !running.has_ended(),
        "{before} to {after}: it ended: {words}"
    );
    world.kill(running);
    let report = world.must_be_sound(&format!("the clock went from {before} to {after}"));
    println!("{before} to {after} ({zone}): {} copies", report.copies);
}

#[test]
fn a_day_forward() {
    survives("+0", "+1d", "UTC");
}
#[test]
fn a_day_back() {
    survives("+0", "-1d", "UTC");
}
#[test]
fn ten_years_forward() {
    survives("+0", "+3650d", "UTC");
}
#[test]
fn ten_years_back() {
    survives("+0", "-3650d", "UTC");
}
