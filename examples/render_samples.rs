//! Writes sample mails as HTML files, for pictures and for looking at a change
//! of the layout: `cargo run --example render_samples -- FOLDER`.

use anyhow::{Context, bail};
use backorderd::domain::contact::Locale;
use backorderd::domain::kinds::Kind;
use backorderd::template::{SAMPLE_DAY, TemplateSet, sample_shop, samples};
use std::path::PathBuf;

/// File name, language, kind, sample, and whether the offer block is on.
const MAILS: [(&str, &str, Kind, &str, bool); 6] = [
    ("delay", "en", Kind::Delay, "one item", false),
    ("shipped", "en", Kind::Shipped, "one item", false),
    ("withdrawn", "en", Kind::DateWithdrawn, "one item", false),
    ("update-day-14", "en", Kind::Update, "two weeks", true),
    (
        "confirmation-german",
        "de",
        Kind::Confirmation,
        "several items",
        false,
    ),
    ("two-orders", "en", Kind::Delay, "two orders", false),
];

fn main() -> anyhow::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        bail!("give the folder to write into");
    };
    std::fs::create_dir_all(&folder)?;
    for (file, language, kind, sample, offer_block) in MAILS {
        let mut shop = sample_shop();
        shop.offer_block = offer_block;
        let set = TemplateSet::load(None, &shop)?;
        let (_, mut facts) = samples(kind)
            .into_iter()
            .find(|(name, _)| *name == sample)
            .with_context(|| format!("no sample \"{sample}\" of {kind}"))?;
        facts.locale = Locale::parse(language)?;
        let mail = set.render_email(&facts, SAMPLE_DAY)?;
        std::fs::write(folder.join(format!("{file}.html")), mail.html)?;
        std::fs::write(
            folder.join(format!("{file}.txt")),
            format!("{}\n{}\n\n{}", mail.subject, mail.preheader, mail.text),
        )?;
    }
    Ok(())
}
