//! What there is to look at: the database, read with SQL of our own, and the
//! ledgers of those who received.
//!
//! A ledger is a folder with `ledger.ndjson`, one line per event in the order
//! of acceptance: `message_id` (a mail) or `uid` (a text), `recipients`,
//! `sha256`; with a `refused` code the line is a refusal and no copy. A mail's
//! words lie beside it as `SESSION-NTH.eml`; a text's are in `text`.
//!
//! The shop's last word is the file of order rows that was imported last.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sqlx::Connection;
use sqlx::FromRow;
use sqlx::PgConnection;
use sqlx::SqliteConnection;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

/// A customer's mark in names: whoever is written to finds only their own.
const CANARY: &str = "Okafor-";

#[derive(Debug, Clone, FromRow)]
pub struct Message {
    pub no: i64,
    pub uid: Uuid,
    pub channel: String,
    pub kind: String,
    pub state: String,
    pub settled_by: Option<String>,
    pub address_hash: String,
    pub content_hash: Option<String>,
    pub attempts: i64,
    pub doubts: i64,
    pub recipient: String,
}

#[derive(Debug, Clone, FromRow)]
pub struct Attempt {
    pub id: i64,
    pub message_no: i64,
    pub worker: Uuid,
    pub epoch: i64,
    pub header: Option<String>,
    pub began_at: i64,
    pub ended_at: Option<i64>,
    pub outcome: Option<String>,
    pub code: Option<i64>,
    pub reply: Option<String>,
}

#[derive(Debug, Clone, FromRow)]
pub struct Notice {
    pub message_no: i64,
    pub order_id: i64,
    pub order_number: String,
    pub channel: String,
    pub kind: String,
    pub discriminator: String,
    pub in_queue: i64,
    pub in_flight: i64,
}

#[derive(Debug, Clone, FromRow)]
pub struct Told {
    pub line_key: String,
    pub message_no: Option<i64>,
    pub eta_to: Option<String>,
    pub basis: String,
}

#[derive(Debug, Clone, FromRow)]
pub struct Suppression {
    pub address_hash: String,
    pub channel: String,
    pub since: i64,
}

/// A hold of everything or of a channel, or its end.
#[derive(Debug, Clone, FromRow)]
pub struct HoldEvent {
    pub verb: String,
    pub target: String,
    pub at: i64,
}

/// One line of a ledger: a copy that was taken, or a refusal.
#[derive(Debug, Clone, Default)]
pub struct Copy {
    /// Message-ID or identity of a text.
    pub id: String,
    pub recipients: Vec<String>,
    pub sha256: String,
    pub refused: Option<i64>,
    /// Customers whose marks stand in its words.
    pub names: BTreeSet<String>,
}

/// A row of the shop's last word.
#[derive(Debug, Clone)]
pub struct ShopLine {
    pub order_number: String,
    pub line_id: String,
    pub eta: Option<String>,
    pub is_shipped: bool,
}

#[derive(Debug, Clone, Default)]
pub struct Evidence {
    pub messages: Vec<Message>,
    /// By id: in the order in which sending began.
    pub attempts: Vec<Attempt>,
    pub notices: Vec<Notice>,
    /// By line and sequence.
    pub told: Vec<Told>,
    pub suppressions: Vec<Suppression>,
    /// Oldest first.
    pub holds: Vec<HoldEvent>,
    /// What the engine itself finds wrong with its file.
    pub unsound: Vec<String>,
    /// Mails and texts, each ledger in its order of acceptance.
    pub copies: Vec<Vec<Copy>>,
    /// `None` where nobody says what the shop said last.
    pub shop: Option<Vec<ShopLine>>,
}

const MESSAGES: &str = "
SELECT m.no, m.uid, m.channel, m.kind, m.state, m.settled_by, m.address_hash, m.content_hash,
  m.attempts, m.doubts, p.recipient
FROM messages m JOIN message_private p ON p.message_no = m.no ORDER BY m.no";
const ATTEMPTS: &str = "
SELECT id, message_no, worker, epoch, message_id_header AS header, began_at, ended_at, outcome,
  CAST(code AS BIGINT) AS code, reply
FROM attempts ORDER BY id";
const NOTICES: &str = "
SELECT n.message_no, n.order_id, o.number AS order_number, n.channel, n.kind, n.discriminator,
  CAST(CASE WHEN n.in_queue = TRUE THEN 1 ELSE 0 END AS BIGINT) AS in_queue,
  CAST(CASE WHEN n.in_flight = TRUE THEN 1 ELSE 0 END AS BIGINT) AS in_flight
