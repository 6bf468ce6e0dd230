//! Three weeks in seconds: the program's own use cases under a clock that is
//! set from one moment something happens to the next.
//!
//! What the daemon's loops do when their time comes is done here when the
//! simulated time comes: review what is due, deliver what is due. The timers
//! alone are missing.

use super::post::{Counted, Ledger};
use super::shop::Shop;
use crate::app::deliver::Delivery;
use crate::app::sync::Intake;
use crate::app::worker::Enlisted;
use crate::app::{App, Channels};
use crate::clock::{Ids, SettableClock};
use crate::config::Config;
use crate::domain::feed::FileMark;
use crate::domain::ids::OrderId;
use crate::domain::kinds::ChannelName;
use crate::domain::mirror::{EtaChange, MirrorChanges};
use crate::domain::time::{Instant, Length};
use crate::domain::worker::Role;
use crate::source::{self, FileKind, ParseOptions, Parsed, ParsedFile};
use crate::store::sqlite::lock::LockAttempt;
use crate::wiring;
use anyhow::{Context as _, bail};
use chrono_tz::Tz;
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The same story every time.
const SEED: u64 = 1042;
/// A shop's export follows an order by this much.
const EXPORT_AFTER: Length = Length::mins(3);
/// How soon the daemon looks again at what could not be sent.
const LOOK_AGAIN: Length = Length::mins(1);
/// Reviews that follow each other without the clock moving; more would mean
/// that an order planned now is due now.
const TURNS_MAX: usize = 8;

/// The program and everything around it.
pub struct World {
    pub app: App,
    pub shop: Shop,
    pub ledger: Ledger,
    pub zone: Tz,
    clock: SettableClock,
    delivery: Delivery,
    enlisted: Enlisted,
    never: CancellationToken,
    files: PathBuf,
}

