//! `backorderd messages`: what went out, waits, failed or may have gone out,
//! and what a person can do about it.

mod acts;
mod selection;
mod settle;

use self::selection::Filter;
use crate::app::Viewer;
use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{self, Tone, cell, say_line};
use crate::domain::ids::{MessageNo, RunNo};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::MessageState;
use crate::domain::notice_key::Mode;
use crate::domain::statement::MessageFacts;
use crate::store::read::lists::MessageFilter;
use crate::store::types::{ActRow, AttemptRow, MessageRow};
use serde_json::json;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Messages, newest first
    #[command(after_help = "Example: backorderd messages list --state in_doubt\n\
        States: queued, leased, submitting, in_doubt, sent, delivered, bounced, failed, \
        superseded, suppressed, expired, withdrawn.")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// One message: what it states, every try, what the other side answered
    #[command(after_help = "Example: backorderd messages show m71 --words")]
    Show {
        /// Its number, as lists show it
        #[arg(value_name = "MESSAGE", value_parser = parse_message)]
        message: MessageNo,
        /// Also the words, as the templates make them now
        #[arg(long)]
        words: bool,
    },
    /// Say it again, as it stands today, to the present address
    #[command(
        after_help = "Example: backorderd messages resend m71 --why \"lost in their spam\"\n\
        A new message with the facts of today; refused where it would be untrue by now. Brake, \
        holds and the do-not-write list are for it as for all."
    )]
    Resend(acts::Args),
    /// Take messages back that wait in the queue, for good
    #[command(
        after_help = "Example: backorderd messages withdraw --run r12 --dry-run\n\
        What is being sent at this moment, or has left, cannot be called back."
    )]
    Withdraw(acts::Args),
    /// Queue failed messages again: the template or the relay is mended
    #[command(
        after_help = "Example: backorderd messages retry --kind delay --since 3d --dry-run\n\
        Only what is still true, and not to an address that came back."
    )]
    Retry(acts::Args),
    /// Say what became of messages in doubt, by what you know or by the relay's log
    #[command(after_help = "Examples:\n  \
        backorderd messages settle m71 --arrived --why \"customer has read it\"\n  \
        backorderd messages settle --from-log /var/log/mail.log --dry-run\n\
        What arrived is told. What did not goes once more if it must arrive and is still true; \
        else its order is planned again.")]
    Settle(settle::Args),
}

fn parse_state(text: &str) -> Result<MessageState, String> {
    MessageState::parse(text).ok_or_else(|| {
        let all: Vec<&str> = MessageState::ALL.iter().map(|s| s.as_str()).collect();
        format!("there is no such state; the states are {}", all.join(", "))
    })
}
fn parse_kind(text: &str) -> Result<Kind, String> {
    Kind::parse(text).ok_or_else(|| {
        let all: Vec<&str> = Kind::ALL.iter().map(|k| k.as_str()).collect();
        format!("there is no such kind; the kinds are {}", all.join(", "))
    })
}
pub fn parse_run(text: &str) -> Result<RunNo, String> {
    RunNo::parse(text).ok_or_else(|| "runs are numbered like r12".to_owned())
}
fn parse_message(text: &str) -> Result<MessageNo, String> {
    MessageNo::parse(text).ok_or_else(|| "messages are numbered like m71".to_owned())
}

pub async fn run(context: &Context, command: Command) -> anyhow::Result<Ended> {
    match command {
        Command::List { filter, limit } => list(context, &filter, limit).await,
        Command::Show { message, words } => {
            show(context, &context.viewer().await?, message, words).await
        }
        Command::Resend(args) => acts::resend(context, args).await,
        Command::Withdraw(args) => acts::withdraw(context, args).await,
        Command::Retry(args) => acts::retry(context, args).await,
        Command::Settle(args) => settle::run(context, args).await,
    }
}

async fn list(context: &Context, filter: &Filter, limit: u32) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let mut rows = filter.rows(&viewer, limit.saturating_add(1)).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    if context.json {
        context.print_json(&json!({ "messages": rows, "more": more }))?;
        return Ok(Ended::Done);
    }
    if rows.is_empty() {
        say_line!("There is no such message.");
        return Ok(Ended::Done);
    }
    print_rows(&viewer, &rows);
    if more {
        say_line!("\nThere are more: --limit {}", limit.saturating_mul(4));
    }
    Ok(Ended::Done)
}

