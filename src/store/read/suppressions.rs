//! The do-not-write list, for people and for moving house.

use super::{ReadStore, ask};
use crate::domain::contact::{EmailAddress, PhoneNumber};
use crate::domain::kinds::ChannelName;
use crate::domain::time::Instant;
use crate::store::conn::statements;
use crate::store::statement::rows;
use crate::store::types::StoreError;
use serde::Serialize;

/// `$1` is a whole hash or how one begins.
const LIST: &str = "
SELECT s.address_hash, s.channel, s.reason, s.source, s.since,
  (SELECT max(k.email) FROM contacts k WHERE k.email_hash = s.address_hash) AS email,
  (SELECT max(k.phone) FROM contacts k WHERE k.phone_hash = s.address_hash) AS phone
FROM suppressions s
WHERE (CAST($1 AS TEXT) IS NULL OR substr(s.address_hash, 1, length($1)) = $1)
  AND (CAST($2 AS TEXT) IS NULL OR s.channel = $2)
ORDER BY s.since DESC, s.address_hash, s.channel LIMIT $3";

statements![LIST];

/// An address that is not written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SuppressionRow {
    pub address_hash: String,
    pub channel: ChannelName,
    pub reason: String,
    /// `mail`, a gateway's name, `reply`, `operator`, `import`, ...
    pub source: String,
    pub since: Instant,
    /// Masked; where a customer still has it.
    pub address: Option<String>,
}

impl SuppressionRow {
    /// The masked address, or how its hash begins.
    pub fn shown(&self) -> String {
        let short = || self.address_hash.chars().take(12).collect();
        self.address.clone().unwrap_or_else(short)
    }
}

impl ReadStore {
    /// Entries of the do-not-write list, newest first: all, those whose hash is
    /// or begins with this, those of a channel.
    pub async fn suppressions(
        &self,
        hash: Option<&str>,
        channel: Option<ChannelName>,
        limit: u32,
    ) -> Result<Vec<SuppressionRow>, StoreError> {
        #[derive(sqlx::FromRow)]
        struct Row {
            address_hash: String,
            channel: String,
            reason: String,
            source: String,
            since: i64,
            email: Option<String>,
            phone: Option<String>,
        }
        let found: Vec<Row> = ask!(
            self,
            "list the do-not-write list",
            rows,
            LIST,
            hash,
            channel.map(ChannelName::as_str),
            i64::from(limit),
        );
        found
            .into_iter()
            .map(|row| {
                let channel =
                    ChannelName::parse(&row.channel).ok_or_else(|| StoreError::Corrupt {
                        table: "suppressions",
                        row: row.address_hash.clone(),
                        column: "channel",
                    })?;
                let email = row.email.as_deref().map(EmailAddress::parse);
                let phone = row.phone.as_deref().map(|n| PhoneNumber::parse(n, None));
                let masked = match channel {
                    ChannelName::Email => email.and_then(Result::ok).map(|a| a.masked()),
                    ChannelName::Sms => phone.and_then(Result::ok).map(|n| n.masked()),
                };
                Ok(SuppressionRow {
                    address_hash: row.address_hash,
                    channel,
                    reason: row.reason,
                    source: row.source,
                    since: Instant(row.since),
                    address: masked,
                })
            })
            .collect()
    }
}
