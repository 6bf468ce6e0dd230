//! Mails compared byte for byte, and values that try to leave their header.

use super::*;
use crate::domain::ids::MessageUid;
use crate::domain::verp::VerpKey;
use proptest::prelude::*;
use uuid::Uuid;

fn mailbox_of(name: Option<&str>, address: &str) -> Mailbox {
    Mailbox {
        name: name.map(str::to_owned),
        address: EmailAddress::parse(address).unwrap(),
    }
}

fn sender() -> SenderIdentity {
    SenderIdentity {
        from: mailbox_of(Some("Nordlicht Outdoor"), "orders@shop.example"),
        reply_to: mailbox_of(None, "service@shop.example"),
        bounce_address: None,
        bounces: None,
        unsubscribe_mailto: Some(EmailAddress::parse("stop@shop.example").unwrap()),
    }
}

struct Parts<'a> {
    name: Option<&'a str>,
    to: &'a str,
    subject: &'a str,
    text: &'a str,
    html: &'a str,
    earlier: &'a [String],
}

const PLAIN: Parts<'static> = Parts {
    name: Some("Anna Kowalski"),
    to: "anna@mail.example",
    subject: "Order 10432: new date",
    text: "Hello Anna,\n\n.it ships on 2 October.\n",
    html: "<p>Hello Anna</p>",
    earlier: &[],
};

fn compose_parts(parts: &Parts<'_>) -> String {
    let letter = Letter {
        token: "t7",
        shop: "Nordlicht",
        to: &mailbox_of(parts.name, parts.to),
        subject: parts.subject,
        text: parts.text,
        html: parts.html,
        at: Instant(1_795_363_200_000),
        earlier: parts.earlier,
        may_unsubscribe: true,
    };
    String::from_utf8(compose(&letter, &sender()).unwrap()).unwrap()
}

/// Header lines, unfolded.
fn headers(mail: &str) -> Vec<String> {
    let (head, _) = mail.split_once("\r\n\r\n").unwrap();
    head.replace("\r\n ", " ")
        .split("\r\n")
        .map(str::to_owned)
        .collect()
}

fn header(mail: &str, name: &str) -> String {
    let found: Vec<String> = headers(mail)
        .into_iter()
        .filter(|line| {
            line.to_lowercase()
                .starts_with(&format!("{}:", name.to_lowercase()))
        })
        .collect();
    assert_eq!(found.len(), 1, "{name} in {found:?}");
    found[0][name.len() + 2..].to_owned()
}

