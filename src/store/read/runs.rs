//! Runs and how far they are, holds, sources.

use super::{ReadStore, ask};
use crate::domain::feed::{Feed, RefusedFile};
use crate::domain::ids::RunNo;
use crate::domain::notice_key::Mode;
use crate::domain::time::Instant;
use crate::store::codec::instant;
use crate::store::conn::statements;
use crate::store::statement::{maybe, row, rows};
use crate::store::types::{HoldRow, RunRow, RunState, StoreError};
use std::collections::BTreeMap;

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunProgress {
    /// Nothing more happens to these now.
    pub ended: usize,
    /// On their way or due in a moment.
    pub due: usize,
    /// Due later.
    pub later: usize,
}

const RUNS: &str = "
SELECT r.no, r.job, r.mode, r.state, r.started_at, r.orders, r.messages, r.by, r.why,
  (SELECT string_agg(s.state || ' ' || CAST(s.n AS TEXT), ',') FROM
    (SELECT m.state, count(*) AS n FROM messages m WHERE m.run_no = r.no GROUP BY m.state) AS s
  ) AS states
FROM runs r WHERE (CAST($1 AS BIGINT) IS NULL OR r.no = $1) ORDER BY r.no DESC LIMIT $2";

const PROGRESS: &str = "
SELECT count(CASE WHEN state NOT IN ('queued', 'leased', 'submitting') THEN 1 END),
  count(CASE WHEN state IN ('leased', 'submitting')
    OR (state = 'queued' AND held = FALSE AND due_at <= $2) THEN 1 END),
  count(CASE WHEN state = 'queued' AND held = FALSE AND due_at > $2 THEN 1 END)
FROM messages WHERE run_no = $1";

pub(crate) const HELD_RUN: &str =
    "SELECT no FROM runs WHERE state = 'held' AND started_at > $1 ORDER BY no DESC LIMIT 1";

const HOLDS: &str = "SELECT scope, key, by, why, since, until FROM holds ORDER BY id";

const SOURCES: &str = "
SELECT s.name, s.kind, s.last_ok_at, s.rows_read, s.ends_line, s.written_at, s.refused_at, s.refused,
  (SELECT count(*) FROM rejected_rows r WHERE r.source = s.name) AS rejected
FROM sources s ORDER BY s.name";

statements![RUNS, PROGRESS, HELD_RUN, HOLDS, SOURCES];

/// `queued 3,sent 12`
fn states_of(text: &str) -> BTreeMap<String, i64> {
    text.split(',')
        .filter_map(|pair| pair.split_once(' '))
        .filter_map(|(state, n)| Some((state.to_owned(), n.parse().ok()?)))
        .collect()
}

impl ReadStore {
    /// Runs, newest first.
    pub async fn runs(&self, only: Option<RunNo>, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            no: i64,
            job: String,
            mode: String,
            state: String,
            started_at: i64,
            orders: i64,
            messages: i64,
            by: String,
            why: Option<String>,
            states: Option<String>,
        }
        let found: Vec<Row> = ask!(
            self,
            "list runs",
            rows,
            RUNS,
            only.map(|r| r.0),
            i64::from(limit)
        );
        found
            .into_iter()
            .map(|r| {
                let corrupt = |column| StoreError::Corrupt {
                    table: "runs",
                    row: r.no.to_string(),
                    column,
                };
                Ok(RunRow {
                    no: RunNo(r.no),
                    mode: Mode::parse(&r.mode).ok_or_else(|| corrupt("mode"))?,
                    state: RunState::parse(&r.state).ok_or_else(|| corrupt("state"))?,
                    states: states_of(r.states.as_deref().unwrap_or_default()),
                    job: r.job,
                    started_at: Instant(r.started_at),
                    orders: r.orders,
                    messages: r.messages,
                    by: r.by,
                    why: r.why,
                })
            })
            .collect()
    }

    /// How far a run's messages are, counted in the database.
    pub async fn run_progress(&self, run: RunNo, soon: Instant) -> Result<RunProgress, StoreError> {
        let (ended, due, later): (i64, i64, i64) =
            ask!(self, "look at a run", row, PROGRESS, run.0, soon.0);
        let count = |n: i64| usize::try_from(n).unwrap_or(0);
        Ok(RunProgress {
            ended: count(ended),
            due: count(due),
            later: count(later),
        })
    }

    /// The held run that still collects, if it began after `since`.
    pub async fn held_run_since(&self, since: Instant) -> Result<Option<RunNo>, StoreError> {
        let no: Option<i64> = ask!(self, "look for a held run", maybe, HELD_RUN, since.0);
        Ok(no.map(RunNo))
    }

    /// All holds, oldest first.
    pub async fn holds(&self) -> Result<Vec<HoldRow>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            scope: String,
            key: String,
            by: String,
            why: String,
            since: i64,
            until: Option<i64>,
        }
        let found: Vec<Row> = ask!(self, "list holds", rows, HOLDS);
        Ok(found
            .into_iter()
            .map(|r| HoldRow {
                scope: r.scope,
                key: r.key,
                by: r.by,
                why: r.why,
                since: Instant(r.since),
                until: instant(r.until),
            })
            .collect())
    }

    /// What is remembered of each source.
    pub async fn sources(&self) -> Result<Vec<Feed>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            name: String,
            kind: String,
            last_ok_at: Option<i64>,
            rows_read: i64,
            ends_line: bool,
            written_at: Option<i64>,
            refused_at: Option<i64>,
            refused: Option<String>,
            rejected: i64,
        }
        let found: Vec<Row> = ask!(self, "list sources", rows, SOURCES);
        Ok(found
            .into_iter()
            .map(|r| Feed {
                name: r.name,
                kind: r.kind,
                last_read_at: instant(r.last_ok_at),
                rows: u64::try_from(r.rows_read).unwrap_or(0),
                ends_line: r.ends_line,
                written_at: instant(r.written_at),
                refused: r
                    .refused
                    .zip(instant(r.refused_at))
                    .map(|(why, at)| RefusedFile { at, why }),
                rejected_rows: u64::try_from(r.rejected).unwrap_or(0),
            })
            .collect())
    }
}
