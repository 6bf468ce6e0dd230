//! Hides what looks like a secret in a file's text, before any of that text can
//! be shown in an error.

use std::ops::Range;

/// Words in the name of a key whose value is nobody's business.
const SECRET_WORDS: [&str; 7] = [
    "password",
    "passwd",
    "token",
    "secret",
    "authorization",
    "api-key",
    "api_key",
];

/// Replaces values of secret-looking keys, and logins inside URLs, by as many
/// asterisks as they had bytes. Rather too much than too little: what follows
/// such a key up to the end of its line, or of its multi-line text.
pub fn paint_over_secrets(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut hidden: Vec<Range<usize>> = Vec::new();
    for word in SECRET_WORDS {
        for (at, _) in lower.match_indices(word) {
            hidden.extend(value_after_key(text, at + word.len()));
            hidden.extend(texts_in_table_after(text, at + word.len()));
        }
    }
    hidden.extend(values_in_secret_sections(text, &lower));
    for (at, _) in lower.match_indices("://") {
        let rest = &text[at + 3..];
        let end = rest
            .find(|c: char| c.is_whitespace() || "/\"'".contains(c))
            .unwrap_or(rest.len());
        if let Some(login) = rest[..end].rfind('@') {
            hidden.push(at + 3..at + 3 + login);
        }
    }
    text.char_indices()
        .map(|(i, c)| {
            if c != '\n' && c != '\r' && hidden.iter().any(|range| range.contains(&i)) {
                "*".repeat(c.len_utf8())
            } else {
                c.to_string()
            }
        })
        .collect()
}

/// Texts in the inline table that follows on the same line, but those that say
/// where a secret is.
fn texts_in_table_after(text: &str, from: usize) -> Vec<Range<usize>> {
    let line_end = text[from..].find('\n').map_or(text.len(), |i| from + i);
    let line = &text[from..line_end];
    let is_table = |equals: &usize| line[equals + 1..].trim_start().starts_with('{');
    let Some(open) = line.find('=').filter(is_table) else {
        return Vec::new();
    };
    let mut hidden = Vec::new();
    let mut at = open;
    while let Some(begin) = line[at..].find(['"', '\'']).map(|i| at + i) {
        let quote = &line[begin..=begin];
        let end = line[begin + 1..]
            .find(quote)
            .map_or(line.len(), |i| begin + 2 + i);
        let key = line[..begin].trim_end().trim_end_matches('=').trim_end();
        if !key.ends_with("file") && !key.ends_with("credential") {
            hidden.push(from + begin..from + end);
        }
        at = end;
    }
    hidden
}

/// Values in sections whose own name is a secret-looking one.
fn values_in_secret_sections(text: &str, lower: &str) -> Vec<Range<usize>> {
    let mut hidden = Vec::new();
    let mut secret = false;
    let mut at = 0;
    for line in lower.split_inclusive('\n') {
        if line.trim_start().starts_with('[') {
            secret = SECRET_WORDS.iter().any(|word| line.contains(word));
        } else if secret && let Some(equals) = line.find('=') {
            hidden.extend(value_after_key(text, at + equals));
        }
        at += line.len();
    }
    hidden
}

/// The value that follows when a key ends at or soon after `from`; tables stay
/// readable, they say where the secret is and not what it is.
fn value_after_key(text: &str, from: usize) -> Option<Range<usize>> {
    let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |i| at + i);
    let equals = from + text[from..line_end(from)].find('=')?;
    let between = text[from..equals].trim_matches(|c: char| c.is_whitespace() || "\"'".contains(c));
    if !between
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
    {
        return None;
    }
    let value = &text[equals + 1..];
    let start = equals + 1 + (value.len() - value.trim_start_matches([' ', '\t']).len());
    let value = &text[start..];
    if value.starts_with('{') {
        return None;
    }
    for quotes in ["\"\"\"", "'''"] {
        if let Some(inside) = value.strip_prefix(quotes) {
            let length = inside.find(quotes).map_or(inside.len(), |i| i + 3);
            return Some(start..start + 3 + length);
        }
    }
    Some(start..line_end(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_painted_over_and_nothing_moves() {
        for (text, shown) in [
            (
                "password = \"hunter2\"\nport = 1",
                "password = *********\nport = 1",
            ),
            ("password = hünter", "password = *******"),
            (
                "auth_token=\"\"\"a\nb\"\"\"\nx = 1",
                "auth_token=****\n****\nx = 1",
            ),
            (
                "password = { file = \"/x\" }",
                "password = { file = \"/x\" }",
            ),
            (
                "email = { user = \"u\", password = \"p\" }",
                "email = { user = \"u\", password = *****",
            ),
            (
                "secret_fields = { key = \"p\", k = { file = \"f\" } }",
                "secret_fields = { key = ***, k = { file = \"f\" } }",
            ),
            (
                "[x.secret_fields]\nkey = \"p\"\n[y]\nkey = 1",
                "[x.secret_fields]\nkey = ***\n[y]\nkey = 1",
            ),
            ("Authorization = 'Bearer x'", "Authorization = **********"),
            ("url = \"pg://u:p@host/db\"", "url = \"pg://***@host/db\""),
            (
                "# the password is with Jo\nx = 1",
                "# the password is with Jo\nx = 1",
            ),
        ] {
            let painted = paint_over_secrets(text);
            assert_eq!(painted, shown);
            assert_eq!(painted.len(), text.len(), "{text}");
        }
    }
}
