//! `backorderd eta`: dates that people set, and that beat the shop's own.
//!
//! An order's beats a line's beats a SKU's beats what the shop's data say.
//! Setting a date here is also how a date that is not believed is accepted.

mod change;

use crate::cli::context::Context;
use crate::cli::present::{self, say, table, table_text};
use crate::cli::{Ended, Usage};
use crate::domain::eta::Eta;
use crate::store::types::ClaimRow;
use chrono::NaiveDate;
use serde::Serialize;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Set the date for an order, a line or a SKU
    #[command(
        after_help = "Example: backorderd eta set --sku TP-100-BL 2026-03-20 --reason \"our \
        supplier's delivery to us is late\"\n         \
        backorderd eta set --order 1042 2026-03-20..2026-03-24\n         \
        backorderd eta set --line 9001-1 unknown\n\
        This is also how a date that is not believed is accepted: set it, with --yes if it is very \
        far away. The reason is printed for customers who read the shop's language."
    )]
    Set(SetArgs),
    /// The dates set by people and dates files
    #[command(after_help = "Example: backorderd eta list --json")]
    List,
    /// Take a date back: the shop's own is in force again
    #[command(after_help = "Example: backorderd eta clear --sku TP-100-BL")]
    Clear(ClearArgs),
}

#[derive(Debug, clap::Args)]
#[group(id = "scope", required = true, multiple = false)]
struct ScopeArgs {
    /// All lines of an order, by its number
    #[arg(long, value_name = "N")]
    order: Option<String>,
    /// One line, by the shop's id
    #[arg(long, value_name = "ID")]
    line: Option<String>,
    /// Every waiting line with this SKU
    #[arg(long, value_name = "SKU")]
    sku: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct SetArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// 2026-03-20, 2026-03-20..2026-03-24, or unknown
    #[arg(value_name = "DATE[..DATE]|unknown", value_parser = date)]
    date: Eta,
    /// Why the date is what it is, in the customers' words
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Take a date that is past or very far away
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
pub struct ClearArgs {
    #[command(flatten)]
    scope: ScopeArgs,
}

pub async fn run(context: &Context, command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::Set(args) => change::set(context, args).await,
        Command::Clear(args) => change::clear(context, args).await,
        Command::List => list(context).await,
    }
}

/// `2026-03-20`, `2026-03-20..2026-03-24` or `unknown`.
fn date(text: &str) -> Result<Eta, String> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("unknown") {
        return Ok(Eta::Unknown);
    }
    let day = |text: &str| {
        text.trim()
            .parse::<NaiveDate>()
            .map_err(|_| format!("`{text}` is not a date: write year-month-day, like 2026-03-20"))
    };
    match text.split_once("..") {
        None => day(text).map(Eta::day),
        Some((from, to)) => Eta::window(day(from)?, day(to)?).map_err(|error| error.to_string()),
    }
}

#[derive(Serialize)]
struct Named {
    #[serde(flatten)]
    claim: ClaimRow,
    /// The order's number, for a date of an order.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_number: Option<String>,
}

async fn list(context: &Context) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let read = &viewer.read;
    let (mut claims, mut numbers) = (Vec::new(), Default::default());
    if let Some(shop) = read.shop_id(&viewer.settings.shop_key).await? {
        claims = read.claims(shop).await?;
        let keys: Vec<&str> = claims
            .iter()
            .filter(|c| c.scope == "order")
            .map(|c| c.key.as_str())
            .collect();
        numbers = read.order_numbers(shop, &keys).await?;
    }
    let named: Vec<Named> = claims
        .into_iter()
        .map(|claim| Named {
            order_number: numbers
                .get(&claim.key)
                .filter(|_| claim.scope == "order")
                .cloned(),
            claim,
        })
        .collect();
    if context.json {
        context.print_json(&named)?;
        return Ok(Ended::Done);
    }
    if named.is_empty() {
        say("Nobody has set a date; the shop's own are in force.\n")?;
        return Ok(Ended::Done);
    }
    let zone = viewer.settings.shop.zone;
    let today = viewer.today();
    let mut rows = table(&["FOR", "DATE", "SET", "BY", "REASON"]);
    for Named {
        claim,
        order_number,
    } in &named
    {
        let key = order_number.as_ref().unwrap_or(&claim.key);
        let by = match claim.origin.as_str() {
            "sku" => format!("{}, dates file", claim.by),
            _ => claim.by.clone(),
        };
        rows.add_row([
            format!("{} {key}", scope_words(&claim.scope)),
            present::eta(claim.eta, today),
            present::moment(claim.confirmed_at, zone, today),
            by,
            claim.reason.clone().unwrap_or_default(),
        ]);
    }
    say(&table_text(&rows))?;
    Ok(Ended::Done)
}

fn scope_words(scope: &str) -> &str {
    match scope {
        "sku" => "SKU",
        other => other,
    }
}

/// Not taken without a `--yes`: a typing error must not become a letter.
fn doubtful(eta: Eta, today: NaiveDate, ahead_days_max: u32) -> Result<(), Usage> {
    let past = eta.last().filter(|day| *day < today);
    let far = eta
        .last()
        .map(|day| (day - today).num_days())
        .filter(|days| *days > i64::from(ahead_days_max));
    let what = match (past, far) {
        (Some(day), _) => format!("{} has passed", present::day(day, today)),
        (_, Some(days)) => format!("that is {days} days ahead, more than {ahead_days_max}"),
        _ => return Ok(()),
    };
    Err(Usage(format!(
        "{what}; nothing was changed (add --yes if it is meant)"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_one_way() {
        assert_eq!(date("2026-03-20").unwrap().to_string(), "2026-03-20");
        let window = date(" 2026-03-20..2026-03-24 ").unwrap();
        assert_eq!(window.to_string(), "2026-03-20..2026-03-24");
        assert_eq!(date("Unknown"), Ok(Eta::Unknown));
        for wrong in [
            "",
            "20.3.2026",
            "03/04/2027",
            "2026-02-30",
            "2026-03-24..2026-03-20",
        ] {
            assert!(date(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_past_day_and_a_far_one_need_a_yes() {
        let today = "2026-02-26".parse().unwrap();
        for (text, taken) in [
            ("2026-02-25", false),
            ("2026-02-20..2026-02-27", true),
            ("2026-02-26", true),
            ("2062-03-06", false),
            ("unknown", true),
        ] {
            let eta = date(text).unwrap();
            assert_eq!(doubtful(eta, today, 400).is_ok(), taken, "{text}");
        }
    }
}