FROM notices n JOIN orders o ON o.id = n.order_id ORDER BY n.id";
const TOLD: &str = "
SELECT l.line_key, t.message_no, t.eta_to, t.basis
FROM told t JOIN order_lines l ON l.id = t.line_id
ORDER BY t.line_id, t.seq";
const SUPPRESSIONS: &str = "SELECT address_hash, channel, since FROM suppressions";
const HOLDS: &str = "
SELECT verb, target, at FROM audit
WHERE verb IN ('hold', 'release') AND (target LIKE 'global:%' OR target LIKE 'channel:%')
ORDER BY seq";

/// A database as it is now. Reading changes nothing.
enum Database {
    File(SqliteConnection),
    Server(PgConnection),
}

impl Database {
    async fn open(place: &str) -> Result<Database, sqlx::Error> {
        if place.starts_with("postgres") {
            return PgConnection::connect(place).await.map(Database::Server);
        }
        let options = SqliteConnectOptions::new().filename(place).read_only(true);
        SqliteConnection::connect_with(&options)
            .await
            .map(Database::File)
    }

    async fn rows<T>(&mut self, sql: &'static str) -> Result<Vec<T>, sqlx::Error>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        match self {
            Database::File(db) => sqlx::query_as(sql).fetch_all(db).await,
            Database::Server(db) => sqlx::query_as(sql).fetch_all(db).await,
        }
    }

    /// What the engine says about its own file; a server looks after itself.
    async fn unsound(&mut self) -> Result<Vec<String>, sqlx::Error> {
        let Database::File(db) = self else {
            return Ok(Vec::new());
        };
        let said: Vec<(String,)> = sqlx::query_as("PRAGMA integrity_check")
            .fetch_all(&mut *db)
            .await?;
        let mut unsound: Vec<String> = said
            .into_iter()
            .map(|(words,)| words)
            .filter(|words| words != "ok")
            .collect();
        let orphans = sqlx::query("PRAGMA foreign_key_check")
            .fetch_all(db)
            .await?;
        if !orphans.is_empty() {
            unsound.push(format!("{} rows point to nothing", orphans.len()));
        }
        Ok(unsound)
    }
}

/// Reads a database: the path of a file or the URL of a server.
///
/// # Errors
/// It cannot be opened or read.
pub async fn read_database(place: &str) -> Result<Evidence, sqlx::Error> {
    let mut db = Database::open(place).await?;
    Ok(Evidence {
        messages: db.rows(MESSAGES).await?,
        attempts: db.rows(ATTEMPTS).await?,
        notices: db.rows(NOTICES).await?,
        told: db.rows(TOLD).await?,
        suppressions: db.rows(SUPPRESSIONS).await?,
        holds: db.rows(HOLDS).await?,
        unsound: db.unsound().await?,
        ..Evidence::default()
    })
}

/// Reads a ledger's folder.
///
/// # Errors
/// It is not there, or not a ledger.
pub fn read_ledger(folder: &Path) -> std::io::Result<Vec<Copy>> {
    let text = fs::read_to_string(folder.join("ledger.ndjson"))?;
    text.lines()
        .map(|line| {
            let entry: Value = serde_json::from_str(line)?;
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let recipients = entry["recipients"].as_array().into_iter().flatten();
            let mut copy = Copy {
                id: text("message_id") + &text("uid"),
                recipients: recipients
                    .filter_map(|r| Some(r.as_str()?.to_owned()))
                    .collect(),
                sha256: text("sha256"),
                refused: entry["refused"].as_i64(),
                names: canaries(&text("text")),
            };
            if let (Some(session), Some(nth)) = (entry["session"].as_u64(), entry["nth"].as_u64())
                && let Ok(mail) = fs::read(folder.join(format!("{session}-{nth}.eml")))
            {
                copy.names = canaries(&String::from_utf8_lossy(&mail));
            }
            Ok(copy)
        })
        .collect()
}

/// The numbers of the customers a text names.
fn canaries(text: &str) -> BTreeSet<String> {
    // Soft line breaks of quoted-printable.
    let text = text.replace("=\r\n", "").replace("\r\n ", " ");
    text.split(CANARY)
        .skip(1)
        .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect())
        .collect()
}

/// Reads the rows the shop gave last (NDJSON).
///
/// # Errors
/// It is not there, or holds no rows.
pub fn read_shop(file: &Path) -> std::io::Result<Vec<ShopLine>> {
    let text = fs::read_to_string(file)?;
    text.lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line)?;
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            Ok(ShopLine {
                order_number: text("order_number"),
                line_id: text("line_id"),
                eta: row["eta_from"].as_str().map(str::to_owned),
                is_shipped: text("status") == "shipped",
            })
        })
        .collect()
}
