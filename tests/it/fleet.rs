//! Three daemons on one PostgreSQL database, and a seed that says when one of
//! them is killed and when another is stopped for longer than its heartbeat is
//! good for, and then continued. What they leave is done by the others; in the
//! end the database is held against what the relay wrote down.

use crate::home::Home;
use crate::home::Running;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::patience::until;
use crate::support::seeded::Seeded;
use crate::workers::SETTINGS;
use crate::workers::audit;
use crate::workers::owe;
use crate::workers::relay;
use crate::workers::serve;

/// Open sessions of a worker: the most it may leave in doubt.
const SESSIONS: i64 = 4;
/// Everything follows from this one.
const CAMPAIGN: u64 = 0x0bac_02de_2d00_2027;

/// How much is played.
struct Size {
    messages: u32,
    moments: u32,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the size of the campaign is the runner's business"
)]
fn size() -> Size {
    match std::env::var_os("BACKORDERD_TEST_LONG") {
        Some(_) => Size {
            messages: 20_000,
            moments: 20,
        },
        None => Size {
            messages: 1_500,
            moments: 4,
        },
    }
}

/// The daemons that live, and what the dead had said.
struct Fleet<'h> {
    home: &'h Home,
    living: Vec<Running>,
    words: Vec<String>,
    n_started: u32,
}

impl<'h> Fleet<'h> {
    fn start(home: &'h Home) -> Fleet<'h> {
        let mut fleet = Fleet {
            home,
            living: Vec::new(),
            words: Vec::new(),
            n_started: 0,
        };
        for _ in 0..3 {
            fleet.join();
        }
        fleet
    }

    fn join(&mut self) {
        self.n_started += 1;
        let name = format!("worker-{}", self.n_started);
        self.living.push(serve(self.home, &name));
    }

    fn take(&mut self, chance: &mut Seeded) -> Running {
        let n = chance.next() % self.living.len() as u64;
        self.living.swap_remove(n as usize)
    }

    /// One dies, one sleeps for too long and ends when it wakes; two others
    /// come in their places.
    fn suffer(&mut self, chance: &mut Seeded) {
        let killed = self.take(chance);
        self.words.push(killed.words());
        killed.kill();
        let mut stopped = self.take(chance);
        stopped.freeze(self.home);
        let others = &self.living[0];
        let n_before = takeovers(&others.words());
        // Both are found dead by whoever looks first; the newcomers may, too.
        self.join();
        self.join();
        until("the dead to be forgotten", || {
            (self.home.number("SELECT count(*) FROM workers") == 3).then_some(())
        });
        assert!(takeovers(&self.living[0].words()) >= n_before);
        stopped.signal("CONT");
        let ended = stopped.wait();
        let words = stopped.words();
        assert_eq!(ended.code(), Some(70), "{words}");
        assert!(words.contains("others declared it dead"), "{words}");
        self.words.push(words);
    }
}

fn takeovers(words: &str) -> usize {
    words.matches("took over what another process left").count()
}

fn n_final(home: &Home) -> i64 {
    home.number(
        "SELECT count(*) FROM messages WHERE state NOT IN ('queued', 'leased', 'submitting')",
    )
}

fn in_doubt(home: &Home) -> i64 {
    home.number("SELECT count(*) FROM messages WHERE state = 'in_doubt'")
}

/// So many mails have arrived; the wait is as long as there is progress.
fn until_arrived(relay: &LedgerSmtp, enough: usize) {
    let mut seen = relay.accepted().len();
    while seen < enough {
        until("the next mail", || {
            (relay.accepted().len() > seen).then_some(())
        });
        seen = relay.accepted().len();
    }
}

#[test]
fn the_dead_and_the_sleepers_lose_nothing_and_double_nothing() {
    let Size { messages, moments } = size();
    println!("seed {CAMPAIGN:#018x}, {messages} messages, {moments} moments");
    let mut chance = Seeded::new(CAMPAIGN, 0);
    let relay = relay(20);
    let mut home = Home::live_on_postgres(relay.port(), SETTINGS);
    home.set("EMAIL__SESSIONS", &SESSIONS.to_string());
    home.set("LOG__LEVEL", "debug");
    // Owed since long ago: whoever starts fires it at once.
    home.execute("INSERT INTO job_ticks (job, last_due) VALUES ('nightly', 0)");
    owe(&home, messages);
    let mut fleet = Fleet::start(&home);

    // One moment in each part of the queue.
    let part = u64::from(messages) * 9 / 10 / u64::from(moments);
    println!("moment   arrived  in doubt");
    for n in 0..u64::from(moments) {
        let enough = n * part + chance.next() % (part * 3 / 4) + 1;
        until_arrived(&relay, enough as usize);
        let before = in_doubt(&home);
        fleet.suffer(&mut chance);
        let new = in_doubt(&home) - before;
        println!("{:>6} {:>9} {:>9}", n + 1, enough, new);
        assert!(
            new <= 2 * SESSIONS,
            "{new} in doubt from two times {SESSIONS} sessions"
        );
    }
    let mut done = n_final(&home);
    while done < i64::from(messages) {
        until("the next message to be final", || {
            (n_final(&home) > done).then_some(())
        });
        done = n_final(&home);
    }
    let states = audit(&home, &relay, messages);
    println!("{states:?}");

    let Fleet {
        living, mut words, ..
    } = fleet;
    for mut daemon in living {
        daemon.signal("TERM");
        assert_eq!(daemon.wait().code(), Some(0));
        words.push(daemon.words());
    }
    let ticks = words
        .iter()
        .flat_map(|words| words.lines())
        .filter(|line| line.contains("took a tick") && line.contains("nightly"))
        .count();
    assert_eq!(ticks, 1, "the tick was taken {ticks} times");
}
