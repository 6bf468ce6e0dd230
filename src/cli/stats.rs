//! `backorderd stats`: how much waits, how old, how much it is worth, how
//! sending goes.

use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present;
use crate::domain::money::decimals;
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: backorderd stats --json")]
pub struct Args {}

pub async fn run(context: &Context, _args: Args) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let (now, today, zone) = (viewer.now(), viewer.today(), viewer.settings.shop.zone);
    let figures = viewer.read.figures(viewer.mode(), today, now).await?;
    let feeds = viewer.read.sources().await?;
    let troubles = viewer.feed_troubles().await?;
    if context.json {
        let mut document = json!(figures);
        if let Value::Object(map) = &mut document {
            map.insert("imports".to_owned(), json!(feeds));
            map.insert("import_troubles".to_owned(), json!(troubles));
            map.insert("mode".to_owned(), json!(viewer.mode()));
            map.insert("at".to_owned(), json!(now));
        }
        context.print_json(&document)?;
        return Ok(Ended::Done);
    }
    let share = |n: i64| {
        if figures.open_lines == 0 {
            String::new()
        } else {
            format!(" ({} %)", n * 100 / figures.open_lines)
        }
    };
    let value: Vec<String> = figures
        .value_minor
        .iter()
        .map(|(currency, minor)| amount(*minor, currency))
        .collect();
    let or_none = |text: String| {
        if text.is_empty() {
            "none known".to_owned()
        } else {
            text
        }
    };
    let mut rows = vec![
        (
            "Waiting",
            format!(
                "{} with {}",
                counted(figures.open_orders, "order", "orders"),
                counted(figures.open_lines, "line", "lines")
            ),
        ),
        (
            "Oldest",
            figures.oldest_ordered_on.map_or_else(
                || "none".to_owned(),
                |day| {
                    let days = (today - day).num_days();
                    match days {
                        ..=0 => "ordered today".to_owned(),
                        _ => format!(
                            "ordered {}, {} ago",
                            present::day(day, today),
                            counted(days, "day", "days")
                        ),
                    }
                },
            ),
        ),
        ("Value", or_none(value.join(", "))),
        (
            "With a date",
            format!(
                "{}{}",
                counted(figures.lines_with_date, "line", "lines"),
                share(figures.lines_with_date)
            ),
        ),
        (
            "Within 7 days",
            format!(
                "{}{}",
                counted(figures.lines_within_7_days, "line", "lines"),
                share(figures.lines_within_7_days)
            ),
        ),
        (
            "Last 24 hours",
            format!("{} sent, {} failed", figures.sent_24h, figures.failed_24h),
        ),
        (
            "In doubt",
            match figures.in_doubt {
                0 => "none".to_owned(),
                n => format!("{n}: backorderd messages list --state in_doubt"),
            },
        ),
        ("Queue", {
            let mut text = counted(figures.queued, "message", "messages");
            if figures.held > 0 {
                text.push_str(&format!(", {} of them held for approval", figures.held));
            }
            if let Some(at) = figures.oldest_queued_at {
                text.push_str(&format!("; due since {}", present::moment(at, zone, today)));
            }
            text
        }),
    ];
    let newest = feeds
        .iter()
        .filter_map(|feed| Some((feed.written_at.or(feed.last_read_at)?, feed)))
        .max_by_key(|(at, _)| *at);
    let mut import = newest.map_or_else(
        || "none yet".to_owned(),
        |(at, feed)| {
            let at = present::moment(at, zone, today);
            format!("{} of {at}, {}", feed.name, present::rows(feed.rows))
        },
    );
    for trouble in &troubles {
        let words = present::feed_trouble(trouble, zone, today);
        import.push_str(&format!("; {words}"));
    }
    rows.push(("Last import", import));
    rows.push(("Mode", viewer.settings.reach.as_str().to_owned()));
    present::print_facts(&rows);
    Ok(Ended::Done)
}

fn counted(n: i64, one: &str, many: &str) -> String {
    present::count(usize::try_from(n).unwrap_or(0), one, many)
}

/// `GBP 1,234.50`.
fn amount(minor: i64, currency: &str) -> String {
    let places = decimals(currency);
    let unit = 10_i64.pow(places);
    let whole = (minor / unit).to_string();
    let mut grouped = String::new();
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match places {
        0 => format!("{currency} {grouped}"),
        _ => format!(
            "{currency} {grouped}.{:0width$}",
            minor % unit,
            width = places as usize
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_show_the_decimals_of_their_currency() {
        for (minor, currency, words) in [
            (123_450, "GBP", "GBP 1,234.50"),
            (5, "EUR", "EUR 0.05"),
            (1_234_567, "JPY", "JPY 1,234,567"),
            (1_500, "KWD", "KWD 1.500"),
        ] {
            assert_eq!(amount(minor, currency), words);
        }
    }
}
