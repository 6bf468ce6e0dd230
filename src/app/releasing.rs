//! What lifting a hold would let go: the plan a run makes, asked for as if the
//! hold were gone already. Reads only.

use crate::app::review::plan_batch;
use crate::app::{AppError, Viewer};
use crate::domain::ids::{MessageNo, OrderId};
use crate::domain::kinds::ChannelName;
use crate::domain::message::MessageState;
use crate::store::read::lists::MessageFilter;
use crate::store::types::MessageRow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Messages of one hold that are looked at.
const MESSAGES_MAX: u32 = 100_000;
/// Orders read in one go.
const BATCH: usize = 500;

/// What becomes of a message that waits under a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    StillTrue,
    Replaced,
    TooOld,
    /// Another hold keeps it.
    HeldOtherwise,
}

impl Waits {
    pub fn words(self) -> &'static str {
        match self {
            Waits::StillTrue => "still true, goes out",
            Waits::Replaced => "replaced by newer facts",
            Waits::TooOld => "too old, looked at again",
            Waits::HeldOtherwise => "stays: another hold",
        }
    }
}

/// What a release would come to.
#[derive(Clone, Debug, Default)]
pub struct ReleasePreview {
    /// Oldest first.
    pub messages: Vec<(MessageRow, Waits)>,
    /// Messages that would be written besides.
    pub n_new: usize,
}

impl ReleasePreview {
    pub fn count(&self, of: Waits) -> usize {
        self.messages.iter().filter(|(_, is)| *is == of).count()
    }
}

impl Viewer {
    /// Looks at what waits under a hold, that it exists or not.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn preview_release(
        &self,
        scope: &str,
        key: &str,
    ) -> Result<ReleasePreview, AppError> {
        let now = self.now();
        let held: Vec<OrderId> = self.read.orders_under_hold(scope, key).await?;
        let rows = self.waiting_under(scope, key, &held).await?;
        let numbers: Vec<MessageNo> = rows.iter().map(|row| row.no).collect();
        let mut orders_of: BTreeMap<MessageNo, Vec<OrderId>> = BTreeMap::new();
        for origin in self.read.origins(&numbers).await? {
            orders_of
                .entry(origin.message)
                .or_default()
                .push(origin.order);
        }
        let about: BTreeSet<OrderId> = orders_of.values().flatten().chain(&held).copied().collect();
        let about: Vec<OrderId> = about.into_iter().collect();
        let mut kept: HashSet<(MessageNo, OrderId)> = HashSet::new();
        let mut still_held = HashSet::new();
        let mut out = ReleasePreview::default();
        for chunk in about.chunks(BATCH) {
            let others = self.read.orders_held_besides(chunk, scope, key).await?;
            let mut read = self.read.situations(chunk, self.mode(), now).await?;
            for item in &mut read {
                if others.contains(&item.situation.order.id) {
                    still_held.insert(item.situation.order.id);
                } else {
                    item.situation.pause = None;
                }
            }
            let batch = plan_batch(read, &self.settings, now);
            out.n_new += batch.messages.len();
            for plan in &batch.plans {
                kept.extend(plan.keep.iter().map(|no| (*no, plan.order)));
            }
        }
        let global = scope != "global" && self.read.has_global_hold().await?;
        for row in rows {
            let orders = orders_of.get(&row.no).map_or(&[][..], Vec::as_slice);
            let is = if row.not_after < now {
                Waits::TooOld
            } else if global || orders.iter().any(|order| still_held.contains(order)) {
                Waits::HeldOtherwise
            } else if orders.iter().all(|order| kept.contains(&(row.no, *order))) {
                Waits::StillTrue
            } else {
                Waits::Replaced
            };
            out.messages.push((row, is));
        }
        Ok(out)
    }

    async fn waiting_under(
        &self,
        scope: &str,
        key: &str,
        held: &[OrderId],
    ) -> Result<Vec<MessageRow>, AppError> {
        let mut filter = MessageFilter {
            state: Some(MessageState::Queued),
            mode: Some(self.mode()),
            ..MessageFilter::default()
        };
        let mut rows = Vec::new();
        match scope {
            "global" | "channel" | "run" => {
                filter.channel = ChannelName::parse(key).filter(|_| scope == "channel");
                if scope == "run" {
                    filter.run = key.parse().ok().map(crate::domain::ids::RunNo);
                }
                rows = self.read.messages(&filter, MESSAGES_MAX).await?;
            }
            _ => {
                for order in held {
                    filter.order = Some(*order);
                    rows.extend(self.read.messages(&filter, MESSAGES_MAX).await?);
                }
            }
        }
        // What waits for an approval waits on.
        rows.retain(|row| !row.held);
        rows.sort_by_key(|row| row.no);
        rows.dedup_by_key(|row| row.no);
        Ok(rows)
    }
}
