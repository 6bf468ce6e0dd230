//! The table of a run and of its dry run: who hears what, by which road, when,
//! and why the others hear nothing.

use super::words::notice;
use crate::app::Viewer;
use crate::app::hold_file;
use crate::app::manual::{Preview, PreviewMessage};
use crate::cli::present::say_line;
use crate::cli::present::{self, count};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::time::Instant;
use std::collections::BTreeMap;

/// Above so many messages they are grouped by cause.
const ROWS_MAX: usize = 30;

/// Orders named per cause.
const SAMPLES: usize = 3;

pub(super) async fn print_preview(
    viewer: &Viewer,
    preview: &Preview,
    dry: bool,
    all_rows: bool,
) -> anyhow::Result<()> {
    let settings = &viewer.settings;
    let (zone, today, now) = (settings.shop.zone, viewer.today(), viewer.now());
    let head = if dry {
        "DRY RUN: nothing is sent, nothing is stored."
    } else {
        "RUN"
    };
    say_line!(
        "{}    mode: {}    {} {}",
        present::styled(present::HEAD, head),
        settings.reach.as_str(),
        present::moment(now, zone, today),
        zone.name()
    );
    say_line!("{}", circumstances(viewer, preview).await?);
    say_line!();
    if !preview.messages.is_empty() {
        if preview.messages.len() > ROWS_MAX && !all_rows {
            print_causes(preview);
        } else {
            print_rows(viewer, preview);
        }
        say_line!();
    }
    print_totals(viewer, preview);
    if dry && let Some(first) = preview.messages.first() {
        say_line!();
        say_line!(
            "Read one: backorderd run --dry-run --show {}      Send: backorderd run  (it will ask \
             you to type {})",
            first.order_numbers.join(","),
            preview.messages.len()
        );
    }
    Ok(())
}

/// Feeds, holds and the brake: what a person should know before saying yes.
async fn circumstances(viewer: &Viewer, preview: &Preview) -> anyhow::Result<String> {
    let now = viewer.now();
    let mut parts = Vec::new();
    for feed in viewer.read.sources().await? {
        let name = &feed.name;
        match feed.last_read_at {
            Some(at) => parts.push(format!("Feed \"{name}\" read {}.", ago(now, at))),
            None => parts.push(format!("Feed \"{name}\" never read completely.")),
        }
    }
    for trouble in viewer.feed_troubles().await? {
        let words = present::feed_trouble(&trouble, viewer.settings.shop.zone, viewer.today());
        parts.push(format!("{}.", present::capital(&words)));
    }
    let open = count(preview.orders, "open order", "open orders");
    parts.push(format!("{open} looked at."));
    if hold_file::is_held(&viewer.settings.state_dir) {
        parts.push("HELD by the hold file: nothing goes out.".to_owned());
    }
    let holds = viewer.read.holds().await?;
    match holds.len() {
        0 => parts.push("No hold.".to_owned()),
        n => parts.push(format!(
            "{} in force: backorderd hold --list.",
            count(n, "hold", "holds")
        )),
    }
    let (recent, limit) = preview.brake;
    let these = preview.messages.len() as u64;
    if recent + these > limit {
        parts.push(format!(
            "Brake: these {these} would make {} this hour, more than {limit}; they are collected \
             for your approval.",
            recent + these
        ));
    } else if these > 0 {
        parts.push(format!(
            "Brake: these {these} make {} of {limit} this hour.",
            recent + these
        ));
    }
    Ok(parts.join(" "))
}

fn ago(now: Instant, at: Instant) -> String {
    let minutes = now.since(at).as_secs() / 60;
    match minutes {
        ..1 => "just now".to_owned(),
        1..120 => format!("{minutes} min ago"),
        120..2880 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    }
}

