//! Taking in what the shop says: rows and dates, from any source.
//!
//! Read, merge, write; when somebody else wrote in between, again from the
//! start. A dry run is the first two steps. What was taken wakes the review
//! by itself: its orders are due.

use crate::app::{App, AppError, Settings, Viewer};
use crate::crash_point::crash_point;
use crate::domain::eta::Eta;
use crate::domain::feed::{FileMark, RejectedRow};
use crate::domain::mirror::{
    EtaChange, MergeRules, Mirror, MirrorChanges, keep_known_wishes, merge, order_key, reclaim,
    sku_claims,
};
use crate::domain::order::EtaOrigin;
use crate::domain::row::{Row, SkuEta};
use crate::domain::time::Instant;
use crate::store::StoreError;
use crate::store::read::mirror::claims_of;
use crate::store::write::mirror::{ClaimChange, MirrorInput, NewRefusal};
use std::collections::HashMap;

/// Times a write is tried again when another process was quicker.
const OVERTAKEN_MAX: usize = 5;

/// How rows are to be taken.
#[derive(Clone, Debug)]
pub struct Intake {
    /// The source's name, for freshness and `explain`.
    pub source: String,
    pub source_kind: String,
    pub announce: bool,
    /// The source said everything it has; only then does it count as fresh.
    pub complete: bool,
    pub mark: FileMark,
    /// Rows not taken.
    pub rejected: Vec<RejectedRow>,
}

/// How the configuration wants rows to be taken.
fn merge_rules(settings: &Settings, announce: bool, now: Instant) -> MergeRules {
    MergeRules {
        now,
        shop_zone: settings.shop.zone,
        confirmation: settings.policy.confirmation.clone(),
        announce,
        is_push: false,
    }
}

/// What taking `rows` into a shop nobody has seen yet would change.
pub fn first_sight(
    rows: &[Row],
    settings: &Settings,
    announce: bool,
    now: Instant,
) -> MirrorChanges {
    let empty = Mirror {
        is_empty: true,
        ..Mirror::default()
    };
    merge(rows, &empty, &merge_rules(settings, announce, now))
}

/// A date to set for an order, a line or a SKU (the scope's name first), with
/// its reason; `None` takes it away.
type Claimed = (&'static str, String, Option<(Eta, Option<String>)>);

impl Viewer {
    /// What taking `rows` would change. Reads only.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn preview_rows(
        &self,
        rows: &[Row],
        announce: bool,
    ) -> Result<MirrorChanges, AppError> {
        let (mirror, _) = self.read_mirror(rows).await?;
        Ok(merge(
            rows,
            &mirror,
            &merge_rules(&self.settings, announce, self.now()),
        ))
    }

    async fn read_mirror(&self, rows: &[Row]) -> Result<(Mirror, i64), AppError> {
        let Some(shop) = self.read.shop_id(&self.settings.shop_key).await? else {
            let revision = self.read.mirror_revision().await?;
            return Ok((
                Mirror {
                    is_empty: true,
                    ..Mirror::default()
                },
                revision,
            ));
        };
        let orders: Vec<&str> = rows.iter().map(order_key).collect();
        let lines: Vec<&str> = rows.iter().map(|row| row.line_key.as_str()).collect();
        let read = self.read.mirror(shop, &orders, &lines).await?;
        Ok((read.mirror, read.revision))
    }

    /// Lines whose date in force a dates file changes. Reads only.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn preview_etas(&self, rows: &[SkuEta]) -> Result<Vec<EtaChange>, AppError> {
        let Some(shop) = self.read.shop_id(&self.settings.shop_key).await? else {
            return Ok(Vec::new());
        };
        let mut claims = claims_of(self.read.claims(shop).await?);
        let skus: Vec<&str> = rows.iter().map(|row| row.sku.as_str()).collect();
        let lines = self.read.lines_under_claims(shop, &skus, &[], &[]).await?;
        claims.by_sku.extend(sku_claims(rows));
        Ok(reclaim(&lines, &claims))
    }
}

