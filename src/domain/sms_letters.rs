//! Letters the small alphabet of texts lacks, written with the ones it has.
//!
//! Only asked for by a setting, and only used when it pays: the whole text has
//! to fit the small alphabet afterwards and need fewer segments. A link is
//! never touched, because another letter is another address.

use super::sms_text::{SmsEncoding, is_small, measure};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Latin letters that are no letter with a mark on it.
const WHOLE: &[(char, &str)] = &[
    ('ł', "l"),
    ('Ł', "L"),
    ('đ', "d"),
    ('Đ', "D"),
    ('ð', "d"),
    ('Ð', "D"),
    ('ħ', "h"),
    ('Ħ', "H"),
    ('ŧ', "t"),
    ('Ŧ', "T"),
    ('ı', "i"),
    ('ŀ', "l"),
    ('Ŀ', "L"),
    ('ŉ', "'n"),
    ('ŋ', "ng"),
    ('Ŋ', "NG"),
    ('œ', "oe"),
    ('Œ', "OE"),
    ('þ', "th"),
    ('Þ', "Th"),
    ('ſ', "s"),
    ('ẞ', "SS"),
    ('ə', "e"),
    ('Ə', "E"),
    ('`', "'"),
    ('´', "'"),
    ('×', "x"),
    ('·', "."),
    ('•', "-"),
    ('\u{2212}', "-"),
];

/// The text in the small alphabet, where that is possible by leaving out
/// accents and saves segments; unchanged otherwise.
pub fn transliterate(text: &str) -> String {
    let before = measure(text);
    if before.encoding == SmsEncoding::Gsm7 {
        return text.to_owned();
    }
    let plain: String = text
        .split_inclusive(char::is_whitespace)
        .map(|word| {
            if is_link(word) {
                word.to_owned()
            } else {
                without_marks(word)
            }
        })
        .collect();
    let after = measure(&plain);
    if after.encoding == SmsEncoding::Gsm7 && after.segments < before.segments {
        plain
    } else {
        text.to_owned()
    }
}

/// Anything a phone may turn into a link: an address with its scheme, or a
/// name with a dot inside and a path behind it.
fn is_link(word: &str) -> bool {
    let word = word.trim();
    let dotted = |host: &str| {
        let mut labels = host.split('.').filter(|label| !label.is_empty());
        labels.next().is_some() && labels.next().is_some()
    };
    word.contains("://")
        || word.to_ascii_lowercase().starts_with("www.")
        || word.contains('@')
        || word.split_once('/').is_some_and(|(host, _)| dotted(host))
        || dotted(word)
}

fn without_marks(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    // Joined first, so that a letter with its mark apart is one letter here.
    for c in word.nfc() {
        if is_small(c) {
            out.push(c);
        } else if let Some((_, plain)) = WHOLE.iter().find(|(letter, _)| *letter == c) {
            out.push_str(plain);
        } else {
            let apart: Vec<char> = std::iter::once(c).nfd().collect();
            match apart.split_first() {
                Some((base, marks))
                    if is_small(*base) && marks.iter().all(|mark| is_combining_mark(*mark)) =>
                {
                    out.push(*base);
                }
                _ => out.push(c),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Long enough that the wide alphabet costs a second segment.
    fn long(text: &str) -> String {
        format!("{text} {}", "a".repeat(75))
    }

    #[test]
    fn letters_lose_what_the_small_alphabet_lacks() {
        for (text, expected) in [
            ("façade", "facade"),
            ("Čeští zákazníci", "Cesti zakaznici"),
            ("Zażółć gęślą jaźń", "Zazolc gesla jazn"),
            (
                "Łódź, Đorđe, Œuvre, ŞİŞLİ ığ",
                "Lodz, Dorde, OEuvre, SISLI ig",
            ),
            ("Nguyễn Văn Ý", "Nguyen Van Y"),
            ("e\u{301}te\u{301} c\u{327}a", "été ca"),
            (
                "Ærø, Müller, Ñuñoa, El Niño, Århus ß á",
                "Ærø, Müller, Ñuñoa, El Niño, Århus ß a",
            ),
            ("5 × 2 · `x`", "5 x 2 . 'x'"),
        ] {
            assert_eq!(transliterate(&long(text)), long(expected), "{text}");
        }
    }

    #[test]
    fn nothing_changes_where_nothing_is_won() {
        for text in [
            // Already small.
            long("Müller"),
            // One segment either way.
            "façade".to_owned(),
            // Another script, or an emoji: it stays wide whatever we do.
            long("Заказ façade"),
            long("façade 😀"),
            // A link is another address with another letter.
            long("https://shop.example/façade"),
            long("www.façade.example"),
            long("façade.example/42"),
            long("façade.example"),
            long("anna@façade.example"),
            String::new(),
        ] {
            assert_eq!(transliterate(&text), text);
        }
        let beside = long("façade https://shop.example/o/42");
        assert_eq!(
            transliterate(&beside),
            long("facade https://shop.example/o/42")
        );
    }

    proptest! {
        #[test]
        fn it_never_costs_more_and_never_touches_a_link(text in "[a-zçčłéß ]{0,90}[😀я]?", path in "[a-zçé]{1,9}") {
            let link = format!("https://shop.example/{path}");
            let text = format!("{text} {link} {text}");
            let made = transliterate(&text);
            prop_assert!(measure(&made).segments <= measure(&text).segments);
            prop_assert!(made.contains(&link));
            prop_assert_eq!(transliterate(&made), made.clone());
        }
    }
}
