//! Going live: the one act after which messages reach customers.
//!
//! It shows what will be said first, takes a fresh baseline, and records who
//! did it. A configuration alone never does.

use crate::app::{App, AppError, Viewer};
use crate::domain::forecast::{Forecast, forecast};
use crate::domain::ids::OrderId;
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::notice_key::Mode;
use crate::domain::order::Situation;
use crate::domain::time::{Instant, at_time};
use crate::domain::told::{Basis, Told};
use chrono::{Days, NaiveDate, NaiveTime};
use chrono_tz::Tz;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::{JoinHandle, spawn_blocking};

/// Messages to come, counted by the shop's day, kind and channel.
#[derive(Clone, Debug, Default)]
pub struct ForecastTable {
    pub orders: usize,
    pub days: BTreeMap<NaiveDate, BTreeMap<(Kind, ChannelName), usize>>,
    /// The first ones, with their order numbers.
    pub first: Vec<(Instant, String, Kind, ChannelName)>,
}

/// How many single messages a forecast names.
const FIRST_MAX: usize = 5;
/// Orders read at a time.
const BATCH: u32 = 500;

impl Viewer {
    /// What would be said until `until` if the shop changed nothing.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn forecast(&self, until: Instant) -> Result<ForecastTable, AppError> {
        self.forecast_of(until, |_, _| {}).await
    }

    /// As [`Viewer::forecast`], as if somebody went live this moment: every
    /// line starts from the fresh baseline that [`App::go_live`] takes.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn forecast_after_live(&self, until: Instant) -> Result<ForecastTable, AppError> {
        self.forecast_of(until, take_baseline).await
    }

    /// Planning is the larger part of the work: it is done on a thread of its
    /// own while the next orders are read.
    async fn forecast_of(
        &self,
        until: Instant,
        bend: fn(&mut Situation, Instant),
    ) -> Result<ForecastTable, AppError> {
        let now = self.now();
        let mode = self.mode();
        let mut table = ForecastTable::default();
        let mut planning: Option<JoinHandle<Vec<Foreseen>>> = None;
        let mut after = OrderId(0);
        loop {
            let ids = self.read.open_orders(after, BATCH).await?;
            let Some(last) = ids.last() else { break };
            after = *last;
            let read = self.read.situations(&ids, mode, now).await?;
            if let Some(earlier) = planning.take() {
                table.add(planned(earlier).await?, self.settings.shop.zone);
            }
            let settings = Arc::clone(&self.settings);
            planning = Some(spawn_blocking(move || {
                read.into_iter()
                    .map(|mut item| {
                        bend(&mut item.situation, now);
                        let policy = &settings.policy;
                        Foreseen {
                            messages: forecast(&item.situation, policy, mode, now, until),
                            number: item.situation.order.number,
                        }
                    })
                    .collect()
            }));
        }
        if let Some(last) = planning {
            table.add(planned(last).await?, self.settings.shop.zone);
        }
        Ok(table)
    }
}

/// The messages one order will cause.
struct Foreseen {
    number: String,
    messages: Vec<Forecast>,
}

async fn planned(batch: JoinHandle<Vec<Foreseen>>) -> Result<Vec<Foreseen>, AppError> {
    batch
        .await
        .map_err(|error| AppError::Refused(format!("the forecast broke: {error}")))
}

impl ForecastTable {
    fn add(&mut self, batch: Vec<Foreseen>, zone: Tz) {
        for order in batch {
            self.orders += 1;
            for f in order.messages {
                let kinds = self.days.entry(f.at.day_in(zone)).or_default();
                *kinds.entry((f.kind, f.channel)).or_default() += 1;
                // Names are kept of the few that may be among the first.
                let is_sooner =
                    |last: &(Instant, String, _, _)| (f.at, &order.number) <= (last.0, &last.1);
                let is_among =
                    self.first.len() < FIRST_MAX || self.first.last().is_some_and(is_sooner);
                if is_among {
                    self.first
                        .push((f.at, order.number.clone(), f.kind, f.channel));
                    self.first.sort();
                    self.first.truncate(FIRST_MAX);
                }
            }
        }
    }
}

/// What going live does to an order, done to a copy of it.
fn take_baseline(s: &mut Situation, now: Instant) {
    s.order.adopted_at = Some(now);
    s.order.next_word_by = None;
    for line in &mut s.lines {
        line.shipped_told = line.shipped;
        line.cancelled_told = line.cancelled;
        let seq = line.told_seq() + 1;
        line.told.push(Told {
            seq,
            message: None,
            promise: line.eta,
            eta: line.eta,
            basis: Basis::Baseline,
            at: now,
        });
    }
}

impl App {
    /// Goes live; answers how many lines got a fresh baseline.
    ///
    /// # Errors
    /// Live already, or the database cannot be written.
    pub async fn go_live(&self, by: &str) -> Result<u64, AppError> {
        if self.viewer.read.mode().await? == Mode::Live {
            return Err(AppError::Refused("this shop is live already".to_owned()));
        }
        Ok(self.store.go_live(by, self.now()).await?)
    }
}

/// Days people look ahead when they are not asked.
pub const LOOK_AHEAD_DAYS: u32 = 14;

impl Viewer {
    /// The end of the day so many days ahead: every look ahead ends there, so
    /// that all of them count the same messages.
    pub fn look_ahead(&self, days: u32) -> Instant {
        let zone = self.settings.shop.zone;
        let today = self.today();
        let end = today.checked_add_days(Days::new(u64::from(days) + 1));
        at_time(end.unwrap_or(today), NaiveTime::MIN, zone)
    }
}
