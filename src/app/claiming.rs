//! Claiming beside everything else: a task that asks the store for more while
//! whoever hands out goes on with what there is.
//!
//! Promises: what it takes is in its answer, whatever fails behind it; nobody
//! cancels it. Who does not wait for the answer has to look after the leases.

use crate::app::{App, AppError};
use crate::domain::ids::{RunNo, WorkerId};
use crate::domain::kinds::ChannelName;
use crate::domain::time::{Instant, Length};
use crate::store::types::Claimed;
use crate::store::write::deliver::Claim;
use std::future::pending;
use tokio::task::JoinHandle;

/// How long a claimed message may wait for its lane.
const LEASE: Length = Length::mins(2);
/// What was claimed for each channel, and when it was asked for; an error ends
/// the claims for those behind it.
pub type Claims = (
    Vec<(ChannelName, Vec<Claimed>, Instant)>,
    Result<(), AppError>,
);
/// A task of its own: it goes on while whoever hands out does something else.
pub type Claiming = JoinHandle<Claims>;

/// What a claim is made for.
pub struct Wanted {
    pub by: WorkerId,
    /// Channels, and how many for each.
    pub limits: Vec<(ChannelName, u32)>,
    /// Channels that can send at the moment.
    pub able: Vec<ChannelName>,
    /// Texts that may not have begun yet.
    pub texts_in_hands: u32,
    pub run: Option<RunNo>,
}

/// When a claim on its way has ended; never, where there is none.
pub async fn ended(claiming: &mut Option<Claiming>) -> Claims {
    match claiming {
        Some(claiming) => {
            let broke = |_| (Vec::new(), Err(AppError::LaneBroke));
            claiming.await.unwrap_or_else(broke)
        }
        None => pending().await,
    }
}

/// Begins to claim for one channel after the other.
pub fn begin(app: App, wanted: Wanted) -> Claiming {
    tokio::spawn(async move {
        let mut claims = Vec::new();
        let done = claim_each(&app, wanted, &mut claims).await;
        (claims, done)
    })
}

async fn claim_each(
    app: &App,
    mut wanted: Wanted,
    claims: &mut Vec<(ChannelName, Vec<Claimed>, Instant)>,
) -> Result<(), AppError> {
    // The day's limit of texts; what is used up can send no more.
    if wanted.able.contains(&ChannelName::Sms) {
        let day_ago = app.now().minus(Length::hours(24));
        let sent = app.viewer.read.count_texts_since(app.mode(), day_ago);
        let left = app.policy().sms.per_day_max.saturating_sub(sent.await?);
        let left = left.saturating_sub(wanted.texts_in_hands);
        let texts = |(name, _): &&mut (ChannelName, u32)| *name == ChannelName::Sms;
        for (_, limit) in wanted.limits.iter_mut().filter(texts) {
            *limit = (*limit).min(left);
        }
        wanted
            .able
            .retain(|name| *name != ChannelName::Sms || left > 0);
    }
    for (name, limit) in wanted.limits {
        let now = app.now();
        if limit == 0 {
            claims.push((name, Vec::new(), now));
            continue;
        }
        let ask = Claim {
            by: wanted.by,
            mode: app.mode(),
            now,
            lease_until: now.plus(LEASE),
            limit,
            run: wanted.run,
            channels: vec![name],
            able: wanted.able.clone(),
        };
        claims.push((name, app.store.claim(ask).await?, now));
    }
    Ok(())
}
