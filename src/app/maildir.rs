//! A Maildir that bounces are delivered into.
//!
//! A mail in `new` is read, taken into the store, and only after that commit
//! moved to `cur` with the mark "seen"; a crash in between reads it once more,
//! and the second time changes nothing. What cannot be read as a file (no
//! permission, no file at all) stays where it is and is reported, once; so is
//! a mail that was taken in and cannot be moved, which is not read again.
//! Either is tried again after longer and longer pauses, and never before what
//! is new: a full disk or a wrong permission keeps no later mail out.
//!
//! Files are read and moved on threads that may wait for a disk. Pauses are
//! counted in looks, not on a clock.
//!
//! Mails in `cur` older than the store keeps reports are deleted: they hold
//! customers' addresses.

use crate::app::AppError;
use crate::app::receipts::{Received, receive};
use crate::domain::receipt::RAW_KEPT_FOR;
use crate::domain::time::Instant;
use crate::domain::verp::VerpKey;
use crate::receipt::MAIL_BYTES_MAX;
use crate::store::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Mails taken in one look; the rest comes with the next.
const MAILS_MAX: usize = 200;

/// Looks a file is left alone after its first trouble; doubled with every
/// further one.
const PAUSE_FIRST: u32 = 60;
/// Most looks it is left alone: an hour, with one look a second.
const PAUSE_MAX: u32 = 3_600;

/// A Maildir, and what was wrong with files in it.
#[derive(Debug)]
pub struct Maildir {
    path: PathBuf,
    /// Files of `new` that could not be read or not be moved.
    troubled: BTreeMap<PathBuf, Trouble>,
    /// The folder itself was reported as unreadable.
    is_reported: bool,
    /// Troubles nobody was told of yet.
    unsaid: Vec<String>,
}

/// A file that could not be read or not be moved; said once.
#[derive(Debug)]
struct Trouble {
    /// Looks it is still left alone.
    left_alone: u32,
    /// Looks it was left alone the last time.
    pause: u32,
    /// It is in the store and only has to be moved.
    is_taken: bool,
}

/// What one look came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Mails taken in.
    pub taken: usize,
    /// Of them, those nobody can read.
    pub set_aside: usize,
    /// Files that could not be read, taken in or moved and were not reported before:
    /// name and reason.
    pub troubles: Vec<String>,
}

impl Maildir {
    pub fn at(path: PathBuf) -> Maildir {
        Maildir {
            path,
            troubled: BTreeMap::new(),
            is_reported: false,
            unsaid: Vec::new(),
        }
    }

    /// Takes in what is new.
    ///
    /// # Errors
    /// The store cannot be written: what was not taken is still there.
    pub async fn look(
        &mut self,
        store: &Store,
        key: &VerpKey,
        now: Instant,
    ) -> Result<Look, AppError> {
        let mut look = Look::default();
        let folder = self.path.join("new");
        match on_a_thread(move || files(&folder)).await {
            Ok(names) => {
                self.is_reported = false;
                for path in self.turn(names) {
                    self.take(path, store, key, now, &mut look).await?;
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_reported, true) {
                    self.unsaid.push(said(&self.path.join("new"), &error));
                }
            }
        }
        look.troubles = std::mem::take(&mut self.unsaid);
        Ok(look)
    }

    /// Whose turn it is among the files of `new`: those without trouble,
    /// oldest name first, then those that were left alone for long enough.
    fn turn(&mut self, names: BTreeSet<PathBuf>) -> Vec<PathBuf> {
        self.troubled.retain(|path, trouble| {
            trouble.left_alone = trouble.left_alone.saturating_sub(1);
            names.contains(path)
        });
        let (again, fresh): (Vec<PathBuf>, Vec<PathBuf>) = names
            .into_iter()
            .partition(|path| self.troubled.contains_key(path));
        let again = again
            .into_iter()
            .filter(|path| self.troubled[path].left_alone == 0);
        fresh.into_iter().chain(again).take(MAILS_MAX).collect()
    }

    async fn take(
        &mut self,
        path: PathBuf,
        store: &Store,
        key: &VerpKey,
        now: Instant,
        look: &mut Look,
    ) -> Result<(), AppError> {
        let is_taken = self.troubled.get(&path).is_some_and(|file| file.is_taken);
        if !is_taken {
            let file = path.clone();
            let raw = match on_a_thread(move || read(&file)).await {
                Ok(raw) => raw,
                // Another reader was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => {
                    self.leave_alone(path, &error, false);
                    return Ok(());
                }
            };
            let received = match receive(store, key, &raw, None, now).await {
                Ok(received) => received,
                Err(error) if error.is_fatal() || error.is_no_connection() => return Err(error),
                // One report the store refuses must not keep out the others.
                Err(error) => {
                    self.leave_alone(path, &io::Error::other(error.to_string()), false);
                    return Ok(());
                }
            };
            look.taken += 1;
            look.set_aside += usize::from(received == Received::SetAside);
        }
        let (cur, file) = (self.path.join("cur"), path.clone());
        match on_a_thread(move || finish(&file, &cur)).await {
            Ok(()) => drop(self.troubled.remove(&path)),
            Err(error) => self.leave_alone(path, &error, true),
        }
        Ok(())
    }

    fn leave_alone(&mut self, path: PathBuf, error: &io::Error, is_taken: bool) {
        let pause = match self.troubled.get(&path) {
            Some(before) => before.pause.saturating_mul(2).min(PAUSE_MAX),
            None => {
                self.unsaid.push(said(&path, error));
                PAUSE_FIRST
            }
        };
        let trouble = Trouble {
            left_alone: pause,
            pause,
            is_taken,
        };
        self.troubled.insert(path, trouble);
    }

    /// Deletes mails that were taken in long ago; answers how many.
    pub fn forget(&self, now: Instant) -> usize {
        let before = now.minus(RAW_KEPT_FOR).0;
        let old = |path: &PathBuf| {
            let changed = fs::metadata(path).and_then(|about| about.modified());
            let age = changed.map(|at| at.duration_since(std::time::UNIX_EPOCH));
            matches!(age, Ok(Ok(age)) if i64::try_from(age.as_millis()).is_ok_and(|at| at < before))
        };
        let Ok(names) = files(&self.path.join("cur")) else {
            return 0;
        };
        names
            .into_iter()
            .filter(|path| path.to_string_lossy().ends_with(":2,S"))
            .filter(old)
            .filter(|path| fs::remove_file(path).is_ok())
            .count()
    }
}

