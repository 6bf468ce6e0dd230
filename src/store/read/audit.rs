//! The operators' log: who did what, when and why.

use super::{ReadStore, ask};
use crate::domain::time::Instant;
use crate::store::codec::json;
use crate::store::conn::statements;
use crate::store::statement::rows;
use crate::store::types::StoreError;
use serde::Serialize;

const LIST: &str = "
SELECT seq, actor, verb, target, why, at FROM audit
WHERE (CAST($1 AS BIGINT) IS NULL OR at >= $1) AND (CAST($2 AS TEXT) IS NULL OR actor = $2)
  AND (CAST($3 AS TEXT) IS NULL OR verb = $3)
  AND (CAST($4 AS TEXT) IS NULL
    OR target IN (SELECT CAST(e.atom AS TEXT) FROM jsonb_each($4) AS e))
ORDER BY seq DESC LIMIT $5";

statements![LIST];

/// Which entries; every part narrows.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    pub since: Option<Instant>,
    pub actor: Option<String>,
    pub verb: Option<String>,
    /// About one of these.
    pub targets: Option<Vec<String>>,
}

/// An act of a person (or of ourselves).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    pub seq: i64,
    pub actor: String,
    pub verb: String,
    pub target: String,
    pub why: Option<String>,
    pub at: Instant,
}

impl ReadStore {
    /// Entries of the audit log, newest first.
    pub async fn audit(
        &self,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        type Row = (i64, String, String, String, Option<String>, i64);
        let found: Vec<Row> = ask!(
            self,
            "read the audit log",
            rows,
            LIST,
            filter.since.map(|at| at.0),
            filter.actor.as_deref(),
            filter.verb.as_deref(),
            filter.targets.as_ref().map(json),
            i64::from(limit),
        );
        Ok(found
            .into_iter()
            .map(|(seq, actor, verb, target, why, at)| AuditRow {
                seq,
                actor,
                verb,
                target,
                why,
                at: Instant(at),
            })
            .collect())
    }
}
