//! Deciding what an order's customer has to hear: the heart.
//!
//! [`plan`] is a pure function of a [`Situation`], the policy and `now`. It
//! judges every line ([`super::assess`]), adds the milestone that may be due,
//! picks the leading kind, the channels and the hour, compares with what is
//! queued or on its way, and answers with drafts, verdicts and the moment the
//! order must be looked at again. An order planned at `now` is never due at
//! `now`.
//!
//! It writes nothing and knows nothing of other orders of the same customer;
//! [`super::bundle`] is the step after it.

mod again;
mod channels;
mod drafting;
mod owed;
mod rest;
mod waking;
mod whole_order;

pub use self::again::{Again, NotAgain, say_again};
use self::drafting::{draft, retain_companions};
use self::owed::Owed;
pub(super) use self::rest::accept;
use self::waking::wake;
pub(super) use self::whole_order::next_word_on;
use self::whole_order::state;

use super::assess::{Assessment, Trigger, assess};
use super::ids::{MessageNo, OrderId};
use super::kinds::{ChannelName, Kind};
use super::message::MessageState;
use super::milestones::{Milestone, latest_due};
use super::notice_key::Mode;
use super::order::{PastNotice, Pause, Shipment, Situation};
use super::policy::Policy;
use super::reason::{Reason, Verdict, Wake};
use super::statement::Statement;
use super::time::{Instant, Length};

/// What one order comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderPlan {
    pub order: OrderId,
    /// The versions the plan was made from; it may only be committed while
    /// `review_version` is still the stored one.
    pub review_version: i64,
    pub fact_version: i64,
    /// At most one per channel.
    pub drafts: Vec<Draft>,
    /// Queued messages that are still right and stay.
    pub keep: Vec<MessageNo>,
    /// Queued messages the facts no longer call for.
    pub supersede: Vec<MessageNo>,
    /// At least one.
    pub verdicts: Vec<Verdict>,
    pub wake: Wake,
    /// When its one draft has been accepted as it stands, and nothing else has
    /// happened, nothing is owed before `wake`: no look is needed to see that.
    pub rests: bool,
}

/// A notice to write, over one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub kind: Kind,
    pub channel: ChannelName,
    pub discriminator: String,
    pub key: String,
    /// The number in its key: 0, unless it makes good for one that did not arrive.
    pub take: u32,
    pub statement: Statement,
    pub due_at: Instant,
    /// Older than this it is reviewed again instead of sent.
    pub not_after: Instant,
    /// A courtesy that was promised ("we will write again by"): gaps and caps
    /// do not hold it back.
    pub promised: bool,
}

/// Plans one order; see the module's header.
pub fn plan(s: &Situation, policy: &Policy, mode: Mode, now: Instant) -> OrderPlan {
    let mut out = look(s, policy, mode, now);
    rest::foresee(s, policy, mode, now, &mut out);
    out
}

/// What the order comes to as it stands.
fn look(s: &Situation, policy: &Policy, mode: Mode, now: Instant) -> OrderPlan {
    let mut out = OrderPlan {
        order: s.order.id,
        review_version: s.order.review_version,
        fact_version: s.order.fact_version,
        drafts: Vec::new(),
        keep: Vec::new(),
        supersede: Vec::new(),
        verdicts: Vec::new(),
        wake: Wake::Never,
        rests: false,
    };
    let queued = || s.notices.iter().filter(|n| n.in_queue);
    let in_force = |p: &&Pause| p.until.is_none_or(|until| until > now);
    if let Some(pause) = s.pause.as_ref().filter(in_force) {
        let reason = Reason::Paused {
            why: pause.why.clone(),
            until: pause.until,
        };
        out.verdicts.push(Verdict::quiet(None, reason));
        // What is queued stays and is not vouched for: the look that ends the
        // pause says whether it is still true.
        out.wake = pause.until.map_or(Wake::OnEvent, Wake::At);
        return out;
    }

    let mut views: Vec<Assessment> = s
        .lines
        .iter()
        .map(|line| assess(line, &s.order, policy, now))
        .collect();
    await_tracking(s, policy, &mut views);
    let waits = s.lines.iter().any(|line| line.waiting().is_positive());
    let mut owed = Owed::gather(&views, now);
    out.verdicts
        .extend(views.iter().flat_map(|view| view.quiet.iter().cloned()));
    let milestone = if waits {
        due_milestone(s, &views, policy, now, &mut owed, &mut out)
    } else {
        None
    };

    owed.settling(&mut out.verdicts);
    let mut is_drafted = false;
    while let Some(kind) = owed.lead(now, &mut out.verdicts) {
        let statement = state(s, &views, kind, milestone, policy, now);
        is_drafted = draft(s, policy, mode, now, kind, &statement, &owed, &mut out);
        if is_drafted {
            break;
        }
        // What can't be said any more must not silence what can.
        owed.set_aside(kind);
    }
    if !is_drafted && queued().next().is_some() {
        let current = state(s, &views, Kind::Update, None, policy, now);
        retain_companions(s, policy, &current, &mut out);
    }
    if out.verdicts.is_empty() {
        out.verdicts.push(if waits {
            Verdict::nothing_new()
        } else {
            Verdict::quiet(None, Reason::Finished)
        });
    }
    out.wake = wake(s, &views, policy, now, &owed, &out);
    out
}

