//! What a claim in a file will take if nothing changes before it, looked up and
//! read beside the writer.
//!
//! The statements are [`super::claim`]'s. They are said here on a connection and
//! a thread that do nothing else: through the library everything else speaks
//! through, a claim of 256 messages woke threads some twenty times, for rows that
//! a function takes as they come.

use super::claim::{Claim, ClaimedRow, PICK, READ_CLAIMED, READ_THREADS, with_threads};
use crate::domain::message::CLAIMS_TOGETHER_MAX;
use crate::store::codec::json;
use crate::store::types::{Claimed, StoreError};
use rusqlite::{Connection, Result, Row, named_params};
use uuid::Uuid;

/// Messages in the order of the queue, with the epochs from before the claim.
///
/// # Errors
/// The engine refused a statement; within: a row makes no sense.
pub fn foresee(
    c: &Connection,
    ask: &Claim,
) -> Result<std::result::Result<Vec<Claimed>, StoreError>> {
    let picked = pick(c, ask)?;
    if picked.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let ids = json(&picked);
    let mut read = c.prepare_cached(READ_CLAIMED)?;
    let rows = read.query_map([&ids], claimed_row)?;
    let rows: Vec<ClaimedRow> = rows.collect::<Result<_>>()?;
    let mut read = c.prepare_cached(READ_THREADS)?;
    let threads = read.query_map([&ids], |row| Ok((row.get(0)?, uuid(row, 2)?)))?;
    let threads: Vec<(i64, Uuid)> = threads.collect::<Result<_>>()?;
    Ok(with_threads(rows, threads))
}

fn pick(c: &Connection, ask: &Claim) -> Result<Vec<i64>> {
    let channels: Vec<&str> = ask.channels.iter().map(|c| c.as_str()).collect();
    let asked = named_params! {
        "$1": ask.mode.as_str(),
        "$2": ask.now.0,
        "$3": CLAIMS_TOGETHER_MAX,
        "$4": ask.run.map(|run| run.0),
        "$5": json(&channels),
        "$6": ask.limit,
    };
    let mut pick = c.prepare_cached(PICK)?;
    pick.query_map(asked, |row| row.get(0))?.collect()
}

fn claimed_row(row: &Row<'_>) -> Result<ClaimedRow> {
    Ok(ClaimedRow {
        no: row.get(0)?,
        uid: uuid(row, 1)?,
        epoch: row.get(2)?,
        channel: row.get(3)?,
        kind: row.get(4)?,
        mode: row.get(5)?,
        run_no: row.get(6)?,
        counted: row.get(7)?,
        doubts: row.get(8)?,
        planned_at: row.get(9)?,
        due_since: row.get(10)?,
        not_after: row.get(11)?,
        recipient: row.get(12)?,
        facts: row.get(13)?,
        zone: row.get(14)?,
        zone_used: row.get(15)?,
    })
}

fn uuid(row: &Row<'_>, column: usize) -> Result<Uuid> {
    row.get(column).map(Uuid::from_bytes)
}
