//! The promises of the module, on the built-in templates.

mod own_files;
mod properties;

use super::samples::sample_shop;
use super::*;
use crate::domain::quantity::Quantity;
use crate::domain::shop::{CancelTerms, Charges};
use crate::domain::sms_text::SmsEncoding;
use std::fmt::Write;
use std::sync::OnceLock;

fn set() -> &'static TemplateSet {
    static SET: OnceLock<TemplateSet> = OnceLock::new();
    SET.get_or_init(|| load(&sample_shop()))
}

fn load(shop: &ShopProfile) -> TemplateSet {
    TemplateSet::load(None, shop).unwrap_or_else(|problems| panic!("{problems}"))
}

fn locale(tag: &str) -> Locale {
    Locale::parse(tag).unwrap()
}

fn sample(kind: Kind, name: &str) -> MessageFacts {
    let found = samples(kind).into_iter().find(|(n, _)| *n == name);
    found.unwrap_or_else(|| panic!("{kind}: {name}")).1
}

fn email(facts: &MessageFacts) -> RenderedEmail {
    set().render_email(facts, SAMPLE_DAY).unwrap()
}

fn sms(facts: &MessageFacts) -> RenderedSms {
    set().render_sms(facts, SAMPLE_DAY).unwrap()
}

/// Samples whose facts can occur for the kind and whose words differ.
fn worth_reading(kind: Kind, name: &str) -> bool {
    let needs_a_date = matches!(kind, Kind::Delay | Kind::Sooner | Kind::DateSet);
    match name {
        "no date" | "date not stated" => !needs_a_date,
        "next year" | "no name" => kind == Kind::Confirmation,
        "broken quantity" => matches!(kind, Kind::Shipped | Kind::Cancelled),
        "nasty characters" => kind == Kind::Delay,
        _ => true,
    }
}

#[test]
fn the_words_of_every_kind() {
    for kind in Kind::ALL {
        for tag in ["en", "de"] {
            let mut page = String::new();
            for (name, mut facts) in samples(kind) {
                if !worth_reading(kind, name) {
                    continue;
                }
                facts.locale = locale(tag);
                let mail = email(&facts);
                writeln!(
                    page,
                    "===== {name}\nSubject:   {}\nPreheader: {}\n\n{}",
                    mail.subject, mail.preheader, mail.text
                )
                .unwrap();
                if facts.orders.len() == 1 {
                    let text = sms(&facts);
                    writeln!(page, "Text ({}): {}\n", text.size.units, text.text).unwrap();
                }
            }
            insta::assert_snapshot!(format!("{kind}_{tag}"), page);
        }
    }
}

#[test]
fn the_page_of_a_mail() {
    insta::assert_snapshot!("page", email(&sample(Kind::Delay, "one item")).html);
}

#[test]
fn the_built_in_templates_give_no_cause_for_a_note() {
    assert_eq!(check(set()), []);
}

#[test]
fn a_text_is_one_cheap_segment_even_with_a_long_order_number() {
    for kind in Kind::ALL {
        for tag in ["en", "de"] {
            for (name, mut facts) in samples(kind) {
                // A year in the date, or characters nobody orders by, may cost more.
                if facts.orders.len() > 1 || matches!(name, "next year" | "nasty characters") {
                    continue;
                }
                facts.locale = locale(tag);
                facts.orders[0].order_number = "WEB-20260042".to_owned();
                let text = sms(&facts);
                assert_eq!(
                    (text.size.encoding, text.size.segments),
                    (SmsEncoding::Gsm7, 1),
                    "{kind} {tag} {name}, {}: {}",
                    text.size.units,
                    text.text
                );
                let stop = if tag == "en" {
                    "STOP ends texts."
                } else {
                    "Abmelden: STOP"
                };
                assert!(text.text.ends_with(stop), "{}", text.text);
            }
        }
    }
}

#[test]
fn what_was_not_really_said_is_not_called_told() {
    for kind in Kind::ALL {
        for (tag, claims) in [
            (
                "en",
                ["told", "unchanged", "as we said", "still expect"].as_slice(),
            ),
            (
                "de",
                ["Bisher genannt", "unverändert", "angekündigt", "weiterhin"].as_slice(),
            ),
        ] {
            let mut facts = sample(kind, "nothing really said before");
            facts.locale = locale(tag);
            let (mail, text) = (email(&facts), sms(&facts));
            let all = format!(
                "{} {} {} {}",
                mail.subject, mail.preheader, mail.text, text.text
            );
            for claim in claims {
                assert!(!all.contains(claim), "{kind} {tag}: {claim}\n{all}");
            }
        }
    }
}

