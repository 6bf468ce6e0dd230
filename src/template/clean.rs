//! Makes other people's values safe to print: one line, no control characters,
//! no invisible direction switches, a limit to their length.
//!
//! Every value of a context passes [`line()`] once, so templates, headers and
//! texts never see a line break or an override they did not write themselves.
//! Escaping for a markup is a second step and belongs to the registry that
//! renders: [`markdown`] for words, [`html`] for whole pages.

use std::fmt::Write;

/// RFC 5322 recommends 78 characters for a header line; longer subjects are
/// cut by most readers anyway.
pub const SUBJECT_CHARS_MAX: usize = 78;

/// Clients show 90 to 140 characters of a preheader.
pub const PREHEADER_CHARS_MAX: usize = 140;

/// One trimmed line of at most `chars_max` characters: blanks and line breaks
/// become single blanks, control characters and bidirectional overrides
/// vanish. What is cut ends in an ellipsis.
pub fn line(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(chars_max * 4));
    let mut blank = false;
    for c in text.chars() {
        if c.is_whitespace() {
            blank = true;
        } else if !is_hidden(c) {
            if blank && !out.is_empty() {
                out.push(' ');
            }
            blank = false;
            out.push(c);
        }
    }
    shorten(out, chars_max)
}

/// Cuts before the last blank that leaves room for an ellipsis, or inside a
/// word where there is no blank in the second half.
fn shorten(text: String, chars_max: usize) -> String {
    let Some((cut, _)) = text.char_indices().nth(chars_max) else {
        return text;
    };
    let room = text[..cut].char_indices().next_back().map_or(0, |(i, _)| i);
    let end = match text[..room].rfind(' ') {
        Some(blank) if blank * 2 > room => blank,
        _ => room,
    };
    let mut text = text;
    text.truncate(end);
    let kept = text.trim_end_matches([' ', ',', ':', ';']).len();
    text.truncate(kept);
    text.push('…');
    text
}

/// Control characters, line separators, and the characters that reorder what
/// follows them (U+202E would let a product name rewrite a subject).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Escapes every character that could mean something in Markdown, wherever
/// the value is put: within a sentence, at the start of a line, between `**`,
/// in a link's target. A backslash before ASCII punctuation is the punctuation
/// itself, in all of these places.
pub fn markdown(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    for c in value.chars() {
        match c {
            ',' => out.push(c),
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_ascii_punctuation() => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// Escapes text for HTML content and for attributes in double quotes.
pub fn html_into(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

/// [`html_into`] as the escape function of a registry.
pub fn html(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 16);
    html_into(&mut out, value);
    out
}

/// A web address that may be printed as a link: `http` or `https` with a
/// host, without blanks and without characters that end a link in some
/// reader. `None` for anything else (`javascript:`, a bare word, a tab).
pub fn web_address(value: &str) -> Option<String> {
    let value = value.trim();
    let rest = ["https://", "http://"]
        .into_iter()
        .find_map(|scheme| strip_prefix_ignoring_case(value, scheme))?;
    if rest.is_empty() || rest.starts_with(['/', '?', '#']) {
        return None;
    }
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            c if is_hidden(c) || c.is_whitespace() => {
                // A blank or a control character was never part of a real
                // address; encoding it keeps the rest usable.
                percent(&mut out, c);
            }
            '<' | '>' | '"' | '\'' | '(' | ')' | '[' | ']' | '\\' | '^' | '`' | '{' | '|' | '}' => {
                percent(&mut out, c);
            }
            c => out.push(c),
        }
    }
    Some(out)
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &text[prefix.len()..])
}

fn percent(out: &mut String, c: char) {
    let mut bytes = [0; 4];
    for byte in c.encode_utf8(&mut bytes).bytes() {
        let _ = write!(out, "%{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_become_one_plain_line() {
        for (given, max, expected) in [
            ("  Oak   tea tray ", 80, "Oak tea tray"),
            ("Hi\r\nBcc: x@y.example", 80, "Hi Bcc: x@y.example"),
            ("a\u{202e}b\u{2066}c\u{0}d", 80, "abcd"),
            ("two\u{2028}lines\u{2029}", 80, "two lines"),
            ("\u{a0}", 80, ""),
            ("one two three four", 15, "one two three…"),
            ("Donaudampfschifffahrt", 10, "Donaudamp…"),
            ("exactly ten", 11, "exactly ten"),
        ] {
            assert_eq!(line(given, max), expected, "{given:?}");
        }
    }

    #[test]
    fn only_web_addresses_become_links() {
        for (given, expected) in [
            ("https://a.example/o/1", Some("https://a.example/o/1")),
            ("HTTP://a.example", Some("HTTP://a.example")),
            (
                "https://a.example/(x) y",
                Some("https://a.example/%28x%29%20y"),
            ),
            ("javascript:alert(1)", None),
            ("https://", None),
            ("//a.example", None),
            ("a.example", None),
            ("", None),
        ] {
            assert_eq!(web_address(given).as_deref(), expected, "{given}");
        }
    }

    proptest! {
        #[test]
        fn a_cleaned_line_keeps_its_promises(text in any::<String>(), max in 1usize..60) {
            let cleaned = line(&text, max);
            prop_assert!(cleaned.chars().count() <= max);
            prop_assert!(!cleaned.chars().any(|c| c.is_control() || is_hidden(c)));
            prop_assert_eq!(cleaned.trim(), cleaned.as_str());
        }
    }
}