impl World {
    /// Builds the program as the daemon does, at `start`; the mail server is
    /// away during `away`.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub async fn build(
        config: &Config,
        files: PathBuf,
        start: Instant,
        away: (Instant, Instant),
    ) -> anyhow::Result<World> {
        let clock = SettableClock::at(start);
        let ids = Ids::seeded(SEED);
        let mut app = wiring::app_with(config, Arc::new(clock.clone()), ids).await?;
        let ledger = Ledger::default();
        let mut channels = Channels::new();
        for (name, inner) in app.channels.iter() {
            let counted = Counted {
                inner: inner.clone(),
                ledger: ledger.clone(),
                clock: clock.clone(),
                away: (*name == ChannelName::Email).then_some(away),
            };
            channels.insert(*name, Arc::new(counted));
        }
        app.channels = Arc::new(channels);
        app.notice_changed_policy().await?;
        let LockAttempt::Taken(lock) = app.store.try_delivery_lock()? else {
            bail!("another process sends from this folder");
        };
        let enlisted = Enlisted::enlist(&app, Role::All, None).await?;
        let (delivery, _) = Delivery::start(app.clone(), &enlisted, lock).await?;
        Ok(World {
            zone: app.settings().shop.zone,
            app,
            shop: Shop::open(),
            ledger,
            clock,
            delivery,
            enlisted,
            never: CancellationToken::new(),
            files,
        })
    }

    /// Reviews and delivers until nothing more is due at this moment.
    ///
    /// # Errors
    /// The database fails, or an order planned now is due now.
    pub async fn settle(&mut self) -> anyhow::Result<()> {
        for _ in 0..TURNS_MAX {
            self.app.review_due("review", "demo", None).await?;
            self.delivery.drain(None, &self.never, |_| ()).await?;
            let next = self.app.viewer.read.next_review().await?;
            if next.is_none_or(|at| at > self.app.now()) {
                return Ok(());
            }
        }
        bail!("an order planned now is due now, again and again");
    }

    /// Lets time pass, stopping wherever something is due or somebody orders.
    ///
    /// # Errors
    /// As [`World::settle`], or the shop's file cannot be read.
    pub async fn advance_to(&mut self, target: Instant) -> anyhow::Result<()> {
        loop {
            self.settle().await?;
            let now = self.app.now();
            let read = &self.app.viewer.read;
            let review = read.next_review().await?;
            // What is due and did not go out met a closed door.
            let due = read.next_due(self.app.mode()).await?;
            let due = due.map(|at| if at > now { at } else { now.plus(LOOK_AGAIN) });
            let placed = self.shop.next_order(now.minus(EXPORT_AFTER));
            let export = placed.map(|at| at.plus(EXPORT_AFTER));
            let next = [review, due, export].into_iter().flatten().min();
            match next.filter(|at| *at <= target) {
                Some(at) => {
                    self.clock.set(at);
                    if export == Some(at) {
                        self.import().await?;
                    }
                }
                None => {
                    self.clock.set(target.max(now));
                    return Ok(());
                }
            }
        }
    }

    /// The shop writes its export and we read it, file and all.
    ///
    /// # Errors
    /// A row is not understood, or the database fails.
    pub async fn import(&mut self) -> anyhow::Result<MirrorChanges> {
        let bytes = self.shop.export(self.app.now())?;
        let ParsedFile::Lines(parsed) = self.read("orders", &bytes, FileKind::Lines)? else {
            bail!("the shop's export holds no order lines");
        };
        let rows = understood(parsed)?;
        let intake = Intake {
            source: "shop".to_owned(),
            source_kind: "csv".to_owned(),
            announce: false,
            complete: true,
            mark: FileMark::default(),
            rejected: Vec::new(),
        };
        Ok(self.app.take_rows(&rows, &intake).await?)
    }

    /// A supplier's dates come in as a file.
    ///
    /// # Errors
    /// As [`World::import`].
    pub async fn import_dates(&mut self, file: &str) -> anyhow::Result<Vec<EtaChange>> {
        let ParsedFile::Etas(parsed) = self.read("dates", file.as_bytes(), FileKind::Etas)? else {
            bail!("the supplier's file holds no dates");
        };
        let rows = understood(parsed)?;
        Ok(self.app.take_etas(&rows, "demo").await?)
    }

    /// Keeps a file for whoever wants to look, and reads it as an import does.
    fn read(&self, what: &str, bytes: &[u8], kind: FileKind) -> anyhow::Result<ParsedFile> {
        let at = self.app.now().in_zone(self.zone);
        let name = format!("{}-{what}.csv", at.format("%Y-%m-%d-%H%M"));
        let path = self.files.join(&name);
        std::fs::create_dir_all(&self.files)
            .and_then(|()| std::fs::write(&path, bytes))
            .with_context(|| format!("cannot write {}", path.display()))?;
        let settings = self.app.settings();
        let options = ParseOptions {
            shop_country: settings.shop_country,
            shop_currency: settings.shop_currency.clone(),
            kind: Some(kind),
            ..ParseOptions::in_zone(self.zone)
        };
        Ok(source::parse(bytes, &name, &options, &mut |_| ())?)
    }

    /// An order's id by its number.
    ///
    /// # Errors
    /// There is no such order.
    pub async fn order(&self, number: &str) -> anyhow::Result<OrderId> {
        let found = self.app.viewer.read.find_orders(number, None).await?;
        found
            .first()
            .copied()
            .with_context(|| format!("order {number} was never imported"))
    }

    /// Ends the lanes and gives the delivery lock back.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn close(self) -> anyhow::Result<App> {
        self.delivery.stop().await;
        self.enlisted.leave().await?;
        Ok(self.app)
    }
}

/// All rows of a file that has nothing wrong with it.
fn understood<T>(parsed: Parsed<T>) -> anyhow::Result<Vec<T>> {
    if let Some(bad) = parsed.rejected.first() {
        bail!("line {} of the shop's file: {}", bad.line, bad.reason);
    }
    if let Some(odd) = parsed.warnings.first() {
        bail!(
            "the shop's file: {}: {}",
            odd.field.as_deref().unwrap_or("?"),
            odd.what
        );
    }
    Ok(parsed.rows)
}
