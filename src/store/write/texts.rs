//! Texts people sent us: stored, understood and acted on in one transaction.
//!
//! What is known of the sender is read, what follows is decided by
//! [`respond`], and written, before anybody answers. The automatic answer, if
//! there is one, is recorded as decided here and sent afterwards, once: a
//! process that dies in between never sends it, and nobody sends it again.

use super::operate::{self, NewHold};
use crate::domain::inbound::{AnswerKind, Sender, Wish, read, respond};
use crate::domain::receipt::{RAW_KEPT_FOR, Stop};
use crate::domain::time::{Instant, Length};
use crate::store::conn::{Conn, statements};
use crate::store::statement::{Halt, maybe, rows, run, value};
use crate::store::write::locks;

/// Orders of one number that are looked at.
const ORDERS_MAX: i64 = 50;

/// A text as it came in.
#[derive(Clone, Debug)]
pub struct NewText {
    /// The same for every repetition by the gateway.
    pub event_key: String,
    pub gateway: &'static str,
    pub phone_hash: String,
    /// In E.164, for the people who read it.
    pub number: String,
    pub words: String,
    /// The gateway answered STOP, START and HELP by itself.
    pub is_answered: bool,
}

/// What became of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenText {
    /// It was here before.
    Known,
    Taken {
        id: i64,
        wish: Wish,
        /// To be sent now, once.
        answer: Option<AnswerKind>,
        /// The customer's language, where one is known.
        locale: Option<String>,
    },
}

const ORDERS: &str = "
SELECT o.id, o.order_key, o.number, (o.closed_at IS NULL) AS is_open FROM orders o
WHERE o.contact_id IN (SELECT k.id FROM contacts k WHERE k.phone_hash = $1)
ORDER BY o.closed_at IS NULL DESC, o.id DESC LIMIT $2";

const LOCALE: &str = "
SELECT locale FROM contacts WHERE phone_hash = $1 AND locale IS NOT NULL ORDER BY id DESC LIMIT 1";

const IS_STOPPED: &str = "
SELECT EXISTS (SELECT 1 FROM suppressions
  WHERE address_hash = $1 AND channel = 'sms' AND reason = $2)";

const ANSWERS: &str = "
SELECT answer, at FROM texts WHERE phone_hash = $1 AND at > $2 AND answer IS NOT NULL
ORDER BY at DESC";

/// Under a hold of everything, or of texts, nobody is answered.
const IS_HELD: &str = "
SELECT EXISTS (SELECT 1 FROM holds WHERE (scope = 'global' OR (scope = 'channel' AND key = 'sms'))
  AND (until IS NULL OR until > $1))";

const STORE: &str = "
INSERT INTO texts (event_key, gateway, phone_hash, wish, task, order_id, at, answer)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (event_key) DO NOTHING RETURNING id";

const STORE_PRIVATE: &str = "
INSERT INTO text_private (text_id, number, words) VALUES ($1, $2, $3)";

const TAKE_BACK_ANSWER: &str = "UPDATE texts SET answer = NULL WHERE id = $1";

/// A STOP stands above whatever the number was suppressed for, so that it
/// stays when that is lifted.
const STOP: &str = "
INSERT INTO suppressions (address_hash, channel, reason, source, since)
VALUES ($1, 'sms', $2, $3, $4)
ON CONFLICT (address_hash, channel) DO UPDATE SET reason = excluded.reason,
  source = excluded.source, since = excluded.since
WHERE suppressions.reason <> excluded.reason";

const START: &str = "
DELETE FROM suppressions WHERE address_hash = $1 AND channel = 'sms' AND reason = $2";

const ANSWERED: &str = "
UPDATE texts SET answer_outcome = $2 WHERE id = $1 AND answer IS NOT NULL";

const DONE: &str = "
UPDATE texts SET done_at = $2, done_by = $3
WHERE id = $1 AND task IS NOT NULL AND done_at IS NULL";

const FORGET: &str = "
DELETE FROM text_private WHERE text_id IN (SELECT t.id FROM texts t WHERE t.at < $1)";

statements![
    ORDERS,
    LOCALE,
    IS_STOPPED,
    ANSWERS,
    IS_HELD,
    STORE,
    STORE_PRIVATE,
    TAKE_BACK_ANSWER,
    STOP,
    START,
    ANSWERED,
    DONE,
    FORGET,
];

#[derive(sqlx::FromRow)]
struct OrderRow {
    id: i64,
    order_key: String,
    number: String,
    is_open: bool,
}

