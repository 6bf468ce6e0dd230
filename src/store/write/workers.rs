//! Who plans and delivers: coming, living, leaving. What the dead leave behind
//! is taken over in [`super::sweep`].

use crate::domain::ids::WorkerId;
use crate::domain::time::{Instant, Length};
use crate::domain::worker::Role;
use crate::store::conn::{Conn, server_now, sql, statements};
use crate::store::statement::{Halt, run};

/// A worker that begins.
#[derive(Clone, Debug)]
pub struct NewWorker {
    pub id: WorkerId,
    /// What the operator calls it.
    pub name: Option<String>,
    pub host: String,
    pub pid: u32,
    pub version: String,
    pub role: Role,
    /// How long after a heartbeat others leave its work alone.
    pub alive: Length,
}

macro_rules! enlist {
    ($($now:tt)+) => {
        concat!(
            "
INSERT INTO workers (id, name, host, pid, version, role, alive_ms, started_at, heartbeat_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, ", $($now)+, ", ", $($now)+, ")"
        )
    };
}
const ENLIST: &str = enlist!("$8");
const ENLIST_BY_SERVER: &str = enlist!(server_now!());

macro_rules! beat {
    ($($now:tt)+) => {
        concat!("UPDATE workers SET heartbeat_at = ", $($now)+, " WHERE id = $1")
    };
}
const BEAT: &str = beat!("$2");
const BEAT_BY_SERVER: &str = beat!(server_now!());

const DISMISS: &str = "DELETE FROM workers WHERE id = $1";

statements![ENLIST | ENLIST_BY_SERVER, BEAT | BEAT_BY_SERVER, DISMISS];

/// See [`crate::store::Store::enlist`].
pub async fn enlist(c: &mut Conn<'_>, worker: &NewWorker, now: Instant) -> Result<(), Halt> {
    let text = sql(c, ENLIST, ENLIST_BY_SERVER);
    run!(
        c,
        text,
        worker.id.0,
        worker.name.as_deref(),
        &worker.host,
        i64::from(worker.pid),
        &worker.version,
        worker.role.as_str(),
        worker.alive.0,
        now.0,
    )?;
    Ok(())
}

/// See [`crate::store::Store::beat`].
pub async fn beat(c: &mut Conn<'_>, worker: WorkerId, now: Instant) -> Result<bool, Halt> {
    let text = sql(c, BEAT, BEAT_BY_SERVER);
    Ok(run!(c, text, worker.0, now.0)? == 1)
}

/// See [`crate::store::Store::dismiss`].
pub async fn dismiss(c: &mut Conn<'_>, worker: WorkerId) -> Result<(), Halt> {
    run!(c, DISMISS, worker.0)?;
    Ok(())
}
