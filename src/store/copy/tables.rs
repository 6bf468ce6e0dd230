//! Every table of both engines, column by column, as text that reads it in
//! pages and writes it back.
//!
//! Written out and not asked of the engine, so that no statement is put
//! together while the program runs; a test compares the list with both schemas
//! and fails for a column that is missing here. Tables come parents first, and
//! rows in the order of their keys, so that every reference finds what it
//! names.
//!
//! Not copied: `workers` (who is alive is nobody's inheritance) and the
//! migrator's own table.

use crate::store::conn::Statement;

/// What a column holds, on both engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Whole number, instant, quantity.
    Int,
    Flag,
    Text,
    /// A civil day; read as text.
    Day,
    Uid,
    /// Whatever came from outside.
    Bytes,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub holds: Holds,
}

/// One table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub name: &'static str,
    /// The key's columns come first.
    pub columns: &'static [Column],
    pub n_keys: usize,
    /// Whether it has a row.
    pub any: Statement,
    pub count: Statement,
    /// The next page behind a key, given column by column as text.
    pub page: Statement,
    /// Writes rows from a JSON array of objects.
    pub insert: Statement,
    /// Sets what numbers rows, after them.
    pub number: Option<Statement>,
}

/// Rows read and written at once: few enough that their largest documents fit
/// into memory, enough that statements cost little.
pub const PAGE: usize = 500;

macro_rules! holds {
    (int) => {
        Holds::Int
    };
    (flag) => {
        Holds::Flag
    };
    (text) => {
        Holds::Text
    };
    (day) => {
        Holds::Day
    };
    (uid) => {
        Holds::Uid
    };
    (bytes) => {
        Holds::Bytes
    };
}

/// A column as it is read.
macro_rules! read {
    (day $name:ident) => {
        concat!(
            "CAST(",
            stringify!($name),
            " AS TEXT) AS ",
            stringify!($name)
        )
    };
    ($holds:ident $name:ident) => {
        stringify!($name)
    };
}

/// A parameter that a key is compared with; all are handed over as text.
macro_rules! key {
    (int $n:tt) => {
        concat!("CAST($", $n, " AS BIGINT)")
    };
    (text $n:tt) => {
        concat!("CAST($", $n, " AS TEXT)")
    };
}

/// A column as it comes out of a JSON object.
macro_rules! cast {
    (int $name:ident) => {
        concat!("CAST(j.value ->> '", stringify!($name), "' AS BIGINT)")
    };
    (flag $name:ident) => {
        concat!("CAST(j.value ->> '", stringify!($name), "' AS BOOLEAN)")
    };
    (uid $name:ident) => {
        concat!("unhex(j.value ->> '", stringify!($name), "')")
    };
    (bytes $name:ident) => {
        concat!("unhex(j.value ->> '", stringify!($name), "')")
    };
    ($holds:ident $name:ident) => {
        concat!("CAST(j.value ->> '", stringify!($name), "' AS TEXT)")
    };
}

/// The same on PostgreSQL, where `unhex` makes ids.
macro_rules! cast_postgres {
    (bytes $name:ident) => {
        concat!("decode(j.value ->> '", stringify!($name), "', 'hex')")
    };
    ($holds:ident $name:ident) => {
        cast!($holds $name)
    };
}

/// The schema itself comes with these rows.
macro_rules! any {
    (meta) => {
        " WHERE name NOT IN ('brake', 'instance_id')"
    };
    ($table:ident) => {
        ""
    };
}

macro_rules! statement {
    ($verb:literal, $table:ident, $sqlite:expr, $postgres:expr) => {
        Statement {
            name: concat!($verb, " ", stringify!($table)),
            sqlite: $sqlite,
            postgres: $postgres,
        }
    };
    ($verb:literal, $table:ident, $shared:expr) => {
        statement!($verb, $table, $shared, $shared)
    };
}

