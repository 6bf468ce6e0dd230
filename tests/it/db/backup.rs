//! Backups beside a daemon that works.

use crate::home::{Home, in_days, teapots};
use crate::support::ledger_smtp::{LedgerSmtp, Manners};
use crate::support::postgres::Database;
use backorderd::domain::time::Instant;
use backorderd::store::backup::{BackupError, backup};
use backorderd::store::{Place, Store};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_backup_beside_a_busy_daemon_is_whole_and_private() {
    let relay = LedgerSmtp::start(Manners::default());
    let home = Home::live(relay.port(), "");
    let orders = |n: u64| -> Vec<_> {
        (0..40)
            .map(|i| teapots(&format!("{}", 1000 + i), in_days(n)))
            .collect()
    };
    home.import(&orders(20));
    let daemon = home.serve();
    daemon.wait_for_words("ready");
    home.import(&orders(31));
    let file = home.path().join("a backup.db");
    let file = file.to_str().unwrap();
    let said = home.ok(&["db", "backup", file]);
    assert!(
        said.contains("checked") && said.contains(".address-key"),
        "{said}"
    );
    for end in ["", ".address-key"] {
        let mode = fs::metadata(format!("{file}{end}"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "others can read it");
    }
    assert!(!fs::exists(format!("{file}.partial")).unwrap());
    assert!(!fs::exists(format!("{file}-wal")).unwrap());
    home.wait_for_final(40);
    assert_eq!(daemon.stop().code(), Some(0));

    let (refused, done) = home.run(&["db", "backup", file]);
    assert!(!done && refused.contains("never written over"), "{refused}");
    let status = home.ok(&["db", "status"]);
    assert!(status.contains("a backup.db"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_gives_no_backup() {
    let dir = tempfile::tempdir().unwrap();
    let sound = dir.path().join("sound.db");
    let path = dir.path().join("b.db");
    let store = Store::open(&Place::Sqlite(sound.clone())).await.unwrap();
    store.ensure_shop("x", "X", "UTC").await.unwrap();
    let options = SqliteConnectOptions::new().filename(&sound);
    let mut conn = options.connect().await.unwrap();
    sqlx::query("VACUUM INTO $1")
        .bind(path.to_str().unwrap())
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    let place = Place::Sqlite(path.clone());
    let to = dir.path().join("copy.db");
    // Cut short in the middle.
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let refused = backup(&place, &to, Instant(1), |_| ()).await;
    assert!(refused.is_err());
    assert!(!to.exists() && !dir.path().join("copy.db.partial").exists());
    // Somebody else's half-made one is left alone.
    fs::write(dir.path().join("copy.db.partial"), "x").unwrap();
    let refused = backup(&place, &to, Instant(1), |_| ()).await.unwrap_err();
    assert!(matches!(refused, BackupError::HalfMade(_)), "{refused}");
    assert!(dir.path().join("copy.db.partial").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_backed_up_into_a_file_that_can_be_used() {
    let database = Database::empty().await;
    let server = Place::parse(&database.url()).unwrap();
    let store = Store::open(&server).await.unwrap();
    store.ensure_shop("x", "X", "UTC").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("copy.db");
    backup(&server, &to, Instant(5), |_| ()).await.unwrap();
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o077, 0);
    let names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["copy.db"]);
    let read = store.read();
    assert_eq!(
        read.meta("last_backup_at").await.unwrap().as_deref(),
        Some("5")
    );
    let copied = Store::open(&Place::Sqlite(to)).await.unwrap();
    assert_eq!(copied.read().backup_made_at().await.unwrap(), Some(5));
    drop((copied, store));
    database.drop().await;
}
