//! The shop's exports as a person would watch them: do they still come, did
//! the last one come whole?
//!
//! A missing row means nothing, so an export that stopped or was cut off does
//! no harm by itself; it only makes everything we say old. Nobody would notice,
//! and that is why it is watched here. Pure: what was remembered of each source
//! comes in, what is wrong with it goes out.

use super::time::{Instant, Length};
use serde::Serialize;
use std::collections::BTreeMap;

/// Fewer rows than this before, and any number of them may be gone by chance.
const ROWS_MIN: u64 = 10;

/// What is expected of exports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedPolicy {
    /// Some file comes at least this often; without it nobody is told.
    pub expect_every: Option<Length>,
    /// How often single files come, by name as [`family`] gives it.
    pub files: BTreeMap<String, Length>,
    /// A file with less than this share (percent) of the rows of the one
    /// before is not believed; 0 believes every file.
    pub least_percent: u32,
}

/// What is remembered of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feed {
    pub name: String,
    pub kind: String,
    /// When it was last read completely.
    pub last_read_at: Option<Instant>,
    /// Rows of the last whole file.
    pub rows: u64,
    /// When the newest file that was taken in was written.
    pub written_at: Option<Instant>,
    /// The last whole file ended with a line end.
    pub ends_line: bool,
    /// Why the latest file was not taken in, if it was not.
    pub refused: Option<RefusedFile>,
    /// Rows of the latest file that were not taken in.
    pub rejected_rows: u64,
}

/// How long a file that was never taken in under its name is spoken of: a
/// mistyped one must not stay for ever, and a job that fails tries again.
const TRIED_ONCE: Length = Length::days(7);

impl Feed {
    /// Somebody tried it once and gave up.
    pub fn is_forgotten(&self, now: Instant) -> bool {
        let tried = self.refused.as_ref().map(|refused| refused.at);
        self.written_at.is_none()
            && self.last_read_at.is_none()
            && tried.is_some_and(|at| now.since(at) > TRIED_ONCE)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedFile {
    pub at: Instant,
    /// Without personal data.
    pub why: String,
}

/// What is remembered of a file beside its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileMark {
    /// All that the shop has stood in it, be it readable or not.
    pub is_whole: bool,
    /// When it was written, by the file system.
    pub written_at: Option<Instant>,
    /// Its last character is a line end.
    pub ends_line: bool,
}

/// A row that was not taken in; without personal data but the order's number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectedRow {
    pub line: u64,
    /// Where it can be read.
    pub order_number: Option<String>,
    /// Our name of the field that is to blame.
    pub field: Option<String>,
    pub reason: String,
}

impl RejectedRow {
    /// `line 17 (email): not an e-mail address`.
    pub fn words(&self) -> String {
        let field = self.field.as_ref();
        let field = field.map_or_else(String::new, |field| format!(" ({field})"));
        format!("line {}{field}: {}", self.line, self.reason)
    }
}

/// A rejected row with the file it stood in and when that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredReject {
    pub source: String,
    #[serde(flatten)]
    pub row: RejectedRow,
    pub at: Instant,
}

/// What is wrong with an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "trouble", rename_all = "snake_case")]
pub enum FeedTrouble {
    /// No new file for longer than `limit_ms`.
    Silent {
        /// The file that is missed, or the newest there is.
        source: Option<String>,
        since: Option<Instant>,
        #[serde(rename = "limit_ms")]
        limit: Length,
    },
    /// The latest file was not taken in.
    Refused {
        source: String,
        at: Instant,
        why: String,
    },
    /// The latest file was taken in without some of its rows.
    LeftOut { source: String, rows: u64 },
}

