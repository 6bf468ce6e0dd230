//! What the process was given by its surroundings.
//!
//! The one place, with the clock's, that asks the operating system; everything
//! else takes an [`Environment`] as an argument.

use super::layers::PREFIX;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::PathBuf;

/// The parts of the process's environment the configuration depends on.
#[derive(Clone, Default)]
pub struct Environment {
    /// Our own variables, `BACKORDERD__...`, by name.
    pub variables: BTreeMap<String, String>,
    /// `$CREDENTIALS_DIRECTORY`
    pub credentials_directory: Option<PathBuf>,
    /// The first folder of `$STATE_DIRECTORY`.
    pub state_directory: Option<PathBuf>,
    /// The first folder of `$CONFIGURATION_DIRECTORY`.
    pub configuration_directory: Option<PathBuf>,
}

/// Reads the process's environment. Bytes of our variables that are not UTF-8
/// become replacement characters, which no setting accepts silently: the
/// message then names the variable.
#[expect(
    clippy::disallowed_methods,
    reason = "the one reading of the environment; everybody else gets it as an argument"
)]
pub fn environment() -> Environment {
    let folder = |name: &str| {
        let value = std::env::var_os(name)?;
        std::env::split_paths(&value).find(|path| !path.as_os_str().is_empty())
    };
    let ours = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        let text = |os: &OsStr| os.to_string_lossy().into_owned();
        name.to_str()?
            .starts_with(PREFIX)
            .then(|| (text(&name), text(&value)))
    };
    Environment {
        variables: std::env::vars_os().filter_map(ours).collect(),
        credentials_directory: folder("CREDENTIALS_DIRECTORY"),
        state_directory: folder("STATE_DIRECTORY"),
        configuration_directory: folder("CONFIGURATION_DIRECTORY"),
    }
}
