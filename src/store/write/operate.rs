//! What operators do: holds, suppressions, going live, the audit log.

use crate::domain::kinds::ChannelName;
use crate::domain::notice_key::Mode;
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, is_queued, statements};
use crate::store::statement::{Halt, column, rows, run, value};
use crate::store::write::locks;
use crate::store::write::review::take_back::take_back;

/// A hold to place.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// `global`, `channel`, `run`, `order`, `sku`, `supplier` or `customer`.
    pub scope: &'static str,
    /// Channel name, a run's number, order key, SKU, supplier or contact id; empty for global.
    pub key: String,
    pub by: String,
    pub why: String,
    pub until: Option<Instant>,
}

/// Who places holds when nobody does.
pub const OURSELVES: &str = "backorderd";

/// How the reason of such a hold begins, for whoever asks what kind it is.
pub const RESTORED: &str = "this is not the database that was here last: ";

const PUT_META: &str = "
INSERT INTO meta (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value";

const PUT_META_FIRST: &str = "
INSERT INTO meta (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = meta.value
RETURNING value";

const AUDIT: &str = "
INSERT INTO audit (actor, verb, target, why, at) VALUES ($1, $2, $3, $4, $5)";

// Open orders that a hold keeps silent. Per scope, because the view
// `held_orders` is made for the way from an order to its holds.

const OF_KEY: &str = "
SELECT id FROM orders
WHERE closed_at IS NULL AND shop_id IN (SELECT s.id FROM shops s) AND order_key = $1";

const OF_CUSTOMER: &str = "
SELECT id FROM orders WHERE closed_at IS NULL AND contact_id = $1";

const OF_SKU: &str = "
SELECT id FROM orders
WHERE closed_at IS NULL AND id IN (SELECT l.order_id FROM order_lines l WHERE l.sku = $1)";

const OF_SUPPLIER: &str = "
SELECT id FROM orders
WHERE closed_at IS NULL AND id IN (SELECT l.order_id FROM order_lines l WHERE l.supplier = $1)";

const OF_ADDRESS: &str = "
SELECT id FROM orders
WHERE closed_at IS NULL
  AND contact_id IN (SELECT k.id FROM contacts k WHERE k.email_hash = $1
    UNION SELECT k.id FROM contacts k WHERE k.phone_hash = $1)";

const WAKE: &str = "
UPDATE orders SET review_version = review_version + 1, next_review_at = $2
WHERE id IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e) AND closed_at IS NULL";

/// Those that are due are looked at anyway.
const WAKE_SLEEPERS: &str = "
UPDATE orders SET review_version = review_version + 1, next_review_at = $2
WHERE id IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e) AND closed_at IS NULL
  AND coalesce(next_review_at, $2 + 1) > $2";

const WAKE_ALL: &str = "
UPDATE orders SET review_version = review_version + 1, next_review_at = $1
WHERE closed_at IS NULL";

const HOLD: &str = "
INSERT INTO holds (scope, key, by, why, since, until) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (scope, key) DO NOTHING";

/// A hold that is there already stays, with its reason behind ours, and ends
/// no more by itself.
const HOLD_ALL: &str = "
INSERT INTO holds (scope, key, by, why, since) VALUES ('global', '', $1, $2, $3)
ON CONFLICT (scope, key) DO UPDATE SET by = excluded.by, until = NULL,
  why = excluded.why || '; it was on hold before, by ' || holds.by || ': ' || holds.why
WHERE holds.by <> excluded.by";

const FORGET_BACKUP: &str = "DELETE FROM meta WHERE name = 'backup_made_at'";

const RELEASE: &str = "DELETE FROM holds WHERE scope = $1 AND key = $2";

/// It may have been placed anew meanwhile, for longer.
const END_HOLD: &str = "DELETE FROM holds WHERE scope = $1 AND key = $2 AND until <= $3";

const HOLDS_OVER: &str = "SELECT scope, key FROM holds WHERE until <= $1";

const SUPPRESS: &str = "
INSERT INTO suppressions (address_hash, channel, reason, source, since)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";

/// Written out for the index: see `messages_ageing`.
const QUEUED_IN_SANDBOX: &str = concat!(
    "SELECT m.no FROM messages m WHERE ",
    is_queued!("m"),
    " AND m.not_after > 0 AND m.mode = 'sandbox'"
);

const LIVE_BASELINE: &str = "
INSERT INTO told (line_id, seq, promise_from, promise_to, eta_from, eta_to, basis, mode, at)
SELECT l.id, l.told_seq + 1, l.eta_from, l.eta_to, l.eta_from, l.eta_to, 'baseline', 'live',
  CAST($1 AS BIGINT)
FROM order_lines l JOIN orders o ON o.id = l.order_id
WHERE o.closed_at IS NULL AND l.seen_waiting = TRUE";

