//! What holds and dates set by people are about: how many orders and messages
//! a scope covers, and what its key is called by people.

use super::{ReadStore, ask};
use crate::domain::contact::{EmailAddress, PhoneNumber};
use crate::domain::ids::{OrderId, RunNo};
use crate::domain::kinds::ChannelName;
use crate::domain::notice_key::Mode;
use crate::store::codec::json;
use crate::store::conn::{is_queued, statements};
use crate::store::statement::{column, maybe_row, rows, value};
use crate::store::types::StoreError;
use std::collections::HashMap;

const COUNT_HELD: &str = "
SELECT count(DISTINCT o.id) FROM held_orders v JOIN holds h ON h.id = v.hold_id
JOIN orders o ON o.id = v.order_id
WHERE h.scope = $1 AND h.key = $2 AND o.closed_at IS NULL";

const UNDER: &str = "
SELECT DISTINCT o.id FROM holds h JOIN held_orders v ON v.hold_id = h.id
JOIN orders o ON o.id = v.order_id
WHERE h.scope = $1 AND h.key = $2 AND o.closed_at IS NULL ORDER BY o.id";

const BESIDES: &str = "
SELECT DISTINCT v.order_id FROM held_orders v JOIN holds h ON h.id = v.hold_id
WHERE v.order_id IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)
  AND NOT (h.scope = $2 AND h.key = $3)";

const HAS_GLOBAL: &str = "SELECT EXISTS (SELECT 1 FROM holds WHERE scope = 'global')";

const COUNT_QUEUED: &str = concat!(
    "SELECT count(*) FROM messages m WHERE ",
    is_queued!("m"),
    " AND m.held = FALSE AND m.mode = $1
  AND (CAST($2 AS TEXT) IS NULL OR m.channel = $2)
  AND (CAST($3 AS BIGINT) IS NULL OR m.run_no = $3)"
);

const ORDER_NUMBERS: &str = "
SELECT order_key, number FROM orders
WHERE shop_id = $1 AND order_key IN (SELECT CAST(e.atom AS TEXT) FROM jsonb_each($2) AS e)";

const CONTACT: &str = "SELECT email, phone FROM contacts WHERE id = $1";

statements![
    COUNT_HELD,
    UNDER,
    BESIDES,
    HAS_GLOBAL,
    COUNT_QUEUED,
    ORDER_NUMBERS,
    CONTACT
];

impl ReadStore {
    /// Open orders that a placed hold on an order, customer, SKU or supplier
    /// keeps silent.
    pub async fn count_held_orders(&self, scope: &str, key: &str) -> Result<u64, StoreError> {
        let n: i64 = ask!(self, "count held orders", value, COUNT_HELD, scope, key);
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Open orders a placed hold keeps silent.
    pub async fn orders_under_hold(
        &self,
        scope: &str,
        key: &str,
    ) -> Result<Vec<OrderId>, StoreError> {
        let ids: Vec<i64> = ask!(self, "list held orders", column, UNDER, scope, key);
        Ok(ids.into_iter().map(OrderId).collect())
    }

    /// Those of the orders that another hold keeps silent.
    pub async fn orders_held_besides(
        &self,
        orders: &[OrderId],
        scope: &str,
        key: &str,
    ) -> Result<Vec<OrderId>, StoreError> {
        let ids = json(&orders.iter().map(|o| o.0).collect::<Vec<_>>());
        let ids: Vec<i64> = ask!(
            self,
            "list orders held otherwise",
            column,
            BESIDES,
            ids,
            scope,
            key
        );
        Ok(ids.into_iter().map(OrderId).collect())
    }

    /// Whether everything is on hold.
    pub async fn has_global_hold(&self) -> Result<bool, StoreError> {
        Ok(ask!(self, "look for a hold", value, HAS_GLOBAL))
    }

    /// Messages in the queue, of one channel, one run or of all, those that wait for an
    /// approval left out.
    pub async fn count_queued(
        &self,
        mode: Mode,
        channel: Option<ChannelName>,
        run: Option<RunNo>,
    ) -> Result<u64, StoreError> {
        let n: i64 = ask!(
            self,
            "count queued messages",
            value,
            COUNT_QUEUED,
            mode.as_str(),
            channel.map(ChannelName::as_str),
            run.map(|run| run.0)
        );
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Order numbers by the orders' keys; keys of no order are left out.
    pub async fn order_numbers(
        &self,
        shop_id: i64,
        keys: &[&str],
    ) -> Result<HashMap<String, String>, StoreError> {
        let found: Vec<(String, String)> = ask!(
            self,
            "read order numbers",
            rows,
            ORDER_NUMBERS,
            shop_id,
            json(&keys)
        );
        Ok(found.into_iter().collect())
    }

    /// A contact for lists: the masked address or number, by row number.
    pub async fn masked_contact(&self, id: i64) -> Result<Option<String>, StoreError> {
        let found: Option<(Option<String>, Option<String>)> =
            ask!(self, "read a contact", maybe_row, CONTACT, id);
        Ok(found.and_then(|(email, phone)| {
            let email = email.and_then(|e| EmailAddress::parse(&e).ok());
            let phone = phone.and_then(|p| PhoneNumber::parse(&p, None).ok());
            email
                .map(|e| e.masked())
                .or_else(|| phone.map(|p| p.masked()))
        }))
    }
}
