//! A shop, its peers that may lie, and a clock that can be put forward: what
//! every part of the campaign plays in, and how each of them ends.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::process::ExitStatus;
use std::time::Duration;

use backorderd::clock::Clock;
use backorderd::clock::SystemClock;
use chrono::NaiveDate;
use serde_json::Value;
use serde_json::json;

use crate::auditor::evidence;
use crate::auditor::report::Report;
use crate::auditor::report::audit;
use crate::auditor::rules::Limits;
use crate::gateway::LyingGateway;
use crate::home::Home;
use crate::home::Running;
use crate::home::block_on;
use crate::home::but;
use crate::home::in_days;
use crate::home::teapots;
use crate::support::lying_smtp::LyingSmtp;
use crate::support::patience::moment;
use crate::support::patience::until;
use crate::support::servers;

/// Open connections to the relay.
pub const MAIL_SESSIONS: usize = 4;
/// And to the gateway.
pub const TEXT_SESSIONS: usize = 2;
/// Past every quiet period and most pauses before another try.
const A_WHILE_SECS: u64 = 16 * 60;
/// Lives after which everything has to be final.
const LIVES_MAX: usize = 24;

/// How the peers behave.
#[derive(Debug, Clone, Copy, Default)]
pub struct Peers {
    pub seed: u64,
    /// Connections of a thousand that lie.
    pub mail_lies: u16,
    pub reply_delay: Duration,
    /// Requests of a thousand answered with a lie; `None`: no texts at all.
    pub text_lies: Option<u16>,
}

pub struct World {
    pub home: Home,
    pub relay: LyingSmtp,
    gateway: Option<LyingGateway>,
    /// What the shop says, as imported last.
    pub rows: Vec<Value>,
    /// Whether that is what was imported last.
    is_taken_in: bool,
    /// Seconds the clock of what is started now is put forward.
    pub ahead_secs: u64,
    /// More for the environment of what is started now.
    pub variables: Vec<(String, String)>,
    pub kills: usize,
    /// Looks without any change after which nobody is thought to go on with
    /// what is due: longer than a peer is silent before an answer is given up.
    rests_max: u32,
}

impl World {
    /// A shop with `n` waiting orders, due in 20 days as everybody knows.
    pub fn with_orders(n: usize, peers: Peers) -> World {
        World::with_orders_due(in_days(20), n, peers)
    }

    /// The same, due on another day.
    pub fn with_orders_due(eta: NaiveDate, n: usize, peers: Peers) -> World {
        World::with_home(eta, n, peers, Home::live)
    }

    /// As [`World::with_orders`], on a server of the test's own.
    pub fn on_server(url: &str, n: usize, peers: Peers) -> World {
        World::with_home(in_days(20), n, peers, |port, more| {
            // The dead are found in a test's time.
            let alive = "[workers]\nalive = \"3s\"\n";
            Home::live_at(url, port, &format!("{more}{alive}"))
        })
    }

    fn with_home(
        eta: NaiveDate,
        n: usize,
        peers: Peers,
        live: impl FnOnce(u16, &str) -> Home,
    ) -> World {
        let relay = LyingSmtp::start(peers.seed, peers.mail_lies, peers.reply_delay);
        let gateway = peers
            .text_lies
            .map(|lies| LyingGateway::start(peers.seed, lies));
        let texts = gateway.as_ref().map(LyingGateway::settings);
        // A relay that says nothing is given up soon.
        let limits = "[email.limits]\nbody = \"1s\"\ndot = \"1s\"\n";
        let more = format!("{limits}{}", texts.unwrap_or_default());
        let mut home = live(relay.port(), &more);
        let on_server = home.place().contains("://");
        home.set("EMAIL__SESSIONS", &MAIL_SESSIONS.to_string());
        let has_texts = gateway.is_some();
        let row = |n: usize| {
            let row = teapots(&(3000 + n).to_string(), eta);
            if has_texts && n.is_multiple_of(3) {
                let phone = format!("+4474001{n:05}");
                let wish = json!({
                    "phone": phone, "sms_consent": true, "preferred_channel": "sms",
                    "country": "GB",
                });
                return but(row, wish);
            }
            row
        };
        let mut world = World {
            home,
            relay,
            gateway,
            rows: (0..n).map(row).collect(),
            is_taken_in: false,
            ahead_secs: 0,
            variables: Vec::new(),
            kills: 0,
            // Where nobody lies, only the machine can be slow; on a server the
            // dead have three seconds first.
            rests_max: if peers.mail_lies > 0 && !on_server {
                60
            } else {
                200
            },
        };
        world.import();
        world
    }

