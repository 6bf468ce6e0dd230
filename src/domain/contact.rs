//! Whom we write to: parsed addresses, numbers, languages and zones.
//!
//! Everything here is parsed once at the door and cannot be wrong afterwards.
//! `Debug` and `Display` of an address or a number print a masked form, so
//! that no log line and no panic message can carry one; whoever really needs
//! the value calls `expose`, which is easy to find in a review.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest local part, domain and path (RFC 5321, 4.5.3.1).
const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 255;
const PATH_BYTES_MAX: usize = 254;

/// A customer's e-mail address, ready for an SMTP envelope: the domain is in
/// ASCII (IDNA A-labels) and lower case, the local part as it was given.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress {
    local: String,
    domain: String,
}

impl EmailAddress {
    /// Reads `local@domain`. Surrounding blanks are dropped, an
    /// internationalised domain is converted to A-labels.
    ///
    /// # Errors
    /// Nothing before or after the `@`; a quoted local part or an address
    /// literal (legal, never a customer's); characters an envelope cannot
    /// carry; a domain without a dot; lengths beyond RFC 5321.
    pub fn parse(text: &str) -> Result<EmailAddress, NotAnAddress> {
        let text = text.trim();
        let (local, domain) = text
            .rsplit_once('@')
            .ok_or(NotAnAddress("there is no @ in it"))?;
        if local.is_empty() {
            return Err(NotAnAddress("nothing stands before the @"));
        }
        if domain.is_empty() {
            return Err(NotAnAddress("nothing stands after the @"));
        }
        if local.starts_with('"') {
            return Err(NotAnAddress("quoted local parts are not accepted"));
        }
        if domain.starts_with('[') {
            return Err(NotAnAddress(
                "an address literal is not a customer's address",
            ));
        }
        let forbidden =
            |c: char| c.is_control() || c.is_whitespace() || "<>()[],;:\\\"@\u{feff}".contains(c);
        if local.chars().any(forbidden) {
            return Err(NotAnAddress(
                "the part before the @ has a character that is not allowed",
            ));
        }
        if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return Err(NotAnAddress(
                "a dot stands at the edge of the local part or twice in a row",
            ));
        }
        let domain = idna::domain_to_ascii_strict(domain)
            .map_err(|_| NotAnAddress("the domain is not a valid name"))?;
        if !domain.contains('.') || domain.starts_with('.') || domain.ends_with('.') {
            return Err(NotAnAddress("the domain has no dot, or one at its edge"));
        }
        if local.len() > LOCAL_BYTES_MAX
            || domain.len() > DOMAIN_BYTES_MAX
            || local.len() + 1 + domain.len() > PATH_BYTES_MAX
        {
            return Err(NotAnAddress("it is longer than mail allows"));
        }
        Ok(EmailAddress {
            local: local.to_owned(),
            domain,
        })
    }

    /// The address itself, for an envelope or a header.
    pub fn expose(&self) -> String {
        format!("{}@{}", self.local, self.domain)
    }

    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Only sendable where the relay offers SMTPUTF8 (RFC 6531).
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii()
    }

    /// What caps, suppressions and tombstones are keyed by, before hashing:
    /// case does not matter there.
    pub fn canonical(&self) -> String {
        format!("mailto:{}@{}", self.local.to_lowercase(), self.domain)
    }

    /// First letters and the domain: `an...@mail.example`.
    pub fn masked(&self) -> String {
        let keep = if self.local.chars().count() > 3 { 2 } else { 1 };
        let head: String = self.local.chars().take(keep).collect();
        format!("{head}...@{}", self.domain)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = NotAnAddress;
    fn try_from(text: String) -> Result<Self, NotAnAddress> {
        EmailAddress::parse(&text)
    }
}
impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> String {
        address.expose()
    }
}
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}
impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Why a text is no e-mail address; never repeats the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address: {0}")]
pub struct NotAnAddress(pub &'static str);

/// A phone number in E.164: `+`, country code, number, at most 15 digits.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber {
    e164: String,
    /// ISO 3166 country of the number, where the numbering plan tells it.
    country: Option<Country>,
    takes_texts: bool,
}

