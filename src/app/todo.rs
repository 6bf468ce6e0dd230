//! Everything that waits for a person, in one list.

use crate::app::{AppError, Viewer, hold_file, maildir};
use crate::domain::feed::{FeedTrouble, StoredReject};
use crate::domain::message::MessageState;
use crate::domain::reason::Verdict;
use crate::domain::time::{Instant, Length};
use crate::store::read::lists::MessageFilter;
use crate::store::read::receipts::{CameBackRow, UnclearRow};
use crate::store::read::texts::TextRow;
use crate::store::types::{HoldRow, MessageRow, RunRow, RunState};
use crate::template::BrokenFile;

/// Most entries of one sort.
const ENTRIES_MAX: u32 = 1_000;
/// Verdicts a person has to look at.
const CODES: [&str; 6] = [
    "date_in_past",
    "not_believed",
    "stale_at_baseline",
    "not_in_feed",
    "cannot_say",
    "unreachable",
];

/// What waits, by sort.
#[derive(Clone, Debug, Default)]
pub struct Todo {
    /// Runs that wait for a yes.
    pub held_runs: Vec<RunRow>,
    /// Messages that may have gone out.
    pub in_doubt: Vec<MessageRow>,
    /// Messages that failed for good.
    pub failed: Vec<MessageRow>,
    /// Came back and was not said otherwise since; what must arrive only.
    pub came_back: Vec<CameBackRow>,
    /// Mails at the bounce address nobody could read.
    pub unclear_mails: Vec<UnclearRow>,
    /// Files in the Maildir of bounces that cannot be read: path and reason.
    pub unreadable: Vec<String>,
    /// Texts from customers that a person has to look at.
    pub texts: Vec<TextRow>,
    /// Orders with a verdict for people: number, verdicts.
    pub orders: Vec<(String, Vec<Verdict>)>,
    /// Orders that wait and whose customer has heard nothing for long: number,
    /// since when.
    pub silent: Vec<(String, Instant)>,
    pub holds: Vec<HoldRow>,
    /// What is wrong with the shop's exports.
    pub feeds: Vec<FeedTrouble>,
    /// Rows of the latest files that were not taken in.
    pub rejected: Vec<StoredReject>,
    /// Template files that cannot be used.
    pub templates: Vec<BrokenFile>,
    /// Open orders nobody has looked at yet.
    pub unseen: u64,
    /// The hold file is there; its reason, if it says one.
    pub hold_file: Option<Option<String>>,
}

impl Todo {
    pub fn is_empty(&self) -> bool {
        self.held_runs.is_empty()
            && self.in_doubt.is_empty()
            && self.failed.is_empty()
            && self.came_back.is_empty()
            && self.unclear_mails.is_empty()
            && self.unreadable.is_empty()
            && self.texts.is_empty()
            && self.orders.is_empty()
            && self.silent.is_empty()
            && self.holds.is_empty()
            && self.feeds.is_empty()
            && self.rejected.is_empty()
            && self.unseen == 0
            && self.templates.is_empty()
            && self.hold_file.is_none()
    }
}

impl Viewer {
    /// Collects what waits for a person.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn todo(&self) -> Result<Todo, AppError> {
        let read = &self.read;
        let messages = |state| MessageFilter {
            state: Some(state),
            ..MessageFilter::default()
        };
        let mut held_runs = read.runs(None, ENTRIES_MAX).await?;
        held_runs.retain(|run| run.state == RunState::Held && run.mode == self.mode());
        let mut in_doubt = read
            .messages(&messages(MessageState::InDoubt), ENTRIES_MAX)
            .await?;
        let mut failed = read
            .messages(&messages(MessageState::Failed), ENTRIES_MAX)
            .await?;
        for list in [&mut in_doubt, &mut failed] {
            list.retain(|m| m.mode == self.mode());
        }
        let orders = read
            .orders_with_verdicts(&CODES)
            .await?
            .into_iter()
            .map(|(_, number, text)| {
                let mut verdicts: Vec<Verdict> = serde_json::from_str(&text).unwrap_or_default();
                verdicts.retain(|v| v.reason.needs_a_person());
                (number, verdicts)
            })
            .collect();
        let mut came_back = read.came_back(self.mode(), ENTRIES_MAX).await?;
        came_back.retain(|row| row.kind.must_arrive());
        let patience = Length::days(self.policy().courtesy.silence_days.into());
        let silent = read
            .silent_orders(self.mode(), self.now().minus(patience), ENTRIES_MAX)
            .await?;
        let mut rejected = read.all_rejected_rows(ENTRIES_MAX).await?;
        let mut forgotten = read.sources().await?;
        forgotten.retain(|feed| feed.is_forgotten(self.now()));
        rejected.retain(|row| forgotten.iter().all(|feed| feed.name != row.source));
        let state_dir = &self.settings.state_dir;
        Ok(Todo {
            held_runs,
            in_doubt,
            failed,
            came_back,
            unclear_mails: read.unclear_mails(ENTRIES_MAX).await?,
            unreadable: self
                .settings
                .bounce_maildir
                .as_deref()
                .map(maildir::unreadable)
                .unwrap_or_default(),
            texts: read.texts(true, ENTRIES_MAX).await?,
            orders,
            silent,
            holds: read.holds().await?,
            feeds: self.feed_troubles().await?,
            rejected,
            templates: self.templates.broken(),
            unseen: read.count_unseen_orders().await?,
            hold_file: hold_file::is_held(state_dir).then(|| hold_file::reason(state_dir)),
        })
    }
}
