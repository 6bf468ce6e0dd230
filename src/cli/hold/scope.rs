//! What a hold is on: from what was typed to what is stored.

use super::channel_words;
use crate::cli::Usage;
use crate::cli::context::Context;
use crate::cli::pick;
use crate::cli::present::{capital, shell_word};
use crate::config::Config;
use crate::domain::kinds::ChannelName;
use crate::store::Store;
use crate::wiring;

#[derive(Debug, clap::Args)]
#[group(id = "scope", multiple = false)]
pub struct ScopeArgs {
    /// A channel: email or sms
    #[arg(long, value_name = "CHANNEL", value_parser = channel)]
    channel: Option<ChannelName>,
    /// An order, by its number
    #[arg(long, value_name = "N")]
    order: Option<String>,
    /// Every order with this SKU
    #[arg(long, value_name = "SKU")]
    sku: Option<String>,
    /// Every order with goods of this supplier
    #[arg(long, value_name = "NAME")]
    supplier: Option<String>,
    /// A customer, by the number of one of the orders or by the address
    #[arg(long, value_name = "N")]
    customer: Option<String>,
}

/// Reads a channel by one of its names.
///
/// # Errors
/// There is none of this name.
pub fn channel(text: &str) -> Result<ChannelName, String> {
    let alias = match text.trim().to_ascii_lowercase().as_str() {
        "mail" | "e-mail" => "email".to_owned(),
        "text" | "texts" => "sms".to_owned(),
        other => other.to_owned(),
    };
    ChannelName::parse(&alias).ok_or_else(|| "a channel is email or sms".to_owned())
}

/// What was typed; nothing means everything.
pub enum Asked {
    Channel(ChannelName),
    Order(String),
    Sku(String),
    Supplier(String),
    Customer(String),
}

pub fn asked(args: &ScopeArgs) -> Option<Asked> {
    let text = |text: &Option<String>, make: fn(String) -> Asked| text.clone().map(make);
    args.channel
        .map(Asked::Channel)
        .or_else(|| text(&args.order, Asked::Order))
        .or_else(|| text(&args.sku, Asked::Sku))
        .or_else(|| text(&args.supplier, Asked::Supplier))
        .or_else(|| text(&args.customer, Asked::Customer))
}

/// A scope as it is stored, and its name for people.
pub struct Scope {
    pub kind: &'static str,
    pub key: String,
    /// `order 1042, A. Kowalski`
    name: String,
    /// The flag that names it again.
    flag: String,
}

impl Scope {
    fn new(kind: &'static str, key: impl Into<String>, name: String, flag: String) -> Scope {
        Scope {
            kind,
            key: key.into(),
            name,
            flag,
        }
    }
    pub fn in_sentence(&self) -> &str {
        &self.name
    }
    /// With a capital.
    pub fn title(&self) -> String {
        capital(&self.name)
    }
    /// ` --order 1042`; empty for everything.
    pub fn flag(&self) -> &str {
        &self.flag
    }
    /// Keeps orders silent instead of stopping the sending.
    pub fn is_about_orders(&self) -> bool {
        !matches!(self.kind, "global" | "channel")
    }
    pub fn channel(&self) -> Option<ChannelName> {
        ChannelName::parse(&self.key).filter(|_| self.kind == "channel")
    }
}

/// Finds what was typed, and opens the database that keeps it. Only orders and
/// customers have to be looked up; for the rest neither templates nor channels
/// have to be in order.
///
/// # Errors
/// There is no database, it cannot be written, or there is no such order.
pub async fn resolve(
    context: &Context,
    config: &Config,
    asked: Option<&Asked>,
) -> anyhow::Result<(Scope, Store)> {
    wiring::require_database(config).await?;
    let scope = match asked {
        None => Scope::new("global", "", "everything".to_owned(), String::new()),
        Some(Asked::Channel(channel)) => Scope::new(
            "channel",
            channel.as_str(),
            channel_words(*channel).to_owned(),
            format!(" --channel {channel}"),
        ),
        Some(Asked::Sku(sku)) => {
            let flag = format!(" --sku {}", shell_word(sku));
            Scope::new("sku", sku.trim(), format!("SKU {}", sku.trim()), flag)
        }
        Some(Asked::Supplier(name)) => {
            let flag = format!(" --supplier {}", shell_word(name));
            Scope::new(
                "supplier",
                name.trim(),
                format!("supplier {}", name.trim()),
                flag,
            )
        }
        Some(Asked::Order(text)) => {
            let app = context.writer().await?;
            let order = pick::order(&app.viewer, text).await?.order;
            let name = format!("order {}, {}", order.number, order.contact.short_name());
            let flag = format!(" --order {}", shell_word(&order.number));
            return Ok((Scope::new("order", order.key, name, flag), app.store));
        }
        Some(Asked::Customer(text)) => {
            let app = context.writer().await?;
            let found = pick::orders(&app.viewer, text).await?;
            let mut people: Vec<_> = found.iter().map(|s| s.order.contact_id).collect();
            people.sort();
            people.dedup();
            let [id] = people.as_slice() else {
                let usage = format!(
                    "{} customers answer to this; name one by the number of an order",
                    people.len()
                );
                return Err(Usage(usage).into());
            };
            let order = &found[0].order;
            let name = format!("customer {}", order.contact.short_name());
            let flag = format!(" --customer {}", shell_word(&order.number));
            let scope = Scope::new("customer", id.0.to_string(), name, flag);
            return Ok((scope, app.store));
        }
    };
    if scope.key.is_empty() && scope.is_about_orders() {
        return Err(Usage(format!("--{} needs a value", scope.kind)).into());
    }
    Ok((scope, Store::open(&wiring::place(config)?).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_have_more_than_one_name() {
        assert_eq!(channel("E-Mail"), Ok(ChannelName::Email));
        assert_eq!(channel("texts"), Ok(ChannelName::Sms));
        assert!(channel("fax").is_err());
    }
}
