//! The use cases: short sequences of the store's verbs around pure decisions.
//!
//! Two movements. Deciding: [`review`] gathers what is due, plans, bundles and
//! commits. Delivering: [`deliver`] has [`claiming`] claim and a [`desk`] render,
//! marks, sends and records. Around them: [`sync`] takes in what the shop says, [`manual`]
//! is a send run by hand, [`by_hand`] what people do to single messages,
//! [`by_log`] what a relay's log says of them, [`releasing`] what lifting a
//! hold lets go, [`explain`] answers why, [`feeds`] says whether the shop's
//! exports still come, [`evidence`] shows all there is about one message,
//! [`mod@todo`] lists what waits for a person, [`receipts`] takes in mails that
//! came back, handed over or from a [`maildir`], [`texts`] what gateways report
//! and what people text, [`scheduler`] fires the periodic jobs, [`live`] is the
//! act of going live, [`templates`] keeps and renews what messages are worded
//! with, [`worker`] keeps this process known to the others.
//!
//! An [`App`] can do everything; a [`Viewer`] can only look, because that is
//! all it holds. Nothing here reads configuration files, knows a concrete
//! adapter or prints.

pub mod addresses;
pub mod by_hand;
pub mod by_log;
pub mod claiming;
pub mod deliver;
pub mod desk;
pub mod evidence;
pub mod explain;
pub mod feeds;
pub mod hold_file;
pub mod lane;
pub mod live;
pub mod maildir;
pub mod manual;
pub mod outlet;
pub mod prepare;
pub mod receipts;
pub mod releasing;
pub mod restore_guard;
pub mod review;
pub mod scheduler;
pub mod sync;
pub mod templates;
pub mod texts;
pub mod todo;
pub mod worker;

use crate::app::addresses::AddressKey;
use crate::channel::Channel;
use crate::channel::settings::SenderIdentity;
use crate::clock::{Clock, Ids};
use crate::domain::contact::{Country, EmailAddress, PhoneNumber};
use crate::domain::feed::FeedPolicy;
use crate::domain::ids::WorkerId;
use crate::domain::kinds::ChannelName;
use crate::domain::notice_key::Mode;
use crate::domain::policy::Policy;
use crate::domain::shop::ShopProfile;
use crate::domain::time::{Instant, Length};
use crate::store::{ReadStore, Store};
use crate::template::LiveTemplates;
use chrono::NaiveDate;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What every use case works with; values, no handles.
#[derive(Clone, Debug)]
pub struct Settings {
    pub shop_key: String,
    pub shop: ShopProfile,
    pub shop_country: Option<Country>,
    pub shop_currency: Option<String>,
    pub policy: Policy,
    /// Fingerprint of all that decisions depend on besides facts and time.
    pub policy_digest: String,
    pub reach: Reach,
    pub sender: SenderIdentity,
    /// Folder of the hold file.
    pub state_dir: PathBuf,
    pub pace: Pace,
    /// What is expected of the shop's exports.
    pub feeds: FeedPolicy,
    /// Where bounces are delivered into, if that is a Maildir.
    pub bounce_maildir: Option<PathBuf>,
    /// How long after a heartbeat others leave a worker's work alone.
    pub alive: Length,
    /// The machine's name.
    pub host: String,
}

/// How far messages go, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To the sandbox only; `to_email` and `to_phone` replace every customer.
    Sandbox {
        to_email: Option<EmailAddress>,
        to_phone: Option<PhoneNumber>,
    },
    /// To customers, but every run waits for a person's yes.
    Review,
    Live,
}

impl Reach {
    /// The mode that rows carry.
    pub fn mode(&self) -> Mode {
        match self {
            Reach::Sandbox { .. } => Mode::Sandbox,
            Reach::Review | Reach::Live => Mode::Live,
        }
    }
    pub fn as_str(&self) -> &'static str {
        match self {
            Reach::Sandbox { .. } => "sandbox",
            Reach::Review => "review",
            Reach::Live => "live",
        }
    }
}

/// How fast messages leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Messages a minute over all channels.
    pub per_minute: u32,
    /// Messages of a run that go out before the rest.
    pub first: u32,
}

/// The ways out, by channel.
pub type Channels = BTreeMap<ChannelName, Arc<dyn Channel>>;

/// Can only look.
#[derive(Clone)]
pub struct Viewer {
    pub read: ReadStore,
    pub clock: Arc<dyn Clock>,
    pub settings: Arc<Settings>,
    pub templates: LiveTemplates,
    pub key: AddressKey,
}

/// Can decide and deliver.
#[derive(Clone)]
pub struct App {
    pub viewer: Viewer,
    pub store: Store,
    pub ids: Arc<Ids>,
    /// Whose leases are ours: one id per start of the process.
    pub worker: WorkerId,
    pub channels: Arc<Channels>,
}

impl Viewer {
    pub fn now(&self) -> Instant {
        self.clock.now()
    }
    pub fn mode(&self) -> Mode {
        self.settings.reach.mode()
    }
    /// The shop's civil day.
    pub fn today(&self) -> NaiveDate {
        self.now().day_in(self.settings.shop.zone)
    }
    pub fn policy(&self) -> &Policy {
        &self.settings.policy
    }
}

impl App {
    pub fn now(&self) -> Instant {
        self.viewer.now()
    }
    pub fn mode(&self) -> Mode {
        self.viewer.mode()
    }
    pub fn settings(&self) -> &Settings {
        &self.viewer.settings
    }
    pub fn policy(&self) -> &Policy {
        self.viewer.policy()
    }
}

/// What a use case can fail with.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// Configured live, but nobody ever ran `backorderd live`.
    #[error(
        "the configuration says mode = \"{0}\", but nobody has gone live yet: nothing is sent; \
         run `backorderd live`"
    )]
    NotLiveYet(&'static str),
    #[error("cannot {doing}")]
    Io {
        doing: &'static str,
        source: std::io::Error,
    },
    /// The key that hashes addresses is not the one this database was made
    /// with: suppressions and caps would silently stop working.
    #[error(
        "the address key beside the database is missing or not the one it was made with: put \
         back the file {path} from your backup"
    )]
    WrongAddressKey { path: String },
    /// A bug: a message may be half sent, and only the next start settles it.
    #[error(
        "a sending task broke off (the panic is in the log above); what it was sending is \
         settled as in doubt at the next start"
    )]
    LaneBroke,
    /// Others took over what this process had in hands.
    #[error(
        "this process was silent for so long that others declared it dead and took its work over; \
         it ends, and may be started again as a new worker"
    )]
    DeclaredDead,
    /// Ours, too: a bug.
    #[error(transparent)]
    Templates(#[from] crate::template::TemplateProblems),
    #[error("{0}")]
    Refused(String),
}

impl AppError {
    /// The process must not go on.
    pub fn is_fatal(&self) -> bool {
        match self {
            AppError::Store(error) => error.is_fatal(),
            AppError::LaneBroke | AppError::DeclaredDead => true,
            _ => false,
        }
    }

    /// See [`crate::store::StoreError::is_no_connection`].
    pub fn is_no_connection(&self) -> bool {
        matches!(self, AppError::Store(error) if error.is_no_connection())
    }
}
