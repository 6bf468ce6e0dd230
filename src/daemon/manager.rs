//! Telling the service manager how we are.

use crate::app::App;
use sd_notify::NotifyState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A loop that has not turned for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);

pub(super) fn tell(state: &[NotifyState<'_>]) {
    // Outside systemd nobody listens; that is fine.
    if let Err(error) = tell_manager(state) {
        tracing::warn!("systemd cannot be told: {error}");
    }
}

/// The library knows sockets in the file system only; inside containers the
/// manager's socket is often an abstract one, written with an `@`.
#[expect(
    clippy::disallowed_methods,
    reason = "where the manager listens is asked here only"
)]
fn tell_manager(state: &[NotifyState<'_>]) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let socket = std::env::var("NOTIFY_SOCKET").unwrap_or_default();
    let Some(name) = socket.strip_prefix('@') else {
        return sd_notify::notify(state);
    };
    let words: String = state.iter().map(|word| format!("{word}\n")).collect();
    let manager = SocketAddr::from_abstract_name(name)?;
    UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &manager)?;
    Ok(())
}

/// Tells systemd that we live, but only while the work goes on (`beat` rises
/// with every turn of a loop) and the database answers. A timer of its own would prove nothing.
pub(super) async fn watchdog(app: App, beat: Arc<AtomicU64>, stop: CancellationToken) {
    let Some(interval) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut last = (beat.load(Ordering::Relaxed), tokio::time::Instant::now());
    while !super::wait(interval / 2, &stop).await {
        let now = beat.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, tokio::time::Instant::now());
        }
        let alive = last.1.elapsed() < STUCK_AFTER.max(interval);
        if alive && app.viewer.read.meta("mode").await.is_ok() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}
