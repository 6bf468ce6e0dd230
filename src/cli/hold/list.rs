//! `backorderd hold --list`: everything that keeps messages back.

use crate::app::hold_file;
use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{WAITS, moment, say, styled, table, table_text};
use crate::config::Config;
use crate::domain::kinds::ChannelName;
use crate::store::ReadStore;
use crate::store::types::HoldRow;
use crate::wiring::{self, WiringError};
use serde::Serialize;

#[derive(Serialize)]
struct Listed {
    hold_file: Option<HoldFile>,
    holds: Vec<NamedHold>,
}

#[derive(Serialize)]
struct HoldFile {
    path: String,
    why: Option<String>,
}

#[derive(Serialize)]
struct NamedHold {
    #[serde(flatten)]
    hold: HoldRow,
    /// What the key is called by people.
    on: String,
}

pub async fn run(context: &Context, config: &Config) -> anyhow::Result<Ended> {
    let mut holds = Vec::new();
    match wiring::read_store(config).await {
        Ok(read) => {
            for hold in read.holds().await? {
                let on = name(&read, config, &hold).await?;
                holds.push(NamedHold { hold, on });
            }
        }
        Err(WiringError::NoDatabase { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let file = hold_file::is_held(&config.state_dir).then(|| HoldFile {
        path: hold_file::path(&config.state_dir).display().to_string(),
        why: hold_file::reason(&config.state_dir),
    });
    let listed = Listed {
        hold_file: file,
        holds,
    };
    if context.json {
        context.print_json(&listed)?;
    } else {
        say(&text(&listed, config))?;
    }
    Ok(Ended::Done)
}

async fn name(read: &ReadStore, config: &Config, hold: &HoldRow) -> anyhow::Result<String> {
    let key = hold.key.as_str();
    Ok(match hold.scope.as_str() {
        "global" => "everything".to_owned(),
        "channel" => ChannelName::parse(key)
            .map_or_else(|| key.to_owned(), |c| super::channel_words(c).to_owned()),
        "order" => {
            let shop = read.shop_id(&config.shop_key).await?.unwrap_or(0);
            let numbers = read.order_numbers(shop, &[key]).await?;
            format!("order {}", numbers.get(key).map_or(key, String::as_str))
        }
        "customer" => {
            let masked = read.masked_contact(key.parse().unwrap_or(0)).await?;
            format!("customer {}", masked.unwrap_or_else(|| key.to_owned()))
        }
        "run" => format!("run r{key}"),
        "sku" => format!("SKU {key}"),
        other => format!("{other} {key}"),
    })
}

fn text(listed: &Listed, config: &Config) -> String {
    let zone = config.shop.zone;
    let today = wiring::clock(config).now().day_in(zone);
    let mut out = String::new();
    if let Some(file) = &listed.hold_file {
        let why = file.why.as_deref().unwrap_or("no reason given");
        out.push_str(&format!(
            "{} by the file {}: {why}\n",
            styled(WAITS, "Everything is held"),
            file.path
        ));
    }
    if listed.holds.is_empty() {
        if listed.hold_file.is_none() {
            out.push_str("Nothing is held.\n");
        }
        return out;
    }
    let mut rows = table(&["ON", "SINCE", "UNTIL", "BY", "WHY"]);
    for NamedHold { hold, on } in &listed.holds {
        let until = hold
            .until
            .map_or_else(|| "released".to_owned(), |at| moment(at, zone, today));
        let since = moment(hold.since, zone, today);
        rows.add_row([on, &since, &until, &hold.by, &hold.why]);
    }
    out.push_str(&table_text(&rows));
    out
}
