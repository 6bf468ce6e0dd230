//! Saying something again because a person asks for it: true to today's facts,
//! or not at all.
//!
//! A repetition is the statement a notice of that kind would make today. Where
//! a line's date is still the one that was said, the words stay what they were
//! ("it was Friday 6 March"); everything else is as it stands now. What would
//! be untrue by now is refused with the reason. Nothing here is ever asked for
//! by the program itself.

use super::channels::reachable_channels;
use super::drafting::true_until;
use super::{OrderPlan, state};
use crate::domain::assess::{Assessment, assess};
use crate::domain::ids::MessageNo;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::earliest_send;
use crate::domain::order::Situation;
use crate::domain::policy::Policy;
use crate::domain::statement::{Change, LineStatement, Statement};
use crate::domain::time::Instant;

/// What one order's part of a message says today.
#[derive(Clone, Debug, PartialEq)]
pub struct Again {
    pub statement: Statement,
    pub due_at: Instant,
    /// Older than this it is reviewed again instead of sent.
    pub not_after: Instant,
}

/// Why it is not said again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAgain {
    #[error("{0}, about the same order, is not out yet")]
    InTheWay(MessageNo),
    #[error("the order is owed newer news ({0}), which goes out by itself")]
    NewerNews(String),
    #[error("nothing of it waits any more: all was shipped or cancelled")]
    NothingWaits,
    #[error("the date of {0} is another one by now")]
    DateMoved(String),
    #[error("more of {0} was shipped or cancelled since")]
    QuantityMoved(String),
    #[error("there is no date for {0} that could be named today")]
    NoDate(String),
    #[error("the customer cannot be reached this way: no address, or on the do-not-write list")]
    Unreachable,
}

/// What `said` says of its order today; `plan` is what the planner makes of
/// the order at this moment.
///
/// # Errors
/// [`NotAgain`]: it would be untrue, or has no way to the customer.
pub fn say_again(
    s: &Situation,
    plan: &OrderPlan,
    said: &Statement,
    channel: ChannelName,
    policy: &Policy,
    now: Instant,
) -> Result<Again, NotAgain> {
    let open =
        |n: &&crate::domain::order::PastNotice| n.channel == channel && (n.in_queue || n.in_flight);
    if let Some(open) = s.notices.iter().find(open) {
        return Err(NotAgain::InTheWay(open.message));
    }
    if let Some(draft) = plan.drafts.first() {
        return Err(NotAgain::NewerNews(draft.kind.words()));
    }
    if !reachable_channels(s, policy).contains(&channel) {
        return Err(NotAgain::Unreachable);
    }
    let views: Vec<Assessment> = s
        .lines
        .iter()
        .map(|line| assess(line, &s.order, policy, now))
        .collect();
    let mut statement = state(s, &views, said.kind, None, policy, now);
    statement.milestone_days = said.milestone_days;
    for line in &mut statement.lines {
        let before = said.lines.iter().find(|before| before.line == line.line);
        take_over(line, before, said.kind)?;
    }
    match said.kind {
        Kind::Shipped | Kind::Cancelled => repeat_quantities(s, said, &mut statement)?,
        kind => still_news(kind, said, &statement)?,
    }
    let zone = s.order.contact.zone.unwrap_or(s.order.zone);
    let due_at = earliest_send(channel, &policy.sms.hours, zone, now);
    let until = true_until(&statement, &s.order);
    Ok(Again {
        due_at,
        not_after: due_at.plus(policy.retry.age_max(said.kind)).min(until),
        statement,
    })
}

/// The kinds whose news is a date, and how such a line is marked.
fn news_of(kind: Kind) -> Option<Change> {
    match kind {
        Kind::DateSet => Some(Change::Set),
        Kind::Delay => Some(Change::Later),
        Kind::Sooner => Some(Change::Sooner),
        Kind::DateWithdrawn => Some(Change::Withdrawn),
        Kind::Overdue => Some(Change::Overdue),
        Kind::Confirmation | Kind::Update | Kind::Shipped | Kind::Cancelled => None,
    }
}

/// Where the date is the one that was said, so is what was said about it.
fn take_over(
    line: &mut LineStatement,
    before: Option<&LineStatement>,
    kind: Kind,
) -> Result<(), NotAgain> {
    match before.filter(|before| before.promise == line.promise) {
        Some(before) => {
            line.told = before.told;
            line.change = before.change;
            line.reason = before.reason.clone();
            Ok(())
        }
        // A date nobody was told yet is news of its own: it is said by the
        // notice it is owed, when it has settled.
        None if line.waiting.is_positive() && !is_told(line) => {
            Err(NotAgain::DateMoved(line.name.clone()))
        }
        None if before.is_some_and(|b| news_of(kind) == Some(b.change)) => {
            Err(NotAgain::DateMoved(line.name.clone()))
        }
        None => Ok(()),
    }
}

fn is_told(line: &LineStatement) -> bool {
    matches!(line.change, Change::Unchanged | Change::NotStated)
}

/// Of the news something must be left to say.
fn still_news(kind: Kind, said: &Statement, today: &Statement) -> Result<(), NotAgain> {
    let was_news = |line: &&LineStatement| match news_of(kind) {
        Some(change) => line.change == change,
        None => line.waiting.is_positive(),
    };
    let mut named = None;
    for before in said.lines.iter().filter(was_news) {
        let line = today.lines.iter().find(|line| line.line == before.line);
        let Some(line) = line.filter(|line| line.waiting.is_positive()) else {
            continue;
        };
        if line.promise.is_some() || before.promise.is_none() {
            return Ok(());
        }
        named = Some(line.name.clone());
    }
    Err(named.map_or(NotAgain::NothingWaits, NotAgain::NoDate))
}

/// What was reported as shipped or cancelled is reported again, as long as it
/// is all that was.
fn repeat_quantities(
    s: &Situation,
    said: &Statement,
    today: &mut Statement,
) -> Result<(), NotAgain> {
    let was_news =
        |line: &&LineStatement| line.shipped_now.is_positive() || line.cancelled_now.is_positive();
    for before in said.lines.iter().filter(was_news) {
        let moved = || NotAgain::QuantityMoved(before.name.clone());
        let line = s.lines.iter().find(|line| line.id == before.line);
        let line = line.ok_or_else(moved)?;
        if (line.shipped, line.cancelled, line.waiting())
            != (before.shipped, before.cancelled, before.waiting)
        {
            return Err(moved());
        }
        match today.lines.iter_mut().find(|l| l.line == before.line) {
            Some(line) => {
                line.shipped_now = before.shipped_now;
                line.cancelled_now = before.cancelled_now;
            }
            None => today.lines.push(before.clone()),
        }
    }
    today.lines.sort_by_key(|line| line.line);
    for parcel in &said.shipments {
        if !today.shipments.iter().any(|known| known.key == parcel.key) {
            today.shipments.push(parcel.clone());
        }
    }
    today.shipments.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(())
}

#[cfg(test)]
#[path = "../plan_again_tests.rs"]
mod tests;
