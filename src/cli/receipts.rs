//! `backorderd receipts`: mails at the bounce address that nobody could read,
//! for a person to read.
//!
//! A mail is shown here and nowhere else: no log ever has a word of it. It may
//! have been written by anybody, so what a terminal would obey is spelled out.

use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{self, say_line};
use crate::domain::receipt::RAW_KEPT_FOR;
use serde_json::json;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Mails that are no bounce we understand
    #[command(subcommand)]
    Unclear(Unclear),
}

#[derive(Debug, clap::Subcommand)]
pub enum Unclear {
    /// Which there are, newest first
    #[command(after_help = "Example: backorderd receipts unclear list")]
    List {
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// One of them as it came, with addresses
    #[command(after_help = "Example: backorderd receipts unclear show 12\n\
        A mail is kept 30 days, its first 64 kB.")]
    Show {
        /// The number that the list and `todo` show
        #[arg(value_name = "MAIL")]
        id: i64,
    },
}

pub async fn run(context: &Context, command: Command) -> anyhow::Result<Ended> {
    let Command::Unclear(command) = command;
    match command {
        Unclear::List { limit } => list(context, limit).await,
        Unclear::Show { id } => show(context, id).await,
    }
}

async fn list(context: &Context, limit: u32) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let mails = viewer.read.unclear_mails(limit).await?;
    if context.json {
        context.print_json(&json!({ "unclear_mails": mails }))?;
        return Ok(Ended::Done);
    }
    if mails.is_empty() {
        say_line!("There is no mail that nobody could read.");
        return Ok(Ended::Done);
    }
    let (zone, today) = (viewer.settings.shop.zone, viewer.today());
    let mut table = present::table(&["MAIL", "CAME", "ABOUT", "WHY"]);
    for mail in &mails {
        table.add_row([
            mail.id.to_string(),
            present::moment(mail.at, zone, today),
            mail.message.map_or_else(String::new, |no| no.to_string()),
            mail.why.clone(),
        ]);
    }
    present::print_table(&table);
    Ok(Ended::Done)
}

async fn show(context: &Context, id: i64) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let Some(mail) = viewer.read.unclear_mail(id).await? else {
        anyhow::bail!(
            "there is no such mail; what came is kept {} days: backorderd receipts unclear list",
            RAW_KEPT_FOR.as_secs() / 86_400
        );
    };
    let text = String::from_utf8_lossy(&mail.raw);
    if context.json {
        context.print_json(&json!({ "mail": mail.row, "raw": text }))?;
        return Ok(Ended::Done);
    }
    for line in text.lines() {
        say_line!("{}", harmless(line));
    }
    Ok(Ended::Done)
}

/// A line without what a terminal would obey.
fn harmless(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.trim_end_matches('\r').chars() {
        let directs = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (c.is_control() && c != '\t') || directs {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_terminal_obeys_nothing_of_a_mail() {
        for (line, shown) in [
            ("Subject: hello\r", "Subject: hello"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\tb", "a\tb"),
            ("\u{202e}gnp.exe", "\\u{202e}gnp.exe"),
        ] {
            assert_eq!(harmless(line), shown);
        }
    }
}
