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

use super::quoted_printable;
use crate::channel::settings::{Mailbox, SenderIdentity};
use crate::domain::contact::EmailAddress;
use crate::domain::time::Instant;
use lettre::address::Envelope;
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
    let (from, to) = (mailbox(&sender.from, "From")?, mailbox(letter.to, "To")?);
    // It is not what is sent by; without one the library would read its own
    // headers again to make it.
    let envelope = Envelope::new(Some(from.email.clone()), vec![to.email.clone()])
        .map_err(|_| Uncomposable::Assembly)?;
    let mut builder = Message::builder()
        .envelope(envelope)
        .from(from)
        .to(to)
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
    let text = quoted_printable::tamed(text);
    let n_foreign = text.bytes().filter(|b| !b.is_ascii()).count();
    let body = if n_foreign * 3 > text.len() {
        let text = text.replace('\n', "\r\n").into_bytes();
        Body::new_with_encoding(text, ContentTransferEncoding::Base64)
            .map_err(|_| Uncomposable::Assembly)?
    } else {
        let bytes = quoted_printable::encode(&text);
        Body::dangerous_pre_encoded(bytes, ContentTransferEncoding::QuotedPrintable)
    };
    Ok(SinglePart::builder().header(content_type).body(body))
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
