//! The built-in templates as files, for a merchant to edit.

use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{count, say};
use crate::template::built_in_files;
use anyhow::{Context as _, bail};
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

#[derive(Serialize)]
struct Answer {
    folder: String,
    files: Vec<String>,
}

/// Writes all files or, where one of them is there already, none.
pub fn run(context: &Context, dir: &Path) -> anyhow::Result<Ended> {
    let files = built_in_files();
    let there: Vec<&str> = files
        .iter()
        .map(|(path, _)| path.as_str())
        .filter(|path| dir.join(path).exists())
        .collect();
    if let Some(first) = there.first() {
        let others = match there.len() - 1 {
            0 => String::new(),
            n => format!(" and {}", count(n, "other", "others")),
        };
        bail!(
            "{} holds {first}{others} already; nothing was written, choose an empty folder",
            dir.display()
        );
    }
    for (path, text) in &files {
        let target = dir.join(path);
        let shown = target.display();
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&target)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {shown}"))?;
    }
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    if context.json {
        context.print_json(&Answer {
            folder: absolute.display().to_string(),
            files: files.into_iter().map(|(path, _)| path).collect(),
        })?;
        return Ok(Ended::Done);
    }
    say(&format!(
        "{} written to {}\n\n\
         Use them     [templates]\n             \
         dir = {:?}\n\
         Check them   backorderd templates check\n\
         Keep only the files you change; what is missing there is taken from the built-in ones,\n\
         and gets better with the next version.\n",
        count(files.len(), "file", "files"),
        dir.display(),
        absolute.display().to_string()
    ))?;
    Ok(Ended::Done)
}
