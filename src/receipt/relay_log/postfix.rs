//! Lines of Postfix, as syslog or `maillog_file` writes them:
//! `… postfix/smtp[123]: 4ABC: to=<…>, …, dsn=2.0.0, status=sent (…)`.
//!
//! `cleanup` writes the Message-ID when it reads the header; that the mail was
//! taken says only `qmgr`, or whoever delivers (<https://www.postfix.org/OVERVIEW.html>).

use super::{End, Fate, Word, recipient, why};

pub(super) fn read(line: &str) -> Option<(String, Word)> {
    let (program, rest) = line.split_once("]: ")?;
    let (program, pid) = program.rsplit_once('[')?;
    if pid.is_empty() || !pid.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let program = program.rsplit([' ', '/']).next()?;
    let (queue_id, rest) = rest.split_once(": ")?;
    let is_id =
        (5..=20).contains(&queue_id.len()) && queue_id.bytes().all(|b| b.is_ascii_alphanumeric());
    if !is_id {
        return None;
    }
    let word = match program {
        "cleanup" => Word::Names(rest.strip_prefix("message-id=")?.to_owned()),
        "qmgr" | "nqmgr" | "oqmgr" => manager(rest)?,
        // It says `sent` of what it throws away.
        "discard" => Word::Has,
        _ => Word::Ends(end(rest)?),
    };
    Some((queue_id.to_owned(), word))
}

fn manager(rest: &str) -> Option<Word> {
    let after_sender = rest.strip_prefix("from=<")?.split_once(">, ")?.1;
    if after_sender.starts_with("status=expired")
        || after_sender.starts_with("status=force-expired")
    {
        return Some(Word::GivesUp);
    }
    after_sender
        .ends_with("(queue active)")
        .then_some(Word::Has)
}

fn end(rest: &str) -> Option<End> {
    let (address, rest) = rest.strip_prefix("to=<")?.split_once(">, ")?;
    let (before, after) = rest.split_once("status=")?;
    let status = before
        .rsplit_once("dsn=")
        .map(|(_, dsn)| dsn.trim_end_matches([',', ' ']).to_owned());
    let (word, words) = after.split_once(' ').unwrap_or((after, ""));
    let (class, code) = why(status.as_deref(), words);
    let fate = match word {
        "sent" => Fate::Delivered,
        "deferred" => Fate::Delayed,
        "bounced" | "expired" => Fate::Failed(class),
        // `deliverable` and such: a question about an address, no delivery.
        _ => return None,
    };
    let queued_as = words.split_once("queued as ").map(|(_, id)| {
        let id = id.split(|c: char| !c.is_ascii_alphanumeric());
        id.take(1).collect()
    });
    Some(End {
        fate,
        recipient: recipient(address),
        code: code.filter(|_| fate != Fate::Delivered),
        status,
        queued_as,
    })
}
