//! The set in force in a running program: where its files are, and a way to put
//! a newer set in its place while messages are rendered with it.

use super::fallback;
use super::problem::{Problem, TemplateProblems};
use super::sources::Sources;
use super::{BrokenFile, RenderError, RenderedEmail, RenderedSms, TemplateSet};
use crate::domain::shop::ShopProfile;
use crate::domain::statement::MessageFacts;
use chrono::NaiveDate;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Where templates come from.
#[derive(Clone, Debug)]
pub struct TemplateSource {
    /// The merchant's own folder.
    pub folder: Option<PathBuf>,
    pub shop: ShopProfile,
    /// Texts may lose accents where that saves segments.
    pub transliterates: bool,
}

impl TemplateSource {
    pub(super) fn read(&self) -> (Sources, Vec<Problem>) {
        match &self.folder {
            Some(folder) => Sources::with_overrides(folder),
            None => (Sources::built_in(), Vec::new()),
        }
    }

    /// The set, if nothing is wrong with any file.
    ///
    /// # Errors
    /// Every problem of every file at once.
    pub fn load(&self) -> Result<TemplateSet, TemplateProblems> {
        let (sources, problems) = self.read();
        let set = TemplateSet::from_sources(&sources, problems, &self.shop)?;
        Ok(set.transliterating(self.transliterates))
    }

    /// The set with every broken file replaced: by its text in `last_good`,
    /// else by the built-in one ([`TemplateSet::broken`] names them).
    ///
    /// # Errors
    /// The built-in ones alone cannot be used, either.
    pub fn load_around(
        &self,
        last_good: &HashMap<String, String>,
    ) -> Result<TemplateSet, TemplateProblems> {
        let set = fallback::load(self, last_good)?;
        Ok(set.transliterating(self.transliterates))
    }

    /// Changes whenever a file below the folder does: names, lengths and times.
    pub fn state(&self) -> Vec<(PathBuf, u64, Option<std::time::SystemTime>)> {
        let mut found = Vec::new();
        if let Some(folder) = &self.folder {
            look(folder, 0, &mut found);
        }
        found.sort();
        found
    }
}

/// Folders below the one given, as deep as templates are looked for.
const DEPTH_MAX: usize = 4;
/// More files are none of ours.
const FILES_MAX: usize = 10_000;

fn look(
    folder: &Path,
    depth: usize,
    found: &mut Vec<(PathBuf, u64, Option<std::time::SystemTime>)>,
) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(meta) = std::fs::metadata(entry.path()) else {
            continue;
        };
        if meta.is_dir() && depth < DEPTH_MAX {
            look(&entry.path(), depth + 1, found);
        } else if !meta.is_dir() && found.len() < FILES_MAX {
            found.push((entry.path(), meta.len(), meta.modified().ok()));
        }
    }
}

/// The set in force. Clones share it.
#[derive(Clone)]
pub struct LiveTemplates {
    source: Arc<TemplateSource>,
    set: Arc<RwLock<Arc<TemplateSet>>>,
}

impl LiveTemplates {
    pub fn of(source: TemplateSource, set: TemplateSet) -> LiveTemplates {
        LiveTemplates {
            source: Arc::new(source),
            set: Arc::new(RwLock::new(Arc::new(set))),
        }
    }

    pub fn source(&self) -> &TemplateSource {
        &self.source
    }

    /// The set in force at the moment.
    pub fn set(&self) -> Arc<TemplateSet> {
        // Whoever panicked held a whole set: there is no half of one.
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&set)
    }

    /// Puts another set in force: what is rendered from now on is rendered with
    /// it.
    pub fn put(&self, set: TemplateSet) {
        let mut place = self.set.write().unwrap_or_else(PoisonError::into_inner);
        *place = Arc::new(set);
    }

    /// Files that cannot be used, and what is used instead.
    pub fn broken(&self) -> Vec<BrokenFile> {
        self.set().broken().to_vec()
    }

    /// See [`TemplateSet::render_email`].
    ///
    /// # Errors
    /// As there.
    pub fn render_email(
        &self,
        facts: &MessageFacts,
        today: NaiveDate,
    ) -> Result<RenderedEmail, RenderError> {
        self.set().render_email(facts, today)
    }

    /// See [`TemplateSet::render_sms`].
    ///
    /// # Errors
    /// As there.
    pub fn render_sms(
        &self,
        facts: &MessageFacts,
        today: NaiveDate,
    ) -> Result<RenderedSms, RenderError> {
        self.set().render_sms(facts, today)
    }
}
