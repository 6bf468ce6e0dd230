//! What is wrong with the shop's exports, in words.

use super::{count, length, moment, shell_word};
use crate::domain::feed::FeedTrouble;
use chrono::NaiveDate;
use chrono_tz::Tz;

/// `812 rows`.
pub fn rows(n: u64) -> String {
    count(usize::try_from(n).unwrap_or(usize::MAX), "row", "rows")
}

/// `no new file since Fri 20 Nov 06:00 (orders.csv); one is expected every 26 hours`.
pub fn feed_trouble(trouble: &FeedTrouble, zone: Tz, today: NaiveDate) -> String {
    match trouble {
        FeedTrouble::Silent {
            source,
            since,
            limit,
        } => {
            let every = length(*limit);
            let name = source
                .as_ref()
                .map_or_else(String::new, |name| format!(" ({name})"));
            match since {
                Some(since) => {
                    let since = moment(*since, zone, today);
                    format!("no new file since {since}{name}; one is expected every {every}")
                }
                None => format!("no file ever came{name}; one is expected every {every}"),
            }
        }
        FeedTrouble::Refused { source, at, why } => {
            let at = moment(*at, zone, today);
            format!("{source} of {at} was not taken in: {why}")
        }
        FeedTrouble::LeftOut { source, rows } => {
            let n = usize::try_from(*rows).unwrap_or(usize::MAX);
            let left = count(n, "row was", "rows were");
            format!("{left} left out of the latest {source}")
        }
    }
}

/// What to do about it.
pub fn feed_cure(trouble: &FeedTrouble) -> String {
    match trouble {
        FeedTrouble::Silent { .. } => {
            "look whether the shop's export still runs; what customers are told grows old"
                .to_owned()
        }
        FeedTrouble::Refused { source, .. } | FeedTrouble::LeftOut { source, .. } => format!(
            "repair it in the shop or the file and import it again; backorderd import {} --dry-run \
             shows what is wrong",
            shell_word(source)
        ),
    }
}
