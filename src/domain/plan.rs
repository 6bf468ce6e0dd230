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

use super::assess::{Assessment, Trigger, assess, day_after};
use super::eta::Eta;
use super::ids::{MessageNo, OrderId};
use super::kinds::{ChannelName, Kind};
use super::message::{MessageState, earliest_send};
use super::milestones::{Milestone, first_from, latest_due};
use super::notice_key::{Mode, notice_key};
use super::order::{PastNotice, Pause, Shipment, Situation};
use super::policy::Policy;
use super::quantity::Quantity;
use super::reason::{Reason, Verdict, Wake};
use super::statement::{Change, LineStatement, ShipmentStatement, Statement};
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
}

/// A notice to write, over one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    pub kind: Kind,
    pub channel: ChannelName,
    pub discriminator: String,
    pub key: String,
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
    let mut out = OrderPlan {
        order: s.order.id,
        review_version: s.order.review_version,
        fact_version: s.order.fact_version,
        drafts: Vec::new(),
        keep: Vec::new(),
        supersede: Vec::new(),
        verdicts: Vec::new(),
        wake: Wake::Never,
    };
    let queued = || s.notices.iter().filter(|n| n.in_queue);
    let in_force = |p: &&Pause| p.until.is_none_or(|until| until > now);
    if let Some(pause) = s.pause.as_ref().filter(in_force) {
        let reason = Reason::Paused {
            why: pause.why.clone(),
            until: pause.until,
        };
        out.verdicts.push(Verdict::quiet(None, reason));
        out.keep.extend(queued().map(|n| n.message));
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
        due_milestone(s, policy, now, &mut owed, &mut out)
    } else {
        None
    };

    let lead = owed.lead(now, &mut out.verdicts);
    let statement = lead.map(|kind| state(s, &views, kind, milestone, policy, now));
    match (&lead, &statement) {
        (Some(kind), Some(statement)) => {
            draft(s, policy, mode, now, *kind, statement, &owed, &mut out);
        }
        _ => {
            let current = state(s, &views, Kind::Update, None, policy, now);
            retain_companions(s, &current, &mut out);
        }
    }
    if out.verdicts.is_empty() {
        let reason = if waits {
            Reason::NothingNew
        } else {
            Reason::Finished
        };
        out.verdicts.push(Verdict::quiet(None, reason));
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

/// A courtesy gives way to other news that ripens within this.
const COURTESY_WAITS: Length = Length::hours(1);

/// What the lines give cause to say, ripe or not.
struct Owed {
    ripe: Vec<Trigger>,
    unripe: Vec<Trigger>,
    /// Below a threshold: leads only when something goes out anyway.
    small: Vec<Trigger>,
    promised: bool,
}

impl Owed {
    fn gather(views: &[Assessment], now: Instant) -> Owed {
        let mut owed = Owed {
            ripe: Vec::new(),
            unripe: Vec::new(),
            small: Vec::new(),
            promised: false,
        };
        for trigger in views.iter().flat_map(|view| &view.triggers) {
            let pile = if trigger.small {
                &mut owed.small
            } else if trigger.ripe_at <= now {
                &mut owed.ripe
            } else {
                &mut owed.unripe
            };
            pile.push(trigger.clone());
        }
        owed
    }

    /// The kind that leads the message to write now, if one is due.
    fn lead(&mut self, now: Instant, verdicts: &mut Vec<Verdict>) -> Option<Kind> {
        for trigger in &self.unripe {
            if matches!(trigger.kind, Kind::Overdue) {
                continue; // has its own verdict: grace
            }
            let reason = Reason::Settling {
                until: trigger.ripe_at,
            };
            verdicts.push(Verdict::quiet(Some(trigger.kind), reason));
        }
        let lead = self.ripe.iter().map(|t| t.kind).min()?;
        // A courtesy would state a date that is still moving: it can wait.
        let soon = now.plus(COURTESY_WAITS);
        if !lead.must_arrive() && self.unripe.iter().any(|t| t.ripe_at <= soon) {
            return None;
        }
        // An update that has a small change to report leads with the change.
        if lead == Kind::Update
            && let Some(kind) = self
                .small
                .iter()
                .map(|t| t.kind)
                .filter(|k| *k != Kind::Overdue)
                .min()
        {
            self.ripe
                .extend(self.small.iter().filter(|t| t.kind == kind).cloned());
            verdicts.retain(|v| !matches!(v.reason, Reason::SmallChange { .. }));
            return Some(kind);
        }
        Some(lead)
    }

    fn discriminator(&self, kind: Kind) -> String {
        let mut marks: Vec<&str> = self
            .ripe
            .iter()
            .filter(|t| t.kind == kind)
            .map(|t| t.mark.as_str())
            .collect();
        marks.sort_unstable();
        marks.join(";")
    }
}

/// The milestone an update is owed for; a satisfied one leaves its verdict.
fn due_milestone(
    s: &Situation,
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
    let done = s
        .notices
        .iter()
        .filter(|n| n.key.is_some() && !n.in_queue)
        .filter_map(|n| n.milestone_days)
        .any(|days| days >= milestone.days);
    if done {
        return None;
    }
    let promised = order.next_word_by.is_some_and(|day| day <= milestone.on);
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

/// Builds the statement of the whole order.
fn state(
    s: &Situation,
    views: &[Assessment],
    kind: Kind,
    milestone: Option<Milestone>,
    policy: &Policy,
    now: Instant,
) -> Statement {
    let order = &s.order;
    let lines: Vec<LineStatement> = s
        .lines
        .iter()
        .zip(views)
        .filter(|(line, _)| {
            line.waiting().is_positive()
                || line.has_untold_shipment()
                || line.has_untold_cancellation()
        })
        .map(|(line, view)| LineStatement {
            line: line.id,
            sku: line.sku.clone(),
            name: line.name.clone(),
            ordered: line.ordered,
            shipped: line.shipped,
            shipped_now: line.shipped.less(line.shipped_told),
            cancelled: line.cancelled,
            cancelled_now: line.cancelled.less(line.cancelled_told),
            waiting: line.waiting(),
            promise: if line.waiting() > Quantity::ZERO {
                view.promise
            } else {
                None
            },
            eta: line.eta,
            told: view.told,
            change: view.change,
            reason: match view.change {
                Change::Later | Change::Withdrawn | Change::Overdue => line.reason.clone(),
                _ => None,
            },
        })
        .collect();
    let no_date = lines.iter().any(|line| line.promise == Some(Eta::Unknown));
    let next_word_by = no_date
        .then(|| {
            let from = now.plus(policy.courtesy.gap);
            first_from(order.ordered_on, order.zone, &policy.updates, from).map(|m| m.on)
        })
        .flatten();
    let ships = lines.iter().any(|line| line.shipped_now.is_positive());
    Statement {
        order: order.id,
        order_number: order.number.clone(),
        ordered_on: order.ordered_on,
        kind,
        milestone_days: milestone.filter(|_| kind == Kind::Update).map(|m| m.days),
        lines,
        shipments: s
            .untold_shipments
            .iter()
            .filter(|_| ships)
            .map(|parcel| ShipmentStatement {
                key: parcel.key.clone(),
                carrier: parcel.carrier.clone(),
                tracking_numbers: parcel.tracking_numbers.clone(),
                tracking_url: parcel.tracking_url.clone(),
                estimate_on: parcel.estimate_on,
            })
            .collect(),
        next_word_by,
        view_url: order.view_url.clone(),
        cancel_url: order.cancel_url.clone(),
    }
}

/// Turns the owed notice into drafts, one per channel that needs one.
#[expect(
    clippy::too_many_arguments,
    reason = "the second half of `plan`, split off to fit a screen"
)]
fn draft(
    s: &Situation,
    policy: &Policy,
    mode: Mode,
    now: Instant,
    kind: Kind,
    statement: &Statement,
    owed: &Owed,
    out: &mut OrderPlan,
) {
    let discriminator = owed.discriminator(kind);
    let hash = statement.facts_hash();
    let key_on = |channel| notice_key(&s.order.key, kind, &discriminator, channel, mode, 0);
    let holds_key = |channel| {
        let key = key_on(channel);
        s.notices
            .iter()
            .find(|n| n.key.as_deref() == Some(key.as_str()))
    };

    let mut channels = wanted_channels(s, policy, kind);
    // A channel on which this failed is not tried again; must-arrive kinds
    // take the other one.
    let came_back = |channel| {
        s.notices.iter().filter(move |n| {
            n.state == MessageState::Bounced && n.kind == kind && n.channel == channel
        })
    };
    let same_news = |n: &&PastNotice| news(&n.discriminator) == news(&discriminator);
    let failed_on = |channel| {
        // A person's no is no failure: it holds for every channel.
        holds_key(channel).is_some_and(|n| {
            n.state.is_final() && !n.state.is_sent() && n.state != MessageState::Withdrawn
        }) || came_back(channel).any(|n| same_news(&n))
    };
    if kind.must_arrive() && channels.len() == 1 && failed_on(channels[0]) {
        let others = reachable_channels(s, policy);
        let tried = channels[0];
        channels.extend(others.into_iter().filter(|c| *c != tried));
    }
    let only_one = channels.len() == 1;
    // A day that is named must not be over when the message arrives.
    let true_until = statement
        .lines
        .iter()
        .filter_map(|line| line.promise?.last())
        .min()
        .and_then(|day| day_after(day, &s.order))
        .unwrap_or(Instant(i64::MAX));
    if channels.is_empty() {
        out.verdicts
            .push(Verdict::quiet(Some(kind), Reason::Unreachable));
    }
    for channel in &channels {
        // What came back raised `told_seq`, so its news has a key of its own:
        // without this it would be said, and come back, for ever.
        let returned = came_back(*channel).filter(same_news);
        let past = holds_key(*channel).or(returned.skip(usize::from(only_one)).last());
        let in_the_way = |n: &&PastNotice| n.in_flight && n.channel == *channel;
        let flying = s.notices.iter().find(in_the_way);
        let reason = match (past, flying) {
            (Some(past), _) if past.in_queue && past.facts_hash == hash => {
                out.keep.push(past.message);
                Some(Reason::Queued {
                    message: past.message,
                    due_at: past.due_at,
                })
            }
            (_, Some(flying)) => Some(Reason::InFlight {
                message: flying.message,
            }),
            (Some(past), None) if past.state.is_sent() => Some(Reason::AlreadySaid {
                message: past.message,
            }),
            (Some(past), None) if past.state.is_final() => Some(Reason::CannotSay {
                message: past.message,
            }),
            // In doubt: whether it was said is about to be settled.
            (Some(past), None) if !past.in_queue => Some(Reason::InFlight {
                message: past.message,
            }),
            _ => None,
        };
        if let Some(reason) = reason {
            out.verdicts.push(Verdict {
                channel: Some(*channel),
                ..Verdict::quiet(Some(kind), reason)
            });
            continue;
        }
        let due_at = due_at(s, policy, kind, *channel, owed, true_until, now);
        out.verdicts.push(Verdict::said(kind, *channel));
        out.drafts.push(Draft {
            kind,
            channel: *channel,
            discriminator: discriminator.clone(),
            key: key_on(*channel),
            statement: statement.clone(),
            due_at,
            not_after: due_at.plus(policy.retry.age_max(kind)).min(true_until),
            promised: owed.promised,
        });
    }
    let superseded: Vec<MessageNo> = s
        .notices
        .iter()
        .filter(|n| n.in_queue && !out.keep.contains(&n.message))
        .map(|n| n.message)
        .collect();
    out.supersede.extend(superseded);
}

