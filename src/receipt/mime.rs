//! A mail as a flat list of its parts.
//!
//! The mail parser's own tree is not used: a mail of 300 kB made of nothing
//! but nested messages is dropped level by level and overflows the stack, and
//! that ends a process where no panic could be caught. So the walk over
//! multiparts is ours, with a limit on depth, parts and bytes; the library
//! reads content types and undoes transfer encodings.

use super::fields::{Fields, line_end, trim_line};
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::{HeaderName, MessageParser, MimeHeaders};
use std::borrow::Cow;

/// Bytes of a mail that are looked at. Reports stand at the beginning; what a
/// larger one holds behind them is the returned message.
pub const MAIL_BYTES_MAX: usize = 1024 * 1024;
const HEADER_BYTES_MAX: usize = 64 * 1024;
const DEPTH_MAX: usize = 8;
const PARTS_MAX: usize = 64;

/// A mail, its parts in the order they are written.
#[derive(Debug, Default)]
pub struct Mail<'a> {
    pub headers: Fields,
    /// The kind of report a `multipart/report` says it is.
    pub report_type: Option<String>,
    /// Leaves; an enclosed message is a leaf with its headers, followed by its
    /// own parts.
    pub parts: Vec<Part<'a>>,
}

#[derive(Debug)]
pub struct Part<'a> {
    pub kind: String,
    pub body: Cow<'a, [u8]>,
    /// Stands inside a returned or forwarded message.
    pub enclosed: bool,
    /// Of an enclosed message: its headers.
    pub message: Option<Fields>,
}

impl Part<'_> {
    /// The part as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

impl<'a> Mail<'a> {
    /// Reads a mail as far as the limits allow. Anything is a mail: bytes
    /// without a header are one part of text.
    pub fn read(raw: &'a [u8]) -> Mail<'a> {
        let raw = &raw[..raw.len().min(MAIL_BYTES_MAX)];
        // What delivery agents put before the first header.
        let raw = match raw.strip_prefix(b"From ") {
            Some(_) => &raw[line_end(raw, 0)..],
            None => raw,
        };
        let entity = Entity::read(raw);
        let mut mail = Mail {
            headers: entity.headers.clone(),
            report_type: entity.report_type.clone(),
            parts: Vec::new(),
        };
        walk(
            Cow::Borrowed(entity.body),
            &entity,
            0,
            false,
            &mut mail.parts,
        );
        mail
    }

    /// The parts of the mail itself, not of a message enclosed in it.
    pub fn own_parts(&self) -> impl Iterator<Item = &Part<'a>> {
        self.parts.iter().filter(|part| !part.enclosed)
    }

    /// Headers of enclosed messages, outermost first.
    pub fn enclosed(&self) -> impl Iterator<Item = &Fields> {
        self.parts.iter().filter_map(|part| part.message.as_ref())
    }
}

struct Entity<'a> {
    headers: Fields,
    kind: String,
    boundary: Option<String>,
    report_type: Option<String>,
    encoding: Encoding,
    body: &'a [u8],
}

#[derive(Clone, Copy, PartialEq)]
enum Encoding {
    Plain,
    Base64,
    QuotedPrintable,
}

impl<'a> Entity<'a> {
    fn read(raw: &'a [u8]) -> Entity<'a> {
        let (headers, at) = Fields::read(raw);
        let encoding = headers.get("content-transfer-encoding").unwrap_or_default();
        let encoding = match encoding.trim().to_ascii_lowercase().as_str() {
            "base64" => Encoding::Base64,
            "quoted-printable" => Encoding::QuotedPrintable,
            _ => Encoding::Plain,
        };
        let block = &raw[..at.min(HEADER_BYTES_MAX)];
        let parser = MessageParser::new()
            .header_content_type(HeaderName::ContentType)
            .default_header_ignore();
        let parsed = parser.parse_headers(block);
        let content_type = parsed.as_ref().and_then(|m| m.content_type());
        let attribute = |name| {
            content_type
                .and_then(|c| c.attribute(name))
                .map(str::to_owned)
        };
        let kind = content_type.map_or_else(
            || "text/plain".to_owned(),
            |c| {
                let sub = c.subtype().unwrap_or("plain");
                format!("{}/{sub}", c.ctype()).to_ascii_lowercase()
            },
        );
        Entity {
            boundary: attribute("boundary").filter(|b| !b.is_empty()),
            report_type: attribute("report-type").map(|t| t.to_ascii_lowercase()),
            headers,
            kind,
            encoding,
            body: &raw[at..],
        }
    }
}

/// Adds the leaves of an entity whose body has been taken out of its parent.
fn walk<'a>(
    body: Cow<'a, [u8]>,
    entity: &Entity<'_>,
    depth: usize,
    enclosed: bool,
    out: &mut Vec<Part<'a>>,
) {
    if out.len() >= PARTS_MAX || depth > DEPTH_MAX {
        return;
    }
    if entity.kind.starts_with("multipart/")
        && let Some(boundary) = &entity.boundary
    {
        let ranges = split(&body, boundary);
        if !ranges.is_empty() {
            for range in ranges {
                match &body {
                    Cow::Borrowed(bytes) => {
                        let inner = Entity::read(&bytes[range]);
                        walk(Cow::Borrowed(inner.body), &inner, depth + 1, enclosed, out);
                    }
                    Cow::Owned(bytes) => {
                        let inner = Entity::read(&bytes[range]);
                        let owned = Cow::Owned(inner.body.to_vec());
                        walk(owned, &inner, depth + 1, enclosed, out);
                    }
                }
            }
            return;
        }
    }
    let body = decode(body, entity.encoding);
    let is_message = matches!(
        entity.kind.as_str(),
        "message/rfc822" | "message/global" | "text/rfc822-headers" | "message/global-headers"
    );
    if !is_message {
        out.push(Part {
            kind: entity.kind.clone(),
            body,
            enclosed,
            message: None,
        });
        return;
    }
    let (headers, _) = Fields::read(&body);
    out.push(Part {
        kind: entity.kind.clone(),
        body: Cow::Borrowed(b""),
        enclosed: true,
        message: Some(headers),
    });
    match &body {
        Cow::Borrowed(bytes) => {
            let inner = Entity::read(bytes);
            walk(Cow::Borrowed(inner.body), &inner, depth + 1, true, out);
        }
        Cow::Owned(bytes) => {
            let inner = Entity::read(bytes);
            walk(
                Cow::Owned(inner.body.to_vec()),
                &inner,
                depth + 1,
                true,
                out,
            );
        }
    }
}

