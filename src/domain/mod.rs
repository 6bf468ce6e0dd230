//! The pure core: what the shop said, what the customer was told, and what
//! follows from the two.
//!
//! Nothing in here does I/O, reads a clock, draws a random number, awaits or
//! logs. Instants and random samples come in as arguments, decisions go out
//! as values, and every rule is tested beside its code.

pub mod assess;
pub mod bundle;
pub mod calendar;
pub mod contact;
pub mod eta;
pub mod feed;
#[cfg(test)]
pub mod fixtures;
pub mod forecast;
pub mod ids;
pub mod inbound;
pub mod inbound_answers;
pub mod kinds;
#[cfg(test)]
pub mod lives;
pub mod message;
pub mod milestones;
pub mod mirror;
pub mod money;
pub mod notice_key;
pub mod order;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod quantity;
pub mod quiet_hours;
pub mod reason;
pub mod receipt;
pub mod reply_class;
pub mod retry;
pub mod row;
pub mod schedule;
pub mod shop;
pub mod sms_letters;
pub mod sms_status;
pub mod sms_text;
pub mod smtp_reply;
pub mod statement;
pub mod time;
pub mod told;
pub mod verp;
pub mod worker;
