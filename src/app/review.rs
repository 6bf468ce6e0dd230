//! Deciding: `gather → plan → bundle → commit`.
//!
//! A tick costs what is due: only orders whose wake-up has come are read. A
//! preview calls the same functions and stops before the commit. The storm
//! brake counts messages committed in the trailing hour, this batch included;
//! over the limit the batch is collected in a held run that waits for a
//! person. Several processes may review: each takes its own customers, and the
//! brake counts over all of them.

use crate::app::{App, AppError, Reach, Settings, Viewer};
use crate::crash_point::crash_point;
use crate::domain::bundle::{PlannedMessage, bundle, whole_orders};
use crate::domain::ids::{OrderId, RunNo};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::notice_key::Mode;
use crate::domain::order::Situation;
use crate::domain::plan::{OrderPlan, plan};
use crate::domain::time::{Instant, Length};
use crate::store::read::situations::{AddressHashes, ReadSituation};
use crate::store::types::{Brake, NewRun, OutgoingMessage, PlannedOrder, Review};
use crate::store::write::settings::Noticed;
use std::collections::{BTreeMap, HashMap, HashSet};

/// A process whose settings are not the newest leaves what falls due to those
/// that have them, and takes what nobody took for so long: both planning the
/// same orders would undo each other's plans for ever.
const LET_NEWER_FIRST: Length = Length::mins(1);

/// The plans of some orders and the messages they lead to.
#[derive(Clone, Debug, Default)]
pub struct PlannedBatch {
    pub situations: Vec<Situation>,
    pub plans: Vec<OrderPlan>,
    pub messages: Vec<PlannedMessage>,
    hashes: HashMap<OrderId, AddressHashes>,
}

impl PlannedBatch {
    /// The hashes of an order's addresses.
    pub(super) fn hashes_of(&self, order: OrderId) -> Option<&AddressHashes> {
        self.hashes.get(&order)
    }
}

/// What a review came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReviewReport {
    pub run: Option<RunNo>,
    pub orders: usize,
    pub messages: usize,
    /// Messages that wait for approval.
    pub held: usize,
    /// Another process brought newer settings than ours.
    pub overtaken: bool,
    /// Orders by reason code of their first quiet verdict.
    pub quiet: BTreeMap<String, usize>,
}

impl Viewer {
    /// Plans some orders as of `now`. Reads only.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn plan_orders(
        &self,
        orders: &[OrderId],
        now: Instant,
    ) -> Result<PlannedBatch, AppError> {
        let read = self.read.situations(orders, self.mode(), now).await?;
        Ok(plan_batch(read, &self.settings, now))
    }
}

/// The pure middle of a review.
pub(super) fn plan_batch(
    read: Vec<ReadSituation>,
    settings: &Settings,
    now: Instant,
) -> PlannedBatch {
    let mode = settings.reach.mode();
    let mut batch = PlannedBatch::default();
    for item in read {
        batch.hashes.insert(item.situation.order.id, item.hashes);
        batch
            .plans
            .push(plan(&item.situation, &settings.policy, mode, now));
        batch.situations.push(item.situation);
    }
    batch.messages = bundle(
        &batch.situations,
        &mut batch.plans,
        &settings.policy,
        &settings.shop.locale,
        now,
    );
    batch
}

/// Which of a run's messages are wanted.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub kinds: Vec<Kind>,
    pub orders: Option<Vec<OrderId>>,
    pub limit: Option<usize>,
}

impl Selection {
    fn is_everything(&self) -> bool {
        self.kinds.is_empty() && self.limit.is_none()
    }
    /// Nothing of what is due is left out: such a run also sees out what an
    /// earlier one left.
    pub fn is_whole(&self) -> bool {
        self.is_everything() && self.orders.is_none()
    }
    pub fn wants(&self, message: &PlannedMessage) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&message.kind)
    }
}

impl App {
    /// Refuses to plan or send live before somebody went live.
    ///
    /// # Errors
    /// [`AppError::NotLiveYet`].
    pub async fn require_live_act(&self) -> Result<(), AppError> {
        let reach = &self.settings().reach;
        if matches!(reach, Reach::Sandbox { .. }) {
            // Quantities and parcels told in a rehearsal would count as told
            // to the customers of a shop that is live.
            if self.viewer.read.mode().await? == Mode::Live {
                return Err(AppError::Refused(
                    "this database is live and the configuration says sandbox: nothing is planned \
                     or sent; use mode = \"review\" or `backorderd hold`, or rehearse on a copy"
                        .to_owned(),
                ));
            }
            return Ok(());
        }
        let acted = self.viewer.read.meta("live_since").await?.is_some();
        if acted {
            Ok(())
        } else {
            Err(AppError::NotLiveYet(reach.as_str()))
        }
    }

