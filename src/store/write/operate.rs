//! What operators do: holds, suppressions, going live, the audit log.

use crate::domain::kinds::ChannelName;
use crate::domain::notice_key::Mode;
use crate::domain::time::Instant;
use crate::store::types::StoreError;
use crate::store::write::review::take_back;
use sqlx::sqlite::SqliteConnection;
use std::sync::Arc;

/// A hold to place.
#[derive(Clone, Debug)]
pub struct NewHold {
    /// `global`, `channel`, `order`, `sku`, `supplier` or `customer`.
    pub scope: &'static str,
    /// Channel name, order key, SKU, supplier or contact id; empty for global.
    pub key: String,
    pub by: String,
    pub why: String,
    pub until: Option<Instant>,
}

fn failed(source: sqlx::Error) -> StoreError {
    StoreError::Statement {
        doing: "write an operator's act",
        source: Arc::new(source),
    }
}

pub async fn put_meta(c: &mut SqliteConnection, name: &str, value: &str) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO meta (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(c)
    .await
    .map_err(failed)?;
    Ok(())
}

pub async fn get_meta(c: &mut SqliteConnection, name: &str) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
        .bind(name)
        .fetch_optional(c)
        .await
        .map_err(failed)
}

pub async fn audit(
    c: &mut SqliteConnection,
    actor: &str,
    verb: &str,
    target: &str,
    why: Option<&str>,
    now: Instant,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO audit (actor, verb, target, why, at) VALUES ($1, $2, $3, $4, $5)")
        .bind(actor)
        .bind(verb)
        .bind(target)
        .bind(why)
        .bind(now.0)
        .execute(c)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Bumps and wakes the orders a hold keeps silent. Per scope, because the
/// view `held_orders` is made for the way from an order to its holds.
fn wake_held(scope: &str) -> Option<&'static str> {
    macro_rules! wake {
        ($which:literal) => {
            Some(concat!(
                "UPDATE orders SET review_version = review_version + 1, next_review_at = $2 \
                 WHERE closed_at IS NULL AND ",
                $which
            ))
        };
    }
    match scope {
        "order" => wake!("shop_id IN (SELECT id FROM shops) AND order_key = $1"),
        "customer" => wake!("contact_id = CAST($1 AS INTEGER)"),
        "sku" => wake!("id IN (SELECT order_id FROM order_lines WHERE sku = $1)"),
        "supplier" => wake!("id IN (SELECT order_id FROM order_lines WHERE supplier = $1)"),
        _ => None,
    }
}

async fn wake_under_hold(
    c: &mut SqliteConnection,
    scope: &str,
    key: &str,
    now: Instant,
) -> Result<(), StoreError> {
    let Some(sql) = wake_held(scope) else {
        return Ok(());
    };
    sqlx::query(sql)
        .bind(key)
        .bind(now.0)
        .execute(c)
        .await
        .map_err(failed)?;
    Ok(())
}

pub async fn hold(
    c: &mut SqliteConnection,
    hold: &NewHold,
    now: Instant,
) -> Result<bool, StoreError> {
    let placed = sqlx::query(
        "INSERT INTO holds (scope, key, by, why, since, until) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (scope, key) DO NOTHING",
    )
    .bind(hold.scope)
    .bind(&hold.key)
    .bind(&hold.by)
    .bind(&hold.why)
    .bind(now.0)
    .bind(hold.until.map(|until| until.0))
    .execute(&mut *c)
    .await
    .map_err(failed)?;
    if placed.rows_affected() == 0 {
        return Ok(false);
    }
    wake_under_hold(c, hold.scope, &hold.key, now).await?;
    let target = format!("{}:{}", hold.scope, hold.key);
    audit(c, &hold.by, "hold", &target, Some(&hold.why), now).await?;
    Ok(true)
}

pub async fn release(
    c: &mut SqliteConnection,
    scope: &str,
    key: &str,
    by: &str,
    why: Option<&str>,
    now: Instant,
) -> Result<bool, StoreError> {
    let lifted = sqlx::query("DELETE FROM holds WHERE scope = $1 AND key = $2")
        .bind(scope)
        .bind(key)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    if lifted.rows_affected() == 0 {
        return Ok(false);
    }
    wake_under_hold(c, scope, key, now).await?;
    audit(c, by, "release", &format!("{scope}:{key}"), why, now).await?;
    Ok(true)
}

