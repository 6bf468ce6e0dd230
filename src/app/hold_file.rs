//! The hold that works when nothing else does: a file named `hold` in the
//! state folder.
//!
//! Read before every claim and every mark, so that `touch hold` stops sending
//! even when no command line and no database answers.

use std::path::{Path, PathBuf};

pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("hold")
}

/// True when the file is there, or when nobody can tell.
pub fn is_held(state_dir: &Path) -> bool {
    path(state_dir).try_exists().unwrap_or(true)
}

/// Why, if the file says so: its first line.
pub fn reason(state_dir: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path(state_dir)).ok()?;
    text.lines()
        .next()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
}
