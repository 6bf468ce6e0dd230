//! Writing a plan: its messages, what it takes back, and when each order is
//! looked at again.
//!
//! Two planners may have read the same order. The second to come finds a
//! `review_version` that is not the one it planned from (whatever a plan
//! changes raises it) and is told that the order stays due. That, and not the
//! unique keys of notices, is what keeps two plans apart: the orders are locked
//! before anything is looked at, so between the look and the write nobody can
//! take a key, a place in the queue or a message of theirs.

use super::brake::{self, Basket};
use super::next_look;
use super::planning;
use super::take_back::{take_back, wake};
use crate::domain::ids::MessageNo;
use crate::domain::notice_key::Mode;
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::statement::{Halt, column, rows, run};
use crate::store::types::{OutgoingMessage, PlannedOrder, Review, ReviewWritten, StoreError};
use crate::store::write::{locks, settings};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// How often a message raises the `review_version` of its orders until it is in
/// flight: when it is written, and when it is claimed.
const ON_ITS_WAY: i64 = 2;

const CURRENT: &str = "
SELECT o.id FROM jsonb_each($1) AS j CROSS JOIN orders o
WHERE o.id = CAST(j.value ->> 'id' AS BIGINT)
  AND o.review_version = CAST(j.value ->> 'version' AS BIGINT)";

const TAKEN_KEYS: &str = "
SELECT key, message_no FROM notices WHERE key IN (SELECT CAST(e.atom AS TEXT) FROM jsonb_each($1) AS e)";

const NOTICES_OF: &str = "
SELECT order_id, message_no FROM notices
WHERE message_no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e) AND in_queue = TRUE";

/// Vouches for a kept message on behalf of the order that was planned, and of
/// no other order the message is about.
const KEEP: &str = "
UPDATE notices AS n SET fact_version = j.fact_version
FROM (SELECT o.id AS order_id, o.fact_version,
        CAST(e.value ->> 'message' AS BIGINT) AS message_no
      FROM jsonb_each($1) AS e CROSS JOIN orders o
      WHERE o.id = CAST(e.value ->> 'order' AS BIGINT)) AS j
WHERE n.order_id = j.order_id AND n.message_no = j.message_no AND n.in_queue = TRUE";

/// The engine counts the messages: two planners must not count to the same
/// number.
const INSERT_MESSAGES: &str = "
INSERT INTO messages (uid, purpose, mode, run_no, held, channel, kind, contact_id, address_hash,
  resend_of, state, planned_at, due_since, due_at, not_after)
SELECT unhex(j.value ->> 'uid'), 'customer', CAST($2 AS TEXT), CAST($3 AS BIGINT),
  CAST($4 AS BOOLEAN), j.value ->> 'channel', j.value ->> 'kind',
  CAST(j.value ->> 'contact' AS BIGINT), j.value ->> 'address_hash',
  CAST(j.value ->> 'resend_of' AS BIGINT), 'queued',
  CAST($5 AS BIGINT), CAST(j.value ->> 'due_at' AS BIGINT), CAST(j.value ->> 'due_at' AS BIGINT),
  CAST(j.value ->> 'not_after' AS BIGINT)
FROM jsonb_each($1) AS j
RETURNING no, uid";

const INSERT_NOTICES: &str = "
INSERT INTO notices (message_no, order_id, channel, kind, mode, discriminator, key, take, fact_version,
  facts_hash, milestone_days, rests_at, in_queue, in_flight)
SELECT CAST(j.value ->> 'no' AS BIGINT), CAST(j.value ->> 'order' AS BIGINT),
  j.value ->> 'channel', j.value ->> 'kind', CAST($2 AS TEXT), j.value ->> 'discriminator',
  j.value ->> 'key', CAST(j.value ->> 'take' AS BIGINT), CAST(j.value ->> 'fact_version' AS BIGINT), j.value ->> 'facts_hash',
  CAST(j.value ->> 'milestone_days' AS BIGINT), CAST(j.value ->> 'rests_at' AS BIGINT), TRUE, FALSE
