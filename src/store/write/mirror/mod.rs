//! Taking in what the shop says: rows and dates, written set-wise in one
//! transaction.
//!
//! The decisions were made by [`crate::domain::mirror`]; this folder only
//! writes them. A counter beside the data (`mirror_revision`) guards against
//! two writers that merged against the same state: its row is moved on first,
//! so that a second importer waits there and then hears that it was overtaken.
//!
//! In these statements the document is always the outer loop (`CROSS JOIN`
//! keeps the order in SQLite): a planner that reads the document again for
//! every line of the shop takes minutes where milliseconds do. PostgreSQL is
//! told that a document is short (`jsonb_each` in its schema).

pub mod claims;
pub mod lines;
pub mod orders;
pub mod shipments;

pub use claims::{ClaimChange, commit_claims};

use crate::domain::feed::{FileMark, RejectedRow};
use crate::domain::mirror::MirrorChanges;
use crate::domain::notice_key::Mode;
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, sql, statements};
use crate::store::statement::{Halt, column, run, value};
use crate::store::types::StoreError;
use crate::store::write::locks;
use std::collections::HashMap;

/// Rows per statement: large enough to be quick, small enough that one
/// document stays a few megabytes.
const CHUNK: usize = 2_000;

/// Where the changes come from.
#[derive(Clone, Debug)]
pub struct MirrorInput {
    pub shop_id: i64,
    /// The source's name, for freshness and for `explain`.
    pub source: String,
    pub source_kind: String,
    /// The revision the mirror was read at.
    pub revision: i64,
    /// Baselines are told in this mode.
    pub mode: Mode,
    pub now: Instant,
    /// Keyed hashes of each order's contact, by order key.
    pub hashes: HashMap<String, ContactHashes>,
    /// The source was read completely; only then does it count as fresh.
    pub complete: bool,
    pub mark: FileMark,
    /// Rows that were not taken, for whoever searches an order later.
    pub rejected: Vec<RejectedRow>,
}

/// Keyed hashes that stand for a contact without naming it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactHashes {
    pub contact: String,
    pub email: Option<String>,
    pub phone: Option<String>,
}

const ENSURE_SHOP: &str = "
INSERT INTO shops (key, name, zone) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE SET name = excluded.name, zone = excluded.zone RETURNING id";

const FIRST_REVISION: &str = "
INSERT INTO meta (name, value) VALUES ('mirror_revision', '0') ON CONFLICT (name) DO NOTHING";

const ADVANCE_REVISION: &str = "
UPDATE meta SET value = $2 WHERE name = 'mirror_revision' AND value = $1";

/// Stored orders that rows of the shop may touch: those they name, those their
/// lines belong to now, and the open ones of the same customers.
const TOUCHED_ORDERS: &str = "
SELECT o.id FROM jsonb_each($2) AS e CROSS JOIN orders o
WHERE o.shop_id = $1 AND o.order_key = CAST(e.atom AS TEXT)
UNION
SELECT l.order_id FROM jsonb_each($3) AS e CROSS JOIN order_lines l
WHERE l.shop_id = $1 AND l.line_key = CAST(e.atom AS TEXT)
UNION
SELECT o.id FROM jsonb_each($4) AS e CROSS JOIN contacts k CROSS JOIN orders o
WHERE k.shop_id = $1 AND k.contact_hash = CAST(e.atom AS TEXT)
  AND o.contact_id = k.id AND o.closed_at IS NULL";

const SOURCE_READ: &str = "
INSERT INTO sources (shop_id, name, kind, last_ok_at, rows_read, ends_line, written_at)
VALUES ($1, $2, $3, $4, coalesce(CAST($5 AS BIGINT), 0), coalesce(CAST($6 AS BOOLEAN), FALSE), $7)
ON CONFLICT (shop_id, name) DO UPDATE SET
  last_ok_at = coalesce(excluded.last_ok_at, sources.last_ok_at),
  rows_read = coalesce(CAST($5 AS BIGINT), sources.rows_read),
  ends_line = coalesce(CAST($6 AS BOOLEAN), sources.ends_line),
  written_at = CASE WHEN sources.written_at > excluded.written_at THEN sources.written_at
    ELSE coalesce(excluded.written_at, sources.written_at) END,
  refused_at = NULL, refused = NULL";

const SOURCE_REFUSED: &str = "
INSERT INTO sources (shop_id, name, kind, refused_at, refused)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT (shop_id, name) DO UPDATE SET
  refused_at = excluded.refused_at, refused = excluded.refused";

const FORGET_REJECTED: &str = "DELETE FROM rejected_rows WHERE source = $1";

const REJECTED_ROWS: &str = "
INSERT INTO rejected_rows (source, at_line, order_number, field, reason, at)
SELECT CAST($2 AS TEXT), CAST(j.value ->> 'line' AS BIGINT), j.value ->> 'order_number',
  j.value ->> 'field', j.value ->> 'reason', CAST($3 AS BIGINT)
FROM jsonb_each($1) AS j";

/// SQLite looks at its statistics, of which it has none, and not at lengths.
const NO_PLANS: &str = "SELECT 1";
const FORGET_PLANS: &str = "DISCARD PLANS";

