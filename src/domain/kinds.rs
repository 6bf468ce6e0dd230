//! The kinds of notice: one table, used by the planner, the templates, the
//! tables of the database and the command line alike.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Something to say about one order. Declared in order of precedence: when
/// several are owed at once, the first leads and picks the template; the
/// message states the whole order all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A waiting quantity was cancelled.
    Cancelled,
    /// Something shipped; says what is still to come.
    Shipped,
    /// A told date became unknown.
    DateWithdrawn,
    /// The promise is later than a believed one.
    Delay,
    /// A new waiting line of a new order.
    Confirmation,
    /// The told date passed, not shipped, and there is no new one.
    Overdue,
    /// A line told without a date now has one.
    DateSet,
    /// Earlier than every believed date.
    Sooner,
    /// Day 7, day 14, ... milestones.
    Update,
}

impl Kind {
    /// Every kind, in order of precedence.
    pub const ALL: [Kind; 9] = [
        Kind::Cancelled,
        Kind::Shipped,
        Kind::DateWithdrawn,
        Kind::Delay,
        Kind::Confirmation,
        Kind::Overdue,
        Kind::DateSet,
        Kind::Sooner,
        Kind::Update,
    ];

    /// Template folder, database text and command line word.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Confirmation => "confirmation",
            Kind::DateSet => "date_set",
            Kind::Delay => "delay",
            Kind::Sooner => "sooner",
            Kind::DateWithdrawn => "date_withdrawn",
            Kind::Overdue => "overdue",
            Kind::Update => "update",
            Kind::Shipped => "shipped",
            Kind::Cancelled => "cancelled",
        }
    }

    /// For lists read by people: `date withdrawn`.
    pub fn words(self) -> String {
        self.as_str().replace('_', " ")
    }

    /// Reads the word in any case, with `_`, `-` or a blank between parts.
    pub fn parse(text: &str) -> Option<Kind> {
        let word = text.trim().to_ascii_lowercase().replace([' ', '-'], "_");
        Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Sent once more when in doubt, exempt from caps and gaps; when its
    /// channel fails the other one is planned. The others are courtesy: in
    /// doubt they are assumed sent.
    pub fn must_arrive(self) -> bool {
        match self {
            Kind::Confirmation
            | Kind::Delay
            | Kind::DateWithdrawn
            | Kind::Overdue
            | Kind::Shipped
            | Kind::Cancelled => true,
            Kind::DateSet | Kind::Sooner | Kind::Update => false,
        }
    }

    /// Kinds that may share one e-mail across several orders of a customer.
    pub fn merges_across_orders(self) -> bool {
        matches!(self, Kind::Update | Kind::DateSet | Kind::Delay)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The road a message takes to its recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelName {
    Email,
    Sms,
}

impl ChannelName {
    pub const ALL: [ChannelName; 2] = [ChannelName::Email, ChannelName::Sms];

    pub fn as_str(self) -> &'static str {
        match self {
            ChannelName::Email => "email",
            ChannelName::Sms => "sms",
        }
    }
    pub fn parse(text: &str) -> Option<ChannelName> {
        ChannelName::ALL
            .into_iter()
            .find(|c| c.as_str() == text.trim().to_ascii_lowercase())
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            assert_eq!(Kind::parse(&kind.words().to_uppercase()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(Kind::parse("reminder"), None);
    }

    #[test]
    fn precedence_is_the_order_of_declaration() {
        let mut sorted = Kind::ALL;
        sorted.sort();
        assert_eq!(sorted, Kind::ALL);
    }
}
