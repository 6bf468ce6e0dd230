//! `backorderd orders`: which wait, what each looks like, and why its
//! customer did (or did not) hear from us.

mod find;
mod list;
mod show;

use self::find::pick;
use self::list::list;
use self::show::{as_json, show};

use crate::cli::context::Context;
use crate::cli::{Ended, explain};
use serde_json::Value;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Orders that wait, oldest first
    #[command(after_help = "Example: backorderd orders list --sku TP-100-BL")]
    List {
        /// Also orders that are finished
        #[arg(long)]
        all: bool,
        /// Only orders with this product
        #[arg(long, value_name = "SKU")]
        sku: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// One order as we know it: lines, dates, customer, messages
    #[command(
        after_help = "Example: backorderd orders show 1042\nORDER is the order's number (#1042 and \
        01042 too), the shop's order id, or the customer's address or phone number."
    )]
    Show {
        /// Its number, the shop's order id, or the customer's address
        #[arg(value_name = "ORDER")]
        order: String,
    },
    /// Why: what was said, what was not and why, what comes next
    #[command(
        after_help = "Example: backorderd orders explain 1042\nORDER is the order's number (#1042 \
        and 01042 too), the shop's order id, or the customer's address or phone number."
    )]
    Explain {
        /// Its number, the shop's order id, or the customer's address
        #[arg(value_name = "ORDER")]
        order: String,
        /// Every entry of long lists
        #[arg(long)]
        all: bool,
    },
}

pub async fn run(context: &Context, command: Command) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    match command {
        Command::List { all, sku, limit } => list(context, &viewer, all, sku, limit).await,
        Command::Show { order } => {
            let Some(found) = pick(context, &viewer, &order).await? else {
                return Ok(Ended::Failed);
            };
            if context.json {
                context.print_json(&as_json(&viewer, &found))?;
            } else {
                show(&viewer, &found);
            }
            Ok(Ended::Done)
        }
        Command::Explain { order, all } => {
            let Some(found) = pick(context, &viewer, &order).await? else {
                return Ok(Ended::Failed);
            };
            if context.json {
                let mut document = as_json(&viewer, &found);
                if let (Value::Object(all), Value::Object(more)) =
                    (&mut document, explain::as_json(&viewer, &found))
                {
                    all.extend(more);
                }
                context.print_json(&document)?;
            } else {
                explain::print(&viewer, &found, all);
            }
            Ok(Ended::Done)
        }
    }
}
