//! Files that are not taken in, and what is remembered of them: whoever reads
//! `todo` a day later has to find what a cron job printed to nobody.

use super::Args;
use super::input::ReadFile;
use crate::app::{App, Viewer};
use crate::cli::present;
use crate::config::Config;
use crate::domain::feed::RejectedRow;
use crate::source::ParsedFile;
use crate::wiring::{self, WiringError};

/// Remembers refusals, where there is a database and this is not a dry run.
pub(super) struct Refusals<'a> {
    pub(super) config: &'a Config,
    pub(super) is_dry: bool,
}

impl Refusals<'_> {
    pub(super) async fn note(
        &self,
        source: &str,
        why: &str,
        rejected: Vec<RejectedRow>,
    ) -> anyhow::Result<()> {
        match self.app().await? {
            Some(app) => Ok(app.refuse_file(source, why, rejected).await?),
            None => Ok(()),
        }
    }

    /// A file that is not there. Only of a source that is known: anybody may
    /// mistype a name.
    pub(super) async fn note_unreadable(&self, source: &str) -> anyhow::Result<()> {
        let Some(app) = self.app().await? else {
            return Ok(());
        };
        let known = app.viewer.read.sources().await?;
        if known.iter().any(|feed| feed.name == source) {
            let why = "the file cannot be read";
            app.refuse_file(source, why, Vec::new()).await?;
        }
        Ok(())
    }

    async fn app(&self) -> anyhow::Result<Option<App>> {
        if self.is_dry {
            return Ok(None);
        }
        match wiring::require_database(self.config).await {
            // A first file that is refused must not make a database.
            Err(WiringError::NoDatabase { .. }) => return Ok(None),
            found => found?,
        }
        Ok(Some(wiring::app(self.config).await?))
    }
}

/// Whether a file looks cut off beside the one before; says so.
pub(super) async fn cut_off(
    config: &Config,
    args: &Args,
    files: &[ReadFile],
    refusals: &Refusals<'_>,
) -> anyhow::Result<bool> {
    if args.fewer || args.partial {
        return Ok(false);
    }
    let viewer = match wiring::viewer(config).await {
        Ok(viewer) => viewer,
        Err(WiringError::NoDatabase { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    for file in files {
        if !matches!(file.parsed, ParsedFile::Lines(_)) {
            continue;
        }
        let source = file.source();
        let cut = viewer.looks_cut(&source, file.n_rows(), file.ends_line);
        let Some(cut) = cut.await? else { continue };
        let why = cut.words();
        eprintln!(
            "{}: {why}.\n  Is the export cut off? If it is right, say --fewer; if it is only a \
             part of what the shop has, --partial.\nNothing was taken in.",
            file.name
        );
        refusals.note(&source, &why, file.rejected_rows()).await?;
        return Ok(true);
    }
    Ok(false)
}

/// Says that a file is older than exports are expected to be.
pub(super) fn note_old(viewer: &Viewer, file: &ReadFile) {
    let (Some(written), feeds) = (file.written_at, &viewer.settings.feeds) else {
        return;
    };
    let limit = feeds.files.get(&file.source()).copied();
    let Some(limit) = limit.or(feeds.expect_every) else {
        return;
    };
    let age = viewer.now().since(written);
    if age > limit {
        let at = present::moment(written, viewer.settings.shop.zone, viewer.today());
        eprintln!(
            "{}: written {at}, {} ago, and a new one is expected every {}: does the export still \
             run?",
            file.name,
            present::length(age),
            present::length(limit)
        );
    }
}
