pub mod app;
pub mod channel;
pub mod clock;
pub mod config;
pub mod domain;
pub mod source;
pub mod store;
pub mod template;
