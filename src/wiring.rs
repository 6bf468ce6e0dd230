//! Where the parts meet: configuration becomes channels, templates, clock and
//! store. The only file that names concrete adapters.
//!
//! [`viewer`] builds what can only look: a read-only store and no channels.
//! [`app`] builds what can write and send. Nothing is built as a side effect
//! of anything else.

use crate::app::addresses::{AddressKey, key_path};
use crate::app::templates::load_templates;
use crate::app::{App, Channels, Pace, Reach, Settings, Viewer};
use crate::channel::folder::FolderChannel;
use crate::channel::settings::{FolderSettings, HookSettings};
use crate::channel::sms::generic::GenericSmsChannel;
use crate::channel::sms::generic::hook::GenericHook;
use crate::channel::sms::hook::Hook;
use crate::channel::sms::kannel::KannelChannel;
use crate::channel::sms::kannel::hook::KannelHook;
use crate::channel::sms::twilio::TwilioChannel;
use crate::channel::sms::twilio::hook::TwilioHook;
use crate::channel::sms::vonage::VonageChannel;
use crate::channel::sms::vonage::hook::VonageHook;
use crate::channel::smtp::SmtpChannel;
use crate::channel::{Channel, ChannelProblem, tls};
use crate::clock::{Clock, Ids, SettableClock, SystemClock, host_name};
use crate::config::{Config, ConfiguredMode, DatabaseSettings, SmsGatewaySettings, policy_digest};
use crate::domain::kinds::ChannelName;
use crate::store::place::PlaceError;
use crate::store::{Place, ReadStore, Store, StoreError};
use crate::template::TemplateProblems;
use crate::template::{LiveTemplates, TemplateSet, TemplateSource};
use crate::web::Front;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the parts do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    App(#[from] crate::app::AppError),
    #[error(transparent)]
    Templates(#[from] TemplateProblems),
    #[error(transparent)]
    Channel(#[from] ChannelProblem),
    #[error("cannot create the folder {path}")]
    Folder {
        path: String,
        source: std::io::Error,
    },
    /// Nothing was ever imported here.
    #[error(
        "there is no database at {path} yet; `backorderd import FILE` makes it, or point --config \
         or --home at the right place"
    )]
    NoDatabase { path: String },
}

/// The clock a configuration asks for: the machine's, or one that stands still
/// in a demonstration's own time.
pub fn clock(config: &Config) -> Arc<dyn Clock> {
    match config.demo_now {
        Some(now) => Arc::new(SettableClock::at(now)),
        None => Arc::new(SystemClock),
    }
}

/// Where the data is.
///
/// # Errors
/// The address of a server cannot be read.
pub fn place(config: &Config) -> Result<Place, WiringError> {
    Ok(match &config.database {
        DatabaseSettings::Sqlite { path } => Place::Sqlite(path.clone()),
        DatabaseSettings::Postgres { url, password } => match (Place::parse(url)?, password) {
            (Place::Postgres(server), Some(password)) => {
                Place::Postgres(server.with_password(password))
            }
            (place, _) => place,
        },
    })
}

/// The database file; `None` when the data is on a server.
pub fn database_file(config: &Config) -> Option<&Path> {
    match &config.database {
        DatabaseSettings::Sqlite { path } => Some(path),
        DatabaseSettings::Postgres { .. } => None,
    }
}

/// The database, for people.
pub fn database_shown(config: &Config) -> String {
    match &config.database {
        DatabaseSettings::Sqlite { path } => path.display().to_string(),
        DatabaseSettings::Postgres { url, .. } => url.clone(),
    }
}

/// The key that hashes addresses: beside a database file, in the state folder
/// for one on a server.
pub fn address_key_path(config: &Config) -> PathBuf {
    key_path(database_file(config).unwrap_or(&config.state_dir.join("backorderd")))
}