/// Everything wrong with the exports at `now`; what expects a file names it.
pub fn troubles(feeds: &[Feed], policy: &FeedPolicy, now: Instant) -> Vec<FeedTrouble> {
    let mut found = Vec::new();
    let silent = |feed: Option<&Feed>, name: Option<&str>, limit: Length| {
        let since = feed.and_then(|feed| feed.written_at);
        let is_late = since.is_none_or(|since| now.since(since) > limit);
        is_late.then(|| FeedTrouble::Silent {
            source: name
                .map(str::to_owned)
                .or_else(|| feed.map(|feed| feed.name.clone())),
            since,
            limit,
        })
    };
    for (name, limit) in &policy.files {
        let feed = feeds.iter().find(|feed| feed.name == *name);
        found.extend(silent(feed, Some(name), *limit));
    }
    if let Some(limit) = policy.expect_every {
        let newest = feeds
            .iter()
            .filter(|feed| feed.written_at.is_some())
            .max_by_key(|feed| feed.written_at);
        found.extend(silent(newest, None, limit));
    }
    for feed in feeds.iter().filter(|feed| !feed.is_forgotten(now)) {
        if let Some(refused) = &feed.refused {
            found.push(FeedTrouble::Refused {
                source: feed.name.clone(),
                at: refused.at,
                why: refused.why.clone(),
            });
        } else if feed.rejected_rows > 0 {
            found.push(FeedTrouble::LeftOut {
                source: feed.name.clone(),
                rows: feed.rejected_rows,
            });
        }
    }
    found
}

/// Why a file is not believed to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Far fewer rows than the file before.
    Fewer { rows: u64, before: u64 },
    /// It ends in the middle of a line, as the one before did not.
    InALine,
}

impl Cut {
    /// `has 12 rows, the one before had 812`.
    pub fn words(self) -> String {
        match self {
            Cut::Fewer { rows, before } => {
                let noun = if rows == 1 { "row" } else { "rows" };
                format!("it has {rows} {noun}, the one before had {before}")
            }
            Cut::InALine => {
                "it does not end with a line end, as the one before did: the last line may be cut \
                 off"
                .to_owned()
            }
        }
    }
}

/// Whether a file of `rows` rows looks cut off beside the one before.
pub fn cut_off(before: &Feed, rows: u64, ends_line: bool, policy: &FeedPolicy) -> Option<Cut> {
    if policy.least_percent == 0 {
        return None;
    }
    let few = rows.saturating_mul(100) < before.rows.saturating_mul(policy.least_percent.into());
    if before.rows >= ROWS_MIN && few {
        let before = before.rows;
        return Some(Cut::Fewer { rows, before });
    }
    (before.ends_line && !ends_line && rows > 0).then_some(Cut::InALine)
}

/// Digits in a name from which it is a date or a running number.
const STAMP_DIGITS: usize = 6;

