//! The bounce token: what a message carries in its envelope sender so that
//! news about it, and only real news, finds back to it.
//!
//! A token is the message's uid and the first 8 bytes of a keyed hash of it,
//! in lower-case base32 (RFC 4648 without padding): 39 letters and digits. It
//! survives relays that change the case of addresses, and it is the same on
//! every attempt, because greylisting waits for the same sender again.
//!
//! Promise: a text that reads back as a uid was made with this key. Anybody
//! can send mail to the bounce address; without the token such a mail can say
//! nothing about a message, and so cannot stop a customer's mail.
//!
//! A token is a secret of one customer's mail: it is never logged, and
//! `Debug` of the key shows nothing.

use super::ids::MessageUid;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use uuid::Uuid;

/// Letters and digits of a token: 24 bytes, five bits a character.
pub const TOKEN_CHARS: usize = 39;
/// Longest local part of an address (RFC 5321, 4.5.3.1.1).
const LOCAL_BYTES_MAX: usize = 64;
const UID_BYTES: usize = 16;
const TAG_BYTES: usize = 8;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// What stands between the bounce address and the token (RFC 5233, 1).
const SEPARATOR: char = '+';

/// A key for one purpose, made from a key for many. Nobody who learns it can
/// work out the other keys, and no text hashed under `master` itself gives it:
/// those never begin with a NUL.
pub fn derive_subkey(master: &[u8], label: &str) -> [u8; 32] {
    let mut mac = keyed(master);
    mac.update(b"\0subkey\0");
    mac.update(label.as_bytes());
    mac.finalize().into_bytes().into()
}

/// Makes tokens and reads them.
#[derive(Clone)]
pub struct VerpKey([u8; 32]);

impl fmt::Debug for VerpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerpKey")
    }
}

impl VerpKey {
    /// The key for bounce tokens that belongs to an installation's own key.
    pub fn derive(master: &[u8]) -> VerpKey {
        VerpKey(derive_subkey(master, "bounce token"))
    }

    pub fn token(&self, uid: MessageUid) -> String {
        let mut bytes = [0; UID_BYTES + TAG_BYTES];
        let (id, tag) = bytes.split_at_mut(UID_BYTES);
        id.copy_from_slice(uid.0.as_bytes());
        let full = self.mac(uid.0.as_bytes()).finalize().into_bytes();
        tag.copy_from_slice(&full[..TAG_BYTES]);
        encode(&bytes)
    }

    /// The message a token belongs to, in either case of its letters; `None`
    /// for anything that was not made with this key.
    pub fn parse(&self, token: &str) -> Option<MessageUid> {
        let bytes = decode(token)?;
        let (id, tag) = bytes.split_at(UID_BYTES);
        self.mac(id).verify_truncated_left(tag).ok()?;
        Uuid::from_slice(id).ok().map(MessageUid)
    }

    /// The first token that stands anywhere in `text`, as a word of its own:
    /// in an address (also one a forwarder wrapped into its own), a message
    /// id, an envelope id.
    pub fn find(&self, text: &str) -> Option<MessageUid> {
        text.split(|c: char| !c.is_ascii_alphanumeric())
            .find_map(|word| self.parse(word))
    }

    fn mac(&self, id: &[u8]) -> Hmac<Sha256> {
        let mut mac = keyed(&self.0);
        mac.update(id);
        mac
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key)
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"))
}

/// The address bounces come back to: `bounces@shop.example` receives
/// `bounces+TOKEN@shop.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BounceAddress {
    local: String,
    domain: String,
}

/// Why an address cannot receive bounces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotABounceAddress {
    #[error("it is not an address local@domain in plain ASCII")]
    NotAnAddress,
    #[error(
        "the part before the @ is too long: with the token it would have {0} characters, and 64 \
         are allowed"
    )]
    TooLong(usize),
    #[error("the part before the @ has a + in it, which is where the token begins")]
    HasSeparator,
}

impl BounceAddress {
    /// Reads `local@domain`.
    ///
    /// # Errors
    /// See [`NotABounceAddress`]; the limit is RFC 5321, 4.5.3.1.1.
    pub fn parse(text: &str) -> Result<BounceAddress, NotABounceAddress> {
        let text = text.trim();
        let (local, domain) = text
            .rsplit_once('@')
            .ok_or(NotABounceAddress::NotAnAddress)?;
        let plain = |part: &str, extra: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && !part.ends_with('.')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
        };
        if local.contains(SEPARATOR) {
            return Err(NotABounceAddress::HasSeparator);
        }
        if !plain(local, "-._=") || !plain(domain, "-.") {
            return Err(NotABounceAddress::NotAnAddress);
        }
        let with_token = local.len() + SEPARATOR.len_utf8() + TOKEN_CHARS;
        if with_token > LOCAL_BYTES_MAX {
            return Err(NotABounceAddress::TooLong(with_token));
        }
        Ok(BounceAddress {
            local: local.to_owned(),
            domain: domain.to_ascii_lowercase(),
        })
    }

    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The envelope sender of a message: the same on every attempt.
    pub fn sender(&self, key: &VerpKey, uid: MessageUid) -> String {
        let (local, domain) = (&self.local, &self.domain);
        format!("{local}{SEPARATOR}{}@{domain}", key.token(uid))
    }
}

