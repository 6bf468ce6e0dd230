//! Blocks of `Name: value` lines: mail headers, and the machine-readable parts
//! of reports, which are written alike (RFC 3464, 2.1; RFC 5965, 3.1).
//!
//! Reads whatever comes: a line that is no field is skipped, bytes that are no
//! UTF-8 are replaced. Limits keep a mail made to be large small in memory.

/// Fields kept of one block; what follows is not looked at.
const FIELDS_MAX: usize = 500;
/// Bytes kept of one value.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// The fields of one block, in order, names in lower case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a block up to its first empty line; also answers where the text
    /// after that line begins.
    pub fn read(block: &[u8]) -> (Fields, usize) {
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut at = 0;
        while at < block.len() {
            let end = line_end(block, at);
            let line = trim_line(&block[at..end]);
            at = end;
            if line.is_empty() {
                break;
            }
            let text = String::from_utf8_lossy(line);
            if text.starts_with([' ', '\t']) {
                // Folded: belongs to the field before.
                if let Some((_, value)) = fields.last_mut() {
                    push(value, text.trim());
                }
                continue;
            }
            let Some((name, value)) = text.split_once(':') else {
                continue;
            };
            let name = name.trim();
            if name.is_empty() || name.contains(' ') || fields.len() == FIELDS_MAX {
                continue;
            }
            let mut kept = String::new();
            push(&mut kept, value.trim());
            fields.push((name.to_ascii_lowercase(), kept));
        }
        (Fields(fields), at)
    }

    /// All blocks of a text, without empty ones.
    pub fn blocks(text: &[u8], blocks_max: usize) -> Vec<Fields> {
        let mut out = Vec::new();
        let mut at = 0;
        while at < text.len() && out.len() < blocks_max {
            let (fields, length) = Fields::read(&text[at..]);
            at += length;
            if !fields.0.is_empty() {
                out.push(fields);
            }
        }
        out
    }

    /// The first value of a name given in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

fn push(value: &mut String, more: &str) {
    if !value.is_empty() {
        value.push(' ');
    }
    for c in more.chars() {
        if value.len() + c.len_utf8() > VALUE_BYTES_MAX {
            return;
        }
        value.push(c);
    }
}

/// Where the line that begins at `from` ends, its line end included.
pub fn line_end(text: &[u8], from: usize) -> usize {
    text[from..]
        .iter()
        .position(|b| *b == b'\n')
        .map_or(text.len(), |n| from + n + 1)
}

/// A line without what ends it.
pub fn trim_line(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The address in `rfc822; anna@mail.example`, `<anna@mail.example>` or
/// `Anna <anna@mail.example>`, in lower case for comparing.
pub fn address_in(value: &str) -> Option<String> {
    let value = match value.split_once(';') {
        Some((kind, rest)) if !kind.contains('@') => rest,
        _ => value,
    };
    let inner = match (value.rfind('<'), value.rfind('>')) {
        (Some(open), Some(close)) if open < close => &value[open + 1..close],
        _ => value,
    };
    let address = inner.trim().trim_matches(['"', '\'', ',', ';']);
    let (local, domain) = address.rsplit_once('@')?;
    let fine = !local.is_empty() && !domain.is_empty() && !address.contains(char::is_whitespace);
    fine.then(|| address.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_at_its_empty_line_and_folded_lines_are_joined() {
        let text = b"Status: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n\tunknown\r\n\r\nrest";
        let (fields, at) = Fields::read(text);
        assert_eq!(fields.get("status"), Some("5.1.1"));
        assert_eq!(
            fields.get("diagnostic-code"),
            Some("smtp; 550 5.1.1 unknown")
        );
        assert_eq!(&text[at..], b"rest");
        assert_eq!(Fields::blocks(b"A: 1\n\n\n\nB: 2\nno field\n", 9).len(), 2);
        assert_eq!(Fields::blocks(b"A: 1\n\nB: 2\n\nC: 3\n", 2).len(), 2);
    }

    #[test]
    fn addresses_are_found_in_every_spelling() {
        for text in [
            "rfc822; Anna@Mail.Example",
            "rfc822;anna@mail.example",
            "<anna@mail.example>",
            "Anna Example <anna@mail.example>",
            "utf-8; anna@mail.example",
            " anna@mail.example ",
        ] {
            assert_eq!(address_in(text).as_deref(), Some("anna@mail.example"));
        }
        for text in ["rfc822; unknown", "", "a b@c", "@x"] {
            assert_eq!(address_in(text), None, "{text}");
        }
    }
}
