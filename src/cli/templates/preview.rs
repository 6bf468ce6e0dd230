//! `backorderd templates preview`: one message, or all of them.

use super::pages::{self, Page};
use crate::app::Viewer;
use crate::cli::context::Context;
use crate::cli::present::{HEAD, count, say, styled};
use crate::cli::{Ended, Usage, pick};
use crate::config::{Config, SecretUse};
use crate::domain::contact::Locale;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::sms_text::SmsEncoding;
use crate::domain::statement::MessageFacts;
use crate::store::read::lists::MessageFilter;
use crate::template::{RenderError, RenderedEmail, RenderedSms, SAMPLE_DAY, TemplateSet, samples};
use crate::wiring;
use anyhow::{Context as _, bail};
use chrono::NaiveDate;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// confirmation, date_set, delay, sooner, date_withdrawn, overdue, update, shipped, cancelled
    #[arg(value_name = "KIND", value_parser = kind, required_unless_present_any = ["all", "order"])]
    kind: Option<Kind>,
    /// With the facts of this order instead of a sample
    #[arg(long, value_name = "N", conflicts_with_all = ["all", "sample"])]
    order: Option<String>,
    /// Which made-up message; without a known name all names are printed
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    sample: Option<String>,
    /// In this language, like de or de-AT
    #[arg(long, value_name = "L", value_parser = locale)]
    locale: Option<Locale>,
    /// The text message instead of the mail
    #[arg(long)]
    sms: bool,
    /// Every kind in every language, as files with an index.html
    #[arg(long, conflicts_with_all = ["kind", "sms"], requires = "files")]
    all: bool,
    /// Write the message as .html, .txt and .eml into this folder
    #[arg(long, value_name = "DIR", group = "files")]
    out: Option<PathBuf>,
    /// Show it in the browser
    #[arg(long, group = "files", conflicts_with = "out")]
    open: bool,
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Kind::ALL.into_iter().map(Kind::as_str).collect();
        format!("kinds are {}", names.join(", "))
    })
}

fn locale(text: &str) -> Result<Locale, String> {
    Locale::parse(text).map_err(|error| error.to_string())
}

/// A message to show, and where its facts come from.
struct Chosen {
    facts: MessageFacts,
    from: String,
    /// The shop's day it is written on.
    today: NaiveDate,
}

/// A rendered message for programs.
#[derive(Serialize)]
struct Answer<'a> {
    kind: Kind,
    channel: ChannelName,
    locale: String,
    facts_from: &'a str,
    subject: Option<&'a str>,
    preheader: Option<&'a str>,
    text: &'a str,
    segments: Option<usize>,
    files: Vec<String>,
}

pub async fn run(context: &Context, args: Args) -> anyhow::Result<Ended> {
    let config = context.config(SecretUse::LeaveOut)?;
    let set = wiring::templates(&config)?;
    if args.all {
        return all(context, &config, &set, &args);
    }
    let mut chosen = match &args.order {
        Some(text) => of_order(&wiring::viewer(&config).await?, text, args.kind, args.sms).await?,
        None => of_sample(args.kind, args.sample.as_deref())?,
    };
    if let Some(locale) = &args.locale {
        chosen.facts.locale = locale.clone();
    } else if args.order.is_none() {
        chosen.facts.locale = config.shop.locale.clone();
    }
    if args.sms {
        sms(context, &set, &chosen, &args)
    } else {
        email(context, &config, &set, &chosen, &args)
    }
}

fn of_sample(kind: Option<Kind>, name: Option<&str>) -> anyhow::Result<Chosen> {
    let kind = kind.ok_or_else(|| Usage("name a kind, or an order with --order".to_owned()))?;
    let mut all = samples(kind);
    let at = match name {
        None => Some(0),
        Some(name) => all.iter().position(|(n, _)| n.eq_ignore_ascii_case(name)),
    };
    let Some(at) = at.filter(|at| *at < all.len()) else {
        let names: Vec<&str> = all.iter().map(|(n, _)| *n).collect();
        let usage = format!("samples of {kind} are: {}", names.join(" | "));
        return Err(Usage(usage).into());
    };
    let (name, facts) = all.swap_remove(at);
    Ok(Chosen {
        facts,
        from: format!("sample \"{name}\""),
        today: SAMPLE_DAY,
    })
}

