//! Around a mistake: what is used in place of a file that cannot be.
//!
//! One broken file must not silence a shop. It is replaced by its last good
//! words, as they were kept when they were used, else by ours, else left out;
//! every other file stays in force. What was done is kept with the set, for
//! whoever looks.

use super::functions::LINE_END;
use super::problem::{Problem, TemplateProblems};
use super::sources::{LAYOUT, PARTIALS, Sources};
use super::{TemplateSet, TemplateSource};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenFile {
    /// The first thing wrong with it.
    pub problem: Problem,
    pub instead: Instead,
}

/// What is used in place of a broken file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    LastGood,
    BuiltIn,
    /// Nothing has its name: it is as if it were not there.
    Nothing,
}

impl Instead {
    pub fn words(self) -> &'static str {
        match self {
            Instead::LastGood => "its last good version is used",
            Instead::BuiltIn => "the built-in one is used",
            Instead::Nothing => "it is left out",
        }
    }
    pub fn as_str(self) -> &'static str {
        match self {
            Instead::LastGood => "last_good",
            Instead::BuiltIn => "built_in",
            Instead::Nothing => "nothing",
        }
    }
}

/// Texts of files by their path, out of documents of
/// [`TemplateSet::made_of`].
pub fn files_of(documents: &[String]) -> HashMap<String, String> {
    let mut files = HashMap::new();
    for document in documents {
        let Ok(document) = serde_json::from_str::<serde_json::Value>(document) else {
            continue;
        };
        for file in document["files"].as_array().into_iter().flatten() {
            if let (Some(path), Some(text)) = (file["path"].as_str(), file["text"].as_str()) {
                // Partials are kept with the mark that saves their line ends.
                let mark = format!("{{{{{LINE_END} \"\"}}}}");
                files.insert(path.to_owned(), text.replace(&mark, ""));
            }
        }
    }
    files
}

/// Loads a set whatever is wrong with the merchant's files.
///
/// # Errors
/// The built-in ones alone cannot be used, either.
pub fn load(
    source: &TemplateSource,
    last_good: &HashMap<String, String>,
) -> Result<TemplateSet, TemplateProblems> {
    let (mut sources, unusable) = source.read();
    let built_in = Sources::built_in();
    let mut tried: BTreeMap<String, BrokenFile> = BTreeMap::new();
    for problem in unusable {
        replace(&mut sources, &built_in, last_good, &mut tried, problem);
    }
    loop {
        let problems = match TemplateSet::from_sources(&sources, Vec::new(), &source.shop) {
            Ok(set) => {
                let broken = tried.into_values().collect();
                return Ok(TemplateSet { broken, ..set });
            }
            Err(problems) => problems.0,
        };
        // What others are made of comes first: they may be sound with it whole.
        let (shared, own): (Vec<Problem>, Vec<Problem>) = problems
            .into_iter()
            .partition(|p| p.file == LAYOUT || p.file.split('/').nth(1) == Some(PARTIALS));
        let mut is_better = false;
        for problems in [shared, own] {
            let mut seen = BTreeSet::new();
            for problem in problems {
                if seen.insert(problem.file.clone()) {
                    is_better |= replace(&mut sources, &built_in, last_good, &mut tried, problem);
                }
            }
            if is_better {
                break;
            }
        }
        if is_better {
            continue;
        }
        // A sound file breaks beside others, and nobody can say which is to
        // blame: all of the merchant's go.
        let own: Vec<String> = sources
            .files()
            .filter(|(path, text)| built_in.get(path) != Some(*text))
            .map(|(path, _)| path.to_owned())
            .collect();
        if own.is_empty() {
            return TemplateSet::from_sources(&sources, Vec::new(), &source.shop);
        }
        for path in own {
            let what = "it does not fit the other files";
            tried.entry(path.clone()).or_insert_with(|| BrokenFile {
                problem: Problem::in_file(&path, what),
                instead: Instead::BuiltIn,
            });
            fall_back(&mut sources, &built_in, &mut tried, &path);
        }
    }
}

/// Puts the next best text in the place of a broken file; `false` where there
/// is none.
fn replace(
    sources: &mut Sources,
    built_in: &Sources,
    last_good: &HashMap<String, String>,
    tried: &mut BTreeMap<String, BrokenFile>,
    problem: Problem,
) -> bool {
    let path = problem.file.clone();
    if let Some(broken) = tried.get(&path) {
        if broken.instead != Instead::LastGood {
            return false;
        }
        fall_back(sources, built_in, tried, &path);
        return true;
    }
    let known = sources.get(&path).or(built_in.get(&path)).is_some();
    let good = last_good
        .get(&path)
        .filter(|text| sources.get(&path) != Some(text.as_str()));
    let instead = Instead::LastGood;
    tried.insert(path.clone(), BrokenFile { problem, instead });
    match good {
        Some(text) => sources.insert(path, text.clone()),
        None => fall_back(sources, built_in, tried, &path),
    }
    // A finding about no file that is used: it is said, and that is all.
    known
}

