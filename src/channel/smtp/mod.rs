//! E-mail through a relay that speaks SMTP submission.
//!
//! Read in this order: `session` drives a conversation, `line` opens one,
//! `wire` keeps it honest, [`message`] writes the mail itself; what answers
//! mean says [`crate::domain::reply_class`]. The library's pooled transport is
//! not used: it cannot tell "failed before the final dot" from "no answer
//! after it", and a cancelled send leaves a connection in its pool that
//! answers the next message with the replies to the last.

mod line;
pub mod message;
mod session;
mod wire;

#[cfg(test)]
mod peer;
#[cfg(test)]
mod tests;

use crate::channel::settings::{Security, SmtpSettings};
use crate::channel::{Answer, Channel, ChannelProblem, Session, tls};
use crate::domain::kinds::ChannelName;
use crate::domain::outcome::{Deferral, Outcome};
use line::{Line, Offers};
use rustls::ClientConfig;
use session::SmtpSession;
use std::sync::Arc;

/// A mail relay.
pub struct SmtpChannel {
    settings: Arc<SmtpSettings>,
    tls: Arc<ClientConfig>,
}

impl SmtpChannel {
    /// Reads the machine's root certificates; connects to nothing.
    ///
    /// # Errors
    /// There are none.
    pub fn new(settings: SmtpSettings) -> Result<SmtpChannel, ChannelProblem> {
        let tls = tls::system_roots().map_err(|error| ChannelProblem::Configuration {
            at: place(&settings),
            what: format!("no trusted root certificates ({error})"),
        })?;
        Ok(SmtpChannel::trusting(settings, tls))
    }

    /// With a choice of whom to trust other than the machine's.
    pub fn trusting(settings: SmtpSettings, tls: Arc<ClientConfig>) -> SmtpChannel {
        SmtpChannel {
            settings: Arc::new(settings),
            tls,
        }
    }

    pub fn settings(&self) -> &SmtpSettings {
        &self.settings
    }
}

impl Channel for SmtpChannel {
    fn name(&self) -> ChannelName {
        ChannelName::Email
    }

    fn max_sessions(&self) -> usize {
        self.settings.sessions.max(1)
    }

    fn per_minute(&self) -> u32 {
        self.settings.per_minute.max(1)
    }

    fn check(&self) -> Answer<'_, Result<String, ChannelProblem>> {
        Box::pin(async move {
            match Line::open(&self.settings, &self.tls).await {
                Ok(line) => {
                    let found = describe(&self.settings, &line.offers);
                    session::leave(Some(line), &self.settings.limits).await;
                    Ok(found)
                }
                Err(outcome) => Err(problem(&self.settings, &outcome)),
            }
        })
    }

    fn open(&self) -> Box<dyn Session> {
        let settings = Arc::clone(&self.settings);
        Box::new(SmtpSession::new(settings, Arc::clone(&self.tls)))
    }
}

fn place(settings: &SmtpSettings) -> String {
    format!("{}:{}", settings.host, settings.port)
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
    format!("{} answers: {}", place(settings), words.join(", "))
}

fn problem(settings: &SmtpSettings, outcome: &Outcome) -> ChannelProblem {
    let at = place(settings);
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
