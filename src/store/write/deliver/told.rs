//! The told-ledger: what messages said, appended in the transaction that
//! records what became of them. Whoever writes here has the orders locked, so
//! the count of a line's entries is the latest.

use crate::domain::ids::MessageNo;
use crate::domain::statement::MessageFacts;
use crate::domain::time::Instant;
use crate::domain::told::Basis;
use crate::store::codec::{eta_columns, json};
use crate::store::conn::{Conn, at_once, in_turn, sql, statements};
use crate::store::statement::run;
use serde::Serialize;

/// What a message said, and how sure we are.
pub struct Said<'a> {
    pub no: MessageNo,
    pub facts: &'a MessageFacts,
    pub basis: Basis,
    pub at: Instant,
}

/// `$said`: where the words are, each as `value`.
macro_rules! append_told {
    ($said:literal) => {
        concat!(
            "
INSERT INTO told (line_id, seq, message_no, promise_from, promise_to, eta_from, eta_to, basis,
  mode, at)
SELECT l.id, l.told_seq + row_number() OVER (PARTITION BY l.id ORDER BY m.no), m.no,
  j.value ->> 'promise_from', j.value ->> 'promise_to', j.value ->> 'eta_from',
  j.value ->> 'eta_to', j.value ->> 'basis', m.mode, CAST(j.value ->> 'at' AS BIGINT)
FROM ",
            $said,
            " AS j
CROSS JOIN order_lines l
CROSS JOIN messages m
WHERE l.id = CAST(j.value ->> 'line' AS BIGINT) AND m.no = CAST(j.value ->> 'no' AS BIGINT)
  AND CAST(j.value ->> 'states_date' AS BOOLEAN) = TRUE"
        )
    };
}
pub(super) use append_told;

/// The ledger has a mode, quantities have none: a message of the rehearsal
/// whose end is recorded after the shop went live raises none of them.
macro_rules! count_told {
    ($said:literal) => {
        concat!(
            "
UPDATE order_lines AS l SET told_seq = l.told_seq + c.dates,
  qty_shipped_told = CASE WHEN c.shipped > l.qty_shipped_told THEN c.shipped
    ELSE l.qty_shipped_told END,
  qty_cancelled_told = CASE WHEN c.cancelled > l.qty_cancelled_told THEN c.cancelled
    ELSE l.qty_cancelled_told END
FROM (SELECT CAST(e.value ->> 'line' AS BIGINT) AS line,
        count(*) FILTER (WHERE CAST(e.value ->> 'states_date' AS BOOLEAN) = TRUE) AS dates,
        max(CASE WHEN p.value IS NULL OR p.value = m.mode
          THEN CAST(e.value ->> 'shipped' AS BIGINT) ELSE 0 END) AS shipped,
        max(CASE WHEN p.value IS NULL OR p.value = m.mode
          THEN CAST(e.value ->> 'cancelled' AS BIGINT) ELSE 0 END) AS cancelled
      FROM ",
            $said,
            " AS e
      JOIN messages m ON m.no = CAST(e.value ->> 'no' AS BIGINT)
      LEFT JOIN meta p ON p.name = 'mode'
      GROUP BY CAST(e.value ->> 'line' AS BIGINT)) AS c
WHERE l.id = c.line"
        )
    };
}
pub(super) use count_told;

macro_rules! tell_shipments {
    () => {
        "
UPDATE shipments AS s SET told_message = j.message_no
FROM (SELECT CAST(e.value ->> 'no' AS BIGINT) AS message_no,
        CAST(e.value ->> 'order' AS BIGINT) AS order_id, e.value ->> 'key' AS key
      FROM jsonb_each($2) AS e) AS j
WHERE s.order_id = j.order_id AND s.key = j.key
  AND NOT EXISTS (SELECT 1 FROM messages m CROSS JOIN meta p
    WHERE m.no = j.message_no AND p.name = 'mode' AND p.value <> m.mode)"
    };
}
pub(super) use tell_shipments;

