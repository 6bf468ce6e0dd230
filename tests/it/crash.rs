//! kill -9 in the middle of sending, compared with the peer's ledger.
//!
//! A seed decides when the program is killed and where the relay loses the
//! line. After every kill it is started again, and when nothing more happens
//! by itself, the database is held against what the relay wrote down before
//! it answered. Doubts stay: their quiet period is longer than a test (what
//! ends it is tried with a clock of our own in `daemon::doubt`).

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::Digest;
use sha2::Sha256;

use crate::home::Home;
use crate::home::Running;
use crate::home::in_days;
use crate::home::orders_of_teapots;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;
use crate::support::patience::moment;
use crate::support::patience::until;
use crate::support::seeded::Seeded;

/// Messages a seed.
const N: usize = 200;
/// Open sessions: the most that may be in doubt after a kill.
const SESSIONS: i64 = 4;
/// All seeds follow from this one.
const CAMPAIGN: u64 = 0x0bac_02de_2d00_2026;

/// Four parts, so that both cores have work; a part is five seeds, or as many
/// as it takes to kill 75 times in the long campaign.
fn part(n: u64) {
    let mut kills = 0;
    let mut seeds = (n * 1_000..).map(|nth| Seeded::new(CAMPAIGN, nth).next());
    let mut n_seeds = 0_usize;
    while if is_long() { kills < 75 } else { n_seeds < 5 } {
        let seed = seeds.next().expect("endless seeds");
        kills += survive(seed);
        n_seeds += 1;
    }
    println!("part {n}: {n_seeds} seeds, {kills} kills");
    assert!(
        kills >= n_seeds,
        "too few moments were in the middle of sending"
    );
}

#[test]
fn kills_lose_nothing_and_double_nothing_part_one() {
    part(1);
}
#[test]
fn kills_lose_nothing_and_double_nothing_part_two() {
    part(2);
}
#[test]
fn kills_lose_nothing_and_double_nothing_part_three() {
    part(3);
}
#[test]
fn kills_lose_nothing_and_double_nothing_part_four() {
    part(4);
}

/// A machine that dies again and again, with little done in between. What was
/// only waiting for its turn is as innocent as ever.
#[test]
fn eight_kills_in_a_row_set_nothing_aside() {
    let relay = LedgerSmtp::start(Manners {
        delay: Duration::from_millis(5),
        ..Manners::default()
    });
    let home = Home::live(relay.port(), "");
    let rows = |eta| orders_of_teapots(N, eta);
    home.import(&rows(in_days(20)));
    home.import(&rows(in_days(31)));
    for _ in 0..8 {
        let running = home.serve();
        let before = relay.accepted().len();
        // The first few go alone; with more, a whole claim waits its turn.
        until("a little progress", || {
            (relay.accepted().len() >= before + 7).then_some(())
        });
        running.kill();
    }
    let running = home.serve();
    running.wait_for_words("ready");
    home.wait_for_final(N as i64);
    assert!(running.stop().success());
    audit(&home, &relay, 8);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the size of the campaign is the runner's business"
)]
fn is_long() -> bool {
    std::env::var_os("BACKORDERD_TEST_LONG").is_some()
}

/// Plays a seed; answers how often it killed.
fn survive(seed: u64) -> usize {
    println!("seed {seed:#018x}");
    let mut chance = Seeded::new(seed, u64::MAX);
    let relay = LedgerSmtp::start(Manners {
        seed,
        lost_before_accepting: 10,
        lost_after_accepting: 10,
        ..Manners::default()
    });
    let mut home = Home::live(relay.port(), "");
    home.set("EMAIL__SESSIONS", &SESSIONS.to_string());
    let rows = |eta| orders_of_teapots(N, eta);
    home.import(&rows(in_days(20)));
    home.import(&rows(in_days(31)));

    // The first one is the daemon or a run by hand; what that leaves is the
    // daemon's in either case.
    let mut running = match chance.next() % 2 {
        0 => home.serve(),
        _ => home.start(&["run", "--yes"]),
    };
    let wanted = 1 + chance.next() % 4;
    let mut kills = 0;
    for _ in 0..wanted {
        if !lives_until_its_moment(&mut running, &home, &relay, &mut chance) {
            break;
        }
        running.kill();
        kills += 1;
        running = home.serve();
    }
    if kills == 0 {
        drop(running);
        running = home.serve();
    }
    // It hears a signal only once it is up, and with nothing left to do that
    // may be after the wait.
    running.wait_for_words("ready");
    home.wait_for_final(N as i64);
    let words = running.words();
    assert!(running.stop().success(), "it did not stop well: {words}");
    audit(&home, &relay, kills);
    kills
}

