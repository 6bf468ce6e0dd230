//! From written to meant: asks the tree for settings one by one.
//!
//! A key is known because somebody asks for it, so the list of known keys can
//! never differ from what the program uses; [`Reader::finish`] objects to the
//! rest. Nothing stops at the first problem: a setting that cannot be read is
//! noted, the caller goes on with a stand-in, and the load fails at the end.

use super::problem::{Place, Problem};
use super::raw::{Entry, Origin, Table, Value};
use super::suggest::{nearest, variable_name};
use super::units::Wrong;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// A setting as it is listed for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// `delay.settle`
    pub path: String,
    /// As it would stand in a file; `None` when it is not set.
    pub literal: Option<String>,
    /// Where it was set; `None` for defaults.
    pub from: Option<String>,
}

/// One complaint about a value; `at` where a part of it is to blame.
#[derive(Debug)]
pub struct Complaint {
    pub at: Option<Place>,
    pub wrong: Wrong,
}

impl From<Wrong> for Complaint {
    fn from(wrong: Wrong) -> Complaint {
        Complaint { at: None, wrong }
    }
}

pub type Read<T> = Result<T, Vec<Complaint>>;

pub struct Reader {
    tree: Table,
    problems: RefCell<Vec<Problem>>,
    known: RefCell<BTreeSet<String>>,
    sections: RefCell<BTreeSet<String>>,
    shown: RefCell<Vec<Shown>>,
}

/// What a finished reader knows.
pub struct Finished {
    pub problems: Vec<Problem>,
    /// In the order they were asked for.
    pub shown: Vec<Shown>,
}

impl Reader {
    pub fn over(tree: Table, problems: Vec<Problem>) -> Reader {
        Reader {
            tree,
            problems: RefCell::new(problems),
            known: RefCell::default(),
            sections: RefCell::default(),
            shown: RefCell::default(),
        }
    }

    /// The top of the tree.
    pub fn top(&self) -> Section<'_> {
        Section {
            reader: self,
            path: String::new(),
            table: Some(&self.tree),
        }
    }

    /// A section by its name, `email.limits`.
    pub fn section(&self, path: &str) -> Section<'_> {
        path.split('.')
            .fold(self.top(), |section, key| section.below(key))
    }

    pub fn refuse(&self, place: Place, what: impl Into<String>, cure: impl Into<String>) {
        self.problems.borrow_mut().push(Problem {
            place,
            what: what.into(),
            cure: Some(cure.into()),
        });
    }

    /// Replaces what is listed for a setting by what it came to.
    pub fn show_as(&self, path: &str, literal: String, from: Option<String>) {
        for shown in self.shown.borrow_mut().iter_mut() {
            if shown.path == path {
                shown.literal = Some(literal.clone());
                shown.from.clone_from(&from);
            }
        }
    }

    /// Objects to keys nobody asked for.
    pub fn finish(self) -> Finished {
        self.object_to_unknown(&self.tree, "");
        Finished {
            problems: self.problems.into_inner(),
            shown: self.shown.into_inner(),
        }
    }

    fn object_to_unknown(&self, table: &Table, path: &str) {
        for (key, entry) in table {
            let full = joined(path, key);
            if self.known.borrow().contains(&full) {
                continue;
            }
            match &entry.value {
                Value::Table(below) if self.sections.borrow().contains(&full) => {
                    self.object_to_unknown(below, &full);
                }
                Value::Table(below) if matches!(entry.origin, Origin::Variable(_)) => {
                    // Made only to hold a variable: that one is to blame.
                    self.object_to_unknown(below, &full);
                }
                _ => self.object_to(&full, entry),
            }
        }
    }

    fn object_to(&self, full: &str, entry: &Entry) {
        let (known, sections) = (self.known.borrow(), self.sections.borrow());
        let is_table = matches!(entry.value, Value::Table(_));
        let candidates = if is_table { &sections } else { &known };
        let suggestion = nearest(full, candidates.iter().map(String::as_str));
        let thing = if is_table { "section" } else { "setting" };
        let (what, cure) = match (&entry.origin, suggestion) {
            (Origin::Variable(_), Some(near)) => (
                format!("there is no {thing} {full}"),
                format!("did you mean {}?", variable_name(near)),
            ),
            (Origin::Variable(_), None) => (
                format!("there is no {thing} {full}"),
                "unset it; `backorderd config show` lists all settings".to_owned(),
            ),
            (Origin::Written { .. }, Some(near)) => (
                format!("there is no {thing} {full}"),
                format!(
                    "did you mean {}?",
                    if is_table {
                        format!("[{near}]")
                    } else {
                        in_words(full, near)
                    }
                ),
            ),
            (Origin::Written { .. }, None) => (
                format!("there is no {thing} {full}"),
                "take it out; `backorderd config show` lists all settings".to_owned(),
            ),
        };
        self.refuse(entry.origin.key_place(), what, cure);
    }

    #[cfg(test)]
    pub fn known_keys(&self) -> BTreeSet<String> {
        self.known.borrow().clone()
    }
}

