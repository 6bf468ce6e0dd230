//! One lane to the relays: connections owned by one task, one message at a
//! time, every step under its own limit.
//!
//! ```text
//! (no line) ──open──► idle ──(RSET)──► MAIL RCPT DATA ──354──► body ──dot──► answer
//!     ▲                │ ▲    one write where the relay offers PIPELINING      │
//!     │  old, idle,    │ └────────────── clean end ─────────────────────────── ┤
//!     └── worn, broken ┴──────── anything that is not perfectly clear ─────────┘
//! ```
//!
//! - The line is taken out of the session while it works and put back only
//!   after a clean end. A cancelled send, a step that timed out, a reply that
//!   made no sense: each drops the line with everything that may still
//!   arrive on it, so that no answer is ever read as another one's.
//! - A line is used again only behind `RSET` and its 250. Where the relay
//!   offers PIPELINING it leads the group and costs no time; its answer is one
//!   more that has to be right before a byte of the message is written.
//! - All replies of a pipelined group are read before any is judged.
//! - All steps before the final dot share one time, over all relays
//!   ([`StepLimits::before_dot`]). When it is used up the dot does not leave:
//!   nothing is in doubt, and nothing of this message moves any more when
//!   somebody else may send it again.
//! - A line found closed when it is used again costs nothing: it is opened
//!   anew, once, as long as `MAIL` has not been answered.
//! - If a recipient is refused and the relay asks for the message all the
//!   same, the line is dropped. RFC 2920 (3.1) would send a single dot there.
//!   We do not: it is a final dot that nobody recorded an intent for, and a
//!   relay so confused that it wants mail for nobody may deliver the empty
//!   mail to the address it refused. Hanging up before the dot must end the
//!   transaction without a trace (RFC 5321, 4.1.1.10) and costs one connection.

use super::line::{Broken, Line, step, understand};
use super::opening::{Group, Opening, refused};
use super::relays::{Nobody, Relays, is_free_for_the_next};
use super::wire::FINAL_DOT;
use crate::channel::settings::StepLimits;
use crate::channel::{Answer, Envelope, Mail, Payload, Session};
use crate::crash_point::crash_point;
use crate::domain::outcome::{Deferral, Evidence, Outcome, Phase};
use crate::domain::reply_class::classify;
use crate::domain::smtp_reply::Reply;
use lettre::transport::smtp::commands;
use std::pin::pin;
use std::str::Utf8Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

pub(super) struct SmtpSession {
    relays: Arc<Relays>,
    /// One place for each relay, in their order.
    lines: Vec<Option<Line>>,
}

/// What may be done with the line after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Behind a `RSET`.
    Reuse,
    Drop,
    /// It was closed before anything of this message was answered.
    WasClosed,
}

impl SmtpSession {
    pub(super) fn over(relays: Arc<Relays>) -> SmtpSession {
        let lines = relays.list.iter().map(|_| None).collect();
        SmtpSession { relays, lines }
    }

    /// Offers the mail to one relay after the other, until one has answered
    /// for it.
    async fn hand_over(&mut self, mail: &Mail) -> Outcome {
        let relays = Arc::clone(&self.relays);
        let begun = Instant::now();
        let mut nobody = Nobody::default();
        for (n, relay) in relays.list.iter().enumerate() {
            let dot_by = begun + relay.settings.limits.before_dot();
            if n > 0 && dot_by <= Instant::now() {
                break;
            }
            if let Err(left_alone) = relay.ask(Instant::now()) {
                nobody.was_asked(&left_alone);
                continue;
            }
            if n > 0
                && let Some(wait) = relay.stand_in(Instant::now())
            {
                nobody.has_room(wait);
                continue;
            }
            let outcome = self.hand_to(n, mail, dot_by).await;
            relays.heed(n, &outcome, Instant::now());
            if !is_free_for_the_next(&outcome) {
                return outcome.at(&relay.settings.place(), relays.list.len() > 1);
            }
            nobody.took_it(outcome);
        }
        nobody.outcome()
    }

