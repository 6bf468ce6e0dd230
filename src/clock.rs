//! The only place that asks what time it is and on which machine, and where ids
//! and random samples come from.
//!
//! Everything else gets an [`Instant`] as an argument or holds a [`Clock`].
//! Tests and the demo use [`SettableClock`]; nothing in the program can tell
//! the difference.

use crate::domain::ids::{MessageUid, WorkerId};
use crate::domain::time::{Instant, Length};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync {
    fn now(&self) -> Instant;
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one home of the wall clock"
    )]
    fn now(&self) -> Instant {
        Instant::from_datetime(&chrono::Utc::now())
    }
}

/// Time since the machine was started. It never jumps, and goes on while the
/// process is stopped or the machine sleeps: what leases are counted by.
pub fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

/// The machine's name, as others in its network call it.
pub fn host_name() -> String {
    let machine = rustix::system::uname();
    machine.nodename().to_string_lossy().into_owned()
}

/// A clock that stands still until it is set: simulations, tests, and a demo
/// folder that stays in its own spring.
#[derive(Clone)]
pub struct SettableClock(Arc<AtomicI64>);

impl SettableClock {
    pub fn at(now: Instant) -> SettableClock {
        SettableClock(Arc::new(AtomicI64::new(now.0)))
    }
    pub fn set(&self, now: Instant) {
        self.0.store(now.0, Ordering::SeqCst);
    }
    pub fn advance(&self, length: Length) {
        self.0.fetch_add(length.0, Ordering::SeqCst);
    }
}

impl Clock for SettableClock {
    fn now(&self) -> Instant {
        Instant(self.0.load(Ordering::SeqCst))
    }
}

/// Makes ids and samples: random in production, a seeded sequence in tests and
/// the demo, where the same story must give the same bytes.
pub struct Ids(Source);

enum Source {
    Random,
    Seeded(AtomicU64),
}

impl Ids {
    pub fn random() -> Ids {
        Ids(Source::Random)
    }
    pub fn seeded(seed: u64) -> Ids {
        Ids(Source::Seeded(AtomicU64::new(seed)))
    }

    /// A message's identity outside; sorts by time (UUID version 7).
    pub fn message_uid(&self, now: Instant) -> MessageUid {
        MessageUid(self.uuid(now))
    }

    pub fn worker_id(&self, now: Instant) -> WorkerId {
        WorkerId(self.uuid(now))
    }

    /// A sample in 0..1 that spreads retries.
    pub fn sample(&self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// 32 bytes for a key that is made once and kept.
    pub fn key_bytes(&self) -> [u8; 32] {
        let mut key = [0; 32];
        for chunk in key.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_be_bytes());
        }
        key
    }

    fn uuid(&self, now: Instant) -> Uuid {
        let mut random = [0u8; 10];
        random[..8].copy_from_slice(&self.bits().to_be_bytes());
        random[8..].copy_from_slice(&self.bits().to_be_bytes()[..2]);
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(now.0).unwrap_or(0), &random)
            .into_uuid()
    }

    fn bits(&self) -> u64 {
        match &self.0 {
            // Six bits of a version 4 UUID are fixed; both halves are folded
            // together so that no bit of the result is.
            Source::Random => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "this is the one home of randomness"
                )]
                let (high, low) = Uuid::new_v4().as_u64_pair();
                high.rotate_left(31) ^ low
            }
            Source::Seeded(state) => {
                // SplitMix64 (Steele, Lea, Flood 2014).
                let mut z = state
                    .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst)
                    .wrapping_add(0x9e37_79b9_7f4a_7c15);
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ (z >> 31)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_story() {
        let (a, b) = (Ids::seeded(7), Ids::seeded(7));
        for at in 0..5 {
            assert_eq!(a.message_uid(Instant(at)), b.message_uid(Instant(at)));
        }
        assert_ne!(a.message_uid(Instant(9)), a.message_uid(Instant(9)));
    }

    #[test]
    fn samples_lie_between_nought_and_one() {
        for ids in [Ids::seeded(1), Ids::random()] {
            assert!(
                (0..1000)
                    .map(|_| ids.sample())
                    .all(|s| (0.0..1.0).contains(&s))
            );
        }
    }
}
