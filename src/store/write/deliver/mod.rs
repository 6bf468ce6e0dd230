//! Delivering: claim, mark, record. Every statement carries its guards, and a
//! row that does not come back lost one of them.

pub mod claim;
pub mod give_back;
pub mod mark;
pub mod record;
pub mod told;
pub mod vague;

pub use claim::Claim;

use crate::domain::ids::{MessageNo, WorkerId};
use crate::domain::time::Instant;
use crate::store::conn::{Conn, statements};
use crate::store::types::{Mark, Record};
use crate::store::write::locks;
use std::collections::HashMap;

/// Notices begin their flight.
const TAKE_OFF: &str = "
UPDATE notices SET in_queue = FALSE, in_flight = TRUE
WHERE message_no IN (SELECT CAST(e.atom AS BIGINT) FROM json_each($1) AS e)";

/// Notices end their flight; `$2` says whether they wait again.
pub(super) const TOUCH_DOWN: &str = "
UPDATE notices SET in_flight = FALSE, in_queue = $2
WHERE message_no IN (SELECT CAST(e.atom AS BIGINT) FROM json_each($1) AS e)";

/// Plans made for the orders of these messages are stale.
const BUMP_ORDERS: &str = "
UPDATE orders SET review_version = review_version + 1
WHERE id IN (SELECT n.order_id FROM notices n
  WHERE n.message_no IN (SELECT CAST(e.atom AS BIGINT) FROM json_each($1) AS e))";

/// The orders of these messages are looked at again.
pub(super) const WAKE_BY_MESSAGE: &str = "
UPDATE orders SET review_version = review_version + 1, next_review_at = $2, closed_at = NULL
WHERE id IN (SELECT n.order_id FROM notices n
  WHERE n.message_no IN (SELECT CAST(e.atom AS BIGINT) FROM json_each($1) AS e))";

statements![TAKE_OFF, TOUCH_DOWN, BUMP_ORDERS, WAKE_BY_MESSAGE];

/// Records what became of attempts and marks what may be sent, for everybody
/// who asked in the same breath; answers each by itself, records first. One
/// transaction, whose locks are taken before anything is written.
pub async fn record_and_mark(
    c: &mut Conn<'_>,
    records: &[(WorkerId, Instant, &Record)],
    marks: &[(WorkerId, Instant, &Mark)],
) -> Result<(Vec<bool>, Vec<bool>), sqlx::Error> {
    let messages: Vec<i64> = records
        .iter()
        .map(|(_, _, record)| record.no.0)
        .chain(marks.iter().map(|(_, _, mark)| mark.no.0))
        .collect();
    let refused: Vec<i64> = records
        .iter()
        .filter(|(_, _, record)| vague::may_suppress(record))
        .map(|(_, _, record)| record.no.0)
        .collect();
    locks::orders_and_neighbours(c, &messages, &refused).await?;
    locks::lists_for_marks(c, !marks.is_empty(), !refused.is_empty()).await?;
    let recorded = record::record_all(c, records).await?;
    let marked = mark::mark_all(c, marks).await?;
    Ok((recorded, marked))
}

/// Positions of `numbers` in rounds in which no number comes twice: a set-wise
/// statement answers by number, and two callers that name the same message
/// (one of them with a lease that is not theirs) must not share an answer.
fn rounds(numbers: impl Iterator<Item = MessageNo>) -> Vec<Vec<usize>> {
    let mut seen: HashMap<MessageNo, usize> = HashMap::new();
    let mut out: Vec<Vec<usize>> = Vec::new();
    for (position, no) in numbers.enumerate() {
        let round = seen.entry(no).and_modify(|n| *n += 1).or_default();
        if *round == out.len() {
            out.push(Vec::new());
        }
        out[*round].push(position);
    }
    out
}