    /// Offers the mail to relay number `n`; its dot leaves by `dot_by` or not
    /// at all.
    async fn hand_to(&mut self, n: usize, mail: &Mail, dot_by: Instant) -> Outcome {
        let relays = Arc::clone(&self.relays);
        let settings = &relays.list[n].settings;
        let mut kept = self.lines[n].take();
        if kept
            .as_ref()
            .is_some_and(|line| line.is_worn(&settings.limits))
        {
            leave(kept.take(), &settings.limits).await;
        }
        loop {
            let is_fresh = kept.is_none();
            let mut line = match kept.take() {
                Some(line) => line,
                None => match timeout_at(dot_by, Line::open(settings, &relays.tls)).await {
                    Ok(Ok(line)) => {
                        crash_point("line-open");
                        line
                    }
                    Ok(Err(outcome)) => return *outcome,
                    Err(_) => return Broken::Late.before_the_dot(Phase::Connect),
                },
            };
            let (outcome, after) = line.transact(mail, &settings.limits, dot_by).await;
            match after {
                After::WasClosed if !is_fresh => {}
                After::WasClosed | After::Drop => return outcome,
                After::Reuse => {
                    line.used_at = Instant::now();
                    self.lines[n] = Some(line);
                    return outcome;
                }
            }
        }
    }
}

impl Session for SmtpSession {
    fn admit(&mut self, envelope: &Envelope) -> Option<Duration> {
        match &envelope.payload {
            Payload::Mail(mail) => self.relays.admit(mail.to.domain(), Instant::now()),
            Payload::Text(_) => None,
        }
    }

    fn send<'a>(&'a mut self, envelope: &'a Envelope) -> Answer<'a, Outcome> {
        Box::pin(async move {
            match &envelope.payload {
                Payload::Mail(mail) => self.hand_over(mail).await,
                Payload::Text(_) => refused("5.6.1", "a text message cannot go to a mail relay"),
            }
        })
    }

