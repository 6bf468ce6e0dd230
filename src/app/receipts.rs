//! Mails that came back: read, taken into the store, applied.
//!
//! Two doors lead here: a mail handed over by the mail system (`receive-bounce`)
//! and a Maildir the daemon looks into ([`crate::app::maildir`]). Both need
//! the store and the key of the tokens and nothing else, so neither depends on
//! templates, channels or the delivery lock.
//!
//! Nothing of a mail is ever logged: no address, no word of it.

use crate::app::AppError;
use crate::crash_point::crash_point;
use crate::domain::ids::MessageNo;
use crate::domain::message::MessageState;
use crate::domain::time::Instant;
use crate::domain::verp::VerpKey;
use crate::receipt::{self, Incoming, Reading};
use crate::store::Store;
use crate::store::write::receipts::{About, NewReceipt, Taken, UnclearMail};

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Its message is now in this state.
    Applied(MessageNo, MessageState),
    /// Stored; applied when its message is known and not being sent.
    Waits,
    /// It was here before.
    Known,
    /// An automatic reply.
    Ignored,
    /// Nobody can read it; kept for a person.
    SetAside,
}

impl Received {
    /// For the log and for people.
    pub fn words(self) -> &'static str {
        match self {
            Received::Applied(..) => "applied to its message",
            Received::Waits => "kept until its message can be told about it",
            Received::Known => "was here before",
            Received::Ignored => "an automatic reply, ignored",
            Received::SetAside => "nobody can read it, kept for a person",
        }
    }
}

/// Takes one mail in. Once answered, what it says is on the disk.
///
/// # Errors
/// The store cannot be written; the mail has to come again.
pub async fn receive(
    store: &Store,
    key: &VerpKey,
    raw: &[u8],
    recipient: Option<&str>,
    now: Instant,
) -> Result<Received, AppError> {
    let incoming = Incoming {
        raw,
        recipient,
        at: now,
    };
    match receipt::read(&incoming, key) {
        Reading::Ignored => Ok(Received::Ignored),
        Reading::News { uid, receipt } => {
            let new = NewReceipt {
                about: About::Message(uid),
                receipt,
                source: "mail",
                raw: Some(raw.to_vec()),
            };
            crash_point("report-read");
            let taken = store.take_receipt(new, now).await?;
            crash_point("report-stored");
            Ok(match taken {
                Taken::Applied(no, state) => Received::Applied(no, state),
                Taken::Waits(_) | Taken::Parked => Received::Waits,
                Taken::Known => Received::Known,
            })
        }
        Reading::Unclear {
            uid,
            event_key,
            why,
        } => {
            let mail = UnclearMail {
                uid,
                event_key,
                why: why.words(),
                raw: raw.to_vec(),
            };
            store.set_mail_aside(mail, now).await?;
            Ok(Received::SetAside)
        }
    }
}