/// Opens the database for looking.
///
/// # Errors
/// [`WiringError::NoDatabase`]; it cannot be read.
pub async fn read_store(config: &Config) -> Result<ReadStore, WiringError> {
    if let Some(path) = database_file(config).filter(|path| !path.exists()) {
        let path = path.display().to_string();
        return Err(WiringError::NoDatabase { path });
    }
    ReadStore::open(&place(config)?)
        .await
        .map_err(|error| match error {
            StoreError::NoSchema { path } => WiringError::NoDatabase { path },
            other => WiringError::Store(other),
        })
}

/// For commands that change something and must not make a database.
///
/// # Errors
/// [`WiringError::NoDatabase`].
pub async fn require_database(config: &Config) -> Result<(), WiringError> {
    match read_store(config).await {
        // A writing command brings it forward.
        Ok(_) | Err(WiringError::Store(StoreError::OlderSchema)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What use cases need of the configuration.
pub fn settings(config: &Config) -> Settings {
    Settings {
        shop_key: config.shop_key.clone(),
        shop: config.shop.clone(),
        shop_country: config.shop_country,
        shop_currency: config.shop_currency.clone(),
        policy: config.policy.clone(),
        policy_digest: policy_digest(config),
        reach: match config.mode {
            ConfiguredMode::Sandbox => Reach::Sandbox {
                to_email: config.sandbox.email.clone(),
                to_phone: config.sandbox.phone.clone(),
            },
            ConfiguredMode::Review => Reach::Review,
            ConfiguredMode::Live => Reach::Live,
        },
        sender: config.sender.clone(),
        state_dir: config.state_dir.clone(),
        bounce_maildir: config.bounce_maildir.clone(),
        feeds: config.feeds.clone(),
        pace: Pace {
            per_minute: config.pace.per_minute,
            first: config.pace.first,
        },
        alive: config.workers.alive,
        host: host_name(),
    }
}

/// Where the templates come from: built in, overridden by the merchant's folder.
pub fn template_source(config: &Config) -> TemplateSource {
    TemplateSource {
        folder: config.templates_dir.clone(),
        shop: config.shop.clone(),
        transliterates: config.policy.sms.transliterate,
    }
}

/// The templates, all of them sound.
///
/// # Errors
/// Every problem of every file at once.
pub fn templates(config: &Config) -> Result<TemplateSet, TemplateProblems> {
    template_source(config).load()
}

/// The templates as far as they are sound: a broken file stops nobody.
async fn live_templates(config: &Config, read: &ReadStore) -> Result<LiveTemplates, WiringError> {
    let source = template_source(config);
    let set = load_templates(&source, Some(read)).await?;
    Ok(LiveTemplates::of(source, set))
}

/// The ways out in the configured mode. In the sandbox, what has no sandbox
/// recipient goes into the outbox folder.
///
/// # Errors
/// A channel's settings cannot be used.
pub fn channels(config: &Config) -> Result<Channels, ChannelProblem> {
    tls::install_tls_provider();
    let folder = |name| -> Arc<dyn Channel> {
        let settings = FolderSettings {
            path: config.sandbox.folder.clone(),
            sessions: 1,
            per_minute: config.pace.per_minute,
        };
        Arc::new(FolderChannel::new(settings, name))
    };
    let sandbox = config.mode == ConfiguredMode::Sandbox;
    let mut out = Channels::new();
    let relay = config
        .email
        .as_ref()
        .filter(|_| !sandbox || config.sandbox.email.is_some());
    match relay {
        Some(relay) => {
            out.insert(
                ChannelName::Email,
                Arc::new(SmtpChannel::new(relay.clone())?),
            );
        }
        None if sandbox => {
            out.insert(ChannelName::Email, folder(ChannelName::Email));
        }
        None => {}
    }
    let gateway = config
        .sms
        .as_ref()
        .filter(|_| !sandbox || config.sandbox.phone.is_some());
    match gateway {
        Some(SmsGatewaySettings::Twilio(settings)) => {
            let channel = TwilioChannel::new(settings.clone())?;
            out.insert(ChannelName::Sms, Arc::new(channel));
        }
        Some(SmsGatewaySettings::Vonage(settings)) => {
            let channel = VonageChannel::new(settings.clone())?;
            out.insert(ChannelName::Sms, Arc::new(channel));
        }
        Some(SmsGatewaySettings::Kannel(settings)) => {
            let channel = KannelChannel::new(settings.clone())?;
            out.insert(ChannelName::Sms, Arc::new(channel));
        }
        Some(SmsGatewaySettings::Generic(settings)) => {
            let channel = GenericSmsChannel::new((**settings).clone())?;
            out.insert(ChannelName::Sms, Arc::new(channel));
        }
        Some(SmsGatewaySettings::Folder) | None if sandbox && config.policy.sms.enabled => {
            out.insert(ChannelName::Sms, folder(ChannelName::Sms));
        }
        Some(SmsGatewaySettings::Folder) | None => {}
    }
    Ok(out)
}

/// What gateways report to; `None` where no address is configured, or the
/// gateway reports nothing.
///
/// # Errors
/// The address is taken.
pub async fn front(config: &Config, app: &App) -> Result<Option<Front>, WiringError> {
    let (Some(web), Some(settings)) = (&config.web, &config.sms_hook) else {
        return Ok(None);
    };
    let hook: Arc<dyn Hook> = match settings.clone() {
        HookSettings::Twilio { token } => Arc::new(TwilioHook { token }),
        HookSettings::Vonage { secret, signing } => Arc::new(VonageHook { secret, signing }),
        HookSettings::Kannel { secret } => Arc::new(KannelHook { secret }),
        HookSettings::Generic(settings) => Arc::new(GenericHook {
            settings: *settings,
        }),
    };
    let public_url = web.public_url.clone();
    Ok(Some(
        Front::bind(app.clone(), hook, web.listen, public_url).await?,
    ))
}

fn make_folder(path: &Path) -> Result<(), WiringError> {
    use std::os::unix::fs::DirBuilderExt;
    // Customers' addresses lie in here.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| WiringError::Folder {
            path: path.display().to_string(),
            source,
        })
}

/// What can only look.
///
/// # Errors
/// There is no database yet, or it cannot be read.
pub async fn viewer(config: &Config) -> Result<Viewer, WiringError> {
    let read = read_store(config).await?;
    // Without a key nothing was ever hashed, and any key finds as little.
    let key = AddressKey::read(&address_key_path(config))?
        .unwrap_or_else(|| AddressKey::from_bytes([0; 32]));
    let templates = live_templates(config, &read).await?;
    Ok(Viewer {
        read,
        clock: clock(config),
        settings: Arc::new(settings(config)),
        templates,
        key,
    })
}

/// What a mail that came back needs: no templates, no channels, no lock.
///
/// # Errors
/// There is no database yet, or it cannot be written.
pub async fn receiver(config: &Config) -> Result<(Store, AddressKey), WiringError> {
    require_database(config).await?;
    let store = Store::open(&place(config)?).await?;
    let key = AddressKey::ensure(&store, &Ids::random(), &address_key_path(config)).await?;
    Ok((store, key))
}

/// What can write and send.
///
/// # Errors
/// The database cannot be opened or written; a channel's settings cannot be
/// used.
pub async fn app(config: &Config) -> Result<App, WiringError> {
    app_with(config, clock(config), Ids::random()).await
}

/// As [`app`], with a clock and ids of the caller's.
///
/// # Errors
/// As [`app`].
pub async fn app_with(
    config: &Config,
    clock: Arc<dyn Clock>,
    ids: Ids,
) -> Result<App, WiringError> {
    make_folder(&config.state_dir)?;
    if let Some(parent) = database_file(config).and_then(Path::parent) {
        make_folder(parent)?;
    }
    let store = Store::open(&place(config)?).await?;
    let key = AddressKey::ensure(&store, &ids, &address_key_path(config)).await?;
    let templates = live_templates(config, store.read()).await?;
    let viewer = Viewer {
        read: store.read().clone(),
        clock,
        settings: Arc::new(settings(config)),
        templates,
        key,
    };
    Ok(App {
        worker: ids.worker_id(viewer.now()),
        viewer,
        store,
        ids: Arc::new(ids),
        channels: Arc::new(channels(config)?),
    })
}
