//! The shop itself: its name, zone, language and terms.

use super::forms::{choice, like, parsed, switch, table, text};
use super::raw::Entry;
use super::reader::{Complaint, Read, Reader};
use super::units::Wrong;
use crate::domain::contact::{Country, EmailAddress, Locale, parse_zone};
use crate::domain::shop::{CancelTerms, Charges, ShopProfile};
use chrono_tz::Tz;
use std::collections::BTreeMap;

/// Name printed while there is none; only possible in sandbox mode.
const UNNAMED: &str = "Your shop";

pub struct Shop {
    pub key: String,
    pub profile: ShopProfile,
    pub country: Option<Country>,
    pub currency: Option<String>,
}

pub fn read(reader: &Reader) -> Shop {
    let section = reader.section("shop");
    let key = section.wanted("key", String::new(), parsed(shop_key));
    let name = section.maybe("name", text);
    let phone = section.maybe("phone", parsed(printed_phone));
    let website = section.maybe("website", parsed(website));
    let reply_to = section.maybe(
        "reply_to",
        like(EmailAddress::parse, "\"help@shop.example\""),
    );
    let zone = section.wanted("zone", Tz::UTC, like(parse_zone, "\"Europe/London\""));
    let locale = section.maybe("locale", like(Locale::parse, "\"en\" or \"de-AT\""));
    let country = section.maybe("country", like(Country::parse, "\"GB\""));
    let currency = section.maybe("currency", parsed(currency));
    let charges = section.wanted(
        "charges",
        Charges::Unsaid,
        choice(&[
            ("at_order", Charges::AtOrder),
            ("at_shipment", Charges::AtShipment),
            ("unsaid", Charges::Unsaid),
        ]),
    );
    let cancel = section.wanted(
        "cancel",
        CancelTerms::AskUs,
        choice(&[
            ("until_shipped", CancelTerms::UntilShipped),
            ("ask_us", CancelTerms::AskUs),
        ]),
    );
    let offer_block = section.wanted("offer_block", false, switch);
    let hours = section.maybe("hours", table(hours)).unwrap_or_default();
    Shop {
        key,
        profile: ShopProfile {
            name: name.unwrap_or_else(|| UNNAMED.to_owned()),
            phone,
            hours,
            website,
            reply_to,
            zone,
            locale: locale.unwrap_or_else(super::meant::english),
            charges,
            cancel,
            offer_block,
        },
        country,
        currency,
    }
}

fn shop_key(text: &str) -> Result<String, Wrong> {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if text.len() <= 32 && text.chars().all(sound) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("`{text}` is not a short name"),
        "write up to 32 small letters, digits, - or _, like \"main\"",
    ))
}

fn printed_phone(text: &str) -> Result<String, Wrong> {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    if digits >= 3 && text.chars().count() <= 40 {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("`{text}` is not a phone number"),
        "write it as customers should read it, like \"020 7946 0018\"",
    ))
}

fn website(text: &str) -> Result<String, Wrong> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => {
            Ok(text.to_owned())
        }
        _ => Err(Wrong::new(
            format!("`{text}` is not the address of a website"),
            "write it in full, like \"https://shop.example/\"",
        )),
    }
}

fn currency(text: &str) -> Result<String, Wrong> {
    if text.len() == 3 && text.chars().all(|c| c.is_ascii_alphabetic()) {
        return Ok(text.to_ascii_uppercase());
    }
    Err(Wrong::new(
        format!("`{text}` is not a currency"),
        "write its three letters, like \"EUR\" or \"GBP\"",
    ))
}

/// Opening hours in words by language tag.
fn hours(entries: &[(&str, &Entry)]) -> Read<BTreeMap<String, String>> {
    let line = |(key, entry): &(&str, &Entry)| {
        let tag = Locale::parse(key).map_err(|error| {
            let at = Some(entry.origin.key_place());
            let wrong = Wrong::new(
                format!("`{key}` is {error}"),
                "write one line per language, like en = \"...\"",
            );
            vec![Complaint { at, wrong }]
        })?;
        Ok((tag.to_string(), text(entry)?))
    };
    entries.iter().map(line).collect()
}
