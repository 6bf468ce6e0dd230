//! A database that is older than the one from before sends nothing until a
//! person has looked.

use crate::home::{Home, block_on, in_days, teapots};
use crate::support::ledger_smtp::{LedgerSmtp, Manners};
use crate::support::patience::{moment, until};
use crate::support::postgres::Database;
use backorderd::app::restore_guard::note_path;
use backorderd::store::Place;
use backorderd::wiring;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::Duration;

fn database(home: &Home) -> std::path::PathBuf {
    home.path().join("backorderd.db")
}

/// What a person does who has not read the manual.
fn put_back(saved: &Path, home: &Home) {
    for end in ["-wal", "-shm"] {
        let mut name = database(home).into_os_string();
        name.push(end);
        let _ = fs::remove_file(name);
    }
    fs::copy(saved, database(home)).unwrap();
}

/// A delay was told by a daemon that is gone; what was there before it lies in
/// `saved`.
fn told_once(relay: &LedgerSmtp, home: &Home, save: impl Fn(&Path)) -> std::path::PathBuf {
    home.import(&[teapots("1042", in_days(20))]);
    home.tidy();
    let saved = home.path().join("saved");
    save(&saved);
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    home.import(&[teapots("1042", in_days(31))]);
    home.wait_for_final(1);
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(relay.accepted().len(), 1);
    saved
}

/// The daemon that is started now says why and sends nothing, until it is told
/// to with a reason.
fn holds_until_released(relay: &LedgerSmtp, home: &Home, why: &str) {
    home.import(&[teapots("1042", in_days(31))]);
    let n_before = relay.accepted().len();
    let daemon = home.serve();
    daemon.wait_for_words("nothing is sent until `backorderd release`");
    daemon.wait_for_words(why);
    until("the delay in the queue", || {
        (home.states().get("queued") == Some(&1)).then_some(())
    });
    assert!(
        home.ok(&["todo"])
            .replace('\n', " ")
            .contains("not the database that was here")
    );
    let (checked, _) = home.run(&["check", "--offline"]);
    assert!(
        checked.contains("not the database that was here"),
        "{checked}"
    );
    let (refused, released) = home.run(&["release"]);
    assert!(!released && refused.contains("say why"), "{refused}");
    moment(Duration::from_secs(2));
    assert_eq!(relay.accepted().len(), n_before);

    home.ok(&["release", "--why", "the shop's state is imported"]);
    home.wait_for_final(1);
    assert_eq!(relay.accepted().len(), n_before + 1);
    assert_eq!(daemon.stop().code(), Some(0));
    // Once looked at is enough.
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    assert!(
        !daemon.words().contains("nothing is sent"),
        "{}",
        daemon.words()
    );
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_copy_that_is_put_back_sends_nothing_until_it_is_released() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    let saved = told_once(&relay, &home, |saved| {
        fs::copy(database(&home), saved).unwrap();
    });
    put_back(&saved, &home);
    holds_until_released(&relay, &home, "an older state of it");
}

#[test]
fn a_backup_says_what_it_is_where_nobody_remembers() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    let saved = told_once(&relay, &home, |saved| {
        home.ok(&["db", "backup", saved.to_str().unwrap()]);
    });
    let new_machine = Home::unlaunched(relay.port(), "");
    put_back(&saved, &new_machine);
    let key = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".address-key");
        std::path::PathBuf::from(name)
    };
    fs::copy(key(&saved), key(&database(&new_machine))).unwrap();
    holds_until_released(&relay, &new_machine, "it is the backup that was made");
}

#[test]
fn a_new_database_in_place_of_a_lost_one_is_noticed() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    told_once(&relay, &home, |_| ());
    for end in ["", "-wal", "-shm"] {
        let mut name = database(&home).into_os_string();
        name.push(end);
        let _ = fs::remove_file(name);
    }
    home.import(&[teapots("1042", in_days(31))]);
    block_on(async {
        let app = wiring::app(&home.config()).await.unwrap();
        app.go_live("test").await.unwrap();
    });
    let daemon = home.serve();
    daemon.wait_for_words("it is another one altogether");
    assert_eq!(daemon.stop().code(), Some(0));
}

/// Others write between two looks, and a daemon is killed before it has noted
/// its last commits: the note lags, which is no reason to stop.
#[test]
fn imports_beside_it_and_a_kill_are_no_restore() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    home.import(&[teapots("1042", in_days(20)), teapots("1043", in_days(20))]);
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    home.import(&[teapots("1042", in_days(31))]);
    home.wait_for_final(1);
    daemon.kill();
    home.ok(&["hold", "--why", "x"]);
    home.ok(&["release"]);
    home.import(&[teapots("1043", in_days(31))]);
    let daemon = home.serve();
    home.wait_for_final(2);
    assert_eq!(relay.accepted().len(), 2);
    assert!(
        !daemon.words().contains("nothing is sent"),
        "{}",
        daemon.words()
    );
    // A run by hand keeps the note as well.
    assert_eq!(daemon.stop().code(), Some(0));
    home.import(&[teapots("1042", in_days(52))]);
    home.ok(&["run", "--yes"]);
    assert_eq!(relay.accepted().len(), 3);
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    assert!(
        !daemon.words().contains("nothing is sent"),
        "{}",
        daemon.words()
    );
}

/// On a server the note also knows which server it was, and which of its
/// histories.
#[test]
fn a_server_that_was_restored_or_replaced_is_noticed() {
    let relay = LedgerSmtp::start(Manners::default());
    let database = block_on(Database::empty());
    let mut home = Home::unlaunched(relay.port(), "");
    home.set("DATABASE__URL", &database.url());
    block_on(async {
        let app = wiring::app(&home.config()).await.unwrap();
        app.go_live("test").await.unwrap();
    });
    home.import(&[teapots("1042", in_days(20))]);
    let once = |says: Option<&str>| {
        let daemon = home.serve();
        daemon.wait_for_words("ready");
        match says {
            Some(says) => {
                daemon.wait_for_words(says);
                home.ok(&["release", "--why", "looked at it"]);
            }
            None => assert!(
                !daemon.words().contains("nothing is sent"),
                "{}",
                daemon.words()
            ),
        }
        assert_eq!(daemon.stop().code(), Some(0));
    };
    once(None);
    let place = Place::parse(&database.url()).unwrap();
    let note = note_path(&place, &home.config().state_dir);
    let change = |name: &str, value: Value| {
        let mut words: Value = serde_json::from_slice(&fs::read(&note).unwrap()).unwrap();
        assert!(!words[name].is_null(), "{words}");
        words[name] = value;
        fs::write(&note, words.to_string()).unwrap();
    };
    once(None);
    change("timeline", "000000AF".into());
    once(Some("replaced by a standby"));
    change("system", "7".into());
    once(Some("on another server"));
    change("progress", 1_000_000.into());
    once(Some("an older state of it"));
    once(None);
    block_on(database.drop());
}