/// What the order is owed this moment, else its newest message.
async fn of_order(
    viewer: &Viewer,
    text: &str,
    kind: Option<Kind>,
    sms: bool,
) -> anyhow::Result<Chosen> {
    let order = pick::order(viewer, text).await?.order;
    let today = viewer.today();
    let wanted = |k: Kind| kind.is_none_or(|wanted| wanted == k);
    let channel = if sms {
        ChannelName::Sms
    } else {
        ChannelName::Email
    };
    let planned = viewer.plan_orders(&[order.id], viewer.now()).await?;
    // The channel only decides which one; any message can be shown either way.
    let mut owed: Vec<_> = planned
        .messages
        .into_iter()
        .filter(|m| wanted(m.kind))
        .collect();
    owed.sort_by_key(|m| m.channel != channel);
    if let Some(message) = owed.into_iter().next() {
        return Ok(Chosen {
            from: format!("owed to order {} now", order.number),
            facts: message.facts,
            today,
        });
    }
    let filter = MessageFilter {
        order: Some(order.id),
        kind,
        ..MessageFilter::default()
    };
    let newest = viewer.read.messages(&filter, 1).await?.into_iter().next();
    if let Some(row) = newest
        && let Some((_, facts)) = viewer.read.message_facts(row.no).await?
    {
        return Ok(Chosen {
            from: format!("message {} of order {}", row.no, order.number),
            facts,
            today,
        });
    }
    match kind {
        Some(kind) => bail!(
            "order {n} is owed no {k} now and never got one; show a sample with `backorderd \
             templates preview {kind}`",
            n = order.number,
            k = kind.words()
        ),
        None => bail!(
            "order {n} is owed nothing now and never got a message; `backorderd orders explain {n}` \
             says why",
            n = order.number
        ),
    }
}

fn email(
    context: &Context,
    config: &Config,
    set: &TemplateSet,
    chosen: &Chosen,
    args: &Args,
) -> anyhow::Result<Ended> {
    let email = set.render_email(&chosen.facts, chosen.today)?;
    let mut files = Vec::new();
    if args.out.is_some() || args.open {
        let dir = folder(args)?;
        files = pages::write_email(
            config,
            &dir,
            &name(&chosen.facts, &email.locale),
            &email,
            chosen.facts.kind,
        )?;
    }
    if context.json {
        context.print_json(&Answer {
            kind: chosen.facts.kind,
            channel: ChannelName::Email,
            locale: email.locale.to_string(),
            facts_from: &chosen.from,
            subject: Some(&email.subject),
            preheader: Some(&email.preheader),
            text: &email.text,
            segments: None,
            files: shown(&files),
        })?;
    } else {
        say(&email_text(&email, chosen))?;
        say(&files_text(&files))?;
    }
    if args.open {
        open(files.first().map(PathBuf::as_path))?;
    }
    Ok(Ended::Done)
}

fn sms(
    context: &Context,
    set: &TemplateSet,
    chosen: &Chosen,
    args: &Args,
) -> anyhow::Result<Ended> {
    let sms = match set.render_sms(&chosen.facts, chosen.today) {
        Ok(sms) => sms,
        Err(RenderError::SeveralOrders(n)) => {
            bail!("a text is about one order, this message is about {n}")
        }
        Err(error) => return Err(error.into()),
    };
    let mut files = Vec::new();
    if args.out.is_some() || args.open {
        let dir = folder(args)?;
        let path = dir.join(format!("{}-sms.txt", name(&chosen.facts, &sms.locale)));
        pages::write(&path, format!("{}\n", sms.text).as_bytes())?;
        files.push(path);
    }
    if context.json {
        context.print_json(&Answer {
            kind: chosen.facts.kind,
            channel: ChannelName::Sms,
            locale: sms.locale.to_string(),
            facts_from: &chosen.from,
            subject: None,
            preheader: None,
            text: &sms.text,
            segments: Some(sms.size.segments),
            files: shown(&files),
        })?;
    } else {
        say(&sms_text(&sms, chosen))?;
        say(&files_text(&files))?;
    }
    if args.open {
        open(files.first().map(PathBuf::as_path))?;
    }
    Ok(Ended::Done)
}

