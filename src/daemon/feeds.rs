//! Says in the log when the shop's exports stop coming or are not taken in, and
//! when all is well again. Each trouble is said once, and again with every
//! refused file.

use super::wait;
use crate::app::App;
use crate::domain::feed::FeedTrouble;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Watches until `stop`. A task of its own that nobody waits for: it only reads.
pub(super) async fn watch_feeds(app: App, stop: CancellationToken) {
    let mut known: Vec<FeedTrouble> = Vec::new();
    loop {
        // A database that is away is said by the loops that need it.
        if let Ok(found) = app.viewer.feed_troubles().await {
            for trouble in found.iter().filter(|trouble| !known.contains(trouble)) {
                say(trouble);
            }
            if found.is_empty() && !known.is_empty() {
                tracing::info!("the shop's exports are in order again");
            }
            known = found;
        }
        if wait(LOOK_EVERY, &stop).await {
            return;
        }
    }
}

fn say(trouble: &FeedTrouble) {
    match trouble {
        FeedTrouble::Silent {
            source,
            since,
            limit,
        } => tracing::warn!(
            source,
            since = since.map(|at| at.to_utc().to_rfc3339()),
            expected_every_seconds = limit.as_secs(),
            "no new file from the shop for longer than expected"
        ),
        FeedTrouble::Refused { source, why, .. } => {
            tracing::warn!(source, why, "a file from the shop was not taken in");
        }
        FeedTrouble::LeftOut { source, rows } => {
            tracing::warn!(source, rows, "rows of the shop's file were left out");
        }
    }
}
