//! From what a relay answered to what it means. Pure: a step and a reply go
//! in, an [`Outcome`] comes out, and the tables below are the specification.
//!
//! The reply code decides between "later" and "no"; the enhanced code
//! (RFC 3463) and, where it is too vague, the words decide whose fault it is.
//! Only a clear "no such mailbox" is [`Refusal::Hard`], because that stops
//! all mail to the address; a vague one counts only when it is repeated on
//! another day ([`Refusal::HardAfterTwoDays`]); a fault of ours is never charged
//! to a customer.
//!
//! A 5yz stays a refusal whatever its enhanced code says about the moment: a
//! client must not repeat the same request (RFC 5321, 4.2.1). The two that are
//! put off all the same, a full mailbox and "too many recipients", are named
//! where they are decided.

use super::outcome::{Deferral, Evidence, Outcome, Phase, Refusal};
use super::smtp_reply::{Enhanced, Reply};

/// What a relay writes when it does not know the recipient.
const UNKNOWN_USER: [&str; 10] = [
    "user unknown",
    "unknown user",
    "unknown recipient",
    "recipient unknown",
    "no such user",
    "no such recipient",
    "no such mailbox",
    "does not exist",
    "doesn't exist",
    "invalid recipient",
];
/// What our own relay writes when it will not send for us.
const NO_RELAYING: [&str; 4] = [
    "relay access denied",
    "relaying denied",
    "relay not permitted",
    "unable to relay",
];

/// What `reply` means as the answer to `phase`: accepted only for a 2yz after
/// the final dot, in doubt for anything there that is neither that nor a
/// clear refusal. In earlier steps an answer that fits nothing is a confused
/// relay, and the message certainly did not leave.
pub fn classify(phase: Phase, reply: &Reply) -> Outcome {
    let evidence = evidence(phase, reply);
    match reply.class() {
        2 if phase == Phase::Dot => Outcome::Accepted {
            evidence: Evidence {
                phase: Phase::Done,
                ..evidence
            }
            .with_reference(reply.queue_id()),
        },
        4 => deferred(why_later(phase, reply), evidence),
        5 => match why_refused(phase, reply) {
            Verdict::Refused(class) => Outcome::Refused { class, evidence },
            Verdict::Deferred(why) => deferred(why, evidence),
        },
        _ if phase == Phase::Dot => Outcome::InDoubt { evidence },
        _ => deferred(Deferral::Relay, evidence),
    }
}

/// Code, enhanced code and words of a reply, for the record.
pub fn evidence(phase: Phase, reply: &Reply) -> Evidence {
    Evidence::new(phase, &reply.text())
        .with_code(reply.code)
        .with_enhanced(reply.enhanced().map(|code| code.to_string()))
}

fn deferred(why: Deferral, evidence: Evidence) -> Outcome {
    Outcome::Deferred {
        why,
        wait: None,
        evidence,
    }
}

enum Verdict {
    Refused(Refusal),
    Deferred(Deferral),
}
use Verdict::{Deferred, Refused};

/// Nothing before `MAIL` is about a message.
fn is_about_the_relay(phase: Phase) -> bool {
    phase < Phase::Mail
}

fn why_later(phase: Phase, reply: &Reply) -> Deferral {
    if reply.code == 421 || is_about_the_relay(phase) {
        Deferral::Relay
    } else {
        Deferral::Recipient
    }
}

fn why_refused(phase: Phase, reply: &Reply) -> Verdict {
    // Credentials or TLS are demanded, wherever the demand comes.
    if matches!(reply.code, 530 | 534 | 535 | 538) || phase == Phase::Auth || phase == Phase::Tls {
        return Deferred(Deferral::Configuration);
    }
    if is_about_the_relay(phase) {
        // "No service here" at the door often passes; a relay that does not
        // understand our words does not learn them.
        return Deferred(match reply.code {
            500..=504 => Deferral::Configuration,
            _ => Deferral::Relay,
        });
    }
    let text = reply.text().to_ascii_lowercase();
    match reply.enhanced() {
        // If the digits disagree the reply is right and the code says nothing.
        Some(code) if code.class == 5 => by_enhanced(phase, reply.code, code, &text),
        _ => by_code(phase, reply.code, &text),
    }
}

