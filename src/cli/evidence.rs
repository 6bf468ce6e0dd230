//! `backorderd evidence`: everything that can be shown for one message, in one
//! document, for a complaint, an authority or a court.
//!
//! Without `--with-address` the recipient's address is in none of it. The
//! customer's name may be in the words.

use crate::app::Viewer;
use crate::app::evidence::Evidence;
use crate::cli::Ended;
use crate::cli::audit;
use crate::cli::context::Context;
use crate::cli::present::{self, HEAD, PROSE_WIDTH, say, say_line, styled, wrap};
use crate::domain::ids::MessageNo;
use crate::domain::kinds::ChannelName;
use crate::domain::notice_key::Mode;
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: backorderd evidence m71 --words > m71.txt\n\
    For programs: backorderd evidence m71 --json. The words are made again from the stored facts, \
    as long as the template is the one it was sent with; the template's own files are kept in any \
    case: --template.")]
pub struct Args {
    /// The message's number, as lists show it
    #[arg(value_name = "MESSAGE", value_parser = parse_message)]
    message: MessageNo,
    /// Also the recipient's address, which is left out otherwise
    #[arg(long)]
    with_address: bool,
    /// Also the words
    #[arg(long)]
    words: bool,
    /// Also the files of the template it was made with
    #[arg(long)]
    template: bool,
}

fn parse_message(text: &str) -> Result<MessageNo, String> {
    MessageNo::parse(text).ok_or_else(|| "messages are numbered like m71".to_owned())
}

pub async fn run(context: &Context, args: Args) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let no = args.message;
    let Some(found) = viewer.evidence(no).await? else {
        anyhow::bail!("there is no message {no}");
    };
    let words = match args.words {
        true => Some(words(&viewer, &found)?),
        false => None,
    };
    if context.json {
        context.print_json(&as_json(&found, &args, words))?;
        return Ok(Ended::Done);
    }
    print(&viewer, &found, &args)?;
    if let Some(words) = words {
        head("THE WORDS");
        match words {
            Some(words) => {
                for line in words.lines() {
                    say_line!("{}", format!("  {line}").trim_end());
                }
            }
            None => say_line!(
                "  The template changed since; its files as they were: backorderd evidence {no} \
                 --template"
            ),
        }
    }
    if args.template {
        template(&found);
    }
    Ok(Ended::Done)
}

/// The words as they went out; `None` where the templates in force would make
/// others.
fn words(viewer: &Viewer, found: &Evidence) -> anyhow::Result<Option<String>> {
    if !found.template_is_in_force {
        return Ok(None);
    }
    let sent = found.attempts.last().map(|attempt| attempt.began_at);
    let on = sent.unwrap_or_else(|| viewer.now());
    let on = on.day_in(viewer.settings.shop.zone);
    Ok(Some(match found.row.channel {
        ChannelName::Email => {
            let mail = viewer.templates.render_email(&found.facts, on)?;
            format!("Subject: {}\n\n{}", mail.subject, mail.text)
        }
        ChannelName::Sms => viewer.templates.render_sms(&found.facts, on)?.text,
    }))
}

fn as_json(found: &Evidence, args: &Args, words: Option<Option<String>>) -> Value {
    let mut message = json!(found.row);
    if let Some(message) = message.as_object_mut() {
        message.remove("recipient");
    }
    let template = found.template.as_ref().map(|(source, at)| {
        let source = args.template.then_some(source);
        json!({ "kept_since_at": at, "source": source })
    });
    let mut document = json!({
        "message": message,
        "run": found.run,
        "proof": found.proof,
        "says": found.facts.orders.iter().map(present::statement_json).collect::<Vec<_>>(),
        "attempts": found.attempts,
        "aftermath": found.aftermath,
        "acts": found.acts,
        "template": template,
        "template_is_in_force": found.template_is_in_force,
    });
    if let Some(map) = document.as_object_mut() {
        if args.with_address {
            map.insert("recipient".to_owned(), json!(found.recipient));
        }
        if let Some(words) = words {
            map.insert("words".to_owned(), json!(words));
        }
    }
    document
}

fn head(text: &str) {
    say_line!("\n{}", styled(HEAD, text));
}

