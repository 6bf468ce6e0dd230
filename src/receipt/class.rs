//! Why a mail came back, from the codes and words of a report.
//!
//! The tables are those for a relay's own replies
//! ([`crate::domain::reply_class`]): a report repeats such a reply, made at
//! another host's door. `Status` is what the reporting host made of it,
//! `Diagnostic-Code` what the refusing host wrote. The status leads; where it
//! is vague the diagnostic speaks. Only one thing needs both: stopping all
//! mail to an address. Some mail systems call every refusal of a recipient
//! "5.1.1", also one for reasons of policy, so a status that means "no such
//! mailbox" beside words that mean something else does not.

use crate::domain::outcome::{Outcome, Phase, Refusal};
use crate::domain::reply_class::classify;
use crate::domain::smtp_reply::{Enhanced, Reply};

/// What a host means that talks about us, not about the mailbox.
const OUR_REPUTATION: [&str; 9] = [
    "spam",
    "blacklist",
    "blocklist",
    "block list",
    "blocked",
    "reputation",
    "dnsbl",
    "dmarc",
    "spf",
];

/// A reply found in a report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostic {
    pub code: Option<u16>,
    pub enhanced: Option<Enhanced>,
    pub text: String,
}

impl Diagnostic {
    /// Reads `smtp; 550-5.1.1 no such user`, or words around such a reply.
    pub fn read(value: &str) -> Diagnostic {
        let text = match value.split_once(';') {
            Some((kind, rest)) if is_kind(kind) => rest.trim(),
            _ => value.trim(),
        };
        let code = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '#')
            .map(|word| word.trim_start_matches('#'))
            .find_map(reply_code);
        Diagnostic {
            code,
            enhanced: find_enhanced(text),
            text: text.to_owned(),
        }
    }
}

/// `smtp`, `X-Postfix`: what stands before the semicolon.
fn is_kind(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn reply_code(word: &str) -> Option<u16> {
    let fine = word.len() == 3 && word.bytes().all(|b| b.is_ascii_digit());
    let code: u16 = word.parse().ok().filter(|_| fine)?;
    (400..600).contains(&code).then_some(code)
}

/// The first `5.1.1` that stands alone in a text: not part of an address or a
/// version number.
pub fn find_enhanced(text: &str) -> Option<Enhanced> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
        .map(|word| word.trim_matches('.'))
        .filter(|word| {
            word.matches('.').count() == 2 && word.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        })
        .find_map(Enhanced::parse)
}

/// Why a mail failed for good.
pub fn refusal(status: Option<Enhanced>, diagnostic: &Diagnostic) -> Refusal {
    let own = diagnostic.enhanced.filter(|code| code.class == 5);
    let class = match status.map(|code| code.class) {
        Some(4) => return given_up(status),
        Some(5) => status.filter(|code| code.subject != 0),
        // Nothing, or a status that does not fit a failure.
        _ => None,
    };
    let diagnosed = |code| meaning(Some(code), diagnostic);
    match (class, own) {
        (Some(status), own) => match (diagnosed(status), own.map(diagnosed)) {
            (Refusal::Hard, Some(other)) if other != Refusal::Hard => other,
            (Refusal::Hard, None) if is_about_us(&diagnostic.text) => Refusal::Policy,
            (class, _) => class,
        },
        (None, Some(own)) => diagnosed(own),
        (None, None) if status.is_none() && diagnostic.code.is_some_and(|code| code < 500) => {
            Refusal::Soft
        }
        (None, None) => meaning(None, diagnostic),
    }
}

/// Tried until the time was over.
fn given_up(status: Option<Enhanced>) -> Refusal {
    match status {
        Some(code) if code.subject == 7 && code.detail > 1 => Refusal::Policy,
        _ => Refusal::Soft,
    }
}

/// What the reply tables say; what a session would repair or try again cannot
/// be repaired by the time a mail has come back.
fn meaning(enhanced: Option<Enhanced>, diagnostic: &Diagnostic) -> Refusal {
    let code = diagnostic.code.filter(|code| *code >= 500).unwrap_or(550);
    let words = &diagnostic.text;
    let text = match enhanced {
        Some(enhanced) => format!("{enhanced} {words}"),
        None => words.clone(),
    };
    match classify(phase(words), &Reply::of(code, &text)) {
        Outcome::Refused { class, .. } => class,
        Outcome::Deferred {
            why: crate::domain::outcome::Deferral::Configuration,
            ..
        } => Refusal::Policy,
        _ => Refusal::Soft,
    }
}

