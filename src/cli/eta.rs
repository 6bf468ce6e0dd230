//! Placeholder while this command is being written.
use crate::cli::Ended;
use crate::cli::context::Context;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    List,
}

pub async fn run(_context: &Context, _command: Command) -> anyhow::Result<Ended> {
    anyhow::bail!("not written yet")
}
