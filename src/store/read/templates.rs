//! What templates were made of when they were used.

use super::{ReadStore, ask};
use crate::domain::time::Instant;
use crate::store::conn::statements;
use crate::store::statement::{column, maybe_row};
use crate::store::types::StoreError;

const VERSIONS: &str = "SELECT version FROM template_versions";
const SOURCE: &str = "SELECT source, first_used_at FROM template_versions WHERE version = $1";

statements![VERSIONS, SOURCE];

impl ReadStore {
    /// Versions whose source is kept.
    pub async fn template_versions(&self) -> Result<Vec<String>, StoreError> {
        Ok(ask!(self, "list template versions", column, VERSIONS))
    }

    /// The source of a version, a JSON document, and since when it is kept.
    pub async fn template_source(
        &self,
        version: &str,
    ) -> Result<Option<(String, Instant)>, StoreError> {
        let found: Option<(String, i64)> =
            ask!(self, "read a template version", maybe_row, SOURCE, version);
        Ok(found.map(|(source, at)| (source, Instant(at))))
    }
}
