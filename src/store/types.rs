//! The values that cross the store's border, and its errors.

use crate::domain::bundle::PlannedMessage;
use crate::domain::ids::{LineId, MessageNo, MessageUid, OrderId, RunNo, WorkerId};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::{Landing, MessageState};
use crate::domain::notice_key::Mode;
use crate::domain::outcome::Outcome;
use crate::domain::reason::{Verdict, Wake};
use crate::domain::statement::MessageFacts;
use crate::domain::time::Instant;
use chrono_tz::Tz;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What can go wrong at the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Opening or preparing the database failed.
    #[error("cannot open the database {path}")]
    Open { path: String, source: sqlx::Error },
    /// The server does not keep what we promise.
    #[error("the database {path} cannot be used: {why}")]
    Unfit { path: String, why: String },
    /// There is a database, and nothing of ours in it.
    #[error("there is nothing in the database {path} yet; `backorderd import FILE` makes it")]
    NoSchema { path: String },
    /// Its schema is newer than this program.
    #[error(
        "the database was written by a newer backorderd (schema {found}, this program knows \
         {known}); start that version, or restore a backup made before the upgrade"
    )]
    NewerSchema { found: i64, known: i64 },
    /// The schema is older; only a program that may write brings it forward.
    #[error(
        "the database has an older schema; start `backorderd serve` or any writing command once"
    )]
    OlderSchema,
    /// Bringing it forward is a step that a person has to ask for.
    #[error(
        "the database has schema {found} and this program needs {known}: a big step, taken only \
         by `backorderd db migrate`; make a backup first (`backorderd db backup FILE`)"
    )]
    BigStep { found: i64, known: i64 },
    /// What was in it lives elsewhere now.
    #[error(
        "the database {path} was copied to {to} and is not used any more: set database.url to \
         that; to go back to this one: backorderd db take-back"
    )]
    Moved { path: String, to: String },
    /// Bringing the schema forward failed; nothing was changed.
    #[error("cannot bring the schema forward")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// A statement failed; its transaction was rolled back.
    #[error("the database refused to {doing}")]
    Statement {
        doing: &'static str,
        source: Arc<sqlx::Error>,
    },
    /// A question waited for a connection until its time was over. Nothing was
    /// asked; it may be asked again.
    #[error(
        "no connection to the database came free in time to {doing}: all are in use, or its \
         server is away"
    )]
    NoConnection { doing: &'static str },
    /// A commit failed: it is unknown what was written. The process must end
    /// and read the truth again.
    #[error("a commit failed while trying to {doing}")]
    CommitFailed {
        doing: &'static str,
        source: Arc<sqlx::Error>,
    },
    /// What is stored cannot be read back.
    #[error("{table} {row} holds a {column} that cannot be read")]
    Corrupt {
        table: &'static str,
        row: String,
        column: &'static str,
    },
    /// Somebody else changed the mirror between reading and writing.
    #[error("the orders were changed by another process at the same moment")]
    Overtaken,
    /// The writer has ended.
    #[error("the database writer has stopped")]
    Closed,
}

impl StoreError {
    /// The database may be there in a moment: its server is down or starting,
    /// or the disk is full, busy or failing. A wrong name or password is not
    /// of that kind.
    pub fn may_pass(&self) -> bool {
        let StoreError::Open { source, .. } = self else {
            return false;
        };
        match source {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                let code: &str = &code;
                if code.len() == 5 {
                    // PostgreSQL, appendix A: connection exceptions, too many
                    // connections, shutting down, starting up.
                    code.starts_with("08") || ["53300", "57P01", "57P02", "57P03"].contains(&code)
                } else {
                    // SQLite's result codes, the low byte: busy, locked, I/O
                    // error, full.
                    let code: u32 = code.parse().unwrap_or(0);
                    [5, 6, 10, 13].contains(&(code & 0xff))
                }
            }),
            _ => false,
        }
    }

    /// Nothing was asked of the database, for want of a connection: whoever
    /// asked may go on where they were.
    pub fn is_no_connection(&self) -> bool {
        matches!(self, StoreError::NoConnection { .. })
    }

    /// The process must not go on.
    pub fn is_fatal(&self) -> bool {
        matches!(self, StoreError::CommitFailed { .. } | StoreError::Closed)
    }

    /// The same answer for one more who waits for it.
    pub(crate) fn again(&self) -> StoreError {
        match self {
            StoreError::Statement { doing, source } => StoreError::Statement {
                doing,
                source: source.clone(),
            },
            StoreError::CommitFailed { doing, source } => StoreError::CommitFailed {
                doing,
                source: source.clone(),
            },
            StoreError::Overtaken => StoreError::Overtaken,
            _ => StoreError::Closed,
        }
    }
}

