//! What is really PostgreSQL's own: the server's address, what it must be able
//! to promise, the schema, the writer's transactions, hearing of commits.

pub mod connect;
pub mod engine;
pub mod line;
pub mod listen;
pub mod open;
pub mod server;

pub use server::Server;
