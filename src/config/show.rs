//! The configuration as `config show` prints it: every setting that is in
//! force, where it was set, secrets as "(set)".

use super::layers::DEFAULTS;
use super::meant::Config;
use super::raw::bare_or_quoted;
use super::reader::Shown;
use std::fmt::Write as _;

/// Column at which "where it was set" begins, if the setting leaves room.
const FROM_COLUMN: usize = 44;

impl Config {
    /// Every setting: its path, its value as it would stand in a file (`None`
    /// when it is not set), and where it was set (`None` for defaults).
    /// Secrets read "(set)".
    pub fn settings(&self) -> impl Iterator<Item = (&str, Option<&str>, Option<&str>)> {
        self.shown.iter().map(|shown| {
            (
                shown.path.as_str(),
                shown.literal.as_deref(),
                shown.from.as_deref(),
            )
        })
    }

    /// All settings by section, in the order of the shipped file. Defaults
    /// stand alone; what was set carries `# file:line` or the variable's name.
    pub fn show(&self) -> String {
        let mut out = match &self.file {
            Some(file) => format!(
                "# {} over the defaults; secrets are not shown\n",
                file.display()
            ),
            None => "# no file, the defaults; secrets are not shown\n".to_owned(),
        };
        let mut sections: Vec<&str> = Vec::new();
        for shown in &self.shown {
            let section = split(shown).0;
            if !sections.contains(&section) {
                sections.push(section);
            }
        }
        sections.sort_by_key(|section| in_shipped_file(section));
        for section in sections {
            if !section.is_empty() {
                let _ = write!(out, "\n[{section}]\n");
            }
            let settings = || self.shown.iter().filter(|s| split(s).0 == section);
            if settings().all(|shown| shown.literal.is_none()) {
                out.push_str("# nothing is set\n");
                continue;
            }
            for shown in settings() {
                out.push_str(&line(shown));
                out.push('\n');
            }
        }
        out
    }
}

/// Where a section begins in the shipped file; settings outside sections stand
/// at the top.
fn in_shipped_file(section: &str) -> usize {
    if section.is_empty() {
        return 0;
    }
    ["", "#"]
        .iter()
        .find_map(|mark| DEFAULTS.find(&format!("\n{mark}[{section}]\n")))
        .unwrap_or(DEFAULTS.len())
}

fn split(shown: &Shown) -> (&str, &str) {
    shown.path.rsplit_once('.').unwrap_or(("", &shown.path))
}

fn line(shown: &Shown) -> String {
    let key = bare_or_quoted(split(shown).1);
    let Some(literal) = &shown.literal else {
        return format!("# {key} is not set");
    };
    let setting = format!("{key} = {literal}");
    match &shown.from {
        Some(from) => format!("{setting:<FROM_COLUMN$}  # {from}"),
        None => setting,
    }
}
