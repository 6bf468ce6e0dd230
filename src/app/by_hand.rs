//! What people do to single messages: take one back, try one again, have one
//! sent again, say what became of one in doubt.
//!
//! A look first ([`Viewer::look_again`]): what would be done, and where not,
//! why. The act goes by that look; the store holds each message against its
//! guards once more and leaves alone what changed meanwhile.

use crate::app::review::PlannedBatch;
use crate::app::{App, AppError, Reach, Viewer};
use crate::domain::bundle::{PlannedMessage, PlannedNotice};
use crate::domain::contact::Contact;
use crate::domain::ids::{ContactId, MessageNo, OrderId, RunNo};
use crate::domain::kinds::ChannelName;
use crate::domain::message::MessageState;
use crate::domain::notice_key::notice_key;
use crate::domain::plan::{Again, NotAgain, OrderPlan, say_again};
use crate::domain::reason::Wake;
use crate::domain::statement::{MessageFacts, Statement};
use crate::domain::time::Instant;
use crate::store::read::by_hand::Origin;
use crate::store::types::{MessageRow, OutgoingMessage, PlannedOrder, Review};
use crate::store::write::by_hand::{Act, Retry};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// Orders read and messages written in one go.
const BATCH: usize = 200;
/// A message that is being prepared is asked for again so often.
const LOOKS_MAX: u32 = 15;
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a message says today, ready to be queued.
#[derive(Clone, Debug)]
pub struct Ready {
    pub facts: MessageFacts,
    pub due_at: Instant,
    pub not_after: Instant,
    /// Orders it was about and is not any more, by number, with the reason.
    pub left_out: Vec<(String, NotAgain)>,
    notices: Vec<PlannedNotice>,
    contact: ContactId,
    recipient: String,
    address_hash: String,
}

/// A message and what can be done with it.
pub type Looked = (MessageRow, Result<Ready, String>);

/// What a look at some messages found.
#[derive(Clone, Debug, Default)]
pub struct LookedAt {
    /// In the order asked for.
    pub messages: Vec<Looked>,
    /// The plans of their orders.
    plans: BTreeMap<OrderId, OrderPlan>,
}

/// What is to be done with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The same message once more, as it was written.
    Retry,
    /// A new message that says it as it stands today.
    Resend,
}

/// What a resend came to.
#[derive(Clone, Debug, Default)]
pub struct Resent {
    pub run: Option<RunNo>,
    pub messages: Vec<Repeat>,
}

/// A message that was written once more.
#[derive(Clone, Copy, Debug)]
pub struct Repeat {
    pub old: MessageNo,
    pub new: MessageNo,
    /// It waits for a person's approval, in a held run.
    pub held: bool,
    /// Another process brought newer settings: it waits for that.
    pub overtaken: bool,
}

struct Facts {
    batch: PlannedBatch,
    at: HashMap<OrderId, usize>,
    origins: HashMap<(MessageNo, OrderId), Origin>,
}

