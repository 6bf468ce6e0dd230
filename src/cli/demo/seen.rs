//! What the program really did, looked up in its database and told in a few
//! words. The story asks here; it never answers for the program.

use super::world::World;
use crate::cli::present;
use crate::domain::eta::Eta;
use crate::domain::ids::MessageNo;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::quantity::Quantity;
use crate::domain::reason::Reason;
use crate::domain::statement::{MessageFacts, Statement};
use crate::domain::time::Instant;
use crate::store::read::lists::{MessageFilter, OrderFilter};
use crate::store::types::MessageRow;
use anyhow::Context as _;
use chrono::NaiveDate;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Most messages of an order.
const MESSAGES_MAX: u32 = 100;

/// In one word, what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tag {
    Said,
    Quiet,
    Held,
    Later,
}

impl Tag {
    pub fn as_str(self) -> &'static str {
        match self {
            Tag::Said => "SAID",
            Tag::Quiet => "QUIET",
            Tag::Held => "HELD",
            Tag::Later => "LATER",
        }
    }
}

impl World {
    /// The shop's day, which dates are printed from.
    pub fn today(&self) -> NaiveDate {
        self.app.viewer.today()
    }

    /// Messages about some orders written at or after `since`, oldest first,
    /// those taken back unsent left out.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn messages(
        &self,
        numbers: &[&str],
        since: Instant,
    ) -> anyhow::Result<Vec<MessageRow>> {
        let mut found: BTreeMap<MessageNo, MessageRow> = BTreeMap::new();
        for number in numbers {
            let filter = MessageFilter {
                order: Some(self.order(number).await?),
                ..MessageFilter::default()
            };
            let rows = self.app.viewer.read.messages(&filter, MESSAGES_MAX).await?;
            for row in rows.into_iter().filter(|row| row.planned_at >= since) {
                found.insert(row.no, row);
            }
        }
        Ok(found.into_values().filter(was_meant).collect())
    }

    /// Every message ever written, oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn everything(&self) -> anyhow::Result<Vec<MessageRow>> {
        let all = MessageFilter::default();
        let mut rows = self.app.viewer.read.messages(&all, u32::MAX).await?;
        rows.reverse();
        Ok(rows)
    }

    /// What a message says.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn facts(&self, no: MessageNo) -> anyhow::Result<MessageFacts> {
        let found = self.app.viewer.read.message_facts(no).await?;
        Ok(found.with_context(|| format!("{no} is gone"))?.1)
    }

    /// In a few words, what a message says.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn words(&self, message: &MessageRow) -> anyhow::Result<String> {
        let facts = self.facts(message.no).await?;
        Ok(facts
            .orders
            .first()
            .map(|order| words(message.kind, order, self.today()))
            .unwrap_or_default())
    }

    /// Why an order was passed over at or after `since`; newest last.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn silences(&self, number: &str, since: Instant) -> anyhow::Result<Vec<Reason>> {
        let rows = self
            .app
            .viewer
            .read
            .verdicts(self.order(number).await?)
            .await?;
        Ok(rows
            .into_iter()
            .filter(|row| row.at >= since && !row.verdict.is_said())
            .map(|row| row.verdict.reason)
            .collect())
    }

    /// Whether any message ever stated this ship date for these orders.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn ever_said(&self, numbers: &[&str], on: NaiveDate) -> anyhow::Result<bool> {
        for message in self.messages(numbers, Instant(0)).await? {
            let facts = self.facts(message.no).await?;
            let mut lines = facts.orders.iter().flat_map(|order| &order.lines);
            if lines.any(|line| line.promise == Some(Eta::day(on))) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How often it was decided to say nothing, over all orders.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn count_silences(&self) -> anyhow::Result<usize> {
        let all = OrderFilter {
            all: true,
            ..OrderFilter::default()
        };
        let mut silences = 0;
        for order in self.app.viewer.read.orders(&all, u32::MAX).await? {
            let verdicts = self.app.viewer.read.verdicts(order.id).await?;
            silences += verdicts.iter().filter(|row| !row.verdict.is_said()).count();
        }
        Ok(silences)
    }

    /// A silence in words.
    pub fn reason(&self, reason: &Reason) -> String {
        present::reason(reason, self.zone, self.today())
    }
}

