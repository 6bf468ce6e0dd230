//! What templates can call: `{{date x}}`, `{{quantity n one="piece"}}` and so
//! on. Each returns a value, so it works inside `(...)` too and is escaped by
//! the registry like any other value.
//!
//! No word of any language is in here: the templates bring their own with the
//! call. Days are written `2026-03-20` in the context, windows of days
//! `2026-03-20/2026-03-24`.

use super::clean;
use super::dates::LocaleFormat;
use chrono::NaiveDate;
use handlebars::{
    Context, Handlebars, Helper, HelperDef, PathAndJson, RenderContext, RenderError,
    RenderErrorReason, ScopedJson,
};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Part of every template version: raise it when a function's output changes,
/// so that stored versions tell old words from new ones.
pub const FUNCTIONS_VERSION: &str = "functions 1";

/// Most entries `join` ever lists.
const JOINED_MAX: usize = 50;

/// Formats by language tag; every tag a context may name is in it.
pub type Formats = Arc<HashMap<String, LocaleFormat>>;

/// A function, for the check.
pub struct Signature {
    pub name: &'static str,
    /// Number of values before the named ones.
    pub values: usize,
    pub named: &'static [&'static str],
}

const fn takes(name: &'static str, values: usize, named: &'static [&'static str]) -> Signature {
    Signature {
        name,
        values,
        named,
    }
}

const PLURAL_FORMS: [&str; 6] = ["zero", "one", "two", "few", "many", "other"];

/// Everything callable, the built-in ones of Handlebars we allow included.
pub const SIGNATURES: &[Signature] = &[
    takes("date", 1, &[]),
    takes("short_date", 1, &["by"]),
    takes("eta", 1, &["on", "from", "to", "window"]),
    takes("quantity", 1, &PLURAL_FORMS),
    takes("plural", 1, &PLURAL_FORMS),
    takes("join", 1, &["and", "max", "more"]),
    takes("default", 2, &[]),
    takes("url", 1, &[]),
    takes("if", 1, &[]),
    takes("unless", 1, &[]),
    takes("each", 1, &[]),
    takes("with", 1, &[]),
    takes("eq", 2, &[]),
    takes("ne", 2, &[]),
    takes("gt", 2, &[]),
    takes("gte", 2, &[]),
    takes("lt", 2, &[]),
    takes("lte", 2, &[]),
    takes("and", 2, &[]),
    takes("or", 2, &[]),
    takes("not", 1, &[]),
    takes("len", 1, &[]),
    takes(LINE_END, 1, &[]),
];

/// Prints nothing. Put behind partials that stand alone on a line, because
/// Handlebars swallows the line break after those and two paragraphs would
/// become one.
pub const LINE_END: &str = "_";

/// Gives a registry our functions and takes away what may not be called.
pub fn register(registry: &mut Handlebars<'static>, formats: &Formats) {
    for name in ["log", "lookup", "raw"] {
        registry.unregister_helper(name);
    }
    let calls: [(&'static str, Call); 9] = [
        ("date", date),
        ("short_date", short_date),
        ("eta", eta),
        ("quantity", quantity),
        ("plural", plural),
        ("join", join),
        ("default", default),
        ("url", url),
        (LINE_END, |_| Ok(Value::Null)),
    ];
    for (name, call) in calls {
        let function = Function {
            name,
            call,
            formats: Arc::clone(formats),
        };
        registry.register_helper(name, Box::new(function));
    }
}

type Call = for<'a> fn(&Arguments<'a>) -> Result<Value, String>;

struct Function {
    name: &'static str,
    call: Call,
    formats: Formats,
}

/// A call's values, and the language and day it is made for.
struct Arguments<'a> {
    values: Vec<&'a Value>,
    named: HashMap<&'a str, &'a Value>,
    format: &'a LocaleFormat,
    today: NaiveDate,
}

impl HelperDef for Function {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        // Inside `{{#each}}` the context stays the root; only paths move.
        let root = context.data();
        let format = root["locale"]
            .as_str()
            .and_then(|tag| self.formats.get(tag));
        let (Some(format), Some(today)) = (format, day(&root["today"])) else {
            return Err(self.error("the context has no language or no day"));
        };
        if let Some(missing) = helper.params().iter().find(|p| p.is_value_missing()) {
            return Err(
                RenderErrorReason::MissingVariable(missing.relative_path().cloned()).into(),
            );
        }
        let arguments = Arguments {
            values: helper.params().iter().map(PathAndJson::value).collect(),
            named: helper.hash().iter().map(|(k, v)| (*k, v.value())).collect(),
            format,
            today,
        };
        (self.call)(&arguments)
            .map(ScopedJson::Derived)
            .map_err(|what| self.error(&what))
    }
}

impl Function {
    fn error(&self, what: &str) -> RenderError {
        RenderErrorReason::Other(format!("{}: {what}", self.name)).into()
    }
}

