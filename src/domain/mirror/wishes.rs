//! How a customer wants to be written to, when a row does not say.
//!
//! Consent to texts and the preferred channel belong to the contact, not to
//! the order: a new order from a source without these columns must not take
//! back what the same contact agreed to elsewhere. What a row says counts;
//! what it leaves out is what is known of the contact, else of the order's
//! customer so far; only of whom nobody ever said anything the default holds.

use super::OrderChange;
use crate::domain::contact::Preference;
use std::collections::HashMap;

/// What is known of one contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wishes {
    pub sms_consent: bool,
    pub preferred: Preference,
}

/// What the rows of one order say themselves; `None`: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SaidWishes {
    pub sms_consent: Option<bool>,
    pub preferred: Option<Preference>,
}

impl SaidWishes {
    /// Whether what is known of the contact does not matter.
    pub fn is_complete(&self) -> bool {
        self.sms_consent.is_some() && self.preferred.is_some()
    }
}

/// Completes the orders' contacts with what is known of them. `known` and
/// `contact_of` (whose answer names the contact an order belongs to after the
/// change) use the same keys. Orders of one contact fill in for each other in
/// the order of the rows: a later one knows what an earlier one said.
pub fn keep_known_wishes(
    orders: &mut [OrderChange],
    mut known: HashMap<String, Wishes>,
    contact_of: impl Fn(&OrderChange) -> String,
) {
    for order in orders {
        let key = contact_of(order);
        let contact = &mut order.contact;
        let before = known.get(&key).copied().unwrap_or(Wishes {
            sms_consent: contact.sms_consent,
            preferred: contact.preferred,
        });
        contact.sms_consent = order.said.sms_consent.unwrap_or(before.sms_consent);
        contact.preferred = order.said.preferred.unwrap_or(before.preferred);
        let now = Wishes {
            sms_consent: contact.sms_consent,
            preferred: contact.preferred,
        };
        known.insert(key, now);
    }
}
