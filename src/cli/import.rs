//! `backorderd import`: order lines and dates from files.
//!
//! Whole file or nothing, unless `--skip-bad`. All files are read and judged
//! before the first one is written.

mod input;
mod refused;
mod remarks;

use self::input::{ReadFile, progress, read, source_name};
use self::refused::{Refusals, cut_off, note_old};
use self::remarks::{file_problem, print_rejected, print_warnings, write_reject_file};

use crate::app::live::LOOK_AHEAD_DAYS;
use crate::app::sync::{Intake, first_sight};
use crate::app::{AppError, Viewer};
use crate::cli::context::Context;
use crate::cli::present::{self, count};
use crate::cli::{Ended, Usage};
use crate::config::{Config, SecretUse};
use crate::domain::feed::FileMark;
use crate::domain::kinds::ChannelName;
use crate::domain::mirror::{MirrorChanges, MirrorCounts};
use crate::domain::row::Row;
use crate::source::column_map::ColumnMap;
use crate::source::dates::DateOrder;
use crate::source::{FileKind, ParseOptions, ParsedFile};
use crate::wiring;
use std::path::PathBuf;

/// Rows a dry run shows as understood.
const SAMPLE: usize = 5;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    backorderd import orders.csv\n  \
    backorderd import orders.csv --dry-run            five rows as understood, and what would change\n  \
    backorderd import supplier.csv --etas             dates by SKU: columns sku, from, to, reason\n  \
    shop-export | backorderd import -                 from standard input\n\n\
    The first import is a silent baseline: what waits already counts as told. Rows:\n  \
    line_id, order_number, status (waiting, shipped, cancelled), and what you have of email, phone,\n  \
    customer_name, sku, product_name, quantity, quantity_shipped, ordered_at, eta_from, eta_to ...")]
pub struct Args {
    /// CSV or NDJSON files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Show five rows as understood and what would change; write nothing
    #[arg(long)]
    dry_run: bool,
    /// Take the good rows and write the bad ones beside the file
    #[arg(long)]
    skip_bad: bool,
    /// The file is not everything the shop has; it does not count as a complete read
    #[arg(long)]
    partial: bool,
    /// The file is whole, though it looks cut off beside the one before
    #[arg(long)]
    fewer: bool,
    /// Confirm what is waiting already instead of taking it over silently
    #[arg(long)]
    announce: bool,
    /// How dates like 03/04/2027 are meant
    #[arg(long, value_name = "dmy|mdy")]
    dates: Option<String>,
    /// Another name of a column; may be given several times
    #[arg(long, value_name = "OURS=THEIRS")]
    map: Vec<String>,
    /// The files hold dates by SKU; found out from the columns without it
    #[arg(long)]
    etas: bool,
}

pub async fn run(context: &Context, args: Args) -> anyhow::Result<Ended> {
    let config = context.config(SecretUse::LeaveOut)?;
    let options = options(&args, &config)?;
    let refusals = Refusals {
        config: &config,
        is_dry: args.dry_run,
    };
    let mut files = Vec::with_capacity(args.files.len());
    for path in &args.files {
        let source = source_name(Some(path.as_path()).filter(|path| path.as_os_str() != "-"));
        match read(path, &options) {
            Ok(Ok(file)) => files.push(file),
            Ok(Err((name, problem))) => {
                eprintln!("{}", file_problem(&name, &problem));
                refusals.note(&source, &problem.what, Vec::new()).await?;
                return Ok(Ended::Failed);
            }
            Err(error) => {
                refusals.note_unreadable(&source).await?;
                return Err(error);
            }
        }
    }
    let mut n_rejected = 0;
    for file in &files {
        let (rejected, warnings) = file.remarks();
        print_warnings(&file.name, warnings);
        print_rejected(&file.name, rejected);
        n_rejected += rejected.len();
    }
    if n_rejected > 0 && !args.skip_bad {
        for file in &files {
            let rejected = file.rejected_rows();
            if !rejected.is_empty() {
                let why = not_usable(rejected.len());
                refusals.note(&file.source(), &why, rejected).await?;
            }
        }
        eprintln!(
            "Nothing was taken in: {}. Correct them, or take the good rows with --skip-bad.",
            not_usable(n_rejected)
        );
        return Ok(Ended::Failed);
    }
    if cut_off(&config, &args, &files, &refusals).await? {
        return Ok(Ended::Failed);
    }
    if args.dry_run {
        return dry_run(context, &config, &args, &files).await;
    }
    take(context, &config, &args, &files).await
}

