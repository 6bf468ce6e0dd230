//! Who meets whom, where several may write at once.
//!
//! SQLite has one writer: what a verb has read stays true until it commits, and
//! nothing here does anything. On PostgreSQL (READ COMMITTED: every statement
//! sees what was committed before it began) two transactions that must not both
//! pass meet at a lock, and whoever comes second looks again in a statement of
//! its own. The rules, in the order in which locks are taken:
//!
//! 0. *The settings' digest*, by who notices changed ones or ends their say.
//! 1. *The mirror's revision*, by importers only: one import at a time.
//! 2. *Orders*, by everybody who changes an order, its lines, its ledger or its
//!    messages, all of a transaction's in one statement and in the order of
//!    their numbers. So a planner, an import, a claim and a record of the same
//!    order take turns, and a mark finds either the facts from before or those
//!    from after an import, never a mixture.
//! 3. *Messages, notices, lines, runs*: only by who has their orders. A claim is
//!    the exception; it comes from the queue, and so skips what is locked
//!    instead of waiting ([`orders_at_once`]).
//! 4. *The brake*, by planners with something to say, only for what is left of
//!    their transaction: they count one after the other ([`brake`]).
//! 5. *The lists of holds and suppressions*, last, so that nobody waits for
//!    anything else while holding them ([`lists_for_marks`]).
//!
//! The design asked for `FOR SHARE` on the orders of a mark. A group of marks
//! and records changes some of the same orders, and raising a shared lock is how
//! two groups block each other; `FOR NO KEY UPDATE` from the start cannot, and
//! costs the same.

use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::postgres::line::Named;
use crate::store::statement::{column, later, run};

/// What SQLite does in place of locking.
const ONE_WRITER: &str = "SELECT 1";

/// Orders named and orders that messages are about.
const LOCK_ORDERS: &str = "
SELECT count(*) FROM (
  SELECT o.id FROM orders o
  WHERE o.id IN (
    SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e
    UNION
    SELECT n.order_id FROM jsonb_each($2) AS e CROSS JOIN notices n
    WHERE n.message_no = CAST(e.atom AS BIGINT))
  ORDER BY o.id FOR NO KEY UPDATE) AS locked";

/// The same, and all open orders of whoever is reached where messages went.
const LOCK_ORDERS_AND_NEIGHBOURS: &str = "
SELECT count(*) FROM (
  SELECT o.id FROM orders o
  WHERE o.id IN (
    SELECT n.order_id FROM jsonb_each($1) AS e CROSS JOIN notices n
    WHERE n.message_no = CAST(e.atom AS BIGINT)
    UNION
    SELECT p.id FROM jsonb_each($2) AS e CROSS JOIN messages m CROSS JOIN contacts k
      CROSS JOIN orders p
    WHERE m.no = CAST(e.atom AS BIGINT) AND k.email_hash = m.address_hash
      AND p.contact_id = k.id AND p.closed_at IS NULL
    UNION
    SELECT p.id FROM jsonb_each($2) AS e CROSS JOIN messages m CROSS JOIN contacts k
      CROSS JOIN orders p
    WHERE m.no = CAST(e.atom AS BIGINT) AND k.phone_hash = m.address_hash
      AND p.contact_id = k.id AND p.closed_at IS NULL)
  ORDER BY o.id FOR NO KEY UPDATE) AS locked";

const LOCK_OPEN_ORDERS: &str = "
SELECT count(*) FROM (
  SELECT id FROM orders WHERE closed_at IS NULL
  ORDER BY id FOR NO KEY UPDATE) AS locked";

const LOCK_ORDERS_AT_ONCE: &str = "
SELECT o.id FROM orders o
WHERE o.id IN (
  SELECT n.order_id FROM jsonb_each($1) AS e CROSS JOIN notices n
  WHERE n.message_no = CAST(e.atom AS BIGINT))
ORDER BY o.id FOR NO KEY UPDATE SKIP LOCKED";

/// Messages none of whose orders is in other hands.
const UNDER_LOCK: &str = "
SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e
WHERE NOT EXISTS (SELECT 1 FROM notices n
  WHERE n.message_no = CAST(e.atom AS BIGINT)
    AND n.order_id NOT IN (SELECT CAST(o.atom AS BIGINT) FROM jsonb_each($2) AS o))";

const COUNT_ALONE: &str = "SELECT value FROM meta WHERE name = 'brake' FOR UPDATE";

