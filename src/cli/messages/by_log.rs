//! `messages settle --from-log`: the relay's log says what became of mails in
//! doubt. Files are read line by line, in the order given.

use super::acts::{self, Deed, Fate, Manner, Opened};
use super::selection::Selection;
use crate::app::Viewer;
use crate::app::by_log::words;
use crate::cli::Ended;
use crate::cli::context::Context;
use crate::cli::present::{self, say_line};
use crate::domain::message::MessageState;
use crate::receipt::relay_log::{RelayLog, Verdict};
use crate::store::read::by_hand::MailName;
use crate::store::types::MessageRow;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Bytes of a line that are looked at; what counts stands at its beginning.
const LINE_BYTES_MAX: u64 = 16 * 1024;

pub async fn settle(
    context: &Context,
    selection: &Selection,
    manner: &Manner,
    why: Option<String>,
    files: &[String],
) -> anyhow::Result<Ended> {
    let opened = acts::open(context, manner).await?;
    let viewer = match &opened {
        Opened::Looking(viewer) => viewer,
        Opened::Acting(app) => &app.viewer,
    };
    let rows = selection
        .rows_or_all(viewer, &[MessageState::InDoubt])
        .await?;
    let found = look(viewer, rows, files).await?;
    let fates: Vec<Fate> = found.iter().map(fate).collect();
    if !context.json {
        print_lines(&found);
    }
    let app = match opened {
        Opened::Looking(_) => return acts::dry(context, "settle", fates),
        Opened::Acting(app) => app,
    };
    if !acts::agreed(context, "settle", &fates, manner)? {
        return Ok(Ended::Failed);
    }
    let act = acts::act(context, why);
    let mut deeds = Vec::new();
    for one in &found {
        let (Some((mail, verdict)), Ok(_)) = (&one.said, fate(one).1) else {
            continue;
        };
        if let Some(state) = app.settle_by_log(mail, verdict, &act).await? {
            deeds.push(Deed {
                no: one.row.no,
                words: format!("{}: {}", state.words(), words(verdict)),
                more: json!({ "state": state, "lines": lines_json(verdict) }),
            });
        }
    }
    acts::tell(context, &app, "settle", &fates, deeds).await
}

/// A message and what the log says of it.
struct Found {
    row: MessageRow,
    said: Option<(MailName, Verdict)>,
}

async fn look(
    viewer: &Viewer,
    rows: Vec<MessageRow>,
    files: &[String],
) -> anyhow::Result<Vec<Found>> {
    let numbers: Vec<_> = rows.iter().map(|row| row.no).collect();
    let names = viewer.read.mail_names(&numbers).await?;
    let mut log = RelayLog::watching(names.iter().map(|name| name.message_id.as_str()));
    for file in files {
        if file == "-" {
            read(&mut log, std::io::stdin().lock(), "-")?;
        } else {
            let opened = File::open(file).with_context(|| format!("cannot read {file}"))?;
            let name = Path::new(file)
                .file_name()
                .map(std::ffi::OsStr::to_string_lossy);
            read(&mut log, BufReader::new(opened), &name.unwrap_or_default())?;
        }
    }
    let said = |row: &MessageRow| {
        let mut mine = names.iter().filter(|name| name.no == row.no);
        mine.find_map(|name| Some((name.clone(), log.verdict(&name.message_id)?)))
    };
    Ok(rows
        .into_iter()
        .map(|row| Found {
            said: said(&row),
            row,
        })
        .collect())
}

fn read(log: &mut RelayLog, mut input: impl BufRead, name: &str) -> anyhow::Result<()> {
    let mut line = Vec::new();
    let mut n = 0u64;
    loop {
        line.clear();
        let doing = || format!("cannot read {name}");
        let mut part = input.by_ref().take(LINE_BYTES_MAX);
        if part.read_until(b'\n', &mut line).with_context(doing)? == 0 {
            return Ok(());
        }
        n += 1;
        if line.last() != Some(&b'\n') {
            input.skip_until(b'\n').with_context(doing)?;
        }
        log.line(&line, || format!("{name}:{n}"));
    }
}

fn fate(found: &Found) -> Fate {
    let fate = match (&found.said, found.row.state) {
        (_, state) if state != MessageState::InDoubt => {
            Err(format!("it is not in doubt: {}", state.words()))
        }
        (None, _) => Err("the log does not mention it".to_owned()),
        (Some((_, verdict)), _) => match verdict.fate.receipt() {
            Some(_) => Ok(words(verdict)),
            None => Err(format!("the log settles nothing: {}", words(verdict))),
        },
    };
    (found.row.clone(), fate)
}

fn lines_json(verdict: &Verdict) -> Value {
    let lines = verdict.lines.iter().map(|line| {
        json!({
            "at": line.place,
            "queue_id": line.queue_id,
            "says": line.fate.words(),
            "status": line.status,
        })
    });
    lines.collect()
}

fn print_lines(found: &[Found]) {
    let mut table = present::table(&["NO", "LOG LINE", "QUEUE ID", "SAYS"]);
    let mut any = false;
    for one in found {
        for line in one.said.iter().flat_map(|(_, verdict)| &verdict.lines) {
            let status = line.status.as_deref().unwrap_or_default();
            let says = format!("{} {status}", line.fate.words());
            table.add_row([
                one.row.no.to_string(),
                line.place.clone(),
                line.queue_id.clone(),
                says.trim_end().to_owned(),
            ]);
            any = true;
        }
    }
    if any {
        present::print_table(&table);
        say_line!();
    }
}
