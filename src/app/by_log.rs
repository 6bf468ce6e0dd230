//! Settling doubts by the relay's own log.
//!
//! What the log says is taken in like any other report about a message
//! ([`crate::domain::receipt`]): whatever else is known of it counts as well,
//! and reading the same log again changes nothing.

use crate::app::{App, AppError};
use crate::domain::message::MessageState;
use crate::domain::receipt::Receipt;
use crate::receipt::relay_log::{Verdict, event_key};
use crate::store::read::by_hand::MailName;
use crate::store::write::by_hand::Act;
use crate::store::write::receipts::{About, NewReceipt, Taken};

impl App {
    /// Takes in what the log says of one message; answers its state then.
    /// `None`: the log settles nothing, or said so before.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn settle_by_log(
        &self,
        mail: &MailName,
        verdict: &Verdict,
        act: &Act,
    ) -> Result<Option<MessageState>, AppError> {
        let Some(kind) = verdict.fate.receipt() else {
            return Ok(None);
        };
        let now = self.now();
        let new = NewReceipt {
            about: About::Message(mail.uid),
            receipt: Receipt {
                event_key: event_key(&mail.message_id, verdict),
                kind,
                at: now,
                evidence: verdict.evidence.clone(),
            },
            source: "log",
            raw: None,
        };
        let Taken::Applied(no, state) = self.store.take_receipt(new, now).await? else {
            return Ok(None);
        };
        let why = match &act.why {
            Some(why) => format!("{}; {why}", words(verdict)),
            None => words(verdict),
        };
        let target = no.to_string();
        self.store
            .audit(&act.by, "settle by log", &target, Some(&why), now)
            .await?;
        Ok(Some(state))
    }
}

/// What the log says, in one line.
pub fn words(verdict: &Verdict) -> String {
    let mut words = verdict.fate.words().to_owned();
    let evidence = &verdict.evidence;
    for part in [&evidence.reference, &evidence.enhanced]
        .into_iter()
        .flatten()
    {
        words.push_str(&format!(", {part}"));
    }
    words
}
