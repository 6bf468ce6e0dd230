//! Setting and clearing a date, and saying what it changes.

use super::{ClearArgs, ScopeArgs, SetArgs, doubtful, scope_words};
use crate::app::App;
use crate::cli::context::Context;
use crate::cli::present::{self, capital, count, say, shell_word, table, table_text};
use crate::cli::{Ended, Usage, pick};
use crate::config::SecretUse;
use crate::domain::eta::Eta;
use crate::domain::mirror::{EtaChange, StoredLine};
use crate::wiring;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

/// Lines that are named one by one.
const NAMED_MAX: usize = 20;

/// What a date is for: as stored, and as people call it.
struct Target {
    scope: &'static str,
    key: String,
    called: String,
}

impl Target {
    /// `SKU TP-100-BL`
    fn words(&self) -> String {
        format!("{} {}", scope_words(self.scope), self.called)
    }
}

async fn target(app: &App, args: &ScopeArgs) -> anyhow::Result<Target> {
    let plain = |scope, text: &str| Target {
        scope,
        key: text.trim().to_owned(),
        called: text.trim().to_owned(),
    };
    let target = match args {
        ScopeArgs {
            order: Some(text), ..
        } => {
            let order = pick::order(&app.viewer, text).await?.order;
            Target {
                scope: "order",
                key: order.key,
                called: order.number,
            }
        }
        ScopeArgs {
            line: Some(text), ..
        } => plain("line", text),
        ScopeArgs { sku, .. } => plain("sku", sku.as_deref().unwrap_or_default()),
    };
    if target.key.is_empty() {
        return Err(Usage(format!("--{} needs a value", target.scope)).into());
    }
    Ok(target)
}

/// The lines a target covers, as they were before.
struct Covered {
    lines: HashMap<String, StoredLine>,
    numbers: HashMap<String, String>,
    /// A date was set for the very target.
    had_claim: bool,
}

async fn covered(app: &App, target: &Target) -> anyhow::Result<Covered> {
    let read = &app.viewer.read;
    let Some(shop) = read.shop_id(&app.settings().shop_key).await? else {
        return Ok(Covered {
            lines: HashMap::new(),
            numbers: HashMap::new(),
            had_claim: false,
        });
    };
    let key = target.key.as_str();
    let only = |scope: &str| -> Vec<&str> {
        [key]
            .into_iter()
            .filter(|_| target.scope == scope)
            .collect()
    };
    let lines = read
        .lines_under_claims(shop, &only("sku"), &only("line"), &only("order"))
        .await?;
    let keys: Vec<&str> = lines.values().map(|l| l.order_key.as_str()).collect();
    let numbers = read.order_numbers(shop, &keys).await?;
    let had_claim = read
        .claims(shop)
        .await?
        .iter()
        .any(|c| c.scope == target.scope && c.key == target.key);
    Ok(Covered {
        lines,
        numbers,
        had_claim,
    })
}

#[derive(Serialize)]
struct Answer<'a> {
    scope: &'static str,
    key: &'a str,
    /// Absent when a date was taken back.
    eta: Option<Eta>,
    open_lines: usize,
    changed: Vec<Changed<'a>>,
}

#[derive(Serialize)]
struct Changed<'a> {
    order: &'a str,
    line: &'a str,
    sku: Option<&'a str>,
    was: Eta,
    now: Eta,
}

impl Covered {
    fn changed<'a>(&'a self, changes: &'a [EtaChange]) -> Vec<Changed<'a>> {
        changes
            .iter()
            .filter_map(|change| {
                let line = self.lines.get(&change.line_key)?;
                let order = self.numbers.get(&line.order_key);
                Some(Changed {
                    order: order.map_or(line.order_key.as_str(), String::as_str),
                    line: &change.line_key,
                    sku: line.sku.as_deref(),
                    was: line.eta,
                    now: change.eta,
                })
            })
            .collect()
    }
}

async fn app(context: &Context) -> anyhow::Result<App> {
    let config = context.config(SecretUse::LeaveOut)?;
    wiring::require_database(&config).await?;
    Ok(wiring::app(&config).await?)
}