FROM jsonb_each($1) AS j";

const INSERT_PRIVATE: &str = "
INSERT INTO message_private (message_no, recipient, facts)
SELECT CAST(j.value ->> 'no' AS BIGINT), j.value ->> 'recipient', j.value ->> 'facts'
FROM jsonb_each($1) AS j";

const COUNT_MESSAGES: &str = "
UPDATE runs SET messages = messages + $2,
  state = CASE WHEN CAST($3 AS TEXT) = 'held' OR state = 'planned' THEN $3 ELSE state END
WHERE no = $1";

statements![
    CURRENT,
    TAKEN_KEYS,
    NOTICES_OF,
    KEEP,
    INSERT_MESSAGES,
    INSERT_NOTICES,
    INSERT_PRIVATE,
    COUNT_MESSAGES,
];

#[derive(Serialize)]
struct VersionRow {
    id: i64,
    version: i64,
}

#[derive(Serialize)]
struct KeptRow {
    order: i64,
    message: i64,
}

#[derive(Serialize)]
struct MessageRow<'a> {
    uid: String,
    channel: &'static str,
    kind: &'static str,
    contact: i64,
    address_hash: &'a str,
    resend_of: Option<i64>,
    due_at: i64,
    not_after: i64,
}

#[derive(Serialize)]
struct PrivateRow<'a> {
    no: i64,
    recipient: &'a str,
    facts: String,
}

#[derive(Serialize)]
struct NoticeRow<'a> {
    no: i64,
    order: i64,
    channel: &'static str,
    kind: &'static str,
    discriminator: &'a str,
    key: &'a str,
    take: u32,
    fact_version: i64,
    facts_hash: &'a str,
    milestone_days: Option<u32>,
    /// Not under settings that others overtook: who has the newest looks again.
    rests_at: Option<i64>,
}

/// A review and the orders of it that may be written.
pub(super) struct Fresh<'a> {
    pub(super) review: &'a Review,
    current: HashSet<i64>,
    /// Keys in use, and by which message.
    taken: HashMap<String, i64>,
}

impl Fresh<'_> {
    pub(super) fn orders(&self) -> impl Iterator<Item = &PlannedOrder> {
        let is_current = |o: &&PlannedOrder| self.current.contains(&o.order.0);
        self.review.orders.iter().filter(is_current)
    }

    /// Messages taken back on behalf of these orders.
    fn superseded(&self) -> Vec<i64> {
        let messages = self.orders().flat_map(|o| &o.supersede);
        messages.map(|no| no.0).collect()
    }

    /// Keys that stay in use: a message that is taken back frees its own, for
    /// what says the same with newer facts.
    fn used_up(&self) -> HashSet<&str> {
        let gone: HashSet<i64> = self.superseded().into_iter().collect();
        let stay = self.taken.iter().filter(|(_, no)| !gone.contains(no));
        stay.map(|(key, _)| key.as_str()).collect()
    }
}

/// See [`crate::store::Store::commit_review`].
pub async fn commit(
    c: &mut Conn<'_>,
    review: &Review,
    now: Instant,
) -> Result<ReviewWritten, Halt> {
    lock(c, review).await?;
    let shared = notices_of(c, review).await?;
    let mut fresh = Fresh {
        review,
        current: current(c, review).await?,
        taken: taken_keys(c, review).await?,
    };
    if let Some(planner) = review.planner.filter(|_| locks::are_needed(c)) {
        let orders = review.orders.iter().map(|o| &o.order);
        let held = planning::give_up(c, planner, orders).await?;
        fresh.current.retain(|order| held.contains(order));
    }
    leave_entangled(&mut fresh, &shared);
    let is_stale = |o: &&PlannedOrder| !fresh.current.contains(&o.order.0);
    let mut out = ReviewWritten {
        stale: review
            .orders
            .iter()
            .filter(is_stale)
            .map(|o| o.order)
            .collect(),
        ..ReviewWritten::default()
    };
    let superseded = fresh.superseded();
    // Orders that lose a shared message without having been planned for it
    // have to be; those that were get their next look below.
    wake(c, &superseded, now).await?;
    take_back(c, &superseded, "superseded", "newer facts", now).await?;
    keep(c, &fresh).await?;
    let outgoing = outgoing(&fresh, &mut out);
    let stand = settings::stand(c, &review.settings).await?;
    out.overtaken = stand == settings::Stand::Overtaken;
    let held = review.held || stand.waits();
    let basket = brake::basket(c, review, held, outgoing.len()).await?;
    out.held = basket.held && !outgoing.is_empty();
    insert_messages(c, &fresh, &outgoing, basket, now, &mut out).await?;
    next_look::write(c, &fresh, basket.run, stand, now).await?;
    Ok(out)
}

