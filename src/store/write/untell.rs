//! Whether what a message said counts: it was said after all, or it was not.
//!
//! Both follow from what comes back about a message, or from a person who
//! settles a doubt. Neither removes anything from the ledger: that something
//! does not count is an entry of its own.

use super::deliver::told::{Said, write_told};
use crate::domain::ids::{MessageNo, OrderId};
use crate::domain::statement::MessageFacts;
use crate::domain::time::Instant;
use crate::domain::told::Basis;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::statement::{Halt, column, maybe, rows, run, value};
use crate::store::types::StoreError;
use chrono::NaiveDate;
use serde::Serialize;
use std::collections::HashMap;

/// Lines about which something was said after this message said something.
const SAID_SINCE: &str = "
SELECT DISTINCT later.line_id FROM told mine
JOIN told later ON later.line_id = mine.line_id AND later.seq > mine.seq
WHERE mine.message_no = $1
  AND (later.message_no IS NULL OR later.message_no <> mine.message_no)";

const FACTS: &str = "SELECT facts FROM message_private WHERE message_no = $1";

/// What other messages told about the same orders and still counts.
const STILL_SAID: &str = "
SELECT p.message_no, p.facts FROM message_private p
WHERE p.message_no IN (
  SELECT o.message_no FROM notices mine
  JOIN notices o ON o.order_id = mine.order_id AND o.mode = mine.mode
    AND o.message_no <> mine.message_no
  JOIN messages m ON m.no = o.message_no
  WHERE mine.message_no = $1 AND m.state IN ('sent', 'delivered'))
ORDER BY p.message_no";

const RETRACT: &str = "
INSERT INTO told (line_id, seq, message_no, promise_from, promise_to, eta_from, eta_to, basis,
  mode, at)
SELECT t.line_id, l.told_seq + 1, t.message_no, t.promise_from, t.promise_to, t.eta_from, t.eta_to,
  'retracted', t.mode, CAST($2 AS BIGINT)
FROM told t JOIN order_lines l ON l.id = t.line_id
WHERE t.message_no = $1 AND t.basis <> 'retracted'
  AND t.seq = (SELECT max(x.seq) FROM told x
    WHERE x.line_id = t.line_id AND x.message_no = t.message_no)";

const COUNT_RETRACTED: &str = "
UPDATE order_lines SET told_seq = told_seq + 1
WHERE id IN (SELECT t.line_id FROM told t WHERE t.message_no = $1 AND t.basis = 'retracted')
  AND EXISTS (SELECT 1 FROM told t
    WHERE t.line_id = order_lines.id AND t.seq = order_lines.told_seq + 1)";

/// A message of the rehearsal after the shop went live: what it told was
/// forgotten then, and what counts as told since has nothing to do with it.
const IS_OF_THE_REHEARSAL: &str = "
SELECT EXISTS (SELECT 1 FROM messages m CROSS JOIN meta present
  WHERE m.no = $1 AND present.name = 'mode' AND present.value <> m.mode)";

/// Only as far as this message had raised them.
const UNTELL: &str = "
UPDATE order_lines AS l SET
  qty_shipped_told = CASE WHEN l.qty_shipped_told <= j.shipped AND l.qty_shipped_told > j.shipped_to
    THEN j.shipped_to ELSE l.qty_shipped_told END,
  qty_cancelled_told = CASE WHEN l.qty_cancelled_told <= j.cancelled
      AND l.qty_cancelled_told > j.cancelled_to
    THEN j.cancelled_to ELSE l.qty_cancelled_told END
FROM (SELECT CAST(e.value ->> 'line' AS BIGINT) AS line,
        CAST(e.value ->> 'shipped' AS BIGINT) AS shipped,
        CAST(e.value ->> 'shipped_to' AS BIGINT) AS shipped_to,
        CAST(e.value ->> 'cancelled' AS BIGINT) AS cancelled,
        CAST(e.value ->> 'cancelled_to' AS BIGINT) AS cancelled_to
      FROM jsonb_each($1) AS e) AS j
WHERE l.id = j.line";

/// As far as nobody promised anything else since.
const TAKE_WORD_BACK: &str = "
UPDATE orders AS o SET next_word_by = j.now
FROM (SELECT CAST(e.value ->> 'order' AS BIGINT) AS id, e.value ->> 'was' AS was,
        e.value ->> 'now' AS now
      FROM jsonb_each($1) AS e) AS j
WHERE o.id = j.id AND o.next_word_by IS NOT DISTINCT FROM j.was";

const PARCELS_TOLD: &str = "SELECT order_id, key FROM shipments WHERE told_message = $1";

const UNTELL_PARCEL: &str = "
UPDATE shipments SET told_message = $3 WHERE order_id = $1 AND key = $2";

statements![
    SAID_SINCE,
    FACTS,
    STILL_SAID,
    RETRACT,
    COUNT_RETRACTED,
    IS_OF_THE_REHEARSAL,
    UNTELL,
    TAKE_WORD_BACK,
    PARCELS_TOLD,
    UNTELL_PARCEL,
];

