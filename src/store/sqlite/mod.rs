//! What is really SQLite's own: opening, the writer, the delivery lock.

pub mod lock;
pub mod open;
pub mod writer;
