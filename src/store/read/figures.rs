//! Figures: how much waits, how old, how much it is worth, how sending goes.

use super::{ReadStore, ask, reading};
use crate::domain::notice_key::Mode;
use crate::domain::time::{Instant, Length};
use crate::store::conn::{is_queued, statements};
use crate::store::statement::{row, rows, value};
use crate::store::types::{Figures, StoreError};
use chrono::{Days, NaiveDate};

const OPEN: &str = "
SELECT count(DISTINCT o.id), count(l.id), min(o.ordered_on), count(l.eta_to),
  count(CASE WHEN l.eta_to <= $1 AND l.eta_to >= $2 THEN 1 END)
FROM orders o JOIN order_lines l ON l.order_id = o.id
WHERE o.closed_at IS NULL AND l.seen_waiting = TRUE
  AND l.qty_ordered > l.qty_shipped + l.qty_cancelled";

const VALUE: &str = "
SELECT l.currency,
  CAST(sum(l.price_minor * (l.qty_ordered - l.qty_shipped - l.qty_cancelled) / 1000) AS BIGINT)
FROM orders o JOIN order_lines l ON l.order_id = o.id
WHERE o.closed_at IS NULL AND l.seen_waiting = TRUE AND l.currency IS NOT NULL
  AND l.price_minor IS NOT NULL AND l.qty_ordered > l.qty_shipped + l.qty_cancelled
GROUP BY l.currency ORDER BY l.currency";

const STATES: &str =
    "SELECT state, count(*) FROM messages WHERE mode = $1 GROUP BY state ORDER BY state";

const ENDED_SINCE: &str = "
SELECT count(CASE WHEN state IN ('sent', 'delivered') THEN 1 END),
  count(CASE WHEN state IN ('failed', 'bounced') THEN 1 END)
FROM messages WHERE mode = $1 AND ended_at > $2";

const QUEUE: &str = concat!(
    "
SELECT count(CASE WHEN m.held = TRUE THEN 1 END),
  min(CASE WHEN m.held = FALSE AND m.due_at <= $2 THEN m.due_at END)
FROM messages m WHERE ",
    is_queued!("m"),
    " AND m.not_after > 0 AND m.mode = $1"
);

const COUNT_ORDERS: &str = "SELECT count(*) FROM orders";
const COUNT_OPEN_ORDERS: &str = "SELECT count(*) FROM orders WHERE closed_at IS NULL";
const COUNT_UNSEEN: &str =
    "SELECT count(*) FROM orders WHERE closed_at IS NULL AND last_verdict IS NULL";
pub(crate) const COUNT_PLANNED: &str = "SELECT count(*) FROM messages \
    WHERE planned_at > $1 AND mode = $2 AND state <> 'superseded'";
const COUNT_TEXTS: &str = "SELECT count(*) FROM attempts a JOIN messages m ON m.no = a.message_no \
    WHERE a.message_id_header IS NULL AND a.began_at > $1 AND m.channel = 'sms' AND m.mode = $2";

statements![
    OPEN,
    VALUE,
    STATES,
    ENDED_SINCE,
    QUEUE,
    COUNT_ORDERS,
    COUNT_OPEN_ORDERS,
    COUNT_UNSEEN,
    COUNT_PLANNED,
    COUNT_TEXTS,
];

type Open = (i64, i64, Option<String>, i64, i64);

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
        let day_ago = now.minus(Length::hours(24)).0;
        let mut snapshot = self.snapshot().await.map_err(&doing)?;
        let c = &mut snapshot.conn();
        let open: Open = row!(c, OPEN, week.to_string(), today.to_string()).map_err(&doing)?;
        let (open_orders, open_lines, oldest, lines_with_date, lines_within_7_days) = open;
        let value: Vec<(String, i64)> = rows!(c, VALUE).map_err(&doing)?;
        let states: Vec<(String, i64)> = rows!(c, STATES, mode.as_str()).map_err(&doing)?;
        let (sent_24h, failed_24h): (i64, i64) =
            row!(c, ENDED_SINCE, mode.as_str(), day_ago).map_err(&doing)?;
        let (held, oldest_queued): (i64, Option<i64>) =
            row!(c, QUEUE, mode.as_str(), now.0).map_err(&doing)?;
        snapshot.end().await.map_err(&doing)?;
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
            lines_within_7_days,
            in_doubt: count("in_doubt"),
            queued: count("queued"),
            messages_by_state: states.iter().cloned().collect(),
            sent_24h,
            failed_24h,
            held,
            oldest_queued_at: oldest_queued.map(Instant),
        })
    }

    /// Orders ever seen, finished ones included.
    pub async fn count_orders(&self) -> Result<u64, StoreError> {
        let n: i64 = ask!(self, "count orders", value, COUNT_ORDERS);
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Orders with something still to come.
    pub async fn count_open_orders(&self) -> Result<u64, StoreError> {
        let n: i64 = ask!(self, "count open orders", value, COUNT_OPEN_ORDERS);
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Open orders no review has looked at yet.
    pub async fn count_unseen_orders(&self) -> Result<u64, StoreError> {
        let n: i64 = ask!(self, "count orders nobody looked at", value, COUNT_UNSEEN);
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Messages written since `since`, whatever became of them, held ones
    /// included: what the storm brake counts.
    pub async fn count_planned_since(&self, mode: Mode, since: Instant) -> Result<u64, StoreError> {
        let n: i64 = ask!(
            self,
            "count recent messages",
            value,
            COUNT_PLANNED,
            since.0,
            mode.as_str()
        );
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Texts handed over since `since`.
    pub async fn count_texts_since(&self, mode: Mode, since: Instant) -> Result<u32, StoreError> {
        let n: i64 = ask!(
            self,
            "count recent texts",
            value,
            COUNT_TEXTS,
            since.0,
            mode.as_str()
        );
        Ok(u32::try_from(n).unwrap_or(u32::MAX))
    }
}
