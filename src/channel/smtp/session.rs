//! One lane to the relay: a connection owned by one task, one message at a
//! time, every step under its own limit.
//!
//! ```text
//! (no line) ──open──► idle ──RSET?──► MAIL RCPT DATA ──354──► body ──dot──► answer
//!     ▲                │ ▲   one write where the relay offers PIPELINING      │
//!     │  old, idle,    │ └────────────── clean end ────────────────────────── ┤
//!     └── worn, broken ┴──────── anything that is not perfectly clear ────────┘
//! ```
//!
//! - The line is taken out of the session while it works and put back only
//!   after a clean end. A cancelled send, a step that timed out, a reply that
//!   made no sense: each drops the line with everything that may still
//!   arrive on it, so that no answer is ever read as another one's.
//! - All replies of a pipelined group are read before any is judged.
//! - A line found closed when it is used again costs nothing: it is opened
//!   anew, once, as long as `MAIL` has not been answered.
//! - If a recipient is refused and the relay asks for the message all the
//!   same, the line is dropped. The alternative, an empty message, would be a
//!   final dot that nobody recorded an intent for.

use super::line::{Broken, Line, step, understand};
use crate::channel::settings::{SmtpSettings, StepLimits};
use crate::channel::{Answer, Envelope, Mail, Payload, Session};
use crate::domain::contact::EmailAddress;
use crate::domain::ids::MessageUid;
use crate::domain::outcome::{Deferral, Evidence, Outcome, Phase, Refusal};
use crate::domain::reply_class::classify;
use crate::domain::smtp_reply::Reply;
use lettre::Address;
use lettre::transport::smtp::commands;
use lettre::transport::smtp::extension::{MailParameter, RcptParameter};
use rustls::ClientConfig;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use tokio::time::{Instant, timeout};

pub(super) struct SmtpSession {
    settings: Arc<SmtpSettings>,
    tls: Arc<ClientConfig>,
    line: Option<Line>,
}

/// What may be done with the line after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Reuse,
    Reset,
    Drop,
    /// It was closed before anything of this message was answered.
    WasClosed,
}

impl SmtpSession {
    pub(super) fn new(settings: Arc<SmtpSettings>, tls: Arc<ClientConfig>) -> SmtpSession {
        SmtpSession {
            settings,
            tls,
            line: None,
        }
    }

    async fn hand_over(&mut self, uid: MessageUid, mail: &Mail) -> Outcome {
        let mut kept = self.line.take();
        if kept
            .as_ref()
            .is_some_and(|line| line.is_worn(&self.settings.limits))
        {
            leave(kept.take(), &self.settings.limits).await;
        }
        loop {
            let is_fresh = kept.is_none();
            let mut line = match kept.take() {
                Some(line) => line,
                None => match Line::open(&self.settings, &self.tls).await {
                    Ok(line) => line,
                    Err(outcome) => return *outcome,
                },
            };
            let (outcome, after) = line.transact(uid, mail, &self.settings.limits).await;
            match after {
                After::WasClosed if !is_fresh => {}
                After::WasClosed | After::Drop => return outcome,
                After::Reuse | After::Reset => {
                    line.needs_reset |= after == After::Reset;
                    line.used_at = Instant::now();
                    self.line = Some(line);
                    return outcome;
                }
            }
        }
    }
}

impl Session for SmtpSession {
    fn send<'a>(&'a mut self, envelope: &'a Envelope) -> Answer<'a, Outcome> {
        Box::pin(async move {
            match &envelope.payload {
                Payload::Mail(mail) => self.hand_over(envelope.uid, mail).await,
                Payload::Text(_) => refused("a text message cannot go to a mail relay"),
            }
        })
    }

    fn close(&mut self) -> Answer<'_, ()> {
        Box::pin(async move { leave(self.line.take(), &self.settings.limits).await })
    }
}

/// Says goodbye for as long as that may take, then hangs up.
pub(super) async fn leave(line: Option<Line>, limits: &StepLimits) {
    if let Some(mut line) = line {
        // Whatever the answer: the line is not used again.
        let _ = timeout(limits.quit, line.conn.command(commands::Quit)).await;
    }
}

impl Line {
    fn is_worn(&self, limits: &StepLimits) -> bool {
        self.n_mails >= limits.n_mails
            || self.used_at.elapsed() >= limits.idle
            || self.opened_at.elapsed() >= limits.age
    }

    async fn transact(
        &mut self,
        uid: MessageUid,
        mail: &Mail,
        limits: &StepLimits,
    ) -> (Outcome, After) {
        let opening = match Opening::of(uid, mail, self) {
            Ok(opening) => opening,
            Err(outcome) => return (*outcome, After::Reuse),
        };
        self.tap.begin_message();
        if self.needs_reset {
            match step(limits.command, &self.tap, self.conn.command(commands::Rset)).await {
                Ok((reply, true)) if reply.class() == 2 => self.needs_reset = false,
                Ok((reply, _)) => return (classify(Phase::Mail, &reply), After::WasClosed),
                Err(broken) => return (broken.before_the_dot(Phase::Mail), After::WasClosed),
            }
        }
        let opened = if self.offers.pipelining {
            self.open_at_once(&opening, limits).await
        } else {
            self.open_step_by_step(&opening, limits).await
        };
        match opened {
            Err(end) => *end,
            Ok(()) => self.deliver(&mail.bytes, limits).await,
        }
    }

