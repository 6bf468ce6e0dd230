//! Notices that the database is older than the one that was here last.
//!
//! A backup that is put back, a clone, a standby that took over with some
//! commits missing: each forgets what was said since, and would say it again to
//! everybody. So whoever sends keeps a note outside the database, which commits
//! it has seen, and holds everything when the database no longer has them. A
//! backup made by `backorderd db backup` says so itself, on any machine.
//!
//! The note follows the commits within a second (a task of its own: sending
//! never waits for it) and never runs ahead of them, so another process that
//! writes in between (an import, a hold) cannot trip it. What it does not
//! notice: a backup as old as the note, because both were put back together by
//! copying the folder. `docs/operating.md` says how to restore.

use crate::app::{App, AppError};
use crate::crash_point::crash_point;
use crate::domain::time::Instant;
use crate::store::Place;
use crate::store::read::identity::Identity;
use crate::store::write::operate::RESTORED;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How far the note may lag behind.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// Where the note lies: beside a database file, in the state folder for one on
/// a server.
pub fn note_path(place: &Place, state_dir: &Path) -> PathBuf {
    let mut name = match place {
        Place::Sqlite(path) => path.as_os_str().to_owned(),
        Place::Postgres(_) => state_dir.join("backorderd").into_os_string(),
    };
    name.push(".last-seen");
    PathBuf::from(name)
}

/// What is wrong with the database that is here now, if anything.
fn suspicion(seen: &Identity, now: &Identity) -> Option<String> {
    let differs = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
    if seen.instance.is_some() && seen.instance != now.instance {
        return Some("it is another one altogether".to_owned());
    }
    if now.progress < seen.progress {
        return Some(format!(
            "it is an older state of it, restored from a backup or a clone; {} things that were \
             planned, sent or done since are missing",
            seen.progress - now.progress
        ));
    }
    if differs(&seen.system, &now.system) {
        return Some("it is on another server; what was committed last may be missing".to_owned());
    }
    if differs(&seen.timeline, &now.timeline) {
        return Some(format!(
            "its server was restored or replaced by a standby (timeline {} after {}); what was \
             committed last may be missing",
            now.timeline.as_deref().unwrap_or_default(),
            seen.timeline.as_deref().unwrap_or_default(),
        ));
    }
    None
}

/// What the note says: nothing yet, something, or nothing that can be read.
fn read_note(path: &Path) -> Result<Option<Identity>, String> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|_| format!("the note {} cannot be read", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!(
            "the note {} cannot be read: {error}",
            path.display()
        )),
    }
}

/// Replaces the note as a whole, so that a torn one cannot be.
fn write_note(path: &Path, identity: &Identity) -> std::io::Result<()> {
    let mut half = path.as_os_str().to_owned();
    half.push(".new");
    let half = PathBuf::from(half);
    let mut file = std::fs::File::create(&half)?;
    serde_json::to_writer(&mut file, identity)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    crash_point("note-half-written");
    std::fs::rename(&half, path)?;
    crash_point("note-written");
    Ok(())
}

/// Keeps the note while it lives.
pub struct RestoreGuard {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl RestoreGuard {
    /// Compares the database with the note, holds everything where they do not
    /// agree, and begins to keep the note.
    ///
    /// # Errors
    /// The database cannot be read, or does not take the hold: then nothing may
    /// be sent.
    pub async fn enter(app: &App) -> Result<RestoreGuard, AppError> {
        let path = note_path(app.store.place(), &app.settings().state_dir);
        let now = app.viewer.read.identity().await?;
        let trouble = match app.viewer.read.backup_made_at().await? {
            Some(made_at) => Some(format!(
                "it is the backup that was made {}; what was said since is missing",
                spoken(Instant(made_at))
            )),
            None => match read_note(&path) {
                Ok(seen) => seen.and_then(|seen| suspicion(&seen, &now)),
                Err(why) => Some(why),
            },
        };
        if let Some(trouble) = trouble {
            hold(app, &trouble).await?;
        }
        let identity = app.viewer.read.identity().await?;
        if let Err(error) = write_note(&path, &identity) {
            tracing::warn!("{} cannot be written: {error}", path.display());
        }
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep(app.clone(), path, identity, stop.clone()));
        Ok(RestoreGuard { stop, task })
    }

