//! Which messages a command is about: by their numbers, or by what they have
//! in common.

use super::{parse_kind, parse_message, parse_run, parse_state};
use crate::app::Viewer;
use crate::app::explain::Found;
use crate::cli::Usage;
use crate::cli::hold::{channel_named, until};
use crate::domain::ids::{MessageNo, OrderId, RunNo};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::time::Instant;
use crate::store::read::lists::MessageFilter;
use crate::store::types::MessageRow;
use chrono_tz::Tz;

/// Most messages one command acts upon.
const SELECTED_MAX: u32 = 10_000;

#[derive(Debug, Default, clap::Args)]
pub struct Filter {
    /// Only about this order (number, shop's id or customer's address)
    #[arg(long, value_name = "ORDER")]
    order: Option<String>,
    /// Only about orders with this SKU
    #[arg(long, value_name = "SKU")]
    sku: Option<String>,
    /// Only of this run
    #[arg(long, value_name = "RUN", value_parser = parse_run)]
    run: Option<RunNo>,
    /// Only of this kind: confirmation, delay, update ...
    #[arg(long, value_name = "KIND", value_parser = parse_kind)]
    kind: Option<Kind>,
    /// Only by email or sms
    #[arg(long, value_name = "CHANNEL", value_parser = channel_named)]
    channel: Option<ChannelName>,
    /// Only in this state
    #[arg(long, value_name = "STATE", value_parser = parse_state)]
    state: Option<MessageState>,
    /// Only sent (or planned) since: 2026-03-02, "2026-03-02 14:00", 4h or 3d ago
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
}

/// Messages by number or by filter.
#[derive(Debug, clap::Args)]
pub struct Selection {
    /// Their numbers, as lists show them
    #[arg(value_name = "MESSAGE", value_parser = parse_message)]
    messages: Vec<MessageNo>,
    #[command(flatten)]
    filter: Filter,
}

impl Filter {
    fn is_empty(&self) -> bool {
        self.order.is_none()
            && self.sku.is_none()
            && self.run.is_none()
            && self.kind.is_none()
            && self.channel.is_none()
            && self.state.is_none()
            && self.since.is_none()
    }

    /// At most `limit` messages, newest first.
    ///
    /// # Errors
    /// There is no such order, `--since` is no moment, the database.
    pub async fn rows(&self, viewer: &Viewer, limit: u32) -> anyhow::Result<Vec<MessageRow>> {
        self.read(viewer, MessageFilter::default(), limit).await
    }

    async fn read(
        &self,
        viewer: &Viewer,
        base: MessageFilter,
        limit: u32,
    ) -> anyhow::Result<Vec<MessageRow>> {
        let since = match &self.since {
            Some(text) => Some(since(text, viewer.now(), viewer.settings.shop.zone)?),
            None => None,
        };
        let mut filter = MessageFilter {
            state: self.state.or(base.state),
            run: self.run,
            kind: self.kind,
            channel: self.channel,
            sku: self.sku.clone(),
            since,
            ..base
        };
        let Some(text) = &self.order else {
            return Ok(viewer.read.messages(&filter, limit).await?);
        };
        let mut rows = Vec::new();
        for id in orders(viewer, text).await? {
            filter.order = Some(id);
            rows.extend(viewer.read.messages(&filter, limit).await?);
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.no));
        rows.dedup_by_key(|row| row.no);
        rows.truncate(limit as usize);
        Ok(rows)
    }
}

impl Selection {
    /// Every message named; by filter those in one of `states` and of the
    /// present mode, unless `--state` says otherwise.
    ///
    /// # Errors
    /// Nothing was named, a message does not exist, too many are meant.
    pub async fn rows(
        &self,
        viewer: &Viewer,
        states: &[MessageState],
    ) -> anyhow::Result<Vec<MessageRow>> {
        match (self.messages.is_empty(), self.filter.is_empty()) {
            (true, true) => {
                let usage = "which messages? Name them (m71) or narrow: --order, --sku, --run, \
                             --kind, --channel, --state, --since";
                return Err(Usage(usage.to_owned()).into());
            }
            (false, false) => {
                let usage = "name messages by their numbers or by filters, not both";
                return Err(Usage(usage.to_owned()).into());
            }
            (false, true) => return self.named(viewer).await,
            (true, false) => {}
        }
        let base = || MessageFilter {
            mode: Some(viewer.mode()),
            ..MessageFilter::default()
        };
        let limit = SELECTED_MAX + 1;
        let mut rows = Vec::new();
        if self.filter.state.is_some() {
            rows = self.filter.read(viewer, base(), limit).await?;
        } else {
            for state in states {
                let narrowed = MessageFilter {
                    state: Some(*state),
                    ..base()
                };
                rows.extend(self.filter.read(viewer, narrowed, limit).await?);
            }
            rows.sort_by_key(|row| std::cmp::Reverse(row.no));
        }
        if rows.len() > SELECTED_MAX as usize {
            let usage = format!("these are more than {SELECTED_MAX} messages; narrow them");
            return Err(Usage(usage).into());
        }
        Ok(rows)
    }

    async fn named(&self, viewer: &Viewer) -> anyhow::Result<Vec<MessageRow>> {
        let mut rows: Vec<MessageRow> = Vec::new();
        for no in &self.messages {
            let filter = MessageFilter {
                no: Some(*no),
                ..MessageFilter::default()
            };
            let row = viewer.read.messages(&filter, 1).await?.pop();
            let row = row.ok_or_else(|| anyhow::anyhow!("there is no message {no}"))?;
            if rows.iter().all(|known| known.no != row.no) {
                rows.push(row);
            }
        }
        Ok(rows)
    }
}

async fn orders(viewer: &Viewer, text: &str) -> anyhow::Result<Vec<OrderId>> {
    match viewer.find(text).await? {
        Found::Orders(ids) => Ok(ids),
        Found::Rejected(_) | Found::Nothing => Err(Usage(format!(
            "there is no order {text}; `backorderd orders show {text}` says more"
        ))
        .into()),
    }
}

/// A day (its first moment), a day with a time, or a length back from now.
fn since(text: &str, now: Instant, zone: Tz) -> Result<Instant, Usage> {
    let text = text.trim();
    until::civil(text, zone)
        .or_else(|| until::length(text).map(|length| now.minus(length)))
        .ok_or_else(|| {
            Usage(format!(
                "--since {text} is neither a day like 2026-03-02, nor a time like \
                 \"2026-03-02 14:00\", nor a length like 4h or 3d"
            ))
        })
}
