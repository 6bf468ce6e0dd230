//! kill -9 at random moments, short lives, small queues, peers that lie.
//!
//! A seed is a shop of its own: how many orders, which lies, when it is
//! killed, whether the next life begins at once or a while later, and when the
//! shop changes its mind or ships in between. Several shops are played at
//! once. All seeds follow from one number; a single one can be played again:
//! `scripts/campaign --seed N`.

use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::auditor::report::Report;
use crate::home::Running;
use crate::home::in_days;
use crate::support::patience::moment;
use crate::support::patience::until;
use crate::support::seeded::Seeded;
use crate::world::MAIL_SESSIONS;
use crate::world::Peers;
use crate::world::TEXT_SESSIONS;
use crate::world::World;
use crate::world::asked;

/// All seeds follow from this one.
const CAMPAIGN: u64 = 0x0bac_02de_2d00_2026;
/// Kills of a run without a size.
const KILLS: usize = 300;
/// Shops played at once: they mostly wait.
const AT_ONCE: usize = 6;

#[derive(Debug, Default)]
struct Sum {
    shops: usize,
    kills: usize,
    messages: usize,
    copies: usize,
    lost: usize,
    accepted_without_copy: usize,
    courtesies_twice: usize,
    thrice: usize,
    twice: usize,
    doubts: usize,
    doubts_a_kill: usize,
    assumed_without_copy: usize,
    failed: Vec<String>,
}

impl Sum {
    fn add(&mut self, kills: usize, report: &Report) {
        self.shops += 1;
        self.kills += kills;
        self.messages += report.messages;
        self.copies += report.copies;
        self.lost += report.lost;
        self.accepted_without_copy += report.sent_without_copy;
        self.courtesies_twice += report.courtesies_twice;
        self.thrice += report.thrice;
        self.twice += report.twice;
        self.doubts += report.doubts;
        self.doubts_a_kill = self.doubts_a_kill.max(report.doubts_a_kill);
        self.assumed_without_copy += report.assumed_without_copy;
    }

    /// Writes the table so far where somebody wants it.
    fn keep(&self) {
        if let Some(path) = asked("TABLE") {
            std::fs::write(path, self.table()).expect("write the table");
        }
    }

    fn table(&self) -> String {
        let mut table = "| what | how many |\n|---|---|\n".to_owned();
        let sessions = MAIL_SESSIONS + TEXT_SESSIONS;
        let rows: [(&str, String); 12] = [
            ("shops (seeds)", self.shops.to_string()),
            ("kills", self.kills.to_string()),
            ("messages", self.messages.to_string()),
            ("copies received", self.copies.to_string()),
            ("lost", self.lost.to_string()),
            (
                "accepted without copy",
                self.accepted_without_copy.to_string(),
            ),
            ("courtesy twice", self.courtesies_twice.to_string()),
            ("must-arrive > 2", self.thrice.to_string()),
            (
                "in doubt max per kill / sessions",
                format!("{} / {sessions}", self.doubts_a_kill),
            ),
            ("must-arrive twice", self.twice.to_string()),
            ("in doubt at some time", self.doubts.to_string()),
            (
                "assumed sent, no copy",
                self.assumed_without_copy.to_string(),
            ),
        ];
        for (name, value) in rows {
            let _ = writeln!(table, "| {name} | {value} |");
        }
        table
    }
}