fn decode(body: Cow<'_, [u8]>, encoding: Encoding) -> Cow<'_, [u8]> {
    let decoded = match encoding {
        Encoding::Plain => None,
        Encoding::Base64 => base64_decode(&body),
        Encoding::QuotedPrintable => quoted_printable_decode(&body),
    };
    match decoded {
        Some(bytes) => Cow::Owned(bytes),
        None => body,
    }
}

/// Where the parts between the boundary lines of a multipart stand (RFC 2046,
/// 5.1.1); a missing last boundary is forgiven.
fn split(body: &[u8], boundary: &str) -> Vec<std::ops::Range<usize>> {
    let mark = format!("--{boundary}");
    let mut out = Vec::new();
    let mut begun: Option<usize> = None;
    let mut at = 0;
    while at < body.len() && out.len() < PARTS_MAX {
        let end = line_end(body, at);
        let line = trim_line(&body[at..end]);
        if let Some(rest) = line.strip_prefix(mark.as_bytes()) {
            let rest = rest.trim_ascii_end();
            if rest.is_empty() || rest == b"--" {
                out.extend(begun.take().map(|from| from..at));
                if rest == b"--" {
                    return out;
                }
                begun = Some(end);
            }
        }
        at = end;
    }
    if out.len() < PARTS_MAX {
        out.extend(begun.map(|from| from..body.len()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(raw: &str) -> Vec<String> {
        let mail = Mail::read(raw.as_bytes());
        mail.parts.iter().map(|part| part.kind.clone()).collect()
    }

    #[test]
    fn parts_are_found_through_nested_multiparts_and_enclosed_messages() {
        let raw = "From x\nContent-Type: multipart/report; report-type=\"Delivery-Status\";\n\
            \tboundary=\"a b\"\n\npreamble\n--a b\nContent-Type: multipart/alternative; boundary=c\n\n\
            --c\n\ntext\n--c\nContent-Type: text/html\n\n<p>\n--c--\n--a b\n\
            Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n--a b\n\
            Content-Type: message/rfc822\n\nSubject: s\nContent-Type: text/plain\n\nbody\n--a b--\nend";
        assert_eq!(
            kinds(raw),
            [
                "text/plain",
                "text/html",
                "message/delivery-status",
                "message/rfc822",
                "text/plain"
            ]
        );
        let mail = Mail::read(raw.as_bytes());
        assert_eq!(mail.report_type.as_deref(), Some("delivery-status"));
        assert_eq!(mail.own_parts().count(), 3);
        assert_eq!(mail.enclosed().next().unwrap().get("subject"), Some("s"));
        assert_eq!(mail.parts[2].text().trim(), "Reporting-MTA: dns; x");
    }

    #[test]
    fn encodings_are_undone_and_broken_ones_forgiven() {
        let raw = "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n";
        assert_eq!(Mail::read(raw.as_bytes()).parts[0].text(), "hello");
        let raw =
            "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nh=65=\nllo";
        assert_eq!(Mail::read(raw.as_bytes()).parts[0].text(), "hello");
        let raw = "Content-Type: multipart/mixed; boundary=x\n\nno parts";
        assert_eq!(kinds(raw), ["multipart/mixed"]);
    }

    #[test]
    fn a_mail_made_of_nested_messages_ends_at_the_depth_limit() {
        let one = "Content-Type: message/rfc822\r\n\r\n";
        let raw = one.repeat(MAIL_BYTES_MAX / one.len());
        assert!(Mail::read(raw.as_bytes()).parts.len() <= DEPTH_MAX + 1);
        let one = "Content-Type: multipart/mixed; boundary=a\n\n--a\n";
        let raw = one.repeat(2_000);
        assert!(Mail::read(raw.as_bytes()).parts.len() <= PARTS_MAX);
    }
}
