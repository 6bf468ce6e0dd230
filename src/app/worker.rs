//! A worker's life: enlisted before it takes anything, beating while it works,
//! dismissed when it has given everything back.
//!
//! Several processes may work on one PostgreSQL database. What one has in
//! hands is covered by its heartbeat; one that is silent for longer than it
//! promised is declared dead by any other, and its work taken over. So a
//! worker must know that it *may* have been declared dead before the others
//! do it: the [`Fence`] falls when no heartbeat got through for half that
//! time, by a clock that goes on while the process is stopped. The database
//! asks again in every statement, by its own clock.
//!
//! On SQLite the delivery lock says who works, and only a stop makes the fence
//! fall; the heartbeats are for people who ask.
//!
//! A stop that was asked for makes it fall at once and for good
//! ([`Enlisted::until`]): what is claimed and not begun goes back.

use crate::app::{App, AppError};
use crate::clock::since_boot;
use crate::domain::ids::WorkerId;
use crate::domain::worker::Role;
use crate::store::Place;
use crate::store::write::workers::NewWorker;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Heartbeats in the time after which a silent worker may be declared dead.
const BEATS: u32 = 6;

/// Whether this worker may still act. Clones are one.
#[derive(Clone, Debug)]
pub struct Fence {
    /// `None`: another lock keeps others away.
    standing: Option<Arc<Standing>>,
    /// It is time to stop: nothing is begun any more.
    stop: CancellationToken,
}

#[derive(Debug)]
struct Standing {
    /// When the last heartbeat that got through was begun: milliseconds since
    /// the machine was started.
    beat_at: AtomicU64,
    /// How long that is good for.
    good_for: Duration,
    /// When heartbeats began to get through again after the fence had fallen;
    /// 0 when it never has.
    back_since: AtomicU64,
}

impl Fence {
    fn begun(at: Duration, good_for: Duration) -> Fence {
        let standing = Arc::new(Standing {
            beat_at: AtomicU64::new(millis(at)),
            good_for,
            back_since: AtomicU64::new(0),
        });
        Fence {
            standing: Some(standing),
            ..Fence::open()
        }
    }

    /// Another lock keeps others away.
    fn open() -> Fence {
        Fence {
            standing: None,
            stop: CancellationToken::new(),
        }
    }

    /// `false`: nothing may be claimed, marked or begun, until a heartbeat has
    /// got through, or for good if it is time to stop.
    pub fn holds(&self) -> bool {
        self.holds_at(since_boot())
    }

    fn holds_at(&self, now: Duration) -> bool {
        if self.stop.is_cancelled() {
            return false;
        }
        let Some(standing) = &self.standing else {
            return true;
        };
        let beat_at = Duration::from_millis(standing.beat_at.load(Ordering::Acquire));
        now.saturating_sub(beat_at) < standing.good_for
    }

    /// Whether this worker may judge others. Where the database was away from
    /// all of them, whoever is back first would declare the rest dead: it waits
    /// until theirs had time to get through.
    pub fn is_steady(&self) -> bool {
        self.is_steady_at(since_boot())
    }

    fn is_steady_at(&self, now: Duration) -> bool {
        let Some(standing) = &self.standing else {
            return true;
        };
        let back_since = standing.back_since.load(Ordering::Acquire);
        let back_for = now.saturating_sub(Duration::from_millis(back_since));
        self.holds_at(now) && (back_since == 0 || back_for >= standing.good_for)
    }

