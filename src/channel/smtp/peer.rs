//! A relay that does exactly what a test tells it, byte by byte: stall, hang
//! up, reset, answer twice, answer nonsense, at any step.

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One thing the relay does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Sends these bytes.
    Say(Vec<u8>),
    /// Reads a line and insists on its beginning.
    Hear(&'static str),
    /// Reads up to and including the final dot and keeps the message.
    Body,
    /// Reads this many bytes of a message.
    Part(usize),
    /// Waits until the other side hangs up.
    Stall,
    /// Reads nothing until the test releases it.
    Deaf,
    /// Hangs up with a reset instead of a farewell.
    Reset,
    /// Goes on under TLS, with the certificate for localhost.
    Tls,
    /// The same with one that was valid once.
    TlsExpired,
    /// Does nothing for so long.
    Wait(Duration),
    /// Sends these bytes one by one with a pause before each, over and over,
    /// until the other side hangs up.
    Drip(&'static str, Duration),
}

pub(super) fn say(text: &str) -> Act {
    Act::Say(text.replace('\n', "\r\n").into_bytes())
}

pub(super) fn hear(start: &'static str) -> Act {
    Act::Hear(start)
}

/// What the relay heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) lines: Vec<String>,
    pub(super) bodies: Vec<Vec<u8>>,
    pub(super) n_connections: usize,
    /// Where the other side did not keep to the script.
    pub(super) surprises: Vec<String>,
}

pub(super) struct Peer {
    pub(super) address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    release: Arc<Notify>,
    task: JoinHandle<()>,
}

trait Line: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Line for T {}

impl Peer {
    /// One script per connection, in the order they come. After its script a
    /// connection is closed; a connection without one is not accepted.
    pub(super) async fn with(scripts: Vec<Vec<Act>>) -> Peer {
        Peer::at("127.0.0.1", scripts).await
    }

    pub(super) async fn at(ip: &str, scripts: Vec<Vec<Act>>) -> Peer {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let release = Arc::new(Notify::new());
        let (of_task, released) = (Arc::clone(&heard), Arc::clone(&release));
        let task = tokio::spawn(async move {
            for script in scripts {
                let (stream, _) = listener.accept().await.unwrap();
                if matches!(script.last(), Some(Act::Reset)) {
                    stream.set_zero_linger().unwrap();
                }
                of_task.lock().unwrap().n_connections += 1;
                play(Box::new(stream), script, &of_task, &released).await;
            }
        });
        Peer {
            address,
            heard,
            release,
            task,
        }
    }

    /// Ends [`Act::Deaf`].
    pub(super) fn release(&self) {
        self.release.notify_one();
    }

    /// Waits for the scripts to end and insists that they were kept to.
    pub(super) async fn finish(self) -> Heard {
        self.task.await.unwrap();
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        assert!(heard.surprises.is_empty(), "{:?}", heard.surprises);
        heard
    }
}

async fn play(stream: Box<dyn Line>, script: Vec<Act>, heard: &Mutex<Heard>, released: &Notify) {
    let mut stream = BufReader::new(stream);
    for act in script {
        let surprise = match act {
            Act::Say(ref bytes) => {
                // The other side may be gone by now; its own result counts.
                let _ = stream.get_mut().write_all(bytes).await;
                let _ = stream.get_mut().flush().await;
                None
            }
            Act::Hear(start) => {
                let mut line = String::new();
                let _ = stream.read_line(&mut line).await;
                let is_right = line.starts_with(start);
                let surprise = (!is_right).then(|| format!("{start} expected, heard {line:?}"));
                heard.lock().unwrap().lines.push(line.trim_end().to_owned());
                surprise
            }
            Act::Body => {
                let mut body = Vec::new();
                while !body.ends_with(b"\r\n.\r\n") {
                    if stream.read_until(b'\n', &mut body).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                let is_whole = body.ends_with(b"\r\n.\r\n");
                heard.lock().unwrap().bodies.push(body);
                (!is_whole).then(|| "the message ended without its dot".to_owned())
            }
            Act::Part(n) => {
                let mut part = vec![0; n];
                let _ = stream.read_exact(&mut part).await;
                None
            }
            Act::Stall => {
                let _ = stream.read_to_end(&mut Vec::new()).await;
                None
            }
            Act::Deaf => {
                released.notified().await;
                None
            }
            Act::Reset => return,
            Act::Wait(length) => {
                tokio::time::sleep(length).await;
                None
            }
            Act::Drip(text, pause) => {
                // Reads as well, or the other side could not hang up.
                let mut gone = [0; 1];
                for byte in text.bytes().cycle() {
                    match tokio::time::timeout(pause, stream.read(&mut gone)).await {
                        Ok(Ok(0) | Err(_)) => return,
                        Ok(Ok(_)) => {}
                        Err(_) if stream.get_mut().write_all(&[byte]).await.is_err() => return,
                        Err(_) => {}
                    }
                }
                None
            }
            Act::Tls | Act::TlsExpired => match acceptor(matches!(act, Act::TlsExpired))
                .accept(stream.into_inner())
                .await
            {
                Ok(tls) => {
                    stream = BufReader::new(Box::new(tls));
                    None
                }
                // A client that does not trust us is a test's own business.
                Err(_) => return,
            },
        };
        if let Some(surprise) = surprise {
            heard.lock().unwrap().surprises.push(surprise);
            return;
        }
    }
}

const AUTHORITY: &[u8] = include_bytes!("../../../tests/fixtures/tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("../../../tests/fixtures/tls/relay.pem");
const OLD_AUTHORITY: &[u8] = include_bytes!("../../../tests/fixtures/tls/ca-expired.pem");
const OLD_CERTIFICATE: &[u8] = include_bytes!("../../../tests/fixtures/tls/relay-expired.pem");
const KEY: &[u8] = include_bytes!("../../../tests/fixtures/tls/relay.key");

fn acceptor(expired: bool) -> TlsAcceptor {
    let certificate = if expired {
        OLD_CERTIFICATE
    } else {
        CERTIFICATE
    };
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate).unwrap()],
            PrivateKeyDer::from_pem_slice(KEY).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Trusts this peer.
pub(super) fn trust() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for authority in [AUTHORITY, OLD_AUTHORITY] {
        let authority = CertificateDer::from_pem_slice(authority).unwrap();
        roots.add(authority).unwrap();
    }
    trusting(roots)
}

/// Trusts nobody, which is all that a test without TLS needs.
pub(super) fn distrust() -> Arc<ClientConfig> {
    trusting(RootCertStore::empty())
}

fn trusting(roots: RootCertStore) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
