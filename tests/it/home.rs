//! A shop that runs the real program: a folder with its configuration, orders
//! to import, commands to run, and a look into the database from outside.
//!
//! Everything goes through the binary, as an operator's shell would do it.
//! The policy is the default with the waits taken out, because these tests
//! live in real time: news is ripe at once, all hours are decent, the brake
//! never holds. A test that is about one of those sets it back.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use backorderd::clock::Clock;
use backorderd::clock::SystemClock;
use backorderd::config::Config;
use backorderd::config::Environment;
use backorderd::config::LoadArgs;
use backorderd::config::SecretUse;
use backorderd::wiring;
use chrono::Days;
use chrono::NaiveDate;
use serde_json::Value;
use serde_json::json;
use sqlx::ConnectOptions;
use sqlx::Connection;
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::sqlite::SqliteRow;
use tempfile::TempDir;

use crate::support::patience::moment;
use crate::support::patience::until;
use crate::support::postgres;
use crate::support::postgres::Database;

/// The domain of the shop's own addresses.
pub const SHOP_DOMAIN: &str = "fernkettle.example";

const SETTINGS: &str = r#"
mode = "live"
[shop]
key = "fern"
name = "Fern & Kettle"
phone = "020 7946 0018"
reply_to = "help@fernkettle.example"
zone = "UTC"
country = "GB"
[email]
host = "127.0.0.1"
security = "plain"
from = "Fern & Kettle <orders@fernkettle.example>"
unsubscribe = "unsubscribe@fernkettle.example"
# Nobody answers there: no test asks the world.
dns = "127.0.0.1:9"
[email.bounces]
address = "bounces@fernkettle.example"
[delay]
settle = "0s"
hours = ["Mon-Sun 00:00-24:00"]
[courtesy]
gap = "0s"
per_week = 50
[shipped]
settle = "0s"
tracking_wait = "0s"
[cancelled]
settle = "0s"
[brake]
per_hour = 1_000_000
[pace]
per_minute = 1_000_000
"#;

/// A shop's folder, and its database where that is on a server; gone with the
/// value.
pub struct Home {
    dir: TempDir,
    variables: BTreeMap<String, String>,
    n_started: AtomicU32,
    server: Option<Server>,
}

/// Where a home's data is that does not lie in its folder.
struct Server {
    url: String,
    /// Ours to drop.
    database: Option<Database>,
}

impl Home {
    /// A shop that went live before its first import, with a mail relay on
    /// this port of loopback. `more` is TOML with sections of its own. Its data
    /// is where this run of the tests wants it.
    pub fn live(relay_port: u16, more: &str) -> Self {
        if postgres::has_the_homes() {
            // The dead are found in a test's time.
            let alive = "[workers]\nalive = \"3s\"\n";
            return Self::live_on_postgres(relay_port, &format!("{more}{alive}"));
        }
        let home = Self::unlaunched(relay_port, more);
        home.go_live();
        home
    }

    /// As [`Home::live`], with a database of its own on the test server.
    pub fn live_on_postgres(relay_port: u16, more: &str) -> Self {
        let database = block_on(Database::fresh());
        let mut home = Self::live_at(&database.url(), relay_port, more);
        if let Some(server) = &mut home.server {
            server.database = Some(database);
        }
        home
    }

    /// As [`Home::live`], with its data in this PostgreSQL database.
    pub fn live_at(url: &str, relay_port: u16, more: &str) -> Self {
        let mut home = Self::unlaunched(relay_port, more);
        home.set("DATABASE__URL", url);
        home.server = Some(Server {
            url: url.to_owned(),
            database: None,
        });
        home.go_live();
        home
    }

    fn go_live(&self) {
        block_on(async {
            let app = wiring::app(&self.config()).await.expect("a wired program");
            app.go_live("test").await.expect("a shop gone live");
        });
    }

    /// The same before anybody went live.
    pub fn unlaunched(relay_port: u16, more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(
            dir.path().join("backorderd.toml"),
            format!("{SETTINGS}{more}"),
        )
        .expect("write the configuration");
        let mut home = Self {
            dir,
            variables: BTreeMap::new(),
            n_started: AtomicU32::new(0),
            server: None,
        };
        home.set("EMAIL__PORT", &relay_port.to_string());
        home
    }

