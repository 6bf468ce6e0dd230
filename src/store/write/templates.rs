//! What templates were made of, once a version: so that what was sent can be
//! shown again when the files have long been changed.

use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::statement::{Halt, run};
use serde::Serialize;

const KEEP: &str = "
INSERT INTO template_versions (version, source, first_used_at)
SELECT j.value ->> 'version', j.value ->> 'source', CAST($2 AS BIGINT)
FROM jsonb_each($1) AS j
WHERE TRUE
ON CONFLICT (version) DO NOTHING";

statements![KEEP];

#[derive(Serialize)]
struct KeepRow<'a> {
    version: &'a str,
    source: &'a str,
}

/// See [`crate::store::Store::keep_templates`].
pub async fn keep(c: &mut Conn<'_>, new: &[(String, String)], now: Instant) -> Result<u64, Halt> {
    let rows: Vec<KeepRow<'_>> = new
        .iter()
        .map(|(version, source)| KeepRow { version, source })
        .collect();
    Ok(run!(c, KEEP, json(&rows), now.0)?)
}
