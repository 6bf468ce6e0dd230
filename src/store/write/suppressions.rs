//! The do-not-write list in the hands of operators: addresses put on it, one
//! or a whole file, and taken off it. What bounces and texts do to it is
//! written where they are taken in.

use super::operate::{audit, wake};
use crate::domain::ids::OrderId;
use crate::domain::kinds::ChannelName;
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::statement::{Halt, column, run};
use crate::store::write::locks;
use serde::Serialize;

/// An address that must not be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSuppression {
    pub address_hash: String,
    pub channel: ChannelName,
    pub reason: String,
    pub source: String,
    pub since: Instant,
}

/// Who did what to which addresses, and why, for the audit log.
#[derive(Clone, Debug)]
pub struct Deed {
    pub by: String,
    pub verb: &'static str,
    pub target: String,
    pub why: Option<String>,
}

const ORDERS_OF: &str = "
SELECT p.id FROM jsonb_each($1) AS e CROSS JOIN contacts k CROSS JOIN orders p
WHERE k.email_hash = CAST(e.atom AS TEXT) AND p.contact_id = k.id AND p.closed_at IS NULL
UNION
SELECT p.id FROM jsonb_each($1) AS e CROSS JOIN contacts k CROSS JOIN orders p
WHERE k.phone_hash = CAST(e.atom AS TEXT) AND p.contact_id = k.id AND p.closed_at IS NULL
ORDER BY 1";

const ADD: &str = "
INSERT INTO suppressions (address_hash, channel, reason, source, since)
SELECT j.value ->> 'address_hash', j.value ->> 'channel', j.value ->> 'reason',
  j.value ->> 'source', CAST(j.value ->> 'since' AS BIGINT)
FROM jsonb_each($1) AS j
WHERE TRUE
ON CONFLICT (address_hash, channel) DO NOTHING
RETURNING address_hash";

const LIFT: &str = "
DELETE FROM suppressions WHERE address_hash = $1 AND channel = $2";

/// Days that count towards it are forgotten with it.
const FORGET_VAGUE: &str = "
DELETE FROM vague_refusals WHERE address_hash = $1 AND channel = $2";

statements![ORDERS_OF, ADD, LIFT, FORGET_VAGUE];

#[derive(Serialize)]
struct AddRow<'a> {
    address_hash: &'a str,
    channel: &'static str,
    reason: &'a str,
    source: &'a str,
    since: i64,
}

/// See [`crate::store::Store::suppress_all`].
pub async fn suppress_all(
    c: &mut Conn<'_>,
    new: &[NewSuppression],
    deed: &Deed,
    now: Instant,
) -> Result<u64, Halt> {
    let hashes: Vec<&str> = new.iter().map(|s| s.address_hash.as_str()).collect();
    let orders: Vec<i64> = column!(c, ORDERS_OF, json(&hashes))?;
    locks::orders(c, &orders, &[]).await?;
    let rows: Vec<AddRow<'_>> = new
        .iter()
        .map(|s| AddRow {
            address_hash: &s.address_hash,
            channel: s.channel.as_str(),
            reason: &s.reason,
            source: &s.source,
            since: s.since.0,
        })
        .collect();
    let added: Vec<String> = column!(c, ADD, json(&rows))?;
    if added.is_empty() {
        return Ok(0);
    }
    let orders: Vec<i64> = column!(c, ORDERS_OF, json(&added))?;
    wake(c, &orders, now).await?;
    audit(
        c,
        &deed.by,
        deed.verb,
        &deed.target,
        deed.why.as_deref(),
        now,
    )
    .await?;
    Ok(added.len() as u64)
}

/// See [`crate::store::Store::lift_suppression`].
pub async fn lift(
    c: &mut Conn<'_>,
    address_hash: &str,
    channel: ChannelName,
    deed: &Deed,
    now: Instant,
) -> Result<Option<Vec<OrderId>>, Halt> {
    let orders: Vec<i64> = column!(c, ORDERS_OF, json(&[address_hash]))?;
    locks::orders(c, &orders, &[]).await?;
    if run!(c, LIFT, address_hash, channel.as_str())? == 0 {
        return Ok(None);
    }
    run!(c, FORGET_VAGUE, address_hash, channel.as_str())?;
    wake(c, &orders, now).await?;
    audit(
        c,
        &deed.by,
        deed.verb,
        &deed.target,
        deed.why.as_deref(),
        now,
    )
    .await?;
    Ok(Some(orders.into_iter().map(OrderId).collect()))
}
