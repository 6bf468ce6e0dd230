//! Which database this is, and how far it has come: what the restore guard
//! compares with what it saw last.

use crate::store::conn::{Conn, sql, statements};
use crate::store::read::{META, ReadStore, reading};
use crate::store::statement::{maybe, row, value};
use crate::store::types::StoreError;
use serde::{Deserialize, Serialize};

/// A count that rises with every message planned, every sending begun and
/// every act of an operator, and never falls: each part numbers rows that are
/// only added. One look at the end of three indexes.
const PROGRESS: &str = "
SELECT coalesce((SELECT max(a.id) FROM attempts a), 0)
  + coalesce((SELECT max(m.no) FROM messages m), 0)
  + coalesce((SELECT max(u.seq) FROM audit u), 0)";

/// A server's history: a standby that takes over begins another timeline.
const TIMELINE: &str = "
SELECT CASE WHEN pg_is_in_recovery() THEN NULL
  ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END";

/// Which server: a number it was given when it was made.
const SYSTEM: &str = "SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()";

/// A file has no history but its rows.
const NO_SERVER: &str = "SELECT CAST(NULL AS TEXT)";

statements![PROGRESS, NO_SERVER | TIMELINE, NO_SERVER | SYSTEM];

/// A database at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Given to the data with their schema; a copy keeps it.
    pub instance: Option<String>,
    pub progress: i64,
    /// Of a server; `None` for a file, and where the server does not tell.
    pub system: Option<String>,
    pub timeline: Option<String>,
}

impl ReadStore {
    /// Which database this is and how far it has come.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn identity(&self) -> Result<Identity, StoreError> {
        let failed = reading("tell which database this is");
        let mut reader = self.reader().await.map_err(&failed)?;
        let mut c = reader.conn();
        let instance: Option<String> = maybe!(&mut c, META, "instance_id").map_err(&failed)?;
        let progress: i64 = value!(&mut c, PROGRESS).map_err(&failed)?;
        Ok(Identity {
            instance,
            progress,
            timeline: told(&mut c, TIMELINE).await,
            system: told(&mut c, SYSTEM).await,
        })
    }

    /// When the backup was made that this database is, if it is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn backup_made_at(&self) -> Result<Option<i64>, StoreError> {
        let text = self.meta(crate::store::copy::BACKUP_OF).await?;
        Ok(text.and_then(|text| text.parse().ok()))
    }
}

/// What a server says of itself, where it does: not every engine that speaks
/// the protocol knows these words, and not every user may ask.
async fn told(c: &mut Conn<'_>, postgres: &'static str) -> Option<String> {
    let text = sql(c, NO_SERVER, postgres);
    let told: Result<(Option<String>,), sqlx::Error> = row!(c, text);
    told.ok().and_then(|(word,)| word)
}
