//! What was not said, and why; and where the dates came from.

use super::Entry;
use super::Teller;
use crate::cli::present;
use crate::domain::eta::Eta;
use crate::domain::ids::LineId;
use crate::domain::kinds::Kind;
use crate::domain::message::MessageState;
use crate::domain::reason::Reason;
use crate::domain::reason::Verdict;
use crate::domain::time::Instant;
use crate::store::types::EtaRow;
use crate::store::types::MessageRow;

impl Teller<'_> {
    // ---- what was not said ----

    pub(super) fn unsaid(&self) -> Vec<Entry> {
        struct Silence {
            at: Instant,
            last: Instant,
            n: usize,
            what: String,
            why: String,
        }
        let mut silences: Vec<Silence> = Vec::new();
        for row in &self.e.verdicts {
            let Some((what, why)) = self.silence(&row.verdict, row.at) else {
                continue;
            };
            let same = silences
                .iter_mut()
                .rev()
                .find(|s| s.what == what && s.why == why);
            match same {
                Some(silence) => {
                    silence.n += 1;
                    silence.last = row.at;
                }
                None => silences.push(Silence {
                    at: row.at,
                    last: row.at,
                    n: 1,
                    what,
                    why,
                }),
            }
        }
        let mut out: Vec<Entry> = silences
            .into_iter()
            .map(|s| {
                let again = if s.n > 1 {
                    format!(" ({} times, last {})", s.n, self.moment(s.last))
                } else {
                    String::new()
                };
                Entry::at(s.at, vec![s.what, format!("{}{again}", s.why)])
            })
            .collect();
        for m in self.e.messages.iter().filter(|m| was_kept_back(m)) {
            let mut why = m.state.words().to_owned();
            let more = match m.state {
                MessageState::Failed => m.last_reply.as_deref().or(m.settled_by.as_deref()),
                MessageState::Withdrawn => m.settled_by.as_deref(),
                _ => None,
            };
            if let Some(more) = more {
                why.push_str(&format!(": {more}"));
            }
            let (stated, below) = self.stated_by(m.no);
            let what = present::notice(m.kind, m.milestone_days);
            out.push(Entry {
                at: Some(m.planned_at),
                cells: vec![format!("{what} {stated}"), format!("{} {why}", m.no)],
                below,
            });
        }
        out.sort_by_key(|entry| entry.at);
        out
    }

    /// A verdict as (what was not said, why); `None` for those that say
    /// nothing about a silence.
    pub(super) fn silence(&self, verdict: &Verdict, at: Instant) -> Option<(String, String)> {
        let kind = verdict
            .kind
            .map_or_else(|| "anything".to_owned(), Kind::words);
        let what = match &verdict.about {
            Some(about) if !self.has_one_line() => format!("{kind}: {about}"),
            _ => kind,
        };
        let why = present::reason(&verdict.reason, self.zone, self.today);
        let why = present::without_call(&why).to_owned();
        let date = || match verdict.kind {
            Some(_) => what.clone(),
            None => "the shop's date".to_owned(),
        };
        match &verdict.reason {
            Reason::Owed
            | Reason::NothingNew
            | Reason::Finished
            | Reason::InFlight { .. }
            | Reason::Queued { .. }
            | Reason::AlreadySaid { .. } => None,
            Reason::Settling { until } => self.unsettled(verdict.kind, at, *until),
            Reason::Grace { until } if *until <= self.e.now => None,
            Reason::MilestoneSatisfied { days, sent_at } => Some((
                format!("update day {days}"),
                format!("not needed, everything was told on {}", self.day(*sent_at)),
            )),
            Reason::SmallChange { .. } => Some((
                self.date_at(at)
                    .map_or(what.clone(), |eta| format!("{what} to {}", self.eta(eta))),
                why,
            )),
            Reason::NotBelieved { .. } | Reason::DateInPast { .. } => Some((date(), why)),
            _ => Some((what, why)),
        }
    }

    /// A date that changed again before it had stood long enough.
    pub(super) fn unsettled(
        &self,
        kind: Option<Kind>,
        at: Instant,
        until: Instant,
    ) -> Option<(String, String)> {
        let is_date = matches!(
            kind,
            Some(Kind::Delay | Kind::Sooner | Kind::DateSet | Kind::DateWithdrawn)
        );
        let again = self
            .e
            .etas
            .iter()
            .find(|row| row.at > at && row.at < until)
            .filter(|_| is_date)?;
        let eta = self.date_at(at)?;
        let words = kind.map_or_else(String::new, Kind::words);
        let what = match eta {
            Eta::Unknown => words,
            eta => format!("{words} to {}", self.eta(eta)),
        };
        let settle = self.viewer.policy().delay.settle;
        Some((
            what,
            format!(
                "stood {} and changed again (we wait {})",
                present::length(again.at.since(at)),
                present::length(settle)
            ),
        ))
    }

    /// The date that was the newest at a moment.
    pub(super) fn date_at(&self, at: Instant) -> Option<Eta> {
        let before = |row: &&EtaRow| row.at <= at;
        self.e.etas.iter().rev().find(before).map(|row| row.eta)
    }

    // ---- where the date came from ----

    pub(super) fn reads(&self) -> String {
        let reads: Vec<String> = self
            .e
            .sources
            .iter()
            .filter_map(|(name, at)| Some((name, (*at)?)))
            .map(|(name, at)| format!("\"{name}\", last complete read {}", self.moment(at)))
            .collect();
        if reads.is_empty() {
            return String::new();
        }
        format!(" ({})", reads.join("; "))
    }

    pub(super) fn dates(&self) -> Vec<Entry> {
        let n_lines = self.e.situation.lines.len();
        let has_one_source = self.e.sources.len() == 1
            && self
                .e
                .etas
                .iter()
                .all(|row| row.source == self.e.sources[0].0);
        let mut rows: Vec<(Instant, Eta, &str, Vec<LineId>)> = Vec::new();
        for row in &self.e.etas {
            match rows.iter_mut().find(|(at, eta, source, _)| {
                (*at, *eta, *source) == (row.at, row.eta, row.source.as_str())
            }) {
                Some((.., lines)) => lines.push(row.line),
                None => rows.push((row.at, row.eta, &row.source, vec![row.line])),
            }
        }
        rows.into_iter()
            .map(|(at, eta, source, lines)| {
                let source = match source {
                    "operator" => "set by hand",
                    "sku" => "a dates file",
                    "source" => "the shop's own again",
                    name => name,
                };
                let mut cells = vec![self.eta(eta)];
                if !has_one_source {
                    cells.push(source.to_owned());
                }
                if n_lines > 1 {
                    cells.push(if lines.len() == n_lines {
                        "all items".to_owned()
                    } else {
                        let names: Vec<&str> = lines.iter().map(|id| self.name_of(*id)).collect();
                        names.join(", ")
                    });
                }
                Entry::at(at, cells)
            })
            .collect()
    }
}

/// Was planned, and will not go out.
fn was_kept_back(m: &MessageRow) -> bool {
    matches!(
        m.state,
        MessageState::Failed
            | MessageState::Superseded
            | MessageState::Suppressed
            | MessageState::Expired
            | MessageState::Withdrawn
    )
}
