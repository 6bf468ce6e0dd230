//! The statement a notice would make: always the whole order, whatever kind
//! leads.

use crate::domain::assess::Assessment;
use crate::domain::eta::Eta;
use crate::domain::kinds::Kind;
use crate::domain::milestones::{Milestone, first_from};
use crate::domain::order::{Order, Situation};
use crate::domain::policy::Policy;
use crate::domain::quantity::Quantity;
use crate::domain::statement::{LineStatement, ShipmentStatement, Statement};
use crate::domain::time::Instant;
use chrono::NaiveDate;

/// Builds the statement of the whole order.
pub(super) fn state(
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
            reason: line.reason.clone(),
        })
        .collect();
    let no_date = lines.iter().any(|line| line.promise == Some(Eta::Unknown));
    let next_word_by = no_date.then(|| next_word_on(order, policy, now)).flatten();
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

/// The day by which the next word follows a message said at `said_at`, if
/// nothing else is said before: that of the first milestone it does not
/// satisfy. A milestone inside the courtesy gap is not said any more, so
/// naming its day would be a promise nobody keeps; with milestones on day 14
/// and 28 a word on day 10 promises one on day 28.
pub fn next_word_on(order: &Order, policy: &Policy, said_at: Instant) -> Option<NaiveDate> {
    let from = said_at.plus(policy.courtesy.gap);
    first_from(order.ordered_on, order.zone, &policy.updates, from).map(|m| m.on)
}
