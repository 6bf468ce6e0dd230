//! A customer's phone number in E.164, parsed once and printed masked.

use super::Country;
use serde::{Deserialize, Serialize};
use std::fmt;

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
        // `+49 (0)171 ...`: the zero is for callers at home.
        let text = if text.starts_with(['+', '0']) && text.contains("(0)") {
            text.replacen("(0)", "", 1)
        } else {
            text.to_owned()
        };
        let international = match text.strip_prefix("00") {
            Some(rest) => format!("+{rest}"),
            None => text.clone(),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a phone number: {0}")]
pub struct NotANumber(pub &'static str);
