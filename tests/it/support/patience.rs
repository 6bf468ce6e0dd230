//! Waiting for something that happens in another process.
//!
//! Asks again and again, briefly paused, until the answer is there, and fails
//! with a sentence when it never comes. A test waits as long as it must and no
//! longer, instead of sleeping for a guess. It blocks its thread: not for code
//! that shares a single-threaded runtime with what is waited for.

use std::thread;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(10);
/// 30 seconds of pauses: far over what any peer needs, on a busy machine too.
const N_ASKED_MAX: u32 = 3_000;

/// The first `Some` that `ask` gives.
///
/// # Panics
/// When it never comes, naming `what` was waited for.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..N_ASKED_MAX {
        if let Some(answer) = ask() {
            return answer;
        }
        thread::park_timeout(PAUSE);
    }
    panic!("waited in vain for {what}");
}

/// Lets a drawn length of time pass: for faults that strike at any moment,
/// never to wait for anything.
pub fn moment(length: Duration) {
    thread::park_timeout(length);
}

#[test]
fn asks_until_the_answer_comes() {
    let mut n = 0;
    let answer = until("three", || {
        n += 1;
        (n == 3).then_some(n)
    });
    assert_eq!(answer, 3);
}