#[test]
fn kills_and_lies_lose_nothing_and_double_nothing_that_may_not_be() {
    let number = |name: &str| asked(name).map(|text| text.parse::<u64>().expect("a number"));
    if let Some(seed) = number("SEED") {
        let (kills, report) = play(seed);
        println!("seed {seed}: {kills} kills\n{report}");
        assert!(report.is_clean(), "seed {seed}");
        return;
    }
    let wanted = number("KILLS").map_or(KILLS, |kills| usize::try_from(kills).expect("a size"));
    let first = number("FIRST").unwrap_or(0);
    let nth = AtomicU64::new(first);
    let done = AtomicUsize::new(0);
    let sum = Mutex::new(Sum::default());
    thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                while done.load(Ordering::SeqCst) < wanted {
                    let seed = Seeded::new(CAMPAIGN, nth.fetch_add(1, Ordering::SeqCst)).next();
                    let played = catch_unwind(AssertUnwindSafe(|| play(seed)));
                    let mut sum = sum.lock().expect("a sum");
                    match played {
                        Ok((kills, report)) => {
                            done.fetch_add(kills, Ordering::SeqCst);
                            println!("seed {seed}: {kills} kills, {} messages", report.messages);
                            sum.add(kills, &report);
                            if !report.is_clean() {
                                println!("seed {seed}\n{report}");
                                sum.failed.push(format!("seed {seed}\n{report}"));
                            }
                            sum.keep();
                        }
                        Err(_) => {
                            done.fetch_add(1, Ordering::SeqCst);
                            sum.failed.push(format!("seed {seed} came to no end"));
                        }
                    }
                }
            });
        }
    });
    let sum = sum.into_inner().expect("a sum");
    println!("\n{}", sum.table());
    assert!(sum.failed.is_empty(), "{}", sum.failed.join("\n\n"));
}

/// A machine that dies again and again, with little done in between. What was
/// only waiting for its turn is as innocent as ever.
#[test]
fn eight_kills_in_a_row_set_nothing_aside() {
    let peers = Peers {
        reply_delay: Duration::from_millis(5),
        ..Peers::default()
    };
    let mut world = World::with_orders(90, peers);
    world.move_all_dates();
    world.import();
    for _ in 0..8 {
        let before = world.relay.n_events();
        let running = world.serve();
        // The first few go alone; with more, a whole claim waits its turn.
        until("a little progress", || {
            (world.relay.n_events() >= before + 7).then_some(())
        });
        world.kill(running);
    }
    let report = world.must_be_sound("eight kills in a row");
    assert!(report.doubts_a_kill > 0, "never in the middle of sending");
}

/// Plays a seed: how often it killed, and what the auditor says.
fn play(seed: u64) -> (usize, Report) {
    let mut chance = Seeded::new(seed, 1);
    let mut draw = |below: u64| chance.next() % below;
    let n = 24 + usize::try_from(draw(25)).expect("a small number");
    let peers = Peers {
        seed,
        mail_lies: [0, 250, 500][usize::try_from(draw(3)).expect("a small number")],
        reply_delay: Duration::from_millis(1 + draw(7)),
        text_lies: (draw(3) == 0).then_some(300),
    };
    let mut world = World::with_orders(n, peers);
    world.move_all_dates();
    world.import();
    let mut steps = vec![0; n];
    for life in 0..8 + draw(7) {
        let mut running = match draw(5) {
            0 => world.home.start_as(world.command(&["run", "--yes"])),
            _ => world.serve(),
        };
        if life > 0 && draw(2) == 0 {
            for (nth, step) in steps.iter_mut().enumerate() {
                if draw(3) == 0 {
                    *step += 1;
                    next_word(&mut world, nth, *step);
                }
            }
            world.import();
        }
        if draw(4) == 0 {
            // Anywhere, its first moments included.
            moment(Duration::from_micros(draw(400_000)));
        } else {
            let more = usize::try_from(draw(9)).expect("a small number");
            wait_for_events(&world, &mut running, more);
            moment(Duration::from_micros(draw(20_000)));
        }
        world.kill(running);
        if draw(2) == 0 {
            world.later();
        }
    }
    world.run_to_the_end();
    let report = world.audit();
    (world.kills, report)
}

/// What the shop says about an order next: later and later, or sooner and
/// sooner, and at last that it shipped.
fn next_word(world: &mut World, nth: usize, step: u64) {
    let eta = match (nth % 3, step) {
        (_, 4..) => return,
        (_, 3) => return world.ship(nth),
        (1, _) => in_days(10 - 3 * step),
        _ => in_days(31 + 9 * step),
    };
    world.change(nth, json!({ "eta_from": eta }));
}

/// Until the relay has seen so many more, or has rested for a moment.
fn wait_for_events(world: &World, running: &mut Running, more: usize) {
    let enough = world.relay.n_events() + more;
    let mut rests = 0;
    let mut last = 0;
    until("some progress, or none", || {
        let now = world.relay.n_events();
        rests = if now == last { rests + 1 } else { 0 };
        last = now;
        (now >= enough || rests > 30 || running.has_ended()).then_some(())
    });
}
