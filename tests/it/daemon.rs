//! The whole program against real peers: what a shop lives through.

mod bugs;
mod doubt;
mod hours;
mod life;
mod privacy;
mod relay;
mod serve;
mod story;
mod texts;
mod two;
mod volume;
