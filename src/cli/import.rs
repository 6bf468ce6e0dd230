//! `backorderd import`: order lines and dates from files.
//!
//! Whole file or nothing, unless `--skip-bad`. All files are read and judged
//! before the first one is written.

use crate::app::sync::{Intake, first_sight};
use crate::app::{AppError, Viewer};
use crate::cli::context::Context;
use crate::cli::present::{self, count};
use crate::cli::{Ended, Usage};
use crate::config::{Config, SecretUse};
use crate::domain::mirror::{MirrorChanges, MirrorCounts};
use crate::domain::row::Row;
use crate::domain::time::Length;
use crate::source::column_map::ColumnMap;
use crate::source::dates::DateOrder;
use crate::source::rejects::write_rejects;
use crate::source::{
    self, ColumnUse, FileKind, FileProblem, Format, ParseOptions, ParsedFile, Rejection, Warning,
};
use crate::wiring;
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

/// Rejected rows shown on the terminal; all of them are in the reject file.
const SHOWN_MAX: usize = 10;
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

/// A file that was read.
struct ReadFile {
    name: String,
    path: Option<PathBuf>,
    parsed: ParsedFile,
}

pub async fn run(context: &Context, args: Args) -> anyhow::Result<Ended> {
    let config = context.config(SecretUse::LeaveOut)?;
    let options = options(&args, &config)?;
    let mut files = Vec::with_capacity(args.files.len());
    for path in &args.files {
        match read(path, &options)? {
            Ok(file) => files.push(file),
            Err((name, problem)) => {
                eprintln!("{}", file_problem(&name, &problem));
                return Ok(Ended::Failed);
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
        eprintln!(
            "Nothing was taken in: {}. Correct them, or take the good rows with --skip-bad.",
            count(n_rejected, "row is not usable", "rows are not usable")
        );
        return Ok(Ended::Failed);
    }
    if args.dry_run {
        return dry_run(context, &config, &args, &files).await;
    }
    take(context, &config, &args, &files).await
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

type Unreadable = (String, FileProblem);

fn read(path: &Path, options: &ParseOptions) -> anyhow::Result<Result<ReadFile, Unreadable>> {
    let stdin = path.as_os_str() == "-";
    let name = if stdin {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let mut bytes = Vec::new();
    if stdin {
        std::io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    }
    .with_context(|| format!("cannot read {name}"))?;
    let bar = progress(bytes.len() as u64, "reading");
    let parsed = source::parse(&bytes, &name, options, &mut |done| bar.set_position(done));
    bar.finish_and_clear();
    let path = (!stdin).then(|| path.to_owned());
    Ok(match parsed {
        Ok(parsed) => Ok(ReadFile { name, path, parsed }),
        Err(problem) => Err((name, problem)),
    })
}

fn progress(total: u64, what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}%")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(what)
}

impl ReadFile {
    fn remarks(&self) -> (&[Rejection], &[Warning]) {
        match &self.parsed {
            ParsedFile::Lines(p) => (&p.rejected, &p.warnings),
            ParsedFile::Etas(p) => (&p.rejected, &p.warnings),
        }
    }

    /// The rejected rows with the order number where it can be read, so that
    /// whoever searches the order later finds out why it is not there.
    fn rejected_orders(&self) -> Vec<(u64, Option<String>, String)> {
        let ParsedFile::Lines(parsed) = &self.parsed else {
            return Vec::new();
        };
        parsed
            .rejected
            .iter()
            .map(|r| {
                let number = order_number(&r.raw, &parsed.columns, parsed.format);
                (r.line, number, r.reason.clone())
            })
            .collect()
    }
}

fn order_number(raw: &str, columns: &[ColumnUse], format: Format) -> Option<String> {
    let number = match format {
        Format::Csv { delimiter } => {
            let index = columns
                .iter()
                .position(|c| c.field == Some("order_number"))?;
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .delimiter(u8::try_from(delimiter).ok()?)
                .from_reader(raw.as_bytes());
            let record = reader.records().next()?.ok()?;
            record.get(index)?.trim().to_owned()
        }
        Format::Ndjson => {
            let header = &columns
                .iter()
                .find(|c| c.field == Some("order_number"))?
                .header;
            let value: serde_json::Value = serde_json::from_str(raw).ok()?;
            match value.get(header)? {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            }
        }
    };
    (!number.is_empty()).then(|| number.trim_start_matches('#').to_owned())
}

fn place(name: &str, line: Option<u64>, column: Option<usize>, field: Option<&str>) -> String {
    let mut text = name.to_owned();
    if let Some(line) = line {
        text.push_str(&format!(":{line}"));
    }
    if let Some(column) = column {
        text.push_str(&format!(":{column}"));
    }
    if let Some(field) = field {
        text.push_str(&format!(" ({field})"));
    }
    text
}

fn file_problem(name: &str, problem: &FileProblem) -> String {
    let at = place(name, problem.line, problem.column, problem.field.as_deref());
    format!(
        "{at}: {}\n  {}\nNothing was taken in.",
        problem.what, problem.cure
    )
}

fn print_warnings(name: &str, warnings: &[Warning]) {
    for warning in warnings {
        let field = warning
            .field
            .as_ref()
            .map(|f| format!(" ({f})"))
            .unwrap_or_default();
        let lines: Vec<String> = warning
            .lines
            .iter()
            .take(3)
            .map(ToString::to_string)
            .collect();
        let lines = match (lines.is_empty(), warning.times as usize > lines.len()) {
            (true, _) => String::new(),
            (false, true) => format!(" [lines {}, ... {} times]", lines.join(", "), warning.times),
            (false, false) => format!(" [line {}]", lines.join(", ")),
        };
        anstream::eprintln!(
            "{} {name}{field}: {}; {}{lines}",
            present::styled(present::WAITS, "note"),
            warning.what,
            warning.cure
        );
    }
}

fn print_rejected(name: &str, rejected: &[Rejection]) {
    for r in rejected.iter().take(SHOWN_MAX) {
        anstream::eprintln!(
            "{} {}: {}\n     {}",
            present::styled(present::BAD, "bad"),
            place(name, Some(r.line), r.column, r.field.as_deref()),
            r.reason,
            r.cure
        );
    }
    if rejected.len() > SHOWN_MAX {
        eprintln!("... and {} more", rejected.len() - SHOWN_MAX);
    }
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
        println!("... and {} more rows", rows.len() - SAMPLE);
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
                let intake = Intake {
                    source: source_name(&file.path),
                    source_kind: "file".to_owned(),
                    announce: args.announce,
                    complete: !args.partial && parsed.rejected.is_empty(),
                    rejected: file.rejected_orders(),
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
    if context.json {
        context.print_json(&counts)?;
        return Ok(Ended::Done);
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
    Ok(Ended::Done)
}

fn source_name(path: &Option<PathBuf>) -> String {
    path.as_ref().and_then(|path| path.file_name()).map_or_else(
        || "standard input".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Writes the rejected rows beside their file, for its owner alone.
fn write_reject_file(file: &ReadFile, rejected: &[Rejection]) -> anyhow::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if rejected.is_empty() {
        return Ok(());
    }
    let mut name = match &file.path {
        Some(path) => path.as_os_str().to_owned(),
        None => "standard-input".into(),
    };
    name.push(".rejected.csv");
    let path = PathBuf::from(name);
    let mut out = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    write_rejects(rejected, &mut out)?;
    eprintln!(
        "{} not taken in, with the reasons: {}",
        count(rejected.len(), "row was", "rows were"),
        path.display()
    );
    Ok(())
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
    let table = viewer.forecast(now.plus(Length::days(14))).await?;
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
    println!(
        "Next: {when}, {channel} {} for order {number}.",
        kind.words()
    );
    println!(
        "In the next 14 days, if nothing changes: {} (backorderd forecast).",
        count(total, "message", "messages")
    );
    if viewer.settings.reach.as_str() == "sandbox" {
        println!("Mode: sandbox. No customer is written to before `backorderd live`.");
    }
    Ok(())
}