#[test]
fn a_letter_becomes_a_mail() {
    insta::assert_snapshot!(compose_parts(&PLAIN).replace("\r\n", "\n"), @r#"
    From: "Nordlicht Outdoor" <orders@shop.example>
    To: "Anna Kowalski" <anna@mail.example>
    Reply-To: service@shop.example
    Subject: Order 10432: new date
    Date: Sun, 22 Nov 2026 16:00:00 +0000
    Message-ID: <t7.nordlicht@shop.example>
    Auto-Submitted: auto-generated
    X-Auto-Response-Suppress: OOF, AutoReply
    List-Unsubscribe: <mailto:stop@shop.example>
    MIME-Version: 1.0
    Content-Type: multipart/alternative; boundary="=_t7"

    --=_t7
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: quoted-printable

    Hello Anna,

    .it ships on 2 October.

    --=_t7
    Content-Type: text/html; charset=utf-8
    Content-Transfer-Encoding: quoted-printable

    <p>Hello Anna</p>
    --=_t7--
    "#);
}

#[test]
fn the_same_letter_is_the_same_bytes() {
    assert_eq!(compose_parts(&PLAIN), compose_parts(&PLAIN));
}

#[test]
fn subjects_cannot_start_headers() {
    for subject in [
        "Hi\r\nBcc: x@y.example",
        "Hi\nBcc: x@y.example",
        "Hi\rBcc: x@y.example",
        "Hi\u{2028}Bcc: x@y.example",
        "Hi\u{85}Bcc: x@y.example",
        "Hi\0Bcc: x@y.example",
    ] {
        let mail = compose_parts(&Parts { subject, ..PLAIN });
        assert_eq!(
            header(&mail, "Subject"),
            "Hi Bcc: x@y.example",
            "{subject:?}"
        );
        assert!(!headers(&mail).iter().any(|line| line.starts_with("Bcc")));
    }
}

#[test]
fn long_and_odd_subjects_are_tamed() {
    let long = "x".repeat(5_000);
    let mail = compose_parts(&Parts {
        subject: &long,
        ..PLAIN
    });
    assert_eq!(header(&mail, "Subject").len(), SUBJECT_CHARS_MAX);
    let turned = compose_parts(&Parts {
        subject: "abc\u{202e}cba\u{2066}",
        ..PLAIN
    });
    assert_eq!(header(&turned, "Subject"), "abccba");
    let encoded = compose_parts(&Parts {
        subject: "=?utf-8?b?SGkNCkJjYzo=?=",
        ..PLAIN
    });
    assert!(!header(&encoded, "Subject").contains("=?utf-8?b?SGkN"));
    let umlauts = "Bestellung 10432: Wanderstöcke später ".repeat(4);
    let mail = compose_parts(&Parts {
        subject: &umlauts,
        ..PLAIN
    });
    assert!(mail.is_ascii() && mail.lines().all(|line| line.len() <= 78));
}

#[test]
fn names_stay_one_phrase() {
    for (name, expected) in [
        (
            "\"A, B\" <c@d.example>",
            "=?utf-8?b?IkEsIEIiIDxjQGQuZXhhbXBsZT4=?= <anna@mail.example>",
        ),
        (
            "Kowalski, Anna",
            "=?utf-8?b?S293YWxza2ksIEFubmE=?= <anna@mail.example>",
        ),
        ("Anna\u{2028}K", "\"Anna K\" <anna@mail.example>"),
        (
            "Anna\r\nBcc: x@y.example",
            "=?utf-8?b?QW5uYSBCY2M6IHhAeS5leGFtcGxl?= <anna@mail.example>",
        ),
        ("", "anna@mail.example"),
        (" \u{202e} ", "anna@mail.example"),
        ("Jürgen", "=?utf-8?b?SsO8cmdlbg==?= <anna@mail.example>"),
    ] {
        let mail = compose_parts(&Parts {
            name: Some(name),
            ..PLAIN
        });
        assert_eq!(header(&mail, "To"), expected, "{name:?}");
    }
}

#[test]
fn an_order_is_one_thread() {
    let ids: Vec<String> = (1..=14)
        .map(|n| format!("<{n}.shop@shop.example>"))
        .collect();
    let mail = compose_parts(&Parts {
        earlier: &ids[..2],
        ..PLAIN
    });
    assert_eq!(header(&mail, "In-Reply-To"), ids[1]);
    assert_eq!(
        header(&mail, "References"),
        format!("{} {}", ids[0], ids[1])
    );
    let mail = compose_parts(&Parts {
        earlier: &ids,
        ..PLAIN
    });
    let references = header(&mail, "References");
    let kept: Vec<&str> = references.split(' ').collect();
    assert_eq!(kept.len(), 10);
    assert_eq!(
        (kept[0], kept[1], kept[9]),
        (
            "<1.shop@shop.example>",
            "<6.shop@shop.example>",
            "<14.shop@shop.example>"
        )
    );
    let odd = ["<a@b>\r\nBcc: x@y".to_owned(), "no id".to_owned()];
    let mail = compose_parts(&Parts {
        earlier: &odd,
        ..PLAIN
    });
    assert!(!mail.contains("References") && !mail.contains("Bcc"));
}

#[test]
fn bodies_are_seven_bit_with_crlf_whatever_they_say() {
    for body in [
        "a\nb",
        "a\r\nb",
        "a\rb",
        "\n.\n",
        "\r.\r\n",
        "a\n.\nb",
        ".",
        "..",
        "\r\n.\r\n",
        "später\n.\nschön",
        "я\n.\nя",
        "\0\u{1b}[31m",
        "trailing \nblank\t\n",
    ] {
        let mail = compose_parts(&Parts {
            text: body,
            html: body,
            ..PLAIN
        });
        assert!(mail.is_ascii());
        assert!(!mail.replace("\r\n", "").contains(['\r', '\n']), "{body:?}");
        assert!(mail.split("\r\n").all(|line| line.len() <= 78), "{body:?}");
        assert!(!mail.contains('\0'));
    }
    let cyrillic = compose_parts(&Parts {
        text: "я".repeat(300).as_str(),
        ..PLAIN
    });
    assert!(cyrillic.contains("Content-Transfer-Encoding: base64"));
}

#[test]
fn ids_are_plain_whatever_the_shop_is_called() {
    let from = EmailAddress::parse("orders@shop.example").unwrap();
    let id = |shop| message_id("t7", shop, &from);
    assert_eq!(id("Nord licht>"), "<t7.nord-licht-@shop.example>");
    assert_eq!(id(""), "<t7@shop.example>");
}

#[test]
fn a_bounce_that_quotes_the_message_id_finds_its_message() {
    let key = VerpKey::derive(b"installation");
    let uid = MessageUid(Uuid::from_u128(7));
    let from = EmailAddress::parse("orders@shop.example").unwrap();
    let id = message_id(&key.token(uid), "Nordlicht", &from);
    assert!(id.len() <= 250 && clean_id(&id).is_some());
    for quoted in [id.to_uppercase(), format!("Message-ID:\r\n {id}")] {
        assert_eq!(key.find(&quoted), Some(uid));
    }
    let forged = message_id(&VerpKey::derive(b"other").token(uid), "Nordlicht", &from);
    assert_eq!(key.find(&forged), None);
}

#[test]
fn dates_outside_the_calendar_of_mail_do_not_panic() {
    for at in [i64::MIN, -1, i64::MAX] {
        let _ = date(Instant(at));
    }
}

proptest! {
    #[test]
    fn no_value_reaches_beyond_its_header(subject in "(?s).{0,60}", name in "(?s).{0,40}", text in "(?s).{0,80}") {
        let mail = compose_parts(&Parts { subject: &subject, name: Some(&name), text: &text, html: &text, ..PLAIN });
        prop_assert!(mail.is_ascii());
        prop_assert!(!mail.replace("\r\n", "").contains(['\r', '\n']));
        let names: Vec<String> = headers(&mail).iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
        prop_assert_eq!(names, ["From", "To", "Reply-To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress", "List-Unsubscribe", "MIME-Version", "Content-Type"]);
    }
}
