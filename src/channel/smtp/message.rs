//! Writing the mail itself: headers, two alternative bodies, nothing random.
//!
//! The same letter gives the same bytes on every machine and every attempt:
//! date, identity and MIME boundary come from the letter. A repeat of a
//! message in doubt is recognisable as one by anybody who holds both.
//!
//! Bodies are always quoted-printable or base64 with CRLF line ends, so that
//! the message is plain ASCII in short lines whatever a template says: it
//! needs no extension of the relay, and no line of it can end the
//! transmission early. Values that reach a header are cleaned first: a line
//! end in a product name must not start a header of its own.

use crate::channel::settings::{Mailbox, SenderIdentity};
use crate::domain::contact::EmailAddress;
use crate::domain::time::Instant;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Message, MessageBuilder, MultiPart, SinglePart};
use std::time::SystemTime;

/// Longest subject and display name, in characters. Clients show far less.
const SUBJECT_CHARS_MAX: usize = 200;
const NAME_CHARS_MAX: usize = 80;
/// Ids kept in `References`: the first and the latest ones.
const REFERENCES_MAX: usize = 10;
/// The last second of the year 9999, where the format of dates ends.
const LAST_DATE: Instant = Instant(253_402_300_799_000);

/// Everything that is different from letter to letter.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// What it is known by outside, [`crate::domain::verp::VerpKey::token`]:
    /// the same on every attempt, and nobody else can make one.
    pub token: &'a str,
    /// Key of the shop, part of the Message-ID.
    pub shop: &'a str,
    pub to: &'a Mailbox,
    pub subject: &'a str,
    pub text: &'a str,
    pub html: &'a str,
    /// When its first attempt began; kept on every further one.
    pub at: Instant,
    /// Message-IDs of earlier letters about the same order, oldest first, as
    /// [`message_id`] gave them. Empty for a thread of its own.
    pub earlier: &'a [String],
    /// A courtesy the customer may turn off.
    pub may_unsubscribe: bool,
}

/// Why no mail can be made of a letter. Names the header, never its value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncomposable {
    #[error("the address in {0} cannot stand in a header")]
    Address(&'static str),
    #[error("the mail could not be assembled")]
    Assembly,
}

/// `<token.shop@domain>`, in the domain of `from`: a report that quotes it
/// proves which letter it is about, also where the envelope sender is a fixed
/// address.
pub fn message_id(token: &str, shop: &str, from: &EmailAddress) -> String {
    let shop: String = shop
        .chars()
        .map(|c| match c {
            'a'..='z' | '0'..='9' | '-' => c,
            'A'..='Z' => c.to_ascii_lowercase(),
            _ => '-',
        })
        .collect();
    match shop.as_str() {
        "" => format!("<{token}@{}>", from.domain()),
        shop => format!("<{token}.{shop}@{}>", from.domain()),
    }
}

/// The finished mail (RFC 5322), ready for [`crate::channel::Mail::bytes`].
///
/// # Errors
/// An address that no header can carry; the configuration's or the
/// customer's.
pub fn compose(letter: &Letter<'_>, sender: &SenderIdentity) -> Result<Vec<u8>, Uncomposable> {
    let own_id = message_id(letter.token, letter.shop, &sender.from.address);
    let mut builder = Message::builder()
        .from(mailbox(&sender.from, "From")?)
        .to(mailbox(letter.to, "To")?)
        .reply_to(mailbox(&sender.reply_to, "Reply-To")?)
        .subject(clean(letter.subject, SUBJECT_CHARS_MAX))
        .date(date(letter.at))
        .message_id(Some(own_id));
    let earlier: Vec<String> = letter
        .earlier
        .iter()
        .filter_map(|id| clean_id(id))
        .collect();
    if let Some(last) = earlier.last() {
        let references = references(&earlier).join(" ");
        builder = builder.in_reply_to(last.clone()).references(references);
    }
    builder = raw(builder, "Auto-Submitted", "auto-generated");
    builder = raw(builder, "X-Auto-Response-Suppress", "OOF, AutoReply");
    if let Some(to) = sender
        .unsubscribe_mailto
        .as_ref()
        .filter(|_| letter.may_unsubscribe)
    {
        builder = raw(
            builder,
            "List-Unsubscribe",
            &format!("<mailto:{}>", to.expose()),
        );
    }
    let bodies = MultiPart::alternative()
        .boundary(boundary(letter.token))
        .singlepart(part(ContentType::TEXT_PLAIN, letter.text)?)
        .singlepart(part(ContentType::TEXT_HTML, letter.html)?);
    let mail = builder
        .multipart(bodies)
        .map_err(|_| Uncomposable::Assembly)?;
    Ok(mail.formatted())
}

