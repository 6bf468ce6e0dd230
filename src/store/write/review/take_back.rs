//! Taking back what was planned and not sent, and waking whom it was about.

use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::statement::{column, run};
use crate::store::write::deliver::WAKE_BY_MESSAGE;

const TAKE_BACK: &str = "
UPDATE messages SET state = $2, ended_at = $3, settled_by = $4
WHERE no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e) AND state = 'queued'
RETURNING no";

const FREE_KEYS: &str = "
UPDATE notices SET key = NULL, in_queue = FALSE, in_flight = FALSE
WHERE message_no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)";

/// A person's no stands: the keys stay taken.
const KEEP_KEYS: &str = "
UPDATE notices SET in_queue = FALSE
WHERE message_no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)";

statements![TAKE_BACK, FREE_KEYS, KEEP_KEYS];

/// Takes queued messages out of the queue for good and frees their keys, so
/// that what was taken back unsent can be planned again. Answers how many.
pub async fn take_back(
    c: &mut Conn<'_>,
    messages: &[i64],
    state: &str,
    why: &str,
    now: Instant,
) -> Result<u64, sqlx::Error> {
    if messages.is_empty() {
        return Ok(0);
    }
    let gone: Vec<i64> = column!(c, TAKE_BACK, json(&messages), state, now.0, why)?;
    run!(c, FREE_KEYS, json(&gone))?;
    Ok(gone.len() as u64)
}

/// The same for what a person does not want to be said: it is not planned
/// again.
pub async fn withdraw(
    c: &mut Conn<'_>,
    messages: &[i64],
    by: &str,
    now: Instant,
) -> Result<u64, sqlx::Error> {
    let gone: Vec<i64> = column!(c, TAKE_BACK, json(&messages), "withdrawn", now.0, by)?;
    run!(c, KEEP_KEYS, json(&gone))?;
    Ok(gone.len() as u64)
}

/// Makes the orders of these messages due.
pub async fn wake(c: &mut Conn<'_>, messages: &[i64], now: Instant) -> Result<(), sqlx::Error> {
    if !messages.is_empty() {
        run!(c, WAKE_BY_MESSAGE, json(&messages), now.0)?;
    }
    Ok(())
}
