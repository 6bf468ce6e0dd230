//! `backorderd demo`: three weeks of a made-up shop in a few seconds.
//!
//! The daemon's own code reads the shop's files, decides, renders and
//! delivers, under a clock that is set from one moment to the next; only the
//! timers are missing. Nothing leaves the computer: every message becomes a
//! file in a fresh folder, and that folder keeps working afterwards
//! (`--home DIR`), its clock standing still where the story ended.
//!
//! `shop` is the made-up shop with its `cast`, `post` the far side, `world` the program under
//! the simulated clock, `story` what happens (`february`, `march`), `seen` what came of it, `page`
//! the page that shows the messages.

mod cast;
mod february;
mod march;
mod page;
mod post;
mod seen;
mod shop;
mod story;
mod world;

use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{self, BAD, GOOD, HEAD, WAITS, styled};
use crate::config::{Config, Environment, LoadArgs, SecretUse};
use crate::domain::kinds::ChannelName;
use crate::domain::message::MessageState;
use crate::store::types::MessageRow;
use anyhow::{Context as _, bail};
use seen::Tag;
use serde::Serialize;
use shop::moment;
use std::path::{Path, PathBuf};
use story::{Line, Story};
use world::World;

/// Width of the table's second column.
const WHAT_WIDTH: usize = 40;
/// Names tried for a fresh folder.
const NAMES_MAX: u32 = 10_000;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: backorderd demo --out /tmp/fern-and-kettle")]
pub struct Args {
    /// A folder for the demo, empty or not there yet; a fresh one below the
    /// system's folder for temporary files without it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The closing figures.
#[derive(Debug, Serialize)]
struct Summary {
    messages: usize,
    emails: usize,
    texts: usize,
    lost: usize,
    twice: usize,
    in_doubt: usize,
    quiet: usize,
}

pub async fn run(context: &Context, args: Args) -> anyhow::Result<Ended> {
    let home = folder(args.out)?;
    let config = configure(&home)?;
    let away = (moment(story::AWAY.0), moment(story::AWAY.1));
    let start = moment(story::BEGINS);
    let world = World::build(&config, home.join("shop"), start, away).await?;
    let shop_name = config.shop.name.clone();
    if !context.json {
        anstream::println!(
            "{} is a made-up shop: {} orders, three weeks, English and German, simulated clock.\n\
             Nothing leaves this computer.\n",
            styled(HEAD, &shop_name),
            world.shop.n_orders()
        );
    }
    let mut tell = |line: &Line, same_day: bool| {
        if !context.json {
            print_line(line, same_day);
        }
    };
    let mut story = Story::new(world, &mut tell);
    story.play().await?;
    let Story {
        world,
        lines,
        mut differs,
        ..
    } = story;
    let summary = summarise(&world).await?;
    if summary.lost + summary.twice + summary.in_doubt > 0 {
        differs.push("a message was lost, sent twice or left in doubt".to_owned());
    }
    page::write(&home, &world, &lines).await?;
    world.close().await?;

    let program = program();
    let dir = quoted(&home.display().to_string());
    let commands: Vec<(&str, String)> = vec![
        (
            "Ask why",
            format!("{program} --home {dir} orders explain 1042"),
        ),
        (
            "What comes next",
            format!("{program} --home {dir} forecast --days 14"),
        ),
        (
            "Every message",
            format!("{program} --home {dir} messages list"),
        ),
    ];
    if context.json {
        context.print_json(&serde_json::json!({
            "home": home, "lines": lines, "summary": summary, "differs": differs,
        }))?;
    } else {
        print_summary(&summary);
        anstream::println!("\n{:<18} open {dir}/index.html", "See the messages");
        for (why, command) in &commands {
            anstream::println!("{why:<18} {command}");
        }
    }
    for what in &differs {
        eprintln!("backorderd: the story went differently: {what}");
    }
    Ok(if differs.is_empty() {
        Ended::Done
    } else {
        Ended::Failed
    })
}

/// The folder everything goes into, fresh and only ours.
fn folder(out: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.mode(0o700);
    if let Some(out) = out {
        let Ok(mut entries) = std::fs::read_dir(&out) else {
            builder
                .recursive(true)
                .create(&out)
                .with_context(|| format!("cannot create {}", out.display()))?;
            return Ok(std::fs::canonicalize(&out)?);
        };
        if entries.next().is_some() {
            bail!(
                "{} is not empty; name a folder that is, or one that is not there yet",
                out.display()
            );
        }
        return Ok(std::fs::canonicalize(&out)?);
    }
    let below = std::env::temp_dir();
    for n in 1..=NAMES_MAX {
        let path = below.join(format!("backorderd-demo-{n}"));
        match builder.create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| format!("cannot create {}", path.display()));
            }
        }
    }
    bail!(
        "{} is full of earlier demos; remove some, or name a folder with --out",
        below.display()
    )
}