fn print_rows(viewer: &Viewer, preview: &Preview) {
    let mut table = present::table(&["ORDER", "TO", "BY", "NOTICE", "WHAT IT SAYS", "GOES OUT"]);
    let mut before: Option<&PreviewMessage> = None;
    for p in &preview.messages {
        // The same words over another channel need no second reading.
        let same = before.is_some_and(|b| b.order_numbers == p.order_numbers && b.says == p.says);
        table.add_row([
            p.order_numbers.join(", "),
            p.to.clone(),
            p.channel.to_string(),
            notice(p),
            if same {
                "the same".to_owned()
            } else {
                p.says.clone()
            },
            goes_out(p, viewer),
        ]);
        before = Some(p);
    }
    present::print_table(&table);
}

fn goes_out(p: &PreviewMessage, viewer: &Viewer) -> String {
    let (now, zone, today) = (viewer.now(), viewer.settings.shop.zone, viewer.today());
    let due = p.due_at;
    if due <= now {
        return "now".to_owned();
    }
    let here = if due.day_in(zone) == today {
        due.in_zone(zone).format("%H:%M").to_string()
    } else {
        present::moment(due, zone, today)
    };
    match p.zone {
        Some(theirs) if p.channel == ChannelName::Sms && theirs != zone => {
            let place = theirs
                .name()
                .rsplit('/')
                .next()
                .unwrap_or_default()
                .replace('_', " ");
            format!("{here} ({} {place})", due.in_zone(theirs).format("%H:%M"))
        }
        _ => here,
    }
}

/// Above a screenful: why, how many, and a few samples each.
fn print_causes(preview: &Preview) {
    let mut causes: BTreeMap<(Kind, ChannelName, String), Vec<&PreviewMessage>> = BTreeMap::new();
    for p in &preview.messages {
        causes
            .entry((p.kind, p.channel, p.cause.clone()))
            .or_default()
            .push(p);
    }
    let mut table = present::table(&["NOTICE", "BY", "CAUSE", "MESSAGES", "FOR EXAMPLE"]);
    let mut rows: Vec<_> = causes.into_iter().collect();
    rows.sort_by_key(|(_, list)| std::cmp::Reverse(list.len()));
    for ((kind, channel, cause), list) in rows {
        let samples: Vec<String> = list
            .iter()
            .take(SAMPLES)
            .map(|p| p.order_numbers.join(", "))
            .collect();
        table.add_row([
            kind.words(),
            channel.to_string(),
            cause,
            list.len().to_string(),
            samples.join(", "),
        ]);
    }
    present::print_table(&table);
    say_line!("All of them: --rows");
}

fn print_totals(viewer: &Viewer, preview: &Preview) {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let n = preview.messages.len();
    let by = |channel| {
        preview
            .messages
            .iter()
            .filter(|p| p.channel == channel)
            .count()
    };
    let orders: std::collections::BTreeSet<&String> = preview
        .messages
        .iter()
        .flat_map(|p| &p.order_numbers)
        .collect();
    let quiet = count(preview.n_quiet(), "order stays quiet", "orders stay quiet");
    if n == 0 {
        say_line!(
            "Nothing to send. {quiet}{}",
            if preview.quiet.is_empty() { "." } else { ":" }
        );
    } else {
        say_line!(
            "{} about {}: {}, {}. {quiet}{}",
            count(n, "message", "messages"),
            count(orders.len(), "order", "orders"),
            count(by(ChannelName::Email), "e-mail", "e-mails"),
            count(by(ChannelName::Sms), "text", "texts"),
            if preview.quiet.is_empty() { "." } else { ":" }
        );
    }
    let mut reasons: Vec<_> = preview.quiet.values().collect();
    reasons.sort_by_key(|(n, ..)| std::cmp::Reverse(*n));
    for (n, number, first) in reasons {
        match n {
            1 => {
                let particulars = present::reason(&first.reason, zone, today);
                say_line!("  {n:>4}  {number}: {particulars}");
            }
            n => say_line!("  {n:>4}  {}", first.reason.words()),
        }
    }
}
