//! `backorderd messages settle`: what became of messages in doubt.

use super::acts::{self, Manner};
use super::by_log;
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
    /// The relay's log (Postfix or Exim main log) says it; several files oldest first, - for
    /// standard input
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["arrived", "not_arrived"])]
    from_log: Vec<String>,
    /// The evidence, for the audit log: where it was seen
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    manner: Manner,
}

pub async fn run(context: &Context, args: Args) -> anyhow::Result<Ended> {
    if !args.from_log.is_empty() {
        let (selection, manner) = (&args.selection, &args.manner);
        return by_log::settle(context, selection, manner, args.why, &args.from_log).await;
    }
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
