//! Everything we can show for a message: why it was planned, what it stated,
//! every try and its answer, what became of it, and who had a hand in it.
//!
//! The recipient's address is not part of it unless it is asked for: evidence
//! is made to be handed on.

use crate::app::{AppError, Viewer};
use crate::domain::ids::MessageNo;
use crate::domain::statement::MessageFacts;
use crate::domain::time::Instant;
use crate::store::read::aftermath::Aftermath;
use crate::store::read::audit::{AuditFilter, AuditRow};
use crate::store::read::lists::MessageFilter;
use crate::store::read::proof::Proof;
use crate::store::types::{AttemptRow, MessageRow, RunRow};

/// Most acts shown.
const ACTS_MAX: u32 = 200;

/// What there is to show.
#[derive(Clone, Debug)]
pub struct Evidence {
    pub row: MessageRow,
    pub facts: MessageFacts,
    /// The address itself; who shows it was asked to.
    pub recipient: String,
    pub proof: Proof,
    pub run: Option<RunRow>,
    pub attempts: Vec<AttemptRow>,
    pub aftermath: Aftermath,
    /// Oldest first.
    pub acts: Vec<AuditRow>,
    /// What the template was made of, and since when it is kept.
    pub template: Option<(serde_json::Value, Instant)>,
    /// The same template is in force today: the words come out as they were.
    pub template_is_in_force: bool,
}

impl Viewer {
    /// Collects the evidence for a message; `None` when there is none.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn evidence(&self, no: MessageNo) -> Result<Option<Evidence>, AppError> {
        let read = &self.read;
        let filter = MessageFilter {
            no: Some(no),
            ..MessageFilter::default()
        };
        let row = read.messages(&filter, 1).await?.into_iter().next();
        let (Some(row), Some((recipient, facts)), Some(proof)) =
            (row, read.message_facts(no).await?, read.proof(no).await?)
        else {
            return Ok(None);
        };
        let run = match row.run {
            Some(run) => read.runs(Some(run), 1).await?.into_iter().next(),
            None => None,
        };
        let mut targets = vec![no.to_string()];
        targets.extend(row.run.map(|run| run.to_string()));
        targets.push(format!("{}:{}", row.channel, proof.address_hash));
        targets.extend(proof.order_keys.iter().map(|key| format!("order:{key}")));
        let filter = AuditFilter {
            targets: Some(targets),
            ..AuditFilter::default()
        };
        let mut acts = read.audit(&filter, ACTS_MAX).await?;
        acts.reverse();
        let template = match &proof.template_version {
            Some(version) => read.template_source(version).await?,
            None => None,
        };
        let template =
            template.and_then(|(source, at)| Some((serde_json::from_str(&source).ok()?, at)));
        let version = proof.template_version.as_deref();
        let template_is_in_force = self
            .templates
            .set()
            .made_of()
            .any(|(v, _)| Some(v) == version);
        Ok(Some(Evidence {
            attempts: read.attempts(no).await?,
            aftermath: read.aftermath(no, row.state).await?,
            row,
            facts,
            recipient,
            proof,
            run,
            acts,
            template,
            template_is_in_force,
        }))
    }
}
