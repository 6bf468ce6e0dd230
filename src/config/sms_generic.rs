//! A gateway of any kind: one HTTP request per text, described by settings.

use super::forms::{choice, json, list, parsed, table, text, whole};
use super::problem::Place;
use super::raw::{Entry, Value};
use super::reader::{Read, Section};
use super::secrets::Vault;
use super::sms::{Around, url};
use super::sms_hook;
use super::units::Wrong;
use crate::channel::settings::{
    AnswerMatch, BodyTemplate, GenericSmsSettings, HookSettings, HttpAuth, HttpMethod, Login,
    Success,
};

pub fn read(around: &Around<'_>) -> (Option<GenericSmsSettings>, Option<HookSettings>) {
    let (vault, needed) = (around.vault, around.needed);
    let section = around.reader.section("sms.generic");
    let name = section.maybe("name", text);
    let method = section.maybe(
        "method",
        choice(&[
            ("get", HttpMethod::Get),
            ("post", HttpMethod::Post),
            ("put", HttpMethod::Put),
        ]),
    );
    let method = method.unwrap_or(HttpMethod::Post);
    let url = section.maybe("url", parsed(url));
    let from = section.maybe("from", text);
    let auth = auth(&section, vault, needed.is_some());
    let statuses = |key| section.maybe(key, list(status)).unwrap_or_default();
    let success_statuses = statuses("success_statuses");
    let retry_statuses = statuses("retry_statuses");
    let id_pointer = section.maybe("id_pointer", parsed(pointer));
    let idempotency_header = section.maybe("idempotency_header", parsed(header_name));
    let answer = |key| section.maybe(key, table(answer_match));
    let (matching, hard, opted_out) = (answer("success"), answer("hard"), answer("opted_out"));
    let headers = section.maybe("headers", table(headers)).unwrap_or_default();
    let body = body(&section, method, needed);
    if let Some(place) = needed {
        section.need("url", place, "\"https://api.gateway.example/v1/messages\"");
        section.need("from", place, "\"MyShop\"");
    }
    let hook = sms_hook::read(around);
    let receipts = around.receipts("generic").filter(|_| hook.is_some());
    let settings = || {
        Some(GenericSmsSettings {
            name: name.unwrap_or_else(|| "the text gateway".to_owned()),
            method,
            url: url?,
            headers,
            auth: auth?,
            body: body?,
            from: from?,
            success: Success {
                statuses: success_statuses,
                matching,
            },
            id_pointer,
            retry_statuses,
            hard,
            opted_out,
            idempotency_header,
            receipts,
            traffic: around.traffic,
        })
    };
    (settings(), hook.map(Box::new).map(HookSettings::Generic))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Auth {
    None,
    Basic,
    Bearer,
    Header,
    Fields,
}

fn auth(section: &Section<'_>, vault: &Vault<'_>, used: bool) -> Option<HttpAuth> {
    let words = [
        ("none", Auth::None),
        ("basic", Auth::Basic),
        ("bearer", Auth::Bearer),
        ("header", Auth::Header),
        ("fields", Auth::Fields),
    ];
    let auth = section.maybe("auth", choice(&words)).unwrap_or(Auth::None);
    let user = section.maybe("user", text);
    let header = section.maybe("header", parsed(header_name));
    let vault = vault.where_used(used);
    let secret = vault.read(section, "secret");
    let secret_fields = vault.read_named(section, "secret_fields");
    let place = section.place("auth");
    let is_used = |key| match key {
        "user" => auth == Auth::Basic,
        "header" => auth == Auth::Header,
        "secret_fields" => auth == Auth::Fields,
        _ => !matches!(auth, Auth::None | Auth::Fields),
    };
    for (key, example) in [
        ("user", "\"backorderd\""),
        ("header", "\"X-Api-Key\""),
        ("secret", "{ file = \"secrets/gateway.token\" }"),
        (
            "secret_fields",
            "{ api_key = { file = \"secrets/gateway.token\" } }",
        ),
    ] {
        if is_used(key) {
            section.need(key, &place, example);
        } else if section.entry(key).is_some() {
            section.refuse(
                key,
                format!("sms.generic.{key} is not used with this auth"),
                "take it out, or change sms.generic.auth",
            );
        }
    }
    Some(match auth {
        Auth::None => HttpAuth::None,
        Auth::Basic => HttpAuth::Basic(Login {
            user: user?,
            password: secret?,
        }),
        Auth::Bearer => HttpAuth::Bearer(secret?),
        Auth::Header => HttpAuth::Header {
            name: header?,
            value: secret?,
        },
        Auth::Fields => HttpAuth::Fields(secret_fields?),
    })
}

fn body(section: &Section<'_>, method: HttpMethod, needed: Option<&Place>) -> Option<BodyTemplate> {
    let as_json = section.maybe(
        "json",
        table(|entries| {
            let object = entries
                .iter()
                .map(|(key, entry)| ((*key).to_owned(), json(&entry.value)));
            Ok(object.collect::<serde_json::Map<_, _>>())
        }),
    );
    let as_form = section.maybe(
        "form",
        table(|entries| {
            let field = |(key, entry): &(&str, &Entry)| Ok(((*key).to_owned(), plain(entry)?));
            entries.iter().map(field).collect::<Read<Vec<_>>>()
        }),
    );
    let as_json = as_json.filter(|object| !object.is_empty());
    let as_form = as_form.filter(|fields| !fields.is_empty());
    let (chosen, key) = match (as_json, as_form) {
        (Some(_), Some(_)) => {
            section.refuse(
                "form",
                "the request's content is given as JSON and as a form",
                "keep one of [sms.generic.json] and [sms.generic.form]",
            );
            return None;
        }
        (Some(object), None) => (BodyTemplate::Json(object.into()), "json"),
        (None, Some(fields)) => (BodyTemplate::Form(fields), "form"),
        (None, None) => {
            if let Some(place) = needed
                && section.entry("json").is_none()
                && section.entry("form").is_none()
            {
                let example = "{ to = \"{{to}}\", text = \"{{text}}\" }";
                section.need("json", place, example);
            }
            return None;
        }
    };
    let words = section
        .entry(key)
        .map(|entry| entry.value.literal())
        .unwrap_or_default();
    for (wanted, instead) in [("{{to}}", "{{to_digits}}"), ("{{text}}", "{{text}}")] {
        if !words.contains(wanted) && !words.contains(instead) {
            section.refuse(
                key,
                format!("the request never says {wanted}"),
                format!("put {wanted} where the gateway expects it"),
            );
        }
    }
    if method == HttpMethod::Get && key == "json" {
        section.refuse(
            "json",
            "a GET request has no content",
            "use [sms.generic.form], which becomes the query, or method = \"post\"",
        );
    }
    Some(chosen)
}

/// A form's field: a text, or a number or switch as it is written.
fn plain(entry: &Entry) -> Read<String> {
    match &entry.value {
        Value::Whole(_) | Value::Fraction(_) | Value::Switch(_) => Ok(entry.value.literal()),
        _ => text(entry),
    }
}

fn status(entry: &Entry) -> Read<u16> {
    whole(100..=599)(entry).map(|status| u16::try_from(status).unwrap_or(599))
}

fn pointer(text: &str) -> Result<String, Wrong> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("`{text}` is not a place in a JSON answer"),
        "write the names from the top, each after a slash: \"/messages/0/id\"",
    ))
}

