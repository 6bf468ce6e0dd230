//! `backorderd suppressions`: the do-not-write list.
//!
//! Addresses are hashed with the key that lies beside the database, so what
//! is listed is a masked address where a customer still has it, else how the
//! hash begins. Whoever is put on the list or taken off it is looked at again
//! at once.

mod files;
mod named;

use crate::app::{App, Viewer};
use crate::cli::context::Context;
use crate::cli::present::{self, count, say, say_line};
use crate::cli::{Ended, Usage};
use crate::domain::ids::OrderId;
use crate::domain::kinds::ChannelName;
use crate::domain::receipt::Stop;
use crate::store::read::suppressions::SuppressionRow;
use crate::store::write::suppressions::{Deed, NewSuppression};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Orders named after an act.
const SHOWN: usize = 20;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Who is not written to, newest first
    #[command(after_help = "Example: backorderd suppressions list --channel email")]
    List {
        /// Only of this channel: email or sms
        #[arg(long, value_name = "CHANNEL", value_parser = parse_channel)]
        channel: Option<ChannelName>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Write to these addresses or numbers no more
    #[command(
        after_help = "Example: backorderd suppressions add anna@mail.example --why \"asked on the phone\"\n\
        What must arrive goes another way, or is on `backorderd todo`."
    )]
    Add {
        /// E-mail addresses and phone numbers
        #[arg(value_name = "ADDRESS", required = true)]
        addresses: Vec<String>,
        /// The reason, for the list and the audit log
        #[arg(long, value_name = "TEXT")]
        why: String,
    },
    /// Take an address off the list; says what is due next
    #[command(
        after_help = "Example: backorderd suppressions remove anna@mail.example --why \"mailbox repaired\"\n\
        Who opted out or complained said so in person: those need --yes."
    )]
    Remove {
        /// The address or number, or its hash (the beginning is enough)
        #[arg(value_name = "ADDRESS|HASH")]
        address: String,
        /// The reason, for the audit log
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// Also when the person asked for it
        #[arg(long)]
        yes: bool,
    },
    /// Take in a list from a CSV file, all of it or nothing
    #[command(after_help = "Example: backorderd suppressions import list.csv\n\
        Columns: address, and as you have them reason, since (2026-03-02), channel (email, sms). \
        What `suppressions export` wrote is read as well, where the address key is the same.")]
    Import {
        /// The file, or - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The reason, for the audit log
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Write the list as CSV: hashes, channels, reasons, no address
    #[command(after_help = "Example: backorderd suppressions export > list.csv\n\
        For another backorderd with the same address key.")]
    Export,
}

fn parse_channel(text: &str) -> Result<ChannelName, String> {
    ChannelName::parse(text).ok_or_else(|| "the channels are email and sms".to_owned())
}

pub async fn run(context: &Context, command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::List { channel, limit } => list(context, channel, limit).await,
        Command::Add { addresses, why } => add(context, &addresses, &why).await,
        Command::Remove { address, why, yes } => remove(context, &address, &why, yes).await,
        Command::Import { file, why } => files::import(context, &file, why).await,
        Command::Export => files::export(context).await,
    }
}

fn reasoned(why: &str) -> Result<(), Usage> {
    if why.trim().is_empty() {
        return Err(Usage(
            "--why needs a reason others will understand".to_owned(),
        ));
    }
    if why.contains('@') {
        return Err(Usage("--why must name no address: it is kept".to_owned()));
    }
    Ok(())
}

async fn list(
    context: &Context,
    channel: Option<ChannelName>,
    limit: u32,
) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let ask = limit.saturating_add(1);
    let mut rows = viewer.read.suppressions(None, channel, ask).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    if context.json {
        context.print_json(&json!({ "suppressions": rows, "more": more }))?;
        return Ok(Ended::Done);
    }
    if rows.is_empty() {
        say_line!("Nobody is on the do-not-write list.");
        return Ok(Ended::Done);
    }
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let mut table = present::table(&["ADDRESS", "BY", "REASON", "FROM", "SINCE"]);
    for row in &rows {
        table.add_row([
            row.shown(),
            row.channel.as_str().to_owned(),
            row.reason.clone(),
            row.source.clone(),
            present::moment(row.since, zone, today),
        ]);
    }
    say(&present::table_text(&table))?;
    if more {
        say_line!("\nThere are more: --limit {}", limit.saturating_mul(4));
    }
    Ok(Ended::Done)
}