/// The name under which the exports of one job are one source: a date or a long
/// number in a file's name becomes `*`, `orders-2026-11-23.csv` is one of
/// `orders-*.csv`.
pub fn family(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut run = String::new();
    let flush = |run: &mut String, out: &mut String| {
        // Marks behind the last digit belong to what follows.
        let end = run
            .rfind(|c: char| c.is_ascii_digit())
            .map_or(0, |at| at + 1);
        let digits = run.chars().filter(char::is_ascii_digit).count();
        if digits >= STAMP_DIGITS {
            out.push('*');
            out.push_str(&run[end..]);
        } else {
            out.push_str(run);
        }
        run.clear();
    };
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        let is_digit = c.is_ascii_digit();
        let joins = "-_.:T ".contains(c)
            && run.ends_with(|c: char| c.is_ascii_digit())
            && chars.peek().is_some_and(char::is_ascii_digit);
        if is_digit || joins {
            run.push(c);
        } else {
            flush(&mut run, &mut out);
            out.push(c);
        }
    }
    flush(&mut run, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(name: &str, written_hours_ago: i64) -> Feed {
        Feed {
            name: name.to_owned(),
            kind: "file".to_owned(),
            last_read_at: Some(NOW),
            rows: 812,
            written_at: Some(NOW.minus(Length::hours(written_hours_ago))),
            ends_line: true,
            refused: None,
            rejected_rows: 0,
        }
    }
    const NOW: Instant = Instant(1_772_100_000_000);

    fn policy(every: Option<i64>, files: &[(&str, i64)]) -> FeedPolicy {
        FeedPolicy {
            expect_every: every.map(Length::hours),
            files: files
                .iter()
                .map(|(name, hours)| ((*name).to_owned(), Length::hours(*hours)))
                .collect(),
            least_percent: 50,
        }
    }

    #[test]
    fn an_export_that_stopped_is_noticed_where_one_is_expected() {
        let both = [feed("orders.csv", 70), feed("amazon.csv", 3)];
        for (sentence, feeds, policy, missed) in [
            ("nobody expects any", &both[..], policy(None, &[]), vec![]),
            ("one of them is new", &both, policy(Some(26), &[]), vec![]),
            (
                "both are old",
                &both,
                policy(Some(2), &[]),
                vec![Some("amazon.csv")],
            ),
            (
                "one is expected by name",
                &both,
                policy(None, &[("orders.csv", 26)]),
                vec![Some("orders.csv")],
            ),
            (
                "one that never came",
                &both,
                policy(None, &[("ebay.csv", 26)]),
                vec![Some("ebay.csv")],
            ),
            ("none ever came", &[], policy(Some(26), &[]), vec![None]),
        ] {
            let found: Vec<Option<String>> = troubles(feeds, &policy, NOW)
                .into_iter()
                .map(|trouble| match trouble {
                    FeedTrouble::Silent { source, .. } => source,
                    other => panic!("{other:?}"),
                })
                .collect();
            let missed: Vec<Option<String>> =
                missed.into_iter().map(|m| m.map(str::to_owned)).collect();
            assert_eq!(found, missed, "{sentence}");
        }
    }

    #[test]
    fn a_refused_file_hides_the_rows_it_was_refused_for() {
        let mut bad = feed("orders.csv", 1);
        bad.rejected_rows = 2;
        let left_out = FeedTrouble::LeftOut {
            source: "orders.csv".into(),
            rows: 2,
        };
        let none = FeedPolicy::default();
        assert_eq!(troubles(&[bad.clone()], &none, NOW), [left_out]);
        bad.refused = Some(RefusedFile {
            at: NOW,
            why: "2 rows are not usable".into(),
        });
        let refused = FeedTrouble::Refused {
            source: "orders.csv".into(),
            at: NOW,
            why: "2 rows are not usable".into(),
        };
        assert_eq!(troubles(&[bad], &none, NOW), [refused]);
    }

    #[test]
    fn a_file_tried_once_is_not_spoken_of_for_ever() {
        let tried = |days| Feed {
            last_read_at: None,
            written_at: None,
            refused: Some(RefusedFile {
                at: NOW.minus(Length::days(days)),
                why: "the file is empty".into(),
            }),
            ..feed("mistyped.csv", 0)
        };
        let none = FeedPolicy::default();
        assert_eq!(troubles(&[tried(6)], &none, NOW).len(), 1);
        assert_eq!(troubles(&[tried(8)], &none, NOW), []);
        let known = Feed {
            last_read_at: Some(NOW),
            ..tried(8)
        };
        assert_eq!(troubles(&[known], &none, NOW).len(), 1);
    }

    #[test]
    fn half_a_file_is_not_believed_and_a_small_one_may_shrink() {
        let whole = feed("orders.csv", 1);
        let small = Feed {
            rows: 9,
            ..whole.clone()
        };
        let unended = Feed {
            ends_line: false,
            ..whole.clone()
        };
        let half = policy(None, &[]);
        let off = FeedPolicy::default();
        for (sentence, before, rows, ends_line, policy, cut) in [
            ("as many as before", &whole, 812, true, &half, None),
            ("just half of them", &whole, 406, true, &half, None),
            (
                "less than half of them",
                &whole,
                405,
                true,
                &half,
                Some(Cut::Fewer {
                    rows: 405,
                    before: 812,
                }),
            ),
            ("nobody minds", &whole, 1, false, &off, None),
            ("there never were many", &small, 1, true, &half, None),
            (
                "it ends in a line",
                &whole,
                812,
                false,
                &half,
                Some(Cut::InALine),
            ),
            ("it always did", &unended, 812, false, &half, None),
        ] {
            assert_eq!(cut_off(before, rows, ends_line, policy), cut, "{sentence}");
        }
    }

    #[test]
    fn dated_names_are_one_source() {
        for (name, source) in [
            ("orders.csv", "orders.csv"),
            ("orders-2026-11-23.csv", "orders-*.csv"),
            ("orders_20261123_0600.csv", "orders_*.csv"),
            ("2026-11-23T06:00:12Z orders.csv", "*Z orders.csv"),
            ("wc-orders-export-1763870000.csv", "wc-orders-export-*.csv"),
            ("shop2-v12.csv", "shop2-v12.csv"),
            ("export.20261123", "export.*"),
        ] {
            assert_eq!(family(name), source, "{name}");
        }
    }
}
