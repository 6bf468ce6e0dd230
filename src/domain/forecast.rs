//! What would be said in the next days if nothing else happened.
//!
//! The very planner runs against a copy of the situation; every draft is
//! taken as accepted when it falls due and time jumps to the next wake-up. So
//! a forecast can never disagree with the program about the rules.

use super::bundle::hold_back;
use super::ids::MessageNo;
use super::kinds::{ChannelName, Kind};
use super::message::MessageState;
use super::notice_key::Mode;
use super::order::{PastNotice, Situation};
use super::plan::{OrderPlan, accept, next_word_on, plan};
use super::policy::Policy;
use super::reason::Wake;
use super::time::Instant;
use super::told::Basis;

/// One message to come.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    pub at: Instant,
    pub kind: Kind,
    pub channel: ChannelName,
    pub milestone_days: Option<u32>,
}

/// Longest chain followed for one order: far more than any policy writes in
/// the horizons people ask for.
const STEPS_MAX: usize = 64;

/// The messages one order will cause from `now` until `until`, in order.
pub fn forecast(
    situation: &Situation,
    policy: &Policy,
    mode: Mode,
    now: Instant,
    until: Instant,
) -> Vec<Forecast> {
    let mut s = situation.clone();
    let mut out = Vec::new();
    let mut at = now;
    let alive = land_what_is_alive(&mut s, policy, mode, now);
    for notice in alive.iter().filter(|n| n.due_at.max(now) <= until) {
        out.push(Forecast {
            at: notice.due_at.max(now),
            kind: notice.kind,
            channel: notice.channel,
            milestone_days: notice.milestone_days,
        });
    }
    for step in 0..STEPS_MAX {
        let mut planned = plan(&s, policy, mode, at);
        hold_back(&mut planned, &s.courtesy_sent_at, policy, at);
        for draft in &planned.drafts {
            let listed = alive.iter().any(|n| n.key.as_ref() == Some(&draft.key));
            if draft.due_at <= until && !listed {
                out.push(Forecast {
                    at: draft.due_at,
                    kind: draft.kind,
                    channel: draft.channel,
                    milestone_days: draft.statement.milestone_days,
                });
            }
            let message = MessageNo(i64::MAX - i64::try_from(step).unwrap_or(0));
            accept(&mut s, draft, message, draft.due_at);
        }
        match next_wake(&planned, at) {
            Some(next) if next <= until => at = next,
            _ => break,
        }
    }
    out.sort_by_key(|f| f.at);
    out
}

/// Takes what waits or is on its way out of the situation, so that the planner
/// drafts it anew and the forecast goes on from its acceptance. Answers those
/// that will still go out. A courtesy in doubt will not: it is taken as sent.
fn land_what_is_alive(
    s: &mut Situation,
    policy: &Policy,
    mode: Mode,
    now: Instant,
) -> Vec<PastNotice> {
    // What may have been said is taken as said.
    let assume = |s: &mut Situation| {
        let told = s.lines.iter_mut().flat_map(|line| line.told.iter_mut());
        for entry in told.filter(|entry| entry.basis == Basis::Possible) {
            entry.basis = Basis::Assumed;
        }
    };
    if !s.notices.iter().any(|n| n.in_queue || n.in_flight) {
        assume(s);
        return Vec::new();
    }
    let dropped = plan(s, policy, mode, now).supersede;
    let (mut alive, past) = std::mem::take(&mut s.notices)
        .into_iter()
        .partition::<Vec<PastNotice>, _>(|n| n.in_queue || n.in_flight);
    alive.retain(|n| !dropped.contains(&n.message));
    s.notices = past;
    assume(s);
    // What is taken as said is not drafted anew; that it is said counts all
    // the same, or a milestone of the same day would come on top of it.
    let drafts = plan(s, policy, mode, now).drafts;
    let is_drafted = |n: &PastNotice| drafts.iter().any(|d| n.key.as_ref() == Some(&d.key));
    let is_over = |n: &PastNotice| n.state == MessageState::InDoubt && !n.kind.must_arrive();
    for notice in alive.iter().filter(|n| is_over(n) || !is_drafted(n)) {
        count_as_sent(s, notice, policy, now);
    }
    alive.retain(|n| !is_over(n));
    alive
}

/// Puts a notice back as one that was sent when it was due. Its statement is
/// not at hand: what it promised is worked out as the planner does.
fn count_as_sent(s: &mut Situation, notice: &PastNotice, policy: &Policy, now: Instant) {
    let sent_at = if notice.state == MessageState::InDoubt {
        now
    } else {
        notice.due_at.max(now)
    };
    s.notices.push(PastNotice {
        state: MessageState::Sent,
        in_queue: false,
        in_flight: false,
        sent_at: Some(sent_at),
        ..notice.clone()
    });
    if !notice.kind.must_arrive() {
        s.courtesy_sent_at.push(sent_at);
        s.courtesy_sent_at.sort_unstable();
    }
    let has_no_date = s.lines.iter().any(|line| {
        let latest = line.believed().latest().map(|told| told.promise);
        line.waiting().is_positive() && latest.is_some_and(|promise| !promise.is_known())
    });
    s.order.next_word_by = has_no_date
        .then(|| next_word_on(&s.order, policy, sent_at))
        .flatten();
}

fn next_wake(planned: &OrderPlan, at: Instant) -> Option<Instant> {
    if !planned.drafts.is_empty() {
        // What was just accepted changes the plan: look again at once.
        return Some(Instant(at.0 + 1));
    }
    match planned.wake {
        Wake::At(next) => Some(next),
        Wake::OnEvent | Wake::Never => None,
    }
}

#[cfg(test)]
#[path = "forecast_tests.rs"]
mod tests;
