//! The loop that receives: takes in mails that came back, and applies receipts
//! that came before our own record of what they are about.
//!
//! It runs beside planning; several daemons may share one Maildir, because a
//! mail that is taken twice counts once.

use super::{LOOK_EVERY, RETRY_AFTER, wait};
use crate::app::maildir::Maildir;
use crate::app::{App, AppError};
use crate::domain::verp::VerpKey;
use tokio_util::sync::CancellationToken;

/// Files with a trouble that are named after one look; the others are counted.
const TROUBLES_SAID: usize = 10;

/// Receives until `stop`.
///
/// # Errors
/// The database is unusable.
pub(super) async fn receipt_loop(app: App, stop: CancellationToken) -> Result<(), AppError> {
    let key = app.viewer.key.verp_key();
    let mut maildir = app.settings().bounce_maildir.clone().map(Maildir::at);
    while !wait(LOOK_EVERY, &stop).await {
        match receive(&app, maildir.as_mut(), &key).await {
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                tracing::error!("what came back cannot be taken in, and stays there: {error}");
                if wait(RETRY_AFTER, &stop).await {
                    break;
                }
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

async fn receive(app: &App, maildir: Option<&mut Maildir>, key: &VerpKey) -> Result<(), AppError> {
    // Mails first: reports that wait and cannot be applied are tried one by one.
    let taken = match maildir {
        Some(maildir) => take_in(app, maildir, key).await,
        None => Ok(()),
    };
    let is_over = matches!(&taken, Err(error) if error.is_fatal());
    let applied = match is_over {
        true => Ok(()),
        false => apply(app).await,
    };
    // The caller hears of one trouble.
    if let (Err(error), Err(_)) = (&applied, &taken) {
        tracing::error!("reports that waited cannot be applied, and stay there: {error}");
    }
    taken.and(applied)
}

/// Applies reports that came before what they are about.
async fn apply(app: &App) -> Result<(), AppError> {
    if app.viewer.read.receipts_wait().await? {
        let messages = app.store.apply_receipts(app.now()).await?;
        if messages > 0 {
            tracing::info!(messages, "applied reports that had waited");
        }
    }
    Ok(())
}

/// Takes in the mails that came back.
async fn take_in(app: &App, maildir: &mut Maildir, key: &VerpKey) -> Result<(), AppError> {
    let look = maildir.look(&app.store, key, app.now()).await?;
    if look.taken > 0 {
        tracing::info!(
            mails = look.taken,
            unclear = look.set_aside,
            "took in what came back"
        );
    }
    let further = look.troubles.len().saturating_sub(TROUBLES_SAID);
    for trouble in look.troubles.iter().take(TROUBLES_SAID) {
        tracing::warn!("a mail that came back cannot be read or moved: {trouble}");
    }
    if further > 0 {
        tracing::warn!(further, "so it is with more of them: backorderd todo");
    }
    Ok(())
}
