//! Single values that are no dates: words, quantities, money, names, links,
//! ids.

use super::Fault;
use super::columns::Field;
use super::record::Record;
use crate::domain::quantity::Quantity;
use crate::domain::row::RowStatus;

/// Longest id a shop gives (characters); longer ones are refused, since a cut
/// id would be another id.
const ID_CHARS_MAX: usize = 200;
/// A quantity beyond this many pieces is a typing error.
const PIECES_MAX: i64 = 100_000_000;
/// Longest link.
const URL_BYTES_MAX: usize = 2_000;

const STATUS_WORDS: &[(RowStatus, &[&str])] = &[
    (
        RowStatus::Waiting,
        &[
            "waiting",
            "open",
            "backordered",
            "backorder",
            "on backorder",
            "pending",
            "processing",
            "unfulfilled",
            "partial",
            "partially shipped",
            "partially fulfilled",
        ],
    ),
    (
        RowStatus::Shipped,
        &[
            "shipped",
            "fulfilled",
            "complete",
            "completed",
            "sent",
            "delivered",
        ],
    ),
    (
        RowStatus::Cancelled,
        &["cancelled", "canceled", "refunded", "void", "voided"],
    ),
];

/// # Errors
/// Missing, or a word nobody knows.
pub(super) fn status(record: &Record<'_>) -> Result<RowStatus, Fault> {
    let cure = || {
        let words = STATUS_WORDS.iter().map(|(_, words)| words.join(", "));
        format!(
            "write waiting, shipped or cancelled; also known are: {}",
            words.collect::<Vec<_>>().join("; ")
        )
    };
    let Some(text) = record.text(Field::Status) else {
        return Err(Fault::of(Field::Status, "the status is missing", cure()));
    };
    let word = text.to_lowercase().replace(['_', '-'], " ");
    let found = STATUS_WORDS
        .iter()
        .find(|(_, words)| words.contains(&word.as_str()));
    found.map(|(status, _)| *status).ok_or_else(|| {
        let shown =
            if text.len() <= 24 && text.chars().all(|c| c.is_alphabetic() || "_- ".contains(c)) {
                format!("\"{text}\"")
            } else {
                "the value".to_owned()
            };
        Fault::of(Field::Status, format!("{shown} is not a status"), cure())
    })
}

/// Yes or no in the words of several exports; `None` for any other word.
pub(super) fn yes_or_no(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "1" | "true" | "yes" | "y" | "ja" | "j" | "t" | "on" | "wahr" | "x" => Some(true),
        "0" | "false" | "no" | "n" | "nein" | "f" | "off" | "falsch" => Some(false),
        _ => None,
    }
}

/// A flag whose misreading would write to somebody, so that odd words reject
/// the row. Absent is no.
pub(super) fn flag(record: &Record<'_>, field: Field) -> Result<bool, Fault> {
    match record.text(field) {
        None => Ok(false),
        Some(text) => yes_or_no(text).ok_or_else(|| {
            Fault::of(
                field,
                "it is neither yes nor no",
                "write yes, no, true, false, 1 or 0",
            )
        }),
    }
}

