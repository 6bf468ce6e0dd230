//! What is known of contacts whose orders are about to be taken in.

use super::{ReadStore, ask};
use crate::domain::contact::Preference;
use crate::domain::mirror::Wishes;
use crate::store::codec::json;
use crate::store::conn::statements;
use crate::store::statement::rows;
use crate::store::types::StoreError;
use std::collections::HashMap;

/// Contacts per statement.
const CHUNK: usize = 5_000;

const WISHES: &str = "
SELECT contact_hash, sms_consent, preferred FROM contacts
WHERE shop_id = $1
  AND contact_hash IN (SELECT CAST(e.atom AS TEXT) FROM jsonb_each($2) AS e)";

statements![WISHES];

impl ReadStore {
    /// Consent and preferred channel of the contacts with these hashes;
    /// contacts nobody has seen are left out.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn wishes(
        &self,
        shop_id: i64,
        contact_hashes: &[&str],
    ) -> Result<HashMap<String, Wishes>, StoreError> {
        let mut out = HashMap::new();
        for hashes in contact_hashes.chunks(CHUNK) {
            let known: Vec<(String, bool, String)> = ask!(
                self,
                "read what customers wish",
                rows,
                WISHES,
                shop_id,
                json(&hashes),
            );
            out.extend(known.into_iter().map(|(hash, sms_consent, preferred)| {
                let preferred = Preference::parse(&preferred).unwrap_or_default();
                let wishes = Wishes {
                    sms_consent,
                    preferred,
                };
                (hash, wishes)
            }));
        }
        Ok(out)
    }
}
