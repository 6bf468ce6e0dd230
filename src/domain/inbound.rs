//! Texts people send us: what they want, and what follows.
//!
//! Two pure steps. [`read`] finds the wish in the words; [`respond`] says what
//! to do about it, given what is known of the sender. Sources: FCC 47 CFR
//! 64.1200(a)(10) (words of revocation, any reasonable wording counts) and
//! (a)(12) (one confirmation, no advertising), CTIA's messaging principles
//! (HELP and STOP), 16 CFR 435.2(c) (a cancellation before shipment binds the
//! seller).
//!
//! The clash: a bare CANCEL is a word that ends texts, and the writer may mean
//! the order. It is taken as both: texts end, the order's automatic notices
//! are held, and a person has to look. It never cancels anything by itself.
//! What a STOP ends is texts; e-mail goes on.

use super::time::Length;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// Automatic answers to one number in a day; more is a machine, or a game.
pub const ANSWERS_A_DAY_MAX: u32 = 5;
/// The same answer is not given again so soon.
pub const SAME_ANSWER_AFTER: Length = Length::hours(1);
/// The hint to an order's text is not an answer anybody asked for.
pub const HINT_AFTER: Length = Length::hours(24);

/// Alone, these end texts. The last five are French, German, and a word of
/// mailing lists.
const STOP: &[&str] = &[
    "stop",
    "stopall",
    "stop all",
    "unsubscribe",
    "cancel",
    "end",
    "quit",
    "revoke",
    "opt out",
    "opt-out",
    "optout",
    "arret",
    "arrêt",
    "stopp",
    "abmelden",
    "remove",
];
const START: &[&str] = &["start", "unstop"];
const HELP: &[&str] = &["help", "info"];
/// Politeness before the word that counts.
const POLITE: &[&str] = &["please", "pls", "hi", "hello"];
/// Anywhere in the text.
const REVOKING: &[&str] = &[
    "no more texts",
    "no more messages",
    "stop texting",
    "stop messaging",
    "don't text me",
    "dont text me",
    "do not text me",
    "don't contact me",
    "do not contact me",
    "leave me alone",
    "wrong number",
    "opt me out",
    "unsubscribe me",
    "take me off",
];

/// What somebody may want of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderVerb {
    Cancel,
    Refund,
    Keep,
    Status,
}

impl OrderVerb {
    const ALL: [OrderVerb; 4] = [
        OrderVerb::Cancel,
        OrderVerb::Refund,
        OrderVerb::Keep,
        OrderVerb::Status,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            OrderVerb::Cancel => "cancel",
            OrderVerb::Refund => "refund",
            OrderVerb::Keep => "keep",
            OrderVerb::Status => "status",
        }
    }
}

/// The wish in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// No more texts. `cancels`: the word was CANCEL, which may be about the
    /// order.
    Stop {
        cancels: bool,
    },
    Start,
    Help,
    /// About an order; its number where the text names one that is known.
    Order {
        verb: OrderVerb,
        number: Option<String>,
    },
    /// For people.
    Other,
}

/// Finds the wish. `numbers` are those of the sender's orders, as printed.
pub fn read(text: &str, numbers: &[&str]) -> Wish {
    let words = normal(text);
    let is_in = |list: &[&str]| list.contains(&words.as_str());
    if is_in(STOP) {
        return Wish::Stop {
            cancels: words == "cancel",
        };
    }
    if is_in(START) {
        return Wish::Start;
    }
    if is_in(HELP) {
        return Wish::Help;
    }
    if let Some(wish) = order_wish(&words, numbers) {
        return wish;
    }
    let first = words
        .split(' ')
        .map(bare)
        .find(|word| !POLITE.contains(word));
    if let Some(word) = first.filter(|word| STOP.contains(word)) {
        return Wish::Stop {
            cancels: word == "cancel",
        };
    }
    if REVOKING.iter().any(|phrase| words.contains(phrase)) {
        return Wish::Stop { cancels: false };
    }
    Wish::Other
}

/// A verb together with `order` or a number that is one of theirs.
fn order_wish(words: &str, numbers: &[&str]) -> Option<Wish> {
    let parts: Vec<&str> = words.split(' ').map(bare).collect();
    let verb = OrderVerb::ALL
        .into_iter()
        .find(|verb| parts.contains(&verb.as_str()))?;
    let is_number = |part: &str, number: &str| {
        let plain = |text: &str| text.trim_start_matches(['#', '0']).to_lowercase();
        !plain(part).is_empty() && plain(part) == plain(number)
    };
    let named = numbers
        .iter()
        .find(|number| parts.iter().any(|part| is_number(part, number)));
    (named.is_some() || parts.contains(&"order")).then(|| Wish::Order {
        verb,
        number: named.map(|number| (*number).to_owned()),
    })
}

