//! `backorderd todo`: everything that waits for a person, each with the
//! command that helps.

use crate::app::Viewer;
use crate::app::todo::Todo;
use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{self, say_line};
use crate::domain::feed::FeedTrouble;
use crate::domain::reason::{Reason, Verdict};
use crate::domain::receipt::ReceiptKind;
use crate::store::read::texts::TextRow;
use crate::store::types::{HoldRow, MessageRow};
use crate::template::BrokenFile;
use serde_json::{Value, json};

/// Entries of one sort that are shown; the rest is counted.
const SHOWN: usize = 20;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd todo\nExit code 0 also when something waits; scripts \
    read --json."
)]
pub struct Args {}

pub async fn run(context: &Context, _args: Args) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let todo = viewer.todo().await?;
    if context.json {
        context.print_json(&as_json(&todo))?;
        return Ok(Ended::Done);
    }
    if todo.is_empty() {
        say_line!("Nothing waits for a person.");
        return Ok(Ended::Done);
    }
    let mut printer = Printer { is_first: true };
    print(&viewer, &todo, &mut printer);
    Ok(Ended::Done)
}

/// Sections with a blank line between them.
struct Printer {
    is_first: bool,
}

impl Printer {
    /// A headed list; nothing for an empty one.
    fn section(&mut self, head: &str, entries: &[String], help: &str) {
        if entries.is_empty() {
            return;
        }
        if !self.is_first {
            say_line!();
        }
        self.is_first = false;
        say_line!("{}", present::styled(present::HEAD, head));
        for entry in entries.iter().take(SHOWN) {
            say_line!("  {}", present::wrap(entry, 4, present::PROSE_WIDTH));
        }
        if entries.len() > SHOWN {
            say_line!("  and {} more", entries.len() - SHOWN);
        }
        say_line!("  -> {}", present::wrap(help, 5, present::PROSE_WIDTH));
    }
}

fn print(viewer: &Viewer, todo: &Todo, out: &mut Printer) {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let moment = |at| present::moment(at, zone, today);
    if let Some(reason) = &todo.hold_file {
        let why = reason.as_deref().map_or_else(
            || "it does not say why".to_owned(),
            |why| format!("\"{why}\""),
        );
        let path = crate::app::hold_file::path(&viewer.settings.state_dir);
        out.section(
            "NOTHING IS SENT: the hold file exists",
            &[why],
            &format!("rm {}", path.display()),
        );
    }
    let holds: Vec<String> = todo.holds.iter().map(|hold| held(viewer, hold)).collect();
    let release = todo
        .holds
        .first()
        .map_or_else(String::new, |hold| match hold.scope.as_str() {
            "global" => "backorderd release".to_owned(),
            scope => format!("backorderd release --{scope} {}", hold.key),
        });
    out.section("HOLDS", &holds, &release);
    let runs: Vec<String> = todo
        .held_runs
        .iter()
        .map(|run| {
            let lapse = run.started_at.plus(viewer.policy().brake.lapse);
            format!(
                "{}  {} since {}; lapses {}",
                run.no,
                present::count(
                    usize::try_from(run.messages).unwrap_or(0),
                    "message",
                    "messages"
                ),
                moment(run.started_at),
                moment(lapse)
            )
        })
        .collect();
    let example = todo
        .held_runs
        .first()
        .map_or_else(String::new, |run| run.no.to_string());
    out.section(
        "RUNS THAT WAIT FOR A YES",
        &runs,
        &format!("backorderd runs show {example}, then approve or drop it"),
    );
    let message = |m: &MessageRow| {
        format!(
            "{}  order {}, {} by {} to {}, {}",
            m.no,
            m.orders.join(", "),
            present::notice(m.kind, m.milestone_days),
            m.channel,
            m.recipient,
            moment(m.sent_at.unwrap_or(m.planned_at))
        )
    };
    let first = |list: &[MessageRow]| list.first().map_or_else(String::new, |m| m.no.to_string());
    let doubts: Vec<String> = todo.in_doubt.iter().map(message).collect();
    out.section(
        "MAY HAVE GONE OUT: the answer never came",
        &doubts,
        &format!(
            "backorderd messages show {} names the Message-ID to look for in the mail server's \
             log. Left alone, it settles by itself: what must arrive is sent once more, the rest \
             is taken as sent.",
            first(&todo.in_doubt)
        ),
    );
    let failed: Vec<String> = todo
        .failed
        .iter()
        .map(|m| {
            let why = m
                .last_reply
                .as_deref()
                .or(m.settled_by.as_deref())
                .unwrap_or("no reason recorded");
            format!("{}: {why}", message(m))
        })
        .collect();
    out.section(
        "FAILED FOR GOOD",
        &failed,
        &format!(
            "backorderd messages show {}; repair the address in the shop, or call the customer",
            first(&todo.failed)
        ),
    );
    let templates: Vec<String> = todo.templates.iter().map(broken_template).collect();
    out.section(
        "TEMPLATES WITH MISTAKES",
        &templates,
        "backorderd templates check shows the places; a repaired file is taken up within seconds",
    );
    exports(viewer, todo, out);
    came_back(viewer, todo, out);
    orders(viewer, todo, out);
}