const LIVE_LINES: &str = "
UPDATE order_lines SET told_seq = told_seq + 1, qty_shipped_told = qty_shipped,
  qty_cancelled_told = qty_cancelled
WHERE seen_waiting = TRUE AND order_id IN (SELECT o.id FROM orders o WHERE o.closed_at IS NULL)";

/// Parcels of the time before are not news either.
const LIVE_SHIPMENTS: &str = "
UPDATE shipments SET told_message = 0 WHERE told_message IS NULL";

const LIVE_RUNS: &str = "
UPDATE runs SET state = 'lapsed', why = 'sandbox ended' WHERE state = 'held' AND mode = 'sandbox'";

const LIVE_ORDERS: &str = "
UPDATE orders SET adopted_at = $1, next_word_by = NULL, review_version = review_version + 1,
  next_review_at = $1 WHERE closed_at IS NULL";

/// What a relay refused so far was the sandbox's address, not a customer's.
const LIVE_ADDRESSES: &str = "DELETE FROM suppressions WHERE source = 'reply'";
const LIVE_VAGUE: &str = "DELETE FROM vague_refusals";

statements![
    PUT_META,
    PUT_META_FIRST,
    AUDIT,
    OF_KEY,
    OF_CUSTOMER,
    OF_SKU,
    OF_SUPPLIER,
    OF_ADDRESS,
    WAKE,
    WAKE_SLEEPERS,
    WAKE_ALL,
    HOLD,
    HOLD_ALL,
    FORGET_BACKUP,
    RELEASE,
    HOLDS_OVER,
    END_HOLD,
    SUPPRESS,
    QUEUED_IN_SANDBOX,
    LIVE_BASELINE,
    LIVE_LINES,
    LIVE_SHIPMENTS,
    LIVE_RUNS,
    LIVE_ORDERS,
    LIVE_ADDRESSES,
    LIVE_VAGUE,
];

/// See [`crate::store::Store::put_meta`].
pub async fn put_meta(c: &mut Conn<'_>, name: &str, value: &str) -> Result<(), Halt> {
    run!(c, PUT_META, name, value)?;
    Ok(())
}

/// See [`crate::store::Store::put_meta_first`].
pub async fn put_meta_first(c: &mut Conn<'_>, name: &str, value: &str) -> Result<String, Halt> {
    Ok(value!(c, PUT_META_FIRST, name, value)?)
}

/// See [`crate::store::Store::audit`].
pub async fn audit(
    c: &mut Conn<'_>,
    actor: &str,
    verb: &str,
    target: &str,
    why: Option<&str>,
    now: Instant,
) -> Result<(), Halt> {
    run!(c, AUDIT, actor, verb, target, why, now.0)?;
    Ok(())
}

/// Open orders a hold keeps silent; none for a hold that stops sending only.
async fn orders_under(c: &mut Conn<'_>, scope: &str, key: &str) -> Result<Vec<i64>, sqlx::Error> {
    match scope {
        "order" => column!(c, OF_KEY, key),
        "customer" => match key.parse::<i64>() {
            Ok(contact) => column!(c, OF_CUSTOMER, contact),
            Err(_) => Ok(Vec::new()),
        },
        "sku" => column!(c, OF_SKU, key),
        "supplier" => column!(c, OF_SUPPLIER, key),
        _ => Ok(Vec::new()),
    }
}

/// Makes orders that are locked already due.
pub(super) async fn wake(
    c: &mut Conn<'_>,
    orders: &[i64],
    now: Instant,
) -> Result<(), sqlx::Error> {
    if !orders.is_empty() {
        run!(c, WAKE, json(&orders), now.0)?;
    }
    Ok(())
}

/// See [`crate::store::Store::hold`].
pub async fn hold(c: &mut Conn<'_>, hold: &NewHold, now: Instant) -> Result<bool, Halt> {
    let orders = orders_under(c, hold.scope, &hold.key).await?;
    locks::orders(c, &orders, &[]).await?;
    let placed = run!(
        c,
        HOLD,
        hold.scope,
        &hold.key,
        &hold.by,
        &hold.why,
        now.0,
        hold.until.map(|until| until.0),
    )?;
    if placed == 0 {
        return Ok(false);
    }
    wake(c, &orders, now).await?;
    let target = format!("{}:{}", hold.scope, hold.key);
    audit(c, &hold.by, "hold", &target, Some(&hold.why), now).await?;
    Ok(true)
}

/// See [`crate::store::Store::hold_restored`].
pub async fn hold_restored(c: &mut Conn<'_>, why: &str, now: Instant) -> Result<(), Halt> {
    let why = &format!("{RESTORED}{why}");
    run!(c, HOLD_ALL, OURSELVES, why, now.0)?;
    run!(c, FORGET_BACKUP)?;
    audit(c, OURSELVES, "hold", "global:", Some(why), now).await?;
    Ok(())
}

