//! Whole loads: defaults, layers, errors with their exact places, secrets.

use super::environment::Environment;
use super::load::{self, LoadArgs};
use super::meant::{
    Config, ConfiguredMode, DatabaseSettings, SecretUse, SmsGatewaySettings, policy_digest,
};
use super::problem::ConfigErrors;
use super::reader::Reader;
use crate::channel::settings::{HttpAuth, Security, StepLimits, TwilioSender};
use crate::domain::policy::Policy;
use crate::domain::time::{Instant, Length};
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

const NOW: Instant = Instant(1_771_200_000_000);

/// A relay that needs no secret.
const RELAY: &str = "
[shop]
name = \"Fern & Kettle\"
reply_to = \"help@fernkettle.example\"
country = \"GB\"
[email]
host = \"smtp.fernkettle.example\"
from = \"orders@fernkettle.example\"
";

struct Setting {
    dir: TempDir,
    environment: Environment,
    secrets: SecretUse,
}

impl Setting {
    fn with(text: &str) -> Setting {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("backorderd.toml"), text).unwrap();
        Setting {
            dir,
            environment: Environment::default(),
            secrets: SecretUse::Load,
        }
    }
    fn var(mut self, name: &str, value: &str) -> Setting {
        self.environment
            .variables
            .insert(name.to_owned(), value.to_owned());
        self
    }
    fn file(self, name: &str, text: &str, mode: u32) -> Setting {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        self
    }
    fn load(&self) -> Result<Config, ConfigErrors> {
        Config::load(&LoadArgs {
            file: Some(&self.dir.path().join("backorderd.toml")),
            home: None,
            environment: &self.environment,
            secrets: self.secrets,
            now: NOW,
        })
    }
    /// `line:column what | cure` per problem, the variable's name where there
    /// is no line.
    fn problems(&self) -> Vec<String> {
        let errors = self.load().unwrap_err();
        let line = |problem: &super::problem::Problem| {
            let place = match problem.line_column() {
                Some((line, column)) => format!("{line}:{column}"),
                None => problem.to_string().split(':').next().unwrap().to_owned(),
            };
            let cure = problem.cure.as_deref().unwrap_or("-");
            format!("{place} {} | {cure}", problem.what)
        };
        errors.problems.iter().map(line).collect()
    }
}

/// One problem at exactly this place, its cure containing `cure`.
#[track_caller]
fn check(text: &str, place_and_what: &str, cure: &str) {
    let problems = Setting::with(text).problems();
    assert_eq!(problems.len(), 1, "{text}\n{problems:#?}");
    let (found, found_cure) = problems[0].split_once(" | ").unwrap();
    assert_eq!(found, place_and_what, "{text}");
    assert!(found_cure.contains(cure), "{text}\n{found_cure}");
}

#[test]
fn the_shipped_file_says_what_the_code_has_as_defaults() {
    let config = Setting::with("").load().unwrap();
    assert_eq!(config.policy, Policy::default());
    let with_relay = Setting::with(RELAY).load().unwrap();
    let relay = with_relay.email.unwrap();
    assert_eq!(relay.limits, StepLimits::default());
    assert_eq!((relay.port, relay.security), (587, Security::StartTls));
    assert_eq!(relay.per_minute, 120);
    assert_eq!(relay.helo, "fernkettle.example");
    assert_eq!(relay.from.name.as_deref(), Some("Fern & Kettle"));
}

#[test]
fn without_any_file_it_is_a_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let environment = Environment {
        state_directory: Some("/var/lib/elsewhere".into()),
        ..Environment::default()
    };
    let config = Config::load(&LoadArgs {
        file: None,
        home: Some(dir.path()),
        environment: &environment,
        secrets: SecretUse::Load,
        now: NOW,
    })
    .unwrap();
    assert_eq!(config.mode, ConfiguredMode::Sandbox);
    assert_eq!(config.file, None);
    assert_eq!(config.state_dir, dir.path());
    assert_eq!(config.sandbox.folder, dir.path().join("outbox"));
    assert!(config.email.is_none() && config.sms.is_none() && !config.policy.sms.enabled);
    let jobs: Vec<_> = config
        .jobs
        .iter()
        .map(|job| (job.name.as_str(), job.plan.pattern()))
        .collect();
    assert_eq!(jobs, [("review", "*/5 * * * *"), ("nightly", "40 3 * * *")]);
}

