//! The whole program against real peers: what a shop's evening looks like.

mod volume;