macro_rules! keep_word {
    () => {
        "
UPDATE orders AS o SET next_word_by = j.next_word_by
FROM (SELECT CAST(e.value ->> 'no' AS BIGINT) AS message_no,
        CAST(e.value ->> 'order' AS BIGINT) AS order_id,
        e.value ->> 'next_word_by' AS next_word_by
      FROM jsonb_each($3) AS e) AS j
WHERE o.id = j.order_id
  AND NOT EXISTS (SELECT 1 FROM messages m CROSS JOIN meta p
    WHERE m.no = j.message_no AND p.name = 'mode' AND p.value <> m.mode)"
    };
}

const TELL: &str = in_turn![
    append_told!("jsonb_each($1)"),
    count_told!("jsonb_each($1)"),
    tell_shipments!(),
    keep_word!()
];
const TELL_AT_ONCE: &str = at_once![
    written: append_told!("jsonb_each($1)"),
    counted: count_told!("jsonb_each($1)"),
    shipped: tell_shipments!(),
    kept: keep_word!(),
];

statements![TELL | TELL_AT_ONCE];

#[derive(Serialize)]
struct ToldRow {
    no: i64,
    line: i64,
    promise_from: Option<String>,
    promise_to: Option<String>,
    eta_from: Option<String>,
    eta_to: Option<String>,
    basis: &'static str,
    at: i64,
    states_date: bool,
    shipped: i64,
    cancelled: i64,
}

#[derive(Serialize)]
struct ParcelRow<'a> {
    no: i64,
    order: i64,
    key: &'a str,
}

#[derive(Serialize)]
struct WordRow {
    no: i64,
    order: i64,
    next_word_by: Option<String>,
}

/// What messages said, as the statements take it: dates and quantities, parcels,
/// and when the next word comes.
pub(super) struct Ledger {
    pub(super) told: String,
    pub(super) parcels: String,
    words: Vec<WordRow>,
    is_empty: bool,
}

impl Ledger {
    /// Quantities, parcels and the next word count as told only when the word
    /// is firm.
    pub(super) fn of(said: &[Said<'_>]) -> Ledger {
        let (mut told, mut parcels, mut words) = (Vec::new(), Vec::new(), Vec::new());
        for s in said {
            let firm = s.basis.is_firm();
            for order in &s.facts.orders {
                for line in &order.lines {
                    let (promise_from, promise_to) = eta_columns(line.promise.unwrap_or_default());
                    let (eta_from, eta_to) = eta_columns(line.eta);
                    told.push(ToldRow {
                        no: s.no.0,
                        line: line.line.0,
                        promise_from,
                        promise_to,
                        eta_from,
                        eta_to,
                        basis: s.basis.as_str(),
                        at: s.at.0,
                        states_date: line.promise.is_some(),
                        shipped: if firm { line.shipped.0 } else { 0 },
                        cancelled: if firm { line.cancelled.0 } else { 0 },
                    });
                }
                if firm {
                    parcels.extend(order.shipments.iter().map(|parcel| ParcelRow {
                        no: s.no.0,
                        order: order.order.0,
                        key: &parcel.key,
                    }));
                    words.push(WordRow {
                        no: s.no.0,
                        order: order.order.0,
                        next_word_by: order.next_word_by.map(|day| day.to_string()),
                    });
                }
            }
        }
        Ledger {
            is_empty: told.is_empty() && parcels.is_empty() && words.is_empty(),
            told: json(&told),
            parcels: json(&parcels),
            words,
        }
    }
}

/// Appends to the told-ledger what messages said.
pub async fn write_told(c: &mut Conn<'_>, said: &[Said<'_>]) -> Result<(), sqlx::Error> {
    let ledger = Ledger::of(said);
    if !ledger.is_empty {
        let text = sql(c, TELL, TELL_AT_ONCE);
        run!(c, text, ledger.told, ledger.parcels, json(&ledger.words))?;
    }
    Ok(())
}
