use super::*;

fn set() -> TemplateSet {
    TemplateSet::load(None, &sample_shop()).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn show() {
    let set = set();
    for kind in Kind::ALL {
        for lang in ["en", "de"] {
            for (name, mut facts) in samples(kind) {
                facts.locale = Locale::parse(lang).unwrap();
                let e = set.render_email(&facts, SAMPLE_DAY).unwrap();
                println!(
                    "=== {kind} {lang} {name}\n{}\n{}\n\n{}",
                    e.subject, e.preheader, e.text
                );
                if facts.orders.len() == 1 {
                    let s = set.render_sms(&facts, SAMPLE_DAY).unwrap();
                    println!("SMS {} {:?}: {}", s.size.units, s.size.culprit, s.text);
                }
            }
        }
    }
    println!(
        "{:#?}",
        check(&set)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    );
}