async fn add(context: &Context, addresses: &[String], why: &str) -> anyhow::Result<Ended> {
    reasoned(why)?;
    let app = context.writer().await?;
    let now = app.now();
    let mut new = Vec::new();
    for (n, text) in addresses.iter().enumerate() {
        let named = named::address(&app.viewer, text)
            .map_err(|why| Usage(format!("address {} of {}: {why}", n + 1, addresses.len())))?;
        new.push(NewSuppression {
            address_hash: named.hash,
            channel: named.channel,
            reason: why.to_owned(),
            source: "operator".to_owned(),
            since: now,
        });
    }
    let deed = Deed {
        by: context.by(),
        verb: "suppress",
        target: target(&new),
        why: Some(why.to_owned()),
    };
    let n = app.store.suppress_all(new, deed, now).await?;
    if context.json {
        context.print_json(&json!({ "added": n, "known": addresses.len() as u64 - n }))?;
        return Ok(Ended::Done);
    }
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    let known = addresses.len().saturating_sub(n);
    say_line!(
        "{} on the do-not-write list now; {known} stood there before.",
        count(n, "address is", "addresses are")
    );
    Ok(Ended::Done)
}

/// What the audit log says was put on the list or taken off: a hash, never an
/// address.
fn target(new: &[NewSuppression]) -> String {
    match new {
        [one] => format!("{}:{}", one.channel, one.address_hash),
        several => format!("{} addresses", several.len()),
    }
}

async fn remove(context: &Context, text: &str, why: &str, yes: bool) -> anyhow::Result<Ended> {
    reasoned(why)?;
    let app = context.writer().await?;
    let row = named::entry(&app.viewer, text).await?;
    let by_themselves = [Stop::OptedOut.as_str(), Stop::Complained.as_str()];
    if by_themselves.contains(&row.reason.as_str()) && !yes {
        anyhow::bail!(
            "{} is on the list because the person said so ({}); --yes if the person said \
             otherwise since",
            row.shown(),
            row.reason
        );
    }
    let deed = Deed {
        by: context.by(),
        verb: "unsuppress",
        target: format!("{}:{}", row.channel, row.address_hash),
        why: Some(why.to_owned()),
    };
    let lifted = app
        .store
        .lift_suppression(&row.address_hash, row.channel, deed, app.now())
        .await?;
    let Some(orders) = lifted else {
        anyhow::bail!("somebody else took it off the list a moment ago");
    };
    let next = due_next(&app, &orders).await?;
    if context.json {
        let next: Vec<Value> = next
            .iter()
            .map(|(order, words)| json!({ "order": order, "next": words }))
            .collect();
        context.print_json(&json!({ "removed": row, "orders": next }))?;
        return Ok(Ended::Done);
    }
    say_removed(&app.viewer, &row, &next);
    Ok(Ended::Done)
}

fn say_removed(viewer: &Viewer, row: &SuppressionRow, next: &[(String, String)]) {
    let since = present::moment(row.since, viewer.settings.shop.zone, viewer.today());
    say_line!(
        "{} is written to again (it was on the list since {since}: {}).",
        row.shown(),
        row.reason
    );
    if next.is_empty() {
        say_line!("No open order goes there: nothing is due.");
        return;
    }
    say_line!("What is due next:");
    for (order, words) in next.iter().take(SHOWN) {
        let line = format!("{order}  {words}");
        say_line!("  {}", present::wrap(&line, 4, present::PROSE_WIDTH));
    }
    if next.len() > SHOWN {
        say_line!("  and {} more orders", next.len() - SHOWN);
    }
    say_line!(
        "What came back before is not said again by itself: backorderd orders explain {}",
        present::shell_word(&next[0].0)
    );
}

/// What the planner makes of orders this moment: number, what is said or why
/// nothing is.
async fn due_next(app: &App, orders: &[OrderId]) -> anyhow::Result<Vec<(String, String)>> {
    let viewer = &app.viewer;
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let planned = viewer.plan_orders(orders, app.now()).await?;
    let numbers = planned.situations.iter().map(|s| s.order.number.clone());
    let words = planned.plans.iter().map(|plan| {
        let drafts: Vec<String> = plan
            .drafts
            .iter()
            .map(|d| {
                let notice = present::a_notice(d.kind, d.statement.milestone_days);
                let at = match d.due_at > app.now() {
                    true => format!("from {}", present::moment(d.due_at, zone, today)),
                    false => "now".to_owned(),
                };
                format!("{notice} by {}, {at}", d.channel)
            })
            .collect();
        if !drafts.is_empty() {
            return drafts.join("; ");
        }
        let quiet = plan.verdicts.first();
        quiet.map_or_else(String::new, |verdict| {
            format!("quiet: {}", present::reason(&verdict.reason, zone, today))
        })
    });
    Ok(numbers.zip(words).collect())
}
