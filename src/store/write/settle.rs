//! Settling what is open: doubts, and what grew too old.
//!
//! Several processes may settle at once. Each looks, locks the orders of what it
//! found, and changes only what is still as it was found: what another settled
//! in between does not come back from the statement and has no consequences
//! here.

use crate::domain::ids::{MessageNo, RunNo};
use crate::domain::kinds::Kind;
use crate::domain::message::{CLAIMS_WITHOUT_OUTCOME_MAX, Settlement, settle_doubt};
use crate::domain::statement::MessageFacts;
use crate::domain::time::{Instant, Length};
use crate::domain::told::Basis;
use crate::store::codec::json;
use crate::store::conn::{Conn, is_queued, statements};
use crate::store::statement::{Halt, column, maybe, rows, run};
use crate::store::types::{RunState, StoreError};
use crate::store::write::deliver::TOUCH_DOWN;
use crate::store::write::deliver::told::{Said, write_told};
use crate::store::write::locks;
use crate::store::write::review::runs::decide_run;
use crate::store::write::review::take_back::{take_back, wake};

const FACTS: &str = "
SELECT message_no, facts FROM message_private
WHERE message_no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)";

const QUIET_OVER: &str = "
SELECT no FROM messages WHERE state = 'in_doubt' AND quiet_until <= $1";

const DOUBTS: &str = "
SELECT m.no, m.kind,
  -- Doubts about the same word said under an earlier number count: no customer
  -- gets a third copy because the first two were planned apart.
  m.doubts + coalesce((SELECT max(e.doubts) FROM notices mine
    JOIN notices past ON past.order_id = mine.order_id AND past.channel = mine.channel
      AND past.mode = mine.mode AND past.kind = mine.kind
      AND past.discriminator = mine.discriminator AND past.message_no < mine.message_no
    JOIN messages e ON e.no = past.message_no
    WHERE mine.message_no = m.no AND e.settled_by = 'assumed'), 0) AS doubts,
  NOT EXISTS (SELECT 1 FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = m.no AND n.fact_version <> o.fact_version) AND m.not_after >= $2
    AS still_true,
  EXISTS (SELECT 1 FROM notices mine
    JOIN notices mail ON mail.order_id = mine.order_id AND mail.mode = mine.mode
      AND mail.kind = mine.kind AND mail.discriminator = mine.discriminator
      AND mail.channel = 'email'
    JOIN messages e ON e.no = mail.message_no
    WHERE mine.message_no = m.no AND mine.channel = 'sms'
      AND e.state IN ('sent', 'delivered')) AS said_by_mail
FROM messages m
WHERE m.no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)
  AND m.state = 'in_doubt' AND m.quiet_until <= $2
ORDER BY m.no";

const ONCE_MORE: &str = "
UPDATE messages SET state = 'queued', quiet_until = NULL, due_at = $2
WHERE no = $1 AND state = 'in_doubt'";

const ASSUME: &str = "
UPDATE messages SET state = 'sent', settled_by = 'assumed', quiet_until = NULL, sent_at = $2,
  ended_at = $2
WHERE no = $1 AND state = 'in_doubt'";

const FREE_KEY: &str = "UPDATE notices SET key = NULL WHERE message_no = $1";

/// Written out for the index, and so is the next: see `messages_ageing`.
const AGED: &str = concat!(
    "SELECT m.no FROM messages m WHERE ",
    is_queued!("m"),
    " AND m.not_after > 0 AND m.not_after < $1"
);

const SUPPRESSED: &str = concat!(
    "
SELECT m.no FROM suppressions s CROSS JOIN messages m
WHERE m.address_hash = s.address_hash AND m.channel = s.channel AND ",
    is_queued!("m"),
    " AND m.address_hash <> ''"
);

/// Written out for the index: see `messages_suspect`.
const POISONED: &str = concat!(
    "SELECT m.no FROM messages m WHERE ",
    is_queued!("m"),
    " AND m.claims > 1 AND m.claims >= $1 AND m.due_at <= $2"
);

const FAIL_POISONED: &str = "
UPDATE messages SET state = 'failed', ended_at = $2,
  settled_by = 'claimed repeatedly without an outcome'
WHERE no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e) AND state = 'queued'
RETURNING no";

const HELD_TOO_LONG: &str = "SELECT no FROM runs WHERE state = 'held' AND started_at < $1 LIMIT 1";

statements![
    FACTS,
    QUIET_OVER,
    DOUBTS,
    ONCE_MORE,
    ASSUME,
    FREE_KEY,
    AGED,
    SUPPRESSED,
    POISONED,
    FAIL_POISONED,
    HELD_TOO_LONG,
];

/// Ends the flight of notices; `in_queue` says whether they wait again.
pub(super) async fn land(
    c: &mut Conn<'_>,
    messages: &[i64],
    in_queue: bool,
) -> Result<(), sqlx::Error> {
    if !messages.is_empty() {
        run!(c, TOUCH_DOWN, json(&messages), in_queue)?;
    }
    Ok(())
}

/// What messages said.
async fn facts_of(
    c: &mut Conn<'_>,
    messages: &[i64],
) -> Result<Vec<(MessageNo, MessageFacts)>, Halt> {
    let stored: Vec<(i64, String)> = rows!(c, FACTS, json(&messages))?;
    let facts = stored.into_iter().map(|(no, facts)| {
        let facts = serde_json::from_str(&facts).map_err(|_| StoreError::Corrupt {
            table: "message_private",
            row: no.to_string(),
            column: "facts",
        })?;
        Ok((MessageNo(no), facts))
    });
    facts.collect::<Result<_, StoreError>>().map_err(Halt::from)
}

