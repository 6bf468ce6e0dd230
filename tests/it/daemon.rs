//! The whole program against real peers: what a shop lives through.

mod bounces;
mod brake;
mod bugs;
mod doors;
mod doubt;
mod hours;
mod intent;
mod life;
mod privacy;
mod relay;
mod sender;
mod serve;
mod story;
mod texts;
mod two;
mod volume;
