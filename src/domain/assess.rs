//! Judging one line: what its date means now and what it gives cause to say.
//!
//! Called by [`super::plan`] for every line of an order. The promise is the
//! ETA as we would say it now; it is compared with *every* promise the
//! customer may believe, so small slips add up against what was told and
//! cannot creep.

use super::eta::Eta;
use super::kinds::Kind;
use super::order::{EtaOrigin, Line, Order};
use super::policy::Policy;
use super::reason::{Disbelief, Reason, Verdict};
use super::statement::{Change, ToldBefore};
use super::time::{Instant, at_time};
use super::told::Basis;
use chrono::{Days, NaiveDate, NaiveTime};

/// Something a line gives cause to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    pub kind: Kind,
    /// This line's part of the notice's discriminator.
    pub mark: String,
    /// Not before this.
    pub ripe_at: Instant,
    /// Below the threshold: says nothing alone, but a message that goes out
    /// anyway leads with it.
    pub small: bool,
    /// The told day it concerns, for urgency.
    pub told_day: Option<NaiveDate>,
}

impl Trigger {
    /// News about a date that may still change: nothing else that goes out
    /// meanwhile states it either.
    fn waits_to_settle(&self, now: Instant) -> bool {
        let about_a_date = matches!(
            self.kind,
            Kind::Delay | Kind::DateSet | Kind::Sooner | Kind::DateWithdrawn | Kind::Overdue
        );
        about_a_date && !self.small && self.ripe_at > now
    }
}

/// What a line comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// The date to state in any message now; `None`: say nothing about it.
    pub promise: Option<Eta>,
    pub told: Option<ToldBefore>,
    pub change: Change,
    pub triggers: Vec<Trigger>,
    /// Silences with a reason.
    pub quiet: Vec<Verdict>,
    /// Moments at which time alone changes what the line comes to, past ones
    /// included.
    pub turns: Vec<Instant>,
}

/// The ETA as we would say it.
enum Promise {
    /// Known, today or later.
    On(Eta),
    Unknown,
    /// The shop's date lies in the past.
    Past(NaiveDate),
    NotBelieved(NaiveDate, Disbelief),
}

/// Judges one line at `now`.
pub fn assess(line: &Line, order: &Order, policy: &Policy, now: Instant) -> Assessment {
    let today = now.day_in(order.zone);
    let mut out = Assessment {
        promise: None,
        told: told_before(line),
        change: Change::NotStated,
        triggers: Vec::new(),
        quiet: Vec::new(),
        turns: Vec::new(),
    };
    quantities(line, policy, &mut out);
    if !line.waiting().is_positive() {
        return out;
    }
    if let Some(since) = line.missing_since {
        out.quiet
            .push(Verdict::quiet(None, Reason::NotInFeed { since }).about(&line.name));
        return out;
    }
    let promise = promise_of(line, order, policy, today);
    out.turns = turns(line, order, policy, &promise);
    out.promise = match &promise {
        Promise::On(eta) => Some(clip(*eta, today)),
        Promise::Unknown => Some(Eta::Unknown),
        // Whoever was never given a date is told that there is none: a first
        // word that says nothing would leave nothing to compare news with.
        Promise::Past(_) | Promise::NotBelieved(..)
            if out.told.is_none_or(|told| !told.promise.is_known()) =>
        {
            Some(Eta::Unknown)
        }
        Promise::Past(_) | Promise::NotBelieved(..) => None,
    };
    dates(line, order, policy, now, &promise, &mut out);
    if out.triggers.iter().any(|t| t.waits_to_settle(now)) {
        out.promise = None;
    }
    out.change = change(out.promise, out.told.map(|told| told.promise), today);
    out
}

fn told_before(line: &Line) -> Option<ToldBefore> {
    line.believed().latest().map(|told| ToldBefore {
        promise: told.promise,
        said: told.basis.was_said(),
    })
}

/// Never print a window's days that have passed.
fn clip(eta: Eta, today: NaiveDate) -> Eta {
    match eta {
        Eta::Window { from, to } if from < today => {
            Eta::window(today.min(to), to).unwrap_or(Eta::day(to))
        }
        other => other,
    }
}

fn promise_of(line: &Line, order: &Order, policy: &Policy, today: NaiveDate) -> Promise {
    let eta = line.eta.later_by(policy.buffer_days);
    let Some(last) = eta.last() else {
        return Promise::Unknown;
    };
    // A person's word is believed, except that the past is the past.
    if line.eta_origin != EtaOrigin::Operator {
        if last < order.ordered_on {
            return Promise::NotBelieved(last, Disbelief::BeforeOrder);
        }
        if (last - today).num_days() > i64::from(policy.belief.ahead_days_max) {
            return Promise::NotBelieved(last, Disbelief::TooFarAhead);
        }
        let jump = line
            .believed()
            .firm
            .and_then(|told| told.promise.days_until(eta));
        if jump.is_some_and(|days| days.abs() > i64::from(policy.belief.jump_days_max)) {
            return Promise::NotBelieved(last, Disbelief::Jump);
        }
    }
    if last < today {
        Promise::Past(last)
    } else {
        Promise::On(eta)
    }
}