/// Writes into the ledger what messages said.
pub(super) async fn tell(
    c: &mut Conn<'_>,
    messages: &[i64],
    basis: Basis,
    now: Instant,
) -> Result<(), Halt> {
    let facts = facts_of(c, messages).await?;
    let said: Vec<Said<'_>> = facts
        .iter()
        .map(|(no, facts)| Said {
            no: *no,
            facts,
            basis,
            at: now,
        })
        .collect();
    Ok(write_told(c, &said).await?)
}

/// Counts the quantities and parcels of a message as told. Its dates are
/// others by now and stay *possible*.
async fn tell_without_dates(c: &mut Conn<'_>, message: i64, now: Instant) -> Result<(), Halt> {
    for (no, mut facts) in facts_of(c, &[message]).await? {
        for line in facts.orders.iter_mut().flat_map(|order| &mut order.lines) {
            line.promise = None;
        }
        let said = Said {
            no,
            facts: &facts,
            basis: Basis::Assumed,
            at: now,
        };
        write_told(c, &[said]).await?;
    }
    Ok(())
}

/// How doubts were settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    pub once_more: u64,
    pub assumed: u64,
}

#[derive(sqlx::FromRow)]
struct DoubtRow {
    no: i64,
    kind: String,
    doubts: i64,
    still_true: bool,
    said_by_mail: bool,
}

/// See [`crate::store::Store::settle_doubts`].
pub async fn settle_doubts(c: &mut Conn<'_>, now: Instant) -> Result<Settled, Halt> {
    let mut settled = Settled::default();
    let over: Vec<i64> = column!(c, QUIET_OVER, now.0)?;
    if over.is_empty() {
        return Ok(settled);
    }
    locks::orders(c, &[], &over).await?;
    // Looked at again under the locks: settled by another, or outdated by an
    // import, since the first look.
    let doubts: Vec<DoubtRow> = rows!(c, DOUBTS, json(&over), now.0)?;
    for doubt in &doubts {
        settle(c, doubt, now, &mut settled).await?;
        wake(c, &[doubt.no], now).await?;
    }
    Ok(settled)
}

async fn settle(
    c: &mut Conn<'_>,
    doubt: &DoubtRow,
    now: Instant,
    settled: &mut Settled,
) -> Result<(), Halt> {
    let kind = Kind::parse(&doubt.kind).ok_or_else(|| StoreError::Corrupt {
        table: "messages",
        row: doubt.no.to_string(),
        column: "kind",
    })?;
    let n_doubts = u32::try_from(doubt.doubts).unwrap_or(u32::MAX);
    match settle_doubt(kind, n_doubts, doubt.still_true, doubt.said_by_mail) {
        Settlement::OnceMore => {
            if run!(c, ONCE_MORE, doubt.no, now.0)? == 0 {
                return Ok(());
            }
            settled.once_more += 1;
            land(c, &[doubt.no], true).await?;
        }
        verdict @ (Settlement::Assume | Settlement::Outdated) => {
            if run!(c, ASSUME, doubt.no, now.0)? == 0 {
                return Ok(());
            }
            settled.assumed += 1;
            land(c, &[doubt.no], false).await?;
            if verdict == Settlement::Outdated && kind.must_arrive() {
                // Its key would answer "said already" for kinds whose key
                // does not hold the place in the ledger (shipped,
                // cancelled ...): what must arrive is planned again. After a
                // second doubt it is assumed as ever, but for its dates.
                if n_doubts == 1 {
                    run!(c, FREE_KEY, doubt.no)?;
                } else {
                    tell_without_dates(c, doubt.no, now).await?;
                }
            }
            // When the facts moved on, what it said stays only possible:
            // the planner then tells everybody who may believe it.
            if verdict == Settlement::Assume {
                tell(c, &[doubt.no], Basis::Assumed, now).await?;
            }
        }
    }
    Ok(())
}

/// What [`crate::store::Store::tidy`] does about messages.
pub async fn tidy(c: &mut Conn<'_>, now: Instant) -> Result<u64, Halt> {
    let aged: Vec<i64> = column!(c, AGED, now.0)?;
    let suppressed: Vec<i64> = column!(c, SUPPRESSED)?;
    let poisoned: Vec<i64> = column!(c, POISONED, CLAIMS_WITHOUT_OUTCOME_MAX, now.0)?;
    let found = [aged.as_slice(), &suppressed, &poisoned].concat();
    locks::orders(c, &[], &found).await?;
    let mut changed = 0;
    for (messages, state, why) in [
        (&suppressed, "suppressed", "on the do-not-write list"),
        (&aged, "expired", "too old to be true; looked at again"),
    ] {
        wake(c, messages, now).await?;
        changed += take_back(c, messages, state, why, now).await?;
    }
    if !poisoned.is_empty() {
        let failed: Vec<i64> = column!(c, FAIL_POISONED, json(&poisoned), now.0)?;
        land(c, &failed, false).await?;
        wake(c, &failed, now).await?;
        changed += failed.len() as u64;
    }
    Ok(changed)
}

/// Lets one run lapse that nobody approved for so long; answers the number of
/// its messages, `None` when there is none.
pub async fn lapse_run(c: &mut Conn<'_>, now: Instant, lapse: Length) -> Result<Option<u64>, Halt> {
    let Some(run) = maybe!(c, HELD_TOO_LONG, now.minus(lapse).0)? else {
        return Ok(None);
    };
    let why = Some("nobody approved it in time");
    decide_run(c, RunNo(run), RunState::Lapsed, "backorderd", why, now).await
}
