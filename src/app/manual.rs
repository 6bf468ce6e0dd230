//! A send run by hand: who would hear what, and then the run itself.
//!
//! All open orders are looked at, not only those that are due, so that a
//! person sees why everybody else stays quiet. The run commits its plan like
//! any other; then it watches the daemon deliver, or takes the delivery lock
//! and delivers itself.

use crate::app::deliver::{Delivery, DeliveryReport};
use crate::app::review::{BATCH, ReviewReport, Selection};
use crate::app::{App, AppError, Viewer};
use crate::domain::bundle::PlannedMessage;
use crate::domain::contact::Contact;
use crate::domain::ids::{OrderId, RunNo};
use crate::domain::order::Situation;
use crate::domain::reason::Verdict;
use crate::domain::time::Length;
use crate::store::read::lists::MessageFilter;
use crate::store::sqlite::lock::LockAttempt;
use crate::store::types::{MessageRow, RunState};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A run ends when nothing of it is due within this.
const DUE_WITHIN: Length = Length::secs(60);
/// How often a watched run is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A message of a preview, with what a list shows of it.
#[derive(Clone, Debug)]
pub struct PreviewMessage {
    pub message: PlannedMessage,
    pub order_numbers: Vec<String>,
    pub contact: Contact,
}

/// What a run would do.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    pub orders: usize,
    pub messages: Vec<PreviewMessage>,
    /// Orders that stay quiet: number, verdicts.
    pub quiet: Vec<(String, Vec<Verdict>)>,
    /// Messages written in the last hour, and how many may be.
    pub brake: (u64, u64),
    /// What the plan was made from, so that the run can say when it differs.
    pub taken_orders: Vec<OrderId>,
}

impl Viewer {
    /// Plans every open order (or the selected ones) without writing.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn preview(
        &self,
        selection: &Selection,
        mut progress: impl FnMut(usize),
    ) -> Result<Preview, AppError> {
        let now = self.now();
        let mut out = Preview::default();
        let mut after = OrderId(0);
        loop {
            let ids = match &selection.orders {
                Some(ids) => ids.iter().copied().filter(|id| *id > after).collect(),
                None => self.read.open_orders(after, BATCH).await?,
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
                if let Some(preview) = preview_message(message, &batch.situations) {
                    out.taken_orders
                        .extend(preview.message.notices.iter().map(|n| n.order));
                    out.messages.push(preview);
                }
            }
            for (s, plan) in batch.situations.iter().zip(&batch.plans) {
                if plan.drafts.is_empty() {
                    out.quiet
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

fn preview_message(message: PlannedMessage, situations: &[Situation]) -> Option<PreviewMessage> {
    let first = message.notices.first()?.order;
    let contact = situations
        .iter()
        .find(|s| s.order.id == first)?
        .order
        .contact
        .clone();
    let order_numbers = message
        .facts
        .orders
        .iter()
        .map(|o| o.order_number.clone())
        .collect();
    Some(PreviewMessage {
        message,
        order_numbers,
        contact,
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
    /// The run's messages, oldest first.
    pub messages: Vec<MessageRow>,
    /// The run waits for approval.
    pub held: bool,
}

/// Most messages of a run that are listed at its end.
const LISTED_MAX: u32 = 100_000;

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
            preview.taken_orders.clone()
        };
        for chunk in ids.chunks(BATCH as usize) {
            self.review_batch(run, chunk, selection, now, &mut review)
                .await?;
        }
        let quiet = serde_json::to_string(&review.quiet).unwrap_or_default();
        self.store
            .end_run(run, review.orders as i64, quiet, None)
            .await?;
        let mut delivery = DeliveryReport::default();
        let mut sent_by = None;
        let held = self.is_held(run).await?;
        if review.messages > review.held {
            match self.store.try_delivery_lock() {
                Ok(LockAttempt::Taken(lock)) => {
                    sent_by = Some(SentBy::Us);
                    let (mut lanes, _) = Delivery::start(self.clone(), lock).await?;
                    let mut n_done = 0;
                    loop {
                        let part = lanes
                            .drain(Some(run), stop, |_| {
                                n_done += 1;
                                progress(n_done);
                            })
                            .await?;
                        delivery.add(part);
                        if stop.is_cancelled() || !self.due_soon(run).await? {
                            break;
                        }
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                    lanes.stop().await;
                }
                Ok(LockAttempt::HeldBy(pid)) => {
                    sent_by = Some(SentBy::Daemon(pid));
                    while !stop.is_cancelled() && self.due_soon(run).await? {
                        progress(self.count_ended(run).await?);
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
        let mut messages = self.messages_of(run).await?;
        messages.reverse();
        Ok(RunReport {
            run,
            review,
            delivery,
            sent_by,
            messages,
            held,
        })
    }

    async fn all_open(&self) -> Result<Vec<OrderId>, AppError> {
        let mut out = Vec::new();
        let mut after = OrderId(0);
        loop {
            let ids = self.viewer.read.open_orders(after, BATCH).await?;
            let Some(last) = ids.last() else {
                return Ok(out);
            };
            after = *last;
            out.extend(ids);
        }
    }

    async fn messages_of(&self, run: RunNo) -> Result<Vec<MessageRow>, AppError> {
        let filter = MessageFilter {
            run: Some(run),
            ..MessageFilter::default()
        };
        Ok(self.viewer.read.messages(&filter, LISTED_MAX).await?)
    }

    async fn is_held(&self, run: RunNo) -> Result<bool, AppError> {
        let rows = self.viewer.read.runs(Some(run), 1).await?;
        Ok(rows.iter().any(|row| row.state == RunState::Held))
    }

    /// Whether anything of the run is on its way or due in a moment.
    async fn due_soon(&self, run: RunNo) -> Result<bool, AppError> {
        use crate::domain::message::MessageState as S;
        let soon = self.now().plus(DUE_WITHIN);
        Ok(self.messages_of(run).await?.iter().any(|m| match m.state {
            S::Leased | S::Submitting => true,
            S::Queued => !m.held && m.due_at <= soon,
            _ => false,
        }))
    }

    async fn count_ended(&self, run: RunNo) -> Result<usize, AppError> {
        Ok(self
            .messages_of(run)
            .await?
            .iter()
            .filter(|m| m.state.is_final())
            .count())
    }

    /// The outcome of a run another process delivered.
    async fn report_of(&self, run: RunNo) -> Result<DeliveryReport, AppError> {
        use crate::domain::message::MessageState as S;
        let mut report = DeliveryReport::default();
        for message in self.messages_of(run).await? {
            match message.state {
                S::Sent | S::Delivered => report.sent += 1,
                S::Failed | S::Bounced => report.failed += 1,
                S::InDoubt => report.in_doubt += 1,
                S::Queued if message.attempts > 0 => report.deferred += 1,
                S::Queued | S::Leased | S::Submitting => {}
                S::Superseded | S::Suppressed | S::Expired | S::Withdrawn => report.not_sent += 1,
            }
        }
        Ok(report)
    }
}
