//! All integration tests in one binary: one link step, shared peers.
//!
//! A module is a suite or part of one; `scripts/test` selects by these names.
//! `layers` reads the source tree. `store_contract` holds every back end of the
//! store to its verbs' promises. `daemon` runs the whole program against real
//! peers, `crash` kills it in the middle of sending, `workers` lets several of
//! it share a PostgreSQL database, `fleet` loses some of them at seeded
//! moments. `home` is the shop all of them play in. `support` holds the peers the program is tried against (real
//! servers, our own recording ones), each with a test that the peer itself
//! tells the truth.

mod cli_acts;
mod cli_lists;
mod crash;
mod daemon;
mod db;
mod demo;
mod faults;
mod fleet;
mod home;
mod layers;
mod store_contract;
mod support;
mod workers;
