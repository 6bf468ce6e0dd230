//! `backorderd texts`: what customers texted, and which of it still waits for
//! a person.

use crate::app::Viewer;
use crate::cli::context::Context;
use crate::cli::present::{say, say_line, table, table_text};
use crate::cli::{Ended, present};
use crate::config::SecretUse;
use crate::store::read::texts::TextRow;
use crate::wiring;

/// Entries shown unless more are asked for.
const SHOWN: u32 = 50;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Texts from customers, newest first
    List(ListArgs),
    /// A text has been looked at and answered
    Done(DoneArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: backorderd texts list --all\nWords and numbers are kept 30 days.")]
pub struct ListArgs {
    /// Also STOP, START, HELP and what is done
    #[arg(long)]
    all: bool,
    /// Most entries shown
    #[arg(long, value_name = "N", default_value_t = SHOWN)]
    limit: u32,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: backorderd texts done 12")]
pub struct DoneArgs {
    /// The number that `texts list` and `todo` show
    text: i64,
}

pub async fn run(context: &Context, command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::List(args) => list(context, &args).await,
        Command::Done(args) => done(context, &args).await,
    }
}

async fn list(context: &Context, args: &ListArgs) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let texts = viewer.read.texts(!args.all, args.limit).await?;
    if context.json {
        context.print_json(&texts)?;
    } else if texts.is_empty() {
        say_line!("No texts wait for a person.");
    } else {
        say(&text(&viewer, &texts))?;
    }
    Ok(Ended::Done)
}

fn text(viewer: &Viewer, texts: &[TextRow]) -> String {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let mut rows = table(&["TEXT", "AT", "FROM", "ORDER", "WISH", "WORDS", "ANSWER"]);
    for text in texts {
        let answer = match (&text.answer, &text.answer_outcome) {
            (None, _) => String::new(),
            (Some(kind), Some(outcome)) => format!("{kind}: {outcome}"),
            (Some(kind), None) => format!("{kind}: may have gone out"),
        };
        let words: String = text
            .words
            .as_deref()
            .unwrap_or("-")
            .chars()
            .take(60)
            .collect();
        rows.add_row([
            text.id.to_string(),
            present::moment(text.at, zone, today),
            text.from.clone().unwrap_or_default(),
            text.order.clone().unwrap_or_default(),
            text.wish.clone(),
            words.escape_debug().to_string(),
            answer,
        ]);
    }
    table_text(&rows)
}

async fn done(context: &Context, args: &DoneArgs) -> anyhow::Result<Ended> {
    let config = context.config(SecretUse::LeaveOut)?;
    let app = wiring::app(&config).await?;
    if app
        .store
        .close_text(args.text, &context.by(), app.now())
        .await?
    {
        say_line!("Text {} is done.", args.text);
        return Ok(Ended::Done);
    }
    say_line!(
        "There is no text {} that waits for a person: backorderd texts list",
        args.text
    );
    Ok(Ended::Failed)
}
