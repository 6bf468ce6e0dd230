//! What ends a doubt, with a clock of our own: the quiet period is longer
//! than anybody wants to wait for a test.

use backorderd::clock::Clock;
use backorderd::clock::SettableClock;
use backorderd::clock::SystemClock;
use backorderd::domain::time::Length;
use serde_json::json;

use super::life::Lives;
use crate::home::Home;
use crate::home::but;
use crate::home::in_days;
use crate::home::teapots;
use crate::support::ledger_smtp::LedgerSmtp;
use crate::support::ledger_smtp::Manners;

fn states(home: &Home) -> Vec<String> {
    home.rows::<(String, String, Option<String>, i64)>(
        "SELECT kind, state, settled_by, attempts FROM messages ORDER BY kind",
    )
    .into_iter()
    .map(|(kind, state, by, attempts)| {
        let by = by.unwrap_or_else(|| "answer".to_owned());
        format!("{kind} {state} {by} {attempts}")
    })
    .collect()
}

fn told(home: &Home) -> Vec<String> {
    home.rows::<(String,)>(
        "SELECT basis FROM told WHERE message_no IS NOT NULL ORDER BY line_id, seq",
    )
    .into_iter()
    .map(|(basis,)| basis)
    .collect()
}

#[test]
fn after_the_quiet_period_what_must_arrive_goes_once_more_and_courtesy_is_assumed() {
    // Takes everything and never says so.
    let silent = LedgerSmtp::start(Manners {
        lost_after_accepting: 1_000,
        ..Manners::default()
    });
    let mut home = Home::live(silent.port(), "");
    let late = json!({"eta_from": in_days(31)});
    let near = json!({"eta_from": in_days(10)});
    let before = [teapots("1042", in_days(20)), teapots("1043", in_days(20))];
    home.import(&before);
    // One hears of a delay (which must arrive), one of an earlier date.
    let [delayed, sooner] = before;
    home.import(&[but(delayed, late), but(sooner, near)]);

    let lives = Lives::from(SettableClock::at(SystemClock.now()));
    lives.once(&home);
    assert_eq!(silent.accepted().len(), 2);
    assert_eq!(
        states(&home),
        ["delay in_doubt answer 1", "sooner in_doubt answer 1"]
    );
    assert_eq!(told(&home), ["possible", "possible"]);

    // The relay is itself again, and nobody hurries.
    let relay = LedgerSmtp::start(Manners::default());
    home.set("EMAIL__PORT", &relay.port().to_string());
    lives.clock.advance(Length::mins(14));
    lives.once(&home);
    assert_eq!(relay.accepted().len(), 0, "too early");

    lives.clock.advance(Length::mins(2));
    lives.once(&home);
    let second = relay.accepted();
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].recipients, ["customer-1042@accept.example"]);
    let first = silent.accepted();
    let first = first.iter().find(|m| m.recipients == second[0].recipients);
    let first = first.expect("the first copy");
    assert_eq!(first.message_id, second[0].message_id);
    assert_eq!(first.from, second[0].from, "the same envelope sender");
    assert_eq!(
        first.sha256, second[0].sha256,
        "the same letter to the byte"
    );
    assert_eq!(
        states(&home),
        ["delay sent answer 2", "sooner sent assumed 1"]
    );
    assert_eq!(told(&home), ["possible", "accepted", "possible", "assumed"]);

    // And then there is silence.
    lives.clock.advance(Length::mins(20));
    lives.once(&home);
    assert_eq!(relay.accepted().len(), 1);
}

#[test]
fn a_second_doubt_about_what_must_arrive_is_assumed_and_not_tried_a_third_time() {
    let silent = LedgerSmtp::start(Manners {
        lost_after_accepting: 1_000,
        ..Manners::default()
    });
    let home = Home::live(silent.port(), "");
    home.import(&[teapots("1042", in_days(20))]);
    home.import(&[teapots("1042", in_days(31))]);
    let lives = Lives::from(SettableClock::at(SystemClock.now()));
    for (n_copies, state) in [
        (1, "delay in_doubt answer 1"),
        (2, "delay in_doubt answer 2"),
        (2, "delay sent assumed 2"),
        (2, "delay sent assumed 2"),
    ] {
        lives.once(&home);
        assert_eq!(silent.accepted().len(), n_copies);
        assert_eq!(states(&home), [state]);
        lives.clock.advance(Length::mins(16));
    }
}
