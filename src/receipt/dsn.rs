//! Delivery status notifications: the machine-readable reports of RFC 3464,
//! and of RFC 6533 for addresses beyond ASCII.
//!
//! A report may speak of many recipients; only ours counts. It is the one our
//! message was written to, which the returned headers name, or the only one.

use super::class::{Diagnostic, refusal};
use super::fields::{Fields, address_in};
use super::mime::Mail;
use crate::domain::kinds::ChannelName;
use crate::domain::outcome::{Evidence, Phase, Refusal};
use crate::domain::receipt::ReceiptKind;
use crate::domain::smtp_reply::Enhanced;

/// Blocks of one report that are looked at.
const BLOCKS_MAX: usize = 200;

/// The blocks of the status part, the message's own first; empty when there is
/// none. Some systems label the part as plain text: what it holds decides.
pub fn blocks(mail: &Mail<'_>) -> Vec<Fields> {
    let labelled = |kind: &str| {
        matches!(
            kind,
            "message/delivery-status" | "message/global-delivery-status"
        )
    };
    let read = |part: &super::mime::Part<'_>| Fields::blocks(&part.body, BLOCKS_MAX);
    let by_label = mail.own_parts().filter(|p| labelled(&p.kind)).map(read);
    let by_content = mail
        .own_parts()
        .filter(|p| p.kind.starts_with("text/"))
        .map(read)
        .filter(|blocks| blocks.first().is_some_and(|b| b.has("reporting-mta")));
    by_label
        .chain(by_content)
        .find(|blocks| blocks.iter().any(is_about_a_recipient))
        .unwrap_or_default()
}

fn is_about_a_recipient(block: &Fields) -> bool {
    block.has("final-recipient") || block.has("original-recipient") || block.has("action")
}

/// What a report says about our recipient; `None` when it cannot be told.
pub fn read(mail: &Mail<'_>, blocks: &[Fields]) -> Option<(ReceiptKind, Evidence)> {
    let ours = our_recipient(mail);
    let reports: Vec<&Fields> = blocks.iter().filter(|b| is_about_a_recipient(b)).collect();
    let about_us = |block: &&&Fields| ours.is_some() && names(block).any(|name| Some(name) == ours);
    let mut chosen: Vec<&Fields> = reports.iter().filter(about_us).copied().collect();
    if chosen.is_empty() {
        // The only one is ours even if the address is another: it was
        // forwarded. Among several strangers nobody knows which is.
        chosen = match reports.as_slice() {
            [only] => vec![only],
            _ => return mildest(&reports),
        };
    }
    let news = chosen
        .iter()
        .filter_map(|block| one(block, ours.as_deref()));
    news.max_by_key(|(kind, _)| kind.rank(ChannelName::Email))
}

/// Our address was replaced by several: it came back only if all of them did,
/// and says nothing about the address itself.
fn mildest(reports: &[&Fields]) -> Option<(ReceiptKind, Evidence)> {
    let news: Vec<_> = reports.iter().map(|block| one(block, None)).collect();
    let all: Vec<(ReceiptKind, Evidence)> = news.into_iter().collect::<Option<_>>()?;
    let (kind, evidence) = all
        .into_iter()
        .min_by_key(|(kind, _)| kind.rank(ChannelName::Email))?;
    Some((not_dead(kind), evidence))
}

/// The address our message was written to.
fn our_recipient(mail: &Mail<'_>) -> Option<String> {
    mail.enclosed()
        .find_map(|message| message.get("to"))
        .and_then(address_in)
}

fn names(block: &Fields) -> impl Iterator<Item = String> {
    [
        "original-recipient",
        "final-recipient",
        "x-actual-recipient",
    ]
    .into_iter()
    .filter_map(|name| block.get(name).and_then(address_in))
}

/// What one recipient's block says.
fn one(block: &Fields, ours: Option<&str>) -> Option<(ReceiptKind, Evidence)> {
    let status = block.get("status").and_then(|s| Enhanced::parse(s.trim()));
    let diagnostic = block.get("diagnostic-code").unwrap_or_default();
    let diagnostic = Diagnostic::read(diagnostic);
    let action = block.get("action").unwrap_or_default().to_ascii_lowercase();
    let action = action.split([' ', '(', ';']).next().unwrap_or_default();
    let kind = match (action, status.map(|code| code.class)) {
        ("failed" | "failure" | "fail" | "undeliverable", _) => {
            ReceiptKind::Failed(refusal(status, &diagnostic))
        }
        ("delayed", _) => ReceiptKind::Delayed,
        ("delivered", _) => ReceiptKind::Delivered,
        ("relayed", _) => ReceiptKind::Relayed,
        ("expanded", _) => ReceiptKind::Expanded,
        ("", Some(5)) => ReceiptKind::Failed(refusal(status, &diagnostic)),
        ("", Some(4)) => ReceiptKind::Delayed,
        ("", Some(2)) => ReceiptKind::Delivered,
        _ => return None,
    };
    let named: Vec<String> = names(block).collect();
    let forwarded = ours.is_some_and(|ours| !named.is_empty() && !named.iter().any(|n| n == ours));
    let kind = if forwarded { not_dead(kind) } else { kind };
    let text = hidden(
        &diagnostic.text,
        named.iter().map(String::as_str).chain(ours),
    );
    let text = if text.is_empty() { kind.words() } else { &text };
    let mut evidence = Evidence::new(Phase::Done, text);
    evidence.code = diagnostic.code;
    let code = status.or(diagnostic.enhanced).map(|code| code.to_string());
    Some((kind, evidence.with_enhanced(code)))
}

/// A dead address somebody forwards to is not the customer's own.
fn not_dead(kind: ReceiptKind) -> ReceiptKind {
    match kind {
        ReceiptKind::Failed(Refusal::Hard) => ReceiptKind::Failed(Refusal::Soft),
        kind => kind,
    }
}

/// The text without the local parts of the recipients: hosts write `unknown
/// user: "anna"`, and evidence carries no addresses.
pub fn hidden<'a>(text: &str, addresses: impl Iterator<Item = &'a str>) -> String {
    let mut out = text.to_owned();
    for address in addresses {
        let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
        for needle in [address, local] {
            out = without(&out, needle);
        }
    }
    out
}

/// Replaces every `needle` that stands as a word, whatever its case.
fn without(text: &str, needle: &str) -> String {
    let (lower, needle) = (text.to_ascii_lowercase(), needle.to_ascii_lowercase());
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = lower[at..].find(&needle).filter(|_| !needle.is_empty()) {
        let (from, to) = (at + found, at + found + needle.len());
        let inside =
            is_word(lower[..from].chars().next_back()) || is_word(lower[to..].chars().next());
        out.push_str(&text[at..from]);
        out.push_str(if inside { &text[from..to] } else { "<address>" });
        at = to;
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_names_nobody() {
        let hide = |text| hidden(text, ["anna.b@mail.example"].into_iter());
        assert_eq!(
            hide("unknown user: \"Anna.B\""),
            "unknown user: \"<address>\""
        );
        assert_eq!(hide("<anna.b@mail.example> gone"), "<<address>> gone");
        assert_eq!(hide("joanna.bee stays"), "joanna.bee stays");
        assert_eq!(without("ünïcödé text", "é"), "ünïcödé text");
    }
}
