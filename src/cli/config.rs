//! `backorderd config`: the configuration as the program understands it.

use crate::app::hold_file;
use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::say;
use crate::config::{Config, DEFAULTS, SecretUse};
use crate::wiring;
use serde::Serialize;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Every setting in force, and where it was set; secrets are not shown
    #[command(
        after_help = "Example: backorderd config show | grep -A9 '\\[delay\\]'\n\
        A setting without a remark is the default; the others name file and line, or the variable."
    )]
    Show,
    /// The commented defaults, to start your own file from
    #[command(after_help = "Example: backorderd config defaults | less\n\
        Keep your own file short: what it does not say is taken from these.")]
    Defaults,
    /// Which file is read, and where state, database and messages are
    #[command(after_help = "Example: backorderd config path --json | jq -r .state_folder")]
    Path,
}

pub async fn run(context: &Context, command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::Show => show(context),
        Command::Defaults => {
            if context.json {
                context.print_json(&Defaults { toml: DEFAULTS })?;
            } else {
                say(DEFAULTS)?;
            }
            Ok(Ended::Done)
        }
        Command::Path => path(context),
    }
}

#[derive(Serialize)]
struct Defaults {
    toml: &'static str,
}

#[derive(Serialize)]
struct Setting<'a> {
    setting: &'a str,
    value: Option<serde_json::Value>,
    /// Absent for a default.
    set_in: Option<&'a str>,
}

fn show(context: &Context) -> anyhow::Result<Ended> {
    let config = context.config(SecretUse::LeaveOut)?;
    if context.json {
        let settings: Vec<Setting<'_>> = config
            .settings()
            .map(|(setting, literal, set_in)| Setting {
                setting,
                value: literal.map(json_value),
                set_in,
            })
            .collect();
        context.print_json(&settings)?;
    } else {
        say(&config.show())?;
    }
    Ok(Ended::Done)
}

/// A literal of the file's notation as JSON; what is none stays a text.
fn json_value(literal: &str) -> serde_json::Value {
    let table: Option<serde_json::Map<String, serde_json::Value>> =
        toml::from_str(&format!("v = {literal}")).ok();
    table
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| literal.into())
}

#[derive(Serialize)]
struct Paths {
    configuration: Option<String>,
    state_folder: String,
    database: String,
    hold_file: String,
    sandbox_folder: String,
    templates: Option<String>,
}

impl Paths {
    fn of(config: &Config) -> Paths {
        Paths {
            configuration: config.file.as_ref().map(|p| p.display().to_string()),
            state_folder: config.state_dir.display().to_string(),
            database: wiring::database_shown(config),
            hold_file: hold_file::path(&config.state_dir).display().to_string(),
            sandbox_folder: config.sandbox.folder.display().to_string(),
            templates: config
                .templates_dir
                .as_ref()
                .map(|p| p.display().to_string()),
        }
    }
}

fn path(context: &Context) -> anyhow::Result<Ended> {
    let paths = Paths::of(&context.config(SecretUse::LeaveOut)?);
    if context.json {
        context.print_json(&paths)?;
        return Ok(Ended::Done);
    }
    let none =
        |path: &Option<String>, instead: &str| path.clone().unwrap_or_else(|| instead.to_owned());
    let lines = [
        (
            "configuration",
            none(&paths.configuration, "no file, the defaults"),
        ),
        ("state folder", paths.state_folder),
        ("database", paths.database),
        ("hold file", paths.hold_file),
        ("sandbox folder", paths.sandbox_folder),
        ("templates", none(&paths.templates, "built in")),
    ];
    let text: String = lines
        .iter()
        .map(|(name, path)| format!("{name:<15} {path}\n"))
        .collect();
    say(&text)?;
    Ok(Ended::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_a_file_become_json() {
        for (literal, json) in [
            ("[7, 14]", serde_json::json!([7, 14])),
            ("\"30m\"", serde_json::json!("30m")),
            ("false", serde_json::json!(false)),
            ("(set)", serde_json::json!("(set)")),
        ] {
            assert_eq!(json_value(literal), json, "{literal}");
        }
    }
}