    fn close(&mut self) -> Answer<'_, ()> {
        Box::pin(async move {
            for (line, relay) in self.lines.iter_mut().zip(&self.relays.list) {
                leave(line.take(), &relay.settings.limits).await;
            }
        })
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
        mail: &Mail,
        limits: &StepLimits,
        dot_by: Instant,
    ) -> (Outcome, After) {
        let opening = match Opening::of(mail, &self.offers) {
            Ok(opening) => opening,
            Err(outcome) => return (*outcome, After::Reuse),
        };
        self.tap.begin_message(dot_by);
        let opened = timeout_at(dot_by, async {
            if self.offers.pipelining {
                self.open_at_once(&opening, limits).await
            } else {
                self.open_step_by_step(&opening, limits).await
            }
        });
        match opened.await {
            Err(_) => (Broken::Late.before_the_dot(Phase::Data), After::Drop),
            Ok(Err(end)) => *end,
            Ok(Ok(())) => {
                crash_point("mail-opened");
                let delivered = self.deliver(&mail.bytes, limits, dot_by).await;
                crash_point("dot-answered");
                delivered
            }
        }
    }

    /// `RSET` on a line that was used, `MAIL`, `RCPT`, `DATA` in one write: one
    /// round trip instead of four.
    async fn open_at_once(&mut self, opening: &Opening, limits: &StepLimits) -> Result<(), End> {
        let reset = std::mem::replace(&mut self.needs_reset, true);
        let group = Group { reset, opening };
        let mut next = Some(group.to_string());
        if reset {
            let group = next.take().unwrap_or_default();
            let answer = step(limits.command, &self.tap, self.conn.command(group)).await;
            was_reset(answer)?;
        }
        let mut replies = Vec::with_capacity(3);
        let mut broken = None;
        for phase in [Phase::Mail, Phase::Rcpt, Phase::Data] {
            let limit = limit_of(phase, limits);
            let answer = match next.take() {
                Some(group) => step(limit, &self.tap, self.conn.command(group)).await,
                None => step(limit, &self.tap, self.conn.read_response()).await,
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
                    After::Reuse if asks_for_data || !is_clean => After::Drop,
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
        if std::mem::replace(&mut self.needs_reset, true) {
            let asked = self.conn.command(commands::Rset);
            was_reset(step(limits.command, &self.tap, asked).await)?;
        }
        for phase in [Phase::Mail, Phase::Rcpt, Phase::Data] {
            let command = match phase {
                Phase::Mail => opening.mail.to_string(),
                Phase::Rcpt => opening.rcpt.to_string(),
                _ => commands::Data.to_string(),
            };
            let asked = self.conn.command(command);
            match step(limit_of(phase, limits), &self.tap, asked).await {
                Err(broken) => return Err(lost(phase, &broken)),
                Ok((reply, is_clean)) if !is_expected(phase, &reply) => {
                    let outcome = classify(phase, &reply);
                    let after = match after_refusal(phase, &reply, &outcome) {
                        After::Reuse if !is_clean => After::Drop,
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
    async fn deliver(
        &mut self,
        bytes: &[u8],
        limits: &StepLimits,
        dot_by: Instant,
    ) -> (Outcome, After) {
        let tap = Arc::clone(&self.tap);
        let Ok(text) = with_dot(bytes) else {
            let why = "the message is no UTF-8 text";
            return (refused("5.6.0", why), After::Drop);
        };
        let written_by = dot_by.min(Instant::now() + limits.body);
        let answer = {
            let mut sending = pin!(self.conn.command(text));
            match (
                timeout_at(written_by, &mut sending).await,
                tap.dot_started_at(),
            ) {
                (Err(_), Some(at)) => timeout_at(at + limits.dot, &mut sending).await,
                (in_time, _) => in_time,
            }
        };
        // The timer or the wire was first to see it.
        let is_late = !matches!(answer, Ok(Ok(_)))
            && Instant::now() >= dot_by
            && !tap.dot_started()
            && !tap.out_of_turn();
        let answer = match answer {
            _ if is_late => Err(Broken::Late),
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

/// A message as it is written: a line that begins with a dot has two (RFC 5321,
/// 4.5.2), and the final dot is at its end, so that all goes in one write.
/// `lettre` writes the dot by itself and looks at each byte before: a tenth of
/// what a mail costs.
///
/// # Errors
/// It is not UTF-8.
fn with_dot(bytes: &[u8]) -> Result<String, Utf8Error> {
    // The dot brings a line end of its own: with both, an empty line that
    // nobody wrote would arrive, and not what was hashed.
    let text = str::from_utf8(bytes)?;
    let text = text.strip_suffix("\r\n").unwrap_or(text);
    let mut out = String::with_capacity(text.len() + 64);
    if text.starts_with('.') {
        out.push('.');
    }
    let mut from = 0;
    for at in memchr::memmem::find_iter(text.as_bytes(), b"\r\n.") {
        out.push_str(&text[from..at + 2]);
        out.push('.');
        from = at + 2;
    }
    out.push_str(&text[from..]);
    out.push_str(FINAL_DOT);
    Ok(out)
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

/// Whether the line is as good as new. If not, nothing was said about this
/// message, and it was closed (421) or mixed up before it.
fn was_reset(answer: Result<(Reply, bool), Broken>) -> Result<(), End> {
    match answer {
        Ok((reply, true)) if reply.code == 250 => Ok(()),
        Ok((reply, _)) => Err(Box::new((classify(Phase::Mail, &reply), After::WasClosed))),
        Err(broken) => Err(Box::new((
            broken.before_the_dot(Phase::Mail),
            After::WasClosed,
        ))),
    }
}

fn limit_of(phase: Phase, limits: &StepLimits) -> Duration {
    match phase {
        Phase::Data => limits.data,
        _ => limits.command,
    }
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
        } => After::Reuse,
        _ => After::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_with_its_dot_and_lines_with_one_get_another() {
        for (message, written) in [
            ("a\r\nb\r\n", "a\r\nb\r\n.\r\n"),
            ("a\r\nb", "a\r\nb\r\n.\r\n"),
            ("a\r\n\r\n", "a\r\n\r\n.\r\n"),
            ("", "\r\n.\r\n"),
            (".a\r\n.\r\n..b\r\n", "..a\r\n..\r\n...b\r\n.\r\n"),
            ("a.b.\r\n", "a.b.\r\n.\r\n"),
            ("\r\n.\r\n", "\r\n..\r\n.\r\n"),
            ("ä\r\n.ö\r\n", "ä\r\n..ö\r\n.\r\n"),
        ] {
            assert_eq!(
                with_dot(message.as_bytes()).unwrap(),
                written,
                "{message:?}"
            );
        }
        assert!(with_dot(b"\xff").is_err());
    }
}