statements![
    NO_PLANS | FORGET_PLANS,
    ENSURE_SHOP,
    FIRST_REVISION,
    ADVANCE_REVISION,
    TOUCHED_ORDERS,
    SOURCE_READ,
    SOURCE_REFUSED,
    FORGET_REJECTED,
    REJECTED_ROWS,
];

/// See [`crate::store::Store::ensure_shop`].
pub async fn ensure_shop(c: &mut Conn<'_>, key: &str, name: &str, zone: &str) -> Result<i64, Halt> {
    Ok(value!(c, ENSURE_SHOP, key, name, zone)?)
}

/// Moves the revision on, or reports that somebody else did.
async fn advance_revision(c: &mut Conn<'_>, read_at: i64) -> Result<(), Halt> {
    run!(c, FIRST_REVISION)?;
    let moved = run!(
        c,
        ADVANCE_REVISION,
        read_at.to_string(),
        (read_at + 1).to_string()
    )?;
    if moved == 1 {
        Ok(())
    } else {
        Err(Halt::Found(StoreError::Overtaken))
    }
}

/// Waits for the stored orders the changes touch: no mark, record or plan of
/// one of them passes while its facts change.
async fn lock_touched(
    c: &mut Conn<'_>,
    shop_id: i64,
    orders: &[&str],
    lines: &[&str],
    contacts: &[&str],
) -> Result<(), sqlx::Error> {
    if !locks::are_needed(c) {
        return Ok(());
    }
    let orders: Vec<i64> = column!(
        c,
        TOUCHED_ORDERS,
        shop_id,
        json(&orders),
        json(&lines),
        json(&contacts),
    )?;
    locks::orders(c, &orders, &[]).await
}

/// A session of PostgreSQL keeps its plans. One that was made while a table was
/// short is wrong when a shop's history comes in, and the engine notices only
/// when it counts, a minute later: 6,000 orders into a database that had forty
/// took 16 seconds in place of one.
async fn plan_anew(c: &mut Conn<'_>) -> Result<(), sqlx::Error> {
    let text = sql(c, NO_PLANS, FORGET_PLANS);
    run!(c, text)?;
    Ok(())
}

/// See [`crate::store::Store::commit_mirror`].
pub async fn commit(
    c: &mut Conn<'_>,
    input: &MirrorInput,
    changes: &MirrorChanges,
) -> Result<(), Halt> {
    advance_revision(c, input.revision).await?;
    let orders: Vec<&str> = changes.orders.iter().map(|o| o.key.as_str()).collect();
    let lines: Vec<&str> = changes.lines.iter().map(|l| l.key.as_str()).collect();
    let contacts: Vec<&str> = input.hashes.values().map(|h| h.contact.as_str()).collect();
    lock_touched(c, input.shop_id, &orders, &lines, &contacts).await?;
    for orders in changes.orders.chunks(CHUNK) {
        plan_anew(c).await?;
        orders::write(c, input, orders).await?;
    }
    for lines in changes.lines.chunks(CHUNK) {
        plan_anew(c).await?;
        lines::write(c, input, lines).await?;
    }
    shipments::write(c, input, &changes.shipments).await?;
    write_source(c, input, changes.counts.rows).await?;
    Ok(())
}

/// Notes that the source was read, and which of its rows were not taken.
async fn write_source(
    c: &mut Conn<'_>,
    input: &MirrorInput,
    rows: usize,
) -> Result<(), sqlx::Error> {
    let is_whole = input.complete || input.mark.is_whole;
    run!(
        c,
        SOURCE_READ,
        input.shop_id,
        &input.source,
        &input.source_kind,
        input.complete.then_some(input.now.0),
        is_whole.then_some((rows + input.rejected.len()) as i64),
        is_whole.then_some(input.mark.ends_line),
        input.mark.written_at.map(|at| at.0),
    )?;
    // A file with a part of the rows says nothing about the others.
    write_rejected(c, &input.source, is_whole, &input.rejected, input.now).await
}

async fn write_rejected(
    c: &mut Conn<'_>,
    source: &str,
    instead: bool,
    rejected: &[RejectedRow],
    now: Instant,
) -> Result<(), sqlx::Error> {
    if instead {
        run!(c, FORGET_REJECTED, source)?;
    }
    for rows in rejected.chunks(CHUNK) {
        run!(c, REJECTED_ROWS, json(&rows), source, now.0)?;
    }
    Ok(())
}

/// A file that was not taken in.
#[derive(Clone, Debug)]
pub struct NewRefusal {
    pub shop_id: i64,
    pub source: String,
    pub source_kind: String,
    /// Without personal data.
    pub why: String,
    /// The rows that are to blame, if it was rows.
    pub rejected: Vec<RejectedRow>,
}

/// See [`crate::store::Store::refuse_file`].
pub async fn refuse_file(c: &mut Conn<'_>, new: &NewRefusal, now: Instant) -> Result<(), Halt> {
    run!(
        c,
        SOURCE_REFUSED,
        new.shop_id,
        &new.source,
        &new.source_kind,
        now.0,
        &new.why
    )?;
    Ok(write_rejected(c, &new.source, true, &new.rejected, now).await?)
}