fn by_enhanced(phase: Phase, code: u16, enhanced: Enhanced, text: &str) -> Verdict {
    match (enhanced.subject, enhanced.detail) {
        (1, 7 | 8) | (7, 8 | 9 | 13 | 14 | 27 | 60) => Deferred(Deferral::Configuration),
        // The only address named so far is our own.
        (1, _) if phase == Phase::Mail => Deferred(Deferral::Configuration),
        (1, 1 | 2 | 3 | 6 | 10) => Refused(Refusal::Hard),
        // A full mailbox empties, and "too many recipients" (we send one) is
        // about the moment, whatever the first digit says.
        (2, 2) | (5, 3) => Deferred(Deferral::Recipient),
        (2, 3) | (3, 4) | (6, _) => Refused(Refusal::Content),
        (1, 0 | 4) | (2, 1) | (4, 4) => Refused(Refusal::HardAfterTwoDays),
        (1..=4, _) => Refused(Refusal::Soft),
        (5, _) => protocol(phase, code, text),
        (7, 1) => policy_or_words(phase, text),
        (7, _) => Refused(Refusal::Policy),
        // 5.0.x: "other", no better than no code at all.
        _ => by_code(phase, code, text),
    }
}

/// 5.7.1 is the most overloaded code there is: the words decide.
fn policy_or_words(phase: Phase, text: &str) -> Verdict {
    if is_unknown_recipient(phase, text) {
        Refused(Refusal::Hard)
    } else if refuses_to_relay(text) {
        Deferred(Deferral::Configuration)
    } else {
        Refused(Refusal::Policy)
    }
}

/// Misuse of the protocol, or a site that says so when it means the mailbox.
fn protocol(phase: Phase, code: u16, text: &str) -> Verdict {
    if is_unknown_recipient(phase, text) {
        Refused(Refusal::Hard)
    } else if matches!(code, 500..=504 | 555) || phase == Phase::Mail {
        Deferred(Deferral::Configuration)
    } else if matches!((code, phase), (550 | 551 | 553, Phase::Rcpt)) {
        Refused(Refusal::HardAfterTwoDays)
    } else {
        Refused(Refusal::Soft)
    }
}

fn by_code(phase: Phase, code: u16, text: &str) -> Verdict {
    match (code, phase) {
        (500..=504 | 555, _) => Deferred(Deferral::Configuration),
        _ if refuses_to_relay(text) => Deferred(Deferral::Configuration),
        (521 | 556, Phase::Rcpt) => Refused(Refusal::Hard),
        // Some relays say 552 for "too many recipients" (RFC 5321, 4.5.3.1.10).
        (552, Phase::Rcpt) => Deferred(Deferral::Recipient),
        (552, _) if says(text, &["size", "too large", "too big"]) => Refused(Refusal::Content),
        (550 | 551 | 553, Phase::Rcpt) => Refused(Refusal::HardAfterTwoDays),
        (550 | 551 | 553, Phase::Mail) => Deferred(Deferral::Configuration),
        _ => Refused(Refusal::Policy),
    }
}

/// Words that mean the mailbox; "sender domain does not exist" means us.
fn is_unknown_recipient(phase: Phase, text: &str) -> bool {
    phase != Phase::Mail && says(text, &UNKNOWN_USER) && !text.contains("sender")
}

/// Our relay's own words, not what it reports somebody else as saying.
fn refuses_to_relay(text: &str) -> bool {
    says(text, &NO_RELAYING) && !text.contains("said:")
}

