//! The matters one by one.

use super::places::{size, state_folder};
use super::{Found, Item, doors, feeds, sender};
use crate::app::addresses::AddressKey;
use crate::app::hold_file;
use crate::channel::Channel;
use crate::cli::present::{self, count, moment};
use crate::clock::Ids;
use crate::config::{Config, ConfiguredMode, SmsGatewaySettings};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::notice_key::Mode;
use crate::domain::time::{Instant, Length};
use crate::store::read::lists::MessageFilter;
use crate::store::sqlite::lock::LockAttempt;
use crate::store::{Place, ReadStore, Store, StoreError};
use crate::telemetry::whole_story;
use crate::template;
use crate::wiring::{self, WiringError};
use chrono::NaiveDate;
use std::time::Duration;

/// No clock is right that is older than the program.
const WRITTEN_ON: NaiveDate = match NaiveDate::from_ymd_opt(2026, 1, 1) {
    Some(day) => day,
    None => NaiveDate::MIN,
};
/// How far the clock may lie behind what was stored.
const BEHIND_MAX: Length = Length::mins(5);
/// How long a relay or gateway may take for a look.
pub(super) const REACH_LIMIT: Duration = Duration::from_secs(20);
/// Runs of a job that are named.
const RUNS: usize = 3;

/// Looks at everything, in the order in which things depend on each other.
pub async fn all(config: &Config, offline: bool, found: &mut Found) -> anyhow::Result<()> {
    let now = wiring::clock(config).now();
    found.add(state_folder(config))?;
    let store = database(config, now, found).await?;
    let read = store.as_ref().map(Store::read);
    found.add(mode(config, read, now).await)?;
    if let Some(store) = &store {
        found.add(address_key(config, store).await)?;
    }
    found.add(clock(config, read, now).await)?;
    let rules = format!("rules {} built in", chrono_tz::IANA_TZDB_VERSION);
    found.add(Item::ok("time zones", rules))?;
    found.add(templates(config))?;
    email(config, offline, found).await?;
    texts(config, offline, found).await?;
    found.add(doors::web(config, offline).await)?;
    found.add(doors::bounces(config))?;
    for item in schedules(config, now) {
        found.add(item)?;
    }
    if let Some(store) = &store {
        found.add(daemon(store))?;
    }
    for item in holds(config, read, now).await {
        found.add(item)?;
    }
    if let Some(read) = read {
        for item in feeds::look(config, read, now).await {
            found.add(item)?;
        }
    }
    Ok(())
}

fn failed(item: &'static str, error: impl Into<anyhow::Error>) -> Item {
    Item::fail(item, whole_story(error.into().as_ref()))
}

/// There, of our schema, and taking commits. Never brings a schema forward.
async fn database(
    config: &Config,
    now: Instant,
    found: &mut Found,
) -> std::io::Result<Option<Store>> {
    const ITEM: &str = "database";
    let shown = wiring::database_shown(config);
    match wiring::read_store(config).await {
        Ok(_) => {}
        Err(WiringError::NoDatabase { .. }) => {
            let item = Item::warn(ITEM, format!("there is none at {shown} yet"));
            found.add(item.cure("backorderd import FILE makes it"))?;
            return Ok(None);
        }
        Err(WiringError::Store(error @ StoreError::OlderSchema)) => {
            found.add(Item::warn(ITEM, format!("{shown}: {error}")))?;
            return Ok(None);
        }
        Err(error) => {
            found.add(failed(ITEM, error))?;
            return Ok(None);
        }
    }
    let opened = match wiring::place(config) {
        Ok(place) => Store::open(&place).await.map_err(WiringError::from),
        Err(error) => Err(error),
    };
    let store = match opened {
        Ok(store) => store,
        Err(error) => {
            let item = failed(ITEM, error);
            found.add(item.cure("run this as the user of the service"))?;
            return Ok(None);
        }
    };
    if let Err(error) = store.probe(now).await {
        let item = failed(ITEM, error);
        found.add(item.cure("nothing is sent while the disk takes no commit: is it full?"))?;
        return Ok(None);
    }
    let orders = match store.read().count_open_orders().await {
        Ok(n) => count(usize::try_from(n).unwrap_or(0), "open order", "open orders"),
        Err(error) => {
            found.add(failed(ITEM, error))?;
            return Ok(None);
        }
    };
    let size = match store.place() {
        Place::Sqlite(path) => format!("{}, ", size(path)),
        Place::Postgres(_) => String::new(),
    };
    found.add(Item::ok(
        ITEM,
        format!("{shown}: {size}{orders}, takes commits"),
    ))?;
    Ok(Some(store))
}

