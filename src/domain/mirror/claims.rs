//! Dates that beat a source's own: set by people and by dates files.
//!
//! A claim is kept beside what the source says and never over it, so that the
//! next read of the source cannot wipe out what a person decided.

use super::StoredLine;
use crate::domain::eta::Eta;
use crate::domain::order::EtaOrigin;
use crate::domain::row::SkuEta;
use std::collections::HashMap;

/// Dates by order, line and SKU, as set by people and dates files.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    pub by_order: HashMap<String, Claim>,
    pub by_line: HashMap<String, Claim>,
    pub by_sku: HashMap<String, Claim>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    pub eta: Eta,
    pub reason: Option<String>,
    pub origin: EtaOrigin,
}

impl Claims {
    /// The ETA in force: order beats line beats SKU beats the source.
    pub fn effective(
        &self,
        order_key: &str,
        line_key: &str,
        sku: Option<&str>,
        source: Eta,
        source_reason: Option<&str>,
    ) -> (Eta, EtaOrigin, Option<String>) {
        let claim = self
            .by_order
            .get(order_key)
            .or_else(|| self.by_line.get(line_key))
            .or_else(|| sku.and_then(|sku| self.by_sku.get(sku)));
        match claim {
            Some(claim) => (claim.eta, claim.origin, claim.reason.clone()),
            None => (source, EtaOrigin::Source, source_reason.map(str::to_owned)),
        }
    }
}

/// A new ETA for lines that are stored: what a dates file or a person changes.
#[derive(Clone, Debug, PartialEq)]
pub struct EtaChange {
    pub line_key: String,
    pub eta: Eta,
    pub origin: EtaOrigin,
    pub reason: Option<String>,
}

/// The lines whose ETA in force differs under `claims` from the stored one.
pub fn reclaim(lines: &HashMap<String, StoredLine>, claims: &Claims) -> Vec<EtaChange> {
    let mut out: Vec<EtaChange> = lines
        .iter()
        .filter_map(|(key, line)| {
            let (eta, origin, reason) = claims.effective(
                &line.order_key,
                key,
                line.sku.as_deref(),
                line.source_eta,
                line.source_reason.as_deref(),
            );
            (eta != line.eta || origin != line.eta_origin).then(|| EtaChange {
                line_key: key.clone(),
                eta,
                origin,
                reason,
            })
        })
        .collect();
    out.sort_by(|a, b| a.line_key.cmp(&b.line_key));
    out
}

/// The claims of a dates file.
pub fn sku_claims(rows: &[SkuEta]) -> HashMap<String, Claim> {
    rows.iter()
        .map(|row| {
            let claim = Claim {
                eta: row.eta,
                reason: row.reason.clone(),
                origin: EtaOrigin::Sku,
            };
            (row.sku.clone(), claim)
        })
        .collect()
}
