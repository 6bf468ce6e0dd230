//! Where the data is: a file of SQLite, or a database on a PostgreSQL server.

use crate::store::postgres::Server;
use std::fmt;
use std::path::{Path, PathBuf};

/// Text that names no database.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    #[error(
        "a database is named by sqlite:PATH, by the path of a file, or by \
         postgres://USER@HOST/DATABASE"
    )]
    Unknown,
    /// Without a file everything would be forgotten at the end.
    #[error("sqlite: needs the path of a file")]
    NoFile,
    #[error("postgres: needs the name of a database behind the host")]
    NoDatabase,
    #[error("postgres: the option {0} is not known")]
    Option(String),
    /// The driver's own words can hold parts of the address.
    #[error("postgres: the address cannot be read")]
    Address,
}

/// One database. Neither `Display` nor `Debug` shows a password.
#[derive(Clone)]
pub enum Place {
    Sqlite(PathBuf),
    Postgres(Server),
}

impl Place {
    /// Reads `sqlite:PATH`, a bare path, `postgres://…` or `postgresql://…`.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn parse(text: &str) -> Result<Place, PlaceError> {
        match text.split_once(':') {
            Some(("postgres" | "postgresql", _)) => Server::parse(text).map(Place::Postgres),
            Some(("sqlite", rest)) => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() || path.starts_with(':') || path.ends_with('/') {
                    return Err(PlaceError::NoFile);
                }
                Ok(Place::Sqlite(PathBuf::from(path)))
            }
            Some((_, rest)) if rest.starts_with("//") => Err(PlaceError::Unknown),
            _ if text.is_empty() => Err(PlaceError::Unknown),
            _ => Ok(Place::Sqlite(PathBuf::from(text))),
        }
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Place {
        Place::Sqlite(path.to_owned())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Sqlite(path) => path.display().fmt(f),
            Place::Postgres(server) => server.fmt(f),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_file_or_a_server() {
        for (text, shown) in [
            ("sqlite:/var/lib/b.db", "/var/lib/b.db"),
            ("sqlite:///var/lib/b.db", "/var/lib/b.db"),
            ("/var/lib/b.db", "/var/lib/b.db"),
            ("b.db", "b.db"),
            (
                "postgres://shop@db.example/b",
                "postgres://shop@db.example:5432/b",
            ),
            (
                "postgresql://shop:hunter2@db.example:5433/b?sslmode=verify-full",
                "postgres://shop@db.example:5433/b",
            ),
            (
                "postgres://shop@%2Frun%2Fpostgresql/b",
                "postgres://shop@/b?host=/run/postgresql",
            ),
        ] {
            let place = Place::parse(text).unwrap();
            assert_eq!(place.to_string(), shown, "{text}");
            assert!(!format!("{place:?}").contains("hunter2"));
        }
    }

    #[test]
    fn what_names_no_database_is_refused_without_repeating_it() {
        for (text, says) in [
            ("", "a database is named by"),
            ("mysql://shop:hunter2@db/b", "a database is named by"),
            ("sqlite:", "sqlite: needs"),
            ("sqlite::memory:", "sqlite: needs"),
            ("postgres://shop:hunter2@db.example", "postgres: needs"),
            (
                "postgres://shop:hunter2@db.example:no/b",
                "postgres: the address",
            ),
            (
                "postgres://shop:hunter2@db.example/b?sslmod=verify-full",
                "postgres: the option sslmod is not known",
            ),
        ] {
            let refused = Place::parse(text).unwrap_err();
            assert!(refused.to_string().starts_with(says), "{text}: {refused}");
            assert!(!format!("{refused:?} {refused}").contains("hunter2"));
        }
    }
}