fn fall_back(
    sources: &mut Sources,
    built_in: &Sources,
    tried: &mut BTreeMap<String, BrokenFile>,
    path: &str,
) {
    let instead = match built_in.get(path) {
        Some(text) => {
            sources.insert(path.to_owned(), text.to_owned());
            Instead::BuiltIn
        }
        None => {
            sources.remove(path);
            Instead::Nothing
        }
    };
    if let Some(broken) = tried.get_mut(path) {
        broken.instead = instead;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::kinds::ChannelName;
    use crate::template::{SAMPLE_DAY, sample_shop, samples};
    use std::path::Path;

    fn put(folder: &Path, path: &str, text: &str) {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn source(folder: &Path) -> TemplateSource {
        TemplateSource {
            folder: Some(folder.to_owned()),
            shop: sample_shop(),
            transliterates: false,
        }
    }

    fn found(set: &TemplateSet) -> Vec<(&str, Instead)> {
        let broken = set.broken().iter();
        broken
            .map(|b| (b.problem.file.as_str(), b.instead))
            .collect()
    }

    const GOOD_SMS: &str =
        "Order {{order.number}} ships later, says a shop of ours. {{> questions}}";
    const GOOD_PARTIAL: &str = "Ask {{shop.name}}.\n{{> stop}}\n";

    #[test]
    fn a_broken_file_is_replaced_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "en/delay/sms.hbs", GOOD_SMS);
        put(folder.path(), "en/partials/questions.hbs", GOOD_PARTIAL);
        put(folder.path(), "en/partials/stop.hbs", "STOP ends texts.");
        let source = source(folder.path());
        let whole = source
            .load()
            .unwrap_or_else(|problems| panic!("{problems}"));
        let documents: Vec<String> = whole.made_of().map(|(_, text)| text.to_owned()).collect();
        let last_good = files_of(&documents);
        let none = HashMap::new();
        let (text, mail) = ("en/delay/sms.hbs", "en/update/email.hbs");
        for (sentence, path, content, last_good, instead) in [
            (
                "it was good once",
                text,
                "{{order.nubmer}}",
                &last_good,
                Instead::LastGood,
            ),
            (
                "it never was",
                text,
                "{{order.nubmer}}",
                &none,
                Instead::BuiltIn,
            ),
            (
                "ours was in use",
                mail,
                "no head",
                &last_good,
                Instead::LastGood,
            ),
            (
                "ours was not kept",
                mail,
                "no head",
                &none,
                Instead::BuiltIn,
            ),
            (
                "a partial of the shop's own, good once",
                "en/partials/questions.hbs",
                "{{#if}}",
                &last_good,
                Instead::LastGood,
            ),
            (
                "it has no place",
                "en/dealy/sms.hbs",
                "x",
                &last_good,
                Instead::Nothing,
            ),
            (
                "it is new",
                "en/partials/more.hbs",
                "{{#if}}",
                &last_good,
                Instead::Nothing,
            ),
        ] {
            let before = std::fs::read_to_string(folder.path().join(path)).ok();
            put(folder.path(), path, content);
            assert!(source.load().is_err(), "{sentence}");
            let set = source.load_around(last_good).unwrap();
            assert_eq!(found(&set), [(path, instead)], "{sentence}");
            if instead == Instead::LastGood {
                let version = |set: &TemplateSet, channel| {
                    let locale = crate::domain::contact::Locale::parse("en").unwrap();
                    set.version(crate::domain::kinds::Kind::Delay, &locale, channel)
                };
                for channel in [ChannelName::Email, ChannelName::Sms] {
                    let same = version(&set, channel) == version(&whole, channel);
                    assert!(same, "{sentence}: the words are those from before");
                }
            }
            match before {
                Some(text) => put(folder.path(), path, &text),
                None => std::fs::remove_file(folder.path().join(path)).unwrap(),
            }
        }
        assert_eq!(found(&source.load_around(&none).unwrap()), []);
    }

    #[test]
    fn a_missing_part_of_two_files_breaks_neither_for_good() {
        let folder = tempfile::tempdir().unwrap();
        // Used by a file of the shop's own, and gone.
        put(folder.path(), "en/delay/sms.hbs", "{{> gone}}");
        put(folder.path(), "en/sooner/sms.hbs", "{{> gone}}");
        let set = source(folder.path()).load_around(&HashMap::new()).unwrap();
        assert_eq!(
            found(&set),
            [
                ("en/delay/sms.hbs", Instead::BuiltIn),
                ("en/sooner/sms.hbs", Instead::BuiltIn)
            ]
        );
        let (_, facts) = &samples(crate::domain::kinds::Kind::Delay)[0];
        assert!(set.render_email(facts, SAMPLE_DAY).is_ok());
    }

    #[test]
    fn a_folder_that_is_gone_leaves_ours() {
        let set = source(Path::new("/nowhere/at/all")).load_around(&HashMap::new());
        let set = set.unwrap();
        assert_eq!(found(&set), [(".", Instead::Nothing)]);
    }
}