impl<'a> Arguments<'a> {
    fn value(&self) -> Result<&'a Value, String> {
        self.values
            .first()
            .copied()
            .ok_or_else(|| "a value is missing after the name".to_owned())
    }
    fn word(&self, name: &str) -> Option<&'a str> {
        self.named.get(name).and_then(|value| value.as_str())
    }
    /// One or two days.
    fn days(&self) -> Result<(NaiveDate, Option<NaiveDate>), String> {
        let value = self.value()?;
        let text = value.as_str().unwrap_or_default();
        let ends = match text.split_once('/') {
            Some((from, to)) => parse_day(from)
                .zip(parse_day(to))
                .map(|(f, t)| (f, Some(t))),
            None => parse_day(text).map(|on| (on, None)),
        };
        ends.ok_or_else(|| {
            if value.is_null() {
                "there is no date here; put it inside {{#if ...}}".to_owned()
            } else {
                "this is not a date".to_owned()
            }
        })
    }
    /// A number as plain digits.
    fn number(&self) -> Result<String, String> {
        match self.value()? {
            Value::Number(n) => Ok(n.to_string()),
            Value::Array(list) => Ok(list.len().to_string()),
            _ => Err("this is not a number".to_owned()),
        }
    }
    /// The form of a word for a number.
    fn form(&self, number: &str) -> Option<&'a str> {
        self.word(self.format.plural_class(number))
            .or_else(|| self.word("other"))
    }
}

fn day(value: &Value) -> Option<NaiveDate> {
    value.as_str().and_then(parse_day)
}

fn parse_day(text: &str) -> Option<NaiveDate> {
    text.parse().ok()
}

/// `{{date d}}`: Friday 20 March. A window prints its last day.
fn date(call: &Arguments<'_>) -> Result<Value, String> {
    let (from, to) = call.days()?;
    Ok(whole(call, to.unwrap_or(from)).into())
}

/// A long date that is not broken over two lines; heads and text parts make
/// its blanks plain ones again.
fn whole(call: &Arguments<'_>, day: NaiveDate) -> String {
    call.format.long(day, call.today).replace(' ', "\u{a0}")
}

/// `{{short_date d by="by"}}`: Fri 20 Mar; a window by its last day, which is
/// the one that counts: by Tue 24 Mar. Without the word, 20 Mar – 24 Mar.
fn short_date(call: &Arguments<'_>) -> Result<Value, String> {
    Ok(match (call.days()?, call.word("by")) {
        ((on, None), _) => call.format.short(on, call.today),
        ((_, Some(to)), Some(by)) => {
            let last = call.format.short(to, call.today);
            format!("{by} {last}").trim_start().to_owned()
        }
        ((from, Some(to)), None) => short_window(call, from, to),
    }
    .into())
}

fn short_window(call: &Arguments<'_>, from: NaiveDate, to: NaiveDate) -> String {
    format!(
        "{} {} {}",
        call.format.short_without_weekday(from),
        call.word("to").unwrap_or("–"),
        call.format.short_without_weekday(to)
    )
}

/// `{{eta d on="on" from="between" to="and"}}`: on Friday 20 March, or between
/// Friday 20 March and Tuesday 24 March. All words may be left out; with
/// `window="short"` a window is 20 Mar to 24 Mar, for subjects.
fn eta(call: &Arguments<'_>) -> Result<Value, String> {
    let lead = |name| {
        call.word(name)
            .map_or(String::new(), |word| format!("{word} "))
    };
    let long = |day| whole(call, day);
    Ok(match call.days()? {
        (day, None) => format!("{}{}", lead("on"), long(day)),
        (from, Some(to)) if call.word("window") == Some("short") => short_window(call, from, to),
        (from, Some(to)) => format!(
            "{}{} {} {}",
            lead("from"),
            long(from),
            call.word("to").unwrap_or("–"),
            long(to)
        ),
    }
    .into())
}

/// `{{quantity n one="piece" other="pieces"}}`: 2 pieces. A broken quantity
/// (2.5 of something sold by length) is printed without the word.
fn quantity(call: &Arguments<'_>) -> Result<Value, String> {
    let plain = call.number()?;
    let number = call.format.number(&plain);
    let whole = !plain.contains('.');
    Ok(match call.form(&plain) {
        Some(word) if whole => format!("{number} {word}"),
        _ => number,
    }
    .into())
}

/// `{{plural n one="piece" other="pieces"}}`: only the word.
fn plural(call: &Arguments<'_>) -> Result<Value, String> {
    let plain = call.number()?;
    call.form(&plain)
        .map(Into::into)
        .ok_or_else(|| "give the word for every number as other=\"...\"".to_owned())
}

/// `{{join list and="and" max=3 more="more"}}`: a, b and 4 more.
fn join(call: &Arguments<'_>) -> Result<Value, String> {
    let Value::Array(list) = call.value()? else {
        return Err("this is not a list".to_owned());
    };
    let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
    let max = call
        .named
        .get("max")
        .and_then(|v| v.as_u64())
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(JOINED_MAX)
        .clamp(1, JOINED_MAX);
    let and = call
        .word("and")
        .map_or(", ".to_owned(), |w| format!(" {w} "));
    let shown = &texts[..texts.len().min(max)];
    let rest = texts.len() - shown.len();
    Ok(match (shown, rest) {
        ([], _) => String::new(),
        (shown, n @ 1..) => format!(
            "{}{and}{n} {}",
            shown.join(", "),
            call.word("more").unwrap_or("…")
        ),
        ([one], 0) => (*one).to_owned(),
        ([head @ .., last], 0) => format!("{}{and}{last}", head.join(", ")),
    }
    .into())
}

