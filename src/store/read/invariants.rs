//! The auditor's half that the database alone can tell: every promise about
//! what is stored, each as a question for the rows that break it.
//!
//! All questions look at one moment, so a daemon may go on meanwhile. A verb
//! leaves everything here in order when it commits; whatever is found was
//! written by a mistake of ours, or by somebody with a hand in the tables.
//! What it cannot tell: whether a relay really has what it took, and whether
//! what was said was true of the shop.

use super::{ReadStore, reading};
use crate::domain::message::CLAIMS_WITHOUT_OUTCOME_MAX;
use crate::domain::statement::MessageFacts;
use crate::store::conn::{Conn, statements};
use crate::store::statement::{column, rows, value};
use crate::store::types::StoreError;
use serde::Serialize;

/// Clocks of several machines may differ so much.
const CLOCKS_MS: i64 = 60_000;
/// Facts read at once.
const PAGE: i64 = 1_000;

const COUNT: &str = "SELECT count(*) FROM messages";

/// Of every state what belongs to it and to no other.
const STATES: &str = "
SELECT m.no FROM messages m
WHERE (m.state IN ('leased', 'submitting')) <> (m.owner IS NOT NULL)
  OR (m.state IN ('leased', 'submitting') AND m.lease_until IS NULL)
  OR (m.state = 'in_doubt') <> (m.quiet_until IS NOT NULL)
  OR (m.state IN ('sent', 'delivered') AND m.sent_at IS NULL)
  OR (m.state IN ('queued', 'leased') AND m.sent_at IS NOT NULL)
  OR (m.held = TRUE AND m.state = 'submitting')
  OR (m.state IN ('queued', 'leased', 'submitting', 'in_doubt')) <> (m.ended_at IS NULL)
ORDER BY m.no";

const ATTEMPTS: &str = "
SELECT m.no FROM messages m
LEFT JOIN (SELECT message_no, count(*) AS n, max(no) AS last, max(epoch) AS epoch,
    count(DISTINCT epoch) AS epochs
  FROM attempts GROUP BY message_no) a ON a.message_no = m.no
WHERE coalesce(a.n, 0) <> m.attempts OR coalesce(a.last, 0) <> m.attempts
  OR coalesce(a.epoch, 0) > m.epoch OR coalesce(a.epochs, 0) <> coalesce(a.n, 0)
ORDER BY m.no";

/// The intent comes first, and an answer ends it.
const OPEN_ATTEMPTS: &str = "
SELECT m.no FROM messages m
LEFT JOIN (SELECT message_no, count(*) AS open FROM attempts WHERE ended_at IS NULL
  GROUP BY message_no) a ON a.message_no = m.no
WHERE coalesce(a.open, 0) <> CASE WHEN m.state = 'submitting' THEN 1 ELSE 0 END
ORDER BY m.no";

/// Accepted by a relay, assumed, or settled: `sent` without any of them is a
/// word nobody gave.
const SENT_WITHOUT: &str = "
SELECT m.no FROM messages m
WHERE m.state = 'sent' AND m.settled_by IS NULL
  AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.message_no = m.no AND a.outcome = 'accepted')
ORDER BY m.no";

/// The other way round: a relay took it, and it counts as unsent.
const ACCEPTED_UNSENT: &str = "
SELECT m.no FROM messages m
WHERE m.state NOT IN ('sent', 'delivered', 'bounced')
  AND EXISTS (SELECT 1 FROM attempts a WHERE a.message_no = m.no AND a.outcome = 'accepted')
ORDER BY m.no";

/// A doubt settled by a person is the person's word.
const COPIES: &str = "
SELECT m.no FROM messages m
JOIN (SELECT message_no, count(*) AS n FROM attempts
  WHERE outcome IN ('accepted', 'in_doubt') GROUP BY message_no) a ON a.message_no = m.no