pub fn header_name(text: &str) -> Result<String, Wrong> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if text.chars().all(sound) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("`{text}` is not the name of a header"),
        "write it without colon and blanks, like \"X-Api-Key\"",
    ))
}

fn headers(entries: &[(&str, &Entry)]) -> Read<Vec<(String, String)>> {
    let header = |(key, entry): &(&str, &Entry)| {
        if key.eq_ignore_ascii_case("authorization") {
            let what = "a login must not stand among the headers";
            let cure =
                "write auth = \"bearer\" (or \"basic\", \"header\") and secret in [sms.generic]";
            return Err(vec![Wrong::new(what, cure).into()]);
        }
        let name = header_name(key).map_err(|wrong| vec![wrong.into()])?;
        Ok((name, text(entry)?))
    };
    entries.iter().map(header).collect()
}

/// Reads `{ pointer = "...", any_of = [...] }` or `{ text = [...] }`.
fn answer_match(entries: &[(&str, &Entry)]) -> Read<AnswerMatch> {
    let wrong = |what: &str| {
        let cure = "write { pointer = \"/status\", any_of = [\"ok\"] } or { text = [\"OK\"] }";
        vec![Wrong::new(what, cure).into()]
    };
    let (mut place, mut any_of, mut words) = (None, None, None);
    for (key, entry) in entries {
        match *key {
            "pointer" => place = Some(parsed(pointer)(entry)?),
            "any_of" => any_of = Some(list(|item| Ok(json(&item.value)))(entry)?),
            "text" => words = Some(list(text)(entry)?),
            other => return Err(wrong(&format!("there is no `{other}` here"))),
        }
    }
    match (place, any_of, words) {
        (Some(pointer), Some(any_of), None) if !any_of.is_empty() => {
            Ok(AnswerMatch::Json { pointer, any_of })
        }
        (None, None, Some(words)) if !words.is_empty() => Ok(AnswerMatch::Text(words)),
        _ => Err(wrong("it does not say what to look for")),
    }
}
