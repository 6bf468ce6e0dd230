//! Mails that come back: from the bytes of a mail to news about a message.
//!
//! [`read`] is the whole contract. It looks for, in this order: the message
//! the mail is about (`origin`), a delivery report (`dsn`), a complaint
//! (`complaint`), an automatic reply (`auto_reply`), and last a bounce in the
//! words of a system that sends no report (`plain`). `mime` and `fields` take
//! the mail apart, `class` says why it came back. Apart from mails,
//! [`relay_log`] reads what a relay's own log says of some messages.
//!
//! Promises: pure; any bytes are answered without a panic, in bounded time
//! and memory; a mail without a token made with our key says nothing about any
//! message; a holiday note is never a bounce; evidence carries no address.
//! Nothing here is logged.

mod auto_reply;
mod class;
mod complaint;
mod dsn;
mod fields;
mod mime;
mod origin;
mod plain;
pub mod relay_log;

use crate::domain::ids::MessageUid;
use crate::domain::outcome::Evidence;
use crate::domain::receipt::{Receipt, ReceiptKind};
use crate::domain::statement::hex;
use crate::domain::time::Instant;
use crate::domain::verp::VerpKey;
use complaint::Feedback;
use mime::Mail;
use sha2::{Digest, Sha256};

pub use mime::MAIL_BYTES_MAX;

/// A mail that came to the bounce address.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    pub raw: &'a [u8],
    /// The envelope recipient, where the delivery tells it.
    pub recipient: Option<&'a str>,
    /// When it was received.
    pub at: Instant,
}

/// What a mail turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// News about one of our messages.
    News { uid: MessageUid, receipt: Receipt },
    /// A reply no person wrote, or news that changes nothing.
    Ignored,
    /// Nobody can tell what it says, or about what: for a person to look at.
    Unclear {
        uid: Option<MessageUid>,
        event_key: String,
        why: Unclear,
    },
}

/// Why a mail is left to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// It reports something, but carries no token of ours.
    NotOurs,
    /// It is no report we know.
    NotAReport,
}

impl Unclear {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Unclear::NotOurs => "a report that carries no token of ours",
            Unclear::NotAReport => "no report we know how to read",
        }
    }
}

/// Reads a mail; see the module's header.
pub fn read(incoming: &Incoming<'_>, key: &VerpKey) -> Reading {
    let mail = Mail::read(incoming.raw);
    let feedback = complaint::fields(&mail);
    let mut reports = dsn::blocks(&mail);
    let report = match (&feedback, reports.is_empty()) {
        (Some(feedback), _) => match complaint::read(feedback) {
            Feedback::Complaint(kind, evidence) => Some((kind, evidence)),
            Feedback::NoComplaint => return Reading::Ignored,
        },
        (None, false) => dsn::read(&mail, &reports),
        (None, true) if auto_reply::is_automatic(&mail) && !is_shaped(&mail) => {
            return Reading::Ignored;
        }
        (None, true) => plain::read(&mail),
    };
    reports.extend(feedback);
    let uid = origin::find(&mail, &reports, incoming.recipient, key);
    match (report, uid) {
        (Some((kind, evidence)), Some(uid)) => {
            let event_key = event_key(&mail, incoming.raw, Some((uid, kind)));
            let receipt = receipt(event_key, kind, evidence, incoming.at);
            Reading::News { uid, receipt }
        }
        (report, uid) => Reading::Unclear {
            uid,
            event_key: event_key(&mail, incoming.raw, None),
            why: if report.is_some() {
                Unclear::NotOurs
            } else {
                Unclear::NotAReport
            },
        },
    }
}

/// Exim and qmail mark their bounces as automatic replies too; what opens in
/// their words and comes from a mail system is a bounce all the same.
fn is_shaped(mail: &Mail<'_>) -> bool {
    mail.headers.has("x-failed-recipients")
        || (plain::names_a_daemon(mail) && plain::read(mail).is_some())
}

fn receipt(event_key: String, kind: ReceiptKind, evidence: Evidence, at: Instant) -> Receipt {
    Receipt {
        event_key,
        kind,
        at,
        evidence,
    }
}

/// The same for every copy of one report: by what it says and its own message
/// id, or by its bytes where it has none. A repeated delivery adds trace
/// headers, so the bytes alone would not do.
fn event_key(mail: &Mail<'_>, raw: &[u8], news: Option<(MessageUid, ReceiptKind)>) -> String {
    let mut hash = Sha256::new();
    hash.update(b"mail\0");
    if let Some((uid, kind)) = news {
        hash.update(uid.0.as_bytes());
        hash.update(kind.as_str());
        hash.update(b"\0");
    }
    match mail.headers.get("message-id").map(str::trim) {
        Some(id) if !id.is_empty() => hash.update(id),
        _ => hash.update(raw),
    }
    hex(&hash.finalize()[..20])
}

#[cfg(test)]
mod tests;