/// # Errors
/// Not a quantity, or beyond what anybody orders.
pub(super) fn quantity(record: &Record<'_>, field: Field) -> Result<Option<Quantity>, Fault> {
    let Some(text) = record.text(field) else {
        return Ok(None);
    };
    // Long digits are cut off before they can overflow; zeros behind the
    // point are common ("3.0000").
    let trimmed = match text.rsplit_once(['.', ',']) {
        Some((whole, fraction)) if !fraction.is_empty() && fraction.bytes().all(|b| b == b'0') => {
            whole
        }
        _ => text,
    };
    let cure = "write a number like 3 or 2.5, without thousands separators";
    if trimmed.len() > 16 {
        return Err(Fault::of(field, "the quantity is not believable", cure));
    }
    let quantity =
        Quantity::parse(trimmed).map_err(|problem| Fault::of(field, problem.to_string(), cure))?;
    if quantity > Quantity::pieces(PIECES_MAX) {
        return Err(Fault::of(field, "the quantity is not believable", cure));
    }
    Ok(Some(quantity))
}

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
fn is_invisible(c: char) -> bool {
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

/// A link a customer may be sent to, or why it is none.
pub(super) fn url(text: &str) -> Result<String, &'static str> {
    let lower = text.to_ascii_lowercase();
    let rest = lower
        .strip_prefix("https://")
        .or_else(|| lower.strip_prefix("http://"))
        .ok_or("it does not begin with https:// or http://")?;
    if text.len() > URL_BYTES_MAX {
        return Err("it is too long");
    }
    if text
        .chars()
        .any(|c| c.is_whitespace() || is_invisible(c) || "<>\"\\^`{|}".contains(c))
    {
        return Err("it has blanks or characters a link cannot have");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("it has a user name in it");
    }
    let host = authority.split(':').next().unwrap_or_default();
    if host.is_empty() || host.starts_with('.') || host.starts_with('-') {
        return Err("it names no host");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn record(field: Field, text: &str) -> Record<'_> {
        let mut record = Record::at(1);
        record.put(field, Cow::Borrowed(text));
        record
    }

    #[test]
    fn status_words_of_many_shops_are_known() {
        for (word, status_is) in [
            ("waiting", RowStatus::Waiting),
            ("On-Backorder", RowStatus::Waiting),
            ("PARTIALLY_SHIPPED", RowStatus::Waiting),
            ("Completed", RowStatus::Shipped),
            ("canceled", RowStatus::Cancelled),
            ("void", RowStatus::Cancelled),
        ] {
            assert_eq!(
                status(&record(Field::Status, word)).unwrap(),
                status_is,
                "{word}"
            );
        }
        let fault = status(&record(Field::Status, "lost")).unwrap_err();
        assert_eq!(fault.reason, "\"lost\" is not a status");
        assert!(fault.cure.contains("refunded"), "{}", fault.cure);
        let fault = status(&record(Field::Status, "anna@mail.example")).unwrap_err();
        assert_eq!(fault.reason, "the value is not a status");
        assert!(status(&record(Field::Status, " ")).is_err());
    }

    #[test]
    fn yes_and_no_in_two_languages() {
        for word in ["1", "true", "YES", "ja", "y"] {
            assert_eq!(yes_or_no(word), Some(true), "{word}");
        }
        for word in ["0", "False", "no", "nein", "n"] {
            assert_eq!(yes_or_no(word), Some(false), "{word}");
        }
        assert_eq!(yes_or_no("maybe"), None);
        assert!(
            flag(
                &record(Field::CustomerDeleted, "maybe"),
                Field::CustomerDeleted
            )
            .is_err()
        );
    }

    #[test]
    fn quantities_are_believable_numbers() {
        for (text, thousandths) in [
            ("3", 3000),
            ("2,5", 2500),
            ("3.0000", 3000),
            ("3.000000", 3000),
            ("0", 0),
        ] {
            let read = quantity(&record(Field::Quantity, text), Field::Quantity).unwrap();
            assert_eq!(read, Some(Quantity(thousandths)), "{text}");
        }
        for text in [
            "-1",
            "three",
            "9223372036854775.999",
            "99999999999999999999",
            "100000001",
        ] {
            assert!(
                quantity(&record(Field::Quantity, text), Field::Quantity).is_err(),
                "{text}"
            );
        }
    }

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
            let fault = id(&record(Field::LineId, text), Field::LineId).unwrap_err();
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
                id(&record(Field::LineId, text), Field::LineId)
                    .unwrap()
                    .as_deref(),
                Some(text)
            );
        }
        assert!(id(&record(Field::LineId, &"x".repeat(201)), Field::LineId).is_err());
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

    #[test]
    fn links_are_http_with_a_host() {
        for good in [
            "https://shop.example/o/1",
            "HTTP://shop.example:8080?x=1",
            "https://bücher.example/",
        ] {
            assert_eq!(url(good).as_deref(), Ok(good));
        }
        for bad in [
            "javascript:alert(1)",
            "ftp://x.example",
            "shop.example/o",
            "https://",
            "https:///x",
            "https://a b.example",
            "https://user:pw@x.example/",
            "https://x.example/<script>",
            "https://x.example/\n",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }
}
