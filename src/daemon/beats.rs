//! One beat for each loop: whether it still turns, by itself.
//!
//! One beat for all would hide a loop that hangs behind another that turns. So
//! every loop has its own, with its own patience, and the service manager
//! hears that we live only while all of them beat.
//!
//! A loop beats whenever it goes on, that is whenever something it waited for
//! has come: the end of a pause, an answer of the database. Work that takes
//! long in many steps beats; a single step that does not end does not, and
//! neither does a thread that is stuck.

use super::{LOOK_EVERY, wait};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant as Moment;
use tokio_util::sync::CancellationToken;

/// The longest single step of a loop that writes is one transaction, behind
/// another process's import of a whole shop on a slow disk. Well above that:
/// who is killed for being late leaves messages in doubt.
pub(super) const PATIENCE_WRITING: Duration = Duration::from_secs(180);
/// Of loops that wait for nobody but the clock.
pub(super) const PATIENCE_TICKING: Duration = Duration::from_secs(60);

/// The beats of a process; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Beats(Arc<Mutex<BTreeMap<&'static str, Beat>>>);

/// One loop's.
#[derive(Clone, Debug)]
pub(super) struct Beat {
    patience: Duration,
    turns: Arc<AtomicU64>,
}

impl Beat {
    pub(super) fn beat(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }
}

impl Beats {
    fn all(&self) -> MutexGuard<'_, BTreeMap<&'static str, Beat>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A loop is expected to beat from now on.
    pub(super) fn expect(&self, of: &'static str, patience: Duration) -> Beat {
        let beat = Beat {
            patience,
            turns: Arc::default(),
        };
        self.all().insert(of, beat.clone());
        beat
    }

    /// Lets a loop beat until it ends.
    pub(super) fn of<F: Future>(
        &self,
        name: &'static str,
        patience: Duration,
        work: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        let beat = self.expect(name, patience);
        let beats = self.clone();
        async move {
            let mut work = pin!(work);
            let ended = poll_fn(|cx| {
                beat.beat();
                work.as_mut().poll(cx)
            })
            .await;
            beats.all().remove(name);
            ended
        }
    }

    /// The same for what may have nothing to do for a long time: it is woken
    /// now and then, and has to be able to.
    pub fn of_idle<F: Future>(
        &self,
        name: &'static str,
        work: F,
    ) -> impl Future<Output = F::Output> + use<F> {
        self.of(name, PATIENCE_TICKING, async move {
            let mut work = pin!(work);
            let never = CancellationToken::new();
            loop {
                tokio::select! {
                    ended = work.as_mut() => return ended,
                    _ = wait(LOOK_EVERY, &never) => {}
                }
            }
        })
    }

    /// How often each has beaten, and its patience.
    pub(super) fn counts(&self) -> Vec<Count> {
        let count = |(of, beat): (&&'static str, &Beat)| Count {
            of,
            patience: beat.patience,
            turns: beat.turns.load(Ordering::Relaxed),
        };
        self.all().iter().map(count).collect()
    }
}

/// What is known of a loop at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    of: &'static str,
    patience: Duration,
    turns: u64,
}

/// What a look at all loops found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Loops that are late, and for how long each has not beaten.
    pub(super) late: Vec<(&'static str, Duration)>,
    /// Whether others are late than at the last look.
    pub(super) is_news: bool,
}

/// Compares looks.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The turns last seen of each loop, and since when they are.
    seen: BTreeMap<&'static str, (u64, Moment)>,
    late: Vec<&'static str>,
}

impl Watch {
    pub(super) fn look(&mut self, counts: &[Count], now: Moment) -> Look {
        let mut late = Vec::new();
        for count in counts {
            let (turns, since) = self.seen.entry(count.of).or_insert((count.turns, now));
            if *turns != count.turns {
                (*turns, *since) = (count.turns, now);
            }
            let silent = now.duration_since(*since);
            if silent >= count.patience {
                late.push((count.of, silent));
            }
        }
        // Who comes again begins anew.
        self.seen
            .retain(|of, _| counts.iter().any(|count| count.of == *of));
        let names: Vec<&'static str> = late.iter().map(|(of, _)| *of).collect();
        let before = std::mem::replace(&mut self.late, names);
        Look {
            is_news: before != self.late,
            late,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    const PATIENCE: Duration = Duration::from_secs(30);

    fn counts(turns: &[(&'static str, u64)]) -> Vec<Count> {
        let count = |(of, turns): &(&'static str, u64)| Count {
            of,
            patience: PATIENCE,
            turns: *turns,
        };
        turns.iter().map(count).collect()
    }

    #[test]
    fn a_loop_that_hangs_is_not_hidden_by_one_that_turns() {
        let start = Moment::now();
        let mut watch = Watch::default();
        let mut look = |secs: u64, delivering, reviewing| {
            let turns = [("delivering", delivering), ("reviewing", reviewing)];
            watch.look(&counts(&turns), start + Duration::from_secs(secs))
        };
        let well = Look::default();
        let late = |secs, is_news| Look {
            late: vec![("delivering", Duration::from_secs(secs))],
            is_news,
        };
        for (secs, delivering, reviewing, found, sentence) in [
            (0, 7, 1, well, "at first all are well"),
            (20, 7, 2, Look::default(), "one is slow"),
            (30, 7, 3, late(30, true), "and then late"),
            (40, 7, 4, late(40, false), "which is said once"),
            (
                50,
                8,
                5,
                Look {
                    late: vec![],
                    is_news: true,
                },
                "it turns again",
            ),
            (
                79,
                8,
                6,
                Look::default(),
                "and is given the same time again",
            ),
            (80, 8, 7, late(30, true), "and no more"),
        ] {
            assert_eq!(look(secs, delivering, reviewing), found, "{sentence}");
        }
    }

    #[test]
    fn each_loop_has_its_own_patience_and_is_forgotten_when_it_ends() {
        let start = Moment::now();
        let beats = Beats::default();
        let _patient = beats.expect("delivering", 2 * PATIENCE);
        let quick = beats.of("web", PATIENCE, std::future::ready(()));
        let mut watch = Watch::default();
        assert_eq!(watch.look(&beats.counts(), start), Look::default());
        let late = |watch: &mut Watch, after| {
            let look = watch.look(&beats.counts(), start + after);
            look.late.into_iter().map(|(of, _)| of).collect::<Vec<_>>()
        };
        assert_eq!(late(&mut watch, PATIENCE), ["web"]);
        assert_eq!(late(&mut watch, 2 * PATIENCE), ["delivering", "web"]);
        let mut quick = Box::pin(quick);
        assert!(poll(quick.as_mut()));
        assert_eq!(late(&mut watch, 2 * PATIENCE), ["delivering"]);
    }

    /// Whether it ends with this step.
    fn poll(work: Pin<&mut impl Future>) -> bool {
        work.poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn a_loop_beats_as_often_as_it_goes_on_and_no_more_once_it_waits_for_ever() {
        let beats = Beats::default();
        let turning = beats.of("turning", PATIENCE, async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            std::future::pending::<()>().await;
        });
        let hanging = beats.of("hanging", PATIENCE, std::future::pending::<()>());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let tasks = [tokio::spawn(turning), tokio::spawn(hanging)];
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            let turns: Vec<(&str, u64)> = beats.counts().iter().map(|c| (c.of, c.turns)).collect();
            assert_eq!(turns, [("hanging", 1), ("turning", 4)]);
            for task in tasks {
                task.abort();
            }
        });
    }
}
