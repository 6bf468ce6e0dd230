//! Tables that grew much since the server counted them are counted anew.
//!
//! PostgreSQL plans by what it last counted, and counts by itself about once a
//! minute. In that minute a shop's first import writes all its orders: planned
//! for tables of forty rows, a batch then walks them from one end to the other
//! for every row it brings. Measured: 20,000 orders took 85 seconds, and eight
//! with this.
//!
//! Counting conflicts with counting alone: two that count at once take turns
//! until the first commits, and where an import then waits for a person the
//! other has, the engine says so and one of them runs again ([`super::locks`]
//! has the order of everything else; this comes last where it can).

use crate::store::conn::{Conn, statements};
use crate::store::statement::{column, run};

/// What SQLite has no use for: its plans follow the order a statement is
/// written in.
const AS_WRITTEN: &str = "SELECT 1";

/// Those an import fills, more than twice as long as when they were counted, if
/// that is more than a handful of pages. (What a plan fills was tried too, and
/// cost more than it brought: nothing there is looked up by a whole batch.)
const GROWN: &str = "
SELECT CAST(c.relname AS TEXT) FROM pg_class c
WHERE c.relname IN ('contacts', 'orders', 'order_lines') AND c.relnamespace = CAST(current_schema() AS regnamespace)
  AND pg_relation_size(c.oid)
    > 2 * greatest(c.relpages, 8) * CAST(current_setting('block_size') AS BIGINT)";

const COUNT: &str = "ANALYZE contacts, orders, order_lines";

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
