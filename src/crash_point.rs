//! Named places on the road of a message at which a test ends the process, as
//! a power cut would: at once, with nothing said and nothing closed.
//!
//! Without the feature `crash-points` a call compiles to nothing. With it, the
//! variable `BACKORDERD_CRASH_AT=NAME:N` arms one place, and the N-th pass of
//! it is the last thing the process does. A test (`tests/campaign`) arms every
//! place there is, starts the program again, and has what is left audited.

/// Ends the process here if a test asked for it.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn crash_point(_name: &'static str) {}

#[cfg(feature = "crash-points")]
pub use armed::crash_point;

#[cfg(feature = "crash-points")]
mod armed {
    use rustix::process::{Signal, getpid, kill_process};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Armed {
        name: String,
        passes_left: AtomicU64,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    /// Ends the process here if a test asked for it.
    pub fn crash_point(name: &'static str) {
        let Some(armed) = ARMED.get_or_init(asked_for) else {
            return;
        };
        if armed.name == name && armed.passes_left.fetch_sub(1, Ordering::SeqCst) == 1 {
            let _ = kill_process(getpid(), Signal::KILL);
            // The signal is on its way; nothing may happen until it arrives.
            loop {
                std::thread::park();
            }
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "only a test sets it, and a test that asks for the impossible must hear of it"
    )]
    fn asked_for() -> Option<Armed> {
        let text = std::env::var("BACKORDERD_CRASH_AT").ok()?;
        let (name, pass) = text.rsplit_once(':').expect("BACKORDERD_CRASH_AT=NAME:N");
        Some(Armed {
            name: name.to_owned(),
            passes_left: AtomicU64::new(pass.parse().expect("a number of passes")),
        })
    }
}