async fn facts_of(c: &mut Conn<'_>, no: i64) -> Result<Option<MessageFacts>, Halt> {
    let facts: Option<String> = maybe!(c, FACTS, no)?;
    facts.map(|text| read_facts(no, &text)).transpose()
}

fn read_facts(no: i64, text: &str) -> Result<MessageFacts, Halt> {
    serde_json::from_str(text).map_err(|_| {
        Halt::Found(StoreError::Corrupt {
            table: "message_private",
            row: no.to_string(),
            column: "facts",
        })
    })
}

/// It was said after all. Where something newer was said about an order, that
/// told the whole order and stays what is believed.
pub async fn confirm(c: &mut Conn<'_>, no: i64, now: Instant) -> Result<(), Halt> {
    let Some(mut facts) = facts_of(c, no).await? else {
        return Ok(());
    };
    let newer: Vec<i64> = column!(c, SAID_SINCE, no)?;
    facts
        .orders
        .retain(|order| !order.lines.iter().any(|line| newer.contains(&line.line.0)));
    let said = Said {
        no: MessageNo(no),
        facts: &facts,
        basis: Basis::Accepted,
        at: now,
    };
    Ok(write_told(c, &[said]).await?)
}

#[derive(Serialize)]
struct UntoldRow {
    line: i64,
    shipped: i64,
    shipped_to: i64,
    cancelled: i64,
    cancelled_to: i64,
}

#[derive(Serialize)]
struct WordRow {
    order: i64,
    was: Option<NaiveDate>,
    now: Option<NaiveDate>,
}

/// By when the next word was promised: what this message said of it was not
/// heard, so it is what the last one before it said. Where something was said
/// after it, that counts already.
fn words_taken_back(no: i64, facts: &MessageFacts, others: &[(i64, MessageFacts)]) -> Vec<WordRow> {
    let of = |order: OrderId| {
        let said = others.iter().rev().find_map(|(other, facts)| {
            let mut orders = facts.orders.iter();
            let found = orders.find(|found| found.order == order)?;
            Some((*other, found.next_word_by))
        });
        said.unwrap_or_default()
    };
    let taken_back = facts.orders.iter().filter_map(|order| {
        let (last, now) = of(order.order);
        (last < no && order.next_word_by != now).then_some(WordRow {
            order: order.order.0,
            was: order.next_word_by,
            now,
        })
    });
    taken_back.collect()
}

/// It was not said: its entries do not count, and neither do the quantities
/// and parcels that only it reported, nor the day of the next word it named. A
/// promise from before it is owed again.
pub async fn retract(c: &mut Conn<'_>, no: i64, now: Instant) -> Result<(), Halt> {
    run!(c, RETRACT, no, now.0)?;
    run!(c, COUNT_RETRACTED, no)?;
    let rehearsed: bool = value!(c, IS_OF_THE_REHEARSAL, no)?;
    if rehearsed {
        return Ok(());
    }
    let Some(facts) = facts_of(c, no).await? else {
        return Ok(());
    };
    let others: Vec<(i64, String)> = rows!(c, STILL_SAID, no)?;
    let others = others
        .iter()
        .map(|(other, text)| Ok((*other, read_facts(*other, text)?)))
        .collect::<Result<Vec<(i64, MessageFacts)>, Halt>>()?;
    let mut told_by_others: HashMap<i64, (i64, i64)> = HashMap::new();
    for line in others
        .iter()
        .flat_map(|(_, f)| &f.orders)
        .flat_map(|o| &o.lines)
    {
        let told = told_by_others.entry(line.line.0).or_default();
        told.0 = told.0.max(line.shipped.0);
        told.1 = told.1.max(line.cancelled.0);
    }
    let untold: Vec<UntoldRow> = facts
        .orders
        .iter()
        .flat_map(|order| &order.lines)
        .map(|line| {
            let (shipped, cancelled) = told_by_others.get(&line.line.0).copied().unwrap_or((0, 0));
            UntoldRow {
                line: line.line.0,
                shipped: line.shipped.0,
                shipped_to: (line.shipped.0 - line.shipped_now.0).max(shipped),
                cancelled: line.cancelled.0,
                cancelled_to: (line.cancelled.0 - line.cancelled_now.0).max(cancelled),
            }
        })
        .collect();
    run!(c, UNTELL, json(&untold))?;
    let words = words_taken_back(no, &facts, &others);
    if !words.is_empty() {
        run!(c, TAKE_WORD_BACK, json(&words))?;
    }
    let parcels: Vec<(i64, String)> = rows!(c, PARCELS_TOLD, no)?;
    for (order, key) in parcels {
        let told_by = others.iter().rev().find(|(_, facts)| {
            facts
                .orders
                .iter()
                .filter(|o| o.order.0 == order)
                .any(|o| o.shipments.iter().any(|parcel| parcel.key == key))
        });
        run!(
            c,
            UNTELL_PARCEL,
            order,
            &key,
            told_by.map(|(other, _)| *other)
        )?;
    }
    Ok(())
}
