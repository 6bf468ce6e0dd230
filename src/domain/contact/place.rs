//! Where a customer lives and which language they read: countries, languages
//! and time zones, in the many spellings shops use for them.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An ISO 3166-1 alpha-2 country code, upper case.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country([u8; 2]);

impl Country {
    /// # Errors
    /// Anything but two ASCII letters.
    pub fn parse(text: &str) -> Result<Country, NotACountry> {
        match text.trim().as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Country([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(NotACountry),
        }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("ZZ")
    }
}

impl TryFrom<String> for Country {
    type Error = NotACountry;
    fn try_from(text: String) -> Result<Self, NotACountry> {
        Country::parse(&text)
    }
}

impl From<Country> for String {
    fn from(country: Country) -> String {
        country.as_str().to_owned()
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a country: two letters are expected, like DE or US")]
pub struct NotACountry;

/// A BCP 47 language tag reduced to what we use: language and, optionally,
/// region (`de`, `de-AT`, `pt-BR`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Locale {
    language: String,
    region: Option<String>,
}

impl Locale {
    /// Reads `de`, `de-AT`, `de_AT.UTF-8`, `pt_BR`, `zh-Hant-TW` in any case.
    /// Scripts, variants and encodings are dropped.
    ///
    /// # Errors
    /// The first part is not a two- or three-letter language.
    pub fn parse(text: &str) -> Result<Locale, NotALocale> {
        let text = text.trim().split(['.', '@']).next().unwrap_or_default();
        let mut parts = text.split(['-', '_']);
        let language = parts.next().unwrap_or_default().to_ascii_lowercase();
        if !(2..=3).contains(&language.len()) || !language.chars().all(|c| c.is_ascii_alphabetic())
        {
            return Err(NotALocale);
        }
        let region = parts
            .find(|p| p.len() == 2 && p.chars().all(|c| c.is_ascii_alphabetic()))
            .map(str::to_ascii_uppercase);
        Ok(Locale { language, region })
    }

    pub fn language(&self) -> &str {
        &self.language
    }
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }
    /// Most specific first: `de-AT`, `de`.
    pub fn fallbacks(&self) -> Vec<String> {
        let mut tags = Vec::with_capacity(2);
        if self.region.is_some() {
            tags.push(self.to_string());
        }
        tags.push(self.language.clone());
        tags
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.region {
            Some(region) => write!(f, "{}-{region}", self.language),
            None => f.write_str(&self.language),
        }
    }
}

impl fmt::Debug for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<String> for Locale {
    type Error = NotALocale;
    fn try_from(text: String) -> Result<Self, NotALocale> {
        Locale::parse(&text)
    }
}

impl From<Locale> for String {
    fn from(locale: Locale) -> String {
        locale.to_string()
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a language: write it like de, de-AT or pt_BR")]
pub struct NotALocale;

/// Reads an IANA zone name. Abbreviations and fixed offsets are refused: they
/// do not know daylight saving time.
///
/// # Errors
/// Any name that is not `Area/Place` or `UTC`.
pub fn parse_zone(text: &str) -> Result<Tz, NotAZone> {
    let text = text.trim();
    if text != "UTC" && (!text.contains('/') || text.starts_with("Etc/GMT")) {
        return Err(NotAZone);
    }
    text.parse().map_err(|_| NotAZone)
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time zone: write an IANA name like Europe/Berlin, or UTC")]
pub struct NotAZone;
