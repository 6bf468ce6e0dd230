//! The words of automatic answers to texts: short, in one segment, without
//! advertising (47 CFR 64.1200(a)(12)), and always with a way to reach a
//! person.

use super::contact::Locale;
use super::inbound::AnswerKind;
use super::shop::ShopProfile;
use super::sms_letters::transliterate;
use super::sms_text::{measure, smooth};

/// The answer in the customer's language, or English. What does not fit one
/// segment goes, the least needed first: the address of the shop's site, then
/// its phone, then the end of a long name.
pub fn answer(kind: AnswerKind, shop: &ShopProfile, locale: &Locale) -> String {
    let german = locale.language() == "de";
    let phone = shop.phone.as_deref();
    let site = shop.website.as_deref();
    let ways = [
        contact(&[phone, site], german),
        contact(&[phone.or(site)], german),
        String::new(),
    ];
    let name = smooth(&shop.name);
    let mut written = String::new();
    for length in [usize::MAX, 20, 11] {
        let name: String = name.chars().take(length).collect();
        for contact in &ways {
            written = transliterate(&smooth(&words(kind, name.trim(), contact, german)));
            if measure(&written).segments == 1 {
                return written;
            }
        }
    }
    written
}

fn contact(ways: &[Option<&str>], german: bool) -> String {
    let ways: Vec<&str> = ways.iter().flatten().copied().collect();
    if ways.is_empty() {
        return String::new();
    }
    let or = if german { " oder " } else { " or " };
    let help = if german {
        " Fragen zur Bestellung: "
    } else {
        " Order help: "
    };
    format!("{help}{}.", ways.join(or))
}

fn words(kind: AnswerKind, shop: &str, contact: &str, german: bool) -> String {
    match (kind, german) {
        (AnswerKind::Stopped, false) => {
            format!("{shop}: you are unsubscribed and get no more texts.{contact}")
        }
        (AnswerKind::Stopped, true) => {
            format!("{shop}: Sie sind abgemeldet und bekommen keine SMS mehr.{contact}")
        }
        (AnswerKind::StoppedNotCancelled, false) => format!(
            "{shop}: texts have ended. Your order is NOT cancelled yet; we look into it.{contact}"
        ),
        (AnswerKind::StoppedNotCancelled, true) => format!(
            "{shop}: keine SMS mehr. Ihre Bestellung ist noch NICHT storniert, wir sehen nach.{contact}"
        ),
        (AnswerKind::Started, false) => format!(
            "{shop}: order texts are on again. Msg&data rates may apply. HELP for help, STOP to end."
        ),
        (AnswerKind::Started, true) => {
            format!("{shop}: Sie bekommen wieder SMS zur Bestellung. HELP hilft, STOP beendet.")
        }
        (AnswerKind::Help, false) => format!(
            "{shop} order updates.{contact} Msg frequency varies, msg&data rates may apply. STOP to end."
        ),
        (AnswerKind::Help, true) => {
            format!("{shop}: SMS zu Ihrer Bestellung.{contact} Mit STOP beenden Sie sie.")
        }
        (AnswerKind::Noted, false) => {
            format!(
                "{shop}: thank you, a person will look at this. STOP ends these texts.{contact}"
            )
        }
        (AnswerKind::Noted, true) => {
            format!("{shop}: danke, wir sehen es uns an. STOP beendet diese SMS.{contact}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::shop::{CancelTerms, Charges};
    use crate::domain::sms_text::SmsEncoding;

    fn shop(name: &str, phone: Option<&str>, website: Option<&str>) -> ShopProfile {
        ShopProfile {
            name: name.to_owned(),
            phone: phone.map(str::to_owned),
            hours: std::collections::BTreeMap::new(),
            website: website.map(str::to_owned),
            reply_to: None,
            zone: chrono_tz::UTC,
            locale: Locale::parse("en").unwrap(),
            charges: Charges::Unsaid,
            cancel: CancelTerms::AskUs,
            offer_block: false,
        }
    }

    #[test]
    fn every_answer_is_one_segment_of_the_small_alphabet() {
        let long = "The Very Long Name of a Company That Sells Ferns, Kettles & Façades Ltd";
        let site = "https://fernkettle.example/help/with/your/order";
        for shop in [
            shop(
                "Fern & Kettle",
                Some("020 7946 0018"),
                Some("https://fernkettle.example"),
            ),
            shop("Fern & Kettle", None, None),
            shop(long, Some("020 7946 0018"), Some(site)),
        ] {
            for kind in AnswerKind::ALL {
                for language in ["en", "de-AT", "fr"] {
                    let text = answer(kind, &shop, &Locale::parse(language).unwrap());
                    let size = measure(&text);
                    assert_eq!(
                        (size.segments, size.encoding),
                        (1, SmsEncoding::Gsm7),
                        "{text}"
                    );
                    // Whoever has stopped need not be told how.
                    let stopped =
                        matches!(kind, AnswerKind::Stopped | AnswerKind::StoppedNotCancelled);
                    assert!(stopped || text.contains("STOP"), "{text}");
                }
            }
        }
    }

    #[test]
    fn answers_say_who_writes_and_where_to_ask() {
        let shop = shop(
            "Fern & Kettle",
            Some("020 7946 0018"),
            Some("https://fern.example"),
        );
        let say = |kind, language| answer(kind, &shop, &Locale::parse(language).unwrap());
        assert_eq!(
            say(AnswerKind::Stopped, "en"),
            "Fern & Kettle: you are unsubscribed and get no more texts. Order help: 020 7946 0018 or https://fern.example."
        );
        assert_eq!(
            say(AnswerKind::StoppedNotCancelled, "de"),
            "Fern & Kettle: keine SMS mehr. Ihre Bestellung ist noch NICHT storniert, wir sehen nach. Fragen zur Bestellung: 020 7946 0018 oder https://fern.example."
        );
    }
}
