//! The forms a value can have: text, whole number, choice, length of time,
//! list. Each says what is wrong in a sentence and how to write it instead.

use super::layers;
use super::problem::Source;
use super::raw::{Entry, Origin, Table, Value, bare_or_quoted, quoted};
use super::reader::{Complaint, Read};
use super::suggest::nearest;
use super::units::{self, Wrong};
use crate::domain::time::Length;
use std::borrow::Cow;
use std::ops::RangeInclusive;

pub fn complain<T>(what: impl Into<String>, cure: impl Into<String>) -> Read<T> {
    Err(vec![Wrong::new(what, cure).into()])
}

fn refused<T>(wrong: Wrong) -> Read<T> {
    Err(vec![wrong.into()])
}

/// A text in quotes, trimmed, not empty, on one line.
pub fn text(entry: &Entry) -> Read<String> {
    match &entry.value {
        Value::Text(text) | Value::Typed(text) => {
            let trimmed = text.trim();
            if trimmed.is_empty() {
                return complain("it is empty", "write something, or take the setting out");
            }
            if trimmed.chars().any(char::is_control) {
                return complain(
                    "it has a line break or another control character in it",
                    "write it on one line",
                );
            }
            Ok(trimmed.to_owned())
        }
        Value::Whole(_) | Value::Fraction(_) | Value::Switch(_) | Value::Moment(_) => complain(
            format!("a text is expected, this is {}", entry.value.kind()),
            format!("put it in quotes: {}", quoted(&entry.value.literal())),
        ),
        Value::List(_) | Value::Table(_) => complain(
            format!("a text is expected, this is {}", entry.value.kind()),
            "write one text in quotes",
        ),
    }
}

/// A text that means something.
pub fn parsed<T>(parse: impl Fn(&str) -> Result<T, Wrong>) -> impl Fn(&Entry) -> Read<T> {
    move |entry| parse(&text(entry)?).or_else(refused)
}

/// A text whose own error says all, with an example of how to write it.
pub fn like<T, E: std::fmt::Display>(
    parse: impl Fn(&str) -> Result<T, E>,
    example: &str,
) -> impl Fn(&Entry) -> Read<T> {
    let cure = format!("write it like {example}");
    move |entry| parse(&text(entry)?).or_else(|error| complain(error.to_string(), cure.as_str()))
}

/// A whole number within bounds.
pub fn whole(bounds: RangeInclusive<u32>) -> impl Fn(&Entry) -> Read<u32> {
    move |entry| {
        let number = match &entry.value {
            Value::Whole(n) => Some(*n),
            Value::Typed(text) => text.trim().parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            let cure = match &entry.value {
                Value::Text(text) if text.trim().parse::<i64>().is_ok() => {
                    format!("write it without quotes: {}", text.trim())
                }
                _ => format!("write a number from {} to {}", bounds.start(), bounds.end()),
            };
            return complain(
                format!(
                    "a whole number is expected, this is {}",
                    described(&entry.value)
                ),
                cure,
            );
        };
        match u32::try_from(number).ok().filter(|n| bounds.contains(n)) {
            Some(number) => Ok(number),
            None => complain(
                format!("{number} is out of range"),
                format!("write a number from {} to {}", bounds.start(), bounds.end()),
            ),
        }
    }
}

/// `true` or `false`.
pub fn switch(entry: &Entry) -> Read<bool> {
    let on = match &entry.value {
        Value::Switch(on) => Some(*on),
        Value::Typed(text) => text.trim().parse().ok(),
        _ => None,
    };
    match on {
        Some(on) => Ok(on),
        None => complain(
            format!(
                "true or false is expected, this is {}",
                described(&entry.value)
            ),
            "write true or false, without quotes",
        ),
    }
}

/// One of a few words.
pub fn choice<T: Copy>(words: &[(&str, T)]) -> impl Fn(&Entry) -> Read<T> {
    move |entry| {
        let text = text(entry)?;
        let word = text.to_ascii_lowercase();
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == word) {
            return Ok(*value);
        }
        let all: Vec<String> = words.iter().map(|(name, _)| quoted(name)).collect();
        let what = format!("`{text}` is not known here");
        match nearest(&word, words.iter().map(|(name, _)| *name)) {
            Some(near) => complain(what, format!("did you mean {}?", quoted(near))),
            None => complain(what, format!("write one of {}", all.join(", "))),
        }
    }
}

