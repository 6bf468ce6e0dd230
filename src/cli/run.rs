//! `backorderd run`: a send run by hand.
//!
//! The dry run and the run show the same table, made by the same code; the dry
//! run holds nothing that could write or send.

mod report;
mod show;
mod table;
mod words;

use self::report::{preview_json, print_report, report_json};
use self::show::show;
use self::table::print_preview;
use self::words::{cause_of, what_it_says};

use crate::app::manual::{Describe, Preview, RunReport};
use crate::app::review::Selection;
use crate::app::{App, Viewer};
use crate::cli::context::Context;
use crate::cli::present::{count, say_line};
use crate::cli::todo::broken_template;
use crate::cli::{Ended, Usage};
use crate::domain::ids::OrderId;
use crate::domain::kinds::Kind;
use crate::domain::statement::MessageFacts;
use crate::store::read::lists::OrderFilter;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use tokio_util::sync::CancellationToken;

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
        warn_of_templates(&viewer);
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
                say_waiting(waiting(&viewer, &selection).await?);
                Ok(Ended::Done)
            }
        };
    }
    let app = context.sender().await?;
    app.require_live_act().await?;
    warn_of_templates(&app.viewer);
    let selection = selection(&app.viewer, &args, kinds).await?;
    let preview = preview(&app.viewer, &selection, false).await?;
    let waiting = waiting(&app.viewer, &selection).await?;
    if !context.json {
        print_preview(&app.viewer, &preview, false, args.rows).await?;
        say_waiting(waiting);
    }
    let n = preview.messages.len() + waiting;
    if !args.yes && n > 0 && !agreed(context, n)? {
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

/// What goes out may not be the words the shop wrote.
fn warn_of_templates(viewer: &Viewer) {
    for broken in viewer.templates.broken() {
        eprintln!("a template cannot be used: {}", broken_template(&broken));
    }
}

/// Messages that were written earlier and that a run of everything sends, too.
async fn waiting(viewer: &Viewer, selection: &Selection) -> anyhow::Result<usize> {
    if !selection.is_whole() {
        return Ok(0);
    }
    let mode = viewer.read.mode().await?;
    let n = viewer.read.count_queued(mode, None, None).await?;
    Ok(usize::try_from(n).unwrap_or(usize::MAX))
}

fn say_waiting(n: usize) {
    if n > 0 {
        say_line!(
            "{} in the queue from earlier; what is due and still true goes out with it.",
            count(n, "message waits", "messages wait")
        );
    }
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
