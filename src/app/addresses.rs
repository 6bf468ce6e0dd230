//! Keyed hashes of addresses: what suppressions, caps and contacts are found
//! by without keeping the address a second time.
//!
//! The key lies beside the database. With another key every hash would
//! silently miss, so its fingerprint is stored in the database and compared at
//! start.

use crate::app::AppError;
use crate::clock::Ids;
use crate::domain::contact::{Contact, EmailAddress, PhoneNumber};
use crate::domain::statement::hex;
use crate::domain::verp::VerpKey;
use crate::store::Store;
use crate::store::write::mirror::ContactHashes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The key; clones share it. `Debug` does not show it.
#[derive(Clone)]
pub struct AddressKey(Arc<[u8; 32]>);

impl std::fmt::Debug for AddressKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AddressKey")
    }
}

/// Where the key of a database lies.
pub fn key_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".address-key");
    PathBuf::from(name)
}

impl AddressKey {
    pub fn from_bytes(bytes: [u8; 32]) -> AddressKey {
        AddressKey(Arc::new(bytes))
    }

    /// Reads the key from its file; absent when there is none.
    ///
    /// # Errors
    /// The file exists and cannot be read or is damaged.
    pub fn read(path: &Path) -> Result<Option<AddressKey>, AppError> {
        match std::fs::read(path) {
            Ok(bytes) => match <[u8; 32]>::try_from(bytes.as_slice()) {
                Ok(bytes) => Ok(Some(AddressKey::from_bytes(bytes))),
                Err(_) => Err(AppError::WrongAddressKey {
                    path: path.display().to_string(),
                }),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(AppError::Io {
                doing: "read the address key",
                source,
            }),
        }
    }

    /// Reads or makes the key of a database in its file and holds it against
    /// the stored fingerprint. Who shares a database on a server shares the key.
    /// Of several first processes in one folder one makes the key and the others
    /// take it over; on several machines the first one's counts, and the others
    /// hear that theirs is another.
    ///
    /// # Errors
    /// [`AppError::WrongAddressKey`]; the file cannot be written.
    pub async fn ensure(store: &Store, ids: &Ids, path: &Path) -> Result<AddressKey, AppError> {
        let wrong = || AppError::WrongAddressKey {
            path: path.display().to_string(),
        };
        // The file before the fingerprint: what is stored is on somebody's disk.
        let stored = store.read().meta("address_key_fingerprint").await?;
        let (key, is_mine) = match (AddressKey::read(path)?, &stored) {
            (Some(key), _) => (key, false),
            // Somebody in this folder may have made it between the two looks.
            (None, Some(_)) => (AddressKey::read(path)?.ok_or_else(wrong)?, false),
            (None, None) => AddressKey::make(ids, path)?,
        };
        let fingerprint = key.fingerprint();
        let stored = match stored {
            Some(stored) => stored,
            None => {
                let first = store.put_meta_first("address_key_fingerprint", &fingerprint);
                first.await?
            }
        };
        if stored == fingerprint {
            return Ok(key);
        }
        if is_mine {
            // Nothing was hashed with it; it would only be in the way of the
            // right one.
            std::fs::remove_file(path).map_err(|source| AppError::Io {
                doing: "remove an address key nobody uses",
                source,
            })?;
        }
        Err(wrong())
    }

    /// Makes a key; `false` with it: another process was first, and it is that
    /// one's.
    fn make(ids: &Ids, path: &Path) -> Result<(AddressKey, bool), AppError> {
        let bytes = ids.key_bytes();
        let made = write_private(path, &bytes).map(|()| AddressKey::from_bytes(bytes));
        match made {
            Ok(key) => Ok((key, true)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let theirs = AddressKey::read(path)?;
                let gone = || AppError::WrongAddressKey {
                    path: path.display().to_string(),
                };
                Ok((theirs.ok_or_else(gone)?, false))
            }
            Err(source) => Err(AppError::Io {
                doing: "write the address key",
                source,
            }),
        }
    }

    /// By it hashes made with this key are known; says nothing about the key.
    pub fn fingerprint(&self) -> String {
        hex(&Sha256::digest(self.0.as_slice())[..8])
    }

    /// The key bounce tokens are made with: a key of its own, so that whoever
    /// learned a token's hash would know nothing about addresses.
    pub fn verp_key(&self) -> VerpKey {
        VerpKey::derive(self.0.as_slice())
    }

    /// The hash of an address in canonical form.
    pub fn hash(&self, canonical: &str) -> String {
        // A key of 32 bytes fits every HMAC.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice())
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.update(canonical.as_bytes());
        hex(&mac.finalize().into_bytes()[..16])
    }

    pub fn hash_email(&self, email: &EmailAddress) -> String {
        self.hash(&email.canonical())
    }
    pub fn hash_phone(&self, phone: &PhoneNumber) -> String {
        self.hash(&phone.canonical())
    }

    /// The hashes of an order's contact: the person is who reads the address,
    /// else who answers the number, else only this order.
    pub fn contact(&self, contact: &Contact, order_key: &str) -> ContactHashes {
        let email = contact.email.as_ref().map(|e| self.hash_email(e));
        let phone = contact.phone.as_ref().map(|p| self.hash_phone(p));
        let own = email
            .clone()
            .or_else(|| phone.clone())
            .unwrap_or_else(|| self.hash(&format!("order:{order_key}")));
        ContactHashes {
            contact: own,
            email,
            phone,
        }
    }
}

/// What became of a key that should go along with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyCopy {
    Copied,
    /// The same key is there already.
    There,
    /// There is none to copy.
    None,
}

/// Takes the key of one database along to another.
///
/// # Errors
/// Another key is there already; a file cannot be read or written.
pub fn copy_key(from: &Path, to: &Path) -> Result<KeyCopy, AppError> {
    let Some(key) = AddressKey::read(from)? else {
        return Ok(KeyCopy::None);
    };
    match AddressKey::read(to)? {
        Some(there) if there.0 == key.0 => Ok(KeyCopy::There),
        Some(_) => Err(AppError::Refused(format!(
            "{} is the key of another database; move it away first",
            to.display()
        ))),
        None => {
            write_private(to, key.0.as_slice()).map_err(|source| AppError::Io {
                doing: "write the address key",
                source,
            })?;
            Ok(KeyCopy::Copied)
        }
    }
}

/// Creates a file only its owner can read, flushed to the disk. It is there
/// whole or not at all: whoever reads it at the same moment sees no half.
///
/// # Errors
/// There is one; it cannot be written.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    static NTH: AtomicU64 = AtomicU64::new(0);
    let mut name = path.as_os_str().to_owned();
    let nth = NTH.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}-{nth}", std::process::id()));
    let draft = PathBuf::from(name);
    // Of a process that had our number and broke off.
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A link, unlike a rename, never replaces what is there.
    let placed = write_draft(&draft, bytes).and_then(|()| std::fs::hard_link(&draft, path));
    let cleaned = std::fs::remove_file(&draft);
    placed?;
    cleaned?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn write_draft(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
