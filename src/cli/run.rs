//! `backorderd run`: a send run by hand.
//!
//! The dry run and the run show the same table, made by the same code; the dry
//! run holds nothing that could write or send.

use crate::app::hold_file;
use crate::app::manual::{Describe, Preview, PreviewMessage, RunReport, SentBy};
use crate::app::review::Selection;
use crate::app::{App, Viewer};
use crate::cli::context::Context;
use crate::cli::present::{self, count};
use crate::cli::{Ended, Usage};
use crate::domain::ids::OrderId;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::statement::{Change, LineStatement, MessageFacts, Statement};
use crate::domain::time::Instant;
use crate::store::read::lists::OrderFilter;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use tokio_util::sync::CancellationToken;

/// Above so many messages they are grouped by cause.
const ROWS_MAX: usize = 30;
/// Orders named per cause.
const SAMPLES: usize = 3;
/// Orders taken for `--sku` at most.
const ORDERS_MAX: u32 = 1_000_000;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    backorderd run --dry-run             who would hear what, and why the others would not\n  \
    backorderd run --dry-run --show 1042 the words of one order's messages\n  \
    backorderd run delay shipped         only these kinds\n  \
    backorderd run --yes                 without asking; the storm brake still holds\n\n\
    A run plans every open order, asks for the number of messages, writes them and sees them out: \
    by the daemon if one runs, else by itself. Deferred messages are not a failure.")]