    /// The shop's word on the `n`-th order changes.
    pub fn change(&mut self, n: usize, columns: Value) {
        self.rows[n] = but(self.rows[n].clone(), columns);
        self.is_taken_in = false;
    }

    /// Every order has news: two of three are late, one is sooner.
    pub fn move_all_dates(&mut self) {
        for n in 0..self.rows.len() {
            let eta = in_days(if n % 3 == 1 { 10 } else { 31 });
            self.change(n, json!({ "eta_from": eta }));
        }
    }

    pub fn ship(&mut self, n: usize) {
        self.change(n, json!({"status": "shipped", "quantity_shipped": 2}));
    }

    /// A command on this shop, at the time it is there.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        if self.ahead_secs > 0 {
            let library = servers::folder().join("faketime/libfaketimeMT.so.1");
            assert!(
                library.is_file(),
                "no libfaketime: run scripts/servers first"
            );
            command
                .env("LD_PRELOAD", library)
                .env("FAKETIME", format!("+{}", self.ahead_secs))
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command
    }

    /// Runs a command to its end: what it said, and how it ended.
    pub fn run(&self, args: &[&str]) -> (String, ExitStatus) {
        let ended = self.command(args).output().expect("start backorderd");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let printed = text(&ended.stdout) + &text(&ended.stderr);
        (printed, ended.status)
    }

    pub fn write_rows(&self) -> String {
        let path = self.home.path().join("orders.ndjson");
        let lines: String = self.rows.iter().map(|row| format!("{row}\n")).collect();
        fs::write(&path, lines).expect("write the orders");
        path.to_str().expect("a path in UTF-8").to_owned()
    }

    /// Imports what the shop says; answers whether the import was killed.
    pub fn import(&mut self) -> bool {
        let path = self.write_rows();
        let (printed, ended) = self.run(&["import", &path]);
        let killed = ended.signal() == Some(9);
        assert!(killed || ended.success(), "import: {printed}");
        self.is_taken_in = !killed;
        killed
    }

    pub fn serve(&self) -> Running {
        self.home.start_as(self.command(&["serve"]))
    }

    pub fn kill(&mut self, running: Running) {
        let pid = running.id();
        running.kill();
        self.kills += 1;
        forget_clock(pid);
    }

    /// From now on it is a while later.
    pub fn later(&mut self) {
        self.ahead_secs += A_WHILE_SECS;
    }

    // ---- the end ----

    /// Everything that changes while somebody works.
    fn state_of_things(&self) -> (Vec<(String, i64)>, i64, usize) {
        let states = self.home.states().into_iter().collect();
        let begun = "SELECT coalesce(max(id), 0) FROM attempts";
        (states, self.home.number(begun), self.relay.n_events())
    }

    /// Waits until nothing has changed for a moment, or it has ended.
    ///
    /// Whether there is work is part of what must not have changed: its
    /// questions are asked one after the other, and what moves from one to the
    /// other meanwhile is seen by none.
    pub fn wait_until_idle(&self, running: &mut Running) {
        let mut last = None;
        let mut same = 0;
        until("a moment of rest", || {
            if running.has_ended() {
                return Some(());
            }
            moment(Duration::from_millis(40));
            let has_work = self.has_work();
            let now = Some((has_work, self.state_of_things()));
            same = if now == last { same + 1 } else { 0 };
            last = now;
            let rests = if has_work { self.rests_max } else { 9 };
            (same >= rests).then_some(())
        });
    }

    fn n_in(&self, states: &str) -> i64 {
        let states: Vec<&str> = states.split(", ").collect();
        let found = self.home.states();
        let of = |s: &&str| found.get(s.trim_matches('\'')).copied().unwrap_or(0);
        states.iter().map(of).sum()
    }

    /// Whether something is on its way, or due.
    fn has_work(&self) -> bool {
        if self.n_in("'leased', 'submitting'") > 0 {
            return true;
        }
        let ahead = i64::try_from(self.ahead_secs).unwrap_or(0) * 1_000;
        let now = SystemClock.now().0 + ahead;
        let due = "SELECT coalesce(min(due_at), 9000000000000000) FROM messages \
                   WHERE state = 'queued'";
        let review = "SELECT coalesce(min(next_review_at), 9000000000000000) FROM orders";
        self.home.number(due) <= now || self.home.number(review) <= now
    }

    /// Whether nothing is on its way or waits for its turn.
    pub fn home_is_final(&self) -> bool {
        self.n_in("'queued', 'leased', 'submitting'") == 0
    }

    /// One life that ends in order.
    pub fn live_in_peace(&mut self) {
        let mut running = self.serve();
        until("a daemon that is up", || {
            let up = running.words().contains("ready") || running.has_ended();
            up.then_some(())
        });
        self.wait_until_idle(&mut running);
        let words = running.words();
        assert!(!running.has_ended(), "it ended by itself: {words}");
        assert!(running.stop().success(), "it did not stop well: {words}");
    }

    /// On a healthy machine, until nothing more happens by itself.
    pub fn run_to_the_end(&mut self) {
        self.variables.clear();
        if !self.is_taken_in {
            let killed = self.import();
            assert!(!killed, "nobody kills it any more");
        }
        for _ in 0..LIVES_MAX {
            self.live_in_peace();
            if !self.has_work() && self.n_in("'queued', 'leased', 'submitting', 'in_doubt'") == 0 {
                return;
            }
            self.later();
        }
        panic!("still not final: {:?}", self.home.states());
    }

    /// Has it audited.
    pub fn audit(&self) -> Report {
        let limits = Limits {
            sessions: MAIL_SESSIONS + self.gateway.as_ref().map_or(0, |_| TEXT_SESSIONS),
            kills: None,
        };
        audit_home(&self.home, &self.ledgers(), limits)
    }

    pub fn ledgers(&self) -> Vec<&Path> {
        let texts = self.gateway.as_ref().map(LyingGateway::folder);
        std::iter::once(self.relay.folder()).chain(texts).collect()
    }

    /// To the end, audited; a broken rule is the test's failure.
    pub fn must_be_sound(&mut self, what: &str) -> Report {
        self.run_to_the_end();
        let report = self.audit();
        assert!(report.is_clean(), "{what}\n{report}");
        report
    }
}

fn audit_home(home: &Home, ledgers: &[&Path], limits: Limits) -> Report {
    let read = block_on(evidence::read_database(&home.place()));
    let mut found = read.expect("a readable database");
    for ledger in ledgers {
        // No mail was ever offered.
        if ledger.join("ledger.ndjson").exists() {
            let copies = evidence::read_ledger(ledger).expect("a readable ledger");
            found.copies.push(copies);
        }
    }
    let shop = evidence::read_shop(&home.path().join("orders.ndjson"));
    found.shop = Some(shop.expect("the shop's last word"));
    audit(&found, limits)
}

/// What the runner wants of the campaign, by name.
#[expect(
    clippy::disallowed_methods,
    reason = "the size of the campaign is the runner's business"
)]
pub fn asked(name: &str) -> Option<String> {
    std::env::var(format!("BACKORDERD_CAMPAIGN_{name}")).ok()
}

/// What libfaketime shares between processes outlives one that was killed.
pub fn forget_clock(pid: u32) {
    for name in [
        format!("/dev/shm/faketime_shm_{pid}"),
        format!("/dev/shm/sem.faketime_sem_{pid}"),
    ] {
        let _ = fs::remove_file(name);
    }
}
