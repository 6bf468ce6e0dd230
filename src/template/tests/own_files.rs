//! A merchant's own files: what they replace, and what is said about mistakes.

use super::{email, load, locale, sample, set, sms};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::shop::{Charges, ShopProfile};
use crate::template::samples::sample_shop;
use crate::template::{RenderError, SAMPLE_DAY, TemplateProblems, TemplateSet};

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
        mail.text
            .starts_with("Dear customer,\n\nWhat you are waiting for"),
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