/// A discriminator without the places in the ledger it starts from: the same
/// news before and after a bounce.
fn news(discriminator: &str) -> Vec<(&str, &str)> {
    discriminator
        .split(';')
        .map(|mark| match mark.rsplit_once('@') {
            Some((line, rest)) => (line, rest.split_once('>').map_or(rest, |(_, to)| to)),
            None => (mark, ""),
        })
        .collect()
}

/// With nothing newly owed, a queued message stays only as the companion of
/// one that was accepted: the text that waits for morning after the e-mail
/// went out, as long as it is still true.
fn retain_companions(s: &Situation, current: &Statement, out: &mut OrderPlan) {
    let hash = current.facts_hash();
    for notice in s.notices.iter().filter(|n| n.in_queue) {
        let sibling = s.notices.iter().any(|other| {
            other.message != notice.message
                && other.kind == notice.kind
                && other.discriminator == notice.discriminator
                && other.channel != notice.channel
                && (other.state.is_sent() || other.in_flight)
        });
        if sibling && (notice.facts_hash == hash || covers(notice, s, current)) {
            out.keep.push(notice.message);
            let reason = Reason::Queued {
                message: notice.message,
                due_at: notice.due_at,
            };
            out.verdicts.push(Verdict {
                channel: Some(notice.channel),
                ..Verdict::quiet(Some(notice.kind), reason)
            });
        } else {
            out.supersede.push(notice.message);
        }
    }
}

