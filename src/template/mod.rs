//! From facts to words: loads the shop's templates, proves that they cannot
//! break sending, and renders messages with them.
//!
//! Called by the use cases that send and preview; calls nothing but `domain`.
//! Reading order: `context` (what can be printed), `functions` (what can be
//! called), `document` and `sources` (the files), `registry` (one language,
//! compiled), `markdown` with `text_part`, `html_part` and `layout` (one
//! message becomes two parts), `check` and `lint` (what is refused), `fallback`
//! (what is used instead), `live` (the set in force), `samples`.
//!
//! Promises:
//! - A [`TemplateSet`] exists only if every template in it was checked and
//!   rendered every sample of its kind. Rendering does no I/O, reads no clock,
//!   and is a function of set, facts and day.
//! - Both parts of a mail come from the same words. A value never becomes
//!   markup, and never a line break or a direction switch in a subject.
//! - What is printed as told was really said; a date that is not stated is
//!   not mentioned.
//!
//! It does not send, store, or decide what is said to whom.

mod check;
mod clean;
mod context;
mod dates;
mod document;
mod fallback;
mod functions;
mod html_part;
mod inlined;
mod layout;
mod lint;
mod live;
mod markdown;
mod problem;
mod registry;
mod samples;
mod schema;
mod sources;
mod text_part;

pub use fallback::{BrokenFile, Instead, files_of};
pub use lint::{check, texts_too_long};
pub use live::{LiveTemplates, TemplateSource};
pub use problem::{Problem, TemplateProblems};
pub use samples::{SAMPLE_DAY, sample_shop, samples};

use crate::domain::contact::Locale;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::shop::ShopProfile;
use crate::domain::sms_letters;
use crate::domain::sms_text::{self, SmsSize};
use crate::domain::statement::MessageFacts;
use chrono::NaiveDate;
use dates::LocaleFormat;
use functions::Formats;
use registry::LocaleTemplates;
use sources::Sources;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// Language of last resort: ours, and always complete.
const FALLBACK_LANGUAGE: &str = "en";

/// `en` alone is written day before month, as most of the world does; who
/// wants `March 20` says `en-US`.
const ENGLISH_FORMAT: &str = "en-GB";

/// Regions whose customers get their own way of writing dates without an own
/// template folder.
const REGIONAL_FORMATS: [&str; 16] = [
    "de-AT", "de-BE", "de-CH", "de-LI", "de-LU", "en-AU", "en-CA", "en-GB", "en-IE", "en-IN",
    "en-NZ", "en-SG", "en-US", "en-ZA", "fr-CA", "fr-CH",
];

/// All templates, checked and compiled. Share it behind an `Arc`; a reload
/// builds another one.
pub struct TemplateSet {
    locales: BTreeMap<String, LocaleTemplates>,
    formats: Formats,
    shop_locale: Locale,
    transliterates: bool,
    broken: Vec<BrokenFile>,
}

/// The built-in templates as files, by their path below a templates folder:
/// what a merchant starts from.
pub fn built_in_files() -> Vec<(String, String)> {
    Sources::built_in()
        .files()
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .collect()
}

/// An e-mail's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedEmail {
    /// One line of at most 78 characters, fit for a header.
    pub subject: String,
    pub preheader: String,
    /// The text part, line breaks `\n`.
    pub text: String,
    pub html: String,
    /// Language of the words, which may not be the customer's.
    pub locale: Locale,
    /// See [`TemplateSet::version`].
    pub template_version: String,
}

/// A text message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedSms {
    pub text: String,
    pub size: SmsSize,
    pub locale: Locale,
    pub template_version: String,
}

/// Why a message could not be rendered. Carries places in templates, never a
/// value of the message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error(
        "there is no {channel} template of kind {kind} in {locale} or any language it falls back to"
    )]
    NoTemplate {
        kind: Kind,
        channel: ChannelName,
        locale: Locale,
    },
    #[error("the message is about no order")]
    NoOrder,
    #[error("a text message is about one order, this one has {0}")]
    SeveralOrders(usize),
    #[error("{file}:{line}:{column}: {what}")]
    Template {
        file: String,
        line: usize,
        column: usize,
        what: String,
    },
    #[error("{file}: the result is longer than {bytes_max} bytes")]
    TooLong { file: String, bytes_max: usize },
}

impl TemplateSet {
    /// Loads the built-in templates and, over them file by file, those of the
    /// merchant's folder.
    ///
    /// # Errors
    /// Every problem of every file at once. One problem refuses the whole set:
    /// the caller keeps the one it has.
    pub fn load(
        overrides: Option<&Path>,
        shop: &ShopProfile,
    ) -> Result<TemplateSet, TemplateProblems> {
        let (sources, problems) = match overrides {
            Some(folder) => Sources::with_overrides(folder),
            None => (Sources::built_in(), Vec::new()),
        };
        TemplateSet::from_sources(&sources, problems, shop)
    }

    /// Files that cannot be used, and what is used instead; none in a set that
    /// was loaded strictly.
    pub fn broken(&self) -> &[BrokenFile] {
        &self.broken
    }

    /// The same set, but texts may lose accents where that saves segments.
    #[must_use]
    pub fn transliterating(mut self, on: bool) -> TemplateSet {
        self.transliterates = on;
        self
    }