/// The shipped file with every `#key = ...` and `#[section]` switched on.
fn with_examples() -> String {
    let switched_on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_alphabetic()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    let lines: Vec<String> = super::DEFAULTS.lines().map(switched_on).collect();
    lines.join("\n")
}

#[test]
fn every_setting_stands_in_the_shipped_file() {
    let environment = Environment::default();
    let args = LoadArgs {
        file: None,
        home: None,
        environment: &environment,
        secrets: SecretUse::LeaveOut,
        now: NOW,
    };
    let (tree, _) = load::layered(&args, None).unwrap();
    let reader = Reader::over(tree, Vec::new());
    load::read(&reader, &args, None);
    let document: toml::Table = toml::from_str(&with_examples()).unwrap();
    for path in reader.known_keys() {
        let parts: Vec<&str> = path.split('.').collect();
        let found = parts[1..]
            .iter()
            .fold(document.get(parts[0]), |value, key| {
                value.and_then(|v| v.get(key))
            });
        assert!(
            found.is_some(),
            "{path} is missing in config/backorderd.toml"
        );
    }
}

#[test]
fn the_examples_of_the_shipped_file_are_valid_together() {
    // The two that exclude others: a header for another kind of login, and
    // the demo's clock beside a sandbox recipient.
    let text: Vec<String> = with_examples()
        .lines()
        .filter(|line| !line.starts_with("header = ") && !line.starts_with("now = "))
        .map(|line| line.replace("auth = \"bearer\"", "auth = \"basic\""))
        .map(|line| line.replace("gateway = \"none\"", "gateway = \"generic\""))
        .collect();
    let mut setting = Setting::with(&text.join("\n"));
    setting.secrets = SecretUse::LeaveOut;
    let config = setting.load().unwrap_or_else(|errors| panic!("{errors}"));
    assert!(config.policy.sms.enabled);
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    check(
        "[delay]\ntreshold_days = 3\n",
        "2:1 there is no setting delay.treshold_days",
        "did you mean threshold_days?",
    );
    check(
        "# x\nsettle = \"1h\"\n",
        "2:1 there is no setting settle",
        " in [",
    );
    check(
        "[dealy]\nsettle = \"1h\"\n",
        "1:2 there is no section dealy",
        "did you mean delay",
    );
    check(
        "email = \"x\"\n",
        "1:1 email is a section, not a setting",
        "[email]",
    );
    check(
        "[email.limits]\ndott = \"1m\"\n",
        "2:1 there is no setting email.limits.dott",
        "did you mean dot?",
    );
}