    /// `MAIL`, `RCPT`, `DATA` in one write: one round trip instead of three.
    async fn open_at_once(&mut self, opening: &Opening, limits: &StepLimits) -> Result<(), End> {
        let mut replies = Vec::with_capacity(3);
        let mut broken = None;
        for phase in [Phase::Mail, Phase::Rcpt, Phase::Data] {
            let answer = match phase {
                Phase::Mail => step(limits.command, &self.tap, self.conn.command(opening)).await,
                Phase::Rcpt => step(limits.command, &self.tap, self.conn.read_response()).await,
                _ => step(limits.data, &self.tap, self.conn.read_response()).await,
            };
            match answer {
                Ok((reply, is_clean)) => replies.push((phase, reply, is_clean)),
                Err(why) => {
                    broken = Some((phase, why));
                    break;
                }
            }
        }
        let asks_for_data = replies
            .get(2)
            .is_some_and(|(_, reply, _)| reply.code == 354);
        let is_clean = broken.is_none() && replies.iter().all(|(.., is_clean)| *is_clean);
        for (phase, reply, _) in &replies {
            if !is_expected(*phase, reply) {
                let outcome = classify(*phase, reply);
                let after = match after_refusal(*phase, reply, &outcome) {
                    After::Reset if asks_for_data || !is_clean => After::Drop,
                    after => after,
                };
                return Err(Box::new((outcome, after)));
            }
        }
        match broken {
            Some((phase, why)) => Err(lost(phase, &why)),
            None if !is_clean => Err(lost(Phase::Data, &Broken::Garbled)),
            None => Ok(()),
        }
    }

    async fn open_step_by_step(
        &mut self,
        opening: &Opening,
        limits: &StepLimits,
    ) -> Result<(), End> {
        for phase in [Phase::Mail, Phase::Rcpt, Phase::Data] {
            let answer = match phase {
                Phase::Mail => {
                    step(limits.command, &self.tap, self.conn.command(&opening.mail)).await
                }
                Phase::Rcpt => {
                    step(limits.command, &self.tap, self.conn.command(&opening.rcpt)).await
                }
                _ => step(limits.data, &self.tap, self.conn.command(commands::Data)).await,
            };
            match answer {
                Err(broken) => return Err(lost(phase, &broken)),
                Ok((reply, is_clean)) if !is_expected(phase, &reply) => {
                    let outcome = classify(phase, &reply);
                    let after = match after_refusal(phase, &reply, &outcome) {
                        After::Reset if !is_clean => After::Drop,
                        after => after,
                    };
                    return Err(Box::new((outcome, after)));
                }
                Ok((_, false)) => return Err(lost(phase, &Broken::Garbled)),
                Ok((_, true)) => {}
            }
        }
        Ok(())
    }

    /// The message and its dot. From the first byte of the dot on, only a
    /// whole and clear answer ends the doubt.
    async fn deliver(&mut self, bytes: &[u8], limits: &StepLimits) -> (Outcome, After) {
        let tap = Arc::clone(&self.tap);
        // The dot brings a line end of its own: with both, an empty line that
        // nobody wrote would arrive, and not what was hashed.
        let bytes = bytes.strip_suffix(b"\r\n").unwrap_or(bytes);
        let answer = {
            let mut sending = pin!(self.conn.message(bytes));
            match timeout(limits.body, &mut sending).await {
                Err(_) if tap.dot_started() => timeout(limits.dot, &mut sending).await,
                in_time => in_time,
            }
        };
        let answer = match answer {
            Err(_) => Err(Broken::Silent),
            Ok(Ok(_)) => tap.take_reply().map(|r| (r, true)).ok_or(Broken::Garbled),
            Ok(Err(error)) => understand(&error, &tap),
        };
        match answer {
            Err(broken) if tap.dot_started() => {
                let evidence = Evidence::new(Phase::Dot, broken.words());
                (Outcome::InDoubt { evidence }, After::Drop)
            }
            Err(Broken::OutOfTurn) => (self.interrupted(limits).await, After::Drop),
            Err(broken) => (broken.before_the_dot(Phase::Data), After::Drop),
            Ok((reply, is_clean)) => {
                self.n_mails += 1;
                let outcome = classify(Phase::Dot, &reply);
                let after = match &outcome {
                    _ if !is_clean => After::Drop,
                    Outcome::Accepted { .. } => After::Reuse,
                    Outcome::InDoubt { .. } => After::Drop,
                    _ => match after_refusal(Phase::Dot, &reply, &outcome) {
                        After::WasClosed => After::Drop,
                        after => after,
                    },
                };
                (outcome, after)
            }
        }
    }

