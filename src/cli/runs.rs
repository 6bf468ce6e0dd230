//! `backorderd runs`: what each run came to, and a person's yes or no to one
//! that waits.

use crate::app::Viewer;
use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::messages::parse_run;
use crate::cli::present::{self, Tone, cell, say_line};
use crate::domain::ids::{MessageNo, RunNo};
use crate::domain::kinds::Kind;
use crate::domain::message::MessageState;
use crate::domain::statement::{Change, LineStatement, MessageFacts};
use crate::store::read::lists::MessageFilter;
use crate::store::types::{MessageRow, RunRow, RunState};
use chrono::NaiveDate;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// Most messages of a run that are read to group them.
const GROUPED_MAX: u32 = 100_000;
/// Messages shown one by one; more are grouped.
const LISTED_MAX: usize = 30;
/// Orders named of each group.
const SAMPLES: usize = 3;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Runs, newest first
    #[command(after_help = "Example: backorderd runs list --limit 5")]
    List {
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// One run: what it says to whom, grouped by cause
    #[command(after_help = "Example: backorderd runs show r12")]
    Show {
        #[arg(value_name = "RUN", value_parser = parse_run)]
        run: RunNo,
    },
    /// Let a held run go out; each message is checked once more before it is sent
    #[command(after_help = "Example: backorderd runs approve r12 --why \"supplier confirmed\"")]
    Approve {
        #[arg(value_name = "RUN", value_parser = parse_run)]
        run: RunNo,
        /// For the audit log
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Do not send a held run; its messages are withdrawn for good
    #[command(after_help = "Example: backorderd runs drop r12 --why \"wrong file\"")]
    Drop {
        #[arg(value_name = "RUN", value_parser = parse_run)]
        run: RunNo,
        /// For the audit log
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
}

pub async fn run(context: &Context, command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::List { limit } => list(context, limit).await,
        Command::Show { run } => show(context, run).await,
        Command::Approve { run, why } => decide(context, run, RunState::Approved, why).await,
        Command::Drop { run, why } => decide(context, run, RunState::Dropped, why).await,
    }
}

// ---- deciding ----

async fn decide(
    context: &Context,
    run: RunNo,
    to: RunState,
    why: Option<String>,
) -> anyhow::Result<Ended> {
    let app = context.writer().await?;
    let by = context.by();
    let done = app
        .store
        .decide_run(run, to, &by, why.as_deref(), app.now())
        .await?;
    let Some(n) = done else {
        let row = one(&app.viewer, run).await?;
        anyhow::bail!(
            "run {run} does not wait for an answer: {}",
            standing(row.state).0
        );
    };
    if context.json {
        context.print_json(&json!({ "run": run, "state": to, "messages": n, "by": by }))?;
        return Ok(Ended::Done);
    }
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    match to {
        RunState::Approved => say_line!(
            "Run {run} approved by {by}: {} may go out. Each is checked once more before it is \
             sent.\nSent by the daemon, or by hand: backorderd run",
            present::count(n, "message", "messages")
        ),
        _ => say_line!(
            "Run {run} dropped by {by}: {} withdrawn, nobody gets {}.",
            present::count(n, "message", "messages"),
            if n == 1 { "it" } else { "them" }
        ),
    }
    Ok(Ended::Done)
}

async fn one(viewer: &Viewer, run: RunNo) -> anyhow::Result<RunRow> {
    let row = viewer.read.runs(Some(run), 1).await?.into_iter().next();
    row.ok_or_else(|| anyhow::anyhow!("there is no run {run}"))
}

/// How a run stands.
pub fn standing(state: RunState) -> (&'static str, Tone) {
    match state {
        RunState::Planned => ("went ahead", Tone::Plain),
        RunState::Held => ("waits for approval", Tone::Waits),
        RunState::Approved => ("approved", Tone::Good),
        RunState::Dropped => ("dropped", Tone::Faint),
        RunState::Lapsed => ("lapsed, nobody answered in time", Tone::Faint),
    }
}

/// `9 accepted, 1 failed`.
fn became(row: &RunRow) -> String {
    let parts: Vec<String> = row
        .states
        .iter()
        .map(|(state, n)| {
            let words = match MessageState::parse(state) {
                Some(MessageState::Queued) if row.state == RunState::Held => "held",
                Some(state) => state.words(),
                None => state,
            };
            format!("{n} {words}")
        })
        .collect();
    parts.join(", ")
}

// ---- list ----

async fn list(context: &Context, limit: u32) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let mut rows = viewer.read.runs(None, limit.saturating_add(1)).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    if context.json {
        context.print_json(&json!({ "runs": rows, "more": more }))?;
        return Ok(Ended::Done);
    }
    if rows.is_empty() {
        say_line!("There was no run yet.");
        return Ok(Ended::Done);
    }
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let mut table = present::table(&["RUN", "STARTED", "JOB", "BY", "ORDERS", "MESSAGES", "STATE"]);
    for row in &rows {
        let (state, tone) = standing(row.state);
        let mut state = state.to_owned();
        if row.mode != viewer.mode() {
            state.push_str(&format!(" ({} mode)", row.mode.as_str()));
        }
        let messages = match row.messages {
            0 => "none".to_owned(),
            _ => became(row),
        };
        table.add_row([
            cell(row.no.to_string(), Tone::Plain),
            cell(present::moment(row.started_at, zone, today), Tone::Plain),
            cell(&row.job, Tone::Plain),
            cell(&row.by, Tone::Plain),
            cell(row.orders.to_string(), Tone::Plain),
            cell(messages, Tone::Plain),
            cell(state, tone),
        ]);
    }
    present::print_table(&table);
    if more {
        say_line!("\nThere are more: --limit {}", limit.saturating_mul(4));
    }
    Ok(Ended::Done)
}