/// `{{default a b}}`: a, or b where a is empty.
fn default(call: &Arguments<'_>) -> Result<Value, String> {
    let value = call.value()?;
    let empty = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    if !empty {
        return Ok(value.clone());
    }
    call.values
        .get(1)
        .map(|v| (*v).clone())
        .ok_or_else(|| "a second value is missing".to_owned())
}

/// `{{url x}}`: an http or https address that is safe in a link, else nothing.
fn url(call: &Arguments<'_>) -> Result<Value, String> {
    let text = call.value()?.as_str().unwrap_or_default();
    Ok(clean::web_address(text).map_or(Value::Null, Value::String))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(template: &str, data: Value) -> Result<String, String> {
        let formats: Formats = Arc::new(
            ["en-GB", "de"]
                .into_iter()
                .filter_map(|tag| Some((tag.to_owned(), LocaleFormat::build(tag)?)))
                .collect(),
        );
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(handlebars::no_escape);
        register(&mut registry, &formats);
        let mut root = json!({"locale": "en-GB", "today": "2026-03-02"});
        if let (Value::Object(root), Value::Object(data)) = (&mut root, data) {
            root.extend(data);
        }
        registry
            .render_template(template, &root)
            .map(|text| text.replace('\u{a0}', " "))
            .map_err(|e| e.reason().to_string())
    }

    #[test]
    fn functions_print_what_the_manual_says() {
        let data = json!({
            "day": "2026-03-20", "far": "2027-01-08", "window": "2026-03-30/2026-04-01",
            "one": 1, "two": 2, "part": 2.5, "none": null, "empty": "",
            "list": ["a", "b", "c", "d"], "pair": ["a", "b"],
            "link": "https://x.example/(a)", "script": "javascript:1",
        });
        for (template, expected) in [
            ("{{date day}}", "Friday 20 March"),
            ("{{eta day on=\"on\"}}", "on Friday 20 March"),
            (
                "{{eta window from=\"between\" to=\"and\"}}",
                "between Monday 30 March and Wednesday 1 April",
            ),
            ("{{short_date day}}", "Fri 20 Mar"),
            ("{{short_date window}}", "30 Mar – 1 Apr"),
            ("{{short_date window by=\"by\"}}", "by Wed 1 Apr"),
            (
                "{{eta window to=\"to\" window=\"short\"}}",
                "30 Mar to 1 Apr",
            ),
            ("{{short_date far}}", "Fri 8 Jan 2027"),
            ("{{quantity one one=\"piece\" other=\"pieces\"}}", "1 piece"),
            (
                "{{quantity two one=\"piece\" other=\"pieces\"}}",
                "2 pieces",
            ),
            ("{{quantity part one=\"piece\" other=\"pieces\"}}", "2.5"),
            ("{{plural two one=\"is\" other=\"are\"}}", "are"),
            ("{{plural list one=\"is\" other=\"are\"}}", "are"),
            ("{{join pair and=\"and\"}}", "a and b"),
            ("{{join list and=\"and\"}}", "a, b, c and d"),
            (
                "{{join list and=\"and\" max=2 more=\"more\"}}",
                "a, b and 2 more",
            ),
            (
                "{{default empty \"x\"}}{{default none \"y\"}}{{default day \"z\"}}",
                "xy2026-03-20",
            ),
            ("{{url link}}{{url script}}", "https://x.example/%28a%29"),
            ("a{{_ \"\"}}b", "ab"),
        ] {
            assert_eq!(
                render(template, data.clone()).as_deref(),
                Ok(expected),
                "{template}"
            );
        }
        assert_eq!(
            render("{{quantity part}}", json!({"locale": "de", "part": 2.5})).as_deref(),
            Ok("2,5")
        );
    }

    #[test]
    fn a_wrong_value_is_an_error_and_never_a_wrong_word() {
        for (template, what) in [
            (
                "{{date none}}",
                "date: there is no date here; put it inside {{#if ...}}",
            ),
            ("{{date text}}", "date: this is not a date"),
            ("{{quantity text}}", "quantity: this is not a number"),
            ("{{join text}}", "join: this is not a list"),
            (
                "{{plural two one=\"x\"}}",
                "plural: give the word for every number as other=\"...\"",
            ),
            (
                "{{date missing}}",
                "Failed to access variable in strict mode Some(\"missing\")",
            ),
            ("{{log text}}", "Helper not found log"),
        ] {
            let data = json!({"none": null, "text": "x", "two": 2});
            assert_eq!(render(template, data), Err(what.to_owned()), "{template}");
        }
    }
}