/// Every kind in every language, the plainest sample of each.
fn all(
    context: &Context,
    config: &Config,
    set: &TemplateSet,
    args: &Args,
) -> anyhow::Result<Ended> {
    let dir = folder(args)?;
    let locales: Vec<Locale> = match &args.locale {
        Some(locale) => vec![locale.clone()],
        None => set.locales().cloned().collect(),
    };
    let mut listed = Vec::new();
    for locale in &locales {
        for kind in Kind::ALL {
            let Some((_, mut facts)) = samples(kind).into_iter().next() else {
                continue;
            };
            facts.locale = locale.clone();
            let email = set.render_email(&facts, SAMPLE_DAY)?;
            let name = format!("{locale}-{kind}");
            pages::write_email(config, &dir, &name, &email, kind)?;
            let text = match set.render_sms(&facts, SAMPLE_DAY) {
                Ok(sms) => Some(sms.text),
                Err(RenderError::NoTemplate { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            listed.push(Page {
                name,
                locale: locale.to_string(),
                kind,
                subject: email.subject,
                preheader: email.preheader,
                sms: text,
            });
        }
    }
    let index = dir.join("index.html");
    pages::write(&index, pages::index(&config.shop.name, &listed).as_bytes())?;
    if context.json {
        context.print_json(&shown(&[index.clone()]))?;
    } else {
        say(&format!(
            "{} in {}: {}\n",
            count(listed.len(), "message", "messages"),
            count(locales.len(), "language", "languages"),
            index.display()
        ))?;
    }
    if args.open {
        open(Some(&index))?;
    }
    Ok(Ended::Done)
}

/// `de-delay`, `de-delay-1042`
fn name(facts: &MessageFacts, locale: &Locale) -> String {
    let order = facts.orders.first().map_or("", |o| o.order_number.as_str());
    let order: String = order.chars().filter(char::is_ascii_alphanumeric).collect();
    match order.as_str() {
        "" => format!("{locale}-{}", facts.kind),
        order => format!("{locale}-{}-{order}", facts.kind),
    }
}

/// Where files go: the folder that was named, else one that only its owner can
/// enter, because real orders have real names in them.
fn folder(args: &Args) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let (dir, mode) = match &args.out {
        Some(dir) => (dir.clone(), 0o777),
        None => {
            let name = format!("backorderd-preview-{}", std::process::id());
            (std::env::temp_dir().join(name), 0o700)
        }
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(&dir)
        .with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

fn email_text(email: &RenderedEmail, chosen: &Chosen) -> String {
    format!(
        "{}\n\n{} {}\n{} {}\n\n{}\n",
        title(chosen, "e-mail", &email.locale),
        styled(HEAD, "Subject:  "),
        email.subject,
        styled(HEAD, "Preheader:"),
        email.preheader,
        email.text.trim_end()
    )
}

fn sms_text(sms: &RenderedSms, chosen: &Chosen) -> String {
    let alphabet = match (sms.size.encoding, sms.size.culprit) {
        (SmsEncoding::Ucs2, Some(culprit)) => {
            format!("the large alphabet, because of \"{culprit}\"")
        }
        (SmsEncoding::Ucs2, None) => "the large alphabet".to_owned(),
        _ => "the small alphabet".to_owned(),
    };
    format!(
        "{}\n\n{}\n\n{} characters, {}, {alphabet}\n",
        title(chosen, "text", &sms.locale),
        sms.text,
        sms.text.chars().count(),
        count(sms.size.segments, "segment", "segments"),
    )
}

/// `delay    e-mail in en    sample "one item"`
fn title(chosen: &Chosen, channel: &str, locale: &Locale) -> String {
    format!(
        "{}    {channel} in {locale}    {}",
        styled(HEAD, &chosen.facts.kind.words()),
        chosen.from
    )
}

fn shown(files: &[PathBuf]) -> Vec<String> {
    files.iter().map(|f| f.display().to_string()).collect()
}

fn files_text(files: &[PathBuf]) -> String {
    let lines: String = files
        .iter()
        .map(|f| format!("  {}\n", f.display()))
        .collect();
    if lines.is_empty() {
        lines
    } else {
        format!("\nWritten:\n{lines}")
    }
}

fn open(file: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::process::Command::new("xdg-open")
        .arg(file)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start xdg-open; open {} yourself", file.display()))?;
    Ok(())
}
