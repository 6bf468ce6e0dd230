//! Databases on the PostgreSQL server that `scripts/test` starts: fresh ones
//! from a migrated template, and empty ones.
//!
//! A server that is missing is a failure, never a skipped test: the promises
//! hold on both engines or they are none.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

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
