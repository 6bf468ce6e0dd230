//! Lines of Exim's main log: `2026-03-02 09:00:01 1tABCD-000000001Xy-2abc <=
//! sender … id=…`, then `=>`, `**` or `==` for each recipient (Exim's
//! specification, chapter 53). A line with `<=` is written when the mail is in
//! the spool: it was taken.

use super::{End, Fate, Word, find_enhanced, recipient, why};
use crate::domain::outcome::Refusal;

pub(super) fn read(line: &str) -> Option<(String, Word)> {
    let mut rest = line;
    // Behind the time, and whatever syslog or a log selector puts before it.
    for _ in 0..10 {
        let (word, after) = rest.trim_start().split_once(' ')?;
        if is_id(word)
            && let Some(said) = event(after)
        {
            return Some((word.to_owned(), said));
        }
        rest = after;
    }
    None
}

/// `1tABCD-000000001Xy-2abc`, before version 4.97 `1tABCD-0001Xy-2a`.
fn is_id(word: &str) -> bool {
    let mut parts = word.split('-').map(str::len);
    let lengths = (parts.next(), parts.next(), parts.next(), parts.next());
    matches!(
        lengths,
        (Some(6), Some(6), Some(2), None) | (Some(6), Some(11), Some(4), None)
    ) && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn event(text: &str) -> Option<Word> {
    let (sign, rest) = text.split_once(' ')?;
    let fate = match sign {
        // The first: a subject, if it is logged, stands behind it.
        "<=" => {
            let id = rest.split(' ').find_map(|word| word.strip_prefix("id="))?;
            return Some(Word::Takes(id.to_owned()));
        }
        "=>" | "->" | ">>" => Fate::Delivered,
        "==" => Fate::Delayed,
        "**" => Fate::Failed(Refusal::Soft),
        _ => return None,
    };
    let (address, words) = rest.split_once(' ').unwrap_or((rest, ""));
    // After the host; what stands before it holds numbers that are no codes.
    let reply = words.split_once("]: ").map_or(words, |(_, reply)| reply);
    let reply = reply.rsplit_once(">: ").map_or(reply, |(_, reply)| reply);
    let (class, code) = why(None, reply);
    Some(Word::Ends(End {
        fate: match fate {
            Fate::Failed(_) => Fate::Failed(class),
            fate => fate,
        },
        recipient: recipient(address.trim_end_matches(':')),
        status: find_enhanced(reply)
            .filter(|_| fate != Fate::Delivered)
            .map(|code| code.to_string()),
        code: code.filter(|_| fate != Fate::Delivered),
        queued_as: None,
    }))
}
