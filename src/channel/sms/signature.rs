//! Proofs that a request comes from who it says: HMACs, tokens, and the one
//! rule that they are compared in the same time whatever is wrong with them.

use crate::channel::settings::{MacAlgorithm, MacEncoding};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

/// The keyed hash of `parts` one after the other.
pub fn mac(algorithm: MacAlgorithm, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    match algorithm {
        MacAlgorithm::Md5 => keyed::<Hmac<Md5>>(key, parts),
        MacAlgorithm::Sha1 => keyed::<Hmac<Sha1>>(key, parts),
        MacAlgorithm::Sha256 => keyed::<Hmac<Sha256>>(key, parts),
        MacAlgorithm::Sha512 => keyed::<Hmac<Sha512>>(key, parts),
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("a key of any length is taken");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// Whether `claimed`, as the sender wrote it, is that keyed hash.
pub fn is_mac(
    algorithm: MacAlgorithm,
    encoding: MacEncoding,
    key: &[u8],
    parts: &[&[u8]],
    claimed: &str,
) -> bool {
    let claimed = match encoding {
        MacEncoding::Hex => from_hex(claimed),
        MacEncoding::Base64 => STANDARD.decode(claimed.trim()).ok(),
    };
    // A secret of nothing proves nothing.
    !key.is_empty() && claimed.is_some_and(|claimed| is_same(&claimed, &mac(algorithm, key, parts)))
}

/// In constant time; only a different length shows.
pub fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// A shared secret that is sent as it is.
pub fn is_token(secret: &str, claimed: &str) -> bool {
    !secret.is_empty() && is_same(secret.as_bytes(), claimed.as_bytes())
}

pub fn md5_of(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().to_vec()
}

pub fn sha256_of(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

pub fn from_base64_url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

/// Two digits a byte, either case.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let text = text.trim().as_bytes();
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |c: u8| {
        char::from(c)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    text.chunks(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

/// Lower case.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202 and RFC 4231, the second case of each.
    #[test]
    fn keyed_hashes_are_the_ones_everybody_makes() {
        let (key, text) = (b"Jefe", b"what do ya want for nothing?");
        for (algorithm, expected) in [
            (MacAlgorithm::Md5, "750c783e6ab0b503eaa86e310a5db738"),
            (
                MacAlgorithm::Sha1,
                "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
            ),
            (
                MacAlgorithm::Sha256,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
        ] {
            assert_eq!(
                hex(&mac(algorithm, key, &[&text[..9], &text[9..]])),
                expected
            );
            for claimed in [expected.to_owned(), expected.to_uppercase()] {
                assert!(is_mac(algorithm, MacEncoding::Hex, key, &[text], &claimed));
            }
        }
    }

    #[test]
    fn what_is_not_the_proof_is_refused_however_it_looks() {
        let good = hex(&mac(MacAlgorithm::Sha256, b"key", &[b"text"]));
        let base64 = STANDARD.encode(mac(MacAlgorithm::Sha256, b"key", &[b"text"]));
        let is = |encoding, key: &[u8], claimed: &str| {
            is_mac(MacAlgorithm::Sha256, encoding, key, &[b"text"], claimed)
        };
        assert!(is(MacEncoding::Hex, b"key", &good));
        assert!(is(MacEncoding::Base64, b"key", &base64));
        for claimed in ["", "0", "zz", &good[..62], &good[1..], &base64, "ééé"] {
            assert!(!is(MacEncoding::Hex, b"key", claimed), "{claimed}");
        }
        assert!(!is(
            MacEncoding::Hex,
            b"",
            &hex(&mac(MacAlgorithm::Sha256, b"", &[b"text"]))
        ));
        assert!(!is_token("", ""));
        assert!(is_token("horse", "horse") && !is_token("horse", "horsf"));
    }
}
