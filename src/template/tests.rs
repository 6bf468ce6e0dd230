//! The promises of the module, on the built-in templates.

use super::samples::sample_shop;
use super::*;
use crate::domain::quantity::Quantity;
use crate::domain::shop::{CancelTerms, Charges};
use crate::domain::sms_text::SmsEncoding;
use proptest::prelude::*;
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

/// An override folder with one file.
fn overridden(path: &str, text: &str) -> Result<TemplateSet, TemplateProblems> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
    TemplateSet::load(Some(folder.path()), &sample_shop())
}

#[test]
fn a_merchants_file_replaces_ours_and_only_that_one() {
    let set = overridden(
        "en/partials/greeting.hbs",
        "Dear {{default customer.name \"customer\"}},\n",
    )
    .unwrap();
    let mut facts = sample(Kind::Delay, "no name");
    let mail = set.render_email(&facts, SAMPLE_DAY).unwrap();
    assert!(
        mail.text.starts_with("Dear customer,\n\nPart of"),
        "{}",
        mail.text
    );
    facts.locale = locale("de");
    let german = set.render_email(&facts, SAMPLE_DAY).unwrap();
    assert!(german.text.starts_with("Guten Tag,\n"), "{}", german.text);
}

#[test]
fn a_part_written_by_hand_wins_over_the_words() {
    let facts = sample(Kind::Delay, "nasty characters");
    let set = overridden("en/delay/text.hbs", "{{customer.name}}\r\n* by hand *\r\n").unwrap();
    let mail = set.render_email(&facts, SAMPLE_DAY).unwrap();
    assert_eq!(
        mail.text,
        "Zoë <b>O'Brien</b> Bcc: x@y.example\n* by hand *\n"
    );
    assert!(mail.html.contains("will ship later"));
    let set = overridden(
        "en/delay/html.hbs",
        "<h1>{{subject}}</h1><p>{{customer.name}}</p>{{{body}}}",
    )
    .unwrap();
    let mail = set.render_email(&facts, SAMPLE_DAY).unwrap();
    assert!(
        mail.html.starts_with(
            "<h1>Order #10*42_&amp;&lt;1&gt;: new ship date, Friday 20 March</h1><p>Zoë &lt;b&gt;"
        ),
        "{}",
        mail.html
    );
}

#[test]
fn every_problem_of_a_folder_is_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("en/delay/sms.hbs", "{{shop.nam}}");
    put("en/dealy/sms.hbs", "x");
    put(
        "de/update/email.hbs",
        "subject: x\n---\nHallo {{custmer.name}}",
    );
    put("layout.mjml", "<mjml><mj-body></mj-body></mjml>");
    let Err(problems) = TemplateSet::load(Some(folder.path()), &sample_shop()) else {
        panic!("a set with mistakes was loaded");
    };
    let found: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "de/update/email.hbs:1:1: the preheader is missing (begin the file with a line `preheader: ...`)",
            "en/dealy/sms.hbs:1:1: there is no kind \"dealy\" (did you mean \"delay\"?)",
            "en/delay/sms.hbs:1:3: there is no \"nam\" in \"shop\" (did you mean \"name\"?)",
            "layout.mjml:1:1: the layout has no place for the words, {{{body}}} (MJML elements begin with mj-, and every one must be closed)",
        ]
    );
    assert_eq!(problems.0[2].excerpt.as_deref(), Some("{{shop.nam}}"));
}

#[test]
fn a_value_used_outside_its_condition_is_found_by_the_samples() {
    let Err(problems) = overridden("en/delay/sms.hbs", "{{shop.name}}\n{{date next_word_by}}")
    else {
        panic!("a template that fails for most messages was loaded");
    };
    assert_eq!(
        problems.0[0].to_string(),
        "en/delay/sms.hbs:2:1: date: there is no date here; put it inside {{#if ...}} \
         (with the sample \"one item\")"
    );
}