impl PhoneNumber {
    /// Reads an international number, or a national one when `country` is
    /// known. Blanks, brackets, dots and hyphens do not matter; a leading `00`
    /// means `+`.
    ///
    /// # Errors
    /// A national number without a country; a number that does not exist in
    /// its country's plan.
    pub fn parse(text: &str, country: Option<Country>) -> Result<PhoneNumber, NotANumber> {
        let text = text.trim();
        if text.chars().any(char::is_alphabetic) {
            return Err(NotANumber("it has letters in it"));
        }
        let international = match text.strip_prefix("00") {
            Some(rest) => format!("+{rest}"),
            None => text.to_owned(),
        };
        if !international.starts_with('+') && country.is_none() {
            return Err(NotANumber(
                "a national number needs a country; write it as +...",
            ));
        }
        let region = country.and_then(|c| c.as_str().parse::<phonenumber::country::Id>().ok());
        let number = phonenumber::parse(region, &international)
            .map_err(|_| NotANumber("it is not a phone number"))?;
        if !phonenumber::is_valid(&number) {
            return Err(NotANumber("no such number exists in its country"));
        }
        let country = number
            .country()
            .id()
            .and_then(|id| Country::parse(id.as_ref()).ok());
        let e164 = number.format().mode(phonenumber::Mode::E164).to_string();
        let kind = number.number_type(&phonenumber::metadata::DATABASE);
        Ok(PhoneNumber {
            e164,
            country,
            takes_texts: takes_texts(kind),
        })
    }

    /// The number in E.164, for a gateway.
    pub fn expose(&self) -> &str {
        &self.e164
    }

    pub fn country(&self) -> Option<Country> {
        self.country
    }

    /// Whether a phone that shows texts may be behind it. Fixed lines and
    /// service numbers cannot; where a country's plan does not tell them from
    /// mobiles (North America), or does not know, the gateway has to say.
    pub fn takes_texts(&self) -> bool {
        self.takes_texts
    }

    /// Key before hashing, as with addresses.
    pub fn canonical(&self) -> String {
        format!("tel:{}", self.e164)
    }

    /// Country code and the last four digits: `+44 ... 0123`.
    pub fn masked(&self) -> String {
        let digits = &self.e164[1..];
        let (head, tail) = (&digits[..digits.len().min(2)], &digits[digits.len() - 4..]);
        format!("+{head} ... {tail}")
    }
}

fn takes_texts(kind: phonenumber::Type) -> bool {
    use phonenumber::Type;
    match kind {
        Type::Mobile
        | Type::FixedLineOrMobile
        | Type::PersonalNumber
        | Type::Voip
        | Type::Unknown => true,
        Type::FixedLine
        | Type::TollFree
        | Type::PremiumRate
        | Type::SharedCost
        | Type::Pager
        | Type::Uan
        | Type::Emergency
        | Type::Voicemail
        | Type::ShortCode
        | Type::StandardRate
        | Type::Carrier
        | Type::NoInternational => false,
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = NotANumber;
    fn try_from(text: String) -> Result<Self, NotANumber> {
        PhoneNumber::parse(&text, None)
    }
}
impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> String {
        number.e164
    }
}
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}
impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

/// Why a text is no phone number; never repeats the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a phone number: {0}")]
pub struct NotANumber(pub &'static str);

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

/// How a customer wants to hear from the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    #[default]
    Email,
    /// Texts for the kinds that may go by text, e-mail for the rest.
    Sms,
    /// E-mail for everything, and a text beside it where texts are allowed.
    Both,
}

impl Preference {
    pub fn parse(text: &str) -> Option<Preference> {
        match text.trim().to_ascii_lowercase().as_str() {
            "email" | "e-mail" | "mail" => Some(Preference::Email),
            "sms" | "text" => Some(Preference::Sms),
            "both" | "email+sms" => Some(Preference::Both),
            _ => None,
        }
    }
    pub fn as_str(self) -> &'static str {
        match self {
            Preference::Email => "email",
            Preference::Sms => "sms",
            Preference::Both => "both",
        }
    }
}

/// A customer of one order as the shop describes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contact {
    pub name: Option<String>,
    pub email: Option<EmailAddress>,
    pub phone: Option<PhoneNumber>,
    /// Recorded consent to texts about orders; absent means no.
    pub sms_consent: bool,
    pub preferred: Preference,
    pub locale: Option<Locale>,
    pub zone: Option<Tz>,
    pub country: Option<Country>,
}

