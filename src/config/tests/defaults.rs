//! The shipped file: complete, valid, and the same as the code's defaults.

use super::{NOW, RELAY, Setting};
use crate::channel::settings::{Security, StepLimits};
use crate::config::environment::Environment;
use crate::config::load::{self, LoadArgs};
use crate::config::meant::{Config, ConfiguredMode, SecretUse};
use crate::config::reader::Reader;
use crate::domain::policy::Policy;
use std::time::Duration;

#[test]
fn the_shipped_file_says_what_the_code_has_as_defaults() {
    let config = Setting::with("").load().unwrap();
    assert_eq!(config.policy, Policy::default());
    let with_relay = Setting::with(RELAY).load().unwrap();
    let relays = with_relay.email.clone().unwrap();
    let relay = &relays.relays[0];
    assert_eq!((relays.relays.len(), relays.sessions), (1, 4));
    assert_eq!(relays.rest, Duration::from_secs(60));
    assert_eq!(relays.repair, Duration::from_secs(900));
    assert_eq!(relay.limits, StepLimits::default());
    assert_eq!((relay.port, relay.security), (587, Security::StartTls));
    assert_eq!(relay.per_minute, 120);
    assert_eq!(relay.helo, "fernkettle.example");
    assert_eq!(
        with_relay.sender.from.name.as_deref(),
        Some("Fern & Kettle")
    );
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
    let lines: Vec<String> = crate::config::DEFAULTS.lines().map(switched_on).collect();
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
    // Secrets for other kinds of login, and the demo's clock, which may not
    // stand beside a sandbox recipient.
    const EXCLUDED: [&str; 3] = ["header = ", "secret_fields = ", "now = "];
    let text: Vec<String> = with_examples()
        .lines()
        .filter(|line| !EXCLUDED.iter().any(|key| line.starts_with(key)))
        .map(|line| line.replace("auth = \"bearer\"", "auth = \"basic\""))
        .map(|line| line.replace("gateway = \"none\"", "gateway = \"generic\""))
        .collect();
    let mut setting = Setting::with(&text.join("\n"));
    setting.secrets = SecretUse::LeaveOut;
    let config = setting
        .load()
        .unwrap_or_else(|errors| panic!("{}", errors.plain()));
    assert!(config.policy.sms.enabled);
}