#[test]
fn wrong_values_are_refused_with_place_and_cure() {
    for (text, expected, cure) in [
        (
            "[delay]\nsettle = 30\n",
            "2:10 delay.settle: `30` has no unit",
            "\"30m\" for minutes",
        ),
        (
            "[delay]\nsettle = \"30\"\n",
            "2:10 delay.settle: `30` has no unit",
            "\"30m\" for minutes",
        ),
        (
            "[delay]\n  settle = \"30min\"\n",
            "2:12 delay.settle: `min` is not a unit of time",
            "\"30m\"",
        ),
        (
            "[delay]\nsettle = \"9d\"\n",
            "2:10 delay.settle: 9d is out of range",
            "\"7d\"",
        ),
        (
            "[delay]\nthreshold_days = 0\n",
            "2:18 delay.threshold_days: 0 is out of range",
            "from 1 to 60",
        ),
        (
            "[delay]\nthreshold_days = \"2\"\n",
            "2:18 delay.threshold_days: a whole number is expected, this is a text",
            "without quotes: 2",
        ),
        (
            "[brake]\nper_hour = 0\n",
            "2:12 brake.per_hour: 0 is out of range",
            "from 1",
        ),
        (
            "[delay]\nhours = []\n",
            "2:9 delay.hours never open, so nothing could ever go out",
            "at least one",
        ),
        (
            "[delay]\nhours = [\"Mon 09:00-18:00\", \"Tue 18:00-09:00\"]\n",
            "2:29 delay.hours: `Tue 18:00-09:00` never open",
            "earlier time first",
        ),
        (
            "[delay]\nhours = \"Mon-Fri 09:00-18:00\"\n",
            "2:9 delay.hours: a list is expected, this is a text",
            "[\"Mon-Fri 09:00-18:00\"]",
        ),
        (
            "[updates]\ndays = [14, 7]\n",
            "2:8 updates.days do not rise from one to the next",
            "[7, 14]",
        ),
        (
            "[updates]\nat = 10:00:00\n",
            "2:6 updates.at: a text is expected, this is a date or time without quotes",
            "in quotes",
        ),
        (
            "[updates]\nthen_every = \"36h\"\n",
            "2:14 updates.then_every: `36h` is not a number of whole days",
            "never",
        ),
        (
            "[retry]\ndelays = [\"10m\", \"2m\"]\n",
            "2:10 retry.delays get shorter",
            "rising",
        ),
        (
            "[calendar]\nclosed = [2026-12-25, 2026-02-30]\n",
            "2:23 invalid",
            "",
        ),
        ("[jobs]\nreview = \"*/5 * * *\"\n", "", "every five minutes"),
        (
            "[shop]\nzone = \"CET\"\n",
            "2:8 shop.zone: not a time zone: write an IANA name like Europe/Berlin, or UTC",
            "Europe/London",
        ),
        (
            "[sms]\nkinds = [\"delay\", \"reminder\"]\n",
            "2:19 sms.kinds: `reminder` is not a kind of notice",
            "date_withdrawn",
        ),
        (
            "[database]\nurl = \"postgres://db/x\"\n",
            "2:7 database.url: there is no support for postgres databases; this version keeps its data in SQLite",
            "sqlite:/var",
        ),
        (
            "mode = \"life\"\n",
            "1:8 `life` is not known here",
            "did you mean \"live\"?",
        ),
    ] {
        let problems = Setting::with(text).problems();
        assert_eq!(problems.len(), 1, "{text}\n{problems:#?}");
        let found = problems[0].replace(" mode: ", " ");
        let (found, found_cure) = found.split_once(" | ").unwrap();
        assert!(
            found.starts_with(expected) || expected.contains("invalid"),
            "{text}\n{found}"
        );
        assert!(found_cure.contains(cure), "{text}\n{found_cure}");
    }
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    let setting =
        Setting::with("mode = \"live\"\n[delay]\nsettle = 30\nfoo = 1\n[brake]\nper_hour = 0\n")
            .var("BACKORDERD__SOONER__TRESHOLD_DAYS", "3")
            .var("BACKORDERD__PACE__FIRST", "many");
    let problems = setting.problems();
    let places: Vec<&str> = problems
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "1:8",
            "1:8",
            "3:10",
            "4:1",
            "6:12",
            "BACKORDERD__PACE__FIRST",
            "BACKORDERD__SOONER__TRESHOLD_DAYS"
        ],
        "{problems:#?}"
    );
    assert!(problems[6].ends_with("did you mean BACKORDERD__SOONER__THRESHOLD_DAYS?"));
}

