//! The whole program against real peers: what a shop lives through.

mod bounces;
mod brake;
mod bugs;
mod by_hand;
mod doors;
mod doubt;
mod hours;
mod intent;
mod kannel;
mod life;
mod log;
mod lying;
mod privacy;
mod relay;
mod sender;
mod serve;
mod story;
mod templates;
mod texts;
mod two;
mod volume;
