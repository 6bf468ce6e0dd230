//! How far a text has come, and how receipts of it are weighed.
//!
//! Receipts come twice, late and in any order. So the state of a text is the
//! highest rank anybody reported, and never the latest report.

use serde::{Deserialize, Serialize};

/// How far a text has come, as its gateway says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmsStatus {
    /// The gateway has it.
    Accepted,
    /// The operator has it, or keeps it for a phone that is off.
    Sent,
    /// Not delivered, for whatever reason stands beside it.
    Undelivered,
    /// Refused by the gateway or the operator.
    Rejected,
    /// Not delivered within its time.
    Expired,
    /// On the phone.
    Delivered,
}

impl SmsStatus {
    /// Receipts only ever raise a text's rank; among equals the first stands.
    /// A late success beats a failure, never the other way round.
    pub fn rank(self) -> u8 {
        match self {
            SmsStatus::Accepted => 1,
            SmsStatus::Sent => 2,
            SmsStatus::Undelivered | SmsStatus::Rejected | SmsStatus::Expired => 3,
            SmsStatus::Delivered => 4,
        }
    }

    pub fn is_failure(self) -> bool {
        self.rank() == 3
    }

    pub fn as_str(self) -> &'static str {
        match self {
            SmsStatus::Accepted => "accepted",
            SmsStatus::Sent => "sent",
            SmsStatus::Undelivered => "undelivered",
            SmsStatus::Rejected => "rejected",
            SmsStatus::Expired => "expired",
            SmsStatus::Delivered => "delivered",
        }
    }

    pub const ALL: [SmsStatus; 6] = [
        SmsStatus::Accepted,
        SmsStatus::Sent,
        SmsStatus::Undelivered,
        SmsStatus::Rejected,
        SmsStatus::Expired,
        SmsStatus::Delivered,
    ];
}

#[cfg(test)]
mod tests {
    use super::SmsStatus::{Accepted, Delivered, Expired, Rejected, Sent, Undelivered};
    use super::*;

    #[test]
    fn ranks_are_what_the_merge_needs() {
        let highest = |seen: &[SmsStatus]| {
            let mut best = seen[0];
            for status in seen {
                if status.rank() > best.rank() {
                    best = *status;
                }
            }
            best
        };
        assert_eq!(highest(&[Delivered, Sent]), Delivered);
        assert_eq!(highest(&[Undelivered, Delivered]), Delivered);
        assert_eq!(highest(&[Delivered, Expired]), Delivered);
        assert_eq!(highest(&[Accepted, Sent, Rejected, Accepted]), Rejected);
        assert!(Undelivered.is_failure() && !Delivered.is_failure());
    }
}