/// A date that nobody touches still passes: the one we would name, and the one
/// that was told, whose grace then begins.
fn turns(line: &Line, order: &Order, policy: &Policy, promise: &Promise) -> Vec<Instant> {
    let believed = line.believed();
    let mut out: Vec<Instant> = Vec::new();
    for told_day in believed.promises().filter_map(Eta::last) {
        out.extend(day_after(told_day, order));
    }
    match promise {
        Promise::On(eta) => out.extend(eta.last().and_then(|last| day_after(last, order))),
        Promise::NotBelieved(last, Disbelief::TooFarAhead) => {
            let ahead = Days::new(policy.belief.ahead_days_max.into());
            let near_enough = last.checked_sub_days(ahead);
            out.extend(near_enough.map(|day| at_time(day, NaiveTime::MIN, order.zone)));
        }
        _ => {}
    }
    out
}

/// The first moment at which a day is over.
pub(super) fn day_after(day: NaiveDate, order: &Order) -> Option<Instant> {
    let next = day.succ_opt()?;
    Some(at_time(next, NaiveTime::MIN, order.zone))
}

fn change(promise: Option<Eta>, told: Option<Eta>, today: NaiveDate) -> Change {
    match (promise, told) {
        (None, _) => Change::NotStated,
        (Some(_), None) => Change::New,
        (Some(Eta::Unknown), Some(Eta::Unknown)) => Change::Unchanged,
        (Some(_), Some(Eta::Unknown)) => Change::Set,
        (Some(Eta::Unknown), Some(told)) => {
            if told.last().is_some_and(|day| day < today) {
                Change::Overdue
            } else {
                Change::Withdrawn
            }
        }
        (Some(promise), Some(told)) => match told.days_until(promise).unwrap_or(0) {
            0 => Change::Unchanged,
            days if days > 0 => Change::Later,
            _ if promise.is_within(told) => Change::Unchanged,
            _ => Change::Sooner,
        },
    }
}

/// Shipped and cancelled quantities. They win over any status and over dates.
fn quantities(line: &Line, policy: &Policy, out: &mut Assessment) {
    if line.has_untold_shipment() {
        let since = line.shipped_changed_at.unwrap_or(line.first_seen_at);
        out.triggers.push(Trigger {
            kind: Kind::Shipped,
            mark: format!("{}:{}", line.key, line.shipped),
            ripe_at: since.plus(policy.shipped.settle),
            small: false,
            told_day: None,
        });
    }
    if line.has_untold_cancellation() {
        let since = line.cancelled_changed_at.unwrap_or(line.first_seen_at);
        out.triggers.push(Trigger {
            kind: Kind::Cancelled,
            mark: format!("{}:{}", line.key, line.cancelled),
            ripe_at: since.plus(policy.cancelled.settle),
            small: false,
            told_day: None,
        });
    }
}

/// News about the date of a waiting line.
fn dates(
    line: &Line,
    order: &Order,
    policy: &Policy,
    now: Instant,
    promise: &Promise,
    out: &mut Assessment,
) {
    let believed = line.believed();
    if believed.is_empty() {
        if let Promise::NotBelieved(on, why) = promise {
            let reason = Reason::NotBelieved { on: *on, why: *why };
            out.quiet
                .push(Verdict::quiet(None, reason).about(&line.name));
        }
        out.triggers.push(Trigger {
            kind: Kind::Confirmation,
            mark: line.key.clone(),
            ripe_at: line.first_seen_at,
            small: false,
            told_day: None,
        });
        return;
    }
    let told_days = || believed.promises().filter_map(Eta::last);
    let soonest_told = told_days().min();
    let settled_at = line.eta_changed_at.plus(policy.delay.settle);
    let trigger = |kind: Kind, to: Eta, ripe_at: Instant, small: bool| Trigger {
        kind,
        mark: format!("{}@{}>{to}", line.key, line.told_seq()),
        ripe_at,
        small,
        told_day: soonest_told,
    };
    match promise {
        Promise::NotBelieved(on, why) => {
            let reason = Reason::NotBelieved { on: *on, why: *why };
            out.quiet
                .push(Verdict::quiet(Some(Kind::Delay), reason).about(&line.name));
        }
        Promise::On(eta) => {
            let any_unknown = believed.promises().any(|p| !p.is_known());
            let shifts: Vec<i64> = believed
                .promises()
                .filter_map(|told| told.days_until(*eta))
                .collect();
            let latest = shifts.iter().copied().max().unwrap_or(0);
            let earliest = shifts.iter().copied().min().unwrap_or(0);
            let limit = i64::from(policy.delay.threshold_days.max(1));
            let sooner_limit = i64::from(policy.sooner.threshold_days.max(1));
            if latest >= limit {
                out.triggers
                    .push(trigger(Kind::Delay, *eta, settled_at, false));
            } else if any_unknown {
                out.triggers
                    .push(trigger(Kind::DateSet, *eta, settled_at, false));
            } else if latest > 0 && now < settled_at {
                out.triggers
                    .push(trigger(Kind::Delay, *eta, settled_at, false));
            } else if latest > 0 {
                let last_call = last_call_at(soonest_told, order, policy).max(settled_at);
                out.triggers
                    .push(trigger(Kind::Delay, *eta, last_call, now < last_call));
                if now < last_call {
                    let reason = Reason::SmallChange {
                        days: latest,
                        limit: policy.delay.threshold_days,
                        again_at: Some(last_call),
                    };
                    out.quiet
                        .push(Verdict::quiet(Some(Kind::Delay), reason).about(&line.name));
                }
            } else if earliest < 0 && !believed.promises().all(|told| eta.is_within(told)) {
                // Earlier than every belief by enough, or only a little.
                let enough = shifts.iter().all(|days| -days >= sooner_limit);
                let small = !enough && settled_at <= now;
                out.triggers
                    .push(trigger(Kind::Sooner, *eta, settled_at, small));
                if small {
                    let reason = Reason::SmallChange {
                        days: earliest,
                        limit: policy.sooner.threshold_days,
                        again_at: None,
                    };
                    out.quiet
                        .push(Verdict::quiet(Some(Kind::Sooner), reason).about(&line.name));
                }
            }
        }
        Promise::Unknown | Promise::Past(_) => {
            let Some(told_day) = soonest_told else {
                if let Promise::Past(on) = promise {
                    let reason = Reason::DateInPast { on: *on };
                    out.quiet
                        .push(Verdict::quiet(None, reason).about(&line.name));
                }
                return;
            };
            no_date(
                line, order, policy, now, promise, told_day, settled_at, &trigger, out,
            );
        }
    }
}

