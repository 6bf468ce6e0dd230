//! What each promise came to on each back end, for `scripts/promises`.
//!
//! A case is written down when it begins and when it held, so one that broke
//! off is seen. What only one engine can promise is in a list with the reason;
//! it is not played on the other, and is not said to hold there.

use super::stage::BackEnd;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// Names the file they are written to; without it nothing is.
const FILE: &str = "BACKORDERD_TEST_PROMISES";

const NO_CONNECTION: &str = "a file has no connection to lose";
const NO_SERVER: &str = "nobody takes a transaction back on a file: writers take turns";

/// Promises of one engine only, and why the other one cannot make them.
const ONE_ENGINE: &[(&str, BackEnd, &str)] = &[
    (
        "while_every_connection_for_questions_is_taken_what_is_written_is_written",
        BackEnd::Postgres,
        "nobody can keep a file's readers waiting; that none is free is tried beside the readers",
    ),
    (
        "a_connection_lost_between_verbs_is_replaced",
        BackEnd::Postgres,
        NO_CONNECTION,
    ),
    (
        "a_commit_is_counted_once_wherever_it_was_cut_off",
        BackEnd::Postgres,
        NO_CONNECTION,
    ),
    (
        "a_mark_and_a_record_are_counted_once_wherever_they_were_cut_off",
        BackEnd::Postgres,
        NO_CONNECTION,
    ),
    (
        "a_mark_and_a_record_take_two_trips",
        BackEnd::Postgres,
        NO_CONNECTION,
    ),
    (
        "marks_and_records_that_are_cut_off_again_and_again_happen_once_each",
        BackEnd::Postgres,
        NO_CONNECTION,
    ),
    (
        "verbs_that_are_cut_off_again_and_again_happen_once_each",
        BackEnd::Postgres,
        NO_CONNECTION,
    ),
    (
        "an_order_that_comes_while_its_hold_is_lifted_is_looked_at_again",
        BackEnd::Postgres,
        NO_SERVER,
    ),
    (
        "a_verb_that_the_engine_breaks_a_deadlock_with_runs_again",
        BackEnd::Postgres,
        NO_SERVER,
    ),
    (
        "a_server_that_may_forget_is_refused_with_the_reason",
        BackEnd::Postgres,
        "a file is always opened with synchronous=FULL",
    ),
    (
        "a_verb_that_has_to_give_way_runs_again_and_happens_once",
        BackEnd::Postgres,
        NO_SERVER,
    ),
    (
        "a_statement_that_was_cut_short_changes_nothing_and_may_be_asked_again",
        BackEnd::Postgres,
        "a file knows no statement timeout",
    ),
];

/// Why a case is not for this back end, if it is not.
pub fn reason_against(case: &str, back_end: BackEnd) -> Option<&'static str> {
    let (_, only, why) = ONE_ENGINE.iter().find(|(name, ..)| *name == case)?;
    (*only != back_end).then_some(why)
}

/// Writes down how far a case came: `begun`, `ok`, or why it is not for this
/// back end.
#[expect(
    clippy::disallowed_methods,
    reason = "where the verdicts go is the runner's business"
)]
pub fn note(case: &str, back_end: BackEnd, verdict: &str) {
    let Some(path) = std::env::var_os(FILE).map(PathBuf::from) else {
        return;
    };
    // One short line at the end of the file: other processes write there, too.
    let line = format!("{case}\t{back_end:?}\t{verdict}\n");
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()))
        .expect("a file for the verdicts");
}