pub async fn set(context: &Context, args: SetArgs) -> anyhow::Result<Ended> {
    let app = app(context).await?;
    let target = target(&app, &args.scope).await?;
    let today = app.viewer.today();
    if !args.yes {
        doubtful(args.date, today, app.policy().belief.ahead_days_max)?;
    }
    let reason = args.reason.map(|r| r.trim().to_owned());
    let reason = reason.filter(|r| !r.is_empty());
    let before = covered(&app, &target).await?;
    let changes = app
        .set_eta(
            target.scope,
            &target.key,
            Some((args.date, reason)),
            &context.by(),
        )
        .await?;
    let changed = before.changed(&changes);
    if context.json {
        context.print_json(&Answer {
            scope: target.scope,
            key: &target.key,
            eta: Some(args.date),
            open_lines: before.lines.len(),
            changed,
        })?;
        return Ok(Ended::Done);
    }
    let date = match args.date {
        Eta::Unknown => "has no date now".to_owned(),
        eta => format!("should ship {} now", present::eta(eta, today)),
    };
    let mut text = format!("{} {date}: ", capital(&target.words()));
    text.push_str(&effect(&before, &changed, &app));
    let _ = writeln!(
        text,
        "It beats what the shop's data say, until: backorderd eta clear --{} {}",
        target.scope,
        shell_word(&target.called)
    );
    say(&text)?;
    Ok(Ended::Done)
}

pub async fn clear(context: &Context, args: ClearArgs) -> anyhow::Result<Ended> {
    let app = app(context).await?;
    let target = target(&app, &args.scope).await?;
    let before = covered(&app, &target).await?;
    let changes = app
        .set_eta(target.scope, &target.key, None, &context.by())
        .await?;
    let changed = before.changed(&changes);
    let ended = if before.had_claim {
        Ended::Done
    } else {
        Ended::Failed
    };
    if context.json {
        context.print_json(&Answer {
            scope: target.scope,
            key: &target.key,
            eta: None,
            open_lines: before.lines.len(),
            changed,
        })?;
        return Ok(ended);
    }
    if !before.had_claim {
        say(&format!(
            "No date is set for {}; see `backorderd eta list`.\n",
            target.words()
        ))?;
        return Ok(ended);
    }
    let mut text = format!("The date set for {} is gone: ", target.words());
    text.push_str(&effect(&before, &changed, &app));
    say(&text)?;
    Ok(ended)
}

/// How much changes, line by line where that can be read.
fn effect(before: &Covered, changed: &[Changed<'_>], app: &App) -> String {
    let today = app.viewer.today();
    let n_covered = before.lines.len();
    if n_covered == 0 {
        return "no open line is concerned at present.\n".to_owned();
    }
    let moved: Vec<&Changed<'_>> = changed.iter().filter(|c| c.was != c.now).collect();
    let orders: BTreeSet<&str> = moved.iter().map(|c| c.order).collect();
    let mut text = if moved.is_empty() {
        format!(
            "{} had that date already{}.\n",
            count(n_covered, "open line", "open lines"),
            match changed.len() {
                0 => "",
                _ => "; now a person stands behind it",
            }
        )
    } else {
        format!(
            "{} of {} {}.\n\n",
            count(moved.len(), "line", "lines"),
            count(orders.len(), "order", "orders"),
            if moved.len() == 1 {
                "changes"
            } else {
                "change"
            }
        )
    };
    if !moved.is_empty() {
        let mut rows = table(&["ORDER", "LINE", "SKU", "WAS", "NOW"]);
        for c in moved.iter().take(NAMED_MAX) {
            rows.add_row([
                c.order.to_owned(),
                c.line.to_owned(),
                c.sku.unwrap_or_default().to_owned(),
                present::eta(c.was, today),
                present::eta(c.now, today),
            ]);
        }
        text.push_str(&table_text(&rows));
        if moved.len() > NAMED_MAX {
            let _ = writeln!(text, "... and {} more", moved.len() - NAMED_MAX);
        }
        text.push('\n');
    }
    let confirmed = changed.len() - moved.len();
    let untouched = n_covered - changed.len();
    if confirmed > 0 && !moved.is_empty() {
        let _ = writeln!(
            text,
            "{} had that date already.",
            count(confirmed, "line", "lines")
        );
    }
    if untouched > 0 && !moved.is_empty() {
        let _ = writeln!(
            text,
            "{} as before: the same date, or one set more closely for line or order.",
            count(untouched, "line stays", "lines stay")
        );
    }
    if !moved.is_empty() {
        text.push_str(
            "Customers hear of it by the usual rules; who and when: backorderd run --dry-run\n",
        );
    }
    text
}
