//! `/sms/NAME/status` and `/sms/NAME/inbound`.
//!
//! 2xx is only said after the commit, so that a gateway comes again with what
//! we did not keep. 403 is all that a wrong proof learns, whatever is wrong;
//! 400 is for requests that are the gateway's and cannot be read, which would
//! not get better by coming again, but shows in the gateway's own log.

use super::State as Shared;
use crate::app::AppError;
use crate::channel::sms::hook::{Call, NotTaken};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use std::sync::Arc;
use std::time::Duration;

/// Receipts are a few hundred bytes, a text some thousand.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// To say a whole body.
const BODY_TIME: Duration = Duration::from_secs(10);
/// When somebody should come again with what we could not keep.
const COME_AGAIN_SECS: &str = "30";

pub fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/sms/{gateway}/status", any(status))
        .route("/sms/{gateway}/inbound", any(inbound))
        .with_state(shared)
}

#[derive(Clone, Copy)]
enum Door {
    Status,
    Inbound,
}

async fn status(shared: State<Arc<Shared>>, gateway: Path<String>, request: Request) -> Response {
    answer(shared.0, &gateway.0, Door::Status, request).await
}

async fn inbound(shared: State<Arc<Shared>>, gateway: Path<String>, request: Request) -> Response {
    answer(shared.0, &gateway.0, Door::Inbound, request).await
}

async fn answer(shared: Arc<Shared>, gateway: &str, door: Door, request: Request) -> Response {
    if gateway != shared.hook.name() {
        return StatusCode::NOT_FOUND.into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let (parts, body) = request.into_parts();
    let body = match tokio::time::timeout(BODY_TIME, whole(body)).await {
        Ok(Ok(body)) => body,
        Ok(Err(status)) => return status.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let told = Told {
        url: format!("{}{path}", shared.base),
        is_post: parts.method == Method::POST,
        headers: parts.headers,
        body,
    };
    // On its own task: a caller that hangs up must not take half of it along.
    let tasks = shared.tasks.clone();
    let ended = tasks.spawn(async move { take(&shared, door, &told).await });
    ended
        .await
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn whole(body: Body) -> Result<Bytes, StatusCode> {
    axum::body::to_bytes(body, BODY_BYTES_MAX)
        .await
        .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)
}

/// A request that has come in as a whole.
struct Told {
    url: String,
    is_post: bool,
    headers: HeaderMap,
    body: Bytes,
}

async fn take(shared: &Arc<Shared>, door: Door, told: &Told) -> Response {
    let call = Call {
        is_post: told.is_post,
        url: &told.url,
        headers: &told.headers,
        body: &told.body,
    };
    let name = shared.hook.name();
    match taken(shared, door, &call).await {
        Ok(()) => {
            let (kind, body) = shared.hook.thanks();
            ([(header::CONTENT_TYPE, kind)], body).into_response()
        }
        Err(Trouble::Request(NotTaken::Forged)) => {
            tracing::debug!(
                gateway = name,
                "a request without the right proof was refused"
            );
            StatusCode::FORBIDDEN.into_response()
        }
        Err(Trouble::Request(NotTaken::Unreadable(what))) => {
            tracing::warn!(
                gateway = name,
                "a report of the gateway cannot be read: {what}"
            );
            StatusCode::BAD_REQUEST.into_response()
        }
        Err(Trouble::Store(error)) => {
            tracing::error!(
                gateway = name,
                "what the gateway reports cannot be kept: {error}"
            );
            shared.end_if_fatal(error);
            let again = [(header::RETRY_AFTER, COME_AGAIN_SECS)];
            (StatusCode::SERVICE_UNAVAILABLE, again).into_response()
        }
    }
}

/// Why there is no thanks.
enum Trouble {
    Request(NotTaken),
    Store(AppError),
}

impl From<NotTaken> for Trouble {
    fn from(not: NotTaken) -> Trouble {
        Trouble::Request(not)
    }
}

impl From<AppError> for Trouble {
    fn from(error: AppError) -> Trouble {
        Trouble::Store(error)
    }
}

async fn taken(shared: &Arc<Shared>, door: Door, call: &Call<'_>) -> Result<(), Trouble> {
    let (app, hook) = (&shared.app, &shared.hook);
    hook.verify(call, app.now())?;
    match door {
        Door::Status => {
            if let Some(event) = hook.receipt(call)? {
                app.take_sms_receipt(hook.name(), event).await?;
            }
        }
        Door::Inbound => {
            let Some(text) = hook.inbound(call)? else {
                return Ok(());
            };
            if let Some(answer) = app.take_text(hook.name(), text).await? {
                // The gateway is thanked without waiting for it.
                let shared = shared.clone();
                shared.tasks.clone().spawn(async move {
                    if let Err(error) = shared.app.send_answer(answer).await {
                        tracing::error!("what became of an answer cannot be recorded: {error}");
                        shared.end_if_fatal(error);
                    }
                });
            }
        }
    }
    Ok(())
}