// ---- show ----

/// Messages of a run that say the same for the same reason.
struct Group<'a> {
    kind: Kind,
    cause: String,
    messages: Vec<&'a MessageRow>,
}

async fn show(context: &Context, run: RunNo) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let row = one(&viewer, run).await?;
    let filter = MessageFilter {
        run: Some(run),
        ..MessageFilter::default()
    };
    let mut messages = viewer.read.messages(&filter, GROUPED_MAX).await?;
    messages.reverse();
    let facts: HashMap<MessageNo, MessageFacts> = viewer
        .read
        .facts_of_run(run, GROUPED_MAX)
        .await?
        .into_iter()
        .collect();
    let groups = group(&messages, &facts, viewer.today());
    if context.json {
        let causes: Vec<Value> = groups
            .iter()
            .map(|g| {
                let numbers: Vec<MessageNo> = g.messages.iter().map(|m| m.no).collect();
                json!({ "kind": g.kind, "cause": g.cause, "messages": numbers })
            })
            .collect();
        context.print_json(&json!({ "run": row, "causes": causes, "messages": messages }))?;
        return Ok(Ended::Done);
    }
    head(&viewer, &row, messages.len());
    if messages.is_empty() {
        say_line!("It said nothing.");
        return Ok(Ended::Done);
    }
    let mut table = present::table(&["ORDERS", "NOTICE", "CAUSE", "FOR EXAMPLE"]);
    for g in &groups {
        let samples: Vec<&str> = g
            .messages
            .iter()
            .flat_map(|m| m.orders.iter().map(String::as_str))
            .take(SAMPLES)
            .collect();
        let n_orders: usize = g.messages.iter().map(|m| m.orders.len()).sum();
        let dots = if n_orders > samples.len() { " ..." } else { "" };
        table.add_row([
            n_orders.to_string(),
            g.kind.words(),
            g.cause.clone(),
            format!("{}{dots}", samples.join(", ")),
        ]);
    }
    present::print_table(&table);
    if messages.len() <= LISTED_MAX {
        say_line!();
        super::messages::print_rows(&viewer, &messages);
    } else {
        say_line!(
            "\nAll of them: backorderd messages list --run {run} --limit {}",
            messages.len()
        );
    }
    if row.state == RunState::Held {
        let sample = messages
            .first()
            .map_or_else(String::new, |m| m.no.to_string());
        say_line!(
            "\nRead one:     backorderd messages show {sample} --words\n\
             Let them go:  backorderd runs approve {run}\n\
             Or not:       backorderd runs drop {run} --why \"...\""
        );
        let lapse = row.started_at.plus(viewer.policy().brake.lapse);
        say_line!(
            "Without an answer the run lapses {} and its orders are looked at again.",
            present::moment(lapse, viewer.settings.shop.zone, viewer.today())
        );
    }
    Ok(Ended::Done)
}

fn head(viewer: &Viewer, row: &RunRow, n_messages: usize) {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let (state, tone) = standing(row.state);
    let state = match tone {
        Tone::Waits => present::styled(present::WAITS, state),
        Tone::Good => present::styled(present::GOOD, state),
        _ => state.to_owned(),
    };
    let mut title = format!(
        "Run {}, {}, {} by {}: {state}",
        row.no,
        row.job,
        present::moment(row.started_at, zone, today),
        row.by
    );
    if let Some(why) = &row.why {
        title.push_str(&format!(" (\"{why}\")"));
    }
    say_line!("{title}");
    if n_messages > 0 {
        say_line!(
            "{}: {}\n",
            present::count(n_messages, "message", "messages"),
            became(row)
        );
    }
}

fn group<'a>(
    messages: &'a [MessageRow],
    facts: &HashMap<MessageNo, MessageFacts>,
    today: NaiveDate,
) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<(Kind, String), Vec<&MessageRow>> = BTreeMap::new();
    for message in messages {
        let cause = facts
            .get(&message.no)
            .map_or_else(String::new, |facts| cause(message, facts, today));
        groups
            .entry((message.kind, cause))
            .or_default()
            .push(message);
    }
    let mut groups: Vec<Group<'_>> = groups
        .into_iter()
        .map(|((kind, cause), messages)| Group {
            kind,
            cause,
            messages,
        })
        .collect();
    groups.sort_by_key(|g| std::cmp::Reverse(g.messages.len()));
    groups
}

/// What makes the program speak, without what differs from order to order.
fn cause(message: &MessageRow, facts: &MessageFacts, today: NaiveDate) -> String {
    let is_news = |line: &&LineStatement| {
        line.shipped_now.is_positive()
            || line.cancelled_now.is_positive()
            || !matches!(line.change, Change::Unchanged | Change::NotStated)
    };
    let product = |line: &LineStatement| line.sku.clone().unwrap_or_else(|| line.name.clone());
    let mut causes: Vec<String> = facts
        .orders
        .iter()
        .flat_map(|order| order.lines.iter().filter(is_news))
        .map(|line| match message.kind {
            Kind::Shipped => format!("{} shipped", product(line)),
            Kind::Cancelled => format!("{} cancelled", product(line)),
            _ => format!("{} {}", product(line), present::news(line, today)),
        })
        .collect();
    causes.dedup();
    if causes.is_empty() {
        return message.milestone_days.map_or_else(
            || "no news".to_owned(),
            |days| format!("day {days} after the order"),
        );
    }
    if causes.len() > 2 {
        let rest = causes.len() - 2;
        causes.truncate(2);
        causes.push(format!("{rest} more"));
    }
    causes.join("; ")
}
