//! Folders and files: who else can read them.

use super::Item;
use crate::cli::present;
use crate::config::Config;
use crate::wiring;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const STATE: &str = "state folder";

/// Customers' addresses and messages lie in the state folder.
pub fn state_folder(config: &Config) -> Item {
    let folder = &config.state_dir;
    let shown = folder.display();
    if !folder.exists() {
        return Item::ok(
            STATE,
            format!("{shown} is not there yet; it is made when needed"),
        );
    }
    if others_can(folder, 0o005) {
        return Item::warn(
            STATE,
            format!(
                "every user of this machine can read {shown}, and customers' addresses lie in it"
            ),
        )
        .cure(format!("chmod o-rwx {shown}"));
    }
    let mut open: Vec<PathBuf> = Vec::new();
    // Files in a closed folder are closed.
    if let Some(database) = wiring::database_file(config)
        && database.parent() != Some(folder.as_path())
    {
        open.push(database.to_owned());
        open.push(wiring::address_key_path(config));
    }
    if !config.sandbox.folder.starts_with(folder) {
        open.push(config.sandbox.folder.clone());
    }
    open.retain(|path| others_can(path, 0o004) && !path.parent().is_some_and(closed));
    if open.is_empty() {
        return Item::ok(STATE, format!("{shown}, closed to other users"));
    }
    let list: Vec<String> = open.iter().map(|p| p.display().to_string()).collect();
    Item::warn(
        STATE,
        format!("every user of this machine can read {}", list.join(" and ")),
    )
    .cure(format!("chmod o-rwx {}", list.join(" ")))
}

fn others_can(path: &Path, bits: u32) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & bits != 0)
}

/// Nobody else can enter it.
fn closed(folder: &Path) -> bool {
    !others_can(folder, 0o001)
}

/// `1.2 MB`, of a database with its log.
pub fn size(database: &Path) -> String {
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let bytes: u64 = [database, Path::new(&log)]
        .iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|meta| meta.len())
        .sum();
    present::bytes(bytes)
}