/// One order's part of a review, ready to be committed.
#[derive(Clone, Debug)]
pub struct PlannedOrder {
    pub order: OrderId,
    pub review_version: i64,
    pub keep: Vec<MessageNo>,
    pub supersede: Vec<MessageNo>,
    pub verdicts: Vec<Verdict>,
    pub wake: Wake,
}

/// A message to write, with where it goes.
#[derive(Clone, Debug)]
pub struct OutgoingMessage {
    pub uid: MessageUid,
    pub planned: PlannedMessage,
    /// The message a person has sent again with it.
    pub resend_of: Option<MessageNo>,
    /// The address or number it will be sent to.
    pub recipient: String,
    pub address_hash: String,
}

/// What a review wants to write in one transaction.
#[derive(Clone, Debug)]
pub struct Review {
    pub run: RunNo,
    pub mode: Mode,
    pub orders: Vec<PlannedOrder>,
    pub messages: Vec<OutgoingMessage>,
    /// Collected for a person's approval instead of released, whatever brake
    /// and settings say.
    pub held: bool,
    /// The digest of the settings it was planned under.
    pub settings: String,
    /// More than so many messages are collected as well.
    pub brake: Option<Brake>,
    /// Whose leases ([`crate::store::Store::take_due`]) it stands on; `None`
    /// where nobody else can be planning.
    pub planner: Option<WorkerId>,
}

/// The storm brake's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brake {
    /// Messages planned after this count.
    pub since: Instant,
    /// How many there may be, those of the review included.
    pub limit: u64,
}

/// What was written of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReviewWritten {
    /// The messages wait for a person's approval.
    pub held: bool,
    /// Another process brought newer settings: it waits, and the orders are to
    /// be looked at under those.
    pub overtaken: bool,
    /// Orders whose inputs changed meanwhile; they stay due.
    pub stale: Vec<OrderId>,
    pub messages: Vec<MessageNo>,
    /// Not written because their key is taken.
    pub known: usize,
}

/// A run as it is recorded.
#[derive(Clone, Debug)]
pub struct NewRun {
    pub job: String,
    pub due: Option<Instant>,
    pub mode: Mode,
    pub by: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Planned,
    /// Waits for a person.
    Held,
    Approved,
    /// A person said no.
    Dropped,
    /// Nobody answered in time.
    Lapsed,
}

impl RunState {
    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Planned => "planned",
            RunState::Held => "held",
            RunState::Approved => "approved",
            RunState::Dropped => "dropped",
            RunState::Lapsed => "lapsed",
        }
    }
    pub fn parse(text: &str) -> Option<RunState> {
        [
            RunState::Planned,
            RunState::Held,
            RunState::Approved,
            RunState::Dropped,
            RunState::Lapsed,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }
}

/// A run in a list.
#[derive(Clone, Debug, Serialize)]
pub struct RunRow {
    pub no: RunNo,
    pub job: String,
    pub mode: Mode,
    pub state: RunState,
    pub started_at: Instant,
    pub orders: i64,
    pub messages: i64,
    pub by: String,
    pub why: Option<String>,
    /// Its messages by state, now.
    pub states: BTreeMap<String, i64>,
}

/// A message a worker may send: it holds the lease.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub no: MessageNo,
    pub uid: MessageUid,
    /// Counts claims; every later verb must carry it.
    pub epoch: i64,
    pub channel: ChannelName,
    pub kind: Kind,
    pub mode: Mode,
    pub run: Option<RunNo>,
    /// Attempts that counted so far, this one not included.
    pub counted: u32,
    pub doubts: u32,
    /// First try: the Date header of every attempt.
    pub planned_at: Instant,
    pub due_since: Instant,
    pub not_after: Instant,
    /// The recipient's: hours of texts are counted in it.
    pub zone: Tz,
    pub recipient: String,
    pub facts: MessageFacts,
    /// Uids of earlier messages about the same order over the same channel,
    /// oldest first, for threading.
    pub thread: Vec<MessageUid>,
}

/// Why a lease goes back unsent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GiveBack {
    /// Nobody gets to it now; it is queued as it was.
    Unused,
    /// Queued again, but not due before this.
    PutOff(Instant),
    /// No template renders it, for the reason given: it has failed.
    Unrenderable(String),
}

