//! The wall clock jumps while the daemon runs: a day, ten years, summer time.

use std::fs;
use std::time::Duration;

use backorderd::clock::Clock;
use backorderd::clock::SystemClock;
use chrono::DateTime;
use chrono::Utc;
use serde_json::json;

use crate::home::in_days;
use crate::support::patience::until;
use crate::support::servers;
use crate::world::Peers;
use crate::world::World;

const N: usize = 18;
/// How long the daemon works before clocks are changed.
const SECONDS_BEFORE: i64 = 4;

/// Plays one jump: the clock is moved when some mails are out, and is right
/// again in the next life.
fn survives(after: &str) {
    let before = "+0";
    let mut world = World::with_orders(
        N,
        Peers {
            seed: 11,
            mail_lies: 200,
            reply_delay: Duration::from_millis(8),
            text_lies: None,
        },
    );
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
    // What is due by the clock it has now is work.
    let days = after
        .strip_prefix('+')
        .and_then(|days| days.strip_suffix('d'));
    world.ahead_secs = days.and_then(|days| days.parse().ok()).unwrap_or(0) * 86_400;
    world.wait_until_idle(&mut running);
    world.ahead_secs = 0;
    let words = running.words();
    assert!(!running.has_ended(), "{after}: it ended: {words}");
    // Its own log says what time it took it to be.
    let day = |line: Option<&str>| line.and_then(|line| Some(line.split_once('T')?.0.to_owned()));
    let (first, last) = (day(words.lines().next()), day(words.lines().next_back()));
    assert_ne!(first, last, "the clock did not move: {words}");
    world.kill(running);
    let report = world.must_be_sound(&format!("the clock went by {after}"));
    println!("{after}: {} copies", report.copies);
}

#[test]
fn a_day_forward() {
    survives("+1d");
}
#[test]
fn a_day_back() {
    survives("-1d");
}
#[test]
fn ten_years_forward() {
    survives("+3650d");
}
#[test]
fn ten_years_back() {
    survives("-3650d");
}

/// Mails go out while the clocks of a zone are changed.
fn survives_a_change_of(zone: &str, at: &str) {
    let at: DateTime<Utc> = at.parse().expect("an instant");
    let ahead = at.timestamp() - SystemClock.now().0 / 1_000 - SECONDS_BEFORE;
    let ahead = u64::try_from(ahead).expect("an instant to come");
    let days = ahead / 86_400;
    let peers = Peers {
        seed: 12,
        mail_lies: 200,
        reply_delay: Duration::from_millis(60),
        text_lies: None,
    };
    let mut world = World::with_orders_due(in_days(days + 20), N, peers);
    world.home.set("SHOP__ZONE", zone);
    // A changed setting is looked at before there is news, or a person would
    // have to approve the news.
    world.live_in_peace();
    let now = || SystemClock.now().0 / 1_000;
    let to_go = at.timestamp() - now() - SECONDS_BEFORE;
    world.ahead_secs = u64::try_from(to_go).expect("an instant to come");
    let ahead = world.ahead_secs.cast_signed();
    for n in 0..N {
        world.change(n, json!({ "eta_from": in_days(days + 40) }));
    }
    world.import();
    let mut running = world.serve();
    until("the changed clock", || {
        (now() + ahead > at.timestamp() || running.has_ended()).then_some(())
    });
    for n in 0..N / 2 {
        world.change(n, json!({ "eta_from": in_days(days + 60) }));
    }
    world.import();
    world.wait_until_idle(&mut running);
    assert!(!running.has_ended(), "it ended: {}", running.words());
    world.kill(running);
    let report = world.must_be_sound(&format!("{zone} changed its clocks"));
    println!("{zone}, {at}: {} copies", report.copies);
}

#[test]
fn summer_time_begins() {
    survives_a_change_of("Europe/Berlin", "2027-03-28T01:00:00Z");
}
#[test]
fn summer_time_ends() {
    survives_a_change_of("Europe/Berlin", "2027-10-31T01:00:00Z");
}
