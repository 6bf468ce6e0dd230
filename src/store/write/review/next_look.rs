//! What a plan leaves on the orders it looked at: when each is looked at again,
//! its verdicts where they differ from the last ones, and under which settings
//! it was looked at.

use super::commit::Fresh;
use crate::domain::ids::RunNo;
use crate::domain::reason::{Verdict, Wake};
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::statement::{rows, run};
use crate::store::write::settings::Stand;
use serde::Serialize;
use std::collections::HashMap;

const LAST_VERDICTS: &str = "
SELECT o.id, o.last_verdict FROM jsonb_each($1) AS j CROSS JOIN orders o
WHERE o.id = CAST(j.value ->> 'id' AS BIGINT)";

const INSERT_VERDICTS: &str = "
INSERT INTO verdicts (order_id, run_no, at, verdict)
SELECT CAST(j.value ->> 'order' AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS BIGINT),
  j.value ->> 'verdict'
FROM jsonb_each($1) AS j";

/// Plans made before this one are stale, and what they foresaw is.
const NEXT_LOOK: &str = "
UPDATE orders AS o SET next_review_at = j.next, review_version = o.review_version + 1,
  closed_at = CASE WHEN j.never = TRUE THEN coalesce(o.closed_at, CAST($2 AS BIGINT)) END,
  last_verdict = j.verdict, settings_no = CAST($3 AS BIGINT)
FROM (SELECT CAST(e.value ->> 'id' AS BIGINT) AS id, CAST(e.value ->> 'next' AS BIGINT) AS next,
        CAST(e.value ->> 'never' AS BOOLEAN) AS never, e.value ->> 'verdict' AS verdict
      FROM jsonb_each($1) AS e) AS j
WHERE o.id = j.id";

statements![LAST_VERDICTS, INSERT_VERDICTS, NEXT_LOOK];

#[derive(Serialize)]
struct LookRow {
    id: i64,
    next: Option<i64>,
    never: bool,
    verdict: String,
}

#[derive(Serialize)]
struct VerdictRow {
    order: i64,
    verdict: String,
}

/// Writes when each order is looked at again, and its verdicts where they
/// differ from the last ones.
pub(super) async fn write(
    c: &mut Conn<'_>,
    fresh: &Fresh<'_>,
    run: RunNo,
    stand: Stand,
    now: Instant,
) -> Result<(), sqlx::Error> {
    let looks: Vec<LookRow> = fresh
        .orders()
        .map(|o| LookRow {
            id: o.order.0,
            next: match o.wake {
                Wake::At(at) => Some(at.0),
                Wake::OnEvent | Wake::Never => None,
            },
            never: o.wake == Wake::Never,
            verdict: json(&o.verdicts),
        })
        .collect();
    let document = json(&looks);
    let last: Vec<(i64, Option<String>)> = rows!(c, LAST_VERDICTS, &document)?;
    let last: HashMap<i64, Option<String>> = last.into_iter().collect();
    let verdicts: Vec<VerdictRow> = fresh
        .orders()
        .filter(|o| {
            let last = last.get(&o.order.0).and_then(Option::as_deref);
            !is_known(last, &o.verdicts)
        })
        .flat_map(|o| {
            o.verdicts.iter().map(|v| VerdictRow {
                order: o.order.0,
                verdict: json(v),
            })
        })
        .collect();
    if !verdicts.is_empty() {
        run!(c, INSERT_VERDICTS, json(&verdicts), run.0, now.0)?;
    }
    run!(c, NEXT_LOOK, &document, now.0, stand.looks_count_for())?;
    Ok(())
}

/// Whether the stored verdicts say the same already.
fn is_known(stored: Option<&str>, verdicts: &[Verdict]) -> bool {
    let stored: Option<Vec<Verdict>> = stored.and_then(|text| serde_json::from_str(text).ok());
    stored.is_some_and(|stored| {
        stored.len() == verdicts.len() && stored.iter().zip(verdicts).all(|(a, b)| a.repeats(b))
    })
}
