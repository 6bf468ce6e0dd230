//! Whom a row is about: address, number, consent, language, zone.
//!
//! Only a bad address rejects the row. The rest is dropped with a warning:
//! somebody whose phone number is mistyped can still be written to.

use super::Fault;
use super::Warnings;
use super::columns::Field;
use super::ids;
use super::record::Record;
use super::values;
use crate::domain::contact::Country;
use crate::domain::contact::EmailAddress;
use crate::domain::contact::Locale;
use crate::domain::contact::NotANumber;
use crate::domain::contact::PhoneNumber;
use crate::domain::contact::Preference;
use crate::domain::contact::parse_zone;
use crate::domain::row::Row;
use std::collections::HashMap;

/// Longest name of a person that is printed.
const NAME_CHARS_MAX: usize = 200;
/// Numbers remembered: reading one costs more than the rest of its row, and
/// the lines of an order repeat it.
const PHONES_MAX: usize = 50_000;

/// Reads the columns about the customer.
#[derive(Debug)]
pub(super) struct ContactReader {
    shop_country: Option<Country>,
    phones: HashMap<(String, Option<Country>), Result<PhoneNumber, NotANumber>>,
}

impl ContactReader {
    pub fn new(shop_country: Option<Country>) -> ContactReader {
        ContactReader {
            shop_country,
            phones: HashMap::new(),
        }
    }

    /// Fills the customer's part of `row`.
    ///
    /// # Errors
    /// The address is none, or it is unclear whether the account was deleted.
    pub fn fill(
        &mut self,
        row: &mut Row,
        record: &Record<'_>,
        warnings: &mut Warnings,
    ) -> Result<(), Fault> {
        row.email = record.text(Field::Email).map(address).transpose()?;
        row.customer_deleted = values::flag(record, Field::CustomerDeleted)?;
        let mut drop = |field: Field, what: &str, cure: &str| {
            warnings.note(record.line, Some(field.name()), what, cure);
        };

        if let Some(text) = record.text(Field::CustomerName) {
            let (name, was_cut) = ids::plain(text, NAME_CHARS_MAX);
            row.customer_name = name;
            if was_cut {
                drop(
                    Field::CustomerName,
                    "a name was cut to 200 characters",
                    "shorten it",
                );
            }
        }
        if let Some(text) = record.text(Field::Country) {
            row.country = Country::parse(text).ok();
            if row.country.is_none() {
                drop(
                    Field::Country,
                    "a country was not understood and left out",
                    "write two letters, like DE or US",
                );
            }
        }
        if let Some(text) = record.text(Field::Phone) {
            // A country that was not understood is not the shop's.
            let country = match record.text(Field::Country) {
                Some(_) => row.country,
                None => self.shop_country,
            };
            match self.phone(text, country) {
                Ok(number) => row.phone = Some(number),
                Err(NotANumber(why)) => drop(
                    Field::Phone,
                    &format!("a phone number was left out: {why}"),
                    &how_to_write(country),
                ),
            }
        }
        if let Some(text) = record.text(Field::SmsConsent) {
            let consent = values::yes_or_no(text);
            // Consent that is not clear is none.
            row.sms_consent = Some(consent.unwrap_or(false));
            if consent.is_none() {
                drop(
                    Field::SmsConsent,
                    "a consent to texts is neither yes nor no and was read as no",
                    "write yes, no, true, false, 1 or 0",
                );
            }
        }
        if let Some(text) = record.text(Field::PreferredChannel) {
            row.preferred = Preference::parse(text);
            if row.preferred.is_none() {
                drop(
                    Field::PreferredChannel,
                    "a preferred channel was not understood and left out",
                    "write email, sms or both",
                );
            }
        }
        if let Some(text) = record.text(Field::Locale) {
            row.locale = Locale::parse(text).ok();
            if row.locale.is_none() {
                drop(
                    Field::Locale,
                    "a language was not understood and left out",
                    "write it like de, de-AT or pt_BR",
                );
            }
        }
        if let Some(text) = record.text(Field::TimeZone) {
            row.zone = parse_zone(text).ok();
            if row.zone.is_none() {
                drop(
                    Field::TimeZone,
                    "a time zone was not understood and left out",
                    "write an IANA name like Europe/Berlin",
                );
            }
        }
        Ok(())
    }

    fn phone(&mut self, text: &str, country: Option<Country>) -> Result<PhoneNumber, NotANumber> {
        let key = (text.to_owned(), country);
        if let Some(known) = self.phones.get(&key) {
            return known.clone();
        }
        let number = PhoneNumber::parse(text, country);
        if self.phones.len() < PHONES_MAX {
            self.phones.insert(key, number.clone());
        }
        number
    }
}

