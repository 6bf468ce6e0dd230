//! `backorderd templates`: the words, checked and looked at before anybody
//! gets them. Needs no database, except for the preview of an order.

mod draw;
mod export;
mod pages;
mod preview;

use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{BAD, GOOD, WAITS, count, say, styled};
use crate::config::{Config, SecretUse};
use crate::domain::kinds::{ChannelName, Kind};
use crate::template::{self, Problem, TemplateSet, samples};
use crate::wiring;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Render every template in every language with every sample
    #[command(after_help = "Example: backorderd templates check\n\
        A missing or misspelt name is an error with file, line and column, also inside conditions. \
        Notes are about what is merely unwise: a subject that is cut, a text of too many parts. \
        Ends with 1 when there are errors.")]
    Check,
    /// Show a message: of a made-up sample, or of a real order
    #[command(after_help = "Example: backorderd templates preview delay\n         \
        backorderd templates preview update --locale de --sample \"two orders\"\n         \
        backorderd templates preview --order 1042 --open\n         \
        backorderd templates preview --all --out /tmp/mails\n\
        With --order: what the order is owed now, else its newest message. Nothing is sent.")]
    Preview(preview::Args),
    /// Write the built-in templates into a folder, to be edited
    #[command(
        after_help = "Example: backorderd templates export /etc/backorderd/templates\n\
        Never overwrites. Keep the files you change and delete the others: what is missing in \
        your folder is taken from the built-in ones."
    )]
    Export {
        /// The folder; it is made if it is not there
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

pub async fn run(context: &Context, command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::Check => check(context),
        Command::Preview(args) => preview::run(context, args).await,
        Command::Export { dir } => export::run(context, &dir),
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    ok: bool,
    folder: Option<String>,
    locales: Vec<String>,
    kinds: usize,
    mails: usize,
    texts: usize,
    problems: Vec<Told<'a>>,
    notes: Vec<Told<'a>>,
}

/// A problem, for programs.
#[derive(Serialize)]
struct Told<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    what: &'a str,
    help: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn list(problems: &'a [Problem]) -> Vec<Told<'a>> {
        let one = |p: &'a Problem| Told {
            file: &p.file,
            line: p.line,
            column: p.column,
            what: &p.what,
            help: p.help.as_deref(),
        };
        problems.iter().map(one).collect()
    }
}

/// What was rendered.
#[derive(Default)]
struct Rendered {
    locales: Vec<String>,
    mails: usize,
    texts: usize,
}

fn rendered(set: &TemplateSet) -> Rendered {
    let mut out = Rendered::default();
    for locale in set.locales() {
        out.locales.push(locale.to_string());
        for kind in Kind::ALL {
            let samples = samples(kind);
            out.mails += samples.len();
            if set.version(kind, locale, ChannelName::Sms).is_some() {
                out.texts += samples.iter().filter(|(_, f)| f.orders.len() == 1).count();
            }
        }
    }
    out
}

fn check(context: &Context) -> anyhow::Result<Ended> {
    let config = context.config(SecretUse::LeaveOut)?;
    let (rendered, problems, notes) = match wiring::templates(&config) {
        Ok(set) => {
            let mut notes = template::check(&set);
            let mut problems = template::texts_too_long(&set, config.policy.sms.segments_max);
            if !config.policy.sms.enabled {
                notes.append(&mut problems);
            }
            (rendered(&set), problems, notes)
        }
        Err(problems) => (Rendered::default(), problems.0, Vec::new()),
    };
    let ended = if problems.is_empty() {
        Ended::Done
    } else {
        Ended::Failed
    };
    if context.json {
        context.print_json(&Answer {
            ok: problems.is_empty(),
            folder: config
                .templates_dir
                .as_ref()
                .map(|d| d.display().to_string()),
            locales: rendered.locales,
            kinds: Kind::ALL.len(),
            mails: rendered.mails,
            texts: rendered.texts,
            problems: Told::list(&problems),
            notes: Told::list(&notes),
        })?;
        return Ok(ended);
    }
    let mut text = String::new();
    for problem in &problems {
        let _ = writeln!(text, "{}", draw::problem(BAD, "error", problem));
    }
    for note in &notes {
        let _ = writeln!(text, "{}", draw::problem(WAITS, "note", note));
    }
    text.push_str(&summary(&config, &rendered, problems.len(), notes.len()));
    say(&text)?;
    Ok(ended)
}

fn summary(config: &Config, rendered: &Rendered, n_problems: usize, n_notes: usize) -> String {
    let from = match &config.templates_dir {
        Some(folder) => format!("{}, over the built-in ones", folder.display()),
        None => "the built-in ones".to_owned(),
    };
    if n_problems > 0 && !rendered.locales.is_empty() {
        return format!(
            "{} in the templates ({from}): these texts are not sent.\n",
            styled(BAD, &count(n_problems, "error", "errors"))
        );
    }
    if n_problems > 0 {
        return format!(
            "{} in the templates ({from}). Until a file is repaired, its last good version is used \
             instead, or the built-in one.\n",
            styled(BAD, &count(n_problems, "error", "errors"))
        );
    }
    let verdict = match n_notes {
        0 => styled(GOOD, "nothing is wrong"),
        n => styled(WAITS, &format!("no error, {}", count(n, "note", "notes"))),
    };
    format!(
        "Templates: {from}.\n{} x {} with every sample: {} and {} rendered, {verdict}.\n",
        count(Kind::ALL.len(), "kind", "kinds"),
        count(rendered.locales.len(), "language", "languages"),
        count(rendered.mails, "mail", "mails"),
        count(rendered.texts, "text", "texts"),
    )
}
