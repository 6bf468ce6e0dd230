//! What we remember: the mirror of the shop, the told-ledger and the outbox.
//!
//! Two handles. A [`ReadStore`] can only look: it holds read-only connections,
//! so a dry run that is given one *cannot* write. A [`Store`] adds the verbs
//! that change something; every such verb is one transaction, and every
//! transition of a message is one guarded statement whose row count is its
//! answer. Verbs are named in the words of the domain and state what they
//! promise; `tests/it/store_contract.rs` holds them to it on every back end.
//!
//! Rules kept here (see [`crate`] for their names):
//! - no verb hands out a transaction, so none can be open across network I/O;
//! - no database future is cancelled: writing verbs run in the writer's own
//!   task, dropping the caller drops only the wait;
//! - a commit of which nobody knows whether it happened ends the process, and
//!   the re-read database is the truth ([`StoreError::CommitFailed`]).
//!
//! Two engines, one text: SQL stands in `read/` and `write/`, in the dialect
//! both share, and runs over [`conn::Conn`]. `sqlite/` and `postgres/` keep what
//! is really different: opening, what a begin and a commit are, the delivery
//! lock, hearing of commits. The exception are marks and records, which a file
//! takes row by row and a server all at once (`write/deliver`).

pub mod backup;
pub mod codec;
pub mod conn;
pub mod copy;
pub mod place;
pub mod postgres;
pub mod read;
pub mod schema;
pub mod sqlite;
pub(crate) mod statement;
pub mod status;
pub mod types;
pub mod watch;
pub mod write;
mod writer;

pub use place::Place;
pub use read::ReadStore;
pub use types::StoreError;
pub use watch::Watch;
pub use write::Store;

/// Every statement of the store, by file.
pub const STATEMENTS: &[(&str, &[conn::Statement])] = &[
    ("backup.rs", backup::STATEMENTS),
    ("copy/mod.rs", copy::STATEMENTS),
    ("copy/session.rs", copy::session::STATEMENTS),
    ("copy/tables.rs", copy::tables::STATEMENTS),
    ("postgres/engine.rs", postgres::engine::STATEMENTS),
    ("postgres/connect.rs", postgres::connect::STATEMENTS),
    ("postgres/open.rs", postgres::open::STATEMENTS),
    ("read/aftermath.rs", read::aftermath::STATEMENTS),
    ("read/audit.rs", read::audit::STATEMENTS),
    ("read/by_hand.rs", read::by_hand::STATEMENTS),
    ("read/figures.rs", read::figures::STATEMENTS),
    ("read/histories.rs", read::histories::STATEMENTS),
    ("read/identity.rs", read::identity::STATEMENTS),
    ("read/invariants.rs", read::invariants::STATEMENTS),
    ("read/lists.rs", read::lists::STATEMENTS),
    ("read/mirror.rs", read::mirror::STATEMENTS),
    ("read/mod.rs", read::STATEMENTS),
    ("read/proof.rs", read::proof::STATEMENTS),
    ("read/receipts.rs", read::receipts::STATEMENTS),
    ("read/runs.rs", read::runs::STATEMENTS),
    ("read/scopes.rs", read::scopes::STATEMENTS),
    ("read/situations.rs", read::situations::STATEMENTS),
    ("read/suppressions.rs", read::suppressions::STATEMENTS),
    ("read/templates.rs", read::templates::STATEMENTS),
    ("read/texts.rs", read::texts::STATEMENTS),
    ("read/wishes.rs", read::wishes::STATEMENTS),
    ("read/workers.rs", read::workers::STATEMENTS),
    ("sqlite/open.rs", sqlite::open::STATEMENTS),
    ("status.rs", status::STATEMENTS),
    ("write/by_hand.rs", write::by_hand::STATEMENTS),
    ("write/deliver/claim.rs", write::deliver::claim::STATEMENTS),
    (
        "write/deliver/give_back.rs",
        write::deliver::give_back::STATEMENTS,
    ),
    (
        "write/deliver/breath.rs",
        write::deliver::breath::STATEMENTS,
    ),
    (
        "write/deliver/by_row.rs",
        write::deliver::by_row::STATEMENTS,
    ),
    ("write/deliver/mod.rs", write::deliver::STATEMENTS),
    (
        "write/deliver/record.rs",
        write::deliver::record::STATEMENTS,
    ),
    ("write/deliver/told.rs", write::deliver::told::STATEMENTS),
    ("write/deliver/vague.rs", write::deliver::vague::STATEMENTS),
    ("write/locks.rs", write::locks::STATEMENTS),
    ("write/mirror/claims.rs", write::mirror::claims::STATEMENTS),
    ("write/mirror/lines.rs", write::mirror::lines::STATEMENTS),
    ("write/mirror/mod.rs", write::mirror::STATEMENTS),
    ("write/mirror/orders.rs", write::mirror::orders::STATEMENTS),
    (
        "write/mirror/shipments.rs",
        write::mirror::shipments::STATEMENTS,
    ),
    ("write/operate.rs", write::operate::STATEMENTS),
    ("write/receipts.rs", write::receipts::STATEMENTS),
    ("write/review/commit.rs", write::review::commit::STATEMENTS),
    (
        "write/review/next_look.rs",
        write::review::next_look::STATEMENTS,
    ),
    (
        "write/review/planning.rs",
        write::review::planning::STATEMENTS,
    ),
    ("write/review/runs.rs", write::review::runs::STATEMENTS),
    (
        "write/review/take_back.rs",
        write::review::take_back::STATEMENTS,
    ),
    ("write/settings.rs", write::settings::STATEMENTS),
    ("write/settle.rs", write::settle::STATEMENTS),
    ("write/suppressions.rs", write::suppressions::STATEMENTS),
    ("write/sweep.rs", write::sweep::STATEMENTS),
    ("write/templates.rs", write::templates::STATEMENTS),
    ("write/texts.rs", write::texts::STATEMENTS),
    ("write/ticks.rs", write::ticks::STATEMENTS),
    ("write/untell.rs", write::untell::STATEMENTS),
    ("write/workers.rs", write::workers::STATEMENTS),
];