/// `en/delay/email.hbs:3:14: there is no ...; its last good version is used`.
pub fn broken_template(broken: &BrokenFile) -> String {
    format!("{}; {}", broken.problem, broken.instead.words())
}

/// What is wrong with what the shop gives us, and orders nobody looked at yet.
fn exports(viewer: &Viewer, todo: &Todo, out: &mut Printer) {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    // Rows that were left out have a list of their own.
    let whole_file = |trouble: &&FeedTrouble| !matches!(trouble, FeedTrouble::LeftOut { .. });
    let feeds: Vec<&FeedTrouble> = todo.feeds.iter().filter(whole_file).collect();
    let troubles: Vec<String> = feeds
        .iter()
        .map(|trouble| present::feed_trouble(trouble, zone, today))
        .collect();
    out.section(
        "THE SHOP'S EXPORT",
        &troubles,
        &feeds
            .first()
            .map_or_else(String::new, |trouble| present::feed_cure(trouble)),
    );
    let rejected: Vec<String> = todo
        .rejected
        .iter()
        .map(|reject| {
            let order = reject.row.order_number.as_ref();
            let order = order.map_or_else(String::new, |number| format!("order {number}, "));
            format!("{order}{}, {}", reject.source, reject.row.words())
        })
        .collect();
    out.section(
        "ROWS THAT WERE NOT TAKEN IN",
        &rejected,
        "repair them in the shop or the file and import it again; what is stored about these \
         lines stays as it was",
    );
    if todo.unseen > 0 {
        let n = usize::try_from(todo.unseen).unwrap_or(usize::MAX);
        let orders = present::count(n, "open order", "open orders");
        out.section(
            "NOT LOOKED AT YET",
            &[format!(
                "{orders}: what is the matter with them is not known yet"
            )],
            "backorderd run, or serve, looks at them; backorderd run --dry-run shows what it would \
             find",
        );
    }
}

/// What bounces left to do.
fn came_back(viewer: &Viewer, todo: &Todo, out: &mut Printer) {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let moment = |at| present::moment(at, zone, today);
    let returned: Vec<String> = todo
        .came_back
        .iter()
        .map(|row| {
            let why = row.why.map_or("came back", ReceiptKind::words);
            format!(
                "{}  order {}, {} by {}: {why}; to be told by {}",
                row.no,
                row.order,
                row.kind.words(),
                row.channel,
                moment(row.not_after)
            )
        })
        .collect();
    let first = todo.came_back.first();
    out.section(
        "CAME BACK, AND MUST BE TOLD",
        &returned,
        &format!(
            "call the customer, or enter another address in the shop and import again: \
             backorderd orders explain {}",
            first.map_or("", |row| row.order.as_str())
        ),
    );
    let unclear: Vec<String> = todo
        .unclear_mails
        .iter()
        .map(|mail| {
            let about = mail
                .message
                .map_or_else(String::new, |no| format!(", about {no}"));
            format!("{}  {}, {}{about}", mail.id, moment(mail.at), mail.why)
        })
        .collect();
    out.section(
        "MAILS AT THE BOUNCE ADDRESS NOBODY COULD READ",
        &unclear,
        &format!(
            "a person may have written there: backorderd receipts unclear show {}; they leave \
             this list after 30 days",
            todo.unclear_mails.first().map_or(0, |mail| mail.id)
        ),
    );
    out.section(
        "BOUNCES THAT CANNOT BE OPENED",
        &todo.unreadable,
        "let the program read and write the Maildir and its files",
    );
}

