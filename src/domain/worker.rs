//! Workers: the processes that plan and deliver.
//!
//! A worker's heartbeat covers everything it has in hands. One that was silent
//! for longer than it said it would may be declared dead by any other, and
//! what it held is taken over.

use crate::domain::ids::WorkerId;
use crate::domain::time::Instant;
use serde::{Deserialize, Serialize};

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Plans and delivers.
    All,
    /// Sends what others planned.
    Deliver,
    /// Reviews and keeps time; sends nothing.
    Plan,
    /// A send run by hand.
    Run,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::All, Role::Deliver, Role::Plan, Role::Run];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::All => "all",
            Role::Deliver => "deliver",
            Role::Plan => "plan",
            Role::Run => "run",
        }
    }
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }
    pub fn plans(self) -> bool {
        matches!(self, Role::All | Role::Plan)
    }
    pub fn delivers(self) -> bool {
        matches!(self, Role::All | Role::Deliver)
    }
}

/// A worker as the others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Worker {
    pub id: WorkerId,
    /// What the operator calls it.
    pub name: Option<String>,
    pub host: String,
    pub pid: u32,
    pub version: String,
    pub role: Role,
    pub started_at: Instant,
    pub heartbeat_at: Instant,
    /// Milliseconds since its last heartbeat.
    pub silent_ms: i64,
    /// `false`: silent for so long that others may take its work over.
    pub alive: bool,
    /// Messages it has claimed and not begun to send.
    pub leased: u64,
    /// Messages it is sending.
    pub submitting: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_back_from_its_word() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("leader"), None);
    }
}
