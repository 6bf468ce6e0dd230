//! Every specimen, what it must be read as, and that nothing can break the
//! reading.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::PathBuf;
use uuid::Uuid;

fn key() -> VerpKey {
    VerpKey::derive(b"specimens")
}

fn uid() -> MessageUid {
    MessageUid(Uuid::from_u128(0x0195_5a3e_0000_7000_8000_0000_0000_1042))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/specimens/bounces")
}

fn specimen(name: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(folder().join(format!("{name}.eml"))).unwrap();
    text.replace("TOKEN", &key().token(uid())).into_bytes()
}

fn read_raw(raw: &[u8], recipient: Option<&str>) -> Reading {
    let at = Instant(1_772_442_000_000);
    read(&Incoming { raw, recipient, at }, &key())
}

/// `failed_hard 550 5.1.1`, `ignored`, `unclear`.
fn short(reading: &Reading) -> String {
    match reading {
        Reading::News { receipt, .. } => {
            let evidence = &receipt.evidence;
            let code = evidence.code.map(|code| format!(" {code}"));
            let enhanced = evidence.enhanced.as_ref().map(|code| format!(" {code}"));
            let kind = receipt.kind.as_str();
            format!(
                "{kind}{}{}",
                code.unwrap_or_default(),
                enhanced.unwrap_or_default()
            )
        }
        Reading::Ignored => "ignored".into(),
        Reading::Unclear { uid, why, .. } => {
            let known = if uid.is_some() { "known" } else { "unknown" };
            format!("unclear: {why:?}, {known} message")
        }
    }
}

const SPECIMENS: &[(&str, &str)] = &[
    ("complaint-redacted", "complaint"),
    ("complaint-yahoo", "complaint"),
    ("courier-report", "failed_vague 550 5.0.0"),
    ("domino-report", "failed_hard 5.1.1"),
    ("domino-text", "failed_hard"),
    ("exchange-expired", "failed_soft 550 4.4.7"),
    ("exchange-not-found", "failed_hard 550 5.1.10"),
    ("exchange-old-text", "failed_hard 5.1.1"),
    ("exim-report", "failed_vague 5.0.0"),
    ("exim-text", "failed_hard 550 5.1.1"),
    ("exim-warning", "delayed"),
    ("expanded", "expanded 2.0.0"),
    ("feedback-not-spam", "ignored"),
    ("forwarded-to-a-dead-address", "failed_soft 550 5.1.1"),
    ("gmail-not-exist", "failed_hard 550 5.1.1"),
    ("gmail-old-text", "failed_hard 550 5.1.1"),
    ("gmail-over-quota", "failed_soft 552 5.2.2"),
    ("gmail-unauthenticated", "failed_policy 550 5.7.26"),
    ("holiday-note", "ignored"),
    ("holiday-note-by-subject", "ignored"),
    ("no-token", "unclear: NotOurs, unknown message"),
    ("office365-policy", "failed_policy 550 5.7.1"),
    ("person-writes-back", "unclear: NotAReport, known message"),
    ("postfix-delayed", "delayed 4.4.1"),
    ("postfix-expired", "failed_soft 4.4.7"),
    ("postfix-host-not-found", "failed_vague 5.4.4"),
    ("postfix-success", "delivered 2.0.0"),
    ("postfix-user-unknown", "failed_hard 550 5.1.1"),
    ("qmail-no-mailbox", "failed_hard 5.1.1"),
    ("qmail-remote-said", "failed_policy 550 5.7.1"),
    ("qmail-too-long", "failed_soft"),
    ("read-receipt", "ignored"),
    ("relayed", "relayed 2.0.0"),
    ("sendmail-blocked-as-unknown", "failed_policy 550 5.1.1"),
    ("sendmail-user-unknown", "failed_hard 550 5.1.1"),
    ("sendmail-warning", "delayed 4.4.2"),
    ("ses-bounce", "failed_hard 550 5.1.1"),
    ("ses-suppression-list", "failed_hard 5.1.1"),
    ("several-recipients", "delayed 4.4.1"),
    ("several-strangers", "delivered 2.0.0"),
    ("status-in-base64", "failed_hard 550 5.1.1"),
    ("status-labelled-as-text", "failed_hard 5.1.1"),
    ("token-in-envelope-id", "failed_hard 5.1.1"),
    ("token-in-returned-headers", "failed_hard 5.1.1"),
    ("unknown-system-quotes-a-refusal", "failed_hard 550 5.1.1"),
    (
        "unknown-system-says-nothing",
        "unclear: NotAReport, known message",
    ),
    ("utf8-report", "failed_hard 550 5.1.1"),
    ("yahoo-no-account", "failed_hard"),
    ("yahoo-text", "failed_policy 554"),
];

