//! Changed settings: who notices them wakes every order, and what follows from
//! them alone is held until all have been looked at under them.
//!
//! Several processes may run with different settings, for as long as a rolling
//! restart takes or a configuration was forgotten somewhere. The digest kept
//! here is of the settings that came last. Only who runs with those may say
//! that every order was looked at under them.

use super::operate::{put_meta, wake_all};
use crate::domain::time::Instant;
use crate::store::conn::{Conn, sql, statements};
use crate::store::statement::{Halt, maybe, run};
use crate::store::writer::Wakes;

const KEPT: &str = "SELECT value FROM meta WHERE name = 'policy_digest'";

/// Both movements come past this row, one after the other. It is the first
/// lock either takes, and nobody else takes it.
const KEPT_ALONE: &str = "SELECT value FROM meta WHERE name = 'policy_digest' FOR UPDATE";

const END: &str = "
UPDATE meta SET value = '' WHERE name = 'policy_changed_at' AND value <> ''
  AND NOT EXISTS (SELECT 1 FROM orders WHERE next_review_at <= $1)";

statements![KEPT | KEPT_ALONE, END];

/// What is known of the settings a process runs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// The first ones there are.
    First,
    /// Those that were there.
    Known,
    /// Others than before; this many orders are looked at again.
    Changed { orders: u64 },
}

impl Noticed {
    pub(super) fn wakes(&self) -> Wakes {
        match self {
            Noticed::First => Wakes::Nobody,
            Noticed::Known => Wakes::Unchanged,
            Noticed::Changed { .. } => Wakes::Others,
        }
    }
}

/// Whether changed settings have had their say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// They have: what comes now comes from facts again.
    Ended,
    /// Others than the caller's were noticed last: it is not the caller's to
    /// say.
    NotOurs,
    /// They were not changed, or orders are still to be looked at.
    NotYet,
}

impl Spoken {
    pub(super) fn wakes(&self) -> Wakes {
        Wakes::nobody_if(*self == Spoken::Ended)
    }
}

async fn kept(c: &mut Conn<'_>) -> Result<Option<String>, sqlx::Error> {
    let kept = sql(c, KEPT, KEPT_ALONE);
    maybe!(c, kept)
}

/// See [`crate::store::Store::notice_settings`].
pub async fn notice(c: &mut Conn<'_>, digest: &str, now: Instant) -> Result<Noticed, Halt> {
    let noticed = match kept(c).await? {
        Some(kept) if kept == digest => return Ok(Noticed::Known),
        Some(_) => {
            put_meta(c, "policy_changed_at", &now.0.to_string()).await?;
            let orders = wake_all(c, now).await?;
            Noticed::Changed { orders }
        }
        None => Noticed::First,
    };
    put_meta(c, "policy_digest", digest).await?;
    Ok(noticed)
}

/// See [`crate::store::Store::end_settings_say`].
pub async fn end_say(c: &mut Conn<'_>, digest: &str, now: Instant) -> Result<Spoken, Halt> {
    if kept(c).await?.is_some_and(|kept| kept != digest) {
        return Ok(Spoken::NotOurs);
    }
    Ok(match run!(c, END, now.0)? {
        0 => Spoken::NotYet,
        _ => Spoken::Ended,
    })
}