fn mailbox(
    mailbox: &Mailbox,
    header: &'static str,
) -> Result<lettre::message::Mailbox, Uncomposable> {
    let address = mailbox.address.expose().parse();
    let name = mailbox
        .name
        .as_deref()
        .map(|name| clean(name, NAME_CHARS_MAX));
    Ok(lettre::message::Mailbox::new(
        name.filter(|name| !name.is_empty()),
        address.map_err(|_| Uncomposable::Address(header))?,
    ))
}

fn raw(builder: MessageBuilder, name: &'static str, value: &str) -> MessageBuilder {
    let name = HeaderName::new_from_ascii_str(name);
    builder.raw_header(HeaderValue::new(name, value.to_owned()))
}

/// One line of printable text: controls, separators and marks that turn the
/// direction of writing are gone, runs of blanks are one, the end is cut. An
/// encoded word in a value is broken up, so that it stays the text it was.
fn clean(value: &str, n_chars_max: usize) -> String {
    let mut out = String::new();
    let is_blank = |c: char| c.is_whitespace() || c.is_control();
    for word in value.split(is_blank).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().filter(|c| !is_invisible(*c)));
    }
    let out = out.replace("=?", "= ?");
    let cut: String = out.trim().chars().take(n_chars_max).collect();
    cut.trim_end().to_owned()
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// An id as we wrote it once; anything else is left out.
fn clean_id(id: &str) -> Option<String> {
    let inner = id.strip_prefix('<')?.strip_suffix('>')?;
    let is_plain = |c: char| c.is_ascii_graphic() && !"<>\"(),:;[]\\".contains(c);
    (inner.contains('@') && inner.len() <= 250 && inner.chars().all(is_plain))
        .then(|| id.to_owned())
}

/// The first id opens the thread, the latest ones keep the place in it.
fn references(ids: &[String]) -> Vec<String> {
    match ids {
        [first, rest @ ..] if ids.len() > REFERENCES_MAX => {
            let from = rest.len() - (REFERENCES_MAX - 1);
            [std::slice::from_ref(first), &rest[from..]].concat()
        }
        all => all.to_vec(),
    }
}

fn date(at: Instant) -> SystemTime {
    at.clamp(Instant(0), LAST_DATE).to_utc().into()
}

/// Cannot occur in a body: neither encoding leaves `=_` standing.
fn boundary(token: &str) -> String {
    format!("=_{token}")
}

fn part(content_type: ContentType, text: &str) -> Result<SinglePart, Uncomposable> {
    let text = to_crlf(text);
    let n_foreign = text.bytes().filter(|b| !b.is_ascii()).count();
    let encoding = if n_foreign * 3 > text.len() {
        ContentTransferEncoding::Base64
    } else {
        ContentTransferEncoding::QuotedPrintable
    };
    let body =
        Body::new_with_encoding(text.into_bytes(), encoding).map_err(|_| Uncomposable::Assembly)?;
    Ok(SinglePart::builder().header(content_type).body(body))
}

/// Every line end becomes CRLF; other controls but the tab are dropped.
fn to_crlf(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 40);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push_str("\r\n");
            }
            '\n' => out.push_str("\r\n"),
            '\t' => out.push('\t'),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
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
}