/// Both ways to write a number of a country.
fn how_to_write(country: Option<Country>) -> String {
    let code = country.map(|country| country.as_str().to_owned());
    let examples = match code.as_deref() {
        Some("GB") => ("+44 7400 123456", "07400 123456"),
        Some("DE") => ("+49 1512 3456789", "01512 3456789"),
        Some("AT") => ("+43 664 123456", "0664 123456"),
        Some("CH") => ("+41 78 123 45 67", "078 123 45 67"),
        Some("US" | "CA") => ("+1 201 555 0123", "(201) 555-0123"),
        Some("FR") => ("+33 6 12 34 56 78", "06 12 34 56 78"),
        Some("NL") => ("+31 6 12345678", "06 12345678"),
        Some(code) => return format!("write it with + and its country code, or as in {code}"),
        None => {
            return "write it with + and its country code, like +44 7400 123456, or give the row or \
                    the shop a country"
                .to_owned();
        }
    };
    let (abroad, at_home) = examples;
    format!("write it like {abroad} or {at_home}")
}

fn address(text: &str) -> Result<EmailAddress, Fault> {
    EmailAddress::parse(text).map_err(|problem| {
        Fault::of(
            Field::Email,
            problem.to_string(),
            "correct it, or leave it empty if there is none",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::row::RowStatus;
    use std::borrow::Cow;

    fn read(cells: &[(Field, &str)]) -> (Result<Row, Fault>, Warnings) {
        let mut record = Record::at(7);
        for (field, text) in cells {
            record.put(*field, Cow::Owned((*text).to_owned()));
        }
        let mut warnings = Warnings::default();
        let mut row = Row::bare("L1", "1042", RowStatus::Waiting);
        let read =
            ContactReader::new(Country::parse("NL").ok()).fill(&mut row, &record, &mut warnings);
        (read.map(|()| row), warnings)
    }

    #[test]
    fn addresses_keep_their_case_and_bad_ones_reject_the_row() {
        let (row, _) = read(&[(Field::Email, "EMMA@Example.FI")]);
        assert_eq!(row.unwrap().email.unwrap().expose(), "EMMA@example.fi");
        let (row, _) = read(&[(Field::Email, "emma.example.fi")]);
        let fault = row.unwrap_err();
        assert!(!fault.reason.contains("emma"), "{}", fault.reason);
    }

    #[test]
    fn national_numbers_take_the_rows_country_before_the_shops() {
        for (phone, country, e164) in [
            ("0612345678", "", Some("+31612345678")),
            ("(212) 555-0147", "US", Some("+12125550147")),
            ("+44 20 7946 0018", "US", Some("+442079460018")),
            ("12", "", None),
        ] {
            let (row, warnings) = read(&[(Field::Phone, phone), (Field::Country, country)]);
            let number = row.unwrap().phone;
            assert_eq!(number.as_ref().map(PhoneNumber::expose), e164, "{phone}");
            assert_eq!(warnings.list.len(), usize::from(e164.is_none()));
        }
    }

    #[test]
    fn what_is_not_needed_to_write_is_dropped_with_a_warning() {
        for (field, text) in [
            (Field::Locale, "german"),
            (Field::TimeZone, "CET"),
            (Field::Country, "Germany"),
            (Field::PreferredChannel, "pigeon"),
        ] {
            let (row, warnings) = read(&[(field, text)]);
            let row = row.unwrap();
            assert!(row.locale.is_none() && row.zone.is_none() && row.country.is_none());
            assert_eq!(warnings.list[0].field.as_deref(), Some(field.name()));
            assert_eq!(warnings.list[0].lines, [7]);
        }
        let (row, _) = read(&[
            (Field::Locale, "pt_BR"),
            (Field::TimeZone, "America/Sao_Paulo"),
        ]);
        assert_eq!(row.unwrap().locale.unwrap().to_string(), "pt-BR");
    }

    #[test]
    fn a_country_nobody_understands_is_not_taken_for_the_shops() {
        // Read as a Dutch number it would be somebody else's.
        let (row, _) = read(&[(Field::Phone, "0612345678"), (Field::Country, "Germany")]);
        assert_eq!(row.unwrap().phone, None);
        let (row, _) = read(&[(Field::Phone, "+31612345678"), (Field::Country, "Germany")]);
        assert!(row.unwrap().phone.is_some());
    }

    #[test]
    fn unclear_consent_is_no_consent() {
        for (text, consent) in [
            ("ja", Some(true)),
            ("0", Some(false)),
            ("revoked", Some(false)),
            ("", None),
        ] {
            let (row, _) = read(&[(Field::SmsConsent, text)]);
            assert_eq!(row.unwrap().sms_consent, consent, "{text}");
        }
        assert!(read(&[(Field::CustomerDeleted, "perhaps")]).0.is_err());
    }

    #[test]
    fn a_name_of_null_is_no_name_and_long_ones_are_cut() {
        let (row, _) = read(&[(Field::CustomerName, "NULL")]);
        assert_eq!(row.unwrap().customer_name, None);
        let (row, warnings) = read(&[(Field::CustomerName, &"n".repeat(300))]);
        assert_eq!(row.unwrap().customer_name.unwrap().len(), 200);
        assert_eq!(warnings.list.len(), 1);
    }
}
