//! `backorderd check`: is everything in order? One line per matter.
//!
//! Looks and reaches out, sends nothing, writes nothing but probes. What it says about a matter is in `items`; here is how it is
//! printed and what it comes to.

mod dns;
mod doors;
mod feeds;
mod items;
mod places;
mod sender;

use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{BAD, GOOD, WAITS, count, say, styled};
use crate::config::{Config, ConfigErrors, SecretUse};
use serde::Serialize;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: backorderd check\n         \
    backorderd check --offline --json | jq '.items[] | select(.status != \"ok\")'\n\
    Run it as the user of the service, so that it sees the same files and secrets. Ends with 1 \
    when something fails; warnings do not count.")]
pub struct Args {
    /// Do not reach out to the mail relay, the SMS gateway and the DNS
    #[arg(long)]
    offline: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warn,
    Fail,
}

/// One matter that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Item {
    item: &'static str,
    status: Status,
    says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<String>,
}

impl Item {
    fn new(item: &'static str, status: Status, says: impl Into<String>) -> Item {
        Item {
            item,
            status,
            says: says.into(),
            cure: None,
        }
    }
    fn ok(item: &'static str, says: impl Into<String>) -> Item {
        Item::new(item, Status::Ok, says)
    }
    fn warn(item: &'static str, says: impl Into<String>) -> Item {
        Item::new(item, Status::Warn, says)
    }
    fn fail(item: &'static str, says: impl Into<String>) -> Item {
        Item::new(item, Status::Fail, says)
    }
    fn cure(mut self, cure: impl Into<String>) -> Item {
        self.cure = Some(cure.into());
        self
    }
    fn print(&self) -> std::io::Result<()> {
        let (style, word) = match self.status {
            Status::Ok => (GOOD, "ok  "),
            Status::Warn => (WAITS, "warn"),
            Status::Fail => (BAD, "FAIL"),
        };
        let mut text = String::new();
        for (n, line) in self.says.lines().enumerate() {
            if n == 0 {
                text.push_str(&format!(
                    "{}  {:<14} {line}\n",
                    styled(style, word),
                    self.item
                ));
            } else {
                text.push_str(&format!("{:21}{line}\n", ""));
            }
        }
        for line in self.cure.iter().flat_map(|cure| cure.lines()) {
            text.push_str(&format!("{:21}-> {line}\n", ""));
        }
        say(&text)
    }
}

/// Collects what was found; for people each line is printed as it is found,
/// because a relay may take its time.
struct Found {
    items: Vec<Item>,
    silent: bool,
}

impl Found {
    fn add(&mut self, item: Item) -> std::io::Result<()> {
        if !self.silent {
            item.print()?;
        }
        self.items.push(item);
        Ok(())
    }
    fn count(&self, status: Status) -> usize {
        self.items.iter().filter(|i| i.status == status).count()
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    ok: bool,
    items: &'a [Item],
}

pub async fn run(context: &Context, args: Args) -> anyhow::Result<Ended> {
    let mut found = Found {
        items: Vec::new(),
        silent: context.json,
    };
    if let Some(config) = configuration(context, &mut found)? {
        items::all(&config, args.offline, &mut found).await?;
    }
    let (n_fail, n_warn) = (found.count(Status::Fail), found.count(Status::Warn));
    if context.json {
        context.print_json(&Answer {
            ok: n_fail == 0,
            items: &found.items,
        })?;
    } else {
        let end = match (n_fail, n_warn) {
            (0, 0) => "Everything is in order.".to_owned(),
            (0, n) => format!("Nothing fails, {}.", count(n, "warning", "warnings")),
            (n, 0) => format!("{}.", count(n, "thing fails", "things fail")),
            (n, m) => format!(
                "{}, {}.",
                count(n, "thing fails", "things fail"),
                count(m, "warning", "warnings")
            ),
        };
        say(&format!("\n{end}\n"))?;
    }
    Ok(if n_fail == 0 {
        Ended::Done
    } else {
        Ended::Failed
    })
}

/// Loads the configuration with its secrets; where only those are missing, the
/// rest can still be looked at.
fn configuration(context: &Context, found: &mut Found) -> anyhow::Result<Option<Config>> {
    let (config, secrets) = match context.config(SecretUse::Load) {
        Ok(config) => (config, None),
        Err(error) => match context.config(SecretUse::LeaveOut) {
            Ok(config) => (config, Some(error)),
            Err(error) => {
                found.add(Item::fail("configuration", sentence(&error)))?;
                return Ok(None);
            }
        },
    };
    let shop = &config.shop;
    let what = format!("{}, {}, {}", shop.name, shop.zone, shop.locale);
    found.add(match &config.file {
        Some(file) => Item::ok("configuration", format!("{}: {what}", file.display())),
        None => Item::warn(
            "configuration",
            "there is no file; the defaults are in force",
        )
        .cure("backorderd config defaults shows what can be set, backorderd.toml holds it"),
    })?;
    if let Some(language) = unsaid_language(&config) {
        let says = format!(
            "customers whose row names no language are written to in English ([shop] locale is not \
             set), and the shop is in {}",
            config
                .shop_country
                .as_ref()
                .map_or("another country", |c| c.as_str())
        );
        let cure = format!("write locale = \"{language}\" or \"en\" below [shop]");
        found.add(Item::warn("language", says).cure(cure))?;
    }
    if let Some(error) = secrets {
        let item = Item::fail("secrets", sentence(&error));
        found.add(item.cure(
            "run this as the user of the service; what needs a secret is not looked at below",
        ))?;
    }
    Ok(Some(config))
}

/// The language of the shop's country, where templates speak it and nobody said
/// which one is meant.
fn unsaid_language(config: &Config) -> Option<&'static str> {
    let is_said = config
        .settings()
        .any(|(setting, _, set_in)| setting == "shop.locale" && set_in.is_some());
    let country = config.shop_country.as_ref()?.as_str();
    let speaks_german = matches!(country, "DE" | "AT" | "CH" | "LI");
    (!is_said && speaks_german).then_some("de")
}

fn sentence(error: &anyhow::Error) -> String {
    match error.downcast_ref::<ConfigErrors>() {
        Some(errors) => errors.plain(),
        None => crate::telemetry::whole_story(error.as_ref()),
    }
}
