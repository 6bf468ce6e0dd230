//! What a server plans by: tables are counted while a first import fills them.

use super::props::{MONDAY, teapots};
use super::stage::{BackEnd, Stage};
use backorderd::domain::row::Row;

promises![a_table_that_grew_is_counted_before_the_next_batch_is_planned];

/// More than one batch.
const N: i64 = 2_500;

async fn a_table_that_grew_is_counted_before_the_next_batch_is_planned(stage: Stage) {
    let rows: Vec<Row> = (1..=N)
        .map(|n| teapots(&format!("L{n}"), &format!("{}", 1000 + n)))
        .collect();
    stage.announce(&rows, MONDAY).await;
    assert_eq!(stage.number("SELECT count(*) FROM orders").await, N);
    if let BackEnd::Sqlite = stage.back_end() {
        return;
    }
    // The server would look once a minute; here the first batch was counted
    // inside the import, and what followed is at most as much again.
    const COUNTED: &str = "SELECT CAST(reltuples AS BIGINT) FROM pg_class WHERE relname = 'orders'";
    let counted = stage.number(COUNTED).await;
    assert!(counted >= N / 2, "{counted} of {N}");
}
