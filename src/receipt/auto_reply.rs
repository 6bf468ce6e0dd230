//! Automatic replies: a holiday note is no news about a message.
//!
//! They go to the envelope sender like a bounce does and must never be taken
//! for one. Asked only after a mail turned out to hold no report: reports call
//! themselves automatic too.

use super::mime::Mail;

/// How subjects of automatic replies begin.
const SUBJECTS: [&str; 14] = [
    "auto:",
    "automatic reply",
    "auto reply",
    "autoreply",
    "auto-reply",
    "out of office",
    "out of the office",
    "abwesend",
    "abwesenheit",
    "automatische antwort",
    "réponse automatique",
    "respuesta automática",
    "risposta automatica",
    "automatisch antwoord",
];
/// Headers only an automatic reply has.
const MARKS: [&str; 5] = [
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-auto-reply",
    "x-autoreply-from",
];

/// Whether `mail` is a reply no person wrote (RFC 3834, 5), a receipt for
/// reading (RFC 8098), or says that it is one in its subject.
pub fn is_automatic(mail: &Mail<'_>) -> bool {
    let headers = &mail.headers;
    let submitted = headers.get("auto-submitted").unwrap_or_default();
    let precedence = headers.get("precedence").unwrap_or_default();
    let subject = headers.get("subject").unwrap_or_default().to_lowercase();
    let is = |value: &str, word: &str| {
        value
            .get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    is(submitted, "auto-replied")
        || is(precedence, "auto_reply")
        || is(precedence, "auto-reply")
        || MARKS.iter().any(|name| headers.has(name))
        || SUBJECTS
            .iter()
            .any(|start| subject.trim_start().starts_with(start))
        || mail.report_type.as_deref() == Some("disposition-notification")
}
