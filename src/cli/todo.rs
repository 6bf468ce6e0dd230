//! Placeholder while this command is being written.
use crate::cli::Ended;
use crate::cli::context::Context;

#[derive(Debug, clap::Args)]
pub struct Args {}

pub async fn run(_context: &Context, _args: Args) -> anyhow::Result<Ended> {
    anyhow::bail!("not written yet")
}
