//! How long a text message is: GSM 03.38 septets, UCS-2 units and segments.
//!
//! Gateways bill segments, and one curly quote turns a 160-character segment
//! into one of 70. So texts are smoothed first and then counted, and the
//! count names the character that forces the wider alphabet.

/// GSM 03.38 default alphabet, without ESC; one septet each.
const DEFAULT: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Extension table: ESC and a code, two septets each.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// The size of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmsSize {
    pub encoding: SmsEncoding,
    /// Septets or UTF-16 units in all, padding at boundaries not counted.
    pub units: usize,
    /// 0 only for an empty text.
    pub segments: usize,
    /// First character that is not in the GSM alphabet.
    pub culprit: Option<char>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmsEncoding {
    Gsm7,
    Ucs2,
}

/// Encoding, units and segments of `text` as it stands.
pub fn measure(text: &str) -> SmsSize {
    let culprit = text.chars().find(|c| gsm_weight(*c).is_none());
    let (encoding, single, part) = match culprit {
        None => (SmsEncoding::Gsm7, 160, 153),
        Some(_) => (SmsEncoding::Ucs2, 70, 67),
    };
    let weight = |c: char| match encoding {
        SmsEncoding::Gsm7 => gsm_weight(c).unwrap_or(1),
        SmsEncoding::Ucs2 => c.len_utf16(),
    };
    let units: usize = text.chars().map(weight).sum();
    let segments = if units == 0 {
        0
    } else if units <= single {
        1
    } else {
        // A character of two units never straddles a boundary.
        let (mut segments, mut used) = (1, 0);
        for c in text.chars() {
            let w = weight(c);
            if used + w > part {
                segments += 1;
                used = 0;
            }
            used += w;
        }
        segments
    };
    SmsSize {
        encoding,
        units,
        segments,
        culprit,
    }
}

fn gsm_weight(c: char) -> Option<usize> {
    if DEFAULT.contains(c) {
        Some(1)
    } else if EXTENSION.contains(c) {
        Some(2)
    } else {
        None
    }
}

/// Whether a character is in the small alphabet.
pub fn is_small(c: char) -> bool {
    gsm_weight(c).is_some()
}

/// Replaces typography that costs a wider alphabet and means the same:
/// quotes, dashes, the ellipsis, special blanks. Letters are never touched.
pub fn smooth(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{2032}' => out.push('\''),
            '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' | '\u{2033}' => {
                out.push('"');
            }
            '\u{2010}'..='\u{2015}' | '\u{2212}' => out.push('-'),
            '\u{2026}' => out.push_str("..."),
            '\u{a0}' | '\u{202f}' | '\u{2007}' | '\u{2009}' | '\t' => out.push(' '),
            '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}' => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use SmsEncoding::{Gsm7, Ucs2};

    #[test]
    fn sizes_of_known_texts() {
        let a = |n: usize| "a".repeat(n);
        let ya = |n: usize| "я".repeat(n);
        for (text, encoding, units, segments) in [
            (a(160), Gsm7, 160, 1),
            (a(161), Gsm7, 161, 2),
            (a(306), Gsm7, 306, 2),
            (a(307), Gsm7, 307, 3),
            (a(158) + "€", Gsm7, 160, 1),
            (a(159) + "€", Gsm7, 161, 2),
            ((a(152) + "€").repeat(2), Gsm7, 308, 3),
            (ya(70), Ucs2, 70, 1),
            (ya(71), Ucs2, 71, 2),
            (ya(134), Ucs2, 134, 2),
            (ya(135), Ucs2, 135, 3),
            (ya(68) + "😀", Ucs2, 70, 1),
            (ya(66) + "😀" + &ya(66), Ucs2, 134, 3),
            ("façade".into(), Ucs2, 6, 1),
            ("FAÇADE".into(), Gsm7, 6, 1),
            (String::new(), Gsm7, 0, 0),
        ] {
            let size = measure(&text);
            assert_eq!(
                (size.encoding, size.units, size.segments),
                (encoding, units, segments),
                "{text}"
            );
        }
        assert_eq!(measure("façade").culprit, Some('ç'));
    }

    #[test]
    fn smoothing_saves_the_small_alphabet() {
        assert_eq!(measure("ETA — soon").encoding, Ucs2);
        assert_eq!(measure(&smooth("ETA — soon")).encoding, Gsm7);
        assert_eq!(smooth("“it’s”\u{a0}…"), "\"it's\" ...");
        assert_eq!(smooth("Zoë ç"), "Zoë ç");
    }
}
