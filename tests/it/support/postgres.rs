//! Databases on the PostgreSQL server that `scripts/test` starts: fresh ones
//! from a migrated template, and empty ones.
//!
//! A server that is missing is a failure, never a skipped test: the promises
//! hold on both engines or they are none.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::net::Ipv4Addr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

use super::servers::free_port;

const ADDRESS: &str = "BACKORDERD_TEST_POSTGRES";

const HOMES: &str = "BACKORDERD_TEST_HOMES";

/// Serialises the making of the template among test processes.
const TEMPLATE_LOCK: i64 = 0x0b0e;

/// The server's address, of a database that is there already.
///
/// # Panics
/// There is none.
#[expect(
    clippy::disallowed_methods,
    reason = "the place of the servers is the runner's business"
)]
pub fn address() -> String {
    std::env::var(ADDRESS).unwrap_or_else(|_| {
        panic!(
            "this test needs a PostgreSQL server: run scripts/test, or begin one with \
             `scripts/servers postgres; export {ADDRESS}=$(scripts/postgres-instance start DIR)`"
        )
    })
}

/// Whether the shops of the whole-daemon tests have their data on the server
/// in this run (`BACKORDERD_TEST_HOMES=postgres`); else each has a file.
///
/// # Panics
/// The variable says something else.
#[expect(
    clippy::disallowed_methods,
    reason = "which engine a run is about is the runner's business"
)]
pub fn has_the_homes() -> bool {
    match std::env::var(HOMES).as_deref() {
        Err(_) | Ok("sqlite") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("{HOMES} is sqlite or postgres, not {other}"),
    }
}

/// The same server, another database.
fn address_of(name: &str) -> String {
    let address = address();
    let (address, options) = match address.split_once('?') {
        Some((address, options)) => (address.to_owned(), format!("?{options}")),
        None => (address, String::new()),
    };
    let (server, _) = address
        .rsplit_once('/')
        .expect("an address with a database");
    format!("{server}/{name}{options}")
}

pub async fn connect(url: &str) -> PgConnection {
    PgConnectOptions::from_str(url)
        .expect("an address")
        // Also behind PgBouncer, which does not take it.
        .extra_float_digits(None)
        .disable_statement_logging()
        .connect()
        .await
        .expect("a connection")
}

async fn administrate(words: String) {
    let mut admin = connect(&address()).await;
    admin
        .execute(AssertSqlSafe(words))
        .await
        .expect("a server that does as it is told");
    admin.close().await.expect("a closed connection");
}

/// A database of one test; dropped when the test is over, or when the server
/// ends.
#[derive(Debug)]
pub struct Database {
    name: String,
}

impl Database {
    /// With our schema in it.
    pub async fn fresh() -> Database {
        let template = template().await;
        Database::create(&format!(" TEMPLATE {template}")).await
    }

    /// With nothing in it.
    pub async fn empty() -> Database {
        Database::create(" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'").await
    }

    async fn create(how: &str) -> Database {
        static N: AtomicU64 = AtomicU64::new(1);
        let n = N.fetch_add(1, Ordering::Relaxed);
        let name = format!("case_{}_{n}", std::process::id());
        administrate(format!("CREATE DATABASE {name}{how}")).await;
        Database { name }
    }

    pub fn url(&self) -> String {
        address_of(&self.name)
    }