/// Orders by what is the matter with them.
fn orders(viewer: &Viewer, todo: &Todo, out: &mut Printer) {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    for (code, head) in [
        ("date_in_past", "THE SHOP'S DATE LIES IN THE PAST"),
        ("not_believed", "DATES NOBODY WOULD BELIEVE"),
        (
            "stale_at_baseline",
            "WERE LATE ALREADY WHEN WE FIRST SAW THEM",
        ),
        ("not_in_feed", "GONE FROM THE SHOP'S LIST"),
        ("cannot_say", "OWED A WORD THAT COULD NOT BE SAID"),
        ("unreachable", "CANNOT BE REACHED"),
    ] {
        let of_this = |v: &&Verdict| v.reason.code() == code;
        let found: Vec<(&String, &Verdict)> = todo
            .orders
            .iter()
            .filter_map(|(number, verdicts)| Some((number, verdicts.iter().find(of_this)?)))
            .collect();
        let Some((first, _)) = found.first() else {
            continue;
        };
        let entries: Vec<String> = found
            .iter()
            .map(|(number, v)| {
                let about = v
                    .about
                    .as_ref()
                    .map_or_else(String::new, |about| format!("{about}: "));
                format!("{number}  {about}{}", matter(&v.reason, zone, today))
            })
            .collect();
        let help = match code {
            "date_in_past" | "not_believed" | "stale_at_baseline" => format!(
                "correct the date in the shop, or set it here: backorderd eta set --order {first} \
                 DATE; the story so far: backorderd orders explain {first}"
            ),
            "not_in_feed" => format!(
                "look in the shop whether it shipped or was cancelled, and import that; the story \
                 so far: backorderd orders explain {first}"
            ),
            "cannot_say" => format!("backorderd orders explain {first}, then call the customer"),
            _ => format!(
                "enter an address or number in the shop and import again, or call the customer: \
                 backorderd orders explain {first}"
            ),
        };
        out.section(head, &entries, &help);
    }
    let texts: Vec<String> = todo
        .texts
        .iter()
        .map(|text| written(viewer, text))
        .collect();
    let example = todo.texts.first().map_or(0, |text| text.id);
    out.section(
        "TEXTS FROM CUSTOMERS",
        &texts,
        &format!(
            "a cancellation counts from the moment it was received; answer, then: backorderd \
             texts done {example}"
        ),
    );
    let silent: Vec<String> = todo
        .silent
        .iter()
        .map(|(number, since)| format!("{number}  since {}", present::moment(*since, zone, today)))
        .collect();
    let example = todo
        .silent
        .first()
        .map_or("", |(number, _)| number.as_str());
    out.section(
        "HAVE HEARD NOTHING FOR LONG",
        &silent,
        &format!("backorderd orders explain {example} says why; a call does no harm"),
    );
}

/// `12  order 1042, Mon 9 Mar 11:40, +44 ... 0123: "cancel" (may mean the order)`.
pub fn written(viewer: &Viewer, text: &TextRow) -> String {
    let at = present::moment(text.at, viewer.settings.shop.zone, viewer.today());
    let order = text
        .order
        .as_ref()
        .map_or_else(String::new, |number| format!("order {number}, "));
    let words = text.words.as_deref().map_or_else(
        || "words no longer kept".to_owned(),
        |words| format!("\"{}\"", words.escape_debug()),
    );
    let note = match text.task.as_deref() {
        Some("possible_cancellation") => " (may mean the order: it is held)",
        _ => "",
    };
    let from = text.from.as_deref().unwrap_or("number no longer kept");
    format!("{}  {order}{at}, {from}: {words}{note}", text.id)
}

/// The particulars, where the heading says the rest.
fn matter(reason: &Reason, zone: chrono_tz::Tz, today: chrono::NaiveDate) -> String {
    match reason {
        Reason::DateInPast { on } => present::day(*on, today),
        Reason::StaleAtBaseline { on } => {
            format!("should have shipped {}", present::day(*on, today))
        }
        Reason::NotBelieved { on, .. } => on.format("%a %-d %b %Y").to_string(),
        Reason::NotInFeed { since } => format!("since {}", present::moment(*since, zone, today)),
        Reason::Unreachable => "no address or number works".to_owned(),
        Reason::CannotSay { message } => format!("{message} failed or was withdrawn"),
        other => present::without_call(other.words()).to_owned(),
    }
}

/// `everything, by kim since Thu 26 Feb 10:03: "stock count"`.
pub fn held(viewer: &Viewer, hold: &HoldRow) -> String {
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let what = match hold.scope.as_str() {
        "global" => "everything".to_owned(),
        "sku" => format!("SKU {}", hold.key),
        "channel" if hold.key == "sms" => "texts".to_owned(),
        "channel" => "e-mail".to_owned(),
        scope => format!("{scope} {}", hold.key),
    };
    let until = hold.until.map_or_else(String::new, |until| {
        format!(" until {}", present::moment(until, zone, today))
    });
    format!(
        "{what}{until}, by {} since {}: \"{}\"",
        hold.by,
        present::moment(hold.since, zone, today),
        hold.why
    )
}

fn as_json(todo: &Todo) -> Value {
    let orders: Vec<Value> = todo
        .orders
        .iter()
        .map(|(number, verdicts)| json!({ "order": number, "verdicts": verdicts }))
        .collect();
    json!({
        "waits": !todo.is_empty(),
        "hold_file": todo.hold_file.is_some(),
        "hold_file_reason": todo.hold_file.clone().flatten(),
        "holds": todo.holds,
        "held_runs": todo.held_runs,
        "in_doubt": todo.in_doubt,
        "failed": todo.failed,
        "came_back": todo.came_back,
        "unclear_mails": todo.unclear_mails,
        "unreadable_bounces": todo.unreadable,
        "texts": todo.texts,
        "templates": todo.templates.iter().map(|broken| json!({
            "file": broken.problem.file, "line": broken.problem.line,
            "column": broken.problem.column, "what": broken.problem.what,
            "instead": broken.instead.as_str(),
        })).collect::<Vec<_>>(),
        "exports": todo.feeds,
        "rejected_rows": todo.rejected,
        "unseen_orders": todo.unseen,
        "orders": orders,
        "silent": todo.silent.iter()
            .map(|(number, since)| json!({ "order": number, "since": since }))
            .collect::<Vec<_>>(),
    })
}
