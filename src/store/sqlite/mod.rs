//! What is really SQLite's own: opening, the writer's transactions, the
//! delivery lock.

pub mod engine;
pub mod line;
pub mod lock;
pub mod open;
