//! `backorderd hold` and `release`: stop sending, and go on.
//!
//! A hold is a row in the database that planning and every single sending ask
//! for. The one for everything has a second form that works when no database
//! answers: a file named `hold` in the state folder.

mod file;
mod list;
mod preview;
mod scope;
pub mod until;

use crate::app::releasing::ReleasePreview;
use crate::cli::context::Context;
use crate::cli::present::{self, GOOD, WAITS, count, say, styled};
use crate::cli::{Ended, Usage};
use crate::config::{Config, SecretUse};
use crate::domain::kinds::ChannelName;
use crate::domain::time::Instant;
use crate::store::Store;
use crate::store::types::HoldRow;
use crate::store::write::operate::{NewHold, OURSELVES, RESTORED};
use crate::telemetry::whole_story;
use crate::wiring;
pub use scope::channel as channel_named;
use scope::{Scope, ScopeArgs};
use serde::Serialize;
use std::fmt::Write as _;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd hold --why \"supplier file looks wrong\"\n         \
    backorderd hold --order 1042 --why \"customer is on the phone\" --until 4h\n\
    Without a scope everything is held. What the mail server or the gateway has taken already \
    cannot be called back. Planning goes on; messages that fall due wait. When no database \
    answers, the hold for everything becomes the hold file."
)]
pub struct HoldArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// The reason, for everybody who finds the hold later
    #[arg(long, value_name = "TEXT", required_unless_present = "list")]
    why: Option<String>,
    /// When it ends by itself: 2026-03-02, "2026-03-02 14:00" (the shop's zone), 4h, 3d
    #[arg(long, value_name = "WHEN", conflicts_with = "file")]
    until: Option<String>,
    /// Create the hold file instead: holds everything, needs no database
    #[arg(long, conflicts_with = "scope")]
    file: bool,
    /// Print the holds there are
    #[arg(long, conflicts_with_all = ["scope", "why", "until", "file"])]
    list: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd release --channel sms --why \"gateway is back\"\n\
    Without a scope the hold on everything is lifted; holds on single orders, customers, SKUs \
    and suppliers stay. Nothing goes out unseen: every waiting message is held against today's \
    facts first, the first five go alone, the rest at the usual pace. To look before: backorderd \
    release --dry-run --show 20"
)]
pub struct ReleaseArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// The reason, for the audit log
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Remove the hold file
    #[arg(long, conflicts_with = "scope")]
    file: bool,
    /// Show what would go out, what not, and why; lift nothing
    #[arg(long, conflicts_with = "file")]
    dry_run: bool,
    /// List so many of the messages that wait
    #[arg(long, value_name = "N", conflicts_with = "file")]
    show: Option<usize>,
}

/// What became of an act, for programs.
#[derive(Serialize)]
struct Answer<'a> {
    done: bool,
    scope: &'a str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orders_looked_at_again: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_waiting: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<serde_json::Value>,
}

pub async fn hold(context: &Context, args: HoldArgs) -> anyhow::Result<Ended> {
    let config = match context.config(SecretUse::LeaveOut) {
        Ok(config) => config,
        Err(error) => return hold_anyway(context, &args, error),
    };
    if args.list {
        return list::run(context, &config).await;
    }
    let why = args.why.unwrap_or_default();
    if why.trim().is_empty() {
        return Err(Usage("--why needs a reason others will understand".to_owned()).into());
    }
    let now = wiring::clock(&config).now();
    if args.file {
        return file::create(context, &file::HoldPlace::of(&config), &why, now);
    }
    let zone = config.shop.zone;
    let until = match args.until.as_deref() {
        Some(text) => Some(until::parse(text, now, zone).map_err(Usage)?),
        None => None,
    };
    let asked = scope::asked(&args.scope);
    let placed = place(context, &config, asked.as_ref(), &why, until, now).await;
    let (scope, store, is_new) = match placed {
        Ok(placed) => placed,
        Err(error) if asked.is_none() => {
            eprintln!(
                "backorderd: the database does not take the hold ({}); the hold file does instead.",
                whole_story(error.as_ref())
            );
            if until.is_some() {
                eprintln!("backorderd: a file knows no end: --until is not kept.");
            }
            return file::create(context, &file::HoldPlace::of(&config), &why, now);
        }
        Err(error) => return Err(error),
    };
    if context.json {
        context.print_json(&Answer {
            done: is_new,
            scope: scope.kind,
            key: &scope.key,
            file: None,
            until,
            orders_looked_at_again: None,
            messages_waiting: None,
            waiting: None,
        })?;
        return Ok(Ended::Done);
    }
    let today = now.day_in(zone);
    if !is_new {
        let there = store.read().holds().await?;
        let since = there
            .iter()
            .find(|h| h.scope == scope.kind && h.key == scope.key)
            .map(|h| described(h, &config, now))
            .unwrap_or_default();
        say(&format!(
            "{} is on hold already{since}.\nIts reason and end stay as they are; to change them, \
             release it first.\n",
            scope.title()
        ))?;
        return Ok(Ended::Done);
    }
    let mut text = format!("{}  {}: \"{why}\"\n", styled(WAITS, "HELD"), scope.title());
    let end = match until {
        Some(until) => format!(
            "It ends by itself {}, or with",
            present::moment(until, zone, today)
        ),
        None => "It stays until".to_owned(),
    };
    let _ = writeln!(text, "{end}: backorderd release{}", scope.flag());
    text.push_str(&left_running(&config, &store, &scope, now).await?);
    say(&text)?;
    Ok(Ended::Done)
}

