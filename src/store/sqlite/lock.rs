//! The delivery lock: only its holder claims and sends.
//!
//! A lock on a file beside the database, held by the operating system: it
//! goes with the process, however that ends, so a killed daemon leaves nothing
//! to clean up. Any process may commit short transactions without it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

/// Held while this value lives.
#[derive(Debug)]
pub struct DeliveryLock {
    _file: Option<File>,
}

impl DeliveryLock {
    /// Of a database on a server: its leases keep senders apart.
    pub fn not_needed() -> DeliveryLock {
        DeliveryLock { _file: None }
    }
}

/// The answer to trying.
#[derive(Debug)]
pub enum LockAttempt {
    Taken(DeliveryLock),
    /// Another process sends from this database; its process id, if it can be
    /// read.
    HeldBy(Option<u32>),
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".delivery-lock");
    PathBuf::from(name)
}

/// Tries to take the lock of a database file; never waits.
///
/// # Errors
/// The lock file cannot be created or the file system knows no locks.
pub fn try_lock(database: &Path) -> std::io::Result<LockAttempt> {
    let path = lock_path(database);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())?;
            Ok(LockAttempt::Taken(DeliveryLock { _file: Some(file) }))
        }
        Err(TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).ok();
            Ok(LockAttempt::HeldBy(
                holder.and_then(|text| text.trim().parse().ok()),
            ))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Who holds the lock of a database file, without trying to take it: `None`
/// for nobody, else the process id if it can be read.
///
/// # Errors
/// The lock file cannot be opened.
pub fn holder(database: &Path) -> std::io::Result<Option<Option<u32>>> {
    let path = lock_path(database);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).ok();
            Ok(Some(holder.and_then(|text| text.trim().parse().ok())))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("b.sqlite");
        assert_eq!(holder(&database).unwrap(), None);
        let LockAttempt::Taken(first) = try_lock(&database).unwrap() else {
            panic!("free")
        };
        let LockAttempt::HeldBy(holder) = try_lock(&database).unwrap() else {
            panic!("held")
        };
        assert_eq!(holder, Some(std::process::id()));
        assert_eq!(super::holder(&database).unwrap(), Some(holder));
        drop(first);
        assert_eq!(super::holder(&database).unwrap(), None);
        assert!(matches!(
            try_lock(&database).unwrap(),
            LockAttempt::Taken(_)
        ));
    }
}
