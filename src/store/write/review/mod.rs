//! Deciding, written down: runs, plans, ticks.

pub mod commit;
pub mod runs;
pub mod take_back;
