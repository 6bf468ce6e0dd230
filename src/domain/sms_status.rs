//! How far a text has come, as its gateway says. How such reports are weighed
//! against each other is in [`super::receipt`].

use super::outcome::Refusal;
use super::receipt::ReceiptKind;
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
    pub fn is_failure(self) -> bool {
        matches!(
            self,
            SmsStatus::Undelivered | SmsStatus::Rejected | SmsStatus::Expired
        )
    }

    /// The same as one of the things a receipt can say; `class` is what a
    /// failure says of the number.
    pub fn receipt(self, class: Option<Refusal>) -> ReceiptKind {
        match self {
            SmsStatus::Accepted | SmsStatus::Sent => ReceiptKind::Underway,
            SmsStatus::Delivered => ReceiptKind::Delivered,
            SmsStatus::Undelivered | SmsStatus::Rejected | SmsStatus::Expired => {
                ReceiptKind::Failed(class.unwrap_or(Refusal::Soft))
            }
        }
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
    use super::*;
    use crate::domain::kinds::ChannelName;

    /// Receipts only ever raise a text's rank; a late success beats a failure,
    /// never the other way round.
    #[test]
    fn ranks_are_what_the_merge_needs() {
        let rank = |status: SmsStatus| status.receipt(None).rank(ChannelName::Sms);
        use SmsStatus::{Accepted, Delivered, Expired, Rejected, Sent, Undelivered};
        assert_eq!(rank(Accepted), rank(Sent));
        for failure in [Undelivered, Rejected, Expired] {
            assert!(failure.is_failure());
            assert!(rank(Sent) < rank(failure) && rank(failure) < rank(Delivered));
        }
        assert_eq!(
            Rejected.receipt(Some(Refusal::Hard)),
            ReceiptKind::Failed(Refusal::Hard)
        );
    }
}