async fn mode(config: &Config, read: Option<&ReadStore>, now: Instant) -> Item {
    const ITEM: &str = "mode";
    let (stored, since) = match read {
        Some(read) => match (read.mode().await, read.meta("live_since").await) {
            (Ok(mode), Ok(since)) => (mode, since),
            (Err(error), _) | (_, Err(error)) => return failed(ITEM, error),
        },
        None => (Mode::Sandbox, None),
    };
    let zone = config.shop.zone;
    let since = since.and_then(|text| text.parse().ok()).map(Instant);
    let since = since.map(|at| moment(at, zone, now.day_in(zone)));
    match (config.mode, stored, since) {
        (ConfiguredMode::Sandbox, Mode::Sandbox, _) => {
            Item::ok(ITEM, "sandbox: nothing reaches a customer")
        }
        (ConfiguredMode::Sandbox, Mode::Live, since) => {
            let since = since.unwrap_or_default();
            Item::warn(
                ITEM,
                format!("sandbox, though this shop went live {since}: customers hear nothing"),
            )
            .cure("mode = \"live\" goes on where it stopped")
        }
        (configured, _, None) => Item::fail(
            ITEM,
            format!(
                "the configuration says {}, but nobody has gone live: nothing is sent",
                configured.as_str()
            ),
        )
        .cure("backorderd live"),
        (ConfiguredMode::Review, _, Some(since)) => Item::ok(
            ITEM,
            format!("review, since {since}: every run waits for a yes"),
        ),
        (ConfiguredMode::Live, _, Some(since)) => Item::ok(ITEM, format!("live, since {since}")),
    }
}

async fn address_key(config: &Config, store: &Store) -> Item {
    const ITEM: &str = "address key";
    let path = wiring::address_key_path(config);
    match store.read().meta("address_key_fingerprint").await {
        Err(error) => failed(ITEM, error),
        Ok(None) => Item::ok(ITEM, "not needed yet; it is made with the first import"),
        // Compares; writes only where no fingerprint is stored.
        Ok(Some(_)) => match AddressKey::ensure(store, &Ids::random(), &path).await {
            Ok(_) => Item::ok(
                ITEM,
                format!("{} fits; back it up with the database", path.display()),
            ),
            Err(error) => failed(ITEM, error),
        },
    }
}

async fn clock(config: &Config, read: Option<&ReadStore>, now: Instant) -> Item {
    const ITEM: &str = "clock";
    let zone = config.shop.zone;
    let local = now.in_zone(zone).format("%a %-d %b %Y %H:%M");
    if config.demo_now.is_some() {
        return Item::ok(
            ITEM,
            format!("stands still at {local} {zone}, for the demo"),
        );
    }
    let set_it = "set the machine's clock (timedatectl set-ntp true)";
    if now.day_in(zone) < WRITTEN_ON {
        return Item::fail(ITEM, format!("it says {local}, which cannot be")).cure(set_it);
    }
    let newest = match read {
        Some(read) => newest(read).await,
        None => Ok(None),
    };
    match newest {
        Err(error) => failed(ITEM, error),
        Ok(Some(stored)) if stored.since(now) > BEHIND_MAX => {
            let stored = moment(stored, zone, now.day_in(zone));
            Item::fail(
                ITEM,
                format!("it says {local}, but the database was written {stored}, in the future"),
            )
            .cure(set_it)
        }
        Ok(_) => Item::ok(ITEM, format!("{local} {zone}")),
    }
}

/// The latest moment anything was read or planned.
async fn newest(read: &ReadStore) -> Result<Option<Instant>, StoreError> {
    let planned = read.messages(&MessageFilter::default(), 1).await?;
    let sources = read.sources().await?;
    Ok(planned
        .first()
        .map(|m| m.planned_at)
        .into_iter()
        .chain(sources.into_iter().filter_map(|feed| feed.last_read_at))
        .max())
}

