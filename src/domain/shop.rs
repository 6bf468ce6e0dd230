//! What a message says about the shop itself.

use super::contact::{EmailAddress, Locale};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// The shop as its customers know it; comes from the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShopProfile {
    pub name: String,
    /// As it should be printed, `020 7946 0018`.
    pub phone: Option<String>,
    /// When somebody answers the phone, in words, by language tag.
    pub hours: std::collections::BTreeMap<String, String>,
    pub website: Option<String>,
    /// The monitored address customers answer to.
    pub reply_to: Option<EmailAddress>,
    pub zone: Tz,
    /// Language of customers whose own is unknown or has no templates.
    pub locale: Locale,
    pub charges: Charges,
    pub cancel: CancelTerms,
    /// Print the block that offers money back or an alternative in updates.
    pub offer_block: bool,
}

/// When the customer pays; decides the sentence about refunds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charges {
    AtOrder,
    AtShipment,
    /// Say nothing about money.
    #[default]
    Unsaid,
}

/// What the customer may do about a waiting piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelTerms {
    /// May cancel any time until it ships.
    UntilShipped,
    /// Has to ask.
    #[default]
    AskUs,
}
