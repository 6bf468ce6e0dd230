//! E-mail through a relay that speaks SMTP submission.
//!
//! Read in this order: `session` drives a conversation, `line` opens one,
//! `wire` keeps it honest, [`message`] writes the mail itself; what answers
//! mean says [`crate::domain::reply_class`]. The library's pooled transport is
//! not used: it cannot tell "failed before the final dot" from "no answer
//! after it", and a cancelled send leaves a connection in its pool that
//! answers the next message with the replies to the last.

mod breaker;
mod line;
pub mod message;
mod opening;
mod pace;
mod quoted_printable;
mod relays;
mod session;
mod wire;

#[cfg(test)]
mod peer;
#[cfg(test)]
mod tests;

use crate::channel::settings::{EmailSettings, Security, SmtpSettings};
use crate::channel::{Answer, Channel, ChannelProblem, Session, tls};
use crate::domain::kinds::ChannelName;
use crate::domain::outcome::{Deferral, Outcome};
use line::{Line, Offers};
use relays::Relays;
use rustls::ClientConfig;
use session::SmtpSession;
use std::sync::Arc;
use tokio::task::JoinSet;

/// One mail relay, or several that stand in for each other.
pub struct SmtpChannel {
    relays: Arc<Relays>,
}

impl SmtpChannel {
    /// Reads the machine's root certificates; connects to nothing.
    ///
    /// # Errors
    /// There are none.
    pub fn new(settings: EmailSettings) -> Result<SmtpChannel, ChannelProblem> {
        let tls = tls::system_roots().map_err(|error| ChannelProblem::Configuration {
            at: settings
                .relays
                .first()
                .map_or_else(String::new, SmtpSettings::place),
            what: format!("no trusted root certificates ({error})"),
        })?;
        Ok(SmtpChannel::trusting(settings, tls))
    }

    /// With a choice of whom to trust other than the machine's.
    pub fn trusting(settings: EmailSettings, tls: Arc<ClientConfig>) -> SmtpChannel {
        SmtpChannel {
            relays: Arc::new(Relays::of(settings, tls)),
        }
    }
}

impl Channel for SmtpChannel {
    fn name(&self) -> ChannelName {
        ChannelName::Email
    }

    fn max_sessions(&self) -> usize {
        self.relays.sessions
    }

    fn per_minute(&self) -> u32 {
        self.relays.per_minute()
    }

    /// One line for each relay; the first problem if there is any.
    fn check(&self) -> Answer<'_, Result<String, ChannelProblem>> {
        Box::pin(async move {
            let mut looks = JoinSet::new();
            for n in 0..self.relays.list.len() {
                let relays = Arc::clone(&self.relays);
                looks.spawn(async move { (n, look(&relays.list[n].settings, &relays.tls).await) });
            }
            let mut found = looks.join_all().await;
            found.sort_by_key(|(n, _)| *n);
            let mut lines = Vec::new();
            for (_, answer) in found {
                lines.push(answer?);
            }
            Ok(lines.join("\n"))
        })
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(SmtpSession::over(Arc::clone(&self.relays)))
    }
}

async fn look(settings: &SmtpSettings, tls: &Arc<ClientConfig>) -> Result<String, ChannelProblem> {
    match Line::open(settings, tls).await {
        Ok(line) => {
            let found = describe(settings, &line.offers);
            session::leave(Some(line), &settings.limits).await;
            Ok(found)
        }
        Err(outcome) => Err(problem(settings, &outcome)),
    }
}

fn describe(settings: &SmtpSettings, offers: &Offers) -> String {
    let mut words = vec![match settings.security {
        Security::Plain => "without TLS, on this machine".to_owned(),
        Security::StartTls => "TLS after STARTTLS".to_owned(),
        Security::Tls => "TLS".to_owned(),
    }];
    if settings.auth.is_some() {
        words.push("signed in".to_owned());
    }
    if let Some(max) = offers.size.filter(|max| *max > 0) {
        words.push(format!("up to {} KiB a mail", max / 1024));
    }
    for (is_offered, name) in [
        (offers.pipelining, "pipelining"),
        (offers.dsn, "bounce options"),
    ] {
        if is_offered {
            words.push(name.to_owned());
        }
    }
    format!("{} answers: {}", settings.place(), words.join(", "))
}

fn problem(settings: &SmtpSettings, outcome: &Outcome) -> ChannelProblem {
    let at = settings.place();
    let evidence = outcome.evidence();
    let what = match evidence.code {
        Some(code) => format!("{code} {} ({})", evidence.text, evidence.phase.as_str()),
        None => format!("{} ({})", evidence.text, evidence.phase.as_str()),
    };
    match outcome {
        Outcome::Deferred {
            why: Deferral::Configuration,
            ..
        } => ChannelProblem::Configuration { at, what },
        _ => ChannelProblem::Unreachable { at, what },
    }
}
