//! The peers and witnesses of the whole-daemon tests.
//!
//! Everything listens on loopback on a free port and ends with the value that
//! holds it. Nothing here imports the crate under test: what these say about
//! its messages is said from outside.

pub mod cut;
pub mod dns;
pub mod exim;
pub mod http_gateway;
pub mod ledger;
pub mod ledger_smtp;
pub mod listener;
pub mod lying_smtp;
pub mod mail;
pub mod patience;
pub mod postfix;
pub mod postgres;
pub mod seeded;
pub mod servers;
