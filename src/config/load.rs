//! Loading: finds the file, lays the layers, reads every section, and checks
//! what only makes sense together.

use super::channels::{self, Email};
use super::environment::Environment;
use super::forms::{choice, length, like, parsed, whole};
use super::layers::{self, DEFAULTS};
use super::meant::{
    Config, ConfiguredMode, JobName, JobSettings, LogFormat, LogLevel, LogSettings, PaceSettings,
    SandboxSettings, SecretUse, WorkerSettings,
};
use super::places::{self, FILE_NAME, Folders};
use super::problem::{ConfigErrors, Place, Problem, Source};
use super::raw::{Entry, Table, Value};
use super::reader::{Read, Reader};
use super::secrets::Vault;
use super::sms::{self, Gateway, Sms};
use super::units::Wrong;
use super::{feeds, policy, shop, web};
use crate::domain::contact::{Country, EmailAddress, PhoneNumber};
use crate::domain::schedule::CronPlan;
use crate::domain::time::{Instant, Length};
use chrono::DateTime;
use chrono_tz::Tz;
use std::path::{Path, PathBuf};

/// Less, and a slow disk looks like a dead worker.
const ALIVE_MIN: Length = Length::secs(3);
/// More, and what a dead worker had waits longer than a quiet period.
const ALIVE_MAX: Length = Length::mins(10);

/// What a load depends on.
pub struct LoadArgs<'a> {
    /// `--config FILE`: this file and no other.
    pub file: Option<&'a Path>,
    /// `--home DIR`: the file is `DIR/backorderd.toml`, if it is there, and
    /// the state is in `DIR`.
    pub home: Option<&'a Path>,
    pub environment: &'a Environment,
    pub secrets: SecretUse,
    /// Schedules are judged from here: one that never comes is refused.
    pub now: Instant,
}

impl Config {
    /// Reads the configuration. Works without any file: defaults, sandbox.
    ///
    /// # Errors
    /// Every problem that was found, see [`super::problem`].
    pub fn load(args: &LoadArgs<'_>) -> Result<Config, ConfigErrors> {
        let fail = |problems| Err(ConfigErrors::sorted(problems));
        let found = match places::find(args) {
            Ok(found) => found,
            Err(problem) => return fail(vec![problem]),
        };
        let file = found.as_ref().map(|(path, _)| path.as_path());
        let (tree, problems) =
            match layered(args, found.as_ref().map(|(p, t)| (p.as_path(), t.as_str()))) {
                Ok(layered) => layered,
                Err(problems) => return fail(problems),
            };
        let reader = Reader::over(tree, problems);
        let mut config = read(&reader, args, file);
        let finished = reader.finish();
        if !finished.problems.is_empty() {
            return fail(finished.problems);
        }
        config.shown = finished.shown;
        Ok(config)
    }
}

/// The state folder, whatever else is wrong with the configuration: for the
/// hold that must work when nothing else does. `None` where not even the file
/// can be found or read, and no folder was named.
pub fn state_folder(args: &LoadArgs<'_>) -> Option<PathBuf> {
    if let Some(home) = args.home {
        return Some(home.to_owned());
    }
    let found = places::find(args).ok()?;
    let mut tree = found.as_ref().map_or_else(Table::new, |(path, text)| {
        let source = Source::read(&path.display().to_string(), text);
        layers::parse_what_can_be(&source, text)
    });
    layers::overlay_environment(&mut tree, &args.environment.variables);
    let reader = Reader::over(tree, Vec::new());
    let file = found.as_ref().map(|(path, _)| path.as_path());
    Some(places::folders(&reader, args, places::base_folder(args, file)).state_dir)
}

