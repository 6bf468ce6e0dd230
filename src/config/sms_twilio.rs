//! Twilio.

use super::forms::{length, parsed, text};
use super::sms::{Around, url};
use super::units::Wrong;
use crate::channel::settings::{HookSettings, TwilioSender, TwilioSettings};
use crate::domain::time::Length;

const TWILIO_URL: &str = "https://api.twilio.com";

pub fn read(around: &Around<'_>) -> (Option<TwilioSettings>, Option<HookSettings>) {
    let section = around.reader.section("sms.twilio");
    let vault = around.vault.where_used(around.needed.is_some());
    let account_sid = section.maybe("account_sid", parsed(account_sid));
    let user = section.maybe("user", text);
    let token = vault.read(&section, "token");
    let signing_token = vault.read(&section, "signing_token");
    let sender = section.maybe("from", |entry| text(entry).map(twilio_sender));
    let bounds = Length::secs(1)..=Length::hours(10);
    let validity = section.maybe("validity", length(bounds));
    let base_url = section.maybe("base_url", parsed(url));
    if let Some(place) = around.needed {
        section.need("account_sid", place, "\"AC...\"");
        section.need("token", place, "{ file = \"secrets/twilio.token\" }");
        section.need("from", place, "\"+447700900001\"");
        if around.web.is_some() {
            let web = around.reader.section("web");
            web.need("public_url", place, "\"https://shop.example/backorderd\"");
            // Twilio signs with the account's own token, never with a key's.
            if user.is_some() {
                let user = section.place("user");
                let example = "{ file = \"secrets/twilio.auth\" }";
                section.need("signing_token", &user, example);
            }
        }
    }
    let receipts = around.receipts("twilio");
    let hook = match (&receipts, &user) {
        (Some(_), None) => signing_token.or_else(|| token.clone()),
        (Some(_), Some(_)) => signing_token,
        (None, _) => None,
    };
    let settings = || {
        let account_sid = account_sid?;
        Some(TwilioSettings {
            base_url: base_url.unwrap_or_else(|| TWILIO_URL.to_owned()),
            user: user.unwrap_or_else(|| account_sid.clone()),
            account_sid,
            token: token?,
            sender: sender?,
            validity: validity.map(Length::to_std),
            receipts,
            traffic: around.traffic,
        })
    };
    let hook = hook.map(|token| HookSettings::Twilio { token });
    (settings(), hook)
}

fn account_sid(text: &str) -> Result<String, Wrong> {
    if is_sid(text, "AC") {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        "this is not the id of a Twilio account",
        "write the Account SID of the console: AC and 32 digits or letters from a to f",
    ))
}

fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.len() == 32 && rest.chars().all(|c| c.is_ascii_hexdigit()))
}

fn twilio_sender(text: String) -> TwilioSender {
    if is_sid(&text, "MG") {
        TwilioSender::MessagingService(text)
    } else {
        TwilioSender::From(text)
    }
}