/// Writes the shop's configuration and loads it as every command will. The
/// surroundings have no say: the story is the same everywhere.
fn configure(home: &Path) -> anyhow::Result<Config> {
    let file = home.join("backorderd.toml");
    let text = shop::CONFIGURATION.replace("{now}", story::ENDS);
    std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let nothing = Environment::default();
    Ok(Config::load(&LoadArgs {
        file: None,
        home: Some(home),
        environment: &nothing,
        secrets: SecretUse::Load,
        now: moment(story::BEGINS),
    })?)
}

async fn summarise(world: &World) -> anyhow::Result<Summary> {
    let all = world.everything().await?;
    let now = world.app.now();
    let sent: Vec<&MessageRow> = all.iter().filter(|m| m.state.is_sent()).collect();
    let n = |channel| sent.iter().filter(|m| m.channel == channel).count();
    // Owed and not out, out and not arrived, or arrived and not known.
    let stuck = all
        .iter()
        .filter(|m| match m.state {
            MessageState::Queued => m.due_at <= now,
            MessageState::Leased | MessageState::Submitting => true,
            MessageState::Failed | MessageState::Bounced | MessageState::Expired => true,
            _ => false,
        })
        .count();
    let arrived = sent.iter().filter(|m| world.ledger.times(m.no) > 0).count();
    let unknown = world.ledger.taken().abs_diff(arrived);
    Ok(Summary {
        messages: sent.len(),
        emails: n(ChannelName::Email),
        texts: n(ChannelName::Sms),
        lost: stuck + sent.len() - arrived + unknown,
        twice: world.ledger.twice(),
        in_doubt: all
            .iter()
            .filter(|m| m.state == MessageState::InDoubt)
            .count(),
        quiet: world.count_silences().await?,
    })
}

fn print_line(line: &Line, same_day: bool) {
    let day = if same_day {
        String::new()
    } else {
        line.on.format("%a %e %b").to_string()
    };
    let style = match line.tag {
        Tag::Said => GOOD,
        Tag::Held | Tag::Later => WAITS,
        Tag::Quiet => HEAD,
    };
    anstream::println!(
        "{day:<11} {:<WHAT_WIDTH$} {}{} {}",
        line.what,
        styled(style, line.tag.as_str()),
        " ".repeat(5 - line.tag.as_str().len()),
        line.came_of_it
    );
}

fn print_summary(summary: &Summary) {
    let none = |n: usize, what: &str| {
        if n == 0 {
            format!("none {what}")
        } else {
            styled(BAD, &format!("{n} {what}"))
        }
    };
    anstream::println!(
        "\n{}: {}, {}. {}, {}, {}. {} times quiet, each with a reason.",
        present::count(summary.messages, "message", "messages"),
        present::count(summary.emails, "e-mail", "e-mails"),
        present::count(summary.texts, "text", "texts"),
        capital(&none(summary.lost, "lost")),
        none(summary.twice, "twice"),
        none(summary.in_doubt, "in doubt"),
        summary.quiet
    );
}

fn capital(text: &str) -> String {
    match text.strip_prefix("none") {
        Some(rest) => format!("None{rest}"),
        None => text.to_owned(),
    }
}

/// The program as it was called, so that what is printed runs as printed.
fn program() -> String {
    let called = std::env::args_os().next();
    let called = called.map(|name| name.to_string_lossy().into_owned());
    quoted(
        called
            .as_deref()
            .filter(|name| !name.is_empty())
            .unwrap_or("backorderd"),
    )
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("/tmp/backorderd-demo-1"), "/tmp/backorderd-demo-1");
        assert_eq!(quoted("/tmp/it's here"), "'/tmp/it'\\''s here'");
    }
}
