//! What became of a run, for people; and run and preview for programs.

use crate::app::manual::{Preview, RunReport, SentBy};
use crate::app::{App, Viewer};
use crate::cli::present::say_line;
use crate::cli::present::{self, count};
use serde_json::json;

pub(super) fn print_report(app: &App, report: &RunReport) {
    if report.review.messages == 0 {
        say_line!("Run {}: nothing to send.", report.run);
        return;
    }
    if report.held {
        say_line!(
            "{} run {}: {} for your approval.\nLook: backorderd runs show {run}   Send: backorderd \
             runs approve {run}",
            present::styled(present::WAITS, "HELD"),
            report.run,
            count(report.review.held, "message waits", "messages wait"),
            run = report.run
        );
        if report.review.overtaken {
            say_line!("Why: another process runs with newer settings than these.");
        }
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
    say_line!(
        "{} run {}: {}.",
        present::styled(style, if d.failed > 0 { "FAILED" } else { "DONE" }),
        report.run,
        parts.join(", ")
    );
    if let Some(SentBy::Daemon(pid)) = report.sent_by {
        let pid = pid
            .map(|pid| format!(" (process {pid})"))
            .unwrap_or_default();
        say_line!("Sent by the daemon{pid}.");
    }
    for m in &report.failed {
        say_line!(
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
        say_line!("Mode: sandbox. No customer was written to.");
    }
}

pub(super) fn preview_json(viewer: &Viewer, preview: &Preview) -> serde_json::Value {
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

pub(super) fn report_json(report: &RunReport) -> serde_json::Value {
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