/// The intent to send, recorded before the last byte can leave.
#[derive(Clone, Debug)]
pub struct Mark {
    pub no: MessageNo,
    pub epoch: i64,
    pub relay: String,
    pub message_id_header: Option<String>,
    pub template_version: String,
    pub content_hash: String,
}

/// What became of the attempt.
#[derive(Clone, Debug)]
pub struct Record {
    pub no: MessageNo,
    pub epoch: i64,
    pub outcome: Outcome,
    pub landing: Landing,
    /// What it said, for the ledger.
    pub facts: MessageFacts,
}

/// A message in a list.
#[derive(Clone, Debug, Serialize)]
pub struct MessageRow {
    pub no: MessageNo,
    pub orders: Vec<String>,
    pub channel: ChannelName,
    pub kind: Kind,
    pub mode: Mode,
    pub state: MessageState,
    pub settled_by: Option<String>,
    pub held: bool,
    pub run: Option<RunNo>,
    pub planned_at: Instant,
    pub due_at: Instant,
    /// Until when what it says is worth saying.
    pub not_after: Instant,
    pub sent_at: Option<Instant>,
    pub attempts: i64,
    /// The message a person had sent again with this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resend_of: Option<MessageNo>,
    pub last_reply: Option<String>,
    /// Masked.
    pub recipient: String,
    pub milestone_days: Option<u32>,
}

/// What a person did to a message, from the audit log.
#[derive(Clone, Debug, Serialize)]
pub struct ActRow {
    pub by: String,
    pub verb: String,
    pub why: Option<String>,
    pub at: Instant,
}

/// One try, for `messages show`.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptRow {
    pub no: i64,
    pub relay: String,
    pub message_id: Option<String>,
    pub began_at: Instant,
    pub ended_at: Option<Instant>,
    pub outcome: Option<String>,
    pub code: Option<i64>,
    pub enhanced: Option<String>,
    pub phase: Option<String>,
    pub reply: Option<String>,
    pub reference: Option<String>,
}

/// A hold.
#[derive(Clone, Debug, Serialize)]
pub struct HoldRow {
    pub scope: String,
    pub key: String,
    pub by: String,
    pub why: String,
    pub since: Instant,
    pub until: Option<Instant>,
}

/// A date set by a person or a dates file.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimRow {
    pub scope: String,
    pub key: String,
    pub eta: crate::domain::eta::Eta,
    pub reason: Option<String>,
    pub origin: String,
    pub by: String,
    pub confirmed_at: Instant,
}

/// An entry of an order's history for `explain`.
#[derive(Clone, Debug, Serialize)]
pub struct ToldRow {
    pub line: LineId,
    pub seq: i64,
    pub message: Option<MessageNo>,
    pub promise: crate::domain::eta::Eta,
    pub basis: String,
    pub mode: Mode,
    pub at: Instant,
}

/// A date the shop gave.
#[derive(Clone, Debug, Serialize)]
pub struct EtaRow {
    pub line: LineId,
    pub eta: crate::domain::eta::Eta,
    pub source: String,
    pub at: Instant,
}

/// A verdict as stored.
#[derive(Clone, Debug, Serialize)]
pub struct VerdictRow {
    pub at: Instant,
    pub run: Option<RunNo>,
    pub verdict: Verdict,
}

/// An order in a list.
#[derive(Clone, Debug, Serialize)]
pub struct OrderRow {
    pub id: OrderId,
    pub number: String,
    pub customer: String,
    pub ordered_on: chrono::NaiveDate,
    /// Pieces still to come, in thousandths.
    pub waiting: i64,
    pub lines: i64,
    /// Latest ETA of its waiting lines; absent when one is unknown.
    pub eta: Option<chrono::NaiveDate>,
    pub last_sent_at: Option<Instant>,
    pub last_kind: Option<String>,
    pub verdict: Option<String>,
    pub next_review_at: Option<Instant>,
    pub closed: bool,
}

/// Figures for `stats`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    pub open_orders: i64,
    pub open_lines: i64,
    pub oldest_ordered_on: Option<chrono::NaiveDate>,
    /// Value of what waits, by currency, in minor units.
    pub value_minor: BTreeMap<String, i64>,
    pub lines_with_date: i64,
    pub lines_within_7_days: i64,
    pub messages_by_state: BTreeMap<String, i64>,
    pub sent_24h: i64,
    pub failed_24h: i64,
    pub in_doubt: i64,
    pub queued: i64,
    pub held: i64,
    pub oldest_queued_at: Option<Instant>,
}
