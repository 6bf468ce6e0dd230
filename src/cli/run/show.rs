//! `--show N`: the words of one order's messages, or why there are none.

use super::words::notice;
use crate::app::Viewer;
use crate::app::manual::Preview;
use crate::cli::Ended;
use crate::cli::present::say_line;
use crate::cli::present::{self, count};
use crate::domain::kinds::ChannelName;

pub(super) fn show(viewer: &Viewer, preview: &Preview, number: &str) -> anyhow::Result<Ended> {
    let number = number.trim().trim_start_matches('#');
    let mut shown = 0;
    for p in &preview.messages {
        if !p
            .order_numbers
            .iter()
            .any(|n| n.trim_start_matches('#') == number)
        {
            continue;
        }
        shown += 1;
        let Some(facts) = &p.facts else { continue };
        say_line!("--- {} by {} to {} ---", notice(p), p.channel, p.to);
        match p.channel {
            ChannelName::Email => {
                let mail = viewer.templates.render_email(facts, viewer.today())?;
                say_line!("Subject:   {}", mail.subject);
                say_line!("Preheader: {}\n", mail.preheader);
                say_line!("{}", mail.text);
            }
            ChannelName::Sms => {
                let sms = viewer.templates.render_sms(facts, viewer.today())?;
                say_line!(
                    "{}\n({})",
                    sms.text,
                    count(sms.size.segments, "segment", "segments")
                );
            }
        }
    }
    if shown == 0 {
        let quiet = preview
            .silent
            .iter()
            .find(|(n, _)| n.trim_start_matches('#') == number);
        match quiet {
            Some((_, verdicts)) => {
                let (zone, today) = (viewer.settings.shop.zone, viewer.today());
                say_line!("Order {number} stays quiet:");
                for verdict in verdicts {
                    say_line!("  {}", present::reason(&verdict.reason, zone, today));
                }
            }
            None => {
                eprintln!("backorderd: no open order {number}: backorderd orders show {number}");
                return Ok(Ended::Failed);
            }
        }
    }
    Ok(Ended::Done)
}