/// The hold for everything, with a configuration that cannot be read: the
/// brake must work then, too.
fn hold_anyway(context: &Context, args: &HoldArgs, error: anyhow::Error) -> anyhow::Result<Ended> {
    let is_for_everything = !args.list && scope::asked(&args.scope).is_none();
    let why = args.why.as_deref().unwrap_or_default();
    let folder = context.state_folder().filter(|_| is_for_everything);
    let Some(folder) = folder.filter(|_| !why.trim().is_empty()) else {
        eprintln!(
            "backorderd: nothing was held, because the configuration cannot be read. To stop \
             sending this moment: backorderd hold --file --why \"...\", or `touch` a file named \
             `hold` in the state folder.\n"
        );
        return Err(error);
    };
    eprintln!("backorderd: the configuration cannot be read; the hold file does instead.");
    if args.until.is_some() {
        eprintln!("backorderd: a file knows no end: --until is not kept.");
    }
    let place = file::HoldPlace {
        folder: &folder,
        zone: chrono_tz::Tz::UTC,
    };
    file::create(context, &place, why, context.machine_now())
}

/// Writes the hold; what it is on, and whether it is new.
async fn place(
    context: &Context,
    config: &Config,
    asked: Option<&scope::Asked>,
    why: &str,
    until: Option<Instant>,
    now: Instant,
) -> anyhow::Result<(Scope, Store, bool)> {
    let (scope, store) = scope::resolve(context, config, asked).await?;
    let hold = NewHold {
        scope: scope.kind,
        key: scope.key.clone(),
        by: context.by(),
        why: why.to_owned(),
        until,
    };
    let is_new = store.hold(hold, now).await?;
    Ok((scope, store, is_new))
}

/// `, since Mon 2 Mar 11:40 by anna: "wrong file"`
fn described(hold: &HoldRow, config: &Config, now: Instant) -> String {
    let zone = config.shop.zone;
    format!(
        ", since {} by {}: \"{}\"",
        present::moment(hold.since, zone, now.day_in(zone)),
        hold.by,
        hold.why
    )
}

/// What the hold covers and what it cannot stop any more.
async fn left_running(
    config: &Config,
    store: &Store,
    scope: &Scope,
    now: Instant,
) -> anyhow::Result<String> {
    let read = store.read();
    let mode = config.mode.of_rows();
    let mut text = String::new();
    if scope.is_about_orders() {
        let n = read.count_held_orders(scope.kind, &scope.key).await?;
        let orders = match n {
            0 => "No open order is concerned now; those to come stay".to_owned(),
            n => count(to_usize(n), "open order stays", "open orders stay"),
        };
        let _ = writeln!(text, "{orders} silent.");
    } else {
        let n = read
            .count_queued(mode, scope.channel(), scope.run())
            .await?;
        let messages = match n {
            0 => "No message waits".to_owned(),
            n => count(to_usize(n), "message waits", "messages wait"),
        };
        let _ = writeln!(text, "{messages} in the queue now; planning goes on.");
    }
    let figures = read
        .figures(mode, now.day_in(config.shop.zone), now)
        .await?;
    let n_handed = figures
        .messages_by_state
        .get("submitting")
        .copied()
        .unwrap_or(0);
    let handed = match n_handed {
        0 => String::new(),
        1 => "; 1 message is being handed over this moment".to_owned(),
        n => format!("; {n} messages are being handed over this moment"),
    };
    let _ = writeln!(
        text,
        "Not called back: what has left already ({} in the last 24 hours){handed}.",
        match usize::try_from(figures.sent_24h).unwrap_or(0) {
            0 => "nothing".to_owned(),
            n => count(n, "message", "messages"),
        }
    );
    Ok(text)
}

/// The hold was placed because this database is not the one from before.
fn after_restore(holds: &[HoldRow], scope: &Scope) -> bool {
    scope.kind == "global"
        && holds.iter().any(|hold| {
            hold.scope == "global" && hold.by == OURSELVES && hold.why.starts_with(RESTORED)
        })
}

