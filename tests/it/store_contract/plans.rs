//! Every statement that takes a list starts from the list, and a claim from the
//! head of the queue.
//!
//! An engine that does not know how long its tables are guesses that they are
//! short. Then it may read a table from one end to the other and the list again
//! for each of its rows: right, and quadratic. Measured before PostgreSQL's
//! schema said that lists are short: 34 ms to claim 128 of 3,000 messages, now
//! 2.7. SQLite, where a statement did not say the order: 12 seconds to take in
//! 3,000 orders, now 0.3.

use super::props::{MONDAY, at, teapots};
use super::stage::Stage;
use backorderd::store::conn::Statement;
use backorderd::store::postgres::server::Server;
use backorderd::store::{Place, STATEMENTS};
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

promises![
    a_statement_with_a_list_starts_from_the_list,
    a_claim_reads_no_more_of_the_queue_than_it_takes,
];

const LIST: &str = "jsonb_array_elements";

/// Whose list is never longer than the orders of one message, whose is what the
/// row itself holds, and whose is the channels.
const SHORT: &[&str] = &[
    "write/by_hand.rs RETRY",
    "read/lists.rs WITH_VERDICTS",
    "write/deliver/claim.rs PICK PICK_AMONG_OTHERS",
];

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

/// What the session of marks and records runs, by one plan whenever that was made.
const HOT: &[&str] = &[
    "write/deliver/breath.rs",
    "write/deliver/record.rs",
    "write/deliver/told.rs",
    "write/deliver/vague.rs",
    "write/locks.rs",
];

/// The names of those that do not start from it, and how many take a list.
async fn not_so(c: &mut PgConnection, files: impl Fn(&str) -> bool) -> (Vec<String>, usize) {
    let (mut wrong, mut n_with_lists) = (Vec::new(), 0);
    for (file, statements) in STATEMENTS.iter().filter(|(file, _)| files(file)) {
        for statement in *statements {
            let Some(plan) = plan(c, statement.postgres).await else {
                continue;
            };
            n_with_lists += usize::from(any(&plan, &is_list));
            let named = format!("{file} {}", statement.name);
            if any(&plan, &rereads_a_list) && !SHORT.contains(&named.as_str()) {
                wrong.push(named);
            }
        }
    }
    (wrong, n_with_lists)
}

