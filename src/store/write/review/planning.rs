//! Several planners, one customer: who plans for a person has the person.
//!
//! What is said to one person is bundled and counted over all orders, so two
//! workers must not plan for the same one at once, not even different orders.
//! On PostgreSQL a planner leases the persons behind the due orders, for a
//! minute by the server's clock. Its commit gives them back, and [`leave`] does
//! for those it is not about: what it planned for somebody it no longer has stays
//! due. Free is also whom a worker has that is listed and fell silent (a run by
//! hand plans before it is listed), and whom the same one took before its plan
//! came to nothing (its connection was lost): a process plans what is due one
//! batch at a time. On SQLite one process plans at a time, and nothing is written.

use crate::domain::ids::{OrderId, WorkerId};
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, server_now, statements};
use crate::store::statement::{Halt, column};
use std::collections::HashSet;

/// How long a plan may take, in the words of a statement: milliseconds.
macro_rules! planning_ms {
    () => {
        "60000"
    };
}

/// Whether nobody but `$1` has the person `k`.
macro_rules! is_free {
    () => {
        concat!(
            "(k.planned_until IS NULL OR k.planned_by = $1 OR k.planned_until <= ",
            server_now!(),
            " OR EXISTS (SELECT 1 FROM workers w WHERE w.id = k.planned_by
      AND w.heartbeat_at + w.alive_ms <= ",
            server_now!(),
            "))"
        )
    };
}

/// What SQLite has no use for.
const NOBODY_ELSE: &str = "SELECT 1";

/// Apart from the UPDATE, so that it is asked once.
const LEASE_DUE: &str = concat!(
    "
WITH free AS MATERIALIZED (
  SELECT k.id FROM orders o JOIN contacts k ON k.id = o.contact_id
  WHERE o.next_review_at <= $2 AND ",
    is_free!(),
    "
  ORDER BY o.next_review_at, o.id LIMIT $3 FOR NO KEY UPDATE OF k SKIP LOCKED)
UPDATE contacts SET planned_by = $1, planned_until = ",
    server_now!(),
    " + ",
    planning_ms!(),
    "
WHERE id IN (SELECT f.id FROM free f)
RETURNING id"
);

/// All due orders of these persons, also those beyond the limit.
const DUE_OF: &str = "
SELECT o.id FROM jsonb_each($1) AS e CROSS JOIN orders o
WHERE o.contact_id = CAST(e.atom AS BIGINT) AND o.next_review_at <= $2
ORDER BY o.next_review_at, o.id";

const LEASE_OF: &str = concat!(
    "
WITH free AS MATERIALIZED (
  SELECT k.id FROM contacts k
  WHERE k.id IN (SELECT o.contact_id FROM jsonb_each($2) AS e CROSS JOIN orders o
      WHERE o.id = CAST(e.atom AS BIGINT))
    AND ",
    is_free!(),
    "
  FOR NO KEY UPDATE OF k SKIP LOCKED)
UPDATE contacts SET planned_by = $1, planned_until = ",
    server_now!(),
    " + ",
    planning_ms!(),
    "
WHERE id IN (SELECT f.id FROM free f)
RETURNING id"
);

/// The persons are read once, not once for each order.
const AMONG: &str = "
SELECT o.id FROM jsonb_each($1) AS e CROSS JOIN orders o
WHERE o.id = CAST(e.atom AS BIGINT)
  AND o.contact_id = ANY (ARRAY(SELECT CAST(k.atom AS BIGINT) FROM jsonb_each($2) AS k))";

/// Whom this planner still has; the lease ends with it.
const GIVE_UP: &str = concat!(
    "
UPDATE contacts SET planned_by = NULL, planned_until = NULL
WHERE planned_by = $1 AND planned_until > ",
    server_now!(),
    "
  AND id IN (SELECT o.contact_id FROM jsonb_each($2) AS e CROSS JOIN orders o
    WHERE o.id = CAST(e.atom AS BIGINT))
RETURNING id"
);

statements![
    NOBODY_ELSE | LEASE_DUE,
    NOBODY_ELSE | DUE_OF,
    NOBODY_ELSE | LEASE_OF,
    NOBODY_ELSE | AMONG,
    NOBODY_ELSE | GIVE_UP,
];

/// See [`crate::store::Store::take_due`]; for PostgreSQL.
pub async fn take_due(
    c: &mut Conn<'_>,
    by: WorkerId,
    now: Instant,
    limit: u32,
) -> Result<Vec<OrderId>, Halt> {
    let mine: Vec<i64> = column!(c, LEASE_DUE, by.0, now.0, i64::from(limit))?;
    if mine.is_empty() {
        return Ok(Vec::new());
    }
    let due: Vec<i64> = column!(c, DUE_OF, json(&mine), now.0)?;
    Ok(due.into_iter().map(OrderId).collect())
}

/// See [`crate::store::Store::take_orders`]; for PostgreSQL.
pub async fn take_orders(
    c: &mut Conn<'_>,
    by: WorkerId,
    orders: &[OrderId],
) -> Result<Vec<OrderId>, Halt> {
    let ids = numbers(orders.iter());
    let mine: Vec<i64> = column!(c, LEASE_OF, by.0, &ids)?;
    let taken: HashSet<i64> = among(c, &ids, &mine).await?;
    let is_taken = |order: &&OrderId| taken.contains(&order.0);
    Ok(orders.iter().filter(is_taken).copied().collect())
}

/// Ends a planner's leases for the persons behind these orders; answers the
/// orders of persons it still had. Nobody can take one of them before the
/// transaction ends.
pub(super) async fn give_up(
    c: &mut Conn<'_>,
    by: WorkerId,
    orders: impl Iterator<Item = &OrderId>,
) -> Result<HashSet<i64>, sqlx::Error> {
    let ids = numbers(orders);
    let mine: Vec<i64> = column!(c, GIVE_UP, by.0, &ids)?;
    among(c, &ids, &mine).await
}

/// See [`crate::store::Store::leave_orders`]; for PostgreSQL. Answers how many
/// persons it still had.
pub async fn leave(c: &mut Conn<'_>, by: WorkerId, orders: &[OrderId]) -> Result<usize, Halt> {
    let ids = numbers(orders.iter());
    let mine: Vec<i64> = column!(c, GIVE_UP, by.0, &ids)?;
    Ok(mine.len())
}

fn numbers<'a>(orders: impl Iterator<Item = &'a OrderId>) -> String {
    let ids: Vec<i64> = orders.map(|order| order.0).collect();
    json(&ids)
}

async fn among(
    c: &mut Conn<'_>,
    orders: &str,
    contacts: &[i64],
) -> Result<HashSet<i64>, sqlx::Error> {
    let ids: Vec<i64> = column!(c, AMONG, orders, json(&contacts))?;
    Ok(ids.into_iter().collect())
}
