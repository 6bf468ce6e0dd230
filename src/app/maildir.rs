//! A Maildir that bounces are delivered into.
//!
//! A mail in `new` is read, taken into the store, and only after that commit
//! moved to `cur` with the mark "seen"; a crash in between reads it once more,
//! and the second time changes nothing. What cannot be read as a file (no
//! permission, no file at all) stays where it is and is reported, once.
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
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Mails taken in one look; the rest comes with the next.
const MAILS_MAX: usize = 200;

/// A Maildir, and what was wrong with files in it.
#[derive(Debug)]
pub struct Maildir {
    path: PathBuf,
    /// Files that could not be read, already reported.
    reported: BTreeSet<PathBuf>,
    /// The folder itself was reported as unreadable.
    is_reported: bool,
}

/// What one look came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Mails taken in.
    pub taken: usize,
    /// Of them, those nobody can read.
    pub set_aside: usize,
    /// Files that could not be read and were not reported before: name and
    /// reason.
    pub troubles: Vec<String>,
}

impl Maildir {
    pub fn at(path: PathBuf) -> Maildir {
        Maildir {
            path,
            reported: BTreeSet::new(),
            is_reported: false,
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
        let names = match waiting(&self.path.join("new")) {
            Ok(names) => {
                self.is_reported = false;
                names
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_reported, true) {
                    let shown = self.path.join("new").display().to_string();
                    look.troubles.push(format!("{shown}: {error}"));
                }
                return Ok(look);
            }
        };
        self.reported.retain(|path| names.contains(path));
        for path in names {
            match read(&path) {
                Ok(raw) => {
                    let received = receive(store, key, &raw, None, now).await?;
                    look.taken += 1;
                    look.set_aside += usize::from(received == Received::SetAside);
                    if let Err(error) = self.finish(&path) {
                        self.report(&path, &error, &mut look);
                    }
                }
                // Another reader was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.report(&path, &error, &mut look),
            }
        }
        Ok(look)
    }

    fn report(&mut self, path: &Path, error: &io::Error, look: &mut Look) {
        if self.reported.insert(path.to_owned()) {
            let shown = path.display().to_string();
            look.troubles.push(format!("{shown}: {error}"));
        }
    }

    /// `cur/NAME:2,S`: seen, in the words of Maildir.
    fn finish(&self, path: &Path) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let cur = self.path.join("cur");
        fs::create_dir_all(&cur)?;
        match fs::rename(path, cur.join(format!("{name}:2,S"))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
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
/// reason, for a person.
pub fn unreadable(maildir: &Path) -> Vec<String> {
    let folder = maildir.join("new");
    let said = |path: &Path, error: &io::Error| format!("{}: {error}", path.display());
    match waiting(&folder) {
        Ok(names) => names
            .iter()
            .filter_map(
                |path| match File::open(path).and_then(|file| file.metadata()) {
                    Ok(about) if about.is_file() => None,
                    Ok(_) => Some(said(path, &io::Error::other("it is no file"))),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => Some(said(path, &error)),
                },
            )
            .collect(),
        Err(error) => vec![said(&folder, &error)],
    }
}

/// Files of `new`, oldest name first.
fn waiting(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    Ok(files(folder)?.into_iter().take(MAILS_MAX).collect())
}

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

/// As much of a mail as is ever looked at.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    let limit = MAIL_BYTES_MAX as u64;
    File::open(path)?.take(limit).read_to_end(&mut raw)?;
    Ok(raw)
}