fn says(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| text.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPIENT: &str = "deferred: recipient";
    const RELAY: &str = "deferred: relay";
    const CONFIG: &str = "deferred: configuration";
    const VAGUE: &str = "refused: hardaftertwodays";

    fn meaning(phase: Phase, raw: &str) -> String {
        let lines: Vec<String> = raw.lines().map(str::to_owned).collect();
        match classify(phase, &Reply::parse(&lines).unwrap()) {
            Outcome::Deferred { why, .. } => format!("deferred: {why:?}").to_lowercase(),
            Outcome::Refused { class, .. } => format!("refused: {class:?}").to_lowercase(),
            other => other.name().to_owned(),
        }
    }

    fn check(phase: Phase, cases: &[(&str, &str)]) {
        for (raw, expected) in cases {
            assert_eq!(meaning(phase, raw), *expected, "{phase:?} {raw}");
        }
    }

    #[test]
    fn answers_to_the_recipient() {
        check(
            Phase::Rcpt,
            &[
                (
                    "550 5.1.1 The email account that you tried to reach does not exist",
                    "refused: hard",
                ),
                (
                    "452 4.2.2 The recipient's inbox is out of storage space",
                    RECIPIENT,
                ),
                ("552 5.2.2 Over quota", RECIPIENT),
                (
                    "550-5.7.26 This mail has been blocked because the sender is\n550 5.7.26 unauthenticated.",
                    "refused: policy",
                ),
                (
                    "451 4.7.1 Greylisting in action, please come back later",
                    RECIPIENT,
                ),
                (
                    "550 5.7.1 <x@y>: Recipient address rejected: User unknown",
                    "refused: hard",
                ),
                ("535 5.7.8 Authentication credentials invalid", CONFIG),
                ("550 No such user here", VAGUE),
                ("571 Delivery not authorized", "refused: policy"),
                ("421 4.7.28 Our system has detected an unusual rate", RELAY),
                ("450 4.2.0 try later", RECIPIENT),
                ("452 too many recipients", RECIPIENT),
                ("552 too many recipients", RECIPIENT),
                ("552 5.5.3 too many recipients", RECIPIENT),
                ("501 5.1.3 Bad recipient address syntax", "refused: hard"),
                ("550 5.1.0 address rejected", VAGUE),
                ("550 5.1.6 mailbox has moved", "refused: hard"),
                ("556 5.1.10 domain does not accept mail", "refused: hard"),
                ("556 domain does not accept mail", "refused: hard"),
                ("521 host does not accept mail", "refused: hard"),
                ("550 5.1.8 sender's domain not found", CONFIG),
                ("550 5.2.1 mailbox disabled", VAGUE),
                ("550 5.4.4 no route to host", VAGUE),
                (
                    "550 5.4.1 Recipient address rejected: Access denied",
                    "refused: soft",
                ),
                (
                    "550 5.5.0 Requested action not taken: mailbox unavailable",
                    VAGUE,
                ),
                ("550 5.5.1 no such user", "refused: hard"),
                ("503 5.5.1 Error: need MAIL command", CONFIG),
                ("503 what", CONFIG),
                ("555 5.5.4 Unsupported option: NOTIFY", CONFIG),
                ("550 5.6.7 needs SMTPUTF8", "refused: content"),
                ("530 5.7.0 Must issue a STARTTLS command first", CONFIG),
                ("530 Authentication required", CONFIG),
                ("538 Encryption required", CONFIG),
                ("554 5.7.1 <x@y>: Relay access denied", CONFIG),
                ("550 relaying denied", CONFIG),
                (
                    "550 5.7.1 host mx.example said: 554 Relay access denied",
                    "refused: policy",
                ),
                ("550 5.7.1 Sender domain does not exist", "refused: policy"),
                ("550 5.7.515 Access denied", "refused: policy"),
                ("550 5.7.27 sender has a null MX", CONFIG),
                ("550 4.1.1 the digits disagree", VAGUE),
                ("550 5.0.0 no", VAGUE),
                ("554 transaction failed", "refused: policy"),
                ("354 go on", RELAY),
            ],
        );
    }

    /// RFC 5321 codes alone, at every step at which they can come.
    #[test]
    fn what_each_reply_code_means_without_an_enhanced_one() {
        let all = [
            Phase::Greeting,
            Phase::Mail,
            Phase::Rcpt,
            Phase::Data,
            Phase::Dot,
        ];
        let rows: [(u16, &[Phase], &str); 39] = [
            (250, &[Phase::Dot], "accepted"),
            (251, &[Phase::Dot], "accepted"),
            (354, &[Phase::Dot], "in_doubt"),
            (421, &all, RELAY),
            (
                450,
                &[Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Dot],
                RECIPIENT,
            ),
            (
                451,
                &[Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Dot],
                RECIPIENT,
            ),
            (
                452,
                &[Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Dot],
                RECIPIENT,
            ),
            (455, &[Phase::Mail, Phase::Rcpt], RECIPIENT),
            (452, &[Phase::Greeting], RELAY),
            (454, &[Phase::Auth, Phase::Tls, Phase::Greeting], RELAY),
            (454, &[Phase::Rcpt], RECIPIENT),
            (500, &all, CONFIG),
            (501, &all, CONFIG),
            (502, &all, CONFIG),
            (503, &all, CONFIG),
            (504, &all, CONFIG),
            (555, &[Phase::Mail, Phase::Rcpt], CONFIG),
            (
                530,
                &[Phase::Auth, Phase::Mail, Phase::Rcpt, Phase::Dot],
                CONFIG,
            ),
            (
                534,
                &[Phase::Auth, Phase::Mail, Phase::Rcpt, Phase::Dot],
                CONFIG,
            ),
            (
                535,
                &[Phase::Auth, Phase::Mail, Phase::Rcpt, Phase::Dot],
                CONFIG,
            ),
            (
                538,
                &[Phase::Auth, Phase::Mail, Phase::Rcpt, Phase::Dot],
                CONFIG,
            ),
            (550, &[Phase::Rcpt], VAGUE),
            (551, &[Phase::Rcpt], VAGUE),
            (553, &[Phase::Rcpt], VAGUE),
            (550, &[Phase::Mail], CONFIG),
            (553, &[Phase::Mail], CONFIG),
            (550, &[Phase::Data, Phase::Dot], "refused: policy"),
            (552, &[Phase::Rcpt], RECIPIENT),
            (
                552,
                &[Phase::Mail, Phase::Data, Phase::Dot],
                "refused: policy",
            ),
            (
                554,
                &[Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Dot],
                "refused: policy",
            ),
            (554, &[Phase::Greeting], RELAY),
            (521, &[Phase::Rcpt], "refused: hard"),
            (556, &[Phase::Rcpt], "refused: hard"),
            (521, &[Phase::Greeting], RELAY),
            (
                571,
                &[Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Dot],
                "refused: policy",
            ),
            (
                599,
                &[Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Dot],
                "refused: policy",
            ),
            (
                499,
                &[Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Dot],
                RECIPIENT,
            ),
            (299, &[Phase::Dot], "accepted"),
            (250, &[Phase::Data], RELAY),
        ];
        for (code, phases, expected) in rows {
            for phase in phases {
                let raw = format!("{code} x");
                assert_eq!(meaning(*phase, &raw), expected, "{phase:?} {code}");
            }
        }
    }

    /// RFC 3463 and what providers made of it, as refusals of a recipient.
    #[test]
    fn what_each_enhanced_code_means() {
        let rows: [(&str, &[&str], &str); 12] = [
            (
                "550",
                &["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"],
                "refused: hard",
            ),
            ("550", &["5.1.0", "5.1.4", "5.2.1", "5.4.4"], VAGUE),
            ("550", &["5.1.7", "5.1.8", "5.7.27"], CONFIG),
            ("552", &["5.2.2"], RECIPIENT),
            ("452", &["4.2.2"], RECIPIENT),
            ("552", &["5.2.3", "5.3.4"], "refused: content"),
            (
                "450",
                &[
                    "4.3.0", "4.3.2", "4.4.1", "4.4.2", "4.4.7", "4.7.0", "4.7.1", "4.7.28",
                ],
                RECIPIENT,
            ),
            (
                "554",
                &["5.3.0", "5.4.1", "5.4.6", "5.4.7"],
                "refused: soft",
            ),
            ("554", &["5.6.0", "5.6.7", "5.6.9"], "refused: content"),
            ("550", &["5.7.8", "5.7.9", "5.7.13", "5.7.14"], CONFIG),
            (
                "550",
                &[
                    "5.7.1", "5.7.20", "5.7.21", "5.7.22", "5.7.23", "5.7.24", "5.7.25", "5.7.26",
                    "5.7.28", "5.7.29", "5.7.30", "5.7.32", "5.7.509", "5.7.515",
                ],
                "refused: policy",
            ),
            ("500", &["5.5.1", "5.5.2", "5.5.4"], CONFIG),
        ];
        for (code, enhanced, expected) in rows {
            for enhanced in enhanced {
                let raw = format!("{code} {enhanced} x");
                assert_eq!(meaning(Phase::Rcpt, &raw), expected, "{raw}");
            }
        }
        assert_eq!(meaning(Phase::Rcpt, "421 4.7.28 slow down"), RELAY);
    }

    #[test]
    fn replies_as_real_servers_write_them() {
        let at = Phase::Rcpt;
        let rows = [
            (
                at,
                "550 5.1.1 The email account that you tried to reach does not exist",
                "refused: hard",
            ),
            (
                at,
                "452 4.2.2 The recipient's inbox is out of storage space",
                RECIPIENT,
            ),
            (at, "552 5.2.2 Over quota", RECIPIENT),
            (
                Phase::Dot,
                "550-5.7.26 This mail has been blocked because the sender is\n550-5.7.26 \
                 unauthenticated. Authenticate with SPF or DKIM.\n550 5.7.26 - gsmtp",
                "refused: policy",
            ),
            (
                at,
                "451 4.7.1 Greylisting in action, please come back later",
                RECIPIENT,
            ),
            (
                at,
                "550 5.7.1 <x@y>: Recipient address rejected: User unknown",
                "refused: hard",
            ),
            (
                Phase::Auth,
                "535 5.7.8 Authentication credentials invalid",
                CONFIG,
            ),
            (at, "550 No such user here", VAGUE),
            (at, "571 Delivery not authorized", "refused: policy"),
            (Phase::Dot, "250 2.0.0 OK queued as 4F2", "accepted"),
        ];
        for (phase, raw, expected) in rows {
            assert_eq!(meaning(phase, raw), expected, "{phase:?} {raw}");
        }
    }

    #[test]
    fn answers_to_the_sender_are_never_charged_to_the_recipient() {
        check(
            Phase::Mail,
            &[
                ("550 5.1.1 unknown", CONFIG),
                ("553 5.1.8 sender domain not found", CONFIG),
                ("553 5.1.7 bad sender syntax", CONFIG),
                ("550 sender rejected", CONFIG),
                ("530 5.7.1 Authentication required", CONFIG),
                ("550 5.7.60 not allowed to send as this sender", CONFIG),
                ("501 bad address", CONFIG),
                ("552 5.3.4 message size exceeds limit", "refused: content"),
                ("552 message size exceeds fixed maximum", "refused: content"),
                ("554 5.7.1 your address is listed", "refused: policy"),
                ("554 5.7.1 sender user unknown", "refused: policy"),
                ("451 4.3.0 try later", RECIPIENT),
                ("421 too many connections", RELAY),
            ],
        );
    }

    #[test]
    fn answers_to_the_final_dot() {
        check(
            Phase::Dot,
            &[
                ("250 2.0.0 OK queued as 4F2", "accepted"),
                ("250", "accepted"),
                ("299 fine", "accepted"),
                ("354 go on", "in_doubt"),
                ("334 what", "in_doubt"),
                ("421 4.3.2 shutting down", RELAY),
                ("451 4.3.0 try later", RECIPIENT),
                ("550 5.7.26 unauthenticated", "refused: policy"),
                ("552 5.2.3 too big", "refused: content"),
                ("552 over", "refused: policy"),
                ("554 5.6.0 not conforming", "refused: content"),
                ("550 5.1.1 gone", "refused: hard"),
                ("571 no", "refused: policy"),
                ("500 what", CONFIG),
            ],
        );
    }

    #[test]
    fn answers_before_the_first_message() {
        check(
            Phase::Greeting,
            &[
                ("421 busy", RELAY),
                ("450 later", RELAY),
                ("554 no service here", RELAY),
                ("502 EHLO not implemented", CONFIG),
                ("250 odd", RELAY),
            ],
        );
        check(
            Phase::Auth,
            &[
                ("535 5.7.8 wrong", CONFIG),
                ("454 4.7.0 later", RELAY),
                ("504 unknown", CONFIG),
            ],
        );
        check(
            Phase::Tls,
            &[("454 TLS not available", RELAY), ("502 no", CONFIG)],
        );
    }

    #[test]
    fn the_evidence_names_code_queue_id_and_no_address() {
        let accepted = classify(Phase::Dot, &Reply::of(250, "2.0.0 OK queued as 4F2"));
        let evidence = accepted.evidence();
        assert_eq!(evidence.reference.as_deref(), Some("4F2"));
        assert_eq!(evidence.enhanced.as_deref(), Some("2.0.0"));
        assert_eq!((evidence.code, evidence.phase), (Some(250), Phase::Done));
        let refused = classify(
            Phase::Rcpt,
            &Reply::of(550, "5.1.1 <anna@mail.example> unknown"),
        );
        assert!(!refused.evidence().text.contains("anna"));
    }
}
