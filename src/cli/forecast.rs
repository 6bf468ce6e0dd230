//! `backorderd forecast`: what would be said in the next days if the shop
//! changed nothing.

use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{self, say_line};
use crate::domain::kinds::{ChannelName, Kind};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use unicode_width::UnicodeWidthStr;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd forecast --days 14\nOnly what follows from today's facts: \
    updates, promised words, dates that pass. News from the shop comes on top."
)]
pub struct Args {
    /// How far to look, in days
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
}

pub async fn run(context: &Context, args: Args) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let until = viewer.look_ahead(args.days);
    let table = viewer.forecast(until).await?;
    if context.json {
        let days: Vec<Value> = table
            .days
            .iter()
            .flat_map(|(day, kinds)| {
                kinds.iter().map(move |((kind, channel), n)| {
                    json!({ "on": day, "kind": kind, "channel": channel, "messages": n })
                })
            })
            .collect();
        let first: Vec<Value> = table
            .first
            .iter()
            .map(|(at, order, kind, channel)| {
                json!({ "at": at, "order": order, "kind": kind, "channel": channel })
            })
            .collect();
        context.print_json(&json!({
            "until_at": until, "orders": table.orders, "days": days, "first": first,
        }))?;
        return Ok(Ended::Done);
    }
    let orders = present::count(table.orders, "open order", "open orders");
    let days = present::count(args.days as usize, "day", "days");
    let n_messages: usize = table.days.values().flat_map(BTreeMap::values).sum();
    if n_messages == 0 {
        say_line!("{orders}: nothing would be said in the next {days}.");
        return Ok(Ended::Done);
    }
    say_line!(
        "{orders}: {} in the next {days}, if the shop changes nothing.\n",
        present::count(n_messages, "message", "messages")
    );
    let kinds: BTreeSet<Kind> = table
        .days
        .values()
        .flat_map(|day| day.keys().map(|(kind, _)| *kind))
        .collect();
    let names: Vec<String> = kinds.iter().map(|k| k.words().to_uppercase()).collect();
    let mut head = vec!["DAY"];
    head.extend(names.iter().map(String::as_str));
    head.push("ALL");
    let mut lines = present::table(&head);
    for (day, counts) in &table.days {
        let mut row = vec![present::day(*day, today)];
        for kind in &kinds {
            let of = |channel| counts.get(&(*kind, channel)).copied().unwrap_or(0);
            row.push(by_channel(of(ChannelName::Email), of(ChannelName::Sms)));
        }
        row.push(counts.values().sum::<usize>().to_string());
        lines.add_row(row);
    }
    present::print_table(&lines);
    say_line!("\nThe first ones:");
    let first: Vec<(String, &str, String)> = table
        .first
        .iter()
        .map(|(at, order, kind, channel)| {
            let by = match channel {
                ChannelName::Email => "e-mail",
                ChannelName::Sms => "text",
            };
            let what = format!("{} by {by}", kind.words());
            (present::moment(*at, zone, today), order.as_str(), what)
        })
        .collect();
    let width = |of: fn(&(String, &str, String)) -> usize| first.iter().map(of).max().unwrap_or(0);
    let at_width = width(|(at, ..)| at.width());
    let order_width = width(|(_, order, _)| order.width());
    for (at, order, what) in &first {
        let at = format!("{at}{}", " ".repeat(at_width - at.width()));
        let blanks = " ".repeat(order_width - order.width());
        say_line!("  {at}  {order}{blanks}  {what}");
    }
    Ok(Ended::Done)
}

/// `3`, `3 + 1 text`, or a dot for none.
fn by_channel(mails: usize, texts: usize) -> String {
    let texts_words = present::count(texts, "text", "texts");
    match (mails, texts) {
        (0, 0) => ".".to_owned(),
        (n, 0) => n.to_string(),
        (0, _) => texts_words,
        (n, _) => format!("{n} + {texts_words}"),
    }
}
