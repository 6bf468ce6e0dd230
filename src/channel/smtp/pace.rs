//! So many mails a minute: to a domain, or over one of several relays. Pure.
//!
//! Who comes too early is told when to come back, each behind the one before,
//! so that a thousand mails for one provider come back one by one and not
//! together. A tenth of a minute's worth may go at once: a burst, not a flood.
//! It is kept in memory: after a restart the count begins anew, and several
//! workers share nothing.
//!
//! Apart from the delivering loop's own limiter because that one waits for its
//! turn; here nobody may wait, least of all a mail whose intent to be sent is
//! already recorded.

use std::time::Duration;
use tokio::time::Instant;

/// Longest time anybody is sent away for: after a change of the settings the
/// old estimate should not count for half a day.
const WAIT_MAX: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// How far ahead of an even pace a burst may run.
    ahead_max: Duration,
    /// When the next one would go at an even pace.
    even_at: Option<Instant>,
    /// The last time anybody was told to come back at.
    told_at: Option<Instant>,
}

impl Pace {
    pub(super) fn per_minute(n: u32) -> Pace {
        let interval = Duration::from_secs(60) / n.max(1);
        Pace {
            interval,
            ahead_max: interval * (n / 10).max(1).saturating_sub(1),
            even_at: None,
            told_at: None,
        }
    }

    /// How long the next one has to wait; zero if it may go.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let even_at = self.even_at.unwrap_or(now).max(now);
        (even_at - now).saturating_sub(self.ahead_max)
    }

    /// Counts one that goes now.
    pub(super) fn took(&mut self, now: Instant) {
        self.even_at = Some(self.even_at.unwrap_or(now).max(now) + self.interval);
    }

    /// When one that may not go now should come back: behind all who were
    /// told before.
    pub(super) fn come_back(&mut self, now: Instant) -> Duration {
        let free_at = now + self.wait(now);
        let told_at = match self.told_at {
            Some(last) => (last + self.interval).max(free_at),
            None => free_at,
        };
        let told_at = told_at.min(now + WAIT_MAX);
        self.told_at = Some(told_at);
        told_at - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Goes, or is told after how many seconds to come back.
    fn ask(pace: &mut Pace, now: Instant) -> Option<u64> {
        if pace.wait(now).is_zero() {
            pace.took(now);
            return None;
        }
        Some(pace.come_back(now).as_secs())
    }

    #[tokio::test]
    async fn a_burst_goes_and_the_rest_comes_back_one_by_one() {
        let mut pace = Pace::per_minute(60);
        let t0 = Instant::now();
        let answers: Vec<Option<u64>> = (0..10).map(|_| ask(&mut pace, t0)).collect();
        assert_eq!(answers[..6], [None; 6]);
        assert_eq!(answers[6..], [Some(1), Some(2), Some(3), Some(4)]);
        for n in 1..=4 {
            assert_eq!(ask(&mut pace, t0 + SECOND * n), None, "second {n}");
        }
        // A quiet minute later a burst may go again.
        let later = t0 + SECOND * 64;
        assert_eq!((0..6).filter_map(|_| ask(&mut pace, later)).count(), 0);
        assert_eq!(ask(&mut pace, later), Some(1));
    }

    #[tokio::test]
    async fn no_minute_sees_more_than_its_share_and_a_burst() {
        let mut pace = Pace::per_minute(30);
        let t0 = Instant::now();
        let went: Vec<u32> = (0..600)
            .filter(|tenth| ask(&mut pace, t0 + SECOND / 10 * *tenth).is_none())
            .collect();
        assert!((30..=33).contains(&went.len()), "{}", went.len());
    }

    #[tokio::test]
    async fn nobody_is_sent_away_for_longer_than_an_hour() {
        let mut pace = Pace::per_minute(1);
        let t0 = Instant::now();
        let longest = (0..500).filter_map(|_| ask(&mut pace, t0)).max();
        assert_eq!(longest, Some(3600));
    }
}
