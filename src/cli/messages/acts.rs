//! Acting on messages: withdraw, retry, resend, settle by one's own knowledge.
//!
//! All of them go the same way: look, show what would happen to each message
//! and to which nothing would and why, ask for the number where there are
//! several, act, say what came of it. `--dry-run` stops after the showing, with
//! a reader that cannot write.

use super::selection::Selection;
use crate::app::by_hand::{LookedAt, Purpose};
use crate::app::{App, Viewer};
use crate::cli::context::Context;
use crate::cli::present::{self, Tone, cell, count, say_line};
use crate::cli::{Ended, Usage};
use crate::domain::ids::MessageNo;
use crate::domain::message::MessageState;
use crate::store::read::lists::MessageFilter;
use crate::store::types::MessageRow;
use crate::store::write::by_hand::{Act, Knowledge};
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub manner: Manner,
    /// For the audit log
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Manner {
    /// Show what would happen to each; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// A message, and what would happen to it or why nothing.
pub type Fate = (MessageRow, Result<String, String>);

/// What an act did to a message: its new state, in words, and anything more
/// for programs.
pub struct Deed {
    pub no: MessageNo,
    pub words: String,
    pub more: Value,
}

pub async fn withdraw(context: &Context, args: Args) -> anyhow::Result<Ended> {
    let states = [MessageState::Queued, MessageState::Leased];
    let judge = |row: MessageRow| {
        let fate = match row.state {
            MessageState::Queued => Ok("is taken back for good".to_owned()),
            MessageState::Leased => {
                Ok("is being prepared; taken back if it can still be had".to_owned())
            }
            MessageState::Submitting => Err("it is being sent at this moment".to_owned()),
            MessageState::InDoubt | MessageState::Sent => {
                Err("it may have left already; nobody can call it back".to_owned())
            }
            state => Err(format!("it does not wait any more: {}", state.words())),
        };
        (row, fate)
    };
    let (app, fates): (_, Vec<Fate>) = match open(context, &args.manner).await? {
        Opened::Looking(viewer) => {
            let rows = args.selection.rows(&viewer, &states).await?;
            return dry(context, "withdraw", rows.into_iter().map(judge).collect());
        }
        Opened::Acting(app) => {
            let rows = args.selection.rows(&app.viewer, &states).await?;
            (app, rows.into_iter().map(judge).collect())
        }
    };
    if !agreed(context, "withdraw", &fates, &args.manner)? {
        return Ok(Ended::Failed);
    }
    let act = act(context, args.why);
    let done = app.withdraw(&willing(&fates), &act).await?;
    let deeds = done.into_iter().map(|no| Deed {
        no,
        words: "withdrawn; nobody gets it, and it is not planned again".to_owned(),
        more: json!({}),
    });
    tell(context, &app, "withdraw", &fates, deeds.collect()).await
}

pub async fn retry(context: &Context, args: Args) -> anyhow::Result<Ended> {
    let (app, looked) = match look(context, &args, Purpose::Retry).await? {
        (Opened::Looking(viewer), looked) => {
            return dry(context, "retry", fates(&viewer, &looked, Purpose::Retry));
        }
        (Opened::Acting(app), looked) => (app, looked),
    };
    let fates = fates(&app.viewer, &looked, Purpose::Retry);
    if !agreed(context, "retry", &fates, &args.manner)? {
        return Ok(Ended::Failed);
    }
    let done = app.retry(&looked, &act(context, args.why)).await?;
    let deeds = done.into_iter().map(|no| Deed {
        no,
        words: "waits to go out again".to_owned(),
        more: json!({}),
    });
    let ended = tell(context, &app, "retry", &fates, deeds.collect()).await?;
    Ok(ended)
}

pub async fn resend(context: &Context, args: Args) -> anyhow::Result<Ended> {
    let (app, looked) = match look(context, &args, Purpose::Resend).await? {
        (Opened::Looking(viewer), looked) => {
            return dry(context, "resend", fates(&viewer, &looked, Purpose::Resend));
        }
        (Opened::Acting(app), looked) => (app, looked),
    };
    let fates = fates(&app.viewer, &looked, Purpose::Resend);
    if !agreed(context, "resend", &fates, &args.manner)? {
        return Ok(Ended::Failed);
    }
    let resent = app.resend(&looked, &act(context, args.why)).await?;
    let deeds = resent.messages.iter().map(|again| Deed {
        no: again.old,
        words: match (again.new, again.held, again.overtaken) {
            (new, true, true) => format!(
                "written as {new}, which waits for approval, because another process runs with \
                 newer settings than these: backorderd todo"
            ),
            (new, true, false) => {
                format!("written as {new}, which waits for approval: backorderd todo")
            }
            (new, false, _) => format!("goes out again as {new}"),
        },
        more: json!({ "as": again.new, "held": again.held }),
    });
    tell(context, &app, "resend", &fates, deeds.collect()).await
}

/// Says what became of messages in doubt, by a person's own knowledge.
pub async fn settle(
    context: &Context,
    selection: &Selection,
    manner: &Manner,
    known: Knowledge,
    why: Option<String>,
) -> anyhow::Result<Ended> {
    let why = why.filter(|why| !why.trim().is_empty());
    let Some(why) = why else {
        let usage = "--why needs the evidence: where you saw that it did, or did not, arrive";
        return Err(Usage(usage.to_owned()).into());
    };
    let judge = |row: MessageRow| {
        let fate = match (row.state, known) {
            (MessageState::InDoubt, Knowledge::Arrived) => {
                Ok("counts as accepted; what it says is told".to_owned())
            }
            (MessageState::InDoubt, Knowledge::NotArrived) if row.kind.must_arrive() => Ok(
                "goes out once more if it is still true, else its order is planned again"
                    .to_owned(),
            ),
            (MessageState::InDoubt, Knowledge::NotArrived) => {
                Ok("counts as failed; its order is planned again".to_owned())
            }
            (state, _) => Err(format!("it is not in doubt: {}", state.words())),
        };
        (row, fate)
    };
    let states = [MessageState::InDoubt];
    let (app, fates): (_, Vec<Fate>) = match open(context, manner).await? {
        Opened::Looking(viewer) => {
            let rows = selection.rows(&viewer, &states).await?;
            return dry(context, "settle", rows.into_iter().map(judge).collect());
        }
        Opened::Acting(app) => {
            let rows = selection.rows(&app.viewer, &states).await?;
            (app, rows.into_iter().map(judge).collect())
        }
    };
    if !agreed(context, "settle", &fates, manner)? {
        return Ok(Ended::Failed);
    }
    let act = act(context, Some(why));
    let messages = willing(&fates);
    let done = app.store.settle_messages(messages, known, act, app.now());
    let deeds = done.await?.into_iter().map(|(no, state)| Deed {
        no,
        words: match state {
            MessageState::Sent => "accepted; what it says is told",
            MessageState::Queued => "goes out once more, with the same Message-ID",
            _ => "failed; its order is planned again",
        }
        .to_owned(),
        more: json!({ "state": state }),
    });
    tell(context, &app, "settle", &fates, deeds.collect()).await
}

// ---- the way they share ----

/// What a command holds: a dry run holds nothing that could write.
pub enum Opened {
    Looking(Box<Viewer>),
    Acting(Box<App>),
}

pub async fn open(context: &Context, manner: &Manner) -> anyhow::Result<Opened> {
    Ok(if manner.dry_run {
        Opened::Looking(Box::new(context.viewer().await?))
    } else {
        Opened::Acting(Box::new(context.writer().await?))
    })
}

pub fn act(context: &Context, why: Option<String>) -> Act {
    Act {
        by: context.by(),
        why,
    }
}

async fn look(
    context: &Context,
    args: &Args,
    purpose: Purpose,
) -> anyhow::Result<(Opened, LookedAt)> {
    use MessageState as S;
    let states: &[S] = match purpose {
        Purpose::Retry => &[S::Failed],
        Purpose::Resend => &[S::Sent, S::Delivered, S::Bounced, S::Failed, S::Withdrawn],
    };
    let opened = open(context, &args.manner).await?;
    let viewer = match &opened {
        Opened::Looking(viewer) => viewer,
        Opened::Acting(app) => &app.viewer,
    };
    let rows = args.selection.rows(viewer, states).await?;
    let looked = viewer.look_again(rows, purpose).await?;
    Ok((opened, looked))
}

fn fates(viewer: &Viewer, looked: &LookedAt, purpose: Purpose) -> Vec<Fate> {
    let today = viewer.today();
    let fate = |(row, ready): &(MessageRow, Result<_, String>)| {
        let fate = ready.as_ref().map_err(Clone::clone);
        let fate = fate.map(|ready: &crate::app::by_hand::Ready| {
            if purpose == Purpose::Retry {
                return "goes out again, with fresh tries".to_owned();
            }
            let says: Vec<String> = ready
                .facts
                .orders
                .iter()
                .flat_map(|order| &order.lines)
                .map(|line| present::news(line, today))
                .collect();
            let mut words = format!("says today: {}", says.join("; "));
            for (number, why) in &ready.left_out {
                words.push_str(&format!("; without order {number}: {why}"));
            }
            words
        });
        (row.clone(), fate)
    };
    looked.messages.iter().map(fate).collect()
}

fn willing(fates: &[Fate]) -> Vec<MessageNo> {
    let willing = fates.iter().filter(|(_, fate)| fate.is_ok());
    willing.map(|(row, _)| row.no).collect()
}

fn print(fates: &[Fate]) {
    let mut table = present::table(&["NO", "ORDER", "TO", "BY", "NOTICE", "WHAT HAPPENS"]);
    for (row, fate) in fates {
        let (words, tone) = match fate {
            Ok(words) => (words.clone(), Tone::Good),
            Err(why) => (format!("nothing: {why}"), Tone::Waits),
        };
        table.add_row([
            cell(row.no.to_string(), Tone::Plain),
            cell(row.orders.join(", "), Tone::Plain),
            cell(&row.recipient, Tone::Plain),
            cell(row.channel.as_str(), Tone::Plain),
            cell(present::notice(row.kind, row.milestone_days), Tone::Plain),
            cell(words, tone),
        ]);
    }
    present::print_table(&table);
}

fn fate_json((row, fate): &Fate) -> Value {
    json!({
        "message": row.no,
        "orders": row.orders,
        "kind": row.kind,
        "channel": row.channel,
        "state": row.state,
        "would": fate.as_ref().ok(),
        "why_not": fate.as_ref().err(),
    })
}

/// The end of a dry run.
pub fn dry(context: &Context, verb: &str, fates: Vec<Fate>) -> anyhow::Result<Ended> {
    let n = willing(&fates).len();
    if context.json {
        let messages: Vec<Value> = fates.iter().map(fate_json).collect();
        context.print_json(&json!({ "verb": verb, "dry_run": true, "messages": messages }))?;
        return Ok(Ended::Done);
    }
    say_line!("DRY RUN: nothing is sent, nothing is stored.\n");
    if fates.is_empty() {
        say_line!("There is no such message.");
        return Ok(Ended::Done);
    }
    print(&fates);
    let others = match fates.len() - n {
        0 => String::new(),
        left => format!(
            "; {left} would stay as {}",
            if left == 1 { "it is" } else { "they are" }
        ),
    };
    say_line!("\n{} to {verb}{others}.", count(n, "message", "messages"));
    Ok(Ended::Done)
}

/// Shows it and asks, where there is somebody to ask and something to ask for.
pub fn agreed(
    context: &Context,
    verb: &str,
    fates: &[Fate],
    manner: &Manner,
) -> anyhow::Result<bool> {
    let n = willing(fates).len();
    if n == 0 {
        if context.json {
            let messages: Vec<Value> = fates.iter().map(fate_json).collect();
            context.print_json(&json!({ "verb": verb, "done": 0, "messages": messages }))?;
        } else if fates.is_empty() {
            say_line!("There is no such message.");
        } else {
            print(fates);
            say_line!("\nNothing was done.");
        }
        return Ok(false);
    }
    if n == 1 || manner.yes {
        return Ok(true);
    }
    if !context.json {
        print(fates);
    }
    let question = format!("Type {n} to {verb} these messages:");
    match context.ask(&question) {
        Some(answer) if answer == n.to_string() => Ok(true),
        Some(_) => {
            eprintln!("Nothing was done.");
            Ok(false)
        }
        None => Err(Usage(format!(
            "nobody can be asked here about {n} messages; look at `backorderd messages {verb} \
             --dry-run`, then use --yes"
        ))
        .into()),
    }
}

/// Says what was done, and why not to the others: what happened between the
/// look and the act is looked up.
pub async fn tell(
    context: &Context,
    app: &App,
    verb: &str,
    fates: &[Fate],
    deeds: Vec<Deed>,
) -> anyhow::Result<Ended> {
    let mut lines = Vec::new();
    let mut documents = Vec::new();
    let mut missed = false;
    for (row, fate) in fates {
        let deed = deeds.iter().find(|deed| deed.no == row.no);
        let words = match (deed, fate) {
            (Some(deed), _) => Ok(deed.words.clone()),
            (None, Err(why)) => Err(why.clone()),
            (None, Ok(_)) => {
                missed = true;
                let filter = MessageFilter {
                    no: Some(row.no),
                    ..MessageFilter::default()
                };
                let now = app.viewer.read.messages(&filter, 1).await?.pop();
                let state = now.map_or(row.state, |now| now.state);
                let unchanged = state == row.state;
                Err(if unchanged {
                    "it, or its order, changed at this very moment; look again".to_owned()
                } else {
                    format!("somebody was faster; it is: {}", state.words())
                })
            }
        };
        let mut document = fate_json(&(row.clone(), words.clone()));
        if let Some(object) = document.as_object_mut() {
            object.remove("would");
            object.insert("done".to_owned(), json!(deed.is_some()));
            if let Some(more) = deed.and_then(|deed| deed.more.as_object()) {
                object.extend(more.clone());
            }
        }
        documents.push(document);
        lines.push(match words {
            Ok(words) => format!("{}  {words}", row.no),
            Err(why) => format!("{}  nothing done: {why}", row.no),
        });
    }
    if context.json {
        let done = deeds.len();
        context.print_json(&json!({ "verb": verb, "done": done, "messages": documents }))?;
    } else {
        for line in lines {
            say_line!("{line}");
        }
    }
    Ok(if missed || deeds.is_empty() {
        Ended::Failed
    } else {
        Ended::Done
    })
}