/// A length of time within bounds.
pub fn length(bounds: RangeInclusive<Length>) -> impl Fn(&Entry) -> Read<Length> {
    move |entry| {
        let length = match &entry.value {
            Value::Whole(n) => return refused(units::no_unit(&n.to_string())),
            _ => units::length(&text(entry)?).or_else(refused)?,
        };
        if bounds.contains(&length) {
            return Ok(length);
        }
        complain(
            format!("{} is out of range", units::length_text(length)),
            format!(
                "write a length from \"{}\" to \"{}\"",
                units::length_text(*bounds.start()),
                units::length_text(*bounds.end())
            ),
        )
    }
}

/// A list; from the environment also as `a, b`. All its bad items are named.
pub fn list<T>(item: impl Fn(&Entry) -> Read<T>) -> impl Fn(&Entry) -> Read<Vec<T>> {
    move |entry| {
        let entry = expanded(entry)?;
        let items: Cow<'_, [Entry]> = match &entry.value {
            Value::List(items) => Cow::Borrowed(items),
            Value::Typed(text) => Cow::Owned(split(text, &entry.origin)),
            other => {
                return complain(
                    format!("a list is expected, this is {}", described(other)),
                    format!("put it in brackets: [{}]", other.literal()),
                );
            }
        };
        let mut values = Vec::new();
        let mut complaints = Vec::new();
        for entry in items.iter() {
            match item(entry) {
                Ok(value) => values.push(value),
                Err(found) => complaints.extend(found.into_iter().map(|complaint| Complaint {
                    at: complaint.at.or_else(|| Some(entry.origin.value_place())),
                    wrong: complaint.wrong,
                })),
            }
        }
        if complaints.is_empty() {
            Ok(values)
        } else {
            Err(complaints)
        }
    }
}

/// A table, its entries in the order they were written.
pub fn table<T>(read: impl Fn(&[(&str, &Entry)]) -> Read<T>) -> impl Fn(&Entry) -> Read<T> {
    move |entry| {
        let entry = expanded(entry)?;
        let Value::Table(table) = &entry.value else {
            return complain(
                format!("a table is expected, this is {}", described(&entry.value)),
                "write { name = value } or a section of that name",
            );
        };
        read(&in_order(table))
    }
}

/// The entries of a table in the order they were written.
pub fn in_order(table: &Table) -> Vec<(&str, &Entry)> {
    let mut entries: Vec<(&str, &Entry)> = table.iter().map(|(k, e)| (k.as_str(), e)).collect();
    entries.sort_by_key(|(_, entry)| entry.origin.position());
    entries
}

/// Any value as JSON; dates become texts.
pub fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) | Value::Typed(text) | Value::Moment(text) => text.as_str().into(),
        Value::Whole(n) => (*n).into(),
        Value::Fraction(n) => (*n).into(),
        Value::Switch(on) => (*on).into(),
        Value::List(items) => items.iter().map(|item| json(&item.value)).collect(),
        Value::Table(table) => table
            .iter()
            .map(|(key, entry)| (key.clone(), json(&entry.value)))
            .collect(),
    }
}

fn described(value: &Value) -> String {
    match value {
        Value::Typed(text) => format!("`{text}`"),
        other => other.kind().to_owned(),
    }
}

fn split(text: &str, origin: &Origin) -> Vec<Entry> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| Entry {
            value: Value::Typed(part.to_owned()),
            origin: origin.clone(),
        })
        .collect()
}

/// A variable that was given a list or table in TOML's own words is read so.
fn expanded(entry: &Entry) -> Read<Cow<'_, Entry>> {
    let (Value::Typed(text), Origin::Variable(name)) = (&entry.value, &entry.origin) else {
        return Ok(Cow::Borrowed(entry));
    };
    if !text.trim_start().starts_with(['[', '{']) {
        return Ok(Cow::Borrowed(entry));
    }
    let document = format!("{} = {}", bare_or_quoted(name), text.trim());
    let source = Source::read(name, &document);
    match layers::parse(&source, &document, false) {
        Ok(mut table) => match table.remove(name) {
            Some(mut found) => {
                attribute(&mut found, &entry.origin);
                Ok(Cow::Owned(found))
            }
            None => Ok(Cow::Borrowed(entry)),
        },
        Err(problems) => Err(problems
            .into_iter()
            .map(|p| Wrong::new(p.what, "write it as it would stand in the file").into())
            .collect()),
    }
}

fn attribute(entry: &mut Entry, origin: &Origin) {
    entry.origin = origin.clone();
    match &mut entry.value {
        Value::List(items) => items.iter_mut().for_each(|item| attribute(item, origin)),
        Value::Table(table) => table.values_mut().for_each(|item| attribute(item, origin)),
        _ => {}
    }
}
