//! From bytes to text: UTF-8 with or without a mark, UTF-16 of both orders.
//!
//! Anything else is refused at its first bad byte. A wrong guess among the
//! single-byte encodings would print wrong names in letters, and nobody would
//! see it before the customer does.

use super::Encoding;
use super::FileProblem;
use super::ProblemKind;
use std::borrow::Cow;

/// Bytes looked at for the zeros that ASCII has in UTF-16.
const ZERO_PATTERN_BYTES: usize = 128;

/// The text of a file, without its byte order mark.
pub(super) struct Decoded<'a> {
    pub text: Cow<'a, str>,
    pub encoding: Encoding,
}

/// # Errors
/// An archive or workbook, a byte that does not fit the encoding, or a NUL.
pub(super) fn decode<'a>(bytes: &'a [u8], name: &str) -> Result<Decoded<'a>, FileProblem> {
    refuse_containers(bytes, name)?;
    let (encoding, body, skipped) = recognise(bytes)?;
    let text = match encoding {
        Encoding::Utf8 => Cow::Borrowed(utf8(body, skipped)?),
        Encoding::Utf16Le => Cow::Owned(utf16(body, skipped, u16::from_le_bytes)?),
        Encoding::Utf16Be => Cow::Owned(utf16(body, skipped, u16::from_be_bytes)?),
    };
    if let Some(at) = text.find('\0') {
        let (line, column) = position(&text[..at]);
        return Err(FileProblem::of(
            ProblemKind::Encoding,
            format!(
                "there is a NUL character at line {line}, column {column}: the file is damaged or not text"
            ),
            "export it again as CSV in UTF-8",
        )
        .at(line, column));
    }
    Ok(Decoded { text, encoding })
}

fn refuse_containers(bytes: &[u8], name: &str) -> Result<(), FileProblem> {
    let refuse = |what: &str, cure: &str| Err(FileProblem::of(ProblemKind::Format, what, cure));
    if bytes.starts_with(b"PK\x03\x04") {
        let cure = "open it and save as \"CSV UTF-8\"";
        return if name.to_ascii_lowercase().ends_with(".zip") {
            refuse("the file is a ZIP archive", "unpack it first")
        } else {
            refuse("the file is a workbook, not a text file", cure)
        };
    }
    if bytes.starts_with(b"\xD0\xCF\x11\xE0") {
        return refuse(
            "the file is an old Excel workbook, not a text file",
            "open it and save as \"CSV UTF-8\"",
        );
    }
    if bytes.starts_with(b"\x1F\x8B") {
        return refuse(
            "the file is compressed with gzip",
            "unpack it first: gunzip FILE",
        );
    }
    Ok(())
}

/// Encoding, the bytes behind the mark, and the length of the mark.
fn recognise(bytes: &[u8]) -> Result<(Encoding, &[u8], usize), FileProblem> {
    if bytes.starts_with(b"\xFF\xFE\0\0") || bytes.starts_with(b"\0\0\xFE\xFF") {
        return Err(FileProblem::of(
            ProblemKind::Encoding,
            "the file is in UTF-32, which is not read",
            "save it as UTF-8, or run: iconv -f UTF-32 -t UTF-8 FILE",
        ));
    }
    if let Some(body) = bytes.strip_prefix(b"\xEF\xBB\xBF") {
        return Ok((Encoding::Utf8, body, 3));
    }
    if let Some(body) = bytes.strip_prefix(b"\xFF\xFE") {
        return Ok((Encoding::Utf16Le, body, 2));
    }
    if let Some(body) = bytes.strip_prefix(b"\xFE\xFF") {
        return Ok((Encoding::Utf16Be, body, 2));
    }
    // A header is ASCII almost everywhere, so that UTF-16 without a mark has
    // a zero in every second byte and none in the others.
    let head = &bytes[..bytes.len().min(ZERO_PATTERN_BYTES) & !1];
    let zeros = |parity: usize| {
        head.iter()
            .skip(parity)
            .step_by(2)
            .filter(|b| **b == 0)
            .count()
    };
    let (even, odd, pairs) = (zeros(0), zeros(1), head.len() / 2);
    if pairs >= 4 && even == 0 && odd * 10 >= pairs * 8 {
        return Ok((Encoding::Utf16Le, bytes, 0));
    }
    if pairs >= 4 && odd == 0 && even * 10 >= pairs * 8 {
        return Ok((Encoding::Utf16Be, bytes, 0));
    }
    Ok((Encoding::Utf8, bytes, 0))
}

fn utf8(body: &[u8], skipped: usize) -> Result<&str, FileProblem> {
    let error = match std::str::from_utf8(body) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let at = error.valid_up_to();
    let good = std::str::from_utf8(&body[..at]).unwrap_or_default();
    let (line, column) = position(good);
    let cure = match guess(body) {
        Some((label, code)) => {
            format!(
                "it looks like {label}: save it as UTF-8, or run: iconv -f {code} -t UTF-8 FILE"
            )
        }
        None => "save it as UTF-8 and try again".to_owned(),
    };
    Err(FileProblem::of(
        ProblemKind::Encoding,
        format!(
            "byte {} (0x{:02X}) at line {line}, column {column} is not UTF-8",
            at + skipped,
            body[at]
        ),
        cure,
    )
    .at(line, column))
}