/// Waits for a moment in the middle of sending; `false` when there is none
/// left.
fn lives_until_its_moment(
    running: &mut Running,
    home: &Home,
    relay: &LedgerSmtp,
    chance: &mut Seeded,
) -> bool {
    let from = relay.accepted().len() as u64;
    let enough = from + chance.next() % (N as u64 / 3);
    let comes = until("a moment to kill", || {
        if relay.accepted().len() as u64 >= enough {
            return Some(true);
        }
        let open =
            "SELECT count(*) FROM messages WHERE state IN ('queued', 'leased', 'submitting')";
        let idle = from > 0 && home.number(open) == 0;
        (idle || running.has_ended()).then_some(false)
    });
    // Anywhere between two marks, not only just after an acceptance.
    moment(Duration::from_micros(chance.next() % 25_000));
    comes && !running.has_ended()
}

#[derive(sqlx::FromRow)]
struct Row {
    no: i64,
    state: String,
    recipient: String,
    content_hash: Option<String>,
    header: Option<String>,
    n_attempts: i64,
    n_accepted_told: i64,
    n_possible_told: i64,
}

const ROWS: &str = "
SELECT m.no, m.state, p.recipient, m.content_hash, a.message_id_header AS header,
  (SELECT count(*) FROM attempts x WHERE x.message_no = m.no) AS n_attempts,
  (SELECT count(*) FROM told t WHERE t.message_no = m.no AND t.basis = 'accepted')
    AS n_accepted_told,
  (SELECT count(*) FROM told t WHERE t.message_no = m.no AND t.basis = 'possible')
    AS n_possible_told
FROM messages m JOIN message_private p ON p.message_no = m.no
LEFT JOIN attempts a ON a.message_no = m.no AND a.no = 1";

/// Doubts a dead process left, by process.
const LEFT_IN_DOUBT: &str = "
SELECT count(*) FROM attempts WHERE reply = 'the sender ended before the answer' GROUP BY worker";

/// The database against the ledger.
fn audit(home: &Home, relay: &LedgerSmtp, kills: usize) {
    let accepted = relay.accepted();
    let mut copies: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for copy in &accepted {
        copies.entry(&copy.message_id).or_default().push(copy);
    }
    let rows: Vec<Row> = home.rows(ROWS);
    assert_eq!(rows.len(), N, "every customer is owed one message");
    for row in &rows {
        let no = row.no;
        let id = row.header.as_deref().unwrap_or_default();
        let copies = copies.remove(id).unwrap_or_default();
        assert!(
            copies.len() <= 1,
            "message {no} arrived {} times",
            copies.len()
        );
        assert_eq!(row.n_attempts, 1, "attempts of message {no}");
        match row.state.as_str() {
            "sent" => {
                assert_eq!(copies.len(), 1, "message {no} is `sent` and never arrived");
                assert_eq!((row.n_accepted_told, row.n_possible_told), (1, 0), "{no}");
            }
            "in_doubt" => {
                assert_eq!((row.n_accepted_told, row.n_possible_told), (0, 1), "{no}");
            }
            other => panic!("message {no} ended {other}"),
        }
        for copy in copies {
            assert_eq!(copy.recipients, [row.recipient.as_str()], "message {no}");
            let hash: String = Sha256::digest(relay.mail(copy))
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(
                Some(&hash),
                row.content_hash.as_ref(),
                "words of message {no}"
            );
        }
    }
    assert!(copies.is_empty(), "arrived and not known: {copies:?}");

    let left: Vec<(i64,)> = home.rows(LEFT_IN_DOUBT);
    assert!(
        left.len() <= kills,
        "doubts of {} dead, killed {kills}",
        left.len()
    );
    for (n,) in &left {
        assert!(*n <= SESSIONS, "{n} in doubt after one kill");
    }
    home.assert_whole();
    let in_doubt = rows.iter().filter(|row| row.state == "in_doubt").count();
    println!(
        "  {kills} kills, {} accepted, {in_doubt} in doubt, of them left by the dead {:?}",
        accepted.len(),
        left.iter().map(|(n,)| n).collect::<Vec<_>>()
    );
}