    /// Brings the note up to date and ends.
    pub async fn leave(mut self) {
        self.stop.cancel();
        let _ = (&mut self.task).await;
    }
}

impl Drop for RestoreGuard {
    fn drop(&mut self) {
        // The task ends by itself: a question to the database is not dropped.
        self.stop.cancel();
    }
}

/// `2026-03-02 11:40 UTC`.
fn spoken(at: Instant) -> String {
    chrono::DateTime::from_timestamp_millis(at.0).map_or_else(
        || "at an unknown time".to_owned(),
        |at| at.format("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

async fn hold(app: &App, trouble: &str) -> Result<(), AppError> {
    app.store.hold_restored(trouble, app.now()).await?;
    tracing::error!("nothing is sent until `backorderd release`: {RESTORED}{trouble}");
    Ok(())
}

/// Follows the commits with the note until it is told to stop, and once more
/// then.
async fn keep(app: App, path: PathBuf, mut seen: Identity, stop: CancellationToken) {
    let mut complained = false;
    loop {
        let last = tokio::select! {
            () = stop.cancelled() => true,
            () = tokio::time::sleep(WRITE_EVERY) => false,
        };
        match follow(&app, &path, &seen).await {
            Ok(now) => seen = now,
            Err(error) if !complained => {
                complained = true;
                tracing::warn!("the note {} does not keep up: {error}", path.display());
            }
            Err(_) => {}
        }
        if last {
            return;
        }
    }
}

/// One look. Where a server was replaced under us, everything is held before
/// the note forgets the one from before.
async fn follow(app: &App, path: &Path, seen: &Identity) -> Result<Identity, AppError> {
    let now = app.viewer.read.identity().await?;
    if now == *seen {
        return Ok(now);
    }
    if let Some(trouble) = suspicion(seen, &now) {
        hold(app, &trouble).await?;
    }
    let (to, identity) = (path.to_owned(), now.clone());
    tokio::task::spawn_blocking(move || write_note(&to, &identity))
        .await
        .unwrap_or_else(|gone| Err(std::io::Error::other(gone)))
        .map_err(|source| AppError::Io {
            doing: "write which database was seen",
            source,
        })?;
    Ok(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Identity {
        Identity {
            instance: Some("a".to_owned()),
            progress: 10,
            system: Some("7".to_owned()),
            timeline: Some("00000001".to_owned()),
        }
    }

    #[test]
    fn what_went_back_or_is_another_is_suspicious_and_nothing_else() {
        type Change = fn(&mut Identity);
        let cases: [(Change, Option<&str>); 7] = [
            (|_| (), None),
            (|now| now.progress = 11, None),
            // The server does not tell any more; that is no reason to stop.
            (|now| now.system = None, None),
            (|now| now.progress = 9, Some("an older state")),
            (|now| now.instance = None, Some("another one altogether")),
            (
                |now| now.system = Some("8".to_owned()),
                Some("another server"),
            ),
            (
                |now| now.timeline = Some("00000002".to_owned()),
                Some("replaced by a standby"),
            ),
        ];
        for (change, says) in cases {
            let mut now = seen();
            change(&mut now);
            let why = suspicion(&seen(), &now);
            match says {
                None => assert_eq!(why, None),
                Some(says) => assert!(why.as_deref().unwrap().contains(says), "{why:?}"),
            }
        }
    }

    #[test]
    fn a_note_comes_back_as_it_was_written_and_a_torn_one_is_no_silence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.db.last-seen");
        assert_eq!(read_note(&path), Ok(None));
        write_note(&path, &seen()).unwrap();
        assert_eq!(read_note(&path), Ok(Some(seen())));
        std::fs::write(&path, "{\"inst").unwrap();
        assert!(read_note(&path).is_err());
    }
}
