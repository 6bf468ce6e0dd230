//! Marking: the intent to send, written before the last byte can leave.

use super::rounds;
use crate::domain::ids::WorkerId;
use crate::domain::statement::hex;
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, server_now, sql, statements};
use crate::store::statement::{column, run};
use crate::store::types::Mark;
use serde::Serialize;
use std::collections::HashSet;

macro_rules! mark {
    ($($fence:tt)*) => {
        concat!(
            "
UPDATE messages AS m SET state = 'submitting', attempts = m.attempts + 1,
  template_version = j.template, content_hash = j.content
FROM (SELECT CAST(e.value ->> 'no' AS BIGINT) AS message_no,
        CAST(e.value ->> 'epoch' AS BIGINT) AS epoch, unhex(e.value ->> 'worker') AS worker,
        CAST(e.value ->> 'now' AS BIGINT) AS now, e.value ->> 'template' AS template,
        e.value ->> 'content' AS content
      FROM json_each($1) AS e) AS j
WHERE m.no = j.message_no AND m.state = 'leased' AND m.epoch = j.epoch AND m.owner = j.worker
  AND m.lease_until > j.now AND m.not_after >= j.now AND m.held = FALSE
  AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.scope = 'global'
    OR (h.scope = 'channel' AND h.key = m.channel)
    OR (h.scope = 'run' AND h.key = CAST(m.run_no AS TEXT)))
  AND NOT EXISTS (SELECT 1 FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = m.no AND n.fact_version <> o.fact_version)
  AND NOT EXISTS (SELECT 1 FROM notices n JOIN held_orders v ON v.order_id = n.order_id
    WHERE n.message_no = m.no)
  AND NOT EXISTS (SELECT 1 FROM suppressions s
    WHERE s.address_hash = m.address_hash AND s.channel = m.channel)",
            $($fence)*
            "
RETURNING no"
        )
    };
}

const MARK: &str = mark!();
/// A worker that was stopped for too long has lost what it held to others, who
/// may be sending it. Its own clock cannot tell it so in time; the server's can,
/// at the moment of the statement. `lease_until` is by the worker's own clock,
/// a second guard.
const MARK_ALIVE: &str = mark!(
    "
  AND EXISTS (SELECT 1 FROM workers w WHERE w.id = j.worker AND w.heartbeat_at + w.alive_ms > ",
    server_now!(),
    ")",
);

const BEGIN_ATTEMPTS: &str = "
INSERT INTO attempts (message_no, no, worker, epoch, relay, message_id_header, began_at)
SELECT m.no, m.attempts, m.owner, m.epoch, j.value ->> 'relay', j.value ->> 'header',
  CAST(j.value ->> 'now' AS BIGINT)
FROM json_each($1) AS j JOIN messages m ON m.no = CAST(j.value ->> 'no' AS BIGINT)
WHERE true";

statements![MARK | MARK_ALIVE, BEGIN_ATTEMPTS];

#[derive(Serialize)]
struct MarkRow<'a> {
    no: i64,
    epoch: i64,
    worker: String,
    now: i64,
    relay: &'a str,
    header: Option<&'a str>,
    template: &'a str,
    content: &'a str,
}

/// Marks what may be sent; says of each whether it passed its guards. Their
/// orders and the lists of holds and suppressions are locked already.
pub(super) async fn mark_all(
    c: &mut Conn<'_>,
    marks: &[(WorkerId, Instant, &Mark)],
) -> Result<Vec<bool>, sqlx::Error> {
    let mut out = vec![false; marks.len()];
    for round in rounds(marks.iter().map(|(_, _, mark)| mark.no)) {
        let asked: Vec<_> = round.iter().map(|i| marks[*i]).collect();
        let passed = mark_round(c, &asked).await?;
        for i in round {
            out[i] = passed.contains(&marks[i].2.no.0);
        }
    }
    Ok(out)
}

async fn mark_round(
    c: &mut Conn<'_>,
    marks: &[(WorkerId, Instant, &Mark)],
) -> Result<HashSet<i64>, sqlx::Error> {
    let mut rows: Vec<MarkRow<'_>> = marks
        .iter()
        .map(|(by, now, mark)| MarkRow {
            no: mark.no.0,
            epoch: mark.epoch,
            worker: hex(by.0.as_bytes()),
            now: now.0,
            relay: &mark.relay,
            header: mark.message_id_header.as_deref(),
            template: &mark.template_version,
            content: &mark.content_hash,
        })
        .collect();
    let text = sql(c, MARK, MARK_ALIVE);
    let passed: Vec<i64> = column!(c, text, json(&rows))?;
    let passed: HashSet<i64> = passed.into_iter().collect();
    rows.retain(|row| passed.contains(&row.no));
    if !rows.is_empty() {
        run!(c, BEGIN_ATTEMPTS, json(&rows))?;
    }
    Ok(passed)
}
