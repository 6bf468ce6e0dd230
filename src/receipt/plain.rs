//! Bounces without a machine-readable part: known wordings, and only those.
//!
//! A mail counts as a bounce here when its text opens as one of the systems in
//! [`SHAPES`] writes it, or when it comes from a mail system (null return path
//! or a daemon's name) and quotes a refusal with its code. Everything else is
//! left to a person: a guess would stop somebody's mail.

use super::class::{Diagnostic, find_enhanced, refusal};
use super::dsn::hidden;
use super::fields::address_in;
use super::mime::Mail;
use crate::domain::outcome::{Evidence, Phase, Refusal};
use crate::domain::receipt::ReceiptKind;

/// Text of a mail that is searched for the wording.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// How one system writes that a mail came back.
struct Shape {
    /// All of these stand in the text, in lower case.
    says: &'static [&'static str],
    /// The mail is still being tried.
    delayed: bool,
}

const fn failed(says: &'static [&'static str]) -> Shape {
    let delayed = false;
    Shape { says, delayed }
}
const fn delayed(says: &'static [&'static str]) -> Shape {
    let delayed = true;
    Shape { says, delayed }
}

/// Delays first: their texts often name the failure that would follow.
const SHAPES: &[Shape] = &[
    // Exim's warning.
    delayed(&[
        "created automatically by mail delivery software",
        "has not yet been delivered",
    ]),
    delayed(&[
        "created automatically by mail delivery software",
        "will continue to be attempted",
    ]),
    delayed(&["this is a warning message only", "do not need to resend"]),
    delayed(&["delivery", "has been delayed", "will continue"]),
    // qmail and its descendants (QSBMF): the first words are the format.
    failed(&["hi. this is the", "wasn't able to deliver"]),
    failed(&["hi. this is the", "giving up"]),
    // Exim.
    failed(&[
        "created automatically by mail delivery software",
        "could not be delivered",
    ]),
    // Yahoo.
    failed(&["unable to deliver", "following address"]),
    // Exchange before it sent reports.
    failed(&["did not reach some or all of the intended recipients"]),
    failed(&["the following recipient(s) could not be reached"]),
    // Domino.
    failed(&["was not delivered to", "because"]),
    failed(&["your message", "could not be delivered", "domino"]),
    // Google without a report.
    failed(&["delivery to the following recipient failed permanently"]),
    // Sendmail's transcript.
    failed(&["the following addresses had permanent fatal errors"]),
    failed(&["transcript of session follows", "user unknown"]),
    // Postfix and others that quote.
    failed(&["could not be delivered to one or more recipients"]),
    failed(&["undeliverable to", "original message follows"]),
];

/// What is below is the returned message, not the report.
const CUTS: &[&str] = &[
    "--- below this line is a copy of the message",
    "------ this is a copy of",
    "----- original message",
    "--- original message",
    "----- message header follows",
    "----- unsent message follows",
    "original message follows",
    "--- the header of the original message is following",
    "this is a copy of the message, including all the headers",
];

/// Words that mean the mailbox where no code says it.
const NO_MAILBOX: &[&str] = &[
    "user unknown",
    "unknown user",
    "no such user",
    "no mailbox here by that name",
    "doesn't have a",
    "does not have an account",
    "not listed in",
    "does not exist",
    "user doesn't exist",
    "unknown recipient",
];

/// Who writes bounces.
const DAEMONS: &[&str] = &["mailer-daemon", "postmaster", "mail-daemon", "mailerdaemon"];

/// What `mail` says, if it is a bounce in one of the known wordings.
pub fn read(mail: &Mail<'_>) -> Option<(ReceiptKind, Evidence)> {
    let part = mail
        .own_parts()
        .find(|part| part.kind.starts_with("text/"))?;
    let text = part.text();
    let report = cut(&text);
    let lower = spaced(&report.to_lowercase());
    let shape = SHAPES
        .iter()
        .find(|shape| shape.says.iter().all(|words| lower.contains(words)));
    let refused = refusal_line(report);
    let quotes = refused.as_ref().is_some_and(|d| d.enhanced.is_some());
    match shape {
        Some(shape) if shape.delayed => {
            let text = ReceiptKind::Delayed.words();
            return Some((ReceiptKind::Delayed, Evidence::new(Phase::Done, text)));
        }
        Some(_) => {}
        None if quotes && is_from_a_system(mail) => {}
        None => return None,
    }
    let (class, evidence) = match refused {
        Some(diagnostic) => {
            let class = refusal(None, &diagnostic);
            let text = hidden(
                &diagnostic.text,
                addresses(report).iter().map(String::as_str),
            );
            let mut evidence = Evidence::new(Phase::Done, &text);
            evidence.code = diagnostic.code;
            let code = diagnostic.enhanced.map(|code| code.to_string());
            (class, evidence.with_enhanced(code))
        }
        None => {
            let class = if NO_MAILBOX.iter().any(|words| lower.contains(words)) {
                Refusal::Hard
            } else {
                Refusal::Soft
            };
            let text = ReceiptKind::Failed(class).words();
            (class, Evidence::new(Phase::Done, text))
        }
    };
    Some((ReceiptKind::Failed(class), evidence))
}

/// The part of a text that is the report itself.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    let lower = text.to_ascii_lowercase();
    let at = CUTS.iter().filter_map(|mark| lower.find(mark)).min();
    &text[..at.unwrap_or(text.len())]
}

/// Every run of white space as one blank: wordings are wrapped anywhere.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first paragraph that names a permanent refusal by its code.
fn refusal_line(report: &str) -> Option<Diagnostic> {
    report
        .replace("\r\n", "\n")
        .split("\n\n")
        .find_map(|paragraph| {
            let quoted = spaced(paragraph);
            let from = quoted
                .match_indices([' ', ':', '#', '(', '<'])
                .map(|(at, _)| at + 1)
                .chain([0])
                .filter(|at| starts_with_code(&quoted[*at..]))
                .min()?;
            Some(Diagnostic::read(&quoted[from..]))
        })
}

/// `550 `, `550-`, `550:` or `5.1.1`.
fn starts_with_code(text: &str) -> bool {
    let bytes = text.as_bytes();
    let reply = bytes.len() > 3
        && bytes[0] == b'5'
        && bytes[1].is_ascii_digit()
        && bytes[2].is_ascii_digit()
        && b" -:".contains(&bytes[3]);
    let word = text.split([' ', ')', '>', ']']).next().unwrap_or_default();
    reply || find_enhanced(word).is_some_and(|code| code.class == 5)
}

fn addresses(report: &str) -> Vec<String> {
    report
        .split_whitespace()
        .filter(|word| word.contains('@'))
        .filter_map(|word| address_in(word.trim_matches(['(', ')', '[', ']', ':', '.'])))
        .take(20)
        .collect()
}

fn is_from_a_system(mail: &Mail<'_>) -> bool {
    let null_path = |path: &str| path.trim() == "<>";
    mail.headers.get("return-path").is_some_and(null_path) || names_a_daemon(mail)
}

/// Whether the sender's name is a mail system's. A null return path alone is
/// not enough for that: careful holiday notes have it too.
pub fn names_a_daemon(mail: &Mail<'_>) -> bool {
    let from = mail.headers.get("from").unwrap_or_default();
    let from = from.to_ascii_lowercase();
    DAEMONS.iter().any(|name| from.contains(name))
}