#[test]
fn a_date_that_is_not_stated_is_not_mentioned() {
    for kind in Kind::ALL {
        let mut facts = sample(kind, "date not stated");
        facts.orders[0].next_word_by = None;
        for line in &mut facts.orders[0].lines {
            line.told = None;
            line.shipped_now = Quantity::ZERO;
        }
        facts.orders[0].shipments.clear();
        let (mail, text) = (email(&facts), sms(&facts));
        let all = format!(
            "{} {} {} {}",
            mail.subject, mail.preheader, mail.text, text.text
        );
        assert!(
            !all.contains("March") && !all.contains(" Mar"),
            "{kind}: {all}"
        );
    }
}

#[test]
fn the_sentences_about_money_and_cancelling_follow_the_shop() {
    let facts = sample(Kind::Delay, "one item");
    for (charges, cancel, says, never) in [
        (
            Charges::AtOrder,
            CancelTerms::UntilShipped,
            "we will refund what you paid",
            "charge only",
        ),
        (
            Charges::AtShipment,
            CancelTerms::UntilShipped,
            "we charge only when they ship",
            "refund",
        ),
        (
            Charges::Unsaid,
            CancelTerms::UntilShipped,
            "any time before they ship.",
            "refund",
        ),
        (
            Charges::AtOrder,
            CancelTerms::AskUs,
            "If not, tell us",
            "any time before",
        ),
    ] {
        let shop = ShopProfile {
            charges,
            cancel,
            ..sample_shop()
        };
        let text = load(&shop).render_email(&facts, SAMPLE_DAY).unwrap().text;
        let text = text.replace('\n', " ");
        assert!(text.contains(says), "{charges:?} {cancel:?}: {text}");
        assert!(!text.contains(never), "{charges:?} {cancel:?}: {text}");
    }
}

#[test]
fn a_shop_without_phone_or_address_still_ends_its_sentences() {
    let shop = ShopProfile {
        phone: None,
        reply_to: None,
        hours: std::collections::BTreeMap::new(),
        ..sample_shop()
    };
    let set = load(&shop);
    let facts = sample(Kind::Delay, "one item");
    let text = set.render_email(&facts, SAMPLE_DAY).unwrap().text;
    assert!(
        text.contains("You find us at https://fernkettle.example."),
        "{text}"
    );
    assert!(text.ends_with("\nFern & Kettle.\n"), "{text}");
    let text = set.render_sms(&facts, SAMPLE_DAY).unwrap().text;
    assert!(text.ends_with("Sorry. STOP ends texts."), "{text}");
}

#[test]
fn languages_fall_back_and_dates_follow_the_region() {
    for (tag, words, subject) in [
        ("en", "en", "Order 1042: new ship date, Friday 20 March"),
        ("en-US", "en", "Order 1042: new ship date, Friday, March 20"),
        (
            "de-AT",
            "de",
            "Bestellung 1042: neuer Versandtermin, Freitag, 20. März",
        ),
        ("fr", "en", "Order 1042: new ship date, Friday 20 March"),
    ] {
        let mut facts = sample(Kind::Delay, "one item");
        facts.locale = locale(tag);
        let mail = email(&facts);
        assert_eq!(
            (mail.locale, mail.subject.as_str()),
            (locale(words), subject),
            "{tag}"
        );
        assert!(
            mail.html.contains(&format!("<html lang=\"{words}\"")),
            "{tag}"
        );
    }
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    for kind in Kind::ALL {
        let html = email(&sample(kind, "one item")).html;
        for call in ["<img", "<script", "@import", "url(", "<link", "src="] {
            assert!(!html.contains(call), "{kind}: {call}");
        }
    }
}

#[test]
fn what_cannot_be_said_is_an_error_without_anybodys_data() {
    let mut facts = sample(Kind::Delay, "two orders");
    assert_eq!(
        set().render_sms(&facts, SAMPLE_DAY),
        Err(RenderError::SeveralOrders(2))
    );
    facts.orders.clear();
    assert_eq!(
        set().render_email(&facts, SAMPLE_DAY),
        Err(RenderError::NoOrder)
    );
}

#[test]
fn an_order_of_a_thousand_lines_is_told_whole() {
    let mut facts = sample(Kind::Delay, "one item");
    let line = facts.orders[0].lines[0].clone();
    facts.orders[0].lines = vec![line; 1_000];
    let mail = email(&facts);
    assert_eq!(mail.text.matches("New ship date:").count(), 1_000);
}

#[test]
fn a_set_is_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(set());
}
