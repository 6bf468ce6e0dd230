//! The commands that open one mail's transaction, with the parameters the
//! relay offers, or the refusal where it has already said that it cannot carry
//! the mail.

use super::line::Offers;
use crate::channel::Mail;
use crate::domain::contact::EmailAddress;
use crate::domain::outcome::{Evidence, Outcome, Phase, Refusal};
use lettre::Address;
use lettre::transport::smtp::commands;
use lettre::transport::smtp::extension::{MailParameter, RcptParameter};
use memchr::memchr2;
use std::fmt;

/// The commands that open a transaction.
pub(super) struct Opening {
    pub(super) mail: commands::Mail,
    pub(super) rcpt: commands::Rcpt,
}

impl Opening {
    /// Fails where the relay has already said that it cannot carry this, and
    /// for a mail that could end its own transmission early.
    pub(super) fn of(mail: &Mail, offers: &Offers) -> Result<Opening, Box<Outcome>> {
        if has_bare_line_end(&mail.bytes) {
            return Err(Box::new(refused("5.6.0", "a line end that is not CRLF")));
        }
        let n_bytes = mail.bytes.len();
        let mut of_mail = Vec::with_capacity(4);
        let mut of_rcpt = Vec::with_capacity(2);
        if let Some(max) = offers.size {
            if max > 0 && n_bytes as u64 > max {
                let what = format!("{n_bytes} bytes, and the relay takes at most {max}");
                return Err(Box::new(refused("5.3.4", &what)));
            }
            of_mail.push(MailParameter::Size(n_bytes));
        }
        let is_international = mail.to.needs_smtputf8() || mail.sender.needs_smtputf8();
        if is_international || !mail.bytes.is_ascii() {
            if !offers.smtputf8 {
                let what = "an address in other than ASCII needs SMTPUTF8 (RFC 6531), which the \
                            relay does not offer";
                return Err(Box::new(refused("5.6.7", what)));
            }
            of_mail.push(MailParameter::SmtpUtfEight);
        }
        if offers.dsn {
            // Only headers back: a bounce must not carry the letter around.
            of_mail.push(other("RET", "HDRS"));
            of_mail.push(other("ENVID", &mail.envelope_id));
            of_rcpt.push(of_recipient("NOTIFY", "FAILURE,DELAY"));
            if !is_international {
                // What it was before anybody forwarded it (RFC 3461, 4.2).
                let original = format!("rfc822;{}", mail.to.expose());
                of_rcpt.push(of_recipient("ORCPT", &original));
            }
        }
        Ok(Opening {
            mail: commands::Mail::new(Some(address(&mail.sender)?), of_mail),
            rcpt: commands::Rcpt::new(address(&mail.to)?, of_rcpt),
        })
    }
}

/// The commands that are written at once.
pub(super) struct Group<'a> {
    pub(super) reset: bool,
    pub(super) opening: &'a Opening,
}

impl fmt::Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reset {
            write!(f, "{}", commands::Rset)?;
        }
        let Opening { mail, rcpt } = self.opening;
        write!(f, "{mail}{rcpt}{}", commands::Data)
    }
}

/// A lone CR or LF: illegal in mail (RFC 5321, 2.3.8), and the door through
/// which one mail smuggles another past relays that disagree about it. The
/// library stuffs dots only after a real CRLF, so it must not get such bytes.
fn has_bare_line_end(bytes: &[u8]) -> bool {
    let mut from = 0;
    while let Some(at) = memchr2(b'\r', b'\n', &bytes[from..]) {
        if bytes.get(from + at..from + at + 2) != Some(b"\r\n") {
            return true;
        }
        from += at + 2;
    }
    false
}

fn of_recipient(keyword: &str, value: &str) -> RcptParameter {
    RcptParameter::Other {
        keyword: keyword.to_owned(),
        value: Some(value.to_owned()),
    }
}

fn other(keyword: &str, value: &str) -> MailParameter {
    MailParameter::Other {
        keyword: keyword.to_owned(),
        value: Some(value.to_owned()),
    }
}

fn address(address: &EmailAddress) -> Result<Address, Box<Outcome>> {
    address.expose().parse().map_err(|_| {
        Box::new(refused(
            "5.1.3",
            "an address that cannot stand in an envelope",
        ))
    })
}

/// What we refuse in the relay's place, with the code it would give.
pub(super) fn refused(enhanced: &str, what: &str) -> Outcome {
    Outcome::Refused {
        class: Refusal::Content,
        evidence: Evidence::new(Phase::Mail, what).with_enhanced(Some(enhanced.to_owned())),
    }
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