WHERE a.n > CASE WHEN m.kind IN ('date_set', 'sooner', 'update') THEN 1 ELSE 2 END
  AND NOT EXISTS (SELECT 1 FROM audit u WHERE u.target = 'm' || CAST(m.no AS TEXT))
ORDER BY m.no";

/// Freed by what was taken back unsent, kept by everything else. What must
/// arrive and was settled as outdated is planned again.
const KEYS: &str = "
SELECT DISTINCT m.no FROM messages m JOIN notices n ON n.message_no = m.no
WHERE (m.state IN ('superseded', 'expired', 'suppressed') AND n.key IS NOT NULL)
  OR (m.state NOT IN ('superseded', 'expired', 'suppressed') AND n.key IS NULL
    AND NOT (m.settled_by IS NOT NULL AND m.doubts > 0))
ORDER BY m.no";

const FLAGS: &str = "
SELECT DISTINCT m.no FROM messages m JOIN notices n ON n.message_no = m.no
WHERE n.in_queue <> (m.state = 'queued')
  OR n.in_flight <> (m.state IN ('leased', 'submitting', 'in_doubt'))
ORDER BY m.no";

/// A customer's message is about orders, and its words can be told.
const PARTS: &str = "
SELECT m.no FROM messages m
WHERE m.purpose = 'customer' AND (
  NOT EXISTS (SELECT 1 FROM notices n
    WHERE n.message_no = m.no AND n.channel = m.channel AND n.mode = m.mode)
  OR NOT EXISTS (SELECT 1 FROM message_private p WHERE p.message_no = m.no))
ORDER BY m.no";

const OWNERS: &str = "
SELECT m.no FROM messages m
WHERE m.state IN ('leased', 'submitting')
  AND NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = m.owner)
ORDER BY m.no";

const CLAIMS: &str = "
SELECT no FROM messages WHERE claims > $1 AND state IN ('queued', 'leased') ORDER BY no";

/// Firm words stand in the ledger only for what went out.
const TOLD_UNSENT: &str = "
SELECT DISTINCT m.no FROM told t JOIN messages m ON m.no = t.message_no
WHERE t.basis IN ('accepted', 'assumed') AND m.state NOT IN ('sent', 'delivered', 'bounced')
ORDER BY m.no";

const BOUNCED_TOLD: &str = "
SELECT DISTINCT m.no FROM told t JOIN messages m ON m.no = t.message_no
WHERE m.state = 'bounced' AND t.basis <> 'retracted'
  AND NOT EXISTS (SELECT 1 FROM told x WHERE x.line_id = t.line_id
    AND x.message_no = t.message_no AND x.seq > t.seq)
ORDER BY m.no";

const SENT_UNTOLD: &str = "
SELECT m.no, p.facts FROM messages m JOIN message_private p ON p.message_no = m.no
WHERE m.no > $1 AND m.state IN ('sent', 'delivered', 'in_doubt')
  AND NOT EXISTS (SELECT 1 FROM told t WHERE t.message_no = m.no)
ORDER BY m.no LIMIT $2";

/// The place in the ledger is counted with every entry. Lines, by their orders'
/// messages.
const LEDGER: &str = "
SELECT l.id FROM order_lines l
LEFT JOIN (SELECT line_id, count(*) AS n, max(seq) AS last FROM told GROUP BY line_id) t
  ON t.line_id = l.id
WHERE coalesce(t.n, 0) <> l.told_seq OR coalesce(t.last, 0) <> l.told_seq
ORDER BY l.id";

const TOO_OLD: &str = "
SELECT DISTINCT m.no FROM attempts a JOIN messages m ON m.no = a.message_no
WHERE a.began_at > m.not_after ORDER BY m.no";

/// `$1` is how far clocks may differ. Lists taken in from elsewhere are older
/// than what we knew.
const SUPPRESSED: &str = "
SELECT DISTINCT m.no FROM suppressions s
JOIN messages m ON m.address_hash = s.address_hash AND m.channel = s.channel
JOIN attempts a ON a.message_no = m.no
WHERE a.began_at > s.since + $1 AND NOT EXISTS (SELECT 1 FROM audit u
  WHERE u.verb = 'import suppressions' AND u.at >= a.began_at)
