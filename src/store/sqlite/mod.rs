//! What is really SQLite's own: opening, the writer's transactions, the
//! connection for marks and records, the delivery lock.

pub mod direct;
pub mod engine;
pub mod lock;
pub mod open;
