//! When an order must be looked at again.

use super::OrderPlan;
use super::owed::{COURTESY_WAITS, Owed};
use crate::domain::assess::{Assessment, day_after};
use crate::domain::eta::Eta;
use crate::domain::milestones::first_from;
use crate::domain::order::Situation;
use crate::domain::policy::Policy;
use crate::domain::reason::Wake;
use crate::domain::time::Instant;

/// When to look again: the first moment at which time alone can change the
/// plan.
pub(super) fn wake(
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
