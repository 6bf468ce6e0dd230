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
use crate::domain::time::{Instant, Length};
use crate::domain::told::{Basis, Told};
use chrono::NaiveDate;
use std::collections::BTreeMap;

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
        self.forecast_of(until, |_| {}).await
    }

    /// As [`Viewer::forecast`], as if somebody went live this moment: every
    /// line starts from the fresh baseline that [`App::go_live`] takes.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn forecast_after_live(&self, until: Instant) -> Result<ForecastTable, AppError> {
        let now = self.now();
        self.forecast_of(until, |s| take_baseline(s, now)).await
    }

    async fn forecast_of(
        &self,
        until: Instant,
        bend: impl Fn(&mut Situation),
    ) -> Result<ForecastTable, AppError> {
        let now = self.now();
        let mut table = ForecastTable::default();
        let mut after = OrderId(0);
        loop {
            let ids = self.read.open_orders(after, BATCH).await?;
            let Some(last) = ids.last() else { break };
            after = *last;
            for mut item in self.read.situations(&ids, self.mode(), now).await? {
                table.orders += 1;
                bend(&mut item.situation);
                let s = &item.situation;
                let found: Vec<Forecast> = forecast(
                    s,
                    self.policy(),
                    self.mode(),
                    &self.settings.shop.locale,
                    now,
                    until,
                );
                for f in found {
                    let day = f.at.day_in(self.settings.shop.zone);
                    *table
                        .days
                        .entry(day)
                        .or_default()
                        .entry((f.kind, f.channel))
                        .or_default() += 1;
                    table
                        .first
                        .push((f.at, s.order.number.clone(), f.kind, f.channel));
                }
            }
            table.first.sort();
            table.first.truncate(FIRST_MAX);
        }
        Ok(table)
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
pub const LOOK_AHEAD: Length = Length::days(14);
