//! A lane: one task, one session, one message at a time.
//!
//! `mark → send → record`; what it is given is rendered already
//! ([`super::prepare`]). The record of a message and the mark of
//! the next one are handed to the writer together, so that they share a
//! commit; the next message's first byte still waits for both. Whatever
//! happens, a lane answers every message it was given.

use crate::app::prepare::{Prepared, Work};
use crate::app::worker::Fence;
use crate::app::{App, AppError, hold_file};
use crate::channel::{Envelope, Session};
use crate::crash_point::crash_point;
use crate::domain::ids::{MessageNo, RunNo, WorkerId};
use crate::domain::kinds::{ChannelName, Kind};
use crate::domain::message::{Flight, Landing, earliest_send, land};
use crate::domain::outcome::{Deferral, Evidence, Outcome, Phase};
use crate::domain::time::Length;
use crate::store::types::{Claimed, GiveBack, Record};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};

/// A session without work takes its leave after this.
const IDLE: Duration = Duration::from_secs(30);

/// What a lane says to whoever hands out.
#[derive(Debug)]
pub enum News {
    /// It took a message: another one may be got ready.
    Room(ChannelName),
    Done(Done),
}

/// What a lane reports about one message.
#[derive(Debug)]
pub struct Done {
    pub no: MessageNo,
    pub channel: ChannelName,
    pub kind: Kind,
    pub run: Option<RunNo>,
    /// Numbers of the orders it is about, for the log.
    pub orders: String,
    pub end: End,
}

/// A lane's task ended by a panic, perhaps in the middle of a message: what
/// it was sending is in doubt for whoever takes it over.
#[derive(Clone, Copy, Debug)]
pub struct LaneBroke;

/// How it ended, as far as this worker is concerned.
#[derive(Debug)]
pub enum End {
    Recorded {
        outcome: Outcome,
        landing: Landing,
    },
    /// Not sent: its facts moved, it was held, suppressed or withdrawn, or it
    /// is not this worker's any more.
    NotSent,
    /// Too early or too late for a text where its recipient lives.
    OutOfHours,
    /// The far side has had as many as it wants for now.
    Paced,
    /// It cannot be rendered, and says why.
    Unrenderable(String),
    /// The store failed; the process has to decide what that means.
    Failed(AppError),
}

/// The work of one channel's lanes.
pub type Inbox = Arc<Mutex<mpsc::Receiver<Work>>>;

/// Runs a lane until its inbox closes.
pub async fn run(
    app: App,
    (worker, fence): (WorkerId, Fence),
    mut session: Box<dyn Session>,
    inbox: Inbox,
    news: mpsc::UnboundedSender<Result<News, LaneBroke>>,
) {
    let mut unrecorded: Option<(Claimed, Outcome)> = None;
    loop {
        // With something to record, only work that is already there may
        // delay it.
        let next = if unrecorded.is_some() {
            match inbox.try_lock() {
                Ok(mut inbox) => inbox.try_recv().ok(),
                Err(_) => None,
            }
        } else {
            let received = tokio::time::timeout(IDLE, async { inbox.lock().await.recv().await });
            match received.await {
                Ok(Some(work)) => Some(work),
                Ok(None) => break,
                Err(_) => {
                    session.close().await;
                    match inbox.lock().await.recv().await {
                        Some(work) => Some(work),
                        None => break,
                    }
                }
            }
        };
        // The next one is got ready while the writer works, not while this one
        // is sent. Of one that was put off whoever hands out hears first: it may
        // mean that nothing more goes out.
        let room = (next.as_ref()).map(|work| News::Room(work.claimed.channel));
        let (room, room_later) = match &unrecorded {
            Some((_, Outcome::Deferred { .. })) => (None, room),
            _ => (room, None),
        };
        say(&news, room);
        let record = async {
            if let Some((claimed, outcome)) = unrecorded.take() {
                let report = record(&app, worker, claimed, outcome).await;
                crash_point("outcome-recorded");
                say(&news, Some(News::Done(report)));
            }
        };
        let mark = async {
            match next {
                Some(Work { claimed, prepared }) => {
                    mark(&app, (worker, &fence), &mut *session, claimed, prepared).await
                }
                None => Ok(None),
            }
        };
        let ((), marked) = tokio::join!(record, mark);
        say(&news, room_later);
        match marked {
            Ok(Some((claimed, envelope))) => {
                let outcome = match second_thoughts(&app, &fence, &claimed) {
                    None => session.send(&envelope).await,
                    Some(outcome) => outcome,
                };
                crash_point("outcome-known");
                unrecorded = Some((claimed, outcome));
            }
            Ok(None) => {}
            Err(report) => {
                say(&news, Some(News::Done(*report)));
            }
        }
    }
    session.close().await;
}