fn templates(config: &Config) -> Item {
    const ITEM: &str = "templates";
    let set = match wiring::templates(config) {
        Ok(set) => set,
        Err(problems) => {
            let n = count(problems.0.len(), "problem", "problems");
            let first = problems.0.first().map(ToString::to_string);
            return Item::fail(ITEM, format!("{n}: {}", first.unwrap_or_default()))
                .cure("backorderd templates check");
        }
    };
    let tags: Vec<String> = set.locales().map(ToString::to_string).collect();
    let from = match &config.templates_dir {
        Some(folder) => format!("{} over the built-in ones", folder.display()),
        None => "built in".to_owned(),
    };
    let says = format!("{from}: {} kinds in {}", Kind::ALL.len(), tags.join(", "));
    let long = template::texts_too_long(&set, config.policy.sms.segments_max);
    if let (Some(first), true) = (long.first(), config.policy.sms.enabled) {
        let n = count(long.len(), "problem", "problems");
        return Item::fail(ITEM, format!("{n}: {first}")).cure("backorderd templates check");
    }
    match template::check(&set).len() {
        0 => Item::ok(ITEM, says),
        n => Item::warn(ITEM, format!("{says}; {}", count(n, "note", "notes")))
            .cure("backorderd templates check"),
    }
}

/// The channels as they would be live: the relay is worth a look before.
fn live_channels(config: &Config) -> Result<crate::app::Channels, crate::channel::ChannelProblem> {
    let mut live = config.clone();
    live.mode = ConfiguredMode::Live;
    wiring::channels(&live)
}

async fn reach(item: &'static str, channel: &dyn Channel, offline: bool, to: &str) -> Item {
    if offline {
        return Item::ok(item, format!("{to}configured, not tried (--offline)"));
    }
    match tokio::time::timeout(REACH_LIMIT, channel.check()).await {
        Ok(Ok(says)) => Item::ok(item, format!("{to}{says}")),
        Ok(Err(problem)) => Item::fail(item, format!("{to}{problem}")),
        Err(_) => Item::fail(
            item,
            format!("{to}no answer within {} seconds", REACH_LIMIT.as_secs()),
        ),
    }
}

async fn email(config: &Config, offline: bool, found: &mut Found) -> anyhow::Result<()> {
    const ITEM: &str = "e-mail";
    const RELAY: &str = "mail relay";
    let sandbox = config.mode == ConfiguredMode::Sandbox;
    if sandbox {
        found.add(match &config.sandbox.email {
            Some(to) => Item::ok(ITEM, format!("sandbox: all of it goes to {to}")),
            None => folder(config, ChannelName::Email, ITEM).await,
        })?;
    }
    let is_set = config
        .settings()
        .any(|(setting, literal, _)| setting == "email.host" && literal.is_some());
    let Some(relay) = config.email.as_ref().and_then(|e| e.relays.first()) else {
        found.add(match (is_set, sandbox) {
            (true, _) => Item::warn(RELAY, "not tried: its password is out of reach"),
            (false, true) => Item::ok(RELAY, "none is configured yet ([email] host)"),
            (false, false) => Item::fail(RELAY, "none is configured ([email] host)"),
        })?;
        return Ok(());
    };
    let at = format!("{}:{}: ", relay.host, relay.port);
    match live_channels(config) {
        Ok(channels) => {
            if let Some(channel) = channels.get(&ChannelName::Email) {
                // A problem names the place itself.
                let item = reach(RELAY, channel.as_ref(), offline, "").await;
                let says = match item.says.starts_with(at.trim_end_matches(": ")) {
                    true => item.says.clone(),
                    false => format!("{at}{}", item.says),
                };
                found.add(Item { says, ..item })?;
            }
        }
        Err(problem) => found.add(failed(RELAY, problem))?,
    }
    sender::look(config, offline, found).await?;
    Ok(())
}

/// The sandbox folder, which has to take files.
async fn folder(config: &Config, channel: ChannelName, item: &'static str) -> Item {
    let path = &config.sandbox.folder;
    if !path.exists() {
        // Looking must not make folders.
        let says = format!("sandbox: files go to {}, made when needed", path.display());
        return Item::ok(item, says);
    }
    match wiring::channels(config) {
        Ok(channels) => match channels.get(&channel) {
            Some(channel) => reach(item, channel.as_ref(), false, "sandbox: ").await,
            None => Item::ok(item, "sandbox: none"),
        },
        Err(problem) => failed(item, problem),
    }
}

