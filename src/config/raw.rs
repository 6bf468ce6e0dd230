//! A configuration as it was written: a tree of values that know where they
//! stand. Nothing is checked here; what the values mean is read from the tree
//! by [`super::reader`].

use super::problem::{Place, Source};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

pub type Table = BTreeMap<String, Entry>;

/// A key's value and where both stand.
#[derive(Clone, Debug)]
pub struct Entry {
    pub value: Value,
    pub origin: Origin,
}

#[derive(Clone, Debug)]
pub enum Value {
    Text(String),
    Whole(i64),
    Fraction(f64),
    Switch(bool),
    /// A date or time without quotes, as written.
    Moment(String),
    List(Vec<Entry>),
    Table(Table),
    /// From the environment: a text until somebody says what it should be.
    Typed(String),
}

#[derive(Clone, Debug)]
pub enum Origin {
    Written {
        source: Arc<Source>,
        key: Range<usize>,
        value: Range<usize>,
        /// In the file compiled in.
        built_in: bool,
    },
    Variable(String),
}

impl Origin {
    pub fn value_place(&self) -> Place {
        match self {
            Origin::Written { source, value, .. } => Place::Written {
                source: Arc::clone(source),
                span: value.clone(),
            },
            Origin::Variable(name) => Place::Variable(name.clone()),
        }
    }

    pub fn key_place(&self) -> Place {
        match self {
            Origin::Written { source, key, .. } => Place::Written {
                source: Arc::clone(source),
                span: key.clone(),
            },
            Origin::Variable(name) => Place::Variable(name.clone()),
        }
    }

    /// Where it was set, in a few words; `None` for defaults.
    pub fn words(&self) -> Option<String> {
        match self {
            Origin::Written { built_in: true, .. } => None,
            Origin::Written { source, key, .. } => {
                let (line, _) = source.line_column(key.start);
                Some(format!("{}:{line}", source.name()))
            }
            Origin::Variable(name) => Some(name.clone()),
        }
    }

    /// Orders values as they were written; later layers come later.
    pub fn position(&self) -> (u8, usize) {
        match self {
            Origin::Written { built_in, key, .. } => (u8::from(!built_in), key.start),
            Origin::Variable(_) => (2, 0),
        }
    }
}

impl Value {
    /// What it is, for "a ... is expected, this is ...".
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) | Value::Typed(_) => "a text",
            Value::Whole(_) | Value::Fraction(_) => "a number",
            Value::Switch(_) => "true or false",
            Value::Moment(_) => "a date or time without quotes",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// As it would stand in a file.
    pub fn literal(&self) -> String {
        match self {
            Value::Text(text) => quoted(text),
            Value::Typed(text) if text.parse::<i64>().is_ok() || text.parse::<bool>().is_ok() => {
                text.clone()
            }
            Value::Typed(text) => quoted(text),
            Value::Whole(n) => n.to_string(),
            Value::Fraction(n) => n.to_string(),
            Value::Switch(on) => on.to_string(),
            Value::Moment(text) => text.clone(),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.value.literal()).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Table(table) => {
                let parts: Vec<String> = table
                    .iter()
                    .map(|(key, entry)| {
                        format!("{} = {}", bare_or_quoted(key), entry.value.literal())
                    })
                    .collect();
                format!("{{ {} }}", parts.join(", "))
            }
        }
    }
}

/// A text in TOML's double quotes.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A key as TOML wants it.
pub fn bare_or_quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        quoted(key)
    }
}
