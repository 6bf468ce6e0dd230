//! Complaints: a mailbox provider's report that a recipient pressed "this is
//! spam" (RFC 5965).
//!
//! Providers often remove the recipient's address; the token in the original
//! envelope sender or in the returned headers is what finds the message.

use super::fields::Fields;
use super::mime::Mail;
use crate::domain::outcome::{Evidence, Phase};
use crate::domain::receipt::ReceiptKind;

/// What a feedback report says.
pub enum Feedback {
    Complaint(ReceiptKind, Evidence),
    /// About something else: the recipient took it back, or it is a report on
    /// authentication.
    NoComplaint,
}

/// The fields of the feedback report in `mail`, if there is one.
pub fn fields(mail: &Mail<'_>) -> Option<Fields> {
    let part = mail
        .own_parts()
        .find(|part| part.kind == "message/feedback-report")?;
    let fields = Fields::blocks(&part.body, 1).into_iter().next()?;
    fields.has("feedback-type").then_some(fields)
}

/// What it says; the kinds of RFC 5965, 7.3 and the older `opt-out`.
pub fn read(report: &Fields) -> Feedback {
    let kind = report.get("feedback-type").unwrap_or_default();
    let kind = kind.to_ascii_lowercase();
    match kind.trim() {
        "abuse" | "fraud" | "virus" | "other" | "opt-out" | "opt-out-list" => {
            let agent = report.get("user-agent").unwrap_or("unknown");
            let text = format!("feedback report of kind {} from {agent}", kind.trim());
            Feedback::Complaint(ReceiptKind::Complaint, Evidence::new(Phase::Done, &text))
        }
        _ => Feedback::NoComplaint,
    }
}
