//! A send run by hand: who would hear what, and then the run itself.
//!
//! All open orders are looked at, not only those that are due, so that a
//! person sees why everybody else stays quiet. The run commits its plan like
//! any other; then it watches the daemon deliver, or takes the delivery lock
//! and delivers itself, with whatever an earlier run left due. On PostgreSQL it
//! delivers as one worker more, beside the others. It ends when
//! nothing moves for a minute, whatever is still queued.

use crate::app::deliver::{Delivery, DeliveryReport};
use crate::app::review::{ReviewReport, Selection};
use crate::app::worker::Enlisted;
use crate::app::{App, AppError, Viewer};
use crate::domain::bundle::PlannedMessage;
use crate::domain::ids::{OrderId, RunNo};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::order::Situation;
use crate::domain::reason::Verdict;
use crate::domain::statement::MessageFacts;
use crate::domain::time::{Instant, Length};
use crate::domain::worker::Role;
use crate::store::Place;
use crate::store::read::lists::MessageFilter;
use crate::store::read::runs::RunProgress;
use crate::store::sqlite::lock::{DeliveryLock, LockAttempt};
use crate::store::types::{MessageRow, RunState};
use chrono_tz::Tz;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A run ends when nothing of it is due within this.
const DUE_WITHIN: Length = Length::secs(60);
/// Looks in a row without any progress before a run ends: [`DUE_WITHIN`].
const IDLE_LOOKS_MAX: u32 = 200;
/// How often a watched run is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A message of a preview, with what a list shows of it. Small: there may be
/// a hundred thousand.
#[derive(Clone, Debug)]
pub struct PreviewMessage {
    pub orders: Vec<OrderId>,
    pub order_numbers: Vec<String>,
    pub to: String,
    pub zone: Option<Tz>,
    pub channel: ChannelName,
    pub kind: Kind,
    pub milestone_days: Option<u32>,
    pub due_at: Instant,
    /// In a few words, as the caller put it.
    pub says: String,
    pub cause: String,
    /// Kept only where the caller wants to print it.
    pub facts: Option<MessageFacts>,
}

/// What a run would do.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    pub orders: usize,
    pub messages: Vec<PreviewMessage>,
    /// Orders that stay quiet, by reason code: how many, and the first one
    /// with its number.
    pub quiet: BTreeMap<String, (usize, String, Verdict)>,
    /// Every quiet order, where facts are kept: number, verdicts.
    pub silent: Vec<(String, Vec<Verdict>)>,
    /// Messages written in the last hour, and how many may be.
    pub brake: (u64, u64),
}

impl Preview {
    pub fn n_quiet(&self) -> usize {
        self.quiet.values().map(|(n, ..)| n).sum()
    }
}

/// How the caller wants messages described.
pub struct Describe<'a> {
    /// A few words for a list, and the cause for grouping.
    pub words: &'a dyn Fn(&MessageFacts) -> (String, String),
    pub keep_facts: bool,
}

impl Viewer {
    /// Plans every open order (or the selected ones) without writing.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn preview(
        &self,
        selection: &Selection,
        describe: &Describe<'_>,
        mut progress: impl FnMut(usize),
    ) -> Result<Preview, AppError> {
        let now = self.now();
        let mut out = Preview::default();
        let mut after = OrderId(0);
        loop {
            let ids = match &selection.orders {
                Some(ids) => ids.iter().copied().filter(|id| *id > after).collect(),
                None => self.read.open_orders(after, self.read.batch()).await?,
            };
            let Some(last) = ids.iter().max() else { break };
            after = *last;
            let batch = self.plan_orders(&ids, now).await?;
            out.orders += batch.situations.len();
            for message in batch.messages {
                if !selection.wants(&message)
                    || selection
                        .limit
                        .is_some_and(|limit| out.messages.len() >= limit)
                {
                    continue;
                }
                out.messages
                    .extend(preview_message(message, &batch.situations, describe));
            }
            for (s, plan) in batch.situations.iter().zip(&batch.plans) {
                let Some(first) = plan.verdicts.first().filter(|_| plan.drafts.is_empty()) else {
                    continue;
                };
                let entry = out
                    .quiet
                    .entry(first.reason.code().to_owned())
                    .or_insert_with(|| (0, s.order.number.clone(), first.clone()));
                entry.0 += 1;
                if describe.keep_facts {
                    out.silent
                        .push((s.order.number.clone(), plan.verdicts.clone()));
                }
            }
            progress(out.orders);
        }
        let hour_ago = now.minus(Length::hours(1));
        let recent = self.read.count_planned_since(self.mode(), hour_ago).await?;
        out.brake = (
            recent,
            self.policy()
                .brake
                .limit(self.read.count_open_orders().await?),
        );
        Ok(out)
    }
}