    /// An address at which no database is.
    pub fn url_of_none(&self) -> String {
        address_of(&format!("{}_none", self.name))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub async fn connect(&self) -> PgConnection {
        connect(&self.url()).await
    }

    pub async fn drop(self) {
        administrate(format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

/// The template's name; it is made by whoever comes first.
async fn template() -> String {
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/postgres");
    let migrator = sqlx::migrate::Migrator::new(migrations)
        .await
        .expect("migrations");
    let mut hasher = DefaultHasher::new();
    for migration in migrator.iter() {
        migration.sql.as_str().hash(&mut hasher);
    }
    let name = format!("template_{:016x}", hasher.finish());
    let mut admin = connect(&address()).await;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(TEMPLATE_LOCK)
        .execute(&mut admin)
        .await
        .expect("a lock");
    let there: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
            .bind(&name)
            .fetch_one(&mut admin)
            .await
            .expect("an answer");
    if !there {
        let half_made = format!("{name}_half_made");
        for words in [
            format!("DROP DATABASE IF EXISTS {half_made} WITH (FORCE)"),
            format!("CREATE DATABASE {half_made} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"),
        ] {
            admin
                .execute(AssertSqlSafe(words))
                .await
                .expect("a template");
        }
        let mut conn = connect(&address_of(&half_made)).await;
        migrator
            .run_direct(None, &mut conn, false)
            .await
            .expect("a migrated template");
        conn.close().await.expect("a closed connection");
        admin
            .execute(AssertSqlSafe(format!(
                "ALTER DATABASE {half_made} RENAME TO {name}"
            )))
            .await
            .expect("a template");
    }
    // The lock goes with the connection.
    admin.close().await.expect("a closed connection");
    name
}

/// A server of the test's own, to stop and start.
pub struct OwnServer {
    dir: TempDir,
}

impl OwnServer {
    /// It, and the address of its database.
    pub fn start() -> (OwnServer, String) {
        let server = OwnServer {
            dir: tempfile::tempdir().expect("a temporary folder"),
        };
        let url = server.call("start");
        (server, url)
    }

    /// `start`, `stop`, or `crash`.
    pub fn call(&self, verb: &str) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/postgres-instance");
        let done = Command::new(script)
            .arg(verb)
            .arg(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .expect("start the script");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{verb}: {said}");
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// From now on it listens on a port as well, which is the answer. Whoever
    /// comes there is let in with TLS only (`hostssl`), with none, or either
    /// way (`host`).
    pub fn listen(&self, rule: &str, certificate: Option<&Certificate>) -> u16 {
        let data = self.dir.path().join("data");
        let owner = std::fs::metadata(&data).expect("the data's folder");
        let port = free_port();
        let ssl = if certificate.is_some() { "on" } else { "off" };
        let conf = data.join("postgresql.conf");
        let mut settings = std::fs::read_to_string(&conf).expect("its settings");
        settings += &format!("listen_addresses = '127.0.0.1'\nport = {port}\nssl = {ssl}\n");
        std::fs::write(conf, settings).expect("its settings");
        let rules = format!("local all all trust\n{rule} all all 127.0.0.1/32 trust\n");
        std::fs::write(data.join("pg_hba.conf"), rules).expect("its rules");
        if let Some(certificate) = certificate {
            for (from, to) in [
                (&certificate.key, "server.key"),
                (&certificate.own, "server.crt"),
            ] {
                let to = data.join(to);
                std::fs::copy(from, &to).expect("a copy");
                // It takes no key that others may read.
                std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o600))
                    .expect("closed to others");
                chown(&to, Some(owner.uid()), Some(owner.gid())).expect("its own file");
            }
        }
        self.call("stop");
        self.call("start");
        port
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.call("stop");
    }
}

/// A certificate for one name, signed by an authority of its own.
pub struct Certificate {
    _dir: TempDir,
    pub authority: PathBuf,
    own: PathBuf,
    key: PathBuf,
}

impl Certificate {
    /// `name` as openssl writes it: `DNS:db.example` or `IP:127.0.0.1`.
    pub fn of(name: &str) -> Certificate {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| dir.path().join(name);
        let (key, own, authority) = (file("own.key"), file("own.pem"), file("ca.pem"));
        let openssl = |args: &[&str]| {
            let done = Command::new(super::servers::program("openssl"))
                .args(args)
                .current_dir(dir.path())
                .stdin(Stdio::null())
                .output()
                .expect("start openssl");
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(done.status.success(), "openssl {args:?}: {said}");
        };
        std::fs::write(
            file("names"),
            format!("subjectAltName = {name}\nbasicConstraints = CA:FALSE\n"),
        )
        .expect("a file of names");
        let kind = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ];
        let ca = ["-x509", "-days", "2", "-subj", "/CN=Test authority"];
        let ca = [
            &["req"],
            &kind[..],
            &ca,
            &["-keyout", "ca.key", "-out", "ca.pem"],
        ]
        .concat();
        openssl(&ca);
        let asked = ["-subj", "/CN=db", "-keyout", "own.key", "-out", "own.csr"];
        openssl(&[&["req"], &kind[..], &asked].concat());
        openssl(&[
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            "own.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-extfile",
            "names",
            "-out",
            "own.pem",
        ]);
        Certificate {
            _dir: dir,
            authority,
            own,
            key,
        }
    }
}

/// PgBouncer in front of the test server.
pub struct PgBouncer {
    child: std::process::Child,
    port: u16,
    _dir: TempDir,
}

impl PgBouncer {
    /// `mode` is `session` or `transaction`; `more` are settings.
    pub fn start(mode: &str, more: &str) -> PgBouncer {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let options = PgConnectOptions::from_str(&address()).expect("an address");
        let (user, port) = (options.get_username(), options.get_port());
        let host = match options.get_socket() {
            Some(folder) => folder.display().to_string(),
            None => options.get_host().to_owned(),
        };
        let conf = dir.path().join("pgbouncer.ini");
        let (child, port) = super::servers::start_listening("pgbouncer", |own_port| {
            let text = format!(
                "[databases]\n* = host={host} port={port} user={user}\n[pgbouncer]\n\
                 listen_addr = {}\nlisten_port = {own_port}\nunix_socket_dir =\n\
                 auth_type = any\npool_mode = {mode}\ndefault_pool_size = 60\n{more}",
                Ipv4Addr::LOCALHOST
            );
            std::fs::write(&conf, text).expect("its settings");
            let mut command = Command::new(super::servers::program("pgbouncer"));
            // It does not run as root.
            if std::fs::metadata("/proc/self").expect("ourselves").uid() == 0 {
                command.args(["-u", "nobody"]);
            }
            command.arg(&conf).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command
        });
        PgBouncer {
            child,
            port,
            _dir: dir,
        }
    }

    /// The address of a database through it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://backorderd@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
