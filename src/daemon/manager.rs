//! Telling the service manager how we are.

use super::beats::{Beats, Look, Watch};
use crate::app::App;
use sd_notify::NotifyState;
use std::time::Duration;
use tokio::time::Instant as Moment;
use tokio_util::sync::CancellationToken;

/// How often the loops are looked at where nobody wants to hear of it.
const LOOK_EVERY: Duration = Duration::from_secs(10);

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

/// Tells systemd that we live, but only while every loop turns and the
/// database answers. A timer of its own would prove nothing. A loop that is
/// late is named in the log, and to systemd where there is one.
pub(super) async fn watchdog(app: App, beats: Beats, stop: CancellationToken) {
    let interval = sd_notify::watchdog_enabled();
    let mut watch = Watch::default();
    while !super::wait(interval.map_or(LOOK_EVERY, |all| all / 2), &stop).await {
        let look = watch.look(&beats.counts(), Moment::now());
        if look.is_news {
            say(&look);
        }
        let is_well = look.late.is_empty();
        if interval.is_some() && is_well && app.viewer.read.meta("mode").await.is_ok() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn say(look: &Look) {
    for (of, silent) in &look.late {
        tracing::error!(
            of,
            for_secs = silent.as_secs(),
            "a loop does not turn any more; unless it goes on, this process has to be restarted"
        );
    }
    if look.late.is_empty() {
        tracing::info!("every loop turns again");
        tell(&[NotifyState::Status("ready")]);
    } else {
        let names: Vec<&str> = look.late.iter().map(|(of, _)| *of).collect();
        let status = format!("not turning any more: {}", names.join(", "));
        tell(&[NotifyState::Status(&status)]);
    }
}