/// Nobody listens any more: nobody hands out any more.
fn say(to: &mpsc::UnboundedSender<Result<News, LaneBroke>>, news: Option<News>) {
    if let Some(news) = news {
        let _ = to.send(Ok(news));
    }
}

fn report(claimed: &Claimed, end: End) -> Done {
    let orders = claimed.facts.orders.iter();
    let numbers: Vec<&str> = orders.map(|order| order.order_number.as_str()).collect();
    Done {
        no: claimed.no,
        channel: claimed.channel,
        kind: claimed.kind,
        run: claimed.run,
        orders: numbers.join(","),
        end,
    }
}

/// Records the intent. `None` and `Err` both mean that nothing may be sent.
async fn mark(
    app: &App,
    (worker, fence): (WorkerId, &Fence),
    session: &mut dyn Session,
    claimed: Claimed,
    prepared: Result<Prepared, String>,
) -> Result<Option<(Claimed, Envelope)>, Box<Done>> {
    let unsent = async |claimed: Claimed, why: GiveBack, end: End| {
        let lease = vec![(claimed.no, claimed.epoch)];
        let given = app.store.give_back(worker, lease, why, app.now()).await;
        crash_point("given-back");
        let end = match given {
            Ok(_) => end,
            Err(error) => End::Failed(error.into()),
        };
        Err(Box::new(report(&claimed, end)))
    };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(why) => {
            let end = End::Unrenderable(why.clone());
            return unsent(claimed, GiveBack::Unrenderable(why), end).await;
        }
    };
    // The planner chose a decent hour, but a gateway that asked for patience,
    // a hold, a person's late yes or a stopped daemon may have moved it.
    let now = app.now();
    let opens = earliest_send(claimed.channel, &app.policy().sms.hours, claimed.zone, now);
    if opens > now {
        return unsent(claimed, GiveBack::PutOff(opens), End::OutOfHours).await;
    }
    // A provider's own limit: put off before the record, not waited for after.
    if let Some(wait) = session.admit(&prepared.envelope) {
        let millis = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        let again = GiveBack::PutOff(now.plus(Length(millis.max(1))));
        return unsent(claimed, again, End::Paced).await;
    }
    // The file first: it must work when the database does not.
    let held = hold_file::is_held(&app.settings().state_dir);
    let marked = if held || !fence.holds() {
        Ok(false)
    } else {
        app.store.mark(worker, prepared.mark, now).await
    };
    match marked {
        Ok(true) => {
            crash_point("mark-committed");
            Ok(Some((claimed, prepared.envelope)))
        }
        Ok(false) => unsent(claimed, GiveBack::Unused, End::NotSent).await,
        Err(error) => Err(Box::new(report(&claimed, End::Failed(error.into())))),
    }
}

/// What came between the mark and the first byte, if anything did: the mark may
/// have waited long behind other writers, and the process may have been
/// stopped since. The database was asked by the mark itself; this asks for all
/// that is not in it.
fn second_thoughts(app: &App, fence: &Fence, claimed: &Claimed) -> Option<Outcome> {
    let now = app.now();
    let opens = earliest_send(claimed.channel, &app.policy().sms.hours, claimed.zone, now);
    let what = if !fence.holds() {
        "stopped before it was sent"
    } else if hold_file::is_held(&app.settings().state_dir) {
        "held before it was sent"
    } else if now > claimed.not_after {
        "too old before it was sent"
    } else if opens > now {
        "the decent hours ended before it was sent"
    } else {
        return None;
    };
    Some(Outcome::Deferred {
        why: Deferral::NotBegun,
        wait: Some(opens.since(now)),
        evidence: Evidence::new(Phase::Connect, what),
    })
}

/// Records what became of it.
async fn record(app: &App, worker: WorkerId, claimed: Claimed, outcome: Outcome) -> Done {
    let now = app.now();
    let flight = Flight {
        kind: claimed.kind,
        attempts: claimed.counted + 1,
        doubts: claimed.doubts,
        due_since: claimed.due_since,
        not_after: claimed.not_after,
    };
    let landing = land(
        &flight,
        &outcome,
        &app.policy().retry,
        app.ids.sample(),
        now,
    );
    // Swept by somebody else meanwhile: in doubt there, and settled there.
    let mut done = report(&claimed, End::NotSent);
    let record = Record {
        no: claimed.no,
        epoch: claimed.epoch,
        outcome: outcome.clone(),
        landing: landing.clone(),
        facts: claimed.facts,
    };
    match app.store.record(worker, record, now).await {
        Ok(true) => done.end = End::Recorded { outcome, landing },
        Ok(false) => {}
        Err(error) => done.end = End::Failed(error.into()),
    }
    done
}
