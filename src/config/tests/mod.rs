//! Whole loads, from files and variables to what is meant.

mod defaults;
mod refusals;
mod secrets;

use super::environment::Environment;
use super::load::LoadArgs;
use super::meant::{Config, DatabaseSettings, SecretUse, SmsGatewaySettings, policy_digest};
use super::problem::{ConfigErrors, Problem};
use crate::channel::settings::{BodyTemplate, HttpAuth, SmtpSettings, TwilioSender};
use crate::domain::contact::Country;
use crate::domain::time::{Instant, Length};
use secrecy::ExposeSecret;
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
        let line = |problem: &Problem| {
            let place = match problem.line_column() {
                Some((line, column)) => format!("{line}:{column}"),
                None => problem.plain().split(':').next().unwrap().to_owned(),
            };
            let cure = problem.cure.as_deref().unwrap_or("-");
            format!("{place} {} | {cure}", problem.what)
        };
        errors.problems.iter().map(line).collect()
    }
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
        .map(Country::as_str)
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
    let BodyTemplate::Form(fields) = &settings.body else {
        panic!("not a form");
    };
    let keys: Vec<&str> = fields.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["z", "a", "n"]);
    assert!(
        matches!(&settings.auth, HttpAuth::Header { value, .. } if value.expose_secret() == "k")
    );
}

#[test]
fn relays_are_tried_in_the_order_they_were_written() {
    let backups = "[email.backup.zulu]\nhost = \"smtp2.example\"\nsecurity = \"tls\"\nper_minute = 30\n\
                   user = \"u\"\npassword = { file = \"p\" }\n[email.backup.alpha]\nhost = \"127.0.0.1\"\nsecurity = \"plain\"\n\
                   [email.domains]\n\"gmail.com\" = 60\n\"grün.example\" = 5\n[retry]\nrelay_delay = \"2m\"\n\
                   [email.bounces]\naddress = \"bounces@fernkettle.example\"\n";
    let setting = Setting::with(&format!("{RELAY}{backups}")).file("p", "secret", 0o600);
    let config = setting.load().unwrap_or_else(|e| panic!("{}", e.plain()));
    let email = config.email.clone().unwrap();
    let places: Vec<String> = email.relays.iter().map(SmtpSettings::place).collect();
    let expected = [
        "smtp.fernkettle.example:587",
        "smtp2.example:465",
        "127.0.0.1:25",
    ];
    assert_eq!(places, expected);
    let second = &email.relays[1];
    assert_eq!(
        (second.per_minute, second.helo.as_str()),
        (30, "fernkettle.example")
    );
    let password = second.auth.as_ref().unwrap().password.expose_secret();
    assert_eq!(password, "secret");
    assert_eq!(email.rest.as_secs(), 120);
    let domains = [
        ("gmail.com".to_owned(), 60),
        ("xn--grn-ioa.example".to_owned(), 5),
    ];
    assert_eq!(email.domains, domains);
    assert!(config.sender.bounces.is_some() && config.sender.bounce_address.is_none());
    // What is printed can be read again, in the same order.
    let again = Setting::with(&config.show().replace("\"(set)\"", "{ file = \"p\" }"))
        .file("p", "secret", 0o600)
        .load()
        .unwrap_or_else(|e| panic!("{}", e.plain()));
    let again: Vec<String> = again
        .email
        .unwrap()
        .relays
        .iter()
        .map(SmtpSettings::place)
        .collect();
    assert_eq!(again, expected);
    let fixed = Setting::with(&format!(
        "{RELAY}[email.bounces]\naddress = \"post@fernkettle.example\"\nplus = false\n"
    ));
    let sender = fixed.load().unwrap().sender;
    assert!(sender.bounces.is_none() && sender.bounce_address.is_some());
}

#[test]
fn paths_are_relative_to_the_file() {
    let setting =
        Setting::with("[templates]\ndir = \"words\"\n[database]\nurl = \"sqlite:data/x.db\"\n");
    let dir = setting.dir.path();
    let config = setting.load().unwrap();
    assert_eq!(config.templates_dir, Some(dir.join("words")));
    assert_eq!(config.state_dir, dir.join("backorderd-state"));
    assert!(matches!(
        config.database,
        DatabaseSettings::Sqlite { path } if path == dir.join("data/x.db")
    ));
    let mut from_unit = Setting::with("");
    from_unit.environment.state_directory = Some("/var/lib/shop".into());
    assert_eq!(
        from_unit.load().unwrap().state_dir,
        Path::new("/var/lib/shop")
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
