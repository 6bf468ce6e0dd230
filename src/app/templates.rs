//! The templates in force: kept before they are used, read again when they are
//! edited, and mended where a file is broken.

use crate::app::{App, AppError};
use crate::store::ReadStore;
use crate::template::{BrokenFile, TemplateSet, TemplateSource, files_of};
use std::collections::BTreeSet;

/// Versions of the templates in force, a JSON list.
pub const TEMPLATES_IN_FORCE: &str = "templates_in_force";

impl App {
    /// Keeps what the templates in force are made of, where it is not kept yet,
    /// and that they are in force: should a file break, they are its last good
    /// ones.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn keep_templates(&self) -> Result<(), AppError> {
        self.keep(&self.viewer.templates.set()).await
    }

    async fn keep(&self, set: &TemplateSet) -> Result<(), AppError> {
        let read = self.store.read();
        let kept: BTreeSet<String> = read.template_versions().await?.into_iter().collect();
        let new: Vec<(String, String)> = set
            .made_of()
            .filter(|(version, _)| !kept.contains(*version))
            .map(|(version, source)| (version.to_owned(), source.to_owned()))
            .collect();
        if !new.is_empty() {
            self.store.keep_templates(new, self.now()).await?;
        }
        let versions: BTreeSet<&str> = set.made_of().map(|(version, _)| version).collect();
        let in_force = serde_json::json!(versions).to_string();
        if read.meta(TEMPLATES_IN_FORCE).await?.as_deref() != Some(&in_force) {
            self.store.put_meta(TEMPLATES_IN_FORCE, &in_force).await?;
        }
        Ok(())
    }

    /// Reads the templates again and puts them in force, kept before they are
    /// used. A broken file is replaced as at the start.
    ///
    /// # Errors
    /// The database cannot be read or written; no set can be made at all: the
    /// one in force stays.
    pub async fn reload_templates(&self) -> Result<Vec<BrokenFile>, AppError> {
        let templates = &self.viewer.templates;
        let set = load_templates(templates.source(), Some(self.store.read())).await?;
        self.keep(&set).await?;
        let broken = set.broken().to_vec();
        templates.put(set);
        Ok(broken)
    }
}

/// Loads the templates; a broken file is replaced by its last good version, if
/// one is known, else by the built-in one.
///
/// # Errors
/// The database cannot be read; no set can be made at all.
pub async fn load_templates(
    source: &TemplateSource,
    read: Option<&ReadStore>,
) -> Result<TemplateSet, AppError> {
    if let Ok(set) = source.load() {
        return Ok(set);
    }
    let mut documents = Vec::new();
    if let Some(read) = read {
        let in_force = read.meta(TEMPLATES_IN_FORCE).await?.unwrap_or_default();
        for version in serde_json::from_str::<Vec<String>>(&in_force).unwrap_or_default() {
            documents.extend(read.template_source(&version).await?.map(|(text, _)| text));
        }
    }
    Ok(source.load_around(&files_of(&documents))?)
}
