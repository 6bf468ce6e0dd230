//! `backorderd messages settle`: what became of messages in doubt.

use super::acts::{self, Manner};
use super::selection::Selection;
use crate::cli::context::Context;
use crate::cli::{Ended, Usage};
use crate::store::write::by_hand::Knowledge;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// They arrived
    #[arg(long, conflicts_with = "not_arrived")]
    arrived: bool,
    /// They did not arrive
    #[arg(long)]
    not_arrived: bool,
    /// The evidence, for the audit log: where it was seen
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    manner: Manner,
}

pub async fn run(context: &Context, args: Args) -> anyhow::Result<Ended> {
    let known = match (args.arrived, args.not_arrived) {
        (true, _) => Knowledge::Arrived,
        (_, true) => Knowledge::NotArrived,
        (false, false) => {
            let usage = "say what you know: --arrived or --not-arrived, or --from-log FILE";
            return Err(Usage(usage.to_owned()).into());
        }
    };
    acts::settle(context, &args.selection, &args.manner, known, args.why).await
}
