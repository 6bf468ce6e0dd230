//! Which file is read, and which folders follow from it.
//!
//! The file: `--config`, else `backorderd.toml` in `--home`, in
//! `$CONFIGURATION_DIRECTORY`, in the working folder, in `/etc/backorderd`;
//! the first that is there. None at all is fine: the defaults then stand, in
//! sandbox mode.
//!
//! The state folder: `--home`, else `state.dir`, else `$STATE_DIRECTORY`, else
//! `/var/lib/backorderd` for a file below `/etc` (so that a person's command
//! finds what the service wrote), else `backorderd-state` beside the file.

use super::LoadArgs;
use super::forms::parsed;
use super::meant::{DatabaseSettings, SecretUse};
use super::problem::{Place, Problem};
use super::raw::quoted;
use super::reader::Reader;
use super::secrets::Vault;
use super::units::Wrong;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

pub const FILE_NAME: &str = "backorderd.toml";
const SYSTEM_FILE: &str = "/etc/backorderd/backorderd.toml";
const SYSTEM_STATE: &str = "/var/lib/backorderd";
const STATE_BESIDE_FILE: &str = "backorderd-state";
const DATABASE_FILE: &str = "backorderd.db";

/// No configuration is longer; a larger file is some other file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Finds and reads the operator's file.
///
/// # Errors
/// A file that was named does not exist; a file cannot be read.
pub fn find(args: &LoadArgs<'_>) -> Result<Option<(PathBuf, String)>, Problem> {
    if let Some(named) = args.file {
        let cure = "name a file that is there, or leave --config out";
        return match read(named)? {
            Some(text) => Ok(Some((named.to_owned(), text))),
            None => Err(whole(format!("there is no file {}", named.display()), cure)),
        };
    }
    let candidates = match args.home {
        Some(home) => vec![home.join(FILE_NAME)],
        None => {
            let configured = &args.environment.configuration_directory;
            let mut candidates: Vec<PathBuf> =
                configured.iter().map(|dir| dir.join(FILE_NAME)).collect();
            candidates.extend([PathBuf::from(FILE_NAME), PathBuf::from(SYSTEM_FILE)]);
            candidates
        }
    };
    for candidate in candidates {
        if let Some(text) = read(&candidate)? {
            return Ok(Some((candidate, text)));
        }
    }
    Ok(None)
}

fn whole(what: String, cure: &str) -> Problem {
    Problem {
        place: Place::Whole,
        what,
        cure: Some(cure.to_owned()),
    }
}

fn read(path: &Path) -> Result<Option<String>, Problem> {
    let shown = path.display();
    let mut bytes = Vec::new();
    let done = std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match done {
        Ok(n) if n as u64 > FILE_BYTES_MAX => Err(whole(
            format!("{shown} is far too long for a configuration"),
            "name the right file with --config",
        )),
        Ok(_) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(whole(
                format!(
                    "{shown} is not UTF-8, first at byte {}",
                    error.utf8_error().valid_up_to()
                ),
                "save it as UTF-8",
            )),
        },
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(whole(
            format!("{shown} cannot be read: {error}"),
            "run the command as a user who may read it",
        )),
    }
}

/// Folders and files of a load.
pub struct Folders {
    /// Relative paths of the configuration are below this.
    pub base: PathBuf,
    pub state_dir: PathBuf,
    pub sandbox: PathBuf,
    pub templates: Option<PathBuf>,
    pub database: DatabaseSettings,
}

/// The password of a server. It is needed for looking as much as for writing,
/// so a command that leaves secrets out reads it all the same.
pub fn database_password(reader: &Reader, vault: &Vault<'_>, settings: &mut DatabaseSettings) {
    let is_server = matches!(settings, DatabaseSettings::Postgres { .. });
    let vault = Vault {
        secrets: SecretUse::Load,
        ..*vault
    };
    let found = vault
        .where_used(is_server)
        .read(&reader.section("database"), "password");
    if let DatabaseSettings::Postgres { password, .. } = settings {
        *password = found;
    }
}

/// The folder of the file that was read.
pub fn base_folder(args: &LoadArgs<'_>, file: Option<&Path>) -> PathBuf {
    match (file.and_then(Path::parent), args.home) {
        (Some(parent), _) => parent.to_owned(),
        (None, Some(home)) => home.to_owned(),
        (None, None) => PathBuf::new(),
    }
}