/// A ship notice without a tracking number waits a little for one.
fn await_tracking(s: &Situation, policy: &Policy, views: &mut [Assessment]) {
    let tracked = |p: &Shipment| !p.tracking_numbers.is_empty();
    if s.untold_shipments.iter().any(tracked) {
        return;
    }
    let more = Length(policy.shipped.tracking_wait.0 - policy.shipped.settle.0).max(Length::ZERO);
    let ships = views
        .iter_mut()
        .flat_map(|view| view.triggers.iter_mut())
        .filter(|t| t.kind == Kind::Shipped);
    for trigger in ships {
        trigger.ripe_at = trigger.ripe_at.plus(more);
    }
}

/// The milestone an update is owed for; a satisfied one leaves its verdict.
fn due_milestone(
    s: &Situation,
    views: &[Assessment],
    policy: &Policy,
    now: Instant,
    owed: &mut Owed,
    out: &mut OrderPlan,
) -> Option<Milestone> {
    let order = &s.order;
    // Nobody gets an update before the first word, nor about lines that are
    // not on the shop's list any more.
    let informed = s.lines.iter().any(|l| {
        l.waiting().is_positive() && l.missing_since.is_none() && !l.believed().is_empty()
    });
    if !informed {
        return None;
    }
    let milestone = latest_due(
        order.ordered_on,
        order.zone,
        &policy.updates,
        order.adopted_at,
        now,
    )?;
    let promised = order.next_word_by.is_some_and(|day| day <= milestone.on);
    // A promised word that did not arrive is still owed: it goes another way,
    // or a person hears of it.
    let missed = |n: &&PastNotice| {
        promised && matches!(n.state, MessageState::Bounced | MessageState::Failed)
    };
    let done = s
        .notices
        .iter()
        .filter(|n| n.key.is_some() && !n.in_queue && !missed(n))
        .filter_map(|n| n.milestone_days)
        .any(|days| days >= milestone.days);
    if done {
        return None;
    }
    // An update that can name no line's date, not even that there is none,
    // would say nothing: the date lies in the past, is not believed, or is
    // about to be news. Each of these has its own verdict.
    let has_something_to_say = views.iter().any(|view| view.promise.is_some());
    if !promised && !has_something_to_say {
        return None;
    }
    if !promised {
        let from = milestone.at.minus(policy.courtesy.gap);
        let recent = s
            .notices
            .iter()
            .filter(|n| n.state.is_sent())
            .filter_map(|n| n.sent_at)
            .filter(|at| *at >= from)
            .max();
        if let Some(sent_at) = recent {
            // Said once a milestone, while it is the newest one.
            let reason = Reason::MilestoneSatisfied {
                days: milestone.days,
                sent_at,
            };
            out.verdicts
                .push(Verdict::quiet(Some(Kind::Update), reason));
            return None;
        }
    }
    owed.promised = promised;
    owed.ripe.push(Trigger {
        kind: Kind::Update,
        mark: milestone.days.to_string(),
        ripe_at: milestone.at,
        small: false,
        told_day: None,
    });
    Some(milestone)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "plan_update_tests.rs"]
mod update_tests;

#[cfg(test)]
#[path = "plan_channel_tests.rs"]
mod channel_tests;

#[cfg(test)]
#[path = "plan_rest_tests.rs"]
mod rest_tests;

#[cfg(test)]
#[path = "plan_properties.rs"]
mod properties;