/// The step a refusal answered, where the report says so.
fn phase(words: &str) -> Phase {
    let lower = words.to_ascii_lowercase();
    if lower.contains("reply to mail from") || lower.contains("after mail from") {
        Phase::Mail
    } else if lower.contains("end of data") || lower.contains("after data") {
        Phase::Dot
    } else {
        Phase::Rcpt
    }
}

fn is_about_us(words: &str) -> bool {
    let lower = words.to_ascii_lowercase();
    OUR_REPUTATION.iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cases: &[(&str, &str, Refusal)]) {
        for (status, diagnostic, expected) in cases {
            let got = refusal(Enhanced::parse(status), &Diagnostic::read(diagnostic));
            assert_eq!(got, *expected, "{status} {diagnostic}");
        }
    }

    #[test]
    fn the_status_leads() {
        use Refusal::{Content, Hard, HardAfterTwoDays, Policy, Soft};
        check(&[
            ("5.1.1", "smtp; 550 5.1.1 no such user", Hard),
            ("5.1.1", "", Hard),
            ("5.1.2", "", Hard),
            (
                "5.1.10",
                "smtp;550 5.1.10 RESOLVER.ADR.RecipientNotFound",
                Hard,
            ),
            ("5.2.2", "smtp; 552 5.2.2 over quota", Soft),
            ("5.2.1", "smtp; 550 5.2.1 disabled", HardAfterTwoDays),
            ("4.4.7", "smtp; 550 4.4.7 QUEUE.Expired", Soft),
            ("4.4.1", "", Soft),
            ("4.7.1", "smtp; 451 4.7.1 greylisted", Soft),
            ("4.7.26", "smtp; 421 4.7.26 unauthenticated", Policy),
            ("5.7.1", "smtp; 550 5.7.1 refused by policy", Policy),
            ("5.7.1", "smtp; 550 5.7.1 user unknown", Hard),
            ("5.7.26", "smtp; 550-5.7.26 unauthenticated", Policy),
            ("5.3.4", "smtp; 552 5.3.4 too big", Content),
            ("5.6.7", "smtp; 553 5.6.7 needs SMTPUTF8", Content),
            (
                "5.4.4",
                "X-Postfix; Host or domain name not found",
                HardAfterTwoDays,
            ),
        ]);
    }

    #[test]
    fn a_vague_status_leaves_it_to_the_diagnostic() {
        use Refusal::{Hard, HardAfterTwoDays, Policy, Soft};
        check(&[
            ("5.0.0", "smtp; 550 5.1.1 no such user", Hard),
            ("5.0.0", "smtp; 550 No such user here", HardAfterTwoDays),
            ("", "smtp; 550-5.1.1 gone 550 5.1.1 gone", Hard),
            ("", "smtp; 554 rejected", Policy),
            ("", "smtp; 451 try again", Soft),
            ("2.0.0", "smtp; 550 5.1.1 odd", Hard),
        ]);
    }

    #[test]
    fn a_dead_address_needs_status_and_words_to_agree() {
        use Refusal::{Hard, Policy};
        check(&[
            (
                "5.1.1",
                "smtp; 550 5.7.1 Service unavailable, listed",
                Policy,
            ),
            ("5.1.1", "smtp; 550 Blocked - see our policy page", Policy),
            ("5.1.1", "smtp; 554 Your host has a poor reputation", Policy),
            ("5.1.1", "smtp; 550 User unknown", Hard),
            (
                "5.1.8",
                "smtp; 550 5.1.8 sender domain unknown (in reply to MAIL FROM command)",
                Policy,
            ),
        ]);
    }

    #[test]
    fn codes_are_found_among_words() {
        let d = Diagnostic::read("Remote host said: 550 5.1.1 unknown");
        assert_eq!((d.code, d.enhanced.map(|e| e.detail)), (Some(550), Some(1)));
        assert_eq!(find_enhanced("from 5.1.1.7 to 10.5.1.1"), None);
        assert_eq!(find_enhanced("by that name. (#5.1.1)").unwrap().detail, 1);
        assert_eq!(Diagnostic::read("call 5501234").code, None);
    }
}
