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
//! - a failed commit ends the process: after it nobody knows what is on disk,
//!   and the re-read database is the truth ([`StoreError::CommitFailed`]).
//!
//! SQL texts stand in `read/` and `write/`, in the dialect both engines share
//! as far as it goes; `sqlite/` keeps what is really different: opening,
//! pragmas, the writer with its group commit, the delivery lock.

pub mod codec;
pub mod conn;
pub mod read;
pub mod sqlite;
pub(crate) mod statement;
pub mod types;
pub mod write;
pub mod writer;

pub use read::ReadStore;
pub use types::StoreError;
pub use write::Store;