/// All layers as one tree, with what is wrong about variables' names.
pub(super) fn layered(
    args: &LoadArgs<'_>,
    file: Option<(&Path, &str)>,
) -> Result<(Table, Vec<Problem>), Vec<Problem>> {
    let built_in = Source::read(&format!("built-in {FILE_NAME}"), DEFAULTS);
    let mut tree = layers::parse(&built_in, DEFAULTS, true)?;
    if let Some((path, text)) = file {
        let source = Source::read(&path.display().to_string(), text);
        layers::merge(&mut tree, layers::parse(&source, text, false)?);
    }
    let problems = layers::overlay_environment(&mut tree, &args.environment.variables);
    Ok((tree, problems))
}

/// Asks for every setting there is; problems are left with the reader.
pub(super) fn read(reader: &Reader, args: &LoadArgs<'_>, file: Option<&Path>) -> Config {
    let top = reader.top();
    let mode = top.wanted(
        "mode",
        ConfiguredMode::Sandbox,
        choice(&[
            ("sandbox", ConfiguredMode::Sandbox),
            ("review", ConfiguredMode::Review),
            ("live", ConfiguredMode::Live),
        ]),
    );
    let shop = shop::read(reader);
    let folders = places::folders(reader, args, places::base_folder(args, file));
    let vault = Vault {
        credentials: args.environment.credentials_directory.as_deref(),
        base: &folders.base,
        secrets: args.secrets,
    };
    let mut database = folders.database.clone();
    places::database_password(reader, &vault, &mut database);
    let (sandbox_email, sandbox_phone) = sandbox(reader, shop.country);
    let pace = reader.section("pace");
    let pace = PaceSettings {
        per_minute: pace.wanted("per_minute", 1, whole(1..=1_000_000)),
        first: pace.wanted("first", 0, whole(0..=1_000)),
    };
    let workers = WorkerSettings {
        alive: reader
            .section("workers")
            .wanted("alive", ALIVE_MIN, length(ALIVE_MIN..=ALIVE_MAX)),
    };
    let mut email = channels::read(reader, &shop.profile, &vault, pace.per_minute);
    let bounce_maildir = places::bounce_maildir(reader, &folders.base);
    let web = web::read(reader);
    let sms = sms::read(reader, &vault, web.as_ref());
    let texts = sms.gateway != Gateway::None;
    let feeds = feeds::read(reader);
    let policy = policy::read(reader, texts, shop.country);
    if let Some(relays) = &mut email.relays {
        relays.rest = policy.retry.relay_delay.to_std();
        relays.repair = policy.retry.configuration_delay.to_std();
    }
    let jobs = jobs(reader, shop.profile.zone, args.now);
    let log = log(reader);
    let demo_now = reader.section("demo").maybe("now", demo_instant);
    check_together(reader, mode, &email, &sms);
    if let (true, Some(code)) = (texts, &shop.country) {
        // Without a list, texts go to the shop's own country.
        let literal = format!("[\"{}\"]", code.as_str());
        if reader.section("sms").entry("countries").is_none() {
            reader.show_as("sms.countries", literal, None);
        }
    }
    let Folders {
        state_dir,
        sandbox,
        templates,
        ..
    } = folders;
    Config {
        file: file.map(Path::to_owned),
        shop_key: shop.key,
        shop: shop.profile,
        shop_country: shop.country,
        shop_currency: shop.currency,
        mode,
        sandbox: SandboxSettings {
            folder: sandbox,
            email: sandbox_email,
            phone: sandbox_phone,
        },
        state_dir,
        database,
        sender: email.sender,
        bounce_maildir,
        email: email.relays,
        dns: email.dns,
        sms: sms.settings,
        sms_hook: sms.hook,
        web,
        policy,
        feeds,
        pace,
        workers,
        jobs,
        templates_dir: templates,
        log,
        demo_now,
        shown: Vec::new(),
    }
}

fn sandbox(
    reader: &Reader,
    country: Option<Country>,
) -> (Option<EmailAddress>, Option<PhoneNumber>) {
    let section = reader.section("sandbox");
    let phone = |text: &str| PhoneNumber::parse(text, country);
    (
        section.maybe("email", like(EmailAddress::parse, "\"you@shop.example\"")),
        section.maybe("phone", like(phone, "\"+442079460018\"")),
    )
}

