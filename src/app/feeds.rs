//! Whether the shop's exports still come, and come whole.

use crate::app::{AppError, Viewer};
use crate::domain::feed::{Cut, FeedTrouble, cut_off, troubles};

impl Viewer {
    /// What is wrong with the exports at the moment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn feed_troubles(&self) -> Result<Vec<FeedTrouble>, AppError> {
        let feeds = self.read.sources().await?;
        Ok(troubles(&feeds, &self.settings.feeds, self.now()))
    }

    /// Why a file of a source looks cut off beside the one before, if it does.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn looks_cut(
        &self,
        source: &str,
        rows: u64,
        ends_line: bool,
    ) -> Result<Option<Cut>, AppError> {
        let feeds = self.read.sources().await?;
        let before = feeds.iter().find(|feed| feed.name == source);
        Ok(before.and_then(|before| cut_off(before, rows, ends_line, &self.settings.feeds)))
    }
}
