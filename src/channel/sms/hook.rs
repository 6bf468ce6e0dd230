//! What gateways tell us, each on its own accord: how a text fared, and what
//! people wrote back.
//!
//! A [`Hook`] is the receiving half of a gateway: it proves where a request
//! comes from and reads it. Both are pure; what follows from it is decided
//! elsewhere. Nothing in here is believed before [`Hook::verify`] said so, and
//! no reason for a refusal ever reaches the caller.
//!
//! The status of a text is a rank, not a story: receipts come twice, late and
//! in any order, so only the highest counts ([`crate::domain::receipt`]).

use super::signature::hex;
use crate::domain::contact::PhoneNumber;
use crate::domain::ids::MessageUid;
use crate::domain::outcome::Refusal;
use crate::domain::sms_status::SmsStatus;
use crate::domain::time::Instant;
use reqwest::header::HeaderMap;
use serde_json::Value;
use uuid::Uuid;

/// Longest vendor id and error code that is kept.
const ID_BYTES_MAX: usize = 128;
/// Longest text of a person that is kept; ten segments and more.
const TEXT_CHARS_MAX: usize = 2000;

/// One request as it reached us.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub is_post: bool,
    /// The address the gateway was told, with the query, byte for byte: some
    /// vendors sign it.
    pub url: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

impl<'a> Call<'a> {
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn query(&self) -> Fields {
        Fields::parse(
            self.url
                .split_once('?')
                .map_or("", |(_, query)| query)
                .as_bytes(),
        )
    }

    /// Whether the body says it is JSON, or looks like it where nothing is said.
    pub fn is_json(&self) -> bool {
        match self.header("content-type") {
            Some(kind) => kind.contains("json"),
            None => self.body.first() == Some(&b'{'),
        }
    }

    /// The body's fields, if it is a form.
    pub fn form(&self) -> Fields {
        if self.is_post && !self.is_json() {
            Fields::parse(self.body)
        } else {
            Fields(Vec::new())
        }
    }

    /// The body as JSON, if it is.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(self.body).ok()
    }

    /// The parameters of a gateway that sends them as a query, a form or one
    /// flat JSON object, as it was told to.
    pub fn parameters(&self) -> Fields {
        if !self.is_post {
            return self.query();
        }
        if !self.is_json() {
            return self.form();
        }
        let Some(Value::Object(members)) = self.json() else {
            return Fields(Vec::new());
        };
        let text = |value: Value| match value {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(on) => Some(on.to_string()),
            _ => None,
        };
        Fields(
            members
                .into_iter()
                .filter_map(|(name, value)| Some((name, text(value)?.into_bytes())))
                .collect(),
        )
    }

    /// Which of our messages the address names; see
    /// `with_message`.
    pub fn message(&self) -> Option<MessageUid> {
        parse_uid(&self.query().text("m")?)
    }
}

/// Our own id of a message, as it comes back.
pub fn parse_uid(text: &str) -> Option<MessageUid> {
    Uuid::try_parse(text).ok().map(MessageUid)
}

/// Named values of a query or a form (`application/x-www-form-urlencoded`), in
/// order, decoded to bytes: not every gateway writes UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(pub Vec<(String, Vec<u8>)>);

impl Fields {
    pub fn parse(text: &[u8]) -> Fields {
        let pairs = text.split(|b| *b == b'&').filter(|pair| !pair.is_empty());
        let read = |pair: &[u8]| {
            let cut = pair.iter().position(|b| *b == b'=');
            let (name, value) = match cut {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &b""[..]),
            };
            let name = String::from_utf8_lossy(&decoded(name)).into_owned();
            (name, decoded(value))
        };
        Fields(pairs.map(read).collect())
    }

    /// The first value of that name.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_slice())
    }

    /// The same as text, if there is something in it.
    pub fn text(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(self.bytes(name)?).into_owned();
        Some(text).filter(|text| !text.is_empty())
    }
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let pair = (digit(text.get(at + 1)), digit(text.get(at + 2)));
        match (text[at], pair) {
            (b'%', (Some(high), Some(low))) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// One delivery receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmsEvent {
    /// Our message, where the gateway gives our mark back.
    pub ours: Option<MessageUid>,
    /// The gateway's id of the message, or of this part of it.
    pub theirs: Option<String>,
    pub status: SmsStatus,
    /// What a failure means for the number.
    pub class: Option<Refusal>,
    /// The gateway's own code.
    pub code: Option<String>,
    /// When, by the gateway's clock. For people; never for order.
    pub at: Option<Instant>,
}

impl SmsEvent {
    /// The same for every repetition of the same news.
    pub fn key(&self, gateway: &str) -> String {
        let ours = self.ours.map(|uid| uid.to_string());
        format!(
            "sms:{gateway}:{}:{}:{}:{}",
            ours.unwrap_or_default(),
            self.theirs.as_deref().unwrap_or_default(),
            self.status.as_str(),
            self.code.as_deref().unwrap_or_default(),
        )
    }
}

/// A text somebody sent us.
#[derive(Clone, PartialEq, Eq)]
pub struct Inbound {
    /// The gateway's id of it; without one, a repetition cannot be told from
    /// a second text with the same words.
    pub id: Option<String>,
    pub from: PhoneNumber,
    /// Our number, as the gateway writes it.
    pub to: String,
    pub text: String,
    /// The gateway took it for STOP, START or HELP and has answered by itself.
    pub is_answered: bool,
    pub at: Option<Instant>,
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let n_chars = self.text.chars().count();
        write!(f, "Inbound(from {}, {n_chars} characters)", self.from)
    }
}