/// What in a Maildir cannot be read and therefore stays there: path and
/// reason, for a person. The first so many of them.
pub fn unreadable(maildir: &Path) -> Vec<String> {
    let folder = maildir.join("new");
    match files(&folder) {
        Ok(names) => names
            .iter()
            .filter_map(|path| match open(path) {
                Ok(_) => None,
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => Some(said(path, &error)),
            })
            .take(MAILS_MAX)
            .collect(),
        Err(error) => vec![said(&folder, &error)],
    }
}

fn said(path: &Path, error: &io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Work on files, away from the threads that drive everything else.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|broken| Err(io::Error::other(broken)))
}

/// What is in a folder, by name, without what is hidden.
fn files(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut out = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden {
            out.insert(path);
        }
    }
    Ok(out)
}

/// Opens a file, and nothing else: a pipe would never end.
fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    File::open(path)
}

/// As much of a mail as is ever looked at.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    let limit = MAIL_BYTES_MAX as u64;
    open(path)?.take(limit).read_to_end(&mut raw)?;
    Ok(raw)
}

/// `cur/NAME:2,S`: seen, in the words of Maildir.
fn finish(path: &Path, cur: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    fs::create_dir_all(cur)?;
    match fs::rename(path, cur.join(format!("{name}:2,S"))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Place;

    struct Stage {
        folder: tempfile::TempDir,
        store: Store,
        maildir: Maildir,
    }

    impl Stage {
        async fn set() -> Stage {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("new")).unwrap();
            let place = Place::Sqlite(folder.path().join("b.sqlite"));
            Stage {
                store: Store::open(&place).await.unwrap(),
                maildir: Maildir::at(folder.path().to_owned()),
                folder,
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn mail(&self, name: &str) {
            let words = format!("Subject: {name}\n\nnobody can read this");
            fs::write(self.path("new").join(name), words).unwrap();
        }

        async fn look(&mut self) -> Look {
            let key = VerpKey::derive(b"a key");
            self.maildir
                .look(&self.store, &key, Instant(0))
                .await
                .unwrap()
        }

        async fn looks(&mut self, n: u32) -> Look {
            let mut all = Look::default();
            for _ in 0..n {
                let look = self.look().await;
                all.taken += look.taken;
                all.set_aside += look.set_aside;
                all.troubles.extend(look.troubles);
            }
            all
        }
    }

    #[tokio::test]
    async fn files_nobody_can_read_keep_no_later_mail_out_and_are_said_once() {
        let mut stage = Stage::set().await;
        for n in 0..MAILS_MAX {
            fs::create_dir(stage.path("new").join(format!("a{n:03}"))).unwrap();
        }
        stage.mail("b");
        let first = stage.look().await;
        assert_eq!((first.taken, first.troubles.len()), (0, MAILS_MAX));
        assert_eq!(stage.look().await.taken, 1, "the next look passes them by");
        // They are looked at again now and then; a new mail goes first.
        let quiet = stage.looks(PAUSE_FIRST - 2).await;
        assert_eq!(quiet, Look::default());
        stage.mail("c");
        let again = stage.look().await;
        assert_eq!((again.taken, again.troubles), (1, vec![]));
        // What can be read in the end is taken in.
        fs::remove_dir(stage.path("new/a000")).unwrap();
        stage.mail("a000");
        assert_eq!(stage.looks(2 * PAUSE_FIRST).await.taken, 1);
        assert_eq!(unreadable(stage.folder.path()).len(), MAILS_MAX - 1);
    }

    #[tokio::test]
    async fn a_mail_that_cannot_be_moved_is_taken_in_once_and_moved_later() {
        let mut stage = Stage::set().await;
        // No folder can be made where a file is.
        fs::write(stage.path("cur"), "").unwrap();
        stage.mail("a");
        let first = stage.look().await;
        assert_eq!((first.taken, first.troubles.len()), (1, 1));
        let quiet = stage.looks(4 * PAUSE_FIRST).await;
        assert_eq!(quiet, Look::default(), "neither read nor said again");
        stage.mail("b");
        assert_eq!(stage.look().await.taken, 1, "others are taken in");
        fs::remove_file(stage.path("cur")).unwrap();
        let moved = stage.looks(8 * PAUSE_FIRST).await;
        assert_eq!(moved, Look::default());
        assert!(stage.path("cur/a:2,S").exists() && stage.path("cur/b:2,S").exists());
        assert!(files(&stage.path("new")).unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_pipe_in_the_folder_holds_nobody_up() {
        let mut stage = Stage::set().await;
        let pipe = stage.path("new/a");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        stage.mail("b");
        let look = stage.look().await;
        assert_eq!((look.taken, look.troubles.len()), (1, 1));
    }
}