impl fmt::Display for BounceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(TOKEN_CHARS);
    let (mut bits, mut n) = (0u32, 0);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        n += 8;
        while n >= 5 {
            n -= 5;
            out.push(char::from(ALPHABET[(bits >> n) as usize & 31]));
        }
        bits &= (1 << n) - 1;
    }
    if n > 0 {
        out.push(char::from(ALPHABET[(bits << (5 - n)) as usize & 31]));
    }
    out
}

/// `None` unless `text` is the one spelling of 24 bytes, its case apart.
fn decode(text: &str) -> Option<[u8; UID_BYTES + TAG_BYTES]> {
    if text.len() != TOKEN_CHARS {
        return None;
    }
    let mut out = [0; UID_BYTES + TAG_BYTES];
    let (mut bits, mut n, mut at) = (0u32, 0, 0);
    for c in text.bytes() {
        let value = match c.to_ascii_lowercase() {
            c @ b'a'..=b'z' => c - b'a',
            c @ b'2'..=b'7' => c - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u32::from(value);
        n += 5;
        if n >= 8 {
            n -= 8;
            *out.get_mut(at)? = (bits >> n) as u8;
            at += 1;
            bits &= (1 << n) - 1;
        }
    }
    // What is left over are the padding bits, which say nothing.
    (bits == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uid(n: u128) -> MessageUid {
        MessageUid(Uuid::from_u128(n))
    }

    #[test]
    fn a_token_reads_back_whatever_happened_to_its_case() {
        let key = VerpKey::derive(b"installation");
        let token = key.token(uid(0x0192_f3a4_b5c6));
        assert_eq!(token.len(), TOKEN_CHARS);
        assert_eq!(token, token.to_lowercase());
        for spelling in [token.clone(), token.to_uppercase()] {
            assert_eq!(key.parse(&spelling), Some(uid(0x0192_f3a4_b5c6)));
        }
        assert_eq!(key.token(uid(7)), key.token(uid(7)));
    }

    #[test]
    fn what_another_key_made_is_refused() {
        let (ours, theirs) = (VerpKey::derive(b"ours"), VerpKey::derive(b"theirs"));
        assert_eq!(ours.parse(&theirs.token(uid(7))), None);
        assert_ne!(derive_subkey(b"ours", "a"), derive_subkey(b"ours", "b"));
    }

    #[test]
    fn a_changed_character_is_refused_wherever_it_is() {
        let key = VerpKey::derive(b"installation");
        let token = key.token(uid(0xfeed));
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'q' { b'r' } else { b'q' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(key.parse(&changed), None, "position {at}");
        }
        for odd in ["", "a", &token[1..], &format!("{token}a"), &"ü".repeat(20)] {
            assert_eq!(key.parse(odd), None);
        }
    }

    #[test]
    fn a_token_is_found_where_mail_systems_leave_it() {
        let key = VerpKey::derive(b"installation");
        let token = key.token(uid(9));
        for text in [
            format!("bounces+{token}@shop.example"),
            format!("<BOUNCES+{}@SHOP.EXAMPLE>", token.to_uppercase()),
            format!("SRS0=ab1c=2Z=shop.example=bounces+{token}@forwarder.example"),
            format!("prvs=1234567890=bounces+{token}@shop.example"),
            format!("<{token}@shop.example>"),
            token.clone(),
        ] {
            assert_eq!(key.find(&text), Some(uid(9)), "{text}");
        }
        assert_eq!(key.find(&format!("x{token}@shop.example")), None);
        assert_eq!(key.find("bounces@shop.example"), None);
    }

    #[test]
    fn a_bounce_address_leaves_room_for_the_token() {
        let longest = "b".repeat(24);
        let cases = [
            ("bounces@shop.example", Ok("bounces@shop.example")),
            (" Bounces@Shop.Example ", Ok("Bounces@shop.example")),
            ("bounces", Err(NotABounceAddress::NotAnAddress)),
            ("@shop.example", Err(NotABounceAddress::NotAnAddress)),
            ("a b@shop.example", Err(NotABounceAddress::NotAnAddress)),
            ("a+b@shop.example", Err(NotABounceAddress::HasSeparator)),
            (&format!("{longest}b@x.example"), {
                Err(NotABounceAddress::TooLong(65))
            }),
        ];
        for (text, expected) in cases {
            let read = BounceAddress::parse(text).map(|a| a.to_string());
            assert_eq!(read, expected.map(str::to_owned), "{text}");
        }
        let key = VerpKey::derive(b"installation");
        let address = BounceAddress::parse(&format!("{longest}@x.example")).unwrap();
        let sender = address.sender(&key, uid(1));
        assert_eq!(sender.split('@').next().unwrap().len(), LOCAL_BYTES_MAX);
        assert_eq!(key.find(&sender), Some(uid(1)));
    }

    proptest! {
        #[test]
        fn every_uid_reads_back(n: u128) {
            let key = VerpKey::derive(b"installation");
            prop_assert_eq!(key.parse(&key.token(uid(n))), Some(uid(n)));
        }

        #[test]
        fn no_text_is_a_token_by_chance(text in "\\PC{0,60}|[a-zA-Z2-7]{39}") {
            prop_assert_eq!(VerpKey::derive(b"installation").find(&text), None);
        }
    }
}