    /// Overrides a setting for what is started from now on, by its variable's
    /// name after `BACKORDERD__`.
    pub fn set(&mut self, setting: &str, value: &str) {
        self.variables
            .insert(format!("BACKORDERD__{setting}"), value.to_owned());
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration as the program reads it.
    pub fn config(&self) -> Config {
        let environment = Environment {
            variables: self.variables.clone(),
            ..Environment::default()
        };
        Config::load(&LoadArgs {
            file: None,
            home: Some(self.path()),
            environment: &environment,
            secrets: SecretUse::Load,
            now: SystemClock.now(),
        })
        .expect("a sound configuration")
    }

    // ---- commands ----

    /// A command in this home and in an environment of its own.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backorderd"));
        command
            .arg("--home")
            .arg(self.path())
            .args(args)
            .env_clear()
            .envs(&self.variables)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end; what it printed and whether it succeeded.
    pub fn run(&self, args: &[&str]) -> (String, bool) {
        let ended = self.command(args).output().expect("start backorderd");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let printed = text(&ended.stdout) + &text(&ended.stderr);
        (printed, ended.status.success())
    }

    /// As [`Home::run`]; failing is the test's failure.
    pub fn ok(&self, args: &[&str]) -> String {
        let (printed, succeeded) = self.run(args);
        assert!(succeeded, "backorderd {} failed: {printed}", args.join(" "));
        printed
    }

    pub fn import(&self, rows: &[Value]) -> String {
        let path = self.path().join("orders.ndjson");
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        fs::write(&path, lines).expect("write the orders");
        self.ok(&["import", path.to_str().expect("a path in UTF-8")])
    }

    /// Starts a command and lets it run; its words go to a file.
    pub fn start(&self, args: &[&str]) -> Running {
        self.start_as(self.command(args))
    }

    /// As [`Home::start`], with a command somebody added to.
    pub fn start_as(&self, mut command: Command) -> Running {
        let n = self.n_started.fetch_add(1, Ordering::Relaxed);
        let words = self.words_of(n);
        let file = File::create(&words).expect("a file for what it says");
        let copy = file.try_clone().expect("the same file again");
        let child = command
            .stdout(file)
            .stderr(copy)
            .spawn()
            .expect("start backorderd");
        Running { child, words }
    }

    pub fn serve(&self) -> Running {
        self.start(&["serve"])
    }

    /// What everything started here has said so far, for whoever wants to know
    /// why a test failed.
    fn story(&self) -> String {
        let n = self.n_started.load(Ordering::Relaxed);
        let said = (0..n).map(|n| {
            let words = fs::read(self.words_of(n)).unwrap_or_default();
            format!("process {n}:\n{}", String::from_utf8_lossy(&words))
        });
        said.collect()
    }

    fn words_of(&self, n_started: u32) -> PathBuf {
        self.path().join(format!("process-{n_started}.txt"))
    }

    // ---- the database, from outside ----

    /// The path of its file, or its address on a server.
    pub fn place(&self) -> String {
        match &self.server {
            Some(server) => server.url.clone(),
            None => {
                let file = self.path().join("backorderd.db");
                file.to_str().expect("a path in UTF-8").to_owned()
            }
        }
    }

    fn database(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new().filename(self.place())
    }

    pub fn rows<T>(&self, sql: &'static str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        block_on(async {
            if let Some(server) = &self.server {
                let mut db = postgres::connect(&server.url).await;
                let rows = sqlx::query_as(sql).fetch_all(&mut db).await;
                return rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            let mut db = self
                .database()
                .read_only(true)
                .connect()
                .await
                .expect("a look into the database");
            let rows = sqlx::query_as(sql)
                .fetch_all(&mut db)
                .await
                .unwrap_or_else(|error| panic!("{sql}: {error}"));
            db.close().await.expect("a closed connection");
            rows
        })
    }

    /// Changes what no command changes, where the data is on a server.
    pub fn execute(&self, sql: &'static str) {
        let server = self.server.as_ref().expect("a database on a server");
        block_on(async {
            let mut db = postgres::connect(&server.url).await;
            let done = sqlx::query(sql).execute(&mut db).await;
            done.unwrap_or_else(|error| panic!("{sql}: {error}"));
        });
    }

    /// Changes what no command changes.
    pub fn force(&self, sql: &'static str) {
        if self.server.is_some() {
            return self.execute(sql);
        }
        block_on(async {
            let mut db = self.database().connect().await.expect("a connection");
            let done = sqlx::query(sql).execute(&mut db).await;
            done.unwrap_or_else(|error| panic!("{sql}: {error}"));
            db.close().await.expect("a closed connection");
        });
    }

    /// Where the key that hashes addresses is.
    pub fn address_key(&self) -> PathBuf {
        wiring::address_key_path(&self.config())
    }

    pub fn number(&self, sql: &'static str) -> i64 {
        self.rows::<(i64,)>(sql)[0].0
    }

    /// How many messages are in which state.
    pub fn states(&self) -> BTreeMap<String, i64> {
        self.rows("SELECT state, count(*) FROM messages GROUP BY state")
            .into_iter()
            .collect()
    }

    /// Waits until there are so many messages and all of them are in a state
    /// in which nothing more happens by itself.
    pub fn wait_for_final(&self, n: i64) {
        until(&format!("{n} messages to be final"), || {
            let done = self.number(
                "SELECT count(*) FROM messages WHERE state NOT IN \
                 ('queued', 'leased', 'submitting')",
            );
            (done >= n).then_some(())
        });
    }