fn print(viewer: &Viewer, found: &Evidence, args: &Args) -> anyhow::Result<()> {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let moment = |at| present::moment(at, zone, today);
    let (row, proof) = (&found.row, &found.proof);
    let by = match row.channel {
        ChannelName::Email => "e-mail",
        ChannelName::Sms => "text",
    };
    let title = format!(
        "Evidence for {}: {} by {by}, {}",
        row.no,
        present::notice(row.kind, row.milestone_days),
        match row.orders.as_slice() {
            [one] => format!("order {one}"),
            more => format!("orders {}", more.join(", ")),
        }
    );
    say_line!("{}", styled(HEAD, &title));
    let mut facts = Vec::new();
    if args.with_address {
        facts.push(("To", found.recipient.clone()));
    }
    if row.mode == Mode::Sandbox {
        facts.push(("Mode", "sandbox: the customer got nothing".to_owned()));
    }
    let run = found.run.as_ref().map_or_else(String::new, |run| {
        format!(" in run {} ({}, by {})", run.no, run.job, run.by)
    });
    facts.push(("Planned", format!("{}{run}", moment(row.planned_at))));
    facts.push(("Because of", proof.triggers.join("; ")));
    let settled = row
        .settled_by
        .as_ref()
        .map_or_else(String::new, |by| format!(" ({by})"));
    facts.push(("State", format!("{}{settled}", row.state.words())));
    if let Some(at) = row.sent_at {
        facts.push(("Sent", moment(at)));
    }
    facts.push(("Good until", moment(proof.not_after)));
    facts.push(("Its id", proof.uid.clone()));
    if let Some(id) = found.attempts.iter().find_map(|a| a.message_id.as_deref()) {
        facts.push(("Message-ID", id.to_owned()));
    }
    if let Some(hash) = &proof.content_hash {
        facts.push(("SHA-256", format!("{hash} of what was handed over")));
    }
    if let Some(version) = &proof.template_version {
        let kept = match &found.template {
            Some((_, at)) => format!("its files kept since {}", moment(*at)),
            None => "its files are not kept".to_owned(),
        };
        let now = match found.template_is_in_force {
            true => "in force today",
            false => "changed since",
        };
        facts.push(("Template", format!("{version}, {now}; {kept}")));
    }
    present::print_facts(&facts);

    head("WHAT IT SAID");
    for order in &found.facts.orders {
        for line in &order.lines {
            let name = present::named(&line.name, line.ordered);
            say_line!(
                "  {}  {name}: {}",
                order.order_number,
                present::news(line, today)
            );
        }
        if let Some(day) = order.next_word_by {
            let day = present::day(day, today);
            say_line!("  {}  promised to write again by {day}", order.order_number);
        }
    }
    tries(found, &moment)?;
    let about = present::About {
        kind: row.kind,
        channel: row.channel,
        not_after: Some(proof.not_after),
    };
    let sentences = present::aftermath(&found.aftermath, about, zone, today);
    if !found.aftermath.is_empty() {
        head("WHAT BECAME OF IT");
        for sentence in sentences {
            say_line!("  {}", wrap(&sentence, 4, PROSE_WIDTH));
        }
    }
    if !found.acts.is_empty() {
        head("WHO ACTED: the message, its run, its orders, its address");
        for line in audit::log(viewer, &found.acts).lines() {
            say_line!("  {line}");
        }
    }
    Ok(())
}

fn tries(
    found: &Evidence,
    moment: &dyn Fn(crate::domain::time::Instant) -> String,
) -> anyhow::Result<()> {
    head("EVERY TRY");
    if found.attempts.is_empty() {
        say_line!("  none");
        return Ok(());
    }
    let mut table = present::table(&["TRY", "BEGAN", "ENDED", "THROUGH", "OUTCOME", "ANSWER"]);
    for a in &found.attempts {
        let answer: Vec<String> = a
            .code
            .map(|code| code.to_string())
            .into_iter()
            .chain(a.enhanced.clone())
            .chain(a.reply.clone())
            .chain(a.reference.as_ref().map(|r| format!("[{r}]")))
            .collect();
        table.add_row([
            a.no.to_string(),
            moment(a.began_at),
            a.ended_at.map(moment).unwrap_or_default(),
            a.relay.clone(),
            a.outcome.clone().unwrap_or_else(|| "under way".to_owned()),
            answer.join(" "),
        ]);
    }
    let text: String = present::table_text(&table)
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect();
    say(&text)?;
    Ok(())
}

/// The template's files as they were.
fn template(found: &Evidence) {
    let files = found
        .template
        .as_ref()
        .and_then(|(source, _)| source.get("files")?.as_array().cloned());
    let Some(files) = files else {
        head("THE TEMPLATE");
        say_line!("  Its files are not kept.");
        return;
    };
    for file in files {
        let part = |name: &str| file.get(name).and_then(Value::as_str).unwrap_or_default();
        head(&format!("TEMPLATE {}", part("path")));
        for line in part("text").lines() {
            say_line!("  {line}");
        }
    }
}
