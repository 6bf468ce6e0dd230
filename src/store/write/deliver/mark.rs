//! Marking on a server: the intent to send, written before the last byte can
//! leave. The statements run with others, in [`super::breath`].

use crate::domain::ids::WorkerId;
use crate::domain::statement::hex;
use crate::domain::time::Instant;
use crate::store::types::Mark;
use serde::Serialize;

/// A worker that was stopped for too long has lost what it held to others, who
/// may be sending it. Its own clock cannot tell it so in time; the server's can,
/// at the moment of the statement. `lease_until` is by the worker's own clock,
/// a second guard.
macro_rules! mark {
    () => {
        concat!(
            "
UPDATE messages AS m SET state = 'submitting', attempts = m.attempts + 1,
  template_version = j.template, content_hash = j.content
FROM (SELECT CAST(e.value ->> 'no' AS BIGINT) AS message_no,
        CAST(e.value ->> 'epoch' AS BIGINT) AS epoch, unhex(e.value ->> 'worker') AS worker,
        CAST(e.value ->> 'now' AS BIGINT) AS now, e.value ->> 'template' AS template,
        e.value ->> 'content' AS content
      FROM jsonb_each($2) AS e) AS j
WHERE m.no = j.message_no AND coalesce(m.state, '') = 'leased' AND m.epoch = j.epoch AND m.owner = j.worker
  AND m.lease_until > j.now AND m.not_after >= j.now AND m.held = FALSE
  AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.scope = 'global'
    OR (h.scope = 'channel' AND h.key = m.channel)
    OR (h.scope = 'run' AND h.key = CAST(m.run_no AS TEXT)))
  AND NOT EXISTS (SELECT 1 FROM notices n JOIN orders o ON o.id = n.order_id
    WHERE n.message_no = m.no AND n.fact_version <> o.fact_version)
  AND NOT EXISTS (SELECT 1 FROM notices n JOIN held_orders v ON v.order_id = n.order_id
    WHERE n.message_no = m.no)
  AND NOT EXISTS (SELECT 1 FROM suppressions s
    WHERE s.address_hash = m.address_hash AND s.channel = m.channel)
  AND EXISTS (SELECT 1 FROM workers w WHERE w.id = j.worker AND w.heartbeat_at + w.alive_ms > ",
            server_now!(),
            ")",
        )
    };
}
pub(super) use mark;

macro_rules! begin_attempts {
    () => {
        "
INSERT INTO attempts (message_no, no, worker, epoch, relay, message_id_header, began_at)
SELECT m.no, m.attempts, m.owner, m.epoch, j.value ->> 'relay', j.value ->> 'header',
  CAST(j.value ->> 'now' AS BIGINT)
FROM jsonb_each($5) AS j JOIN messages m ON m.no = CAST(j.value ->> 'no' AS BIGINT)
WHERE true"
    };
}
pub(super) use begin_attempts;

#[derive(Serialize)]
pub(super) struct MarkRow<'a> {
    pub(super) no: i64,
    epoch: i64,
    worker: String,
    now: i64,
    relay: &'a str,
    header: Option<&'a str>,
    template: &'a str,
    content: &'a str,
}

pub(super) fn mark_row<'a>(by: WorkerId, now: Instant, mark: &'a Mark) -> MarkRow<'a> {
    MarkRow {
        no: mark.no.0,
        epoch: mark.epoch,
        worker: hex(by.0.as_bytes()),
        now: now.0,
        relay: &mark.relay,
        header: mark.message_id_header.as_deref(),
        template: &mark.template_version,
        content: &mark.content_hash,
    }
}
