//! A relay's own log: what it says became of mails in doubt.
//!
//! [`RelayLog`] is given the Message-IDs somebody wonders about and then the
//! log, line by line, oldest first; it keeps the lines' trail from Message-ID
//! to queue id to the last word about each recipient. The logs of Postfix
//! (syslog or file) and Exim (main log) are known, by their documentation and
//! by what the real ones write.
//!
//! Promises: pure; any bytes are answered; memory grows with the mails asked
//! for, not with the log; recipients are told apart by a hash, so no address
//! and no reply's words leave this file; a Message-ID that was only announced
//! (the relay writes it down before the last byte) counts as nothing.

mod exim;
mod postfix;

use super::class::{Diagnostic, find_enhanced, refusal};
use crate::domain::outcome::{Evidence, Phase, Refusal};
use crate::domain::receipt::ReceiptKind;
use crate::domain::smtp_reply::Enhanced;
use crate::domain::statement::hex;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// Lines told of each mail.
const LINES_MAX: usize = 40;

/// What one line says about one queue id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// It belongs to this Message-ID.
    Names(String),
    /// As before, and the relay took it in that moment.
    Takes(String),
    /// The relay has it.
    Has,
    /// The last word about a recipient.
    Ends(End),
    /// Everything still open was given up.
    GivesUp,
}

/// What became of it at one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub fate: Fate,
    /// Tells recipients apart.
    pub recipient: u64,
    pub status: Option<String>,
    pub code: Option<u16>,
    /// The queue id the next hop named.
    pub queued_as: Option<String>,
}

/// What the log says of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Handed on to the recipient's side.
    Delivered,
    /// The relay has it and still tries.
    Delayed,
    /// The relay took it; what became of it is not in the log.
    Taken,
    /// It came to nothing.
    Failed(Refusal),
    /// Its Message-ID is there, and nothing that says the relay took it.
    Announced,
}

impl Fate {
    /// The news it is; `None` where nothing is known.
    pub fn receipt(self) -> Option<ReceiptKind> {
        match self {
            Fate::Delivered => Some(ReceiptKind::Relayed),
            Fate::Delayed => Some(ReceiptKind::Delayed),
            Fate::Taken => Some(ReceiptKind::Underway),
            Fate::Failed(why) => Some(ReceiptKind::Failed(why)),
            Fate::Announced => None,
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Fate::Delivered => "sent on to the recipient's side",
            Fate::Delayed => "taken, still being tried",
            Fate::Taken => "taken by the relay",
            Fate::Failed(_) => "given up",
            Fate::Announced => "announced, not seen to be taken",
        }
    }
}

/// A line that says something, without anybody's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Where it stands, as the caller counts.
    pub place: String,
    pub queue_id: String,
    pub fate: Fate,
    pub status: Option<String>,
}

/// What the log says about one Message-ID.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub fate: Fate,
    pub evidence: Evidence,
    pub lines: Vec<Seen>,
}

#[derive(Debug, Default)]
struct Trail {
    message: String,
    taken: bool,
    ends: BTreeMap<u64, End>,
    given_up: bool,
    lines: Vec<Seen>,
}

/// Reads a log for some Message-IDs; see the module's header.
#[derive(Debug, Default)]
pub struct RelayLog {
    wanted: HashMap<String, Vec<Trail>>,
    /// Queue ids under way, and whose.
    open: HashMap<String, String>,
}

fn bare(message_id: &str) -> String {
    let bare = message_id.trim();
    let bare = bare.strip_prefix('<').unwrap_or(bare);
    bare.strip_suffix('>').unwrap_or(bare).to_owned()
}

impl RelayLog {
    /// Looks for these; with or without their angle brackets.
    pub fn watching<'a>(message_ids: impl IntoIterator<Item = &'a str>) -> RelayLog {
        RelayLog {
            wanted: message_ids
                .into_iter()
                .map(|id| (bare(id), Vec::new()))
                .collect(),
            open: HashMap::new(),
        }
    }

    /// The next line; `place` is asked for lines that matter.
    pub fn line(&mut self, line: &[u8], place: impl FnOnce() -> String) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        let found = exim::read(text).or_else(|| postfix::read(text));
        let Some((queue_id, word)) = found else {
            return;
        };
        if let Word::Names(id) | Word::Takes(id) = &word {
            let id = bare(id);
            match self.wanted.get_mut(&id) {
                Some(trails) => {
                    trails.push(Trail {
                        message: queue_id.clone(),
                        ..Trail::default()
                    });
                    self.open.insert(queue_id.clone(), id);
                }
                // Postfix uses queue ids again: this is another mail.
                None => {
                    self.open.remove(&queue_id);
                }
            }
        }
        let trail = self
            .open
            .get(&queue_id)
            .and_then(|id| self.wanted.get_mut(id))
            .and_then(|trails| trails.iter_mut().rev().find(|t| t.message == queue_id));
        if let Some(trail) = trail {
            trail.hear(word, queue_id, place);
        }
    }

    /// What it says of each of them that it mentions.
    pub fn verdicts(&self) -> BTreeMap<String, Verdict> {
        let told = self.wanted.iter();
        told.filter_map(|(id, trails)| Some((id.clone(), verdict(trails)?)))
            .collect()
    }

    /// What it says of one.
    pub fn verdict(&self, message_id: &str) -> Option<Verdict> {
        verdict(self.wanted.get(&bare(message_id))?)
    }
}