pub struct Args {
    /// Kinds to send: confirmation, delay, update ...; all without any
    #[arg(value_name = "KIND")]
    kinds: Vec<String>,
    /// Only this order (number, shop id or customer's address)
    #[arg(long, value_name = "N")]
    order: Option<String>,
    /// Only orders with this SKU
    #[arg(long, value_name = "S")]
    sku: Option<String>,
    /// Show who would hear what; store and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the words of this order's messages
    #[arg(long, value_name = "N")]
    show: Option<String>,
    /// At most so many messages
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// List every message, however many
    #[arg(long)]
    rows: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub async fn run(context: &Context, args: Args) -> anyhow::Result<Ended> {
    let kinds = args
        .kinds
        .iter()
        .map(|text| {
            Kind::parse(text).ok_or_else(|| {
                let all: Vec<&str> = Kind::ALL.iter().map(|k| k.as_str()).collect();
                Usage(format!(
                    "there is no kind `{text}`; the kinds are {}",
                    all.join(", ")
                ))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if args.dry_run || args.show.is_some() {
        // A read-only store and no channels: this cannot write or send.
        let viewer = context.viewer().await?;
        let selection = selection(&viewer, &args, kinds).await?;
        let keep_facts = context.json || args.show.is_some();
        let preview = preview(&viewer, &selection, keep_facts).await?;
        return match &args.show {
            Some(number) => show(&viewer, &preview, number),
            None if context.json => {
                context.print_json(&preview_json(&viewer, &preview))?;
                Ok(Ended::Done)
            }
            None => {
                print_preview(&viewer, &preview, true, args.rows).await?;
                Ok(Ended::Done)
            }
        };
    }
    let app = context.sender().await?;
    app.require_live_act().await?;
    let selection = selection(&app.viewer, &args, kinds).await?;
    let preview = preview(&app.viewer, &selection, false).await?;
    if !context.json {
        print_preview(&app.viewer, &preview, false, args.rows).await?;
    }
    if !args.yes && !preview.messages.is_empty() && !agreed(context, preview.messages.len())? {
        eprintln!("Nothing was sent.");
        return Ok(Ended::Failed);
    }
    let report = send(&app, context, &selection, &preview).await?;
    if context.json {
        context.print_json(&report_json(&report))?;
    } else {
        print_report(&app, &report);
    }
    let failed = report.delivery.failed > 0 || !report.failed.is_empty();
    Ok(if failed { Ended::Failed } else { Ended::Done })
}

async fn selection(viewer: &Viewer, args: &Args, kinds: Vec<Kind>) -> anyhow::Result<Selection> {
    let mut orders: Option<Vec<OrderId>> = None;
    if let Some(text) = &args.order {
        let found = viewer.read.find_orders(text, None).await?;
        if found.is_empty() {
            return Err(Usage(format!("there is no order {text}")).into());
        }
        orders = Some(found);
    }
    if let Some(sku) = &args.sku {
        let filter = OrderFilter {
            sku: Some(sku.clone()),
            ..OrderFilter::default()
        };
        let mut found: Vec<OrderId> = viewer
            .read
            .orders(&filter, ORDERS_MAX)
            .await?
            .iter()
            .map(|row| row.id)
            .collect();
        if let Some(orders) = &orders {
            found.retain(|id| orders.contains(id));
        }
        orders = Some(found);
    }
    if let Some(orders) = &mut orders {
        orders.sort_unstable();
    }
    Ok(Selection {
        kinds,
        orders,
        limit: args.limit,
    })
}

async fn preview(
    viewer: &Viewer,
    selection: &Selection,
    keep_facts: bool,
) -> anyhow::Result<Preview> {
    let bar = bar(viewer.read.count_open_orders().await?, "looking at orders");
    let words = |facts: &MessageFacts| (what_it_says(facts, viewer), cause_of(facts, viewer));
    let describe = Describe {
        words: &words,
        keep_facts,
    };
    let preview = viewer
        .preview(selection, &describe, |n| bar.set_position(n as u64))
        .await?;
    bar.finish_and_clear();
    Ok(preview)
}

fn bar(total: u64, what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(what)
}

fn agreed(context: &Context, n: usize) -> anyhow::Result<bool> {
    let question = format!(
        "Type {n} to send {}:",
        if n == 1 {
            "this message"
        } else {
            "these messages"
        }
    );
    match context.ask(&question) {
        Some(answer) => Ok(answer == n.to_string()),
        None => Err(Usage(
            "nobody can be asked here; look at `backorderd run --dry-run`, then use --yes".into(),
        )
        .into()),
    }
}

// ---- the table ----

async fn print_preview(
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
    anstream::println!(
        "{}    mode: {}    {} {}",
        present::styled(present::HEAD, head),
        settings.reach.as_str(),
        present::moment(now, zone, today),
        zone.name()
    );
    println!("{}", circumstances(viewer, preview).await?);
    println!();
    if !preview.messages.is_empty() {
        if preview.messages.len() > ROWS_MAX && !all_rows {
            print_causes(preview);
        } else {
            print_rows(viewer, preview);
        }
        println!();
    }
    print_totals(viewer, preview);
    if dry && let Some(first) = preview.messages.first() {
        println!();
        println!(
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
    for (name, _, at, _) in viewer.read.sources().await? {
        match at {
            Some(at) => parts.push(format!("Feed \"{name}\" read {}.", ago(now, at))),
            None => parts.push(format!("Feed \"{name}\" never read completely.")),
        }
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

fn notice(p: &PreviewMessage) -> String {
    match p.milestone_days {
        Some(days) => format!("{} day {days}", p.kind.words()),
        None => p.kind.words(),
    }
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

/// One line on what a message says: the line that made it speak first.
fn what_it_says(facts: &MessageFacts, viewer: &Viewer) -> String {
    let mut text = facts
        .orders
        .first()
        .map(|order| says(order, viewer))
        .unwrap_or_default();
    if facts.orders.len() > 1 {
        text.push_str(&format!(" (and {} more orders)", facts.orders.len() - 1));
    }
    text
}

fn says(order: &Statement, viewer: &Viewer) -> String {
    let today = viewer.today();
    let newsworthy = |line: &&LineStatement| match order.kind {
        Kind::Shipped => line.shipped_now.is_positive(),
        Kind::Cancelled => line.cancelled_now.is_positive(),
        Kind::Delay => line.change == Change::Later,
        Kind::Sooner => line.change == Change::Sooner,
        Kind::DateWithdrawn => line.change == Change::Withdrawn,
        Kind::Overdue => line.change == Change::Overdue,
        Kind::DateSet => line.change == Change::Set,
        Kind::Confirmation => line.change == Change::New,
        Kind::Update => true,
    };
    let Some(line) = order
        .lines
        .iter()
        .find(newsworthy)
        .or_else(|| order.lines.first())
    else {
        return String::new();
    };
    let more = order
        .lines
        .iter()
        .filter(newsworthy)
        .count()
        .saturating_sub(1);
    let item = match line.ordered.whole() {
        Some(1) => line.name.clone(),
        _ => format!("{} x{}", line.name, line.ordered),
    };
    let date = line.promise.map(|p| present::eta(p, today));
    let told = line.told.map(|t| present::eta(t.promise, today));
    let body = match (order.kind, date, told) {
        (Kind::Shipped, date, _) => {
            let rest = match date {
                Some(date) if line.waiting.is_positive() => format!("; {} on {date}", line.waiting),
                _ if line.waiting.is_positive() => format!("; {} to come", line.waiting),
                _ => String::new(),
            };
            format!("{} of {}{rest}", line.shipped, line.ordered)
        }
        (Kind::Cancelled, ..) => format!("{} of {} cancelled", line.cancelled, line.ordered),
        (Kind::Overdue, _, Some(told)) => format!("{told} has passed, no date"),
        (Kind::Confirmation, Some(date), _) if date != "no date" => format!("should ship {date}"),
        (Kind::Confirmation, ..) => "waiting, no date yet".to_owned(),
        (Kind::Update, Some(date), _) if line.change == Change::Unchanged => {
            format!("{date}, unchanged")
        }
        (_, Some(date), Some(told)) => format!("{told} -> {date}"),
        (_, Some(date), None) => date,
        (_, None, _) => "nothing about the date".to_owned(),
    };
    let more = if more > 0 {
        format!(" (+{more} more)")
    } else {
        String::new()
    };
    format!("{item}: {body}{more}")
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
    println!("All of them: --rows");
}

fn cause_of(facts: &MessageFacts, viewer: &Viewer) -> String {
    let Some(order) = facts.orders.first() else {
        return String::new();
    };
    let today = viewer.today();
    let changed = |l: &&LineStatement| !matches!(l.change, Change::Unchanged | Change::NotStated);
    let Some(line) = order
        .lines
        .iter()
        .find(changed)
        .or_else(|| order.lines.first())
    else {
        return String::new();
    };
    let item = line.sku.clone().unwrap_or_else(|| line.name.clone());
    match (line.told, line.promise) {
        (Some(told), Some(now)) if told.promise != now => {
            format!(
                "{item} {} -> {}",
                present::eta(told.promise, today),
                present::eta(now, today)
            )
        }
        (_, Some(now)) => format!("{item} {}", present::eta(now, today)),
        (_, None) => item,
    }
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
        println!(
            "Nothing to send. {quiet}{}",
            if preview.quiet.is_empty() { "." } else { ":" }
        );
    } else {
        println!(
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
                println!("  {n:>4}  {number}: {particulars}");
            }
            n => println!("  {n:>4}  {}", first.reason.words()),
        }
    }
}

// ---- the words of one order ----

fn show(viewer: &Viewer, preview: &Preview, number: &str) -> anyhow::Result<Ended> {
    let number = number.trim().trim_start_matches('#');
    let mut shown = 0;
    for p in &preview.messages {
        if !p
            .order_numbers
            .iter()
            .any(|n| n.trim_start_matches('#') == number)
        {
            continue;
        }
        shown += 1;
        let Some(facts) = &p.facts else { continue };
        println!("--- {} by {} to {} ---", notice(p), p.channel, p.to);
        match p.channel {
            ChannelName::Email => {
                let mail = viewer.templates.render_email(facts, viewer.today())?;
                println!("Subject:   {}", mail.subject);
                println!("Preheader: {}\n", mail.preheader);
                println!("{}", mail.text);
            }
            ChannelName::Sms => {
                let sms = viewer.templates.render_sms(facts, viewer.today())?;
                println!(
                    "{}\n({})",
                    sms.text,
                    count(sms.size.segments, "segment", "segments")
                );
            }
        }
    }
    if shown == 0 {
        let quiet = preview
            .silent
            .iter()
            .find(|(n, _)| n.trim_start_matches('#') == number);
        match quiet {
            Some((_, verdicts)) => {
                let (zone, today) = (viewer.settings.shop.zone, viewer.today());
                println!("Order {number} stays quiet:");
                for verdict in verdicts {
                    println!("  {}", present::reason(&verdict.reason, zone, today));
                }
            }
            None => {
                eprintln!("backorderd: no open order {number}: backorderd orders show {number}");
                return Ok(Ended::Failed);
            }
        }
    }
    Ok(Ended::Done)
}

// ---- sending ----

async fn send(
    app: &App,
    context: &Context,
    selection: &Selection,
    preview: &Preview,
) -> anyhow::Result<RunReport> {
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("\nstopping: what is on its way ends first");
            asked.cancel();
        }
    });
    let bar = bar(preview.messages.len() as u64, "sending");
    let by = context.by();
    let report = app
        .run_by_hand(selection, preview, &by, &stop, |n| {
            bar.set_position(n as u64);
        })
        .await?;
    bar.finish_and_clear();
    Ok(report)
}

fn print_report(app: &App, report: &RunReport) {
    if report.review.messages == 0 {
        println!("Run {}: nothing to send.", report.run);
        return;
    }
    if report.held {
        anstream::println!(
            "{} run {}: {} for your approval.\nLook: backorderd runs show {run}   Send: backorderd \
             runs approve {run}",
            present::styled(present::WAITS, "HELD"),
            report.run,
            count(report.review.held, "message waits", "messages wait"),
            run = report.run
        );
    }
    let d = &report.delivery;
    let mut parts = vec![format!("{} sent", d.sent)];
    for (n, words) in [
        (d.deferred, "put off by the relay, tried again later"),
        // The rest waits for its hour: the planner's, or a text's at night.
        (report.later.saturating_sub(d.deferred), "go out later"),
        (d.failed, "failed"),
        (d.in_doubt, "in doubt: may have gone out"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {words}"));
        }
    }
    let style = if d.failed > 0 {
        present::BAD
    } else {
        present::GOOD
    };
    anstream::println!(
        "{} run {}: {}.",
        present::styled(style, if d.failed > 0 { "FAILED" } else { "DONE" }),
        report.run,
        parts.join(", ")
    );
    if let Some(SentBy::Daemon(pid)) = report.sent_by {
        let pid = pid
            .map(|pid| format!(" (process {pid})"))
            .unwrap_or_default();
        println!("Sent by the daemon{pid}.");
    }
    for m in &report.failed {
        println!(
            "  {} order {}: {}",
            m.no,
            m.orders.join(", "),
            m.settled_by
                .as_deref()
                .or(m.last_reply.as_deref())
                .unwrap_or("no reason recorded")
        );
    }
    if app.settings().reach.as_str() == "sandbox" {
        println!("Mode: sandbox. No customer was written to.");
    }
}

// ---- JSON ----

fn preview_json(viewer: &Viewer, preview: &Preview) -> serde_json::Value {
    let messages: Vec<_> = preview
        .messages
        .iter()
        .map(|p| {
            json!({
                "orders": p.order_numbers,
                "to": p.to,
                "channel": p.channel,
                "kind": p.kind,
                "says": p.says,
                "due_at": p.due_at,
                "facts": p.facts.as_ref().map(|facts| &facts.orders),
            })
        })
        .collect();
    let quiet: Vec<_> = preview
        .silent
        .iter()
        .map(|(number, verdicts)| json!({ "order": number, "verdicts": verdicts }))
        .collect();
    json!({
        "mode": viewer.settings.reach.as_str(),
        "at": viewer.now(),
        "orders": preview.orders,
        "brake": { "recent": preview.brake.0, "limit": preview.brake.1 },
        "messages": messages,
        "quiet": quiet,
    })
}

fn report_json(report: &RunReport) -> serde_json::Value {
    json!({
        "run": report.run,
        "held": report.held,
        "orders": report.review.orders,
        "messages": report.review.messages,
        "failed_messages": report.failed,
        "sent": report.delivery.sent,
        "deferred": report.delivery.deferred,
        "out_of_hours": report.delivery.out_of_hours,
        "failed": report.delivery.failed,
        "in_doubt": report.delivery.in_doubt,
        "quiet": report.review.quiet,
    })
}
