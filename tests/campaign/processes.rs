//! Several processes on one file: imports, holds, runs by hand and the daemon,
//! all at once.

use std::time::Duration;

use serde_json::json;

use crate::home::Running;
use crate::home::in_days;
use crate::support::patience::moment;
use crate::support::seeded::Seeded;
use crate::world::Peers;
use crate::world::World;

#[test]
fn imports_holds_and_runs_beside_the_daemon_break_nothing() {
    for seed in [1, 2] {
        let peers = Peers {
            seed,
            mail_lies: 150,
            reply_delay: Duration::from_millis(3),
            text_lies: None,
        };
        let mut world = World::with_orders(24, peers);
        world.move_all_dates();
        world.import();
        let mut chance = Seeded::new(seed, 3);
        let daemon = world.serve();
        let mut beside = Vec::new();
        let mut imports = Vec::new();
        for round in 0..6_u64 {
            for nth in 0..world.rows.len() {
                match chance.next() % 8 {
                    0 => world.ship(nth),
                    1 => {
                        let eta = in_days(31 + 7 * (round + 1));
                        world.change(nth, json!({ "eta_from": eta }));
                    }
                    _ => {}
                }
            }
            // Twice at once, but never an old word of the shop after a new one.
            for mut import in imports.drain(..) {
                Running::wait(&mut import);
            }
            let path = world.write_rows();
            for _ in 0..2 {
                imports.push(world.home.start_as(world.command(&["import", &path])));
            }
            if round % 3 == 1 {
                let words = ["hold", "--why", "a look"];
                beside.push(world.home.start_as(world.command(&words)));
            }
            if round % 2 == 0 {
                beside.push(world.home.start_as(world.command(&["run", "--yes"])));
            }
            moment(Duration::from_micros(chance.next() % 300_000));
            if round % 3 == 2 {
                world.run(&["release"]);
            }
        }
        // Killed with everybody still at it.
        world.kill(daemon);
        for other in beside.into_iter().chain(imports) {
            end_of(other);
        }
        world.run(&["release"]);
        let report = world.must_be_sound(&format!("several processes, seed {seed}"));
        println!(
            "seed {seed}: {} messages, {} copies",
            report.messages, report.copies
        );
    }
}

/// A run by hand looks for a minute whether what is in its way goes away, and
/// then ends: longer than tests wait otherwise.
fn end_of(mut process: Running) {
    for _ in 0..100 {
        if process.has_ended() {
            return;
        }
        moment(Duration::from_secs(1));
    }
    panic!("it does not end: {}", process.words());
}
