//! Why: an order's whole history, and what comes next.
//!
//! Gathers facts only; the words are the printer's. The plan in it is made on
//! the spot by the same function a run uses, so what `explain` says is what
//! would happen.

use crate::app::{AppError, Viewer};
use crate::domain::feed::StoredReject;
use crate::domain::forecast::{Forecast, forecast};
use crate::domain::ids::{MessageNo, OrderId};
use crate::domain::notice_key::Mode;
use crate::domain::order::Situation;
use crate::domain::plan::OrderPlan;
use crate::domain::statement::Statement;
use crate::domain::time::{Instant, Length};
use crate::store::read::aftermath::Aftermath;
use crate::store::read::lists::{MessageFilter, OrderFilter};
use crate::store::types::{EtaRow, HoldRow, MessageRow, OrderRow, ToldRow, VerdictRow};
use std::collections::BTreeMap;

/// How far `explain` looks ahead.
const AHEAD: Length = Length::days(60);
/// Most entries of each list; older ones are left out.
const ENTRIES_MAX: u32 = 200;

/// Everything there is to say about an order.
#[derive(Clone, Debug)]
pub struct Explanation {
    pub now: Instant,
    pub order: OrderRow,
    pub situation: Situation,
    /// What the planner makes of it this moment.
    pub plan: OrderPlan,
    /// Oldest first.
    pub messages: Vec<MessageRow>,
    /// What each of them states about this order.
    pub statements: BTreeMap<MessageNo, Statement>,
    /// What became of those that went out, where something is known.
    pub aftermaths: BTreeMap<MessageNo, Aftermath>,
    pub told: Vec<ToldRow>,
    pub verdicts: Vec<VerdictRow>,
    pub etas: Vec<EtaRow>,
    pub next: Vec<Forecast>,
    /// Holds that stop sending for everybody.
    pub holds: Vec<HoldRow>,
    pub hold_file: bool,
    /// The configuration says live, and nobody has gone live.
    pub not_live_yet: bool,
    /// Rows of the latest files that name it and were not taken.
    pub rejected: Vec<StoredReject>,
    /// Name, when it was read last.
    pub sources: Vec<(String, Option<Instant>)>,
}

/// The answer to a search.
#[derive(Clone, Debug)]
pub enum Found {
    /// One order, or several of one customer.
    Orders(Vec<OrderId>),
    /// No order, but rows that were not taken.
    Rejected(Vec<StoredReject>),
    Nothing,
}

impl Viewer {
    /// Finds orders by number, shop id, address or phone number; where there
    /// is none, the rejected rows that name it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn find(&self, text: &str) -> Result<Found, AppError> {
        use crate::domain::contact::{EmailAddress, PhoneNumber};
        let country = self.settings.shop_country;
        let hash = if let Ok(email) = EmailAddress::parse(text) {
            Some(self.key.hash_email(&email))
        } else if text.trim_start().starts_with(['+', '0']) && text.trim().len() > 6 {
            PhoneNumber::parse(text, country)
                .ok()
                .map(|phone| self.key.hash_phone(&phone))
        } else {
            None
        };
        let orders = self.read.find_orders(text, hash.as_deref()).await?;
        if !orders.is_empty() {
            return Ok(Found::Orders(orders));
        }
        let rejected = self.read.rejected_rows(text).await?;
        Ok(if rejected.is_empty() {
            Found::Nothing
        } else {
            Found::Rejected(rejected)
        })
    }

    /// Explains one order; `None` when there is no such order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn explain(&self, id: OrderId) -> Result<Option<Explanation>, AppError> {
        let now = self.now();
        let read = &self.read;
        let Some(item) = read
            .situations(&[id], self.mode(), now)
            .await?
            .into_iter()
            .next()
        else {
            return Ok(None);
        };
        let situation = item.situation;
        let filter = OrderFilter {
            all: true,
            ids: Some(vec![id]),
            ..OrderFilter::default()
        };
        let Some(order) = read.orders(&filter, 1).await?.into_iter().next() else {
            return Ok(None);
        };
        let filter = MessageFilter {
            order: Some(id),
            ..MessageFilter::default()
        };
        let mut messages = read.messages(&filter, ENTRIES_MAX).await?;
        messages.retain(|m| m.mode == self.mode());
        messages.reverse();
        let (mut statements, mut aftermaths) = (BTreeMap::new(), BTreeMap::new());
        for message in &messages {
            let found = read.aftermath(message.no, message.state).await?;
            if !found.is_empty() {
                aftermaths.insert(message.no, found);
            }
            let facts = read.message_facts(message.no).await?;
            let stated =
                facts.and_then(|(_, facts)| facts.orders.into_iter().find(|o| o.order == id));
            statements.extend(stated.map(|stated| (message.no, stated)));
        }
        // Gaps and caps between orders of one customer are judged as a run
        // would judge them.
        let Some(planned) = self.plan_orders(&[id], now).await?.plans.into_iter().next() else {
            return Ok(None);
        };
        let not_live_yet = self.mode() == Mode::Live && read.meta("live_since").await?.is_none();
        let next = forecast(&situation, self.policy(), self.mode(), now, now.plus(AHEAD));
        let mut holds = read.holds().await?;
        holds.retain(|hold| matches!(hold.scope.as_str(), "global" | "channel"));
        Ok(Some(Explanation {
            now,
            plan: planned,
            messages,
            statements,
            aftermaths,
            not_live_yet,
            told: read.told_history(id, self.mode()).await?,
            verdicts: read.verdicts(id).await?,
            etas: read.eta_history(id).await?,
            next,
            holds,
            hold_file: crate::app::hold_file::is_held(&self.settings.state_dir),
            rejected: read.rejected_rows(&order.number).await?,
            sources: read
                .sources()
                .await?
                .into_iter()
                .map(|feed| (feed.name, feed.last_read_at))
                .collect(),
            order,
            situation,
        }))
    }
}
