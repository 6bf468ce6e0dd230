//! The step after planning: several orders of one contact.
//!
//! Courtesy notices keep a gap and a weekly cap per contact, whatever order
//! they are about; updates, new dates and delays to one contact in one
//! language that are due at the same time share one e-mail. Everything else
//! passes through unchanged. [`whole_orders`] picks the first ones for a run
//! with a limit.

use super::contact::Locale;
use super::ids::{ContactId, OrderId};
use super::kinds::{ChannelName, Kind};
use super::order::Situation;
use super::plan::{Draft, OrderPlan};
use super::policy::Policy;
use super::reason::{Reason, Verdict, Wake};
use super::statement::{MessageFacts, Statement};
use super::time::{Instant, Length};
use std::collections::BTreeMap;

/// One message to write, with its notices.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedMessage {
    pub contact: ContactId,
    pub channel: ChannelName,
    pub kind: Kind,
    pub facts: MessageFacts,
    pub notices: Vec<PlannedNotice>,
    pub due_at: Instant,
    pub not_after: Instant,
}

/// One order's part in a message.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedNotice {
    pub order: OrderId,
    pub discriminator: String,
    pub key: String,
    /// 0, unless it says something once more: a person's resend, or what an
    /// address repaired since did not get.
    pub take: u32,
    pub fact_version: i64,
    pub facts_hash: String,
    pub milestone_days: Option<u32>,
    /// The `review_version` it was planned from, where its order may rest when
    /// it has been accepted; see [`OrderPlan::rests`].
    pub rests_from: Option<i64>,
}

/// Bundles the plans of any number of orders. `plans` and `situations` are
/// parallel. Drafts held back by gap or cap leave their plan, which gets the
/// verdict and the wake-up instead.
pub fn bundle(
    situations: &[Situation],
    plans: &mut [OrderPlan],
    policy: &Policy,
    default_locale: &Locale,
    now: Instant,
) -> Vec<PlannedMessage> {
    let mut by_contact: BTreeMap<ContactId, Vec<usize>> = BTreeMap::new();
    for (index, s) in situations.iter().enumerate() {
        by_contact
            .entry(s.order.contact_id)
            .or_default()
            .push(index);
    }
    let mut out = Vec::new();
    for indexes in by_contact.into_values() {
        let sent = &situations[indexes[0]].courtesy_sent_at;
        for index in &indexes {
            hold_back(&mut plans[*index], sent, policy, now);
        }
        one_courtesy_at_a_time(situations, plans, &indexes, policy, default_locale);
        let mut messages: Vec<PlannedMessage> = Vec::new();
        for index in indexes {
            let s = &situations[index];
            for draft in &plans[index].drafts {
                let planned = message(s, draft, &plans[index], default_locale);
                match messages.iter_mut().find(|m| may_merge(m, &planned)) {
                    Some(host) => merge(host, planned),
                    None => messages.push(planned),
                }
            }
        }
        out.extend(messages);
    }
    out
}

/// Gap and cap for courtesy drafts, which is all that bundling one order comes
/// to.
pub(super) fn hold_back(plan: &mut OrderPlan, sent: &[Instant], policy: &Policy, now: Instant) {
    let week_ago = now.minus(Length::days(7));
    let gap_until = sent.last().map(|last| last.plus(policy.courtesy.gap));
    let this_week: Vec<Instant> = sent.iter().copied().filter(|at| *at > week_ago).collect();
    let cap = policy.courtesy.per_week_max as usize;
    let mut waits: Vec<(Kind, Reason, Instant)> = Vec::new();
    plan.drafts.retain(|draft| {
        if draft.kind.must_arrive() || draft.promised {
            return true;
        }
        if let Some(until) = gap_until.filter(|until| *until > now) {
            waits.push((draft.kind, Reason::CourtesyGap { until }, until));
            return false;
        }
        if this_week.len() >= cap.max(1) {
            let until = this_week[this_week.len() - cap.max(1)].plus(Length::days(7));
            waits.push((draft.kind, Reason::WeeklyCap { until }, until));
            return false;
        }
        true
    });
    for (kind, reason, until) in waits {
        put_off(plan, kind, reason, until);
    }
}