/// See [`crate::store::Store::take_text`].
pub async fn take(c: &mut Conn<'_>, new: &NewText, now: Instant) -> Result<TakenText, Halt> {
    let hash = &new.phone_hash;
    let orders: Vec<OrderRow> = rows!(c, ORDERS, hash, ORDERS_MAX)?;
    let ids: Vec<i64> = orders.iter().map(|order| order.id).collect();
    locks::orders(c, &ids, &[]).await?;
    let numbers: Vec<&str> = orders.iter().map(|order| order.number.as_str()).collect();
    let wish = read(&new.words, &numbers);
    let open: Vec<&OrderRow> = orders.iter().filter(|order| order.is_open).collect();
    let sender = sender(c, new, &wish, open.len(), now).await?;
    let response = respond(&wish, &sender);
    let held: bool = value!(c, IS_HELD, now.0)?;
    let answer = response.answer.filter(|_| !held);
    let about = match &wish {
        Wish::Order {
            number: Some(number),
            ..
        } => orders.iter().find(|order| order.number == *number),
        _ => open.first().copied(),
    };
    let stored: Option<i64> = maybe!(
        c,
        STORE,
        &new.event_key,
        new.gateway,
        hash,
        word(&wish),
        response.task.map(crate::domain::inbound::Task::as_str),
        response.task.and(about).map(|order| order.id),
        now.0,
        answer.map(AnswerKind::as_str),
    )?;
    let Some(id) = stored else {
        return Ok(TakenText::Known);
    };
    run!(c, STORE_PRIVATE, id, &new.number, &new.words)?;
    let reason = Stop::OptedOut.as_str();
    let mut answer = answer;
    if response.stops {
        let is_news = run!(c, STOP, hash, reason, new.gateway, now.0)? > 0;
        // Two at the same moment: the other one is being confirmed.
        if !is_news && answer.take().is_some() {
            run!(c, TAKE_BACK_ANSWER, id)?;
        }
        operate::wake_address(c, hash, now).await?;
    }
    if response.starts && run!(c, START, hash, reason)? > 0 {
        operate::wake_address(c, hash, now).await?;
    }
    if response.holds_orders {
        for order in &open {
            let hold = NewHold {
                scope: "order",
                key: order.order_key.clone(),
                by: "a customer's text".to_owned(),
                why: "the customer texted CANCEL: ask whether the order is meant".to_owned(),
                until: None,
            };
            operate::hold(c, &hold, now).await?;
        }
    }
    let locale = maybe!(c, LOCALE, hash)?;
    Ok(TakenText::Taken {
        id,
        wish,
        answer,
        locale,
    })
}

async fn sender(
    c: &mut Conn<'_>,
    new: &NewText,
    wish: &Wish,
    n_open_orders: usize,
    now: Instant,
) -> Result<Sender, sqlx::Error> {
    let hash = &new.phone_hash;
    let is_stopped: bool = value!(c, IS_STOPPED, hash, Stop::OptedOut.as_str())?;
    let since = now.minus(Length::days(1)).0;
    let answers: Vec<(String, i64)> = rows!(c, ANSWERS, hash, since)?;
    let mut sender = Sender {
        is_stopped,
        n_open_orders,
        is_answered: new.is_answered,
        answers_today: u32::try_from(answers.len()).unwrap_or(u32::MAX),
        since_same: None,
    };
    let would = respond(wish, &sender).answer;
    sender.since_same = answers
        .iter()
        .find(|(kind, _)| would.is_some_and(|would| would.as_str() == kind))
        .map(|(_, at)| now.since(Instant(*at)));
    Ok(sender)
}

fn word(wish: &Wish) -> &'static str {
    match wish {
        Wish::Stop { cancels: false } => "stop",
        Wish::Stop { cancels: true } => "cancel",
        Wish::Start => "start",
        Wish::Help => "help",
        Wish::Order { .. } => "order",
        Wish::Other => "other",
    }
}

/// See [`crate::store::Store::text_answered`].
pub async fn answered(c: &mut Conn<'_>, id: i64, outcome: &str) -> Result<(), Halt> {
    run!(c, ANSWERED, id, outcome)?;
    Ok(())
}

/// See [`crate::store::Store::close_text`].
pub async fn close(c: &mut Conn<'_>, id: i64, by: &str, now: Instant) -> Result<bool, Halt> {
    if run!(c, DONE, id, now.0, by)? == 0 {
        return Ok(false);
    }
    operate::audit(c, by, "text done", &id.to_string(), None, now).await?;
    Ok(true)
}

/// Words and numbers of old texts; what they asked for stays.
pub async fn forget(c: &mut Conn<'_>, now: Instant) -> Result<(), Halt> {
    run!(c, FORGET, now.minus(RAW_KEPT_FOR).0)?;
    Ok(())
}