fn preview_message(
    message: PlannedMessage,
    situations: &[Situation],
    describe: &Describe<'_>,
) -> Option<PreviewMessage> {
    let first = message.notices.first()?.order;
    let contact = &situations
        .iter()
        .find(|s| s.order.id == first)?
        .order
        .contact;
    let (says, cause) = (describe.words)(&message.facts);
    Some(PreviewMessage {
        orders: message.notices.iter().map(|n| n.order).collect(),
        order_numbers: message
            .facts
            .orders
            .iter()
            .map(|o| o.order_number.clone())
            .collect(),
        to: contact.short_name(),
        zone: contact.zone,
        channel: message.channel,
        kind: message.kind,
        milestone_days: message.facts.orders.first().and_then(|o| o.milestone_days),
        due_at: message.due_at,
        says,
        cause,
        facts: describe.keep_facts.then_some(message.facts),
    })
}

/// Who sends a run's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentBy {
    /// This process: it took the delivery lock.
    Us,
    /// A daemon; its process id, if known.
    Daemon(Option<u32>),
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct RunReport {
    pub run: RunNo,
    pub review: ReviewReport,
    pub delivery: DeliveryReport,
    pub sent_by: Option<SentBy>,
    /// Messages of the run that go out later by themselves.
    pub later: usize,
    /// Its failed messages, oldest first, the first of them.
    pub failed: Vec<MessageRow>,
    /// The run waits for approval.
    pub held: bool,
}

/// Most failed messages that are listed at a run's end.
const LISTED_MAX: u32 = 100;

