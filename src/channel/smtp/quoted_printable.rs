//! Quoted-printable bodies (RFC 2045, section 6.7), from text as templates
//! leave it: any line end in, CRLF out, lines of at most 76 columns, nothing
//! but printable ASCII.
//!
//! The crate for it looks at a text three times and writes it character by
//! character: an eighth of all that a mail cost before it left. A test compares
//! with it, byte for byte.

use std::borrow::Cow;

/// Longest line, without its end; one that goes on behind `=` is one shorter.
const COLUMNS_MAX: usize = 76;

/// Bytes that stand for themselves. Blanks do unless they end a line.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        plain[byte as usize] = byte != b'=';
        byte += 1;
    }
    plain[b'\t' as usize] = true;
    plain
};

/// The text with every line end as `\n` and without controls other than tabs.
pub fn tamed(text: &str) -> Cow<'_, str> {
    if is_tame(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                out.push('\n');
                chars.next_if_eq(&'\n');
            }
            c if matches!(c, '\t' | '\n') || !c.is_control() => out.push(c),
            _ => {}
        }
    }
    Cow::Owned(out)
}

/// Looks at every byte, whatever it has found: that is many at a time.
fn is_tame(text: &[u8]) -> bool {
    let low = |byte: u8| byte < b' ' && byte != b'\n' && byte != b'\t' || byte == 0x7f;
    // U+0080 to U+009F.
    let high = |(first, second): (&u8, &u8)| *first == 0xc2 && *second < 0xa0;
    let is_low = text.iter().fold(false, |found, byte| found | low(*byte));
    let pairs = text.iter().zip(text.iter().skip(1));
    !is_low && !pairs.fold(false, |found, pair| found | high(pair))
}

/// Encodes a text that is [`tamed`].
pub fn encode(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 6 + COLUMNS_MAX);
    for line in text.as_bytes().split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                encode_line(&mut out, line);
                out.extend_from_slice(b"\r\n");
            }
            None => encode_line(&mut out, line),
        }
    }
    out
}

/// One line without its end; as many columns to each line of the mail as it
/// takes.
fn encode_line(out: &mut Vec<u8>, line: &[u8]) {
    let mut rest = line;
    let mut room = COLUMNS_MAX;
    while let [first, behind @ ..] = rest {
        // What ends the line has the column to itself that `=` needs elsewhere.
        let is_last = behind.is_empty();
        if is_plain(*first) && !(is_last && is_blank(*first)) {
            let run = run_of_plain(&rest[..rest.len().min(room)]);
            let is_all = run == rest.len();
            if run < room || is_all {
                let run = run - usize::from(is_all && is_blank(rest[run - 1]));
                let (plain, behind) = rest.split_at(run);
                out.extend_from_slice(plain);
                (rest, room) = (behind, room - run);
            } else {
                let (plain, behind) = rest.split_at(run - 1);
                out.extend_from_slice(plain);
                break_line(out, &mut room);
                rest = behind;
            }
        } else {
            if room < 3 || (room == 3 && !is_last) {
                break_line(out, &mut room);
            }
            out.extend_from_slice(&quoted(*first));
            (rest, room) = (behind, room - 3);
        }
    }
}

fn break_line(out: &mut Vec<u8>, room: &mut usize) {
    out.extend_from_slice(b"=\r\n");
    *room = COLUMNS_MAX;
}

fn run_of_plain(bytes: &[u8]) -> usize {
    (bytes.iter())
        .position(|byte| !is_plain(*byte))
        .unwrap_or(bytes.len())
}

fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn quoted(byte: u8) -> [u8; 3] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [
        b'=',
        DIGITS[usize::from(byte >> 4)],
        DIGITS[usize::from(byte & 15)],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The crate's, which is right and slow.
    fn by_the_crate(text: &str) -> String {
        String::from_utf8(quoted_printable::encode(text.replace('\n', "\r\n"))).unwrap()
    }

    fn encoded(text: &str) -> String {
        String::from_utf8(encode(&tamed(text))).unwrap()
    }

    #[test]
    fn lines_are_as_long_as_they_may_be() {
        for n in [70, 74, 75, 76, 77, 78, 150, 151, 152, 153, 300] {
            for end in [
                "", " ", "\t", "=", "é", "\n", " \n", "=\n", "é\n", "\nx", "€ x",
            ] {
                let text = format!("{}{end}", "x".repeat(n));
                assert_eq!(encoded(&text), by_the_crate(&text), "{n} and {end:?}");
            }
        }
    }

    #[test]
    fn line_ends_become_crlf_and_other_controls_go() {
        let text = "a\rb\r\nc\nd\0e\u{7f}f\u{85}g\th\u{a0}i\r";
        assert_eq!(encoded(text), "a\r\nb\r\nc\r\ndefg\th=C2=A0i\r\n");
    }

    #[test]
    fn what_is_tame_is_not_copied() {
        for text in ["", "Hello\n\tAnna\u{a0}é €", "\u{a0}"] {
            assert!(matches!(tamed(text), Cow::Borrowed(_)), "{text:?}");
        }
        for text in ["\r", "a\u{80}", "\u{9f}b", "\u{7f}", "\u{1b}[1m"] {
            assert!(matches!(tamed(text), Cow::Owned(_)), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn texts_are_encoded_as_the_crate_does(
            text in "([a-z .,=<>\"]{0,90}|[ \t\n=é€𝄞\u{a0}x]{0,60}|\n){0,12}",
        ) {
            prop_assert_eq!(encoded(&text), by_the_crate(&text));
        }

        #[test]
        fn what_is_left_of_any_text_is_decoded_to_it(text in any::<String>()) {
            let tame = tamed(&text).into_owned();
            prop_assert!(!tame.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
            let encoded = encode(&tame);
            prop_assert!(encoded.split(|b| *b == b'\n').all(|l| l.len() <= COLUMNS_MAX + 1));
            prop_assert!(encoded.iter().all(|b| matches!(b, b' '..=b'~' | b'\t' | b'\r' | b'\n')));
            let decoded = quoted_printable::decode(&encoded, quoted_printable::ParseMode::Strict);
            prop_assert_eq!(decoded.unwrap(), tame.replace('\n', "\r\n").into_bytes());
        }
    }
}
