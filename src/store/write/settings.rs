//! Changed settings: who notices them wakes every order, and what follows from
//! them alone is held until all have been looked at under them.
//!
//! Several processes may run with different settings, for as long as a rolling
//! restart takes or a configuration was forgotten somewhere. The digest kept
//! here is of the settings that came last, and `settings_no` counts them. Each
//! order carries the number it was last looked at under: what a process with
//! older settings plans waits for a person, counts as no look, and only who runs
//! with the newest may say that every order was looked at under them.

use super::locks;
use super::operate::{put_meta, wake_all};
use crate::domain::time::Instant;
use crate::store::conn::{Conn, sql, statements};
use crate::store::statement::{Halt, maybe, rows, run, value};
use crate::store::writer::Wakes;

const KEPT: &str = "SELECT value FROM meta WHERE name = 'policy_digest'";

/// Both movements come past this row, one after the other. It is the first
/// lock either takes, and nobody else takes it.
const KEPT_ALONE: &str = "SELECT value FROM meta WHERE name = 'policy_digest' FOR UPDATE";

const STANDING: &str = "
SELECT name, value FROM meta WHERE name IN ('policy_digest', 'policy_changed_at', 'settings_no')";

const IS_ANY_DUE: &str = "SELECT EXISTS (SELECT 1 FROM orders WHERE next_review_at <= $1)";

/// Orders a process with older settings planned last.
const WAKE_OVERLOOKED: &str = "
UPDATE orders SET review_version = review_version + 1, next_review_at = $1
WHERE closed_at IS NULL AND settings_no < $2";

const END: &str = "
UPDATE meta SET value = '' WHERE name = 'policy_changed_at' AND value <> ''";

statements![
    KEPT | KEPT_ALONE,
    STANDING,
    IS_ANY_DUE,
    WAKE_OVERLOOKED,
    END
];

/// How a planner's settings stand to the newest, as its plan is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// They are these, and had their say.
    Newest { no: i64 },
    /// They are these, and are having it.
    Speaking { no: i64 },
    /// Others came since.
    Overtaken,
}

impl Stand {
    /// Whether a person decides about what is planned under them.
    pub(super) fn waits(self) -> bool {
        !matches!(self, Stand::Newest { .. })
    }

    /// The settings under which an order that is planned now was looked at. The
    /// plan of an older process undoes what the newest had looked at.
    pub(super) fn looks_count_for(self) -> i64 {
        match self {
            Stand::Newest { no } | Stand::Speaking { no } => no,
            Stand::Overtaken => 0,
        }
    }
}

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
    /// So many orders were looked at under older ones only, and are due again.
    Overlooked { orders: u64 },
}

impl Spoken {
    pub(super) fn wakes(&self) -> Wakes {
        match self {
            Spoken::Ended => Wakes::Nobody,
            Spoken::Overlooked { .. } => Wakes::Others,
            Spoken::NotOurs | Spoken::NotYet => Wakes::Unchanged,
        }
    }
}

async fn kept(c: &mut Conn<'_>) -> Result<Option<String>, sqlx::Error> {
    let kept = sql(c, KEPT, KEPT_ALONE);
    maybe!(c, kept)
}

/// What is known of the settings that came last.
#[derive(Debug, Default)]
struct Standing {
    digest: Option<String>,
    speaks: bool,
    no: i64,
}

async fn standing(c: &mut Conn<'_>) -> Result<Standing, sqlx::Error> {
    let mut standing = Standing::default();
    let kept: Vec<(String, String)> = rows!(c, STANDING)?;
    for (name, value) in kept {
        match name.as_str() {
            "policy_digest" => standing.digest = Some(value),
            "policy_changed_at" => standing.speaks = !value.is_empty(),
            _ => standing.no = value.parse().unwrap_or(0),
        }
    }
    Ok(standing)
}

/// How a planner with these settings stands.
pub(super) async fn stand(c: &mut Conn<'_>, digest: &str) -> Result<Stand, sqlx::Error> {
    let Standing {
        digest: newest,
        speaks,
        no,
    } = standing(c).await?;
    Ok(
        match (newest.is_none_or(|newest| newest == digest), speaks) {
            (false, _) => Stand::Overtaken,
            (true, true) => Stand::Speaking { no },
            (true, false) => Stand::Newest { no },
        },
    )
}

/// See [`crate::store::Store::notice_settings`].
pub async fn notice(c: &mut Conn<'_>, digest: &str, now: Instant) -> Result<Noticed, Halt> {
    let noticed = match kept(c).await? {
        Some(kept) if kept == digest => return Ok(Noticed::Known),
        Some(_) => {
            let no = standing(c).await?.no + 1;
            put_meta(c, "settings_no", &no.to_string()).await?;
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
    let standing = standing(c).await?;
    if !standing.speaks || value!(c, IS_ANY_DUE, now.0)? {
        return Ok(Spoken::NotYet);
    }
    // What is being planned at this moment counts as it will have been written.
    locks::open_orders(c).await?;
    if value!(c, IS_ANY_DUE, now.0)? {
        return Ok(Spoken::NotYet);
    }
    let orders = run!(c, WAKE_OVERLOOKED, now.0, standing.no)?;
    if orders > 0 {
        return Ok(Spoken::Overlooked { orders });
    }
    run!(c, END)?;
    Ok(Spoken::Ended)
}
