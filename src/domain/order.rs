//! An order as we mirror it, with everything the planner needs to judge it.
//!
//! A [`Situation`] is read from the store in one go and is a plain value: the
//! planner sees nothing else, so the same situation always gives the same
//! plan.

use super::contact::Contact;
use super::eta::Eta;
use super::ids::{ContactId, LineId, MessageNo, OrderId};
use super::kinds::{ChannelName, Kind};
use super::message::MessageState;
use super::quantity::Quantity;
use super::time::Instant;
use super::told::{Believed, Told, believed};
use chrono::NaiveDate;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// Everything that is known about one order at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Situation {
    pub order: Order,
    /// In order of their row numbers.
    pub lines: Vec<Line>,
    /// Parcels no customer has been told about yet.
    pub untold_shipments: Vec<Shipment>,
    /// What was planned for this order in the present mode and is of use:
    /// everything alive, and whatever still holds its key.
    pub notices: Vec<PastNotice>,
    /// What keeps this order silent, if anything.
    pub pause: Option<Pause>,
    /// Channels whose address of this contact must not be written to.
    pub suppressed: Vec<ChannelName>,
    /// When courtesy notices were sent to this contact in the last 14 days,
    /// over all of their orders, oldest first.
    pub courtesy_sent_at: Vec<Instant>,
}

/// The order itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub id: OrderId,
    /// The shop's order id, or its number where it has none.
    pub key: String,
    pub number: String,
    pub contact_id: ContactId,
    pub contact: Contact,
    /// The local day of the order: what milestones are counted from.
    pub ordered_on: NaiveDate,
    /// The zone `ordered_on` and the milestones are meant in.
    pub zone: Tz,
    pub first_seen_at: Instant,
    /// Set when the order was taken over silently: milestones due before it
    /// never count.
    pub adopted_at: Option<Instant>,
    /// Rises with every fact a message may state.
    pub fact_version: i64,
    /// Rises with every input of the planner.
    pub review_version: i64,
    pub view_url: Option<String>,
    pub cancel_url: Option<String>,
    /// The day by which we promised to write again, while it is open.
    pub next_word_by: Option<NaiveDate>,
}

/// One product of the order that was seen waiting at least once.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub id: LineId,
    pub key: String,
    pub sku: Option<String>,
    pub name: String,
    pub ordered: Quantity,
    pub shipped: Quantity,
    pub cancelled: Quantity,
    /// Highest quantities a message has reported.
    pub shipped_told: Quantity,
    pub cancelled_told: Quantity,
    pub shipped_changed_at: Option<Instant>,
    pub cancelled_changed_at: Option<Instant>,
    /// The ETA in force: a person's, else the shop's.
    pub eta: Eta,
    pub eta_origin: EtaOrigin,
    pub eta_changed_at: Instant,
    pub reason: Option<String>,
    pub first_seen_at: Instant,
    /// Missing from complete reads of its source since then.
    pub missing_since: Option<Instant>,
    /// The line's ledger in order of `seq`.
    pub told: Vec<Told>,
}

/// Who said the ETA in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EtaOrigin {
    Source,
    /// A dates file for the SKU.
    Sku,
    /// A person, by `eta set`: believed as it is.
    Operator,
}

impl EtaOrigin {
    pub fn as_str(self) -> &'static str {
        match self {
            EtaOrigin::Source => "source",
            EtaOrigin::Sku => "sku",
            EtaOrigin::Operator => "operator",
        }
    }
    pub fn parse(text: &str) -> EtaOrigin {
        match text {
            "operator" => EtaOrigin::Operator,
            "sku" => EtaOrigin::Sku,
            _ => EtaOrigin::Source,
        }
    }
}

impl Line {
    /// Neither shipped nor cancelled.
    pub fn waiting(&self) -> Quantity {
        self.ordered.less(self.shipped).less(self.cancelled)
    }
    pub fn believed(&self) -> Believed<'_> {
        believed(&self.told)
    }
    /// Number of entries in the ledger, whatever became of them.
    pub fn told_seq(&self) -> i64 {
        self.told.last().map_or(0, |told| told.seq)
    }
    pub fn has_untold_shipment(&self) -> bool {
        self.shipped > self.shipped_told
    }
    pub fn has_untold_cancellation(&self) -> bool {
        self.cancelled > self.cancelled_told
    }
}

/// A parcel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shipment {
    pub key: String,
    pub carrier: Option<String>,
    pub tracking_numbers: Vec<String>,
    pub tracking_url: Option<String>,
    pub estimate_on: Option<NaiveDate>,
}

/// A notice planned earlier.
#[derive(Clone, Debug, PartialEq)]
pub struct PastNotice {
    pub message: MessageNo,
    pub kind: Kind,
    pub channel: ChannelName,
    pub discriminator: String,
    pub key: Option<String>,
    /// 0: the planner's; else a person's resend.
    pub take: u32,
    pub facts_hash: String,
    pub state: MessageState,
    pub in_queue: bool,
    pub in_flight: bool,
    pub milestone_days: Option<u32>,
    pub due_at: Instant,
    pub not_after: Instant,
    /// When it was accepted (or assumed to be), if it was.
    pub sent_at: Option<Instant>,
    /// It went to an address that is not the customer's present one.
    pub elsewhere: bool,
}

impl PastNotice {
    /// It did not arrive where it went, and the customer is reached elsewhere
    /// now: the same is owed once more.
    pub fn missed_the_present_address(&self) -> bool {
        self.elsewhere && matches!(self.state, MessageState::Failed | MessageState::Bounced)
    }
}

/// Why an order is kept silent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// `order`, `sku`, `supplier`, `customer`.
    pub scope: String,
    pub why: String,
    pub until: Option<Instant>,
}
