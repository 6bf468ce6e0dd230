//! `backorderd audit`: is what is stored in order, and who did what.
//!
//! Without a word behind it the auditor looks: every promise the database
//! alone can tell, `ok` or `BROKEN`, at one moment and beside a daemon that
//! works. `audit list` is the operators' log.

use crate::app::Viewer;
use crate::cli::context::Context;
use crate::cli::present::{self, BAD, GOOD, say, say_line, styled};
use crate::cli::{Ended, Usage};
use crate::domain::time::{Instant, Length, at_time};
use crate::store::read::audit::{AuditFilter, AuditRow};
use crate::store::read::invariants::{Audited, Check, Numbers};
use chrono::{DateTime, NaiveDate, NaiveTime};
use chrono_tz::Tz;
use serde_json::{Value, json};

/// Numbers named for one broken promise.
const SHOWN: usize = 12;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd audit\n         backorderd audit list --since 7d\n\
    Exit code 1 when a promise is broken. It reads at one moment; the daemon may go on.",
    args_conflicts_with_subcommands = true
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Who did what, when and why, newest first
    #[command(after_help = "Example: backorderd audit list --since 2026-03-01 --actor anna")]
    List {
        /// Only from then on: 2026-03-02, 2026-03-02T14:00:00Z, 4h, 7d
        #[arg(long, value_name = "WHEN")]
        since: Option<String>,
        /// Only of this person
        #[arg(long, value_name = "NAME")]
        actor: Option<String>,
        /// Only acts of this sort: hold, release, live, suppress ...
        #[arg(long, value_name = "VERB")]
        verb: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
}

pub async fn run(context: &Context, args: Args) -> anyhow::Result<Ended> {
    match args.command {
        None => check(context).await,
        Some(Command::List {
            since,
            actor,
            verb,
            limit,
        }) => {
            let viewer = context.viewer().await?;
            let zone = viewer.settings.shop.zone;
            let since = match since.as_deref() {
                Some(text) => Some(moment(text, viewer.now(), zone).map_err(Usage)?),
                None => None,
            };
            let filter = AuditFilter {
                since,
                actor,
                verb,
                targets: None,
            };
            list(context, &viewer, &filter, limit).await
        }
    }
}

/// A moment in the past as people type it.
fn moment(text: &str, now: Instant, zone: Tz) -> Result<Instant, String> {
    let text = text.trim();
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(at_time(day, NaiveTime::MIN, zone));
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Instant::from_datetime(&at));
    }
    let unit = |n: i64, unit: char| match unit {
        'm' => Some(Length::mins(n)),
        'h' => Some(Length::hours(n)),
        'd' => Some(Length::days(n)),
        _ => None,
    };
    let back = text.chars().last().and_then(|last| {
        let n = text[..text.len() - last.len_utf8()].parse::<u16>().ok()?;
        unit(i64::from(n), last)
    });
    back.map(|back| now.minus(back)).ok_or_else(|| {
        format!("\"{text}\" is no moment; write 2026-03-02, 2026-03-02T14:00:00Z, 4h or 7d")
    })
}

async fn list(
    context: &Context,
    viewer: &Viewer,
    filter: &AuditFilter,
    limit: u32,
) -> anyhow::Result<Ended> {
    let mut rows = viewer.read.audit(filter, limit.saturating_add(1)).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    if context.json {
        context.print_json(&json!({ "entries": rows, "more": more }))?;
        return Ok(Ended::Done);
    }
    if rows.is_empty() {
        say_line!("Nobody did anything of that kind.");
        return Ok(Ended::Done);
    }
    say(&log(viewer, &rows))?;
    if more {
        say_line!("\nThere are more: --limit {}", limit.saturating_mul(4));
    }
    Ok(Ended::Done)
}

/// Acts as a table.
pub fn log(viewer: &Viewer, rows: &[AuditRow]) -> String {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let mut table = present::table(&["WHEN", "WHO", "DID", "TO", "WHY"]);
    for row in rows {
        let target = match row.target.split_once(':') {
            // A hash has no end that anybody reads.
            Some((channel, hash)) if hash.len() == 32 => format!("{channel}:{}", &hash[..12]),
            _ => row.target.clone(),
        };
        table.add_row([
            present::moment(row.at, zone, today),
            row.actor.clone(),
            row.verb.clone(),
            target,
            row.why.clone().unwrap_or_default(),
        ]);
    }
    present::table_text(&table)
}

async fn check(context: &Context) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let found = viewer.read.check_invariants().await?;
    let n_broken = found.checks.iter().filter(|c| !c.broken.is_empty()).count();
    if context.json {
        context.print_json(&as_json(&found))?;
    } else {
        print(&found, n_broken);
    }
    Ok(match n_broken {
        0 => Ended::Done,
        _ => Ended::Failed,
    })
}

fn as_json(found: &Audited) -> Value {
    let checks: Vec<Value> = found
        .checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name,
                "says": check.says,
                "ok": check.broken.is_empty(),
                "broken": check.broken.iter().map(|n| numbered(check, *n)).collect::<Vec<_>>(),
            })
        })
        .collect();
    let ok = found.checks.iter().all(|check| check.broken.is_empty());
    json!({ "ok": ok, "messages": found.messages, "checks": checks })
}

fn numbered(check: &Check, n: i64) -> String {
    match check.numbers {
        Numbers::Messages => format!("m{n}"),
        Numbers::Runs => format!("r{n}"),
        Numbers::Lines => format!("line {n}"),
    }
}

fn print(found: &Audited, n_broken: usize) {
    for check in &found.checks {
        let (name, says) = (check.name, check.says);
        if check.broken.is_empty() {
            say_line!("{}      {name:22}  {says}", styled(GOOD, "ok"));
            continue;
        }
        let shown = check.broken.iter().take(SHOWN);
        let mut numbers: Vec<String> = shown.map(|n| numbered(check, *n)).collect();
        if check.broken.len() > SHOWN {
            numbers.push(format!("and {} more", check.broken.len() - SHOWN));
        }
        say_line!("{}  {name:22}  {says}", styled(BAD, "BROKEN"));
        let numbers = numbers.join(", ");
        say_line!(
            "        {}",
            present::wrap(&numbers, 8, present::PROSE_WIDTH)
        );
    }
    let n = found.checks.len();
    let messages = usize::try_from(found.messages).unwrap_or(usize::MAX);
    let over = present::count(messages, "message", "messages");
    say_line!();
    match n_broken {
        0 => say_line!("{n} promises hold over {over}."),
        _ => say_line!(
            "{n_broken} of {n} promises are broken over {over}. Stop sending (backorderd hold), \
             make a backup, and look: backorderd messages show, backorderd evidence."
        ),
    }
}
