//! The templates of one language, compiled.
//!
//! Escaping is a property of a registry, so there are three: *words* escapes
//! values for Markdown (the body of `email.hbs`), *plain* escapes nothing
//! (subject, preheader, `sms.hbs`, `text.hbs`), *pages* escapes for HTML (the
//! layout, `html.hbs`). The partials are in all three.

use super::check::{self, Part};
use super::clean;
use super::context::{self, ShopContext, TemplateContext};
use super::document::EmailDocument;
use super::functions::{self, FUNCTIONS_VERSION, Formats};
use super::layout::Layout;
use super::problem::Problem;
use super::sources::{LAYOUT, Sources};
use super::{RenderError, html_part, inlined, markdown, text_part};
use crate::domain::contact::Locale;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::shop::ShopProfile;
use crate::domain::statement::{MessageFacts, hex};
use chrono::NaiveDate;
use handlebars::{Context, Handlebars, RenderErrorReason};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::io;

/// Longest results: room for a wholesale order of a thousand lines, because
/// leaving some out would be a lie, and an end for what a template may do.
const WORDS_BYTES_MAX: usize = 1024 * 1024;
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Hexadecimal digits of a version: enough never to meet twice, short enough
/// to print.
const VERSION_DIGITS: usize = 16;

/// Longest sentence of an error that is kept: a nested one may be an essay.
const ERROR_CHARS_MAX: usize = 200;

pub struct LocaleTemplates {
    locale: Locale,
    shop: ShopContext,
    words: Handlebars<'static>,
    plain: Handlebars<'static>,
    pages: Handlebars<'static>,
    /// File of each registered name, for errors.
    files: HashMap<String, String>,
    versions: HashMap<(Kind, ChannelName), String>,
    /// What each version is made of.
    made_of: BTreeMap<String, String>,
}

/// What the versions of one language have in common: together with the files
/// of a kind, everything their hash covers.
struct Ingredients<'a> {
    functions: &'a str,
    locale: String,
    shop: &'a ShopProfile,
    files: Vec<(String, String)>,
}

impl Ingredients<'_> {
    /// With the files of one kind, as a JSON document.
    fn with(&self, own: &[(String, String)]) -> String {
        let files: Vec<Value> = self
            .files
            .iter()
            .chain(own)
            .map(|(path, text)| serde_json::json!({ "path": path, "text": text }))
            .collect();
        serde_json::json!({
            "functions": self.functions,
            "locale": self.locale,
            "shop": self.shop,
            "files": files,
        })
        .to_string()
    }
}

/// An e-mail before it gets its envelope of languages and versions.
pub struct EmailWords {
    pub subject: String,
    pub preheader: String,
    pub text: String,
    pub html: String,
}

impl LocaleTemplates {
    /// Compiles and checks everything a language can render; findings are
    /// added to `problems`.
    pub fn compile(
        sources: &Sources,
        locale: &Locale,
        layout: &Layout,
        shop: &ShopProfile,
        formats: &Formats,
        problems: &mut Vec<Problem>,
    ) -> LocaleTemplates {
        let mut templates = LocaleTemplates {
            locale: locale.clone(),
            shop: context::shop_context(shop, locale),
            words: registry(formats, clean::markdown),
            plain: registry(formats, handlebars::no_escape),
            pages: registry(formats, clean::html),
            files: HashMap::new(),
            versions: HashMap::new(),
            made_of: BTreeMap::new(),
        };
        let mut parts = Vec::new();
        for (name, (file, text)) in sources.partials(locale) {
            parts.push(Part::partial(name, file, text));
        }
        if !layout.page.is_empty() {
            parts.push(Part::layout(LAYOUT, &layout.source));
        }
        let mut base = Sha256::new();
        put(&mut base, FUNCTIONS_VERSION);
        put(&mut base, &locale.to_string());
        put(&mut base, &serde_json::to_string(shop).unwrap_or_default());
        for part in &parts {
            if part.name != LAYOUT {
                put(&mut base, &part.name);
                put(&mut base, &part.text);
            }
        }
        let common = Ingredients {
            functions: FUNCTIONS_VERSION,
            locale: locale.to_string(),
            shop,
            files: parts
                .iter()
                .filter(|part| part.name != LAYOUT)
                .map(|part| (part.file.clone(), part.text.clone()))
                .collect(),
        };
        for kind in Kind::ALL {
            templates.collect_email(sources, kind, layout, &base, &common, &mut parts, problems);
            if let Some((file, text)) = sources.find(locale, kind, "sms.hbs") {
                let mut hash = base.clone();
                put(&mut hash, text);
                let own = [(file.clone(), text.to_owned())];
                templates.note(kind, ChannelName::Sms, version(&hash), common.with(&own));
                parts.push(Part::plain(format!("{kind}/sms"), file, text));
            }
        }
        let findings = check::parts(&parts);
        let is_sound = findings.is_empty();
        problems.extend(findings);
        // A registry holds only what was checked: one cycle of partials would
        // end the process, not the render.
        if is_sound {
            templates.register(&parts, &layout.page, problems);
        }
        templates
    }