ORDER BY m.no";

const HELD: &str = "
SELECT DISTINCT m.no FROM holds h
CROSS JOIN attempts a JOIN messages m ON m.no = a.message_no
WHERE (h.scope = 'global' OR (h.scope = 'channel' AND h.key = m.channel))
  AND a.began_at > h.since + $1
ORDER BY m.no";

/// What became of it is what its receipts say, in whatever order they came.
const RECEIPTS: &str = "
SELECT DISTINCT m.no FROM messages m JOIN receipts r ON r.message_no = m.no
WHERE r.waits = FALSE AND (
  (m.state IN ('sent', 'in_doubt')
    AND (r.kind LIKE 'failed%' OR r.kind IN ('delivered', 'complaint')))
  OR (m.state = 'in_doubt' AND r.kind <> 'unclear')
  OR (m.state = 'delivered' AND m.channel = 'email' AND r.kind LIKE 'failed%')
  OR (m.state = 'bounced' AND m.channel = 'sms' AND r.kind IN ('delivered', 'complaint')))
ORDER BY m.no";

const RUNS: &str = "
SELECT r.no FROM runs r
LEFT JOIN (SELECT run_no, count(*) AS n FROM messages GROUP BY run_no) m ON m.run_no = r.no
WHERE coalesce(m.n, 0) <> r.messages ORDER BY r.no";

const HELD_RUNS: &str = "
SELECT m.no FROM messages m LEFT JOIN runs r ON r.no = m.run_no
WHERE m.state = 'queued' AND m.held = TRUE AND coalesce(r.state, '') <> 'held' ORDER BY m.no";

statements![
    COUNT,
    STATES,
    ATTEMPTS,
    OPEN_ATTEMPTS,
    SENT_WITHOUT,
    ACCEPTED_UNSENT,
    COPIES,
    KEYS,
    FLAGS,
    PARTS,
    OWNERS,
    CLAIMS,
    TOLD_UNSENT,
    BOUNCED_TOLD,
    SENT_UNTOLD,
    LEDGER,
    TOO_OLD,
    SUPPRESSED,
    HELD,
    RECEIPTS,
    RUNS,
    HELD_RUNS,
];

/// What the numbers of a check are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Numbers {
    Messages,
    Lines,
    Runs,
}

/// One promise, and what breaks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    /// What is promised.
    pub says: &'static str,
    pub numbers: Numbers,
    pub broken: Vec<i64>,
}

/// What the auditor found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audited {
    pub messages: i64,
    pub checks: Vec<Check>,
}

type Asked = (
    &'static str,
    &'static str,
    Numbers,
    &'static str,
    Option<i64>,
);

