//! On PostgreSQL every statement that takes a list starts from the list.
//!
//! An engine that has not counted its tables guesses that they are short. Then
//! it may read a table from one end to the other and the list again for each of
//! its rows: right, and quadratic. Measured before the schema said that lists
//! are short: 34 ms to claim 128 of 3,000 messages, now 2.7.

use super::props::{MONDAY, teapots};
use super::stage::Stage;
use backorderd::domain::row::Row;
use backorderd::store::STATEMENTS;
use backorderd::store::postgres::server::Server;
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

promises![a_statement_with_a_list_starts_from_the_list];

const LIST: &str = "jsonb_array_elements";

/// Whose list is never longer than the orders of one message.
const SHORT: &[&str] = &["write/by_hand.rs RETRY"];

/// How the engine would run a statement whatever its parameters are; nothing
/// for what has no plan.
async fn plan(c: &mut PgConnection, text: &str) -> Option<Value> {
    let planned = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"];
    if !planned
        .iter()
        .any(|word| text.trim_start().starts_with(word))
    {
        return None;
    }
    c.execute(AssertSqlSafe(format!("PREPARE looked_at AS {text}")))
        .await
        .unwrap_or_else(|error| panic!("{text}: {error}"));
    let n: i32 = sqlx::query_scalar(
        "SELECT coalesce(cardinality(parameter_types), 0) FROM pg_prepared_statements \
         WHERE name = 'looked_at'",
    )
    .fetch_one(&mut *c)
    .await
    .expect("the statement just prepared");
    let nothing = vec!["NULL"; usize::try_from(n).expect("a count")].join(", ");
    let arguments = if n == 0 {
        String::new()
    } else {
        format!("({nothing})")
    };
    let plan: Value = sqlx::query_scalar(AssertSqlSafe(format!(
        "EXPLAIN (FORMAT JSON) EXECUTE looked_at{arguments}"
    )))
    .persistent(false)
    .fetch_one(&mut *c)
    .await
    .unwrap_or_else(|error| panic!("{text}: {error}"));
    c.execute("DEALLOCATE looked_at").await.expect("an end");
    Some(plan[0]["Plan"].clone())
}

fn children(node: &Value) -> &[Value] {
    node["Plans"].as_array().map_or(&[], Vec::as_slice)
}

/// Whether this node or one below is such.
fn any(node: &Value, such: &dyn Fn(&Value) -> bool) -> bool {
    such(node) || children(node).iter().any(|child| any(child, such))
}

fn is_list(node: &Value) -> bool {
    node["Function Name"] == LIST
}

fn is_table(node: &Value) -> bool {
    node["Relation Name"].is_string()
}

/// A join that reads a list again for every row of a table.
fn rereads_a_list(node: &Value) -> bool {
    let (Some(outer), Some(inner)) = (children(node).first(), children(node).get(1)) else {
        return false;
    };
    node["Node Type"] == "Nested Loop"
        && any(outer, &is_table)
        // One row is what a key finds, or an empty table.
        && outer["Plan Rows"].as_f64() > Some(1.0)
        && !any(outer, &is_list)
        && any(inner, &is_list)
}

const N: i64 = 100;

/// As if much more stood on the pages there are. Not counted in earnest: then
/// the engine would know how rare each value is, and be right without our help.
const MANY: &str = "UPDATE pg_class SET relpages = 1, reltuples = 20000
  WHERE relkind = 'r' AND relnamespace = CAST(current_schema() AS regnamespace)";

async fn a_statement_with_a_list_starts_from_the_list(stage: Stage) {
    let Some(database) = stage.database() else {
        // Its statements say so themselves (`CROSS JOIN` keeps its order there).
        return;
    };
    let rows: Vec<Row> = (1..=N)
        .map(|n| teapots(&format!("L{n}"), &format!("{}", 1000 + n)))
        .collect();
    stage.announce(&rows, MONDAY).await;
    stage.review(MONDAY).await;
    let session = Server::parse(&database.url())
        .expect("an address")
        .writing();
    let mut c = session.options.connect().await.expect("a connection");
    c.execute(session.settings).await.expect("its settings");
    c.execute("SET plan_cache_mode TO force_generic_plan")
        .await
        .expect("a setting");
    c.execute(MANY).await.expect("a server of our own");
    let (mut n_with_lists, mut wrong) = (0, Vec::new());
    for (file, statements) in STATEMENTS {
        for statement in *statements {
            let Some(plan) = plan(&mut c, statement.postgres).await else {
                continue;
            };
            n_with_lists += usize::from(any(&plan, &is_list));
            let named = format!("{file} {}", statement.name);
            if any(&plan, &rereads_a_list) && !SHORT.contains(&named.as_str()) {
                wrong.push(named);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        n_with_lists > 50,
        "{n_with_lists} statements with lists are few"
    );
}
