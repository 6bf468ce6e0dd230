//! Ids and names: what is kept to the letter, and what is tidied.

use super::Fault;
use super::columns::Field;
use super::record::Record;

/// Longest id a shop gives (characters); longer ones are refused, since a cut
/// id would be another id.
const ID_CHARS_MAX: usize = 200;
/// An id: kept exactly, or refused.
///
/// # Errors
/// Too long, invisible characters in it, or mangled by a spreadsheet.
pub(super) fn id(record: &Record<'_>, field: Field) -> Result<Option<String>, Fault> {
    let Some(text) = record.text(field) else {
        return Ok(None);
    };
    if record.is_inexact(field) {
        return Err(Fault::of(
            field,
            "the id is a number with a fraction, or too long to be exact",
            "write ids as strings, in quotes",
        ));
    }
    if let Some((reason, cure)) = spreadsheet_damage(text) {
        return Err(Fault::of(field, reason, cure));
    }
    if text.chars().count() > ID_CHARS_MAX {
        return Err(Fault::of(
            field,
            format!("the id is longer than {ID_CHARS_MAX} characters"),
            "ids are kept whole; shorten it in the export",
        ));
    }
    if text.chars().any(is_invisible) {
        return Err(Fault::of(
            field,
            "the id has control characters or line ends in it",
            "remove them in the export",
        ));
    }
    Ok(Some(text.to_owned()))
}

/// An id that must be there.
pub(super) fn mandatory_id(record: &Record<'_>, field: Field) -> Result<String, Fault> {
    id(record, field)?.ok_or_else(|| {
        Fault::of(
            field,
            format!("{} is missing", field.name()),
            "every row needs one",
        )
    })
}

/// What spreadsheets do to ids: reason and cure.
pub(super) fn spreadsheet_damage(text: &str) -> Option<(&'static str, &'static str)> {
    if text.starts_with("=\"") || text.starts_with('=') {
        return Some((
            "it is a spreadsheet formula",
            "export the plain value, without = in front",
        ));
    }
    if text.starts_with('\'') {
        return Some((
            "it begins with an apostrophe, a spreadsheet's mark for text",
            "export the plain value, without ' in front",
        ));
    }
    if matches!(
        text,
        "#N/A" | "#NV" | "#NAME?" | "#REF!" | "#VALUE!" | "#WERT!" | "#DIV/0!" | "#NUM!"
    ) {
        return Some((
            "it is a spreadsheet's error",
            "repair the formula and export again",
        ));
    }
    if is_scientific(text) {
        return Some((
            "a spreadsheet has turned the id into a number like 1E+05 and lost digits",
            "format the column as text before the file is opened, and export again",
        ));
    }
    None
}

/// `1,00E+05`, `1.23457E+12`: digits, perhaps a fraction, `E`, a sign, digits.
fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['E', 'e']) else {
        return false;
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    let signed = exponent.strip_prefix(['+', '-']);
    digits(whole) && digits(fraction) && signed.is_some_and(digits)
}

/// Characters that show nothing or turn the text around: no name needs them,
/// and in a letter they can make one text look like another.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{2028}' | '\u{2029}')
}

/// Free text on one line: runs of blanks and line ends become one blank,
/// invisible characters go, and it is cut to `chars_max`. The second part is
/// true when it was cut.
pub(super) fn plain(text: &str, chars_max: usize) -> (Option<String>, bool) {
    let spaced: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !is_invisible(*c))
        .collect();
    let joined = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = joined.chars().take(chars_max).collect();
    let was_cut = cut.len() < joined.len();
    let cut = cut.trim_end().to_owned();
    ((!cut.is_empty()).then_some(cut), was_cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spreadsheets_do_to_ids_is_explained() {
        for (text, part) in [
            ("'00123", "apostrophe"),
            ("=\"00123\"", "formula"),
            ("1,00E+05", "lost digits"),
            ("1.23457E+12", "lost digits"),
            ("#NAME?", "error"),
            ("a\u{202e}b", "control characters"),
            ("a\nb", "control characters"),
        ] {
            let fault = id(&Record::of(Field::LineId, text), Field::LineId).unwrap_err();
            assert!(fault.reason.contains(part), "{text}: {}", fault.reason);
        }
        for text in [
            "#1001",
            "12E3",
            "E+05",
            "000000001",
            "XKBKNABJK",
            "5f1c9a2e-77",
        ] {
            assert_eq!(
                id(&Record::of(Field::LineId, text), Field::LineId)
                    .unwrap()
                    .as_deref(),
                Some(text)
            );
        }
        assert!(id(&Record::of(Field::LineId, &"x".repeat(201)), Field::LineId).is_err());
    }

    #[test]
    fn names_become_one_plain_line() {
        assert_eq!(
            plain(" Anna\r\n  Kowalski\t", 200),
            (Some("Anna Kowalski".into()), false)
        );
        assert_eq!(
            plain("a\u{202e}b\u{7}c\u{2066}", 200),
            (Some("abc".into()), false)
        );
        assert_eq!(plain("\u{1b}[31m", 200), (Some("[31m".into()), false));
        assert_eq!(plain("  \u{feff} ", 200), (None, false));
        assert_eq!(plain("äöü", 2), (Some("äö".into()), true));
    }
}
