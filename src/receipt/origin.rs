//! Which message a mail is about.
//!
//! The envelope recipient says it best: it is the bounce address with the
//! token, and nobody on the way rewrites it. Where a forwarder or a mailbox in
//! between has lost it, the token stands in what the delivery left in the
//! headers, in what the report repeats of our envelope, or in the headers of
//! the returned message. Every place is worth the same, because a token cannot
//! be made without the key; a mail without one is about nothing of ours.

use super::fields::Fields;
use super::mime::Mail;
use crate::domain::ids::MessageUid;
use crate::domain::verp::VerpKey;

/// Headers a delivery leaves the envelope recipient in.
const RECIPIENT_HEADERS: [&str; 8] = [
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "x-envelope-to",
    "x-delivered-to",
    "x-forwarded-to",
    "to",
    "cc",
];
/// Fields of a report that repeat our envelope (RFC 3464, 2.2.1; RFC 5965,
/// 3.2).
const REPORT_FIELDS: [&str; 2] = ["original-envelope-id", "original-mail-from"];
/// Headers of the returned message that carry our token.
const RETURNED_HEADERS: [&str; 5] = [
    "return-path",
    "message-id",
    "x-original-message-id",
    "x-envelope-from",
    "errors-to",
];
/// Header-like lines in the text of reports that have no machine-readable
/// part.
const TEXT_LINES_MAX: usize = 2_000;

/// The message `mail` is about.
pub fn find(
    mail: &Mail<'_>,
    reports: &[Fields],
    envelope_recipient: Option<&str>,
    key: &VerpKey,
) -> Option<MessageUid> {
    if let Some(uid) = envelope_recipient.and_then(|recipient| key.find(recipient)) {
        return Some(uid);
    }
    let among = |fields: &Fields, names: &[&str]| {
        names
            .iter()
            .flat_map(|name| fields.all(name))
            .find_map(|value| key.find(value))
    };
    among(&mail.headers, &RECIPIENT_HEADERS)
        .or_else(|| reports.iter().find_map(|r| among(r, &REPORT_FIELDS)))
        .or_else(|| mail.enclosed().find_map(|m| among(m, &RETURNED_HEADERS)))
        .or_else(|| in_text(mail, key))
}

/// The returned message as a part of the text, as qmail and Exim write it.
fn in_text(mail: &Mail<'_>, key: &VerpKey) -> Option<MessageUid> {
    mail.own_parts()
        .filter(|part| part.kind.starts_with("text/"))
        .find_map(|part| {
            let text = part.text();
            let mut lines = text.lines().take(TEXT_LINES_MAX);
            lines.find_map(|line| {
                let (name, value) = line.trim_start_matches(['>', ' ']).split_once(':')?;
                let name = name.to_ascii_lowercase();
                RETURNED_HEADERS.contains(&name.as_str()).then_some(())?;
                key.find(value)
            })
        })
}
