//! What comes after the one message an order is owed, foreseen when it is
//! planned.
//!
//! As a rule that is nothing for days: the customer has read the new date, and
//! the next cause to write is a milestone or the date itself. A look at the order
//! after its message was accepted finds just that, and costs as much as the plan
//! before it: a fifth of what sending a message costs in all, in the very hour
//! in which many go out. So the plan takes that look itself, as if the message
//! had been accepted at this moment. The order's own look comes no later than
//! when its message would have been too old to send, a day or two after.
//!
//! It may be accepted later than that. Then what was foreseen comes too early,
//! never too late: gaps begin when a message was accepted, and everything else
//! hangs on dates and facts; an early look does no harm. Anything else that
//! happens meanwhile raises the order's `review_version`, and the order is looked
//! at as ever.

use super::{Draft, OrderPlan, look};
use crate::domain::ids::MessageNo;
use crate::domain::message::MessageState;
use crate::domain::notice_key::Mode;
use crate::domain::order::{PastNotice, Shipment, Situation};
use crate::domain::policy::Policy;
use crate::domain::reason::{Verdict, Wake};
use crate::domain::time::Instant;
use crate::domain::told::{Basis, Told};

/// Finds out whether the order may rest once its draft was accepted; then its
/// wake-up is early enough for what follows.
pub(super) fn foresee(
    s: &Situation,
    policy: &Policy,
    mode: Mode,
    now: Instant,
    out: &mut OrderPlan,
) {
    let [draft] = out.drafts.as_slice() else {
        return;
    };
    if s.notices.iter().any(|n| n.in_queue || n.in_flight) {
        return;
    }
    // What a person is asked for has to go when it is settled.
    if out.verdicts.iter().any(|v| v.reason.needs_a_person()) {
        return;
    }
    let mut after = s.clone();
    // It has no number yet: one that no message has.
    accept(&mut after, draft, MessageNo(i64::MAX), now);
    let next = look(&after, policy, mode, now);
    // A silence with a reason of its own is for a look to write down.
    if next.verdicts != [Verdict::nothing_new()] {
        return;
    }
    out.wake = match (next.wake, out.wake) {
        // Somebody has to close it.
        (Wake::Never, _) => return,
        (Wake::At(next), Wake::At(first)) => Wake::At(next.min(first)),
        (Wake::At(next), _) => Wake::At(next),
        (Wake::OnEvent, first) => first,
    };
    out.rests = true;
}

/// Puts a draft into the situation as one that was accepted, as the store
/// records it.
pub fn accept(s: &mut Situation, draft: &Draft, message: MessageNo, at: Instant) {
    let statement = &draft.statement;
    for stated in &statement.lines {
        let Some(line) = s.lines.iter_mut().find(|line| line.id == stated.line) else {
            continue;
        };
        line.shipped_told = line.shipped_told.max(stated.shipped);
        line.cancelled_told = line.cancelled_told.max(stated.cancelled);
        if let Some(promise) = stated.promise {
            line.told.push(Told {
                seq: line.told_seq() + 1,
                message: Some(message),
                promise,
                eta: stated.eta,
                basis: Basis::Accepted,
                at,
            });
        }
    }
    let is_told = |parcel: &Shipment| {
        statement
            .shipments
            .iter()
            .any(|told| told.key == parcel.key)
    };
    s.untold_shipments.retain(|parcel| !is_told(parcel));
    s.order.next_word_by = statement.next_word_by;
    s.notices.push(PastNotice {
        message,
        kind: draft.kind,
        channel: draft.channel,
        discriminator: draft.discriminator.clone(),
        key: Some(draft.key.clone()),
        again: draft.take > 0,
        fact_version: s.order.fact_version,
        // Only what is queued is compared by its facts.
        facts_hash: String::new(),
        state: MessageState::Sent,
        in_queue: false,
        in_flight: false,
        milestone_days: statement.milestone_days,
        due_at: draft.due_at,
        not_after: draft.not_after,
        sent_at: Some(at),
        elsewhere: false,
    });
    if !draft.kind.must_arrive() {
        s.courtesy_sent_at.push(at);
    }
}