impl Viewer {
    /// Looks at what each message would say today. At most one resend of an
    /// order over a channel: of several the first in the list.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn look_again(
        &self,
        rows: Vec<MessageRow>,
        purpose: Purpose,
    ) -> Result<LookedAt, AppError> {
        let now = self.now();
        let mut out = LookedAt::default();
        let mut taken: HashMap<(OrderId, ChannelName), MessageNo> = HashMap::new();
        for chunk in rows.chunks(BATCH) {
            let mut said = Vec::new();
            for row in chunk {
                let facts = self.read.message_facts(row.no).await?;
                said.push(facts.map(|(_, facts)| facts));
            }
            let known = self.facts_for(chunk, &said, now).await?;
            for (row, said) in chunk.iter().zip(said) {
                let ready = self.judge(row, said, purpose, &known, now);
                let ready = ready.and_then(|ready| {
                    for notice in &ready.notices {
                        let place = (notice.order, row.channel);
                        let first = *taken.entry(place).or_insert(row.no);
                        if first != row.no {
                            return Err(format!("{first}, about the same order, takes its place"));
                        }
                    }
                    Ok(ready)
                });
                out.messages.push((row.clone(), ready));
            }
            let plans = known.batch.plans.into_iter();
            out.plans.extend(plans.map(|plan| (plan.order, plan)));
        }
        Ok(out)
    }

    async fn facts_for(
        &self,
        rows: &[MessageRow],
        said: &[Option<MessageFacts>],
        now: Instant,
    ) -> Result<Facts, AppError> {
        let orders: HashSet<OrderId> = said
            .iter()
            .flatten()
            .flat_map(|facts| &facts.orders)
            .map(|statement| statement.order)
            .collect();
        let orders: Vec<OrderId> = orders.into_iter().collect();
        let batch = self.plan_orders(&orders, now).await?;
        let at = batch
            .situations
            .iter()
            .enumerate()
            .map(|(index, s)| (s.order.id, index))
            .collect();
        let messages: Vec<MessageNo> = rows.iter().map(|row| row.no).collect();
        let origins = self.read.origins(&messages).await?;
        let origins = origins.into_iter().map(|o| ((o.message, o.order), o));
        Ok(Facts {
            batch,
            at,
            origins: origins.collect(),
        })
    }

    fn judge(
        &self,
        row: &MessageRow,
        said: Option<MessageFacts>,
        purpose: Purpose,
        known: &Facts,
        now: Instant,
    ) -> Result<Ready, String> {
        if row.mode != self.mode() {
            return Err(format!("it was written in {} mode", row.mode.as_str()));
        }
        fits(row.state, purpose)?;
        let said = said.ok_or("what it said is not kept any more")?;
        let mut orders = Vec::new();
        let mut left_out = Vec::new();
        for statement in &said.orders {
            match self.judge_order(row, statement, known, now) {
                Ok(order) => orders.push(order),
                Err(why) => left_out.push((statement.order_number.clone(), why)),
            }
        }
        let Some((first, _)) = orders.first() else {
            return Err(left_out
                .first()
                .map_or_else(String::new, |(_, why)| why.to_string()));
        };
        let s = &known.batch.situations[known.at[first]];
        let (recipient, address_hash) =
            place(row.channel, &s.order.contact, known.batch.hashes_of(*first))
                .ok_or_else(|| NotAgain::Unreachable.to_string())?;
        let mut ready = Ready {
            facts: MessageFacts {
                kind: row.kind,
                locale: s
                    .order
                    .contact
                    .locale
                    .clone()
                    .unwrap_or_else(|| self.settings.shop.locale.clone()),
                customer_name: s.order.contact.name.clone(),
                orders: Vec::new(),
            },
            due_at: now,
            not_after: Instant(i64::MAX),
            left_out,
            notices: Vec::new(),
            contact: s.order.contact_id,
            recipient,
            address_hash,
        };
        for (order, again) in orders {
            let s = &known.batch.situations[known.at[&order]];
            let origin = known
                .origins
                .get(&(row.no, order))
                .ok_or("it belongs to no order any more")?;
            if s.order.contact_id != ready.contact {
                return Err("its orders belong to several customers by now".to_owned());
            }
            if purpose == Purpose::Retry && origin.address_hash != ready.address_hash {
                return Err(format!(
                    "the customer has another address by now: backorderd messages resend {}",
                    row.no
                ));
            }
            let take = match purpose {
                Purpose::Retry => origin.take,
                Purpose::Resend => origin.take.saturating_add(1),
            };
            ready.notices.push(PlannedNotice {
                order,
                key: notice_key(
                    &s.order.key,
                    row.kind,
                    &origin.discriminator,
                    row.channel,
                    row.mode,
                    take,
                ),
                discriminator: origin.discriminator.clone(),
                take,
                fact_version: s.order.fact_version,
                facts_hash: again.statement.facts_hash(),
                milestone_days: again.statement.milestone_days,
                rests_from: None,
            });
            ready.due_at = ready.due_at.max(again.due_at);
            ready.not_after = ready.not_after.min(again.not_after);
            ready.facts.orders.push(again.statement);
        }
        if purpose == Purpose::Retry {
            let moved = said
                .orders
                .iter()
                .find(|before| !is_as_written(before, &ready.facts));
            if let Some(moved) = moved {
                return Err(format!(
                    "what it says about order {} is not true any more",
                    moved.order_number
                ));
            }
        }
        self.can_be_rendered(
            row.channel,
            match purpose {
                Purpose::Retry => &said,
                Purpose::Resend => &ready.facts,
            },
        )?;
        Ok(ready)
    }

    fn judge_order(
        &self,
        row: &MessageRow,
        said: &Statement,
        known: &Facts,
        now: Instant,
    ) -> Result<(OrderId, Again), NotAgain> {
        let index = *known.at.get(&said.order).ok_or(NotAgain::NothingWaits)?;
        let (s, plan) = (&known.batch.situations[index], &known.batch.plans[index]);
        let again = say_again(s, plan, said, row.channel, self.policy(), now)?;
        Ok((said.order, again))
    }

    fn can_be_rendered(&self, channel: ChannelName, facts: &MessageFacts) -> Result<(), String> {
        let today = self.today();
        let rendered = match channel {
            ChannelName::Email => self.templates.render_email(facts, today).map(drop),
            ChannelName::Sms => self.templates.render_sms(facts, today).map(drop),
        };
        rendered.map_err(|error| format!("no template renders it: {error}"))
    }
}

