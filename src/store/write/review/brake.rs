//! The storm brake, where what is written is counted: planners that write at
//! the same moment count one after the other, so that together they do not
//! pass the limit either.

use crate::domain::ids::RunNo;
use crate::domain::notice_key::Mode;
use crate::store::conn::Conn;
use crate::store::read::figures::COUNT_PLANNED;
use crate::store::read::runs::HELD_RUN;
use crate::store::statement::{maybe, value};
use crate::store::types::{Brake, Review};
use crate::store::write::locks;

/// Where messages go: a run, and whether they wait there for a person.
#[derive(Clone, Copy, Debug)]
pub(super) struct Basket {
    pub run: RunNo,
    pub held: bool,
}

/// Decides it for so many new messages; `held` wait in any case. Over the limit the rest of the window
/// is collected in one run, so that a person decides once.
pub(super) async fn basket(
    c: &mut Conn<'_>,
    review: &Review,
    held: bool,
    n_messages: usize,
) -> Result<Basket, sqlx::Error> {
    let own = Basket {
        run: review.run,
        held,
    };
    let Some(brake) = review.brake.filter(|_| n_messages > 0) else {
        return Ok(own);
    };
    locks::brake(c).await?;
    if !is_over(c, brake, review.mode, n_messages).await? {
        return Ok(own);
    }
    let collecting: Option<i64> = maybe!(c, HELD_RUN, brake.since.0)?;
    Ok(Basket {
        run: collecting.map_or(review.run, RunNo),
        held: true,
    })
}

async fn is_over(
    c: &mut Conn<'_>,
    brake: Brake,
    mode: Mode,
    n_messages: usize,
) -> Result<bool, sqlx::Error> {
    let recent: i64 = value!(c, COUNT_PLANNED, brake.since.0, mode.as_str())?;
    let recent = u64::try_from(recent).unwrap_or(0);
    Ok(recent.saturating_add(n_messages as u64) > brake.limit)
}