    fn from_sources(
        sources: &Sources,
        mut problems: Vec<Problem>,
        shop: &ShopProfile,
    ) -> Result<TemplateSet, TemplateProblems> {
        let formats = formats(sources, shop);
        let mut locales = BTreeMap::new();
        let layout = layout::compile(sources, &mut problems);
        for tag in sources.locales() {
            let Ok(locale) = Locale::parse(tag) else {
                continue;
            };
            let compiled =
                LocaleTemplates::compile(sources, &locale, &layout, shop, &formats, &mut problems);
            locales.insert(tag.to_owned(), compiled);
        }
        let set = TemplateSet {
            locales,
            formats,
            shop_locale: shop.locale.clone(),
            transliterates: false,
            broken: Vec::new(),
        };
        if problems.is_empty() {
            problems = lint::errors(&set);
        }
        problems.sort();
        problems.dedup();
        if problems.is_empty() {
            Ok(set)
        } else {
            Err(TemplateProblems(problems))
        }
    }

    /// Renders a mail as of `today` (the shop's civil day).
    ///
    /// # Errors
    /// See [`RenderError`]; with a checked set only for facts no sample is
    /// like.
    pub fn render_email(
        &self,
        facts: &MessageFacts,
        today: NaiveDate,
    ) -> Result<RenderedEmail, RenderError> {
        let templates = self.find(facts.kind, ChannelName::Email, &facts.locale)?;
        let format = self.format_tag(&facts.locale, templates);
        let context = templates.context(facts, today, &format)?;
        let email = templates.render_email(facts.kind, context)?;
        Ok(RenderedEmail {
            subject: email.subject,
            preheader: email.preheader,
            text: email.text,
            html: email.html,
            locale: templates.locale().clone(),
            template_version: templates.version(facts.kind, ChannelName::Email),
        })
    }

    /// Renders a text message: one order, one line, typography smoothed so
    /// that it stays in the small alphabet where the words allow it. How many
    /// segments are acceptable is the caller's policy.
    ///
    /// # Errors
    /// As [`TemplateSet::render_email`]; more than one order.
    pub fn render_sms(
        &self,
        facts: &MessageFacts,
        today: NaiveDate,
    ) -> Result<RenderedSms, RenderError> {
        if facts.orders.len() > 1 {
            return Err(RenderError::SeveralOrders(facts.orders.len()));
        }
        let templates = self.find(facts.kind, ChannelName::Sms, &facts.locale)?;
        let format = self.format_tag(&facts.locale, templates);
        let context = templates.context(facts, today, &format)?;
        let mut text = sms_text::smooth(&templates.render_sms(facts.kind, context)?);
        if self.transliterates {
            text = sms_letters::transliterate(&text);
        }
        Ok(RenderedSms {
            size: sms_text::measure(&text),
            text,
            locale: templates.locale().clone(),
            template_version: templates.version(facts.kind, ChannelName::Sms),
        })
    }

    /// Fingerprint of everything a message of this kind is made with: its
    /// templates, the partials, the layout, the shop's profile and the
    /// functions. `None` where there is no template.
    pub fn version(&self, kind: Kind, locale: &Locale, channel: ChannelName) -> Option<String> {
        self.find(kind, channel, locale)
            .ok()
            .map(|templates| templates.version(kind, channel))
    }

    /// Every version with what it is made of: a JSON document with the files,
    /// the shop's block and the version of the helpers that its hash covers.
    pub fn made_of(&self) -> impl Iterator<Item = (&str, &str)> {
        self.locales.values().flat_map(LocaleTemplates::made_of)
    }

    /// Languages that have templates, as their folders are called.
    pub fn locales(&self) -> impl Iterator<Item = &Locale> {
        self.locales.values().map(LocaleTemplates::locale)
    }

    /// The customer's language, else the shop's, else English.
    fn find(
        &self,
        kind: Kind,
        channel: ChannelName,
        locale: &Locale,
    ) -> Result<&LocaleTemplates, RenderError> {
        let mut tags = locale.fallbacks();
        tags.extend(self.shop_locale.fallbacks());
        tags.push(FALLBACK_LANGUAGE.to_owned());
        tags.iter()
            .filter_map(|tag| self.locales.get(tag))
            .find(|templates| templates.has(kind, channel))
            .ok_or_else(|| RenderError::NoTemplate {
                kind,
                channel,
                locale: locale.clone(),
            })
    }

    /// How dates and numbers are written: as in the customer's region, if the
    /// words are in the customer's language, else as in the shop's.
    fn format_tag(&self, customer: &Locale, templates: &LocaleTemplates) -> String {
        let words = templates.locale();
        [customer, words, &self.shop_locale]
            .into_iter()
            .filter(|l| l.language() == words.language() && l.region().is_some())
            .map(ToString::to_string)
            .find(|tag| self.formats.contains_key(tag))
            .unwrap_or_else(|| default_format(words))
    }
}

fn default_format(words: &Locale) -> String {
    if words.language() == FALLBACK_LANGUAGE && words.region().is_none() {
        ENGLISH_FORMAT.to_owned()
    } else {
        words.to_string()
    }
}

/// Formats for every tag a message may be rendered with.
fn formats(sources: &Sources, shop: &ShopProfile) -> Formats {
    let languages: Vec<Locale> = sources
        .locales()
        .filter_map(|tag| Locale::parse(tag).ok())
        .collect();
    let regional = REGIONAL_FORMATS
        .into_iter()
        .filter(|tag| languages.iter().any(|l| tag.starts_with(l.language())))
        .map(ToOwned::to_owned);
    let mut formats = HashMap::new();
    for tag in languages
        .iter()
        .map(ToString::to_string)
        .chain([shop.locale.to_string()])
        .chain(regional)
    {
        if let Some(format) = LocaleFormat::build(&tag) {
            formats.insert(tag, format);
        }
    }
    Arc::new(formats)
}

#[cfg(test)]
mod tests;