impl Contact {
    /// For lists on a terminal: initial and last name, `A. Kowalski`.
    pub fn short_name(&self) -> String {
        let Some(name) = self
            .name
            .as_deref()
            .map(str::trim)
            .filter(|n| !n.is_empty())
        else {
            return self
                .email
                .as_ref()
                .map_or_else(|| "no name".to_owned(), ToString::to_string);
        };
        let mut words: Vec<&str> = name.split_whitespace().collect();
        let Some(last) = words.pop() else {
            return name.to_owned();
        };
        match words.first().and_then(|w| w.chars().next()) {
            Some(initial) => format!("{initial}. {last}"),
            None => last.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_parsed_once_and_shown_masked() {
        let anna = EmailAddress::parse(" anna.k@Mail.Example ").unwrap();
        assert_eq!(anna.expose(), "anna.k@mail.example");
        assert_eq!(
            format!("{anna} {anna:?}"),
            "an...@mail.example an...@mail.example"
        );
        assert_eq!(
            EmailAddress::parse("a@bücher.example").unwrap().domain(),
            "xn--bcher-kva.example"
        );
        assert!(
            EmailAddress::parse("jürgen@mail.example")
                .unwrap()
                .needs_smtputf8()
        );
        assert_eq!(
            EmailAddress::parse("O'Neil+x@mail.example")
                .unwrap()
                .canonical(),
            "mailto:o'neil+x@mail.example"
        );
    }

    #[test]
    fn what_no_customer_has_is_refused() {
        for bad in [
            "",
            "anna",
            "@mail.example",
            "anna@",
            "a b@mail.example",
            "anna@mail",
            "<a@b.example>",
            "\"a b\"@mail.example",
            "anna@[127.0.0.1]",
            ".a@b.example",
            "a..b@c.example",
            "a@b.example\r\nBcc: x@y.example",
            "a@.example",
            "a@b,c.example",
        ] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad:?}");
        }
        assert!(EmailAddress::parse(&format!("{}@mail.example", "a".repeat(65))).is_err());
    }

    #[test]
    fn phone_numbers_become_e164() {
        let de = Country::parse("de").unwrap();
        for (text, country, e164) in [
            ("+44 20 7946 0018", None, "+442079460018"),
            ("0044 20 7946 0018", None, "+442079460018"),
            ("(212) 555-0147", Country::parse("US").ok(), "+12125550147"),
            ("0612345678", Country::parse("NL").ok(), "+31612345678"),
            ("030 901820", Some(de), "+4930901820"),
        ] {
            assert_eq!(
                PhoneNumber::parse(text, country).unwrap().expose(),
                e164,
                "{text}"
            );
        }
        assert!(PhoneNumber::parse("0612345678", None).is_err());
        assert!(PhoneNumber::parse("12", Some(de)).is_err());
        assert!(PhoneNumber::parse("call me", Some(de)).is_err());
        let masked = PhoneNumber::parse("+44 20 7946 0018", None).unwrap();
        assert_eq!(format!("{masked:?}"), "+44 ... 0018");
    }

    #[test]
    fn fixed_lines_and_service_numbers_take_no_texts() {
        for (number, expected) in [
            ("+491713920012", true),
            ("+447400123456", true),
            ("+12125550147", true),
            ("+442079460018", false),
            ("+4930901820", false),
            ("+18005550199", false),
            ("+498001234567", false),
            ("+449098790000", false),
        ] {
            let number = PhoneNumber::parse(number, None).unwrap();
            assert_eq!(number.takes_texts(), expected, "{number}");
        }
        // Short codes are no numbers of anybody.
        for code in ["60611", "+60611", "0060611"] {
            assert!(
                PhoneNumber::parse(code, Country::parse("US").ok()).is_err(),
                "{code}"
            );
        }
    }

    #[test]
    fn languages_come_in_many_spellings() {
        for (text, tag) in [
            ("de", "de"),
            ("de_DE", "de-DE"),
            ("pt_BR", "pt-BR"),
            ("EN-us", "en-US"),
            ("de_AT.UTF-8", "de-AT"),
            ("zh-Hant-TW", "zh-TW"),
        ] {
            assert_eq!(Locale::parse(text).unwrap().to_string(), tag);
        }
        assert!(Locale::parse("german").is_err());
        assert_eq!(Locale::parse("de-AT").unwrap().fallbacks(), ["de-AT", "de"]);
    }

    #[test]
    fn zones_are_iana_names() {
        assert!(parse_zone("Europe/Berlin").is_ok());
        assert!(parse_zone("UTC").is_ok());
        for bad in ["CET", "EST5EDT", "+01:00", "Etc/GMT+5", "Berlin"] {
            assert!(parse_zone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_shortened_for_lists() {
        let mut contact = Contact {
            name: Some("Anna Maria Kowalski".into()),
            email: None,
            phone: None,
            sms_consent: false,
            preferred: Preference::Email,
            locale: None,
            zone: None,
            country: None,
        };
        assert_eq!(contact.short_name(), "A. Kowalski");
        contact.name = Some("Plato".into());
        assert_eq!(contact.short_name(), "Plato");
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_it_accepts_it_accepts_again(text in "\\PC{0,40}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert_eq!(EmailAddress::parse(&address.expose()).unwrap(), address);
            }
            let _ = PhoneNumber::parse(&text, Country::parse("US").ok());
            let _ = Locale::parse(&text);
        }
    }
}
