//! The shop's exports: do they come, and do they come whole?

use super::Item;
use crate::cli::present::{self, feed_trouble, moment};
use crate::config::Config;
use crate::domain::feed::troubles;
use crate::domain::time::Instant;
use crate::store::ReadStore;

const ITEM: &str = "imports";

pub async fn look(config: &Config, read: &ReadStore, now: Instant) -> Vec<Item> {
    let (zone, today) = (config.shop.zone, now.day_in(config.shop.zone));
    let feeds = match read.sources().await {
        Ok(feeds) => feeds,
        Err(error) => return vec![Item::fail(ITEM, error.to_string())],
    };
    let found = troubles(&feeds, &config.feeds, now);
    if !found.is_empty() {
        return found
            .iter()
            .map(|trouble| {
                let says = feed_trouble(trouble, zone, today);
                Item::warn(ITEM, says).cure(present::feed_cure(trouble))
            })
            .collect();
    }
    let newest = feeds
        .iter()
        .filter_map(|feed| Some((feed.written_at.or(feed.last_read_at)?, feed)))
        .max_by_key(|(at, _)| *at);
    let Some((at, feed)) = newest else {
        return vec![Item::ok(ITEM, "nothing was imported yet")];
    };
    let says = format!(
        "{} of {}, {}",
        feed.name,
        moment(at, zone, today),
        present::rows(feed.rows)
    );
    let is_watched = config.feeds.expect_every.is_some() || !config.feeds.files.is_empty();
    if is_watched {
        return vec![Item::ok(ITEM, says)];
    }
    let hint = "expect_every in [import] has an export that stops noticed";
    vec![Item::ok(ITEM, format!("{says}; nobody watches that more come")).cure(hint)]
}
