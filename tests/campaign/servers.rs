//! The server dies: all of it, without an order, or session after session, while
//! the daemon sends. Only on PostgreSQL (`scripts/campaign --on postgres`).

use std::time::Duration;

use crate::auditor::report::Report;
use crate::support::patience::moment;
use crate::support::patience::until;
use crate::support::postgres::OwnServer;
use crate::support::seeded::Seeded;
use crate::world::Peers;
use crate::world::World;

const N: usize = 40;
/// How often the server dies.
const CRASHES: usize = 3;
/// Sessions that are ended one after the other, for as long as mail goes out.
const ENDED_MAX: usize = 120;

/// One session of the program, whichever.
const END_ONE: &str = "
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'backorderd'
ORDER BY random() LIMIT 1";

fn peers(seed: u64) -> Peers {
    Peers {
        seed,
        mail_lies: 150,
        reply_delay: Duration::from_millis(15),
        text_lies: None,
    }
}

fn summary(report: &Report) -> String {
    format!(
        "{} messages, {} copies, {} in doubt, {} lost, {} accepted without copy, {} courtesies \
         twice",
        report.messages,
        report.copies,
        report.doubts,
        report.lost,
        report.sent_without_copy,
        report.courtesies_twice
    )
}

#[test]
fn a_server_that_dies_in_the_middle_of_sending() {
    let (server, url) = OwnServer::start();
    let mut world = World::on_server(&url, N, peers(21));
    world.move_all_dates();
    world.import();
    let mut ended = 0;
    for nth in 0..CRASHES {
        let before = world.relay.n_events();
        let mut running = world.serve();
        until("some mails, or none", || {
            let some = world.relay.n_events() >= before + 7;
            (some || world.home_is_final() || running.has_ended()).then_some(())
        });
        server.call("crash");
        server.call("start");
        world.wait_until_idle(&mut running);
        ended += usize::from(running.has_ended());
        if nth == 1 {
            // And the daemon with it.
            world.kill(running);
        } else if !running.has_ended() {
            running.stop();
        }
        world.later();
    }
    let report = world.must_be_sound("a server that dies");
    println!(
        "{CRASHES} deaths of the server, {ended} ends of the daemon: {}",
        summary(&report)
    );
}

#[test]
fn sessions_that_are_ended_at_random() {
    let mut chance = Seeded::new(22, 0);
    let mut world = World::with_orders(3 * N, peers(22));
    world.move_all_dates();
    world.import();
    let mut running = world.serve();
    let mut ended = 0;
    let mut n_sessions = 0;
    while n_sessions < ENDED_MAX && !(world.relay.n_events() > 0 && world.home_is_final()) {
        moment(Duration::from_micros(chance.next() % 80_000));
        world.home.execute(END_ONE);
        n_sessions += 1;
        if running.has_ended() {
            ended += 1;
            running = world.serve();
        }
    }
    assert!(n_sessions > 10, "only {n_sessions} were ended");
    world.wait_until_idle(&mut running);
    world.kill(running);
    let report = world.must_be_sound("sessions that are ended");
    println!(
        "{n_sessions} sessions ended, {ended} ends of the daemon: {}",
        summary(&report)
    );
}
