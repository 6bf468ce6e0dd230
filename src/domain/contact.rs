//! Whom we write to: parsed addresses, numbers, languages and zones.
//!
//! Everything here is parsed once at the door and cannot be wrong afterwards.
//! `Debug` and `Display` of an address or a number print a masked form, so
//! that no log line and no panic message can carry one; whoever really needs
//! the value calls `expose`, which is easy to find in a review.

mod email;
mod phone;
mod place;

pub use email::{EmailAddress, NotAnAddress};
pub use phone::{NotANumber, PhoneNumber};
pub use place::{Country, Locale, NotACountry, NotALocale, NotAZone, parse_zone};

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

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
            let found = PhoneNumber::parse(code, Country::parse("US").ok());
            assert!(found.is_err(), "{code}");
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