fn is_as_written(before: &Statement, today: &MessageFacts) -> bool {
    let hash = before.facts_hash();
    today.orders.iter().any(|now| now.facts_hash() == hash)
}

fn fits(state: MessageState, purpose: Purpose) -> Result<(), String> {
    use MessageState as S;
    let why = match (purpose, state) {
        (Purpose::Resend, S::Sent | S::Delivered | S::Bounced | S::Failed | S::Withdrawn)
        | (Purpose::Retry, S::Failed) => return Ok(()),
        (_, S::InDoubt) => {
            "whether it arrived is not known yet: `backorderd messages settle`, or wait until it \
             is settled by itself"
        }
        (_, S::Queued) => "it waits to go out",
        (_, S::Leased | S::Submitting) => "it is being sent at this moment",
        (_, S::Superseded | S::Suppressed | S::Expired) => {
            "it was taken back unsent; what is owed now is planned by itself"
        }
        (Purpose::Retry, S::Bounced) => {
            "it came back; with a repaired address it can be resent, not retried"
        }
        (Purpose::Retry, S::Withdrawn) => "a person withdrew it; it can be resent",
        (Purpose::Retry, S::Sent | S::Delivered) => "it did not fail; it can be resent",
    };
    Err(why.to_owned())
}

/// Where a channel reaches somebody today.
fn place(
    channel: ChannelName,
    contact: &Contact,
    hashes: Option<&crate::store::read::situations::AddressHashes>,
) -> Option<(String, String)> {
    let hashes = hashes?;
    match channel {
        ChannelName::Email => Some((contact.email.as_ref()?.expose(), hashes.email.clone()?)),
        ChannelName::Sms => Some((
            contact.phone.as_ref()?.expose().to_owned(),
            hashes.phone.clone()?,
        )),
    }
}