pub async fn suppress(
    c: &mut SqliteConnection,
    address_hash: &str,
    channel: ChannelName,
    reason: &str,
    source: &str,
    now: Instant,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO suppressions (address_hash, channel, reason, source, since) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(address_hash)
    .bind(channel.as_str())
    .bind(reason)
    .bind(source)
    .bind(now.0)
    .execute(&mut *c)
    .await
    .map_err(failed)?;
    sqlx::query(
        "UPDATE orders SET review_version = review_version + 1, next_review_at = $2 \
         WHERE closed_at IS NULL AND contact_id IN \
         (SELECT id FROM contacts WHERE email_hash = $1 OR phone_hash = $1)",
    )
    .bind(address_hash)
    .bind(now.0)
    .execute(c)
    .await
    .map_err(failed)?;
    Ok(())
}

pub async fn wake_all(c: &mut SqliteConnection, now: Instant) -> Result<u64, StoreError> {
    let woken = sqlx::query(
        "UPDATE orders SET review_version = review_version + 1, next_review_at = $1 \
         WHERE closed_at IS NULL",
    )
    .bind(now.0)
    .execute(c)
    .await
    .map_err(failed)?;
    Ok(woken.rows_affected())
}

const LIVE_BASELINE: &str = "
INSERT INTO told (line_id, seq, promise_from, promise_to, eta_from, eta_to, basis, mode, at)
SELECT l.id, l.told_seq + 1, l.eta_from, l.eta_to, l.eta_from, l.eta_to, 'baseline', 'live', $1
FROM order_lines l JOIN orders o ON o.id = l.order_id
WHERE o.closed_at IS NULL AND l.seen_waiting = 1";

const LIVE_LINES: &str = "
UPDATE order_lines SET told_seq = told_seq + 1, qty_shipped_told = qty_shipped,
  qty_cancelled_told = qty_cancelled
WHERE seen_waiting = 1 AND order_id IN (SELECT id FROM orders WHERE closed_at IS NULL)";

/// Parcels of the time before are not news either.
const LIVE_SHIPMENTS: &str = "
UPDATE shipments SET told_message = 0 WHERE told_message IS NULL";

const LIVE_RUNS: &str = "
UPDATE runs SET state = 'lapsed', why = 'sandbox ended' WHERE state = 'held' AND mode = 'sandbox'";

const LIVE_ORDERS: &str = "
UPDATE orders SET adopted_at = $1, next_word_by = NULL, review_version = review_version + 1,
  next_review_at = $1 WHERE closed_at IS NULL";

/// See [`crate::store::Store::go_live`].
pub async fn go_live(c: &mut SqliteConnection, by: &str, now: Instant) -> Result<u64, StoreError> {
    let queued: Vec<i64> =
        sqlx::query_scalar("SELECT no FROM messages WHERE state = 'queued' AND mode = 'sandbox'")
            .fetch_all(&mut *c)
            .await
            .map_err(failed)?;
    take_back(c, &queued, "withdrawn", "sandbox ended", now).await?;
    for sql in [LIVE_BASELINE, LIVE_ORDERS] {
        sqlx::query(sql)
            .bind(now.0)
            .execute(&mut *c)
            .await
            .map_err(failed)?;
    }
    for sql in [LIVE_SHIPMENTS, LIVE_RUNS] {
        sqlx::query(sql).execute(&mut *c).await.map_err(failed)?;
    }
    let lines = sqlx::query(LIVE_LINES)
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    // What a relay refused so far was the sandbox's address, not a customer's.
    sqlx::query("DELETE FROM suppressions WHERE source = 'reply'")
        .execute(&mut *c)
        .await
        .map_err(failed)?;
    put_meta(c, "mode", Mode::Live.as_str()).await?;
    put_meta(c, "live_since", &now.0.to_string()).await?;
    audit(c, by, "live", "shop", None, now).await?;
    Ok(lines.rows_affected())
}
