//! What holds and dates set by people are about: how many orders and messages
//! a scope covers, and what its key is called by people.

use super::{ReadStore, reading};
use crate::domain::contact::{EmailAddress, PhoneNumber};
use crate::domain::kinds::ChannelName;
use crate::domain::notice_key::Mode;
use crate::store::codec::json;
use crate::store::types::StoreError;
use std::collections::HashMap;

impl ReadStore {
    /// Open orders that a placed hold on an order, customer, SKU or supplier
    /// keeps silent.
    pub async fn count_held_orders(&self, scope: &str, key: &str) -> Result<u64, StoreError> {
        let n: i64 = sqlx::query_scalar(
            "SELECT count(DISTINCT o.id) FROM held_orders v JOIN holds h ON h.id = v.hold_id \
             JOIN orders o ON o.id = v.order_id \
             WHERE h.scope = $1 AND h.key = $2 AND o.closed_at IS NULL",
        )
        .bind(scope)
        .bind(key)
        .fetch_one(&self.pool)
        .await
        .map_err(reading("count held orders"))?;
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Messages in the queue, of one channel or of all, those that wait for an
    /// approval left out.
    pub async fn count_queued(
        &self,
        mode: Mode,
        channel: Option<ChannelName>,
    ) -> Result<u64, StoreError> {
        let n: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM messages WHERE state = 'queued' AND held = 0 AND mode = $1 \
             AND ($2 IS NULL OR channel = $2)",
        )
        .bind(mode.as_str())
        .bind(channel.map(ChannelName::as_str))
        .fetch_one(&self.pool)
        .await
        .map_err(reading("count queued messages"))?;
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Order numbers by the orders' keys; keys of no order are left out.
    pub async fn order_numbers(
        &self,
        shop_id: i64,
        keys: &[&str],
    ) -> Result<HashMap<String, String>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT order_key, number FROM orders \
             WHERE shop_id = $1 AND order_key IN (SELECT value FROM json_each($2))",
        )
        .bind(shop_id)
        .bind(json(&keys))
        .fetch_all(&self.pool)
        .await
        .map_err(reading("read order numbers"))?;
        Ok(rows.into_iter().collect())
    }

    /// A contact for lists: the masked address or number, by row number.
    pub async fn masked_contact(&self, id: i64) -> Result<Option<String>, StoreError> {
        let row: Option<(Option<String>, Option<String>)> =
            sqlx::query_as("SELECT email, phone FROM contacts WHERE id = $1")
                .bind(id)
                .fetch_optional(&self.pool)
                .await
                .map_err(reading("read a contact"))?;
        Ok(row.and_then(|(email, phone)| {
            let email = email.and_then(|e| EmailAddress::parse(&e).ok());
            let phone = phone.and_then(|p| PhoneNumber::parse(&p, None).ok());
            email
                .map(|e| e.masked())
                .or_else(|| phone.map(|p| p.masked()))
        }))
    }
}