/// `table!(name, [key columns], [other columns])`; `numbered` before the key
/// where the engine numbers rows.
macro_rules! table {
    ($name:ident, [$first:ident: $first_holds:ident = $first_n:tt
        $(, $key:ident: $key_holds:ident = $key_n:tt)*],
        [$($col:ident: $holds:ident),*], $number:expr) => {
        Table {
            name: stringify!($name),
            columns: &[
                Column { name: stringify!($first), holds: holds!($first_holds) },
                $(Column { name: stringify!($key), holds: holds!($key_holds) },)*
                $(Column { name: stringify!($col), holds: holds!($holds) },)*
            ],
            n_keys: [stringify!($first) $(, stringify!($key))*].len(),
            any: statement!("any", $name,
                concat!("SELECT EXISTS (SELECT 1 FROM ", stringify!($name), any!($name), ")")),
            count: statement!("count", $name,
                concat!("SELECT count(*) FROM ", stringify!($name))),
            page: statement!("page", $name, concat!(
                "SELECT ", read!($first_holds $first) $(, ", ", read!($key_holds $key))*
                $(, ", ", read!($holds $col))*,
                " FROM ", stringify!($name),
                " WHERE (", stringify!($first) $(, ", ", stringify!($key))*, ") > (",
                key!($first_holds $first_n) $(, ", ", key!($key_holds $key_n))*,
                ") ORDER BY ", stringify!($first) $(, ", ", stringify!($key))*, " LIMIT 500")),
            insert: statement!("insert", $name, concat!(
                "INSERT INTO ", stringify!($name),
                " (", stringify!($first) $(, ", ", stringify!($key))*
                $(, ", ", stringify!($col))*, ") SELECT ",
                cast!($first_holds $first) $(, ", ", cast!($key_holds $key))*
                $(, ", ", cast!($holds $col))*,
                " FROM jsonb_each($1) AS j"), concat!(
                "INSERT INTO ", stringify!($name),
                " (", stringify!($first) $(, ", ", stringify!($key))*
                $(, ", ", stringify!($col))*, ") SELECT ",
                cast!($first_holds $first) $(, ", ", cast!($key_holds $key))*
                $(, ", ", cast_postgres!($holds $col))*,
                " FROM jsonb_each($1) AS j")),
            number: $number,
        }
    };
    (numbered $name:ident, $id:ident, [$($col:ident: $holds:ident),* $(,)?]) => {
        table!($name, [$id: int = "1"], [$($col: $holds),*], Some(statement!("number", $name,
            // SQLite goes on behind the highest number by itself.
            "SELECT CAST(0 AS BIGINT)",
            concat!("SELECT setval(pg_get_serial_sequence('", stringify!($name), "', '",
                stringify!($id), "'), coalesce(max(", stringify!($id), "), 1), max(",
                stringify!($id), ") IS NOT NULL) FROM ", stringify!($name)))))
    };
    ($name:ident, [$($key:ident: $key_holds:ident = $key_n:tt),*],
        [$($col:ident: $holds:ident),* $(,)?]) => {
        table!($name, [$($key: $key_holds = $key_n),*], [$($col: $holds),*], None)
    };
}

