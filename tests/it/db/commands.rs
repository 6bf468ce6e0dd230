//! `backorderd db`, as an operator types it.

use crate::home::{Home, block_on, in_days, teapots};
use crate::support::ledger_smtp::{LedgerSmtp, Manners};
use crate::support::postgres::Database;
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

fn force(home: &Home, words: &'static str) {
    block_on(async {
        let options = SqliteConnectOptions::new().filename(home.path().join("backorderd.db"));
        let mut conn = options.connect().await.unwrap();
        conn.execute(words).await.unwrap();
        conn.close().await.unwrap();
    });
}

#[test]
fn status_says_what_there_is_and_who_sends() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    home.import(&[teapots("1042", in_days(20))]);
    let quiet = home.ok(&["db", "status"]);
    for words in [
        "SQLite 3.",
        "backorderd.db",
        "1, as this program knows it",
        "nobody",
        "orders 1",
    ] {
        assert!(quiet.contains(words), "{words}: {quiet}");
    }
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    let status: Value = serde_json::from_str(&home.ok(&["db", "status", "--json"])).unwrap();
    assert_eq!(status["senders"]["lock_held_by"], daemon.id());
    assert_eq!(status["contents"]["mode"], "live");
    assert_eq!(status["settings"][0]["value"], "wal");
    assert_eq!(status["address_key_there"], true);
}

#[test]
fn status_of_a_server_shows_no_password() {
    let relay = LedgerSmtp::start(Manners::default());
    let database = block_on(Database::fresh());
    let mut home = Home::unlaunched(relay.port(), "");
    home.set("DATABASE__URL", &database.url());
    let status = home.ok(&["db", "status"]);
    for words in ["PostgreSQL 1", "synchronous_commit on", "kept", "nobody"] {
        assert!(status.contains(words), "{words}: {status}");
    }
    let (said, _) = home.run(&[
        "db",
        "copy",
        "--to",
        "postgres://shop:hunter2@127.0.0.1:1/nowhere",
    ]);
    assert!(!said.contains("hunter2"), "{said}");
    block_on(database.drop());
}

#[test]
fn a_shop_moves_to_a_server_and_back_and_goes_on() {
    let relay = LedgerSmtp::start(Manners::default());
    let database = block_on(Database::empty());
    let mut home = Home::live(relay.port(), "");
    home.import(&[teapots("1042", in_days(20))]);
    let file = home.path().join("backorderd.db");
    let file = format!("sqlite:{}", file.display());

    let daemon = home.serve();
    daemon.wait_for_words("ready");
    let (refused, done) = home.run(&["db", "copy", "--to", &database.url()]);
    assert!(!done && refused.contains("sends from"), "{refused}");
    assert_eq!(daemon.stop().code(), Some(0));

    let said = home.ok(&["db", "copy", "--to", &database.url()]);
    assert!(said.contains("read back and compared"), "{said}");
    let (refused, done) = home.run(&["serve"]);
    assert!(!done && refused.contains("was copied to"), "{refused}");

    home.set("DATABASE__URL", &database.url());
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    home.import(&[teapots("1042", in_days(31))]);
    crate::support::patience::until("the delay", || (relay.accepted().len() == 1).then_some(()));
    assert!(
        !daemon.words().contains("nothing is sent"),
        "{}",
        daemon.words()
    );
    assert_eq!(daemon.stop().code(), Some(0));

    // Taken back, the old one does not know of the delay: it is held.
    let (_, done) = home.run(&["db", "take-back"]);
    assert!(!done, "the server's was not moved");
    let said = home.ok(&["db", "take-back", "--database", &file]);
    assert!(said.contains("can be used again"), "{said}");
    home.set("DATABASE__URL", &file);
    assert!(home.ok(&["todo"]).contains("taken back"));

    // The way back, into a new file.
    home.set("DATABASE__URL", &database.url());
    let new = format!("sqlite:{}", home.path().join("new.db").display());
    home.ok(&["db", "copy", "--to", &new]);
    home.set("DATABASE__URL", &new);
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    assert!(
        !daemon.words().contains("nothing is sent"),
        "{}",
        daemon.words()
    );
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(relay.accepted().len(), 1);
    block_on(database.drop());
}

/// A copy that is killed at any moment leaves a target that is empty, and a
/// source that can be used.
#[test]
fn a_killed_copy_leaves_the_target_empty_and_the_source_usable() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    let rows: Vec<Value> = (0..3_000)
        .map(|i| teapots(&format!("{}", 10_000 + i), in_days(20)))
        .collect();
    home.import(&rows);
    let database = block_on(Database::empty());
    let count = || {
        block_on(async {
            let mut conn = database.connect().await;
            let n: Option<i64> = sqlx::query_scalar("SELECT count(*) FROM orders")
                .fetch_one(&mut conn)
                .await
                .ok();
            conn.close().await.unwrap();
            n.unwrap_or(0)
        })
    };
    let copying = home.start(&["db", "copy", "--to", &database.url()]);
    // Its transaction is open: orders can be looked at, and none is there.
    crate::support::patience::until("a copy in the middle", || {
        block_on(async {
            let mut conn = database.connect().await;
            let busy: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = 'backorderd' AND backend_xid IS NOT NULL",
            )
            .fetch_one(&mut conn)
            .await
            .unwrap();
            conn.close().await.unwrap();
            (busy > 0).then_some(())
        })
    });
    copying.kill();
    let left = count();
    assert!(
        left == 0 || left == 3_000,
        "{left} of 3000 orders are there"
    );
    // The server may not have noticed yet; then it is tried again.
    crate::support::patience::until("the server to notice", || {
        (home.run(&["db", "copy", "--to", &database.url()]).1 || count() == 3_000).then_some(())
    });
    assert_eq!(count(), 3_000);
    block_on(database.drop());
}

#[test]
fn a_newer_schema_is_refused_and_there_is_nothing_to_migrate() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    assert!(home.ok(&["db", "migrate"]).contains("nothing to do"));
    force(
        &home,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (205, 'later', 1, x'00', 0)",
    );
    for args in [&["db", "migrate"][..], &["serve"], &["orders", "list"]] {
        let (refused, done) = home.run(args);
        assert!(!done && refused.contains("newer backorderd"), "{refused}");
    }
    let status = home.ok(&["db", "status"]);
    assert!(
        status.contains("205, newer than this program knows (1)"),
        "{status}"
    );
}
