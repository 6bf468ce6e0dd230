//! Figures: how much waits, how old, how much it is worth, how sending goes.

use super::{ReadStore, reading};
use crate::domain::notice_key::Mode;
use crate::domain::time::{Instant, Length};
use crate::store::types::{Figures, StoreError};
use chrono::{Days, NaiveDate};

const OPEN: &str = "
SELECT count(DISTINCT o.id), count(l.id), min(o.ordered_on), count(l.eta_to),
  sum(CASE WHEN l.eta_to <= $1 AND l.eta_to >= $2 THEN 1 ELSE 0 END)
FROM orders o JOIN order_lines l ON l.order_id = o.id
WHERE o.closed_at IS NULL AND l.seen_waiting = 1
  AND l.qty_ordered > l.qty_shipped + l.qty_cancelled";

const VALUE: &str = "
SELECT l.currency, sum(l.price_minor * (l.qty_ordered - l.qty_shipped - l.qty_cancelled) / 1000)
FROM orders o JOIN order_lines l ON l.order_id = o.id
WHERE o.closed_at IS NULL AND l.seen_waiting = 1 AND l.currency IS NOT NULL
  AND l.price_minor IS NOT NULL AND l.qty_ordered > l.qty_shipped + l.qty_cancelled
GROUP BY l.currency ORDER BY l.currency";

impl ReadStore {
    /// The figures of `stats`; `today` is the shop's.
    pub async fn figures(
        &self,
        mode: Mode,
        today: NaiveDate,
        now: Instant,
    ) -> Result<Figures, StoreError> {
        let doing = reading("add up figures");
        let week = today.checked_add_days(Days::new(7)).unwrap_or(today);
        let mut tx = self.pool.begin().await.map_err(&doing)?;
        let (open_orders, open_lines, oldest, lines_with_date, within): (
            i64,
            i64,
            Option<String>,
            i64,
            Option<i64>,
        ) = sqlx::query_as(OPEN)
            .bind(week.to_string())
            .bind(today.to_string())
            .fetch_one(&mut *tx)
            .await
            .map_err(&doing)?;
        let value: Vec<(String, i64)> = sqlx::query_as(VALUE)
            .fetch_all(&mut *tx)
            .await
            .map_err(&doing)?;
        let states: Vec<(String, i64)> = sqlx::query_as(
            "SELECT state, count(*) FROM messages WHERE mode = $1 GROUP BY state ORDER BY state",
        )
        .bind(mode.as_str())
        .fetch_all(&mut *tx)
        .await
        .map_err(&doing)?;
        let day_ago = now.minus(Length::hours(24)).0;
        let (sent_24h, failed_24h): (Option<i64>, Option<i64>) = sqlx::query_as(
            "SELECT sum(CASE WHEN state IN ('sent', 'delivered') THEN 1 ELSE 0 END), \
             sum(CASE WHEN state IN ('failed', 'bounced') THEN 1 ELSE 0 END) \
             FROM messages WHERE mode = $1 AND ended_at > $2",
        )
        .bind(mode.as_str())
        .bind(day_ago)
        .fetch_one(&mut *tx)
        .await
        .map_err(&doing)?;
        let (held, oldest_queued): (i64, Option<i64>) = sqlx::query_as(
            "SELECT coalesce(sum(held), 0), min(CASE WHEN held = 0 AND due_at <= $2 \
             THEN due_at END) FROM messages WHERE state = 'queued' AND mode = $1",
        )
        .bind(mode.as_str())
        .bind(now.0)
        .fetch_one(&mut *tx)
        .await
        .map_err(&doing)?;
        tx.rollback().await.map_err(&doing)?;
        let count = |state: &str| {
            states
                .iter()
                .find(|(s, _)| s == state)
                .map_or(0, |(_, n)| *n)
        };
        Ok(Figures {
            open_orders,
            open_lines,
            oldest_ordered_on: oldest.and_then(|day| day.parse().ok()),
            value_minor: value.into_iter().collect(),
            lines_with_date,
            lines_within_7_days: within.unwrap_or(0),
            in_doubt: count("in_doubt"),
            queued: count("queued"),
            messages_by_state: states.iter().cloned().collect(),
            sent_24h: sent_24h.unwrap_or(0),
            failed_24h: failed_24h.unwrap_or(0),
            held,
            oldest_queued_at: oldest_queued.map(Instant),
        })
    }

    /// Orders ever seen, finished ones included.
    pub async fn count_orders(&self) -> Result<u64, StoreError> {
        let n: i64 = sqlx::query_scalar("SELECT count(*) FROM orders")
            .fetch_one(&self.pool)
            .await
            .map_err(reading("count orders"))?;
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Orders with something still to come.
    pub async fn count_open_orders(&self) -> Result<u64, StoreError> {
        let n: i64 = sqlx::query_scalar("SELECT count(*) FROM orders WHERE closed_at IS NULL")
            .fetch_one(&self.pool)
            .await
            .map_err(reading("count open orders"))?;
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Messages written since `since`, whatever became of them, held ones
    /// included: what the storm brake counts.
    pub async fn count_planned_since(&self, mode: Mode, since: Instant) -> Result<u64, StoreError> {
        let n: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM messages WHERE planned_at > $1 AND mode = $2 \
             AND state <> 'superseded'",
        )
        .bind(since.0)
        .bind(mode.as_str())
        .fetch_one(&self.pool)
        .await
        .map_err(reading("count recent messages"))?;
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Texts handed over since `since`.
    pub async fn count_texts_since(&self, mode: Mode, since: Instant) -> Result<u32, StoreError> {
        let n: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM attempts a JOIN messages m ON m.no = a.message_no \
             WHERE m.channel = 'sms' AND m.mode = $2 AND a.began_at > $1",
        )
        .bind(since.0)
        .bind(mode.as_str())
        .fetch_one(&self.pool)
        .await
        .map_err(reading("count recent texts"))?;
        Ok(u32::try_from(n).unwrap_or(u32::MAX))
    }
}
