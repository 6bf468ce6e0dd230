//! The notice key: what makes the same thing never said twice.
//!
//! A hash of (order, kind, discriminator, channel, mode, take). The
//! discriminator names what triggered the notice, with the place in the
//! told-ledger it starts from: so A, then B, then A, then B again is told each
//! time it should be, and each of them once. The recipient is not part of it.

use super::kinds::{ChannelName, Kind};
use super::statement::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Whether messages reach customers. Runs, notices, messages and told entries
/// carry it, and the planner only sees those of the present mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Everything goes to the sandbox recipient or folder.
    Sandbox,
    Live,
}

impl Mode {
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Sandbox => "sandbox",
            Mode::Live => "live",
        }
    }
    pub fn parse(text: &str) -> Option<Mode> {
        match text {
            "sandbox" => Some(Mode::Sandbox),
            "live" => Some(Mode::Live),
            _ => None,
        }
    }
}

/// The key of a notice. `take` is 0 for what is said the first time; a person's
/// resend takes the next number, and so does what an address that was repaired
/// since did not get.
pub fn notice_key(
    order_key: &str,
    kind: Kind,
    discriminator: &str,
    channel: ChannelName,
    mode: Mode,
    take: u32,
) -> String {
    let mut hash = Sha256::new();
    for part in [
        order_key,
        kind.as_str(),
        discriminator,
        channel.as_str(),
        mode.as_str(),
        &take.to_string(),
    ] {
        // Length first, so that no two lists of parts read alike.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize()[..20])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_matters() {
        let base = || notice_key("o", Kind::Delay, "d", ChannelName::Email, Mode::Live, 0);
        assert_eq!(base(), base());
        let others = [
            notice_key("od", Kind::Delay, "", ChannelName::Email, Mode::Live, 0),
            notice_key("o", Kind::Sooner, "d", ChannelName::Email, Mode::Live, 0),
            notice_key("o", Kind::Delay, "d", ChannelName::Sms, Mode::Live, 0),
            notice_key("o", Kind::Delay, "d", ChannelName::Email, Mode::Sandbox, 0),
            notice_key("o", Kind::Delay, "d", ChannelName::Email, Mode::Live, 1),
        ];
        assert!(others.iter().all(|key| *key != base()));
    }
}
