//! One order out of what a person typed.

use crate::app::Viewer;
use crate::app::explain::Found;
use crate::cli::present;
use crate::domain::ids::OrderId;
use crate::domain::order::Situation;
use anyhow::bail;

/// Order numbers a refusal names.
const NAMED_MAX: usize = 10;

/// Every order that `text` means (a number, the shop's id, an address), at
/// least one.
///
/// # Errors
/// There is none; the database cannot be read.
pub async fn orders(viewer: &Viewer, text: &str) -> anyhow::Result<Vec<Situation>> {
    match viewer.find(text).await? {
        Found::Orders(ids) => situations(viewer, &ids).await,
        Found::Rejected(rows) => {
            let zone = viewer.settings.shop.zone;
            let places: Vec<String> = rows
                .iter()
                .map(|reject| {
                    let at = present::moment(reject.at, zone, viewer.today());
                    format!("\n  {}, {at}, {}", reject.source, reject.row.words())
                })
                .collect();
            bail!(
                "order {text} was never taken in, its rows were rejected:{}",
                places.concat()
            )
        }
        Found::Nothing => bail!("there is no order {text}; see `backorderd orders list`"),
    }
}

/// The one order that `text` means; an exact number wins over likenesses.
///
/// # Errors
/// There is none, or there are several.
pub async fn order(viewer: &Viewer, text: &str) -> anyhow::Result<Situation> {
    let mut found = orders(viewer, text).await?;
    let exact = |s: &Situation| s.order.number == text.trim() || s.order.key == text.trim();
    if found.len() > 1 && found.iter().filter(|s| exact(s)).count() == 1 {
        found.retain(exact);
    }
    if found.len() > 1 {
        let numbers: Vec<&str> = found
            .iter()
            .take(NAMED_MAX)
            .map(|s| s.order.number.as_str())
            .collect();
        bail!(
            "{} orders answer to this: {}; name one by its number",
            found.len(),
            numbers.join(", ")
        );
    }
    found
        .pop()
        .ok_or_else(|| anyhow::anyhow!("there is no order {text}"))
}

async fn situations(viewer: &Viewer, ids: &[OrderId]) -> anyhow::Result<Vec<Situation>> {
    let read = viewer
        .read
        .situations(ids, viewer.mode(), viewer.now())
        .await?;
    Ok(read.into_iter().map(|item| item.situation).collect())
}