/// A hand that releases out of habit must stop here once.
const WHY_AFTER_RESTORE: &str = "everything is on hold because this database is not the one that \
    was here last. What was said since it was saved is not in it: released as it is, customers \
    are told again what they know. Put the newer database back, or import the shop's present \
    state, look at `backorderd run --dry-run`, and then say why it may go on: backorderd release \
    --why \"...\"";

pub async fn release(context: &Context, args: ReleaseArgs) -> anyhow::Result<Ended> {
    let config = match context.config(SecretUse::LeaveOut) {
        Ok(config) => config,
        Err(error) if args.file => {
            return match context.state_folder() {
                Some(folder) => file::remove_anyway(context, &folder),
                None => Err(error),
            };
        }
        Err(error) => return Err(error),
    };
    if args.file {
        return file::remove(context, &config).await;
    }
    let now = wiring::clock(&config).now();
    let asked = scope::asked(&args.scope);
    let (scope, store) = scope::resolve(context, &config, asked.as_ref()).await?;
    let read = store.read();
    let (orders, queued) = if scope.is_about_orders() {
        let n = read.count_held_orders(scope.kind, &scope.key).await?;
        (Some(n), None)
    } else {
        let mode = config.mode.of_rows();
        (
            None,
            Some(
                read.count_queued(mode, scope.channel(), scope.run())
                    .await?,
            ),
        )
    };
    if args.why.is_none() && after_restore(&read.holds().await?, &scope) {
        return Err(Usage(WHY_AFTER_RESTORE.to_owned()).into());
    }
    // Whatever is wrong with what looks (a template, say) must not keep a hold
    // from being lifted.
    let preview = match preview::look(context, &scope).await {
        Ok(preview) => preview,
        Err(error) if args.dry_run => return Err(error),
        Err(error) => {
            let why = whole_story(error.as_ref());
            eprintln!("backorderd: what waits cannot be shown: {why}");
            ReleasePreview::default()
        }
    };
    if args.dry_run {
        preview::print(context, &scope, &preview, args.show.unwrap_or(0))?;
        return Ok(Ended::Done);
    }
    if let Some(n) = args.show.filter(|_| !context.json) {
        preview::print(context, &scope, &preview, n)?;
    }
    let lifted = store
        .release(
            scope.kind,
            &scope.key,
            &context.by(),
            args.why.as_deref(),
            now,
        )
        .await?;
    let ended = if lifted { Ended::Done } else { Ended::Failed };
    if context.json {
        context.print_json(&Answer {
            done: lifted,
            scope: scope.kind,
            key: &scope.key,
            file: None,
            until: None,
            orders_looked_at_again: orders.filter(|_| lifted),
            messages_waiting: queued.filter(|_| lifted),
            waiting: Some(preview::counts(&preview)),
        })?;
        return Ok(ended);
    }
    let mut text = String::new();
    if lifted {
        let _ = writeln!(text, "{}  {}", styled(GOOD, "RELEASED"), scope.title());
        text.push_str(&what_follows(&config, orders, queued));
        text.push_str(&preview::sentence(&preview));
    } else {
        let _ = writeln!(
            text,
            "There is no hold on {}; see `backorderd hold --list`.",
            scope.in_sentence()
        );
    }
    let others = read.holds().await?.len();
    text.push_str(&still_held(&config, others));
    say(&text)?;
    Ok(ended)
}

fn what_follows(config: &Config, orders: Option<u64>, queued: Option<u64>) -> String {
    match (orders, queued) {
        (Some(0), _) => "No open order was kept silent by it.\n".to_owned(),
        (Some(n), _) => format!(
            "{} looked at again now; whatever is still owed is said.\n",
            count(to_usize(n), "order is", "orders are")
        ),
        (None, Some(0)) => "No message was waiting.\n".to_owned(),
        (None, n) => {
            let n = to_usize(n.unwrap_or(0));
            let go = if n == 1 { "goes" } else { "go" };
            format!(
                "{} looked at again first: what is still true {go} out, at most {} a minute; \
                 what is not is replaced or dropped.\n",
                count(n, "waiting message is", "waiting messages are"),
                config.pace.per_minute
            )
        }
    }
}

/// Other brakes that are still on.
fn still_held(config: &Config, n_holds: usize) -> String {
    use crate::app::hold_file;
    let mut text = String::new();
    if hold_file::is_held(&config.state_dir) {
        let _ = writeln!(
            text,
            "{} the hold file still stops everything: backorderd release --file",
            styled(WAITS, "But")
        );
    }
    if n_holds > 0 {
        let _ = writeln!(
            text,
            "{} still there: backorderd hold --list",
            count(n_holds, "other hold is", "other holds are")
        );
    }
    text
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A channel for people.
fn channel_words(channel: ChannelName) -> &'static str {
    match channel {
        ChannelName::Email => "all e-mail",
        ChannelName::Sms => "all texts",
    }
}
