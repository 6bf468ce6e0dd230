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

/// JSON for a bulk parameter.
pub fn json<T: serde::Serialize>(values: &T) -> String {
    // Our own structs of numbers and strings always serialise.
    serde_json::to_string(values).unwrap_or_else(|_| "[]".to_owned())
}