    fn renew(&self, begun_at: Duration) {
        if let Some(standing) = &self.standing {
            let begun_ms = millis(begun_at);
            let last = standing.beat_at.fetch_max(begun_ms, Ordering::AcqRel);
            if begun_at.saturating_sub(Duration::from_millis(last)) >= standing.good_for {
                standing.back_since.store(begun_ms, Ordering::Release);
            }
        }
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// This process is known to the others, and beats.
pub struct Enlisted {
    app: App,
    fence: Fence,
    beating: tokio::task::JoinHandle<Result<(), AppError>>,
    enough: CancellationToken,
    dead: CancellationToken,
}

impl Enlisted {
    /// Makes this process known and begins to beat. On SQLite only the holder
    /// of the delivery lock may.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn enlist(app: &App, role: Role, name: Option<&str>) -> Result<Enlisted, AppError> {
        let alive = app.settings().alive;
        let begun_at = since_boot();
        let worker = NewWorker {
            id: app.worker,
            name: name.map(str::to_owned),
            host: app.settings().host.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role,
            alive,
        };
        app.store.enlist(worker, app.now()).await?;
        let alive = Duration::from_millis(u64::try_from(alive.0).unwrap_or(0));
        let fence = match app.store.place() {
            Place::Sqlite(_) => Fence::open(),
            Place::Postgres(_) => Fence::begun(begun_at, alive / 2),
        };
        let (enough, dead) = (CancellationToken::new(), CancellationToken::new());
        let beating = tokio::spawn(keep_beating(
            app.clone(),
            fence.clone(),
            alive / BEATS,
            enough.clone(),
            dead.clone(),
        ));
        Ok(Enlisted {
            app: app.clone(),
            fence,
            beating,
            enough,
            dead,
        })
    }

    /// Begins nothing any more from the moment `stop` is cancelled, not even
    /// what was claimed before.
    #[must_use]
    pub fn until(mut self, stop: &CancellationToken) -> Enlisted {
        self.fence.stop = stop.clone();
        self
    }

    pub fn id(&self) -> WorkerId {
        self.app.worker
    }

    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Returns when the heart has stopped by itself: declared dead, or the
    /// database is unusable. [`Enlisted::leave`] says which.
    pub async fn died(&self) {
        self.dead.cancelled().await;
    }

    /// Ends the heartbeats and takes this process off the list. What it had in
    /// hands has to be given back or ended before; what is not is taken over
    /// like a dead worker's.
    ///
    /// # Errors
    /// [`AppError::DeclaredDead`]; the database cannot be written.
    pub async fn leave(self) -> Result<(), AppError> {
        self.enough.cancel();
        match self.beating.await {
            Ok(beaten) => beaten?,
            Err(error) => {
                return Err(AppError::Refused(format!("the heartbeats broke: {error}")));
            }
        }
        self.app.store.dismiss(self.app.worker).await?;
        Ok(())
    }
}

/// Beats until it is enough. A beat that fails is no reason to end (the server
/// may be back in a moment): until one gets through the fence keeps everything
/// from being touched.
async fn keep_beating(
    app: App,
    fence: Fence,
    every: Duration,
    enough: CancellationToken,
    dead: CancellationToken,
) -> Result<(), AppError> {
    let _dead = dead.drop_guard();
    loop {
        tokio::select! {
            () = enough.cancelled() => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
        let begun_at = since_boot();
        match app.store.beat(app.worker, app.now()).await {
            Ok(true) => fence.renew(begun_at),
            Ok(false) => return Err(AppError::DeclaredDead),
            Err(error) if error.is_fatal() => return Err(error.into()),
            Err(error) => tracing::warn!("a heartbeat did not get through: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fence_falls_when_no_heartbeat_gets_through_and_rises_with_the_next() {
        let secs = Duration::from_secs;
        let fence = Fence::begun(secs(100), secs(30));
        assert!(fence.is_steady_at(secs(100)));
        for (now, holds) in [(100, true), (129, true), (130, false), (500, false)] {
            assert_eq!(fence.holds_at(secs(now)), holds, "at {now}");
        }
        // Counted from when the beat began, not from when its answer came.
        fence.renew(secs(480));
        assert!(fence.holds_at(secs(500)) && !fence.holds_at(secs(510)));
        // An answer that comes late takes nothing back.
        fence.renew(secs(470));
        assert!(fence.holds_at(secs(505)));
        // It judges nobody before the others had their time, too.
        assert!(!fence.is_steady_at(secs(505)));
        fence.renew(secs(509));
        assert!(!fence.is_steady_at(secs(509)) && fence.is_steady_at(secs(511)));
        assert!(Fence::open().holds_at(secs(1_000_000)));
    }

    #[test]
    fn the_fence_falls_for_good_when_it_is_time_to_stop() {
        let now = Duration::from_secs(100);
        for mut fence in [Fence::open(), Fence::begun(now, now)] {
            let stop = CancellationToken::new();
            fence.stop = stop.clone();
            let of_a_lane = fence.clone();
            assert!(of_a_lane.holds_at(now));
            stop.cancel();
            fence.renew(now);
            assert!(!of_a_lane.holds_at(now));
        }
    }
}