/// All of them, parents first.
pub const TABLES: &[Table] = &[
    table!(numbered shops, id, [key: text, name: text, zone: text]),
    table!(numbered sources, id, [
        shop_id: int, name: text, kind: text, last_ok_at: int, rows_read: int, ends_line: flag,
        written_at: int, refused_at: int, refused: text,
    ]),
    table!(numbered contacts, id, [
        shop_id: int, contact_hash: text, email: text, email_hash: text, phone: text,
        phone_hash: text, name: text, locale: text, zone: text, country: text,
        sms_consent: flag, preferred: text, planned_by: uid, planned_until: int,
    ]),
    table!(numbered orders, id, [
        shop_id: int, order_key: text, number: text, contact_id: int, ordered_at: int,
        ordered_on: day, zone_used: text, first_seen_at: int, adopted_at: int,
        fact_version: int, review_version: int, next_review_at: int, settings_no: int,
        closed_at: int, next_word_by: day, last_verdict: text, view_url: text, cancel_url: text,
        customer_deleted: flag,
    ]),
    table!(numbered order_lines, id, [
        order_id: int, shop_id: int, line_key: text, sku: text, name: text, qty_ordered: int,
        qty_shipped: int, qty_cancelled: int, qty_shipped_told: int, qty_cancelled_told: int,
        shipped_changed_at: int, cancelled_changed_at: int, price_minor: int, currency: text,
        supplier: text, warehouse: text, source_eta_from: day, source_eta_to: day,
        source_reason: text, eta_from: day, eta_to: day, eta_origin: text,
        eta_changed_at: int, eta_confirmed_at: int, reason: text, told_seq: int,
        seen_waiting: flag, row_hash: text, extras: text, updated_at: int,
        first_seen_at: int, missing_since: int,
    ]),
    table!(eta_claims, [shop_id: int = "1", scope: text = "2", key: text = "3"], [
        eta_from: day, eta_to: day, reason: text, origin: text, by: text, confirmed_at: int,
    ]),
    table!(eta_history, [line_id: int = "1", seq: int = "2"], [
        eta_from: day, eta_to: day, source: text, at: int,
    ]),
    table!(numbered shipments, id, [
        order_id: int, key: text, carrier: text, numbers: text, url: text, estimate_on: day,
        shipped_at: int, told_message: int,
    ]),
    table!(told, [line_id: int = "1", seq: int = "2"], [
        message_no: int, promise_from: day, promise_to: day, eta_from: day, eta_to: day,
        basis: text, mode: text, at: int,
    ]),
    table!(numbered runs, no, [
        job: text, due: int, mode: text, state: text, started_at: int, orders: int,
        messages: int, quiet: text, by: text, why: text,
    ]),
    table!(numbered verdicts, id, [order_id: int, run_no: int, at: int, verdict: text]),
    table!(numbered messages, no, [
        uid: uid, purpose: text, mode: text, resend_of: int, run_no: int, held: flag, channel: text,
        kind: text, contact_id: int, address_hash: text, state: text, settled_by: text,
        planned_at: int, due_since: int, due_at: int, not_after: int, owner: uid, epoch: int,
        lease_until: int, claims: int, attempts: int, counted: int, doubts: int,
        quiet_until: int, sent_at: int, ended_at: int, template_version: text,
        content_hash: text,
    ]),
    table!(numbered notices, id, [
        message_no: int, order_id: int, channel: text, kind: text, mode: text,
        discriminator: text, key: text, take: int, fact_version: int, facts_hash: text,
        milestone_days: int, rests_at: int, in_queue: flag, in_flight: flag,
    ]),
    table!(message_private, [message_no: int = "1"], [recipient: text, facts: text]),
    table!(numbered attempts, id, [
        message_no: int, no: int, worker: uid, epoch: int, relay: text,
        message_id_header: text, began_at: int, ended_at: int, outcome: text, code: int,
        enhanced: text, phase: text, reply: text, reference: text,
    ]),
    table!(numbered receipts, id, [
        event_key: text, message_uid: uid, relay: text, reference: text, message_no: int,
        kind: text, rank: int, at: int, source: text, code: int, enhanced: text, reply: text,
        waits: flag,
    ]),
    table!(receipt_private, [receipt_id: int = "1"], [raw: bytes]),
    table!(numbered texts, id, [
        event_key: text, gateway: text, phone_hash: text, wish: text, task: text, order_id: int,
        at: int, done_at: int, done_by: text, answer: text, answer_outcome: text,
    ]),
    table!(text_private, [text_id: int = "1"], [number: text, words: text]),
    table!(numbered holds, id, [
        scope: text, key: text, by: text, why: text, since: int, until: int,
    ]),
    table!(suppressions, [address_hash: text = "1", channel: text = "2"], [
        reason: text, source: text, since: int,
    ]),
    table!(vague_refusals, [address_hash: text = "1", channel: text = "2"], [day: day]),
    table!(template_versions, [version: text = "1"], [source: text, first_used_at: int]),
    table!(job_ticks, [job: text = "1"], [last_due: int, leased_due: int, leased_by: uid]),
    table!(numbered audit, seq, [actor: text, verb: text, target: text, why: text, at: int]),
    table!(numbered rejected_rows, id, [
        source: text, at_line: int, order_number: text, field: text, reason: text, at: int,
    ]),
    table!(meta, [name: text = "1"], [value: text]),
];

const N: usize = TABLES.len();

/// Every statement of the list.
pub const STATEMENTS: &[Statement] = &{
    let mut all = [TABLES[0].any; N * 5];
    let mut i = 0;
    while i < N {
        let table = TABLES[i];
        all[i * 5] = table.any;
        all[i * 5 + 1] = table.count;
        all[i * 5 + 2] = table.page;
        all[i * 5 + 3] = table.insert;
        all[i * 5 + 4] = match table.number {
            Some(number) => number,
            None => table.any,
        };
        i += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_as_written() {
        let told = TABLES.iter().find(|t| t.name == "told").unwrap();
        assert_eq!(
            told.page.sqlite,
            "SELECT line_id, seq, message_no, CAST(promise_from AS TEXT) AS promise_from, \
             CAST(promise_to AS TEXT) AS promise_to, CAST(eta_from AS TEXT) AS eta_from, \
             CAST(eta_to AS TEXT) AS eta_to, basis, mode, at FROM told WHERE (line_id, seq) > \
             (CAST($1 AS BIGINT), CAST($2 AS BIGINT)) ORDER BY line_id, seq LIMIT 500"
        );
        let ticks = TABLES.iter().find(|t| t.name == "job_ticks").unwrap();
        assert_eq!(
            ticks.insert.postgres,
            "INSERT INTO job_ticks (job, last_due, leased_due, leased_by) SELECT \
             CAST(j.value ->> 'job' AS TEXT), CAST(j.value ->> 'last_due' AS BIGINT), \
             CAST(j.value ->> 'leased_due' AS BIGINT), unhex(j.value ->> 'leased_by') \
             FROM jsonb_each($1) AS j"
        );
        for table in TABLES {
            assert!(table.page.sqlite.ends_with(&format!(" LIMIT {PAGE}")));
        }
    }
}