/// Why a request is not acted on. Says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The proof is missing, wrong, or too old.
    #[error("the signature does not match")]
    Forged,
    /// It is theirs, but it lacks what it has to say.
    #[error("the request cannot be read: {0}")]
    Unreadable(&'static str),
}

/// The receiving half of a gateway.
pub trait Hook: Send + Sync {
    /// Its part of our addresses: `/sms/NAME/status`, `/sms/NAME/inbound`.
    fn name(&self) -> &'static str;

    /// # Errors
    /// [`NotTaken::Forged`], whatever is wrong.
    fn verify(&self, call: &Call<'_>, now: Instant) -> Result<(), NotTaken>;

    /// `None` for news that says nothing about delivery.
    ///
    /// # Errors
    /// [`NotTaken::Unreadable`].
    fn receipt(&self, call: &Call<'_>) -> Result<Option<SmsEvent>, NotTaken>;

    /// `None` for what no customer can have sent.
    ///
    /// # Errors
    /// [`NotTaken::Unreadable`].
    fn inbound(&self, call: &Call<'_>) -> Result<Option<Inbound>, NotTaken>;

    /// What is answered when all is well: content type and body. Never a text
    /// for the customer.
    fn thanks(&self) -> (&'static str, &'static str) {
        ("text/plain", "")
    }
}

/// A vendor's id or code: short and printable, or nothing.
pub fn plain(text: Option<String>) -> Option<String> {
    text.filter(|id| {
        !id.is_empty() && id.len() <= ID_BYTES_MAX && id.chars().all(|c| c.is_ascii_graphic())
    })
}

/// A number as gateways write it: with `+`, with `00`, or bare digits.
/// Senders that are names or short codes are nobody's phone.
pub fn number(text: &str) -> Option<PhoneNumber> {
    let text = text.trim();
    let bare = text.trim_start_matches('+').trim_start_matches("00");
    if bare.len() < 7 || !bare.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    PhoneNumber::parse(&format!("+{bare}"), None).ok()
}

/// The words of a person, cut to what can matter. Control characters say
/// nothing, and a database may refuse a text that holds one; line ends stay,
/// since they part words.
pub fn words(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_whitespace() || !c.is_control())
        .take(TEXT_CHARS_MAX)
        .collect()
}

/// An id for a text whose gateway gives none: the same words from the same
/// number in the same second are one text.
pub fn made_id(parts: &[&str]) -> String {
    let joined = parts.join("\u{1f}");
    hex(&super::signature::sha256_of(joined.as_bytes())[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use SmsStatus::{Sent, Undelivered};

    #[test]
    fn a_stop_with_a_nul_in_it_is_a_stop() {
        for sent in ["STOP\0", "\0STOP", "S\0T\u{7f}OP\u{1b}"] {
            assert_eq!(words(sent), "STOP");
        }
        assert_eq!(words("STOP\r\nplease\u{b}now"), "STOP\r\nplease\u{b}now");
        assert_eq!(words(&"\0".repeat(TEXT_CHARS_MAX + 1)), "");
    }

    #[test]
    fn forms_are_decoded_to_bytes() {
        let fields = Fields::parse(b"a=1+2%2B&b=%E9&&c&a=3&%64=x%zz%4");
        assert_eq!(fields.text("a").as_deref(), Some("1 2+"));
        assert_eq!(fields.bytes("b"), Some(&[0xe9][..]));
        assert_eq!(fields.text("c"), None);
        assert_eq!(fields.text("d").as_deref(), Some("x%zz%4"));
        assert_eq!(fields.text("e"), None);
        assert_eq!(Fields::parse(b"").0, []);
    }

    #[test]
    fn numbers_come_with_and_without_plus() {
        for text in [
            "+491713920012",
            "491713920012",
            "00491713920012",
            " 491713920012",
        ] {
            assert_eq!(number(text).unwrap().expose(), "+491713920012", "{text}");
        }
        for text in [
            "",
            "60611",
            "Nordlicht",
            "+49 171 3920012 x",
            "+",
            "abc4917139200",
        ] {
            assert!(number(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_text_is_never_printed() {
        let inbound = Inbound {
            id: None,
            from: number("+491713920012").unwrap(),
            to: "60611".into(),
            text: "hello there".into(),
            is_answered: false,
            at: None,
        };
        assert_eq!(
            format!("{inbound:?}"),
            "Inbound(from +49 ... 0012, 11 characters)"
        );
    }

    #[test]
    fn the_same_news_has_the_same_key() {
        let event = |status, code: Option<&str>| SmsEvent {
            ours: None,
            theirs: Some("SM1".into()),
            status,
            class: None,
            code: code.map(str::to_owned),
            at: Some(Instant(5)),
        };
        assert_eq!(event(Sent, None).key("x"), "sms:x::SM1:sent:");
        assert_ne!(
            event(Undelivered, Some("1")).key("x"),
            event(Undelivered, Some("2")).key("x")
        );
        let later = SmsEvent {
            at: Some(Instant(9)),
            ..event(Sent, None)
        };
        assert_eq!(later.key("x"), event(Sent, None).key("x"));
    }
}
