//! One line on what a message says, and why it is written.

use crate::app::Viewer;
use crate::app::manual::PreviewMessage;
use crate::cli::present;
use crate::domain::kinds::Kind;
use crate::domain::statement::{Change, LineStatement, MessageFacts, Statement};

pub(super) fn notice(p: &PreviewMessage) -> String {
    match p.milestone_days {
        Some(days) => format!("{} day {days}", p.kind.words()),
        None => p.kind.words(),
    }
}

/// One line on what a message says: the line that made it speak first.
pub(super) fn what_it_says(facts: &MessageFacts, viewer: &Viewer) -> String {
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

pub(super) fn cause_of(facts: &MessageFacts, viewer: &Viewer) -> String {
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
