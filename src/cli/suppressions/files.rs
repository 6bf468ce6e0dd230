//! The list as a file, for moving house.

use super::reasoned;
use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{count, say_line};
use crate::domain::kinds::ChannelName;
use crate::source::do_not_write::{self, ExportRow, ListOptions, Listed, ListedRow};
use crate::store::write::suppressions::{Deed, NewSuppression};
use anyhow::Context as _;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// Bytes of a list that are read.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

pub(super) async fn import(
    context: &Context,
    file: &Path,
    why: Option<String>,
) -> anyhow::Result<Ended> {
    if let Some(why) = &why {
        reasoned(why)?;
    }
    let name = match file.as_os_str() == "-" {
        true => "standard input".to_owned(),
        false => file.display().to_string(),
    };
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        let input = std::io::stdin().lock();
        input.take(BYTES_MAX).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|f| f.take(BYTES_MAX).read_to_end(&mut bytes))
    }
    .with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 == BYTES_MAX {
        anyhow::bail!("{name} is larger than 256 MB; nothing was taken in");
    }
    let app = context.writer().await?;
    let now = app.now();
    let options = ListOptions {
        zone: app.settings().shop.zone,
        country: app.settings().shop_country,
        key: app.viewer.key.fingerprint(),
        now,
    };
    let rows = match do_not_write::parse(&bytes, &options) {
        Ok(rows) => rows,
        Err(problems) => {
            for problem in &problems {
                eprintln!("{name}: {problem}");
            }
            eprintln!("backorderd: nothing was taken in; correct the file and import it again.");
            return Ok(Ended::Failed);
        }
    };
    let key = &app.viewer.key;
    let new: Vec<NewSuppression> = rows
        .into_iter()
        .map(|row| {
            let ListedRow {
                what,
                reason,
                source,
                since,
            } = row;
            let (address_hash, channel) = match what {
                Listed::Email(email) => (key.hash_email(&email), ChannelName::Email),
                Listed::Phone(phone) => (key.hash_phone(&phone), ChannelName::Sms),
                Listed::Hash(hash, channel) => (hash, channel),
            };
            NewSuppression {
                address_hash,
                channel,
                reason,
                source: source.unwrap_or_else(|| "import".to_owned()),
                since: since.unwrap_or(now),
            }
        })
        .collect();
    let n_rows = new.len();
    let deed = Deed {
        by: context.by(),
        verb: "import suppressions",
        target: count(n_rows, "address", "addresses"),
        why,
    };
    let added = app.store.suppress_all(new, deed, now).await?;
    if context.json {
        context.print_json(&json!({ "rows": n_rows, "added": added }))?;
        return Ok(Ended::Done);
    }
    let added = usize::try_from(added).unwrap_or(usize::MAX);
    say_line!(
        "{} read, {} new on the do-not-write list, {} stood there before.",
        count(n_rows, "row", "rows"),
        added,
        n_rows.saturating_sub(added)
    );
    Ok(Ended::Done)
}

pub(super) async fn export(context: &Context) -> anyhow::Result<Ended> {
    let viewer = context.viewer().await?;
    let rows = viewer.read.suppressions(None, None, u32::MAX).await?;
    if context.json {
        context.print_json(&json!({
            "key": viewer.key.fingerprint(),
            "suppressions": rows,
        }))?;
        return Ok(Ended::Done);
    }
    let rows = rows.iter().map(|row| ExportRow {
        address_hash: &row.address_hash,
        channel: row.channel,
        reason: &row.reason,
        source: &row.source,
        since: row.since,
    });
    let mut out = std::io::stdout().lock();
    do_not_write::write(rows, &viewer.key.fingerprint(), &mut out)?;
    out.flush()?;
    Ok(Ended::Done)
}
