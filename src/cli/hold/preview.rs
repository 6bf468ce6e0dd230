//! What a release lets go, before it is lifted: what is still true, what is
//! replaced, what is too old.

use super::Scope;
use crate::app::releasing::{ReleasePreview, Waits};
use crate::cli::context::Context;
use crate::cli::present::{self, count, say};
use serde_json::{Value, json};

const ALL: [Waits; 4] = [
    Waits::StillTrue,
    Waits::Replaced,
    Waits::TooOld,
    Waits::HeldOtherwise,
];

pub async fn look(context: &Context, scope: &Scope) -> anyhow::Result<ReleasePreview> {
    let viewer = context.viewer().await?;
    Ok(viewer.preview_release(scope.kind, &scope.key).await?)
}

/// How many of each, for programs.
pub fn counts(preview: &ReleasePreview) -> Value {
    json!({
        "still_true": preview.count(Waits::StillTrue),
        "replaced": preview.count(Waits::Replaced),
        "too_old": preview.count(Waits::TooOld),
        "held_otherwise": preview.count(Waits::HeldOtherwise),
        "new": preview.n_new,
    })
}

/// `Of 12 messages: 10 still true, ...; 2 are written anew.` Empty where
/// there is nothing.
pub fn sentence(preview: &ReleasePreview) -> String {
    let parts: Vec<String> = ALL
        .into_iter()
        .map(|is| (preview.count(is), is))
        .filter(|(n, _)| *n > 0)
        .map(|(n, is)| format!("{n} {}", is.words()))
        .collect();
    let mut text = String::new();
    if !parts.is_empty() {
        let n = count(preview.messages.len(), "message", "messages");
        text.push_str(&format!("Of {n} that waited: {}.\n", parts.join("; ")));
    }
    if preview.n_new > 0 {
        let n = count(preview.n_new, "message is", "messages are");
        text.push_str(&format!("{n} written besides, from today's facts.\n"));
    }
    text
}

/// The dry run, or the list before the act.
pub fn print(
    context: &Context,
    scope: &Scope,
    preview: &ReleasePreview,
    n_shown: usize,
) -> anyhow::Result<()> {
    if context.json {
        let shown: Vec<Value> = preview
            .messages
            .iter()
            .take(n_shown)
            .map(|(row, is)| {
                json!({ "message": row.no, "orders": row.orders, "kind": row.kind, "is": is.words() })
            })
            .collect();
        return context.print_json(&json!({
            "dry_run": true,
            "scope": scope.kind,
            "key": scope.key,
            "waiting": counts(preview),
            "messages": shown,
        }));
    }
    let mut text = format!("{}, if it were released now:\n", scope.title());
    let sentence = sentence(preview);
    text.push_str(match sentence.as_str() {
        "" => "Nothing waits, and nothing new is owed.\n",
        said => said,
    });
    let shown = n_shown.min(preview.messages.len());
    if shown > 0 {
        let mut table = present::table(&["NO", "ORDER", "TO", "BY", "NOTICE", "WHAT HAPPENS"]);
        for (row, is) in preview.messages.iter().take(shown) {
            table.add_row([
                row.no.to_string(),
                row.orders.join(", "),
                row.recipient.clone(),
                row.channel.as_str().to_owned(),
                present::notice(row.kind, row.milestone_days),
                is.words().to_owned(),
            ]);
        }
        text.push('\n');
        text.push_str(&present::table_text(&table));
    }
    say(&text)?;
    Ok(())
}