    fn note(&mut self, kind: Kind, channel: ChannelName, version: String, made_of: String) {
        self.made_of.insert(version.clone(), made_of);
        self.versions.insert((kind, channel), version);
    }

    /// Every version with what it is made of, as a JSON document.
    pub fn made_of(&self) -> impl Iterator<Item = (&str, &str)> {
        self.made_of.iter().map(|(v, m)| (v.as_str(), m.as_str()))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one loop's body, split off to fit a screen"
    )]
    fn collect_email(
        &mut self,
        sources: &Sources,
        kind: Kind,
        layout: &Layout,
        base: &Sha256,
        common: &Ingredients<'_>,
        parts: &mut Vec<Part>,
        problems: &mut Vec<Problem>,
    ) {
        let Some((file, text)) = sources.find(&self.locale, kind, "email.hbs") else {
            return;
        };
        let mut hash = base.clone();
        put(&mut hash, &layout.source);
        put(&mut hash, text);
        let mut own = vec![
            (LAYOUT.to_owned(), layout.source.clone()),
            (file.clone(), text.to_owned()),
        ];
        match EmailDocument::parse(&file, text) {
            Err(found) => problems.extend(found),
            Ok(document) => {
                let part = |name: &str, words: &str| {
                    Part::plain(format!("{kind}/{name}"), file.clone(), words)
                };
                parts.push(part("subject", &document.subject));
                parts.push(part("preheader", &document.preheader));
                parts.push(Part::words(
                    format!("{kind}/body"),
                    file.clone(),
                    &document.body,
                ));
            }
        }
        if let Some((file, text)) = sources.find(&self.locale, kind, "text.hbs") {
            put(&mut hash, text);
            own.push((file.clone(), text.to_owned()));
            parts.push(Part::plain(format!("{kind}/text"), file, text));
        }
        if let Some((file, text)) = sources.find(&self.locale, kind, "html.hbs") {
            put(&mut hash, text);
            own.push((file.clone(), text.to_owned()));
            parts.push(Part::page(format!("{kind}/html"), file, text));
        }
        let made_of = common.with(&own);
        self.note(kind, ChannelName::Email, version(&hash), made_of);
    }

    fn register(&mut self, parts: &[Part], page: &str, problems: &mut Vec<Problem>) {
        let mut texts = BTreeMap::new();
        for part in parts {
            self.files.insert(part.name.clone(), part.file.clone());
            let text = if part.name == LAYOUT {
                page
            } else {
                &part.text
            };
            texts.insert(part.name.as_str(), text);
            for registry in [
                part.in_words().then_some(&mut self.words),
                part.in_plain().then_some(&mut self.plain),
                part.in_pages().then_some(&mut self.pages),
            ]
            .into_iter()
            .flatten()
            {
                if let Err(error) = registry.register_template_string(&part.name, text) {
                    let (line, column) = error.pos().unwrap_or((1, 1));
                    problems.push(Problem::at(
                        &part.file,
                        line,
                        column,
                        error.reason().to_string(),
                    ));
                }
            }
        }
        for registry in [&mut self.words, &mut self.plain, &mut self.pages] {
            inlined::inline(registry, &texts);
        }
    }

    pub fn locale(&self) -> &Locale {
        &self.locale
    }

    pub fn has(&self, kind: Kind, channel: ChannelName) -> bool {
        self.versions.contains_key(&(kind, channel))
    }

    pub fn version(&self, kind: Kind, channel: ChannelName) -> String {
        self.versions
            .get(&(kind, channel))
            .cloned()
            .unwrap_or_default()
    }

    /// The facts as templates see them.
    pub fn context(
        &self,
        facts: &MessageFacts,
        today: NaiveDate,
        format: &str,
    ) -> Result<Value, RenderError> {
        let context: TemplateContext =
            context::build(facts, &self.shop, today, &self.locale.to_string(), format)
                .ok_or(RenderError::NoOrder)?;
        serde_json::to_value(&context).map_err(|error| RenderError::Template {
            file: "context".to_owned(),
            line: 1,
            column: 1,
            what: error.to_string(),
        })
    }

    pub fn render_sms(&self, kind: Kind, context: Value) -> Result<String, RenderError> {
        let context = Context::from(context);
        let text = self.render(
            &self.plain,
            &format!("{kind}/sms"),
            &context,
            LINE_BYTES_MAX,
        )?;
        Ok(clean::line(&text, LINE_BYTES_MAX))
    }

    pub fn render_email(&self, kind: Kind, context: Value) -> Result<EmailWords, RenderError> {
        let mut context = Context::from(context);
        let name = |part: &str| format!("{kind}/{part}");
        let head = |part: &str, chars_max: usize| {
            self.render(&self.plain, &name(part), &context, LINE_BYTES_MAX)
                .map(|line| clean::line(&line, chars_max))
        };
        let subject = head("subject", clean::SUBJECT_CHARS_MAX)?;
        let preheader = head("preheader", clean::PREHEADER_CHARS_MAX)?;
        let words = self.render(&self.words, &name("body"), &context, WORDS_BYTES_MAX)?;
        let blocks = markdown::parse(&words);
        let text = if self.plain.has_template(&name("text")) {
            self.render(&self.plain, &name("text"), &context, WORDS_BYTES_MAX)?
                .replace("\r\n", "\n")
                .replace('\u{a0}', " ")
        } else {
            text_part::write(&blocks)
        };
        if let Value::Object(root) = context.data_mut() {
            root.insert("subject".to_owned(), subject.clone().into());
            root.insert("preheader".to_owned(), preheader.clone().into());
            root.insert("body".to_owned(), html_part::write(&blocks).into());
        }
        let page = name("html");
        let page = if self.pages.has_template(&page) {
            &page
        } else {
            LAYOUT
        };
        let html = self.render(&self.pages, page, &context, PAGE_BYTES_MAX)?;
        Ok(EmailWords {
            subject,
            preheader,
            text,
            html,
        })
    }

    fn render(
        &self,
        registry: &Handlebars<'static>,
        name: &str,
        context: &Context,
        bytes_max: usize,
    ) -> Result<String, RenderError> {
        let mut out = Capped {
            bytes: Vec::with_capacity(1024),
            bytes_max,
        };
        registry
            .render_with_context_to_write(name, context, &mut out)
            .map_err(|error| self.error(name, &error, bytes_max))?;
        String::from_utf8(out.bytes).map_err(|_| RenderError::Template {
            file: self.file(name),
            line: 1,
            column: 1,
            what: "the result is not text".to_owned(),
        })
    }

    fn error(&self, name: &str, error: &handlebars::RenderError, bytes_max: usize) -> RenderError {
        let name = error.template_name.as_deref().unwrap_or(name);
        let file = self.file(name);
        if let RenderErrorReason::IOError(_) = error.reason() {
            return RenderError::TooLong { file, bytes_max };
        }
        let what = match error.reason() {
            RenderErrorReason::MissingVariable(Some(path)) => {
                format!("\"{path}\" has no value here; put it inside {{{{#if ...}}}}")
            }
            reason => clean::line(&reason.to_string(), ERROR_CHARS_MAX),
        };
        RenderError::Template {
            file,
            line: error.line_no.unwrap_or(1),
            column: error.column_no.unwrap_or(1),
            what,
        }
    }

    fn file(&self, name: &str) -> String {
        self.files
            .get(name)
            .cloned()
            .unwrap_or_else(|| name.to_owned())
    }
}

fn registry(formats: &Formats, escape: fn(&str) -> String) -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.set_prevent_indent(true);
    registry.register_escape_fn(escape);
    functions::register(&mut registry, formats);
    registry
}

fn put(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text.as_bytes());
}

fn version(hash: &Sha256) -> String {
    let mut version = hex(&hash.clone().finalize());
    version.truncate(VERSION_DIGITS);
    version
}

/// Refuses the byte after the last allowed one, so that no template fills the
/// memory.
struct Capped {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.bytes_max {
            return Err(io::Error::other("too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
