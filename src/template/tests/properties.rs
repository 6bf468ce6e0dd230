//! Values from anywhere: they never become markup, and never leave their line.

use super::{email, locale, sample, sms};
use crate::domain::kinds::Kind;
use crate::domain::quantity::Quantity;
use crate::template::{SAMPLE_DAY, clean};
use proptest::prelude::*;

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
