//! What a person typed, as an entry of the list.

use crate::app::Viewer;
use crate::cli::Usage;
use crate::domain::contact::{EmailAddress, PhoneNumber};
use crate::domain::kinds::ChannelName;
use crate::store::read::suppressions::SuppressionRow;

/// Letters of a hash that are enough to name an entry.
const LETTERS_MIN: usize = 8;

/// An address by its hash.
pub(super) struct Named {
    pub(super) hash: String,
    pub(super) channel: ChannelName,
}

/// Reads an address or a number; the reason why it is neither names neither.
pub(super) fn address(viewer: &Viewer, text: &str) -> Result<Named, String> {
    if text.contains('@') {
        let email = EmailAddress::parse(text).map_err(|e| e.to_string())?;
        return Ok(Named {
            hash: viewer.key.hash_email(&email),
            channel: ChannelName::Email,
        });
    }
    let country = viewer.settings.shop_country;
    let phone = PhoneNumber::parse(text, country)
        .map_err(|e| format!("it is no e-mail address, and no number: {e}"))?;
    Ok(Named {
        hash: viewer.key.hash_phone(&phone),
        channel: ChannelName::Sms,
    })
}

/// The one entry that an address, a number or the beginning of a hash names.
pub(super) async fn entry(viewer: &Viewer, text: &str) -> anyhow::Result<SuppressionRow> {
    let text = text.trim();
    let is_hash = text.len() >= LETTERS_MIN
        && text.starts_with(|c: char| c != '+')
        && text.chars().all(|c| c.is_ascii_hexdigit())
        && !(text.starts_with('0') && text.chars().all(|c| c.is_ascii_digit()));
    let (hash, channel) = if is_hash {
        (text.to_ascii_lowercase(), None)
    } else {
        let named = address(viewer, text).map_err(Usage)?;
        (named.hash, Some(named.channel))
    };
    let mut found = viewer.read.suppressions(Some(&hash), channel, 2).await?;
    match (found.pop(), found.is_empty()) {
        (Some(row), true) => Ok(row),
        (Some(_), false) => Err(Usage(
            "several entries begin like this; give more letters of the hash (--json shows all)"
                .to_owned(),
        )
        .into()),
        (None, _) => anyhow::bail!("it is not on the do-not-write list"),
    }
}
