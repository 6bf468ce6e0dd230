//! Secrets: read from a systemd credential or a private file, never from the
//! configuration itself, never shown.
//!
//! `password = { credential = "smtp.password" }` is the file of that name
//! below `$CREDENTIALS_DIRECTORY`; `{ file = "..." }` is a file that neither
//! group nor others may read. In the environment the secret itself may be
//! given. A newline at the end is not part of it.

use super::forms;
use super::meant::SecretUse;
use super::problem::Place;
use super::raw::{Entry, Origin, Value};
use super::reader::{Complaint, Read, Section};
use super::units::Wrong;
use secrecy::SecretString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// No password or token is longer.
const SECRET_BYTES_MAX: u64 = 16 * 1024;

/// All that is ever listed of a secret.
const SET: &str = "\"(set)\"";

/// Where secrets may come from.
pub struct Vault<'a> {
    /// `$CREDENTIALS_DIRECTORY`
    pub credentials: Option<&'a Path>,
    /// Relative files are below this.
    pub base: &'a Path,
    pub secrets: SecretUse,
}

impl Vault<'_> {
    /// The same, but secrets of what is not switched on are left alone.
    pub fn where_used(&self, used: bool) -> Vault<'_> {
        Vault {
            credentials: self.credentials,
            base: self.base,
            secrets: if used {
                self.secrets
            } else {
                SecretUse::LeaveOut
            },
        }
    }

    /// Reads a secret that may be left out. With [`SecretUse::LeaveOut`] only
    /// the way it is written is checked, and an empty text comes back.
    pub fn read(&self, section: &Section<'_>, key: &str) -> Option<SecretString> {
        let path = section.path_of(key);
        section.maybe_shown(key, |_| SET.to_owned(), |entry| self.secret(entry, &path))
    }

    /// Reads a table of secrets by name, in the order they were written.
    pub fn read_named(
        &self,
        section: &Section<'_>,
        key: &str,
    ) -> Option<Vec<(String, SecretString)>> {
        let path = section.path_of(key);
        let read = forms::table(|entries| {
            let named = |(name, entry): &(&str, &Entry)| {
                let secret = self.secret(entry, &format!("{path}.{name}"))?;
                Ok(((*name).to_owned(), secret))
            };
            entries.iter().map(named).collect()
        });
        section.maybe_shown(key, |_| SET.to_owned(), read)
    }

    fn secret(&self, entry: &Entry, path: &str) -> Read<SecretString> {
        let id = path.replace('.', "-");
        let forms = format!(
            "write {{ credential = \"{id}\" }} or {{ file = \"secrets/{id}\" }}, and put the secret there"
        );
        let table = match &entry.value {
            Value::Table(table) => table,
            Value::Typed(secret) => return checked(secret.clone()),
            Value::Text(_) => {
                return complain(None, "a secret must not stand in the configuration", forms);
            }
            other => {
                return complain(
                    None,
                    format!("a secret is expected, this is {}", other.kind()),
                    forms,
                );
            }
        };
        let parts = forms::in_order(table);
        if let Some((key, part)) = parts
            .iter()
            .find(|(k, _)| !["credential", "file"].contains(k))
        {
            return complain(
                Some(part.origin.key_place()),
                format!("a secret has no `{key}`"),
                forms,
            );
        }
        // One of the two; the environment wins over the file it overrides.
        let Some((kind, part)) = parts.last() else {
            return complain(None, "it says neither credential nor file", forms);
        };
        let overrides = matches!(part.origin, Origin::Variable(_))
            && !matches!(parts[0].1.origin, Origin::Variable(_));
        if parts.len() > 1 && !overrides {
            return complain(None, "it says both credential and file", forms);
        }
        let named = forms::text(part)?;
        let found = match *kind {
            "credential" => self.credential(&named),
            _ => self.private_file(&named),
        };
        found.map_err(|wrong| {
            let at = Some(part.origin.value_place());
            vec![Complaint { at, wrong }]
        })
    }

    fn credential(&self, id: &str) -> Result<SecretString, Wrong> {
        if id.contains(['/', '\\']) || id.starts_with('.') {
            return Err(Wrong::new(
                format!("`{id}` is not the name of a credential"),
                "write the name that stands before the colon in LoadCredential=",
            ));
        }
        if self.secrets == SecretUse::LeaveOut {
            return Ok(SecretString::default());
        }
        let in_unit = format!(
            "add LoadCredential={id}:/path/to/the/secret to the [Service] section of the unit"
        );
        let Some(folder) = self.credentials else {
            return Err(Wrong::new(
                format!("no credentials were handed to this process, so there is no `{id}`"),
                format!("{in_unit}, or write {{ file = \"...\" }} for use without systemd"),
            ));
        };
        let (file, _) = open(&folder.join(id)).map_err(|why| {
            Wrong::new(format!("credential `{id}` cannot be read: {why}"), in_unit)
        })?;
        contents(file)
    }

    fn private_file(&self, written: &str) -> Result<SecretString, Wrong> {
        if self.secrets == SecretUse::LeaveOut {
            return Ok(SecretString::default());
        }
        let path: PathBuf = self.base.join(written);
        let shown = path.display();
        let (file, mode) = open(&path).map_err(|why| {
            let what = format!("{shown} cannot be read: {why}");
            Wrong::new(
                what,
                "create it with the secret in it, readable only by the service's user",
            )
        })?;
        if mode & 0o077 != 0 {
            return Err(Wrong::new(
                format!("{shown} may be read by others (mode {:03o})", mode & 0o777),
                format!("chmod 600 {shown}"),
            ));
        }
        contents(file)
    }
}

fn complain<T>(at: Option<Place>, what: impl Into<String>, cure: impl Into<String>) -> Read<T> {
    let wrong = Wrong::new(what, cure);
    Err(vec![Complaint { at, wrong }])
}

/// The open file with its permission bits: taken from the open file, so that
/// what was checked is what is read.
fn open(path: &Path) -> std::io::Result<(File, u32)> {
    use std::os::unix::fs::MetadataExt;
    let file = File::open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    Ok((file, about.mode()))
}

fn contents(file: File) -> Result<SecretString, Wrong> {
    let mut text = String::new();
    let read = file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text);
    let cure = "write the secret alone into it, as one line of text";
    match read {
        Ok(n) if n as u64 > SECRET_BYTES_MAX => Err(Wrong::new("the secret is too long", cure)),
        Ok(_) => {
            if text.ends_with('\n') {
                text.pop();
                if text.ends_with('\r') {
                    text.pop();
                }
            }
            sound(text)
        }
        Err(_) => Err(Wrong::new("the secret is not text in UTF-8", cure)),
    }
}

fn checked(secret: String) -> Read<SecretString> {
    sound(secret).map_err(|wrong| vec![wrong.into()])
}

fn sound(secret: String) -> Result<SecretString, Wrong> {
    let cure = "write the secret alone, as one line of text";
    if secret.is_empty() {
        return Err(Wrong::new("the secret is empty", cure));
    }
    if secret.chars().any(char::is_control) {
        return Err(Wrong::new(
            "the secret has more than one line, or a control character",
            cure,
        ));
    }
    Ok(SecretString::from(secret))
}
