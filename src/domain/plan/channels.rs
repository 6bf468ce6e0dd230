//! Which channels reach a customer, and which of them a kind takes.

use crate::domain::contact::{PhoneNumber, Preference};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::order::Situation;
use crate::domain::policy::Policy;

/// Channels that reach the customer at all.
pub(super) fn reachable_channels(s: &Situation, policy: &Policy) -> Vec<ChannelName> {
    let contact = &s.order.contact;
    let mut out = Vec::with_capacity(2);
    if contact.email.is_some() && !s.suppressed.contains(&ChannelName::Email) {
        out.push(ChannelName::Email);
    }
    let may_be_texted = |phone: &PhoneNumber| {
        let countries = &policy.sms.countries;
        let at_home = phone.country().is_some_and(|c| countries.contains(&c));
        phone.takes_texts() && (countries.is_empty() || at_home)
    };
    if policy.sms.enabled
        && contact.sms_consent
        && contact.phone.as_ref().is_some_and(may_be_texted)
        && !s.suppressed.contains(&ChannelName::Sms)
    {
        out.push(ChannelName::Sms);
    }
    out
}

/// Channels this kind should take: the customer's wish where it can be met,
/// e-mail as the default, a text where nothing else reaches somebody who must
/// hear it or was promised to.
pub(super) fn wanted_channels(
    s: &Situation,
    policy: &Policy,
    kind: Kind,
    promised: bool,
) -> Vec<ChannelName> {
    let reachable = reachable_channels(s, policy);
    let has = |channel| reachable.contains(&channel);
    let texts = policy.sms.kinds.contains(&kind);
    let wish = match s.order.contact.preferred {
        Preference::Both if texts => vec![ChannelName::Email, ChannelName::Sms],
        Preference::Sms if texts && has(ChannelName::Sms) => vec![ChannelName::Sms],
        _ => vec![ChannelName::Email],
    };
    let out: Vec<ChannelName> = wish.into_iter().filter(|c| has(*c)).collect();
    if out.is_empty() && (kind.must_arrive() || promised) {
        reachable
    } else {
        out
    }
}