fn not_usable(n: usize) -> String {
    count(n, "row is not usable", "rows are not usable")
}

fn options(args: &Args, config: &Config) -> anyhow::Result<ParseOptions> {
    let dates = match &args.dates {
        None => None,
        Some(text) => Some(DateOrder::parse(text).ok_or_else(|| {
            Usage(format!(
                "--dates is dmy (day first) or mdy (month first), not `{text}`"
            ))
        })?),
    };
    let map = ColumnMap::parse(&args.map).map_err(|bad| Usage(bad.to_string()))?;
    Ok(ParseOptions {
        shop_zone: config.shop.zone,
        shop_country: config.shop_country,
        shop_currency: config.shop_currency.clone(),
        dates,
        map,
        kind: args.etas.then_some(FileKind::Etas),
    })
}

/// Shows what would change; the database may not even exist.
async fn dry_run(
    context: &Context,
    config: &Config,
    args: &Args,
    files: &[ReadFile],
) -> anyhow::Result<Ended> {
    let viewer = match wiring::viewer(config).await {
        Ok(viewer) => Some(viewer),
        Err(wiring::WiringError::NoDatabase { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    println!("DRY RUN: nothing is written.");
    for file in files {
        match &file.parsed {
            ParsedFile::Lines(parsed) => {
                print_sample(&parsed.rows, config);
                let changes = match &viewer {
                    Some(viewer) => viewer.preview_rows(&parsed.rows, args.announce).await?,
                    None => {
                        let now = wiring::clock(config).now();
                        first_sight(&parsed.rows, &wiring::settings(config), args.announce, now)
                    }
                };
                if context.json {
                    context.print_json(&changes.counts)?;
                } else {
                    println!("{}", counts_words(&file.name, &changes, true));
                }
            }
            ParsedFile::Etas(parsed) => {
                let changed = match &viewer {
                    Some(viewer) => viewer.preview_etas(&parsed.rows).await?.len(),
                    None => 0,
                };
                let rows = count(parsed.rows.len(), "date", "dates");
                let lines = count(changed, "open line", "open lines");
                println!("{}: {rows} would change the date of {lines}.", file.name);
            }
        }
    }
    Ok(Ended::Done)
}

fn print_sample(rows: &[Row], config: &Config) {
    let today = wiring::clock(config).now().day_in(config.shop.zone);
    let mut table = present::table(&[
        "LINE",
        "ORDER",
        "STATUS",
        "ITEM",
        "QTY",
        "SHIP DATE",
        "WRITES TO",
    ]);
    for row in rows.iter().take(SAMPLE) {
        let to = match (&row.email, &row.phone) {
            (Some(email), _) => email.masked(),
            (None, Some(phone)) => phone.masked(),
            (None, None) => "nobody".to_owned(),
        };
        table.add_row([
            row.line_key.clone(),
            row.order_number.clone(),
            format!("{:?}", row.status).to_lowercase(),
            row.product_name
                .clone()
                .or_else(|| row.sku.clone())
                .unwrap_or_default(),
            row.ordered.to_string(),
            row.eta
                .map_or_else(|| "not said".to_owned(), |eta| present::eta(eta, today)),
            to,
        ]);
    }
    present::print_table(&table);
    if rows.len() > SAMPLE {
        println!(
            "... and {}",
            count(rows.len() - SAMPLE, "more row", "more rows")
        );
    }
}

async fn take(
    context: &Context,
    config: &Config,
    args: &Args,
    files: &[ReadFile],
) -> anyhow::Result<Ended> {
    let app = wiring::app(config).await?;
    let first_time = app.viewer.read.count_orders().await? == 0;
    let mut counts = Vec::new();
    for file in files {
        match &file.parsed {
            ParsedFile::Lines(parsed) => {
                let now = app.now();
                let intake = Intake {
                    source: file.source(),
                    source_kind: "file".to_owned(),
                    announce: args.announce,
                    complete: !args.partial && parsed.rejected.is_empty(),
                    mark: FileMark {
                        is_whole: !args.partial,
                        written_at: Some(file.written_at.map_or(now, |at| at.min(now))),
                        ends_line: file.ends_line,
                    },
                    rejected: file.rejected_rows(),
                };
                let spinner = progress(0, "writing");
                let changes = app.take_rows(&parsed.rows, &intake).await?;
                spinner.finish_and_clear();
                write_reject_file(file, &parsed.rejected)?;
                if !context.json {
                    println!("{}", counts_words(&file.name, &changes, false));
                }
                counts.push(changes.counts);
            }
            ParsedFile::Etas(parsed) => {
                let changed = app.take_etas(&parsed.rows, &context.by()).await?;
                write_reject_file(file, &parsed.rejected)?;
                let eta_changes = changed.len();
                if !context.json {
                    let dates = count(parsed.rows.len(), "date", "dates");
                    let lines = count(eta_changes, "open line has", "open lines have");
                    println!("{}: {dates} read, {lines} another date now.", file.name);
                }
                counts.push(MirrorCounts {
                    rows: parsed.rows.len(),
                    eta_changes,
                    ..MirrorCounts::default()
                });
            }
        }
    }
    // Rows that stay out are a failure to whoever only looks at the exit code.
    let left_out: usize = files.iter().map(|file| file.remarks().0.len()).sum();
    let ended = if left_out == 0 {
        Ended::Done
    } else {
        Ended::Failed
    };
    if context.json {
        context.print_json(&counts)?;
        return Ok(ended);
    }
    for file in files {
        note_old(&app.viewer, file);
    }
    if first_time && !args.announce {
        let adopted: usize = counts.iter().map(|c| c.adopted_orders).sum();
        println!(
            "First look: {} counted as told; nobody is written to about the past.",
            count(
                adopted,
                "order that waits already is",
                "orders that wait already are"
            )
        );
    }
    say_what_is_next(&app.viewer).await?;
    Ok(ended)
}

fn counts_words(name: &str, changes: &MirrorChanges, dry: bool) -> String {
    let c = &changes.counts;
    let rows = count(c.rows, "row", "rows");
    if c.unchanged == c.rows {
        return format!("{name}: {rows}, nothing new.");
    }
    let mut parts = Vec::new();
    let mut part = |n: usize, one: &str, many: &str| {
        if n > 0 {
            parts.push(count(n, one, many));
        }
    };
    part(c.new_orders, "new order", "new orders");
    part(c.new_lines, "new line", "new lines");
    part(c.changed_lines, "changed line", "changed lines");
    part(c.eta_changes, "other ship date", "other ship dates");
    part(c.newly_shipped, "line shipped more", "lines shipped more");
    part(
        c.newly_cancelled,
        "line was cancelled",
        "lines were cancelled",
    );
    part(c.unchanged, "unchanged", "unchanged");
    let would = if dry { "would be " } else { "" };
    format!("{name}: {rows} {would}read: {}.", parts.join(", "))
}

/// Ends an import: what the customers will hear first, and when.
async fn say_what_is_next(viewer: &Viewer) -> Result<(), AppError> {
    let now = viewer.now();
    let table = viewer.forecast(viewer.look_ahead(LOOK_AHEAD_DAYS)).await?;
    let zone = viewer.settings.shop.zone;
    let total: usize = table.days.values().flat_map(|kinds| kinds.values()).sum();
    let Some((at, number, kind, channel)) = table.first.first() else {
        println!("Nothing will be sent in the next 14 days unless something changes.");
        return Ok(());
    };
    let when = if *at <= now {
        "at the next run".to_owned()
    } else {
        present::moment(*at, zone, viewer.today())
    };
    let by = match channel {
        ChannelName::Email => "e-mail",
        ChannelName::Sms => "text",
    };
    println!("Next: {when}, order {number}: {} by {by}.", kind.words());
    println!(
        "In the next 14 days, if nothing changes: {} (backorderd forecast).",
        count(total, "message", "messages")
    );
    if viewer.settings.reach.as_str() == "sandbox" {
        println!("Mode: sandbox. No customer is written to before `backorderd live`.");
    }
    Ok(())
}
