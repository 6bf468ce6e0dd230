//! When to try again.
//!
//! Delays per attempt with a spread of ten percent, so that a relay that
//! comes back is not met by everything at once. The first steps (2 and 10
//! minutes) suit greylisting (RFC 6647); RFC 5321 4.5.4.1 asks for patience
//! after that.

use super::kinds::Kind;
use super::time::Length;
use serde::{Deserialize, Serialize};

/// The schedule of retries; comes from the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Delay after the first, second, ... counted attempt; the last repeats.
    pub delays: Vec<Length>,
    pub attempts_max: u32,
    /// Shortest wait when the relay itself is away.
    pub relay_delay: Length,
    /// Wait when credentials or TLS are wrong: a person has to act.
    pub configuration_delay: Length,
    /// How old a notice may get before it fails for good.
    pub courtesy_age_max: Length,
    pub must_arrive_age_max: Length,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy {
            delays: vec![
                Length::mins(2),
                Length::mins(10),
                Length::mins(30),
                Length::hours(1),
                Length::hours(2),
                Length::hours(4),
                Length::hours(6),
            ],
            attempts_max: 20,
            relay_delay: Length::mins(1),
            configuration_delay: Length::mins(15),
            courtesy_age_max: Length::hours(24),
            must_arrive_age_max: Length::hours(48),
        }
    }
}

impl RetryPolicy {
    /// The wait after counted attempt number `attempt` (from 1); `sample` in
    /// 0..1 spreads it by ten percent either way.
    pub fn delay(&self, attempt: u32, sample: f64) -> Length {
        let index = (attempt.max(1) as usize - 1).min(self.delays.len().saturating_sub(1));
        spread(
            self.delays.get(index).copied().unwrap_or(Length::mins(10)),
            sample,
        )
    }
    pub fn relay_delay(&self, sample: f64) -> Length {
        spread(self.relay_delay, sample)
    }
    pub fn age_max(&self, kind: Kind) -> Length {
        if kind.must_arrive() {
            self.must_arrive_age_max
        } else {
            self.courtesy_age_max
        }
    }
}

fn spread(length: Length, sample: f64) -> Length {
    let factor = 0.9 + 0.2 * sample.clamp(0.0, 1.0);
    // Lengths are far below 2^52 ms, so the product is exact enough.
    Length((length.0 as f64 * factor).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_schedule_reads_as_it_is_written() {
        let policy = RetryPolicy::default();
        let minutes: Vec<i64> = (1..=9)
            .map(|n| policy.delay(n, 0.5).as_secs() / 60)
            .collect();
        assert_eq!(minutes, [2, 10, 30, 60, 120, 240, 360, 360, 360]);
    }

    proptest! {
        #[test]
        fn the_spread_stays_within_ten_percent(attempt in 0u32..50, sample in 0.0f64..1.0) {
            let policy = RetryPolicy::default();
            let exact = policy.delay(attempt, 0.5).0 as f64;
            let spread = policy.delay(attempt, sample).0 as f64;
            prop_assert!((spread / exact - 1.0).abs() <= 0.1001);
        }
    }
}
