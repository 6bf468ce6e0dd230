//! The whole program against real peers: what a shop lives through.

mod doubt;
mod privacy;
mod relay;
mod serve;
mod story;
mod texts;
mod two;
mod volume;