const HOLDS_STAY: &str = "LOCK TABLE holds IN SHARE MODE";
const BOTH_STAY: &str = "LOCK TABLE holds, suppressions IN SHARE MODE";
const SUPPRESSIONS_MINE: &str = "LOCK TABLE suppressions IN SHARE ROW EXCLUSIVE MODE";

/// For a session that gathers.
pub const ORDERS_BY_NAME: Named = Named {
    name: "lock_orders",
    text: LOCK_ORDERS,
    documents: 2,
};

statements![
    ONE_WRITER | LOCK_ORDERS,
    ONE_WRITER | LOCK_ORDERS_AND_NEIGHBOURS,
    ONE_WRITER | LOCK_OPEN_ORDERS,
    ONE_WRITER | LOCK_ORDERS_AT_ONCE,
    ONE_WRITER | UNDER_LOCK,
    ONE_WRITER | COUNT_ALONE,
    ONE_WRITER | HOLDS_STAY,
    ONE_WRITER | BOTH_STAY,
    ONE_WRITER | SUPPRESSIONS_MINE,
];

/// There are other writers than this one.
pub fn are_needed(c: &Conn<'_>) -> bool {
    matches!(c, Conn::Postgres(_))
}

/// Waits for orders, and the orders of messages, and keeps them until the
/// transaction ends. What is read afterwards stays true.
pub async fn orders(c: &mut Conn<'_>, orders: &[i64], messages: &[i64]) -> Result<(), sqlx::Error> {
    if are_needed(c) && !(orders.is_empty() && messages.is_empty()) {
        let documents = [json(&orders), json(&messages)];
        later(c, &ORDERS_BY_NAME, documents).await?;
    }
    Ok(())
}

/// The same for the orders of messages, and for all open orders of whoever is
/// reached where the `refused` among them went.
pub async fn orders_and_neighbours(
    c: &mut Conn<'_>,
    messages: &[i64],
    refused: &[i64],
) -> Result<(), sqlx::Error> {
    if refused.is_empty() {
        return orders(c, &[], messages).await;
    }
    if are_needed(c) {
        run!(
            c,
            LOCK_ORDERS_AND_NEIGHBOURS,
            json(&messages),
            json(&refused)
        )?;
    }
    Ok(())
}

/// The same for every open order.
pub async fn open_orders(c: &mut Conn<'_>) -> Result<(), sqlx::Error> {
    if are_needed(c) {
        run!(c, LOCK_OPEN_ORDERS)?;
    }
    Ok(())
}

/// Those of the messages whose orders could be locked without waiting.
pub async fn orders_at_once(c: &mut Conn<'_>, messages: Vec<i64>) -> Result<Vec<i64>, sqlx::Error> {
    if !are_needed(c) || messages.is_empty() {
        return Ok(messages);
    }
    let document = json(&messages);
    let orders: Vec<i64> = column!(c, LOCK_ORDERS_AT_ONCE, &document)?;
    column!(c, UNDER_LOCK, &document, json(&orders))
}

/// Waits until no other planner is between counting messages and committing
/// them.
pub async fn brake(c: &mut Conn<'_>) -> Result<(), sqlx::Error> {
    if are_needed(c) {
        run!(c, COUNT_ALONE)?;
    }
    Ok(())
}

/// Keeps the lists of holds and suppressions as they are until the transaction
/// ends: a row that does not exist yet cannot be locked, a table can. Whoever
/// adds to them waits for the marks that looked, and marks that come later see
/// what was added. Nobody has to remember to take part: writing to a table is
/// taking part. (Advisory locks would do as well, but engines that only speak
/// PostgreSQL's protocol have them as words without effect; a guard row that
/// marks share is one for which a hold can wait long, as sharers that come later
/// pass it by.)
///
/// `suppresses`: this transaction will add suppressions itself. It has to say
/// so at once, or two such would wait for each other.
pub async fn lists_for_marks(
    c: &mut Conn<'_>,
    marks: bool,
    suppresses: bool,
) -> Result<(), sqlx::Error> {
    if !are_needed(c) {
        return Ok(());
    }
    let stays = match (marks, suppresses) {
        (true, false) => Some(BOTH_STAY),
        (true, true) => Some(HOLDS_STAY),
        (false, _) => None,
    };
    for text in stays
        .into_iter()
        .chain(suppresses.then_some(SUPPRESSIONS_MINE))
    {
        later(c, &Named::in_full(text), []).await?;
    }
    Ok(())
}