#[test]
fn the_environment_lies_over_the_file_and_the_file_over_the_defaults() {
    let config = Setting::with("[delay]\nsettle = \"1h\"\nthreshold_days = 4\n")
        .var("BACKORDERD__DELAY__SETTLE", "45m")
        .var(
            "BACKORDERD__DELAY__HOURS",
            "Mon-Fri 08:00-17:00, Sat 10:00-12:00",
        )
        .var("BACKORDERD__UPDATES__DAYS", "[5, 10]")
        .var("BACKORDERD__SHOP__HOURS__EN", "always")
        .var("BACKORDERD__SHOP__OFFER_BLOCK", "true")
        .load()
        .unwrap();
    assert_eq!(config.policy.delay.settle, Length::mins(45));
    assert_eq!(config.policy.delay.threshold_days, 4);
    assert_eq!(config.policy.delay.hours.0.len(), 2);
    assert_eq!(config.policy.updates.days, [5, 10]);
    assert_eq!(config.shop.hours["en"], "always");
    assert!(config.shop.offer_block);
    let shown = config.show();
    for line in [
        "settle = \"45m\"                                # BACKORDERD__DELAY__SETTLE",
        "last_call_working_days = 1\n",
        "# name is not set",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    assert!(shown.contains("backorderd.toml:3\n"), "{shown}");
    // What is printed can be read again.
    toml::from_str::<toml::Table>(&shown).unwrap();
}

#[test]
fn what_would_reach_the_wrong_hands_is_refused() {
    let relay = |more: &str| format!("{RELAY}{more}");
    check(
        &relay("security = \"plain\"\n"),
        "9:12 security = \"plain\" would send mail, and the login, in clear text over the network",
        "127.0.0.1",
    );
    check(
        &RELAY.replace("orders@fernkettle.example", "Shop <shop@gmail.com>"),
        "8:8 mail from gmail.com sent by another server is refused or filed as spam",
        "own domain",
    );
    check(
        &relay("user = \"x\"\n"),
        "9:8 this needs email.password, which is not set",
        "add password = {",
    );
    check(
        &format!("mode = \"review\"\n{RELAY}[sms]\ngateway = \"folder\"\n"),
        "11:11 texts to customers cannot go into a folder (mode is review)",
        "sandbox",
    );
    check(
        &relay(
            "[demo]\nnow = \"2026-03-09T11:40:00Z\"\n[sandbox]\nemail = \"me@fernkettle.example\"\n",
        ),
        "10:7 a clock that stands still is for the demo alone, and sandbox.email lets messages leave this machine",
        "take demo.now out",
    );
    check(
        "[sandbox]\nphone = \"+442079460018\"\n",
        "2:9 sandbox texts to a phone need a gateway, and sms.gateway names none",
        "set up [sms]",
    );
    check(
        "[sms.twilio]\nbase_url = \"http://api.example/\"\n",
        "2:12 sms.twilio.base_url: http would send texts and the login in clear text over the network",
        "https://",
    );
    check(
        "mode = \"live\"\n[shop]\nname = \"X\"\n",
        "1:8 this needs email.host, which is not set",
        "add host = \"smtp.shop.example\" to [email]",
    );
}

#[test]
fn an_inline_password_is_refused_and_not_repeated() {
    let setting = Setting::with(&format!("{RELAY}user = \"u\"\npassword = \"hunter2\"\n"));
    let errors = setting.load().unwrap_err();
    let printed = format!("{errors} {errors:?}");
    assert!(
        printed.contains("a secret must not stand in the configuration"),
        "{printed}"
    );
    assert!(
        printed.contains("{ credential = \"email-password\" }"),
        "{printed}"
    );
    let mut drawn = String::new();
    miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
        .render_report(&mut drawn, &errors)
        .unwrap();
    assert!(drawn.contains("password = *********"), "{drawn}");
    for text in [printed, drawn] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn secrets_come_from_private_files_credentials_or_the_environment() {
    let text = format!("{RELAY}user = \"u\"\npassword = {{ file = \"pw\" }}\n");
    let password = |setting: &Setting| {
        let config = setting.load()?;
        assert!(!format!("{config:?}{}", config.show()).contains("s3cret"));
        assert!(config.show().contains("password = (set)") || config.show().contains("\"(set)\""));
        let login = config.email.unwrap().auth.unwrap();
        Ok::<_, ConfigErrors>(login.password.expose_secret().to_owned())
    };
    let private = Setting::with(&text).file("pw", "s3cret\n", 0o600);
    assert_eq!(password(&private).unwrap(), "s3cret");

    let open = Setting::with(&text).file("pw", "s3cret\n", 0o640);
    let problem = open.problems().remove(0);
    assert!(
        problem.contains("may be read by others (mode 640) | chmod 600"),
        "{problem}"
    );
    assert!(problem.starts_with("10:21 email.password:"), "{problem}");

    let mut elsewhere = Setting::with(
        &text.replace("file = \"pw\"", "credential = \"smtp.password\""),
    )
    .file("smtp.password", "s3cret", 0o444);
    assert!(elsewhere.problems()[0].contains("LoadCredential=smtp.password:"));
    elsewhere.environment.credentials_directory = Some(elsewhere.dir.path().to_owned());
    assert_eq!(password(&elsewhere).unwrap(), "s3cret");

    let typed = Setting::with(&text).var("BACKORDERD__EMAIL__PASSWORD", "s3cret");
    assert_eq!(password(&typed).unwrap(), "s3cret");

    let mut left_out = Setting::with(&text);
    assert!(left_out.load().is_err());
    left_out.secrets = SecretUse::LeaveOut;
    assert!(left_out.load().unwrap().email.is_none());
}

#[test]
fn gateways_are_read_as_they_are_meant() {
    let twilio = Setting::with(&format!(
        "{RELAY}[sms]\ngateway = \"twilio\"\n[sms.twilio]\naccount_sid = \"AC{0}\"\nfrom = \"MG{0}\"\nvalidity = \"4h\"\n",
        "0123456789abcdef".repeat(2)
    ))
    .var("BACKORDERD__SMS__TWILIO__TOKEN", "t")
    .load()
    .unwrap();
    let Some(SmsGatewaySettings::Twilio(settings)) = twilio.sms else {
        panic!("not Twilio");
    };
    assert!(matches!(settings.sender, TwilioSender::MessagingService(_)));
    assert_eq!(settings.user, settings.account_sid);
    let countries: Vec<&str> = twilio
        .policy
        .sms
        .countries
        .iter()
        .map(|c| c.as_str())
        .collect();
    assert_eq!(countries, ["GB"]);

    let generic = Setting::with(&format!(
        "{RELAY}[sms]\ngateway = \"generic\"\n[sms.generic]\nurl = \"http://127.0.0.1:9/send\"\nfrom = \"S\"\nauth = \"header\"\nheader = \"X-Key\"\nsecret = {{ file = \"key\" }}\nform = {{ z = \"{{{{to}}}}\", a = \"{{{{text}}}}\", n = 1 }}\nhard = {{ text = [\"no such number\"] }}\n"
    ))
    .file("key", "k\r\n", 0o600)
    .load()
    .unwrap();
    let Some(SmsGatewaySettings::Generic(settings)) = generic.sms else {
        panic!("not generic");
    };
    let crate::channel::settings::BodyTemplate::Form(fields) = &settings.body else {
        panic!("not a form");
    };
    let keys: Vec<&str> = fields.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["z", "a", "n"]);
    assert!(
        matches!(&settings.auth, HttpAuth::Header { value, .. } if value.expose_secret() == "k")
    );
}

#[test]
fn paths_are_relative_to_the_file() {
    let setting =
        Setting::with("[templates]\ndir = \"words\"\n[database]\nurl = \"sqlite:data/x.db\"\n");
    let dir = setting.dir.path();
    let config = setting.load().unwrap();
    assert_eq!(config.templates_dir, Some(dir.join("words")));
    assert_eq!(config.state_dir, dir.join("backorderd-state"));
    assert_eq!(
        config.database,
        DatabaseSettings::Sqlite {
            path: dir.join("data/x.db")
        }
    );
    let mut from_unit = Setting::with("");
    from_unit.environment.state_directory = Some("/var/lib/shop".into());
    assert_eq!(
        from_unit.load().unwrap().state_dir,
        Path::new("/var/lib/shop")
    );
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let environment = Environment {
        variables: BTreeMap::new(),
        ..Environment::default()
    };
    let errors = Config::load(&LoadArgs {
        file: Some(Path::new("/nowhere/backorderd.toml")),
        home: None,
        environment: &environment,
        secrets: SecretUse::Load,
        now: NOW,
    })
    .unwrap_err();
    assert!(
        errors
            .to_string()
            .contains("there is no file /nowhere/backorderd.toml")
    );
}

#[test]
fn the_digest_changes_with_what_decisions_depend_on_and_with_nothing_else() {
    let digest = |text: &str| policy_digest(&Setting::with(text).load().unwrap());
    let base = digest("");
    assert_eq!(base.len(), 64);
    assert_eq!(
        digest("[shop]\nname = \"X\"\n[log]\nlevel = \"debug\"\n"),
        base
    );
    for text in [
        "[promise]\nbuffer_days = 1\n",
        "[calendar]\nclosed = [2026-12-25]\n",
        "[shop]\nzone = \"Europe/London\"\n",
    ] {
        assert_ne!(digest(text), base, "{text}");
    }
}
