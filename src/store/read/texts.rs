//! Texts people sent us, for people who read them.

use super::{ReadStore, ask};
use crate::domain::contact::PhoneNumber;
use crate::domain::time::Instant;
use crate::store::conn::statements;
use crate::store::statement::rows;
use crate::store::types::StoreError;
use serde::Serialize;

const TEXTS: &str = "
SELECT t.id, t.at, t.gateway, t.wish, t.task, o.number AS order_number, t.done_at, t.done_by,
  t.answer, t.answer_outcome, p.number, p.words
FROM texts t LEFT JOIN orders o ON o.id = t.order_id LEFT JOIN text_private p ON p.text_id = t.id
WHERE $1 = FALSE OR (t.task IS NOT NULL AND t.done_at IS NULL)
ORDER BY t.id DESC LIMIT $2";

statements![TEXTS];

/// A text as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TextRow {
    pub id: i64,
    pub at: Instant,
    pub gateway: String,
    /// `stop`, `cancel`, `start`, `help`, `order` or `other`.
    pub wish: String,
    /// What a person has to do; `None` for nothing.
    pub task: Option<String>,
    pub order: Option<String>,
    pub done_at: Option<Instant>,
    pub done_by: Option<String>,
    pub answer: Option<String>,
    pub answer_outcome: Option<String>,
    /// Masked; `None` once it is forgotten.
    pub from: Option<String>,
    /// What the person wrote; `None` once it is forgotten.
    pub words: Option<String>,
}

impl ReadStore {
    /// Texts, newest first; only those a person has to look at, or all.
    pub async fn texts(&self, only_open: bool, limit: u32) -> Result<Vec<TextRow>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            id: i64,
            at: i64,
            gateway: String,
            wish: String,
            task: Option<String>,
            order_number: Option<String>,
            done_at: Option<i64>,
            done_by: Option<String>,
            answer: Option<String>,
            answer_outcome: Option<String>,
            number: Option<String>,
            words: Option<String>,
        }
        let found: Vec<Row> = ask!(self, "list texts", rows, TEXTS, only_open, i64::from(limit));
        let masked = |number: String| {
            PhoneNumber::parse(&number, None).map_or_else(|_| "hidden".to_owned(), |n| n.masked())
        };
        Ok(found
            .into_iter()
            .map(|row| TextRow {
                id: row.id,
                at: Instant(row.at),
                gateway: row.gateway,
                wish: row.wish,
                task: row.task,
                order: row.order_number,
                done_at: row.done_at.map(Instant),
                done_by: row.done_by,
                answer: row.answer,
                answer_outcome: row.answer_outcome,
                from: row.number.map(masked),
                words: row.words,
            })
            .collect())
    }
}