/// See [`crate::store::Store::release`].
pub async fn release(
    c: &mut Conn<'_>,
    scope: &str,
    key: &str,
    by: &str,
    why: Option<&str>,
    now: Instant,
) -> Result<bool, Halt> {
    let orders = orders_under(c, scope, key).await?;
    locks::orders(c, &orders, &[]).await?;
    if run!(c, RELEASE, scope, key)? == 0 {
        return Ok(false);
    }
    lifted(c, (scope, key), &orders, by, why, now).await?;
    Ok(true)
}

/// Wakes what a planner may have put to sleep under a hold that was just lifted;
/// answers how many.
pub async fn wake_under(
    c: &mut Conn<'_>,
    scope: &str,
    key: &str,
    now: Instant,
) -> Result<u64, Halt> {
    let orders = orders_under(c, scope, key).await?;
    if orders.is_empty() {
        return Ok(0);
    }
    locks::orders(c, &orders, &[]).await?;
    Ok(run!(c, WAKE_SLEEPERS, json(&orders), now.0)?)
}

/// Lifts all holds whose time is over at `now`; answers how many. Orders that came
/// under them meanwhile know their time and wake by themselves.
pub async fn end_holds(c: &mut Conn<'_>, now: Instant) -> Result<u64, Halt> {
    let over: Vec<(String, String)> = rows!(c, HOLDS_OVER, now.0)?;
    let mut orders = Vec::with_capacity(over.len());
    for (scope, key) in &over {
        orders.push(orders_under(c, scope, key).await?);
    }
    // All of them before the first hold is touched: who marks a message has
    // its order and waits for the list of holds.
    locks::orders(c, &orders.concat(), &[]).await?;
    let mut ended = 0;
    for ((scope, key), orders) in over.iter().zip(&orders) {
        let why = Some("its time is over");
        let hold = (scope.as_str(), key.as_str());
        if run!(c, END_HOLD, scope, key, now.0)? > 0 {
            lifted(c, hold, orders, OURSELVES, why, now).await?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// What follows when a hold was lifted whose orders are locked.
async fn lifted(
    c: &mut Conn<'_>,
    (scope, key): (&str, &str),
    orders: &[i64],
    by: &str,
    why: Option<&str>,
    now: Instant,
) -> Result<(), Halt> {
    wake(c, orders, now).await?;
    audit(c, by, "release", &format!("{scope}:{key}"), why, now).await
}

/// See [`crate::store::Store::suppress`].
pub async fn suppress(
    c: &mut Conn<'_>,
    address_hash: &str,
    channel: ChannelName,
    reason: &str,
    source: &str,
    now: Instant,
) -> Result<(), Halt> {
    let orders: Vec<i64> = column!(c, OF_ADDRESS, address_hash)?;
    locks::orders(c, &orders, &[]).await?;
    let channel = channel.as_str();
    run!(c, SUPPRESS, address_hash, channel, reason, source, now.0)?;
    wake(c, &orders, now).await?;
    Ok(())
}

/// Wakes the open orders of whoever is reached at an address; they are locked
/// already.
pub async fn wake_address(
    c: &mut Conn<'_>,
    address_hash: &str,
    now: Instant,
) -> Result<(), sqlx::Error> {
    let orders: Vec<i64> = column!(c, OF_ADDRESS, address_hash)?;
    wake(c, &orders, now).await
}

/// See [`crate::store::Store::wake_all`].
pub async fn wake_all(c: &mut Conn<'_>, now: Instant) -> Result<u64, Halt> {
    locks::open_orders(c).await?;
    Ok(run!(c, WAKE_ALL, now.0)?)
}

/// See [`crate::store::Store::go_live`]. Every open order is locked before
/// anything is looked at: a plan made in the sandbox is either written by then,
/// and its messages are taken back here, or finds its orders changed.
pub async fn go_live(c: &mut Conn<'_>, by: &str, now: Instant) -> Result<u64, Halt> {
    locks::open_orders(c).await?;
    let queued: Vec<i64> = column!(c, QUEUED_IN_SANDBOX)?;
    take_back(c, &queued, "withdrawn", "sandbox ended", now).await?;
    run!(c, LIVE_BASELINE, now.0)?;
    run!(c, LIVE_ORDERS, now.0)?;
    run!(c, LIVE_SHIPMENTS)?;
    run!(c, LIVE_RUNS)?;
    let lines = run!(c, LIVE_LINES)?;
    run!(c, LIVE_ADDRESSES)?;
    run!(c, LIVE_VAGUE)?;
    put_meta(c, "mode", Mode::Live.as_str()).await?;
    put_meta(c, "live_since", &now.0.to_string()).await?;
    audit(c, by, "live", "shop", None, now).await?;
    Ok(lines)
}
