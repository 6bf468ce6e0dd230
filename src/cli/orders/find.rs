//! The one order a person means, or why there is not exactly one.

use super::list::{print_rows, row_json};
use crate::app::Viewer;
use crate::app::explain::{Explanation, Found};
use crate::cli::context::Context;
use crate::cli::present::{self, say_line};
use crate::domain::ids::OrderId;
use crate::store::read::lists::OrderFilter;
use crate::store::types::OrderRow;
use serde_json::{Value, json};

/// The order a person means. `None`: it was said why there is not exactly one.
pub(super) async fn pick(
    context: &Context,
    viewer: &Viewer,
    text: &str,
) -> anyhow::Result<Option<Explanation>> {
    match viewer.find(text).await? {
        Found::Orders(ids) if ids.len() == 1 => Ok(viewer.explain(ids[0]).await?),
        Found::Orders(ids) => several(context, viewer, text, ids).await,
        Found::Rejected(rows) => {
            if context.json {
                context.print_json(&json!({ "orders": [], "rejected_rows": rows }))?;
                return Ok(None);
            }
            let today = viewer.today();
            say_line!("There is no order {text} here, but rows that name it were not taken:");
            for reject in rows {
                let day = present::day(reject.at.day_in(viewer.settings.shop.zone), today);
                let words = reject.row.words();
                say_line!("  import of {day} ({}), {words}", reject.source);
            }
            say_line!("Repair the row in the shop or the file, and import it again.");
            Ok(None)
        }
        Found::Nothing => {
            nothing(context, viewer, text).await?;
            Ok(None)
        }
    }
}

async fn several(
    context: &Context,
    viewer: &Viewer,
    text: &str,
    ids: Vec<OrderId>,
) -> anyhow::Result<Option<Explanation>> {
    let filter = OrderFilter {
        all: true,
        ids: Some(ids),
        ..OrderFilter::default()
    };
    let rows = viewer.read.orders(&filter, 50).await?;
    // An exact number wins over likenesses such as 01042.
    let exact: Vec<&OrderRow> = rows.iter().filter(|r| r.number == text.trim()).collect();
    if let [one] = exact.as_slice() {
        return Ok(viewer.explain(one.id).await?);
    }
    if context.json {
        let orders: Vec<Value> = rows.iter().map(row_json).collect();
        context.print_json(&json!({ "orders": orders }))?;
        return Ok(None);
    }
    say_line!(
        "{} match \"{text}\":",
        present::count(rows.len(), "order", "orders")
    );
    print_rows(viewer, &rows);
    if let Some(row) = rows.first() {
        say_line!("\nPick one by its number, for example: {}", row.number);
    }
    Ok(None)
}

async fn nothing(context: &Context, viewer: &Viewer, text: &str) -> anyhow::Result<()> {
    let sources = viewer.read.sources().await?;
    if context.json {
        context.print_json(&json!({ "orders": [], "rejected_rows": [], "sources": sources }))?;
        return Ok(());
    }
    let zone = viewer.settings.shop.zone;
    say_line!("There is no order {text} here, and no rejected row names it.");
    if sources.is_empty() {
        say_line!("Nothing was ever imported: backorderd import FILE");
    }
    for feed in sources {
        let name = &feed.name;
        match feed.last_read_at {
            Some(at) => say_line!(
                "Last complete read of \"{name}\": {} ({} ago), {}.",
                present::moment(at, zone, viewer.today()),
                present::length(viewer.now().since(at)),
                present::rows(feed.rows),
            ),
            None => say_line!("\"{name}\" was never read completely."),
        }
    }
    say_line!(
        "\nUsual causes:\n  \
         - the order came in after that read\n  \
         - none of it was on backorder: only waiting lines are taken over\n  \
         - the shop writes the number differently; try the customer's address"
    );
    Ok(())
}
