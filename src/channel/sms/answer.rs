//! What an answer means: the part that is the same for all gateways, and how
//! an [`Outcome`] is made from it.
//!
//! - a readable refusal (400-428), or "too many" (429): certainly not taken;
//! - everything else that is no success (408, 409, any 5xx, an answer nobody
//!   can read): in doubt, unless the gateway's own documentation knows better.

use super::http::HttpAnswer;
use crate::domain::outcome::{Deferral, Evidence, Outcome, Phase, Refusal};
use crate::domain::time::Length;

/// What a status means when nothing else about the answer is known.
pub fn by_status(answer: &HttpAnswer, evidence: Evidence) -> Outcome {
    match answer.status {
        429 => later(evidence, answer.wait),
        425 => later(evidence, answer.wait),
        // Credentials, an empty account, a wrong or moved address.
        401..=405 | 407 | 410 | 301 | 307 | 308 => configuration(evidence),
        // 409 is what gateways with idempotency keys say while the first
        // request with the same key is still at work.
        408 | 409 => doubt(evidence),
        400..=428 => refused(Refusal::Soft, evidence),
        _ => doubt(evidence),
    }
}

pub fn evidence(answer: &HttpAnswer, text: &str) -> Evidence {
    Evidence::new(Phase::Dot, &without_numbers(text)).with_code(answer.status)
}

pub fn accepted(answer: &HttpAnswer, reference: Option<String>) -> Outcome {
    let evidence = Evidence::new(Phase::Done, "the gateway took it").with_code(answer.status);
    Outcome::Accepted {
        evidence: evidence.with_reference(reference.filter(|id| is_plain_id(id))),
    }
}

pub fn refused(class: Refusal, evidence: Evidence) -> Outcome {
    Outcome::Refused { class, evidence }
}

/// About the gateway, not about the message.
pub fn later(evidence: Evidence, wait: Option<Length>) -> Outcome {
    Outcome::Deferred {
        why: Deferral::Relay,
        wait,
        evidence,
    }
}

pub fn configuration(evidence: Evidence) -> Outcome {
    Outcome::Deferred {
        why: Deferral::Configuration,
        wait: None,
        evidence,
    }
}

pub fn doubt(evidence: Evidence) -> Outcome {
    Outcome::InDoubt { evidence }
}

fn is_plain_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 200 && id.chars().all(|c| c.is_ascii_graphic())
}

/// Masks everything that could be a phone number: seven digits or more, with
/// whatever people put between them.
pub fn without_numbers(text: &str) -> String {
    let is_between = |c: char| " -.()/+".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut held = String::new();
    let mut n_digits = 0;
    let flush = |out: &mut String, held: &mut String, n_digits: &mut usize| {
        if *n_digits >= 7 {
            let rest = held.trim_end_matches(is_between).len();
            out.push_str("<number>");
            out.push_str(&held[rest..]);
        } else {
            out.push_str(held);
        }
        held.clear();
        *n_digits = 0;
    };
    for c in text.chars() {
        if c.is_ascii_digit() || c == '+' || (n_digits > 0 && is_between(c)) {
            n_digits += usize::from(c.is_ascii_digit());
            held.push(c);
        } else {
            flush(&mut out, &mut held, &mut n_digits);
            out.push(c);
        }
    }
    flush(&mut out, &mut held, &mut n_digits);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_masked_and_codes_are_not() {
        for (text, expected) in [
            (
                "The 'To' number +15005550001 is not valid",
                "The 'To' number <number> is not valid",
            ),
            ("to (212) 555-0147.", "to (<number>."),
            ("error 21211", "error 21211"),
            ("+44 20 7946 0018", "<number>"),
            ("code 30, later", "code 30, later"),
            ("a + b", "a + b"),
        ] {
            assert_eq!(without_numbers(text), expected);
        }
    }

    proptest! {
        #[test]
        fn no_number_survives(before in "[a-z ]{0,5}", digits in "[0-9]{7,15}", cut in 0_usize..7, sep in "[ ./()-]{0,2}", after in "[a-z ]{0,5}") {
            let number = format!("{}{sep}{}", &digits[..cut], &digits[cut..]);
            let masked = without_numbers(&format!("{before}{number}{after}"));
            prop_assert!(!masked.chars().any(|c| c.is_ascii_digit()), "{}", masked);
        }
    }

    #[test]
    fn a_bare_status_is_definite_only_where_it_must_be() {
        let short = |status| {
            let answer = HttpAnswer {
                status,
                body: Vec::new(),
                is_whole: true,
                wait: Some(Length::secs(5)),
            };
            match by_status(&answer, evidence(&answer, "")) {
                Outcome::Deferred { why, wait, .. } => format!("{why:?} {wait:?}"),
                Outcome::Refused { class, .. } => format!("{class:?}"),
                other => other.name().to_owned(),
            }
        };
        for status in [
            408, 409, 500, 502, 503, 504, 431, 499, 303, 302, 200, 202, 600,
        ] {
            assert_eq!(short(status), "in_doubt", "{status}");
        }
        for status in [401, 402, 403, 404, 405, 407, 410, 301, 307, 308] {
            assert_eq!(short(status), "Configuration None", "{status}");
        }
        assert_eq!(short(429), "Relay Some(Length(5000))");
        assert_eq!((short(400), short(422)), ("Soft".into(), "Soft".into()));
    }
}
