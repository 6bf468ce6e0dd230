//! Refusals that leave open whether the address is dead, kept from one day to
//! the next: two on different days end it, as a clear one does at once
//! ([`Refusal::ends_the_address`]), and what is accepted in between clears the
//! first. Days are UTC's, as those of bounces are. Texts have no such answers;
//! the channel is kept all the same, as the do-not-write list does.
//!
//! Whoever calls `judge` has said before that it may suppress
//! (`may_suppress`).

use super::record::RecordRow;
use crate::domain::ids::WorkerId;
use crate::domain::message::Landing;
use crate::domain::outcome::{Outcome, Refusal};
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::statement::{rows, run};
use crate::store::types::Record;
use chrono::NaiveDate;
use serde::Serialize;
use std::collections::HashMap;

const DAYS: &str = "
SELECT m.no, CAST(v.day AS TEXT) FROM jsonb_each($1) AS e CROSS JOIN messages m
JOIN vague_refusals v ON v.address_hash = m.address_hash AND v.channel = m.channel
WHERE m.no = CAST(e.atom AS BIGINT)";

const KEEP: &str = "
INSERT INTO vague_refusals (address_hash, channel, day)
SELECT m.address_hash, m.channel, max(j.value ->> 'day')
FROM jsonb_each($1) AS j CROSS JOIN messages m
WHERE m.no = CAST(j.value ->> 'no' AS BIGINT)
GROUP BY m.address_hash, m.channel
ON CONFLICT (address_hash, channel) DO UPDATE SET day = excluded.day
WHERE vague_refusals.day < excluded.day";

macro_rules! clear_vague {
    () => {
        "
DELETE FROM vague_refusals WHERE (address_hash, channel) IN (
  SELECT m.address_hash, m.channel FROM jsonb_each($4) AS e CROSS JOIN messages m
  WHERE m.no = CAST(e.atom AS BIGINT))"
    };
}
pub(super) use clear_vague;

statements![DAYS, KEEP];

pub(super) fn is_vague(record: &Record) -> bool {
    let class = Refusal::HardAfterTwoDays;
    matches!(&record.outcome, Outcome::Refused { class: is, .. } if *is == class)
}

/// Whether recording this may put an address on the do-not-write list.
pub(super) fn may_suppress(record: &Record) -> bool {
    matches!(record.landing, Landing::Failed { suppress: true, .. }) || is_vague(record)
}

#[derive(Serialize)]
struct VagueRow {
    no: i64,
    day: String,
}

/// Marks the rows whose vague refusal is the second of its kind, and keeps the
/// days of all of them for next time. `rows` are those of `records` that count;
/// what was accepted in the same breath has been cleared before.
pub(super) async fn judge(
    c: &mut Conn<'_>,
    rows: &mut [RecordRow<'_>],
    records: &[(WorkerId, Instant, &Record)],
) -> Result<(), sqlx::Error> {
    let counts = |record: &Record| rows.iter().any(|row| row.no == record.no.0);
    let vague: Vec<(i64, NaiveDate)> = (records.iter())
        .filter(|(_, _, record)| is_vague(record) && counts(record))
        .map(|(_, now, record)| (record.no.0, now.day_in(chrono_tz::UTC)))
        .collect();
    if vague.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i64> = vague.iter().map(|(no, _)| *no).collect();
    let kept: Vec<(i64, String)> = rows!(c, DAYS, json(&numbers))?;
    let kept: HashMap<i64, NaiveDate> = kept
        .into_iter()
        .filter_map(|(no, day)| Some((no, day.parse().ok()?)))
        .collect();
    for (no, today) in &vague {
        let before = kept.get(no).copied();
        if Refusal::HardAfterTwoDays.ends_the_address(before, *today) {
            for row in rows.iter_mut().filter(|row| row.no == *no) {
                row.suppress = true;
            }
        }
    }
    let days: Vec<VagueRow> = vague
        .into_iter()
        .map(|(no, day)| VagueRow {
            no,
            day: day.to_string(),
        })
        .collect();
    run!(c, KEEP, json(&days))?;
    Ok(())
}