/// All orders of the review, and those that share a message with them.
async fn lock(c: &mut Conn<'_>, review: &Review) -> Result<(), sqlx::Error> {
    let orders: Vec<i64> = review.orders.iter().map(|o| o.order.0).collect();
    let messages: Vec<i64> = review
        .orders
        .iter()
        .flat_map(|o| o.supersede.iter().chain(&o.keep))
        .map(|no| no.0)
        .collect();
    locks::orders(c, &orders, &messages).await
}

/// Orders that are still as they were planned.
async fn current(c: &mut Conn<'_>, review: &Review) -> Result<HashSet<i64>, sqlx::Error> {
    let versions: Vec<VersionRow> = review
        .orders
        .iter()
        .map(|o| VersionRow {
            id: o.order.0,
            version: o.review_version,
        })
        .collect();
    let current: Vec<i64> = column!(c, CURRENT, json(&versions))?;
    Ok(current.into_iter().collect())
}

/// Keys of the review's messages that are in use, and by which message.
async fn taken_keys(
    c: &mut Conn<'_>,
    review: &Review,
) -> Result<HashMap<String, i64>, sqlx::Error> {
    let keys: Vec<&str> = review
        .messages
        .iter()
        .flat_map(|m| &m.planned.notices)
        .map(|n| n.key.as_str())
        .collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let taken: Vec<(String, i64)> = rows!(c, TAKEN_KEYS, json(&keys))?;
    Ok(taken.into_iter().collect())
}

/// Queued messages the review would supersede, with their orders.
async fn notices_of(c: &mut Conn<'_>, review: &Review) -> Result<Vec<(i64, i64)>, sqlx::Error> {
    let messages: Vec<i64> = review
        .orders
        .iter()
        .flat_map(|o| &o.supersede)
        .map(|no| no.0)
        .collect();
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    rows!(c, NOTICES_OF, json(&messages))
}

/// Takes those orders out whose plan cannot be written because of another
/// order's: they share a new message with an order that is stale or already has
/// its part, or keep a message another one takes back. They stay due and are
/// planned without it.
fn leave_entangled(fresh: &mut Fresh<'_>, shared: &[(i64, i64)]) {
    loop {
        let before = fresh.current.len();
        let used_up = fresh.used_up();
        let mut stuck: Vec<i64> = Vec::new();
        for message in &fresh.review.messages {
            let notices = &message.planned.notices;
            let known = notices.iter().any(|n| used_up.contains(n.key.as_str()));
            let stale = notices.iter().any(|n| !fresh.current.contains(&n.order.0));
            for notice in notices {
                if stale || (known && !used_up.contains(notice.key.as_str())) {
                    stuck.push(notice.order.0);
                }
            }
        }
        fresh.current.retain(|order| !stuck.contains(order));
        let gone: HashSet<i64> = fresh.superseded().into_iter().collect();
        for order in &fresh.review.orders {
            let agrees = |message: &i64| order.supersede.iter().any(|no| no.0 == *message);
            let loses = shared
                .iter()
                .any(|(id, no)| *id == order.order.0 && gone.contains(no) && !agrees(no));
            if loses {
                fresh.current.remove(&order.order.0);
            }
        }
        if fresh.current.len() == before {
            return;
        }
    }
}

