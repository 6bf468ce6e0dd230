//! The files templates are made of: ours, built into the program, and over
//! them, file by file, those of the merchant's folder.
//!
//! ```text
//! layout.mjml                      the frame of every HTML part
//! <locale>/partials/<name>.hbs     words used in several places
//! <locale>/<kind>/email.hbs        subject, preheader and words
//! <locale>/<kind>/sms.hbs          the text message
//! <locale>/<kind>/text.hbs         only if wanted: the text part as it is
//! <locale>/<kind>/html.hbs         only if wanted: the HTML part as it is
//! ```

use super::problem::{Problem, nearest};
use crate::domain::contact::Locale;
use crate::domain::kinds::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Longest template file; a mail of this length would be clipped anyway.
pub const SOURCE_BYTES_MAX: usize = 256 * 1024;

/// Most files an override folder may hold: some pointed it at their home.
const FILES_MAX: usize = 2_000;

/// Folders below the one given; ours need two.
const FOLDER_DEPTH_MAX: usize = 4;

pub const LAYOUT: &str = "layout.mjml";
pub const PARTIALS: &str = "partials";

#[derive(rust_embed::RustEmbed)]
#[folder = "templates/"]
struct BuiltIn;

/// All files by their path below the templates folder, `/` between parts.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: BTreeMap<String, String>,
    /// Language tags that have a folder, as they are spelled.
    locales: BTreeSet<String>,
}

impl Sources {
    /// Ours only.
    pub fn built_in() -> Sources {
        let mut sources = Sources::default();
        for path in BuiltIn::iter() {
            if !is_template(&path) {
                continue;
            }
            if let Some(file) = BuiltIn::get(&path) {
                let text = String::from_utf8_lossy(&file.data).into_owned();
                sources.insert(path.into_owned(), text);
            }
        }
        sources
    }

    /// Ours, with the files of `folder` over them. Findings about files that
    /// cannot be used come beside the rest.
    pub fn with_overrides(folder: &Path) -> (Sources, Vec<Problem>) {
        let mut sources = Sources::built_in();
        let mut problems = Vec::new();
        let mut found = Vec::new();
        if let Err(problem) = collect(folder, "", 0, &mut found) {
            problems.push(problem);
        }
        found.sort();
        for path in found {
            if let Err(problem) = place(&path) {
                problems.push(problem);
                continue;
            }
            match std::fs::read(folder.join(&path)) {
                Err(error) => problems.push(Problem::in_file(
                    &path,
                    format!("the file cannot be read: {error}"),
                )),
                Ok(bytes) if bytes.len() > SOURCE_BYTES_MAX => problems.push(Problem::in_file(
                    &path,
                    format!("the file is longer than {} KiB", SOURCE_BYTES_MAX / 1024),
                )),
                Ok(bytes) => match String::from_utf8(bytes) {
                    Ok(text) => sources.insert(path, text),
                    Err(_) => problems.push(
                        Problem::in_file(&path, "the file is not UTF-8")
                            .help("save it with the encoding UTF-8"),
                    ),
                },
            }
        }
        (sources, problems)
    }

    /// Takes a file away, as if it were not there.
    pub fn remove(&mut self, path: &str) {
        self.files.remove(path);
    }

    pub fn insert(&mut self, path: String, text: String) {
        if let Some((locale, _)) = path.split_once('/') {
            self.locales.insert(locale.to_owned());
        }
        // A byte order mark would become a visible first character.
        let text = text
            .strip_prefix('\u{feff}')
            .map_or_else(|| text.clone(), ToOwned::to_owned);
        self.files.insert(path, text);
    }

    /// Every file by its path below the templates folder.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Language tags with a folder.
    pub fn locales(&self) -> impl Iterator<Item = &str> {
        self.locales.iter().map(String::as_str)
    }

    /// The file of a kind for a language: its own, else that of the language
    /// without the region. The path that was found and its text.
    pub fn find(&self, locale: &Locale, kind: Kind, name: &str) -> Option<(String, &str)> {
        locale.fallbacks().into_iter().find_map(|tag| {
            let path = format!("{tag}/{kind}/{name}");
            self.get(&path).map(|text| (path.clone(), text))
        })
    }

    /// Every partial a language sees, by name, with path and text.
    pub fn partials(&self, locale: &Locale) -> BTreeMap<String, (String, &str)> {
        let mut found = BTreeMap::new();
        for tag in locale.fallbacks().iter().rev() {
            let folder = format!("{tag}/{PARTIALS}/");
            for (path, text) in self.files.range(folder.clone()..) {
                let Some(name) = path.strip_prefix(&folder) else {
                    break;
                };
                let name = name.trim_end_matches(".hbs").to_owned();
                found.insert(name, (path.clone(), text.as_str()));
            }
        }
        found
    }
}

