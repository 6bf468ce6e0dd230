//! Takes up edited templates while the daemon runs, and says in the log which
//! files cannot be used.
//!
//! A change is taken up when the folder has looked the same twice, so that a
//! file is not read while an editor still writes it.

use super::{RETRY_AFTER, wait};
use crate::app::App;
use crate::template::BrokenFile;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Watches until `stop`. A task of its own that nobody waits for: a reload that
/// is left behind has kept its templates or has not, and both are fine.
pub(super) async fn watch_templates(app: App, stop: CancellationToken) {
    say(&app.viewer.templates.broken());
    let source = app.viewer.templates.source().clone();
    if source.folder.is_none() {
        return;
    }
    let mut taken = source.state();
    let mut seen = taken.clone();
    while !wait(LOOK_EVERY, &stop).await {
        let now = source.state();
        let is_settled = now == seen;
        seen = now;
        if !is_settled || seen == taken {
            continue;
        }
        match app.reload_templates().await {
            Ok(broken) => {
                tracing::info!("templates were changed and are in force");
                say(&broken);
                taken.clone_from(&seen);
            }
            Err(error) => {
                tracing::error!("changed templates cannot be taken up, the old ones stay: {error}");
                if wait(RETRY_AFTER, &stop).await {
                    return;
                }
            }
        }
    }
}

fn say(broken: &[BrokenFile]) {
    for BrokenFile { problem, instead } in broken {
        tracing::error!(
            file = problem.file,
            "a template cannot be used, {}: {problem}",
            instead.words()
        );
    }
}