    /// The relay broke in while the message was being written, and the dot
    /// did not leave: a refusal is one, anything else is nothing.
    async fn interrupted(&mut self, limits: &StepLimits) -> Outcome {
        match step(limits.quit, &self.tap, self.conn.read_response()).await {
            Ok((reply, _)) if reply.class() >= 4 => classify(Phase::Data, &reply),
            _ => Broken::OutOfTurn.before_the_dot(Phase::Data),
        }
    }
}

/// How a message ended that never came to its dot.
type End = Box<(Outcome, After)>;

fn lost(phase: Phase, broken: &Broken) -> End {
    let after = match (phase, broken) {
        // Slow is not closed: asking again at once would not help.
        (Phase::Mail, Broken::Lost | Broken::OutOfTurn) => After::WasClosed,
        _ => After::Drop,
    };
    Box::new((broken.before_the_dot(phase), after))
}

fn is_expected(phase: Phase, reply: &Reply) -> bool {
    match phase {
        Phase::Data => reply.code == 354,
        _ => reply.class() == 2,
    }
}

/// After a refusal of this message the line is as good as before; after
/// anything that is about the relay or about us, it is not.
fn after_refusal(phase: Phase, reply: &Reply, outcome: &Outcome) -> After {
    match outcome {
        _ if reply.code == 421 && phase == Phase::Mail => After::WasClosed,
        Outcome::Refused { .. }
        | Outcome::Deferred {
            why: Deferral::Recipient,
            ..
        } => After::Reset,
        _ => After::Drop,
    }
}

fn refused(what: &str) -> Outcome {
    Outcome::Refused {
        class: Refusal::Content,
        evidence: Evidence::new(Phase::Mail, what),
    }
}

/// The commands that open a transaction. Written out they are the pipelined
/// group.
struct Opening {
    mail: commands::Mail,
    rcpt: commands::Rcpt,
}

impl Opening {
    /// Fails where the relay has already said that it cannot carry this, and
    /// for a mail that could end its own transmission early.
    fn of(uid: MessageUid, mail: &Mail, line: &Line) -> Result<Opening, Box<Outcome>> {
        if has_bare_line_end(&mail.bytes) {
            return Err(Box::new(refused("a line end that is not CRLF")));
        }
        let offers = &line.offers;
        let n_bytes = mail.bytes.len();
        let mut of_mail = Vec::with_capacity(4);
        let mut of_rcpt = Vec::with_capacity(1);
        if let Some(max) = offers.size {
            if max > 0 && n_bytes as u64 > max {
                let what = format!("{n_bytes} bytes, and the relay takes at most {max}");
                return Err(Box::new(refused(&what)));
            }
            of_mail.push(MailParameter::Size(n_bytes));
        }
        let is_international = mail.to.needs_smtputf8() || mail.sender.needs_smtputf8();
        if is_international || !mail.bytes.is_ascii() {
            if !offers.smtputf8 {
                return Err(Box::new(refused(
                    "needs SMTPUTF8, which the relay does not offer",
                )));
            }
            of_mail.push(MailParameter::SmtpUtfEight);
        }
        if offers.dsn {
            of_mail.push(other("RET", "HDRS"));
            of_mail.push(other("ENVID", &uid.to_string()));
            of_rcpt.push(RcptParameter::Other {
                keyword: "NOTIFY".to_owned(),
                value: Some("FAILURE,DELAY".to_owned()),
            });
        }
        Ok(Opening {
            mail: commands::Mail::new(Some(address(&mail.sender)?), of_mail),
            rcpt: commands::Rcpt::new(address(&mail.to)?, of_rcpt),
        })
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.mail, self.rcpt, commands::Data)
    }
}

/// A lone CR or LF: illegal in mail (RFC 5321, 2.3.8), and the door through
/// which one mail smuggles another past relays that disagree about it. The
/// library stuffs dots only after a real CRLF, so it must not get such bytes.
fn has_bare_line_end(bytes: &[u8]) -> bool {
    let mut before = 0;
    for &byte in bytes {
        if (byte == b'\n') != (before == b'\r') {
            return true;
        }
        before = byte;
    }
    before == b'\r'
}

fn other(keyword: &str, value: &str) -> MailParameter {
    MailParameter::Other {
        keyword: keyword.to_owned(),
        value: Some(value.to_owned()),
    }
}

pub(super) fn address(address: &EmailAddress) -> Result<Address, Box<Outcome>> {
    address
        .expose()
        .parse()
        .map_err(|_| Box::new(refused("an address that cannot stand in an envelope")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crlf_ends_a_line() {
        for good in ["", "a", "a\r\nb", "\r\n\r\n.\r\n"] {
            assert!(!has_bare_line_end(good.as_bytes()), "{good:?}");
        }
        for bad in [
            "\n", "\r", "a\n.\nb", "a\r.\r\n", "a\r\r\nb", "a\r\n\nb", "a\n\r\nb", "a\r",
        ] {
            assert!(has_bare_line_end(bad.as_bytes()), "{bad:?}");
        }
    }
}