const QUESTIONS: [Asked; 20] = [
    (
        "states",
        "every message is in one state, and has what belongs to it",
        Numbers::Messages,
        STATES,
        None,
    ),
    (
        "attempts",
        "attempts are counted, each under a lease of its own",
        Numbers::Messages,
        ATTEMPTS,
        None,
    ),
    (
        "intent first",
        "an attempt is open exactly while its message is being sent",
        Numbers::Messages,
        OPEN_ATTEMPTS,
        None,
    ),
    (
        "no false sent",
        "what counts as sent was accepted, assumed or settled",
        Numbers::Messages,
        SENT_WITHOUT,
        None,
    ),
    (
        "no forgotten sent",
        "what was accepted counts as sent",
        Numbers::Messages,
        ACCEPTED_UNSENT,
        None,
    ),
    (
        "copies",
        "a courtesy left at most once, what must arrive at most twice",
        Numbers::Messages,
        COPIES,
        None,
    ),
    (
        "said once",
        "what was taken back unsent freed its key, everything else keeps it",
        Numbers::Messages,
        KEYS,
        None,
    ),
    (
        "nothing overtakes",
        "notices are marked as queued and on their way as their message is",
        Numbers::Messages,
        FLAGS,
        None,
    ),
    (
        "parts",
        "a customer's message has its notices and its facts",
        Numbers::Messages,
        PARTS,
        None,
    ),
    (
        "owners",
        "who holds a message is a known worker",
        Numbers::Messages,
        OWNERS,
        None,
    ),
    (
        "claims",
        "nothing is claimed again and again without an outcome",
        Numbers::Messages,
        CLAIMS,
        Some(CLAIMS_WITHOUT_OUTCOME_MAX),
    ),
    (
        "told is sent",
        "the ledger is firm only about what went out",
        Numbers::Messages,
        TOLD_UNSENT,
        None,
    ),
    (
        "bounced is untold",
        "what came back was taken back in the ledger",
        Numbers::Messages,
        BOUNCED_TOLD,
        None,
    ),
    (
        "ledger",
        "every line counts its entries in the ledger",
        Numbers::Lines,
        LEDGER,
        None,
    ),
    (
        "not too old",
        "nothing was sent after it had become too old",
        Numbers::Messages,
        TOO_OLD,
        None,
    ),
    (
        "do not write",
        "nothing was sent to an address after it was put on the list",
        Numbers::Messages,
        SUPPRESSED,
        Some(CLOCKS_MS),
    ),
    (
        "hold holds",
        "nothing was sent under a hold in force",
        Numbers::Messages,
        HELD,
        Some(CLOCKS_MS),
    ),
    (
        "receipts in any order",
        "what became of a message is what its receipts say",
        Numbers::Messages,
        RECEIPTS,
        None,
    ),
    (
        "runs",
        "every run counts its messages",
        Numbers::Runs,
        RUNS,
        None,
    ),
    (
        "held runs",
        "a message held for approval belongs to a run that is held",
        Numbers::Messages,
        HELD_RUNS,
        None,
    ),
];

/// Asked beside the list, because facts are documents.
const SENT_IS_TOLD: (&str, &str) = (
    "sent is told",
    "what went out and states a date stands in the ledger",
);

impl ReadStore {
    /// Looks for everything that breaks a promise about what is stored, all at
    /// one moment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn check_invariants(&self) -> Result<Audited, StoreError> {
        let doing = reading("check what is stored");
        let mut snapshot = self.snapshot().await.map_err(&doing)?;
        let found = {
            let mut conn = snapshot.conn();
            look(&mut conn).await.map_err(&doing)
        };
        snapshot.end().await.map_err(&doing)?;
        found
    }
}

async fn look(c: &mut Conn<'_>) -> Result<Audited, sqlx::Error> {
    let messages: i64 = value!(c, COUNT)?;
    let mut checks = Vec::new();
    for (name, says, numbers, question, limit) in QUESTIONS {
        let broken: Vec<i64> = match limit {
            Some(limit) => column!(c, question, limit)?,
            None => column!(c, question)?,
        };
        checks.push(Check {
            name,
            says,
            numbers,
            broken,
        });
    }
    let (name, says) = SENT_IS_TOLD;
    checks.push(Check {
        name,
        says,
        numbers: Numbers::Messages,
        broken: untold(c).await?,
    });
    Ok(Audited { messages, checks })
}

/// Messages that went out, state a date and are not in the ledger; those whose
/// facts cannot be read any more as well.
async fn untold(c: &mut Conn<'_>) -> Result<Vec<i64>, sqlx::Error> {
    let (mut out, mut after) = (Vec::new(), 0);
    loop {
        let page: Vec<(i64, String)> = rows!(c, SENT_UNTOLD, after, PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(out);
        };
        after = *last;
        for (no, text) in &page {
            let states_date = serde_json::from_str::<MessageFacts>(text).map_or(true, |facts| {
                let mut lines = facts.orders.iter().flat_map(|order| &order.lines);
                lines.any(|line| line.promise.is_some())
            });
            if states_date {
                out.push(*no);
            }
        }
    }
}