impl App {
    /// Writes rows; answers what they changed. Rows that changed nothing
    /// write nothing but the time of the read.
    ///
    /// # Errors
    /// The database cannot be read or written; nothing is half-written.
    pub async fn take_rows(
        &self,
        rows: &[Row],
        intake: &Intake,
    ) -> Result<MirrorChanges, AppError> {
        let settings = self.settings();
        let shop_id = self.shop_id().await?;
        for _ in 0..OVERTAKEN_MAX {
            let now = self.now();
            let (mirror, revision) = self.viewer.read_mirror(rows).await?;
            let rules = merge_rules(settings, intake.announce, now);
            let mut changes = merge(rows, &mirror, &rules);
            let hashes = changes
                .orders
                .iter()
                .map(|o| (o.key.clone(), self.viewer.key.contact(&o.contact, &o.key)))
                .collect::<HashMap<_, _>>();
            let unsaid: Vec<&str> = changes
                .orders
                .iter()
                .filter(|o| !o.said.is_complete())
                .map(|o| hashes[&o.key].contact.as_str())
                .collect();
            let known = self.viewer.read.wishes(shop_id, &unsaid).await?;
            keep_known_wishes(&mut changes.orders, known, |o| {
                hashes[&o.key].contact.clone()
            });
            let input = MirrorInput {
                shop_id,
                source: intake.source.clone(),
                source_kind: intake.source_kind.clone(),
                revision,
                mode: self.mode(),
                now,
                hashes,
                complete: intake.complete,
                mark: intake.mark,
                rejected: intake.rejected.clone(),
            };
            crash_point("rows-read");
            match self.store.commit_mirror(input, changes.clone()).await {
                Ok(()) => {
                    crash_point("rows-committed");
                    return Ok(changes);
                }
                Err(StoreError::Overtaken) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Overtaken.into())
    }

    /// Remembers that a file was not taken in: whoever looks later has to learn
    /// it. `why` and `rejected` carry no personal data.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn refuse_file(
        &self,
        source: &str,
        why: &str,
        rejected: Vec<RejectedRow>,
    ) -> Result<(), AppError> {
        let new = NewRefusal {
            shop_id: self.shop_id().await?,
            source: source.to_owned(),
            source_kind: "file".to_owned(),
            why: why.to_owned(),
            rejected,
        };
        Ok(self.store.refuse_file(new, self.now()).await?)
    }

    /// The shop of the settings, written down if it is not yet.
    async fn shop_id(&self) -> Result<i64, AppError> {
        let settings = self.settings();
        let shop = &settings.shop;
        Ok(self
            .store
            .ensure_shop(&settings.shop_key, &shop.name, shop.zone.name())
            .await?)
    }

    /// Writes a dates file; answers the lines whose date changed.
    ///
    /// # Errors
    /// As [`App::take_rows`].
    pub async fn take_etas(&self, rows: &[SkuEta], by: &str) -> Result<Vec<EtaChange>, AppError> {
        let set: Vec<_> = rows
            .iter()
            .map(|row| ("sku", row.sku.clone(), Some((row.eta, row.reason.clone()))))
            .collect();
        self.change_claims(set, EtaOrigin::Sku, by).await
    }

    /// Sets (or, with `None`, clears) a person's date for an order, line or
    /// SKU.
    ///
    /// # Errors
    /// As [`App::take_rows`].
    pub async fn set_eta(
        &self,
        scope: &'static str,
        key: &str,
        eta: Option<(Eta, Option<String>)>,
        by: &str,
    ) -> Result<Vec<EtaChange>, AppError> {
        self.change_claims(vec![(scope, key.to_owned(), eta)], EtaOrigin::Operator, by)
            .await
    }

    async fn change_claims(
        &self,
        set: Vec<Claimed>,
        origin: EtaOrigin,
        by: &str,
    ) -> Result<Vec<EtaChange>, AppError> {
        use crate::domain::mirror::Claim;
        let shop_id = self.shop_id().await?;
        let keys = |wanted: &str| -> Vec<&str> {
            set.iter()
                .filter(|(scope, ..)| *scope == wanted)
                .map(|(_, k, _)| k.as_str())
                .collect()
        };
        for _ in 0..OVERTAKEN_MAX {
            let read = &self.viewer.read;
            let revision = read.mirror_revision().await?;
            let mut claims = claims_of(read.claims(shop_id).await?);
            let lines = read
                .lines_under_claims(shop_id, &keys("sku"), &keys("line"), &keys("order"))
                .await?;
            for (scope, key, value) in &set {
                let map = match *scope {
                    "order" => &mut claims.by_order,
                    "line" => &mut claims.by_line,
                    _ => &mut claims.by_sku,
                };
                match value {
                    Some((eta, reason)) => {
                        let claim = Claim {
                            eta: *eta,
                            reason: reason.clone(),
                            origin,
                        };
                        map.insert(key.clone(), claim);
                    }
                    None => {
                        map.remove(key);
                    }
                }
            }
            let changed = reclaim(&lines, &claims);
            let changes = set
                .iter()
                .map(|(scope, key, value)| ClaimChange {
                    shop_id,
                    scope,
                    key: key.clone(),
                    set: value.clone(),
                    origin,
                })
                .collect();
            let written = self
                .store
                .commit_claims(
                    revision,
                    changes,
                    changed.clone(),
                    self.mode(),
                    by,
                    self.now(),
                )
                .await;
            match written {
                Ok(()) => return Ok(changed),
                Err(StoreError::Overtaken) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Overtaken.into())
    }
}
