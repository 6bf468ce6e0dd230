//! All integration tests in one binary: one link step, shared peers.
//!
//! A module is a suite or part of one; `scripts/test` selects by these names.
//! `layers` reads the source tree. `support` holds the peers the program is
//! tried against (real servers, our own recording ones), each with a test that
//! the peer itself tells the truth.

mod cli_acts;
mod layers;
mod support;
