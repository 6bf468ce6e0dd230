//! Where secrets come from, and that they go nowhere.

use super::{RELAY, Setting};
use crate::config::meant::{DatabaseSettings, SecretUse};
use crate::config::problem::ConfigErrors;
use secrecy::ExposeSecret;

#[test]
fn an_inline_password_is_refused_and_not_repeated() {
    let setting = Setting::with(&format!("{RELAY}user = \"u\"\npassword = \"hunter2\"\n"));
    let errors = setting.load().unwrap_err();
    let printed = format!("{errors} {errors:?} {}", errors.plain());
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
        assert!(config.show().contains("password = \"(set)\""));
        let login = config.email.unwrap().relays[0].auth.clone().unwrap();
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
fn a_database_password_is_read_by_those_who_only_look_and_never_shown() {
    let mut setting = Setting::with(
        "[database]\nurl = \"postgres://shop@db/x?sslmode=verify-full\"\n\
         password = { file = \"pw\" }\n",
    )
    .file("pw", "s3cret\n", 0o600);
    for secrets in [SecretUse::Load, SecretUse::LeaveOut] {
        setting.secrets = secrets;
        let config = setting.load().unwrap();
        assert!(!format!("{config:?}{}", config.show()).contains("s3cret"));
        let DatabaseSettings::Postgres { url, password } = config.database else {
            panic!("a server")
        };
        assert_eq!(url, "postgres://shop@db/x?sslmode=verify-full");
        assert_eq!(password.unwrap().expose_secret(), "s3cret");
    }
}
