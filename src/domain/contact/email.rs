//! A customer's e-mail address, parsed once and printed masked.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest local part, domain and path (RFC 5321, 4.5.3.1).
const LOCAL_BYTES_MAX: usize = 64;

const DOMAIN_BYTES_MAX: usize = 255;

const PATH_BYTES_MAX: usize = 254;

/// A customer's e-mail address, ready for an SMTP envelope: the domain is in
/// ASCII (IDNA A-labels) and lower case, the local part as it was given.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress {
    local: String,
    domain: String,
}

impl EmailAddress {
    /// Reads `local@domain`. Surrounding blanks are dropped, an
    /// internationalised domain is converted to A-labels.
    ///
    /// # Errors
    /// Nothing before or after the `@`; a quoted local part or an address
    /// literal (legal, never a customer's); characters an envelope cannot
    /// carry; a domain without a dot; lengths beyond RFC 5321.
    pub fn parse(text: &str) -> Result<EmailAddress, NotAnAddress> {
        let text = text.trim();
        let (local, domain) = text
            .rsplit_once('@')
            .ok_or(NotAnAddress("there is no @ in it"))?;
        if local.is_empty() {
            return Err(NotAnAddress("nothing stands before the @"));
        }
        if domain.is_empty() {
            return Err(NotAnAddress("nothing stands after the @"));
        }
        if local.starts_with('"') {
            return Err(NotAnAddress("quoted local parts are not accepted"));
        }
        if domain.starts_with('[') {
            return Err(NotAnAddress(
                "an address literal is not a customer's address",
            ));
        }
        let forbidden =
            |c: char| c.is_control() || c.is_whitespace() || "<>()[],;:\\\"@\u{feff}".contains(c);
        if local.chars().any(forbidden) {
            return Err(NotAnAddress(
                "the part before the @ has a character that is not allowed",
            ));
        }
        if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return Err(NotAnAddress(
                "a dot stands at the edge of the local part or twice in a row",
            ));
        }
        let domain = idna::domain_to_ascii_strict(domain)
            .map_err(|_| NotAnAddress("the domain is not a valid name"))?;
        if !domain.contains('.') || domain.starts_with('.') || domain.ends_with('.') {
            return Err(NotAnAddress("the domain has no dot, or one at its edge"));
        }
        if local.len() > LOCAL_BYTES_MAX
            || domain.len() > DOMAIN_BYTES_MAX
            || local.len() + 1 + domain.len() > PATH_BYTES_MAX
        {
            return Err(NotAnAddress("it is longer than mail allows"));
        }
        Ok(EmailAddress {
            local: local.to_owned(),
            domain,
        })
    }

    /// The address itself, for an envelope or a header.
    pub fn expose(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }

    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Only sendable where the relay offers SMTPUTF8 (RFC 6531).
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii()
    }

    /// What caps, suppressions and tombstones are keyed by, before hashing:
    /// case does not matter there.
    pub fn canonical(&self) -> String {
        format!("mailto:{}@{}", self.local.to_lowercase(), self.domain)
    }

    /// First letters and the domain: `an...@mail.example`.
    pub fn masked(&self) -> String {
        let keep = if self.local.chars().count() > 3 { 2 } else { 1 };
        let head: String = self.local.chars().take(keep).collect();
        format!("{head}...@{}", self.domain)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = NotAnAddress;
    fn try_from(text: String) -> Result<Self, NotAnAddress> {
        EmailAddress::parse(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> String {
        address.expose()
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Why a text is no e-mail address; never repeats the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address: {0}")]
pub struct NotAnAddress(pub &'static str);