pub fn folders(reader: &Reader, args: &LoadArgs<'_>, base: PathBuf) -> Folders {
    let path = |section: &str, key: &str| {
        let found = reader.section(section).maybe(key, super::forms::text);
        found.map(|text| base.join(text))
    };
    let configured = path("state", "dir");
    let (state_dir, from) = if let Some(home) = args.home {
        (home.to_owned(), Some("--home".to_owned()))
    } else if let Some(dir) = configured {
        let entry = reader.section("state").entry("dir");
        (dir, entry.and_then(|entry| entry.origin.words()))
    } else if let Some(dir) = &args.environment.state_directory {
        (dir.clone(), Some("$STATE_DIRECTORY".to_owned()))
    } else if base.starts_with("/etc") {
        (PathBuf::from(SYSTEM_STATE), None)
    } else {
        (base.join(STATE_BESIDE_FILE), None)
    };
    let listed = |path: &Path| quoted(&path.display().to_string());
    reader.show_as("state.dir", listed(&state_dir), from);

    let url = |text: &str| database(text, &base);
    let section = reader.section("database");
    let database = section
        .maybe("url", parsed(url))
        .unwrap_or_else(|| DatabaseSettings::Sqlite {
            path: state_dir.join(DATABASE_FILE),
        });
    let from = section.entry("url").and_then(|entry| entry.origin.words());
    let shown = match &database {
        DatabaseSettings::Sqlite { path } => format!("sqlite:{}", path.display()),
        DatabaseSettings::Postgres { url, .. } => url.clone(),
    };
    reader.show_as("database.url", quoted(&shown), from);

    let templates = path("templates", "dir");
    let sandbox = path("sandbox", "folder").unwrap_or_else(|| state_dir.join("outbox"));
    let from = reader
        .section("sandbox")
        .entry("folder")
        .and_then(|e| e.origin.words());
    reader.show_as("sandbox.folder", listed(&sandbox), from);
    Folders {
        base,
        state_dir,
        sandbox,
        templates,
        database,
    }
}

/// Where bounces are delivered into, if that is a Maildir.
pub fn bounce_maildir(reader: &Reader, base: &Path) -> Option<PathBuf> {
    let section = reader.section("email.bounces");
    let named = section.maybe("maildir", super::forms::text);
    named.map(|text| base.join(text))
}

fn database(text: &str, base: &Path) -> Result<DatabaseSettings, Wrong> {
    let cure = "write \"sqlite:\" and the path of a file, like \"sqlite:/var/lib/backorderd/backorderd.db\", \
                or \"postgres://user@host/database\"";
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err(Wrong::new("this is not the address of a database", cure));
    };
    match scheme {
        "sqlite" => file(rest, base, cure),
        "postgres" | "postgresql" => server(text, rest),
        _ => Err(Wrong::new(
            format!("there is no support for {scheme} databases, only for SQLite and PostgreSQL"),
            cure,
        )),
    }
}

fn file(rest: &str, base: &Path, cure: &str) -> Result<DatabaseSettings, Wrong> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || path.starts_with(':') || path.ends_with('/') {
        return Err(Wrong::new(
            "a file is needed, so that nothing is forgotten",
            cure,
        ));
    }
    if path.contains('?') {
        return Err(Wrong::new("options after ? are not taken", cure));
    }
    Ok(DatabaseSettings::Sqlite {
        path: base.join(path),
    })
}

fn server(text: &str, rest: &str) -> Result<DatabaseSettings, Wrong> {
    let cure = "write \"postgres://user@host/database\", and behind it \"?sslmode=verify-full\" for a \
                server elsewhere";
    let address = rest.strip_prefix("//").unwrap_or_default();
    let (address, options) = address.split_once('?').unwrap_or((address, ""));
    let (who, name) = address.split_once('/').unwrap_or((address, ""));
    if name.is_empty() {
        return Err(Wrong::new("the name of a database is missing", cure));
    }
    let has_password = who
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':'))
        || options.contains("password=");
    if has_password {
        return Err(Wrong::new(
            "a password must not stand in the address",
            "take it out and write password = { credential = \"database-password\" } or { file = \
             \"secrets/database-password\" } below [database]",
        ));
    }
    Ok(DatabaseSettings::Postgres {
        url: text.to_owned(),
        password: None,
    })
}