/// `settle` when the other key stands in the same section, else
/// `settle in [delay]`.
fn in_words(full: &str, near: &str) -> String {
    let parent = |path: &str| path.rsplit_once('.').map_or("", |(p, _)| p).to_owned();
    let leaf = near.rsplit('.').next().unwrap_or(near);
    match parent(near) {
        section if section == parent(full) => leaf.to_owned(),
        section if section.is_empty() => format!("{leaf}, above all sections"),
        section => format!("{leaf} in [{section}]"),
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// One table of settings.
pub struct Section<'r> {
    reader: &'r Reader,
    path: String,
    table: Option<&'r Table>,
}

impl<'r> Section<'r> {
    pub fn reader(&self) -> &'r Reader {
        self.reader
    }

    fn below(&self, key: &str) -> Section<'r> {
        let path = joined(&self.path, key);
        let first_asked = self.reader.sections.borrow_mut().insert(path.clone());
        let entry = self.table.and_then(|table| table.get(key));
        let table = match entry {
            Some(Entry {
                value: Value::Table(table),
                ..
            }) => Some(table),
            Some(entry) => {
                self.reader.known.borrow_mut().insert(path.clone());
                if first_asked {
                    self.reader.refuse(
                        entry.origin.key_place(),
                        format!("{path} is a section, not a setting"),
                        format!("write [{path}] on a line of its own, its settings below"),
                    );
                }
                None
            }
            None => None,
        };
        Section {
            reader: self.reader,
            path,
            table,
        }
    }

    /// The sections below, whatever they are called, in the order they were
    /// written.
    pub fn named(&self) -> Vec<Section<'r>> {
        let mut named: Vec<(&String, &Entry)> = self.table.into_iter().flatten().collect();
        named.sort_by_key(|(_, entry)| entry.origin.position());
        named.iter().map(|(key, _)| self.below(key)).collect()
    }

    pub fn path_of(&self, key: &str) -> String {
        joined(&self.path, key)
    }

    /// The value as written, unless it was left out.
    pub fn entry(&self, key: &str) -> Option<&'r Entry> {
        self.table.and_then(|table| table.get(key))
    }

    /// Where the value stands, for a complaint about its meaning.
    pub fn place(&self, key: &str) -> Place {
        self.entry(key)
            .map_or(Place::Whole, |entry| entry.origin.value_place())
    }

    pub fn refuse(&self, key: &str, what: impl Into<String>, cure: impl Into<String>) {
        self.reader.refuse(self.place(key), what, cure);
    }

    /// A complaint about the section as a whole.
    pub fn refuse_all(&self, what: impl Into<String>, cure: impl Into<String>) {
        let first = self.table.and_then(|table| {
            table
                .values()
                .min_by_key(|entry| entry.origin.position())
                .map(|entry| entry.origin.key_place())
        });
        self.reader
            .refuse(first.unwrap_or(Place::Whole), what, cure);
    }

    /// A setting that may be left out.
    pub fn maybe<T>(&self, key: &str, read: impl FnOnce(&Entry) -> Read<T>) -> Option<T> {
        self.maybe_shown(key, |entry| entry.value.literal(), read)
    }

    /// The same with its own way to be listed.
    pub fn maybe_shown<T>(
        &self,
        key: &str,
        literal: impl FnOnce(&Entry) -> String,
        read: impl FnOnce(&Entry) -> Read<T>,
    ) -> Option<T> {
        let path = self.path_of(key);
        let entry = self.entry(key);
        if self.reader.known.borrow_mut().insert(path.clone()) {
            self.reader.shown.borrow_mut().push(Shown {
                path: path.clone(),
                literal: entry.map(literal),
                from: entry.and_then(|e| e.origin.words()),
            });
        }
        let entry = entry?;
        match read(entry) {
            Ok(value) => Some(value),
            Err(complaints) => {
                for Complaint { at, wrong } in complaints {
                    let place = at.unwrap_or_else(|| entry.origin.value_place());
                    let what = format!("{path}: {}", wrong.what);
                    self.reader.refuse(place, what, wrong.cure);
                }
                None
            }
        }
    }

    /// A setting the built-in file has a default for. The stand-in is only
    /// ever seen when the load fails.
    pub fn wanted<T>(&self, key: &str, stand_in: T, read: impl FnOnce(&Entry) -> Read<T>) -> T {
        let value = self.maybe(key, read);
        if value.is_none() && self.entry(key).is_none() && self.table.is_some() {
            let path = self.path_of(key);
            self.reader.refuse(
                Place::Whole,
                format!("{path} has no default"),
                format!("set {path}; the program was built without its default"),
            );
        }
        value.unwrap_or(stand_in)
    }
}