#[test]
fn a_version_changes_with_everything_that_is_used_and_nothing_else() {
    let version = |set: &TemplateSet, channel| set.version(Kind::Delay, &locale("en"), channel);
    let (mail, text) = (ChannelName::Email, ChannelName::Sms);
    assert_eq!(version(set(), mail), version(&load(&sample_shop()), mail));
    assert_ne!(version(set(), mail), version(set(), text));
    for (path, words, changes) in [
        (
            "en/delay/sms.hbs",
            "{{shop.name}} and more words",
            [false, true],
        ),
        ("en/partials/greeting.hbs", "Hi,", [true, true]),
        (
            "en/sooner/sms.hbs",
            "{{shop.name}} and more words",
            [false, false],
        ),
        ("de/partials/greeting.hbs", "Hallo,", [false, false]),
    ] {
        let other = overridden(path, words).unwrap();
        for (channel, changed) in [mail, text].into_iter().zip(changes) {
            assert_eq!(
                version(set(), channel) != version(&other, channel),
                changed,
                "{path} {channel}"
            );
        }
    }
    let shop = ShopProfile {
        charges: Charges::Unsaid,
        ..sample_shop()
    };
    assert_ne!(version(set(), mail), version(&load(&shop), mail));
    let facts = sample(Kind::Delay, "one item");
    assert_eq!(Some(email(&facts).template_version), version(set(), mail));
    assert_eq!(Some(sms(&facts).template_version), version(set(), text));
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
fn a_template_that_never_ends_is_stopped() {
    let row = "{{#each orders}}{{#each lines}}{{#each @root.orders}}".to_owned()
        + &"words ".repeat(20_000)
        + "{{/each}}{{/each}}{{/each}}";
    let set = overridden("en/delay/text.hbs", &row).unwrap();
    let mut facts = sample(Kind::Delay, "one item");
    let line = facts.orders[0].lines[0].clone();
    facts.orders[0].lines = vec![line; 100];
    assert_eq!(
        set.render_email(&facts, SAMPLE_DAY),
        Err(RenderError::TooLong {
            file: "en/delay/text.hbs".to_owned(),
            bytes_max: 1024 * 1024,
        })
    );
}

#[test]
fn a_set_is_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(set());
}

/// Names of the elements of a page, in order: what a value must never change.
fn skeleton(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .map(|tag| tag.split([' ', '>', '\n']).next().unwrap_or_default())
        .collect()
}

fn one_blank(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text that looks for trouble more often than chance does.
fn text() -> impl Strategy<Value = String> {
    let trouble = prop::sample::select(vec![
        "*",
        "**",
        "_",
        "`",
        "```",
        "<b>",
        "</table>",
        "<!--",
        "-->",
        "&amp;",
        "&",
        "\n",
        "\r\n",
        "\n\n",
        "    ",
        "> ",
        "- ",
        "1. ",
        "# ",
        "---",
        "===",
        "[x](y)",
        "![x](y)",
        "<",
        ">",
        "\\",
        "\"",
        "'",
        "{{x}}",
        "}}",
        "{{{",
        "|",
        "~~",
        ": ",
        "\u{202e}",
        "\u{2028}",
        "\u{a0}",
        "\u{0}",
        "\u{200b}",
        "„",
        "“",
        "…",
        "http://x.example",
        "ä",
        "😀",
        "\t",
        "a",
        "Pot",
        " ",
    ]);
    prop_oneof![
        prop::collection::vec(trouble, 0..12).prop_map(|parts| parts.concat()),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_value_ever_becomes_markup(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        name in text(), reason in text(), customer in text(), number in text(), carrier in text(),
    ) {
        let spoiled = |name: &str, reason: &str, customer: &str, number: &str, carrier: &str| {
            let mut facts = sample(kind, "one item");
            facts.customer_name = Some(format!("x{customer}"));
            let order = &mut facts.orders[0];
            order.order_number = format!("1{number}");
            for line in &mut order.lines {
                line.name = format!("P{name}");
                line.reason = Some(format!("r{reason}"));
            }
            for parcel in &mut order.shipments {
                parcel.carrier = Some(format!("c{carrier}"));
            }
            facts
        };
        let plain = email(&spoiled("", "", "", "", ""));
        let facts = spoiled(&name, &reason, &customer, &number, &carrier);
        let mail = email(&facts);
        prop_assert_eq!(skeleton(&mail.html), skeleton(&plain.html));
        let text = one_blank(&mail.text);
        let name = clean::line(&facts.orders[0].lines[0].name, 160);
        prop_assert!(text.contains(&one_blank(&name)), "{:?} in {}", name, text);
        let mut escaped = String::new();
        clean::html_into(&mut escaped, &name);
        prop_assert!(mail.html.contains(&escaped), "{:?}", escaped);
    }

    #[test]
    fn heads_and_texts_are_one_clean_line_whatever_comes(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        tag in prop::sample::select(vec!["en", "de"]),
        number in text(), customer in text(), url in text(), quantity in any::<i64>(), days in 0i64..1_000_000,
    ) {
        let mut facts = sample(kind, "one item");
        facts.locale = locale(tag);
        facts.customer_name = Some(customer);
        let order = &mut facts.orders[0];
        order.order_number = number;
        order.view_url = Some(url.clone());
        order.cancel_url = Some(format!("https://x.example/{url}"));
        for line in &mut order.lines {
            line.waiting = Quantity(quantity);
            line.name.clear();
            line.sku = None;
        }
        for parcel in &mut order.shipments {
            parcel.tracking_numbers = vec![url.clone()];
            parcel.estimate_on = SAMPLE_DAY.checked_add_days(chrono::Days::new(days.unsigned_abs()));
        }
        let mail = email(&facts);
        for line in [&mail.subject, &mail.preheader, &sms(&facts).text] {
            prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
            prop_assert!(!line.contains('\u{202e}'), "{:?}", line);
        }
        prop_assert!(mail.subject.chars().count() <= 78);
        prop_assert!(!mail.text.lines().any(|l| l.chars().any(char::is_control)));
    }
}