async fn texts(config: &Config, offline: bool, found: &mut Found) -> anyhow::Result<()> {
    const ITEM: &str = "texts";
    const GATEWAY: &str = "SMS gateway";
    if !config.policy.sms.enabled {
        found.add(Item::ok(ITEM, "none ([sms] gateway = \"none\")"))?;
        return Ok(());
    }
    if config.mode == ConfiguredMode::Sandbox {
        found.add(match &config.sandbox.phone {
            Some(to) => Item::ok(ITEM, format!("sandbox: all of them go to {to}")),
            None => folder(config, ChannelName::Sms, ITEM).await,
        })?;
    }
    match &config.sms {
        None => found.add(Item::warn(GATEWAY, "not tried: its secret is out of reach"))?,
        Some(SmsGatewaySettings::Folder) => {}
        Some(_) => match live_channels(config) {
            Ok(channels) => {
                if let Some(channel) = channels.get(&ChannelName::Sms) {
                    found.add(reach(GATEWAY, channel.as_ref(), offline, "").await)?;
                }
            }
            Err(problem) => found.add(failed(GATEWAY, problem))?,
        },
    }
    Ok(())
}

/// The next runs of each job, in the shop's zone.
fn schedules(config: &Config, now: Instant) -> Vec<Item> {
    let zone = config.shop.zone;
    let today = now.day_in(zone);
    let mut items: Vec<Item> = config
        .jobs
        .iter()
        .map(|job| {
            let mut next = Vec::new();
            let mut at = now;
            while next.len() < RUNS {
                let Some(run) = job.plan.next_after(at) else {
                    break;
                };
                next.push(run);
                at = run;
            }
            let mut named: Vec<String> = Vec::new();
            let mut day = None;
            for run in next {
                // The day is said once.
                named.push(if day == Some(run.day_in(zone)) {
                    run.in_zone(zone).format("%H:%M").to_string()
                } else {
                    moment(run, zone, today)
                });
                day = Some(run.day_in(zone));
            }
            Item::ok(
                "schedule",
                format!(
                    "{} ({}): {}",
                    job.name.as_str(),
                    job.plan.pattern(),
                    named.join(", ")
                ),
            )
        })
        .collect();
    if items.is_empty() {
        items.push(Item::warn("schedule", "no job is configured ([jobs])"));
    }
    items
}

fn daemon(store: &Store) -> Item {
    const ITEM: &str = "daemon";
    if let Place::Postgres(_) = store.place() {
        return Item::ok(
            ITEM,
            "any number may send from a server; this asks none of them",
        );
    }
    match store.try_delivery_lock() {
        Ok(LockAttempt::HeldBy(Some(pid))) => {
            Item::ok(ITEM, format!("process {pid} sends from this database"))
        }
        Ok(LockAttempt::HeldBy(None)) => Item::ok(ITEM, "a process sends from this database"),
        Ok(LockAttempt::Taken(_)) => {
            Item::warn(ITEM, "nobody sends at the moment").cure("backorderd serve")
        }
        Err(error) => failed(ITEM, error),
    }
}

async fn holds(config: &Config, read: Option<&ReadStore>, now: Instant) -> Vec<Item> {
    const ITEM: &str = "holds";
    let mut items = Vec::new();
    if hold_file::is_held(&config.state_dir) {
        let why = hold_file::reason(&config.state_dir);
        let says = format!(
            "the hold file stops everything: {}",
            why.as_deref().unwrap_or("no reason given")
        );
        items.push(Item::warn(ITEM, says).cure("backorderd release --file"));
    }
    let Some(read) = read else { return items };
    match read.holds().await {
        Err(error) => items.push(failed(ITEM, error)),
        Ok(holds) => {
            let zone = config.shop.zone;
            for hold in holds
                .iter()
                .filter(|h| matches!(h.scope.as_str(), "global" | "channel"))
            {
                let what = match hold.scope.as_str() {
                    "global" => "everything is",
                    _ if hold.key == "sms" => "all texts are",
                    _ => "all e-mail is",
                };
                let since = moment(hold.since, zone, now.day_in(zone));
                let says = format!("{what} on hold since {since}: {}", hold.why);
                items.push(Item::warn(ITEM, says).cure("backorderd hold --list"));
            }
            let n_rest = holds
                .iter()
                .filter(|h| !matches!(h.scope.as_str(), "global" | "channel"))
                .count();
            if items.is_empty() {
                let says = match n_rest {
                    0 => "none".to_owned(),
                    n => format!(
                        "{} on orders, customers, SKUs or suppliers",
                        present::count(n, "hold", "holds")
                    ),
                };
                items.push(Item::ok(ITEM, says));
            }
        }
    }
    items
}
