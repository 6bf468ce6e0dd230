//! A wire to the PostgreSQL server that is cut at a commit, or at the question
//! that begins the transaction of a mark: before the server hears of it, or
//! after it did and before the answer came back. It counts what is said.

use sqlx::postgres::PgConnectOptions;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};

/// What is cut off.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// The server never hears of the commit.
    Before,
    /// The server commits; nobody is told.
    After,
    /// The server never hears who asks to pass, nor that this is the beginning.
    BeforePass,
    /// The server began and answered; nobody is told.
    AfterPass,
}

/// What is still to be cut, and what was said.
#[derive(Default)]
struct Orders {
    left: Mutex<Vec<Cut>>,
    n_queries: AtomicUsize,
}

impl Orders {
    fn take(&self, text: &[u8]) -> Option<Cut> {
        // A simple query; with parameters it would be a 'P' or a 'B'.
        if text.starts_with(b"Q") {
            self.n_queries.fetch_add(1, Ordering::SeqCst);
        }
        // At the end of a query: READ COMMITTED is no commit.
        let commits = text.ends_with(b"; COMMIT\0");
        let asks = text.windows(13).any(|words| words == b"EXECUTE pass(");
        let mut left = self.left.lock().expect("a list");
        let is_due = |cut: &Cut| match cut {
            Cut::Before | Cut::After => commits,
            Cut::BeforePass | Cut::AfterPass => asks,
        };
        let nth = left.iter().position(is_due)?;
        Some(left.remove(nth))
    }
}

/// Listens on a socket of its own until it is dropped.
pub struct Wire {
    folder: tempfile::TempDir,
    orders: Arc<Orders>,
    listening: tokio::task::JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Wire {
    /// A wire to the server of this address.
    pub fn to(url: &str) -> Wire {
        let server = PgConnectOptions::from_str(url).expect("an address");
        let folder = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(socket(folder.path())).expect("a socket");
        let orders = Arc::new(Orders::default());
        let shared = orders.clone();
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(join(client, server.clone(), shared.clone()));
            }
        });
        Wire {
            folder,
            orders,
            listening,
        }
    }

    /// The database of that name, through the wire.
    pub fn url(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://backorderd@{folder}/{database}")
    }

    /// Cuts the next one, in whatever session that writes.
    pub fn cut(&self, place: Cut) {
        self.orders.left.lock().expect("a list").push(place);
    }

    /// What was to be cut and has not come.
    pub fn left(&self) -> usize {
        self.orders.left.lock().expect("a list").len()
    }

    /// Queries without parameters so far.
    pub fn n_queries(&self) -> usize {
        self.orders.n_queries.load(Ordering::SeqCst)
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join(".s.PGSQL.5432")
}

async fn join(client: UnixStream, server: PgConnectOptions, orders: Arc<Orders>) {
    match server.get_socket() {
        Some(folder) => {
            let path = folder.join(format!(".s.PGSQL.{}", server.get_port()));
            if let Ok(stream) = UnixStream::connect(path).await {
                carry(client, stream, &orders).await;
            }
        }
        None => {
            let address = (server.get_host(), server.get_port());
            if let Ok(stream) = TcpStream::connect(address).await {
                carry(client, stream, &orders).await;
            }
        }
    }
}

/// Carries both ways until one end is closed, or until it is cut.
async fn carry(client: UnixStream, server: impl AsyncRead + AsyncWrite, orders: &Orders) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut words, mut answers) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    // The server's answer says that it is done, and goes nowhere.
    let mut is_mute = false;
    loop {
        tokio::select! {
            read = from_client.read(&mut words) => {
                let Ok(n @ 1..) = read else { return };
                match orders.take(&words[..n]) {
                    Some(Cut::Before | Cut::BeforePass) => return,
                    Some(Cut::After | Cut::AfterPass) => is_mute = true,
                    None => {}
                }
                if to_server.write_all(&words[..n]).await.is_err() {
                    return;
                }
            }
            read = from_server.read(&mut answers) => {
                let Ok(n @ 1..) = read else { return };
                if is_mute || to_client.write_all(&answers[..n]).await.is_err() {
                    return;
                }
            }
        }
    }
}
