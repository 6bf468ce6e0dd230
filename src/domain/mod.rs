//! The pure core: what the shop said, what the customer was told, and what
//! follows from the two.
//!
//! Nothing in here does I/O, reads a clock, draws a random number, awaits or
//! logs. Instants and random samples come in as arguments, decisions go out
//! as values, and every rule is tested beside its code.

pub mod contact;
pub mod eta;
pub mod ids;
pub mod kinds;
pub mod money;
pub mod outcome;
pub mod quantity;
pub mod row;
pub mod shop;
pub mod sms_text;
pub mod statement;
pub mod time;
