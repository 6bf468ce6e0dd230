//! The thread on which messages are rendered and composed, one after the other
//! and in their order, while the rest of the process sends.
//!
//! It is most of what a message costs, and it waits for nothing: among tasks
//! that wait for sockets and the database it kept them waiting, and threads
//! took it from each other. Measured with sixteen sessions on two cores: a
//! seventh less CPU time for a message and a fifth more messages a second than
//! as tasks.
//!
//! Promises: whoever hands a message in finds it, rendered or not, in the lane's
//! inbox, or hears of [`LaneBroke`]. It ends when its [`Desk`] is dropped and
//! everything is written.

use crate::app::Viewer;
use crate::app::lane::{LaneBroke, News};
use crate::app::prepare::{Work, prepare};
use crate::crash_point::crash_point;
use crate::store::types::Claimed;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc as thread_channel;
use std::thread;
use tokio::sync::mpsc;

/// A claimed message, and the inbox of the lanes it is for.
type Asked = (Claimed, mpsc::Sender<Work>);

/// A handle to the thread.
pub struct Desk {
    asked: thread_channel::Sender<Asked>,
}

impl Desk {
    /// Starts the thread; `broken` hears of a panic.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn open(
        viewer: Viewer,
        broken: mpsc::UnboundedSender<Result<News, LaneBroke>>,
    ) -> io::Result<Desk> {
        let (asked, inbox) = thread_channel::channel::<Asked>();
        let write = move || {
            for (claimed, lanes) in inbox {
                let prepared = catch_unwind(AssertUnwindSafe(|| prepare(&viewer, &claimed)));
                crash_point("rendered");
                // Nobody listens any more: nobody waits for an answer.
                let _ = match prepared {
                    Ok(prepared) => (lanes.blocking_send(Work { claimed, prepared })).is_ok(),
                    Err(_) => broken.send(Err(LaneBroke)).is_ok(),
                };
            }
        };
        thread::Builder::new().name("desk".into()).spawn(write)?;
        Ok(Desk { asked })
    }

    /// Hands a message in. There is room for it in the inbox of the lanes.
    ///
    /// # Errors
    /// The thread is gone.
    pub fn write(&self, claimed: Claimed, lanes: mpsc::Sender<Work>) -> Result<(), LaneBroke> {
        (self.asked.send((claimed, lanes))).map_err(|_| LaneBroke)
    }
}