/// Taken back before it left, and written anew or not: never said.
fn was_meant(message: &MessageRow) -> bool {
    use crate::domain::message::MessageState as S;
    !matches!(message.state, S::Superseded | S::Withdrawn | S::Expired)
}

/// What became of some messages as a whole.
pub fn tag_of(messages: &[MessageRow]) -> Tag {
    if messages.is_empty() {
        Tag::Quiet
    } else if messages.iter().any(|m| m.held) {
        Tag::Held
    } else if messages.iter().all(|m| m.state.is_sent()) {
        Tag::Said
    } else {
        Tag::Later
    }
}

/// `3 e-mails and 1 text`.
pub fn counted(messages: &[MessageRow]) -> String {
    let of = |channel| messages.iter().filter(|m| m.channel == channel).count();
    let mails = present::count(of(ChannelName::Email), "e-mail", "e-mails");
    let texts = present::count(of(ChannelName::Sms), "text", "texts");
    match (of(ChannelName::Email), of(ChannelName::Sms)) {
        (_, 0) => mails,
        (0, _) => texts,
        _ => format!("{mails} and {texts}"),
    }
}

/// `21 delay, 1 date set`, most first.
pub fn kinds_of(messages: &[MessageRow]) -> String {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for message in messages {
        *counts.entry(message.kind).or_default() += 1;
    }
    let mut list: Vec<(Kind, usize)> = counts.into_iter().collect();
    list.sort_by_key(|(kind, n)| (std::cmp::Reverse(*n), *kind));
    let parts: Vec<String> = list
        .iter()
        .map(|(kind, n)| format!("{n} {}", kind.words()))
        .collect();
    parts.join(", ")
}

/// Every order some messages are about.
pub fn orders_of(messages: &[MessageRow]) -> BTreeSet<String> {
    messages
        .iter()
        .flat_map(|m| m.orders.iter().cloned())
        .collect()
}

fn words(kind: Kind, order: &Statement, today: NaiveDate) -> String {
    let eta = |eta: Eta| present::eta(eta, today);
    let sum = |part: fn(&crate::domain::statement::LineStatement) -> Quantity| {
        present::pieces(order.lines.iter().map(|line| part(line).0).sum())
    };
    let waiting = order.waiting_lines().next();
    let promise = waiting.and_then(|line| line.promise).unwrap_or_default();
    let told = waiting.and_then(|line| line.told).map(|told| told.promise);
    let told = told.unwrap_or_default();
    let word = order
        .next_word_by
        .map(|on| format!("; we write again by {}", present::day(on, today)))
        .unwrap_or_default();
    match kind {
        Kind::Confirmation => format!("confirmation: should ship {}", eta(promise)),
        Kind::DateSet => format!("first date: {}", eta(promise)),
        Kind::Delay => format!("delay to {}, we said {}", eta(promise), eta(told)),
        Kind::Sooner => format!("sooner: {} instead of {}", eta(promise), eta(told)),
        Kind::DateWithdrawn => format!("no date now, it was {}{word}", eta(told)),
        Kind::Overdue => format!("overdue: {} has passed{word}", eta(told)),
        Kind::Update if promise.is_known() => format!("still waiting, {} unchanged", eta(promise)),
        Kind::Update => format!("still waiting, no date yet{word}"),
        Kind::Shipped => {
            let rest = match waiting {
                Some(line) => format!(
                    ", {} should ship {}",
                    present::pieces(line.waiting.0),
                    eta(promise)
                ),
                None => String::new(),
            };
            format!("shipped: {} now{rest}", sum(|line| line.shipped_now))
        }
        Kind::Cancelled => format!("cancelled: {}", sum(|line| line.cancelled_now)),
    }
}
