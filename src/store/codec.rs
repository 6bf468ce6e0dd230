//! Domain values as columns and back.
//!
//! One place, shared by every back end, so that they cannot drift: what cannot
//! be read back is reported with table, row and column.

use super::types::StoreError;
use crate::domain::eta::Eta;
use crate::domain::ids::MessageUid;
use crate::domain::time::Instant;
use chrono::NaiveDate;
use uuid::Uuid;

/// The two columns of an ETA; unknown is two NULLs.
pub fn eta_columns(eta: Eta) -> (Option<String>, Option<String>) {
    let text = |day: Option<NaiveDate>| day.map(|d| d.to_string());
    (text(eta.first()), text(eta.last()))
}

pub fn eta_from_columns(
    from: Option<String>,
    to: Option<String>,
    table: &'static str,
    row: impl ToString,
) -> Result<Eta, StoreError> {
    let corrupt = |column| StoreError::Corrupt {
        table,
        row: row.to_string(),
        column,
    };
    let day = |text: Option<String>, column| match text {
        None => Ok(None),
        Some(text) => text
            .parse::<NaiveDate>()
            .map(Some)
            .map_err(|_| corrupt(column)),
    };
    Eta::from_ends(day(from, "eta_from")?, day(to, "eta_to")?).map_err(|_| corrupt("eta_to"))
}

pub fn day_from_column(
    text: &str,
    table: &'static str,
    row: impl ToString,
    column: &'static str,
) -> Result<NaiveDate, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt {
        table,
        row: row.to_string(),
        column,
    })
}

pub fn instant(ms: Option<i64>) -> Option<Instant> {
    ms.map(Instant)
}

pub fn uid_from_column(
    bytes: &[u8],
    table: &'static str,
    row: impl ToString,
) -> Result<MessageUid, StoreError> {
    Uuid::from_slice(bytes)
        .map(MessageUid)
        .map_err(|_| StoreError::Corrupt {
            table,
            row: row.to_string(),
            column: "uid",
        })
}

/// JSON for a bulk parameter. NUL is left out of its texts: PostgreSQL has no
/// text with one, and what a relay said must never keep an outcome from being
/// recorded.
pub fn json<T: serde::Serialize>(values: &T) -> String {
    // Our own structs of numbers and strings always serialise.
    let document = serde_json::to_string(values).unwrap_or_else(|_| "[]".to_owned());
    without_nul(document)
}

fn without_nul(document: String) -> String {
    const NUL: &str = "\\u0000";
    if !document.contains(NUL) {
        return document;
    }
    let mut out = String::with_capacity(document.len());
    let mut rest = document.as_str();
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at(at);
        out.push_str(plain);
        if let Some(behind) = escape.strip_prefix(NUL) {
            rest = behind;
        } else {
            // With what it escapes: `\\u0000` is a backslash and some digits.
            out.push_str(&escape[..2]);
            rest = &escape[2..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_nul_reaches_the_engine_and_nothing_else_is_lost() {
        for (text, stored) in [
            ("550 no\0body", "550 nobody"),
            ("\0\0", ""),
            (r"a \u0000 in words", r"a \u0000 in words"),
            ("a \\\0 \"quoted\" \n line", "a \\ \"quoted\" \n line"),
            ("grüße \u{1F600}\0", "grüße \u{1F600}"),
        ] {
            let read: String = serde_json::from_str(&json(&text)).unwrap();
            assert_eq!(read, stored);
        }
    }
}
