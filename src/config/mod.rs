//! Configuration: from what was written to what is meant.
//!
//! [`Config::load`] lays three layers over each other: the commented file
//! `config/backorderd.toml`, which is compiled in and *is* the set of
//! defaults, the operator's file, and `BACKORDERD__SECTION__KEY` from the
//! environment. `layers` builds one tree of written values (`raw`) from them;
//! `reader` asks it for settings one by one, and `shop`, `policy`, `channels`,
//! `sms` (with one file per gateway), `web`, `places` make [`Config`] of the answers.
//!
//! Promises:
//! - All problems of a load are reported at once, each with file, line and
//!   column (or the variable's name) and a cure. Unknown keys are problems.
//! - Secrets come from credentials and private files; no error, no `Debug` and
//!   no [`Config::show`] contains one.
//! - What [`Config`] holds has been checked; nobody checks again.
//!
//! It opens no database, reaches for no network and creates no folder. The
//! process's environment is read by [`environment()`] alone.

mod channels;
mod environment;
mod feeds;
mod forms;
mod freemail;
mod layers;
mod load;
pub mod meant;
mod paint;
mod places;
mod policy;
pub mod problem;
mod raw;
mod reader;
mod secrets;
mod shop;
mod show;
mod sms;
mod sms_generic;
mod sms_hook;
mod sms_kannel;
mod sms_twilio;
mod sms_vonage;
mod suggest;
mod units;
mod web;

#[cfg(test)]
mod tests;

pub use channels::is_loopback;
pub use environment::{Environment, environment};
pub use layers::DEFAULTS;
pub use load::{LoadArgs, state_folder};
pub use meant::{
    Config, ConfiguredMode, DatabaseSettings, DnsSettings, JobName, JobSettings, LogFormat,
    LogLevel, LogSettings, PaceSettings, SandboxSettings, SecretUse, SmsGatewaySettings,
    WebSettings, policy_digest,
};
pub use problem::ConfigErrors;