/// The gap holds among courtesies planned together, too: what cannot share
/// the e-mail of the first waits its turn.
fn one_courtesy_at_a_time(
    situations: &[Situation],
    plans: &mut [OrderPlan],
    indexes: &[usize],
    policy: &Policy,
    default_locale: &Locale,
) {
    let courtesies = |promised: bool| {
        let plans = &*plans;
        indexes.iter().find_map(move |index| {
            let of_this_sort = |d: &&Draft| !d.kind.must_arrive() && d.promised == promised;
            let draft = plans[*index].drafts.iter().find(of_this_sort)?;
            let planned = message(&situations[*index], draft, &plans[*index], default_locale);
            Some((*index, planned))
        })
    };
    // A promised one goes out in any case, so it comes first.
    let Some((first, host)) = courtesies(true).or_else(|| courtesies(false)) else {
        return;
    };
    let until = host.due_at.plus(policy.courtesy.gap);
    for index in indexes.iter().filter(|index| **index != first) {
        let plan = &plans[*index];
        let waits: Vec<Kind> = plan
            .drafts
            .iter()
            .filter(|d| !d.kind.must_arrive() && !d.promised)
            .filter(|d| {
                let planned = message(&situations[*index], d, plan, default_locale);
                !may_merge(&host, &planned)
            })
            .map(|d| d.kind)
            .collect();
        for kind in waits {
            let plan = &mut plans[*index];
            plan.drafts.retain(|d| d.kind != kind);
            put_off(plan, kind, Reason::CourtesyGap { until }, until);
        }
    }
}

/// Records that a draft left its plan until a later moment.
fn put_off(plan: &mut OrderPlan, kind: Kind, reason: Reason, until: Instant) {
    plan.verdicts
        .retain(|v| !(v.is_said() && v.kind == Some(kind)));
    plan.verdicts.push(Verdict::quiet(Some(kind), reason));
    plan.wake = match plan.wake {
        Wake::At(at) if at <= until => Wake::At(at),
        _ => Wake::At(until),
    };
}

fn message(
    s: &Situation,
    draft: &Draft,
    plan: &OrderPlan,
    default_locale: &Locale,
) -> PlannedMessage {
    PlannedMessage {
        contact: s.order.contact_id,
        channel: draft.channel,
        kind: draft.kind,
        facts: MessageFacts {
            kind: draft.kind,
            locale: s
                .order
                .contact
                .locale
                .clone()
                .unwrap_or_else(|| default_locale.clone()),
            customer_name: s.order.contact.name.clone(),
            orders: vec![draft.statement.clone()],
        },
        notices: vec![PlannedNotice {
            order: s.order.id,
            discriminator: draft.discriminator.clone(),
            key: draft.key.clone(),
            take: draft.take,
            fact_version: plan.fact_version,
            facts_hash: draft.statement.facts_hash(),
            milestone_days: draft.statement.milestone_days,
            rests_from: plan.rests.then_some(plan.review_version),
        }],
        due_at: draft.due_at,
        not_after: draft.not_after,
    }
}

fn may_merge(host: &PlannedMessage, other: &PlannedMessage) -> bool {
    host.kind == other.kind
        && host.kind.merges_across_orders()
        && host.channel == ChannelName::Email
        && other.channel == ChannelName::Email
        && host.facts.locale == other.facts.locale
        && host.due_at == other.due_at
}

fn merge(host: &mut PlannedMessage, other: PlannedMessage) {
    host.facts.orders.extend(other.facts.orders);
    host.facts
        .orders
        .sort_by(|a: &Statement, b: &Statement| a.order_number.cmp(&b.order_number));
    host.notices.extend(other.notices);
    host.not_after = host.not_after.min(other.not_after);
}

/// The first messages that fit into `room`, and never a part of what an order
/// has to say: once the e-mail is out, nobody would plan its text again.
pub fn whole_orders(messages: Vec<PlannedMessage>, mut room: usize) -> Vec<PlannedMessage> {
    if messages.len() <= room {
        return messages;
    }
    let orders =
        |m: &PlannedMessage| -> Vec<OrderId> { m.notices.iter().map(|n| n.order).collect() };
    // `None`: not decided yet.
    let mut taken: Vec<Option<bool>> = vec![None; messages.len()];
    for first in 0..messages.len() {
        if taken[first].is_some() {
            continue;
        }
        let mut group = vec![first];
        let mut about = orders(&messages[first]);
        // Messages that share an order, directly or through another one.
        while let Some(next) = (first..messages.len())
            .find(|n| !group.contains(n) && orders(&messages[*n]).iter().any(|o| about.contains(o)))
        {
            group.push(next);
            about.extend(orders(&messages[next]));
        }
        let fits = group.len() <= room;
        room -= if fits { group.len() } else { 0 };
        for n in group {
            taken[n] = Some(fits);
        }
    }
    let mut taken = taken.into_iter();
    messages
        .into_iter()
        .filter(|_| taken.next().flatten() == Some(true))
        .collect()
}

#[cfg(test)]
#[path = "bundle_tests.rs"]
mod tests;
