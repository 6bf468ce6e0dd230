//! The campaign: tries to break delivery, and has what is left audited.
//!
//! Needs the feature `crash-points`; `scripts/campaign` runs it and says what
//! it takes. `kills` kills at random moments while the peers lie, `points`
//! ends the process at every named place, `disk` fills the disk and lets
//! writes fail, `clock` moves the time, `processes` lets several write at
//! once, `servers` lets PostgreSQL die. Every one of them ends alike: started
//! again on a healthy machine, run to the end, and held by the auditor against
//! the receivers' ledgers.

mod auditor;
mod clock;
mod disk;
mod gateway;
#[path = "../it/home.rs"]
#[allow(
    dead_code,
    reason = "shared with the integration tests, which use all of it"
)]
mod home;
mod kills;
mod points;
mod processes;
mod servers;
#[path = "../it/support/mod.rs"]
#[allow(
    dead_code,
    reason = "shared with the integration tests, which use all of it"
)]
mod support;
mod world;