async fn a_statement_with_a_list_starts_from_the_list(stage: Stage) {
    let wrong = match stage.database() {
        None => not_so_in_the_file(&stage).await,
        Some(database) => {
            let session = Server::parse(&database.url())
                .expect("an address")
                .writing();
            let mut c = session.options.connect().await.expect("a connection");
            c.execute(session.settings).await.expect("its settings");
            c.execute("SET plan_cache_mode TO force_generic_plan")
                .await
                .expect("a setting");
            let (mut wrong, _) = not_so(&mut c, |file| HOT.contains(&file)).await;
            for n in 1..=N {
                let row = teapots(&format!("L{n}"), &format!("{}", 1000 + n));
                stage.announce(&[row], MONDAY).await;
            }
            stage.review(MONDAY).await;
            c.execute(MANY).await.expect("a server of our own");
            let (others, n_with_lists) = not_so(&mut c, |_| true).await;
            assert!(n_with_lists > 50, "{n_with_lists} are few");
            wrong.extend(others);
            wrong
        }
    };
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The same of SQLite, whose plan is a list of loops from the outermost on, each
/// with the number of what it is part of.
async fn not_so_in_the_file(stage: &Stage) -> Vec<String> {
    let Place::Sqlite(path) = stage.place() else {
        panic!("a file");
    };
    let mut c = SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .expect("a connection");
    let (mut wrong, mut n_with_lists) = (Vec::new(), 0);
    for (file, statements) in STATEMENTS {
        for statement in *statements {
            // Of several in one text the engine explains the first.
            for text in statement.sqlite.split(';') {
                let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"));
                let Ok(loops) = sqlx::query_as::<_, (i64, i64, i64, String)>(explained)
                    .fetch_all(&mut c)
                    .await
                else {
                    // Not something that has a plan; it is prepared elsewhere.
                    continue;
                };
                let lists =
                    |(.., detail): &&(i64, i64, i64, String)| detail.contains("VIRTUAL TABLE");
                n_with_lists += usize::from(loops.iter().any(|row| lists(&row)));
                let inner = loops.iter().enumerate().any(|(at, row)| {
                    lists(&row)
                        && loops[..at].iter().any(|outer| {
                            outer.1 == row.1 && !lists(&outer) && outer.3.starts_with("SCAN ")
                        })
                });
                let named = format!("{file} {}", statement.name);
                if inner && !SHORT.contains(&named.as_str()) {
                    wrong.push(named);
                }
            }
        }
    }
    assert!(n_with_lists > 50, "{n_with_lists} are few");
    wrong
}

/// How much of the queue a claim of so many may read.
const CLAIMED: i64 = 50;

fn statement(file: &str, name: &str) -> Statement {
    let (_, statements) = STATEMENTS
        .iter()
        .find(|(named, _)| *named == file)
        .expect("a file");
    *statements
        .iter()
        .find(|statement| statement.name.split(' ').next() == Some(name))
        .expect("a statement")
}

/// Rows of the outbox that were read, kept or not.
fn messages_read(node: &Value) -> f64 {
    let of = |key: &str| node[key].as_f64().unwrap_or(0.0);
    let mine = if node["Relation Name"] == "messages" {
        (of("Actual Rows") + of("Rows Removed by Filter")) * of("Actual Loops")
    } else {
        0.0
    };
    mine + children(node).iter().map(messages_read).sum::<f64>()
}

/// The nodes of a plan, for a person.
fn steps(node: &Value) -> Vec<String> {
    let word = |key: &str| node[key].to_string().replace('"', "");
    let mine = [
        "Node Type",
        "Index Name",
        "Alias",
        "Actual Rows",
        "Actual Loops",
    ]
    .map(word);
    let below = children(node).iter().flat_map(steps);
    std::iter::once(mine.join(" ")).chain(below).collect()
}

/// What the engine believes of its tables must not matter: nothing, what it
/// counted while they were empty, what is true.
async fn a_claim_reads_no_more_of_the_queue_than_it_takes(stage: Stage) {
    const N_QUEUED: u32 = 1_000;
    let pick = statement("write/deliver/claim.rs", "PICK");
    let rows: Vec<_> = (0..N_QUEUED)
        .map(|n| teapots(&format!("L{n}"), &format!("{}", 1000 + n)))
        .collect();
    let Some(database) = stage.database() else {
        let Place::Sqlite(path) = stage.place() else {
            panic!("a file");
        };
        let mut c = SqliteConnectOptions::new()
            .filename(path)
            .connect()
            .await
            .expect("a connection");
        let explained = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", pick.sqlite));
        let loops: Vec<(i64, i64, i64, String)> = sqlx::query_as(explained)
            .fetch_all(&mut c)
            .await
            .expect("a plan");
        let outermost = loops.iter().find(|row| row.1 == 0).expect("a loop");
        assert!(outermost.3.contains("messages_queued"), "{}", outermost.3);
        assert!(
            !loops.iter().any(|row| row.3.contains("ORDER BY")),
            "{loops:?}"
        );
        return;
    };
    let session = Server::parse(&database.url())
        .expect("an address")
        .writing();
    let mut c = session.options.connect().await.expect("a connection");
    c.execute(session.settings).await.expect("its settings");
    let prepare = format!("PREPARE pick AS {}", pick.postgres);
    let (mode, now) = (stage.mode.as_str(), at(MONDAY).0);
    let explain = format!(
        "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) \
         EXECUTE pick('{mode}', {now}, 2, NULL, '[\"email\"]', {CLAIMED})"
    );
    c.execute(AssertSqlSafe(prepare)).await.expect("prepared");
    c.execute("ANALYZE").await.expect("counted while empty");
    stage.announce(&rows, MONDAY).await;
    stage.review(MONDAY).await;
    for (believed, words) in [
        ("what it counted while they were empty", "SELECT 1"),
        (
            "nothing",
            "UPDATE pg_class SET reltuples = -1 WHERE relkind = 'r'",
        ),
        ("what is true", "ANALYZE"),
        ("there is much more", MANY),
    ] {
        c.execute(words).await.expect("a server of our own");
        for cache in ["force_custom_plan", "force_generic_plan"] {
            let set = format!("SET plan_cache_mode TO {cache}");
            c.execute(AssertSqlSafe(set)).await.expect("a setting");
            let plan: Value = sqlx::query_scalar(AssertSqlSafe(explain.clone()))
                .persistent(false)
                .fetch_one(&mut c)
                .await
                .expect("a plan");
            let root = &plan[0]["Plan"];
            assert_eq!(
                root["Actual Rows"].as_f64(),
                Some(CLAIMED as f64),
                "{believed}"
            );
            let n = messages_read(root);
            assert!(
                n <= 3.0 * CLAIMED as f64,
                "{believed}, {cache}: {n} read\n{}",
                steps(root).join("\n")
            );
        }
    }
    // Nothing may go out: nothing is read, however much waits.
    let hold = "INSERT INTO holds (scope, by, why, since) VALUES ('global', 'anna', 'stop', 0)";
    c.execute(hold).await.expect("a hold");
    let plan: Value = sqlx::query_scalar(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_one(&mut c)
        .await
        .expect("a plan");
    let root = &plan[0]["Plan"];
    assert_eq!(messages_read(root), 0.0, "{}", steps(root).join("\n"));
}
