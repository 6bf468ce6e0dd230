//! `backorderd receive-bounce`: the mail system's door. One mail on standard
//! input, an exit code the mail system understands.
//!
//! Two codes of sysexits.h and no other: 0, the mail is taken (or means
//! nothing, which is no reason to send it anywhere), and 75, come again later.
//! A code that means "no" would make the mail system answer a bounce with a
//! bounce. So trouble of any kind is "later", also a broken configuration: the
//! mail waits in the queue of a system made for that.

use crate::app::receipts::receive;
use crate::cli::Ended;
use crate::cli::context::Context;
use crate::clock::{Clock, SystemClock};
use crate::config::SecretUse;
use crate::receipt::MAIL_BYTES_MAX;
use crate::wiring;
use anyhow::Context as _;
use std::io::Read as _;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: backorderd receive-bounce --recipient bounces+TOKEN@shop.example < mail\n\
    For the mail system, not for people; how to set it up: docs/bounces.md.\n\
    Exit codes: 0 taken, 75 try again later."
)]
pub struct Args {
    /// The envelope recipient, which carries the token
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
}

/// Never fails; what went wrong goes to standard error, where the mail
/// system's log picks it up.
pub async fn run(context: &Context, args: Args) -> Ended {
    match take(context, &args).await {
        Ok(()) => Ended::Done,
        Err(error) => {
            let why = crate::telemetry::whole_story(error.as_ref());
            eprintln!("backorderd: the mail is not taken, try again later: {why}");
            Ended::ComeAgain
        }
    }
}

async fn take(context: &Context, args: &Args) -> anyhow::Result<()> {
    let mut raw = Vec::new();
    let mut input = std::io::stdin().lock();
    // Read to its end: a writer whose pipe closes early calls that an error.
    let limit = MAIL_BYTES_MAX as u64;
    (&mut input)
        .take(limit)
        .read_to_end(&mut raw)
        .context("cannot read the mail")?;
    std::io::copy(&mut input, &mut std::io::sink()).context("cannot read the mail")?;
    let config = context.config(SecretUse::LeaveOut)?;
    let (store, key) = wiring::receiver(&config).await?;
    let now = SystemClock.now();
    let recipient = args.recipient.as_deref();
    let received = receive(&store, &key.verp_key(), &raw, recipient, now).await?;
    eprintln!("backorderd: {}", received.words());
    Ok(())
}
