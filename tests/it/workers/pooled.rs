//! Three daemons behind PgBouncer: in session mode as with the server itself, in
//! the other modes refused by everybody at once.

use crate::home::Home;
use crate::home::Running;
use crate::home::block_on;
use crate::home::in_days;
use crate::support::patience::until;
use crate::support::postgres::Database;
use crate::support::postgres::PgBouncer;
use crate::workers::SETTINGS;
use crate::workers::audit;
use crate::workers::relay;
use crate::workers::rows;
use crate::workers::serve;

#[test]
fn in_session_mode_three_share_the_work_and_survive_the_death_of_one() {
    const N: u32 = 300;
    let database = block_on(Database::fresh());
    let pooler = PgBouncer::start("session", "");
    let relay = relay(10);
    let home = Home::live_at(&pooler.url(database.name()), relay.port(), SETTINGS);
    home.import(&rows(N, 20));
    let mut daemons: Vec<Running> = ["one", "two", "three"]
        .map(|name| serve(&home, name))
        .into();
    home.import(&rows(N, 31));
    until("some mails", || {
        (relay.accepted().len() >= 60).then_some(())
    });
    daemons.swap_remove(0).kill();
    home.wait_for_final(i64::from(N));
    let states = audit(&home, &relay, N);
    let in_doubt = states.get("in_doubt").copied().unwrap_or(0);
    assert!(in_doubt <= 4, "{states:?}");
    let senders = home.number("SELECT count(DISTINCT worker) FROM attempts");
    assert!(senders >= 2, "{senders} of them sent something");
    // What only looks can only look, pooler or not.
    let looked = home.ok(&["check"]);
    assert!(!looked.contains("pooler"), "{looked}");
    home.ok(&["db", "status"]);
    for daemon in daemons {
        assert_eq!(daemon.stop().code(), Some(0));
    }
    drop(home);
    drop(pooler);
    block_on(database.drop());
}

#[test]
fn a_pooler_that_shares_sessions_is_refused_by_whoever_comes() {
    let database = block_on(Database::fresh());
    for (mode, more) in [
        ("transaction", ""),
        ("statement", ""),
        ("transaction", "server_round_robin = 1\nmin_pool_size = 2\n"),
        ("transaction", "server_round_robin = 1\nmin_pool_size = 3\n"),
        ("transaction", "default_pool_size = 1\n"),
    ] {
        let pooler = PgBouncer::start(mode, more);
        let mut home = Home::unlaunched(1, "");
        home.set("DATABASE__URL", &pooler.url(database.name()));
        let orders = home.path().join("orders.ndjson");
        let line = format!("{}\n", crate::home::teapots("3000", in_days(20)));
        std::fs::write(&orders, line).expect("a file of orders");
        let orders = orders.to_str().expect("a path in UTF-8");
        let commands: [&[&str]; 4] = [
            &["serve"],
            &["db", "status"],
            &["import", orders],
            &["run", "--dry-run"],
        ];
        for command in commands {
            let mut started = home.start(command);
            let ended = started.wait();
            let words = started.words();
            assert_ne!(ended.code(), Some(0), "{mode} {more} {command:?}: {words}");
            assert!(
                words.contains("a pooler in between"),
                "{command:?}: {words}"
            );
            assert!(
                words.contains("pool_mode = session"),
                "{command:?}: {words}"
            );
        }
        let (words, ok) = home.run(&["check"]);
        assert!(!ok && words.contains("a pooler in between"), "{words}");
    }
    block_on(database.drop());
}