/// A told date that no longer has a date behind it.
#[expect(
    clippy::too_many_arguments,
    reason = "one branch of `dates`, split off to fit a screen"
)]
fn no_date(
    line: &Line,
    order: &Order,
    policy: &Policy,
    now: Instant,
    promise: &Promise,
    told_day: NaiveDate,
    settled_at: Instant,
    trigger: &dyn Fn(Kind, Eta, Instant, bool) -> Trigger,
    out: &mut Assessment,
) {
    let today = now.day_in(order.zone);
    if told_day >= today {
        match promise {
            Promise::Past(on) => {
                let reason = Reason::DateInPast { on: *on };
                out.quiet
                    .push(Verdict::quiet(Some(Kind::Delay), reason).about(&line.name));
                // Looked at again when the told day has passed as well.
                let overdue = overdue_at(told_day, order, policy);
                out.triggers
                    .push(trigger(Kind::Overdue, Eta::day(told_day), overdue, true));
            }
            _ => out.triggers.push(trigger(
                Kind::DateWithdrawn,
                Eta::Unknown,
                settled_at,
                false,
            )),
        }
        return;
    }
    let firm = line.believed().firm;
    let stale_at_baseline = firm.is_some_and(|told| {
        told.basis == Basis::Baseline
            && told
                .promise
                .last()
                .is_some_and(|day| day < told.at.day_in(order.zone))
    });
    if stale_at_baseline {
        let reason = Reason::StaleAtBaseline { on: told_day };
        out.quiet
            .push(Verdict::quiet(Some(Kind::Overdue), reason).about(&line.name));
        return;
    }
    let ripe_at = overdue_at(told_day, order, policy).max(settled_at);
    if now < ripe_at {
        let reason = Reason::Grace { until: ripe_at };
        out.quiet
            .push(Verdict::quiet(Some(Kind::Overdue), reason).about(&line.name));
    } else {
        out.promise = Some(Eta::Unknown);
    }
    out.triggers.push(Trigger {
        mark: format!("{}!{told_day}", line.key),
        ..trigger(Kind::Overdue, Eta::Unknown, ripe_at, false)
    });
}

/// The working morning before the told day: the last moment at which a small
/// slip can still be said in time.
pub fn last_call_at(told_day: Option<NaiveDate>, order: &Order, policy: &Policy) -> Instant {
    let Some(day) = told_day else {
        return Instant(i64::MAX);
    };
    let back = -i32::try_from(policy.delay.last_call_working_days).unwrap_or(1);
    at_time(
        policy.calendar.add_working_days(day, back),
        policy.updates.at,
        order.zone,
    )
}

/// The working morning after the grace days that follow the told day.
fn overdue_at(told_day: NaiveDate, order: &Order, policy: &Policy) -> Instant {
    let ahead = i32::try_from(policy.overdue.grace_working_days).unwrap_or(1) + 1;
    at_time(
        policy.calendar.add_working_days(told_day, ahead),
        policy.updates.at,
        order.zone,
    )
}

#[cfg(test)]
#[path = "assess_tests.rs"]
mod tests;