/// Which single-byte encoding the file could be in, for the cure's command
/// only. In Windows-1252 letters with accents stand among ASCII letters; in
/// the DOS code page 850 they are the bytes 0x80 to 0x9A.
fn guess(body: &[u8]) -> Option<(&'static str, &'static str)> {
    let (mut accents, mut dos, mut undefined) = (0usize, 0usize, 0usize);
    for &byte in body {
        match byte {
            0x81 | 0x8D | 0x8F | 0x90 | 0x9D => {
                undefined += 1;
                dos += 1;
            }
            0x84 | 0x94 | 0x82 | 0x8E | 0x99 | 0x9A => dos += 1,
            0xC0..=0xFF => accents += 1,
            _ => {}
        }
    }
    if undefined == 0 || accents > dos {
        Some(("Windows-1252", "WINDOWS-1252"))
    } else if dos > accents {
        Some(("the DOS code page 850", "CP850"))
    } else {
        None
    }
}

fn utf16(body: &[u8], skipped: usize, unit: fn([u8; 2]) -> u16) -> Result<String, FileProblem> {
    let mut text = String::with_capacity(body.len() / 2);
    let units = body.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let mut at = skipped;
    let broken = |text: &str, at: usize, what: &str| {
        let (line, column) = position(text);
        Err(FileProblem::of(
            ProblemKind::Encoding,
            format!("byte {at} at line {line}, column {column}: {what}"),
            "export it again as CSV in UTF-8",
        )
        .at(line, column))
    };
    for decoded in char::decode_utf16(units) {
        match decoded {
            Ok(c) => {
                text.push(c);
                at += c.len_utf16() * 2;
            }
            Err(_) => return broken(&text, at, "half of a UTF-16 pair stands alone"),
        }
    }
    if !body.len().is_multiple_of(2) {
        return broken(&text, at, "the UTF-16 text ends within a character");
    }
    Ok(text)
}

/// Line and column (in characters) of what follows `before`, both from 1.
pub(super) fn position(before: &str) -> (u64, usize) {
    let start = before.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    (1 + line_ends(before), 1 + before[start..].chars().count())
}

/// Line ends in a text: LF, CRLF and lone CR.
pub(super) fn line_ends(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut ends = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte == b'\n' || (byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
            ends += 1;
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16_bytes(text: &str, little: bool, mark: bool) -> Vec<u8> {
        let mark = if mark { "\u{feff}" } else { "" };
        format!("{mark}{text}")
            .encode_utf16()
            .flat_map(|u| {
                if little {
                    u.to_le_bytes()
                } else {
                    u.to_be_bytes()
                }
            })
            .collect()
    }

    fn problem(bytes: &[u8]) -> FileProblem {
        decode(bytes, "a.csv").err().expect("refused")
    }

    #[test]
    fn utf8_and_utf16_are_read_with_and_without_a_mark() {
        let text = "line_id;name\r\n1;Jürgen 🫖\r\n";
        for (bytes, encoding) in [
            (text.as_bytes().to_vec(), Encoding::Utf8),
            (format!("\u{feff}{text}").into_bytes(), Encoding::Utf8),
            (utf16_bytes(text, true, true), Encoding::Utf16Le),
            (utf16_bytes(text, false, true), Encoding::Utf16Be),
            (utf16_bytes(text, true, false), Encoding::Utf16Le),
            (utf16_bytes(text, false, false), Encoding::Utf16Be),
        ] {
            let decoded = decode(&bytes, "a.csv").unwrap();
            assert_eq!(decoded.text, text);
            assert_eq!(decoded.encoding, encoding);
        }
    }

    #[test]
    fn a_bad_byte_is_named_with_offset_line_and_cure() {
        let p = problem(b"line_id;name\n1;J\xFCrgen\n");
        assert_eq!((p.line, p.column), (Some(2), Some(4)));
        assert!(p.what.contains("byte 16 (0xFC)"), "{}", p.what);
        assert!(
            p.cure.contains("iconv -f WINDOWS-1252 -t UTF-8"),
            "{}",
            p.cure
        );
        let p = problem(b"name\nJ\x81rgen\n");
        assert!(p.cure.contains("CP850"), "{}", p.cure);
        // The mark counts in the offset and not in the column.
        let p = problem(b"\xEF\xBB\xBFa\xFF");
        assert!(p.what.contains("byte 4 "), "{}", p.what);
        assert_eq!((p.line, p.column), (Some(1), Some(2)));
    }

    #[test]
    fn broken_utf16_nul_and_containers_are_refused() {
        let mut odd = utf16_bytes("line_id", true, true);
        odd.push(b'x');
        assert!(problem(&odd).what.contains("ends within a character"));
        let mut lone = utf16_bytes("line_id", true, true);
        lone.extend([0x00, 0xD8, b'a', 0]);
        assert!(problem(&lone).what.contains("stands alone"));
        assert_eq!(problem(b"a;b\n1;\0\n").line, Some(2));
        assert!(problem(b"PK\x03\x04....").what.contains("workbook"));
        assert!(problem(b"\x1F\x8B\x08").cure.contains("gunzip"));
        assert!(problem(b"\xFF\xFE\0\0a\0\0\0").what.contains("UTF-32"));
    }

    #[test]
    fn lines_end_with_lf_crlf_or_cr() {
        assert_eq!(line_ends("a\nb\r\nc\rd"), 3);
        assert_eq!(position("a\r\nbcd"), (2, 4));
    }
}