#[test]
fn every_specimen_is_read_as_what_it_is() {
    let mut wrong = Vec::new();
    for (name, expected) in SPECIMENS {
        let got = short(&read_raw(&specimen(name), None));
        if got != *expected {
            wrong.push(format!("{name}: {got}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_specimen_is_left_out() {
    let listed: BTreeSet<String> = SPECIMENS.iter().map(|(n, _)| format!("{n}.eml")).collect();
    let there: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name != "README.md")
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn evidence_of_no_specimen_names_the_customer() {
    for (name, _) in SPECIMENS {
        if let Reading::News { receipt, .. } = read_raw(&specimen(name), None) {
            let text = receipt.evidence.text.to_lowercase();
            for personal in ["moser", "jürgen", "@", &key().token(uid())] {
                assert!(!text.contains(personal), "{name}: {text}");
            }
        }
    }
}

#[test]
fn a_token_of_another_installation_is_no_token() {
    let theirs = VerpKey::derive(b"another shop");
    for (name, _) in SPECIMENS {
        let text = std::fs::read_to_string(folder().join(format!("{name}.eml"))).unwrap();
        let raw = text.replace("TOKEN", &theirs.token(uid())).into_bytes();
        let recipient = format!("bounces+{}@shop.example", theirs.token(uid()));
        let news = matches!(read_raw(&raw, Some(&recipient)), Reading::News { .. });
        assert!(!news, "{name}");
    }
}

#[test]
fn the_envelope_recipient_is_enough() {
    let recipient = format!("Bounces+{}@Shop.Example", key().token(uid()).to_uppercase());
    let reading = read_raw(&specimen("no-token"), Some(&recipient));
    assert!(matches!(reading, Reading::News { uid: u, .. } if u == uid()));
}

#[test]
fn copies_of_a_report_are_one_event() {
    let event = |raw: &[u8]| match read_raw(raw, None) {
        Reading::News { receipt, .. } => receipt.event_key,
        Reading::Unclear { event_key, .. } => event_key,
        Reading::Ignored => unreachable!("not used here"),
    };
    for name in ["postfix-user-unknown", "no-token"] {
        let raw = specimen(name);
        let again = [b"Received: from x by y; now\n".as_slice(), &raw].concat();
        assert_eq!(event(&raw), event(&again), "{name}");
    }
    let (a, b) = (
        specimen("postfix-user-unknown"),
        specimen("gmail-not-exist"),
    );
    assert_ne!(event(&a), event(&b));
}

#[test]
fn line_ends_do_not_matter() {
    for (name, expected) in SPECIMENS {
        let text = String::from_utf8(specimen(name)).unwrap();
        let crlf = text.replace('\n', "\r\n").into_bytes();
        assert_eq!(short(&read_raw(&crlf, None)), *expected, "{name}");
    }
}

#[test]
fn a_huge_returned_message_does_not_hide_the_report() {
    let mut raw = specimen("postfix-user-unknown");
    raw.extend(b"more of the returned message\n".repeat(MAIL_BYTES_MAX / 10));
    assert_eq!(short(&read_raw(&raw, None)), "failed_hard 550 5.1.1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Cut anywhere, with pieces doubled and bytes changed, every mail is
    /// answered.
    #[test]
    fn damaged_reports_are_answered(
        which in 0..SPECIMENS.len(),
        cut in 0.0f64..1.0,
        from in 0.0f64..1.0,
        changes in prop::collection::vec((0.0f64..1.0, any::<u8>()), 0..12),
    ) {
        let mut raw = specimen(SPECIMENS[which].0);
        let at = |part: f64, len: usize| ((len as f64 * part) as usize).min(len);
        let piece = raw[at(from, raw.len())..].to_vec();
        raw.truncate(at(cut, raw.len()));
        raw.extend(piece);
        let len = raw.len();
        for (place, byte) in changes {
            if let Some(b) = raw.get_mut(at(place, len)) {
                *b = byte;
            }
        }
        read_raw(&raw, None);
    }

    #[test]
    fn garbage_is_answered(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        lines in "(Content-Type: (multipart/[a-z]{0,6}; boundary=[ab-]{0,2}|message/(rfc822|delivery-status))|--[ab-]{0,3}|Action: [a-z]{0,7}|Status: [0-9.]{0,7}|Reporting-MTA: x|\\PC{0,30}|\\s){0,40}",
    ) {
        let news = matches!(read_raw(&bytes, None), Reading::News { .. });
        prop_assert!(!news);
        let broken = lines.replace(' ', "\n");
        let news = matches!(read_raw(broken.as_bytes(), None), Reading::News { .. });
        prop_assert!(!news);
    }
}