impl App {
    /// Takes queued messages back. One that is being prepared at this moment is
    /// asked for again for a short while: it may come back into the queue.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn withdraw(
        &self,
        messages: &[MessageNo],
        act: &Act,
    ) -> Result<Vec<MessageNo>, AppError> {
        let mut left = messages.to_vec();
        let mut done = Vec::new();
        for look in 0..=LOOKS_MAX {
            let now = self.now();
            let taken = self.store.withdraw_messages(left.clone(), act.clone(), now);
            let taken = taken.await?;
            left.retain(|no| !taken.contains(no));
            done.extend(taken);
            let mut leased = Vec::new();
            for no in left {
                if self.viewer.state_of(no).await? == Some(MessageState::Leased) {
                    leased.push(no);
                }
            }
            left = leased;
            if left.is_empty() || look == LOOKS_MAX {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        done.sort_unstable();
        Ok(done)
    }

    /// Queues failed messages again; answers those that were.
    ///
    /// # Errors
    /// Nobody has gone live, or the database cannot be written.
    pub async fn retry(&self, looked: &LookedAt, act: &Act) -> Result<Vec<MessageNo>, AppError> {
        self.require_live_act().await?;
        let retries = looked
            .messages
            .iter()
            .filter_map(|(row, ready)| {
                let ready = ready.as_ref().ok()?;
                let facts = ready.notices.iter().map(|n| (n.order, n.fact_version));
                Some(Retry {
                    no: row.no,
                    facts: facts.collect(),
                    due_at: ready.due_at,
                    not_after: ready.not_after,
                })
            })
            .collect();
        let now = self.now();
        Ok(self.store.retry_messages(retries, act.clone(), now).await?)
    }

    /// Writes the new messages, as one run: brake and holds are for them as
    /// for all. What changed since the look is not written.
    ///
    /// # Errors
    /// Nobody has gone live, or the database cannot be written.
    pub async fn resend(&self, looked: &LookedAt, act: &Act) -> Result<Resent, AppError> {
        self.require_live_act().await?;
        let ready: Vec<(&MessageRow, &Ready)> = looked
            .messages
            .iter()
            .filter_map(|(row, ready)| Some((row, ready.as_ref().ok()?)))
            .collect();
        let mut out = Resent::default();
        if ready.is_empty() {
            return Ok(out);
        }
        let run = self.begin_run("resend", &act.by, None, self.now()).await?;
        out.run = Some(run);
        let mut n_orders = 0;
        for chunk in ready.chunks(BATCH) {
            let now = self.now();
            // An order may hear it over both channels.
            let about: BTreeSet<OrderId> = chunk
                .iter()
                .flat_map(|(_, ready)| &ready.notices)
                .map(|notice| notice.order)
                .collect();
            let plans = about.iter().filter_map(|order| looked.plans.get(order));
            let orders: Vec<PlannedOrder> = plans.map(planned).collect();
            n_orders += orders.len();
            let messages = chunk
                .iter()
                .map(|(row, ready)| OutgoingMessage {
                    uid: self.ids.message_uid(now),
                    resend_of: Some(row.no),
                    planned: PlannedMessage {
                        contact: ready.contact,
                        channel: row.channel,
                        kind: row.kind,
                        facts: ready.facts.clone(),
                        notices: ready.notices.clone(),
                        due_at: ready.due_at,
                        not_after: ready.not_after,
                    },
                    recipient: ready.recipient.clone(),
                    address_hash: ready.address_hash.clone(),
                })
                .collect();
            let review = Review {
                run,
                mode: self.mode(),
                orders,
                messages,
                held: self.settings().reach == Reach::Review,
                settings: self.settings().policy_digest.clone(),
                brake: Some(self.brake_at(now).await?),
                // The orders' versions keep it apart from other planners.
                planner: None,
            };
            let written = self.store.commit_review(review, now).await?;
            for (row, _) in chunk {
                let resends = self.viewer.read.resends(row.no).await?;
                let ours = resends.iter().find(|no| written.messages.contains(no));
                if let Some(no) = ours {
                    out.messages.push(Repeat {
                        old: row.no,
                        new: *no,
                        held: written.held,
                        overtaken: written.overtaken,
                    });
                    let (by, target) = (&act.by, row.no.to_string());
                    let verb = format!("resend as {no}");
                    let why = act.why.as_deref();
                    self.store.audit(by, &verb, &target, why, now).await?;
                }
            }
        }
        let n_orders = i64::try_from(n_orders).unwrap_or(i64::MAX);
        let done = self.store.end_run(run, n_orders, "{}".to_owned(), None);
        done.await?;
        Ok(out)
    }
}

/// What the planner makes of the order, with a message it did not ask for.
fn planned(plan: &OrderPlan) -> PlannedOrder {
    PlannedOrder {
        order: plan.order,
        review_version: plan.review_version,
        keep: plan.keep.clone(),
        supersede: plan.supersede.clone(),
        verdicts: plan.verdicts.clone(),
        wake: match plan.wake {
            // It stays open until this has gone out.
            Wake::Never => Wake::OnEvent,
            other => other,
        },
    }
}

impl Viewer {
    async fn state_of(&self, no: MessageNo) -> Result<Option<MessageState>, AppError> {
        let filter = crate::store::read::lists::MessageFilter {
            no: Some(no),
            ..Default::default()
        };
        let rows = self.read.messages(&filter, 1).await?;
        Ok(rows.first().map(|row| row.state))
    }
}
