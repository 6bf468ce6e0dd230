//! The layers of a configuration: the file compiled in, over it the
//! operator's file, over that the environment.
//!
//! Tables are merged key by key; anything else, lists too, is replaced. An
//! environment variable `BACKORDERD__SECTION__KEY` sets one value and is a
//! plain text (a list is written with commas).

use super::problem::{Place, Problem, Source};
use super::raw::{Entry, Origin, Table, Value, quoted};
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The commented file with every default.
pub const DEFAULTS: &str = include_str!("../../config/backorderd.toml");

/// What the names of our environment variables begin with; between the parts
/// of a path stand two underscores, so that keys may have one.
pub const PREFIX: &str = "BACKORDERD__";

/// As much of a broken file as can be made out.
pub fn parse_what_can_be(source: &Arc<Source>, text: &str) -> Table {
    let skipped = text.strip_prefix('\u{feff}').map_or(0, |_| 3);
    let (document, _) = DeTable::parse_recoverable(&text[skipped..]);
    let at = At {
        source,
        skipped,
        built_in: false,
    };
    at.table(document.get_ref())
}

/// Reads one file's text into a tree.
///
/// # Errors
/// Everything TOML itself objects to; the tree is of no use then.
pub fn parse(source: &Arc<Source>, text: &str, built_in: bool) -> Result<Table, Vec<Problem>> {
    // A byte order mark is the work of some editors and means nothing.
    let skipped = text.strip_prefix('\u{feff}').map_or(0, |_| 3);
    let (document, errors) = DeTable::parse_recoverable(&text[skipped..]);
    if errors.is_empty() {
        let at = At {
            source,
            skipped,
            built_in,
        };
        return Ok(at.table(document.get_ref()));
    }
    let problem = |error: &toml::de::Error| {
        let span = error.span().unwrap_or(0..0);
        let span = span.start + skipped..span.end + skipped;
        // The slip everybody makes deserves its own words; the library's stand
        // for the rest.
        let (what, cure) = if error.message().starts_with("string values must be quoted") {
            let cure = format!("write {}", quoted(source.marked(&span)));
            ("a text needs quotes".to_owned(), cure)
        } else {
            let cure = "write it as in the shipped file: key = value, texts in double quotes, lists in brackets";
            (error.message().replace('\n', ", "), cure.to_owned())
        };
        Problem {
            place: Place::Written {
                source: Arc::clone(source),
                span,
            },
            what,
            cure: Some(cure),
        }
    };
    Err(errors.iter().map(problem).collect())
}

struct At<'a> {
    source: &'a Arc<Source>,
    /// Bytes before the text that was parsed.
    skipped: usize,
    built_in: bool,
}

impl At<'_> {
    fn table(&self, table: &DeTable<'_>) -> Table {
        table
            .iter()
            .map(|(key, value)| {
                let entry = self.entry(key.span(), value);
                (key.get_ref().to_string(), entry)
            })
            .collect()
    }

    fn entry(&self, key: std::ops::Range<usize>, value: &Spanned<DeValue<'_>>) -> Entry {
        let span = value.span();
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            // Whole numbers beyond 64 bits are out of every setting's range.
            DeValue::Integer(n) => i64::from_str_radix(n.as_str(), n.radix())
                .map_or(Value::Whole(i64::MAX), Value::Whole),
            DeValue::Float(n) => Value::Fraction(n.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(on) => Value::Switch(*on),
            DeValue::Datetime(at) => Value::Moment(at.to_string()),
            DeValue::Array(items) => Value::List(
                items
                    .iter()
                    .map(|item| self.entry(item.span(), item))
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Entry {
            value,
            origin: Origin::Written {
                source: Arc::clone(self.source),
                key: key.start + self.skipped..key.end + self.skipped,
                value: span.start + self.skipped..span.end + self.skipped,
                built_in: self.built_in,
            },
        }
    }
}

/// Lays `over` on `under`.
pub fn merge(under: &mut Table, over: Table) {
    for (key, entry) in over {
        match (under.get_mut(&key), entry) {
            (
                Some(Entry {
                    value: Value::Table(below),
                    origin,
                }),
                Entry {
                    value: Value::Table(above),
                    origin: above_origin,
                },
            ) => {
                *origin = above_origin;
                merge(below, above);
            }
            (_, entry) => {
                under.insert(key, entry);
            }
        }
    }
}

/// Lays our variables of the environment on `table`.
pub fn overlay_environment(
    table: &mut Table,
    variables: &BTreeMap<String, String>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, text) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let path: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        if let Err(what) = set(table, &path, name, text) {
            problems.push(Problem {
                place: Place::Variable(name.clone()),
                what,
                cure: Some(format!("write {PREFIX}SECTION__KEY, or unset it")),
            });
        }
    }
    problems
}

fn set(table: &mut Table, path: &[String], name: &str, text: &str) -> Result<(), String> {
    let [first, rest @ ..] = path else {
        return Err("it names no setting".to_owned());
    };
    if first.is_empty() {
        return Err("a part of its name is empty".to_owned());
    }
    let origin = || Origin::Variable(name.to_owned());
    if rest.is_empty() {
        let value = Value::Typed(text.to_owned());
        let entry = Entry {
            value,
            origin: origin(),
        };
        table.insert(first.clone(), entry);
        return Ok(());
    }
    let entry = table.entry(first.clone()).or_insert_with(|| Entry {
        value: Value::Table(Table::new()),
        origin: origin(),
    });
    match &mut entry.value {
        Value::Table(below) => set(below, rest, name, text),
        _ => Err(format!("`{first}` is a setting and has no parts")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Table {
        parse(&Source::read("t.toml", text), text, false).unwrap()
    }
    fn literal(table: Table) -> String {
        Value::Table(table).literal()
    }

    #[test]
    fn tables_merge_and_everything_else_is_replaced() {
        let mut under = tree("mode = 'a'\n[delay]\nsettle = '1m'\nhours = ['x', 'y']");
        merge(
            &mut under,
            tree("[delay]\nhours = ['z']\n[brake]\nper_hour = 0x10"),
        );
        let variables = BTreeMap::from([
            ("BACKORDERD__DELAY__SETTLE".to_owned(), "5m".to_owned()),
            ("BACKORDERD__MODE".to_owned(), "live".to_owned()),
            ("OTHER__MODE".to_owned(), "x".to_owned()),
        ]);
        assert!(overlay_environment(&mut under, &variables).is_empty());
        assert_eq!(
            literal(under),
            "{ brake = { per_hour = 16 }, delay = { hours = [\"z\"], settle = \"5m\" }, mode = \"live\" }"
        );
    }

    #[test]
    fn everything_toml_objects_to_comes_at_once() {
        let text = "\u{feff}mode = live\n[delay\nsettle = \"30m\"\n";
        let problems = parse(&Source::read("t.toml", text), text, false).unwrap_err();
        let places: Vec<_> = problems.iter().filter_map(Problem::line_column).collect();
        assert_eq!(places, [(2, 7), (1, 8)], "{problems:?}");
    }

    #[test]
    fn a_variable_must_name_a_place() {
        let mut table = tree("mode = 'a'");
        for (name, what) in [
            ("BACKORDERD__", "a part of its name is empty"),
            ("BACKORDERD__A____B", "a part of its name is empty"),
            (
                "BACKORDERD__MODE__X",
                "`mode` is a setting and has no parts",
            ),
        ] {
            let variables = BTreeMap::from([(name.to_owned(), String::new())]);
            assert_eq!(overlay_environment(&mut table, &variables)[0].what, what);
        }
    }
}
