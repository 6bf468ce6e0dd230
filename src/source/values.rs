//! Single values that are neither dates nor ids: words, quantities, links.

use super::Fault;
use super::columns::Field;
use super::ids::is_invisible;
use super::record::Record;
use crate::domain::quantity::Quantity;
use crate::domain::row::RowStatus;

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
            "offen",
            "rückstand",
            "teilgeliefert",
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
            "versandt",
            "versendet",
            "geliefert",
        ],
    ),
    (
        RowStatus::Cancelled,
        &[
            "cancelled",
            "canceled",
            "refunded",
            "void",
            "voided",
            "storniert",
        ],
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
                status(&Record::of(Field::Status, word)).unwrap(),
                status_is,
                "{word}"
            );
        }
        let fault = status(&Record::of(Field::Status, "lost")).unwrap_err();
        assert_eq!(fault.reason, "\"lost\" is not a status");
        assert!(fault.cure.contains("refunded"), "{}", fault.cure);
        let fault = status(&Record::of(Field::Status, "anna@mail.example")).unwrap_err();
        assert_eq!(fault.reason, "the value is not a status");
        assert!(status(&Record::of(Field::Status, " ")).is_err());
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
                &Record::of(Field::CustomerDeleted, "maybe"),
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
            let read = quantity(&Record::of(Field::Quantity, text), Field::Quantity).unwrap();
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
                quantity(&Record::of(Field::Quantity, text), Field::Quantity).is_err(),
                "{text}"
            );
        }
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