impl App {
    /// Commits a run by hand and sees it through. `progress` hears how many
    /// of its messages are done.
    ///
    /// # Errors
    /// The database cannot be read or written, or nobody has gone live.
    pub async fn run_by_hand(
        &self,
        selection: &Selection,
        preview: &Preview,
        by: &str,
        stop: &CancellationToken,
        mut progress: impl FnMut(usize),
    ) -> Result<RunReport, AppError> {
        self.require_live_act().await?;
        // Settings must not speak, not even when a person starts the run.
        self.notice_changed_policy().await?;
        let now = self.now();
        let run = self.begin_run("manual", by, None, now).await?;
        let mut review = ReviewReport {
            run: Some(run),
            ..ReviewReport::default()
        };
        // A selection writes only the orders it is about; a full run also
        // refreshes the verdicts of everybody else.
        let ids: Vec<OrderId> = if selection.kinds.is_empty() && selection.limit.is_none() {
            match &selection.orders {
                Some(ids) => ids.clone(),
                None => self.all_open().await?,
            }
        } else {
            preview
                .messages
                .iter()
                .flat_map(|m| m.orders.iter().copied())
                .collect()
        };
        for chunk in ids.chunks(self.viewer.read.batch() as usize) {
            self.review_by_hand(run, chunk, selection, &mut review)
                .await?;
        }
        let quiet = serde_json::to_string(&review.quiet).unwrap_or_default();
        self.store
            .end_run(run, review.orders as i64, quiet, None)
            .await?;
        let mut delivery = DeliveryReport::default();
        let mut sent_by = None;
        let held = self.is_held(run).await?;
        // A whole run also sees out what an earlier one, ended half-way, or an
        // approval left due: without a daemon nobody else would.
        let is_whole = selection.is_whole();
        let scope = (!is_whole).then_some(run);
        // Every order was looked at, and where one changed meanwhile and is
        // still due this ends nothing.
        if is_whole {
            self.settings_have_spoken().await?;
        }
        let due = self.viewer.read.next_due(self.mode()).await?;
        let left_over = is_whole && due.is_some_and(|due| due <= self.now());
        if review.messages > review.held || left_over {
            match self.store.try_delivery_lock() {
                Ok(LockAttempt::Taken(lock)) => {
                    sent_by = Some(SentBy::Us);
                    delivery = self
                        .deliver_by_hand(lock, run, scope, stop, &mut progress)
                        .await?;
                }
                Ok(LockAttempt::HeldBy(pid)) => {
                    sent_by = Some(SentBy::Daemon(pid));
                    let (mut n_idle, mut seen) = (0, None);
                    while !stop.is_cancelled()
                        && n_idle <= IDLE_LOOKS_MAX
                        && self.due_soon(run).await?
                    {
                        let now = self.progress_of(run).await?;
                        n_idle = if seen == Some(now) { n_idle + 1 } else { 0 };
                        seen = Some(now);
                        progress(now.ended);
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                    delivery = self.report_of(run).await?;
                }
                Err(source) => {
                    return Err(AppError::Io {
                        doing: "make the delivery lock",
                        source,
                    });
                }
            }
        }
        let later = self.progress_of(run).await?.later;
        let failed = self.failed_of(run).await?;
        Ok(RunReport {
            run,
            review,
            delivery,
            sent_by,
            later,
            failed,
            held,
        })
    }

    /// Plans and commits some orders. Those whose customer somebody else is
    /// planning for at the moment are waited for.
    async fn review_by_hand(
        &self,
        run: RunNo,
        orders: &[OrderId],
        selection: &Selection,
        review: &mut ReviewReport,
    ) -> Result<(), AppError> {
        let mut left = orders.to_vec();
        let mut n_idle = 0;
        while !left.is_empty() {
            let taken = self.store.take_orders(self.worker, &left).await?;
            if taken.is_empty() {
                n_idle += 1;
                if n_idle > IDLE_LOOKS_MAX {
                    return Err(AppError::Refused(format!(
                        "{} orders are being planned by others all the time; try again",
                        left.len()
                    )));
                }
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            n_idle = 0;
            let reviewed = self
                .review_batch(run, &taken, selection, self.now(), review)
                .await;
            // Whoever was left out of a selection is still due, for anybody.
            let given_back = self.store.leave_orders(self.worker, &taken).await;
            reviewed?;
            given_back?;
            let taken: HashSet<OrderId> = taken.into_iter().collect();
            left.retain(|order| !taken.contains(order));
        }
        Ok(())
    }

    /// Sends what is due, as a worker of its own, until nothing of the run
    /// moves any more.
    async fn deliver_by_hand(
        &self,
        lock: DeliveryLock,
        run: RunNo,
        scope: Option<RunNo>,
        stop: &CancellationToken,
        progress: &mut impl FnMut(usize),
    ) -> Result<DeliveryReport, AppError> {
        // What ends this worker's life ends its work, and nobody else's.
        let stop = stop.child_token();
        let enlisted = Enlisted::enlist(self, Role::Run, None).await?.until(&stop);
        let (mut lanes, _) = Delivery::start(self.clone(), &enlisted, lock).await?;
        let working = async {
            let mut delivery = DeliveryReport::default();
            let (mut n_done, mut n_idle, mut seen) = (0, 0, None);
            loop {
                let drained = lanes.drain(scope, &stop, |_| {
                    n_done += 1;
                    progress(n_done);
                });
                // Held, parked or in somebody's way: it may be due and yet not
                // go out. It stays queued; this run does not wait for ever.
                let looked = match drained.await {
                    Ok(part) => self.progress_of(run).await.map(|now| (part, now)),
                    Err(error) => Err(error),
                };
                let (part, now) = match looked {
                    Ok(looked) => looked,
                    Err(error) => {
                        // What is on its way is still written down.
                        if !error.is_fatal() {
                            stop.cancel();
                            lanes.stop().await;
                        }
                        return Err(error);
                    }
                };
                n_idle = if part == DeliveryReport::default() && seen == Some(now) {
                    n_idle + 1
                } else {
                    0
                };
                seen = Some(now);
                delivery.add(part);
                if stop.is_cancelled() || n_idle > IDLE_LOOKS_MAX || now.due == 0 {
                    return Ok::<_, AppError>((lanes, delivery));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let watching = async {
            enlisted.died().await;
            stop.cancel();
            std::future::pending().await
        };
        let (lanes, mut delivery) = tokio::select! {
            done = working => done?,
            never = watching => never,
        };
        lanes.stop().await;
        enlisted.leave().await?;
        if matches!(self.store.place(), Place::Postgres(_)) {
            // Others may have sent some of it.
            let by_all = self.report_of(run).await?;
            delivery.sent = delivery.sent.max(by_all.sent);
            delivery.failed = delivery.failed.max(by_all.failed);
            delivery.in_doubt = delivery.in_doubt.max(by_all.in_doubt);
            delivery.not_sent = by_all.not_sent;
        }
        Ok(delivery)
    }

    async fn all_open(&self) -> Result<Vec<OrderId>, AppError> {
        let read = &self.viewer.read;
        let mut out = Vec::new();
        let mut after = OrderId(0);
        loop {
            let ids = read.open_orders(after, read.batch()).await?;
            let Some(last) = ids.last() else {
                return Ok(out);
            };
            after = *last;
            out.extend(ids);
        }
    }

    async fn progress_of(&self, run: RunNo) -> Result<RunProgress, AppError> {
        let soon = self.now().plus(DUE_WITHIN);
        Ok(self.viewer.read.run_progress(run, soon).await?)
    }

    async fn failed_of(&self, run: RunNo) -> Result<Vec<MessageRow>, AppError> {
        let filter = MessageFilter {
            run: Some(run),
            state: Some(MessageState::Failed),
            ..MessageFilter::default()
        };
        let mut failed = self.viewer.read.messages(&filter, LISTED_MAX).await?;
        failed.reverse();
        Ok(failed)
    }

    async fn is_held(&self, run: RunNo) -> Result<bool, AppError> {
        let rows = self.viewer.read.runs(Some(run), 1).await?;
        Ok(rows.iter().any(|row| row.state == RunState::Held))
    }

    /// Whether anything of the run is on its way or due in a moment.
    async fn due_soon(&self, run: RunNo) -> Result<bool, AppError> {
        Ok(self.progress_of(run).await?.due > 0)
    }

    /// The outcome of a run another process delivered.
    async fn report_of(&self, run: RunNo) -> Result<DeliveryReport, AppError> {
        let rows = self.viewer.read.runs(Some(run), 1).await?;
        let count = |state: MessageState| {
            let n = rows
                .first()
                .and_then(|row| row.states.get(state.as_str()))
                .copied();
            usize::try_from(n.unwrap_or(0)).unwrap_or(0)
        };
        use MessageState as S;
        Ok(DeliveryReport {
            sent: count(S::Sent) + count(S::Delivered),
            failed: count(S::Failed) + count(S::Bounced),
            in_doubt: count(S::InDoubt),
            not_sent: count(S::Superseded)
                + count(S::Suppressed)
                + count(S::Expired)
                + count(S::Withdrawn),
            ..DeliveryReport::default()
        })
    }
}
