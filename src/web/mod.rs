//! The daemon's own web address: where gateways report to.
//!
//! Off unless it is configured. It speaks plain HTTP and expects a web server
//! with TLS before it, or a gateway on the same machine. Everything is bounded:
//! connections, the time to say a request, its size. What a request asks for
//! runs on a task of its own, so that a caller who hangs up takes nothing with
//! him. Nothing that came in is ever logged.

mod sms;

use crate::app::{App, AppError};
use crate::channel::sms::hook::Hook;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at the same time; gateways are few.
const CONNECTIONS_MAX: usize = 128;
/// To say a request's head, and for a connection to stay silent.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// How long a stop waits for requests and answers under way; below the
/// daemon's own patience.
const STOP_GRACE: Duration = Duration::from_secs(40);
/// After an error of the listening socket itself (no more files, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What answers at the door.
pub struct Front {
    listener: TcpListener,
    state: Arc<State>,
}

/// What handlers need.
struct State {
    app: App,
    hook: Arc<dyn Hook>,
    /// Our address as gateways know it, without a slash at the end.
    base: String,
    /// Requests and answers under way.
    tasks: TaskTracker,
    /// A fatal error of the store; whoever finds it ends the process.
    fatal: watch::Sender<Option<AppError>>,
}

impl State {
    /// The database is unusable: nobody knows what is on the disk.
    fn end_if_fatal(&self, error: AppError) {
        if error.is_fatal() {
            self.fatal.send_replace(Some(error));
        }
    }
}

impl Front {
    /// Takes the address; answers nobody yet.
    ///
    /// # Errors
    /// Somebody else has it, or it is not this machine's.
    pub async fn bind(
        app: App,
        hook: Arc<dyn Hook>,
        listen: SocketAddr,
        public_url: Option<String>,
    ) -> Result<Front, AppError> {
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|source| AppError::Io {
                doing: "listen on the address in [web]",
                source,
            })?;
        let base = public_url.unwrap_or_else(|| format!("http://{listen}"));
        let (fatal, _) = watch::channel(None);
        Ok(Front {
            listener,
            state: Arc::new(State {
                app,
                hook,
                base,
                tasks: TaskTracker::new(),
                fatal,
            }),
        })
    }

    /// Answers until `stop` is cancelled, then lets what is under way end.
    ///
    /// # Errors
    /// The database became unusable: the process has to end.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), AppError> {
        let Front { listener, state } = self;
        let mut fatal = state.fatal.subscribe();
        let router = sms::routes(state.clone());
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let connections = TaskTracker::new();
        let ended = loop {
            let permit = tokio::select! {
                () = stop.cancelled() => break Ok(()),
                _ = fatal.changed() => break Err(()),
                permit = room.clone().acquire_owned() => permit,
            };
            let Ok(permit) = permit else {
                break Ok(());
            };
            tokio::select! {
                () = stop.cancelled() => break Ok(()),
                _ = fatal.changed() => break Err(()),
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (router, stop) = (router.clone(), stop.clone());
                        connections.spawn(async move {
                            converse(stream, router, stop).await;
                            drop(permit);
                        });
                    }
                    Err(error) => {
                        tracing::warn!("a connection could not be taken: {}", error.kind());
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        };
        drop(listener);
        connections.close();
        state.tasks.close();
        let quiet = async {
            connections.wait().await;
            state.tasks.wait().await;
        };
        if tokio::time::timeout(STOP_GRACE, quiet).await.is_err() {
            tracing::warn!("a request or an answer to a text did not end in time");
        }
        match ended {
            Ok(()) => Ok(()),
            Err(()) => Err(state
                .fatal
                .send_replace(None)
                .unwrap_or(AppError::LaneBroke)),
        }
    }
}

/// One connection, to its end or the daemon's.
async fn converse(stream: TcpStream, router: Router, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME);
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            // How a caller goes is his business.
            _ = connection.as_mut() => return,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
