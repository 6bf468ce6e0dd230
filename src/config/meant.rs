//! A configuration as it is meant: everything checked, nothing optional that
//! the program needs.

use super::reader::Shown;
use crate::channel::settings::{
    EmailSettings, GenericSmsSettings, HookSettings, KannelSettings, SenderIdentity,
    TwilioSettings, VonageSettings,
};
use crate::domain::contact::{Country, EmailAddress, Locale, PhoneNumber};
use crate::domain::feed::FeedPolicy;
use crate::domain::notice_key::Mode;
use crate::domain::policy::Policy;
use crate::domain::schedule::CronPlan;
use crate::domain::shop::ShopProfile;
use crate::domain::time::{Instant, Length};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Clone, Debug)]
pub struct Config {
    /// The file that was read; `None` when there was none.
    pub file: Option<PathBuf>,
    /// The shop's name in the database.
    pub shop_key: String,
    pub shop: ShopProfile,
    /// Country of national phone numbers.
    pub shop_country: Option<Country>,
    /// ISO 4217 code of amounts that come without one.
    pub shop_currency: Option<String>,
    pub mode: ConfiguredMode,
    pub sandbox: SandboxSettings,
    pub state_dir: PathBuf,
    pub database: DatabaseSettings,
    /// Who we are in e-mails, also without a relay.
    pub sender: SenderIdentity,
    /// The Maildir bounces are delivered into.
    pub bounce_maildir: Option<PathBuf>,
    /// `None` without a relay, and with [`SecretUse::LeaveOut`].
    pub email: Option<EmailSettings>,
    /// Where `check` asks what the world knows about our domain.
    pub dns: DnsSettings,
    /// `None` without a gateway, and with [`SecretUse::LeaveOut`] for those
    /// that need a secret; `policy.sms.enabled` says what is configured.
    pub sms: Option<SmsGatewaySettings>,
    /// How requests of the gateway are proved; `None` where it makes none, and
    /// with [`SecretUse::LeaveOut`].
    pub sms_hook: Option<HookSettings>,
    /// The daemon's own web address; off without.
    pub web: Option<WebSettings>,
    pub policy: Policy,
    /// What is expected of the shop's exports.
    pub feeds: FeedPolicy,
    pub pace: PaceSettings,
    pub workers: WorkerSettings,
    pub jobs: Vec<JobSettings>,
    /// The merchant's own templates.
    pub templates_dir: Option<PathBuf>,
    pub log: LogSettings,
    /// A clock that stands still; only where every channel is a folder.
    pub demo_now: Option<Instant>,
    pub(super) shown: Vec<Shown>,
}

/// How the sender's domain is looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsSettings {
    /// `None` for the machine's own.
    pub server: Option<SocketAddr>,
    /// The name of the key our mail is signed with, where it is known.
    pub dkim_selector: Option<String>,
}

/// What the operator wants; going live takes `backorderd live` besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfiguredMode {
    Sandbox,
    /// To customers, but every run waits for a yes.
    Review,
    Live,
}

impl ConfiguredMode {
    pub fn as_str(self) -> &'static str {
        match self {
            ConfiguredMode::Sandbox => "sandbox",
            ConfiguredMode::Review => "review",
            ConfiguredMode::Live => "live",
        }
    }

    /// The mode rows carry.
    pub fn of_rows(self) -> Mode {
        match self {
            ConfiguredMode::Sandbox => Mode::Sandbox,
            ConfiguredMode::Review | ConfiguredMode::Live => Mode::Live,
        }
    }
}

/// Where sandbox messages go: to the addresses that are given, else into the
/// folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxSettings {
    pub folder: PathBuf,
    pub email: Option<EmailAddress>,
    pub phone: Option<PhoneNumber>,
}

#[derive(Clone, Debug)]
pub enum DatabaseSettings {
    Sqlite {
        path: PathBuf,
    },
    /// A server; the address holds no password.
    Postgres {
        url: String,
        password: Option<SecretString>,
    },
}

#[derive(Clone, Debug)]
pub enum SmsGatewaySettings {
    /// Into the sandbox folder.
    Folder,
    Twilio(TwilioSettings),
    Vonage(VonageSettings),
    Kannel(KannelSettings),
    Generic(Box<GenericSmsSettings>),
}

/// Where the daemon can be reached by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSettings {
    pub listen: SocketAddr,
    /// The same as the outside world sees it, without a slash at the end.
    pub public_url: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaceSettings {
    /// Messages a minute over all channels, 1 or more.
    pub per_minute: u32,
    /// Messages of a run that go before the rest.
    pub first: u32,
}

/// How processes on one database watch each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// How long after its last heartbeat a worker's work is taken over.
    pub alive: Length,
}

#[derive(Clone, Debug)]
pub struct JobSettings {
    pub name: JobName,
    /// In the shop's zone.
    pub plan: CronPlan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobName {
    Review,
    Nightly,
}

impl JobName {
    pub const ALL: [JobName; 2] = [JobName::Review, JobName::Nightly];

    pub fn as_str(self) -> &'static str {
        match self {
            JobName::Review => "review",
            JobName::Nightly => "nightly",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    pub format: LogFormat,
    pub level: LogLevel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// Whether a command needs passwords and tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretUse {
    /// Read them; a secret that is not there fails the load.
    Load,
    /// Only look at what is configured: for commands that send nothing and
    /// may run where the service's credentials are out of reach.
    LeaveOut,
}

/// A sender that cannot exist, for mails that only ever reach a folder.
pub(super) fn nobodys_address() -> EmailAddress {
    EmailAddress::parse("nobody@shop.invalid").expect("a constant that parses")
}

pub(super) fn english() -> Locale {
    Locale::parse("en").expect("a constant that parses")
}

/// What all decisions depend on besides facts and time: when it changes, every
/// open order has to be reviewed again. Hexadecimal SHA-256 over the policy
/// with its calendar, the shop's zone and the version of the zone rules.
pub fn policy_digest(config: &Config) -> String {
    let policy = serde_json::to_vec(&config.policy).expect("a policy is plain data");
    let mut hash = Sha256::new();
    for part in [
        policy.as_slice(),
        config.shop.zone.name().as_bytes(),
        chrono_tz::IANA_TZDB_VERSION.as_bytes(),
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
