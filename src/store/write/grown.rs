//! Tables that grew much since the server counted them are counted anew.
//!
//! PostgreSQL plans by what it last counted, and counts by itself about once a
//! minute. In that minute a shop's first import writes all its orders: planned
//! for tables of forty rows, a batch then walks them from one end to the other
//! for every row it brings. Measured: 20,000 orders took 85 seconds, and eight
//! with this.

use crate::store::conn::{Conn, statements};
use crate::store::statement::{column, run};

/// What SQLite has no use for: its plans follow the order a statement is
/// written in.
const AS_WRITTEN: &str = "SELECT 1";

/// Tables more than twice as long as when they were counted, if that is more
/// than a handful of pages.
const GROWN: &str = "
SELECT CAST(c.relname AS TEXT) FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = CAST(current_schema() AS regnamespace)
  AND pg_relation_size(c.oid)
    > 2 * greatest(c.relpages, 8) * CAST(current_setting('block_size') AS BIGINT)";

const COUNT: &str = "
ANALYZE contacts, orders, order_lines, eta_claims, told, shipments, verdicts, messages, notices,
  message_private, attempts";

statements![AS_WRITTEN | GROWN, AS_WRITTEN | COUNT];

/// Looks, and has them counted. Part of the transaction it is called in, whose
/// own rows are counted too.
pub async fn count_again(c: &mut Conn<'_>) -> Result<(), sqlx::Error> {
    if let Conn::Sqlite(_) = c {
        return Ok(());
    }
    let grown: Vec<String> = column!(c, GROWN)?;
    if !grown.is_empty() {
        run!(c, COUNT)?;
    }
    Ok(())
}