    /// When policy, zone or zone rules changed since the last review, every
    /// open order is looked at again, and what that alone would say is held
    /// for a person: settings must not speak.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn notice_changed_policy(&self) -> Result<(), AppError> {
        let digest = &self.settings().policy_digest;
        if self.viewer.read.meta("policy_digest").await?.as_ref() == Some(digest) {
            return Ok(());
        }
        let noticed = self.store.notice_settings(digest, self.now()).await?;
        if let Noticed::Changed { orders } = noticed {
            tracing::warn!(
                orders,
                "the settings changed: all open orders are looked at again, and what follows \
                 from that waits for approval"
            );
        }
        Ok(())
    }

    /// Reviews everything that is due when it begins, batch by batch, as one
    /// run of `job`. Messages of the run are committed as they are found.
    ///
    /// What falls due meanwhile is left to the next review: many a message that
    /// goes out gives its orders back to be looked at, and a review that took
    /// them as they come would end with the sending, a handful and a commit at
    /// a time in the way of the next mark.
    ///
    /// # Errors
    /// The database cannot be read or written, or nobody has gone live.
    pub async fn review_due(
        &self,
        job: &str,
        by: &str,
        tick: Option<Instant>,
    ) -> Result<ReviewReport, AppError> {
        self.require_live_act().await?;
        let mut report = ReviewReport::default();
        let mut run = None;
        let mut all_done = false;
        let begun = match self.has_newest_settings().await? {
            true => self.now(),
            false => self.now().minus(LET_NEWER_FIRST),
        };
        let batch = self.viewer.read.batch();
        loop {
            let due = self.store.take_due(self.worker, begun, batch).await?;
            if due.is_empty() {
                // What others are planning at this moment is still due.
                all_done = self.viewer.read.due_orders(begun, 1).await?.is_empty();
                break;
            }
            let now = self.now();
            let run = match run {
                Some(run) => run,
                None => *run.insert(self.begin_run(job, by, tick, now).await?),
            };
            let written = self
                .review_batch(run, &due, &Selection::default(), now, &mut report)
                .await?;
            // Whatever stayed due was changed meanwhile and is read again;
            // with no progress at all somebody else is at it.
            if written == 0 {
                break;
            }
        }
        if let Some(run) = run {
            let quiet = serde_json::to_string(&report.quiet).unwrap_or_default();
            let tick = tick.map(|due| (job.to_owned(), due));
            crash_point("run-planned");
            self.store
                .end_run(run, report.orders as i64, quiet, tick)
                .await?;
        } else if let Some(due) = tick {
            self.store.store_tick(job, due).await?;
        }
        report.run = run;
        if all_done {
            self.settings_have_spoken().await?;
        }
        Ok(report)
    }

    /// No process came with other settings since this one.
    async fn has_newest_settings(&self) -> Result<bool, AppError> {
        let newest = self.viewer.read.meta("policy_digest").await?;
        Ok(newest.is_none_or(|newest| newest == self.settings().policy_digest))
    }

    /// Where every order was looked at under the changed settings, what comes
    /// now comes from facts again. That is for a process with the newest to say.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn settings_have_spoken(&self) -> Result<(), AppError> {
        let changed = self.viewer.read.meta("policy_changed_at").await?;
        if changed.is_none_or(|at| at.is_empty()) {
            return Ok(());
        }
        if self.has_newest_settings().await? {
            let digest = &self.settings().policy_digest;
            self.store.end_settings_say(digest, self.now()).await?;
        }
        Ok(())
    }

    /// Records that a run begins.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn begin_run(
        &self,
        job: &str,
        by: &str,
        due: Option<Instant>,
        now: Instant,
    ) -> Result<RunNo, AppError> {
        let run = NewRun {
            job: job.to_owned(),
            due,
            mode: self.mode(),
            by: by.to_owned(),
        };
        Ok(self.store.begin_run(run, now).await?)
    }

    /// Plans and commits one batch; answers how many orders were committed.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn review_batch(
        &self,
        run: RunNo,
        orders: &[OrderId],
        selection: &Selection,
        now: Instant,
        report: &mut ReviewReport,
    ) -> Result<usize, AppError> {
        let batch = self.viewer.plan_orders(orders, now).await?;
        let wanted: Vec<PlannedMessage> = batch
            .messages
            .iter()
            .filter(|m| selection.wants(m))
            .cloned()
            .collect();
        let room = selection
            .limit
            .map(|limit| limit.saturating_sub(report.messages));
        let messages = whole_orders(wanted, room.unwrap_or(usize::MAX));
        // Orders whose messages were not taken stay as they are: they are due,
        // or will be, by themselves.
        let left_out = |plan: &OrderPlan| {
            !selection.is_everything()
                && !plan.drafts.is_empty()
                && !messages
                    .iter()
                    .any(|m| m.notices.iter().any(|n| n.order == plan.order))
        };
        let planned: Vec<PlannedOrder> = batch
            .plans
            .iter()
            .filter(|plan| !left_out(plan))
            .map(|plan| PlannedOrder {
                order: plan.order,
                review_version: plan.review_version,
                keep: plan.keep.clone(),
                supersede: plan.supersede.clone(),
                verdicts: plan.verdicts.clone(),
                wake: plan.wake,
            })
            .collect();
        let outgoing: Vec<OutgoingMessage> = messages
            .iter()
            .filter_map(|m| self.outgoing(m, &batch, now))
            .collect();
        let n_orders = planned.len();
        let review = Review {
            run,
            mode: self.mode(),
            orders: planned,
            held: self.settings().reach == Reach::Review,
            settings: self.settings().policy_digest.clone(),
            brake: Some(self.brake_at(now).await?),
            planner: Some(self.worker),
            messages: outgoing,
        };
        crash_point("planned");
        let written = self.store.commit_review(review, now).await?;
        crash_point("plan-committed");
        if written.overtaken && !report.overtaken {
            report.overtaken = true;
            tracing::warn!(
                "another process brought newer settings: what is planned under those of this one \
                 waits for approval; restart it with the same"
            );
        }
        report.orders += n_orders;
        report.messages += written.messages.len();
        if written.held {
            report.held += written.messages.len();
        }
        for plan in batch.plans.iter().filter(|plan| plan.drafts.is_empty()) {
            if let Some(verdict) = plan.verdicts.first() {
                *report
                    .quiet
                    .entry(verdict.reason.code().to_owned())
                    .or_default() += 1;
            }
        }
        Ok(n_orders - written.stale.len())
    }

    /// The storm brake as it stands at `now`.
    pub(super) async fn brake_at(&self, now: Instant) -> Result<Brake, AppError> {
        let open = self.viewer.read.count_open_orders().await?;
        Ok(Brake {
            since: now.minus(Length::hours(1)),
            limit: self.policy().brake.limit(open),
        })
    }

    /// Adds where a planned message goes. In the sandbox that is never the
    /// customer.
    fn outgoing(
        &self,
        planned: &PlannedMessage,
        batch: &PlannedBatch,
        now: Instant,
    ) -> Option<OutgoingMessage> {
        let order = planned.notices.first()?.order;
        let situation = batch.situations.iter().find(|s| s.order.id == order)?;
        let contact = &situation.order.contact;
        let hashes = batch.hashes.get(&order)?;
        let (recipient, address_hash) = match planned.channel {
            ChannelName::Email => (contact.email.as_ref()?.expose(), hashes.email.clone()?),
            ChannelName::Sms => (
                contact.phone.as_ref()?.expose().to_owned(),
                hashes.phone.clone()?,
            ),
        };
        Some(OutgoingMessage {
            uid: self.ids.message_uid(now),
            resend_of: None,
            planned: planned.clone(),
            recipient,
            address_hash,
        })
    }

    /// Looks at every open order as if nothing were known about wake-ups and
    /// counts those that are owed something the work list does not know of.
    /// They are woken. The count must be 0.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn reconcile(&self) -> Result<usize, AppError> {
        let read = &self.viewer.read;
        let mut overlooked = 0;
        let mut after = OrderId(0);
        let due = self.all_due().await?;
        loop {
            let ids = read.open_orders(after, read.batch()).await?;
            let Some(last) = ids.last() else { break };
            after = *last;
            // Between two questions others import and plan, and much may have
            // fallen due since the first: only who is overlooked twice is
            // overlooked.
            let suspects = self.overlooked_of(&ids, &due).await?;
            if !suspects.is_empty() {
                let due = self.all_due().await?;
                overlooked += self.overlooked_of(&suspects, &due).await?.len();
            }
        }
        if overlooked > 0 {
            self.store.wake_all(self.now()).await?;
        }
        Ok(overlooked)
    }

    async fn all_due(&self) -> Result<HashSet<OrderId>, AppError> {
        let due = self.viewer.read.due_orders(self.now(), u32::MAX).await?;
        Ok(due.into_iter().collect())
    }

    /// Those that are owed something and not among the due ones.
    async fn overlooked_of(
        &self,
        orders: &[OrderId],
        due: &HashSet<OrderId>,
    ) -> Result<Vec<OrderId>, AppError> {
        let batch = self.viewer.plan_orders(orders, self.now()).await?;
        let owed = |plan: &&OrderPlan| !plan.drafts.is_empty() || !plan.supersede.is_empty();
        let plans = batch.plans.iter().filter(owed).map(|plan| plan.order);
        Ok(plans.filter(|order| !due.contains(order)).collect())
    }
}