fn jobs(reader: &Reader, zone: Tz, now: Instant) -> Vec<JobSettings> {
    let section = reader.section("jobs");
    let plan = |text: &str| {
        CronPlan::parse(text, zone, now).map_err(|bad| {
            let cure = "write minute, hour, day of month, month, weekday: \"*/5 * * * *\" is every five minutes, \"30 3 * * *\" half past three each night";
            Wrong::new(bad.to_string(), cure)
        })
    };
    let job = |name: JobName| {
        let plan = section.maybe(name.as_str(), parsed(plan))?;
        Some(JobSettings { name, plan })
    };
    JobName::ALL.into_iter().filter_map(job).collect()
}

fn log(reader: &Reader) -> LogSettings {
    let section = reader.section("log");
    let levels = [
        LogLevel::Error,
        LogLevel::Warn,
        LogLevel::Info,
        LogLevel::Debug,
        LogLevel::Trace,
    ];
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    LogSettings {
        format: section.wanted("format", LogFormat::Text, choice(&formats)),
        level: section.wanted(
            "level",
            LogLevel::Info,
            choice(&levels.map(|level| (level.as_str(), level))),
        ),
    }
}

fn demo_instant(entry: &Entry) -> Read<Instant> {
    let text = match &entry.value {
        Value::Text(text) | Value::Typed(text) | Value::Moment(text) => text.trim(),
        _ => "",
    };
    DateTime::parse_from_rfc3339(text)
        .map(|at| Instant::from_datetime(&at))
        .map_err(|_| {
            let cure = "write it like \"2026-03-09T11:40:00Z\"";
            vec![Wrong::new("this is not a moment with a zone", cure).into()]
        })
}

/// Rules over several sections.
fn check_together(reader: &Reader, mode: ConfiguredMode, email: &Email, sms: &Sms) {
    let to_customers = mode != ConfiguredMode::Sandbox;
    let mode_place = reader.top().place("mode");
    if to_customers {
        let (email_section, shop) = (reader.section("email"), reader.section("shop"));
        email_section.need("host", &mode_place, "\"smtp.shop.example\"");
        shop.need("name", &mode_place, "\"My Shop\"");
        if sms.gateway == Gateway::Folder {
            reader.refuse(
                sms.gateway_place.clone(),
                format!(
                    "texts to customers cannot go into a folder (mode is {})",
                    mode.as_str()
                ),
                "write gateway = \"none\" or name a real gateway, or go back to mode = \"sandbox\"",
            );
        }
    }
    let sandbox = reader.section("sandbox");
    if sandbox.entry("email").is_some() && email.host_place.is_none() {
        reader
            .section("email")
            .need("host", &sandbox.place("email"), "\"smtp.shop.example\"");
    }
    let has_gateway = sms.gateway.is_real();
    if sandbox.entry("phone").is_some() && !has_gateway {
        sandbox.refuse(
            "phone",
            "sandbox texts to a phone need a gateway, and sms.gateway names none",
            "set up [sms], or take sandbox.phone out: texts then go into the sandbox folder",
        );
    }
    let sms_section = reader.section("sms");
    if has_gateway
        && reader.section("shop").entry("country").is_none()
        && sms_section.entry("countries").is_none()
    {
        reader.refuse(
            sms.gateway_place.clone(),
            "with this gateway texts could go to every country, at any price",
            "add country to [shop] or countries to [sms], [] for all",
        );
    }
    let demo = reader.section("demo");
    let leaves: Option<&str> = if to_customers {
        Some("mode")
    } else if sandbox.entry("email").is_some() {
        Some("sandbox.email")
    } else if sandbox.entry("phone").is_some() {
        Some("sandbox.phone")
    } else {
        None
    };
    if let (Some(setting), true) = (leaves, demo.entry("now").is_some()) {
        let place: Place = demo.place("now");
        reader.refuse(
            place,
            format!("a clock that stands still is for the demo alone, and {setting} lets messages leave this machine"),
            "take demo.now out",
        );
    }
}