/// A ship or cancel notice's own lines leave the statement once its sibling
/// told them; it stays true while their quantities are the ones it was
/// written for and what waits has the date the sibling named.
fn covers(notice: &PastNotice, s: &Situation, current: &Statement) -> bool {
    let reached = |mark: &str| {
        s.lines.iter().any(|line| {
            let quantity = match notice.kind {
                Kind::Shipped => line.shipped,
                Kind::Cancelled => line.cancelled,
                _ => return false,
            };
            mark == format!("{}:{quantity}", line.key)
        })
    };
    let as_told = |line: &LineStatement| line.told.map(|told| told.promise) == line.promise;
    notice.discriminator.split(';').all(reached) && current.waiting_lines().all(as_told)
}

/// Channels that reach the customer at all.
fn reachable_channels(s: &Situation, policy: &Policy) -> Vec<ChannelName> {
    let contact = &s.order.contact;
    let mut out = Vec::with_capacity(2);
    if contact.email.is_some() && !s.suppressed.contains(&ChannelName::Email) {
        out.push(ChannelName::Email);
    }
    let may_be_texted = |phone: &super::contact::PhoneNumber| {
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
/// hear it.
fn wanted_channels(s: &Situation, policy: &Policy, kind: Kind) -> Vec<ChannelName> {
    use super::contact::Preference;
    let reachable = reachable_channels(s, policy);
    let has = |channel| reachable.contains(&channel);
    let texts = policy.sms.kinds.contains(&kind);
    let wish = match s.order.contact.preferred {
        Preference::Both if texts => vec![ChannelName::Email, ChannelName::Sms],
        Preference::Sms if texts && has(ChannelName::Sms) => vec![ChannelName::Sms],
        _ => vec![ChannelName::Email],
    };
    let out: Vec<ChannelName> = wish.into_iter().filter(|c| has(*c)).collect();
    if out.is_empty() && kind.must_arrive() {
        reachable
    } else {
        out
    }
}

/// The earliest decent moment to send.
fn due_at(
    s: &Situation,
    policy: &Policy,
    kind: Kind,
    channel: ChannelName,
    owed: &Owed,
    true_until: Instant,
    now: Instant,
) -> Instant {
    let zone = s.order.zone;
    let today = now.day_in(zone);
    let near = owed
        .ripe
        .iter()
        .filter_map(|t| t.told_day)
        .any(|day| (day - today).num_days() <= i64::from(policy.delay.near_days));
    let at = match kind {
        Kind::Delay | Kind::DateSet | Kind::Sooner | Kind::DateWithdrawn | Kind::Overdue
            if !near =>
        {
            policy.delay.hours.earliest(now, zone)
        }
        _ => now,
    };
    // Put off, it would name a day that is over.
    let at = if at < true_until { at } else { now };
    let recipients = s.order.contact.zone.unwrap_or(zone);
    earliest_send(channel, &policy.sms.hours, recipients, at)
}

/// When to look again: the first moment at which time alone can change the
/// plan.
fn wake(
    s: &Situation,
    views: &[Assessment],
    policy: &Policy,
    now: Instant,
    owed: &Owed,
    out: &OrderPlan,
) -> Wake {
    let order = &s.order;
    let waits = s.lines.iter().any(|line| line.waiting().is_positive());
    let mut moments: Vec<Instant> = owed
        .unripe
        .iter()
        .chain(&owed.small)
        .map(|t| t.ripe_at)
        .chain(views.iter().flat_map(|view| view.turns.iter().copied()))
        .collect();
    let drafted = out.drafts.iter().map(|d| d.kind);
    let queued = s.notices.iter().filter(|n| n.in_queue).map(|n| n.kind);
    if drafted.chain(queued).any(|kind| !kind.must_arrive()) {
        let unripe = owed.unripe.iter();
        moments.extend(unripe.map(|t| t.ripe_at.minus(COURTESY_WAITS)));
    }
    if waits {
        let next = first_from(
            order.ordered_on,
            order.zone,
            &policy.updates,
            Instant(now.0 + 1),
        );
        moments.extend(next.map(|m| m.at));
    }
    // A window that is written loses its first day at the next midnight.
    if !out.drafts.is_empty() || s.notices.iter().any(|n| n.in_queue) {
        let opens = views.iter().filter_map(|view| match view.promise? {
            Eta::Window { from, .. } => day_after(from, order),
            Eta::Day { .. } | Eta::Unknown => None,
        });
        moments.extend(opens);
    }
    // A queued message that grows too old is reviewed, not sent.
    moments.extend(s.notices.iter().filter(|n| n.in_queue).map(|n| n.not_after));
    moments.extend(out.drafts.iter().map(|draft| draft.not_after));
    match moments.into_iter().filter(|at| *at > now).min() {
        Some(at) if at.0 < i64::MAX => Wake::At(at),
        _ if waits
            || !out.drafts.is_empty()
            || s.notices.iter().any(|n| n.in_flight || n.in_queue) =>
        {
            Wake::OnEvent
        }
        _ => Wake::Never,
    }
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
#[path = "plan_properties.rs"]
mod properties;