    /// Somebody who looks at the database as it is now, for as long as the
    /// answer lives.
    pub fn look_on(&self) -> impl Sized {
        self.stay_in(&["BEGIN", "SELECT count(*) FROM orders"])
    }

    /// Somebody who writes, and is not done for as long as the answer lives.
    pub fn write_on(&self) -> impl Sized {
        self.stay_in(&["BEGIN IMMEDIATE"])
    }

    /// A connection that said this and says no more.
    fn stay_in(&self, transaction: &[&'static str]) -> impl Sized + use<> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let db = runtime.block_on(async {
            let mut db = self.database().connect().await.expect("a connection");
            for words in transaction {
                let said = sqlx::query(*words).execute(&mut db).await;
                said.unwrap_or_else(|error| panic!("{words}: {error}"));
            }
            db
        });
        (db, runtime)
    }

    /// Brings everything committed into the one file, as the last process to
    /// close it in order would.
    pub fn tidy(&self) {
        block_on(async {
            let mut db = self.database().connect().await.expect("a connection");
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .execute(&mut db)
                .await
                .expect("a checkpoint");
            db.close().await.expect("a closed connection");
        });
    }

    /// Whether another process could write at this moment.
    fn is_writable(&self) -> bool {
        if self.server.is_some() {
            // Others begin and end all the time: one that stays is the one
            // that was stopped.
            moment(Duration::from_millis(300));
            return self.number(
                "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND xact_start IS NOT NULL \
                   AND pid <> pg_backend_pid() \
                   AND state_change < clock_timestamp() - INTERVAL '200 milliseconds'",
            ) == 0;
        }
        block_on(async {
            let options = self.database().busy_timeout(Duration::ZERO);
            let mut db = options.connect().await.expect("a connection");
            let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut db).await;
            db.close().await.expect("a closed connection");
            begun.is_ok()
        })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.story());
        }
        // After a failure it stays for a look.
        if let Some(database) = self.server.take().and_then(|server| server.database)
            && !std::thread::panicking()
        {
            block_on(database.drop());
        }
    }
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

/// A started process of the program; killed with the value.
pub struct Running {
    child: Child,
    words: PathBuf,
}

impl Running {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far, on both streams.
    pub fn words(&self) -> String {
        fs::read_to_string(&self.words).expect("what it said")
    }

    pub fn wait_for_words(&self, part: &str) {
        until(&format!("the words `{part}`"), || {
            self.words().contains(part).then_some(())
        });
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{name} {}", self.child.id()))
            .status()
            .expect("start sh");
        assert!(sent.success(), "no process to signal");
    }

    /// `kill -9`, and gone.
    pub fn kill(mut self) {
        self.child.kill().expect("kill a child");
        self.child.wait().expect("wait for a killed child");
    }

    pub fn wait(&mut self) -> ExitStatus {
        until("a process to end", || {
            self.child.try_wait().expect("ask for a child's end")
        })
    }

    pub fn has_ended(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("ask for a child's end")
            .is_some()
    }

    /// SIGTERM, and the end.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Stops the process where it stands (SIGSTOP), at a moment at which it
    /// holds nobody else up.
    pub fn freeze(&self, home: &Home) {
        until("a moment between two transactions", || {
            self.signal("STOP");
            let stat = format!("/proc/{}/stat", self.child.id());
            until("a stopped process", || {
                let stat = fs::read_to_string(&stat).expect("a process's state");
                stat.rsplit(") ").next()?.starts_with('T').then_some(())
            });
            if home.is_writable() {
                return Some(());
            }
            self.signal("CONT");
            None
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// ---- orders ----

pub fn today() -> NaiveDate {
    SystemClock.now().day_in(chrono_tz::UTC)
}

/// So many days from today.
pub fn in_days(n: u64) -> NaiveDate {
    today()
        .checked_add_days(Days::new(n))
        .expect("a day of this era")
}

/// A waiting line of two teapots, ordered yesterday by a customer of its own.
pub fn teapots(order: &str, eta: NaiveDate) -> Value {
    json!({
        "line_id": format!("{order}-1"),
        "order_number": order,
        "status": "waiting",
        "email": format!("customer-{order}@accept.example"),
        "customer_name": format!("Kim Okafor-{order}"),
        "locale": "en",
        "sku": "TP-2",
        "product_name": "Enamel teapot",
        "quantity": 2,
        "ordered_at": today().pred_opt().expect("a day of this era"),
        "eta_from": eta,
    })
}

/// So many orders of teapots, each of a customer of its own.
pub fn orders_of_teapots(n: usize, eta: NaiveDate) -> Vec<Value> {
    (3000..3000 + n)
        .map(|order| teapots(&order.to_string(), eta))
        .collect()
}

/// The row with other values in some columns.
pub fn but(mut row: Value, columns: Value) -> Value {
    let (row_columns, columns) = (row.as_object_mut().unwrap(), columns);
    for (name, value) in columns.as_object().expect("columns") {
        row_columns.insert(name.clone(), value.clone());
    }
    row
}
