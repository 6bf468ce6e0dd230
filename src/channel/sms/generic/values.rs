//! Placeholders in a gateway's request: values are put in as values.

use crate::channel::Text;
use crate::channel::settings::BodyTemplate;
use crate::domain::sms_text::{SmsEncoding, measure};
use serde_json::Value;

/// Every string of a template.
pub fn strings(body: &BodyTemplate) -> Box<dyn Iterator<Item = &str> + '_> {
    fn of_json(value: &Value) -> Box<dyn Iterator<Item = &str> + '_> {
        match value {
            Value::String(text) => Box::new(std::iter::once(text.as_str())),
            Value::Array(items) => Box::new(items.iter().flat_map(of_json)),
            Value::Object(members) => Box::new(members.values().flat_map(of_json)),
            _ => Box::new(std::iter::empty()),
        }
    }
    match body {
        BodyTemplate::Json(value) => of_json(value),
        BodyTemplate::Form(fields) => Box::new(fields.iter().map(|(_, value)| value.as_str())),
    }
}

/// What the placeholders stand for in one message.
pub struct Values([(&'static str, String); 7]);

impl Values {
    pub fn of(text: &Text, from: &str, callback: String) -> Values {
        let encoding = match measure(&text.text).encoding {
            SmsEncoding::Gsm7 => "gsm7",
            SmsEncoding::Ucs2 => "ucs2",
        };
        let to = text.to.expose();
        Values([
            ("to", to.to_owned()),
            ("to_digits", to.trim_start_matches('+').to_owned()),
            ("from", from.to_owned()),
            ("text", text.text.clone()),
            ("ref", text.reference.clone()),
            ("callback", callback),
            ("encoding", encoding.to_owned()),
        ])
    }

    /// Knows all names, for a look at the template.
    pub fn example() -> Values {
        let names = [
            "to",
            "to_digits",
            "from",
            "text",
            "ref",
            "callback",
            "encoding",
        ];
        Values(names.map(|name| (name, String::new())))
    }

    /// Replaces each `{{name}}` once, from left to right; what was put in is
    /// not looked at again.
    ///
    /// # Errors
    /// The name of a placeholder that does not exist.
    pub fn fill<'a>(&self, template: &'a str) -> Result<String, &'a str> {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else {
                break;
            };
            let found = self.0.iter().find(|(known, _)| *known == name.trim());
            out.push_str(before);
            out.push_str(&found.ok_or(name.trim())?.1);
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// As [`Values::fill`], for a template that was looked at before.
    pub fn filled(&self, template: &str) -> String {
        self.fill(template).unwrap_or_default()
    }

    pub fn fill_json(&self, template: &Value) -> Value {
        match template {
            Value::String(text) => Value::String(self.filled(text)),
            Value::Array(items) => items.iter().map(|item| self.fill_json(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), self.fill_json(value)))
                .collect(),
            other => other.clone(),
        }
    }
}
