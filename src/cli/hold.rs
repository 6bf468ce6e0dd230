//! Placeholder while this command is being written.
use crate::cli::Ended;
use crate::cli::context::Context;

#[derive(Debug, clap::Args)]
pub struct HoldArgs {}
#[derive(Debug, clap::Args)]
pub struct ReleaseArgs {}

pub async fn hold(_context: &Context, _args: HoldArgs) -> anyhow::Result<Ended> {
    anyhow::bail!("not written yet")
}
pub async fn release(_context: &Context, _args: ReleaseArgs) -> anyhow::Result<Ended> {
    anyhow::bail!("not written yet")
}
