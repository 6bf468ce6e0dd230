//! Giving leases back that are not used.

use super::{TOUCH_DOWN, WAKE_BY_MESSAGE};
use crate::domain::ids::{MessageNo, WorkerId};
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::statement::{Halt, column, run};
use crate::store::types::GiveBack;
use crate::store::write::locks;
use serde::Serialize;

const GIVE_BACK: &str = "
UPDATE messages AS m SET
  state = CASE WHEN CAST($3 AS TEXT) IS NULL THEN 'queued' ELSE 'failed' END,
  owner = NULL, lease_until = NULL, settled_by = $3,
  due_at = coalesce(CAST($5 AS BIGINT), m.due_at),
  claims = CASE WHEN CAST($3 AS TEXT) IS NULL AND m.claims > 0 THEN m.claims - 1
    ELSE m.claims END,
  ended_at = CASE WHEN CAST($3 AS TEXT) IS NOT NULL THEN CAST($4 AS BIGINT) END
FROM (SELECT CAST(e.value ->> 'no' AS BIGINT) AS message_no,
        CAST(e.value ->> 'epoch' AS BIGINT) AS epoch
      FROM jsonb_each($1) AS e) AS j
WHERE m.no = j.message_no AND m.epoch = j.epoch AND m.state = 'leased' AND m.owner = $2
RETURNING no";

statements![GIVE_BACK];

#[derive(Serialize)]
struct LeaseRow {
    no: i64,
    epoch: i64,
}

/// See [`crate::store::Store::give_back`].
pub async fn give_back(
    c: &mut Conn<'_>,
    by: WorkerId,
    leases: &[(MessageNo, i64)],
    why: &GiveBack,
    now: Instant,
) -> Result<u64, Halt> {
    let (reason, due_at) = match why {
        GiveBack::Unused => (None, None),
        GiveBack::PutOff(until) => (None, Some(until.0)),
        GiveBack::Unrenderable(reason) => (Some(reason.as_str()), None),
    };
    let rows: Vec<LeaseRow> = leases
        .iter()
        .map(|(no, epoch)| LeaseRow {
            no: no.0,
            epoch: *epoch,
        })
        .collect();
    let messages: Vec<i64> = rows.iter().map(|row| row.no).collect();
    locks::orders(c, &[], &messages).await?;
    let back: Vec<i64> = column!(c, GIVE_BACK, json(&rows), by.0, reason, now.0, due_at)?;
    let ids = json(&back);
    run!(c, TOUCH_DOWN, &ids, reason.is_none())?;
    run!(c, WAKE_BY_MESSAGE, &ids, now.0)?;
    Ok(back.len() as u64)
}