async fn keep(c: &mut Conn<'_>, fresh: &Fresh<'_>) -> Result<(), sqlx::Error> {
    let kept: Vec<KeptRow> = fresh
        .orders()
        .flat_map(|o| {
            o.keep.iter().map(|no| KeptRow {
                order: o.order.0,
                message: no.0,
            })
        })
        .collect();
    if !kept.is_empty() {
        run!(c, KEEP, json(&kept))?;
    }
    Ok(())
}

/// The messages that may be written.
fn outgoing<'a>(fresh: &Fresh<'a>, out: &mut ReviewWritten) -> Vec<&'a OutgoingMessage> {
    let used_up = fresh.used_up();
    let mut outgoing = Vec::new();
    for message in &fresh.review.messages {
        let notices = &message.planned.notices;
        if notices.iter().any(|n| !fresh.current.contains(&n.order.0)) {
            continue;
        }
        if notices.iter().any(|n| used_up.contains(n.key.as_str())) {
            out.known += 1;
            continue;
        }
        outgoing.push(message);
    }
    outgoing
}

async fn insert_messages(
    c: &mut Conn<'_>,
    fresh: &Fresh<'_>,
    outgoing: &[&OutgoingMessage],
    basket: Basket,
    now: Instant,
    out: &mut ReviewWritten,
) -> Result<(), Halt> {
    let review = fresh.review;
    if outgoing.is_empty() {
        return Ok(());
    }
    let rows: Vec<MessageRow<'_>> = outgoing
        .iter()
        .map(|message| MessageRow {
            uid: message.uid.0.simple().to_string(),
            channel: message.planned.channel.as_str(),
            kind: message.planned.kind.as_str(),
            contact: message.planned.contact.0,
            address_hash: &message.address_hash,
            resend_of: message.resend_of.map(|no| no.0),
            due_at: message.planned.due_at.0,
            not_after: message.planned.not_after.0,
        })
        .collect();
    let mode: Mode = review.mode;
    let numbers: Vec<(i64, Uuid)> = rows!(
        c,
        INSERT_MESSAGES,
        json(&rows),
        mode.as_str(),
        basket.run.0,
        basket.held,
        now.0,
    )?;
    let numbers: HashMap<Uuid, i64> = numbers.into_iter().map(|(no, uid)| (uid, no)).collect();
    let (mut private, mut notices) = (Vec::new(), Vec::new());
    for message in outgoing {
        let planned = &message.planned;
        let no = *numbers.get(&message.uid.0).ok_or(StoreError::Corrupt {
            table: "messages",
            row: message.uid.to_string(),
            column: "uid",
        })?;
        private.push(PrivateRow {
            no,
            recipient: &message.recipient,
            facts: json(&planned.facts),
        });
        notices.extend(planned.notices.iter().map(|n| {
            NoticeRow {
                no,
                order: n.order.0,
                channel: planned.channel.as_str(),
                kind: planned.kind.as_str(),
                discriminator: &n.discriminator,
                key: &n.key,
                take: n.take,
                fact_version: n.fact_version,
                facts_hash: &n.facts_hash,
                milestone_days: n.milestone_days,
                rests_at: n
                    .rests_from
                    .filter(|_| !out.overtaken)
                    .map(|version| version + ON_ITS_WAY),
            }
        }));
        out.messages.push(MessageNo(no));
    }
    run!(c, INSERT_PRIVATE, json(&private))?;
    run!(c, INSERT_NOTICES, json(&notices), mode.as_str())?;
    let state = if basket.held { "held" } else { "planned" };
    run!(
        c,
        COUNT_MESSAGES,
        basket.run.0,
        out.messages.len() as i64,
        state
    )?;
    Ok(())
}
