//! Deciding, written down: runs, plans, ticks.

mod brake;
pub mod commit;
pub mod next_look;
pub mod planning;
pub mod runs;
pub mod take_back;