/// Names of files below a folder, relative, skipping what editors and version
/// control leave behind.
fn collect(
    folder: &Path,
    below: &str,
    depth: usize,
    found: &mut Vec<String>,
) -> Result<(), Problem> {
    let shown = if below.is_empty() { "." } else { below };
    let unreadable = |error: std::io::Error| {
        Problem::in_file(shown, format!("the folder cannot be read: {error}"))
    };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(['.', '#']) || name.ends_with('~') {
            continue;
        }
        let path = match below {
            "" => name,
            below => format!("{below}/{name}"),
        };
        let is_folder = entry.path().is_dir();
        if is_folder && depth < FOLDER_DEPTH_MAX {
            collect(&entry.path(), &path, depth + 1, found)?;
        } else if !is_folder && is_template(&path) {
            found.push(path);
        }
        if found.len() > FILES_MAX {
            return Err(Problem::in_file(
                shown,
                format!("the folder holds more than {FILES_MAX} templates"),
            ));
        }
    }
    Ok(())
}

fn is_template(path: &str) -> bool {
    path.ends_with(".hbs") || path.ends_with(".mjml")
}

/// Whether a file lies where a template is looked for; a misplaced one would
/// silently have no effect.
fn place(path: &str) -> Result<(), Problem> {
    const NAMES: [&str; 4] = ["email.hbs", "sms.hbs", "text.hbs", "html.hbs"];
    let parts: Vec<&str> = path.split('/').collect();
    let problem = |what: String, help: Option<&str>| {
        let problem = Problem::in_file(path, what);
        Err(match help {
            Some(meant) => problem.help(format!("did you mean \"{meant}\"?")),
            None => problem.help("use <locale>/<kind>/email.hbs, sms.hbs, text.hbs or html.hbs"),
        })
    };
    match parts.as_slice() {
        [LAYOUT] => Ok(()),
        [locale, _, _]
            if Locale::parse(locale).ok().map(|l| l.to_string()).as_deref() != Some(locale) =>
        {
            problem(
                format!("\"{locale}\" is not a language tag"),
                Some("de or de-AT"),
            )
        }
        [_, PARTIALS, name] if name.ends_with(".hbs") => Ok(()),
        [_, kind, name] => {
            if !Kind::ALL.iter().any(|k| k.as_str() == *kind) {
                let known = Kind::ALL.map(Kind::as_str);
                return problem(format!("there is no kind \"{kind}\""), nearest(kind, known));
            }
            if !NAMES.contains(name) {
                return problem(
                    format!("no template is called \"{name}\""),
                    nearest(name, NAMES),
                );
            }
            Ok(())
        }
        _ => problem("no template is looked for here".to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_uses_the_files_of_its_language_where_it_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("de-AT/delay/sms.hbs", "Servus");
        put("de-AT/partials/greeting.hbs", "Grüß Gott");
        put("de/delay/sms.hbs", "\u{feff}Hallo");
        put("de/delay/.sms.hbs.swp", "");
        let (sources, problems) = Sources::with_overrides(folder.path());
        assert_eq!(problems, []);
        let austria = Locale::parse("de-AT").unwrap();
        let germany = Locale::parse("de").unwrap();
        assert_eq!(
            sources.find(&austria, Kind::Delay, "sms.hbs").unwrap().1,
            "Servus"
        );
        assert_eq!(
            sources.find(&germany, Kind::Delay, "sms.hbs").unwrap().1,
            "Hallo"
        );
        assert!(sources.find(&austria, Kind::Delay, "email.hbs").is_some());
        assert_eq!(sources.partials(&austria)["greeting"].1, "Grüß Gott");
        assert!(sources.partials(&austria).contains_key("footer"));
    }

    #[test]
    fn misplaced_files_are_reported_instead_of_ignored() {
        for (path, what, help) in [
            (
                "en/dealy/email.hbs",
                "there is no kind \"dealy\"",
                "did you mean \"delay\"?",
            ),
            (
                "en/delay/emial.hbs",
                "no template is called \"emial.hbs\"",
                "did you mean \"email.hbs\"?",
            ),
            (
                "english/delay/email.hbs",
                "\"english\" is not a language tag",
                "did you mean \"de or de-AT\"?",
            ),
            (
                "email.hbs",
                "no template is looked for here",
                "use <locale>/<kind>/email.hbs, sms.hbs, text.hbs or html.hbs",
            ),
        ] {
            let problem = place(path).unwrap_err();
            assert_eq!(
                (problem.what.as_str(), problem.help.as_deref()),
                (what, Some(help)),
                "{path}"
            );
        }
        for good in [
            "layout.mjml",
            "en/partials/footer.hbs",
            "pt-BR/shipped/html.hbs",
        ] {
            assert_eq!(place(good), Ok(()), "{good}");
        }
    }
}
