//! Delivering: claim, mark, record. Every statement carries its guards, and a
//! row that is not changed, or does not come back, lost one of them.

pub mod breath;
pub mod by_row;
pub mod claim;
pub mod foreseen;
pub mod give_back;
pub mod mark;
pub mod record;
pub mod told;
pub mod vague;

pub use breath::{NAMED, record_and_mark};
pub use claim::Claim;

use crate::store::conn::statements;

/// Notices begin their flight.
const TAKE_OFF: &str = "
UPDATE notices SET in_queue = FALSE, in_flight = TRUE
WHERE message_no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)";

/// Notices end their flight; `$2` says whether they wait again.
pub(super) const TOUCH_DOWN: &str = "
UPDATE notices SET in_flight = FALSE, in_queue = $2
WHERE message_no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e)";

/// Plans made for the orders of these messages are stale.
const BUMP_ORDERS: &str = "
UPDATE orders SET review_version = review_version + 1
WHERE id IN (SELECT n.order_id FROM notices n
  WHERE n.message_no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e))";

/// The orders of these messages are looked at again.
pub(super) const WAKE_BY_MESSAGE: &str = "
UPDATE orders SET review_version = review_version + 1, next_review_at = $2, closed_at = NULL
WHERE id IN (SELECT n.order_id FROM notices n
  WHERE n.message_no IN (SELECT CAST(e.atom AS BIGINT) FROM jsonb_each($1) AS e))";

statements![TAKE_OFF, TOUCH_DOWN, BUMP_ORDERS, WAKE_BY_MESSAGE];