impl Trail {
    fn hear(&mut self, word: Word, queue_id: String, place: impl FnOnce() -> String) {
        let mut status = None;
        let fate = match word {
            Word::Names(_) => Fate::Announced,
            Word::Takes(_) | Word::Has => {
                self.taken = true;
                Fate::Taken
            }
            Word::GivesUp => {
                self.given_up = true;
                Fate::Failed(Refusal::Soft)
            }
            Word::Ends(end) => {
                self.taken = true;
                status.clone_from(&end.status);
                let fate = end.fate;
                self.ends.insert(end.recipient, end);
                fate
            }
        };
        if self.lines.len() < LINES_MAX {
            self.lines.push(Seen {
                place: place(),
                queue_id,
                fate,
                status,
            });
        }
    }

    fn fate(&self) -> Fate {
        let ends = || self.ends.values().map(|end| end.fate);
        let gone = |fate| match fate {
            Fate::Failed(why) => Some(why),
            Fate::Delayed if self.given_up => Some(Refusal::Soft),
            _ => None,
        };
        let failed: Vec<Refusal> = ends().filter_map(gone).collect();
        if !self.taken {
            return Fate::Announced;
        }
        match failed.first() {
            Some(why) if failed.len() == self.ends.len() => return Fate::Failed(*why),
            // An alias: here it arrived and there it did not.
            Some(_) => return Fate::Taken,
            None => {}
        }
        if ends().any(|fate| fate == Fate::Delivered) {
            Fate::Delivered
        } else if self.ends.is_empty() && self.given_up {
            Fate::Failed(Refusal::Soft)
        } else if ends().any(|fate| fate == Fate::Delayed) {
            Fate::Delayed
        } else {
            Fate::Taken
        }
    }
}

/// Over all copies: one that got through is enough; all have to have failed.
/// A copy handed to a filter goes on under another queue id, which counts.
fn verdict(trails: &[Trail]) -> Option<Verdict> {
    let known = |id: &str| trails.iter().any(|t| t.message == id);
    let goes_on = |trail: &Trail| {
        let mut next = trail.ends.values().filter_map(|e| e.queued_as.as_deref());
        next.any(|id| id != trail.message && known(id))
    };
    let last: Vec<&Trail> = trails.iter().filter(|trail| !goes_on(trail)).collect();
    let order = |fate: Fate| match fate {
        Fate::Delivered => 4,
        Fate::Delayed => 3,
        Fate::Taken => 2,
        Fate::Failed(_) => 1,
        Fate::Announced => 0,
    };
    let speaks = last.iter().max_by_key(|trail| order(trail.fate()))?;
    let fate = speaks.fate();
    let end = speaks.ends.values().find(|end| end.fate == fate);
    let status = end.and_then(|end| end.status.clone());
    let mut evidence = Evidence::new(Phase::Done, &format!("the relay's log: {}", fate.words()))
        .with_enhanced(status)
        .with_reference(Some(speaks.message.clone()));
    if let Some(code) = end.and_then(|end| end.code) {
        evidence = evidence.with_code(code);
    }
    Some(Verdict {
        fate,
        evidence,
        lines: trails.iter().flat_map(|t| t.lines.clone()).collect(),
    })
}

/// Tells recipients apart without keeping them.
fn recipient(address: &str) -> u64 {
    let hash = Sha256::digest(address.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first)
}

/// Why a relay gave up, by status and by words that are not kept.
fn why(status: Option<&str>, words: &str) -> (Refusal, Option<u16>) {
    let diagnostic = Diagnostic::read(words);
    if status.is_none() && diagnostic.code.is_none() {
        // Nobody refused it: the relay itself had enough.
        return (Refusal::Soft, None);
    }
    let class = refusal(status.and_then(Enhanced::parse), &diagnostic);
    (class, diagnostic.code)
}

/// The same for the same word about the same copy, however often it is read.
pub fn event_key(message_id: &str, verdict: &Verdict) -> String {
    let queue_id = verdict.evidence.reference.as_deref().unwrap_or_default();
    let word = verdict
        .fate
        .receipt()
        .map_or("nothing", ReceiptKind::as_str);
    let text = format!("relay log\n{}\n{queue_id}\n{word}", bare(message_id));
    format!("log-{}", hex(&Sha256::digest(text.as_bytes())[..16]))
}

#[cfg(test)]
mod tests;