/// The list of messages, wherever one is shown.
pub fn print_rows(viewer: &Viewer, rows: &[MessageRow]) {
    let mut table = present::table(&["NO", "WHEN", "ORDER", "TO", "BY", "NOTICE", "STATE"]);
    for row in rows {
        let (mut words, tone) = present::standing(row);
        if row.mode != viewer.mode() {
            words.push_str(&format!(" ({} mode)", row.mode.as_str()));
        }
        table.add_row([
            cell(row.no.to_string(), Tone::Plain),
            cell(when(viewer, row), Tone::Plain),
            cell(row.orders.join(", "), Tone::Plain),
            cell(&row.recipient, Tone::Plain),
            cell(row.channel.as_str(), Tone::Plain),
            cell(present::notice(row.kind, row.milestone_days), Tone::Plain),
            cell(words, tone),
        ]);
    }
    present::print_table(&table);
}

/// When it went, or when it goes.
fn when(viewer: &Viewer, row: &MessageRow) -> String {
    let moment = |at| present::moment(at, viewer.settings.shop.zone, viewer.today());
    match row.state {
        MessageState::Queued if !row.held && row.due_at > viewer.now() => {
            format!("from {}", moment(row.due_at))
        }
        _ => moment(row.sent_at.unwrap_or(row.planned_at)),
    }
}

async fn show(
    context: &Context,
    viewer: &Viewer,
    no: MessageNo,
    words: bool,
) -> anyhow::Result<Ended> {
    let filter = MessageFilter {
        no: Some(no),
        ..MessageFilter::default()
    };
    let row = viewer.read.messages(&filter, 1).await?.into_iter().next();
    let facts = viewer.read.message_facts(no).await?;
    let (Some(row), Some((_, facts))) = (row, facts) else {
        anyhow::bail!("there is no message {no}");
    };
    let attempts = viewer.read.attempts(no).await?;
    let acts = viewer.read.acts_on(no).await?;
    let resends = viewer.read.resends(no).await?;
    let rendered = if words {
        Some(render(viewer, &row, &facts)?)
    } else {
        None
    };
    if context.json {
        context.print_json(&json!({
            "message": row,
            "says": facts.orders.iter().map(present::statement_json).collect::<Vec<_>>(),
            "attempts": attempts,
            "acts": acts,
            "resends": resends,
            "words": rendered.map(|r| json!({ "subject": r.subject, "text": r.text })),
        }))?;
        return Ok(Ended::Done);
    }
    head(viewer, &row, &facts);
    tries(viewer, &attempts);
    by_people(viewer, &row, &acts, &resends);
    if let Some(rendered) = rendered {
        say_line!();
        say_line!("{}", present::styled(present::HEAD, "THE WORDS"));
        if let Some(subject) = &rendered.subject {
            say_line!("  Subject: {subject}\n");
        }
        for line in rendered.text.lines() {
            say_line!("{}", format!("  {line}").trim_end());
        }
    }
    Ok(Ended::Done)
}