/// A word without what stands around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric() && c != '#')
}

/// Lower case, one blank between words, nothing around them: quotes,
/// punctuation and emoji are decoration.
fn normal(text: &str) -> String {
    let joined: String = text
        .nfkc()
        .flat_map(char::to_lowercase)
        .map(|c| if c == '\u{2019}' { '\'' } else { c })
        .collect();
    let words: Vec<&str> = joined.split_whitespace().collect();
    let joined = words.join(" ");
    let trimmed = joined.trim_matches(|c: char| !c.is_alphanumeric());
    trimmed.to_owned()
}

/// What is known of the sender.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sender {
    /// Texts to this number have been ended by its owner.
    pub is_stopped: bool,
    /// Orders of this number of which something still waits.
    pub n_open_orders: usize,
    /// The gateway answered STOP, START and HELP by itself.
    pub is_answered: bool,
    /// Automatic answers to this number within a day.
    pub answers_today: u32,
    /// Since the last answer that would be given now.
    pub since_same: Option<Length>,
}

/// The automatic answers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    Stopped,
    /// Texts have ended, and how to cancel the order.
    StoppedNotCancelled,
    Started,
    Help,
    /// A person will look at it; STOP ends texts.
    Noted,
}

impl AnswerKind {
    pub const ALL: [AnswerKind; 5] = [
        AnswerKind::Stopped,
        AnswerKind::StoppedNotCancelled,
        AnswerKind::Started,
        AnswerKind::Help,
        AnswerKind::Noted,
    ];

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            AnswerKind::Stopped => "stopped",
            AnswerKind::StoppedNotCancelled => "stopped_not_cancelled",
            AnswerKind::Started => "started",
            AnswerKind::Help => "help",
            AnswerKind::Noted => "noted",
        }
    }
}

/// What a person has to do about a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// CANCEL, and something of theirs waits.
    PossibleCancellation,
    /// They said what they want of an order.
    OrderWish,
    /// Anything else somebody wrote.
    Read,
}

impl Task {
    pub const ALL: [Task; 3] = [Task::PossibleCancellation, Task::OrderWish, Task::Read];

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Task::PossibleCancellation => "possible_cancellation",
            Task::OrderWish => "order_wish",
            Task::Read => "read",
        }
    }
}

/// What follows from a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// End texts to this number.
    pub stops: bool,
    /// Take back what an earlier STOP did, and nothing else.
    pub starts: bool,
    /// Hold the automatic notices of the sender's open orders.
    pub holds_orders: bool,
    pub task: Option<Task>,
    pub answer: Option<AnswerKind>,
}

/// What to do about a wish.
pub fn respond(wish: &Wish, sender: &Sender) -> Response {
    let response = match wish {
        Wish::Stop { cancels } => {
            let about_order = *cancels && sender.n_open_orders > 0;
            Response {
                stops: true,
                holds_orders: about_order,
                task: about_order.then_some(Task::PossibleCancellation),
                // Confirmed once: whoever has stopped already gets nothing.
                answer: (!sender.is_stopped).then_some(if about_order {
                    AnswerKind::StoppedNotCancelled
                } else {
                    AnswerKind::Stopped
                }),
                ..Response::default()
            }
        }
        Wish::Start => Response {
            starts: true,
            answer: sender.is_stopped.then_some(AnswerKind::Started),
            ..Response::default()
        },
        // Also to who has stopped: they asked.
        Wish::Help => Response {
            answer: Some(AnswerKind::Help),
            ..Response::default()
        },
        Wish::Order { .. } => Response {
            task: Some(Task::OrderWish),
            answer: (!sender.is_stopped).then_some(AnswerKind::Noted),
            ..Response::default()
        },
        Wish::Other => Response {
            task: Some(Task::Read),
            ..Response::default()
        },
    };
    Response {
        answer: response.answer.filter(|kind| may_answer(*kind, sender)),
        ..response
    }
}

fn may_answer(kind: AnswerKind, sender: &Sender) -> bool {
    let pause = match kind {
        AnswerKind::Noted => HINT_AFTER,
        AnswerKind::Help => SAME_ANSWER_AFTER,
        // The state itself keeps these from being said twice.
        AnswerKind::Stopped | AnswerKind::StoppedNotCancelled | AnswerKind::Started => Length::ZERO,
    };
    let by_gateway = sender.is_answered
        && matches!(
            kind,
            AnswerKind::Stopped | AnswerKind::Started | AnswerKind::Help
        );
    !by_gateway
        && sender.answers_today < ANSWERS_A_DAY_MAX
        && sender.since_same.is_none_or(|since| since >= pause)
}

#[cfg(test)]
#[path = "inbound_tests.rs"]
mod tests;
