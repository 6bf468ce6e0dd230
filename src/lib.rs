pub mod channel;
pub mod domain;
