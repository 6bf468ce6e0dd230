//! Names of things: keys the shop gave, numbers the database gave, ids we made.
//!
//! A newtype per meaning, so that an order's number cannot be passed where a
//! line's key is meant. Row numbers are what people type (`m71`); UUIDs are
//! what leaves the house (Message-ID).

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! row_number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);
    };
}

row_number!(
    /// Row number of an order in our database.
    OrderId
);
row_number!(
    /// Row number of an order line in our database.
    LineId
);
row_number!(
    /// Row number of a contact in our database.
    ContactId
);
row_number!(
    /// A message's number, counted up from 1: `m71` for people.
    MessageNo
);
row_number!(
    /// A run's number, counted up from 1: `r12` for people.
    RunNo
);

impl fmt::Display for MessageNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}
impl fmt::Display for RunNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl MessageNo {
    /// Reads `m71` or `71`.
    pub fn parse(text: &str) -> Option<MessageNo> {
        text.trim()
            .trim_start_matches(['m', 'M'])
            .parse()
            .ok()
            .map(MessageNo)
    }
}
impl RunNo {
    /// Reads `r12` or `12`.
    pub fn parse(text: &str) -> Option<RunNo> {
        text.trim()
            .trim_start_matches(['r', 'R'])
            .parse()
            .ok()
            .map(RunNo)
    }
}

/// A message's identity outside: part of its Message-ID and of idempotency
/// keys. The same on every attempt.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageUid(pub Uuid);

impl fmt::Display for MessageUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}
impl fmt::Debug for MessageUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}

/// Who holds leases: one per process start, so that a restart never mistakes
/// its predecessor's rows for its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub Uuid);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.simple())
    }
}