fn head(viewer: &Viewer, row: &MessageRow, facts: &MessageFacts) {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let moment = |at| present::moment(at, zone, today);
    let title = format!(
        "{}, {} by {} to {}, {}",
        row.no,
        present::notice(row.kind, row.milestone_days),
        match row.channel {
            ChannelName::Email => "e-mail",
            ChannelName::Sms => "text",
        },
        row.recipient,
        match row.orders.as_slice() {
            [one] => format!("order {one}"),
            more => format!("orders {}", more.join(", ")),
        }
    );
    say_line!("{}", present::styled(present::HEAD, &title));
    let (state, tone) = present::standing(row);
    let style = match tone {
        Tone::Good => present::GOOD,
        Tone::Waits => present::WAITS,
        Tone::Bad => present::BAD,
        Tone::Plain | Tone::Faint => anstyle::Style::new(),
    };
    let mut state = present::styled(style, &state);
    if let Some(by) = row.settled_by.as_deref().filter(|by| *by != "assumed") {
        state.push_str(&format!(" ({by})"));
    }
    let mut rows = vec![("State", state)];
    if row.mode == Mode::Sandbox {
        rows.push(("Mode", "sandbox: the customer gets nothing".to_owned()));
    }
    rows.push(("Planned", {
        let run = row
            .run
            .map_or_else(String::new, |run| format!(" in run {run}"));
        format!("{}{run}", moment(row.planned_at))
    }));
    match (row.sent_at, row.state) {
        (Some(at), _) => rows.push(("Sent", moment(at))),
        (None, MessageState::Queued) if row.held => {
            let run = row.run.map_or_else(String::new, |run| run.to_string());
            rows.push((
                "Goes out",
                format!("once approved: backorderd runs show {run}"),
            ));
        }
        (None, MessageState::Queued) => rows.push(("Goes out", {
            if row.due_at <= viewer.now() {
                "now".to_owned()
            } else {
                format!("from {}", moment(row.due_at))
            }
        })),
        _ => {}
    }
    for order in &facts.orders {
        for line in &order.lines {
            let name = present::named(&line.name, line.ordered);
            rows.push(("Says", format!("{name}: {}", present::news(line, today))));
        }
        for parcel in &order.shipments {
            let carrier = parcel.carrier.as_deref().unwrap_or("parcel");
            rows.push((
                "Parcel",
                format!("{carrier} {}", parcel.tracking_numbers.join(", ")),
            ));
        }
        if let Some(day) = order.next_word_by {
            rows.push((
                "Promises",
                format!("to write again by {}", present::day(day, today)),
            ));
        }
    }
    present::print_facts(&rows);
}

/// What people did to it, and what became of that.
fn by_people(viewer: &Viewer, row: &MessageRow, acts: &[ActRow], resends: &[MessageNo]) {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    for act in acts {
        let at = present::moment(act.at, zone, today);
        let why = act.why.as_ref().map(|why| format!(": \"{why}\""));
        say_line!(
            "{at}  {} by {}{}",
            act.verb,
            act.by,
            why.unwrap_or_default()
        );
    }
    if let Some(first) = row.resend_of {
        say_line!("It says again what {first} said.");
    }
    if !resends.is_empty() {
        let numbers: Vec<String> = resends.iter().map(MessageNo::to_string).collect();
        say_line!("Said again by: {}", numbers.join(", "));
    }
}

fn tries(viewer: &Viewer, attempts: &[AttemptRow]) {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    say_line!();
    if attempts.is_empty() {
        say_line!("Not tried yet.");
        return;
    }
    let mut table = present::table(&["TRY", "WHEN", "THROUGH", "OUTCOME", "ANSWER"]);
    for attempt in attempts {
        let (outcome, tone) = match attempt.outcome.as_deref() {
            Some("accepted") => ("accepted", Tone::Good),
            Some("deferred") => ("later", Tone::Waits),
            Some("refused") => ("refused", Tone::Bad),
            Some("in_doubt") => ("no answer", Tone::Waits),
            Some(other) => (other, Tone::Plain),
            None => ("under way", Tone::Plain),
        };
        let answer: Vec<String> = attempt
            .code
            .map(|code| code.to_string())
            .into_iter()
            .chain(attempt.enhanced.clone())
            .chain(attempt.reply.clone())
            .chain(attempt.reference.as_ref().map(|r| format!("[{r}]")))
            .collect();
        table.add_row([
            cell(attempt.no.to_string(), Tone::Plain),
            cell(present::moment(attempt.began_at, zone, today), Tone::Plain),
            cell(&attempt.relay, Tone::Plain),
            cell(outcome, tone),
            cell(answer.join(" "), Tone::Plain),
        ]);
    }
    present::print_table(&table);
    if let Some(id) = attempts.iter().find_map(|a| a.message_id.as_deref()) {
        say_line!("Message-ID: {id}");
    }
}

/// A message's words.
struct Words {
    subject: Option<String>,
    text: String,
}

/// Renders it with the templates of today; the stored facts are those it was
/// (or will be) sent with.
fn render(viewer: &Viewer, row: &MessageRow, facts: &MessageFacts) -> anyhow::Result<Words> {
    let on = row.sent_at.unwrap_or_else(|| viewer.now());
    let on = on.day_in(viewer.settings.shop.zone);
    Ok(match row.channel {
        ChannelName::Email => {
            let mail = viewer.templates.render_email(facts, on)?;
            Words {
                subject: Some(mail.subject),
                text: mail.text,
            }
        }
        ChannelName::Sms => Words {
            subject: None,
            text: viewer.templates.render_sms(facts, on)?.text,
        },
    })
}
