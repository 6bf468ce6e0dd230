//! What a message states: the facts of each order in it, frozen when it was
//! planned.
//!
//! Three readers use it: the templates print it, the told-ledger records it
//! when the message is accepted, and [`Statement::facts_hash`] decides whether
//! a queued message is still true. The hash covers facts only; what was told
//! before and how long somebody has waited are context and may age.

use super::contact::Locale;
use super::eta::Eta;
use super::ids::{LineId, OrderId};
use super::kinds::Kind;
use super::quantity::Quantity;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Everything one message says, to one customer in one language. Usually one
/// order; several only where kinds merge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageFacts {
    /// Leading kind: picks the template.
    pub kind: Kind,
    pub locale: Locale,
    pub customer_name: Option<String>,
    /// At least one, in order of order number.
    pub orders: Vec<Statement>,
}

/// What is said about one order: always the whole order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    pub order: OrderId,
    pub order_number: String,
    pub ordered_on: NaiveDate,
    pub kind: Kind,
    /// For updates: the milestone in days (7, 14, ...).
    pub milestone_days: Option<u32>,
    /// Every line the customer may ask about, in the order of the shop's rows.
    /// Lines finished before this message and not part of its news are absent.
    pub lines: Vec<LineStatement>,
    /// Parcels this message reports, in order of their keys.
    pub shipments: Vec<ShipmentStatement>,
    /// "We will write again by": the planner's own promise.
    pub next_word_by: Option<NaiveDate>,
    pub view_url: Option<String>,
    pub cancel_url: Option<String>,
}

/// What is said about one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineStatement {
    pub line: LineId,
    pub sku: Option<String>,
    pub name: String,
    pub ordered: Quantity,
    /// Shipped in all, and of that what this message reports as new.
    pub shipped: Quantity,
    pub shipped_now: Quantity,
    pub cancelled: Quantity,
    pub cancelled_now: Quantity,
    /// Neither shipped nor cancelled.
    pub waiting: Quantity,
    /// The ship date this message states for the waiting quantity. `None`:
    /// nothing is said about the date (it is not believed, or nothing waits).
    pub promise: Option<Eta>,
    /// The shop's own ETA behind the promise, without buffer.
    pub eta: Eta,
    /// The last date the customer was given before, if any.
    pub told: Option<ToldBefore>,
    pub change: Change,
    /// The shop's reason, in the shop's words; see
    /// [`LineStatement::reason_to_give`].
    pub reason: Option<String>,
}

impl LineStatement {
    /// The reason, where a date got worse: nobody asks why one came or is
    /// kept.
    pub fn reason_to_give(&self) -> Option<&String> {
        let got_worse = matches!(
            self.change,
            Change::Later | Change::Withdrawn | Change::Overdue
        );
        self.reason.as_ref().filter(|_| got_worse)
    }

    fn facts(&self) -> impl Serialize + '_ {
        (
            self.line,
            &self.sku,
            &self.name,
            (self.ordered, self.shipped, self.cancelled, self.waiting),
            self.promise,
            &self.reason,
        )
    }
}

/// A date given earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldBefore {
    pub promise: Eta,
    /// Really said (by an accepted message, the shop or a person), so that
    /// "we told you" may be printed. A baseline is only an assumption.
    pub said: bool,
}

/// What is new about a line's date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// First word about this line.
    New,
    /// There was no date, now there is.
    Set,
    Later,
    Sooner,
    /// There was a date, now there is none.
    Withdrawn,
    /// The told day has passed and there is no new one.
    Overdue,
    Unchanged,
    /// Nothing is said about the date.
    NotStated,
}

/// A parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentStatement {
    pub key: String,
    pub carrier: Option<String>,
    pub tracking_numbers: Vec<String>,
    pub tracking_url: Option<String>,
    /// The carrier's estimate of the day of delivery.
    pub estimate_on: Option<NaiveDate>,
}

impl Statement {
    /// Fingerprint of the facts a customer would read. Equal hashes mean the
    /// message is still true.
    ///
    /// Left out is context, which may age: what was told before, what is new
    /// about it, the leading kind and its milestone. So is the day of the next
    /// word: saying it is what makes it a promise.
    pub fn facts_hash(&self) -> String {
        let lines: Vec<_> = self.lines.iter().map(LineStatement::facts).collect();
        let facts = (
            &self.order_number,
            self.ordered_on,
            lines,
            &self.shipments,
            &self.view_url,
            &self.cancel_url,
        );
        let facts = serde_json::to_vec(&facts)
            .unwrap_or_else(|_| unreachable!("facts have names for keys and no broken numbers"));
        hex(&Sha256::digest(facts))
    }

    /// Lines with something still to come.
    pub fn waiting_lines(&self) -> impl Iterator<Item = &LineStatement> {
        self.lines.iter().filter(|line| line.waiting.is_positive())
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}
